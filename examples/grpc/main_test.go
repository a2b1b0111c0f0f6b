package main

import (
	"context"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
	"github.com/signward/idserver-go/examples/grpc/ordersv1"
)

// A service with its guards, in a test: a provider in memory makes tokens for anybody.
func TestOrders(t *testing.T) {
	provider, err := idtest.Start(idtest.Options{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer provider.Close()
	client, err := idserver.New(provider.Config(""))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := newServer(client)
	if err != nil {
		t.Fatal(err)
	}
	listener := bufconn.Listen(64 << 10)
	go func() { _ = server.Serve(listener) }()
	defer server.Stop()
	conn, err := grpc.NewClient("passthrough:///memory", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	orders := ordersv1.NewOrdersClient(conn)
	as := func(login string) context.Context {
		return metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+provider.MintAccessToken(login))
	}

	if _, err := healthgrpc.NewHealthClient(conn).Check(t.Context(), &healthgrpc.HealthCheckRequest{}); err != nil {
		t.Errorf("health: %v", err)
	}
	if _, err := orders.ListOrders(t.Context(), &ordersv1.ListOrdersRequest{}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("without a token: %v", err)
	}
	list, err := orders.ListOrders(as("bob"), &ordersv1.ListOrdersRequest{})
	if err != nil || len(list.Orders) != 1 {
		t.Fatalf("%v %v", list, err)
	}
	watch, err := orders.WatchOrders(as("bob"), &ordersv1.WatchOrdersRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if order, err := watch.Recv(); err != nil || order.Cancelled {
		t.Errorf("%v %v", order, err)
	}
	cancel := &ordersv1.CancelOrderRequest{Id: list.Orders[0].Id}
	if _, err := orders.CancelOrder(as("bob"), cancel); status.Code(err) != codes.PermissionDenied {
		t.Errorf("bob cancels: %v", err)
	}
	if _, err := orders.CancelOrder(as("alice"), cancel); err != nil {
		t.Errorf("alice cancels: %v", err)
	}
	if order, err := watch.Recv(); err != nil || !order.Cancelled {
		t.Errorf("%v %v", order, err)
	}
}
