package idserver_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// events keeps what Config.Events is told.
type events struct {
	mu   sync.Mutex
	told []string
	do   func() // instead of returning at once
}

func note[E any](e *events, name string) func(context.Context, E) {
	return func(ctx context.Context, value E) {
		e.mu.Lock()
		defer e.mu.Unlock()
		text := name + fmt.Sprintf("%+v", value)
		if ctx == nil {
			text += " without a context"
		}
		e.told = append(e.told, text)
		if e.do != nil {
			e.do()
		}
	}
}

func (e *events) set(c *idserver.Config) {
	c.Events = idserver.Events{
		SignedIn: note[idserver.SessionEvent](e, "SignedIn"), Refused: note[idserver.RefusalEvent](e, "Refused"), Refreshed: note[idserver.SessionEvent](e, "Refreshed"),
		SignedOut: note[idserver.SessionEvent](e, "SignedOut"), KeysFetched: note[idserver.KeysEvent](e, "KeysFetched"), ProviderRequest: note[idserver.ProviderEvent](e, "ProviderRequest"),
	}
}

// take returns what was told since the last time.
func (e *events) take() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	told := e.told
	e.told = nil
	return told
}

const (
	aliceIs  = "Issuer:http://localhost Subject:6f0c2a3e-0000-4000-8000-00000000a11c"
	answered = " Status:200 Duration:0s Failure:}"
)

// From sign-in to sign-out: what is told, in order, and that it is told once.
func TestEvents(t *testing.T) {
	bubble(t, func(t *testing.T) {
		told := &events{}
		w := newWorld(t, told.set)
		b := w.signedIn(t, "alice")
		var old map[string]string // cookies
		token := "ProviderRequest{Endpoint:token" + answered
		for _, row := range []struct {
			name string
			do   func()
			want []string
		}{
			{"signed in", func() {}, []string{
				"ProviderRequest{Endpoint:metadata" + answered, token, "ProviderRequest{Endpoint:keys" + answered,
				"KeysFetched{Keys:1 LeftOut:0 Changed:true}", "SignedIn{" + aliceIs + " Outcome:}",
			}},
			{"admitted", func() { b.visit() }, nil},
			{"not admitted", func() { b.pass(w.RequireRole("owner"), "GET", "/") }, []string{"Refused{Code:insufficient_role Status:403 " + aliceIs + "}"}},
			{"nobody", func() { w.browser(t).pass(w.RequireUser(), "GET", "/api", fetches) }, []string{"Refused{Code:not_signed_in Status:401 Issuer: Subject:}"}},
			{"refreshed", func() { w.clock.advance(14*time.Minute + 30*time.Second); b.visit() }, []string{
				"ProviderRequest{Endpoint:metadata" + answered, token, "ProviderRequest{Endpoint:keys" + answered,
				"KeysFetched{Keys:1 LeftOut:0 Changed:false}", "Refreshed{" + aliceIs + " Outcome:refreshed}",
			}},
			{"signed out", func() { old = maps.Clone(b.cookies); b.route("POST", "/auth/logout", navigates) }, []string{"ProviderRequest{Endpoint:revocation" + answered, "SignedOut{" + aliceIs + " Outcome:}"}},
			{"nobody is signed in", func() { b.route("POST", "/auth/logout", navigates) }, nil},
			{"an old cookie", func() { b.cookies = old; b.route("POST", "/auth/logout", navigates) }, nil},
		} {
			row.do()
			synctest.Wait() // metadata and keys are fetched again in the background
			got := told.take()
			slices.Sort(got)
			slices.Sort(row.want)
			if !slices.Equal(got, row.want) {
				t.Errorf("%s: got\n%s\nwant\n%s", row.name, strings.Join(got, "\n"), strings.Join(row.want, "\n"))
			}
		}
	})
}

// What becomes of a refresh.
func TestRefreshedEvents(t *testing.T) {
	for name, row := range map[string]struct {
		fault   idtest.Fault
		admit   error
		outcome string
	}{
		"refused":        {idtest.Fault{Status: 400, Body: `{"error":"invalid_grant"}`}, nil, "refused"},
		"not admitted":   {idtest.Fault{}, errors.New("no longer"), "refused"},
		"away":           {idtest.Fault{Status: 503}, nil, "failed"},
		"cannot decide":  {idtest.Fault{}, idserver.ErrUnavailable, "failed"},
		"another client": {idtest.Fault{Status: 401, Body: `{"error":"invalid_client"}`}, nil, "failed"},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			told, admit := &events{}, error(nil)
			w := newWorld(t, told.set, func(c *idserver.Config) {
				c.AdmitUser = func(context.Context, *idserver.User) error { return admit }
			})
			b := w.signedIn(t, "alice")
			w.clock.advance(14*time.Minute + 30*time.Second)
			if row.admit == nil {
				w.provider.Fail(idtest.Token, row.fault)
			}
			admit = row.admit
			b.visit()
			time.Sleep(resent) // the refresh goes on behind the request
			if want := "Refreshed{" + aliceIs + " Outcome:" + row.outcome + "}"; !slices.Contains(told.take(), want) {
				t.Errorf("%s was not told", want)
			}
		}))
	}
}

// How a request to the provider ends.
func TestProviderEvents(t *testing.T) {
	for name, row := range map[string]struct {
		fault  idtest.Fault
		cancel bool
		want   string
	}{
		"an error":    {idtest.Fault{Status: 503}, false, "Status:503 Duration:0s Failure:"},
		"a redirect":  {idtest.Fault{Redirect: "https://elsewhere.example/"}, false, "Status:307 Duration:0s Failure:unusable"},
		"hangs":       {idtest.Fault{Hang: true}, false, "Status:0 Duration:10s Failure:timeout"},
		"Close":       {idtest.Fault{Hang: true}, true, "Status:0 Duration:1s Failure:canceled"},
		"a lost line": {idtest.Fault{Drop: true}, false, "Status:0 Duration:0s Failure:unreachable"},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			told := &events{}
			w := newWorld(t)
			client := w.client(t, told.set, func(c *idserver.Config) { c.Now = time.Now })
			w.provider.Fail(idtest.Discovery, row.fault)
			if row.cancel {
				time.AfterFunc(time.Second, client.Close)
			}
			if err := client.Refetch(t.Context()); err == nil {
				t.Error("the metadata was read")
			}
			client.Close()
			if got := told.take(); !slices.Equal(got, []string{"ProviderRequest{Endpoint:metadata " + row.want + "}"}) {
				t.Errorf("got %q", got)
			}
		}))
	}
}

// An audit log that panics does not decide over a sign-in, and what it is told is no secret.
func TestEventsThatPanic(t *testing.T) {
	bubble(t, func(t *testing.T) {
		told := &events{do: func() { panic("the disk is full") }}
		w := newWorld(t, told.set)
		b := w.signedIn(t, "alice")
		user, token := b.visit()
		if user == nil {
			t.Fatal("alice is not signed in")
		}
		if _, a := b.pass(w.RequireRole("owner"), "GET", "/"); a.Status != http.StatusForbidden {
			t.Errorf("got %d", a.Status)
		}
		w.clock.advance(14*time.Minute + 30*time.Second)
		if _, next := b.visit(); next == token || next == "" {
			t.Error("not refreshed")
		}
		if a := b.route("POST", "/auth/logout", navigates); a.Status != http.StatusSeeOther {
			t.Errorf("got %d", a.Status)
		}
		all := strings.Join(told.take(), "\n")
		for _, kind := range []string{"SignedIn", "Refused", "Refreshed", "SignedOut", "KeysFetched", "ProviderRequest"} {
			if !strings.Contains(all, kind) || !strings.Contains(w.log.String(), "event="+kind) {
				t.Errorf("%s was not told, or its panic is not in the log", kind)
			}
		}
		if leaked := leaks(all, token, user.Email, user.Name, user.TenantID); leaked != "" || strings.Contains(w.log.String(), "the disk is full") {
			t.Errorf("%s is in %s", leaked, all)
		}
	})
}
