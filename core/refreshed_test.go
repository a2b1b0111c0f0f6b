package idserver_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	idserver "github.com/signward/idserver-go/core"
)

// basicEcho is a token endpoint that answers a refusal by repeating what it was sent, as debugging proxies do.
type basicEcho struct{ http.RoundTripper }

func (e basicEcho) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodPost {
		return e.RoundTripper.RoundTrip(r)
	}
	form, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	_, credentials, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	body := fmt.Sprintf(`{"error":"x","error_description":"sent: %s and %s"}`, credentials, form)
	return &http.Response{StatusCode: 400, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader([]byte(body))), Request: r}, nil
}

// What the provider echoes of the client's authentication and of the code is in no error and in no log: as it is, as it stands in
// a form, and in the header of client_secret_basic.
func TestEchoedCredentials(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const secret = "a secret/with+signs&of=forms-12345"
		const basic = "ZXhhbXBsZTphK3NlY3JldCUyRndpdGglMkJzaWducyUyNm9mJTNEZm9ybXMtMTIzNDU=" // example:a+secret%2Fwith%2Bsigns%26of%3Dforms-12345
		for _, method := range []string{"client_secret_post", "client_secret_basic"} {
			w := newWorld(t, func(c *idserver.Config) {
				c.Provider.ClientAuth, c.ClientSecret = method, secret
				c.HTTP.Client = &http.Client{Transport: basicEcho{c.HTTP.Client.Transport}}
			})
			r, err := w.AuthorizeURL(t.Context(), idserver.AuthorizeOptions{})
			if err != nil {
				t.Fatal(err)
			}
			_, err = w.ExchangeCode(t.Context(), "a code/with+signs-6789", r)
			var e *idserver.TokenEndpointError
			if !errors.As(err, &e) || e.Description != "[redacted: it repeats what was sent]" {
				t.Fatalf("%s: %v", method, err)
			}
			err2 := w.RevokeToken(t.Context(), "a token/with+signs-6789")
			text := err.Error() + err2.Error() + e.Description + w.log.String()
			if leaked := leaks(text, secret, "a+secret", basic, basic[:20], "a code", "a+code", "6789", "12345", r.CodeVerifier); leaked != "" {
				t.Errorf("%s: %q is in %s", method, leaked, text)
			}
		}
	})
}
