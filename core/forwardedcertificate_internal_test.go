package idserver

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"
)

func certificateForTest(t testing.TB) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Unix(2_000_000_000, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestParseForwardedCertificate(t *testing.T) {
	der := certificateForTest(t)
	encoded := base64.StdEncoding.EncodeToString(der)
	text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	escaped := url.PathEscape(text)
	for name, row := range map[string]struct {
		value string
		good  bool
	}{
		"RFC 9440":                     {":" + encoded + ":", true},
		"nginx":                        {strings.ReplaceAll(url.QueryEscape(text), "+", "%20"), true},
		"with + as it is":              {escaped, true},
		"with tabs, as nginx did once": {strings.ReplaceAll(text, "\n", "\n\t"), false},
		"empty":                        {"", false},
		"one colon":                    {":", false},
		"two colons":                   {"::", false},
		"no colon at the end":          {":" + encoded, false},
		"no colons":                    {encoded, false},
		"with parameters":              {":" + encoded + ":;a=b", false},
		"two in one line":              {":" + encoded + ":, :" + encoded + ":", false},
		"base64url":                    {":" + base64.URLEncoding.EncodeToString(append([]byte{0xfb, 0xff}, der...)) + ":", false},
		"without padding":              {":" + strings.TrimRight(encoded, "=") + "A:", false},
		"something behind":             {":" + base64.StdEncoding.EncodeToString(append(bytes.Clone(der), 0)) + ":", false},
		"cut":                          {":" + base64.StdEncoding.EncodeToString(der[:len(der)-1]) + ":", false},
		"no certificate":               {":AAAA:", false},
		"a private key":                {url.PathEscape(strings.ReplaceAll(text, "CERTIFICATE", "PRIVATE KEY")), false},
		"two certificates":             {url.PathEscape(text + text), false},
		"text before":                  {url.PathEscape("x\n" + text), false},
		"text behind":                  {url.PathEscape(text + "x"), false},
		"a bad escape":                 {escaped + "%", false},
		"giant":                        {":" + strings.Repeat("A", maxForwardedCertificate) + ":", false},
	} {
		got, err := parseForwardedCertificate(row.value)
		if row.good && (err != nil || !bytes.Equal(got, der)) || !row.good && (!errors.Is(err, errForwardedCertificate) || got != nil) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

// FuzzForwardedCertificate: whatever a proxy forwards, it is one certificate, or refused.
func FuzzForwardedCertificate(f *testing.F) {
	der := certificateForTest(f)
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	f.Add(":" + base64.StdEncoding.EncodeToString(der) + ":")
	f.Add(url.QueryEscape(string(text)))
	f.Add(url.PathEscape(string(text) + string(text)))
	f.Add(":AAAA:")
	f.Add("-----BEGIN CERTIFICATE-----")
	f.Fuzz(func(t *testing.T, value string) {
		got, err := parseForwardedCertificate(value)
		if err != nil {
			if got != nil || !errors.Is(err, errForwardedCertificate) {
				t.Errorf("got %d bytes, %v", len(got), err)
			}
			return
		}
		if c, err := x509.ParseCertificate(got); err != nil || !bytes.Equal(c.Raw, got) {
			t.Errorf("what was read is no certificate: %v", err)
		}
		again, err := parseForwardedCertificate(":" + base64.StdEncoding.EncodeToString(got) + ":")
		if err != nil || !bytes.Equal(again, got) {
			t.Errorf("it is another one when written again: %v", err)
		}
	})
}

// FuzzBinding: a cnf that is there always binds, and to nothing that it does not have.
func FuzzBinding(f *testing.F) {
	jkt := strings.Repeat("A", 43)
	for _, cnf := range []string{`{}`, `null`, `[]`, `"x"`, `{"jkt":"` + jkt + `"}`, `{"x5t#S256":"` + jkt + `"}`, `{"jkt":"` + jkt + `","jku":"x"}`, `{"jkt":""}`, `{"jkt":1}`, `{"jkt":"` + jkt + `","jkt":"` + jkt + `"}`, `{"\u006akt":"` + jkt + `"}`} {
		f.Add(cnf)
	}
	f.Fuzz(func(t *testing.T, cnf string) {
		b := bindingOf(cnf)
		switch {
		case cnf == "":
		case b == nil:
			t.Fatalf("%q binds to nothing", cnf)
		case !b.other && b.key == "" && b.certificate == "":
			t.Errorf("%q can be shown with nothing", cnf)
		case !b.other && !strings.Contains(cnf, b.key) && !strings.Contains(cnf, `\`):
			t.Errorf("%q binds to the key %q", cnf, b.key)
		}
		if b != nil {
			if c := b.copied(); c.key != b.key || c.certificate != b.certificate || c.other != b.other {
				t.Errorf("the copy of %+v is %+v", b, c)
			}
		}
	})
}
