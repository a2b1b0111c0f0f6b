package sgid_test

import (
	"context"
	"fmt"

	"github.com/signward/idserver-go/core/idtest"
	"github.com/signward/idserver-go/core/sgid"
	"github.com/signward/idserver-go/core/sgid/sgidtest"
)

// The steps of sgID's own SDKs. What is kept between them is bound to the browser, such as in a session.
func Example() {
	provider, err := sgidtest.Start(sgidtest.Options{Options: idtest.Options{InMemory: true}})
	if err != nil {
		panic(err)
	}
	defer provider.Close()
	cfg := provider.Config("") // a program has sgid.ConfigFromEnv()
	cfg.RedirectURI = "http://127.0.0.1:8080/callback"
	client, err := sgid.New(cfg)
	if err != nil {
		panic(err)
	}
	defer client.Close()

	pair, err := sgid.GeneratePKCEPair(64)
	if err != nil {
		panic(err)
	}
	request, err := client.AuthorizeURL(sgid.AuthorizeOptions{CodeChallenge: pair.CodeChallenge})
	if err != nil {
		panic(err)
	}
	// The browser goes to request.URL and comes back with a code and the state, which the program compares.
	ctx := context.Background()
	back, err := provider.Authorize(ctx, request.URL, "meiling")
	if err != nil || back.Query().Get("state") != request.State {
		panic("not our request")
	}
	signIn, err := client.Callback(ctx, sgid.CallbackParams{Code: back.Query().Get("code"), CodeVerifier: pair.CodeVerifier, Nonce: request.Nonce})
	if err != nil {
		panic(err)
	}
	info, err := client.UserInfo(ctx, signIn.AccessToken, signIn.Sub)
	if err != nil {
		panic(err)
	}
	fmt.Println(info.Data.Name())
	// Output: LIM MEI LING
}
