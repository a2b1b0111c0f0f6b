package idserver_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
	"github.com/signward/idserver-go/core/internal/jose"
)

// issuerOfFiles is who writes the files: a cluster.
const issuerOfFiles = "https://kubernetes.default.svc.cluster.local"

const workload = "system:serviceaccount:shop:orders"

// writeAssertion writes an assertion as a cluster does: aud is a list, there is no jti, and the file is replaced as a whole.
func writeAssertion(t *testing.T, name string, claims map[string]any) (text string) {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(signP256(), "")
	if err != nil {
		t.Fatal(err)
	}
	if text, err = signer.Sign(jose.SigningHeader{KeyID: "cluster"}, payload); err != nil {
		t.Fatal(err)
	}
	write(t, name, text+"\n")
	return text
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
}

// newFederated is an application with an assertion in a file, and its registration.
func newFederated(t *testing.T, subject string, edit ...func(*idserver.Config)) (w *world, name string, claims map[string]any) {
	t.Helper()
	w = newWorld(t)
	name = filepath.Join(t.TempDir(), "token")
	now := w.clock.Now()
	claims = map[string]any{"iss": issuerOfFiles, "sub": subject, "aud": []string{w.provider.URL()}, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
	writeAssertion(t, name, claims)
	w.cfg.ClientSecret, w.cfg.ClientAssertionFile = "", name
	for _, e := range edit {
		e(&w.cfg)
	}
	w.Client = w.client(t)
	cluster := w.client(t, func(c *idserver.Config) {
		c.ClientAssertionFile, c.Provider.ClientAuth, c.ClientKeys = "", "", []idserver.ClientKey{{ID: "cluster", Private: signP256()}}
	})
	w.provider.AddClient(idtest.Client{
		ID: idtest.ExampleClient, JWKS: cluster.PublicKeys(), AssertionIssuer: issuerOfFiles, AssertionSubject: subject, AnyLoopbackRedirect: true,
	})
	return w, name, claims
}

// The file authenticates every request that wants it, and what is in it at that moment is what is sent.
func TestAssertionFile(t *testing.T) {
	for name, row := range map[string]struct{ subject, listed, want string }{
		"Kubernetes":                  {workload, "", "jwt-bearer"},
		"SPIFFE":                      {"spiffe://example.org/orders", "spiffe_jwt", "jwt-spiffe"},
		"SPIFFE, both are on offer":   {workload, "private_key_jwt spiffe_jwt", "jwt-bearer"},
		"SPIFFE, by the application":  {"spiffe://example.org/orders", "configured", "jwt-spiffe"},
		"no method of it is on offer": {workload, "client_secret_basic", "jwt-bearer"},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			seen := &recorder{}
			w, file, claims := newFederated(t, row.subject, func(c *idserver.Config) {
				seen.RoundTripper, c.HTTP.Client = c.HTTP.Client.Transport, &http.Client{Transport: seen}
				c.Provider.PushedAuthorization = true
				if row.listed == "configured" {
					c.Provider.ClientAuth = "spiffe_jwt"
				}
			})
			if row.listed != "" && row.listed != "configured" {
				w.provider.SetMetadata(func(m map[string]any) { m["token_endpoint_auth_methods_supported"] = strings.Fields(row.listed) })
			}
			api, err := w.NewResource(idserver.ResourceConfig{Identifier: w.cfg.Audience, Introspect: "all"})
			if err != nil {
				t.Fatal(err)
			}
			sent := func(what string, n int) {
				t.Helper()
				want := strings.TrimSpace(string(mustKey(os.ReadFile(file))))
				if len(seen.requests) != n {
					t.Fatalf("%s: %d requests, want %d", what, len(seen.requests), n)
				}
				for _, r := range seen.requests {
					if r.form.Get("client_assertion") != want || r.form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:"+row.want || r.form.Get("client_id") != idtest.ExampleClient || r.authorization != "" {
						t.Errorf("%s: sent %v", what, r.form)
					}
				}
				seen.requests = nil
			}
			_, tokens := signInByHand(t, w, w.Client, "alice")
			sent("sign-in", 2)
			claims["n"] = "rotated" // at the same moment, of the same length
			writeAssertion(t, file, claims)
			if tokens, err = w.RefreshToken(t.Context(), tokens); err != nil {
				t.Fatal(err)
			}
			sent("refresh", 1)
			claims["n"] = "ROTATED"
			writeAssertion(t, file, claims)
			if _, err := api.ValidateAccessToken(t.Context(), tokens.AccessToken); err != nil {
				t.Fatal(err)
			}
			sent("introspection", 1)
			claims["n"] = "Rotated"
			writeAssertion(t, file, claims)
			if err := w.RevokeToken(t.Context(), tokens.RefreshToken); err != nil {
				t.Fatal(err)
			}
			sent("revocation", 1)
		}))
	}
}

// notAssertions are what may be in a file's place, with what is said of it, and whether it may pass.
var notAssertions = map[string]struct {
	put    func(t *testing.T, name string, claims map[string]any)
	want   string
	passes bool
}{
	"not there":   {func(t *testing.T, name string, _ map[string]any) {}, "no such file", true},
	"empty":       {func(t *testing.T, name string, _ map[string]any) { write(t, name, "") }, "it is empty", true},
	"white space": {func(t *testing.T, name string, _ map[string]any) { write(t, name, " \r\n") }, "it is empty", true},
	"expired": {func(t *testing.T, name string, claims map[string]any) {
		claims["exp"] = claims["iat"].(int64) - 10 // the leeway
		writeAssertion(t, name, claims)
	}, "it has expired: exp is 2030-01-01T11:59:50Z, and now it is 2030-01-01T12:00:00Z", true},
	"a directory": {func(t *testing.T, name string, _ map[string]any) {
		if err := os.Mkdir(name, 0o700); err != nil {
			t.Fatal(err)
		}
	}, "it is a directory", false},
	"too long": {func(t *testing.T, name string, claims map[string]any) {
		claims["more"] = strings.Repeat("x", 16<<10)
		writeAssertion(t, name, claims)
	}, "it is longer than 16384 bytes", false},
	"endless":    {func(t *testing.T, name string, _ map[string]any) { link(t, "/dev/zero", name) }, "it is no regular file", false},
	"a password": {func(t *testing.T, name string, _ map[string]any) { write(t, name, "hunter2") }, "it is no JWT", false},
	"a key": {func(t *testing.T, name string, _ map[string]any) {
		write(t, name, "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n")
	}, "it is no JWT", false},
	"two JWTs": {func(t *testing.T, name string, claims map[string]any) {
		one := writeAssertion(t, name, claims)
		write(t, name, one+"\n"+one)
	}, "it is no JWT", false},
	"claims that are a list": {func(t *testing.T, name string, _ map[string]any) { write(t, name, "e30.W10.AA") }, "its claims are no JSON object", false},
}

func link(t *testing.T, to, name string) {
	t.Helper()
	if err := os.Symlink(to, name); err != nil {
		t.Skip(err) // a system without links, or without the right to make one
	}
}

// New names what no rotation mends, and warns of what one does.
func TestAssertionFileAtStart(t *testing.T) {
	for what, row := range notAssertions {
		t.Run(what, inBubble(func(t *testing.T) {
			w, name, claims := newFederated(t, workload)
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
			row.put(t, name, claims)
			client, err := idserver.New(w.cfg)
			said := w.log.String()
			if row.passes {
				if err != nil {
					t.Fatal(err)
				}
				defer client.Close()
				if !strings.Contains(said, "level=WARN") || !strings.Contains(said, "(ClientAssertionFile)") {
					t.Errorf("no warning: %s", said)
				}
			} else {
				if err == nil || !strings.Contains(err.Error(), "ClientAssertionFile (IDSERVER_CLIENT_ASSERTION_FILE) cannot be used") {
					t.Fatalf("the error is %v", err)
				}
				said = err.Error()
			}
			if !strings.Contains(said, row.want) || !strings.Contains(said, filepath.Base(name)) || strings.Contains(said, "hunter2") {
				t.Errorf("it says %s", said)
			}
		}))
	}
}

// One that has expired by less than the clocks may differ is left to the provider.
func TestAssertionFileThatHasJustExpired(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, name, claims := newFederated(t, workload)
		claims["exp"] = claims["iat"].(int64) - 9 // the leeway is 10 s
		writeAssertion(t, name, claims)
		w.client(t)
		if strings.Contains(w.log.String(), "level=WARN") {
			t.Errorf("it says %s", w.log)
		}
	})
}

// A file that cannot be used is as if the provider were away: nothing is sent, a sign-in can be tried again, and sessions go on.
func TestAssertionFileLost(t *testing.T) {
	for what, row := range notAssertions {
		t.Run(what, inBubble(func(t *testing.T) {
			w, name, claims := newFederated(t, workload)
			b := w.signedIn(t, "alice")
			_, before := b.visit()
			back := w.authorize(t, b.begin("/auth/login"), "alice")
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
			row.put(t, name, claims)
			asked := w.provider.Requests(idtest.Token)
			a := b.route("GET", back, navigates)
			if a.Status != http.StatusServiceUnavailable || !strings.Contains(w.log.String(), row.want) {
				t.Errorf("the callback answers %d: %s", a.Status, w.log)
			}
			w.clock.advance(14*time.Minute + 30*time.Second)
			if user, after := b.visit(); user == nil || after != before {
				t.Errorf("the session is gone: %s", w.log)
			}
			_, err := w.RefreshToken(t.Context(), &idserver.Tokens{RefreshToken: "r", User: &idserver.User{Subject: aliceSubject}})
			if !errors.Is(err, idserver.ErrUnavailable) || what == "not there" && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the error is %v", err)
			}
			if got := w.provider.Requests(idtest.Token) - asked; got != 0 {
				t.Errorf("%d requests", got)
			}
			if said := w.log.String() + fmt.Sprint(err); strings.Contains(said, "hunter2") {
				t.Error("the file is in the log")
			}
		}))
	}
}

func TestAssertionFileRefused(t *testing.T) {
	good := filepath.Join(t.TempDir(), "token")
	writeAssertion(t, good, map[string]any{"sub": workload})
	for name, row := range map[string]struct {
		edit func(*idserver.Config)
		want string
	}{
		"with a key that signs": {func(c *idserver.Config) { c.ClientKeys = []idserver.ClientKey{{Private: signP256()}} }, "ClientAssertionFile (IDSERVER_CLIENT_ASSERTION_FILE) is set, and ClientKeys (IDSERVER_CLIENT_KEYS) have a key that signs"},
		"no client":             {func(c *idserver.Config) { c.ClientID, c.BaseURL, c.SessionSecret = "", "", "" }, "ClientID (IDSERVER_CLIENT_ID) is empty"},
		"a secret's method":     {func(c *idserver.Config) { c.Provider.ClientAuth = "client_secret_post" }, "Provider.ClientAuth (IDSERVER_CLIENT_AUTH) client_secret_post needs ClientSecret"},
		"spiffe_jwt without it": {func(c *idserver.Config) { c.ClientAssertionFile, c.Provider.ClientAuth = "", "spiffe_jwt" }, "Provider.ClientAuth (IDSERVER_CLIENT_AUTH) spiffe_jwt needs a JWT-SVID"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := goodConfig()
			cfg.ClientSecret, cfg.ClientAssertionFile = "", good
			cfg.Provider.ClientAuth = "private_key_jwt"
			if _, err := idserver.New(cfg); err != nil {
				t.Fatal(err)
			}
			row.edit(&cfg)
			if _, err := idserver.New(cfg); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v", err)
			}
		})
	}
	cfg := goodConfig()
	cfg.ClientSecret, cfg.ClientAssertionFile = "", good
	cfg.ClientKeys = []idserver.ClientKey{{Private: openP256(), Use: "enc"}}
	if _, err := idserver.New(cfg); err != nil {
		t.Errorf("with a key that decrypts: %v", err)
	}
}
