package idserver_test

import (
	"maps"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// resent is enough, in a bubble, for a refresh token to be sent as often as it is.
const resent = 5 * time.Second

func ofRefreshes(form url.Values) bool { return form.Get("grant_type") == "refresh_token" }

// newStrictWorld is newWorld on the bubble's own clock, with a provider of that dialect and access tokens of so long.
func newStrictWorld(t *testing.T, life time.Duration, dialect idtest.Dialect, edit ...func(*idserver.Config)) *world {
	t.Helper()
	w := &world{log: &logBuffer{}}
	w.provider = idtest.NewProvider(t, func(o *idtest.Options) { o.InMemory, o.AccessTTL, o.Dialect = true, life, dialect })
	w.cfg = w.provider.Config(base)
	w.cfg.SessionSecret = secretOne
	w.cfg.Logger = textLog(w.log)
	w.Client = w.client(t, edit...)
	return w
}

// An answer that was lost is asked for again with the same refresh token, at the times that are written here, until there is
// an OAuth answer.
func TestLostAnswerIsAskedForAgain(t *testing.T) {
	for name, row := range map[string]struct {
		fault idtest.Fault
		sent  []time.Duration // when, after the first
	}{
		"once":                       {idtest.Fault{Lost: true, Once: true}, []time.Duration{0, 100}},
		"for ever":                   {idtest.Fault{Lost: true}, []time.Duration{0, 100, 300, 700, 1500, 2500, 4000}},
		"a page":                     {idtest.Fault{HTML: true}, []time.Duration{0, 100, 300, 700, 1500, 2500, 4000}},
		"502":                        {idtest.Fault{Status: 502}, []time.Duration{0, 100, 300, 700, 1500, 2500, 4000}},
		"half an answer":             {idtest.Fault{Body: `{"access_token":"x`}, []time.Duration{0, 100, 300, 700, 1500, 2500, 4000}},
		"no access token":            {idtest.Fault{Body: `{}`}, []time.Duration{0, 100, 300, 700, 1500, 2500, 4000}},
		"slow by half a second, 502": {idtest.Fault{Slow: 500 * time.Millisecond, Status: 502}, []time.Duration{0, 600, 1200, 2000, 3000, 4500}},
		"nothing within 10 s":        {idtest.Fault{Lost: true, Hang: true}, []time.Duration{0, 10_100}},
		"a firewall's page":          {idtest.Fault{Status: 403, HTML: true}, []time.Duration{0}},
		"429":                        {idtest.Fault{Status: 429}, []time.Duration{0}},
		"503, in a minute":           {idtest.Fault{Status: 503, Header: map[string][]string{"Retry-After": {"60"}}}, []time.Duration{0}},
		"temporary, by name":         {idtest.Fault{OAuthError: "temporarily_unavailable"}, []time.Duration{0}},
		"a redirect":                 {idtest.Fault{Redirect: "/x"}, []time.Duration{0}},
		"another type of token":      {idtest.Fault{Body: `{"access_token":"x","token_type":"DPoP"}`}, []time.Duration{0}},
		"the client is refused":      {idtest.Fault{OAuthError: "invalid_client", Status: 401}, []time.Duration{0}},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newStrictWorld(t, 15*time.Minute, idtest.Dialect{RefreshGrace: time.Minute})
			b := w.signedIn(t, "alice")
			_, first := b.visit()
			time.Sleep(nearlyOver)
			var sent []time.Duration
			begun := time.Now()
			row.fault.When = func(url.Values) bool { sent = append(sent, time.Since(begun)); return true }
			w.provider.Fail(idtest.Token, row.fault)
			u, token := b.visit()
			if waited := time.Since(begun); u == nil || waited > 3*time.Second {
				t.Fatalf("the user is %v after %v, and the access token is good", u, waited)
			}
			if row.fault.Once && token == first {
				t.Error("not refreshed")
			}
			time.Sleep(time.Minute - time.Since(begun)) // the access token has expired
			w.provider.Heal(idtest.Token)
			for i := range sent {
				if i >= len(row.sent) || sent[i] != row.sent[i]*time.Millisecond {
					t.Fatalf("sent at %v, want at %v ms", sent, row.sent)
				}
			}
			if len(sent) != len(row.sent) && !(row.fault.Once && len(sent) == 1) { // the fault does not see what follows it
				t.Errorf("sent at %v, want at %v ms", sent, row.sent)
			}
		}))
	}
}

// The program ends between two attempts, and waits for neither.
func TestCloseEndsTheAttempts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newStrictWorld(t, 15*time.Minute, idtest.Dialect{})
		b := w.signedIn(t, "alice")
		time.Sleep(16 * time.Minute)
		w.provider.Fail(idtest.Token, idtest.Fault{Drop: true})
		served := make(chan struct{})
		go func() { b.visit(); close(served) }()
		time.Sleep(1800 * time.Millisecond)
		synctest.Wait()
		begun := time.Now()
		w.Client.Close()
		if <-served; time.Since(begun) != 0 {
			t.Errorf("Close waited for %v", time.Since(begun))
		}
	})
}

// crowd is browsers that load pages of three requests each, for some of their sessions' expiries. It returns how many
// sessions were lost; each signs in again.
func crowd(t *testing.T, w *world, browsers, pages int, clients ...*idserver.Client) (lost int) {
	t.Helper()
	if len(clients) == 0 {
		clients = []*idserver.Client{w.Client}
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	for i := range browsers {
		login := []string{"alice", "bob", "carol"}[i%3]
		b := w.signedIn(t, login)
		all.Go(func() {
			time.Sleep(time.Duration(i) * 7 * time.Millisecond)
			for page := range pages {
				var requests sync.WaitGroup
				answered := make([]*browser, 3)
				users := make([]*idserver.User, 3)
				for j := range answered {
					answered[j] = &browser{t, clients[(i+page+j)%len(clients)], maps.Clone(b.cookies)}
					requests.Go(func() { users[j], _ = answered[j].visit() })
				}
				requests.Wait()
				for j, u := range users {
					if u != nil && !strings.HasPrefix(u.Email, login) {
						t.Errorf("%s is answered as %s", login, u.Email)
					}
					if u == nil {
						mu.Lock()
						lost++
						mu.Unlock()
						b = w.signedIn(t, login)
						break
					}
					for name, value := range answered[j].cookies {
						b.cookies[name] = value
					}
				}
				time.Sleep(300 * time.Millisecond)
			}
		})
	}
	all.Wait()
	return lost
}

// Thirty browsers, access tokens of two seconds, a tenth of the answers lost: with a grace period nobody is signed out, and
// there are as many grants as expiries and losses. A strict provider signs out at most once per loss.
func TestLosses(t *testing.T) {
	for name, row := range map[string]struct {
		dialect idtest.Dialect
		strict  bool
	}{
		"grace of 5 s":         {idtest.Dialect{RefreshGrace: 5 * time.Second}, false},
		"grace of 30 s":        {idtest.Dialect{RefreshGrace: 30 * time.Second}, false},
		"the last replay wins": {idtest.Dialect{RefreshGrace: 30 * time.Second, LastReplayWins: true}, false},
		"not rotated":          {idtest.Dialect{NoRotation: true}, false},
		"strict":               {idtest.Dialect{}, true},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newStrictWorld(t, 2*time.Second, row.dialect)
			w.provider.Fail(idtest.Token, idtest.Fault{Lost: true, Every: 10, When: losable(row.dialect)})
			lost := crowd(t, w, 30, 60)
			time.Sleep(resent)
			n := w.provider.RefreshCounts()
			t.Logf("%d sign-outs, %+v", lost, n)
			switch {
			case n.Lost < 20:
				t.Errorf("too few answers were lost: %+v", n)
			case row.strict && (lost == 0 || lost > n.Lost):
				t.Errorf("%d sign-outs of %d losses", lost, n.Lost)
			case !row.strict && (lost != 0 || n.Reused != 0):
				t.Errorf("%d sign-outs, and %d reuses", lost, n.Reused)
			case !row.strict && !row.dialect.NoRotation && n.Replayed != n.Lost:
				t.Errorf("%d grants of %d refresh tokens, and %d answers were lost", n.Answered, n.Answered-n.Replayed, n.Lost)
			}
		}))
	}
}

// That a refresh token is refused of which an answer was lost is told once, as what it may be. A refusal without a loss is not.
func TestRefusalAfterALossIsTold(t *testing.T) {
	for name, row := range map[string]struct {
		fault idtest.Fault
		told  int
	}{
		"lost":     {idtest.Fault{Lost: true, Once: true, When: ofRefreshes}, 1},
		"not lost": {idtest.Fault{OAuthError: "invalid_grant", Once: true, When: ofRefreshes}, 0},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newStrictWorld(t, 15*time.Minute, idtest.Dialect{})
			b := w.signedIn(t, "alice")
			time.Sleep(nearlyOver)
			w.provider.Fail(idtest.Token, row.fault)
			for range 3 {
				if u, _ := (&browser{t, w.Client, copyOf(b.cookies)}).visit(); u != nil {
					t.Fatal("the session goes on")
				}
			}
			if n := strings.Count(w.log.String(), "level=WARN msg=\"idserver: the provider refuses a refresh token of which an answer was lost"); n != row.told {
				t.Errorf("warned %d times, want %d: %s", n, row.told, w.log)
			}
		}))
	}
}
