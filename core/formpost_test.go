package idserver_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"

	idserver "github.com/signward/idserver-go/core"
)

// formWorld is an application at https whose provider posts its responses.
type formWorld struct {
	*world
	*browser
}

const formBase = "https://app.example"

func newFormWorld(t *testing.T, edit ...func(*idserver.Config)) *formWorld {
	t.Helper()
	w := newWorld(t, append(edit, func(c *idserver.Config) { c.BaseURL, c.ResponseMode = formBase, "form_post" })...)
	w.provider.AddClient(idtestClient(formBase + "/auth/callback"))
	return &formWorld{w, w.browser(t)}
}

// serve asks a route, and keeps the cookies of its answer.
func (f *formWorld) serve(t *testing.T, method, target string, edits ...edit) idserver.Answer {
	t.Helper()
	r := f.request(method, target, edits)
	for _, route := range routesOf(t, f.Client) {
		if "/auth"+route.Path != r.Path || route.Method != method {
			continue
		}
		a := route.Serve(t.Context(), r)
		for _, c := range setCookies(t, a) {
			if f.cookies[c.Name] = c.Value; c.MaxAge < 0 {
				delete(f.cookies, c.Name)
			}
		}
		return a
	}
	return idserver.Answer{Status: http.StatusNotFound}
}

// begin begins a sign-in and returns what the provider's page would post for login.
func (f *formWorld) begin(t *testing.T, target, login string) url.Values {
	t.Helper()
	a := f.serve(t, "GET", target, navigates)
	action, form, err := f.provider.AuthorizeForm(t.Context(), field(a, "Location"), login)
	if err != nil || action.String() != formBase+"/auth/callback" {
		t.Fatalf("%d, posted to %v, %v", a.Status, action, err)
	}
	return form
}

// posts is what a browser sends for a form on the provider's page.
func posts(body string, origins ...string) edit {
	return func(r *idserver.Request) {
		send(r, "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-Site", "cross-site", "Accept", "text/html")
		send(r, "Content-Type", "application/x-www-form-urlencoded")
		r.Body = strings.NewReader(body)
		r.Header.(http.Header)["Origin"] = origins
	}
}

func TestFormPost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var name string
		f := newFormWorld(t, func(c *idserver.Config) {
			c.AdmitUser = func(ctx context.Context, u *idserver.User) error {
				name = idserver.UnprovenNameFrom(ctx)
				return u.Set("name", name)
			}
		})
		begun := f.serve(t, "GET", "/auth/login?return_to=/x", navigates)
		if mode := query(t, field(begun, "Location"))["response_mode"]; len(mode) != 1 || mode[0] != "form_post" {
			t.Errorf("response_mode is %q", mode)
		}
		for _, c := range setCookies(t, begun) {
			if c.SameSite != http.SameSiteNoneMode || !c.Secure || !c.HttpOnly {
				t.Errorf("%s would not be sent with the form: %v", c.Name, c)
			}
		}
		f.provider.SetAuthorizationResponse(func(response url.Values) {
			response.Set("user", `{"name":{"firstName":"Alice","lastName":"Tan"},"email":"ceo@example.test"}`)
		})
		form := f.begin(t, "/auth/login?return_to=/x", "alice")
		if a := f.serve(t, "GET", "/auth/callback?"+form.Encode(), navigates); a.Status != http.StatusNotFound {
			t.Errorf("GET is served: %d", a.Status)
		}
		a := f.serve(t, "POST", "/auth/callback?state=other&code=other", posts(form.Encode(), f.provider.URL()))
		if a.Status != 303 || field(a, "Location") != "/x" || name != "Alice Tan" {
			t.Fatalf("%d to %q, AdmitUser finds the name %q: %s", a.Status, field(a, "Location"), name, a.Body)
		}
		for _, c := range setCookies(t, a) {
			if login := strings.Contains(c.Name, "login"); login != (c.SameSite == http.SameSiteNoneMode) {
				t.Errorf("%s is sent across sites: %t", c.Name, !login)
			}
		}
		// The same form again, as browsers post it when the page is reloaded: without the session's cookie, which stays at home.
		session := f.cookies["__Host-idserver"]
		delete(f.cookies, "__Host-idserver")
		if a := f.serve(t, "POST", "/auth/callback", posts(form.Encode(), f.provider.URL())); a.Status != 303 || field(a, "Location") != "/x" {
			t.Errorf("posted again: %d to %q", a.Status, field(a, "Location"))
		}
		f.cookies["__Host-idserver"] = session
		if !f.admits(f.Client) {
			t.Error("nobody is signed in")
		}
	})
}

// A response that this browser did not ask for begins one sign-in of its own, and no second one.
func TestFormPostLost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFormWorld(t)
		form := f.begin(t, "/auth/login", "alice")
		clear(f.cookies)
		a := f.serve(t, "POST", "/auth/callback", posts(form.Encode(), f.provider.URL()))
		if a.Status != 303 || !strings.HasPrefix(field(a, "Location"), f.provider.URL()) {
			t.Fatalf("%d to %q", a.Status, field(a, "Location"))
		}
		form.Set("state", query(t, field(a, "Location")).Get("state"))
		clear(f.cookies)
		if a := f.serve(t, "POST", "/auth/callback", posts(form.Encode(), f.provider.URL())); code(t, a) != idserver.CodeSignInLost {
			t.Errorf("the second time: %d to %q", a.Status, field(a, "Location"))
		}
	})
}

func TestFormPostRefused(t *testing.T) {
	const provider = "http://localhost"
	changed := func(edits ...edit) func(string) edit {
		return func(body string) edit {
			return func(r *idserver.Request) {
				posts(body, provider)(r)
				for _, e := range edits {
					e(r)
				}
			}
		}
	}
	origins := func(all ...string) func(string) edit { return func(body string) edit { return posts(body, all...) } }
	for name, row := range map[string]struct {
		post func(body string) edit
		code idserver.RefusalCode // "" if it is taken
		log  string
	}{
		"the provider's origin": {origins(provider), "", ""},
		"no origin":             {origins(), "", ""},
		"an opaque origin":      {origins("null"), "", ""},
		"another origin":        {origins("https://evil.example"), idserver.CodeCrossSite, "origin=https://evil.example"},
		"its own origin":        {origins(formBase), idserver.CodeCrossSite, "origin=" + formBase},
		"another port":          {origins(provider + ":81"), idserver.CodeCrossSite, ""},
		"two origins":           {origins(provider, "https://evil.example"), idserver.CodeCrossSite, ""},
		"with a charset":        {changed(func(r *idserver.Request) { send(r, "Content-Type", "Application/X-WWW-Form-URLencoded; charset=UTF-8") }), "", ""},
		"JSON":                  {changed(func(r *idserver.Request) { send(r, "Content-Type", "application/json") }), idserver.CodeInvalidCallback, "not a form"},
		"multipart":             {changed(func(r *idserver.Request) { send(r, "Content-Type", "multipart/form-data; boundary=x") }), idserver.CodeInvalidCallback, "not a form"},
		"no type":               {changed(func(r *idserver.Request) { send(r, "Content-Type", "") }), idserver.CodeInvalidCallback, "not a form"},
		"no body":               {changed(func(r *idserver.Request) { r.Body = nil }), idserver.CodeInvalidCallback, "no body"},
		"an empty body":         {changed(func(r *idserver.Request) { r.Body = strings.NewReader("") }), idserver.CodeInvalidCallback, "state has 0 bytes"},
		"a body that ends":      {changed(func(r *idserver.Request) { r.Body = iotest.ErrReader(errors.New("reset")) }), idserver.CodeInvalidCallback, "reset"},
		"a long body":           {func(body string) edit { return posts(body+"&x="+strings.Repeat("y", 16<<10), provider) }, idserver.CodeInvalidCallback, "16384"},
		"an endless body":       {changed(func(r *idserver.Request) { r.Body = endless{} }), idserver.CodeInvalidCallback, "16384"},
		"state twice":           {func(body string) edit { return posts(body+"&state=x", provider) }, idserver.CodeInvalidCallback, "more than once"},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			f := newFormWorld(t)
			form := f.begin(t, "/auth/login", "alice")
			a := f.serve(t, "POST", "/auth/callback", row.post(form.Encode()))
			if row.code == "" {
				if a.Status != 303 || field(a, "Location") != "/" {
					t.Errorf("%d to %q %s", a.Status, field(a, "Location"), a.Body)
				}
				return
			}
			if got := code(t, a); got != row.code || f.admits(f.Client) || !strings.Contains(f.log.String(), row.log) {
				t.Errorf("%d %s: %s", a.Status, got, f.log)
			}
			if row.code == idserver.CodeCrossSite && len(f.logins()) != 1 {
				t.Error("another site's form ends the sign-in")
			}
		}))
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'a'
	}
	return len(b), nil
}

var _ io.Reader = endless{}
