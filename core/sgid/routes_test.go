package sgid_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
	"github.com/signward/idserver-go/core/sgid"
	"github.com/signward/idserver-go/core/sgid/sgidtest"
)

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

func TestRoutes(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *sgidtest.Provider) {
		a := newApp(t, p)
		b := a.browser()
		if response, _ := b.do("GET", "/me", navigation...); response.StatusCode != http.StatusSeeOther || !strings.HasPrefix(response.Header.Get("Location"), "/auth/login?return_to=") {
			t.Errorf("signed out: %d %s", response.StatusCode, response.Header.Get("Location"))
		}
		b.signIn("zoe", "")
		if p.Requests(idtest.UserInfo) != 0 || p.Requests(idtest.Discovery) != 0 {
			t.Error("signing in asks userinfo or the metadata")
		}
		if _, size := b.cookies(); size > 1200 {
			t.Errorf("the session has %d bytes: are there data in it?", size)
		}
		response, body := b.do("GET", "/me", navigation...)
		if response.StatusCode != 200 || !strings.Contains(body, `"subject":"u=8f1c0b6e-0000-4000-8000-0000000000a3"`) || !strings.Contains(body, "ZOË D'SOUZA 陳亞明") {
			t.Errorf("/me: %d %s", response.StatusCode, body)
		}
		response, body = b.do("GET", "/auth/userinfo", script...)
		var shown struct {
			ID, Sub string
			Roles   []string
			Data    map[string]string
		}
		if err := json.Unmarshal([]byte(body), &shown); err != nil || response.StatusCode != 200 || shown.ID == "" || shown.Sub != shown.ID || shown.Roles == nil ||
			shown.Data["myinfo.name"] != "ZOË D'SOUZA 陳亞明" || shown.Data["myinfo.sex"] != "NA" || shown.Data["myinfo.registered_address"] != "" {
			t.Errorf("userinfo: %d %s", response.StatusCode, body)
		}
		if response, _ := b.do("POST", "/auth/logout", script...); response.StatusCode != 200 {
			t.Errorf("logout: %d", response.StatusCode)
		}
		if names, _ := b.cookies(); slices.ContainsFunc(names, func(name string) bool { return !strings.HasSuffix(name, "-browser") }) {
			t.Errorf("signed out, with %v", names)
		}
		if response, _ := b.do("GET", "/auth/userinfo", script...); response.StatusCode != 401 {
			t.Errorf("signed out: %d", response.StatusCode)
		}
	})
}

// A single-page front end: it fetches the URL, comes back, and reads who is there.
func TestSinglePage(t *testing.T) {
	t.Parallel()
	p := sgidtest.NewProvider(t)
	a := newApp(t, p, func(c *sgid.Config) { c.Scopes = nil; c.AfterSignIn = "/logged-in" })
	b := a.browser()
	response, body := b.do("GET", "/auth/login", script...)
	var to struct{ URL string }
	if err := json.Unmarshal([]byte(body), &to); err != nil || response.StatusCode != 200 {
		t.Fatalf("%d %s", response.StatusCode, body)
	}
	if u, err := url.Parse(to.URL); err != nil || u.Query().Get("scope") != "openid myinfo.name" {
		t.Errorf("%s", to.URL)
	}
	response, _ = b.do("GET", b.callback(to.URL, "meiling"), navigation...)
	if got := response.Header.Get("Location"); got != "/logged-in" {
		t.Errorf("to %q", got)
	}
	if _, body = b.do("GET", "/auth/userinfo", script...); !strings.Contains(body, `"data":{"myinfo.name":"LIM MEI LING"}`) {
		t.Errorf("%s", body)
	}
}

// What was chosen before signing in, and data that the application asks to keep, are in the session.
func TestAdmitUser(t *testing.T) {
	t.Parallel()
	p := sgidtest.NewProvider(t)
	var a *app
	a = newApp(t, p, func(c *sgid.Config) {
		c.AdmitUser = func(ctx context.Context, u *idserver.User) error {
			info, err := a.UserInfoFrom(ctx)
			if err != nil {
				return err
			}
			u.Name = info.Data.Name()
			return errors.Join(u.Set("ice_cream", idserver.AppDataFrom(ctx)), u.Set("email", info.Data.Email()))
		}
	})
	b := a.browser()
	b.signIn("meiling", "?app_data="+url.QueryEscape("Vanilla & 香草"))
	_, body := b.do("GET", "/me", navigation...)
	if !strings.Contains(body, `"ice_cream":"Vanilla \u0026 香草"`) || !strings.Contains(body, `"email":"meiling@example.test"`) {
		t.Errorf("%s", body)
	}
	if _, body := b.do("GET", "/auth/userinfo", script...); !strings.Contains(body, `"name":"LIM MEI LING"`) {
		t.Errorf("%s", body)
	}
	p.Fail(idtest.UserInfo, idtest.Fault{Status: 500})
	b = a.browser()
	if response, body := b.do("GET", b.callback(b.begin(""), "meiling"), navigation...); response.StatusCode != 503 || !strings.Contains(body, "provider_unavailable") {
		t.Errorf("without the data: %d %s", response.StatusCode, body)
	}
}

func TestCallbackTwice(t *testing.T) {
	t.Parallel()
	p := sgidtest.NewProvider(t)
	a := newApp(t, p)
	b := a.browser()
	callback := b.callback(b.begin("?return_to=/me"), "meiling")
	for i := range 3 {
		if response, _ := b.do("GET", callback, navigation...); response.StatusCode != http.StatusSeeOther || response.Header.Get("Location") != "/me" {
			t.Errorf("the same browser, time %d: %d", i+1, response.StatusCode)
		}
	}
	if n := p.Requests(idtest.Token); n != 1 {
		t.Errorf("the code was sent %d times", n)
	}
	// A proxy that looks at what it sends on asks once more, without the browser's cookies.
	response, body := a.browser().do("GET", callback, "Accept", "*/*")
	if response.StatusCode/100 != 4 || !strings.Contains(body, "sign_in_lost") {
		t.Errorf("another program: %d %s", response.StatusCode, body)
	}
}

func TestUserInfoResponseFaults(t *testing.T) {
	t.Parallel()
	now := time.Now()
	p := sgidtest.NewProvider(t, func(o *sgidtest.Options) { o.AccessTTL = time.Minute; o.Now = func() time.Time { return now } })
	a := newApp(t, p, func(c *sgid.Config) { c.Now = func() time.Time { return now } })
	b := a.browser()
	b.signIn("meiling", "")
	for name, row := range map[string]struct {
		spoil  func()
		status int
		code   string
	}{
		"down":           {func() { p.Fail(idtest.UserInfo, idtest.Fault{Status: 500, HTML: true}) }, 503, "provider_unavailable"},
		"limited":        {func() { p.Fail(idtest.UserInfo, idtest.Fault{Status: 429}) }, 503, "provider_unavailable"},
		"refused":        {func() { p.Fail(idtest.UserInfo, idtest.Fault{Status: 403}) }, 502, "provider_error"},
		"another person": {func() { p.SetUserInfo(func(m map[string]any) { m["sub"] = "u=x" }) }, 502, "provider_error"},
		"altered":        {func() { p.SetUserInfo(func(m map[string]any) { m["key"] = "a.b.c.d.e" }) }, 502, "provider_error"},
		"without key":    {func() { p.SetUserInfo(func(m map[string]any) { delete(m, "key") }) }, 502, "provider_error"},
	} {
		row.spoil()
		response, body := b.do("GET", "/auth/userinfo", script...)
		if response.StatusCode != row.status || !strings.Contains(body, fmt.Sprintf("%q", row.code)) {
			t.Errorf("%s: %d %s", name, response.StatusCode, body)
		}
		p.Heal(idtest.UserInfo)
		p.SetUserInfo(nil)
	}
	p.Advance(2 * time.Minute)
	if response, body := b.do("GET", "/auth/userinfo", script...); response.StatusCode != 401 || !strings.Contains(body, "invalid_token") || !strings.Contains(body, "/auth/login") {
		t.Errorf("the access token is over: %d %s", response.StatusCode, body)
	}
}

// sgID's front ends live elsewhere: on another port, for one.
func TestFrontEndElsewhere(t *testing.T) {
	t.Parallel()
	p := sgidtest.NewProvider(t)
	const frontEnd = "http://localhost:5173"
	a := newApp(t, p, func(c *sgid.Config) { c.TrustedOrigins = []string{frontEnd} })
	b := a.browser()
	from := append([]string{"Origin", frontEnd}, script...)
	from[len(from)-1] = "same-site"
	response, body := b.do("GET", "/auth/login?return_to="+url.QueryEscape(frontEnd+"/logged-in"), from...)
	var to struct{ URL string }
	if err := json.Unmarshal([]byte(body), &to); err != nil || response.Header.Get("Access-Control-Allow-Origin") != frontEnd || response.Header.Get("Access-Control-Allow-Credentials") != "true" {
		t.Fatalf("%d %s %v", response.StatusCode, body, response.Header)
	}
	if response, _ = b.do("GET", b.callback(to.URL, "meiling"), navigation...); response.Header.Get("Location") != frontEnd+"/logged-in" {
		t.Errorf("back to %q", response.Header.Get("Location"))
	}
	if response, body = b.do("GET", "/auth/userinfo", from...); response.StatusCode != 200 || response.Header.Get("Access-Control-Allow-Origin") != frontEnd || !strings.Contains(body, "LIM MEI LING") {
		t.Errorf("%d %s", response.StatusCode, body)
	}
	from[1] = "http://localhost:5174"
	if response, _ = b.do("GET", "/auth/userinfo", from...); response.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("a stranger's page reads it")
	}
	if response, _ = b.do("OPTIONS", "/auth/logout", "Origin", frontEnd, "Access-Control-Request-Method", "POST"); response.StatusCode != 204 || response.Header.Get("Access-Control-Allow-Methods") != "POST" {
		t.Errorf("preflight: %d %v", response.StatusCode, response.Header)
	}
}
