package sgid

import (
	"cmp"
	"crypto/rsa"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/signward/idserver-go/core/internal/devenv"
	"github.com/signward/idserver-go/core/internal/fault"
	"github.com/signward/idserver-go/core/internal/jose"
)

// validate returns the origin of sgID and the private key of a configuration, and everything that is wrong with what sgID's
// portal shows. The rest is idserver.New's to validate. It completes RedirectURI.
func (c *Config) validate() (origin string, key *rsa.PrivateKey, faults fault.List) {
	if c.ClientID == "" {
		faults.Add("ClientID", "SGID_CLIENT_ID", "is empty: set the client ID of sgID's developer portal")
	}
	if c.ClientSecret == "" {
		faults.Add("ClientSecret", "SGID_CLIENT_SECRET", "is empty: set the client secret of sgID's developer portal")
	}
	key, err := jose.ParseRSAPrivateKey(c.PrivateKey)
	if err != nil {
		faults.Add("PrivateKey", "SGID_PRIVATE_KEY", "is refused: %w: %w", ErrPrivateKey, err)
	}
	origin, err = originOf(cmp.Or(c.Hostname, defaultHostname))
	if err != nil {
		faults.Add("Hostname", "SGID_HOSTNAME", "%q: %w", c.Hostname, err)
		origin = defaultHostname
	}
	c.checkRedirectURI(&faults)
	return origin, key, faults
}

// checkRedirectURI completes RedirectURI. Without routes it may be empty: each call then brings its own.
func (c *Config) checkRedirectURI(faults *fault.List) {
	if c.BaseURL == "" {
		if c.RedirectURI != "" && !isURL(c.RedirectURI) {
			faults.Add("RedirectURI", "SGID_REDIRECT_URI", "%q: want a URL such as https://app.example.com/callback", c.RedirectURI)
		}
		return
	}
	routes := strings.TrimSuffix(c.BaseURL, "/") + cmp.Or(c.CallbackPath, cmp.Or(c.RoutesPath, "/auth")+"/callback")
	if c.RedirectURI != "" && c.RedirectURI != routes {
		faults.Add("RedirectURI", "SGID_REDIRECT_URI", "%q: the routes are at %q; leave it out, or leave BaseURL (BASE_URL) out and have no routes", c.RedirectURI, routes)
	}
	c.RedirectURI = routes
}

func isURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.Fragment == ""
}

// ours are the fields of idserver.Config that this package or its variables call by another name.
var ours = map[string]fault.Fault{
	"Authority":       {Field: "Hostname", Variable: "SGID_HOSTNAME"},
	"ClientID":        {Field: "ClientID", Variable: "SGID_CLIENT_ID"},
	"ClientSecret":    {Field: "ClientSecret", Variable: "SGID_CLIENT_SECRET"},
	"Scopes":          {Field: "Scopes", Variable: "SGID_SCOPES"},
	"Provider.Leeway": {Field: "Leeway"},
}

// passedOn returns the faults that idserver.New found, under the names of this package. Left out are those of fields that
// are reported already, and of Provider.Endpoints and Provider.Issuer, which are made from Hostname, as Authority is.
func passedOn(err error, reported fault.List) (faults fault.List) {
	found, ok := errors.AsType[fault.List](err)
	if !ok && err != nil {
		faults.Add("Config", "", "is refused: %w", err)
	}
	for _, f := range found {
		name, renamed := ours[f.Field]
		switch {
		case slices.ContainsFunc(reported, func(r *fault.Fault) bool { return r.Field == f.Field }):
			continue
		case renamed:
			f = &fault.Fault{Field: name.Field, Variable: name.Variable, Err: f.Err}
		case strings.HasPrefix(f.Field, "Provider."):
			continue
		case strings.HasPrefix(f.Variable, "IDSERVER_"): // which ConfigFromEnv does not read
			f = &fault.Fault{Field: f.Field, Err: f.Err}
		}
		faults = append(faults, f)
	}
	return faults
}

// originOf parses Hostname. A path is refused because the version is not for the caller to choose, except for /v2, which
// some people write.
func originOf(hostname string) (string, error) {
	u, err := url.Parse(hostname)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		return "", errors.New("want a URL such as " + defaultHostname)
	case u.Scheme == "http" && !devenv.IsLoopback(u.Hostname()) && !strings.HasSuffix(u.Hostname(), ".localhost"):
		return "", errors.New("want https: http is allowed on loopback only")
	case !slices.Contains([]string{"", "/", "/v2", "/v2/"}, u.Path) || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return "", errors.New("want no more than a scheme, a host and a port: " + defaultHostname)
	}
	host := strings.ToLower(u.Host)
	if port := map[string]string{"https": "443", "http": "80"}[u.Scheme]; u.Port() == port {
		host = strings.TrimSuffix(host, ":"+port) // as the issuer is written
	}
	return u.Scheme + "://" + host, nil
}
