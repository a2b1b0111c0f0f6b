package idserver

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func TestWithoutAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "",
		"@":                        "@",
		"a@b":                      "a@b",
		"@example.com":             "@example.com",
		"alice@example.com":        "[address]",
		"for 'alice@example.com'.": "for '[address]'.",
		`"AADSTS50034: The user account {EmailHidden} of bob.lim+x@contoso.co.uk does not exist"`: `"AADSTS50034: The user account {EmailHidden} of [address] does not exist"`,
		"<a@b.c> and <d@e.f>": "<[address]> and <[address]>",
		"李@例子.中国 is unknown":  "[address] is unknown",
		"a@@b.c":              "a@@b.c",
		"user@host":           "user@host",
		"a@b.c@d.e":           "[address]@d.e",
		"alice%40example.com": "[address]",
		"'https://id.example/authorize?login_hint=alice%40example.com' failed": "'https:[address]' failed",
		"(alice%2540example.com)": "([address])",
		"%40example.com":          "%40example.com",
		"100%40":                  "100%40",
	} {
		if got := withoutAddresses(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

func FuzzWithoutAddresses(f *testing.F) {
	f.Add("alice@example.com")
	f.Add("@@@.@.@a.b")
	f.Add("%40a%2540b.c%40@")
	f.Fuzz(func(t *testing.T, text string) {
		once := withoutAddresses(text)
		if again := withoutAddresses(once); again != once {
			t.Errorf("%q becomes %q and then %q", text, once, again)
		}
	})
}

func TestLogSubject(t *testing.T) {
	line := func(how, secret, authority string) string {
		var out bytes.Buffer
		cfg := Config{Authority: authority, SessionSecret: secret, LogSubject: how, Logger: slog.New(slog.NewTextHandler(&out, nil))}
		discreetly(cfg).With("a", "b").WithGroup("g").Info("signed in", "subject", "6f0c2a3e", "error", "of alice@example.com")
		_, attributes, _ := strings.Cut(out.String(), "a=b ")
		return attributes
	}
	hashed := line(subjectHashed, "one", "https://a")
	if strings.Contains(hashed, "6f0c2a3e") || strings.Contains(hashed, "alice") || !strings.Contains(hashed, "g.subject=") {
		t.Errorf("hashed: %s", hashed)
	}
	if line(subjectHashed, "one", "https://a") != hashed {
		t.Error("another replica's hash differs: lines cannot be joined")
	}
	if line(subjectHashed, "two", "https://a") == hashed || line(subjectHashed, "one", "https://b") == hashed {
		t.Error("the hash does not depend on the secret and the issuer")
	}
	if first := line(subjectHashed, "", "https://a"); first == line(subjectHashed, "", "https://a") {
		t.Error("without a secret, everybody can compute the hash")
	}
	if got := line(subjectPlain, "one", "https://a"); !strings.Contains(got, "6f0c2a3e") || !strings.Contains(got, "alice@example.com") {
		t.Errorf("plain: %s", got)
	}
	if got := line(subjectOmitted, "one", "https://a"); strings.Contains(got, "subject") || strings.Contains(got, "alice") {
		t.Errorf("omitted: %s", got)
	}
}
