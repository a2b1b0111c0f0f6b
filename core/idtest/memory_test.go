package idtest_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

func inMemory(o *idtest.Options) { o.InMemory = true }

// page is an application of one page, which shows its user's email address, and a browser in front of it.
type page struct {
	t       *testing.T
	handler http.Handler
	cookies map[string]*http.Cookie
}

func newPage(t *testing.T, client *idserver.Client) *page {
	mux := http.NewServeMux()
	routes, err := client.Routes("/")
	if err != nil {
		t.Fatal(err)
	}
	for _, route := range routes {
		mux.HandleFunc(route.Method+" "+route.Path, func(w http.ResponseWriter, r *http.Request) {
			route.Serve(r.Context(), idserver.RequestFrom(r)).WriteTo(w)
		})
	}
	guard := client.RequireUser()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		ctx, answer := guard(r.Context(), idserver.RequestFrom(r))
		if answer.WriteTo(w); !answer.Ends() {
			w.Write([]byte(idserver.UserFrom(ctx).Email))
		}
	})
	return &page{t: t, handler: mux, cookies: map[string]*http.Cookie{}}
}

func (p *page) open(target string) *http.Response {
	p.t.Helper()
	r := httptest.NewRequestWithContext(p.t.Context(), http.MethodGet, target, nil)
	r.Header.Set("Accept", "text/html")
	for _, cookie := range p.cookies {
		r.AddCookie(cookie)
	}
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, r)
	for _, cookie := range w.Result().Cookies() {
		if p.cookies[cookie.Name] = cookie; cookie.MaxAge < 0 {
			delete(p.cookies, cookie.Name)
		}
	}
	return w.Result()
}

func (p *page) signIn(provider *idtest.Provider, login string) *http.Response {
	p.t.Helper()
	back, err := provider.Authorize(p.t.Context(), p.open("/auth/login").Header.Get("Location"), login)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.open(back.RequestURI())
}

// Everything that has to do with time runs on the bubble's clock: tokens that end, a refresh, an endpoint that hangs until
// the client gives up.
func TestInMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		provider := idtest.NewProvider(t, inMemory)
		client, err := idserver.New(provider.Config("http://127.0.0.1:8080"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.Close)
		p := newPage(t, client)
		equal(t, "the status after sign-in", p.signIn(provider, "alice").StatusCode, http.StatusSeeOther)
		equal(t, "the status of the page", p.open("/").StatusCode, http.StatusOK)

		time.Sleep(15 * time.Minute) // as long as an access token is valid
		equal(t, "the status after a refresh", p.open("/").StatusCode, http.StatusOK)
		equal(t, "the grant of the last token request", provider.LastTokenRequest().Get("grant_type"), "refresh_token")

		provider.Fail(idtest.Token, idtest.Fault{Hang: true})
		begun := time.Now()
		equal(t, "the status of a sign-in that hangs", p.signIn(provider, "alice").StatusCode, http.StatusServiceUnavailable)
		equal(t, "how long it took", time.Since(begun), 10*time.Second)
	})
}

func TestInMemorySlow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := idtest.NewProvider(t, inMemory)
		p.Fail(idtest.KeySet, idtest.Fault{Slow: time.Hour})
		begun := time.Now()
		equal(t, "the status", get(t, p, "/.well-known/jwks.json").status, http.StatusOK)
		equal(t, "how long it took", time.Since(begun), time.Hour)
	})
}

func TestInMemoryFaults(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]idtest.Fault{
		"endless": {Endless: true}, "a bomb": {GzipBomb: true}, "dropped": {Drop: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := idtest.NewProvider(t, inMemory)
				p.Fail(idtest.KeySet, fault)
				client, err := idserver.New(p.Config(""))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(client.Close)
				r := bearerRequest(p.MintAccessToken("alice"))
				_, answer := client.RequireUser()(t.Context(), idserver.RequestFrom(r))
				equal(t, "the status", answer.Status, http.StatusServiceUnavailable)
			})
		})
	}
}

func bearerRequest(token string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

func TestInMemoryAddresses(t *testing.T) {
	t.Parallel()
	for base, reached := range map[string]string{
		"": "http://localhost", "http://localhost:7/a": "http://localhost:7/a",
		"https://localhost": "https://localhost", "http://[::1]": "http://[::1]",
	} {
		t.Run(reached, func(t *testing.T) {
			t.Parallel()
			p := idtest.NewProvider(t, inMemory, func(o *idtest.Options) { o.BaseURL = base })
			equal(t, "the URL", p.URL(), reached)
			metadata := get(t, p, "/.well-known/openid-configuration").json(t)
			same(t, "the issuer", metadata["issuer"], reached)
		})
	}
	p := idtest.NewProvider(t, inMemory)
	_, err := p.HTTPClient().Get("http://elsewhere.example.test/")
	if err == nil || !strings.Contains(err.Error(), "only localhost:80") {
		t.Errorf("another host: %v", err)
	}
	p.Close()
	var failed *url.Error
	if _, err := p.HTTPClient().Get(p.URL()); !errors.As(err, &failed) {
		t.Errorf("a provider that is closed: %v", err)
	}
	_, err = idtest.Start(idtest.Options{InMemory: true, Addr: "127.0.0.1:0"})
	if err == nil || !strings.Contains(err.Error(), "InMemory") {
		t.Errorf("an address to listen on in memory: %v", err)
	}
}

func TestOutage(t *testing.T) {
	t.Parallel()
	outage(t)
}
