package idtest_test

import (
	"context"
	"fmt"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// Authorize is the person at the browser.
func ExampleProvider_Authorize() {
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

	ctx := context.Background()
	request, err := client.AuthorizeURL(ctx, idserver.AuthorizeOptions{RedirectURI: "http://127.0.0.1:8080/callback"})
	if err != nil {
		panic(err)
	}
	callback, err := provider.Authorize(ctx, request.URL, "carol")
	if err != nil {
		panic(err)
	}
	tokens, err := client.ExchangeCode(ctx, callback.Query().Get("code"), request)
	if err != nil {
		panic(err)
	}
	fmt.Println(tokens.User.Name)
	// Output: Carol Ng
}
