package idserver

import (
	"context"
	"net/http"
)

// keysFresh is how long providers and what lies between may keep our public keys, in seconds. A key is published well before
// it is used: see Config.ClientKeys.
const keysFresh = "300"

// jwksRoute answers /jwks: the public halves of Config.ClientKeys, RFC 7517 section 5. The answer is the same for everybody,
// and comes from memory, because some providers wait for it for three seconds only (Singpass).
func (c *Client) jwksRoute(context.Context, *Request) (Answer, error) {
	return Answer{
		Status: http.StatusOK,
		Set: []Field{
			{"Content-Type", "application/jwk-set+json"}, {"X-Content-Type-Options", "nosniff"}, {"Cache-Control", "public, max-age=" + keysFresh},
		},
		Body: c.provider.clientKeys.published,
	}, nil
}

// withKeys adds the route of the public keys, if there are any.
func (c *Client) withKeys(routes []siteRoute, before string) []siteRoute {
	if c.provider.clientKeys.published == nil {
		return routes
	}
	return append(routes, siteRoute{method: http.MethodGet, path: before + "/jwks", step: c.jwksRoute, headToo: true})
}
