package idserver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/signward/idserver-go/core/internal/baseerror"
	"github.com/signward/idserver-go/core/internal/claims"
)

// tenantID stands for the tenant in the issuer that Entra's metadata names for several tenants ("common", "organizations").
// Such an issuer is a template: every tenant of the world fills it, so that it alone admits nobody.
const tenantID = "{tenantid}"

func isTemplate(issuer string) bool { return strings.Contains(issuer, tenantID) }

// tenantOf returns the tenant that fills the template so that it becomes iss.
func tenantOf(template, iss string) (tenant string, ok bool) {
	before, after, _ := strings.Cut(template, tenantID)
	rest, begins := strings.CutPrefix(iss, before)
	tenant, ends := strings.CutSuffix(rest, after)
	return tenant, begins && ends && tenant != "" && len(tenant) <= 64 && !strings.ContainsFunc(tenant, isNotOfTenant)
}

func isNotOfTenant(c rune) bool {
	return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.')
}

// isTenantID reports whether text is a tenant's ID as tokens have it in tid: a UUID (RFC 9562 section 4) in lower case, and no
// domain name.
func isTenantID(text string) bool {
	for i, c := range []byte(text) {
		switch {
		case i == 8, i == 13, i == 18, i == 23:
			if c != '-' {
				return false
			}
		case ('0' > c || c > '9') && ('a' > c || c > 'f'):
			return false
		}
	}
	return len(text) == 36
}

// tenantAnswerKept is how long what the application said about a tenant is kept, and mostTenants how many answers.
const (
	tenantAnswerKept = 10 * time.Minute
	mostTenants      = 10_000
)

// tenants decides which tenants' tokens are accepted. It is safe for concurrent use.
type tenants struct {
	listed []string
	ask    func(ctx context.Context, tenant string) (bool, error)
	now    func() time.Time

	mu       sync.Mutex
	answered map[string]*tenantAnswer
}

// tenantAnswer is what the application said about one tenant. Whoever else wants to know waits for it.
type tenantAnswer struct {
	mu    sync.Mutex
	at    time.Time // zero: it was not asked yet
	admit bool
}

// admit refuses a tenant that neither the list nor the application's function admits. The function is asked once per tenant
// and ten minutes, and only where a signature has shown that the tenant exists: strangers' tokens do not make it work.
func (t *tenants) admit(ctx context.Context, tenant string, proven bool) error {
	switch {
	case slices.Contains(t.listed, tenant):
		return nil
	case t.ask == nil:
		return invalidToken(ReasonIssuer, "its tenant %q is not listed in Config.Provider.Tenants (IDSERVER_TENANTS)", tenant)
	case !proven:
		return nil
	}
	answer := t.answer(tenant)
	answer.mu.Lock()
	defer answer.mu.Unlock()
	if now := t.now(); answer.at.IsZero() || now.Sub(answer.at).Abs() > tenantAnswerKept {
		admit, err := t.ask(ctx, tenant)
		if err != nil {
			return baseerror.Errorf("idserver: AdmitTenant: %w: %w", ErrUnavailable, err)
		}
		answer.at, answer.admit = now, admit
	}
	if !answer.admit {
		return invalidToken(ReasonIssuer, "its tenant %q is refused by Config.Provider.AdmitTenant", tenant)
	}
	return nil
}

func (t *tenants) answer(tenant string) *tenantAnswer {
	t.mu.Lock()
	defer t.mu.Unlock()
	answer := t.answered[tenant]
	if answer == nil {
		if t.answered == nil || len(t.answered) >= mostTenants {
			t.answered = map[string]*tenantAnswer{}
		}
		answer = new(tenantAnswer)
		t.answered[tenant] = answer
	}
	return answer
}

// issuerOf returns the iss that something must have which says that iss is its issuer. That is trusted itself or, where
// trusted is a template, iss if that fills it with a tenant that is admitted.
func (p *provider) issuerOf(ctx context.Context, trusted, iss string, proven bool) (string, error) {
	if !isTemplate(trusted) {
		return trusted, nil
	}
	tenant, ok := tenantOf(trusted, iss)
	if !ok { // the template itself among them
		return "", invalidToken(ReasonIssuer, "iss is %q, want one like %q", iss, trusted)
	}
	return iss, p.tenants.admit(ctx, tenant, proven)
}

// issuerOfToken is issuerOf for a token. In a template's token, tid must be the same tenant, and so must the issuer of the
// key that signed it, where the key set says that: the set for all tenants has keys that only one of them may sign with.
// of is the issuer in the metadata, whose form the keys' issuers have. Before a token is verified, it has no key.
func (p *provider) issuerOfToken(ctx context.Context, of, trusted string, v verified) (string, error) {
	if tenant, ok := tenantOf(trusted, v.Issuer); ok && isTemplate(trusted) {
		if tid := claims.Text(v.Get("tid")); tid != tenant {
			return "", invalidToken(ReasonIssuer, "tid is %q, and iss is that of the tenant %q", tid, tenant)
		}
		fill := func(issuer string) string { return strings.ReplaceAll(issuer, tenantID, tenant) }
		if v.key != nil && v.key.Issuer != "" && fill(v.key.Issuer) != fill(of) {
			return "", invalidToken(ReasonIssuer, "it is signed with a key of the issuer %q, and is of the tenant %q", v.key.Issuer, tenant)
		}
	}
	return p.issuerOf(ctx, trusted, v.Issuer, v.key != nil)
}

// sameTenant compares the issuer of a refresh with that of the sign-in: sub alone does not tell who somebody is.
func (p *provider) sameTenant(ctx context.Context, issuer string, old, renewed string) error {
	if !isTemplate(issuer) {
		return nil
	}
	if renewed != old {
		return invalidToken(ReasonIssuer, "iss is %q, and at the sign-in it was %q", renewed, old)
	}
	_, err := p.issuerOf(ctx, issuer, renewed, true)
	return err
}

// checkTemplate checks an issuer of metadata that is a template.
func (m *metadata) checkTemplate(cfg Config) error {
	p := &cfg.Provider
	if len(p.Tenants) == 0 && p.AdmitTenant == nil {
		return fmt.Errorf("its issuer %q is a template that every tenant fills: make Config.Authority (IDSERVER_AUTHORITY) the tenant's own, with its ID in place of common or organizations or, for several tenants, list their IDs in Config.Provider.Tenants (IDSERVER_TENANTS)", m.Issuer)
	}
	if p.Issuer != "" {
		if p.Issuer != m.Issuer {
			return fmt.Errorf("its issuer is %q, and Config.Provider.Issuer (IDSERVER_ISSUER) is %q: they must be equal", m.Issuer, p.Issuer)
		}
		return nil
	}
	if _, ok := tenantOf(m.Issuer, strings.TrimSuffix(cfg.Authority, "/")); !ok || strings.Count(m.Issuer, tenantID) != 1 {
		return errors.New("its issuer is a template for other addresses than Config.Authority: " + fmt.Sprintf("%q", m.Issuer))
	}
	return nil
}
