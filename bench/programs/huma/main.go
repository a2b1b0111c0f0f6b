// Command huma is an API of huma whose document says what the guards take.
package main

import (
	"context"
	"log"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	idchi "github.com/signward/idserver-go/chi"
	idserver "github.com/signward/idserver-go/core"
)

// guarded puts a guard before an operation of huma, and its security requirements into the document.
func guarded(guard func(http.Handler) http.Handler, o huma.Operation) huma.Operation {
	o.Security = []map[string][]string{{"bearer": {}}, {"session": {}}} // one of them
	o.Middlewares = append(o.Middlewares, func(c huma.Context, next func(huma.Context)) {
		r, w := humago.Unwrap(c)
		guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next(humago.NewContext(c.Operation(), r, w))
		})).ServeHTTP(w, r)
	})
	return o
}

type person struct {
	Body struct {
		Name string `json:"name"`
	}
}

func profile(ctx context.Context, _ *struct{}) (*person, error) {
	var p person
	p.Body.Name = idserver.UserFrom(ctx).Name
	return &p, nil
}

func routes(client *idserver.Client) *http.ServeMux {
	auth, mux := idchi.New(client), http.NewServeMux()
	auth.Mount(mux)
	config := huma.DefaultConfig("Orders", "1.0.0")
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{}
	for name, s := range client.SecuritySchemes() {
		config.Components.SecuritySchemes[name] = &huma.SecurityScheme{
			Type: s["type"], Description: s["description"], Scheme: s["scheme"], BearerFormat: s["bearerFormat"],
			OpenIDConnectURL: s["openIdConnectUrl"], In: s["in"], Name: s["name"],
		}
	}
	api := humago.New(mux, config)
	huma.Register(api, guarded(auth.RequireUser(), huma.Operation{Method: "GET", Path: "/profile"}), profile)
	huma.Register(api, guarded(auth.RequireRole("admin"), huma.Operation{Method: "GET", Path: "/admin"}), profile)
	return mux
}

func main() {
	client, err := idserver.New(idserver.ConfigFromEnv())
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", routes(client)))
}
