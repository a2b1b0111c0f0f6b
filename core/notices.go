package idserver

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/signward/idserver-go/core/internal/claims"
	"github.com/signward/idserver-go/core/internal/jose"
	"github.com/signward/idserver-go/core/internal/strictjson"
)

// notices are the warnings that are given once in the life of a client: what is odd about a provider is odd in each of
// its tokens. Keys are ours, never a stranger's text, so that there are few.
type notices struct{ given sync.Map }

// first reports whether this is the first time that key is asked for.
func (n *notices) first(key string) bool {
	_, given := n.given.LoadOrStore(key, true)
	return !given
}

// warnOfClaims warns of what is odd in the claims of a token that is valid.
func (p *provider) warnOfClaims(ctx context.Context, kind string, known *claims.Claims) {
	for _, name := range known.Oddities() {
		if p.notices.first("odd " + name) {
			p.cfg.Logger.WarnContext(ctx, "idserver: a claim of a wrong type is ignored", "token", kind, "claim", name)
		}
	}
	if (known.Has("_claim_names") || known.Has("hasgroups")) && p.notices.first("overage") {
		p.cfg.Logger.WarnContext(ctx, "idserver: a token leaves somebody's groups out, because they are too many (_claim_names): "+
			"Entra names at most 200 of them. Have it send app roles, or only the groups that are assigned to the application, and set RolesClaim accordingly", "token", kind)
	}
	if _, odd := claims.Scopes(known.Get("scope"), known.Get("scp")); odd != "" && p.notices.first("scopes") {
		p.cfg.Logger.WarnContext(ctx, "idserver: the scopes of a token are not understood", "token", kind, "claims", "scope, scp", "reason", odd)
	}
	p.warnOfRoles(ctx, kind, known.Object)
}

// warnOfRoles warns of roles that are there and not understood.
func (p *provider) warnOfRoles(ctx context.Context, source string, known strictjson.Object) {
	if _, odd := p.roles.In(known); odd != "" && p.notices.first("roles") {
		p.cfg.Logger.WarnContext(ctx, "idserver: the roles in RolesClaim are not understood",
			"token", source, "claim", strings.Join(p.cfg.RolesClaim, ", "), "reason", odd)
	}
}

// warnOfUnused warns that the roles in an access token, if there are any, do not count, and says what to set.
func (p *provider) warnOfUnused(ctx context.Context, accessToken string, err error) {
	advice := ""
	kind := string(reasonOf(err))
	switch Reason(kind) {
	case ReasonMalformed:
		switch {
		case len(accessToken) > jose.MaxToken:
			kind, advice = "size", fmt.Sprintf("it has more than %d bytes: have the provider put less into it", jose.MaxToken)
		case strings.Count(accessToken, ".") == 4:
			kind, advice = "encrypted", "it is encrypted (five parts): have the provider issue signed JWTs"
		case strings.Count(accessToken, ".") != 2:
			kind, advice = "opaque", "it is opaque: have the provider issue access tokens that are JWTs (RFC 9068)"
		}
	case ReasonAudience:
		advice = "set Config.Audience (IDSERVER_AUDIENCE) to its aud if it is meant for this application; where it has none, see Config.Provider.AccessTokenClients"
	case ReasonIssuer:
		advice = "set Config.Provider.AccessTokenIssuer to its iss if that is the same provider's"
	}
	if kind == "" || !p.notices.first("unused "+kind) {
		return
	}
	if advice != "" {
		advice += "; or "
	}
	p.cfg.Logger.WarnContext(ctx, "idserver: the access token is not used, and the ID token has no roles: roles that the access token may hold do not count",
		"reason", kind, "advice", advice+"have the provider put the roles into the ID token or userinfo", "error", err)
}
