package dpop

import (
	"strings"
	"testing"
	"time"
)

func TestNonces(t *testing.T) {
	t.Parallel()
	one, two := []byte(strings.Repeat("1", 32)), []byte(strings.Repeat("2", 32))
	n := Nonces{Secrets: [][]byte{one, two}, Life: 5 * time.Minute}
	midnight := time.Date(2030, 1, 2, 0, 0, 0, 0, time.UTC)
	for _, at := range []time.Time{now, midnight.Add(-time.Second), midnight} {
		nonce := n.At(at)
		if made, good := n.Made(nonce, at); !good || at.Sub(made) < 0 || at.Sub(made) >= time.Minute {
			t.Errorf("%v: made %v, %v", at, made, good)
		}
		if _, good := n.Made(nonce, at.Add(4*time.Minute)); !good {
			t.Errorf("%v: no longer good after four minutes", at)
		}
		for name, when := range map[string]time.Time{"too late": at.Add(6 * time.Minute), "before it was made": at.Add(-2 * time.Minute)} {
			if _, good := n.Made(nonce, when); good {
				t.Errorf("%v: good %s", at, name)
			}
		}
	}
	nonce := n.At(now)
	if nonce != n.At(now.Add(59*time.Second)) || nonce == n.At(now.Add(time.Minute)) {
		t.Error("a nonce is not that of its minute")
	}
	old := Nonces{Secrets: [][]byte{two}, Life: n.Life}.At(now)
	if _, good := n.Made(old, now); !good {
		t.Error("that of the older secret is not recognized")
	}
	foreign := Nonces{Secrets: [][]byte{[]byte(strings.Repeat("3", 32))}, Life: n.Life}.At(now)
	for _, bad := range []string{"", "x", foreign, nonce + "A", nonce[:len(nonce)-1], nonce[1:] + "A", strings.ToUpper(nonce), strings.Repeat("_", len(nonce)), nonce[:len(nonce)-1] + "\n"} {
		if _, good := n.Made(bad, now); good {
			t.Errorf("%q is good", bad)
		}
	}
	for i := range nonce { // one bit of each character
		changed := []byte(nonce)
		changed[i] = map[bool]byte{true: 'B', false: 'A'}[changed[i] == 'A']
		if _, good := n.Made(string(changed), now); good {
			t.Errorf("%q is good, with another character %d", changed, i)
		}
	}
}

// FuzzNonces takes nonces that strangers wrote: ours alone are good, and only as we wrote them.
func FuzzNonces(f *testing.F) {
	n := Nonces{Secrets: [][]byte{[]byte(strings.Repeat("1", 32)), []byte(strings.Repeat("2", 32))}, Life: 5 * time.Minute}
	ours := map[string]bool{}
	for age := range 6 {
		for _, secret := range n.Secrets {
			nonce := Nonces{Secrets: [][]byte{secret}, Life: n.Life}.At(now.Add(-time.Duration(age) * time.Minute))
			ours[nonce] = true
			f.Add(nonce)
		}
	}
	f.Add("")
	f.Add(strings.Repeat("_", 32))
	f.Fuzz(func(t *testing.T, nonce string) {
		if made, good := n.Made(nonce, now); good && (!ours[nonce] || made.After(now) || now.Sub(made) > n.Life) || !good && !made.IsZero() {
			t.Errorf("%q: made %v, %v", nonce, made, good)
		}
	})
}
