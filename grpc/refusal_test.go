package idgrpc_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
	idgrpc "github.com/signward/idserver-go/grpc"
)

// While the provider is away, a caller is told to come back, and when, and not why.
func TestProviderUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		token := w.provider.MintAccessToken("alice")
		w.provider.Fail(idtest.Discovery, idtest.Fault{})
		conn, _ := serve(t, idgrpc.New(w, guarded(w)).ServerOptions()...)
		_, err := call(bearer(t.Context(), token), conn, whoAmI)
		if got := told(err); status.Code(err) != codes.Unavailable || !strings.Contains(got, "PROVIDER_UNAVAILABLE") || !strings.Contains(got, "again after ") || strings.Contains(got, "localhost") {
			t.Errorf("%s", got)
		}
	})
}

// What a guard of the application's own answers ends the call, whatever it is.
func TestOwnAnswers(t *testing.T) {
	w := newWorld(t)
	for answered, want := range map[int]codes.Code{
		200: codes.PermissionDenied, 204: codes.PermissionDenied, 303: codes.PermissionDenied, 400: codes.Unauthenticated,
		401: codes.Unauthenticated, 403: codes.PermissionDenied, 404: codes.PermissionDenied, 429: codes.ResourceExhausted,
		500: codes.Internal, 502: codes.Internal, 503: codes.Unavailable, 999: codes.PermissionDenied,
	} {
		t.Run(strconv.Itoa(answered), func(t *testing.T) {
			own := func(ctx context.Context, _ idserver.Request) (context.Context, idserver.Answer) {
				return ctx, idserver.Answer{Status: answered, Body: []byte("a secret of the page")}
			}
			conn, _ := serve(t, idgrpc.New(w, idgrpc.Config{Others: own}).ServerOptions()...)
			if _, err := call(t.Context(), conn, whoAmI); status.Code(err) != want || strings.Contains(err.Error(), "secret") {
				t.Errorf("%d: %v", answered, err)
			}
		})
	}
}
