package idserver_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	idserver "github.com/signward/idserver-go/core"
)

const mcpAPI = "https://api.example.test/mcp"

// route returns the route of a resource, or nil.
func route(t *testing.T, r *idserver.Resource, method, path string) *idserver.Route {
	t.Helper()
	routes, err := r.Routes("/")
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(routes, func(r idserver.Route) bool { return r.Method == method && r.Path == path })
	if i < 0 {
		return nil
	}
	return &routes[i]
}

// document returns what is published at a path.
func publishedAt(t *testing.T, w *world, r *idserver.Resource, path string) (document map[string]any) {
	t.Helper()
	at := route(t, r, "GET", path)
	if at == nil {
		t.Fatalf("nothing is at %s", path)
	}
	a := at.Serve(t.Context(), w.browser(t).request("GET", path, []edit{origin("https://evil.example")}))
	if a.Status != 200 || field(a, "Content-Type") != "application/json" || field(a, "Access-Control-Allow-Origin") != "*" ||
		field(a, "Access-Control-Allow-Credentials") != "" || field(a, "Cache-Control") != "public, max-age=3600" {
		t.Errorf("%s: %d %v", path, a.Status, a.Set)
	}
	if err := json.Unmarshal(a.Body, &document); err != nil {
		t.Fatal(err)
	}
	return document
}

func TestResourceMetadata(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.resource(t, idserver.ResourceConfig{Identifier: mcpAPI, PublishMetadata: true, Scopes: []string{"orders:read"}, MoreScopes: []string{"orders:write", "orders:read"}, Name: "Orders"})
		for _, path := range []string{"/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"} {
			got := publishedAt(t, w, r, path)
			text, _ := json.Marshal(got)
			want := `{"authorization_servers":["` + w.provider.URL() + `"],"bearer_methods_supported":["header"],"resource":"` + mcpAPI + `","resource_name":"Orders","scopes_supported":["orders:read","orders:write"]}`
			if string(text) != want {
				t.Errorf("%s\n got %s\nwant %s", path, text, want)
			}
			preflight := route(t, r, "OPTIONS", path).Serve(t.Context(), w.browser(t).request("OPTIONS", path, []edit{origin("https://evil.example"), func(r *idserver.Request) {
				send(r, "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "mcp-protocol-version,x-other")
			}}))
			if preflight.Status != 204 || field(preflight, "Access-Control-Allow-Headers") != "mcp-protocol-version" || field(preflight, "Access-Control-Allow-Origin") != "*" {
				t.Errorf("%s: a preflight: %d %v", path, preflight.Status, preflight.Set)
			}
			if a := route(t, r, "GET", path).Serve(t.Context(), w.browser(t).request("POST", path, nil)); a.Status != 405 {
				t.Errorf("%s: POST: %d", path, a.Status)
			}
		}
		if route(t, r, "OPTIONS", "/mcp") != nil {
			t.Error("preflights are answered, and no page may send a request")
		}
		second := w.resource(t, idserver.ResourceConfig{Identifier: "https://api.example.test/two/", PublishMetadata: true, AuthorizationServers: []string{"https://id.example"}})
		if route(t, second, "GET", "/.well-known/oauth-protected-resource") != nil {
			t.Error("two are at the root")
		}
		if got := publishedAt(t, w, second, "/.well-known/oauth-protected-resource/two"); got["resource"] != "https://api.example.test/two/" || got["authorization_servers"].([]any)[0] != "https://id.example" {
			t.Errorf("the second is %v", got)
		}
		if _, err := w.NewResource(idserver.ResourceConfig{Identifier: "https://api.example.test", PublishMetadata: true}); err == nil {
			t.Error("a third, at the root, is accepted")
		}
		for _, mount := range []string{"", "/api", "/auth"} {
			if _, err := r.Routes(mount); err == nil {
				t.Errorf("mounted at %q", mount)
			}
		}
		if _, err := w.resource(t, idserver.ResourceConfig{Identifier: "https://api.example.test/mcp"}).Routes("/"); err == nil {
			t.Error("an API that publishes nothing has routes")
		}
	})
}

// Without a path, the document is at the root alone.
func TestResourceMetadataAtTheRoot(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.resource(t, idserver.ResourceConfig{Identifier: "https://api.example.test/", PublishMetadata: true})
		if got := publishedAt(t, w, r, "/.well-known/oauth-protected-resource"); got["resource"] != "https://api.example.test/" {
			t.Errorf("got %v", got)
		}
		routes, err := r.Routes("/")
		if err != nil || len(routes) != 2 {
			t.Errorf("%d routes, %v", len(routes), err)
		}
	})
}

func TestResourceMetadataInChallenges(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.resource(t, idserver.ResourceConfig{Identifier: mcpAPI, PublishMetadata: true, Scopes: []string{"orders:read"}})
		token := w.provider.MintAccessToken("alice", func(c map[string]any) { c["aud"] = mcpAPI })
		const at = `resource_metadata="https://api.example.test/.well-known/oauth-protected-resource/mcp"`
		for name, row := range map[string]struct {
			guard idserver.Guard
			sent  edit
			want  string
		}{
			"no token":        {r.RequireUser(), fetches, `Bearer scope="orders:read", ` + at},
			"a bad token":     {r.RequireUser(), bearer("abc"), `Bearer error="invalid_token", scope="orders:read", ` + at},
			"another's token": {r.RequireUser(), bearer(w.provider.MintAccessToken("alice")), `Bearer error="invalid_token", scope="orders:read", ` + at},
			"a scope missing": {r.RequireScope("orders:write"), bearer(token), `Bearer error="insufficient_scope", scope="orders:write", ` + at},
			"not readable":    {r.RequireUser(), bearer("a b"), `Bearer error="invalid_request", ` + at},
			"a role missing":  {r.RequireRole("nobody"), bearer(token), ""},
		} {
			if _, a := w.browser(t).pass(row.guard, "POST", "/mcp", row.sent); field(a, "WWW-Authenticate") != row.want {
				t.Errorf("%s: %d\n got %s\nwant %s", name, a.Status, field(a, "WWW-Authenticate"), row.want)
			}
		}
		if _, a := w.browser(t).pass(r.RequireUser(), "POST", "/mcp", bearer(token)); a.Ends() {
			t.Errorf("its token: %d %s", a.Status, a.Body)
		}
	})
}

// Pages of other origins, and names that lead a browser to this machine.
func TestResourceOrigins(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		make := func(identifier string, origins ...string) *idserver.Resource {
			return w.resource(t, idserver.ResourceConfig{Identifier: identifier, PublishMetadata: true, Origins: origins})
		}
		host := func(name string) edit { return func(r *idserver.Request) { r.Host = name } }
		none, one, all, local := make(mcpAPI), make(mcpAPI, "https://app.example"), make(mcpAPI, "*"), make("http://127.0.0.1:8080/mcp")
		two := func(r *idserver.Request) {
			r.Header.(http.Header)["Origin"] = []string{"https://app.example", "https://app.example"}
		}
		for name, row := range map[string]struct {
			r       *idserver.Resource
			edits   []edit
			refused bool
			allowed string // the page that may read the answer
		}{
			"no page":                         {none, nil, false, ""},
			"its own":                         {none, []edit{origin("https://api.example.test")}, false, ""},
			"its own, in http":                {none, []edit{origin("http://api.example.test")}, true, ""},
			"another":                         {none, []edit{origin("https://evil.example")}, true, ""},
			"null":                            {none, []edit{origin("null")}, true, ""},
			"empty":                           {none, []edit{origin("")}, true, ""},
			"the listed":                      {one, []edit{origin("https://app.example")}, false, "https://app.example"},
			"the listed, twice":               {one, []edit{two}, true, ""},
			"one that is not":                 {one, []edit{origin("https://app.example.evil.example")}, true, ""},
			"any":                             {all, []edit{origin("https://evil.example")}, false, "*"},
			"null where any may":              {all, []edit{origin("null")}, false, "*"},
			"this machine":                    {local, []edit{host("127.0.0.1:8080")}, false, ""},
			"this machine by name":            {local, []edit{host("localhost")}, false, ""},
			"this machine in IPv6":            {local, []edit{host("[::1]:8080")}, false, ""},
			"this machine by a foreign name":  {local, []edit{host("evil.example:8080")}, true, ""},
			"and with its page as the origin": {local, []edit{host("evil.example:8080"), origin("http://evil.example:8080")}, true, ""},
			"elsewhere, behind a proxy":       {none, []edit{host("10.0.0.7")}, false, ""},
		} {
			func() {
				id := mcpAPI
				if row.r == local {
					id = "http://127.0.0.1:8080/mcp"
				}
				token := w.provider.MintAccessToken("alice", func(c map[string]any) { c["aud"] = id })
				_, a := w.browser(t).pass(row.r.RequireUser(), "POST", "/mcp", append(row.edits, bearer(token))...)
				if a.Ends() != row.refused || row.refused && (a.Status != 403 || code(t, a) != idserver.CodeCrossSite) {
					t.Errorf("%s: %d %s", name, a.Status, a.Body)
				}
				if field(a, "Access-Control-Allow-Origin") != row.allowed || field(a, "Access-Control-Allow-Credentials") != "" {
					t.Errorf("%s: it says %v", name, a.Set)
				}
				if row.allowed == "" {
					return
				}
				_, a = w.browser(t).pass(row.r.RequireUser(), "POST", "/mcp", row.edits...)
				if a.Status != 401 || field(a, "Access-Control-Allow-Origin") != row.allowed || !strings.Contains(field(a, "Access-Control-Expose-Headers"), "WWW-Authenticate") {
					t.Errorf("%s: a page cannot read the challenge: %d %v", name, a.Status, a.Set)
				}
				wanted := func(r *idserver.Request) {
					send(r, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization, content-type,mcp-session-id , Cookie,x-evil, mcp-a b")
				}
				preflight := route(t, row.r, "OPTIONS", "/mcp")
				if preflight == nil {
					t.Fatalf("%s: preflights are not answered", name)
				}
				a = preflight.Serve(t.Context(), w.browser(t).request("OPTIONS", "/mcp", append(row.edits, wanted)))
				if a.Status != 204 || field(a, "Access-Control-Allow-Headers") != "authorization, content-type, mcp-session-id" || field(a, "Access-Control-Allow-Origin") != row.allowed {
					t.Errorf("%s: a preflight: %d %v", name, a.Status, a.Set)
				}
			}()
		}
		if _, a := w.browser(t).pass(idserver.AnyOf(none.RequireUser(), w.RequireUser()), "GET", "/mcp", origin("https://evil.example")); !a.Ends() {
			t.Error("nobody, of a foreign page, is admitted by either")
		}
	})
}

func TestResourceMetadataRefused(t *testing.T) {
	bubble(t, func(t *testing.T) { resourceMetadataRefused(t, newWorld(t)) })
}

func resourceMetadataRefused(t *testing.T, w *world) {
	t.Helper()
	for name, cfg := range map[string]idserver.ResourceConfig{
		"no URL":                       {Identifier: "orders"},
		"http elsewhere":               {Identifier: "http://api.example.test/mcp"},
		"another scheme":               {Identifier: "ftp://api.example.test/mcp"},
		"a query":                      {Identifier: mcpAPI + "?tenant=1"},
		"a user":                       {Identifier: "https://u@api.example.test/mcp"},
		"a parameter of a router":      {Identifier: "https://api.example.test/:id"},
		"a wildcard":                   {Identifier: "https://api.example.test/{id}"},
		"an escape":                    {Identifier: "https://api.example.test/a%2fb"},
		"a way up":                     {Identifier: "https://api.example.test/a/../b"},
		"an empty segment":             {Identifier: "https://api.example.test/a//b"},
		"a scope of two words":         {Identifier: mcpAPI, MoreScopes: []string{"a b"}},
		"an authorization server":      {Identifier: mcpAPI, AuthorizationServers: []string{"id.example"}},
		"a template of one":            {Identifier: mcpAPI, AuthorizationServers: []string{"https://id.example/{tenantid}/v2.0"}},
		"an origin with a path":        {Identifier: mcpAPI, Origins: []string{"https://app.example/"}},
		"an origin without a scheme":   {Identifier: mcpAPI, Origins: []string{"app.example"}},
		"an origin with a wildcard":    {Identifier: mcpAPI, Origins: []string{"https://app.example", "https://*.example/x"}},
		"a name that is not published": {Identifier: mcpAPI, Name: "Orders"},
	} {
		cfg.PublishMetadata = cfg.Name == ""
		if r, err := w.NewResource(cfg); err == nil {
			t.Errorf("%s: %v", name, r)
		}
	}
}

// FuzzPreflight asks for header fields. What is allowed is the token's, a body's or MCP's, and is never more than was asked for.
func FuzzPreflight(f *testing.F) {
	for _, text := range []string{"", "authorization", "mcp-session-id,content-type", "MCP-Method , mcp-name", "mcp-\r\nSet-Cookie: a", "mcp-é", "*", strings.Repeat("mcp-a,", 300), "cookie,mcp-"} {
		f.Add(text)
	}
	client, err := idserver.New(goodConfig())
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(client.Close)
	r, err := client.NewResource(idserver.ResourceConfig{Identifier: mcpAPI, PublishMetadata: true, Origins: []string{"*"}})
	if err != nil {
		f.Fatal(err)
	}
	guard := r.RequireUser()
	f.Fuzz(func(t *testing.T, wanted string) {
		_, a := guard(t.Context(), idserver.Request{Method: "OPTIONS", Path: "/mcp", Header: http.Header{
			"Origin": {"https://app.example"}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {wanted},
		}})
		if a.Status != 204 || field(a, "Access-Control-Allow-Credentials") != "" {
			t.Fatalf("%d %v", a.Status, a.Set)
		}
		allowed := field(a, "Access-Control-Allow-Headers")
		if allowed == "" {
			return
		}
		for name := range strings.SplitSeq(allowed, ", ") {
			known := name == "authorization" || name == "content-type" || name == "last-event-id" || strings.HasPrefix(name, "mcp-")
			if !known || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == ',' || r == ':' }) || !strings.Contains(strings.ToLower(wanted), name) {
				t.Errorf("%q allows %q", wanted, name)
			}
		}
	})
}
