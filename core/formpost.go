package idserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/url"
)

// formPost is the response mode in which the browser posts the provider's response to the callback: OAuth 2.0 Form Post
// Response Mode. The request comes from another site, so that of this application's cookies only those of a sign-in in
// progress are with it.
const formPost = "form_post"

// response returns the parameters of the provider's response, encoded as a query: those of the URL or, with form_post, those
// of the body alone.
func (w *web) response(ctx context.Context, r *Request) (string, error) {
	if w.cfg.ResponseMode != formPost {
		return r.RawQuery, nil
	}
	if err := w.fromProvider(ctx, r); err != nil {
		return "", err
	}
	body, err := readForm(r)
	if err != nil {
		return "", refused(CodeInvalidCallback, err)
	}
	return body, nil
}

// fromProvider refuses a form of another page than the provider's. Origin may be missing, or null: a page may keep it to
// itself (Referrer-Policy: no-referrer), and what binds a response to its browser is the login cookie.
func (w *web) fromProvider(ctx context.Context, r *Request) error {
	origins := r.values("Origin")
	if len(origins) == 0 || len(origins) == 1 && origins[0] == "null" {
		return nil
	}
	m, err := w.provider.metadata.Get(ctx)
	if err != nil {
		return err
	}
	endpoint, err := url.Parse(m.AuthorizationEndpoint)
	if err != nil || len(origins) != 1 || origins[0] != originOf(endpoint) {
		return w.refusedOrigin(r)
	}
	return nil
}

// readForm reads a body that a form without a script sends.
func readForm(r *Request) (string, error) {
	if kind, _, err := mime.ParseMediaType(r.value("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return "", errors.New("the provider's response is not a form (application/x-www-form-urlencoded)")
	}
	if r.Body == nil {
		return "", errors.New("the provider's response has no body")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxCallback+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("the provider's response was not read: %w", err)
	case len(body) > maxCallback:
		return "", fmt.Errorf("the provider's response is longer than %d bytes", maxCallback)
	}
	return string(body), nil
}
