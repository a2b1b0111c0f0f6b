package idserver_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// Signing in without the routes: the program redirects the browser and keeps the request, bound to that browser, until
// the provider sends it back.
func ExampleClient_AuthorizeURL() {
	provider, err := idtest.Start(idtest.Options{InMemory: true})
	if err != nil {
		panic(err)
	}
	defer provider.Close()
	client, err := idserver.New(provider.Config("")) // a program has idserver.ConfigFromEnv()
	if err != nil {
		panic(err)
	}
	defer client.Close()

	ctx := context.Background()
	request, err := client.AuthorizeURL(ctx, idserver.AuthorizeOptions{RedirectURI: "http://127.0.0.1:8080/callback"})
	if err != nil {
		panic(err)
	}
	// The browser goes to request.URL, Alice signs in, and the browser comes back to the callback with a query.
	callback, err := provider.Authorize(ctx, request.URL, "alice")
	if err != nil {
		panic(err)
	}
	code, err := client.ReadCallback(ctx, callback.RawQuery, request) // checks the state and the issuer
	if err != nil {
		panic(err)
	}
	tokens, err := client.ExchangeCode(ctx, code, request) // verifies the ID token
	if err != nil {
		panic(err)
	}
	fmt.Println(tokens.User.Name, tokens.User.Email)
	// Output: Alice Tan alice@example.test
}

// A refused sign-in: here the person pressed "cancel" at the provider.
func ExampleClient_ReadCallback() {
	provider, err := idtest.Start(idtest.Options{InMemory: true})
	if err != nil {
		panic(err)
	}
	defer provider.Close()
	client, err := idserver.New(provider.Config("")) // a program has idserver.ConfigFromEnv()
	if err != nil {
		panic(err)
	}
	defer client.Close()

	ctx := context.Background()
	request, err := client.AuthorizeURL(ctx, idserver.AuthorizeOptions{RedirectURI: "http://127.0.0.1:8080/callback"})
	if err != nil {
		panic(err)
	}
	callback, err := provider.Authorize(ctx, request.URL, "") // nobody
	if err != nil {
		panic(err)
	}
	_, err = client.ReadCallback(ctx, callback.RawQuery, request)
	if refused, ok := errors.AsType[*idserver.AuthorizationError](err); ok {
		fmt.Println(refused.Code)
	}
	// Output: access_denied
}

// New tokens before the old access token ends, with the claims that hold now.
func ExampleClient_RefreshToken() {
	provider, err := idtest.Start(idtest.Options{InMemory: true})
	if err != nil {
		panic(err)
	}
	defer provider.Close()
	client, err := idserver.New(provider.Config("")) // a program has idserver.ConfigFromEnv()
	if err != nil {
		panic(err)
	}
	defer client.Close()

	ctx := context.Background()
	request, err := client.AuthorizeURL(ctx, idserver.AuthorizeOptions{RedirectURI: "http://127.0.0.1:8080/callback"})
	if err != nil {
		panic(err)
	}
	callback, err := provider.Authorize(ctx, request.URL, "bob")
	if err != nil {
		panic(err)
	}
	tokens, err := client.ExchangeCode(ctx, callback.Query().Get("code"), request) // after ReadCallback: see AuthorizeURL
	if err != nil {
		panic(err)
	}
	fmt.Println(tokens.User.Roles)

	provider.SetPerson(idtest.Person{Login: "bob", Subject: tokens.User.Subject, Roles: []string{"admin"}})
	if tokens, err = client.RefreshToken(ctx, tokens); err != nil { // keep the new ones: the old refresh token is used up
		panic(err)
	}
	fmt.Println(tokens.User.Roles)
	// Output:
	// [editor]
	// [admin]
}

// Signing out at the provider too: the program ends its own session and sends the browser there.
func ExampleClient_EndSessionURL() {
	provider, err := idtest.Start(idtest.Options{InMemory: true})
	if err != nil {
		panic(err)
	}
	defer provider.Close()
	client, err := idserver.New(provider.Config("")) // a program has idserver.ConfigFromEnv()
	if err != nil {
		panic(err)
	}
	defer client.Close()

	address, err := client.EndSessionURL(context.Background(), idserver.EndSession{
		IDTokenHint:           provider.MintIDToken("alice", idtest.ExampleClient), // Tokens.IDToken of the sign-in
		PostLogoutRedirectURI: "http://127.0.0.1:8080/goodbye",
	})
	if err != nil {
		panic(err)
	}
	u, err := url.Parse(address)
	if err != nil {
		panic(err)
	}
	fmt.Println(u.Path, u.Query().Get("post_logout_redirect_uri"))
	// Output: /connect/endsession http://127.0.0.1:8080/goodbye
}
