package adaptertest

import idserver "github.com/signward/idserver-go/core"

// Guards returns more guards for the application of a suite, by the path below /suite of a GET route each: an application
// registers them all, auth.Guard(guard) before a handler that answers with [Seen].
func Guards(client *idserver.Client) map[string]idserver.Guard {
	return map[string]idserver.Guard{
		"/scope":  client.RequireScope("orders:read", "orders:write"),
		"/scopes": client.RequireAnyScope("orders:read", "orders:admin"),
		"/allof":  idserver.AllOf(client.RequireUser(), client.RequireRole("admin"), client.RequireScope("orders:read")),
		"/anyof":  idserver.AnyOf(client.RequireScope("orders:read"), client.RequireRole("admin")),
	}
}
