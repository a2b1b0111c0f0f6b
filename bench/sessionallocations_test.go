//go:build !race

// The race detector makes pools forget, and counts what it allocates itself.

package bench

import (
	"net/http"
	"strings"
	"testing"
)

// A sealed cookie that was seen before adds three to four allocations to a request, in fiber two; one that was not, half of the 84
// that it once took.
func TestSessionPathAllocations(t *testing.T) {
	most := map[string]float64{
		"chi, idserver, sealed cookie, seen before": 4, "chi, idserver, sealed cookie, not seen before": 42,
		"gin, idserver, sealed cookie, seen before": 4, "fiber, idserver, sealed cookie, seen before": 2,
	}
	floor := map[string]float64{}
	for _, path := range sessionPaths {
		name := path.in + ", " + path.name
		if path.name != "floor" && most[name] == 0 {
			continue
		}
		asks, cookie := path.make(t, new(operations))
		ask := asks(strings.Clone(cookie))
		got := testing.AllocsPerRun(100, func() {
			if status := ask(); status != http.StatusOK {
				t.Fatalf("%s: %d", name, status)
			}
		})
		if path.name == "floor" {
			floor[path.in] = got
		} else if added := got - floor[path.in]; added > most[name] {
			t.Errorf("%s: adds %v allocations, want at most %v", name, added, most[name])
		}
	}
}
