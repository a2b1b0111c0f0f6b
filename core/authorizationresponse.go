package idserver

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/signward/idserver-go/core/internal/baseerror"
	"github.com/signward/idserver-go/core/internal/endpoint"
)

// Limits on what comes back from the provider, in bytes.
const (
	maxCallback = 16 << 10
	maxState    = 256
	maxCode     = 8 << 10
)

// callbackParameters are the parameters of an authorization response, RFC 6749 section 4.1.2 and RFC 9207.
type callbackParameters struct {
	code, state, issuer string
	err, description    string
	sentIssuer          bool
	user                string // Apple's
}

// parseCallback reads the query. A repeated parameter is refused (RFC 6749 section 3.1), because there is no telling
// which of its values another reader would take. With an error it returns what could be read all the same: the provider's
// own error, which tells the operator more than what is wrong with the query.
func parseCallback(rawQuery string) (p callbackParameters, err error) {
	if len(rawQuery) > maxCallback {
		return p, fmt.Errorf("the response is longer than %d bytes", maxCallback)
	}
	known := map[string]*string{
		"code": &p.code, "state": &p.state, "iss": &p.issuer, "error": &p.err, "error_description": &p.description,
		"user": &p.user,
	}
	seen := map[string]bool{}
	var faults []error
	for pair := range strings.SplitSeq(rawQuery, "&") {
		name, value, _ := strings.Cut(pair, "=")
		name = unescaped(name)
		into := known[name]
		if name == "response" && value != "" {
			faults = append(faults, errors.New("it is a JWT (response), and none was asked for: have the provider answer with response_mode=query or form_post"))
		}
		if into == nil {
			continue
		}
		if seen[name] {
			faults = append(faults, fmt.Errorf("%s stands more than once", name))
		}
		seen[name], *into = true, unescaped(value)
		if _, err := url.QueryUnescape(value); err != nil && name != "error_description" && name != "user" {
			faults = append(faults, fmt.Errorf("%s cannot be read", name))
		}
	}
	p.sentIssuer = seen["iss"]
	return p, errors.Join(append(faults, p.check())...)
}

// check checks that there is what a response must have, and no more.
func (p callbackParameters) check() error {
	switch {
	case p.state == "" || len(p.state) > maxState:
		return fmt.Errorf("state has %d bytes, want 1 to %d", len(p.state), maxState)
	case (p.code == "") == (p.err == ""):
		return errors.New("want either code or error")
	case len(p.code) > maxCode:
		return fmt.Errorf("code has %d bytes, want at most %d", len(p.code), maxCode)
	}
	return nil
}

// unescaped decodes a part of a query. One that is not well-formed stays as it is: providers write a bare % into their
// descriptions.
func unescaped(s string) string {
	if decoded, err := url.QueryUnescape(s); err == nil {
		return decoded
	}
	return s
}

// unproven adds what the provider seems to say to what is wrong with its response: without the state and the issuer that
// belong to it, anybody may have written it.
func (p callbackParameters) unproven(err error) error {
	if p.err == "" {
		return err
	}
	return fmt.Errorf("%w; unproven: %w", err, p.refused())
}

// refused returns the error that the provider reported.
func (p callbackParameters) refused() *AuthorizationError {
	return &AuthorizationError{Code: endpoint.Printable(p.err, 64), Description: endpoint.Printable(p.description, maxDescription)}
}

// checkResponseIssuer applies RFC 9207 section 2.4: the response of one provider must not be taken for another's (a
// mix-up attack).
func checkResponseIssuer(p callbackParameters, m *metadata) error {
	switch {
	case p.sentIssuer && isTemplate(m.Issuer): // which tenant may sign in here is decided for the ID token
		if _, ok := tenantOf(m.Issuer, p.issuer); !ok {
			return fmt.Errorf("iss is %q, want one like %q", endpoint.Printable(p.issuer, 256), m.Issuer)
		}
	case p.sentIssuer && p.issuer != m.Issuer:
		return fmt.Errorf("iss is %q, want %q", endpoint.Printable(p.issuer, 256), m.Issuer)
	case !p.sentIssuer && m.SendsIssuer:
		return fmt.Errorf("no iss, and the provider's metadata says that it sends %q", m.Issuer)
	}
	return nil
}

// readCallback checks the query with which the provider answered r: see [Client.ReadCallback].
func (p *provider) readCallback(ctx context.Context, rawQuery string, r *AuthorizationRequest) (code string, err error) {
	response, err := p.readResponse(ctx, rawQuery)
	if err != nil {
		return "", baseerror.Errorf("idserver: callback: %w", err)
	}
	if r == nil || subtle.ConstantTimeCompare([]byte(response.state), []byte(r.State)) != 1 {
		return "", baseerror.New("idserver: callback: its state is not that of the sign-in that was begun here")
	}
	m, err := p.metadata.Get(ctx)
	if err != nil {
		return "", err
	}
	if err := checkResponseIssuer(response, m); err != nil {
		return "", baseerror.Errorf("idserver: callback: %w", err)
	}
	if response.err != "" {
		return "", response.refused()
	}
	return response.code, nil
}
