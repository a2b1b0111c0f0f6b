package idserver

import "testing"

func TestNoLower(t *testing.T) {
	for _, row := range []struct {
		acr, before string
		want        bool
	}{
		{"", "", true}, {"1", "", true}, {"", "1", false}, {"1", "1", true}, {"2", "1", true}, {"1", "2", false}, {"10", "9", true},
		{"urn:mfa", "urn:mfa", true}, {"urn:mfa", "urn:pwd", false}, {"2", "urn:pwd", false}, {"-1", "0", false}, {"99999999", "1", false},
	} {
		if got := noLower(row.acr, row.before); got != row.want {
			t.Errorf("%q after %q: %t", row.acr, row.before, got)
		}
	}
}
