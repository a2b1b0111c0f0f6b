package seal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"strings"
	"sync"
	"testing"
)

var (
	one = strings.Repeat("1", MinSecret)
	two = strings.Repeat("2", MinSecret)
)

func ring(t testing.TB, application, first string, others ...string) *Ring {
	t.Helper()
	r, err := New(application, first, others...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func sealed(t testing.TB, r *Ring, purpose, plaintext string) string {
	t.Helper()
	s, err := r.Seal(rand.Reader, purpose, []byte(plaintext))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestOpen(t *testing.T) {
	value := sealed(t, ring(t, "app", one), "session", "alice")
	for name, row := range map[string]struct {
		ring    *Ring
		purpose string
		value   string
		ok, old bool
	}{
		"as sealed":              {ring(t, "app", one), "session", value, true, false},
		"rotated secret":         {ring(t, "app", two, one), "session", value, true, true},
		"secret gone":            {ring(t, "app", two), "session", value, false, false},
		"other application":      {ring(t, "other", one), "session", value, false, false},
		"other purpose":          {ring(t, "app", one), "login", value, false, false},
		"empty":                  {ring(t, "app", one), "session", "", false, false},
		"cut":                    {ring(t, "app", one), "session", value[:len(value)-4], false, false},
		"prefix alone":           {ring(t, "app", one), "session", value[:40], false, false},
		"longer":                 {ring(t, "app", one), "session", value + "AAAA", false, false},
		"not base64url":          {ring(t, "app", one), "session", "!" + value[1:], false, false},
		"other version":          {ring(t, "app", one), "session", "Ag" + value[2:], false, false},
		"other secret's key id":  {ring(t, "app", two, one), "session", value[:2] + "AAAAAA" + value[8:], false, false},
		"no secret of the value": {ring(t, "app", two, two), "session", value, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, old, err := row.ring.Open(row.purpose, row.value)
			if (err == nil) != row.ok || old != row.old || row.ok && string(got) != "alice" {
				t.Errorf("got %q, %v, %v, want ok %v, old %v", got, old, err, row.ok, row.old)
			}
		})
	}
}

// The key of a value is what HKDF says, of any purpose, and whoever asked before.
func TestKeyIsHKDF(t *testing.T) {
	r := ring(t, "app", one)
	for _, purpose := range []string{"", "session", strings.Repeat("long", 100), "session"} {
		sealed, err := r.SealBytes(rand.Reader, purpose, []byte("alice"))
		if err != nil {
			t.Fatal(err)
		}
		prk, err1 := hkdf.Extract(sha256.New, []byte(one), []byte("idserver-go seal v1\x00app"))
		key, err2 := hkdf.Expand(sha256.New, prk, string(sealed[:prefixLen])+purpose, keySize)
		block, err3 := aes.NewCipher(key)
		if err := errors.Join(err1, err2, err3); err != nil {
			t.Fatal(err)
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			t.Fatal(err)
		}
		if plaintext, err := aead.Open(nil, make([]byte, 12), sealed[prefixLen:], sealed[:prefixLen]); string(plaintext) != "alice" || err != nil {
			t.Errorf("for %.20q: %q, %v", purpose, plaintext, err)
		}
	}
}

// Scratch memory, of whatever size and with whatever in it, changes nothing but where the plaintext is.
func TestOpenIn(t *testing.T) {
	r := ring(t, "app", two, one)
	value := sealed(t, ring(t, "app", one), "session", "alice")
	for size := range 2 * len(value) {
		scratch := bytes.Repeat([]byte{0xff}, size)
		got, old, err := r.OpenIn(scratch, "session", value)
		if string(got) != "alice" || !old || err != nil {
			t.Fatalf("%d bytes: %q, %v, %v", size, got, old, err)
		}
		if shares := bytes.Contains(scratch, []byte("alice")); shares != (size >= encoding.DecodedLen(len(value))) {
			t.Errorf("%d bytes: the plaintext is in them: %v", size, shares)
		}
		if got, _, err := r.OpenIn(scratch, "login", value); err == nil {
			t.Errorf("another purpose: %q", got)
		}
	}
}

// The ids of two secrets may be the same: what one cannot open, the other may.
func TestSecretsWithOneID(t *testing.T) {
	other, r := ring(t, "app", one), ring(t, "app", two, one)
	other.secrets[0].id, r.secrets[1].id = r.secrets[0].id, r.secrets[0].id
	value := sealed(t, other, "session", "alice")
	for _, scratch := range [][]byte{nil, make([]byte, 200)} {
		if got, old, err := r.OpenIn(scratch, "session", value); string(got) != "alice" || !old || err != nil {
			t.Errorf("%q, %v, %v", got, old, err)
		}
	}
}

// What is opened by many at once is not mixed up.
func TestOpenConcurrently(t *testing.T) {
	r := ring(t, "app", one)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			purpose := strings.Repeat("p", i)
			value := sealed(t, r, purpose, purpose+" alice")
			for range 200 {
				if got, _, err := r.Open(purpose, value); string(got) != purpose+" alice" || err != nil {
					t.Errorf("%q, %v", got, err)
					return
				}
			}
		})
	}
	all.Wait()
}

func TestOpenRefusesEveryFlippedBit(t *testing.T) {
	r := ring(t, "app", one)
	raw, err := encoding.DecodeString(sealed(t, r, "session", "alice"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(raw) * 8 {
		altered := bytes.Clone(raw)
		altered[i/8] ^= 1 << (i % 8)
		if _, _, err := r.Open("session", encoding.EncodeToString(altered)); err == nil {
			t.Errorf("bit %d flipped, and opened", i)
		}
	}
}

func TestSealIsNeverTwiceTheSame(t *testing.T) {
	r := ring(t, "app", one)
	if first := sealed(t, r, "session", "alice"); first == sealed(t, r, "session", "alice") {
		t.Error("two seals of one value are equal")
	}
}

func TestSealWithoutRandomness(t *testing.T) {
	if s, err := ring(t, "app", one).Seal(strings.NewReader("short"), "session", nil); err == nil {
		t.Errorf("sealed %q without randomness", s)
	}
}

func TestNewRefusesShortSecret(t *testing.T) {
	if _, err := New("app", one, "short"); err == nil {
		t.Error("a short secret was taken")
	}
}

func FuzzOpen(f *testing.F) {
	r := ring(f, "app", one)
	f.Add(sealed(f, r, "session", "alice"))
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		if got, _, err := r.Open("login", s); err == nil {
			t.Errorf("opened %q", got)
		}
	})
}

// A value has one spelling: whoever finds another one for it, which opens, gets around what is remembered of the first, such
// as that its session was signed out.
func TestOneSpelling(t *testing.T) {
	ring, err := New("app", strings.Repeat("s", MinSecret))
	if err != nil {
		t.Fatal(err)
	}
	for length := range 3 { // base64 leaves 0, 4 or 2 bits unused
		sealed, err := ring.Seal(rand.Reader, "p", make([]byte, length))
		if err != nil {
			t.Fatal(err)
		}
		const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
		for _, last := range alphabet {
			if other := sealed[:len(sealed)-1] + string(last); other != sealed {
				if _, _, err := ring.Open("p", other); err == nil {
					t.Errorf("of %d bytes, %q and %q both open", length, sealed, other)
				}
			}
		}
		for _, other := range []string{sealed + "\n", sealed[:5] + "\r" + sealed[5:], sealed + "=", sealed + "=="} {
			if _, _, err := ring.Open("p", other); err == nil {
				t.Errorf("of %d bytes, %q and %q both open", length, sealed, other)
			}
		}
	}
}

// What another replica may be able to open is told apart from what nobody can.
func TestForeign(t *testing.T) {
	own, other := ring(t, "app", one), ring(t, "app", two)
	value := sealed(t, own, "p", "alice")
	decoded, err := encoding.DecodeString(value)
	if err != nil {
		t.Fatal(err)
	}
	changed := func(at int) string {
		b := bytes.Clone(decoded)
		b[at] ^= 1
		return encoding.EncodeToString(b)
	}
	for name, row := range map[string]struct {
		ring  *Ring
		value string
		want  error
	}{
		"with another secret":      {other, value, ErrForeign},
		"of another application":   {ring(t, "another", one), value, ErrForeign},
		"of another version":       {own, changed(0), ErrForeign},
		"with another key id":      {own, changed(1), ErrForeign},
		"altered":                  {own, changed(len(decoded) - 1), ErrOpen},
		"with another salt":        {own, changed(1 + idSize), ErrOpen},
		"cut before its salt ends": {own, value[:20], ErrOpen},
		"nothing":                  {own, "", ErrOpen},
		"not base64url":            {own, "!" + value, ErrOpen},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := row.ring.Open("p", row.value); err != row.want {
				t.Errorf("%v, want %v", err, row.want)
			}
		})
	}
}

func TestSealBytes(t *testing.T) {
	r := ring(t, "app", one)
	sealed, err := r.SealBytes(rand.Reader, "p", []byte("alice"))
	if err != nil || len(sealed) != len("alice")+Overhead {
		t.Fatalf("%d bytes, %v", len(sealed), err)
	}
	if got, old, err := r.OpenBytes("p", sealed); err != nil || old || string(got) != "alice" {
		t.Errorf("got %q, %v, %v", got, old, err)
	}
	if got, _, err := r.Open("p", encoding.EncodeToString(sealed)); err != nil || string(got) != "alice" {
		t.Errorf("got %q, %v", got, err)
	}
	for n := range len(sealed) {
		if _, _, err := r.OpenBytes("p", sealed[:n]); err == nil {
			t.Errorf("the first %d bytes open", n)
		}
	}
}

// Whoever has the same secrets has the same order of them, and can open what was sealed with one alone.
func TestEach(t *testing.T) {
	here, there := ring(t, "app", one, two, one), ring(t, "app", two, one)
	a, b := here.Each(), there.Each()
	if len(a) != 2 || len(b) != 2 {
		t.Fatalf("%d and %d rings, want 2 secrets in each", len(a), len(b))
	}
	for i := range a {
		value := sealed(t, a[i], "p", "alice")
		if got, _, err := b[i].Open("p", value); err != nil || string(got) != "alice" {
			t.Errorf("ring %d: %q, %v", i, got, err)
		}
		if _, _, err := b[1-i].Open("p", value); err == nil {
			t.Errorf("ring %d opens what the other sealed", 1-i)
		}
		if _, _, err := here.Open("p", value); err != nil {
			t.Errorf("the whole ring does not open what its ring %d sealed: %v", i, err)
		}
	}
}

func TestDerive(t *testing.T) {
	r := ring(t, "app", one, two)
	seen := map[[32]byte]string{}
	for name, derived := range map[string][32]byte{
		"a": r.Derive("a"), "b": r.Derive("b"), "of another secret": ring(t, "app", two).Derive("a"),
		"of another application": ring(t, "b", one).Derive("a"),
	} {
		if other, ok := seen[derived]; ok {
			t.Errorf("%s and %s are the same", name, other)
		}
		seen[derived] = name
	}
	if r.Derive("a") != ring(t, "app", one).Derive("a") {
		t.Error("not the same again")
	}
}
