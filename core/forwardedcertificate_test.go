package idserver_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// certificateUntil makes the self-signed certificate of a client.
func certificateUntil(t testing.TB, until time.Time) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: until.Add(-time.Hour), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// over is a connection with the client's certificates.
func over(certificates ...*x509.Certificate) edit {
	return func(r *idserver.Request) { r.TLS = &tls.ConnectionState{PeerCertificates: certificates} }
}

func from(addr string) edit {
	return func(r *idserver.Request) { r.Remote = net.TCPAddrFromAddrPort(netip.MustParseAddrPort(addr)) }
}

func rfc9440(c *x509.Certificate) string { return ":" + base64.StdEncoding.EncodeToString(c.Raw) + ":" }

func pemOf(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

// nginx writes $ssl_client_escaped_cert like this.
func nginx(c *x509.Certificate) string {
	return strings.ReplaceAll(url.QueryEscape(pemOf(c)), "+", "%20")
}

// RFC 8705 section 3: a token that is bound to a certificate is good on its connection only.
func TestCertificates(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		own, other, expired := certificateUntil(t, w.clock.Now().Add(time.Hour)), certificateUntil(t, w.clock.Now().Add(time.Hour)), certificateUntil(t, w.clock.Now().Add(-time.Hour))
		mutual := func(c *idserver.ResourceConfig) { c.DPoP, c.MTLS = false, true }
		behindProxy := func(c *idserver.ResourceConfig) {
			mutual(c)
			c.InsecureCertificateField, c.InsecureCertificateProxies = "Client-Cert", []string{"10.0.0.0/24", "fd00::1"}
		}
		api, only, proxied := w.boundAPI(t, mutual), w.boundAPI(t, mutual, func(c *idserver.ResourceConfig) { c.OnlyBound = true }), w.boundAPI(t, behindProxy)
		both := w.boundAPI(t, func(c *idserver.ResourceConfig) { c.MTLS = true })
		f := newForger(t, w)
		token, unbound, ofExpired, ofBoth := w.boundTo(idtest.BindCertificate(own.Raw)), w.boundTo(), w.boundTo(idtest.BindCertificate(expired.Raw)), w.boundTo(f.bind, idtest.BindCertificate(own.Raw))
		forwarded := func(lines ...string) edit {
			return func(r *idserver.Request) { r.Header.(http.Header)["Client-Cert"] = lines }
		}
		proxy := from("10.0.0.7:4711")
		for range 2 {
			for name, row := range map[string]struct {
				api   *idserver.Resource
				sent  []edit
				token string
				log   string // "": it is good
			}{
				"its own":                          {api, []edit{over(own)}, token, ""},
				"its own, and the issuer's":        {api, []edit{over(own, other)}, token, ""},
				"another":                          {api, []edit{over(other)}, token, "another certificate"},
				"another, and its own behind":      {api, []edit{over(other, own)}, token, "another certificate"},
				"none":                             {api, []edit{over()}, token, "has none"},
				"no TLS":                           {api, nil, token, "has none"},
				"an expired one":                   {api, []edit{over(expired)}, ofExpired, ""},
				"a token that is bound to nothing": {api, []edit{over(own)}, unbound, ""},
				"the same, where none is taken":    {only, []edit{over(own)}, unbound, "bound to no key"},
				"where only such are taken":        {only, []edit{over(own)}, token, ""},
				"where none is asked for":          {w.boundAPI(t), []edit{over(own)}, token, "MTLS is not set"},
				"a field, and no proxy is known":   {api, []edit{proxy, forwarded(rfc9440(own))}, token, "has none"},

				"by the proxy":                        {proxied, []edit{proxy, forwarded(rfc9440(own))}, token, ""},
				"by the proxy, over TLS of its own":   {proxied, []edit{proxy, over(other), forwarded(rfc9440(own))}, token, ""},
				"by the proxy, as nginx does":         {proxied, []edit{proxy, forwarded(nginx(own))}, token, ""},
				"by the proxy over IPv6":              {proxied, []edit{from("[fd00::1]:1"), forwarded(rfc9440(own))}, token, ""},
				"by the proxy, mapped into IPv6":      {proxied, []edit{from("[::ffff:10.0.0.7]:1"), forwarded(rfc9440(own))}, token, ""},
				"by another machine":                  {proxied, []edit{from("10.0.1.7:4711"), forwarded(rfc9440(own))}, token, "has none"},
				"from an address that is not known":   {proxied, []edit{forwarded(rfc9440(own))}, token, "has none"},
				"by another machine, with its own":    {proxied, []edit{from("10.0.1.7:4711"), over(own), forwarded(rfc9440(other))}, token, ""},
				"by the proxy, another":               {proxied, []edit{proxy, forwarded(rfc9440(other))}, token, "another certificate"},
				"the proxy's own is not the client's": {proxied, []edit{proxy, over(own)}, token, "has none"},
				"by the proxy, two":                   {proxied, []edit{proxy, forwarded(rfc9440(own), rfc9440(own))}, token, "more than one"},
				"by the proxy, an empty one":          {proxied, []edit{proxy, forwarded("")}, token, "cannot be read"},
				"by the proxy, what is none":          {proxied, []edit{proxy, forwarded(":AAAA:")}, token, "cannot be read"},

				"both: with both":                {both, []edit{over(own), proving(ofBoth, f.proof(ofBoth, nil, nil))}, "", ""},
				"both: without the proof":        {both, []edit{over(own)}, ofBoth, "as a bearer token"},
				"both: without the certificate":  {both, []edit{proving(ofBoth, f.proof(ofBoth, nil, nil))}, "", "has none"},
				"both: a token of a certificate": {both, []edit{over(own)}, token, ""},
				"a certificate, as DPoP":         {both, []edit{over(own), proving(token, f.proof(token, nil, nil))}, "", "with the scheme DPoP"},
			} {
				before := len(w.log.String())
				sent := row.sent
				if row.token != "" {
					sent = append(sent, bearer(row.token))
				}
				ctx, a := w.browser(t).pass(row.api.RequireUser(), "GET", "/orders", sent...)
				switch {
				case row.log == "" && (a.Ends() || idserver.UserFrom(ctx) == nil):
					t.Errorf("%s: %d %s", name, a.Status, a.Body)
				case row.log != "" && (a.Status != 401 || code(t, a) != idserver.CodeInvalidToken || !strings.Contains(w.log.String()[before:], row.log)):
					t.Errorf("%s: %d %s, log %s", name, a.Status, a.Body, w.log.String()[before:])
				}
			}
		}
		// What was found in front of a guard holds for that connection only.
		ctx, a := w.browser(t).pass(api.RequireUser(), "GET", "/orders", over(own), bearer(token))
		if a.Ends() {
			t.Fatal(a.Status)
		}
		if _, a := api.RequireUser()(ctx, w.browser(t).request("GET", "/orders", []edit{over(other), bearer(token)})); a.Status != 401 {
			t.Errorf("another connection in the same context: %d", a.Status)
		}
	})
}

// The handshake and the request are real: the server asks for a certificate, and the client has one.
func TestCertificateOfConnection(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	provider := idtest.NewProvider(t, func(o *idtest.Options) { o.InMemory = true })
	cfg := provider.Config("")
	client, err := idserver.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	api, err := client.NewResource(idserver.ResourceConfig{Identifier: ordersAPI, MTLS: true})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, a := api.RequireUser()(r.Context(), idserver.RequestFrom(r))
		if a.WriteTo(w); !a.Ends() {
			_, _ = w.Write([]byte(idserver.UserFrom(ctx).Email))
		}
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	token := provider.MintAccessToken("alice", forOrders, idtest.BindCertificate(der))
	for name, row := range map[string]struct {
		certificates []tls.Certificate
		status       int
	}{
		"with its own": {[]tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, 200},
		"with none":    {nil, 401},
	} {
		transport := server.Client().Transport.(*http.Transport).Clone()
		transport.TLSClientConfig.Certificates = row.certificates
		for range 2 { // the second time over the same connection or a resumed one
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+token)
			response, err := transport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			if response.Body.Close(); response.StatusCode != row.status {
				t.Errorf("%s: %d", name, response.StatusCode)
			}
		}
		transport.CloseIdleConnections()
	}
}
