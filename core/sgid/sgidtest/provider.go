// Package sgidtest runs a provider that behaves like sgID, version 2, inside a Go program, for tests and for development.
// It is the provider of package idtest with sgID's paths: no iss in the authorization response, opaque access tokens, no
// refresh tokens, no sign-out, ID tokens that say nothing of the person but the subject, and userinfo as an encrypted
// envelope. As there, a test can count requests, rotate keys, move the clock, edit every response and make every endpoint
// fail.
//
//	func TestSignIn(t *testing.T) {
//		provider := sgidtest.NewProvider(t)
//		client, err := sgid.New(provider.Config(""))
//		// ...
//	}
package sgidtest

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/signward/idserver-go/core/idtest"
)

// Provider is a running provider that behaves like sgID. It is an [idtest.Provider] in all that is not shown here. All
// its methods are safe for concurrent use; a setting takes effect with the next request.
type Provider struct {
	*idtest.Provider
	algorithms Algorithms

	mu      sync.Mutex
	clients map[string]Client            // by the ID
	data    map[string]map[string]string // by the person's Login
}

// Options configure a [Provider]. The zero value is a provider with the client and the people of the sgID example on a
// free port.
type Options struct {
	// Options are those of package idtest. Their BaseURL is "http://localhost/v2" by default; the Dialect is set by this
	// package, and so are the Clients and People, by the fields below.
	idtest.Options

	// Algorithms are those of the envelope. Default: [Fixtures].
	Algorithms Algorithms

	// Clients are the registered clients. Default: [Clients].
	Clients []Client

	// People are those who can be signed in. Default: [People].
	People []Person
}

// Algorithms is one of the two sets of algorithms that were seen in sgID's envelopes. What production uses is not
// documented.
type Algorithms int

const (
	// Fixtures are those in the test data of sgID's own SDKs: the block key under RSA-OAEP-256 and A256GCM, the data under
	// A128GCMKW and A128GCM, and an alg in the block key that is neither.
	Fixtures Algorithms = iota
	// MockPass are those of MockPass: the block key under RSA-OAEP and A128CBC-HS256, the data under dir and A256GCM.
	MockPass
)

// NewProvider starts a provider on a free port of 127.0.0.1 and closes it when the test ends. The functions may edit its
// options before it starts. If the options are not valid, the test fails.
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

// Start starts a provider that runs until its method Close. The error says which option is wrong, or that the address
// cannot be listened on.
func Start(o Options) (*Provider, error) {
	p := &Provider{algorithms: o.Algorithms, clients: map[string]Client{}, data: map[string]map[string]string{}}
	if o.Clients == nil {
		o.Clients = Clients()
	}
	if o.People == nil {
		o.People = People()
	}
	if o.BaseURL == "" {
		o.BaseURL = "http://localhost/v2"
	}
	o.Options.Clients, o.Options.People = []idtest.Client{}, []idtest.Person{}
	for _, client := range o.Clients {
		o.Options.Clients = append(o.Options.Clients, client.Client)
		p.clients[client.ID] = client
	}
	for _, person := range o.People {
		o.Options.People = append(o.Options.People, person.Person)
		p.data[person.Login] = maps.Clone(person.Data)
	}
	o.Dialect = p.dialect()
	provider, err := idtest.Start(o.Options)
	if err != nil {
		return nil, err
	}
	p.Provider = provider
	return p, nil
}

// SetPerson adds a person, or replaces the one with the same Login.
func (p *Provider) SetPerson(person Person) {
	p.mu.Lock()
	p.data[person.Login] = maps.Clone(person.Data)
	p.mu.Unlock()
	p.Provider.SetPerson(person.Person)
}

// AddClient registers a client, or replaces the one with the same ID.
func (p *Provider) AddClient(client Client) {
	p.mu.Lock()
	p.clients[client.ID] = client
	p.mu.Unlock()
	p.Provider.AddClient(client.Client)
}

// dialect is how sgID differs from Signward.
func (p *Provider) dialect() idtest.Dialect {
	return idtest.Dialect{
		NoDPoP: true,
		Paths: map[idtest.Endpoint]string{
			idtest.Discovery:     "/.well-known/openid-configuration",
			idtest.KeySet:        "/.well-known/jwks.json",
			idtest.Authorization: "/oauth/authorize",
			idtest.Token:         "/oauth/token",
			idtest.UserInfo:      "/oauth/userinfo",
		},
		OpenIDOnly:            true,
		NoRefreshTokens:       true,
		OpaqueAccessTokens:    true,
		Metadata:              editMetadata,
		AuthorizationResponse: func(response url.Values) { response.Del("iss") },
		TokenResponse:         func(response map[string]any) { keep(response, "access_token", "id_token") },
		IDTokenClaims:         func(claims map[string]any) { keep(claims, "iss", "sub", "aud", "iat", "exp", "nonce") },
		UserInfo:              p.envelope,
		RefuseUserInfo:        refuseUserInfo,
	}
}

func editMetadata(metadata map[string]any) {
	for _, name := range []string{
		"revocation_endpoint_auth_methods_supported", "authorization_response_iss_parameter_supported", "claims_supported",
	} {
		delete(metadata, name)
	}
	metadata["scopes_supported"] = []string{"openid", "myinfo.name"}
	metadata["grant_types_supported"] = []string{"authorization_code"}
	metadata["subject_types_supported"] = []string{"pairwise"}
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

// refuseUserInfo sends a challenge without a scheme and no body, as sgID does.
func refuseUserInfo(w http.ResponseWriter, err error) {
	w.Header().Set("WWW-Authenticate", `error="invalid_token", error_description="`+err.Error()+`"`)
	w.WriteHeader(http.StatusUnauthorized)
}

// unavailable is what sgID answers for a scope that has no value.
const unavailable = "NA"

// envelope is the userinfo response: sub and, unless openid was the only scope, key and data.
func (p *Provider) envelope(grant idtest.Grant) (map[string]any, error) {
	p.mu.Lock()
	client, data := p.clients[grant.ClientID], p.data[grant.Login]
	p.mu.Unlock()
	if client.EncryptionKey == nil {
		return nil, errors.New("the client has no EncryptionKey")
	}
	response := map[string]any{"sub": grant.Subject}
	values := map[string]string{}
	for scope := range strings.FieldsSeq(grant.Scope) {
		if scope == "openid" {
			continue
		}
		value, ok := data[scope]
		if !ok {
			value = unavailable
		}
		values[scope] = value
	}
	if len(values) > 0 {
		response["key"], response["data"] = sealEnvelope(p.algorithms, client.EncryptionKey, values)
	}
	return response, nil
}
