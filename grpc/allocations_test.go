//go:build !race

// The race detector makes pools forget, and counts what it allocates itself.

package idgrpc_test

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	idserver "github.com/signward/idserver-go/core"
	idgrpc "github.com/signward/idserver-go/grpc"
)

// What a guard adds to a call with a known token is counted: at most 7 allocations, of which gRPC's copies of the metadata that is
// asked for are most.
func TestAllocations(t *testing.T) {
	w := newWorld(t)
	auth := idgrpc.New(w, guarded(w))
	ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs(":authority", "example.test", "authorization", "Bearer "+w.provider.MintAccessToken("alice")))
	handler := func(ctx context.Context, _ any) (any, error) { return idserver.UserFrom(ctx), nil }
	count := func(method string) float64 {
		info := &grpc.UnaryServerInfo{FullMethod: method}
		return testing.AllocsPerRun(200, func() {
			if user, err := auth.UnaryInterceptor(ctx, nil, info, handler); err != nil || user == nil {
				t.Fatalf("%s: %v", method, err)
			}
		})
	}
	if n := count(whoAmI); n > 7 {
		t.Errorf("RequireUser adds %v allocations, want at most 7", n)
	} else {
		t.Logf("RequireUser adds %v allocations", n)
	}
	if n := count(admin) - count(whoAmI); n > 0 {
		t.Errorf("a role adds %v allocations, want none", n)
	}
}
