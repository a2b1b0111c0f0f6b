package adaptertest

import (
	"strings"
	"testing"

	"github.com/signward/idserver-go/core/idtest"
)

// All 32 are there, and each once.
func TestModules(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range modules {
		if seen[m.name] {
			t.Errorf("%s stands twice", m.name)
		}
		seen[m.name] = true
	}
	if len(seen) != 32 {
		t.Errorf("there are %d modules, want the Foundation's 32", len(seen))
	}
}

// What a client must not do is seen whatever foundation.golden says.
func TestOutcomeFault(t *testing.T) {
	twice := idtest.RefreshCounts{Answered: 2}
	for _, c := range []struct {
		name string
		o    outcome
		must ending
		want string // in the fault; empty: none
	}{
		{"signed in", outcome{tokens: 1, resources: 1}, callsResource, ""},
		{"a sign-in that should work", outcome{at: "callback", code: "id_token_refused"}, callsResource, "refused the sign-in: callback: 0 `id_token_refused`"},
		{"nobody asks the resource", outcome{tokens: 1}, callsResource, "did not call the resource"},
		{"refused", outcome{at: "callback", tokens: 1}, callsNothing, ""},
		{"a bad ID token is taken", outcome{tokens: 1}, callsNothing, "signed somebody in"},
		{"the resource is called before the ID token is read", outcome{at: "callback", tokens: 1, resources: 1}, callsNothing, "called the resource"},
		{"no token request", outcome{at: "callback", pushes: 2}, redeemsNothing, ""},
		{"the code is sent", outcome{at: "callback", tokens: 1}, redeemsNothing, "sent a token request"},
		{"nothing begins", outcome{at: "login"}, pushesNothing, ""},
		{"a request is pushed", outcome{at: "login", pushes: 1}, pushesNothing, "pushed an authorization request"},
		{"refreshed twice", outcome{tokens: 3, resources: 3, refreshes: twice}, refreshesTwice, ""},
		{"refreshed once", outcome{tokens: 2, resources: 2, refreshes: idtest.RefreshCounts{Answered: 1}}, refreshesTwice, "refreshed: {Answered:1"},
		{"with an old refresh token", outcome{tokens: 3, resources: 3, refreshes: idtest.RefreshCounts{Answered: 2, Reused: 1}}, refreshesTwice, "Reused:1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.o.fault(c.must); !strings.Contains(got, c.want) || c.want == "" && got != "" {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
