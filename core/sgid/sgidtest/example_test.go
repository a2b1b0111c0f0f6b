package sgidtest_test

import (
	"context"
	"fmt"

	"github.com/signward/idserver-go/core/idtest"
	"github.com/signward/idserver-go/core/sgid"
	"github.com/signward/idserver-go/core/sgid/sgidtest"
)

// A person of the test's own. In a test, NewProvider(t) replaces Start and Close.
func Example() {
	provider, err := sgidtest.Start(sgidtest.Options{Options: idtest.Options{InMemory: true}})
	if err != nil {
		panic(err)
	}
	defer provider.Close()
	siti := sgidtest.Person{Person: idtest.Person{Login: "siti"}, Data: map[string]string{sgid.ScopeName: "SITI BINTE ALI"}}
	provider.SetPerson(siti)
	cfg := provider.Config("")
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
	back, err := provider.Authorize(context.Background(), request.URL, "siti")
	if err != nil {
		panic(err)
	}
	params := sgid.CallbackParams{Code: back.Query().Get("code"), CodeVerifier: pair.CodeVerifier, Nonce: request.Nonce}
	signIn, err := client.Callback(context.Background(), params)
	if err != nil {
		panic(err)
	}
	info, err := client.UserInfo(context.Background(), signIn.AccessToken, signIn.Sub)
	if err != nil {
		panic(err)
	}
	fmt.Println(info.Data.Name())
	// Output: SITI BINTE ALI
}
