package idserver_test

import (
	"context"
	"fmt"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// Claims that User has no field for.
func ExampleUser_Claims() {
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
	token := provider.MintAccessToken("alice", func(claims map[string]any) { claims["department"] = "Research" })
	user, err := client.ValidateAccessToken(context.Background(), token, idserver.AccessTokenCheck{}) // or idserver.UserFrom(ctx)
	if err != nil {
		panic(err)
	}

	var claims struct {
		Department string `json:"department"`
	}
	if err := user.Claims(&claims); err != nil {
		panic(err)
	}
	fmt.Println(user.Name, "of", claims.Department)
	// Output: Alice Tan of Research
}
