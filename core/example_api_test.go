package idserver_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// An API that admits the access tokens of administrators. With an adapter, the handler is three lines shorter.
func ExampleClient_RequireRole() {
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

	guard := client.RequireRole("admin")
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, answer := guard(r.Context(), idserver.RequestFrom(r))
		if answer.WriteTo(w); answer.Ends() {
			return
		}
		fmt.Println("a request of", idserver.UserFrom(ctx).Name)
	})

	for _, login := range []string{"alice", "bob"} {
		r := httptest.NewRequest(http.MethodGet, "/reports", nil)
		r.Header.Set("Authorization", "Bearer "+provider.MintAccessToken(login))
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(login, w.Code)
	}
	// Output:
	// a request of Alice Tan
	// alice 200
	// bob 403
}

// An access token that did not come with an HTTP request: it belongs to a message of a queue, for example.
func ExampleClient_ValidateAccessToken() {
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
	user, err := client.ValidateAccessToken(ctx, provider.MintAccessToken("bob"), idserver.AccessTokenCheck{})
	if err != nil {
		panic(err)
	}
	fmt.Println(user.Name, user.Roles)

	_, err = client.ValidateAccessToken(ctx, provider.MintAccessToken("bob"), idserver.AccessTokenCheck{Audience: "another-api"})
	fmt.Println(errors.Is(err, idserver.ReasonAudience))
	// Output:
	// Bob Lim [editor]
	// true
}
