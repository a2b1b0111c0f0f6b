package idserver

import (
	"context"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"
)

// Every sign-in and refresh leaves a result in memory. None stays for longer than it is served, or a program that runs for a year
// holds the tokens of a year.
func TestGrantsAreForgotten(t *testing.T) {
	now := time.Unix(1800000000, 0)
	g := newGrants(func() time.Time { return now })
	defer g.close()
	request := func(tokens *Tokens, err error) {
		key := sha256.Sum256([]byte(fmt.Sprint(now, tokens, err, len(g.byKey))))
		_, _ = g.once(t.Context(), key, refreshPause, func(context.Context) (*Tokens, error) { return tokens, err })
	}
	held := func() int {
		g.mu.Lock()
		defer g.mu.Unlock()
		return len(g.byKey)
	}
	for range 100 {
		request(&Tokens{}, nil)
		request(nil, ErrUnavailable)
		request(nil, ErrInvalidToken)
	}
	for i := range byte(100) {
		g.end(&session{id: [32]byte{i}}, 0)
	}
	if n := held(); n != 400 {
		t.Fatalf("%d results are held, want 400", n)
	}
	now = now.Add(grantKept)
	request(&Tokens{}, nil)
	if n := held(); n != 101 {
		t.Errorf("%d results are held after a minute, want those of the sessions that were signed out and a new one", n)
	}
	now = now.Add(grantKeptMost)
	request(&Tokens{}, nil)
	if n := held(); n != 1 {
		t.Errorf("%d results are held after a quarter of an hour, want 1", n)
	}
}

// A result is kept for a quarter of an hour only while there are few: a flood of sign-ins is held for a minute.
func TestManyGrantsAreKeptShortly(t *testing.T) {
	now := time.Unix(1800000000, 0)
	g := newGrants(func() time.Time { return now })
	defer g.close()
	for i := range grantsAtEase + 10 {
		_, _ = g.once(t.Context(), sha256.Sum256(fmt.Append(nil, i)), 0, func(context.Context) (*Tokens, error) {
			return &Tokens{refreshAt: now.Add(time.Hour)}, nil
		})
	}
	long := 0
	for _, known := range g.byKey {
		if known.until.Sub(now) > grantKept {
			long++
		}
	}
	if long > grantsAtEase {
		t.Errorf("%d results are kept for a quarter of an hour, want at most %d", long, grantsAtEase)
	}
}
