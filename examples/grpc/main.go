// Command grpc is a gRPC service whose callers send an OpenID provider's access tokens. Copy this folder to start your own.
// README.md lists its settings.
package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
	"github.com/signward/idserver-go/examples/grpc/ordersv1"
	idgrpc "github.com/signward/idserver-go/grpc"
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
	cfg.BaseURL, cfg.SessionSecret = "", "" // nobody signs in here: callers bring a token
	client, err := idserver.New(cfg)
	if err != nil {
		return err
	}
	defer client.Close()

	server, err := newServer(client)
	if err != nil {
		return err
	}
	fmt.Println("listening", listener.Addr())
	if provider != nil {
		fmt.Println("provider", provider.URL())
		fmt.Printf("ADDR=%s TOKEN=%s go run ./examples/grpc/client\n", listener.Addr(), provider.MintAccessToken("alice"))
	}
	stopped := make(chan struct{})
	context.AfterFunc(ctx, func() {
		server.Stop() // GracefulStop would wait for the streams of WatchOrders
		close(stopped)
	})
	if err := server.Serve(listener); err != nil {
		return err
	}
	<-stopped
	return nil
}

func newServer(client *idserver.Client) (*grpc.Server, error) {
	auth := idgrpc.New(client, idgrpc.Config{
		Methods: map[string]idserver.Guard{
			ordersv1.Orders_CancelOrder_FullMethodName: client.RequireRole("admin"),
			healthgrpc.Health_Check_FullMethodName:     idgrpc.Open, // a probe has no token
		},
		Others: client.RequireUser(),
	})
	server := grpc.NewServer(auth.ServerOptions()...) // with grpc.Creds, where no proxy in front does TLS
	ordersv1.RegisterOrdersServer(server, newOrders())
	healthgrpc.RegisterHealthServer(server, health.NewServer())
	return server, auth.Check(server)
}
