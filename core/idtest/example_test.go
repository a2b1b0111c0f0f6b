package idtest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// admins is the handler under test. An application has its adapter's RequireRole in place of these lines.
func admins(client *idserver.Client) http.Handler {
	guard := client.RequireRole("admin")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, answer := guard(r.Context(), idserver.RequestFrom(r))
		if answer.WriteTo(w); !answer.Ends() {
			fmt.Fprintf(w, "hello, %s", idserver.UserFrom(ctx).Email)
		}
	})
}

// call sends a request with an access token.
func call(handler http.Handler, token string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/admin", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

// A test of an API makes access tokens of its own, for anyone and with any claims. In a test, NewProvider(t) replaces Start
// and Close.
func Example() {
	provider, err := idtest.Start(idtest.Options{InMemory: true})
	if err != nil {
		panic(err)
	}
	defer provider.Close()
	client, err := idserver.New(provider.Config(""))
	if err != nil {
		panic(err)
	}
	defer client.Close()
	handler := admins(client)

	fmt.Println(call(handler, provider.MintAccessToken("alice")).Body)
	fmt.Println("bob:", call(handler, provider.MintAccessToken("bob")).Code)
	promoted := provider.MintAccessToken("bob", func(claims map[string]any) { claims["roles"] = []string{"admin"} })
	fmt.Println("bob with another role:", call(handler, promoted).Code)
	// Output:
	// hello, alice@example.test
	// bob: 403
	// bob with another role: 200
}
