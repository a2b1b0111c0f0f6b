package sgid

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

// Config describes one application at sgID. The first fields are what sgID's developer portal shows; BaseURL turns the
// sign-in routes on. The zero value of an optional field means its default, which is that of [idserver.Config] where
// nothing else is said. What is not here, such as the algorithm and the endpoints, is settled by sgID.
type Config struct {
	// ClientID and ClientSecret are those shown in the portal. Required: sgID has no public clients.
	ClientID, ClientSecret string
	// PrivateKey is the RSA private key from the portal in PEM, PKCS#1 or PKCS#8, of 2048 to 16384 bits. Line breaks may
	// be written as \n or be missing, as is common in environment variables. Required.
	PrivateKey string
	// RedirectURI is where sgID sends the browser back to, for AuthorizeURL and Callback. Default: that of the
	// routes, BaseURL + CallbackPath; with BaseURL set, no other is allowed.
	RedirectURI string
	// Hostname is the origin of sgID. Default: https://api.id.gov.sg. http is allowed on loopback only.
	Hostname string
	// Scopes are the scopes requested at sign-in. Default: openid myinfo.name. openid is always added.
	Scopes []string

	// ApplicationName is what the built-in pages call the application, in at most 64 bytes. Default: the host of BaseURL.
	ApplicationName string
	// BaseURL is where browsers reach the application, such as https://app.example.com. Setting it turns the sign-in
	// routes on. http is allowed on loopback only.
	BaseURL string
	// RoutesPath is the path of the sign-in routes below BaseURL. Default: /auth. Register BaseURL + RoutesPath +
	// /callback in the portal.
	RoutesPath string
	// CallbackPath is the path of the callback below BaseURL, where another one is registered already. Default: RoutesPath +
	// /callback.
	CallbackPath string
	// SessionSecret is the secret that cookies are sealed with, at least 32 bytes. Required with BaseURL.
	SessionSecret string
	// AfterSignIn and AfterSignOut are where the browser goes when no other page was asked for. Default: the root of
	// BaseURL.
	AfterSignIn, AfterSignOut string
	// TrustedOrigins are the origins of front ends elsewhere, as in [idserver.Config].
	TrustedOrigins []string
	// Session bounds the sessions in time and names the secrets that only open them.
	Session idserver.SessionConfig
	// HTTP is how requests are sent to sgID.
	HTTP idserver.HTTPConfig
	// Leeway is the clock skew allowed when checking an ID token, at most 5 min. Default: 10 s.
	Leeway time.Duration
	// TokenCacheBytes bounds the memory used to remember session cookies that were opened. Default: 18 MiB. A negative
	// value turns it off.
	TokenCacheBytes int

	// Store is what the application's replicas share, and SingleReplica says that there is one, as in [idserver.Config].
	Store         idserver.Store
	SingleReplica bool
	// StrictSignOut refuses sessions while the Store is away, as in [idserver.Config].
	StrictSignOut bool
	// ServerSessions keeps sessions in the Store, which has room for all that people share, as in [idserver.Config].
	ServerSessions bool

	// AdmitUser is called with the user at each sign-in, once every check has passed. It may modify the user and, by
	// returning an error, refuse them, as in [idserver.Config]. In ctx, [Client.UserInfoFrom] finds what they agreed to
	// share.
	AdmitUser func(ctx context.Context, user *idserver.User) error
	// UserInfoResponse, if set, returns what GET /auth/userinfo answers, as in [idserver.Config]. Default: what
	// [idserver.User.MarshalJSON] encodes, with the sub and data of [Client.UserInfo] added.
	UserInfoResponse func(ctx context.Context, user *idserver.User) (any, error)
	// RenderRefusal, if set, provides the status, content type and body of every refusal, as in [idserver.Config].
	RenderRefusal func(ctx context.Context, refusal idserver.Refusal) idserver.Rendered

	// Events are functions that are called when somebody signed in, a request was refused and so on, as in
	// [idserver.Config].
	Events idserver.Events
	// Logger receives what an operator needs to know, and never a secret. Default: slog.Default().
	Logger *slog.Logger
	// LogSubject is how the log names people: "hashed", "plain" or "omitted", as [idserver.Config] says. Default: "hashed".
	LogSubject string
	// Now is the clock. It is called concurrently. Default: time.Now.
	Now func() time.Time
	// Rand is the source of randomness of the routes and of the keys of cookies; states and nonces by hand always come
	// from crypto/rand. It is read concurrently. Default: crypto/rand.
	Rand io.Reader
}

const defaultHostname = "https://api.id.gov.sg"

// ConfigFromEnv returns a Config with the fields that are set in the environment: SGID_CLIENT_ID, SGID_CLIENT_SECRET,
// SGID_PRIVATE_KEY, SGID_REDIRECT_URI, SGID_HOSTNAME, SGID_SCOPES (separated by spaces), and APPLICATION_NAME, BASE_URL,
// SESSION_SECRET, SESSION_SECRET_OLD and TRUSTED_ORIGINS as in [idserver.ConfigFromEnv]. It does not validate them: [New] does.
func ConfigFromEnv() Config {
	shared := idserver.ConfigFromEnv()
	return Config{
		ClientID:        os.Getenv("SGID_CLIENT_ID"),
		ClientSecret:    os.Getenv("SGID_CLIENT_SECRET"),
		PrivateKey:      os.Getenv("SGID_PRIVATE_KEY"),
		RedirectURI:     os.Getenv("SGID_REDIRECT_URI"),
		Hostname:        os.Getenv("SGID_HOSTNAME"),
		Scopes:          strings.Fields(os.Getenv("SGID_SCOPES")),
		ApplicationName: shared.ApplicationName,
		BaseURL:         shared.BaseURL,
		SessionSecret:   shared.SessionSecret,
		Session:         shared.Session,
		TrustedOrigins:  shared.TrustedOrigins,
	}
}

// String describes the configuration without its secrets.
func (c Config) String() string {
	return fmt.Sprintf("sgid.Config{ClientID: %q, RedirectURI: %q, Hostname: %q, BaseURL: %q}", c.ClientID, c.RedirectURI, c.Hostname, c.BaseURL)
}
