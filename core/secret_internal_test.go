package idserver

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
)

func TestIsGuessable(t *testing.T) {
	for secret, want := range map[string]bool{
		strings.Repeat("a", 32):                          true,
		strings.Repeat("ab", 40):                         true,
		strings.Repeat("0123456789", 4):                  true,
		"passwordpasswordpasswordpassword":               true,
		"changemechangemechangemechangeme":               true,
		"change-me-change-me-change-me-change-me":        true,
		"CHANGE_ME_CHANGE_ME_CHANGE_ME_32":               true,
		"my-super-secret-session-key-for-development":    false,
		"this-is-a-very-long-secret-key-for-my-app":      false,
		"abcdefghijklmnopqrstuvwxyz0123456789":           true,
		"secretsecretsecretsecretsecretsecret12345":      true,
		"k9Xk9Xk9Xk9Xk9Xk9Xk9Xk9Xk9Xk9Xk9X":              true,
		"00000000000000000000000000000000":               true,
		"0123456789abcdef0123456789abcdef":               true,
		"qwertyuiopasdfghjklzxcvbnm123456":               true,
		"letmeinletmeinletmeinletmein1234":               true,
		"password-password-password-passwd":              true,
		"test-session-secret-32-bytes-long":              false,
		"correct horse battery staple, says the comic":   false,
		"the-first-session-secret-of-32-bytes-or-more":   false,
		"6f0c2a3e00004000800000000a11c7b1d5c5200004000":  false,
		"Vv8JZ1l1dB9cN3E2H5o7Qw==Vv8JZ1l1dB9cN3E2H5o7Qw": false,
	} {
		if got := isGuessable(secret); got != want {
			t.Errorf("%q: %v, want %v", secret, got, want)
		}
	}
	for range 10_000 { // what openssl makes is never refused
		var b [32]byte
		_, _ = rand.Read(b[:])
		for _, secret := range []string{base64.StdEncoding.EncodeToString(b[:]), hex.EncodeToString(b[:]), hex.EncodeToString(b[:16]), rand.Text() + rand.Text()} {
			if isGuessable(secret) {
				t.Fatalf("%q is refused", secret)
			}
		}
	}
}
