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

// Only people of one tenant sign in, and each has a desk.
func ExampleConfig_admitUser() {
	provider, err := idtest.Start(idtest.Options{InMemory: true})
	if err != nil {
		panic(err)
	}
	defer provider.Close()
	provider.SetPerson(idtest.Person{Login: "mallory", Email: "mallory@example.test", EmailVerified: true})
	cfg := provider.Config("http://127.0.0.1:8080")
	cfg.AdmitUser = func(_ context.Context, user *idserver.User) error {
		// An e-mail address alone proves nothing of whom somebody belongs to: others can have one of the same domain.
		if user.Issuer != cfg.Authority || user.TenantID != "7b1d5c52-0000-4000-8000-00000000acee" {
			return errors.New("not of this company")
		}
		return user.Set("desk", 12)
	}
	client, err := idserver.New(cfg)
	if err != nil {
		panic(err)
	}
	routes, err := client.Routes("/")
	if err != nil {
		panic(err)
	}
	login, callback := routes[0].Serve, routes[1].Serve // an adapter registers them

	for _, name := range []string{"alice", "mallory"} {
		begun, ended := httptest.NewRecorder(), httptest.NewRecorder()
		login(context.Background(), idserver.RequestFrom(httptest.NewRequest(http.MethodGet, "/auth/login", nil))).WriteTo(begun)
		back, err := provider.Authorize(context.Background(), begun.Header().Get("Location"), name)
		if err != nil {
			panic(err)
		}
		r := httptest.NewRequest(http.MethodGet, back.RequestURI(), nil)
		for _, cookie := range begun.Result().Cookies() {
			r.AddCookie(cookie)
		}
		callback(context.Background(), idserver.RequestFrom(r)).WriteTo(ended)
		fmt.Println(name, ended.Code, ended.Header().Get("Location"))
	}
	// Output:
	// alice 303 /
	// mallory 403
}
