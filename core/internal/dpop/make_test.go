package dpop

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"fmt"
	"log/slog"
	"testing"

	"github.com/signward/idserver-go/core/internal/jose"
)

func newKey(t testing.TB) *Key {
	t.Helper()
	key, err := NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestMake(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	r := rules()
	r.URL, r.AccessToken, r.Thumbprint = "https://server.example/me?a=b", "token", key.Thumbprint()
	proof, err := Make(key, Proof{Method: "POST", URL: "https://server.example/me?secret=1#x", AccessToken: "token", Nonce: "n\"1", ID: "once", Now: now})
	if err != nil {
		t.Fatal(err)
	}
	if c, err := Check(proof, r); err != nil || c.ID != "once" || c.Nonce != "n\"1" || !c.Issued.Equal(now) || c.Thumbprint != key.Thumbprint() {
		t.Errorf("got %+v, %v", c, err)
	}
	m, err := jose.Parse(proof)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"jti":"once","htm":"POST","htu":"https://server.example/me","nonce":"n\"1","iat":1893499200,"exp":1893499260,"ath":"` + Hash("token") + `"}`
	if string(m.Payload) != want {
		t.Errorf("the claims are %s, want %s", m.Payload, want)
	}
	if bytes.Contains(m.Payload, []byte("secret")) {
		t.Error("the query is in the proof")
	}
}

func TestKeyComesBack(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	d, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseKey(d)
	if err != nil || again.Thumbprint() != key.Thumbprint() {
		t.Errorf("the key is another one, %v", err)
	}
	for name, d := range map[string][]byte{"nothing": nil, "short": d[1:], "long": append(d, 0), "zero": make([]byte, 32), "out of range": bytes.Repeat([]byte{255}, 32)} {
		if _, err := ParseKey(d); err == nil {
			t.Errorf("%s: a key", name)
		}
	}
	if _, err := NewKey(bytes.NewReader(nil)); err == nil {
		t.Error("a key without randomness")
	}
	one, err := NewKey(bytes.NewReader(d))
	if err != nil || one.Thumbprint() != key.Thumbprint() {
		t.Errorf("a key is a function of the random bytes, %v", err)
	}
}

func TestKeyPrintsNothing(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	for name, text := range map[string]string{
		"%v": fmt.Sprintf("%v", key), "%+v": fmt.Sprintf("%+v", key), "%#v": fmt.Sprintf("%#v", key), "slog": slog.AnyValue(key).Resolve().String(),
	} {
		if text != "dpop.Key{…}" {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// A proof costs at most twelve allocations more than Go's own signature.
func TestAllocations(t *testing.T) {
	key := newKey(t)
	digest := bytes.Repeat([]byte{1}, 32)
	sign := testing.AllocsPerRun(50, func() {
		if _, err := key.private.Sign(rand.Reader, digest, crypto.SHA256); err != nil {
			t.Fatal(err)
		}
	})
	proof := testing.AllocsPerRun(50, func() {
		if _, err := Make(key, Proof{Method: "GET", URL: "https://server.example/me?a=b", AccessToken: "token", Nonce: "nonce", ID: "once", Now: now}); err != nil {
			t.Fatal(err)
		}
	})
	if proof > sign+12 {
		t.Errorf("a proof allocates %v times, and Go's signature %v", proof, sign)
	}
	t.Logf("sign %v, proof %v", sign, proof)
}
