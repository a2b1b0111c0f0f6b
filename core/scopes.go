package idserver

import (
	"log/slog"
	"slices"
	"strings"

	"github.com/signward/idserver-go/core/internal/claims"
)

// RequireScope returns a guard that admits a sender whose access token has all of the scopes: a bearer token, or that of the
// session. Any other is refused with 403 and the code insufficient_scope, with a challenge that names all of them (RFC 6750
// section 3.1), so that a client can ask for a token that has them. Scopes are compared as they are, case included; see
// Config.ScopeIncludes for those that include others. It panics if a scope is empty, or cannot be one (RFC 6749 section 3.3).
func (c *Client) RequireScope(scope string, more ...string) Guard {
	scopes := checkedScopes(scope, more)
	return c.guard(requirement{
		code: CodeInsufficientScope, scopes: scopes, tell: scopes,
		met: func(u *User) bool {
			for _, wanted := range scopes {
				if !c.hasScope(u, wanted) {
					return false
				}
			}
			return true
		},
	})
}

// RequireAnyScope is like [Client.RequireScope] but one of the scopes is enough. The challenge names the first of them: it is
// the one that a client is to ask for, so name the one that allows least first.
func (c *Client) RequireAnyScope(scope string, more ...string) Guard {
	scopes := checkedScopes(scope, more)
	return c.guard(requirement{
		code: CodeInsufficientScope, scopes: scopes, tell: scopes[:1],
		met: func(u *User) bool {
			for _, wanted := range scopes {
				if c.hasScope(u, wanted) {
					return true
				}
			}
			return false
		},
	})
}

// checkedScopes panics rather than let a guard require nothing, or what no token can have.
func checkedScopes(scope string, more []string) []string {
	scopes := append([]string{scope}, more...)
	for _, s := range scopes {
		if !claims.IsScope(s) {
			panic("idserver: a guard asks for a scope that cannot be one: want visible ASCII without spaces, quotation marks and backslashes")
		}
	}
	return scopes
}

// hasScope reports whether somebody has a scope, or one that includes it.
func (c *Client) hasScope(u *User, wanted string) bool {
	if u.HasScope(wanted) {
		return true
	}
	includes := c.cfg.ScopeIncludes
	return includes != nil && slices.ContainsFunc(u.Scopes, func(held string) bool { return includes(held, wanted) })
}

// refuseScope refuses somebody without a scope. The problem document and the challenge tell which to ask for.
func (q *requirement) refuseScope(u *User, d *denial) {
	d.scopes = q.tell
	d.challenge = []parameter{{"scope", strings.Join(q.tell, " ")}}
	d.log = []slog.Attr{slog.Any("wanted_scopes", q.scopes), slog.Any("scopes", listed(u.Scopes)), slog.String("client_id", shown(u.ClientID).(string))}
}
