package adaptertest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/apitoken"
	"github.com/signward/idserver-go/core/idtest"
)

// nextAPI tests an application that calls another API, behind a guard: the context that the adapter hands on says in whose name.
func nextAPI(s *suite) {
	v := s.visitor(s.serve())
	const target = "/suite/next-api"
	bearer := func(token string) map[string][]string { return with(aProgram, "Authorization", "Bearer "+token) }
	token := s.provider.MintAccessToken("alice")
	v.step("stranger at a page that calls the next API", "the guard in front decides", "GET", target, aProgram)
	v.step("tokens for the next API, of alice's token", "exchanged, and one of the program's own", "GET", target, bearer(token))
	asked := s.provider.Requests(idtest.Token)
	v.step("tokens for the next API, from memory", "the same", "GET", target, bearer(token))
	v.post("tokens for the next API, of a POST", "the same", target, bearer(token), strings.NewReader("{}"))
	if n := s.provider.Requests(idtest.Token); n != asked {
		s.t.Errorf("tokens for the next API: %d requests more, want none", n-asked)
	}
	v.step("tokens for the next API, of bob's token", "his, and never alice's", "GET", target, bearer(s.provider.MintAccessToken("bob")))
	v.signIn("carol")
	v.step("tokens for the next API, of a session", "hers", "GET", target, aScript)
	s.provider.Fail(idtest.Token, idtest.Fault{Status: 503})
	v.step("tokens for the next API while the provider is away", "what is kept is good", "GET", target, aScript)
	v.step("tokens for the next API of a new token while the provider is away", "a passing fault", "GET", target, bearer(s.provider.MintAccessToken("alice")))
	s.clock.advance(30 * time.Second)
	s.provider.Fail(idtest.Token, idtest.Fault{OAuthError: "invalid_target"})
	v.step("tokens for the next API that the provider does not know", "not for this user, and not later", "GET", target, bearer(s.provider.MintAccessToken("alice")))
}

// tellNextToken returns a guard that answers with what the tokens for the next API say: that in the name of the user who sent the
// request, and that of the program itself.
func tellNextToken(client *idserver.Client) idserver.Guard {
	source := sync.OnceValues(func() (*apitoken.Source, error) { // most scenarios want none
		return apitoken.New(client, apitoken.Config{Audience: "orders-api", Scopes: []string{"orders:read"}})
	})
	return func(ctx context.Context, _ idserver.Request) (context.Context, idserver.Answer) {
		s, err := source()
		text := fmt.Sprint(err)
		if err == nil {
			text = "of the user: " + tellToken(s.User(ctx)) + "\nof the program: " + tellToken(s.Service(ctx))
		}
		return ctx, idserver.Answer{Status: 200, Set: []idserver.Field{{Name: "Content-Type", Value: "text/plain; charset=utf-8"}}, Body: []byte(text), SameContext: true}
	}
}

// tellToken says whose a token is, what it is for and who acts with it, or why there is none.
func tellToken(source oauth2.TokenSource) string {
	token, err := source.Token()
	switch {
	case errors.Is(err, idserver.ErrUnavailable):
		return "a passing fault"
	case err != nil:
		return err.Error()
	}
	var of struct {
		Subject  string `json:"sub"`
		Audience string `json:"aud"`
		Scope    string `json:"scope"`
		Actor    struct {
			Subject string `json:"sub"`
		} `json:"act"`
	}
	payload, err := base64.RawURLEncoding.DecodeString(payloadOf(token.AccessToken))
	if err == nil {
		err = json.Unmarshal(payload, &of)
	}
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("sub %s, aud %s, scope %s, act %q", of.Subject, of.Audience, of.Scope, of.Actor.Subject)
}
