// Program go-oidc is a provider of FAPI 2.0 that nobody here wrote, github.com/luikyv/go-oidc, whose authors have certified it, with
// the example's people, for scripts/e2e. It encrypts as Singpass does: ID tokens with A256CBC-HS512, userinfo with A256GCM, both for an EC key.
//
// Environment: APP, the base URL of the client "app", which has its keys at APP/auth/jwks and signs with ES256; ACCESS_TTL, the lifetime of access
// tokens in seconds; SIGNED, to want signed requests (JAR) and sign responses (JARM). It listens on a free port of loopback, and prints "provider URL".
package main

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/luikyv/go-oidc/pkg/goidc"
	"github.com/luikyv/go-oidc/pkg/provider"
)

// people are those of the examples, by their login.
var people = map[string]map[string]any{
	"alice": {"name": "Alice Tan", "email": "alice@example.test", "email_verified": true, "roles": []string{"admin", "user"}},
	"bob":   {"name": "Bob Lim", "email": "bob@example.test", "email_verified": true, "roles": []string{"editor"}},
}

const encryptTo goidc.KeyEncryptionAlgorithm = "ECDH-ES+A256KW"

func main() {
	log.SetFlags(0)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	issuer := fmt.Sprintf("http://localhost:%d", listener.Addr().(*net.TCPAddr).Port)
	op, err := newProvider(issuer)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("provider", issuer)
	server := &http.Server{Handler: op.Handler(), ReadHeaderTimeout: 10 * time.Second}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}

func newProvider(issuer string) (*provider.Provider, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	keys := goidc.JSONWebKeySet{Keys: []goidc.JSONWebKey{{Key: key, KeyID: rand.Text(), Algorithm: string(goidc.ES256), Use: string(goidc.KeyUsageSignature)}}}
	ttl, err := strconv.Atoi(cmp.Or(os.Getenv("ACCESS_TTL"), "600"))
	if err != nil {
		return nil, err
	}
	roles := goidc.NewScope("roles")
	options := []provider.Option{
		provider.WithScopes(goidc.ScopeOpenID, goidc.ScopeProfile, goidc.ScopeEmail, goidc.ScopeOfflineAccess, roles),
		provider.WithIDTokenSignatureAlgs(goidc.ES256),
		provider.WithIDTokenEncryption(encryptTo),
		provider.WithIDTokenContentEncryptionAlgs(goidc.A256CBC_HS512),
		provider.WithUserInfoSignatureAlgs(goidc.ES256),
		provider.WithUserInfoEncryption(encryptTo),
		provider.WithUserInfoContentEncryptionAlgs(goidc.A256GCM),
		provider.WithPARRequired(nil, 60),
		provider.WithTokenAuthnMethods(goidc.ClientAuthnPrivateKeyJWT),
		provider.WithPrivateKeyJWTSignatureAlgs(goidc.ES256),
		provider.WithDPoPRequired(goidc.ES256),
		provider.WithIssuerResponseParameter(),
		provider.WithPKCERequired(goidc.CodeChallengeMethodSHA256),
		provider.WithAuthorizationCodeGrant(),
		provider.WithRefreshTokenGrant(func(*goidc.Client, goidc.GrantInfo) bool { return true }, 3600),
		provider.WithTokenRevocation(func(*goidc.Client) bool { return true }, goidc.ClientAuthnPrivateKeyJWT),
		provider.WithTokenOptions(func(goidc.GrantInfo, *goidc.Client) goidc.TokenOptions {
			return goidc.NewJWTTokenOptions(goidc.ES256, ttl)
		}),
		provider.WithStaticClient(client(os.Getenv("APP"))),
		provider.WithPolicies(goidc.NewPolicy("people", func(*http.Request, *goidc.Client, *goidc.AuthnSession) bool { return true }, signIn)),
		provider.WithCheckJTIFunc(once()),
		provider.WithNotifyErrorFunc(func(_ context.Context, err error) { log.Print(err) }),
		provider.WithJWTLeewayTime(10),
	}
	if os.Getenv("SIGNED") != "" {
		options = append(options, provider.WithJARRequired(goidc.ES256), provider.WithJARM(goidc.ES256))
	}
	return provider.New(goidc.ProfileFAPI2, issuer, func(context.Context) (goidc.JSONWebKeySet, error) { return keys, nil }, options...)
}

func client(app string) *goidc.Client {
	c := &goidc.Client{ID: "app", ClientMeta: goidc.ClientMeta{
		RedirectURIs: []string{app + "/auth/callback"}, PublicJWKSURI: app + "/auth/jwks", ScopeIDs: "openid profile email roles offline_access",
		GrantTypes: []goidc.GrantType{goidc.GrantAuthorizationCode, goidc.GrantRefreshToken}, ResponseTypes: []goidc.ResponseType{goidc.ResponseTypeCode},
		TokenAuthnMethod: goidc.ClientAuthnPrivateKeyJWT, TokenAuthnSigAlg: goidc.ES256, DPoPTokenBindingIsRequired: true,
		IDTokenSigAlg: goidc.ES256, IDTokenKeyEncAlg: encryptTo, IDTokenContentEncAlg: goidc.A256CBC_HS512,
		UserInfoSigAlg: goidc.ES256, UserInfoKeyEncAlg: encryptTo, UserInfoContentEncAlg: goidc.A256GCM,
	}}
	if os.Getenv("SIGNED") != "" {
		c.JARSigAlg, c.JARMSigAlg = goidc.ES256, goidc.ES256
	}
	return c
}

// signIn shows a page with a button for each person, and takes the choice.
func signIn(w http.ResponseWriter, r *http.Request, session *goidc.AuthnSession) (goidc.Status, error) {
	person := people[r.PostFormValue("user")]
	if person == nil {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<!doctype html><title>Sign in</title><form method="post" action="/authorize/%s/people">`, session.CallbackID)
		for login := range people {
			fmt.Fprintf(w, `<button name="user" value="%s">%[1]s</button>`, login)
		}
		fmt.Fprint(w, "</form>")
		return goidc.StatusInProgress, nil
	}
	session.SetUserID(r.PostFormValue("user"))
	session.GrantScopes(session.Scopes)
	session.SetIDTokenClaimAuthTime(int(time.Now().Unix()))
	for name, value := range person {
		session.SetUserInfoClaim(name, value)
	}
	return goidc.StatusSuccess, nil
}

// once refuses a jti that it has seen.
func once() goidc.CheckJTIFunc {
	var mu sync.Mutex
	seen := map[string]bool{}
	return func(_ context.Context, jti string) error {
		mu.Lock()
		defer mu.Unlock()
		if seen[jti] {
			return errors.New("the jti was used before")
		}
		seen[jti] = true
		return nil
	}
}
