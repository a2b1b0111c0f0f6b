//go:build e2e

package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// visitor is a browser without a screen: it keeps cookies, and does not follow redirects by itself.
type visitor struct {
	t      *testing.T
	app    string
	client *http.Client
	always header // of each request
}

func newVisitor(t *testing.T, app string) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{t: t, app: app, client: &http.Client{
		Jar:           jar,
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

type answer struct {
	*http.Response
	body string
}

func (a answer) location() string { return a.Header.Get("Location") }

// header settings of a request: what browsers send.
type header map[string]string

var (
	navigation = header{"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "same-origin"}
	script     = header{"Accept": "application/json", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Sec-Fetch-Site": "same-origin"}
)

func (h header) with(name, value string) header {
	more := header{name: value}
	for n, v := range h {
		if n != name {
			more[n] = v
		}
	}
	return more
}

// do sends a request; a target that begins with a slash is the app's.
func (v *visitor) do(method, target string, h header, form url.Values) answer {
	v.t.Helper()
	if strings.HasPrefix(target, "/") {
		target = v.app + target
	}
	request, err := http.NewRequestWithContext(v.t.Context(), method, target, strings.NewReader(form.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, some := range []header{v.always, h} {
		for name, value := range some {
			request.Header.Set(name, value)
		}
	}
	response, err := v.client.Do(request)
	if err != nil {
		v.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		v.t.Fatal(err)
	}
	return answer{response, string(body)}
}

func (v *visitor) get(target string) answer {
	v.t.Helper()
	return v.do("GET", target, navigation, nil)
}

// follow goes on as browsers do with a GET: through redirects, resolving each against the last address. It
// stops at a page, and returns its address too.
func (v *visitor) follow(a answer) (answer, string) {
	v.t.Helper()
	at := a.Request.URL
	for range 15 {
		if a.StatusCode/100 != 3 {
			return a, at.String()
		}
		next, err := at.Parse(a.location())
		if err != nil {
			v.t.Fatal(err)
		}
		at = next
		a = v.get(at.String())
	}
	v.t.Fatalf("redirected without end, at last to %s", at)
	return answer{}, ""
}

// callback is where the embedded provider sends the browser after the person chose a name.
func (v *visitor) callback(loginPage, user string) string {
	v.t.Helper()
	a := v.do("POST", loginPage, header{"Accept": "text/html"}, url.Values{"user": {user}})
	if a.StatusCode != http.StatusSeeOther || !strings.HasPrefix(a.location(), v.app+"/auth/callback?") {
		v.t.Fatalf("the provider answers %d, Location %q\n%s", a.StatusCode, a.location(), a.body)
	}
	return a.location()
}

// begin goes to /auth/login and returns the provider's page.
func (v *visitor) begin(returnTo string) string {
	v.t.Helper()
	a := v.get("/auth/login?return_to=" + url.QueryEscape(returnTo))
	if a.StatusCode != http.StatusSeeOther {
		v.t.Fatalf("login: %d %s", a.StatusCode, a.body)
	}
	return a.location()
}

// signIn signs user in at the embedded provider.
func (v *visitor) signIn(user string) {
	v.t.Helper()
	a := v.get(v.callback(v.begin("/profile"), user))
	if a.StatusCode != http.StatusSeeOther || a.location() != "/profile" {
		v.t.Fatalf("callback: %d, Location %q\n%s", a.StatusCode, a.location(), a.body)
	}
}

// cookies are what the app gets from this browser.
func (v *visitor) cookies() string {
	u, _ := url.Parse(v.app + "/")
	var all []string
	for _, c := range v.client.Jar.Cookies(u) {
		all = append(all, c.String())
	}
	return strings.Join(all, "; ")
}

// code reads a refusal's code, from a page or a problem document.
func code(t *testing.T, a answer) string {
	t.Helper()
	if strings.HasPrefix(a.Header.Get("Content-Type"), "application/problem+json") {
		var problem struct {
			Code   string
			Status int
		}
		if err := json.Unmarshal([]byte(a.body), &problem); err != nil || problem.Status != a.StatusCode {
			t.Errorf("status %d with the problem %s", a.StatusCode, a.body)
		}
		return problem.Code
	}
	if found := regexp.MustCompile(`Code: ([a-z_]+)`).FindStringSubmatch(a.body); found != nil {
		return found[1]
	}
	return ""
}
