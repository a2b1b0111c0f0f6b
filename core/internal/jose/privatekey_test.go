package jose

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"
)

func pemOf(label string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}))
}

func TestParseRSAPrivateKey(t *testing.T) {
	t.Parallel()
	pkcs1 := pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey()))
	pkcs8 := pemOf("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(rsaKey())))
	for name, as := range map[string]func(string) string{
		"as it is":                 func(s string) string { return s },
		"escaped":                  func(s string) string { return strings.ReplaceAll(s, "\n", `\n`) },
		"escaped, CRLF":            func(s string) string { return strings.ReplaceAll(s, "\n", `\r\n`) },
		"escaped and broken":       func(s string) string { return strings.ReplaceAll(s, "\n", "\\n\n") },
		"CRLF":                     func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") },
		"one line":                 func(s string) string { return strings.ReplaceAll(s, "\n", "") },
		"one line with spaces":     func(s string) string { return strings.ReplaceAll(s, "\n", " ") },
		"quoted":                   func(s string) string { return `"` + strings.ReplaceAll(s, "\n", `\n`) + `"` },
		"in single quotes":         func(s string) string { return "'" + s + "'" },
		"blank lines":              func(s string) string { return "\n\n" + strings.ReplaceAll(s, "\n", "\n\n") + "\n" },
		"indented":                 func(s string) string { return strings.ReplaceAll(s, "\n", "\n    ") },
		"no line break at the end": strings.TrimSpace,
	} {
		for form, text := range map[string]string{"PKCS#1": pkcs1, "PKCS#8": pkcs8} {
			key, err := ParseRSAPrivateKey(as(text))
			if err != nil || !key.Equal(rsaKey()) {
				t.Errorf("%s %s: %v", form, name, err)
			}
		}
	}
}

func TestParseRSAPrivateKeyRefuses(t *testing.T) {
	t.Parallel()
	pkcs1 := pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey()))
	weak := must(rsa.GenerateKey(rand.Reader, 1024))
	for name, row := range map[string]struct{ text, want string }{
		"empty":             {"", "empty"},
		"blank":             {" \\n\n", "empty"},
		"no PEM":            {"s3cret-value", "not PEM"},
		"base64 alone":      {base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PrivateKey(rsaKey())), "not PEM"},
		"a path":            {"/etc/keys/sgid.pem", "not PEM"},
		"no end":            {strings.Split(pkcs1, "-----END")[0], "not PEM"},
		"another end":       {strings.ReplaceAll(pkcs1, "END RSA", "END DSA"), "not PEM"},
		"cut short":         {pkcs1[:100] + pkcs1[165:], "PKCS#1"},
		"not base64":        {"-----BEGIN PRIVATE KEY-----\ns3cret-value!\n-----END PRIVATE KEY-----", "base64"},
		"two keys":          {pkcs1 + pkcs1, "more than one"},
		"public, PKIX":      {pemOf("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(&rsaKey().PublicKey))), "public key"},
		"public, PKCS#1":    {pemOf("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&rsaKey().PublicKey)), "public key"},
		"a certificate":     {pemOf("CERTIFICATE", []byte{1}), "certificate"},
		"EC, SEC 1":         {pemOf("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(p256Key()))), "EC PRIVATE KEY"},
		"EC, PKCS#8":        {pemOf("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(p256Key()))), "EC key"},
		"Ed25519":           {pemOf("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(edwards()))), "Ed25519"},
		"encrypted, PKCS#8": {pemOf("ENCRYPTED PRIVATE KEY", []byte{1}), "passphrase"},
		"encrypted, PKCS#1": {"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----", "passphrase"},
		"OpenSSH":           {pemOf("OPENSSH PRIVATE KEY", []byte{1}), "OPENSSH PRIVATE KEY"},
		"a forged label":    {"-----BEGIN a\nlevel=INFO-----AAAA-----END a\nlevel=INFO-----", `"alevel=INFO"`},
		"wrong label":       {pemOf("PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey())), "PKCS#8"},
		"wrong label too":   {pemOf("RSA PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(rsaKey()))), "PKCS#1"},
		"1024 bits":         {pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(weak)), "1024 bits"},
	} {
		key, err := ParseRSAPrivateKey(row.text)
		if key != nil || !holds(err, row.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, row.want)
		}
		if holds(err, "s3cret") || holds(err, "MII") {
			t.Errorf("%s: the error holds the text: %v", name, err)
		}
	}
}

func FuzzParseRSAPrivateKey(f *testing.F) {
	f.Add("-----BEGIN PRIVATE KEY-----AAAA-----END PRIVATE KEY-----")
	f.Add(`"-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----"`)
	f.Fuzz(func(t *testing.T, text string) {
		if key, err := ParseRSAPrivateKey(text); (key == nil) == (err == nil) {
			t.Errorf("%v, %v", key, err)
		}
	})
}
