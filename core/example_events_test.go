package idserver_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// An audit log of what was refused, and to whom.
func ExampleEvents() {
	provider, err := idtest.Start(idtest.Options{InMemory: true})
	if err != nil {
		panic(err)
	}
	defer provider.Close()
	cfg := provider.Config("") // a program has idserver.ConfigFromEnv()
	cfg.Events.Refused = func(_ context.Context, e idserver.RefusalEvent) {
		fmt.Printf("%d %s %q\n", e.Status, e.Code, e.Subject)
	}
	client, err := idserver.New(cfg)
	if err != nil {
		panic(err)
	}
	defer client.Close()

	guard := client.RequireRole("admin") // an adapter calls it
	for _, authorization := range []string{"", "Bearer " + provider.MintAccessToken("bob"), "Bearer " + provider.MintAccessToken("alice")} {
		r := httptest.NewRequest(http.MethodGet, "/reports", nil)
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		guard(r.Context(), idserver.RequestFrom(r))
	}
	// Output:
	// 401 not_signed_in ""
	// 403 insufficient_role "6f0c2a3e-0000-4000-8000-000000000b0b"
}
