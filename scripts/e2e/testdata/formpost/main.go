// An application at https://localhost and its provider at https://127.0.0.1, which browsers take for two sites: the response
// of a sign-in is posted from one to the other (response_mode=form_post).
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/signal"
	"strings"
	"syscall"

	idchi "github.com/signward/idserver-go/chi"
	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

func main() {
	application, provider := newServer(), newServer()
	defer application.Close()
	defer provider.Close()
	baseURL := strings.Replace("https://"+application.Listener.Addr().String(), "127.0.0.1", "localhost", 1)

	p, err := idtest.Start(idtest.Options{InMemory: true, BaseURL: "https://" + provider.Listener.Addr().String()})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	p.AddClient(idtest.Client{ID: idtest.ExampleClient, Secret: idtest.ExampleSecret, RedirectURIs: []string{baseURL + "/auth/callback"}})
	p.SetAuthorizationResponse(func(response url.Values) { // as Apple does
		response.Set("user", `{"name":{"firstName":"Zoë","lastName":"Lim"},"email":"zoe@example.test"}`)
	})
	inMemory := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: provider.Listener.Addr().String()})
	inMemory.Transport = p.HTTPClient().Transport
	provider.Config.Handler = inMemory
	provider.StartTLS()

	client, err := idserver.New(idserver.Config{
		Authority: p.URL(), ClientID: idtest.ExampleClient, ClientSecret: idtest.ExampleSecret, HTTP: idserver.HTTPConfig{Client: p.HTTPClient()},
		BaseURL: baseURL, SessionSecret: rand.Text() + rand.Text(), ResponseMode: "form_post",
		AdmitUser: func(ctx context.Context, u *idserver.User) error {
			return u.Set("shown_as", idserver.UnprovenNameFrom(ctx))
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	auth, mux := idchi.New(client), http.NewServeMux()
	auth.Mount(mux)
	mux.Handle("GET /{$}", auth.RequireUser()(http.HandlerFunc(hello)))
	application.Config.Handler = mux
	application.StartTLS()

	fmt.Println("open", baseURL)
	fmt.Println("provider", p.URL())
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	<-ctx.Done()
}

// newServer returns a server on a free port of loopback, which serves nothing yet.
func newServer() *httptest.Server {
	s := httptest.NewUnstartedServer(nil)
	s.Config.ErrorLog = log.New(log.Writer(), "", 0)
	return s
}

func hello(w http.ResponseWriter, r *http.Request) {
	var kept struct {
		ShownAs string `json:"shown_as"`
	}
	if err := idserver.UserFrom(r.Context()).Claims(&kept); err != nil {
		log.Print(err)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintf(w, "Hello, %s, shown as %s", idserver.UserFrom(r.Context()).Email, kept.ShownAs)
}
