package idserver

import (
	"slices"
	"strings"
)

// placeholders are what is found in secrets that nobody made at random, the longest first.
var placeholders = func() []string {
	words := strings.Fields(`abcdefghijklmnopqrstuvwxyz qwertyuiop asdfghjkl zxcvbnm 0123456789 1234567890 9876543210 123456789
		super password passphrase passwd secret session cookie changeme change replace default example placeholder sample
		development production testing test demo local token please insert random string bytes
		admin root user hello world foobar foo bar baz key app web idserver signward oidc auth login letmein iloveyou welcome
		monkey dragon sunshine princess football baseball trustno1 master shadow abc123 123456 12345 54321 1234 123 32 256`)
	slices.SortFunc(words, func(a, b string) int { return len(b) - len(a) })
	return words
}()

// isGuessable reports whether a secret that is long enough can be guessed all the same: too little of it is left without
// repetitions and the words of every list of passwords. It finds what people write to get past a check of the length; it
// does not measure entropy.
func isGuessable(secret string) bool {
	rest := strings.ToLower(secret)
	for _, word := range placeholders {
		rest = strings.ReplaceAll(rest, word, " ")
	}
	rest = strings.Join(strings.FieldsFunc(rest, func(c rune) bool { return strings.ContainsRune(" -_.,:;!?/+=", c) }), "")
	seen := map[rune]bool{}
	for _, c := range rest {
		seen[c] = true
	}
	return len(seen) < 4 || period(secret) <= len(secret)/2
}

// period is after how many bytes a text begins anew.
func period(s string) int {
	for n := 1; n < len(s); n++ {
		if s[n:] == s[:len(s)-n] {
			return n
		}
	}
	return len(s)
}
