package idchi_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"

	idchi "github.com/signward/idserver-go/chi"
	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
	"github.com/signward/idserver-go/core/idtest/adaptertest"
)

// onChi is the application that adaptertest.Application asks for.
func onChi(client *idserver.Client, listener net.Listener) error {
	auth := idchi.New(client)
	r := chi.NewRouter()
	auth.Mount(r)
	idchi.New(adaptertest.Published(client)).Mount(r)
	r.Route("/suite", func(r chi.Router) {
		r.With(auth.LoadUser()).Get("/open", seen)
		r.With(auth.RequireUser()).Get("/user", seen)
		r.With(auth.RequireUser()).Post("/user", seen)
		r.With(auth.RequireRole("admin")).Get("/admin", seen)
		r.With(auth.RequireUser(), auth.RequireRole("admin")).Get("/behind", seen)
		r.With(auth.RequireRole("admin", "editor")).Get("/editors", seen)
		r.With(auth.RequireAllRoles("admin", "billing")).Get("/billing", seen)
		r.Route("/of/{tenant}", func(r chi.Router) { r.With(auth.RequireTenant("tenant")).Get("/", seen) })
		r.With(auth.Guard(client.RequireBuiltInRole("billing"))).Get("/builtin", seen)
		r.With(auth.Guard(client.Require(adaptertest.IsAlice))).Get("/own", seen)
		for path, guard := range adaptertest.Guards(client) {
			r.With(auth.Guard(guard)).Get(path, seen)
			r.With(auth.Guard(guard)).Post(path, seen)
		}
		r.With(auth.LoadUser()).Get("/public", public)
		r.With(clash, auth.RequireUser()).Get("/clash", seen)
		inspect := r.With(auth.Guard(adaptertest.Inspect))
		inspect.Get("/inspect", seen)
		inspect.Head("/inspect", seen)
		inspect.Post("/inspect", seen)
		rewritten := r.With(rewrite, auth.RequireUser(), auth.Guard(adaptertest.Inspect))
		rewritten.Get("/rewritten", seen)
		rewritten.Post("/rewritten", seen)
		r.With(auth.RequireUser()).Get("/stream", stream)
		r.With(auth.RequireRole("admin")).Get("/poll", poll)
		r.With(auth.Guard(client.Require(adaptertest.IsAlice))).Get("/socket", socket)
	})
	return http.Serve(listener, r)
}

// onServeMux is the same without chi.
func onServeMux(client *idserver.Client, listener net.Listener) error {
	auth := idchi.New(client)
	mux := http.NewServeMux()
	auth.Mount(mux)
	idchi.New(adaptertest.Published(client)).Mount(mux)
	mux.Handle("GET /suite/open", auth.LoadUser()(http.HandlerFunc(seen)))
	mux.Handle("GET /suite/user", auth.RequireUser()(http.HandlerFunc(seen)))
	mux.Handle("POST /suite/user", auth.RequireUser()(http.HandlerFunc(seen)))
	mux.Handle("GET /suite/admin", auth.RequireRole("admin")(http.HandlerFunc(seen)))
	mux.Handle("GET /suite/behind", auth.RequireUser()(auth.RequireRole("admin")(http.HandlerFunc(seen))))
	mux.Handle("GET /suite/editors", auth.RequireRole("admin", "editor")(http.HandlerFunc(seen)))
	mux.Handle("GET /suite/billing", auth.RequireAllRoles("admin", "billing")(http.HandlerFunc(seen)))
	mux.Handle("GET /suite/of/{tenant}", auth.RequireTenant("tenant")(http.HandlerFunc(seen)))
	mux.Handle("GET /suite/builtin", auth.Guard(client.RequireBuiltInRole("billing"))(http.HandlerFunc(seen)))
	mux.Handle("GET /suite/own", auth.Guard(client.Require(adaptertest.IsAlice))(http.HandlerFunc(seen)))
	for path, guard := range adaptertest.Guards(client) {
		mux.Handle("GET /suite"+path, auth.Guard(guard)(http.HandlerFunc(seen)))
		mux.Handle("POST /suite"+path, auth.Guard(guard)(http.HandlerFunc(seen)))
	}
	mux.Handle("GET /suite/public", auth.LoadUser()(http.HandlerFunc(public)))
	mux.Handle("GET /suite/clash", clash(auth.RequireUser()(http.HandlerFunc(seen))))
	inspect := auth.Guard(adaptertest.Inspect)(http.HandlerFunc(seen))
	mux.Handle("GET /suite/inspect", inspect) // HEAD too
	mux.Handle("POST /suite/inspect", inspect)
	mux.Handle("GET /suite/rewritten", rewrite(auth.RequireUser()(inspect)))
	mux.Handle("POST /suite/rewritten", rewrite(auth.RequireUser()(inspect)))
	mux.Handle("GET /suite/stream", auth.RequireUser()(http.HandlerFunc(stream)))
	mux.Handle("GET /suite/poll", auth.RequireRole("admin")(http.HandlerFunc(poll)))
	mux.Handle("GET /suite/socket", auth.Guard(client.Require(adaptertest.IsAlice))(http.HandlerFunc(socket)))
	return http.Serve(listener, mux)
}

func seen(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte(adaptertest.Seen(r.Context(), idchi.User(r))))
}

func public(w http.ResponseWriter, r *http.Request) {
	for name, value := range adaptertest.Public {
		w.Header().Set(name, value)
	}
	seen(w, r)
}

func clash(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range adaptertest.Clash {
			w.Header().Set(name, value)
		}
		next.ServeHTTP(w, r)
	})
}

func rewrite(next http.Handler) http.Handler { return http.StripPrefix("/suite", next) }

func stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	adaptertest.Stream(r.Context(), idchi.User(r), w, http.NewResponseController(w).Flush)
}

func poll(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte(adaptertest.Poll(r.Context(), idchi.User(r))))
}

func socket(w http.ResponseWriter, r *http.Request) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		adaptertest.Socket(r.Context(), idchi.User(r), r.Header.Get("Sec-WebSocket-Key"), conn)
	}
}

func TestBehaviour(t *testing.T) {
	t.Run("chi", func(t *testing.T) { adaptertest.Run(t, onChi) })
	t.Run("net/http", func(t *testing.T) { adaptertest.Run(t, onServeMux) })
}

func TestIsolation(t *testing.T) { adaptertest.RunIsolation(t, onChi) }

func TestMountOfAnAPI(t *testing.T) {
	client, err := idserver.New(idtest.NewProvider(t).Config(""))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	defer func() {
		if fault, _ := recover().(error); fault == nil || !strings.Contains(fault.Error(), "BASE_URL") {
			t.Errorf("Mount panics with %v, want BASE_URL in it", fault)
		}
	}()
	idchi.New(client).Mount(chi.NewRouter())
}

// A ServeMux prefers the more specific pattern, but one with a host goes before all: docs/nethttp.md tells of both.
func TestServeMuxPrecedence(t *testing.T) {
	client, err := idserver.New(idtest.NewProvider(t).Config("http://127.0.0.1:8080"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for pattern, hidden := range map[string]bool{
		"/":                    false,
		"GET /{page...}":       false,
		"GET /{page}/login":    false,
		"127.0.0.1:8080/other": false,
		"127.0.0.1/":           true, // a pattern's host has no port
	} {
		t.Run(pattern, func(t *testing.T) {
			mux := http.NewServeMux()
			idchi.New(client).Mount(mux)
			mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusTeapot) })
			answer := httptest.NewRecorder()
			mux.ServeHTTP(answer, httptest.NewRequest("GET", "http://127.0.0.1:8080/auth/login", nil))
			if got := answer.Code == http.StatusTeapot; got != hidden {
				t.Errorf("GET /auth/login is answered %d", answer.Code)
			}
		})
	}
}
