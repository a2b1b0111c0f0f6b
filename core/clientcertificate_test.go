package idserver_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// certificates are the client's own, and those of an authority.
type certificates struct{ authority, issued, selfSigned, other tls.Certificate }

var clientCertificates = sync.OnceValue(func() (c certificates) {
	c.authority = madeCertificate("an authority", nil)
	c.issued, c.selfSigned, c.other = madeCertificate("orders", &c.authority), madeCertificate("orders", nil), madeCertificate("orders", nil)
	return c
})

func madeCertificate(name string, by *tls.Certificate) tls.Certificate {
	key := newEC(elliptic.P256())
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name, Organization: []string{"Example"}}, IsCA: by == nil, BasicConstraintsValid: true,
		NotBefore: time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	parent, signer := template, crypto.Signer(key)
	if by != nil {
		parent, signer = by.Leaf, by.PrivateKey.(*ecdsa.PrivateKey)
	}
	der := mustKey(x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: mustKey(x509.ParseCertificate(der))}
}

func thumbprint(c tls.Certificate) string {
	sum := sha256.Sum256(c.Certificate[0])
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func presents(c *tls.Certificate) func() (*tls.Certificate, error) {
	return func() (*tls.Certificate, error) { return c, nil }
}

// newMutual is an application with a certificate at a provider that counts it.
func newMutual(t *testing.T, registered idtest.Client, edit func(*idserver.Config), options ...func(*idtest.Options)) *world {
	t.Helper()
	w := &world{clock: &clock{t: time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)}, log: &logBuffer{}}
	options = append([]func(*idtest.Options){func(o *idtest.Options) { o.Now, o.InMemory, o.TLS = w.clock.Now, true, true }}, options...)
	w.provider = idtest.NewProvider(t, options...)
	w.cfg = w.provider.Config(base)
	w.cfg.SessionSecret, w.cfg.Now, w.cfg.Logger, w.cfg.ClientSecret = secretOne, w.clock.Now, textLog(w.log), ""
	edit(&w.cfg)
	w.Client = w.client(t)
	registered.ID, registered.AnyLoopbackRedirect = idtest.ExampleClient, true
	w.provider.AddClient(registered)
	return w
}

// What is in an access token that is bound to somebody else's certificate does not count.
func TestTokenOfAnotherCertificate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.provider.SetAccessTokenClaims(idtest.BindCertificate(clientCertificates().issued.Leaf.Raw))
		w.signedIn(t, "alice")
		if n := w.provider.Requests(idtest.UserInfo); n != 1 {
			t.Errorf("userinfo was asked for the roles %d times, want once", n)
		}
	})
}

// A certificate authenticates every request that wants it, at the endpoints where it counts, and access tokens are bound to it.
func TestClientCertificate(t *testing.T) {
	c := clientCertificates()
	ofAuthority := idtest.Client{CertificateAuthority: c.authority.Leaf, CertificateSubject: c.issued.Leaf.Subject.String()}
	for name, row := range map[string]struct {
		registered idtest.Client
		edit       func(*idserver.Config)
		bound      bool
	}{
		"of an authority": {ofAuthority, func(cfg *idserver.Config) { cfg.ClientCertificate = presents(&c.issued) }, false},
		"self-signed": {idtest.Client{Certificates: []*x509.Certificate{c.selfSigned.Leaf}}, func(cfg *idserver.Config) {
			cfg.ClientCertificate, cfg.Provider.ClientAuth = presents(&c.selfSigned), "self_signed_tls_client_auth"
		}, false},
		"tokens are bound": {idtest.Client{Certificates: []*x509.Certificate{c.selfSigned.Leaf}, CertificateBound: true}, func(cfg *idserver.Config) {
			cfg.ClientCertificate, cfg.Provider.PushedAuthorization = presents(&c.selfSigned), true
		}, true},
		"tokens are bound to the certificate, and a secret authenticates": {idtest.Client{Secret: idtest.ExampleSecret, CertificateBound: true}, func(cfg *idserver.Config) {
			cfg.ClientSecret, cfg.ClientCertificate, cfg.Provider.ClientAuth = idtest.ExampleSecret, presents(&c.selfSigned), "client_secret_basic"
		}, true},
		"with DPoP": {idtest.Client{Certificates: []*x509.Certificate{c.selfSigned.Leaf}}, func(cfg *idserver.Config) {
			cfg.ClientCertificate, cfg.DPoP, cfg.Provider.PushedAuthorization = presents(&c.selfSigned), true, true
		}, false},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newMutual(t, row.registered, row.edit)
			api, err := w.NewResource(idserver.ResourceConfig{Identifier: w.cfg.Audience, Introspect: "all"})
			if err != nil {
				t.Fatal(err)
			}
			b := w.signedIn(t, "alice")
			_, before := b.visit()
			w.clock.advance(14*time.Minute + 30*time.Second)
			user, token := b.visit()
			if user == nil || token == before || len(user.Roles) == 0 {
				t.Fatalf("signed in is %v: %s", user, w.log)
			}
			if n := w.provider.Requests(idtest.UserInfo); n != 0 {
				t.Errorf("userinfo was asked %d times, and the roles are in the access token", n)
			}
			_, claims := jwtParts(t, token)
			cnf, _ := claims["cnf"].(map[string]any)
			if got := cnf["x5t#S256"]; (got == thumbprint(c.selfSigned)) != row.bound {
				t.Errorf("cnf is %v", cnf)
			}
			ctx, _ := b.pass(w.RequireUser(), "GET", "/")
			if _, err := w.UserInfo(ctx, token, aliceSubject); err != nil {
				t.Error(err)
			}
			// An API that looks at the certificate: the token goes there with it.
			client := http.Client{Transport: w.Transport(ctx, w.provider.URL(), w.provider.HTTPClient().Transport)}
			for range 2 {
				a, err := client.Get(w.provider.URL() + "/mtls/connect/userinfo")
				if err != nil {
					t.Fatal(err)
				}
				body, _ := io.ReadAll(a.Body)
				a.Body.Close()
				if a.StatusCode != http.StatusOK || !strings.Contains(string(body), aliceSubject) {
					t.Errorf("the API answers %d %s", a.StatusCode, body)
				}
			}
			minted := w.provider.MintAccessToken("alice")
			if _, err := api.ValidateAccessToken(t.Context(), minted); err != nil {
				t.Errorf("introspection: %v", err)
			}
			if err := w.RevokeToken(t.Context(), minted); err != nil {
				t.Errorf("revocation: %v", err)
			}
			w.Close() // with the connections of all transports
		}))
	}
}

// FAPI 2.0 with certificates in place of keys, of DPoP, and of both.
func TestFAPI2MutualTLS(t *testing.T) {
	c := clientCertificates()
	signer := []idserver.ClientKey{{ID: "s1", Private: signP256()}}
	for name, row := range map[string]struct {
		options func(*idtest.Options)
		edit    func(*idserver.Config)
		keys    bool
	}{
		"authentication and binding": {idtest.FAPI2MutualTLS, func(*idserver.Config) {}, false},
		"binding alone":              {idtest.FAPI2MutualTLS, func(cfg *idserver.Config) { cfg.ClientKeys = signer }, true},
		"authentication alone":       {idtest.FAPI2, func(cfg *idserver.Config) { cfg.DPoP = true }, false},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			registered := idtest.Client{Certificates: []*x509.Certificate{c.selfSigned.Leaf}}
			w := newMutual(t, registered, func(cfg *idserver.Config) {
				cfg.Profile, cfg.ClientCertificate = "fapi2", presents(&c.selfSigned)
				row.edit(cfg)
			}, row.options)
			if row.keys {
				register(w, idtest.Client{})
			}
			b := w.signedIn(t, "alice")
			w.clock.advance(14*time.Minute + 30*time.Second)
			if user, _ := b.visit(); user == nil || w.provider.RefreshCounts().Answered != 1 {
				t.Errorf("signed in is %v: %s", user, w.log)
			}
			w.provider.SetMetadata(func(m map[string]any) { delete(m, "tls_client_certificate_bound_access_tokens") })
			a := (&browser{t, w.client(t), map[string]string{}}).route("GET", "/auth/login", navigates)
			if want := map[bool]int{true: http.StatusSeeOther, false: http.StatusBadGateway}[w.cfg.DPoP]; a.Status != want {
				t.Errorf("without the member, the answer is %d: %s", a.Status, w.log)
			}
			if !w.cfg.DPoP && !strings.Contains(w.log.String(), "tls_client_certificate_bound_access_tokens is not true") {
				t.Errorf("the log is %s", w.log)
			}
		}))
	}
}

// What the token endpoint says of the binding is checked.
func TestCertificateBinding(t *testing.T) {
	c := clientCertificates()
	for name, row := range map[string]struct {
		cnf     any
		profile string
		ok      bool
	}{
		"ours":                            {map[string]any{"x5t#S256": thumbprint(c.selfSigned)}, "fapi2", true},
		"another's":                       {map[string]any{"x5t#S256": thumbprint(c.other)}, "", false},
		"another's, in a profile":         {map[string]any{"x5t#S256": thumbprint(c.other)}, "fapi2", false},
		"none":                            {nil, "", true},
		"none, in a profile":              {nil, "fapi2", false},
		"of a key, in a profile":          {map[string]any{"jkt": "x"}, "fapi2", false},
		"in other words, in a profile":    {"x", "fapi2", false},
		"the thumbprint is not a text":    {map[string]any{"x5t#S256": 1}, "fapi2", false},
		"the thumbprint with its padding": {map[string]any{"x5t#S256": thumbprint(c.selfSigned) + "="}, "fapi2", false},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newMutual(t, idtest.Client{Certificates: []*x509.Certificate{c.selfSigned.Leaf}}, func(cfg *idserver.Config) {
				cfg.Profile, cfg.ClientCertificate = row.profile, presents(&c.selfSigned)
			}, func(o *idtest.Options) {
				idtest.FAPI2MutualTLS(o)
				o.Dialect.AccessTokenClaims = func(claims map[string]any) {
					if claims["cnf"] = row.cnf; row.cnf == nil {
						delete(claims, "cnf")
					}
				}
			})
			b := w.browser(t)
			a := b.route("GET", w.authorize(t, b.begin("/auth/login"), "alice"), navigates)
			if ok := a.Status == http.StatusSeeOther; ok != row.ok || !ok && a.Status != http.StatusBadGateway {
				t.Errorf("the answer is %d: %s", a.Status, w.log)
			}
			if !row.ok && !strings.Contains(w.log.String(), "code=provider_error") {
				t.Errorf("the log is %s", w.log)
			}
		}))
	}
}

// A certificate can be replaced while the program runs: what was presented on an older connection counts for a while.
func TestClientCertificateReplaced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := clientCertificates()
		current := &c.selfSigned
		w := newMutual(t, idtest.Client{Certificates: []*x509.Certificate{c.selfSigned.Leaf, c.other.Leaf}}, func(cfg *idserver.Config) {
			cfg.ClientCertificate = func() (*tls.Certificate, error) { return current, nil }
		}, idtest.FAPI2MutualTLS)
		for _, next := range []*tls.Certificate{&c.other, &c.selfSigned} {
			_, tokens := signInByHand(t, w, w.Client, "alice")
			current = next
			if _, err := w.RefreshToken(t.Context(), tokens); err != nil {
				t.Error(err)
			}
			time.Sleep(2 * time.Minute) // in the bubble: the connections with the old one are closed
			w.provider.HTTPClient().CloseIdleConnections()
		}
	})
}

// A certificate that is not to be had, or is not the one that is registered.
func TestClientCertificateLost(t *testing.T) {
	c := clientCertificates()
	for name, row := range map[string]struct {
		certificate *tls.Certificate
		err         error
		status      int
		log         string
	}{
		"an error":              {nil, errors.New("the HSM is away"), http.StatusServiceUnavailable, "the HSM is away"},
		"none":                  {nil, nil, http.StatusServiceUnavailable, "there is none"},
		"without its key":       {&tls.Certificate{Certificate: c.selfSigned.Certificate}, nil, http.StatusServiceUnavailable, "no private key"},
		"one that is not known": {&c.other, nil, http.StatusBadGateway, "invalid_client"},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			lost := false
			w := newMutual(t, idtest.Client{Certificates: []*x509.Certificate{c.selfSigned.Leaf}}, func(cfg *idserver.Config) {
				cfg.ClientCertificate = func() (*tls.Certificate, error) {
					if lost {
						return row.certificate, row.err
					}
					return &c.selfSigned, nil
				}
			})
			b := w.browser(t)
			back := w.authorize(t, b.begin("/auth/login"), "alice")
			lost = true
			asked := w.provider.Requests(idtest.Token)
			a := b.route("GET", back, navigates)
			if a.Status != row.status || !strings.Contains(w.log.String(), row.log) {
				t.Errorf("the answer is %d: %s", a.Status, w.log)
			}
			if row.status != http.StatusServiceUnavailable {
				return
			}
			if n := w.provider.Requests(idtest.Token) - asked; n != 0 {
				t.Errorf("%d requests", n)
			}
			lost = false
			if a := b.route("GET", back, navigates); a.Status != http.StatusSeeOther {
				t.Errorf("when it is there again, the answer is %d: %s", a.Status, w.log)
			}
		}))
	}
}

// Endpoints of mtls_endpoint_aliases are URLs of the provider's metadata, with the rules of any other.
func TestEndpointAliases(t *testing.T) {
	c := clientCertificates()
	for name, row := range map[string]struct {
		aliases any
		ok      bool
	}{
		"absent, and the certificate does not count": {nil, false},
		"not an object":      {"x", false},
		"null":               {map[string]any{"token_endpoint": nil}, false},
		"not a text":         {map[string]any{"token_endpoint": 1}, false},
		"without TLS":        {map[string]any{"token_endpoint": "http://id.example/token"}, false},
		"a userinfo that is": {map[string]any{"token_endpoint": "https://localhost/mtls/connect/token", "userinfo_endpoint": "http://id.example/"}, true},
		"one that is not used": {map[string]any{
			"token_endpoint": "https://localhost/mtls/connect/token", "jwks_uri": "https://evil.example/", "authorization_endpoint": "https://evil.example/",
		}, true},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newMutual(t, idtest.Client{Certificates: []*x509.Certificate{c.selfSigned.Leaf}}, func(cfg *idserver.Config) { cfg.ClientCertificate = presents(&c.selfSigned) })
			w.provider.SetMetadata(func(m map[string]any) {
				if m["mtls_endpoint_aliases"] = row.aliases; row.aliases == nil {
					delete(m, "mtls_endpoint_aliases")
				}
			})
			b := w.browser(t)
			a := b.route("GET", "/auth/login", navigates)
			if a.Status == http.StatusSeeOther {
				a = b.route("GET", w.authorize(t, field(a, "Location"), "alice"), navigates)
			}
			if ok := a.Status == http.StatusSeeOther; ok != row.ok || !ok && a.Status != http.StatusBadGateway {
				t.Errorf("the answer is %d: %s", a.Status, w.log)
			}
		}))
	}
}

func TestClientCertificateRefused(t *testing.T) {
	c := clientCertificates()
	for name, row := range map[string]struct {
		edit func(*idserver.Config)
		want string
	}{
		"an error": {func(cfg *idserver.Config) {
			cfg.ClientCertificate = func() (*tls.Certificate, error) { return nil, errors.New("x") }
		}, "ClientCertificate (IDSERVER_CLIENT_CERTIFICATE_FILE) cannot be used: x"},
		"none": {func(cfg *idserver.Config) { cfg.ClientCertificate = presents(nil) }, "cannot be used: there is none"},
		"no key": {func(cfg *idserver.Config) {
			cfg.ClientCertificate = presents(&tls.Certificate{Certificate: c.other.Certificate})
		}, "cannot be used: it has no private key"},
		"without TLS":       {func(cfg *idserver.Config) { cfg.Authority = "http://localhost:9000" }, "is presented over TLS alone"},
		"no client":         {func(cfg *idserver.Config) { cfg.ClientID, cfg.BaseURL, cfg.SessionSecret = "", "", "" }, "ClientID (IDSERVER_CLIENT_ID) is empty"},
		"no certificate":    {func(cfg *idserver.Config) { cfg.ClientCertificate = nil }, "Provider.ClientAuth (IDSERVER_CLIENT_AUTH) tls_client_auth needs a certificate"},
		"a secret's method": {func(cfg *idserver.Config) { cfg.Provider.ClientAuth = "client_secret_post" }, "client_secret_post needs ClientSecret"},
		"a transport of another kind": {func(cfg *idserver.Config) {
			cfg.HTTP.Client = &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, errors.New("x") })}
		}, "HTTP.Client has a transport of type idserver_test.roundTrip"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := goodConfig()
			cfg.ClientSecret, cfg.ClientCertificate, cfg.Provider.ClientAuth = "", presents(&c.selfSigned), "tls_client_auth"
			if _, err := idserver.New(cfg); err != nil {
				t.Fatal(err)
			}
			row.edit(&cfg)
			if _, err := idserver.New(cfg); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Files are read for each handshake; what is wrong with them is named.
func TestCertificateFromEnv(t *testing.T) {
	c := clientCertificates()
	folder := t.TempDir()
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: mustKey(x509.MarshalPKCS8PrivateKey(c.selfSigned.PrivateKey))})
	other := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: mustKey(x509.MarshalPKCS8PrivateKey(c.other.PrivateKey))})
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.selfSigned.Certificate[0]})
	files := map[string][]byte{"tls.crt": public, "tls.key": private, "other.key": other, "both.pem": append(append([]byte{}, public...), private...), "long.pem": make([]byte, 256<<10+1), "empty.pem": nil}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, row := range map[string]struct{ file, key, want string }{
		"two files":         {"tls.crt", "tls.key", ""},
		"one file":          {"both.pem", "", ""},
		"no key":            {"tls.crt", "", "a certificate rather than a key"},
		"another's key":     {"tls.crt", "other.key", "does not match"},
		"a key alone":       {"", "tls.key", "is empty, and IDSERVER_CLIENT_CERTIFICATE_KEY_FILE is set"},
		"a file not there":  {"none.pem", "tls.key", "no such file"},
		"a key not there":   {"tls.crt", "none.pem", "no such file"},
		"a directory":       {".", "tls.key", "it is a directory"},
		"a file too long":   {"long.pem", "tls.key", "it is longer than 262144 bytes"},
		"an empty file":     {"empty.pem", "tls.key", "find"},
		"an empty key file": {"tls.crt", "empty.pem", "find"},
	} {
		t.Run(name, func(t *testing.T) {
			for variable, file := range map[string]string{"IDSERVER_CLIENT_CERTIFICATE_FILE": row.file, "IDSERVER_CLIENT_CERTIFICATE_KEY_FILE": row.key} {
				if file != "" {
					file = filepath.Join(folder, file)
				}
				t.Setenv(variable, file)
			}
			cfg := idserver.ConfigFromEnv()
			cfg.Authority, cfg.ClientID = "https://id.example", "orders"
			client, err := idserver.New(cfg)
			if row.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				client.Close()
				got, err := cfg.ClientCertificate()
				if err != nil || thumbprint(*got) != thumbprint(c.selfSigned) {
					t.Errorf("got %v, %v", got, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), "ClientCertificate (IDSERVER_CLIENT_CERTIFICATE_FILE)") || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// What a provider publishes is fetched without a certificate: who the application is, is nobody's business there.
func TestClientCertificateKept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := clientCertificates()
		calls := 0
		w := newMutual(t, idtest.Client{Certificates: []*x509.Certificate{c.selfSigned.Leaf}}, func(cfg *idserver.Config) {
			cfg.ClientCertificate = func() (*tls.Certificate, error) { calls++; return &c.selfSigned, nil }
		})
		calls = 0
		if _, err := w.ValidateAccessToken(t.Context(), w.provider.MintAccessToken("alice"), idserver.AccessTokenCheck{}); err != nil {
			t.Fatal(err)
		}
		if calls != 0 {
			t.Errorf("metadata and keys: %d handshakes with it", calls)
		}
		if signInByHand(t, w, w.Client, "alice"); calls != 1 {
			t.Errorf("a sign-in: %d handshakes with it", calls)
		}
	})
}
