package singpass

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	idserver "github.com/signward/idserver-go/core"
)

// Product is what an application is registered for.
type Product string

// The products.
const (
	Login  Product = "login"  // people sign in
	Myinfo Product = "myinfo" // people sign in and share data

	Corppass       Product = "corppass"        // people sign in for an entity: a company, or another organization
	MyinfoBusiness Product = "myinfo-business" // and share data of it, and of themselves
)

// isCorppass reports whether a product is Corppass's, where it is an entity that signs in, and a person who acts for it.
func (p Product) isCorppass() bool { return p == Corppass || p == MyinfoBusiness }

// hasContext reports whether a product wants to be told what people sign in for. The others refuse it.
func (p Product) hasContext() bool { return p == Login || p == Corppass }

// Environment is which Singpass an application is registered at.
type Environment string

// The environments. A client ID is good in one of them.
const (
	Staging    Environment = "staging"    // https://stg-id.singpass.gov.sg/fapi, https://stg-id.corppass.gov.sg: people who are made up
	Production Environment = "production" // https://id.singpass.gov.sg/fapi, https://id.corppass.gov.sg
)

// Config describes one application at Singpass. The first fields are what its developer portal shows; BaseURL turns the sign-in
// routes on. The zero value of an optional field means its default, which is that of [idserver.Config] where nothing else
// is said. What is not here, such as endpoints, algorithms and the profile, is settled by Singpass.
type Config struct {
	// Product is what the application is registered for. Required.
	Product Product
	// Environment is where it is registered. Required, so that nobody signs people who are made up in to production.
	Environment Environment
	// ClientID is the one shown in the portal, of 32 characters. Required.
	ClientID string
	// Keys are the application's private keys, as in [idserver.Config].ClientKeys, whose order is how they are rotated: at least
	// one that signs with ES256 (P-256), and one on P-256, P-384 or P-521 with the use enc. Singpass fetches their public halves at BaseURL + RoutesPath + /jwks,
	// or is given [idserver.Client.PublicKeys] in the portal. Required.
	Keys []idserver.ClientKey
	// Scopes are requested at sign-in, as far as the portal has approved them; openid always is. Login has user.identity, name,
	// email and mobileno; Myinfo has one for each item, such as uinfin, name and regadd; Corppass has authinfo, tpauthinfo, entity.identity,
	// entity.basic_profile.name, entity.basic_profile.uen_status, user.identity and user.name; Myinfo Business those, corppass.email, and one for each item, such
	// as entity.address and user.dob. Default: openid alone; required for Myinfo and Myinfo Business.
	Scopes []string
	// Context is what the person signs in for: the authentication_context_type of Login and Corppass, of the values that Singpass lists. It must be
	// empty for Myinfo and Myinfo Business. Default: APP_AUTHENTICATION_DEFAULT.
	Context string
	// Message is what the Singpass app shows beside it (authentication_context_message): at most 100 letters, digits, spaces and
	// .,-@'!(); at Corppass letters, digits and spaces. It must be empty for Myinfo and Myinfo Business. Default: none.
	Message string
	// MinimumLevel is the least level of assurance, of 1 to 3, of the acr in the ID token. A sign-in below is refused. Levels above the
	// default must be asked for in the portal. Default: 2 in production, and 1 in staging, whose people have no more. Corppass documents no acr in its ID
	// tokens: by default one without is taken, and a level that is set, 1 or 2, is asked for and must be there.
	MinimumLevel int
	// Issuer is the issuer of a test double on loopback, such as that of package singpasstest. Default: that of Environment; no other
	// is allowed.
	Issuer string

	// ApplicationName is what the built-in pages call the application, in at most 64 bytes. Default: the host of BaseURL.
	ApplicationName string
	// BaseURL is where browsers reach the application, such as https://app.example.com. Setting it turns the sign-in routes on.
	// https is required; http is allowed for localhost in staging, and on loopback at a test double. No redirect URI may have an IP address for a host, or singpass,
	// corppass or myinfo in it.
	BaseURL string
	// RoutesPath is the path of the sign-in routes below BaseURL. Default: /auth. Register BaseURL + RoutesPath + /callback in the
	// portal.
	RoutesPath string
	// CallbackPath is the path of the callback below BaseURL, where another one is registered already. Default: RoutesPath +
	// /callback.
	CallbackPath string
	// SessionSecret is the secret that cookies are sealed with, at least 32 bytes. Required with BaseURL.
	SessionSecret string
	// AfterSignIn and AfterSignOut are where the browser goes when no other page was asked for. Default: the root of BaseURL.
	AfterSignIn, AfterSignOut string
	// TrustedOrigins are the origins of front ends elsewhere, as in [idserver.Config].
	TrustedOrigins []string
	// Session bounds the sessions in time and names the secrets that only open them. Sessions keep no ID token, as if NoIDToken were
	// set.
	Session idserver.SessionConfig
	// HTTP is how requests are sent to Singpass.
	HTTP idserver.HTTPConfig
	// Leeway is the clock skew allowed when checking an ID token, at most 5 min. Default: 10 s.
	Leeway time.Duration
	// TokenCacheBytes bounds the memory used to remember session cookies that were opened. Default: 18 MiB. A negative value turns
	// it off.
	TokenCacheBytes int

	// Store is what the application's replicas share, SingleReplica says that there is one, and StrictSignOut what happens while the
	// store is away, as in [idserver.Config].
	Store                        idserver.Store
	SingleReplica, StrictSignOut bool
	// ServerSessions keeps sessions in the Store, which has room for Myinfo's data, as in [idserver.Config].
	ServerSessions bool

	// AdmitUser is called with the user at each sign-in, once every check has passed, as in [idserver.Config]. In ctx, [IdentityFrom]
	// has what the ID token says of the person, and [Client.PersonFrom] asks Myinfo. What is to be kept of it in the session, it
	// sets ([idserver.User.Set]); never the identity number, if the session is in a cookie.
	AdmitUser func(ctx context.Context, user *idserver.User) error
	// UserInfoResponse, if set, returns what GET /auth/userinfo answers, as in [idserver.Config]. Default: the user. Myinfo is not
	// asked for it.
	UserInfoResponse func(ctx context.Context, user *idserver.User) (any, error)
	// RenderRefusal, if set, provides the status, content type and body of every refusal, as in [idserver.Config].
	RenderRefusal func(ctx context.Context, refusal idserver.Refusal) idserver.Rendered

	// Events are functions that are called when somebody signed in, a request was refused and so on, as in [idserver.Config].
	Events idserver.Events
	// Logger receives what an operator needs to know, and never a secret. Default: slog.Default().
	Logger *slog.Logger
	// LogSubject is how the log names people: "hashed", "plain" or "omitted", as [idserver.Config] says. Default: "hashed".
	LogSubject string
	// Now is the clock. It is called concurrently. Default: time.Now.
	Now func() time.Time
	// Rand is the source of randomness. It is read concurrently. Default: crypto/rand.
	Rand io.Reader

	fromEnv error // what ConfigFromEnv could not read
}

// ConfigFromEnv returns a Config with the fields that are set in the environment: SINGPASS_PRODUCT (login, myinfo, corppass or myinfo-business),
// SINGPASS_ENVIRONMENT (staging or production), SINGPASS_CLIENT_ID, SINGPASS_KEYS (as [idserver.ParseClientKeys] reads it),
// SINGPASS_SCOPES (separated by spaces), SINGPASS_CONTEXT, SINGPASS_MESSAGE, and APPLICATION_NAME, BASE_URL, SESSION_SECRET, SESSION_SECRET_OLD
// and TRUSTED_ORIGINS as in [idserver.ConfigFromEnv]. It does not validate them: [New] does.
func ConfigFromEnv() Config {
	shared := idserver.ConfigFromEnv()
	cfg := Config{
		Product:         Product(os.Getenv("SINGPASS_PRODUCT")),
		Environment:     Environment(os.Getenv("SINGPASS_ENVIRONMENT")),
		ClientID:        os.Getenv("SINGPASS_CLIENT_ID"),
		Scopes:          strings.Fields(os.Getenv("SINGPASS_SCOPES")),
		Context:         os.Getenv("SINGPASS_CONTEXT"),
		Message:         os.Getenv("SINGPASS_MESSAGE"),
		ApplicationName: shared.ApplicationName,
		BaseURL:         shared.BaseURL,
		SessionSecret:   shared.SessionSecret,
		Session:         shared.Session,
		TrustedOrigins:  shared.TrustedOrigins,
	}
	if text := os.Getenv("SINGPASS_KEYS"); strings.TrimSpace(text) != "" {
		cfg.Keys, cfg.fromEnv = idserver.ParseClientKeys(text)
	}
	return cfg
}

// String describes the configuration without its secrets.
func (c Config) String() string {
	return fmt.Sprintf("singpass.Config{Product: %s, Environment: %s, ClientID: %q, BaseURL: %q}", c.Product, c.Environment, c.ClientID, c.BaseURL)
}
