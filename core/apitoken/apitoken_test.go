package apitoken_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/apitoken"
	"github.com/signward/idserver-go/core/idtest"
)

// world is an API that calls another one, and its provider.
type world struct {
	*idserver.Client
	provider *idtest.Provider
}

// bubble runs a test on a clock of its own.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, test)
}

func newWorld(t *testing.T, edit ...func(*idserver.Config)) *world {
	t.Helper()
	w := &world{provider: idtest.NewProvider(t, func(o *idtest.Options) { o.InMemory = true })}
	w.Client = w.client(t, edit...)
	return w
}

func (w *world) client(t *testing.T, edit ...func(*idserver.Config)) *idserver.Client {
	t.Helper()
	cfg := w.provider.Config("")
	cfg.Logger = slog.New(slog.DiscardHandler)
	for _, e := range edit {
		e(&cfg)
	}
	client, err := idserver.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func (w *world) source(t *testing.T, client *idserver.Client, cfg apitoken.Config) *apitoken.Source {
	t.Helper()
	s, err := apitoken.New(client, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// behind returns the context behind a guard, for a request with a token.
func behind(t *testing.T, client *idserver.Client, token string) context.Context {
	t.Helper()
	ctx, a := client.RequireUser()(t.Context(), idserver.Request{Method: "GET", Path: "/", Header: http.Header{"Authorization": {"Bearer " + token}}})
	if a.Ends() {
		t.Fatalf("the guard answers %d %s", a.Status, a.Body)
	}
	return ctx
}

func claimsOf(t *testing.T, token string) (claims map[string]any) {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err == nil {
		err = json.Unmarshal(payload, &claims)
	}
	if err != nil {
		t.Fatal(err)
	}
	return claims
}

var orders = apitoken.Config{Audience: "orders-api", Scopes: []string{"orders:read", "orders:write"}}

// A program gets a token for itself, once for all who want it, until a fifth of its life is left.
func TestService(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		tokens := w.source(t, w.Client, orders).Service(t.Context())
		first, err := tokens.Token()
		if err != nil {
			t.Fatal(err)
		}
		claims := claimsOf(t, first.AccessToken)
		if claims["sub"] != idtest.ExampleClient || claims["aud"] != "orders-api" || claims["scope"] != "orders:read orders:write" || first.TokenType != "Bearer" || claims["act"] != nil {
			t.Errorf("the token has %v", claims)
		}
		if form := w.provider.LastTokenRequest(); form.Get("grant_type") != "client_credentials" || form.Get("audience") != "orders-api" || form.Has("resource") {
			t.Errorf("it was asked for with %v", form)
		}
		first.AccessToken = "changed by a caller"
		var together sync.WaitGroup
		for range 20 {
			together.Go(func() {
				if _, err := tokens.Token(); err != nil {
					t.Error(err)
				}
			})
		}
		together.Wait()
		time.Sleep(11*time.Minute + 59*time.Second)
		if again, err := tokens.Token(); err != nil || again.AccessToken == first.AccessToken || w.provider.Requests(idtest.Token) != 1 {
			t.Errorf("%v, after %d requests", err, w.provider.Requests(idtest.Token))
		}
		time.Sleep(2 * time.Second) // a fifth of 15 minutes is left
		w.provider.Fail(idtest.Token, idtest.Fault{Slow: time.Second})
		for range 20 {
			together.Go(func() {
				if _, err := tokens.Token(); err != nil {
					t.Error(err)
				}
			})
		}
		together.Wait()
		if n := w.provider.Requests(idtest.Token); n != 2 {
			t.Errorf("%d requests, want 2", n)
		}
	})
}

// A passing fault is none while the token is good; a refusal is one at once.
func TestServiceFaults(t *testing.T) {
	for name, row := range map[string]struct {
		fault   idtest.Fault
		passing bool
	}{
		"away":        {idtest.Fault{Drop: true}, true},
		"it hangs":    {idtest.Fault{Hang: true}, true},
		"503":         {idtest.Fault{Status: 503}, true},
		"too often":   {idtest.Fault{Status: 429}, true},
		"refused":     {idtest.Fault{OAuthError: "invalid_client", Status: 401}, false},
		"no scope":    {idtest.Fault{OAuthError: "invalid_scope"}, false},
		"no target":   {idtest.Fault{OAuthError: "invalid_target"}, false},
		"a page":      {idtest.Fault{HTML: true}, false},
		"no token":    {idtest.Fault{Body: `{"token_type":"Bearer","expires_in":60}`}, false},
		"of no type":  {idtest.Fault{Body: `{"access_token":"x","token_type":"N_A"}`}, false},
		"of MAC type": {idtest.Fault{Body: `{"access_token":"x","token_type":"mac"}`}, false},
		"twice":       {idtest.Fault{Body: `{"access_token":"x","access_token":"y","token_type":"Bearer"}`}, false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t)
				tokens := w.source(t, w.Client, orders).Service(t.Context())
				if _, err := tokens.Token(); err != nil {
					t.Fatal(err)
				}
				w.provider.Fail(idtest.Token, row.fault)
				time.Sleep(13 * time.Minute) // due, and good
				token, err := tokens.Token()
				if row.passing && (err != nil || token.AccessToken == "") || !row.passing && (err == nil || errors.Is(err, idserver.ErrUnavailable)) {
					t.Errorf("while it is good: %v", err)
				}
				time.Sleep(3 * time.Minute)
				if _, err = tokens.Token(); err == nil || errors.Is(err, idserver.ErrUnavailable) != row.passing || !errors.Is(err, idserver.Err) {
					t.Errorf("when it has expired: %v", err)
				}
				asked := w.provider.Requests(idtest.Token)
				for range 50 {
					if _, err := tokens.Token(); err == nil {
						t.Error("no error")
					}
				}
				if n := w.provider.Requests(idtest.Token) - asked; n > 0 {
					t.Errorf("%d requests at once", n)
				}
				w.provider.Heal(idtest.Token)
				time.Sleep(6 * time.Second)
				if _, err := tokens.Token(); err != nil {
					t.Errorf("when all is well: %v", err)
				}
			})
		})
	}
}

// Each token that a user comes with is exchanged once, for a token in their name that nobody else gets.
func TestUser(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.source(t, w.Client, apitoken.Config{Resource: "https://orders.example", Scopes: []string{"orders:read"}})
		got := map[string]string{}
		for _, login := range []string{"alice", "bob", "alice"} {
			subject := w.provider.MintAccessToken(login)
			ctx := behind(t, w.Client, subject)
			for range 3 {
				token, err := s.User(ctx).Token()
				if err != nil {
					t.Fatal(err)
				}
				claims := claimsOf(t, token.AccessToken)
				if claims["sub"] != claimsOf(t, subject)["sub"] || claims["aud"] != "https://orders.example" || fmt.Sprint(claims["act"]) != "map[sub:example]" {
					t.Errorf("%s's token has %v", login, claims)
				}
				if before, ok := got[subject]; ok && before != token.AccessToken {
					t.Error("it is exchanged again")
				}
				got[subject] = token.AccessToken
			}
		}
		if n := w.provider.Requests(idtest.Token); n != 3 || len(got) != 3 {
			t.Errorf("%d requests for %d tokens", n, len(got))
		}
		if form := w.provider.LastTokenRequest(); form.Get("grant_type") != "urn:ietf:params:oauth:grant-type:token-exchange" || form.Get("subject_token") != "[redacted]" {
			t.Errorf("it was asked for with %v", form)
		}
		if _, err := s.User(t.Context()).Token(); err == nil {
			t.Error("nobody has a token")
		}
		ctx := behind(t, w.Client, w.provider.MintAccessToken("alice"))
		time.Sleep(16 * time.Minute)
		if _, err := s.User(ctx).Token(); !errors.Is(err, idserver.ReasonExpired) {
			t.Errorf("of a token that has expired: %v", err)
		}
	})
}

// An answer of another type than an access token is refused, and what is not to be exchanged is.
func TestExchangeRefused(t *testing.T) {
	for name, edit := range map[string]func(map[string]any){
		"an ID token":      func(r map[string]any) { r["issued_token_type"] = "urn:ietf:params:oauth:token-type:id_token" },
		"a refresh token":  func(r map[string]any) { r["issued_token_type"] = "urn:ietf:params:oauth:token-type:refresh_token" },
		"any JWT":          func(r map[string]any) { r["issued_token_type"] = "urn:ietf:params:oauth:token-type:jwt" },
		"nobody says what": func(r map[string]any) { delete(r, "issued_token_type") },
		"null":             func(r map[string]any) { r["issued_token_type"] = nil },
		"a list": func(r map[string]any) {
			r["issued_token_type"] = []string{"urn:ietf:params:oauth:token-type:access_token"}
		},
		"no access token":   func(r map[string]any) { r["token_type"] = "N_A" },
		"bound to some key": func(r map[string]any) { r["token_type"] = "DPoP" },
		"of MAC type":       func(r map[string]any) { r["token_type"] = "mac" },
		"its type's number": func(r map[string]any) { r["token_type"] = 7 },
		"none":              func(r map[string]any) { delete(r, "access_token") },
		"empty":             func(r map[string]any) { r["access_token"] = "" },
		"a number":          func(r map[string]any) { r["access_token"] = 7 },
		"two in one":        func(r map[string]any) { r["access_token"] = "x, Bearer y" },
		"a line end":        func(r map[string]any) { r["access_token"] = "x\r\nX-User: admin" },
		"beyond ASCII":      func(r map[string]any) { r["access_token"] = "tök" },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t)
				w.provider.SetTokenResponse(edit)
				ctx := behind(t, w.Client, w.provider.MintAccessToken("alice"))
				token, err := w.source(t, w.Client, orders).User(ctx).Token()
				var refused *idserver.TokenEndpointError
				if token != nil || !errors.As(err, &refused) || errors.Is(err, idserver.ErrUnavailable) {
					t.Errorf("%v", err)
				}
			})
		})
	}
}

// Whatever is wrong with the answer to an exchange, the user's own token is never sent in its place, and an outage is told from a refusal.
func TestExchangeAnswers(t *testing.T) {
	const good = `"access_token":"x","token_type":"Bearer","issued_token_type":"urn:ietf:params:oauth:token-type:access_token"`
	for name, row := range map[string]struct {
		fault   idtest.Fault
		passing bool
	}{
		"slow":                {idtest.Fault{Slow: time.Minute}, true},
		"it hangs":            {idtest.Fault{Hang: true}, true},
		"503":                 {idtest.Fault{Status: 503}, true},
		"endless":             {idtest.Fault{Endless: true}, false},
		"gzip bomb":           {idtest.Fault{GzipBomb: true}, false},
		"elsewhere":           {idtest.Fault{Redirect: "https://evil.example"}, false},
		"over 1 MiB":          {idtest.Fault{Body: `{` + good + `,"x":"` + strings.Repeat("x", 1<<20) + `"}`}, false},
		"another token, too":  {idtest.Fault{Body: `{"access_token":"y",` + good + `}`}, false},
		"another type, too":   {idtest.Fault{Body: `{"issued_token_type":"urn:ietf:params:oauth:token-type:id_token",` + good + `}`}, false},
		"a list":              {idtest.Fault{Body: `[{` + good + `}]`}, false},
		"more behind it":      {idtest.Fault{Body: `{` + good + `}{}`}, false},
		"an error and tokens": {idtest.Fault{Body: `{"error":"invalid_target",` + good + `}`}, false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t)
				ctx := behind(t, w.Client, w.provider.MintAccessToken("alice"))
				w.provider.Fail(idtest.Token, row.fault)
				s := w.source(t, w.Client, orders)
				token, err := s.User(ctx).Token()
				if token != nil || !errors.Is(err, idserver.ErrTokenEndpoint) || errors.Is(err, idserver.ErrUnavailable) != row.passing {
					t.Errorf("%v", err)
				}
				r, err := http.NewRequestWithContext(t.Context(), "GET", "https://orders.example/orders", nil)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := s.UserTransport(ctx, "https://orders.example", transport(func(*http.Request) (*http.Response, error) {
					t.Error("the request is sent")
					return nil, errors.New("it was sent")
				})).RoundTrip(r); err == nil {
					t.Error("no error")
				}
			})
		})
	}
}

// How long an exchanged token is good is what the provider says in seconds; what cannot be right counts as not said: a minute.
func TestExchangeExpiry(t *testing.T) {
	for said, want := range map[string]time.Duration{ // until it is exchanged anew: a fifth of its life before it ends
		"100": 80 * time.Second, `"100"`: 80 * time.Second, "1e2": 80 * time.Second,
		"0": 48 * time.Second, "-100": 48 * time.Second, "1e300": 48 * time.Second, "9e17": 48 * time.Second, "null": 48 * time.Second, `"soon"`: 48 * time.Second, "[100]": 48 * time.Second, `"NaN"`: 48 * time.Second, `"Infinity"`: 48 * time.Second,
	} {
		t.Run(said, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t)
				ctx := behind(t, w.Client, w.provider.MintAccessToken("alice"))
				w.provider.Fail(idtest.Token, idtest.Fault{Body: `{"access_token":"x","token_type":"Bearer","issued_token_type":"urn:ietf:params:oauth:token-type:access_token","expires_in":` + said + `}`})
				tokens := w.source(t, w.Client, orders).User(ctx)
				ask := func(requests int) {
					t.Helper()
					if token, err := tokens.Token(); err != nil || token.AccessToken != "x" || w.provider.Requests(idtest.Token) != requests {
						t.Errorf("%v, after %d requests, want %d", err, w.provider.Requests(idtest.Token), requests)
					}
				}
				ask(1)
				time.Sleep(want - time.Millisecond)
				ask(1)
				time.Sleep(time.Millisecond)
				ask(2)
			})
		})
	}
}

// Entra's on-behalf-of flow.
func TestOnBehalfOf(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.provider.SetTokenResponse(func(r map[string]any) { r["issued_token_type"] = "urn:ietf:params:oauth:token-type:refresh_token" })
		other := w.source(t, w.Client, apitoken.Config{Scopes: []string{"api://orders/.default"}, OnBehalfOf: true})
		if token, err := other.User(behind(t, w.Client, w.provider.MintAccessToken("bob"))).Token(); token != nil || !errors.Is(err, idserver.ErrTokenEndpoint) {
			t.Errorf("a token of another type: %v", err)
		}
		w.provider.SetTokenResponse(nil)
		s := w.source(t, w.Client, apitoken.Config{Scopes: []string{"api://orders/.default"}, OnBehalfOf: true, Parameters: url.Values{"x": {"1"}}})
		token, err := s.User(behind(t, w.Client, w.provider.MintAccessToken("bob"))).Token()
		if err != nil {
			t.Fatal(err)
		}
		form := w.provider.LastTokenRequest()
		if claimsOf(t, token.AccessToken)["email"] != "bob@example.test" || form.Get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" || form.Get("requested_token_use") != "on_behalf_of" || form.Get("x") != "1" || form.Has("subject_token") {
			t.Errorf("%v", form)
		}
	})
}

// The client authenticates as it does elsewhere, and its tokens are bound to a key if it asks for that.
func TestClientOfAnyKind(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		keyed := func(c *idserver.Config) {
			c.ClientSecret, c.ClientKeys = "", []idserver.ClientKey{{ID: "k", Private: key}}
		}
		jwks := w.client(t, keyed, func(c *idserver.Config) {
			c.BaseURL, c.SessionSecret = "https://app.example", "a-secret-of-32-bytes-9f3kQ7xZ2mVd9L"
		})
		routes, err := jwks.Routes("")
		if err != nil {
			t.Fatal(err)
		}
		for _, route := range routes {
			if route.Path == "/jwks" {
				set := route.Serve(t.Context(), idserver.Request{Method: "GET", Path: "/auth/jwks"})
				w.provider.AddClient(idtest.Client{ID: idtest.ExampleClient, JWKS: set.Body})
			}
		}
		bound := w.client(t, keyed, func(c *idserver.Config) { c.DPoP = true })
		s := w.source(t, bound, orders)
		for name, source := range map[string]interface {
			RoundTrip(*http.Request) (*http.Response, error)
		}{
			"service": s.ServiceTransport(t.Context(), "https://orders.example", transport(func(r *http.Request) (*http.Response, error) {
				if !strings.HasPrefix(r.Header.Get("Authorization"), "DPoP ") || strings.Count(r.Header.Get("Dpop"), ".") != 2 {
					t.Errorf("sent with %v", r.Header)
				}
				return &http.Response{StatusCode: 200, Body: http.NoBody, Request: r}, nil
			})),
			"user": s.UserTransport(behind(t, bound, w.provider.MintAccessToken("alice")), "https://orders.example", transport(func(r *http.Request) (*http.Response, error) {
				if claims := claimsOf(t, strings.TrimPrefix(r.Header.Get("Authorization"), "DPoP ")); claims["cnf"] == nil || claims["email"] != "alice@example.test" {
					t.Errorf("sent with %v", claims)
				}
				return &http.Response{StatusCode: 200, Body: http.NoBody, Request: r}, nil
			})),
		} {
			r, err := http.NewRequestWithContext(t.Context(), "GET", "https://orders.example/orders", nil)
			if err != nil {
				t.Fatal(err)
			}
			if a, err := source.RoundTrip(r); err != nil || a.StatusCode != 200 {
				t.Errorf("%s: %v", name, err)
			}
		}
		if token, err := s.Service(t.Context()).Token(); err != nil || token.TokenType != "DPoP" || claimsOf(t, token.AccessToken)["cnf"] == nil {
			t.Errorf("%v", err)
		}
	})
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestNewRefuses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		public := w.client(t, func(c *idserver.Config) { c.ClientID, c.ClientSecret = idtest.ExamplePublicClient, "" })
		for name, row := range map[string]struct {
			client *idserver.Client
			cfg    apitoken.Config
			want   string
		}{
			"no client":         {nil, orders, "no client"},
			"a public client":   {public, orders, "authenticate"},
			"nothing":           {w.Client, apitoken.Config{}, "which API"},
			"a relative URL":    {w.Client, apitoken.Config{Resource: "/orders"}, "absolute"},
			"a fragment":        {w.Client, apitoken.Config{Resource: "https://orders.example/#x"}, "absolute"},
			"two scopes in one": {w.Client, apitoken.Config{Scopes: []string{"a b"}}, "one scope"},
			"a grant's own":     {w.Client, apitoken.Config{Audience: "x", Parameters: url.Values{"Subject_Token": {"x"}}}, "must not hold"},
		} {
			if s, err := apitoken.New(row.client, row.cfg); s != nil || err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// When the client is closed, nothing more is asked for; a token that is good is still returned.
func TestClosed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		tokens := w.source(t, w.Client, orders).Service(t.Context())
		if _, err := tokens.Token(); err != nil {
			t.Fatal(err)
		}
		w.Client.Close()
		if _, err := tokens.Token(); err != nil {
			t.Error(err)
		}
		time.Sleep(16 * time.Minute)
		if _, err := tokens.Token(); !errors.Is(err, idserver.ErrUnavailable) {
			t.Error(err)
		}
	})
}

// No secret is in what is printed.
func TestPrintsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		tokens := w.source(t, w.Client, orders).Service(t.Context())
		d, err := apitoken.BeginDevice(t.Context(), w.Client, apitoken.DeviceOptions{})
		if err != nil {
			t.Fatal(err)
		}
		printed := fmt.Sprintf("%v %+v %#v %v", tokens, *d, d, d)
		if strings.Contains(printed, idtest.ExampleSecret) || strings.Contains(printed, d.UserCode) {
			t.Errorf("it shows %s", printed)
		}
		_, _ = io.WriteString(io.Discard, printed)
	})
}
