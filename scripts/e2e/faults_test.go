//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// What happens to Redis, while three replicas whose clocks are 5 s apart serve people whose tokens last for seconds. Nobody gets another
// person's page; whoever is signed in stays so; whoever signed out stays out; what is refused meanwhile is a 503 that says when to come
// back. Afterwards all is as before, without a goroutine or a connection more.
func TestRedisFaults(t *testing.T) {
	leftOut(t, "redis")
	for _, fault := range []struct {
		name    string
		options []string      // of the server
		grace   time.Duration // of the provider: none where no answer of its is lost
		revokes bool          // the provider: where nobody else is left who knows who signed out
		happens func(f *fleet, redis *redisServer, way *link)
	}{
		{"nothing", nil, 0, false, func(f *fleet, _ *redisServer, _ *link) { f.through(20) }},
		{"killed, and started again with what it kept", []string{"--appendonly", "yes", "--appendfsync", "always"}, 0, false, func(f *fleet, redis *redisServer, _ *link) {
			redis.kill()
			f.while(40)
			redis.start()
		}},
		// Of answers to one page, the browser may keep the cookie of the one before the last refresh. The store heals that, and when it has
		// forgotten, the replicas remember.
		{"started again empty", nil, 0, false, func(f *fleet, redis *redisServer, _ *link) {
			redis.kill()
			f.while(20)
			redis.start()
			f.through(10)
			redis.kill()
			redis.start()
		}},
		{"paused", nil, 0, false, func(f *fleet, redis *redisServer, _ *link) {
			resume := redis.pause()
			f.while(20)
			resume()
		}},
		{"full", nil, 0, false, func(f *fleet, redis *redisServer, _ *link) {
			redis.command("config", "set", "maxmemory", "1") // nothing is evicted, and nothing more is written
			f.while(40)
			redis.command("config", "set", "maxmemory", "0")
		}},
		{"slow by 200 ms", nil, 0, false, func(f *fleet, _ *redisServer, way *link) {
			way.delay.Store(int64(200 * time.Millisecond))
			f.while(20)
			f.through(10)
			way.delay.Store(0)
		}},
		{"slower than anybody waits", nil, 0, false, func(f *fleet, _ *redisServer, way *link) {
			way.delay.Store(int64(2 * time.Second))
			f.while(10)
			way.delay.Store(0)
		}},
		{"its connections are cut, over and over", nil, 0, false, func(f *fleet, _ *redisServer, way *link) {
			for range 20 {
				f.while(1)
				way.cut()
			}
		}},
		{"replicas are killed", nil, time.Minute, false, func(f *fleet, _ *redisServer, _ *link) { f.killEach() }},
		{"replicas are killed while it is away", nil, time.Minute, true, func(f *fleet, redis *redisServer, _ *link) {
			redis.kill()
			for i := range f.replicas {
				f.kill(i)
				f.startReplica(i)
			}
			f.while(5)
			redis.start()
		}},
	} {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel() // they wait, mostly
			redis := startRedis(t, fault.options...)
			way := newLink(t, redis.addr)
			f := newFleet(t, "REDIS_URL=redis://"+way.addr, 10, fault.grace, fault.revokes)
			f.trouble(func() { fault.happens(f, redis, way) })
			f.quiet(func() int { return connections(redis) })
		})
	}
}

// With StrictSignOut nobody is let in while Redis is away, because somebody may have signed out elsewhere; nobody is signed out.
func TestRedisFaultStrict(t *testing.T) {
	leftOut(t, "redis")
	redis := startRedis(t)
	f := newFleet(t, "REDIS_URL=redis://"+redis.addr, 3, 0, false, "STRICT=true")
	f.allIn()
	for name, fault := range map[string]func() (passes func()){
		"killed": func() func() { redis.kill(); return redis.start },
		"paused": redis.pause,
	} {
		passes := fault()
		for _, s := range f.surfers {
			for i, r := range f.replicas {
				f.until(fmt.Sprintf("%s: replica %d lets %s in", name, i, s.name), func() bool {
					return s.ask("http://"+r.addr, nil) == "503 store_unavailable"
				})
			}
		}
		passes()
		f.allIn()
	}
}

// Sentinel makes a replica the master, which lacks the last writes: grants, and sign-outs.
func TestRedisFailover(t *testing.T) {
	leftOut(t, "redis")
	first := startRedis(t, "--repl-diskless-sync-delay", "0")
	host, port, _ := net.SplitHostPort(first.addr)
	second := startRedis(t, "--replicaof", host+" "+port)
	sentinel := freeAddr(t)
	_, sentinelPort, _ := net.SplitHostPort(sentinel)
	settings := filepath.Join(t.TempDir(), "sentinel.conf")
	if err := os.WriteFile(settings, fmt.Appendf(nil, `bind 127.0.0.1
port %s
sentinel monitor m %s %s 1
sentinel down-after-milliseconds m 1000
sentinel failover-timeout m 5000
`, sentinelPort, host, port), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, nil, "redis-server", settings, "--sentinel").listening(sentinel)
	f := newFleet(t, "REDIS_URL=redis-sentinel://"+sentinel+"?master_name=m", 10, 0, false)
	f.until("the replica does not follow", func() bool { return strings.Contains(second.command("info", "replication"), "master_link_status:up") })
	f.until("Sentinel does not know the replica", func() bool {
		out, _ := exec.Command("redis-cli", "-p", sentinelPort, "sentinel", "replicas", "m").Output()
		return bytes.Contains(out, []byte("master-link-status\nok"))
	})
	f.trouble(func() {
		resume := second.pause()
		first.command("client", "kill", "type", "replica") // or what is written waits in its connection
		f.while(20)
		f.through(5)
		keys := first.command("dbsize")
		first.kill()
		resume()
		f.until("the replica is not made the master", func() bool { // Sentinel has it close connections then, that of redis-cli too
			role, err := second.try("info", "replication")
			return err == nil && strings.Contains(role, "role:master")
		})
		f.t.Logf("keys of the old master: %s, of the new one: %s", keys, second.command("dbsize"))
	})
	f.quiet(func() int { return connections(second) })
}

// troubles has one thing happen after the other, and looks each time.
func (f *fleet) troubles(t *testing.T, faults []trouble) {
	for _, fault := range faults {
		t.Run(fault.name, func(t *testing.T) {
			before := f.t
			f.t = t
			defer func() { f.t = before }()
			f.trouble(fault.happens)
		})
		if t.Failed() { // whoever was signed out, say, would be so in what follows
			return
		}
	}
}

// trouble is something that happens to a fleet.
type trouble struct {
	name    string
	happens func()
}

// connections are those that Redis has, without the one that asks.
func connections(redis *redisServer) int {
	return len(slices.DeleteFunc(strings.Split(redis.command("client", "list"), "\n"), func(line string) bool { return strings.Contains(line, "cmd=client") }))
}

// trouble has people use the application before, during and after a fault. One signs out before it, one in the midst of it.
func (f *fleet) trouble(happens func()) {
	f.t.Helper()
	early, late := f.newSurfer(fmt.Sprint("p", 50+f.others)), f.newSurfer(fmt.Sprint("p", 51+f.others))
	f.others += 2
	f.surf()
	f.while(3)
	f.through(5)
	copied := map[*surfer][]*http.Cookie{early: early.cookies(), late: late.cookies()}
	if !early.signOut() {
		f.t.Fatal("a sign-out while nothing is wrong fails")
	}
	f.out(early, copied[early])
	left := make(chan bool)
	go func() {
		f.ask(3) // so that the fault has begun, or nearly
		left <- late.signOut()
	}()
	happens()
	if !<-left { // it was told that it has to come back
		f.until("a sign-out fails, long after the fault", late.signOut)
	}
	f.while(3)
	f.out(early, copied[early])
	f.out(late, copied[late])
	f.allIn()
	f.through(10)
	f.allIn()
	f.stays(early, copied[early])
	f.stays(late, copied[late])
	if n := f.count(f.counts + "/reused"); n != 0 {
		f.t.Errorf("%d refresh tokens were used again, of which each signs its user out", n)
	}
	f.stop()
	for what, n := range f.answers() {
		if what != "ok" && what != "gone" && !strings.HasPrefix(what, "503 ") {
			f.t.Errorf("people were answered %q %d times", what, n)
		}
	}
	f.t.Logf("answers: %v; refreshes: %d", f.answers(), f.count(f.counts+"/answered"))
}

// out waits until a person who signed out is out at every replica, for whoever has copied the cookies before.
func (f *fleet) out(who *surfer, copied []*http.Cookie) {
	f.t.Helper()
	for i, r := range f.replicas {
		f.until(fmt.Sprintf("%s signed out, and replica %d lets a copy of the cookies in", who.name, i), func() bool {
			return strings.HasPrefix(who.ask("http://"+r.addr, copied), "401")
		})
	}
	f.stays(who, copied)
}

// stays looks whether a person who was out everywhere still is.
func (f *fleet) stays(who *surfer, copied []*http.Cookie) {
	f.t.Helper()
	for range 3 {
		for i, r := range f.replicas {
			if what := who.ask("http://"+r.addr, copied); what == "ok" {
				f.t.Errorf("%s signed out, and came back at replica %d", who.name, i)
			}
		}
	}
}

// quiet waits until replicas and Redis have no more goroutines and connections than replicas need that have just served a few people.
func (f *fleet) quiet(connections func() int) {
	f.t.Helper()
	f.until("connections are left", func() bool { return connections() <= len(f.replicas)*(maxPool+1) })
	for i, r := range f.replicas {
		f.until(fmt.Sprintf("goroutines are left in replica %d", i), func() bool { return f.count("http://"+r.addr+"/goroutines") <= maxGoroutines })
	}
}

const (
	maxPool       = 30 // connections of a replica: go-redis's default for two CPUs, that of pipelines with them
	maxGoroutines = 30 // of a replica at rest
)
