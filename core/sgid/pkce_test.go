package sgid_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/signward/idserver-go/core/sgid"
)

func TestGenerators(t *testing.T) {
	t.Parallel()
	if got, err := sgid.GenerateCodeChallenge("bbGcObXZC1YGBQZZtZGQH9jsyO1vypqCGqnSU_4TI5S"); got != challenge || err != nil {
		t.Errorf("challenge %q, %v", got, err)
	}
	for _, n := range []int{43, 44, 64, 127, 128} {
		pair, err := sgid.GeneratePKCEPair(n)
		challenge, err2 := sgid.GenerateCodeChallenge(pair.CodeVerifier)
		if err != nil || err2 != nil || len(pair.CodeVerifier) != n || challenge != pair.CodeChallenge {
			t.Errorf("%d: %+v, %v, %v", n, pair, err, err2)
		}
		verifier, err := sgid.GenerateCodeVerifier(n)
		nonce, err2 := sgid.GenerateNonce(n)
		if err != nil || err2 != nil || len(verifier) != n || len(nonce) != n || nonce == verifier {
			t.Errorf("%d: %q, %q, %v, %v", n, verifier, nonce, err, err2)
		}
	}
	for _, n := range []int{-1, 0, 42, 129, 1 << 30} {
		_, err := sgid.GeneratePKCEPair(n)
		_, err2 := sgid.GenerateCodeVerifier(n)
		_, err3 := sgid.GenerateNonce(n)
		if !errors.Is(err, sgid.ErrPKCEPairLength) || !errors.Is(err2, sgid.ErrCodeVerifierLength) || !errors.Is(err3, sgid.ErrNonceLength) {
			t.Errorf("%d: %v, %v, %v", n, err, err2, err3)
		}
	}
	for _, n := range []int{0, 42, 129} {
		if _, err := sgid.GenerateCodeChallenge(strings.Repeat("v", n)); !errors.Is(err, sgid.ErrCodeVerifierLength) {
			t.Errorf("a challenge of %d characters: %v", n, err)
		}
	}
	// No character comes more often than another: 64 of them in 64000 stand 1000 times each, more or less.
	count := map[rune]int{}
	for range 500 {
		verifier, err := sgid.GenerateCodeVerifier(128)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range verifier {
			count[r]++
		}
	}
	for r, n := range count {
		if n < 800 || n > 1200 {
			t.Errorf("%q stands %d times", r, n)
		}
	}
	if len(count) != 64 {
		t.Errorf("%d characters in use", len(count))
	}
}
