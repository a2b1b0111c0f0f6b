package idserver

import (
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/signward/idserver-go/core/internal/memo"
)

// What a stranger sends as a session's cookies is read up to what a session may have, and no further: it is decoded and
// deciphered whole.
func TestUnchunkIsBounded(t *testing.T) {
	chunk := strings.Repeat("a", maxChunk)
	line := func(pairs ...string) Request {
		return Request{Header: http.Header{"Cookie": {strings.Join(pairs, "; ")}}}
	}
	for name, row := range map[string]struct {
		r    Request
		want int // length; -1: refused
	}{
		"one":                       {line("s=" + chunk), maxChunk},
		"one that is too long":      {line("s=" + chunk + "a"), -1},
		"one of a megabyte":         {line("s=" + strings.Repeat("a", 1<<20)), -1},
		"five":                      {line("s=5."+chunk, "s.1="+chunk, "s.2="+chunk, "s.3="+chunk, "s.4="+chunk), 5 * maxChunk},
		"five and a byte":           {line("s=5."+chunk, "s.1="+chunk, "s.2="+chunk, "s.3="+chunk, "s.4="+chunk+"a"), -1},
		"five, one of a megabyte":   {line("s=5.", "s.1=", "s.2=", "s.3=", "s.4="+strings.Repeat("a", 1<<20)), -1},
		"six":                       {line("s=6."+chunk, "s.1="+chunk, "s.2="+chunk, "s.3="+chunk, "s.4="+chunk, "s.5="+chunk), -1},
		"a first one of a megabyte": {line("s=2."+strings.Repeat("a", 1<<20), "s.1=a"), -1},
		"six small ones":            {line("s=6.a", "s.1=a", "s.2=a", "s.3=a", "s.4=a", "s.5=a"), -1},
		"two that are one":          {line("s=1." + chunk), -1},
		"none":                      {line("s=0." + chunk), -1},
		"a chunk twice":             {line("s=2.a", "s.1=b", "s.1=b"), -1},
	} {
		value, ok := row.r.unchunk("s")
		if !ok && row.want != -1 || ok && len(value) != row.want {
			t.Errorf("%s: %d bytes, %v, want %d", name, len(value), ok, row.want)
		}
	}
}

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
				e.Value.user = User{Subject: "6f0c2a3e-0000-4000-8000-" + id, Email: id + "@example.test", Name: "Alice Tan " + id, TenantID: "7b1d5c52-" + id, Roles: []string{"admin", "user"}, CustomRoles: []string{"billing"}}
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
