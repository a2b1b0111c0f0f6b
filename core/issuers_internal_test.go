package idserver

import (
	"net/url"
	"testing"
)

func TestIsSiblingOf(t *testing.T) {
	t.Parallel()
	const common = "https://login.example/common/v2.0"
	for iss, want := range map[string]bool{
		"https://login.example/tenant/v2.0": true, "https://login.example/tenant/v2.0/": true, "https://login.example//v2.0": true, // which is no tenant's
		common: false, "https://evil.example/common/v2.0": false, "https://evil.example/tenant/v2.0": false, "http://login.example/common/v2.0": false,
		"https://login.example/tenant/v1.0": false, "https://login.example/tenant": false, "https://login.example/a/b/v2.0": false,
		"https://login.example/a/v2.0/x": false, "https://login.example/common/v2.0/x": false, "https:/login.example/tenant/v2.0": false, "": false,
	} {
		if isSiblingOf(common, iss) != want {
			t.Errorf("%q: want %t", iss, want)
		}
	}
	if isSiblingOf("https://login.example", "https://evil.example") {
		t.Error("a host is no tenant")
	}
}

// The client that an unverified iss chooses is one of the same host, and of the same path but for a tenant.
func FuzzMayIssue(f *testing.F) {
	for _, iss := range []string{
		"https://login.example/common/v2.0", "https://login.example/11111111-0000-4000-8000-000000000001/v2.0", "https://evil.example/common/v2.0",
		"https://login.example", "https://login.example/", "https://login.example/a/b/v2.0", "https://login.example/../v2.0", "//login.example/x/v2.0",
		"https://login.example/{tenantid}/v2.0", "https://sts.example/a/", "https://sts.example//", "", "https:", "https://login.example/a#/v2.0",
	} {
		f.Add(iss)
	}
	clients := map[string]*Client{}
	for name, p := range map[string]ProviderConfig{
		"https://login.example/": {}, "https://login.example/common/v2.0": {Tenants: []string{"11111111-0000-4000-8000-000000000001"}},
		"https://named.example":    {Issuer: "https://login.example/issuer"},
		"https://template.example": {AccessTokenIssuer: "https://sts.example/{tenantid}/"},
	} {
		cfg := Config{Authority: name, Provider: p}
		clients[name] = &Client{cfg: cfg, tokens: cfg.rules()}
	}
	f.Fuzz(func(t *testing.T, iss string) {
		for name, c := range clients {
			if !c.mayIssue(iss) {
				continue
			}
			u, err := url.Parse(iss)
			if err != nil {
				continue // a template may be filled with what is no URL; the client's tenants decide
			}
			want, _ := url.Parse(c.issuer())
			if want != nil && (u.Scheme != want.Scheme || u.Host != want.Host) {
				t.Errorf("%q is taken for an issuer of %s", iss, name)
			}
		}
	})
}
