package idserver_test

import (
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

const sessionCookie = "idserver-8080"

// writtenLater puts into a browser what a later version would have written of its session.
func (b *browser) writtenLater() {
	b.t.Helper()
	value, err := b.client.WithLater(b.cookies[sessionCookie])
	if err != nil {
		b.t.Fatal(err)
	}
	b.cookies[sessionCookie] = value
}

// keepsLater fails the test unless a browser's cookie is not the one from before, and has what a later version wrote.
func (b *browser) keepsLater(before, after string, words ...string) {
	b.t.Helper()
	value := b.cookies[sessionCookie]
	kept, err := b.client.Later(value)
	if err != nil || value == before {
		b.t.Errorf("%s: the cookie is the old one: %t; %v", after, value == before, err)
	}
	for _, word := range words {
		if !strings.Contains(kept, word) {
			b.t.Errorf("%s: it has lost %q: %s", after, word, kept)
		}
	}
}

// What the files of a later version have in a session and in a reference, as Later prints it.
var (
	laterSession   = []string{`{new {"a":[1,2.50,"\u00e9"]}}`, "{odd null}", "{77 ", "{1099511627776 "}
	laterReference = []string{"{new [true]}", "{78 "}
	laterStored    = []string{"{name:new value:\"x\"}", "{kind:79 "}
)

// Two versions stand side by side while a program is being replaced. What the later one writes besides into a sealed cookie is still
// there after this one has renewed it, refreshed it, and sealed it with another secret.
func TestLaterVersionsSessionSurvives(t *testing.T) {
	for name, edit := range map[string]func(*idserver.Config){
		"without a store": func(*idserver.Config) {},
		"with one":        func(c *idserver.Config) { c.Store = newSharedStore() },
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newStrictWorld(t, 15*time.Minute, idtest.Dialect{}, edit)
			b := w.signedIn(t, "alice")
			b.writtenLater()
			for _, step := range []struct {
				name string
				wait time.Duration
			}{{"renewed", 7 * time.Minute}, {"refreshed", 7*time.Minute + 30*time.Second}, {"refreshed again", nearlyOver}} {
				time.Sleep(step.wait)
				before := b.cookies[sessionCookie]
				if got := b.seen(); got != "alice" {
					t.Fatalf("%s: %s", step.name, got)
				}
				b.keepsLater(before, step.name, laterSession...)
			}
			if n := w.provider.RefreshCounts().Answered; n != 2 {
				t.Errorf("%d refreshes", n)
			}
			b.client = w.client(t, edit, func(c *idserver.Config) { c.SessionSecret, c.Session.OldSecrets = secretTwo, []string{secretOne} })
			before := b.cookies[sessionCookie]
			if got := b.seen(); got != "alice" {
				t.Fatalf("with another secret: %s", got)
			}
			b.keepsLater(before, "sealed with another secret", laterSession...)
		}))
	}
}

// A replica that takes over what another one has refreshed takes over what a later version wrote there: the one that refreshed may
// be of that version, and this one not.
func TestLaterVersionsRefreshIsTakenOver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newReplicas(t, 15*time.Minute, idtest.Dialect{})
		b := w.signedIn(t, "alice")
		other := w.at(1, b) // another tab, with what this version has written
		b.writtenLater()
		time.Sleep(nearlyOver)
		if got := w.at(0, b).seen(); got != "alice" { // whose answer is lost
			t.Fatal(got)
		}
		before := other.cookies[sessionCookie]
		if got := other.seen(); got != "alice" {
			t.Fatal(got)
		}
		if n := w.provider.RefreshCounts().Answered; n != 1 {
			t.Errorf("%d refreshes", n)
		}
		other.keepsLater(before, "taken over", laterSession...)
		time.Sleep(nearlyOver)
		before = other.cookies[sessionCookie]
		third := w.at(2, other)
		if got := third.seen(); got != "alice" {
			t.Fatal(got)
		}
		third.keepsLater(before, "refreshed by the third", laterSession...)
	})
}

// The same where sessions live in the store: of the session, of what the store has of it, and of the cookie.
func TestLaterVersionsServerSessionSurvives(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newReplicas(t, 15*time.Minute, idtest.Dialect{}, inStore)
		b := w.signedIn(t, "alice")
		b.writtenLater()
		if err := w.clients[1].StoreLater(t.Context(), b.cookies[sessionCookie]); err != nil {
			t.Fatal(err)
		}
		for i, wait := range []time.Duration{7 * time.Minute, 7*time.Minute + 30*time.Second, nearlyOver} {
			time.Sleep(wait)
			at := w.at(i, b)
			if got := at.seen(); got != "alice" {
				t.Fatal(got)
			}
			kept, err := w.clients[0].LaterInStore(t.Context(), b.cookies[sessionCookie])
			if err != nil {
				t.Fatal(err)
			}
			for _, word := range append(laterStored, laterSession...) {
				if !strings.Contains(kept, word) {
					t.Errorf("step %d: the store has lost %q: %s", i, word, kept)
				}
			}
		}
		if n := w.provider.RefreshCounts().Answered; n != 2 {
			t.Errorf("%d refreshes", n)
		}
		next := &browser{t, w.client(t, inStore, func(c *idserver.Config) {
			c.Store, c.SessionSecret, c.Session.OldSecrets = w.store, secretTwo, []string{secretOne}
		}), copyOf(b.cookies)}
		if got := next.seen(); got != "alice" {
			t.Fatal(got)
		}
		next.keepsLater(b.cookies[sessionCookie], "sealed with another secret", laterReference...)
	})
}
