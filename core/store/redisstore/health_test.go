package redisstore

import (
	"errors"
	"strings"
	"testing"
)

func TestHealthy(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ info, says string }{
		{"", ""},
		{"nonsense", ""},
		{"# Memory\r\nmaxmemory:100\r\nmaxmemory_policy:noeviction\r\n# Replication\r\nrole:master\r\n", ""},
		{"maxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\n", ""},
		{"maxmemory:100\r\nmaxmemory_policy:allkeys-lru\r\n", "allkeys-lru"},
		{"maxmemory:100\nmaxmemory_policy:volatile-lfu\n", "volatile-lfu"},
		{"maxmemory_policy:volatile-ttl", "volatile-ttl"}, // how much it may have is not told
		{"maxmemory:1\r\nmaxmemory_policy:" + strings.Repeat("x", 1000), "xxx"},
		{"role:slave\r\n", "replica"},
		{"role:slave:x\r\n", ""},
	} {
		err := healthy(row.info)
		if (err == nil) != (row.says == "") || err != nil && (!strings.Contains(err.Error(), row.says) || len(err.Error()) > 200) {
			t.Errorf("%.60q: %v, want %q", row.info, err, row.says)
		}
	}
}

func FuzzHealthy(f *testing.F) {
	f.Add("maxmemory:100\r\nmaxmemory_policy:allkeys-lru\r\nrole:slave\r\n")
	f.Fuzz(func(t *testing.T, info string) {
		if err := healthy(info); errors.Is(err, ErrEvicts) && strings.Contains(info, "maxmemory_policy:noeviction\n") && strings.Count(info, "maxmemory_policy") == 1 {
			t.Errorf("%q: %v", info, err)
		}
	})
}
