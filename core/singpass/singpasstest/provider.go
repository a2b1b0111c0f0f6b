// Package singpasstest runs a provider that behaves like Singpass, inside a Go program, for tests and for development. It is the
// provider of package idtest with Singpass's paths and FAPI 2.0: pushed requests, keys of the application, DPoP, ES256,
// encrypted ID tokens and, for Myinfo, encrypted userinfo; no refresh tokens, no sign-out, no expires_in. It refuses what Singpass
// refuses: an authentication_context_type of Myinfo, none of Login, redirect URIs with its names in them, assertions that live
// longer than two minutes or whose typ is not JWT, and parameters that it does not know. As there, a test can count requests,
// rotate keys, move the clock, edit every response and make every endpoint fail.
//
//	func TestSignIn(t *testing.T) {
//		provider := singpasstest.NewProvider(t)
//		sp, err := singpass.New(provider.Config(singpass.Myinfo, ""))
//		// ...
//		provider.Register(sp)
//	}
package singpasstest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/signward/idserver-go/core/idtest"
	"github.com/signward/idserver-go/core/singpass"
)

// Provider is a running provider that behaves like Singpass. It is an [idtest.Provider] in all that is not shown here. All its
// methods are safe for concurrent use; a setting takes effect with the next request.
type Provider struct {
	*idtest.Provider
	likeMockPass bool
	ofCorppass   bool
	asDocumented bool

	mu      sync.Mutex
	clients map[string]Client // by the ID
	people  map[string]Person // by the Login
}

// Options configure a [Provider]. The zero value is a provider with the clients of [Clients], whose keys a test registers, and the
// people of [People] on a free port.
type Options struct {
	// Options are those of package idtest. Their BaseURL is "http://localhost/fapi" by default; of the Dialect, DPoPNonces is the
	// caller's, and the rest is set by this package, as are the Clients and People, by the fields below.
	idtest.Options

	// LikeMockPass does what MockPass does otherwise than Singpass: no iss in the authorization response, an acr of level 1, an iat that is
	// a fraction, and ID tokens that are encrypted with A256GCM.
	LikeMockPass bool

	// Corppass makes it a provider that behaves like Corppass: people sign in for an entity. BaseURL is "http://localhost" by default, and
	// Clients are [CorppassClients].
	Corppass bool

	// AsDocumented does what Corppass's documentation says, where its staging environment was seen to do something else: the sub of userinfo is the
	// client_id, and its blocks are objects in place of JSON texts.
	AsDocumented bool

	// Clients are the registered clients. Default: [Clients].
	Clients []Client

	// People are those who can be signed in. Default: [People].
	People []Person
}

// Client is an application that is registered at the provider.
type Client struct {
	idtest.Client

	// Product is what it is registered for.
	Product singpass.Product
	// ACRValues are the values of acr_values that it may ask for. Default: none.
	ACRValues []string
}

// The clients of [Clients].
const (
	LoginClient  = "example-login-client-of-32-chars" // for singpass.Login
	MyinfoClient = "example-myinfo-client-32-charact" // for singpass.Myinfo
)

// Clients returns one client for each product, with any loopback redirect_uri and no keys yet: see [Provider.Register]. The caller
// may modify the slice.
func Clients() []Client {
	return []Client{
		{Client: idtest.Client{ID: LoginClient, AnyLoopbackRedirect: true}, Product: singpass.Login},
		{Client: idtest.Client{ID: MyinfoClient, AnyLoopbackRedirect: true}, Product: singpass.Myinfo},
	}
}

// NewProvider starts a provider on a free port of 127.0.0.1 and closes it when the test ends. The functions may edit its options
// before it starts. If the options are not valid, the test fails.
func NewProvider(t idtest.TB, configure ...func(*Options)) *Provider {
	t.Helper()
	var options Options
	for _, edit := range configure {
		edit(&options)
	}
	p, err := Start(options)
	if err != nil {
		t.Fatalf("%v", err)
		return nil
	}
	t.Cleanup(p.Close)
	return p
}

// Start starts a provider that runs until its method Close. The error says which option is wrong, or that the address cannot be
// listened on.
func Start(o Options) (*Provider, error) {
	p := &Provider{likeMockPass: o.LikeMockPass, ofCorppass: o.Corppass, asDocumented: o.AsDocumented, clients: map[string]Client{}, people: map[string]Person{}}
	if o.Clients == nil {
		if o.Clients = Clients(); o.Corppass {
			o.Clients = CorppassClients()
		}
	}
	if o.People == nil {
		o.People = People()
	}
	if o.BaseURL == "" && !o.Corppass {
		o.BaseURL = "http://localhost/fapi"
	}
	o.AccessTTL = 30 * time.Minute
	if o.Corppass {
		o.AccessTTL = corppassTTL
	}
	o.Options.Clients, o.Options.People = []idtest.Client{}, []idtest.Person{}
	for _, client := range o.Clients {
		o.Options.Clients = append(o.Options.Clients, p.registered(client))
		p.clients[client.ID] = client
	}
	for _, person := range o.People {
		o.Options.People = append(o.Options.People, person.Person)
		p.people[person.Login] = person
	}
	o.Dialect = p.dialect(o.Dialect.DPoPNonces)
	provider, err := idtest.Start(o.Options)
	if err != nil {
		return nil, err
	}
	p.Provider = provider
	return p, nil
}

// registered fills in what Singpass settles for each client. A client without keys can do nothing yet.
func (p *Provider) registered(client Client) idtest.Client {
	client.IDTokenEncryption, client.UserInfoEncryption = "A256CBC-HS512", "A256GCM"
	if p.likeMockPass {
		client.IDTokenEncryption = "A256GCM"
	}
	if client.JWKS == nil && client.JWKSURI == "" {
		client.JWKS = []byte(`{"keys":[]}`)
	}
	return client.Client
}

// AddClient registers a client, or replaces the one with the same ID.
func (p *Provider) AddClient(client Client) {
	p.mu.Lock()
	p.clients[client.ID] = client
	p.mu.Unlock()
	p.Provider.AddClient(p.registered(client))
}

// Register registers the public keys of an application of [Provider.Config].
func (p *Provider) Register(sp *singpass.Client, product singpass.Product) {
	for _, client := range append(Clients(), CorppassClients()...) {
		if client.Product == product {
			client.JWKS = sp.Client().PublicKeys()
			p.AddClient(client)
		}
	}
}

// SetPerson adds a person, or replaces the one with the same Login.
func (p *Provider) SetPerson(person Person) {
	p.mu.Lock()
	p.people[person.Login] = person
	p.mu.Unlock()
	p.Provider.SetPerson(person.Person)
}

// dialect is how Singpass differs from Signward.
func (p *Provider) dialect(nonces bool) idtest.Dialect {
	d := idtest.Dialect{
		Paths: map[idtest.Endpoint]string{
			idtest.Discovery: "/.well-known/openid-configuration", idtest.KeySet: "/.well-known/keys", idtest.PushedAuthorization: "/par",
			idtest.Authorization: "/auth", idtest.Token: "/token", idtest.UserInfo: "/userinfo",
		},
		OpenIDOnly: true, NoRefreshTokens: true, RequirePAR: true, RequireDPoP: true, DPoPNonces: nonces, SigningAlgorithm: "ES256",
		AssertionType: "JWT", MaxAssertionLife: 2 * time.Minute,
		Metadata: p.metadata, CheckPushed: p.checkPushed, IDTokenOf: p.idToken, UserInfo: p.personInfo,
		AuthorizationResponse: func(response url.Values) {
			if p.likeMockPass {
				response.Del("iss")
			}
		},
		TokenResponse:     func(response map[string]any) { keep(response, "access_token", "id_token", "token_type") },
		AccessTokenClaims: p.accessToken,
	}
	if p.ofCorppass {
		return p.corppass(d)
	}
	return d
}

func (p *Provider) metadata(metadata map[string]any) {
	if p.likeMockPass {
		delete(metadata, "authorization_response_iss_parameter_supported")
	}
	for _, name := range []string{"revocation_endpoint_auth_methods_supported", "claims_supported", "prompt_values_supported"} {
		delete(metadata, name)
	}
	metadata["scopes_supported"] = []string{"openid"}
	metadata["grant_types_supported"] = []string{"authorization_code"}
	metadata["subject_types_supported"] = []string{"pairwise"}
	metadata["response_modes_supported"] = []string{"query"}
	metadata["token_endpoint_auth_methods_supported"] = []string{"private_key_jwt"}
	metadata["token_endpoint_auth_signing_alg_values_supported"] = []string{"ES256", "ES384", "ES512"}
	metadata["dpop_signing_alg_values_supported"] = []string{"ES256", "ES384", "ES512"}
	metadata["id_token_encryption_alg_values_supported"] = []string{"ECDH-ES+A128KW", "ECDH-ES+A192KW", "ECDH-ES+A256KW"}
	metadata["id_token_encryption_enc_values_supported"] = []string{"A256CBC-HS512"}
}

func keep(members map[string]any, names ...string) {
	kept := map[string]any{}
	for _, name := range names {
		if value, ok := members[name]; ok {
			kept[name] = value
		}
	}
	clear(members)
	maps.Copy(members, kept)
}

// accessToken is for userinfo alone.
func (p *Provider) accessToken(claims map[string]any) {
	keep(claims, "iss", "sub", "client_id", "scope", "jti", "iat", "exp", "cnf")
	if issuer, ok := claims["iss"].(string); ok {
		claims["aud"] = issuer + "/userinfo"
	}
}

// known are the parameters of pushed requests that Singpass documents.
var known = []string{
	"response_type", "scope", "state", "nonce", "client_id", "redirect_uri", "code_challenge", "code_challenge_method", "client_assertion",
	"client_assertion_type", "acr_values", "redirect_uri_https_type", "app_launch_url", "dpop_jkt", "authentication_context_type", "authentication_context_message",
}

// checkPushed refuses what Singpass refuses.
func (p *Provider) checkPushed(clientID string, form url.Values) error {
	p.mu.Lock()
	client := p.clients[clientID]
	p.mu.Unlock()
	for name := range form {
		if !slices.Contains(known, name) {
			return fmt.Errorf("unknown parameter %s", name)
		}
	}
	for _, word := range []string{"singpass", "corppass", "myinfo"} {
		if strings.Contains(strings.ToLower(form.Get("redirect_uri")), word) {
			return fmt.Errorf("redirect_uri must not have %s in it", word)
		}
	}
	if p.ofCorppass {
		return checkCorppass(client, form)
	}
	about := form.Get("authentication_context_type")
	switch message := form.Get("authentication_context_message"); {
	case client.Product == singpass.Login && about == "":
		return errors.New("authentication_context_type is missing")
	case client.Product == singpass.Login && len(message) > 100:
		return errors.New("authentication_context_message is too long")
	case client.Product == singpass.Myinfo && (about != "" || message != ""):
		return errors.New("authentication_context_type and authentication_context_message are not for Myinfo")
	case form.Has("acr_values") && !slices.Contains(client.ACRValues, form.Get("acr_values")):
		return errors.New("acr_values is not one that this client may ask for")
	case len(form.Get("state")) > 255 || len(form.Get("nonce")) > 255:
		return errors.New("state and nonce have at most 255 characters")
	}
	return nil
}

// idToken makes the claims of Singpass's ID tokens.
func (p *Provider) idToken(grant idtest.Grant, claims map[string]any) {
	keep(claims, "iss", "sub", "aud", "iat", "exp", "nonce")
	p.mu.Lock()
	client, person := p.clients[grant.ClientID], p.people[grant.Login]
	p.mu.Unlock()
	level := person.Level
	if level == 0 {
		level = 2
	}
	claims["sub_type"], claims["amr"] = "user", []string{"pwd", "face"}
	if p.likeMockPass {
		level, claims["amr"] = 1, []string{"pwd"}
		if iat, ok := claims["iat"].(int64); ok {
			claims["iat"] = float64(iat) + 0.172
		}
	}
	claims["acr"] = fmt.Sprintf("urn:singpass:authentication:loa:%d", level)
	if client.Product == singpass.Login {
		claims["sub_attributes"] = person.attributes(strings.Fields(grant.Scope))
	}
}

// personInfo is what userinfo answers to Myinfo's clients.
func (p *Provider) personInfo(grant idtest.Grant) (map[string]any, error) {
	p.mu.Lock()
	client, person := p.clients[grant.ClientID], p.people[grant.Login]
	p.mu.Unlock()
	if client.Product != singpass.Myinfo {
		return nil, errors.New("userinfo is for Myinfo's clients")
	}
	info := map[string]json.RawMessage{}
	for scope := range strings.FieldsSeq(grant.Scope) {
		name, _, _ := strings.Cut(scope, ".")
		switch value, ok := person.Data[name]; {
		case scope == "openid":
		case ok:
			info[name] = json.RawMessage(value)
		default:
			info[name] = json.RawMessage(`{"lastupdated":"2026-11-01","source":"1","classification":"C","unavailable":true}`)
		}
	}
	return map[string]any{"sub": grant.Subject, "person_info": info}, nil
}
