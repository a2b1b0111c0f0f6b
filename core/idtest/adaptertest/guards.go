package adaptertest

import (
	"sync"
	"time"

	idserver "github.com/signward/idserver-go/core"
)

// Guards returns more guards for the application of a suite, by the path below /suite of a GET and a POST route each: an application
// registers them all, auth.Guard(guard) before a handler that answers with [Seen].
func Guards(client *idserver.Client) map[string]idserver.Guard {
	api := resource(client, idserver.ResourceConfig{Identifier: suiteAPI, IgnoreFinalSlash: true, OnlyTyped: true, Scopes: []string{"orders:read"}})
	gateway := resource(client, idserver.ResourceConfig{Identifier: suiteAPI, Header: "X-Access-Token"})
	introspecting := resource(client, idserver.ResourceConfig{Identifier: suiteAPI, Introspect: "opaque", Scopes: []string{"orders:read"}})
	bound := resource(client, idserver.ResourceConfig{Identifier: suiteAPI, DPoP: true, DPoPNonces: true, DPoPNonceSecrets: []string{suiteSecret}})
	onlyBound := resource(client, idserver.ResourceConfig{Identifier: suiteAPI, DPoP: true, OnlyBound: true, Scopes: []string{"orders:read"}})
	certified := resource(client, idserver.ResourceConfig{Identifier: suiteAPI, MTLS: true, OnlyBound: true})
	forwarded := resource(client, idserver.ResourceConfig{
		Identifier: suiteAPI, MTLS: true, InsecureCertificateField: "Client-Cert", InsecureCertificateProxies: []string{"127.0.0.0/8", "::1"},
	})
	several, err := idserver.Issuers(append([]*idserver.Client{client}, clientsBeside(client)...)...)
	if err != nil {
		panic(err) // the clients are the suite's own
	}
	mcp := Published(client)
	return map[string]idserver.Guard{
		"/mcp":           mcp.RequireUser(),
		"/mcp-write":     mcp.RequireScope("orders:write"),
		"/introspected":  introspecting.RequireRole("admin"),
		"/issuers":       several.RequireUser(),
		"/bound":         bound.RequireUser(),
		"/bound-only":    onlyBound.RequireRole("admin"),
		"/bound-twice":   idserver.AllOf(onlyBound.LoadUser(), onlyBound.RequireUser()),
		"/certified":     certified.RequireUser(),
		"/forwarded":     forwarded.RequireUser(),
		"/next-api":      idserver.AllOf(client.RequireUser(), tellNextToken(client)),
		"/claims":        idserver.AllOf(client.RequireUser(), tellClaims),
		"/api":           api.RequireUser(),
		"/api-get":       api.RequireScope("orders:read"),
		"/behind-client": idserver.AllOf(client.LoadUser(), api.RequireUser()),
		"/either":        idserver.AnyOf(client.RequireUser(), api.RequireUser()),
		"/gateway":       gateway.RequireRole("admin"),
		"/scope":         client.RequireScope("orders:read", "orders:write"),
		"/scopes":        client.RequireAnyScope("orders:read", "orders:admin"),
		"/allof":         idserver.AllOf(client.RequireUser(), client.RequireRole("admin"), client.RequireScope("orders:read")),
		"/gold":          client.RequireAuthentication(idserver.Authentication{ACR: []string{"gold", "platinum"}}),
		"/recent":        client.RequireAuthentication(idserver.Authentication{MaxAge: 5 * time.Minute}),
		"/api-gold":      api.RequireAuthentication(idserver.Authentication{ACR: []string{"gold"}, MaxAge: time.Hour}),
		"/anyof":         idserver.AnyOf(client.RequireScope("orders:read"), client.RequireRole("admin")),
	}
}

// Published returns an API of the application of a suite that publishes its metadata. An application mounts it on the root router,
// as it does with the client: idgin.New(adaptertest.Published(client)).Mount(r). For a client, it is always the same.
func Published(client *idserver.Client) *idserver.Resource {
	api, ok := publishedAPIs.Load(client)
	if !ok {
		api, _ = publishedAPIs.LoadOrStore(client, resource(client, idserver.ResourceConfig{
			Identifier: suiteOrigin + "/suite/mcp", PublishMetadata: true, Scopes: []string{"orders:read"}, MoreScopes: []string{"orders:write"},
			Name: "The suite's API", Origins: []string{"https://pages.example"},
		}))
	}
	return api.(*idserver.Resource)
}

// publishedAPIs are those of [Published], by their client.
var publishedAPIs sync.Map

// beside are clients of other issuers than an application's own, by that client, for the guards that take both.
var beside sync.Map

func clientsBeside(client *idserver.Client) []*idserver.Client {
	if other, ok := beside.Load(client); ok {
		return []*idserver.Client{other.(*idserver.Client)}
	}
	return nil
}

// suiteAPI is an API of its own in the application of a suite.
const suiteAPI = suiteOrigin + "/api"

func resource(client *idserver.Client, cfg idserver.ResourceConfig) *idserver.Resource {
	r, err := client.NewResource(cfg)
	if err != nil {
		panic(err) // the configuration is the suite's own
	}
	return r
}
