package idmcp_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
	idmcp "github.com/signward/idserver-go/mcp"
)

// world is an MCP server and its provider.
type world struct {
	*httptest.Server
	provider *idtest.Provider
	client   *idserver.Client
	api      *idserver.Resource
	auth     *idmcp.Auth
	calls    atomic.Int64 // of the tool that needs a scope
}

func newWorld(t *testing.T, configure ...func(*idserver.Config)) *world {
	t.Helper()
	w := &world{provider: idtest.NewProvider(t, func(o *idtest.Options) { o.Registration = true })}
	mux := http.NewServeMux()
	w.Server = httptest.NewServer(mux)
	t.Cleanup(w.Close)
	cfg := w.provider.Config("")
	cfg.ScopeIncludes = func(held, wanted string) bool { return held == "orders" && strings.HasPrefix(wanted, "orders:") }
	for _, edit := range configure {
		edit(&cfg)
	}
	client, err := idserver.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	w.client = client
	w.api, err = client.NewResource(idserver.ResourceConfig{
		Identifier: w.URL + "/mcp", PublishMetadata: true, Scopes: []string{"openid"}, MoreScopes: []string{"orders:read"},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.auth = idmcp.New(w.api, map[string]idserver.Guard{
		"list_orders": w.api.RequireScope("orders:read"),
		"pay":         w.api.RequireAuthentication(idserver.Authentication{ACR: []string{"gold"}, MaxAge: time.Hour}),
	})
	routes, err := w.api.Routes("/")
	if err != nil {
		t.Fatal(err)
	}
	for _, route := range routes {
		mux.HandleFunc(route.Method+" "+route.Path, func(w http.ResponseWriter, r *http.Request) {
			route.Serve(r.Context(), idserver.RequestFrom(r)).WriteTo(w)
		})
	}
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return w.server() }, &mcp.StreamableHTTPOptions{Stateless: true})
	mux.Handle("/mcp", w.auth.Handler(handler))
	mux.Handle("/verified", auth.RequireBearerToken(w.auth.Verify, nil)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(auth.TokenInfoFromContext(r.Context()))
	})))
	return w
}

func (w *world) server() *mcp.Server {
	s := mcp.NewServer(&mcp.Implementation{Name: "orders", Version: "1"}, nil)
	s.AddReceivingMiddleware(w.auth.Middleware)
	say := func(text string) *mcp.CallToolResult {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}
	}
	mcp.AddTool(s, &mcp.Tool{Name: "whoami"}, func(ctx context.Context, r *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
		u, info := idmcp.User(r), r.Extra.TokenInfo
		if idserver.UserFrom(ctx) == nil || info.UserID != u.Issuer+" "+u.Subject || !info.Expiration.Equal(u.Expiry) {
			return nil, nil, errors.New("the context and TokenInfo do not tell the same")
		}
		return say(u.Name), nil, nil
	})
	mcp.AddTool(s, &mcp.Tool{Name: "pay"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
		return say("paid"), nil, nil
	})
	mcp.AddTool(s, &mcp.Tool{Name: "list_orders"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
		w.calls.Add(1)
		return say("two orders"), nil, nil
	})
	return s
}

// token is for the API, with a scope.
func (w *world) token(scope string, edit ...func(map[string]any)) string {
	return w.provider.MintAccessToken("alice", append(edit, func(c map[string]any) { c["aud"], c["scope"] = w.URL+"/mcp", scope })...)
}

// post sends a JSON-RPC message.
func (w *world) post(t *testing.T, message string, header ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", w.URL+"/mcp", strings.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	response, err := w.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

// go-sdk's own client signs in from the 401 alone, calls a tool, is told that a scope is missing, asks for it, and calls again.
func TestSignInFromTheChallenge(t *testing.T) {
	w := newWorld(t)
	var asked []url.Values
	handler, err := auth.NewAuthorizationCodeHandler(&auth.AuthorizationCodeHandlerConfig{
		DynamicClientRegistrationConfig: &auth.DynamicClientRegistrationConfig{Metadata: &oauthex.ClientRegistrationMetadata{
			ClientName: "A client", RedirectURIs: []string{"http://127.0.0.1:9/callback"}, TokenEndpointAuthMethod: "none",
		}},
		AuthorizationCodeFetcher: func(ctx context.Context, args *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
			at, err := url.Parse(args.URL)
			if err != nil {
				return nil, err
			}
			asked = append(asked, at.Query())
			callback, err := w.provider.Authorize(ctx, args.URL, "alice")
			if err != nil {
				return nil, err
			}
			q := callback.Query()
			return &auth.AuthorizationResult{Code: q.Get("code"), State: q.Get("state"), Iss: q.Get("iss")}, nil
		},
		Client: w.provider.HTTPClient(),
	})
	if err != nil {
		t.Fatal(err)
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "client", Version: "1"}, nil)
	session, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: w.URL + "/mcp", OAuthHandler: handler, DisableStandaloneSSE: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	call := func(tool, want string) {
		t.Helper()
		result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: tool})
		if err != nil {
			t.Fatal(err)
		}
		if text, ok := result.Content[0].(*mcp.TextContent); !ok || result.IsError || text.Text != want {
			t.Errorf("%s: %+v", tool, result)
		}
	}
	call("whoami", "Alice Tan")
	if len(asked) != 1 || asked[0].Get("scope") != "openid" || asked[0].Get("resource") != w.URL+"/mcp" {
		t.Errorf("it asked for %v", asked)
	}
	call("list_orders", "two orders")
	if len(asked) != 2 || !strings.Contains(asked[1].Get("scope"), "orders:read") {
		t.Errorf("to step up, it asked for %v", asked)
	}
	call("list_orders", "two orders")
	if len(asked) != 2 {
		t.Error("it asks again, with the scope")
	}
}

const (
	callOrders = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_orders","arguments":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`
	oldVersion = "2025-06-18"
)

func TestRefusals(t *testing.T) {
	w := newWorld(t)
	at := `resource_metadata="` + w.URL + `/.well-known/oauth-protected-resource/mcp"`
	for name, row := range map[string]struct {
		header    []string
		status    int
		challenge string
	}{
		"no token":                {nil, 401, `Bearer scope="openid", ` + at},
		"a bad token":             {[]string{"Authorization", "Bearer abc"}, 401, `Bearer error="invalid_token", scope="openid", ` + at},
		"two tokens":              {[]string{"Authorization", "Bearer " + w.token("openid"), "Authorization", "Bearer " + w.token("openid")}, 400, `Bearer error="invalid_request", ` + at},
		"a token of the client's": {[]string{"Authorization", "Bearer " + w.provider.MintAccessToken("alice")}, 401, `Bearer error="invalid_token", scope="openid", ` + at},
		"one without the tool's":  {[]string{"Authorization", "Bearer " + w.token("openid"), "Mcp-Method", "tools/call", "Mcp-Name", "list_orders"}, 403, `Bearer error="insufficient_scope", scope="orders:read", ` + at},
		"another kind of sign-in": {[]string{"Authorization", "Bearer " + w.token("openid"), "Mcp-Method", "tools/call", "Mcp-Name", "pay"}, 401,
			`Bearer error="insufficient_user_authentication", acr_values="gold", max_age="3600", scope="openid", ` + at},
		"a page of another origin":   {[]string{"Authorization", "Bearer " + w.token("orders:read"), "Origin", "https://evil.example"}, 403, ""},
		"another name for this host": {[]string{"Authorization", "Bearer " + w.token("orders:read"), "Host", "evil.example"}, 403, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), "POST", w.URL+"/mcp", strings.NewReader(callOrders))
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; i < len(row.header); i += 2 {
				if r.Header.Add(row.header[i], row.header[i+1]); row.header[i] == "Host" {
					r.Host = row.header[i+1]
				}
			}
			response, err := w.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if response.StatusCode != row.status || response.Header.Get("WWW-Authenticate") != row.challenge || response.Header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%d %q, want %d %q", response.StatusCode, response.Header.Get("WWW-Authenticate"), row.status, row.challenge)
			}
		})
	}
	if n := w.calls.Load(); n != 0 {
		t.Errorf("the tool was called %d times", n)
	}
}

// What a call says of itself in the header decides nothing that its body does not.
func TestToolsByTheirBody(t *testing.T) {
	w := newWorld(t)
	call := func(scope string, header ...string) string {
		t.Helper()
		response := w.post(t, strings.Replace(callOrders, `,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}`, "", 1),
			append([]string{"Authorization", "Bearer " + w.token(scope), "Mcp-Protocol-Version", oldVersion}, header...)...)
		var text strings.Builder
		if _, err := copyTo(&text, response); err != nil {
			t.Fatal(err)
		}
		return text.String()
	}
	for name, header := range map[string][]string{"no header": nil, "another tool": {"Mcp-Method", "tools/call", "Mcp-Name", "whoami"}, "another method": {"Mcp-Method", "ping", "Mcp-Name", "list_orders"}} {
		if answer := call("openid", header...); !strings.Contains(answer, "the tool may not be called: insufficient_scope") || w.calls.Load() != 0 {
			t.Errorf("%s: %s, called %d times", name, answer, w.calls.Load())
		}
	}
	for _, scope := range []string{"orders:read", "orders"} { // the second by Config.ScopeIncludes
		if answer := call(scope); !strings.Contains(answer, "two orders") {
			t.Errorf("with %s: %s", scope, answer)
		}
	}
	if answer := call("orders:read", "Mcp-Session-Id", "x"); w.calls.Load() < 2 {
		t.Errorf("%s", answer)
	}
}

// A tool may want the person to be authenticated in some way (RFC 9470); the token says how that was.
func TestToolsByAuthentication(t *testing.T) {
	w := newWorld(t)
	for acr, want := range map[string]string{"gold": "paid", "silver": "the tool may not be called: insufficient_user_authentication"} {
		token := w.token("openid", func(c map[string]any) { c["acr"], c["auth_time"] = acr, time.Now().Unix() })
		response := w.post(t, strings.NewReplacer(`,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}`, "", "list_orders", "pay").Replace(callOrders),
			"Authorization", "Bearer "+token, "Mcp-Protocol-Version", oldVersion)
		var text strings.Builder
		if _, err := copyTo(&text, response); err != nil || !strings.Contains(text.String(), want) {
			t.Errorf("%s: %s %v", acr, text.String(), err)
		}
	}
}

// A server that is reached by another way than the guarded handler has no user, and calls no guarded tool.
func TestUnguarded(t *testing.T) {
	w := newWorld(t)
	a, b := mcp.NewInMemoryTransports()
	served, err := w.server().Connect(t.Context(), a, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer served.Close()
	session, err := mcp.NewClient(&mcp.Implementation{Name: "client", Version: "1"}, nil).Connect(t.Context(), b, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	if _, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "list_orders"}); err == nil || !strings.Contains(err.Error(), "not_signed_in") || w.calls.Load() != 0 {
		t.Errorf("%v, called %d times", err, w.calls.Load())
	}
	if idmcp.User(&mcp.CallToolRequest{}) != nil {
		t.Error("somebody sent a request that nobody did")
	}
}

// The guard decides by the client's clock and leeway, and not go-sdk by its own.
func TestClockIsTheClients(t *testing.T) {
	w := newWorld(t)
	later := time.Now().Add(48 * time.Hour)
	past := newWorld(t, func(c *idserver.Config) { c.Now = func() time.Time { return later.Add(-72 * time.Hour) } })
	expired := w.provider.MintAccessToken("alice", func(c map[string]any) {
		c["aud"], c["exp"] = w.URL+"/mcp", time.Now().Add(-time.Minute).Unix()
	})
	if got := w.post(t, callOrders, "Authorization", "Bearer "+expired).StatusCode; got != 401 {
		t.Errorf("expired: %d", got)
	}
	before := past.provider.MintAccessToken("alice", func(c map[string]any) {
		then := later.Add(-72 * time.Hour)
		c["aud"], c["scope"], c["iat"], c["exp"] = past.URL+"/mcp", "orders:read", then.Unix(), then.Add(time.Minute).Unix()
	})
	if got := past.post(t, callOrders, "Authorization", "Bearer "+before, "Mcp-Protocol-Version", oldVersion).StatusCode; got == 401 {
		t.Errorf("good by the client's clock: %d", got)
	}
}

// What stays open for the server's messages ends when its token is revoked here; a call goes on.
func TestStreamsEndWithTheToken(t *testing.T) {
	for name, row := range map[string]struct {
		method, calls string
		ends          bool
	}{
		"GET": {"GET", "", true}, "a subscription": {"POST", "subscriptions/listen", true}, "a call": {"POST", "tools/call", false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			token := w.token("openid")
			r := httptest.NewRequestWithContext(t.Context(), row.method, w.URL+"/mcp", nil)
			r.Header.Set("Authorization", "Bearer "+token)
			r.Header.Set("Mcp-Method", row.calls)
			reached := false
			w.auth.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				reached = true
				if err := w.client.RevokeToken(t.Context(), token); err != nil {
					t.Error(err)
				}
				if row.ends {
					<-r.Context().Done() // the test's own deadline ends one that does not
				}
				if err := context.Cause(r.Context()); row.ends != errors.Is(err, idserver.ReasonRevoked) {
					t.Errorf("the request's context ended with %v", err)
				}
			})).ServeHTTP(httptest.NewRecorder(), r)
			if !reached {
				t.Error("it was not let in")
			}
		})
	}
}

func TestVerify(t *testing.T) {
	w := newWorld(t)
	ask := func(token string) (*http.Response, auth.TokenInfo) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "GET", w.URL+"/verified", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		response, err := w.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		var info auth.TokenInfo
		_ = json.NewDecoder(response.Body).Decode(&info)
		return response, info
	}
	if response, info := ask(w.token("orders:read openid")); response.StatusCode != 200 || len(info.Scopes) != 2 || !strings.HasPrefix(info.UserID, w.provider.URL()+" ") || info.Expiration.IsZero() {
		t.Errorf("%d %+v", response.StatusCode, info)
	}
	if response, _ := ask("abc"); response.StatusCode != 401 {
		t.Errorf("a bad token: %d", response.StatusCode)
	}
	away := newWorld(t)
	away.provider.Fail(idtest.KeySet, idtest.Fault{Status: 500})
	if _, err := away.auth.Verify(t.Context(), away.token("openid"), nil); err == nil || errors.Is(err, auth.ErrInvalidToken) {
		t.Errorf("the keys are away: %v", err)
	}
}

func copyTo(text *strings.Builder, response *http.Response) (int64, error) {
	defer response.Body.Close()
	return io.Copy(text, response.Body)
}
