package idserver

import (
	"log/slog"
	"slices"
	"strings"

	"github.com/signward/idserver-go/core/internal/endpoint"
)

// RequireTenant returns a guard that admits a signed-in user of one tenant: the one that the request's route names. An adapter's
// RequireTenant reads it from the path for each request; with net/http it is
//
//	client.RequireTenant(r.PathValue("tenant"))
//
// The user's TenantID must be equal to it, case included, or what Config.TenantOf makes of the user. Neither may be empty: a
// route without the parameter admits nobody. Where the issuer is one for several tenants (Config.Provider.Tenants), it must name
// the tenant, because a tenant's administrator may put anything into a claim; where several issuers' tokens are taken ([Issuers]),
// tenant_id counts from the first client's issuer alone, because another issuer's tenants are others, whatever they are called.
//
// Anybody else is refused with 403 and the code other_tenant or, with Config.HideTenants, with 404 and the code not_found. The
// guard knows nothing of what else the path names: look it up as that tenant's.
func (c *Client) RequireTenant(tenant string) Guard {
	code := codeOtherTenant
	if c.cfg.HideTenants {
		code = codeNotFound
	}
	return c.guard(requirement{code: code, tenant: &tenant, met: func(u *User) bool { return c.isOfTenant(u, tenant) }})
}

// isOfTenant reports whether a user is of a tenant.
func (c *Client) isOfTenant(u *User, tenant string) bool {
	p := &c.cfg.Provider
	switch {
	case tenant == "":
		return false
	case c.cfg.TenantOf != nil:
		return c.cfg.TenantOf(u) == tenant
	case c.issuers != nil && !c.issuers.listed[0].mayIssue(u.Issuer):
		return false
	case len(p.Tenants) > 0 || p.AdmitTenant != nil: // of the segments of the issuer, the tenant alone is an ID
		return isTenantID(tenant) && slices.Contains(strings.Split(u.Issuer, "/"), tenant)
	}
	return u.TenantID == tenant
}

// refuseTenant refuses a user of another tenant. Only the log tells of which.
func refuseTenant(u *User, tenant string, d *denial) {
	d.log = []slog.Attr{slog.String("tenant", endpoint.Printable(tenant, maxRoleText)), slog.String("of", endpoint.Printable(u.TenantID, maxRoleText))}
}
