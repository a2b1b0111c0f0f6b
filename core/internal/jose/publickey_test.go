package jose

import (
	"bytes"
	"crypto"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// The examples of RFC 7638 section 3.1, RFC 9449 section 6.1 and RFC 8037 appendix A.3.
func TestThumbprint(t *testing.T) {
	t.Parallel()
	for want, jwk := range map[string]string{
		"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs": `{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}`,
		"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I": `{"kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","crv":"P-256"}`,
		"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k": `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`,
	} {
		keys, skipped, err := ParseSet([]byte(`{"keys":[`+jwk+`]}`), nil)
		if err != nil || len(skipped) > 0 {
			t.Fatal(err, skipped)
		}
		if got := Thumbprint(keys[0].Public); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// What is published is read back as the same key.
func TestPublicJWK(t *testing.T) {
	t.Parallel()
	for _, public := range []crypto.PublicKey{rsaKey().Public(), p256Key().Public(), p384Key().Public(), p521Key().Public(), edwards().Public()} {
		keys, skipped, err := ParseSet([]byte(`{"keys":[`+string(PublicJWK(public))+`]}`), nil)
		if err != nil || len(skipped) > 0 || !keys[0].sameMaterial(&Key{Public: public}) {
			t.Errorf("%s: %v %v", PublicJWK(public), err, skipped)
		}
	}
	if jwk := PublicJWK("nobody"); jwk != nil {
		t.Errorf("%s", jwk)
	}
}

// A key is a function of the random bytes, and bytes that are out of range are passed over.
func TestNewECKey(t *testing.T) {
	t.Parallel()
	d := bytes.Repeat([]byte{7}, ECKeySize)
	out := bytes.Repeat([]byte{0xff}, ECKeySize)
	key := must(NewECKey(bytes.NewReader(append(out, d...))))
	if got := must(key.Bytes()); !bytes.Equal(got, d) || !must(ParseECKey(got)).Equal(key) {
		t.Errorf("%x", got)
	}
	if _, err := NewECKey(iotest.ErrReader(io.ErrClosedPipe)); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("%v", err)
	}
	if _, err := NewECKey(strings.NewReader(strings.Repeat("\xff", 16*ECKeySize))); !holds(err, "no key") {
		t.Errorf("%v", err)
	}
}
