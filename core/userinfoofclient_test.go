package idserver_test

import (
	"errors"
	"testing"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// The sub of userinfo may be the client's ID only where that is set, and only in an answer that is signed for the client.
func TestUserInfoOfClient(t *testing.T) {
	for name, row := range map[string]struct {
		set, signed bool
		sub         string
		ok          bool
	}{
		"the user's":                     {true, true, aliceSubject, true},
		"the user's, not signed":         {true, false, aliceSubject, true},
		"the client's":                   {true, true, idtest.ExampleClient, true},
		"the client's, not signed":       {true, false, idtest.ExampleClient, false},
		"the client's, and it is not so": {false, true, idtest.ExampleClient, false},
		"another's":                      {true, true, "another", false},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			client := w.client(t, func(c *idserver.Config) { c.Provider.UserInfoOfClient, c.Provider.NoUserInfo = row.set, true })
			w.provider.AddClient(idtest.Client{ID: idtest.ExampleClient, Secret: idtest.ExampleSecret, UserInfoSigned: row.signed, AnyLoopbackRedirect: true})
			w.provider.SetUserInfo(func(claims map[string]any) {
				claims["sub"] = row.sub
				if !row.signed { // as if that made it an answer for the client
					claims["aud"] = idtest.ExampleClient
				}
			})
			_, tokens := signInByHand(t, w, client, "alice")
			user, err := client.UserInfoOf(t.Context(), tokens)
			if ok := err == nil && user.Email != ""; ok != row.ok || !ok && !errors.Is(err, idserver.ReasonSubject) {
				t.Errorf("got %v, %v", user, err)
			}
		}))
	}
}
