package idserver_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// newRunningWorld is [newWorld] with a clock that goes on with the time of the bubble.
func newRunningWorld(t *testing.T, edit ...func(*idserver.Config)) *world {
	t.Helper()
	w := newWorld(t, edit...)
	w.clock.mu.Lock()
	defer w.clock.mu.Unlock()
	w.clock.runs = time.Now()
	return w
}

// pass lets time pass.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// stream opens a stream behind a guard, and derives its context as middleware does.
func stream(t *testing.T, w *world, r idserver.Request) context.Context {
	t.Helper()
	ctx, a := w.RequireUser()(t.Context(), r)
	if a.Ends() {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	ctx, cancel := context.WithCancel(context.WithValue(ctx, key{}, "of a middleware"))
	t.Cleanup(cancel)
	ctx, cancel = idserver.UntilSignedOut(ctx)
	t.Cleanup(cancel)
	return ctx
}

// causedBy fails the test unless a context has ended by an error that is all of want; by nothing, if that is nil.
func causedBy(t *testing.T, ctx context.Context, want ...error) {
	t.Helper()
	cause := context.Cause(ctx)
	if len(want) == 0 && cause != nil {
		t.Errorf("it has ended: %v", cause)
	}
	for _, want := range want {
		if !errors.Is(cause, want) {
			t.Errorf("the cause is %v, want %v", cause, want)
		}
	}
	if cause != nil && !errors.Is(cause, idserver.Err) {
		t.Errorf("the cause is not one of ours: %v", cause)
	}
	if user := idserver.UserFrom(ctx); user == nil || user.Subject != aliceSubject {
		t.Errorf("in the context, there is %v", user)
	}
}

func withoutRefreshToken(p *idtest.Provider) {
	p.SetTokenResponse(func(r map[string]any) { delete(r, "refresh_token") })
}

func TestStreamOfASession(t *testing.T) {
	const life = 15*time.Minute + time.Hour // of an access token, and Session.StaleMax
	for name, row := range map[string]struct {
		before  func(w *world)
		happens func(w *world, b *browser)
		causes  []error
	}{
		"signed out": {nil, func(_ *world, b *browser) { b.route("POST", "/auth/logout", navigates) }, []error{idserver.ErrSignedOut}},
		"signed out in another browser": {nil, func(w *world, b *browser) {
			w.signedIn(b.t, "alice").route("POST", "/auth/logout", navigates)
		}, nil},
		"signed out by an older copy of the cookie": {nil, func(_ *world, b *browser) {
			copied := &browser{b.t, b.client, copyOf(b.cookies)}
			pass(10 * time.Minute)
			b.visit()
			copied.route("POST", "/auth/logout", navigates)
		}, []error{idserver.ErrSignedOut}},
		"the client was closed":   {nil, func(w *world, _ *browser) { w.Close() }, []error{idserver.ErrUnavailable}},
		"before Session.StaleMax": {nil, func(*world, *browser) { pass(life - 1) }, nil},
		"after Session.StaleMax":  {nil, func(*world, *browser) { pass(life) }, []error{idserver.ErrUnavailable}},
		"refreshed by another request": {nil, func(_ *world, b *browser) {
			pass(nearlyOver)
			b.visit()
			pass(life - 1)
		}, nil},
		"refreshed once": {nil, func(_ *world, b *browser) {
			pass(nearlyOver)
			b.visit()
			pass(life)
		}, []error{idserver.ErrUnavailable}},
		"refreshed until Session.Max": {nil, func(_ *world, b *browser) {
			for range 48 {
				pass(15*time.Minute - 1)
				b.visit()
			}
			pass(48)
		}, []error{idserver.ErrSignedOut}},
		"the provider refuses to refresh": {nil, func(w *world, b *browser) {
			w.provider.Fail(idtest.Token, idtest.Fault{Status: 400, OAuthError: "invalid_grant"})
			pass(nearlyOver)
			b.visit()
		}, []error{idserver.ErrSignedOut}},
		"the provider cannot refresh": {nil, func(w *world, b *browser) {
			w.provider.Fail(idtest.Token, idtest.Fault{Status: 503})
			pass(nearlyOver)
			b.visit()
		}, nil},
		"without a refresh token, before Session.Max": {
			func(w *world) { withoutRefreshToken(w.provider) }, func(*world, *browser) { pass(12*time.Hour - 1) }, nil,
		},
		"without a refresh token, at Session.Max": {
			func(w *world) { withoutRefreshToken(w.provider) }, func(*world, *browser) { pass(12 * time.Hour) }, []error{idserver.ErrSignedOut},
		},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newRunningWorld(t)
			if row.before != nil {
				row.before(w)
			}
			b := w.signedIn(t, "alice")
			ctx := stream(t, w, b.request("GET", "/live", []edit{fetches}))
			causedBy(t, ctx)
			row.happens(w, b)
			causedBy(t, ctx, row.causes...)
		}))
	}
}

func TestStreamOfABearerToken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newRunningWorld(t)
		open := func() (string, context.Context) {
			token := w.provider.MintAccessToken("alice")
			return token, stream(t, w, idserver.Request{Method: "GET", Header: http.Header{"Authorization": {"Bearer " + token}}})
		}
		const life = 15*time.Minute + 10*time.Second // with the leeway
		_, ctx := open()
		pass(life - time.Millisecond)
		causedBy(t, ctx)
		pass(time.Millisecond)
		causedBy(t, ctx, idserver.ErrInvalidToken, idserver.ReasonExpired)

		token, ctx := open()
		pass(time.Minute)
		_, other := open()
		if err := w.RevokeToken(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		causedBy(t, ctx, idserver.ErrInvalidToken, idserver.ReasonRevoked)
		causedBy(t, other)
		w.Close()
		causedBy(t, other, idserver.ErrUnavailable)
	})
}

// Between the guard and the stream, a handler may do much.
func TestStreamAfterTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newRunningWorld(t)
		b := w.signedIn(t, "alice")
		ctx, _ := b.pass(w.RequireUser(), "GET", "/live", fetches)
		b.route("POST", "/auth/logout", navigates)
		ctx, cancel := idserver.UntilSignedOut(ctx)
		defer cancel()
		causedBy(t, ctx, idserver.ErrSignedOut)

		token := w.provider.MintAccessToken("alice")
		ctx, _ = w.RequireUser()(t.Context(), idserver.Request{Method: "GET", Header: http.Header{"Authorization": {"Bearer " + token}}})
		if err := w.RevokeToken(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		ctx, cancel = idserver.UntilSignedOut(ctx)
		defer cancel()
		causedBy(t, ctx, idserver.ReasonRevoked)
	})
}

// Where nobody is signed in, nothing ends the stream but its own context.
func TestStreamOfNobody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newRunningWorld(t)
		visitor, _ := w.LoadUser()(t.Context(), idserver.Request{Method: "GET"})
		signedIn, _ := w.signedIn(t, "alice").pass(w.RequireUser(), "GET", "/")
		forgotten, _ := w.LoadUser()(signedIn, idserver.Request{Method: "GET", Header: http.Header{"Authorization": {"Bearer x"}}})
		for name, ctx := range map[string]context.Context{
			"no guard": t.Context(), "a visitor": visitor, "WithUser": idserver.WithUser(t.Context(), &idserver.User{Subject: "x"}),
			"WithUser of nobody": idserver.WithUser(t.Context(), nil), "one whom LoadUser did not find": forgotten,
		} {
			parent, leave := context.WithCancel(ctx)
			ctx, cancel := idserver.UntilSignedOut(parent)
			pass(24 * time.Hour)
			if ctx.Err() != nil {
				t.Errorf("%s: it has ended: %v", name, context.Cause(ctx))
			}
			leave()
			if ctx.Err() == nil {
				t.Errorf("%s: it outlives its parent", name)
			}
			cancel()
		}
	})
}

func TestStreamTellsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newRunningWorld(t)
		token := w.provider.MintAccessToken("alice")
		ctx := stream(t, w, idserver.Request{Method: "GET", Header: http.Header{"Authorization": {"Bearer " + token}}})
		if err := w.RevokeToken(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		if text := context.Cause(ctx).Error(); leaks(text, token, aliceSubject) != "" || !strings.HasPrefix(text, "idserver: ") {
			t.Error(text)
		}
	})
}
