package idserver_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	idserver "github.com/signward/idserver-go/core"
)

// A test of a handler, without guards and without a provider. Package idtest has examples with both.
func ExampleWithUser() {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // the one to test
		user := idserver.UserFrom(r.Context())
		if user.HasRole("editor") {
			fmt.Fprint(w, "edit, ")
		}
		fmt.Fprint(w, "read: ", user.Name)
	})

	r := httptest.NewRequest(http.MethodGet, "/article", nil)
	r = r.WithContext(idserver.WithUser(r.Context(), &idserver.User{Subject: "1", Name: "Bob", Roles: []string{"editor"}}))
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	fmt.Println(w.Body)
	// Output: edit, read: Bob
}
