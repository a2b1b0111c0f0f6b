package idserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"

	"github.com/signward/idserver-go/core/internal/endpoint"
)

// published fetches what the provider publishes at a URL. What waiting does not mend is not ErrUnavailable: nothing there, a
// redirect, a page for people. advice says what to change then, given the redirect's target or "".
func (p *provider) published(ctx context.Context, name, url string, advice func(target string) string) (*endpoint.Answer, error) {
	a, err := p.do(ctx, name, endpoint.Call{URL: url})
	var redirect *endpoint.RedirectError
	switch {
	case errors.As(err, &redirect):
		return nil, fmt.Errorf("%w: %s", err, advice(redirect.Target))
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	case a.Status/100 == 4 && !isTemporary(a.Status):
		return a, fmt.Errorf("status %d: %s", a.Status, advice(""))
	case a.Status != http.StatusOK:
		return a, fmt.Errorf("%w: status %d", ErrUnavailable, a.Status)
	case isHTML(a):
		return a, fmt.Errorf("HTML where JSON is wanted: %s", advice(""))
	}
	return a, nil
}

var byteOrderMark = []byte("\ufeff")

// isHTML reports whether an answer is a page: JSON may come under any content type.
func isHTML(a *endpoint.Answer) bool {
	body := bytes.TrimSpace(bytes.TrimPrefix(a.Body, byteOrderMark))
	kind, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type"))
	return bytes.HasPrefix(body, []byte("<")) || kind == "text/html" && !bytes.HasPrefix(body, []byte("{"))
}
