package bench

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"
	"github.com/labstack/echo/v5"
	other "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	idchi "github.com/signward/idserver-go/chi"
	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
	idecho "github.com/signward/idserver-go/echov5"
	idfiber "github.com/signward/idserver-go/fiber"
	idgin "github.com/signward/idserver-go/gin"
	idmcp "github.com/signward/idserver-go/mcp"
)

// official is a server of go-sdk.
func official(auth *idmcp.Auth) http.Handler {
	s := mcp.NewServer(&mcp.Implementation{Name: "suite", Version: "1"}, nil)
	s.AddReceivingMiddleware(auth.Middleware)
	mcp.AddTool(s, &mcp.Tool{Name: "whoami"}, func(_ context.Context, r *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: idmcp.User(r).Name}}}, nil, nil
	})
	return auth.Handler(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s }, &mcp.StreamableHTTPOptions{Stateless: true, JSONResponse: true}))
}

// mark3labs is a server of mcp-go, which stands behind an adapter's guard.
func mark3labs() http.Handler {
	s := server.NewMCPServer("suite", "1")
	s.AddTool(other.NewTool("whoami"), func(ctx context.Context, _ other.CallToolRequest) (*other.CallToolResult, error) {
		user := idserver.UserFrom(ctx)
		if user == nil {
			return nil, errors.New("nobody")
		}
		return other.NewToolResultText(user.Name), nil
	})
	return server.NewStreamableHTTPServer(s, server.WithStateLess(true))
}

// routers serve the metadata, go-sdk's handler at /mcp and mcp-go's at /other.
var routers = map[string]func(api *idserver.Resource, ours, theirs http.Handler, l net.Listener) error{
	"gin": func(api *idserver.Resource, ours, theirs http.Handler, l net.Listener) error {
		gin.SetMode(gin.ReleaseMode)
		auth, r := idgin.New(api), gin.New()
		auth.Mount(r)
		r.Any("/mcp", gin.WrapH(ours))
		r.Any("/other", auth.RequireUser(), gin.WrapH(theirs))
		return http.Serve(l, r)
	},
	"echo": func(api *idserver.Resource, ours, theirs http.Handler, l net.Listener) error {
		auth, e := idecho.New(api), echo.New()
		auth.Mount(e)
		e.Any("/mcp", echo.WrapHandler(ours))
		e.Any("/other", echo.WrapHandler(theirs), auth.RequireUser())
		return http.Serve(l, e)
	},
	"fiber": func(api *idserver.Resource, ours, theirs http.Handler, l net.Listener) error {
		auth, app := idfiber.New(api), fiber.New(fiber.Config{DisableStartupMessage: true})
		auth.Mount(app)
		app.All("/mcp", adaptor.HTTPHandler(ours))
		app.All("/other", auth.RequireUser(), adaptor.HTTPHandler(theirs))
		return app.Listener(l)
	},
	"chi": func(api *idserver.Resource, ours, theirs http.Handler, l net.Listener) error {
		auth, r := idchi.New(api), chi.NewRouter()
		auth.Mount(r)
		r.Handle("/mcp", ours)
		r.With(auth.RequireUser()).Handle("/other", theirs)
		return http.Serve(l, r)
	},
	"net/http": func(api *idserver.Resource, ours, theirs http.Handler, l net.Listener) error {
		auth, mux := idchi.New(api), http.NewServeMux()
		auth.Mount(mux)
		mux.Handle("/mcp", ours)
		mux.Handle("/other", auth.RequireUser()(theirs))
		return http.Serve(l, mux)
	},
}

// Servers of both SDKs have the user in every framework, and a client without a token is told where to get one.
func TestMCPInFrameworks(t *testing.T) {
	for name, serve := range routers {
		t.Run(name, func(t *testing.T) {
			provider := idtest.NewProvider(t)
			client, err := idserver.New(provider.Config(""))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(client.Close)
			place := httptest.NewUnstartedServer(nil)
			origin := "http://" + place.Listener.Addr().String()
			api, err := client.NewResource(idserver.ResourceConfig{Identifier: origin + "/mcp", PublishMetadata: true})
			if err != nil {
				t.Fatal(err)
			}
			go func() { _ = serve(api, official(idmcp.New(api, nil)), mark3labs(), place.Listener) }()
			t.Cleanup(func() { _ = place.Listener.Close() })
			ask := func(method, path, body string, header ...string) (*http.Response, string) {
				t.Helper()
				r, err := http.NewRequestWithContext(t.Context(), method, origin+path, strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				r.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}, "Mcp-Protocol-Version": {"2025-06-18"}}
				for i := 0; i < len(header); i += 2 {
					r.Header.Set(header[i], header[i+1])
				}
				response, err := http.DefaultTransport.RoundTrip(r)
				if err != nil {
					t.Fatal(err)
				}
				defer response.Body.Close()
				text, err := io.ReadAll(response.Body)
				if err != nil {
					t.Fatal(err)
				}
				return response, string(text)
			}
			const call = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami","arguments":{}}}`
			token := provider.MintAccessToken("alice", func(c map[string]any) { c["aud"] = origin + "/mcp" })
			for _, path := range []string{"/mcp", "/other"} {
				if response, text := ask("POST", path, call); response.StatusCode != 401 || !strings.Contains(response.Header.Get("WWW-Authenticate"), `resource_metadata="`+origin+`/.well-known/oauth-protected-resource/mcp"`) {
					t.Errorf("%s without a token: %d %s", path, response.StatusCode, text)
				}
				if response, text := ask("POST", path, call, "Authorization", "Bearer "+token); response.StatusCode != 200 || !strings.Contains(text, "Alice Tan") {
					t.Errorf("%s: %d %s", path, response.StatusCode, text)
				}
			}
			if response, text := ask("GET", "/.well-known/oauth-protected-resource/mcp", ""); response.StatusCode != 200 || !strings.Contains(text, provider.URL()) {
				t.Errorf("the metadata: %d %s", response.StatusCode, text)
			}
		})
	}
}
