package idtest

import (
	"cmp"
	"net/url"
	"strings"
)

// Kind is a provider that [Like] stands in for.
type Kind string

// The kinds. What each does otherwise than Signward is beside its dialect, with the page that says so.
const (
	Signward Kind = "Signward"
	Keycloak Kind = "Keycloak"
	Auth0    Kind = "Auth0"
	Okta     Kind = "Okta"
	Entra    Kind = "Entra"
	Google   Kind = "Google"
	Cognito  Kind = "Cognito"
	Apple    Kind = "Apple"
)

// EntraTenant is the tenant of the provider that is [Like] Entra.
const EntraTenant = "aaaaaaaa-0000-4000-8000-00000000e417"

// Like returns a function for [NewProvider] that makes a provider whose metadata and tokens have the shape that another one
// documents: paths, endpoints that it lacks, claims and where they are, types, opaque access tokens and refresh tokens that
// are not rotated. People, keys and the sign-in page stay this package's, and so do its strictness and what is not named
// there. The issuer is below BaseURL, which gets the path that such a provider has:
//
//	provider := idtest.NewProvider(t, idtest.Like(idtest.Keycloak))
//	cfg := provider.Config("https://app.example")
//	cfg.RolesClaim = []string{"realm_access/roles"}
//
// Entra's and Auth0's issuer is not [Provider.URL]: [Provider.Issuer] has it, and Config uses it. It panics for a kind that
// is not among the constants.
func Like(kind Kind) func(*Options) {
	like, ok := likes[kind]
	if !ok {
		panic("idtest: Like: no such kind: " + string(kind))
	}
	return func(o *Options) {
		o.BaseURL = strings.TrimRight(cmp.Or(o.BaseURL, "http://localhost"), "/") + like.path
		o.Dialect = like.dialect
		if like.suffix != "" {
			o.Dialect = withIssuer(o.Dialect, like.suffix)
		}
	}
}

// likeness is how a kind differs.
type likeness struct {
	path    string // of BaseURL
	suffix  string // of the issuer, behind BaseURL
	dialect Dialect
}

var likes = map[Kind]likeness{
	Signward: {},

	// https://www.keycloak.org/docs/latest/server_admin/ (client scopes, protocol mappers) and its metadata at
	// /realms/{realm}/.well-known/openid-configuration: realm roles are in the access token alone, whose typ is JWT.
	Keycloak: {path: "/realms/main", dialect: Dialect{
		Paths: map[Endpoint]string{
			Discovery: "/.well-known/openid-configuration", Authorization: "/protocol/openid-connect/auth", Token: "/protocol/openid-connect/token",
			UserInfo: "/protocol/openid-connect/userinfo", Revocation: "/protocol/openid-connect/revoke", EndSession: "/protocol/openid-connect/logout",
			KeySet: "/protocol/openid-connect/certs",
		},
		AccessTokenType: "JWT",
		AccessTokenClaims: func(c map[string]any) {
			c["typ"], c["azp"], c["acr"] = "Bearer", c["client_id"], "1"
			c["aud"] = []any{c["aud"], "account"} // of the client scope "roles", beside an audience mapper's
			c["realm_access"] = map[string]any{"roles": c["roles"]}
			c["resource_access"] = map[string]any{"account": map[string]any{"roles": []string{"manage-account", "view-profile"}}}
			remove(c, "client_id", "roles", "custom_roles", "tenant_id")
		},
		IDTokenClaims:  func(c map[string]any) { c["typ"], c["azp"], c["acr"] = "ID", c["aud"], "1" },
		UserInfoClaims: func(c map[string]any) { remove(c, "roles", "custom_roles", "tenant_id") },
		TokenResponse: func(r map[string]any) {
			r["refresh_expires_in"], r["not-before-policy"], r["session_state"] = 1800, 0, "b7a0b3b4-0000-4000-8000-000000000001"
		},
		Metadata: func(m map[string]any) {
			m["token_endpoint_auth_methods_supported"] = []string{"private_key_jwt", "client_secret_basic", "client_secret_post", "tls_client_auth", "client_secret_jwt"}
			m["scopes_supported"] = []string{"openid", "profile", "email", "roles", "offline_access", "web-origins", "acr", "basic"}
		},
	}},

	// https://auth0.com/docs/secure/tokens/access-tokens and /docs/get-started/apis/scopes/sample-use-cases: the issuer ends in
	// a slash, aud has userinfo too, and claims of one's own (by an Action) have a URL for a name.
	Auth0: {suffix: "/", dialect: Dialect{
		Paths: map[Endpoint]string{
			Discovery: "/.well-known/openid-configuration", Authorization: "/authorize", Token: "/oauth/token", UserInfo: "/userinfo",
			Revocation: "/oauth/revoke", EndSession: "/oidc/logout", KeySet: "/.well-known/jwks.json",
		},
		AccessTokenType: "JWT", TenantClaims: true,
		AccessTokenClaims: func(c map[string]any) {
			issuer, _ := c["iss"].(string)
			c["azp"], c["aud"] = c["client_id"], []any{c["aud"], issuer + "userinfo"}
			rename(c, "roles", "https://app.example/roles")
			remove(c, "client_id", "custom_roles", "tenant_id", "email", "name")
		},
		IDTokenClaims: func(c map[string]any) {
			rename(c, "roles", "https://app.example/roles")
			remove(c, "custom_roles", "tenant_id")
		},
		UserInfoClaims: func(c map[string]any) { remove(c, "roles", "custom_roles", "tenant_id") },
		Metadata: func(m map[string]any) {
			m["scopes_supported"] = []string{"openid", "profile", "offline_access", "name", "given_name", "family_name", "email", "email_verified"}
			m["token_endpoint_auth_methods_supported"] = []string{"client_secret_basic", "client_secret_post", "private_key_jwt", "none"}
			remove(m, "authorization_response_iss_parameter_supported")
		},
		AuthorizationResponse: withoutIssuer,
	}},

	// https://developer.okta.com/docs/reference/api/oidc/ (custom authorization server): scp is an array, the client is cid, sub
	// of an access token is the login name and not the sub of the ID token; groups are a claim that is configured.
	Okta: {path: "/oauth2/default", dialect: Dialect{
		Paths: map[Endpoint]string{
			Discovery: "/.well-known/openid-configuration", Authorization: "/v1/authorize", Token: "/v1/token", UserInfo: "/v1/userinfo",
			Revocation: "/v1/revoke", EndSession: "/v1/logout", KeySet: "/v1/keys",
		},
		AccessTokenType: "none", TenantClaims: true,
		AccessTokenClaims: func(c map[string]any) {
			scope, _ := c["scope"].(string)
			c["ver"], c["cid"], c["uid"], c["scp"] = 1, c["client_id"], c["sub"], strings.Fields(scope)
			if email, ok := c["email"]; ok {
				c["sub"] = email
			}
			rename(c, "roles", "groups")
			remove(c, "client_id", "scope", "custom_roles", "tenant_id", "email", "name")
		},
		IDTokenClaims: func(c map[string]any) {
			c["ver"], c["amr"] = 1, []string{"pwd"}
			rename(c, "roles", "groups")
			remove(c, "custom_roles", "tenant_id")
		},
		UserInfo:       nil,
		UserInfoClaims: func(c map[string]any) { remove(c, "roles", "custom_roles", "tenant_id") },
		Metadata: func(m map[string]any) {
			m["scopes_supported"] = []string{"openid", "profile", "email", "address", "phone", "offline_access"}
			m["response_modes_supported"] = []string{"query", "fragment", "form_post", "okta_post_message"}
			remove(m, "authorization_response_iss_parameter_supported")
		},
		AuthorizationResponse: withoutIssuer,
	}},

	// https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference and access-token-claims-reference (version 2.0):
	// tid, oid and app roles in both tokens, no email_verified, no revocation endpoint.
	Entra: {path: "/" + EntraTenant, suffix: "/v2.0", dialect: Dialect{
		Paths: map[Endpoint]string{
			Discovery: "/v2.0/.well-known/openid-configuration", Authorization: "/oauth2/v2.0/authorize", Token: "/oauth2/v2.0/token",
			UserInfo: "/oidc/userinfo", EndSession: "/oauth2/v2.0/logout", KeySet: "/discovery/v2.0/keys",
		},
		AccessTokenType: "JWT", TenantClaims: true, NoDPoP: true,
		AccessTokenClaims: func(c map[string]any) {
			c["tid"], c["ver"], c["azp"], c["azpacr"], c["scp"] = EntraTenant, "2.0", c["client_id"], "1", "access_as_user"
			remove(c, "client_id", "scope", "custom_roles", "tenant_id")
		},
		IDTokenClaims: func(c map[string]any) {
			c["tid"], c["ver"] = EntraTenant, "2.0"
			if email, ok := c["email"]; ok {
				c["preferred_username"] = email
			}
			remove(c, "email_verified", "custom_roles", "tenant_id", "auth_time")
		},
		UserInfoClaims: func(c map[string]any) { remove(c, "email_verified", "roles", "custom_roles", "tenant_id") },
		Metadata: func(m map[string]any) {
			m["scopes_supported"] = []string{"openid", "profile", "email", "offline_access"}
			m["token_endpoint_auth_methods_supported"] = []string{"client_secret_post", "private_key_jwt", "client_secret_basic"}
			remove(m, "authorization_response_iss_parameter_supported", "code_challenge_methods_supported", "grant_types_supported")
		},
		AuthorizationResponse: withoutIssuer,
	}},

	// https://developers.google.com/identity/openid-connect/openid-connect: access tokens are opaque, refresh tokens (with
	// access_type=offline) are not rotated, there is no end_session_endpoint.
	Google: {dialect: Dialect{
		Paths: map[Endpoint]string{
			Discovery: "/.well-known/openid-configuration", Authorization: "/o/oauth2/v2/auth", Token: "/token", UserInfo: "/v1/userinfo",
			Revocation: "/revoke", KeySet: "/oauth2/v3/certs",
		},
		OpaqueAccessTokens: true, NoDPoP: true, NoRotation: true,
		IDTokenClaims: func(c map[string]any) {
			c["azp"] = c["aud"]
			remove(c, "auth_time", "sid")
		},
		UserInfoClaims: func(c map[string]any) { remove(c, "roles", "custom_roles", "tenant_id") },
		Metadata: func(m map[string]any) {
			m["scopes_supported"] = []string{"openid", "email", "profile"}
			m["token_endpoint_auth_methods_supported"] = []string{"client_secret_post", "client_secret_basic"}
		},
	}},

	// https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-id-token.html and
	// ...using-the-access-token.html: access tokens have client_id and token_use and no aud; userinfo writes "true".
	Cognito: {path: "/eu-west-1_pool", dialect: Dialect{
		Paths: map[Endpoint]string{
			Discovery: "/.well-known/openid-configuration", Authorization: "/oauth2/authorize", Token: "/oauth2/token", UserInfo: "/oauth2/userInfo",
			Revocation: "/oauth2/revoke", EndSession: "/logout", KeySet: "/.well-known/jwks.json",
		},
		AccessTokenType: "none", NoRotation: true, NoDPoP: true, TenantClaims: true,
		AccessTokenClaims: func(c map[string]any) {
			c["token_use"], c["version"], c["username"] = "access", 2, c["sub"]
			rename(c, "roles", "cognito:groups")
			remove(c, "aud", "custom_roles", "tenant_id", "email", "name")
		},
		IDTokenClaims: func(c map[string]any) {
			c["token_use"], c["cognito:username"] = "id", c["sub"]
			rename(c, "roles", "cognito:groups")
			remove(c, "custom_roles", "tenant_id")
		},
		UserInfoClaims: func(c map[string]any) {
			if c["email_verified"] == true {
				c["email_verified"] = "true"
			}
			remove(c, "roles", "custom_roles", "tenant_id")
		},
		Metadata: func(m map[string]any) {
			m["scopes_supported"] = []string{"openid", "email", "phone", "profile"}
			m["token_endpoint_auth_methods_supported"] = []string{"client_secret_basic", "client_secret_post"}
			remove(m, "authorization_response_iss_parameter_supported", "code_challenge_methods_supported")
		},
		AuthorizationResponse: withoutIssuer,
	}},

	// https://developer.apple.com/documentation/signinwithapplerestapi: no userinfo and no end_session_endpoint, email_verified
	// as a string, no name in any token, refresh tokens that are not rotated, form_post for names.
	Apple: {dialect: Dialect{
		Paths: map[Endpoint]string{
			Discovery: "/.well-known/openid-configuration", Authorization: "/auth/authorize", Token: "/auth/token", Revocation: "/auth/revoke", KeySet: "/auth/keys",
		},
		OpaqueAccessTokens: true, NoDPoP: true, NoRotation: true,
		IDTokenClaims: func(c map[string]any) {
			if c["email_verified"] == true {
				c["email_verified"] = "true"
			}
			c["nonce_supported"] = true
			remove(c, "name", "given_name", "family_name", "sid")
		},
		AuthorizationResponse: func(r url.Values) {
			withoutIssuer(r)
			r.Set("user", `{"name":{"firstName":"Alice","lastName":"Tan"},"email":"alice@example.test"}`)
		},
		Metadata: func(m map[string]any) {
			m["scopes_supported"] = []string{"openid", "email", "name"}
			m["response_modes_supported"] = []string{"query", "fragment", "form_post"}
			m["token_endpoint_auth_methods_supported"] = []string{"client_secret_post"}
			remove(m, "authorization_response_iss_parameter_supported", "code_challenge_methods_supported", "grant_types_supported")
		},
	}},
}

// withIssuer returns the dialect of a provider whose issuer goes on behind its URL.
func withIssuer(d Dialect, suffix string) Dialect {
	with := func(name string, edit func(map[string]any)) func(map[string]any) {
		return func(c map[string]any) {
			if issuer, ok := c[name].(string); ok {
				c[name] = issuer + suffix
			}
			if edit != nil {
				edit(c)
			}
		}
	}
	d.issuerSuffix = suffix
	d.Metadata, d.IDTokenClaims, d.AccessTokenClaims = with("issuer", d.Metadata), with("iss", d.IDTokenClaims), with("iss", d.AccessTokenClaims)
	return d
}

// Issuer is the iss of tokens: [Provider.URL], unless the provider is [Like] one whose issuer ends otherwise.
func (p *Provider) Issuer() string { return p.URL() + p.options.Dialect.issuerSuffix }

func withoutIssuer(response url.Values) { response.Del("iss") } // RFC 9207

func remove(c map[string]any, names ...string) {
	for _, name := range names {
		delete(c, name)
	}
}

func rename(c map[string]any, from, to string) {
	if value, ok := c[from]; ok {
		c[to] = value
		delete(c, from)
	}
}
