//go:build e2e

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// proxy is an nginx in front of an application.
type proxy struct {
	app  string // what the browser shows: BASE_URL
	dir  string
	pool *x509.CertPool // nil: no TLS
}

// route is how nginx passes requests on.
type route struct {
	path     string // below which the application is; "" for the root
	strips   bool   // whether nginx takes the path away
	tls      bool   // with HTTP/2
	settings string // of the http block
}

// startProxy starts an nginx that passes requests on to upstream, on loopback. It is stopped when the test ends.
func startProxy(t *testing.T, addr, upstream string, r route) *proxy {
	t.Helper()
	p := &proxy{dir: t.TempDir(), app: "http://" + addr + r.path}
	listen, location, target := addr, "/", "http://"+upstream
	if r.path != "" {
		location = r.path + "/"
	}
	if r.strips {
		target += "/"
	}
	if r.tls {
		p.app, listen = "https://"+addr+r.path, addr+" ssl http2"
		p.certificate(t)
	}
	conf := fmt.Sprintf(`daemon off; master_process off; pid %[1]s/pid; error_log %[1]s/error.log;
events {}
http {
	client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
	%[5]s
	server {
		listen %[2]s;
		%[6]s
		location %[3]s { proxy_pass %[4]s; proxy_set_header Host $http_host; }
	}
}
`, p.dir, listen, location, target, r.settings, map[bool]string{true: "ssl_certificate " + p.dir + "/cert.pem; ssl_certificate_key " + p.dir + "/key.pem;"}[r.tls])
	if err := os.WriteFile(filepath.Join(p.dir, "nginx.conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	program, err := exec.LookPath("nginx")
	if err != nil {
		program = "/usr/sbin/nginx" // which is not in everybody's PATH
	}
	start(t, nil, program, "-p", p.dir, "-e", p.dir+"/error.log", "-c", p.dir+"/nginx.conf").listening(addr)
	return p
}

func (p *proxy) errors() string {
	content, _ := os.ReadFile(filepath.Join(p.dir, "error.log"))
	return string(content)
}

// certificate writes a certificate for 127.0.0.1 and its key.
func (p *proxy) certificate(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	p.pool = x509.NewCertPool()
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: cert}, "key.pem": {Type: "PRIVATE KEY", Bytes: private}} {
		content := pem.EncodeToMemory(block)
		if name == "cert.pem" && !p.pool.AppendCertsFromPEM(content) {
			t.Fatal("the certificate cannot be read")
		}
		if err := os.WriteFile(filepath.Join(p.dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// visitor returns a browser of the application behind the proxy; with TLS, one that speaks HTTP/2, in which each cookie is a
// header field of its own (RFC 9113 section 8.2.3).
func (p *proxy) visitor(t *testing.T) *visitor {
	v := newVisitor(t, p.app)
	if p.pool != nil {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: p.pool}, ForceAttemptHTTP2: true}
		t.Cleanup(transport.CloseIdleConnections)
		v.client.Transport = transport
	}
	return v
}

// documented is what the guide says about nginx, with the log in dir.
func documented(t *testing.T, dir string) string {
	t.Helper()
	guide, err := os.ReadFile("../../docs/guide.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```nginx\n(.*?)```").FindSubmatch(guide)
	if block == nil {
		t.Fatal("the guide has no settings for nginx")
	}
	return strings.ReplaceAll(string(block[1]), "/var/log/nginx", dir)
}

// buildShop compiles testdata/shop.
func buildShop(t *testing.T) string {
	t.Helper()
	binaries.Lock()
	defer binaries.Unlock()
	path := filepath.Join(binaries.dir, "shop")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	command := exec.Command("go", "build", "-race", "-o", path, "./scripts/e2e/testdata/shop/main.go")
	command.Dir = "../.."
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// throughProxy signs a person in behind a proxy, by a navigation to a guarded page, and out again.
func throughProxy(t *testing.T, v *visitor, user string) {
	t.Helper()
	page, _ := v.follow(v.get("/profile"))
	if end, at := v.follow(v.get(v.callback(page.Request.URL.String(), user))); end.StatusCode != 200 || at != v.app+"/profile" {
		t.Fatalf("signed in at %s, want %s/profile: %d\n%s", at, v.app, end.StatusCode, end.body)
	}
	if a := v.do("GET", "/auth/userinfo", script, nil); a.StatusCode != 200 || !strings.Contains(a.body, user+"@example.test") {
		t.Errorf("userinfo: %d %s", a.StatusCode, a.body)
	}
	a := v.do("POST", "/auth/logout", navigation, nil)
	target, err := url.Parse(a.location())
	if err != nil || a.StatusCode != http.StatusSeeOther || target.Query().Get("post_logout_redirect_uri") != v.app+"/" {
		t.Errorf("signing out goes to %q", a.location())
	}
	if a := v.do("GET", "/auth/userinfo", script, nil); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("after signing out: %d", a.StatusCode)
	}
}

// Each example works behind nginx, at the root of a host and over TLS.
func TestNginx(t *testing.T) {
	leftOut(t, "nginx")
	for name, secure := range map[string]bool{"http": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			eachExample(t, func(t *testing.T, binary string) {
				at, upstream := freeAddr(t), freeAddr(t)
				logs := t.TempDir()
				p := startProxy(t, at, upstream, route{tls: secure, settings: documented(t, logs)})
				provider := start(t, []string{"ADDR=127.0.0.1:0", "BASE_URL=" + p.app}, buildShop(t))
				start(t, []string{
					"ADDR=" + upstream, "BASE_URL=" + p.app, "SESSION_SECRET=" + rand.Text() + rand.Text(),
					"IDSERVER_AUTHORITY=" + provider.line("provider"), "IDSERVER_CLIENT_ID=" + provider.line("client"), "IDSERVER_CLIENT_SECRET=" + provider.line("secret"),
				}, binary).line("open")
				v := p.visitor(t)
				throughProxy(t, v, "alice")
				if secure {
					if a := v.get("/"); a.ProtoMajor != 2 {
						t.Errorf("the proxy speaks %s", a.Proto)
					}
				}
				content, err := os.ReadFile(filepath.Join(logs, "access.log"))
				if log := string(content); err != nil || !strings.Contains(log, "/auth/callback") || strings.Contains(log, "code=") {
					t.Errorf("nginx logs %v\n%s", err, log)
				}
			})
		})
	}
}

// Below a path, which nginx takes away or not; over TLS, with HTTP/2's split Cookie fields, and with a session of several of
// them.
func TestNginxBelowAPath(t *testing.T) {
	leftOut(t, "nginx")
	for name, r := range map[string]route{
		"kept": {path: "/shop", tls: true}, "stripped": {path: "/shop", strips: true, tls: true}, "kept, http": {path: "/shop"}, "stripped, http": {path: "/shop", strips: true},
	} {
		t.Run(name, func(t *testing.T) {
			at, upstream := freeAddr(t), freeAddr(t)
			r.settings = documented(t, t.TempDir())
			p := startProxy(t, at, upstream, r)
			env := []string{"ADDR=" + upstream, "BASE_URL=" + p.app}
			if !r.strips {
				env = append(env, "KEPT=1")
			}
			start(t, env, buildShop(t)).line("open")
			throughProxy(t, p.visitor(t), "alice")
			throughProxy(t, p.visitor(t), "dave")
		})
	}
}

// What the guide says about nginx is needed: a large session does not pass its defaults. And nginx says so as the guide does.
func TestNginxDefaults(t *testing.T) {
	leftOut(t, "nginx")
	at, upstream := freeAddr(t), freeAddr(t)
	p := startProxy(t, at, upstream, route{settings: "access_log off;"})
	start(t, []string{"ADDR=" + upstream, "BASE_URL=" + p.app}, buildShop(t)).line("open")
	v := p.visitor(t)
	page, _ := v.follow(v.get("/profile"))
	a := v.get(v.callback(page.Request.URL.String(), "dave"))
	if a.StatusCode != http.StatusBadGateway || !strings.Contains(p.errors(), "upstream sent too big header") {
		t.Errorf("the defaults answer %d\n%s", a.StatusCode, p.errors())
	}
}
