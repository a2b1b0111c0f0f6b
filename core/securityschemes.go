package idserver

import "strings"

// SecuritySchemes describes what the guards take, as the security scheme objects of OpenAPI 3.1 (section 4.8.27) by the names
// that they have in components.securitySchemes. Every member is a string, so that a map is all that is needed: it may be
// marshalled as it is, or read into the type of a framework.
//
//	bearer   {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}: an access token
//	openid   {"type": "openIdConnect", "openIdConnectUrl": ...}: the same token, and where to get it; not there if the
//	         endpoints are configured and the provider's metadata is not used
//	session  {"type": "apiKey", "in": "cookie", "name": ...}: the session that begins at /auth/login; with Config.BaseURL only
//
// Each has a description too. A guard takes any one of them: in OpenAPI that is a list with one security requirement for
// each, [{"bearer": []}, {"session": []}]. What it cannot say: an Authorization header decides alone, and an unsafe request
// with a session must come from the application's own pages.
//
// The result is the caller's. No network is used.
func (c *Client) SecuritySchemes() map[string]map[string]string {
	all := map[string]map[string]string{"bearer": {
		"type": "http", "scheme": "bearer", "bearerFormat": "JWT",
		"description": "An access token of " + c.cfg.Authority + " for " + c.tokens.audience + ".",
	}}
	if c.issuers != nil {
		return map[string]map[string]string{"bearer": {
			"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "An access token of one of several providers.",
		}}
	}
	if _, is := c.cfg.configured(); !is {
		all["openid"] = map[string]string{
			"type": "openIdConnect", "openIdConnectUrl": strings.TrimSuffix(c.cfg.Authority, "/") + wellKnown,
			"description": "The access token of bearer, and the provider that issues it.",
		}
	}
	if name := c.site.sessionCookie(); name != "" {
		all["session"] = map[string]string{
			"type": "apiKey", "in": "cookie", "name": name,
			"description": "The session of a browser that signed in at " + c.site.loginURL() + ".",
		}
	}
	return all
}
