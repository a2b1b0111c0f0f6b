package sgid_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/sgid"
	"github.com/signward/idserver-go/core/sgid/sgidtest"
)

// challenge is that of a code verifier in sgID's own tests.
const challenge = "zaqUHoBV3rnhBF2g0Gkz1qkpEZXHqi2OrPK1DqRi-Lk"

const redirectURI = "http://127.0.0.1:1/callback"

// both runs a test with a provider of each set of algorithms.
func both(t *testing.T, test func(t *testing.T, p *sgidtest.Provider)) {
	for name, algorithms := range map[string]sgidtest.Algorithms{"fixtures": sgidtest.Fixtures, "mockpass": sgidtest.MockPass} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, sgidtest.NewProvider(t, func(o *sgidtest.Options) { o.Algorithms = algorithms }))
		})
	}
}

// byHand is a client without routes.
func byHand(t testing.TB, p *sgidtest.Provider, edit ...func(*sgid.Config)) *sgid.Client {
	t.Helper()
	cfg := p.Config("")
	cfg.RedirectURI = redirectURI
	cfg.Logger = slog.New(slog.DiscardHandler)
	for _, e := range edit {
		e(&cfg)
	}
	c, err := sgid.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// allScopes are those that someone at the provider has a value of, and one that nobody has.
func allScopes() []string {
	scopes := map[string]bool{"myinfo.unheard_of": true}
	for _, person := range sgidtest.People() {
		for scope := range person.Data {
			scopes[scope] = true
		}
	}
	return slices.Sorted(maps.Keys(scopes))
}

// authorized goes to the provider with the person and returns what Callback takes.
func authorized(t testing.TB, p *sgidtest.Provider, c *sgid.Client, login string, scopes ...string) sgid.CallbackParams {
	t.Helper()
	pair, err := sgid.GeneratePKCEPair(64)
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.AuthorizeURL(sgid.AuthorizeOptions{CodeChallenge: pair.CodeChallenge, Scopes: scopes})
	if err != nil {
		t.Fatal(err)
	}
	back, err := p.Authorize(t.Context(), a.URL, login)
	if err != nil {
		t.Fatal(err)
	}
	if got := back.Query().Get("state"); got != a.State {
		t.Fatalf("state %q comes back", got)
	}
	return sgid.CallbackParams{Code: back.Query().Get("code"), CodeVerifier: pair.CodeVerifier, Nonce: a.Nonce}
}

func signedIn(t testing.TB, p *sgidtest.Provider, c *sgid.Client, login string, scopes ...string) *sgid.SignIn {
	t.Helper()
	s, err := c.Callback(t.Context(), authorized(t, p, c, login, scopes...))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// altered turns over a bit of the i-th part of a compact JWE or JWS.
func altered(compact string, i int) string {
	parts := strings.Split(compact, ".")
	with := byte('A')
	if parts[i] != "" {
		if parts[i][0] == 'A' {
			with = 'B'
		}
		parts[i] = string(with) + parts[i][1:]
	} else {
		parts[i] = "AAAA"
	}
	return strings.Join(parts, ".")
}

// app is a web application with sgID's routes, in net/http.
type app struct {
	*sgid.Client
	t        *testing.T
	provider *sgidtest.Provider
	base     string
}

func newApp(t *testing.T, p *sgidtest.Provider, edit ...func(*sgid.Config)) *app {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := &app{t: t, provider: p, base: "http://" + listener.Addr().String()}
	cfg := p.Config(a.base)
	cfg.Scopes = append([]string{"openid"}, allScopes()...)
	cfg.Logger = slog.New(slog.DiscardHandler)
	for _, e := range edit {
		e(&cfg)
	}
	if a.Client, err = sgid.New(cfg); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	routes, err := a.Routes("/")
	if err != nil {
		t.Fatal(err)
	}
	for _, route := range routes {
		mux.HandleFunc(route.Method+" "+route.Path, func(w http.ResponseWriter, r *http.Request) {
			route.Serve(r.Context(), idserver.RequestFrom(r)).WriteTo(w)
		})
	}
	guard := a.RequireUser()
	mux.HandleFunc("GET /me", func(w http.ResponseWriter, r *http.Request) {
		ctx, answer := guard(r.Context(), idserver.RequestFrom(r))
		if answer.WriteTo(w); answer.Ends() {
			return
		}
		info, err := a.UserInfoFrom(ctx)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		var claims map[string]any
		if err := idserver.UserFrom(ctx).Claims(&claims); err != nil {
			t.Error(err)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"subject": idserver.UserFrom(ctx).Subject, "name": info.Data.Name(), "claims": claims})
	})
	server := &http.Server{Handler: mux}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close(); <-done; a.Close() })
	return a
}

// browser keeps cookies and does not follow redirects.
type browser struct {
	*http.Client
	app *app
}

func (a *app) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		a.t.Fatal(err)
	}
	return &browser{&http.Client{
		Jar: jar, Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, a}
}

func (b *browser) do(method, target string, headers ...string) (*http.Response, string) {
	b.app.t.Helper()
	if strings.HasPrefix(target, "/") {
		target = b.app.base + target
	}
	request, err := http.NewRequestWithContext(b.app.t.Context(), method, target, nil)
	if err != nil {
		b.app.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := b.Do(request)
	if err != nil {
		b.app.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		b.app.t.Fatal(err)
	}
	return response, string(body)
}

var (
	navigation = []string{"Accept", "text/html", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-Site", "same-origin"}
	script     = []string{"Accept", "application/json", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty", "Sec-Fetch-Site", "same-origin"}
)

// begin goes to /auth/login, and callback from there to the provider and back to where it sends the browser.
func (b *browser) begin(query string) string {
	b.app.t.Helper()
	response, body := b.do("GET", "/auth/login"+query, navigation...)
	if response.StatusCode != http.StatusSeeOther {
		b.app.t.Fatalf("login: %d %s", response.StatusCode, body)
	}
	return response.Header.Get("Location")
}

func (b *browser) callback(address, login string) string {
	b.app.t.Helper()
	back, err := b.app.provider.Authorize(b.app.t.Context(), address, login)
	if err != nil {
		b.app.t.Fatal(err)
	}
	return back.String()
}

func (b *browser) signIn(login, query string) {
	b.app.t.Helper()
	response, body := b.do("GET", b.callback(b.begin(query), login), navigation...)
	if response.StatusCode != http.StatusSeeOther {
		b.app.t.Fatalf("callback: %d %s", response.StatusCode, body)
	}
}

func (b *browser) cookies() (names []string, size int) {
	u, _ := url.Parse(b.app.base + "/")
	for _, c := range b.Jar.Cookies(u) {
		names, size = append(names, c.Name), size+len(c.Name)+len(c.Value)
	}
	return names, size
}
