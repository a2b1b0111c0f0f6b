package idserver_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// A single-page front end at another origin asks where to sign in, and goes there. It has no tokens of its own.
func ExampleConfig_trustedOrigins() {
	provider, err := idtest.Start(idtest.Options{InMemory: true})
	if err != nil {
		panic(err)
	}
	defer provider.Close()
	cfg := provider.Config("http://127.0.0.1:8080")
	cfg.TrustedOrigins = []string{"http://127.0.0.1:5173"}
	client, err := idserver.New(cfg)
	if err != nil {
		panic(err)
	}
	defer client.Close()
	routes, err := client.Routes("/")
	if err != nil {
		panic(err)
	}

	// fetch('http://127.0.0.1:8080/auth/login?return_to=…', {credentials: 'include', headers: {Accept: 'application/json'}})
	r := httptest.NewRequest(http.MethodGet, "/auth/login?return_to=http://127.0.0.1:5173/home", nil)
	r.Header = http.Header{"Origin": {"http://127.0.0.1:5173"}, "Accept": {"application/json"}}
	w := httptest.NewRecorder()
	for _, route := range routes { // an adapter's router does this
		if route.Method == r.Method && route.Path == r.URL.Path {
			route.Serve(r.Context(), idserver.RequestFrom(r)).WriteTo(w)
		}
	}
	var answer struct{ URL string }
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		panic(err)
	}
	fmt.Println(w.Code, w.Header().Get("Access-Control-Allow-Origin"))
	fmt.Println(strings.HasPrefix(answer.URL, provider.URL()))
	// Output:
	// 200 http://127.0.0.1:5173
	// true
}
