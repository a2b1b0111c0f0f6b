package idserver_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// Refusals in the application's own words. Those of which it knows nothing keep the built-in page or problem+json.
func ExampleConfig_renderRefusal() {
	provider, err := idtest.Start(idtest.Options{InMemory: true})
	if err != nil {
		panic(err)
	}
	defer provider.Close()
	cfg := provider.Config("")
	cfg.RenderRefusal = func(_ context.Context, refusal idserver.Refusal) idserver.Rendered {
		if refusal.Code != idserver.CodeInsufficientRole {
			return idserver.Rendered{}
		}
		text := fmt.Sprintf("%s may not do this. Ask the desk for more rights.\n", refusal.User.Name)
		return idserver.Rendered{Status: http.StatusForbidden, ContentType: "text/plain; charset=utf-8", Body: []byte(text)}
	}
	client, err := idserver.New(cfg)
	if err != nil {
		panic(err)
	}
	defer client.Close()

	r := httptest.NewRequest(http.MethodGet, "/reports", nil)
	r.Header.Set("Authorization", "Bearer "+provider.MintAccessToken("bob"))
	_, answer := client.RequireRole("admin")(r.Context(), idserver.RequestFrom(r)) // an adapter writes the answer
	fmt.Printf("%d: %s", answer.Status, answer.Body)
	// Output: 403: Bob Lim may not do this. Ask the desk for more rights.
}
