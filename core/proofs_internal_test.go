package idserver

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestChallengesWith(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		lines []string
		want  bool
	}{
		{[]string{`DPoP error="use_dpop_nonce"`}, true},
		{[]string{`dpop algs="ES256 PS256", Error=use_dpop_nonce`}, true},
		{[]string{`Bearer realm="a \" , DPoP", error="invalid_token", DPoP error = "use_dpop_nonce"`}, true},
		{[]string{`Bearer`, `DPoP error="use_dpop_nonce"`}, true},
		{[]string{`Negotiate, DPoP error="use_dpop_nonce"`}, true},
		{[]string{`Negotiate abc==, DPoP error="use_dpop_nonce"`}, true},
		{nil, false},
		{[]string{``, `,`, `=`, `"`, `DPoP`, `DPoP error`, `DPoP error=`, `DPoP error="`, `DPoP error="\`}, false},
		{[]string{`Bearer error="use_dpop_nonce", DPoP algs="ES256"`}, false},
		{[]string{`DPoP error="invalid_token", Bearer error="use_dpop_nonce"`}, false},
		{[]string{`Bearer realm="DPoP error=\"use_dpop_nonce\""`}, false},
		{[]string{`DPoP`, `error="use_dpop_nonce"`}, false},
		{[]string{`DPoPX error="use_dpop_nonce"`}, false},
	} {
		if got := challengesWith(row.lines, dpopType, useNonce); got != row.want {
			t.Errorf("%q: %v", row.lines, got)
		}
	}
}

// FuzzChallenge reads challenges that strangers wrote: it ends, and finds no error that is not there.
func FuzzChallenge(f *testing.F) {
	for _, line := range []string{`DPoP error="use_dpop_nonce"`, `Bearer a="b\"c", DPoP error=use_dpop_nonce,`, `, =, "`, "Negotiate a==", "DPoP\terror=\"use_dpop_nonce"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		n := 0
		for word := range challengeWords(line) {
			if n++; word == "" || n > len(line) {
				t.Fatalf("the word %q, number %d", word, n)
			}
		}
		if challengesWith([]string{line}, dpopType, useNonce) && !(strings.Contains(strings.ToLower(line), "dpop") && strings.Contains(strings.ReplaceAll(line, `\`, ""), useNonce)) {
			t.Error("an error that is not there")
		}
	})
}

// Nonces of servers are kept by origin, and no server makes the memory grow.
func TestNonces(t *testing.T) {
	t.Parallel()
	var n dpopNonces
	header := func(values ...string) http.Header { return http.Header{nonceHeader: values} }
	if n.of("https://a.example") != "" || n.learn("https://a.example", header("1")) != "1" || n.of("https://a.example") != "1" || n.of("https://b.example") != "" {
		t.Error("a nonce is not kept by its origin")
	}
	for _, bad := range [][]string{nil, {""}, {"a", "b"}, {"a b"}, {`a"`}, {`a\`}, {"ä"}, {"a\n"}, {strings.Repeat("a", maxNonce+1)}} {
		if n.learn("https://a.example", header(bad...)) != "" || n.of("https://a.example") != "1" {
			t.Errorf("%q was learnt", bad)
		}
	}
	for i := range 3 * maxNonceOrigins {
		n.learn(fmt.Sprintf("https://%d.example", i), header(strings.Repeat("a", maxNonce)))
		if len(n.newest) > maxNonceOrigins {
			t.Fatalf("%d nonces are kept", len(n.newest))
		}
	}
	if n.of(fmt.Sprintf("https://%d.example", 3*maxNonceOrigins-1)) == "" {
		t.Error("the newest is not kept")
	}
}

// FuzzNonce takes nonces that strangers wrote: what is kept can be sent in a proof.
func FuzzNonce(f *testing.F) {
	f.Add("eyJ7S_zG.eyJH0-Z.HX4w-7v")
	f.Add("a\r\nb")
	f.Fuzz(func(t *testing.T, nonce string) {
		var n dpopNonces
		learnt := n.learn("https://a.example", http.Header{nonceHeader: {nonce}})
		if learnt != n.of("https://a.example") || learnt != "" && (learnt != nonce || len(nonce) > maxNonce || strings.ContainsAny(nonce, "\x00\r\n \"\\\x7f")) {
			t.Errorf("learnt %q of %q", learnt, nonce)
		}
	})
}
