package redisstore

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		url  string
		want address
	}{
		{"redis://localhost", address{addrs: []string{"localhost:6379"}}},
		{"REDIS://localhost/", address{addrs: []string{"localhost:6379"}}},
		{"redis://10.0.0.1:7000/3", address{addrs: []string{"10.0.0.1:7000"}, database: 3}},
		{"redis://[2001:db8::1]", address{addrs: []string{"[2001:db8::1]:6379"}}},
		{"redis://[::1]:7000/1", address{addrs: []string{"[::1]:7000"}, database: 1}},
		{"redis://:secret@localhost", address{addrs: []string{"localhost:6379"}, password: "secret"}},
		{"redis://app:secret@localhost", address{addrs: []string{"localhost:6379"}, username: "app", password: "secret"}},
		{"redis://app:a%40b%3Ac%2Fd%23e%25f%3F+g@localhost", address{addrs: []string{"localhost:6379"}, username: "app", password: "a@b:c/d#e%f?+g"}},
		{"redis://localhost?prefix=shop:", address{addrs: []string{"localhost:6379"}, prefix: "shop:"}},
		{"rediss://app:secret@redis.example:6380/0", address{addrs: []string{"redis.example:6380"}, tls: true, username: "app", password: "secret"}},
		{"rediss://redis.example?ca=/etc/redis/ca.pem", address{addrs: []string{"redis.example:6379"}, tls: true, ca: "/etc/redis/ca.pem"}},
		{"unix:///run/redis/redis.sock", address{mode: socket, addrs: []string{"/run/redis/redis.sock"}}},
		{"unix://app:secret@/run/my%20redis.sock?db=2&prefix=x", address{mode: socket, addrs: []string{"/run/my redis.sock"}, username: "app", password: "secret", database: 2, prefix: "x"}},
		{
			"redis-sentinel://app:secret@s1,s2:26380,[::1]/2?master_name=mymaster&sentinel_username=su&sentinel_password=sp",
			address{
				mode: sentinel, addrs: []string{"s1:26379", "s2:26380", "[::1]:26379"}, username: "app", password: "secret", database: 2,
				masterName: "mymaster", sentinelUsername: "su", sentinelPassword: "sp",
			},
		},
		{"rediss-sentinel://s1?master_name=m", address{mode: sentinel, tls: true, addrs: []string{"s1:26379"}, masterName: "m"}},
		{"redis-cluster://:secret@n1,n2:7000", address{mode: cluster, addrs: []string{"n1:6379", "n2:7000"}, password: "secret"}},
		{"rediss-cluster://n1/", address{mode: cluster, tls: true, addrs: []string{"n1:6379"}}},
	} {
		got, err := parse(row.url)
		if err != nil || !reflect.DeepEqual(*got, row.want) {
			t.Errorf("%s: %+v, %v", row.url, got, err)
		}
	}
}

// What is refused is told without what was in the URL.
func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ url, says string }{
		{"", "does not begin"},
		{"localhost:6379", "does not begin"},
		{"http://«host»", "outside ASCII"},
		{"https://host", "does not begin"},
		{"redis:host", "does not begin"},
		{"redis:/host", "does not begin"},
		{" redis://host", "a space"},
		{"redis://host\n", "a space"},
		{"redis://ho\x00st", "a control character"},
		{"redis://hôst", "outside ASCII"},
		{"redis://", "no host"},
		{"redis:///0", "no host"},
		{"redis://:6379", "no host"},
		{"redis://a,b", "several hosts"},
		{"redis://host:0", "port"},
		{"redis://host:65536", "port"},
		{"redis://host:+1", "port"},
		{"redis://host:", "port"},
		{"redis://host:x", "port"},
		{"redis://2001:db8::1", "brackets"},
		{"redis://[2001:db8::1", "brackets"},
		{"redis://[10.0.0.1]", "brackets"},
		{"redis://[::1]x", "brackets"},
		{"redis://[::1]x:6379", "brackets"},
		{"redis://[fe80::1%25eth0]", "brackets"},
		{"redis://ho%73t", "no host has"},
		{"redis://secret@host", "no password"},
		{"redis://@host", "no password"},
		{"redis://secret:@host", "no password"},
		{"redis://a:sec:ret@host", "%3A"},
		{"redis://a:sec@ret@host", "%40"},
		{"redis://a:sec/ret@host", "%2F"},
		{"redis://a:sec#ret@host", "%23"},
		{"redis://a:sec%ret@host", "%25"},
		{"redis://a:secret%2@host", "%25"},
		{"redis://a:sec?ret@host", "%3F"},
		{"redis://host/secret", "database"},
		{"redis://host/0/1", "database"},
		{"redis://host/-1", "database"},
		{"redis://host/65536", "database"},
		{"redis://host?db=1", `"db"`},
		{"redis://host?timeout=1s", `"timeout"`},
		{"redis://host?prefix=a&prefix=b", "twice"},
		{"redis://host?prefix=a%20b", "prefix"},
		{"redis://host?prefix={a}", "hash tag"},
		{"redis://host?prefix=" + strings.Repeat("a", 101), "100 bytes"},
		{"redis://host?prefix=%zz", "query"},
		{"redis://host?a;b", "query"},
		{"redis://host?ca=/x", `"ca"`},
		{"redis://host?skip_verify=true", `"skip_verify"`},
		{"redis://host?master_name=m", `"master_name"`},
		{"redis-sentinel://host", "master_name"},
		{"redis-sentinel://host?master_name=", "master_name"},
		{"redis-sentinel://host,?master_name=m", "empty one"},
		{"redis-sentinel://host?master_name=m&sentinel_username=secret", "without sentinel_password"},
		{"redis-cluster://host/0", "a cluster has only one"},
		{"redis-cluster://" + strings.Repeat("h,", 100) + "h", "100 hosts"},
		{"unix://host/path", "has a host"},
		{"unix://", "no path"},
		{"unix:///", "no path"},
		{"unix:///a%zz", "path that is not followed"},
		{"unix:///a%00b", "no path"},
		{"unix:///a?ca=/x", `"ca"`},
		{"redis://" + strings.Repeat("h", 4096), "4096 bytes"},
	} {
		_, err := parse(row.url)
		switch {
		case err == nil || !strings.Contains(err.Error(), row.says):
			t.Errorf("%.60q: %v, want %q", row.url, err, row.says)
		case strings.Contains(err.Error(), "secret"), strings.Contains(err.Error(), "sec@"), strings.Contains(err.Error(), "ret@"):
			t.Errorf("%.60q: %v", row.url, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"redis://app:secret@localhost:6379/1?prefix=x", "rediss://[::1]?ca=x", "unix://:p@/run/redis.sock?db=1",
		"redis-sentinel://s1,s2:1/2?master_name=m&sentinel_password=p", "redis-cluster://a,b", "redis://a:%zz@h", "redis://[::1", "x",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := parse(text)
		if err != nil {
			return
		}
		if len(a.addrs) == 0 || len(a.addrs) > maxHosts || a.username != "" && a.password == "" || a.database < 0 {
			t.Errorf("%q: %+v", text, a)
		}
		if a.mode == single && (len(a.addrs) != 1 || !strings.Contains(a.addrs[0], ":")) || a.mode == sentinel && a.masterName == "" {
			t.Errorf("%q: %+v", text, a)
		}
	})
}

// The options by which a client keeps the contract: it ends with its context, asks masters only, and proves a server of rediss.
func TestClientOfURL(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"redis://a", "rediss://u:p@a", "unix:///a", "redis-cluster://a", "rediss-cluster://a,b", "redis-sentinel://a?master_name=m",
	} {
		a, err := parse(url)
		if err != nil {
			t.Fatal(err)
		}
		client := a.client()
		t.Cleanup(func() { _ = client.Close() })
		if err := checkClient(client); err != nil {
			t.Errorf("%s: %v", url, err)
		}
		var secure bool
		switch c := client.(type) {
		case *redis.Client:
			secure = c.Options().TLSConfig != nil && !c.Options().TLSConfig.InsecureSkipVerify
		case *redis.ClusterClient:
			secure = c.Options().TLSConfig != nil && !c.Options().TLSConfig.InsecureSkipVerify
		}
		if secure != a.tls {
			t.Errorf("%s: TLS is %v", url, secure)
		}
	}
}

func TestFromEnv(t *testing.T) {
	t.Setenv("REDIS_URL", "")
	if s, err := FromEnv(); s != nil || err == nil || err.Error() != "redisstore: REDIS_URL is not set: want a URL such as redis://localhost:6379" {
		t.Errorf("none: %v, %v", s, err)
	}
	t.Setenv("REDIS_URL", "redis://user:sec@ret@host")
	if s, err := FromEnv(); s != nil || err == nil || !strings.HasPrefix(err.Error(), "redisstore: REDIS_URL has an @") {
		t.Errorf("a bad one: %v, %v", s, err)
	}
	t.Setenv("REDIS_URL", "rediss://host?ca="+t.TempDir()+"/none.pem")
	if s, err := FromEnv(); s != nil || err == nil || !strings.Contains(err.Error(), "REDIS_URL has a ca that cannot be read") {
		t.Errorf("a ca that is not there: %v, %v", s, err)
	}
	t.Setenv("REDIS_URL", "redis://user:secret@host:1")
	s, err := FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, s); text != "redisstore.Store{host:1}" {
			t.Errorf("%s prints %s", verb, text)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
