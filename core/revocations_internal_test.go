package idserver

import (
	"fmt"
	"testing"
	"time"
)

// However the ends of revoked tokens lie, no more than maxRevoked are remembered, and the latest one is.
func TestRevocationsAreBounded(t *testing.T) {
	now := time.Unix(1800000000, 0)
	for name, ends := range map[string]func(i int) time.Time{
		"earlier each time": func(i int) time.Time { return now.Add(time.Hour - time.Duration(i)*time.Millisecond) },
		"later each time":   func(i int) time.Time { return now.Add(time.Hour + time.Duration(i)*time.Millisecond) },
		"all at once":       func(int) time.Time { return now.Add(time.Hour) },
	} {
		var r revocations
		for i := range maxRevoked + 50 {
			token := fmt.Sprintf("h.%d.s", i)
			r.add(token, ends(i), now)
			if len(r.expires) > maxRevoked {
				t.Fatalf("%s: %d are remembered", name, len(r.expires))
			}
			if !r.has(token) {
				t.Fatalf("%s: the %d. is forgotten at once", name, i)
			}
		}
	}
}

// A signed-out session is refused for as long as one of its cookies may live unused, not only as long as results are kept.
func TestSignedOutForTheIdleTime(t *testing.T) {
	now := time.Unix(1800000000, 0)
	g := newGrants(func() time.Time { return now })
	defer g.close()
	s := &session{user: &User{Issuer: "i"}, id: [32]byte{1}}
	g.end(s, time.Hour)
	now = now.Add(59 * time.Minute)
	g.mu.Lock()
	g.sweep()
	g.mu.Unlock()
	if !g.ended(s) {
		t.Error("after 59 min of an hour it may come back")
	}
	now = now.Add(2 * time.Minute)
	g.mu.Lock()
	g.sweep()
	g.mu.Unlock()
	if g.ended(s) {
		t.Error("it is remembered for ever")
	}
}
