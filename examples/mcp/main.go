// Command mcp is a Model Context Protocol server whose clients sign their users in with an OpenID provider. Copy this folder to
// start your own. README.md lists its settings.
package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	idchi "github.com/signward/idserver-go/chi"
	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
	idmcp "github.com/signward/idserver-go/mcp"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C exits at once
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	listener, err := net.Listen("tcp", cmp.Or(os.Getenv("ADDR"), "127.0.0.1:8080"))
	if err != nil {
		return fmt.Errorf("ADDR: want a free address, such as 127.0.0.1:8081: %w", err)
	}
	cfg, provider, err := idtest.ConfigFromEnv(listener.Addr()) // your own program: cfg := idserver.ConfigFromEnv()
	if err != nil {
		return err
	}
	endpoint := cfg.BaseURL + "/mcp"
	cfg.BaseURL, cfg.SessionSecret = "", "" // nobody signs in here: clients bring a token
	client, err := idserver.New(cfg)
	if err != nil {
		return err
	}
	defer client.Close()
	handler, err := app(client, endpoint)
	if err != nil {
		return err
	}

	fmt.Println("open", endpoint)
	if provider != nil {
		fmt.Println("provider", provider.URL())
	}
	server := &http.Server{Handler: handler, ReadTimeout: 10 * time.Second}
	stopped := make(chan error, 1)
	context.AfterFunc(ctx, func() { stopped <- server.Shutdown(context.Background()) })
	if err := server.Serve(listener); err != http.ErrServerClosed {
		return err
	}
	return <-stopped // once the open requests are answered
}

func app(client *idserver.Client, endpoint string) (http.Handler, error) {
	api, err := client.NewResource(idserver.ResourceConfig{
		Identifier: endpoint, PublishMetadata: true, Name: "Orders", Scopes: []string{"openid"}, MoreScopes: []string{"orders:read"},
	})
	if err != nil {
		return nil, err
	}
	auth := idmcp.New(api, map[string]idserver.Guard{"list_orders": api.RequireScope("orders:read")})

	server := mcp.NewServer(&mcp.Implementation{Name: "orders", Version: "1.0.0"}, nil)
	server.AddReceivingMiddleware(auth.Middleware)
	mcp.AddTool(server, &mcp.Tool{Name: "whoami", Description: "Says who is signed in"}, whoami)
	mcp.AddTool(server, &mcp.Tool{Name: "list_orders", Description: "Lists the user's orders"}, listOrders)

	mux := http.NewServeMux()
	idchi.New(api).Mount(mux) // the metadata, at /.well-known/oauth-protected-resource and before /mcp
	mux.Handle("/mcp", auth.Handler(mcp.NewStreamableHTTPHandler(
		func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{Stateless: true})))
	return mux, nil
}

type person struct {
	Name  string `json:"name"`
	Email string `json:"email"`
}

func whoami(_ context.Context, r *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, person, error) {
	u := idmcp.User(r)
	return nil, person{u.Name, u.Email}, nil
}

type orders struct {
	Orders []string `json:"orders"`
}

func listOrders(_ context.Context, r *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, orders, error) {
	return nil, orders{[]string{"tea for " + idmcp.User(r).Name}}, nil
}
