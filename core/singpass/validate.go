package singpass

import (
	"cmp"
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/signward/idserver-go/core/internal/devenv"
	"github.com/signward/idserver-go/core/internal/fault"
)

// issuers are those of the environments, for people and for entities.
var (
	issuers         = map[Environment]string{Staging: "https://stg-id.singpass.gov.sg/fapi", Production: "https://id.singpass.gov.sg/fapi"}
	corppassIssuers = map[Environment]string{Staging: "https://stg-id.corppass.gov.sg", Production: "https://id.corppass.gov.sg"}
)

var products = []Product{Login, Myinfo, Corppass, MyinfoBusiness}

const (
	openID         = "openid"
	defaultContext = "APP_AUTHENTICATION_DEFAULT"
	maxMessage     = 100
)

// loginScopes are those that a Login application may ask for.
var loginScopes = []string{openID, "user.identity", "name", "email", "mobileno", "sub_account"}

// corppassScopes are those that a Corppass application may ask for, and one of Myinfo Business too.
var corppassScopes = []string{
	openID, "authinfo", "tpauthinfo", "entity.identity", "entity.basic_profile.name", "entity.basic_profile.uen_status", "user.identity", "user.name",
}

// validate returns everything that is wrong with what Singpass's portal shows, and fills in defaults. The rest is idserver.New's
// to validate.
func (c *Config) validate() (faults fault.List) {
	if !slices.Contains(products, c.Product) {
		faults.Add("Product", "SINGPASS_PRODUCT", "%q: want one of %q, as the application is registered", c.Product, products)
	}
	if c.ClientID == "" {
		faults.Add("ClientID", "SINGPASS_CLIENT_ID", "is empty: set the client ID of Singpass's developer portal")
	}
	c.checkIssuer(&faults)
	c.checkKeys(&faults)
	c.checkScopes(&faults)
	c.checkContext(&faults)
	switch {
	case c.MinimumLevel == 3 && c.Product.isCorppass():
		faults.Add("MinimumLevel", "", "3: Corppass has no more than 2")
	case c.MinimumLevel == 0 && c.Environment == Production:
		c.MinimumLevel = 2
	case c.MinimumLevel == 0:
		c.MinimumLevel = 1
	case c.MinimumLevel < 0 || c.MinimumLevel > 3:
		faults.Add("MinimumLevel", "", "%d: want 1, 2 or 3", c.MinimumLevel)
	case c.MinimumLevel == 1 && c.Environment == Production:
		faults.Add("MinimumLevel", "", "1: that is the level of people who are made up, and Environment (SINGPASS_ENVIRONMENT) is production")
	}
	if c.BaseURL != "" {
		c.checkRedirectURI(&faults)
	}
	return faults
}

// checkIssuer completes Issuer. One that is not Singpass's is a double on loopback, which never stands in for production.
func (c *Config) checkIssuer(faults *fault.List) {
	issuers := issuers
	if c.Product.isCorppass() {
		issuers = corppassIssuers
	}
	own, ok := issuers[c.Environment]
	if !ok {
		faults.Add("Environment", "SINGPASS_ENVIRONMENT", "%q: want %s or %s, where the application is registered", c.Environment, Staging, Production)
	}
	switch {
	case c.Issuer == "" || c.Issuer == own:
		c.Issuer = cmp.Or(own, issuers[Staging])
	case !devenv.IsLoopbackURL(c.Issuer):
		faults.Add("Issuer", "", "%q: want none, for that of Environment (SINGPASS_ENVIRONMENT), or a test double on loopback", c.Issuer)
		c.Issuer = issuers[Staging]
	case c.Environment == Production:
		faults.Add("Issuer", "", "%q is a test double, and Environment (SINGPASS_ENVIRONMENT) is production", c.Issuer)
	}
}

func (c *Config) checkKeys(faults *fault.List) {
	if c.fromEnv != nil {
		faults.Add("Keys", "SINGPASS_KEYS", "cannot be read: %w", errors.Unwrap(c.fromEnv))
		return
	}
	if !slices.ContainsFunc(c.Keys, decrypts) {
		faults.Add("Keys", "SINGPASS_KEYS", "has no key with the use enc: Singpass encrypts ID tokens for one (idserver-dev keys -enc)")
	}
}

func (c *Config) checkScopes(faults *fault.List) {
	shares := func(s string) bool {
		return s != openID && !(c.Product == MyinfoBusiness && slices.Contains(corppassScopes, s))
	}
	switch {
	case c.Product == Myinfo && !slices.ContainsFunc(c.Scopes, shares):
		faults.Add("Scopes", "SINGPASS_SCOPES", "has no item of Myinfo, such as name: set those that are approved in the portal")
	case c.Product == MyinfoBusiness && !slices.ContainsFunc(c.Scopes, shares):
		faults.Add("Scopes", "SINGPASS_SCOPES", "has no item of Myinfo Business, such as entity.address: set those that are approved in the portal")
	}
	for _, scope := range c.Scopes {
		switch {
		case c.Product == Corppass && !slices.Contains(corppassScopes, scope):
			faults.Add("Scopes", "SINGPASS_SCOPES", "has %q, which is none of Corppass: want some of %q", scope, corppassScopes)
		case c.Product == MyinfoBusiness && !slices.Contains(corppassScopes, scope) && !isOfBusiness(scope):
			faults.Add("Scopes", "SINGPASS_SCOPES", "has %q, which is none of Myinfo Business: its items begin with entity., user. or corppass.", scope)
		case c.Product == Login && !slices.Contains(loginScopes, scope):
			faults.Add("Scopes", "SINGPASS_SCOPES", "has %q, which is none of Login: want some of %q", scope, loginScopes)
		case strings.HasPrefix(scope, "myinfo."):
			faults.Add("Scopes", "SINGPASS_SCOPES", "has %q, which is sgID's: the items of Myinfo have no myinfo. in front", scope)
		}
	}
	if !slices.Contains(c.Scopes, openID) {
		c.Scopes = append([]string{openID}, c.Scopes...)
	}
}

// isOfBusiness reports whether a scope may be an item of Myinfo Business.
func isOfBusiness(scope string) bool {
	return slices.ContainsFunc([]string{"entity.", "user.", "corppass."}, func(prefix string) bool { return strings.HasPrefix(scope, prefix) })
}

// checkContext checks what Login must say of a sign-in, and Myinfo must not.
func (c *Config) checkContext(faults *fault.List) {
	if !c.Product.hasContext() {
		if c.Context != "" {
			faults.Add("Context", "SINGPASS_CONTEXT", "is set: %s refuses it", c.Product.title())
		}
		if c.Message != "" {
			faults.Add("Message", "SINGPASS_MESSAGE", "is set: %s refuses it", c.Product.title())
		}
		return
	}
	c.Context = cmp.Or(c.Context, defaultContext)
	if strings.ContainsFunc(c.Context, func(r rune) bool { return !('A' <= r && r <= 'Z' || r == '_') }) {
		faults.Add("Context", "SINGPASS_CONTEXT", "%q: want one of Singpass's list, such as %s", c.Context, defaultContext)
	}
	if len(c.Message) > maxMessage || strings.ContainsFunc(c.Message, isNotOfMessage) {
		faults.Add("Message", "SINGPASS_MESSAGE", "%q: want at most %d letters, digits, spaces and .,-@'!()", c.Message, maxMessage)
	} else if c.Product == Corppass && strings.ContainsAny(c.Message, ".,-@'!()") {
		faults.Add("Message", "SINGPASS_MESSAGE", "%q: Corppass takes letters, digits and spaces", c.Message)
	}
}

// title is a product's name, as people know it.
func (p Product) title() string {
	if p == MyinfoBusiness {
		return "Myinfo Business"
	}
	return "Myinfo"
}

func isNotOfMessage(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune(" .,-@'!()", r))
}

// checkRedirectURI checks the redirect URI as the portal does. A double on loopback takes one on loopback.
func (c *Config) checkRedirectURI(faults *fault.List) {
	const field, variable = "BaseURL", "BASE_URL"
	uri := strings.TrimSuffix(c.BaseURL, "/") + cmp.Or(c.CallbackPath, cmp.Or(c.RoutesPath, "/auth")+"/callback")
	u, err := url.Parse(uri)
	if err != nil || u.Hostname() == "" {
		return // idserver.New says so
	}
	double := devenv.IsLoopbackURL(c.Issuer)
	_, notAddress := netip.ParseAddr(u.Hostname())
	switch local := u.Scheme == "http" && u.Hostname() == "localhost"; {
	case double && devenv.IsLoopback(u.Hostname()):
		return
	case u.Scheme != "https" && c.Product.isCorppass():
		faults.Add(field, variable, "%q: Corppass wants https, in staging too", c.BaseURL)
	case u.Scheme != "https" && !(local && c.Environment == Staging):
		faults.Add(field, variable, "%q: Singpass wants https; in staging, http://localhost may be registered too", c.BaseURL)
	case notAddress == nil:
		faults.Add(field, variable, "%q: Singpass takes no IP address in a redirect URI", c.BaseURL)
	}
	for _, word := range []string{"singpass", "corppass", "myinfo"} {
		if strings.Contains(strings.ToLower(uri), word) {
			faults.Add(field, variable, "makes the redirect URI %q: Singpass takes none with %q in it", uri, word)
		}
	}
}

// ours are the fields of idserver.Config that this package or its variables call by another name.
var ours = map[string]fault.Fault{
	"Authority":       {Field: "Environment", Variable: "SINGPASS_ENVIRONMENT"},
	"ClientID":        {Field: "ClientID", Variable: "SINGPASS_CLIENT_ID"},
	"ClientKeys":      {Field: "Keys", Variable: "SINGPASS_KEYS"},
	"Scopes":          {Field: "Scopes", Variable: "SINGPASS_SCOPES"},
	"Provider.Leeway": {Field: "Leeway"},
}

// passedOn returns the faults that idserver.New found, under the names of this package, without those of fields that are reported
// already.
func passedOn(err error, reported fault.List) (faults fault.List) {
	found, ok := errors.AsType[fault.List](err)
	if !ok && err != nil {
		faults.Add("Config", "", "is refused: %w", err)
	}
	for _, f := range found {
		name, renamed := ours[f.Field]
		if renamed {
			f = &fault.Fault{Field: name.Field, Variable: name.Variable, Err: f.Err}
		} else if strings.HasPrefix(f.Variable, "IDSERVER_") { // which ConfigFromEnv does not read
			f = &fault.Fault{Field: f.Field, Err: f.Err}
		}
		if !slices.ContainsFunc(reported, func(r *fault.Fault) bool { return r.Field == f.Field }) {
			faults = append(faults, f)
		}
	}
	return faults
}
