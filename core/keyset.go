package idserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/signward/idserver-go/core/internal/fetched"
	"github.com/signward/idserver-go/core/internal/jose"
)

// fetchKeys fetches the provider's key set. A response without a single usable key is an error: it must not replace good
// keys.
func (p *provider) fetchKeys(ctx context.Context, held []jose.Key) (fetched.Document[[]jose.Key], error) {
	var document fetched.Document[[]jose.Key]
	m, err := p.metadata.Get(ctx)
	if err != nil {
		document.RetryAfter = retryAfter(err)
		return document, err
	}
	fail := func(err error) (fetched.Document[[]jose.Key], error) {
		p.cfg.Logger.WarnContext(ctx, "idserver: key set not read", "url", m.JWKSURI, "error", err)
		return document, &DiscoveryError{m.JWKSURI, err}
	}
	a, err := p.published(ctx, "keys", m.JWKSURI, p.otherKeys)
	if a != nil {
		document.Fresh, document.RetryAfter = a.FreshFor(), a.RetryAfter()
	}
	if err != nil {
		return fail(err)
	}
	keys, skipped, err := jose.ParseSet(bytes.TrimPrefix(a.Body, byteOrderMark), p.cfg.Provider.Algorithms)
	if err != nil {
		return fail(fmt.Errorf("%w: %w", ErrUnavailable, err))
	}
	if len(skipped) > 0 { // one line, and not long: anyone can have the keys fetched again
		p.cfg.Logger.InfoContext(ctx, "idserver: published keys are left out",
			"url", m.JWKSURI, "keys", len(skipped), "reason", errors.Join(skipped[:min(len(skipped), 3)]...))
	}
	switch same := func(a, b jose.Key) bool { return a.Same(&b) && a.Named == b.Named }; {
	case len(keys) == 0:
		return fail(fmt.Errorf("%w: no key in it that can be used", ErrUnavailable))
	case slices.EqualFunc(keys, held, same):
		document.Value = held // and what was verified with these keys need not be looked at again
	default:
		document.Value = keys
	}
	changed := len(held) == 0 || &document.Value[0] != &held[0]
	tell(ctx, p.cfg.Logger, "KeysFetched", p.cfg.Events.KeysFetched, KeysEvent{Keys: len(keys), LeftOut: len(skipped), Changed: changed})
	return document, nil
}

// otherKeys says what to change if there is no key set where the metadata or the configuration leads.
func (p *provider) otherKeys(string) string {
	if p.cfg.Provider.Endpoints.JWKS != "" {
		return "check Config.Provider.Endpoints.JWKS"
	}
	return "the metadata names this URL as its jwks_uri: check Config.Authority (IDSERVER_AUTHORITY), or set Config.Provider.Endpoints.JWKS"
}
