package replicas

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signward/idserver-go/core/idtest"
)

// What scripts/soak sets.
var (
	soak   = flag.Duration("for", 0, "run every framework with every kind of provider, for this long each, and print a table")
	only   = flag.String("frameworks", "", "which frameworks of these, with commas between; default: all")
	where  = flag.String("store", "redis", "what the replicas share, of these: memory or redis")
	people = flag.Int("browsers", 100, "how many browsers")
)

// Three replicas behind a round robin, a hundred browsers, access tokens of two seconds, and a provider that rotates refresh tokens
// and loses a tenth of its answers. If it answers a refresh token again within a grace period nobody is signed out, and there
// are as many grants as expiries and losses; a strict one signs out at most once per loss. It counts, and does not care how long
// anything takes: the grace period is a minute.
func TestReplicas(t *testing.T) {
	if *soak > 0 {
		soakAll(t)
		return
	}
	for _, name := range []string{"grace 60 s, losses", "strict, losses"} {
		t.Run(name, func(t *testing.T) {
			for framework, store := range map[string]string{"gin": "memory", "fiber": "redis"} {
				t.Run(framework+", "+store, func(t *testing.T) {
					t.Parallel()
					run(t, framework, name, store, *people, 20*time.Second)
				})
			}
		})
	}
}

// soakAll is what scripts/soak runs: one after the other, for numbers that can be compared.
func soakAll(t *testing.T) {
	chosen := slices.Sorted(maps.Keys(frameworks))
	if *only != "" {
		chosen = strings.Split(*only, ",")
	}
	if stores[*where] == nil {
		t.Fatalf("there is no store %q", *where)
	}
	fmt.Println("| framework | provider | requests | sign-outs | expiries | lost answers | grants | 503 | wrong user |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|")
	for _, framework := range chosen {
		if frameworks[framework] == nil {
			t.Fatalf("there is no framework %q", framework)
		}
		for _, name := range slices.Sorted(maps.Keys(modes)) {
			t.Run(framework+"/"+name, func(t *testing.T) {
				o := run(t, framework, name, *where, *people, *soak)
				fmt.Printf("| %s | %s | %d | %d | %d | %d | %d | %d | %d |\n", framework, name,
					o.requests, o.signOuts, o.expiries, o.grants.Lost, o.grants.Answered, o.unavailable, o.wrong)
			})
		}
	}
}

// outcome is what came of a run.
type outcome struct {
	*counts
	grants   idtest.RefreshCounts
	expiries int // refresh tokens that were redeemed, each counted once
}

// run lets a crowd visit a site, and checks what must hold for the mode.
func run(t *testing.T, framework, modeName, store string, browsers int, length time.Duration) outcome {
	t.Helper()
	m := modes[modeName]
	s := newSite(t, framework, m, browsers, stores[store](t))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	begun := time.Now()
	go s.lasts(ctx, cancel, length, m, browsers)
	o := outcome{counts: crowd(ctx, t, s, browsers)}
	o.grants = s.settled(m)
	o.expiries = o.grants.Answered - o.grants.Replayed
	took := time.Since(begun)
	t.Logf("%d requests, %d sign-ins, %d sign-outs, %d answers of 503, %d expiries, %+v", o.requests, o.signIns, o.signOuts, o.unavailable, o.expiries, o.grants)

	most := o.signIns * (int(took/refreshEvery) + 1)
	switch {
	case o.wrong > 0:
		t.Errorf("%d requests were answered as somebody else", o.wrong)
	case len(o.odd) > 0:
		t.Errorf("other answers: %v", o.odd)
	case o.expiries < browsers, m.loses > 0 && o.grants.Lost == 0:
		t.Errorf("too little happened: %+v", o.grants)
	case !m.dialect.NoRotation && o.expiries > most:
		t.Errorf("%d refresh tokens of %d sessions in %v: more than access tokens end", o.expiries, o.signIns, took)
	case m.strict() && (o.signOuts > o.grants.Lost || m.loses == 0 && o.grants.Reused > 0):
		t.Errorf("%d sign-outs and %d reuses of %d losses", o.signOuts, o.grants.Reused, o.grants.Lost)
	case m.strict():
	case o.signOuts > 0, o.grants.Reused > 0:
		t.Errorf("%d sign-outs, %d reuses", o.signOuts, o.grants.Reused)
	case !m.dialect.NoRotation && o.grants.Answered != o.expiries+o.grants.Lost:
		t.Errorf("%d grants, and %d expiries and %d losses", o.grants.Answered, o.expiries, o.grants.Lost)
	}
	return o
}

// lasts ends a run when its time is over, and each browser has had its chance: on a slow machine the sign-ins alone may take as long.
func (s *site) lasts(ctx context.Context, end func(), length time.Duration, m mode, browsers int) {
	defer end()
	wait(ctx, length)
	for late := time.Now().Add(5 * time.Minute); ctx.Err() == nil && time.Now().Before(late); wait(ctx, 100*time.Millisecond) {
		if n := s.provider.RefreshCounts(); n.Answered-n.Replayed >= browsers && (m.loses == 0 || n.Lost > 0) {
			return
		}
	}
}

// settled waits until each answer that was lost has been asked for again, where the provider answers that, and returns the
// provider's counts.
func (s *site) settled(m mode) idtest.RefreshCounts {
	const patience = time.Minute
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		n := s.provider.RefreshCounts()
		if m.dialect.RefreshGrace == 0 || n.Replayed >= n.Lost || time.Now().After(end) {
			return n
		}
	}
}
