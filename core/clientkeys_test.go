package idserver_test

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwe"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// The client's keys of all tests.
var (
	signP256  = sync.OnceValue(func() *ecdsa.PrivateKey { return newEC(elliptic.P256()) })
	signP384  = sync.OnceValue(func() *ecdsa.PrivateKey { return newEC(elliptic.P384()) })
	signRSA   = sync.OnceValue(func() *rsa.PrivateKey { return mustKey(rsa.GenerateKey(rand.Reader, 2048)) })
	signEd    = sync.OnceValue(func() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)) })
	openP256  = sync.OnceValue(func() *ecdsa.PrivateKey { return newEC(elliptic.P256()) })
	openP521  = sync.OnceValue(func() *ecdsa.PrivateKey { return newEC(elliptic.P521()) })
	signedFor = sync.OnceValue(func() *x509.Certificate { return certificateFor(signP256()) })
)

func newEC(curve elliptic.Curve) *ecdsa.PrivateKey {
	return mustKey(ecdsa.GenerateKey(curve, rand.Reader))
}

func mustKey[K any](key K, err error) K {
	if err != nil {
		panic(err)
	}
	return key
}

func certificateFor(key crypto.Signer) *x509.Certificate {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC)}
	return mustKey(x509.ParseCertificate(mustKey(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))))
}

// withKeys is an application that authenticates with keys, and its registration at the provider.
func withKeys(t *testing.T, w *world, keys []idserver.ClientKey, edit ...func(*idserver.Config)) *idserver.Client {
	t.Helper()
	client := w.client(t, append([]func(*idserver.Config){func(c *idserver.Config) { c.ClientSecret, c.ClientKeys = "", keys }}, edit...)...)
	w.provider.AddClient(idtest.Client{ID: idtest.ExampleClient, JWKS: client.PublicKeys(), AnyLoopbackRedirect: true})
	return client
}

type publicSet struct{ Keys []map[string]any }

func publicKeys(t *testing.T, client *idserver.Client) (set publicSet) {
	t.Helper()
	if err := json.Unmarshal(client.PublicKeys(), &set); err != nil {
		t.Fatal(err)
	}
	return set
}

func TestPublicKeys(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		if w.PublicKeys() != nil {
			t.Errorf("without keys: %s", w.PublicKeys())
		}
		client := withKeys(t, w, []idserver.ClientKey{
			{ID: "s1", Private: signP256()}, {Private: signRSA(), Use: "sig"}, {ID: "s3", Private: signEd()},
			{ID: "e2", Private: openP256(), Use: "enc"}, {ID: "e1", Private: openP521(), Algorithm: "ECDH-ES+A128KW"},
		})
		set := publicKeys(t, client)
		var ids []any
		for _, key := range set.Keys {
			ids = append(ids, key["kid"])
			for _, private := range []string{"d", "p", "q", "k"} {
				if key[private] != nil {
					t.Errorf("a private part is published: %v", key)
				}
			}
		}
		if len(ids) != 4 || ids[0] != "s1" || ids[2] != "s3" || ids[3] != "e2" {
			t.Errorf("published are %v, want the keys that sign and the first that decrypts", ids)
		}
		if len(ids[1].(string)) != 43 {
			t.Errorf("the kid of a key without one is %v, want its thumbprint", ids[1])
		}
		for i, want := range [][2]string{{"sig", "ES256"}, {"sig", "PS256"}, {"sig", "EdDSA"}, {"enc", "ECDH-ES+A256KW"}} {
			if key := set.Keys[i]; key["use"] != want[0] || key["alg"] != want[1] {
				t.Errorf("key %d is %v", i, key)
			}
		}
		published := client.PublicKeys()
		published[0] = 'x' // the caller's own copy
		if client.PublicKeys()[0] != '{' {
			t.Error("PublicKeys hands out its own memory")
		}
	})
}

// Keys of the wrong kind: New names each, and no error holds a part of one.
func TestClientKeysRefused(t *testing.T) {
	weak := mustKey(rsa.GenerateKey(rand.Reader, 1024))
	x25519 := mustKey(ecdh.X25519().GenerateKey(rand.Reader))
	for name, row := range map[string]struct {
		keys []idserver.ClientKey
		want []string
	}{
		"a secret":             {[]idserver.ClientKey{{ID: "k", Private: []byte("s3cret")}}, []string{"ClientKeys", "IDSERVER_CLIENT_KEYS", `[0] (kid "k")`, "[]uint8", "does not sign"}},
		"nothing":              {[]idserver.ClientKey{{}}, []string{"does not sign"}},
		"a public key":         {[]idserver.ClientKey{{Private: &signP256().PublicKey}}, []string{"*ecdsa.PublicKey", "does not sign"}},
		"RSA 1024":             {[]idserver.ClientKey{{Private: weak}}, []string{"1024 bits"}},
		"P-224":                {[]idserver.ClientKey{{Private: newEC(elliptic.P224())}}, []string{"P-256"}},
		"HS256":                {[]idserver.ClientKey{{Private: signP256(), Algorithm: "HS256"}}, []string{"HS256", "ES256"}},
		"an unfit algorithm":   {[]idserver.ClientKey{{Private: signP256(), Algorithm: "PS256"}}, []string{"PS256", "EC on P-256"}},
		"an unknown use":       {[]idserver.ClientKey{{Private: signP256(), Use: "SIG"}}, []string{`"SIG"`, "sig or enc"}},
		"Ed25519 to decrypt":   {[]idserver.ClientKey{{Private: signEd(), Use: "enc"}}, []string{"does not decrypt"}},
		"X25519":               {[]idserver.ClientKey{{Private: x25519, Use: "enc"}}, []string{"P-256"}},
		"RSA1_5":               {[]idserver.ClientKey{{Private: signRSA(), Use: "enc", Algorithm: "RSA1_5"}}, []string{"RSA1_5"}},
		"a kid twice":          {[]idserver.ClientKey{{ID: "k", Private: signP256()}, {ID: "k", Private: signP384()}}, []string{"[1]", "same kid"}},
		"a kid twice, of enc":  {[]idserver.ClientKey{{ID: "k", Private: signP256()}, {ID: "k", Private: openP256(), Use: "enc"}}, []string{"[1]", "same kid"}},
		"a key twice":          {[]idserver.ClientKey{{ID: "1", Private: signP256()}, {ID: "2", Private: signP256()}}, []string{"[1]", "twice"}},
		"a key for both uses":  {[]idserver.ClientKey{{ID: "1", Private: signP256()}, {ID: "2", Private: signP256(), Use: "enc"}}, []string{"[1]", "twice"}},
		"a kid not in Unicode": {[]idserver.ClientKey{{ID: "\xff", Private: signP256()}}, []string{"UTF-8"}},
		"another certificate":  {[]idserver.ClientKey{{Private: signP384(), Certificate: signedFor()}}, []string{"certificate is of another key"}},
		"no client":            {nil, []string{"ClientID", "ClientKeys"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := goodConfig()
			cfg.ClientSecret, cfg.ClientKeys = "", row.keys
			if row.keys == nil {
				cfg = idserver.Config{Authority: cfg.Authority, ClientKeys: []idserver.ClientKey{{Private: signP256()}}}
			}
			_, err := idserver.New(cfg)
			if err == nil {
				t.Fatal("it was accepted")
			}
			for _, want := range row.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q, want one with %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q", err)
			}
		})
	}
}

func TestParseClientKeys(t *testing.T) {
	t.Parallel()
	der := mustKey(x509.MarshalECPrivateKey(signP256()))
	text := string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signedFor().Raw}))
	for name, text := range map[string]string{
		"PEM": text, "with \\n": strings.ReplaceAll(text, "\n", `\n`), "in base64": base64.StdEncoding.EncodeToString([]byte(text)),
	} {
		keys, err := idserver.ParseClientKeys(text)
		if err != nil || len(keys) != 1 || !signP256().Equal(keys[0].Private) || !signedFor().Equal(keys[0].Certificate) {
			t.Errorf("%s: %v, %v", name, keys, err)
		}
	}
	set := `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"s1","use":"sig","alg":"EdDSA","x":"O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik","d":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]}`
	keys, err := idserver.ParseClientKeys(set)
	if err != nil || len(keys) != 1 || keys[0].ID != "s1" || keys[0].Use != "sig" || keys[0].Algorithm != "EdDSA" {
		t.Errorf("a set: %v, %v", keys, err)
	}
	for _, text := range []string{"", "s3cret", `{"keys":[{"kty":"oct","k":"s3cret"}]}`} {
		if keys, err := idserver.ParseClientKeys(text); keys != nil || !errors.Is(err, idserver.Err) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: %v, %v", text, keys, err)
		}
	}
}

// An ID token that is encrypted for the application, at sign-in and at a refresh; and with a key that decrypts, one that is not is
// refused.
func TestEncryptedIDToken(t *testing.T) {
	keys := []idserver.ClientKey{
		{ID: "s1", Private: signP256()}, {ID: "e1", Private: openP256(), Use: "enc"}, {ID: "e0", Private: openP521(), Use: "enc"},
	}
	for name, row := range map[string]struct {
		keys     []idserver.ClientKey
		register func(*idtest.Client, *idserver.Client)
		edit     func(map[string]any)
		want     idserver.Reason // "": it is accepted
	}{
		"A256CBC-HS512": {keys, func(c *idtest.Client, _ *idserver.Client) { c.IDTokenEncryption = "A256CBC-HS512" }, nil, ""},
		"A128GCM":       {keys, func(c *idtest.Client, _ *idserver.Client) { c.IDTokenEncryption = "A128GCM" }, nil, ""},
		"in a KMS": {[]idserver.ClientKey{{Private: signP256()}, {Private: agrees{mustKey(openP256().ECDH()), nil}, Use: "enc"}}, func(c *idtest.Client, _ *idserver.Client) {
			c.IDTokenEncryption = "A256GCM"
		}, nil, ""},
		"RSA-OAEP-256 is published for RSA": {[]idserver.ClientKey{{Private: signP256()}, {Private: signRSA(), Use: "enc"}}, nil, nil, idserver.ReasonEncryption},
		"with the key before": {keys, func(c *idtest.Client, client *idserver.Client) {
			c.IDTokenEncryption, c.JWKS = "A256GCM", client.PublicKeys()
		}, nil, ""},
		"not encrypted": {keys, nil, nil, idserver.ReasonEncryption},
		"for a stranger": {keys, func(c *idtest.Client, _ *idserver.Client) { c.IDTokenEncryption = "A256GCM" }, func(m map[string]any) {
			m["id_token"] = "eyJhbGciOiJFQ0RILUVTIiwiZW5jIjoiQTI1NkdDTSIsImtpZCI6InN0cmFuZ2VyIn0..AAAAAAAAAAAAAAAA.AA.AAAAAAAAAAAAAAAAAAAAAA"
		}, idserver.ReasonEncryption},
		"altered": {keys, func(c *idtest.Client, _ *idserver.Client) { c.IDTokenEncryption = "A256GCM" }, func(m map[string]any) {
			parts := strings.Split(m["id_token"].(string), ".")
			parts[3] = strings.Map(func(r rune) rune { return map[bool]rune{true: 'B', false: 'A'}[r == 'A'] }, parts[3])
			m["id_token"] = strings.Join(parts, ".")
		}, idserver.ReasonEncryption},
		"no key to decrypt": {keys[:1], nil, func(m map[string]any) { m["id_token"] = "a.b.c.d.e" }, idserver.ReasonMalformed},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			client := withKeys(t, w, row.keys)
			registered := idtest.Client{ID: idtest.ExampleClient, JWKS: client.PublicKeys(), AnyLoopbackRedirect: true}
			if name == "with the key before" { // which the provider still has
				before := w.client(t, func(c *idserver.Config) { c.ClientSecret, c.ClientKeys = "", []idserver.ClientKey{keys[0], keys[2]} })
				row.register(&registered, before)
			} else if row.register != nil {
				row.register(&registered, client)
			}
			w.provider.AddClient(registered)
			w.provider.SetTokenResponse(row.edit)
			request, code := authorizedCode(t, w, client, "alice")
			tokens, err := client.ExchangeCode(t.Context(), code, request)
			if row.want != "" {
				refused(t, err, row.want)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if strings.Count(tokens.IDToken, ".") != 2 {
				t.Error("the ID token that is kept is not the signed one")
			}
			next, err := client.RefreshToken(t.Context(), tokens)
			if err != nil || strings.Count(next.IDToken, ".") != 2 || next.User.Email != "alice@example.test" {
				t.Errorf("the refresh: %v, %v", next, err)
			}
		}))
	}
}

// badlyEncrypted are ways to spoil an encrypted token, or to make another one of what is in it.
var badlyEncrypted = map[string]func(t *testing.T, token string) string{
	"RSA1_5": func(t *testing.T, token string) string {
		return encryptedBy(t, jwa.RSA1_5, &signRSA().PublicKey, "e2", token)
	},
	"RSA1_5 in the header": headerMember("alg", "RSA1_5"),
	"zip":                  headerMember("zip", "DEF"),
	"crit":                 headerMember("crit", []string{"exp"}),
	"p2c":                  headerMember("p2c", 1<<31-1),
	"a password, p2c": func(t *testing.T, token string) string {
		return headerMember("p2c", 1<<31-1)(t, headerMember("alg", "PBES2-HS512+A256KW")(t, token))
	},
	"a point off the curve":  headerMember("epk", map[string]string{"kty": "EC", "crv": "P-256", "x": strings.Repeat("A", 43), "y": strings.Repeat("A", 42) + "E"}),
	"no epk":                 headerMember("epk", nil),
	"another kid":            headerMember("kid", "e9"),
	"the kid of another key": headerMember("kid", "e2"),
	"an empty key":           func(_ *testing.T, token string) string { return withPart(token, 1, "") },
	"a short key":            func(_ *testing.T, token string) string { return withPart(token, 1, "AAAA") },
	"an empty ciphertext":    func(_ *testing.T, token string) string { return withPart(token, 3, "") },
	"two levels": func(t *testing.T, token string) string {
		return encryptedBy(t, jwa.ECDH_ES_A256KW, &openP256().PublicKey, "e1", token)
	},
	"the claims in place of it": func(t *testing.T, _ string) string {
		return encryptedBy(t, jwa.ECDH_ES_A256KW, &openP256().PublicKey, "e1", `{"sub":"alice"}`)
	},
}

func encryptedBy(t *testing.T, algorithm jwa.KeyEncryptionAlgorithm, key any, kid, inner string) string {
	t.Helper()
	h := jwe.NewHeaders()
	if err := h.Set("kid", kid); err != nil {
		t.Fatal(err)
	}
	compact, err := jwe.Encrypt([]byte(inner), jwe.WithKey(algorithm, key), jwe.WithContentEncryption(jwa.A256GCM), jwe.WithProtectedHeaders(h))
	if err != nil {
		t.Fatal(err)
	}
	return string(compact)
}

// headerMember sets a member of the header of a token; nil removes it.
func headerMember(name string, value any) func(*testing.T, string) string {
	return func(t *testing.T, token string) string {
		t.Helper()
		first, rest, _ := strings.Cut(token, ".")
		var members map[string]any
		text, err := base64.RawURLEncoding.DecodeString(first)
		if err = errors.Join(err, json.Unmarshal(text, &members)); err != nil {
			t.Fatal(err)
		}
		if members[name] = value; value == nil {
			delete(members, name)
		}
		if text, err = json.Marshal(members); err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(text) + "." + rest
	}
}

func withPart(token string, i int, value string) string {
	parts := strings.Split(token, ".")
	parts[i] = value
	return strings.Join(parts, ".")
}

// Whatever is wrong with the encryption: no session and no claim comes of it, the reason is in the log, and the answer is the same.
func TestBadlyEncrypted(t *testing.T) {
	keys := []idserver.ClientKey{
		{ID: "s1", Private: signP256()}, {ID: "e1", Private: openP256(), Use: "enc"}, {ID: "e2", Private: signRSA(), Use: "enc"},
	}
	begin := func(t *testing.T) (*world, *idserver.Client) {
		w := newWorld(t)
		client := withKeys(t, w, keys)
		w.provider.AddClient(idtest.Client{
			ID: idtest.ExampleClient, JWKS: client.PublicKeys(), AnyLoopbackRedirect: true, IDTokenEncryption: "A256CBC-HS512", UserInfoEncryption: "A256GCM",
		})
		return w, client
	}
	for name, spoil := range badlyEncrypted {
		t.Run(name, inBubble(func(t *testing.T) {
			w, client := begin(t)
			w.provider.SetTokenResponse(func(m map[string]any) { m["id_token"] = spoil(t, m["id_token"].(string)) })
			b := &browser{t, client, map[string]string{}}
			a := b.route("GET", w.authorize(t, b.begin("/auth/login"), "alice"), navigates)
			if a.Status != http.StatusBadGateway || code(t, a) != idserver.CodeIDTokenRefused || b.cookies["__Host-idserver"] != "" {
				t.Errorf("the ID token: %d %s", a.Status, code(t, a))
			}
			if log := w.log.String(); !strings.Contains(log, "not valid (encryption)") {
				t.Errorf("the log: %s", log)
			}
			if n := w.provider.Requests(idtest.UserInfo); n != 0 {
				t.Errorf("userinfo was asked %d times", n)
			}

			w.provider.SetTokenResponse(nil)
			_, tokens := signInByHand(t, w, client, "alice")
			good := encryptedBy(t, jwa.ECDH_ES_A256KW, &openP256().PublicKey, "e1", w.provider.Sign(map[string]any{"sub": tokens.User.Subject, "email": "alice@evil.example"}))
			answer := func(body string) (*idserver.User, error) {
				w.provider.Fail(idtest.UserInfo, idtest.Fault{Body: body, ContentType: "application/jwt"})
				return client.UserInfoOf(t.Context(), tokens)
			}
			if u, err := answer(good); err != nil || u.Email != "alice@evil.example" {
				t.Fatalf("userinfo that is good: %v, %v", u, err)
			}
			if u, err := answer(spoil(t, good)); u != nil || !errors.As(err, new(*idserver.UserInfoError)) || errors.Is(err, idserver.ErrUnavailable) {
				t.Errorf("userinfo: %v, %v", u, err)
			}
		}))
	}
}

// agrees is a key in a KMS that decrypts.
type agrees struct {
	key *ecdh.PrivateKey
	err error
}

func (a agrees) Public() crypto.PublicKey { return a.key.Public() }
func (a agrees) ECDH(remote *ecdh.PublicKey) ([]byte, error) {
	if a.err != nil {
		return nil, a.err
	}
	return a.key.ECDH(remote)
}

// signs is a key in a KMS that signs.
type signs struct {
	key crypto.Signer
	err error
}

func (s signs) Public() crypto.PublicKey { return s.key.Public() }
func (s signs) Sign(random io.Reader, digest []byte, options crypto.SignerOpts) ([]byte, error) {
	if s.err != nil {
		return nil, s.err
	}
	return s.key.Sign(random, digest, options)
}

// A KMS that is away is no verdict: 503, and what it says is not in the answer or the log.
func TestKeysAway(t *testing.T) {
	away := errors.New("arn:kms:s3cret-key is away")
	for name, keys := range map[string][]idserver.ClientKey{
		"to sign":    {{Private: signs{signP256(), away}}},
		"to decrypt": {{Private: signP256()}, {Private: agrees{mustKey(openP256().ECDH()), away}, Use: "enc"}},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			client := withKeys(t, w, keys)
			registered := idtest.Client{ID: idtest.ExampleClient, JWKS: client.PublicKeys(), AnyLoopbackRedirect: true}
			if len(keys) > 1 {
				registered.IDTokenEncryption = "A256GCM"
			}
			w.provider.AddClient(registered)
			b := &browser{t, client, map[string]string{}}
			a := b.route("GET", w.authorize(t, b.begin("/auth/login"), "alice"), navigates)
			if a.Status != http.StatusServiceUnavailable {
				t.Errorf("the answer is %d %s", a.Status, a.Body)
			}
			if log := w.log.String(); strings.Contains(log+string(a.Body), "s3cret") || !strings.Contains(log, "private key did not do its work") {
				t.Errorf("the log: %s", log)
			}
		}))
	}
}
