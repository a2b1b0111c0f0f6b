package jose

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"
)

// privateJWK is a private key as a JSON Web Key.
func privateJWK(key crypto.Signer) webKey {
	k := jwkOf(key.Public())
	switch key := key.(type) {
	case *rsa.PrivateKey:
		return k.with("d", b64(key.D.Bytes())).with("p", b64(key.Primes[0].Bytes())).with("q", b64(key.Primes[1].Bytes()))
	case *ecdsa.PrivateKey:
		return k.with("d", b64(must(key.Bytes())))
	case ed25519.PrivateKey:
		return k.with("d", b64(key.Seed()))
	}
	panic("not a key of these tests")
}

func certificate(key crypto.Signer) []byte {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "app"}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0)}
	return must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
}

func TestParsePrivateKeys(t *testing.T) {
	t.Parallel()
	set := string(setOf(
		privateJWK(p256Key()).with("kid", "s1").with("use", "sig").with("alg", "ES256"),
		privateJWK(p384Key()).with("kid", "e1").with("use", "enc").with("alg", "ECDH-ES+A256KW"),
		privateJWK(rsaKey()), privateJWK(edwards()), privateJWK(p521Key()),
	))
	indented := string(must(json.MarshalIndent(json.RawMessage(set), "", "  ")))
	pem := pemOf("EC PARAMETERS", []byte{6, 8, 42, 134, 72, 206, 61, 3, 1, 7}) +
		pemOf("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(p256Key()))) +
		pemOf("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(p384Key()))) +
		pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey())) +
		pemOf("CERTIFICATE", certificate(p384Key())) +
		pemOf("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(edwards()))) +
		pemOf("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(p521Key())))
	want := []crypto.Signer{p256Key(), p384Key(), rsaKey(), edwards(), p521Key()}

	escape := strings.NewReplacer(`"`, `\"`, "\n", `\n`)
	for name, as := range map[string]func(string) string{
		"as it is":           func(s string) string { return s },
		"quoted":             func(s string) string { return `"` + strings.ReplaceAll(s, "\n", `\n`) + `"` },
		"escaped":            func(s string) string { return `"` + escape.Replace(s) + `"` },
		"in single quotes":   func(s string) string { return "'" + s + "'\n" },
		"base64":             func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
		"base64, no padding": func(s string) string { return base64.RawStdEncoding.EncodeToString([]byte(s)) },
		"base64url":          func(s string) string { return base64.URLEncoding.EncodeToString([]byte(s)) },
		"base64 in lines": func(s string) string {
			b := base64.StdEncoding.EncodeToString([]byte(s))
			return b[:76] + "\n" + b[76:] + "\n"
		},
		"base64 with \\n": func(s string) string {
			b := base64.StdEncoding.EncodeToString([]byte(s))
			return b[:76] + `\n` + b[76:]
		},
		"base64, quoted":      func(s string) string { return `"` + base64.StdEncoding.EncodeToString([]byte(s)) + `"` },
		"white space around":  func(s string) string { return "\n\t " + s + " \r\n" },
		"a byte order mark":   func(s string) string { return "\ufeff" + s },
		"escaped line breaks": func(s string) string { return strings.ReplaceAll(s, "\n", `\r\n`) },
		"CRLF":                func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") },
	} {
		for form, text := range map[string]string{"a set": set, "an indented set": indented, "PEM": pem} {
			keys, err := ParsePrivateKeys(as(text))
			if err != nil || len(keys) != len(want) {
				t.Errorf("%s %s: %d keys, %v", form, name, len(keys), err)
				continue
			}
			for i, key := range keys {
				if !key.Private.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(want[i].Public()) {
					t.Errorf("%s %s: key %d is another", form, name, i)
				}
				if form != "PEM" && (i == 0) != (key.ID == "s1" && key.Use == "sig" && key.Algorithm == "ES256") {
					t.Errorf("%s %s: key %d is %q %q %q", form, name, i, key.ID, key.Use, key.Algorithm)
				}
				if (key.Certificate != nil) != (form == "PEM" && i == 1) {
					t.Errorf("%s %s: the certificate of key %d", form, name, i)
				}
			}
		}
	}
	one := privateJWK(p256Key()).with("kid", "x").with("x5c", []string{base64.StdEncoding.EncodeToString(certificate(p256Key()))})
	if keys, err := ParsePrivateKeys(string(must(json.Marshal(one)))); err != nil || len(keys) != 1 || keys[0].ID != "x" || keys[0].Certificate == nil {
		t.Errorf("one key: %v, %v", keys, err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		if shown := fmt.Sprintf(verb, PrivateKey{ID: "x", Private: p256Key()}); shown != `jose.PrivateKey{ID: "x"}` {
			t.Errorf("%s", shown)
		}
	}
}

func TestParsePrivateKeysRefuses(t *testing.T) {
	t.Parallel()
	p256, rsa2048, ed := privateJWK(p256Key()), privateJWK(rsaKey()), privateJWK(edwards())
	weak := must(rsa.GenerateKey(rand.Reader, 1024))
	p224 := must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))
	text := func(k any) string { return string(must(json.Marshal(k))) }
	many := make([]any, maxPrivateKeys+1)
	for i := range many {
		many[i] = p256
	}
	der := must(x509.MarshalECPrivateKey(p256Key()))
	good := pemOf("EC PRIVATE KEY", der)
	for name, row := range map[string]struct{ text, want string }{
		"empty":                     {"", "empty"},
		"blank":                     {" \n", "empty"},
		"quotes alone":              {`""`, "empty"},
		"a path":                    {"/etc/keys/s3cret.pem", "neither"},
		"a word":                    {"s3cret-value!", "neither"},
		"base64 of a word":          {base64.StdEncoding.EncodeToString([]byte("s3cret-value!")), "neither"},
		"base64 of base64":          {base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte(text(p256))))), "neither"},
		"too long":                  {strings.Repeat("x", maxPrivateText+1), "longer"},
		"an empty object":           {"{}", "key 1: it is a public key"},
		"cut JSON":                  {text(p256)[:100], "not JSON"},
		"keys a string":             {`{"keys":"x"}`, "not an array"},
		"no keys":                   {`{"keys":[]}`, "no key in it"},
		"a null":                    {`{"keys":[null]}`, "key 1: it is not a JSON Web Key"},
		"many":                      {string(setOf(many...)), "has 33 keys"},
		"public":                    {text(jwkOf(p256Key().Public())), "public key"},
		"the second public":         {string(setOf(p256, jwkOf(p256Key().Public()))), "key 2: it is a public key"},
		"symmetric":                 {text(webKey{"kty": "oct", "k": "c2VjcmV0", "d": "x"}), "symmetric"},
		"kid a number":              {text(p256.with("kid", 1)), "not a JSON Web Key"},
		"d not base64url":           {text(p256.with("d", "!")), "not that of its public part"},
		"d short":                   {text(p256.with("d", b64(make([]byte, 31)))), "not that of its public part"},
		"d of another":              {text(p256.with("d", b64(append(make([]byte, 31), 7)))), "not that of its public part"},
		"d zero":                    {text(p256.with("d", b64(make([]byte, 32)))), "not that of its public part"},
		"a point off the curve":     {text(p256.with("y", p256["x"])), "not on it"},
		"P-224":                     {text(p256.with("crv", "P-224")), "understood"},
		"X25519":                    {text(ed.with("crv", "X25519")), "does not sign"},
		"Ed25519, d of another":     {text(ed.with("d", b64(append(make([]byte, 31), 7)))), "not that of its public part"},
		"Ed25519, d short":          {text(ed.with("d", "AA")), "not that of its public part"},
		"RSA without p":             {text(rsa2048.with("p", nil)), "prime factors"},
		"RSA, p of another":         {text(rsa2048.with("p", rsa2048["q"])), "not that of its public part"},
		"RSA, d of another":         {text(rsa2048.with("d", "AQ")), "not that of its public part"},
		"RSA 1024":                  {text(privateJWK(weak)), "1024 bits"},
		"x5c of another":            {text(p256.with("x5c", []string{base64.StdEncoding.EncodeToString(certificate(p384Key()))})), "x5c"},
		"x5c not a certificate":     {text(p256.with("x5c", []string{"AA=="})), "x5c"},
		"PEM, no end":               {strings.Split(good, "-----END")[0], "END is missing"},
		"PEM, breaks off":           {strings.TrimSuffix(good, "-----\n"), "breaks off"},
		"PEM, ends otherwise":       {strings.Replace(good, "END EC", "END", 1), "not PEM"},
		"PEM, not base64":           {strings.Replace(good, "M", "!", 1), "not"},
		"PEM, cut":                  {pemOf("EC PRIVATE KEY", der[:40]), "block 1: it is not the private key"},
		"PEM, P-224":                {pemOf("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(p224))), "unknown curve"},
		"PEM, RSA 1024":             {pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(weak)), "1024 bits"},
		"PEM, PKCS#8 as PKCS#1":     {pemOf("RSA PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(rsaKey()))), "first line"},
		"PEM, X25519":               {pemOf("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(must(ecdh.X25519().GenerateKey(rand.Reader))))), "does not sign"},
		"PEM, public":               {good + pemOf("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(p256Key().Public()))), "block 2: it is a public key"},
		"PEM, a certificate alone":  {pemOf("CERTIFICATE", certificate(p256Key())), "no private key"},
		"PEM, encrypted":            {pemOf("ENCRYPTED PRIVATE KEY", der), "passphrase"},
		"PEM, encrypted as of old":  {strings.Replace(good, "\n", "\nProc-Type: 4,ENCRYPTED\n\n", 1), "passphrase"},
		"PEM, of another kind":      {pemOf("CERTIFICATE REQUEST", der), "CERTIFICATE REQUEST"},
		"PEM, of OpenSSH":           {pemOf("OPENSSH PRIVATE KEY", der), "OPENSSH PRIVATE KEY"},
		"PEM, very many":            {strings.Repeat(pemOf("EC PARAMETERS", nil), 100), "64 blocks"},
		"PEM, parameters alone":     {pemOf("EC PARAMETERS", nil), "no private key"},
		"JSON with something after": {text(p256) + "x", "not JSON"},
	} {
		keys, err := ParsePrivateKeys(row.text)
		if keys != nil && name != "many" || !holds(err, row.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, row.want)
		}
		if holds(err, "s3cret") || holds(err, p256["d"].(string)[:12]) || holds(err, "MHc") {
			t.Errorf("%s: the error holds the text: %v", name, err)
		}
	}
}

// A text of keys gives keys that are good, or an error: nothing panics.
func FuzzParsePrivateKeys(f *testing.F) {
	f.Add(string(setOf(privateJWK(edwards()).with("kid", "1"))))
	f.Add(string(must(json.Marshal(privateJWK(edwards())))))
	f.Add(pemOf("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(edwards()))))
	f.Add(`"-----BEGIN EC PRIVATE KEY-----\nMIIB\n-----END EC PRIVATE KEY-----"`)
	f.Add(base64.StdEncoding.EncodeToString([]byte(`{"keys":[{"kty":"RSA","n":"AQ","e":"AQAB","d":"AQ","p":"AQ","q":"AQ"}]}`)))
	f.Add("-----BEGIN CERTIFICATE-----AAAA-----END CERTIFICATE-----")
	f.Add(`{"kty":"EC","crv":"P-256","x":"AA","y":"AA","d":"AA"}`)
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := ParsePrivateKeys(text)
		if (len(keys) == 0) == (err == nil) {
			t.Errorf("%d keys, %v", len(keys), err)
		}
		for _, key := range keys {
			if _, err := NewSigner(key.Private, ""); err != nil {
				t.Errorf("%v", err)
			}
		}
	})
}
