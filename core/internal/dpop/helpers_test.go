package dpop

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signward/idserver-go/core/internal/jose"
)

var now = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

type members = map[string]any

var ownKey = sync.OnceValue(func() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
})

// forge makes a proof as another program might, with any header and claims: nil takes a member away.
func forge(t testing.TB, header, claims members) string {
	t.Helper()
	h := members{"typ": Type, "alg": "ES256", "jwk": json.RawMessage(jose.PublicJWK(ownKey().Public()))}
	c := members{"jti": "once", "htm": "POST", "htu": "https://server.example/token", "iat": now.Unix()}
	for _, edit := range []struct{ to, of members }{{h, header}, {c, claims}} {
		maps.Copy(edit.to, edit.of)
		maps.DeleteFunc(edit.to, func(_ string, v any) bool { return v == nil })
	}
	part := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	return signed(t, part(h)+"."+part(c))
}

// forgeText makes a proof with any text as its claims.
func forgeText(t testing.TB, claims string) string {
	t.Helper()
	header, _, _ := strings.Cut(forge(t, nil, nil), ".")
	return signed(t, header+"."+base64.RawURLEncoding.EncodeToString([]byte(claims)))
}

func signed(t testing.TB, signed string) string {
	t.Helper()
	digest := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, ownKey(), digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

func rules() Rules {
	return Rules{
		Method: "POST", URL: "https://server.example/token", Algorithms: []string{"ES256", "PS256", "EdDSA"}, Now: now,
		MaxAge: time.Minute, MaxAhead: 10 * time.Second,
	}
}
