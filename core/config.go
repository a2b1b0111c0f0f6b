package idserver

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/signward/idserver-go/core/internal/fault"
)

// Config describes one relying party at one provider. A web application sets the first five fields, an API the first. The
// zero value of an optional field means its default. [ConfigFromEnv] reads what a container sets.
type Config struct {
	// Authority is the provider's URL, below which its metadata is (OpenID Connect Discovery 1.0 section 4). Required. http
	// is allowed on loopback, and where InsecurePlainHTTP lists it.
	Authority string
	// ClientID is the client_id registered at the provider. Required with BaseURL.
	ClientID string
	// ClientSecret is the client's secret. Empty for a public client.
	ClientSecret string
	// ClientKeys are private keys, in place of a secret and more than one: nothing that is worth stealing goes over the network
	// or lies at the provider. The first key that signs authenticates the client (private_key_jwt, RFC 7523). With keys that
	// decrypt, ID tokens must be encrypted for one of them (RFC 7516), and userinfo may be. The route
	// jwks publishes the public halves of all keys that sign and of the first that decrypts: register its URL at the provider,
	// or give it [Client.PublicKeys].
	//
	// Rotation is the order of this list. To replace the signing key s1 and the decrypting key e1: [s1, s2, e2, e1] in one
	// deployment, and [s2, e2] in the next, once the provider has fetched the set again, which takes an hour at most of them.
	// Default: none.
	ClientKeys []ClientKey
	// ClientAssertionFile is the path of a file with a JWT that authenticates the client (RFC 7523) and that somebody else writes
	// anew before it expires: a service account token of Kubernetes, the file of Entra's workload identity, a JWT-SVID of SPIFFE. It is read for each request
	// that authenticates: token, refresh, pushed authorization, revocation, introspection. At most 16 KiB. New refuses a file that is a directory, longer,
	// or no JWT; it warns of one that is not there yet, is empty or has expired (more than Provider.Leeway ago), with which requests
	// fail as if the provider were away: 503, and sessions go on. Issuer, subject and audience of the JWT are what the provider has
	// been told to trust, and are not checked here. It goes together with ClientKeys only if none of those signs, and not with Profile.
	// Default: none.
	ClientAssertionFile string
	// ClientCertificate returns a certificate that the client presents over TLS where it authenticates (RFC 8705): as its only
	// authentication, in place of a key or a secret (tls_client_auth of a CA, or self_signed_tls_client_auth), or beside one. Where the provider's metadata has
	// mtls_endpoint_aliases, requests go there. Access tokens may then be bound to it: one that is a JWT must be bound to a certificate that was
	// presented, if it says what it is bound to; userinfo and [Client.Transport] present it. It is called for each handshake, concurrently, so
	// that a certificate can be replaced; New calls it once. Its chain and its dates are not checked here. A connection stays open with the one that
	// it began with. An error counts as the provider's being away: 503. An HTTP.Client must have an *http.Transport, which
	// is copied. Default: none.
	ClientCertificate func() (*tls.Certificate, error)
	// DPoP has the access tokens of sign-ins bound to a key (RFC 9449), so that nobody who finds one can use it: every sign-in has a
	// key of its own, from the authorization request on, which is kept where the sign-in is, and every request with the token
	// proves its possession (ES256). The provider must do so too: an answer with a bearer token is refused. [Client.Transport] and [Client.UserInfo]
	// prove it for a program; a token that it sends itself is refused by an API that looks. Whoever holds
	// SessionSecret and a browser's cookie has the key with the token. Default: access tokens are bearer tokens.
	DPoP bool
	// Profile is a profile that sign-ins follow as a whole: "fapi2", the FAPI 2.0 Security Profile, which open banking and Singpass
	// want. With it, all of this holds, and none of it can be turned off alone:
	//
	//   - the client authenticates with a key (private_key_jwt), for the issuer alone: ClientKeys has one for PS256, ES256 or EdDSA; or
	//     with ClientCertificate (tls_client_auth, self_signed_tls_client_auth). There is no ClientSecret;
	//   - authorization requests are pushed (RFC 9126), with PKCE S256;
	//   - access tokens are bound to a key of the sign-in (DPoP), from the pushed request on; or, with ClientCertificate and without
	//     DPoP, to that certificate: the metadata must say so (tls_client_certificate_bound_access_tokens), and each that is a JWT;
	//   - ID tokens, access tokens and userinfo are signed with PS256, ES256 or EdDSA;
	//   - all that is known of the provider comes from its metadata, over TLS but on loopback, and a [DiscoveryError] names the
	//     member that rules any of this out.
	//
	// The issuer of authorization responses is compared where it is there, and must be there where the metadata announces it (RFC
	// 9207), as without a profile. Guards go on to take bearer tokens.
	//
	// "fapi2-message-signing" is FAPI 2.0 Message Signing besides, so that each side can show afterwards what the other has said: the
	// parameters of each authorization request are pushed as a JWT that the client has signed (RFC 9101), which needs a key that signs also where
	// the client authenticates with a certificate, and the provider's responses are JWTs that it has signed (JARM): its signature, iss, aud, exp
	// and then state are checked, and a response with anything else is refused. An API that introspects tokens sets
	// ResourceConfig.SignedIntrospection besides. Default: none.
	Profile string
	// BaseURL is where browsers reach the application, such as https://app.example.com. Setting it turns the sign-in
	// routes on; an API leaves it empty. http is allowed on loopback, and where InsecurePlainHTTP
	// lists it.
	BaseURL string
	// SessionSecret is what cookies are sealed with, at least 32 random bytes. Required with BaseURL.
	SessionSecret string

	// ApplicationName is what the built-in pages call the application, in at most 64 bytes. Default: the host of BaseURL.
	ApplicationName string
	// RoutesPath is the path of the sign-in routes below BaseURL. The redirect_uri to register at the provider is BaseURL +
	// RoutesPath + /callback. Default: /auth.
	RoutesPath string
	// CallbackPath is the path of the callback below BaseURL, where another one is registered at the provider already, such as
	// /signin-oidc. Unless it is below RoutesPath, the routes must be mounted on the root. Default: RoutesPath + /callback.
	CallbackPath string
	// AfterSignIn and AfterSignOut are where the browser goes when no other page was asked for: paths as browsers see them,
	// including the path of BaseURL. Default: the root of BaseURL. AfterSignOut may also be "none": the provider is then told
	// no page to come back to, and shows its own. Use it where none is registered there.
	AfterSignIn, AfterSignOut string
	// TrustedOrigins are other origins (scheme://host[:port]) that users may be returned to after sign-in and sign-out, that may send
	// unsafe requests with the session cookie, and whose scripts may read the answers of sign-in routes and guards (CORS,
	// with credentials). Browsers send the cookies, which are SameSite=Lax, within one site only.
	TrustedOrigins []string

	// Scopes are requested at sign-in; openid always is. Default: openid profile email, and, where the provider's metadata
	// lists them, roles and offline_access. The last brings a refresh token; Keycloak is not asked for it, as it gives one
	// without. Where the provider refuses it to this client, the sign-in goes on without, with a warning.
	Scopes []string
	// AuthorizeParameters are added to the authorization requests of the sign-in routes, such as Auth0's audience, Google's
	// access_type and hd, resource (RFC 8707) or acr_values. max_age, in whole seconds from 1, is also checked when the user
	// comes back. What the protocol itself sets (state, scope, ...) is an error. A parameter here goes before the same one of
	// a link to /auth/login (login_hint, prompt, ui_locales, acr_values), because anybody can make such a link.
	AuthorizeParameters url.Values
	// AuthorizeOptions returns more for one sign-in, such as the organization that a host name stands for: it goes before
	// AuthorizeParameters and the link, and MaxAge is checked when the user comes back. request is the one to /auth/login or,
	// when a sign-in that was lost is begun anew, to /auth/callback. RedirectURI must be empty. An error is answered with a
	// status of 500, one that wraps ErrUnavailable with 503. It is called concurrently.
	AuthorizeOptions func(ctx context.Context, request Request) (AuthorizeOptions, error)
	// ResponseMode is how the provider sends the browser back: "query", in the URL, or "form_post", in a form that the browser
	// posts (OAuth 2.0 Form Post Response Mode), which Apple wants for names and which keeps codes out of logs. form_post
	// needs https: the cookies of a sign-in in progress, and only those, are then sent across sites (SameSite=None). Default:
	// query.
	ResponseMode string
	// Audience is the aud that a bearer access token must have. Default: idserver-api.
	Audience string
	// RolesClaim is where the roles are among the claims, in order of preference: each the name of a claim, or a path such
	// as realm_access/roles. A claim whose whole name has slashes, such as https://app.example/roles, goes before a path.
	// The first that is there wins. Default: roles.
	RolesClaim []string
	// ScopeIncludes reports whether a scope that somebody has includes another one that a guard wants, such as orders for
	// orders:read: [Client.RequireScope] asks it for each scope that is held, where the wanted one is not among them. It
	// must be quick, and is called concurrently. Default: a scope includes itself alone.
	ScopeIncludes func(held, wanted string) bool

	// TenantOf returns the tenant that a user belongs to, as the paths of the application name it, or "" for none:
	// [Client.RequireTenant] compares it with the path's. It must be quick, is called concurrently, and must look at the Issuer
	// where several issuers serve. Default: TenantID, with the restrictions of RequireTenant.
	TenantOf func(u *User) string
	// HideTenants makes [Client.RequireTenant] answer 404 to a user of another tenant, as if there were nothing, so that nobody can
	// try out which tenants there are. Make the application answer the same for a tenant that does not exist. Default: 403.
	HideTenants bool

	// Store is what the application's replicas share, so that each session is refreshed once and a sign-out reaches all of them:
	// see [Store]. One store may serve several applications if their SessionSecrets differ. It is never closed. Default:
	// none: sessions live in sealed cookies alone, and replicas know nothing of each other.
	Store Store
	// StrictSignOut refuses sessions while the Store is away, with 503 and the cookie kept, because somebody may have signed
	// out at another replica. Default: a session that this process does not know to be signed out goes on until its access token
	// is to be refreshed or, without a refresh token, until the Store has been away for Session.StaleMax.
	StrictSignOut bool
	// SingleReplica says that the application runs as one process, for which a Store that is no [Swapper] will do. During a
	// deployment it is not true, if the new process starts before the old one has ended.
	SingleReplica bool

	// ServerSessions keeps sessions in Store, and in the cookie only which one it is, so that large tokens and hundreds of groups
	// have room (up to 256 kB for one session), and nothing of a session that was signed out is left. A request takes one round trip to the
	// store, or none for half a minute after one if the store carries messages ([Notifier]); a store that is away lets nobody in, as soon as
	// that is noticed: 503 store_unavailable, with the cookie kept. Sessions move into the store
	// with the browser's next request, and back into cookies, where they have room there, if it is no longer set and Store still
	// is; nobody is signed out by either. Default: false, sessions live in sealed cookies, and the store serves for
	// coordination.
	ServerSessions bool

	// AdmitUser is called with the user at each sign-in, once every check has passed, and at each refresh, but not for
	// bearer access tokens: what must hold for them too belongs in [Client.Require]. It may add roles or claims
	// ([User.Set]). An error refuses the user and is logged: the sign-in with the code sign_in_refused, and at a refresh the
	// session ends; one that wraps ErrUnavailable means that the application cannot decide now: 503, and a session
	// continues. In ctx, [AccessTokenFrom] finds the access token and [AppDataFrom] the app_data of the link to /auth/login.
	// [UnprovenNameFrom] finds the name that Apple sends at the first sign-in.
	// It is called concurrently.
	AdmitUser func(ctx context.Context, user *User) error
	// UserInfoResponse returns what GET /auth/userinfo answers, to be encoded as JSON. In ctx, [AccessTokenFrom] finds the
	// access token. An error of this package is answered as if the route had met it: 503 for ErrUnavailable, 502 for
	// ErrUserInfo, 401 for a UserInfoError of status 401; any other is a 500. It is called concurrently. Default: the user,
	// as [User.MarshalJSON] encodes it.
	UserInfoResponse func(ctx context.Context, user *User) (any, error)
	// RenderRefusal returns status, content type and body of every refusal, in place of the built-in page and problem+json.
	// The refusal's header fields and cookies are sent either way. A zero Rendered stands for the built-in one. It is called
	// concurrently.
	RenderRefusal func(ctx context.Context, refusal Refusal) Rendered
	// Events are told when somebody signed in, a request was refused and so on: what audit logs and metrics hang on.
	Events Events

	// Session bounds the sessions in time and names the secrets that only open them.
	Session SessionConfig
	// Provider is for a provider whose metadata is missing, wrong or not enough.
	Provider ProviderConfig
	// HTTP is how requests are sent to the provider.
	HTTP HTTPConfig

	// InsecurePlainHTTP allows http for these servers, each exactly host:port ("keycloak:8080"; the port of http://app is 80):
	// a provider or BaseURL inside a compose network or a LAN. Whoever is in between reads and changes everything. New logs
	// a warning. Requests to such a provider use no proxy, and reach private addresses (RFC 1918, RFC 4193), link-local ones
	// and loopback only, whatever the name resolves to; New refuses them together with an HTTP.Client. The provider's metadata
	// may name http URLs at listed servers only, and only if Authority is at one. With such a BaseURL, cookies lack Secure and
	// __Host-, and an unsafe request with the session's cookie needs an Origin, as browsers send no Fetch Metadata over it.
	// Default: none.
	InsecurePlainHTTP []string

	// Logger receives what an operator needs to know, and never a secret: problems to fix as warnings, sign-ins and refusals
	// as information, requests that merely lack credentials at level Debug. Default: slog.Default().
	Logger *slog.Logger
	// LogSubject is how the log names people. "hashed" logs a keyed hash of the subject: lines about one person can be joined,
	// and tell nobody who that is; the key is made from SessionSecret, so that replicas agree, and without one anew at each
	// start. "plain" logs the subject as it is, and leaves e-mail addresses in the provider's texts. "omitted" logs no subject.
	// Default: "hashed".
	LogSubject string
	// TokenCacheBytes bounds the memory for access tokens whose signature was verified (see [Client.ValidateAccessToken]) and,
	// as much again, for session cookies that were opened. An entry larger than 1/32 of it is not kept; a negative value
	// turns both off. Default: 18 MiB, about 10,000 tokens of 1 kB.
	TokenCacheBytes int
	// Now is the clock. It is called concurrently. Default: time.Now.
	Now func() time.Time
	// Rand is the source of states, nonces, code verifiers and the keys of cookies. It is read concurrently. Default:
	// crypto/rand.
	Rand io.Reader

	fromEnv fault.List // what ConfigFromEnv could not read
}

// SessionConfig is the part of [Config] that is about sessions. It says nothing without BaseURL.
type SessionConfig struct {
	// Idle ends a session that has not been used for this long. At least 1 min. Default: 1 h, or Max if that is shorter.
	Idle time.Duration
	// Max ends a session this long after its sign-in, however much it is used. It must not be shorter than Idle. Default:
	// 12 h.
	Max time.Duration
	// StaleMax is how long a session goes on without word of the provider: beyond the expiry of its access token while that
	// cannot be refreshed, after which requests are answered with 503 provider_unavailable and the session waits; and, for
	// its roles, beyond the expiry of the access token with which they came, while refreshes succeed and do not tell the
	// roles, after which the roles go. A negative value allows none. Default: 1 h.
	StaleMax time.Duration
	// List keeps a list of each person's sessions in Config.Store, which it needs, for [Client.Sessions]: when each began and was
	// seen, and the family of its browser. Default: none is kept.
	List bool
	// Place returns what the list says of where a session is used, such as a city, or an address without its last part: at
	// most 100 bytes. It must be quick, and is called concurrently. Default: nothing.
	Place func(ctx context.Context, request Request) string
	// OldSecrets can still open cookies but seal no new ones. When you change SessionSecret, put the previous one here.
	OldSecrets []string
	// NoIDToken keeps ID tokens out of sessions, where they hold what must not lie in a browser, however sealed: [SessionTokensFrom]
	// returns nothing then, and a sign-out at the provider gets no id_token_hint. The claims are the user's own, and stay: see
	// [User.Set] to remove one. Default: the session keeps the ID token.
	NoIDToken bool
	// NoRotation says that the provider does not rotate refresh tokens, or issues none: several processes that share
	// nothing but their settings may then use one session, such as those of fiber's Prefork. A session that was signed out
	// is remembered only by the process that did it. See [Client.CheckProcesses].
	NoRotation bool
}

// String describes the sessions without the secrets.
func (c SessionConfig) String() string {
	return fmt.Sprintf("idserver.SessionConfig{Idle: %v, Max: %v, OldSecrets: %d}", c.Idle, c.Max, len(c.OldSecrets))
}

// ProviderConfig is the part of [Config] that is about the oddities of one provider.
type ProviderConfig struct {
	// Issuer is the provider's issuer identifier, if it differs from Authority. The issuer in the metadata and in every
	// token must equal it exactly. Default: Authority; if that ends in a slash, metadata may name it without the slash.
	Issuer string
	// ClientAuth is how the client authenticates, at the token endpoint and wherever else it must: "client_secret_basic",
	// "client_secret_post", "private_key_jwt", "spiffe_jwt", "tls_client_auth", "self_signed_tls_client_auth" or "none". Default: the
	// first of these that the provider's metadata lists: with a signing key among Config.ClientKeys private_key_jwt; with
	// Config.ClientAssertionFile private_key_jwt, spiffe_jwt (draft-ietf-oauth-spiffe-client-auth); with Config.ClientCertificate
	// tls_client_auth, self_signed_tls_client_auth; with a secret client_secret_basic, client_secret_post. Where it lists none,
	// client_secret_basic with a secret (OpenID Connect Discovery section 3), else the first. Without any of these, none.
	ClientAuth string
	// AssertionType is the typ of client assertions (private_key_jwt). Default: JWT.
	AssertionType string
	// AssertionAudience is the aud of client assertions: "token_endpoint" for a provider that wants the URL of its token
	// endpoint (Entra, whose issuer may stand for many tenants). Default: the issuer, as one string (RFC 10070).
	AssertionAudience string
	// Algorithms, if set, are the only signature algorithms accepted; a key that names no algorithm may be used with
	// those of them that fit its type. Default: a key's own alg or, for a key without one, RS256, ES256, ES384, ES512 or
	// EdDSA depending on its type. HMAC and none are never accepted.
	Algorithms []string
	// Leeway is the clock skew allowed when checking exp, nbf and iat, at most 5 min. Default: 10 s.
	Leeway time.Duration
	// TokenRequestsPerMinute is how many token requests the callback and the sessions of all replicas send within a minute, at
	// most 1,000; -1: as many as come. Half of them are for refreshes alone: strangers, who can begin sign-ins and send codes that
	// they made up, cannot use them up. What is too much waits: a sign-in is answered with 503 and can be reloaded, and a session goes on as it
	// does while the provider is down. Requests by hand (such as [Client.ExchangeCode]) are not counted. Default: 10 at a
	// tenant of Signward, which answers as many to one address (set what your plan has), otherwise -1.
	TokenRequestsPerMinute int
	// RolesSeparator, if set, splits roles that come as one text, such as "," for "admin,user" (Glewlwyd). Default: nothing is
	// split, because a comma or space may be part of a name.
	RolesSeparator string
	// Tenants are the IDs of the tenants whose users may sign in and whose tokens are accepted, where Authority is that of
	// several: Entra's "common" or "organizations", whose issuer has {tenantid} in it. The issuer of each token must be that
	// with its own tid, and the user's identity is Issuer and Subject, as ever. 9188040d-6c67-4c5b-b112-36a304b66dad stands
	// for all personal Microsoft accounts.
	Tenants []string
	// AdmitTenant decides about tenants that are not in Tenants, by their IDs. It is asked when a token's signature has been
	// verified, once per tenant and ten minutes. An error means that it cannot be told now: 503. It is called concurrently.
	AdmitTenant func(ctx context.Context, tenant string) (bool, error)
	// AccessTokenIssuer is the iss that access tokens must have, exactly, where it is not the issuer of ID tokens, such as
	// https://sts.windows.net/<tenant>/ for access tokens of version 1 (Entra) or access-token-issuer of the metadata (ADFS).
	// They must be signed with the same provider's keys. Default: the provider's issuer.
	AccessTokenIssuer string
	// AccessTokenClients are the clients whose access tokens are accepted although they have no aud (Cognito): their
	// client_id must be one of these, and their token_use must be access. Such a token is of Config.Audience. Default: none; a
	// token without aud is refused.
	AccessTokenClients []string
	// PushedAuthorization sends the parameters of each sign-in to the provider before the browser goes there, which then has only a
	// reference to them (PAR, RFC 9126), although the provider's metadata does not require it. Each sign-in costs one request.
	// Default: only where the metadata says require_pushed_authorization_requests.
	PushedAuthorization bool
	// UserInfoOfClient takes userinfo answers whose sub is the client_id in place of the user's subject (Corppass), if they are signed and name the client
	// in aud: the access token alone says then whose they are. Default: the sub is the user's (OpenID Connect Core section 5.3.2).
	UserInfoOfClient bool
	// NoLinkParameters keeps what a link to /auth/login may ask the provider for (login_hint, prompt, ui_locales, acr_values) to
	// itself, where the provider refuses a request with any of it. Default: it is passed on.
	NoLinkParameters bool
	// Endpoints override the provider's metadata.
	Endpoints Endpoints
	// NoUserInfo keeps sign-ins and refreshes from asking the userinfo endpoint for claims that are in neither the ID token
	// nor the access token: the user then lacks them. [Client.UserInfo] still asks it.
	NoUserInfo bool
	// WebBaseURL is the base of [Client.PrivacyCenterURL]. Default: Authority.
	WebBaseURL string
}

// HTTPConfig is the part of [Config] that is about the requests to the provider.
type HTTPConfig struct {
	// Client sends the requests to the provider and is never closed; set its Transport to use a private CA or a proxy.
	// Redirects are not followed, whatever its redirect policy, and its cookie jar is not used. Default: a client of the
	// package's own.
	Client *http.Client
	// Timeout limits each request, including reading the body. Default: 10 s.
	Timeout time.Duration
	// InsecureSkipTLSVerify turns off the verification of the provider's TLS certificate. New refuses it for a provider
	// that is not on loopback, and together with a Client.
	InsecureSkipTLSVerify bool
}

// String describes the requests without the Client, whose transport may hold a password for a proxy.
func (c HTTPConfig) String() string {
	return fmt.Sprintf("idserver.HTTPConfig{Client: %t, Timeout: %v, InsecureSkipTLSVerify: %t}", c.Client != nil, c.Timeout, c.InsecureSkipTLSVerify)
}

// Endpoints are URLs of a provider. Those left empty are read from its metadata. If Authorization, Token and JWKS are all
// set (for an API without BaseURL, just JWKS), the metadata is not fetched at all.
type Endpoints struct {
	Authorization, Token, JWKS, UserInfo, Revocation, EndSession, PushedAuthorization, Introspection, DeviceAuthorization string
}

// String describes the configuration without its secrets.
func (c Config) String() string {
	return fmt.Sprintf("idserver.Config{Authority: %q, ClientID: %q, BaseURL: %q}", c.Authority, c.ClientID, c.BaseURL)
}

// Defaults of Config.
const (
	defaultAudience    = "idserver-api"
	defaultRoutesPath  = "/auth"
	defaultLeeway      = 10 * time.Second
	maxLeeway          = 5 * time.Minute
	defaultCacheBytes  = 18 << 20
	defaultTimeout     = 10 * time.Second
	defaultSessionIdle = time.Hour
	defaultSessionMax  = 12 * time.Hour
	defaultStaleMax    = time.Hour

	maxApplicationName = 64 // bytes
)

// withDefaults fills in the fields that were left out.
func (c Config) withDefaults() Config {
	c = c.withProfile()
	c.Audience = cmp.Or(c.Audience, defaultAudience)
	c.RoutesPath = cmp.Or(c.RoutesPath, defaultRoutesPath)
	c.CallbackPath = cmp.Or(c.CallbackPath, c.RoutesPath+"/callback")
	c.Provider.Leeway = cmp.Or(c.Provider.Leeway, defaultLeeway)
	c.TokenCacheBytes = cmp.Or(c.TokenCacheBytes, defaultCacheBytes)
	c.HTTP.Timeout = cmp.Or(c.HTTP.Timeout, defaultTimeout)
	c.Session.Max = cmp.Or(c.Session.Max, defaultSessionMax)
	c.Session.Idle = cmp.Or(c.Session.Idle, min(defaultSessionIdle, c.Session.Max))
	c.Session.StaleMax = cmp.Or(c.Session.StaleMax, defaultStaleMax)
	c.Provider.WebBaseURL = cmp.Or(c.Provider.WebBaseURL, c.Authority)
	if len(c.RolesClaim) == 0 {
		c.RolesClaim = []string{"roles"}
	}
	c.LogSubject = cmp.Or(c.LogSubject, subjectHashed)
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}
