// Command client calls the service of examples/grpc: it lists the caller's orders and, with -cancel, cancels one.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/signward/idserver-go/examples/grpc/ordersv1"
)

func main() {
	cancel := flag.String("cancel", "", "the `id` of an order to cancel, for admins")
	flag.Parse()
	if err := run(context.Background(), *cancel); err != nil {
		fmt.Fprintln(os.Stderr, err)
		for _, detail := range status.Convert(err).Details() {
			if info, ok := detail.(*errdetails.ErrorInfo); ok {
				fmt.Fprintln(os.Stderr, "code:", info.Metadata["code"])
			}
		}
		os.Exit(1)
	}
}

func run(ctx context.Context, cancel string) error {
	// On loopback only. Elsewhere a token is sent over TLS alone: credentials.NewTLS(nil).
	conn, err := grpc.NewClient(cmp.Or(os.Getenv("ADDR"), "127.0.0.1:8080"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	if token := os.Getenv("TOKEN"); token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	orders := ordersv1.NewOrdersClient(conn)
	if cancel != "" {
		order, err := orders.CancelOrder(ctx, &ordersv1.CancelOrderRequest{Id: cancel})
		if err != nil {
			return err
		}
		fmt.Println("cancelled", order.Id)
		return nil
	}
	list, err := orders.ListOrders(ctx, &ordersv1.ListOrdersRequest{})
	if err != nil {
		return err
	}
	for _, order := range list.Orders {
		fmt.Println(order.Id, "cancelled:", order.Cancelled)
	}
	return nil
}
