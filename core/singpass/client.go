package singpass

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/internal/baseerror"
)

// Client signs users in with Singpass. Create it with [New]. It is safe for concurrent use.
type Client struct {
	// Guards are the guards and routes, so that an adapter takes a Client: idgin.New(sp). Do not set it.
	idserver.Guards

	cfg    Config
	engine *idserver.Client

	levelWanted bool // Config.MinimumLevel was set
}

// New validates cfg and returns a client. It does not use the network. The error joins everything that is wrong with the
// configuration.
func New(cfg Config) (*Client, error) {
	levelWanted := cfg.MinimumLevel != 0
	faults := cfg.validate()
	c := &Client{cfg: cfg, levelWanted: levelWanted}
	engine, err := idserver.New(c.engineConfig())
	if faults = append(faults, passedOn(err, faults)...); len(faults) > 0 {
		if engine != nil {
			engine.Close()
		}
		return nil, baseerror.Errorf("singpass: configuration: %w", faults)
	}
	c.engine, c.Guards = engine, engine
	return c, nil
}

// engineConfig returns the configuration of the idserver client that speaks to Singpass.
func (c *Client) engineConfig() idserver.Config {
	cfg := &c.cfg
	session := cfg.Session
	session.NoIDToken = true // Login's holds the identity number
	return idserver.Config{
		Authority: cfg.Issuer, ClientID: cfg.ClientID, ClientKeys: cfg.Keys, Profile: "fapi2", DPoP: true, Scopes: cfg.Scopes,
		ApplicationName: cfg.ApplicationName, BaseURL: cfg.BaseURL, RoutesPath: cfg.RoutesPath, CallbackPath: cfg.CallbackPath, SessionSecret: cfg.SessionSecret,
		AfterSignIn: cfg.AfterSignIn, AfterSignOut: cfg.AfterSignOut, TrustedOrigins: cfg.TrustedOrigins,
		Session: session, HTTP: cfg.HTTP, TokenCacheBytes: cfg.TokenCacheBytes,
		Store: cfg.Store, SingleReplica: cfg.SingleReplica, StrictSignOut: cfg.StrictSignOut, ServerSessions: cfg.ServerSessions,
		AdmitUser: c.admit, UserInfoResponse: cfg.UserInfoResponse, RenderRefusal: cfg.RenderRefusal, Events: cfg.Events,
		Logger: cfg.Logger, LogSubject: cfg.LogSubject, Now: cfg.Now, Rand: cfg.Rand,
		AuthorizeParameters: c.parameters(),
		Provider: idserver.ProviderConfig{
			Issuer: cfg.Issuer, AssertionType: "JWT", Algorithms: []string{"ES256"}, Leeway: cfg.Leeway,
			NoUserInfo:       true, // Login has none, and Myinfo's is slow, charged, and not for a session
			NoLinkParameters: true, // Singpass knows none of them
			UserInfoOfClient: cfg.Product.isCorppass(),
		},
	}
}

// parameters are those of the authorization requests that Singpass has of its own.
func (c *Client) parameters() url.Values {
	parameters := url.Values{}
	for name, value := range map[string]string{"authentication_context_type": c.cfg.Context, "authentication_context_message": c.cfg.Message} {
		if value != "" && c.cfg.Product.hasContext() {
			parameters.Set(name, value)
		}
	}
	if c.levelWanted && c.cfg.Product.isCorppass() {
		parameters.Set("acr_values", fmt.Sprintf("urn:singpass:authentication:loa:%d", c.cfg.MinimumLevel))
	}
	if c.cfg.MinimumLevel == 3 { // the others need not be asked for, which some clients may not
		parameters.Set("acr_values", "urn:singpass:authentication:loa:3")
	}
	return parameters
}

// decrypts reports whether a key is one that Singpass encrypts for.
func decrypts(k idserver.ClientKey) bool {
	return k.Use == "enc" || k.Use == "" && strings.HasPrefix(k.Algorithm, "ECDH-ES")
}

// isSure reports whether a level of assurance is enough. Corppass documents no acr in its ID tokens, and asks for two factors by itself: a token
// that says nothing is taken, unless the application has set a level.
func (c *Client) isSure(level int) bool {
	if level == 0 && c.cfg.Product.isCorppass() && !c.levelWanted {
		return true
	}
	return level >= c.cfg.MinimumLevel
}

// admit checks the level of assurance, and asks the application. Whatever the ID token says of the person beyond their subject does
// not stay in the session.
func (c *Client) admit(ctx context.Context, user *idserver.User) error {
	identity, err := readIdentity(user, c.cfg.Product.isCorppass())
	if err != nil {
		return err
	}
	if !c.isSure(identity.Level) {
		return baseerror.Errorf("singpass: %w: the level of assurance is %d, and %d is wanted (Config.MinimumLevel)", ErrLevel, identity.Level, c.cfg.MinimumLevel)
	}
	if err := user.Set(attributes, nil); err != nil {
		return err
	}
	if identity.Entity != nil { // and of who acts for an entity, no more than who that is
		if err := user.Set(actor, map[string]string{"sub": identity.Subject}); err != nil {
			return err
		}
	}
	if c.cfg.AdmitUser == nil {
		return nil
	}
	return c.cfg.AdmitUser(context.WithValue(ctx, identityKey{}, identity), user)
}

// Client returns the client of package idserver that c is built on, for what c does not have itself, such as Require and PublicKeys.
func (c *Client) Client() *idserver.Client { return c.engine }

// Close stops the client's background work and waits for it to end.
func (c *Client) Close() { c.engine.Close() }

// String describes the client without its secrets.
func (c *Client) String() string { return c.cfg.String() }
