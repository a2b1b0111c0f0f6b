package main

import (
	"context"
	"slices"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/examples/grpc/ordersv1"
)

// orders keeps the orders in memory: everybody who asks has one.
type orders struct {
	ordersv1.UnimplementedOrdersServer

	mu      sync.Mutex
	all     []*ordersv1.Order
	changed chan struct{} // closed at the next change
}

func newOrders() *orders { return &orders{changed: make(chan struct{})} }

// ListOrders lists the caller's own orders. The guard has admitted a user.
func (o *orders) ListOrders(ctx context.Context, _ *ordersv1.ListOrdersRequest) (*ordersv1.ListOrdersResponse, error) {
	own, _ := o.of(idserver.UserFrom(ctx).Subject)
	return &ordersv1.ListOrdersResponse{Orders: own}, nil
}

// WatchOrders sends the caller's orders now and whenever one changes. The context ends when the caller leaves, and when its access
// token has expired.
func (o *orders) WatchOrders(_ *ordersv1.WatchOrdersRequest, stream grpc.ServerStreamingServer[ordersv1.Order]) error {
	ctx := stream.Context()
	for {
		own, changed := o.of(idserver.UserFrom(ctx).Subject)
		for _, order := range own {
			if err := stream.Send(order); err != nil {
				return err
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// CancelOrder cancels anybody's order. The guard has admitted an admin.
func (o *orders) CancelOrder(_ context.Context, request *ordersv1.CancelOrderRequest) (*ordersv1.Order, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	i := slices.IndexFunc(o.all, func(order *ordersv1.Order) bool { return order.Id == request.Id })
	if i < 0 {
		return nil, status.Error(codes.NotFound, "There is no such order")
	}
	o.all[i] = &ordersv1.Order{Id: o.all[i].Id, Owner: o.all[i].Owner, Cancelled: true}
	close(o.changed)
	o.changed = make(chan struct{})
	return proto.CloneOf(o.all[i]), nil
}

// of returns a user's orders, and a channel that is closed when one changes.
func (o *orders) of(subject string) (own []*ordersv1.Order, changed <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, order := range o.all {
		if order.Owner == subject {
			own = append(own, order)
		}
	}
	if own == nil {
		first := &ordersv1.Order{Id: "order-of-" + subject, Owner: subject}
		o.all, own = append(o.all, first), append(own, first)
	}
	return own, o.changed
}
