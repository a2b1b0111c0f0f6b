package idserver

import (
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/signward/idserver-go/core/internal/memo"
)

// What is counted for a remembered token is what it really takes: Config.TokenCacheBytes bounds memory, not a sum of guesses.
func TestRememberedTokensTakeWhatIsCounted(t *testing.T) {
	const bound = 8 << 20
	for name, length := range map[string]int{"tokens of 300 bytes": 300, "of 1,000 bytes": 1000, "of 1,025 bytes, which the allocator rounds up": 1025, "of 4,000 bytes": 4000} {
		t.Run(name, func(t *testing.T) {
			c, err := New(Config{Authority: "https://provider.example", Audience: "api", TokenCacheBytes: bound})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			inUse := func() int64 {
				var m runtime.MemStats
				runtime.GC()
				runtime.GC() // what the first one finds to be free is free after the second
				runtime.ReadMemStats(&m)
				return int64(m.HeapAlloc)
			}
			before := inUse()
			for i := range 3 * bound / length {
				id := strconv.Itoa(i)
				e := new(memo.Entry[proven])
				e.Value.user = User{Subject: "6f0c2a3e-0000-4000-8000-" + id, Email: id + "@example.test", Name: "Alice Tan " + id, TenantID: "7b1d5c52-" + id, Roles: []string{"admin", "user"}, CustomRoles: []string{"billing"}, Scopes: []string{"openid", "orders:read"}, ClientID: "shop"}
				e.Value.facts.audience = []string{"api"}
				token := id + strings.Repeat("x", length-len(id))
				c.provider.remember(e, token[len(id):]+id, "https://provider.example")
			}
			took := inUse() - before
			t.Logf("%d bytes, %.2f of the bound", took, float64(took)/bound)
			if took > bound*11/10 || took < bound*3/4 {
				t.Errorf("full, it takes %d bytes of memory, and the bound is %d", took, bound)
			}
			runtime.KeepAlive(c)
		})
	}
}
