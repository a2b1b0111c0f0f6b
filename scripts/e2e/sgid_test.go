//go:build e2e

package e2e

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// eachSGIDProvider runs a test with examples/sgid at its embedded provider, with either set of algorithms.
func eachSGIDProvider(t *testing.T, test func(t *testing.T, app, provider string)) {
	for _, algorithms := range []string{"fixtures", "mockpass"} {
		t.Run(algorithms, func(t *testing.T) {
			p := start(t, []string{"ADDR=127.0.0.1:0", "IDTEST_SGID_ALGORITHMS=" + algorithms}, build(t, "sgid"))
			test(t, p.line("open"), p.line("provider"))
		})
	}
}

func TestSGIDExample(t *testing.T) {
	eachSGIDProvider(t, func(t *testing.T, app, provider string) {
		v := newVisitor(t, app)
		a := v.get("/auth/login?return_to=/profile&app_data=Durian")
		if !strings.HasPrefix(a.location(), provider+"/oauth/authorize?") || strings.Contains(a.location(), "Durian") {
			t.Fatalf("login: %d %s", a.StatusCode, a.location())
		}
		if a = v.get(v.callback(a.location(), "zoe")); a.location() != "/profile" {
			t.Fatalf("callback: %d %s", a.StatusCode, a.body)
		}
		a = v.get("/profile")
		for _, want := range []string{"ZOË D&#39;SOUZA 陳亞明", "You like Durian", "u=8f1c0b6e-0000-4000-8000-0000000000a3", "1990"} {
			if !strings.Contains(a.body, want) {
				t.Errorf("/profile: %d, no %q in %s", a.StatusCode, want, a.body)
			}
		}
		if a = v.do("GET", "/auth/userinfo", script, nil); !strings.Contains(a.body, `"ice_cream":"Durian"`) || !strings.Contains(a.body, `"myinfo.marital_status":"NA"`) {
			t.Errorf("/auth/userinfo: %d %s", a.StatusCode, a.body)
		}
		if a = v.get("/auth/login?app_data=" + strings.Repeat("x", 600)); a.StatusCode != 400 || code(t, a) != "invalid_login" {
			t.Errorf("too much app_data: %d", a.StatusCode)
		}
	})
}

// The program signs in at MockPass as well, by its settings alone.
func TestSGIDExampleAtMockPass(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, []string{
		"ADDR=127.0.0.1:0", "SGID_HOSTNAME=" + mockPass(t, key), "SGID_CLIENT_ID=app", "SGID_CLIENT_SECRET=s", "SESSION_SECRET=" + rand.Text() + rand.Text(),
		"SGID_PRIVATE_KEY=" + string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	}, build(t, "sgid"))
	v := newVisitor(t, p.line("open"))
	if a, at := v.follow(v.get("/profile")); at != v.app+"/profile" || !strings.Contains(a.body, "LIM YONG XIANG") || !strings.Contains(a.body, "You like Vanilla") {
		t.Errorf("%s: %d %s", at, a.StatusCode, a.body)
	}
}

func TestSGIDSettings(t *testing.T) {
	binary := build(t, "sgid")
	for _, row := range []struct {
		env  []string
		want string
	}{
		{[]string{"SGID_CLIENT_ID=app"}, "SGID_CLIENT_SECRET, SGID_PRIVATE_KEY, SGID_HOSTNAME, SESSION_SECRET: not set"},
		{[]string{"SESSION_SECRET=" + rand.Text() + rand.Text()}, "SGID_CLIENT_ID"},
		{[]string{"SGID_CLIENT_ID=a", "SGID_CLIENT_SECRET=s3cret", "SGID_PRIVATE_KEY=s3cret", "SGID_HOSTNAME=https://api.id.gov.sg", "SESSION_SECRET=s3cret"}, "PrivateKey (SGID_PRIVATE_KEY)"},
		{[]string{"IDTEST_SGID_ALGORITHMS=none"}, "fixtures or mockpass"},
		{[]string{"TRUSTED_ORIGINS=*"}, "TrustedOrigins"},
	} {
		said := fails(t, append(row.env, "ADDR=127.0.0.1:0"), binary)
		if !strings.Contains(said, row.want) || strings.Contains(said, "s3cret") {
			t.Errorf("%v: %s", row.env, said)
		}
	}
	if said := fails(t, []string{"ADDR=0.0.0.0:0"}, binary); !strings.Contains(said, "not on loopback") {
		t.Errorf("on every interface: %s", said)
	}
}

// The two styles in a real browser: pages that the server renders, and one that fetches.
func TestSGIDInChromium(t *testing.T) {
	eachSGIDProvider(t, func(t *testing.T, app, provider string) {
		ctx := window(t)
		open(t, ctx, app)
		sees(t, ctx, "You are signed out")
		act(t, ctx, "choosing", chromedp.Evaluate[chromedp.Void](`document.querySelector('select').value = 'Chocolate'`))
		click(t, ctx, `form[action="/auth/login"] button`)
		if at := sees(t, ctx, "Lim Mei Ling"); !strings.HasPrefix(at, provider+"/oauth/authorize") {
			t.Fatalf("signing in at %s", at)
		}
		click(t, ctx, `button[value="meiling"]`)
		if at := sees(t, ctx, "LIM MEI LING"); at != app+"/profile" {
			t.Errorf("signed in at %s", at)
		}
		sees(t, ctx, "You like Chocolate. You drive SAB1234X FBC5678Y.")

		open(t, ctx, app+"/spa")
		sees(t, ctx, "You like Chocolate. A script")
		click(t, ctx, `#out`)
		sees(t, ctx, "You are signed out")
		act(t, ctx, "choosing", chromedp.Evaluate[chromedp.Void](`document.querySelector('select').value = 'Durian'`))
		click(t, ctx, `#in button`)
		sees(t, ctx, "Arun s/o Raj")
		click(t, ctx, `button[value="arun"]`)
		if at := sees(t, ctx, "You like Durian"); at != app+"/spa" {
			t.Errorf("signed in at %s", at)
		}
		sees(t, ctx, "ARUN S/O RAJ")
	})
}

// A front end on another origin reads what the trusted one may, and a stranger's does not.
func TestSGIDFrontEndOnAnotherOrigin(t *testing.T) {
	addr := freeAddr(t)
	app := "http://" + addr
	const page = `<!doctype html><meta charset="utf-8"><p id="p">…</p><button id="in">Sign in</button><script>
const ask = (path, more) => fetch('%s' + path, {credentials: 'include', headers: {Accept: 'application/json'}, ...more});
const say = text => document.getElementById('p').textContent = text;
ask('/auth/userinfo').then(async a => say(a.ok ? 'hello ' + (await a.json()).data['myinfo.name'] : 'status ' + a.status), () => say('not for you'));
document.querySelector('button').onclick = async () => {
	const a = await ask('/auth/login?return_to=' + encodeURIComponent(location.href));
	location.assign((await a.json()).url);
};
const out = async () => { const a = await ask('/auth/logout', {method: 'POST', headers: {Accept: 'application/json', 'Content-Type': 'application/json'}, body: '{}'}); say('out ' + a.status); };
</script>`
	serve := func() string { // the same site as the app, which is at 127.0.0.1 too, and another origin
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprintf(w, page, app)
		})}}
		s.Start()
		t.Cleanup(s.Close)
		return s.URL
	}
	trusted, stranger := serve(), serve()
	p := start(t, []string{"ADDR=" + addr, "TRUSTED_ORIGINS=" + trusted}, build(t, "sgid"))
	p.line("open")
	ctx := window(t)
	open(t, ctx, trusted)
	sees(t, ctx, "status 401")
	click(t, ctx, "#in")
	sees(t, ctx, "Lim Mei Ling")
	click(t, ctx, `button[value="meiling"]`)
	if at := sees(t, ctx, "hello LIM MEI LING"); at != trusted+"/" {
		t.Errorf("signed in at %s", at)
	}
	open(t, ctx, stranger)
	sees(t, ctx, "not for you")
	open(t, ctx, trusted)
	sees(t, ctx, "hello LIM MEI LING")
	act(t, ctx, "signing out, with a preflight", chromedp.Evaluate[chromedp.Void](`out()`))
	sees(t, ctx, "out 200")
	open(t, ctx, trusted)
	sees(t, ctx, "status 401")
}
