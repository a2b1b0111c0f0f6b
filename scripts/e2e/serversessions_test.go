//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// What happens to Redis, while it has people's sessions (Config.ServerSessions). See TestRedisFaults: that it is away is answered with 503
// at once, and when it is back everybody is signed in who was.
func TestServerSessionsFaults(t *testing.T) {
	leftOut(t, "redis")
	t.Parallel() // it waits, mostly
	redis := startRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	way := newLink(t, redis.addr)
	url := "REDIS_URL=redis://" + way.addr
	f := newFleet(t, url, 5, 0, false, "SERVER_SESSIONS=true")
	f.troubles(t, []trouble{
		{"nothing", func() { f.through(10) }},
		{"killed, and started again with what it kept", func() {
			redis.kill()
			f.while(20)
			f.nobodyIn()
			redis.start()
		}},
		{"paused", func() {
			resume := redis.pause()
			f.while(10)
			f.nobodyIn()
			resume()
		}},
		{"full", func() {
			redis.command("config", "set", "maxmemory", "1")
			f.while(20)
			redis.command("config", "set", "maxmemory", "0")
		}},
		{"slow by 200 ms", func() {
			way.delay.Store(int64(200 * time.Millisecond))
			f.while(10)
			way.delay.Store(0)
		}},
		{"its connections are cut, over and over", func() {
			for range 10 {
				f.while(1)
				way.cut()
			}
		}},
	})
	if t.Failed() {
		return
	}
	f.quiet(func() int { return connections(redis) })
	f.forgotten(redis)

	f = newFleet(t, url, 5, time.Minute, false, "SERVER_SESSIONS=true")
	f.troubles(t, []trouble{{"replicas are killed", f.killEach}})
}

// nobodyIn looks whether everybody is told to come back, while the store that has the sessions is away. A replica that has just looked
// a session up lets it in until it notices, which takes it seconds where the connection has merely fallen silent; from then on it does not.
func (f *fleet) nobodyIn() {
	f.t.Helper()
	const back = "503 store_unavailable"
	for _, s := range f.surfers {
		for i, r := range f.replicas {
			f.until(fmt.Sprintf("replica %d does not notice that the store is away, and lets %s in", i, s.name), func() bool {
				return s.ask("http://"+r.addr, nil) == back
			})
		}
	}
	for _, s := range f.surfers {
		for i, r := range f.replicas {
			if what := s.ask("http://"+r.addr, nil); what != back {
				f.t.Errorf("replica %d has noticed that the store is away, and answers %s with %q", i, s.name, what)
			}
		}
	}
}

// forgotten empties Redis. Nobody is signed in then, whoever has a copy of the cookies neither, and everybody can sign in again.
func (f *fleet) forgotten(redis *redisServer) {
	f.t.Helper()
	redis.command("flushall")
	for _, s := range f.surfers {
		copied := s.cookies()
		for _, r := range f.replicas {
			f.until(s.name+" is let in, and nobody knows the session", func() bool { return strings.HasPrefix(s.ask("http://"+r.addr, copied), "401") })
		}
		again := f.newSurfer(s.name)
		for i, r := range f.replicas {
			if what := again.ask("http://"+r.addr, nil); what != "ok" {
				f.t.Errorf("%s has signed in again, and replica %d answers %q", s.name, i, what)
			}
			if what := s.ask("http://"+r.addr, copied); !strings.HasPrefix(what, "401") {
				f.t.Errorf("%s has signed in again, and replica %d answers %q to the session of before", s.name, i, what)
			}
		}
	}
}
