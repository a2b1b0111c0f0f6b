package idserver_test

import (
	"crypto/elliptic"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// newProfiled is an application that follows FAPI 2.0, at a provider that insists on it.
func newProfiled(t *testing.T, keys []idserver.ClientKey, edit ...func(*idtest.Options)) *world {
	t.Helper()
	w := &world{clock: &clock{t: time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)}, log: &logBuffer{}}
	edit = append([]func(*idtest.Options){idtest.FAPI2, func(o *idtest.Options) { o.Now, o.InMemory = w.clock.Now, true }}, edit...)
	w.provider = idtest.NewProvider(t, edit...)
	w.cfg = w.provider.Config(base)
	w.cfg.SessionSecret, w.cfg.Now, w.cfg.Logger = secretOne, w.clock.Now, textLog(w.log)
	w.cfg.ClientSecret, w.cfg.ClientKeys, w.cfg.Profile = "", keys, "fapi2"
	w.Client = w.client(t)
	register(w, idtest.Client{})
	return w
}

// register registers the application's keys.
func register(w *world, client idtest.Client) {
	client.ID, client.JWKS, client.AnyLoopbackRedirect = idtest.ExampleClient, w.PublicKeys(), true
	w.provider.AddClient(client)
}

func TestFAPI2(t *testing.T) {
	for name, row := range map[string]struct {
		keys   []idserver.ClientKey
		edit   func(*idtest.Options)
		client idtest.Client
	}{
		"ES256":       {[]idserver.ClientKey{{ID: "s1", Private: signP256()}}, nil, idtest.Client{}},
		"PS256":       {[]idserver.ClientKey{{ID: "s1", Private: signRSA()}}, nil, idtest.Client{}},
		"EdDSA":       {[]idserver.ClientKey{{ID: "s1", Private: signEd()}}, func(o *idtest.Options) { o.Dialect.SigningAlgorithm = "ES256" }, idtest.Client{}},
		"with nonces": {[]idserver.ClientKey{{ID: "s1", Private: signP256()}}, func(o *idtest.Options) { o.Dialect.DPoPNonces = true }, idtest.Client{}},
		"encrypted": {
			[]idserver.ClientKey{{ID: "s1", Private: signP256()}, {ID: "e1", Use: "enc", Private: openP256()}}, nil,
			idtest.Client{IDTokenEncryption: "A256CBC-HS512", UserInfoEncryption: "A256GCM"},
		},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			edit := row.edit
			if edit == nil {
				edit = func(*idtest.Options) {}
			}
			w := newProfiled(t, row.keys, edit)
			register(w, row.client)
			seen, record := recordProofs(w)
			w.Client = w.client(t, record)
			b := w.signedIn(t, "alice")
			w.clock.advance(14*time.Minute + 30*time.Second)
			user, _ := b.visit()
			if user == nil || user.Email != "alice@example.test" || len(user.Roles) == 0 {
				t.Fatalf("signed in is %v: %s", user, w.log)
			}
			if w.provider.RefreshCounts().Answered != 1 {
				t.Errorf("no refresh: %s", w.log)
			}
			ctx, _ := b.pass(w.RequireUser(), "GET", "/")
			if _, err := w.UserInfo(ctx, idserver.AccessTokenFrom(ctx), aliceSubject); err != nil {
				t.Error(err)
			}
			for _, one := range seen.all {
				if one.jkt != seen.all[0].jkt {
					t.Errorf("a proof of another key: %+v", one)
				}
			}
		}))
	}
}

// What the profile does not allow is named, each by its field and its variable.
func TestFAPI2Refused(t *testing.T) {
	ec := []idserver.ClientKey{{ID: "s1", Private: signP256()}}
	for name, row := range map[string]struct {
		edit func(*idserver.Config)
		want []string
	}{
		"another profile": {func(c *idserver.Config) { c.Profile = "FAPI2" }, []string{"Profile (IDSERVER_PROFILE)", "fapi2"}},
		"no keys":         {func(c *idserver.Config) { c.ClientKeys = nil }, []string{"ClientKeys (IDSERVER_CLIENT_KEYS) has no key that signs"}},
		"a key to decrypt alone": {func(c *idserver.Config) {
			c.ClientKeys = []idserver.ClientKey{{Private: openP256(), Use: "enc"}}
		}, []string{"ClientKeys (IDSERVER_CLIENT_KEYS) has no key that signs"}},
		"ES384": {func(c *idserver.Config) { c.ClientKeys = []idserver.ClientKey{{Private: newEC(elliptic.P384())}} }, []string{"signs with ES384"}},
		"RS256": {func(c *idserver.Config) {
			c.ClientKeys = []idserver.ClientKey{{Private: signRSA(), Algorithm: "RS256"}}
		}, []string{"signs with RS256"}},
		"a secret":          {func(c *idserver.Config) { c.ClientSecret = clientSecretText }, []string{"ClientSecret (IDSERVER_CLIENT_SECRET) is set"}},
		"a file":            {func(c *idserver.Config) { c.ClientAssertionFile = "/none" }, []string{"ClientAssertionFile (IDSERVER_CLIENT_ASSERTION_FILE) is set, and Profile (IDSERVER_PROFILE) is fapi2"}},
		"a secret's method": {func(c *idserver.Config) { c.Provider.ClientAuth = "client_secret_basic" }, []string{"Provider.ClientAuth", `want one of ["private_key_jwt" "tls_client_auth" "self_signed_tls_client_auth"]`}},
		"another audience":  {func(c *idserver.Config) { c.Provider.AssertionAudience = "token_endpoint" }, []string{"Provider.AssertionAudience is set"}},
		"weak signatures":   {func(c *idserver.Config) { c.Provider.Algorithms = []string{"ES256", "RS256"} }, []string{`Provider.Algorithms (IDSERVER_ALGORITHMS) has "RS256"`}},
		"endpoints":         {func(c *idserver.Config) { c.Provider.Endpoints.Token = "https://id.example/token" }, []string{"Provider.Endpoints is set"}},
		"tenants":           {func(c *idserver.Config) { c.Provider.Tenants = []string{"t"} }, []string{"Provider.Tenants (IDSERVER_TENANTS) is set"}},
		"plain http":        {func(c *idserver.Config) { c.InsecurePlainHTTP = []string{"app:80"} }, []string{"InsecurePlainHTTP (IDSERVER_INSECURE_PLAIN_HTTP) is set"}},
		"several, all at once": {func(c *idserver.Config) {
			c.ClientSecret, c.Provider.AssertionAudience = clientSecretText, "token_endpoint"
		}, []string{"ClientSecret", "AssertionAudience"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := goodConfig()
			cfg.ClientSecret, cfg.ClientKeys, cfg.Profile = "", ec, "fapi2"
			if _, err := idserver.New(cfg); err != nil {
				t.Fatal(err)
			}
			row.edit(&cfg)
			_, err := idserver.New(cfg)
			if err == nil {
				t.Fatal("a client")
			}
			for _, want := range row.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v: want %q", err, want)
				}
			}
			if leaks(err.Error(), configSecrets()...) != "" {
				t.Errorf("a secret in %v", err)
			}
		})
	}
}

// A provider whose metadata rules the profile out is named before anybody is sent there.
func TestFAPI2Metadata(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for member, value := range map[string]any{
			"pushed_authorization_request_endpoint": nil, "token_endpoint_auth_methods_supported": []string{"client_secret_basic"},
			"token_endpoint_auth_signing_alg_values_supported": []string{"PS256"}, "id_token_signing_alg_values_supported": []string{"RS256"},
			"dpop_signing_alg_values_supported": []string{"PS256"}, "code_challenge_methods_supported": []string{"plain"},
		} {
			w := newProfiled(t, []idserver.ClientKey{{ID: "s1", Private: signP256()}})
			w.provider.SetMetadata(func(m map[string]any) {
				if m[member] = value; value == nil {
					delete(m, member)
				}
			})
			b := w.browser(t)
			a := b.route("GET", "/auth/login", navigates)
			if a.Status != http.StatusBadGateway || code(t, a) != idserver.CodeProviderMisconfigured || !strings.Contains(w.log.String(), member) {
				t.Errorf("%s: %d %s, the log %s", member, a.Status, code(t, a), w.log)
			}
		}
		w := newProfiled(t, []idserver.ClientKey{{ID: "s1", Private: signP256()}})
		w.provider.SetMetadata(func(m map[string]any) { // what it does not say, it may have
			for _, member := range []string{
				"token_endpoint_auth_methods_supported", "token_endpoint_auth_signing_alg_values_supported", "id_token_signing_alg_values_supported",
				"dpop_signing_alg_values_supported", "code_challenge_methods_supported", "require_pushed_authorization_requests",
			} {
				delete(m, member)
			}
		})
		w.signedIn(t, "alice")
	})
}

// The tokens of the profile are signed with its algorithms alone, whatever the provider's key says.
func TestFAPI2Signatures(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newProfiled(t, []idserver.ClientKey{{ID: "s1", Private: signP256()}}, func(o *idtest.Options) { o.Dialect.SigningAlgorithm = "RS256" })
		w.provider.SetMetadata(func(m map[string]any) { m["id_token_signing_alg_values_supported"] = []string{"RS256", "PS256"} })
		r, code := authorizedCode(t, w, w.Client, "alice")
		if _, err := w.ExchangeCode(t.Context(), code, r); !errors.Is(err, idserver.ErrInvalidToken) && !errors.Is(err, idserver.ErrDiscovery) {
			t.Errorf("an ID token signed with RS256: %v", err)
		}
		w = newProfiled(t, []idserver.ClientKey{{ID: "s1", Private: signP256()}})
		w.provider.SetTokenResponse(func(m map[string]any) { m["token_type"] = "Bearer" })
		r, code = authorizedCode(t, w, w.Client, "alice")
		if _, err := w.ExchangeCode(t.Context(), code, r); !errors.Is(err, idserver.ErrTokenEndpoint) {
			t.Errorf("a bearer token: %v", err)
		}
	})
}

// A provider that wants another audience of assertions than the profile allows cannot be used, as Glewlwyd, and the log says where
// to look.
func TestFAPI2AtProviderWithoutIt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newProfiled(t, []idserver.ClientKey{{ID: "s1", Private: signP256()}}, func(o *idtest.Options) { o.Dialect.AssertionForTokenEndpoint = true })
		a := w.browser(t).route("GET", "/auth/login", navigates)
		if a.Status != http.StatusBadGateway || code(t, a) != idserver.CodeProviderError || field(a, "Location") != "" {
			t.Errorf("the answer is %d %s", a.Status, code(t, a))
		}
		if log := w.log.String(); !strings.Contains(log, "invalid_client") || !strings.Contains(log, "FAPI 2.0 has the issuer alone") {
			t.Errorf("the log: %s", log)
		}
	})
}
