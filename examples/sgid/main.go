// Command sgid is a web application whose users sign in with sgID, in two styles: pages that the server renders, and a page
// that fetches all it shows. Copy this folder to start your own. README.md lists its settings.
package main

import (
	"cmp"
	"context"
	"fmt"
	"html/template"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	idchi "github.com/signward/idserver-go/chi"
	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/sgid"
	"github.com/signward/idserver-go/core/sgid/sgidtest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C exits at once
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	listener, err := net.Listen("tcp", cmp.Or(os.Getenv("ADDR"), "127.0.0.1:8080"))
	if err != nil {
		return fmt.Errorf("ADDR: want a free address, such as 127.0.0.1:8081: %w", err)
	}
	cfg, provider, err := sgidtest.ConfigFromEnv(listener.Addr()) // your own program: cfg := sgid.ConfigFromEnv()
	if err != nil {
		return err
	}
	if provider != nil { // sgID gives each application the scopes of its registration
		cfg.Scopes = []string{
			sgid.ScopeOpenID, sgid.ScopeName, sgid.ScopeDateOfBirth, sgid.ScopeEmail, sgid.ScopeMobileNumber, sgid.ScopeRegisteredAddress,
			sgid.ScopeNationality, sgid.ScopeVehicles, sgid.ScopeMaritalStatus, sgid.ScopePublicOfficerDetails,
		}
	}
	a := &application{}
	cfg.Web.TrustedOrigins = strings.Fields(os.Getenv("FRONTEND_ORIGINS"))
	cfg.Web.AdmitUser, cfg.Web.UserInfoResponse = a.onSignIn, a.userInfo
	if a.sgID, err = sgid.New(cfg); err != nil {
		return err
	}
	defer a.sgID.Close()

	fmt.Println("open", cfg.Web.BaseURL)
	if provider != nil {
		fmt.Println("provider", provider.URL())
	}
	server := &http.Server{Handler: a.routes(), ReadTimeout: 10 * time.Second}
	stopped := make(chan error, 1)
	context.AfterFunc(ctx, func() { stopped <- server.Shutdown(context.Background()) })
	if err := server.Serve(listener); err != http.ErrServerClosed {
		return err
	}
	return <-stopped // once the open requests are answered
}

type application struct{ sgID *sgid.Client }

func (a *application) routes() http.Handler {
	auth := idchi.New(a.sgID.Client())
	r := chi.NewRouter() // middleware.Logger would log whole URIs, and codes do not belong in a log
	r.Use(middleware.Recoverer)
	auth.Mount(r)
	r.With(auth.LoadUser()).Get("/", func(w http.ResponseWriter, r *http.Request) { writePage(w, "home", view{User: idchi.User(r)}) })
	r.With(auth.RequireUser()).Get("/profile", a.profile)
	r.Get("/spa", func(w http.ResponseWriter, r *http.Request) { writePage(w, "spa", view{}) })
	return r
}

var iceCreams = []string{"Vanilla", "Chocolate", "Durian"}

// onSignIn keeps in the session what was chosen before signing in. It came by a link, which anyone can make.
func (a *application) onSignIn(ctx context.Context, user *idserver.User) error {
	chosen := idserver.AppDataFrom(ctx)
	if !slices.Contains(iceCreams, chosen) {
		chosen = iceCreams[0]
	}
	return user.Set("ice_cream", chosen)
}

func iceCream(user *idserver.User) string {
	var claims struct {
		IceCream string `json:"ice_cream"`
	}
	if err := user.Claims(&claims); err != nil {
		return ""
	}
	return claims.IceCream
}

// userInfo is what GET /auth/userinfo answers to the page that fetches it.
func (a *application) userInfo(ctx context.Context, user *idserver.User) (any, error) {
	info, err := a.sgID.UserInfoFrom(ctx)
	if err != nil {
		return nil, err
	}
	return map[string]any{"sub": info.Sub, "data": info.Data, "ice_cream": iceCream(user)}, nil
}

// profile asks sgID each time: this application stores nothing about the person.
func (a *application) profile(w http.ResponseWriter, r *http.Request) {
	info, err := a.sgID.UserInfoFrom(r.Context())
	if err != nil {
		log.Println(err)
		w.WriteHeader(http.StatusBadGateway)
		writePage(w, "failed", view{})
		return
	}
	writePage(w, "profile", view{User: idchi.User(r), Info: info})
}

type view struct {
	User *idserver.User
	Info *sgid.UserInfo
}

func (v view) IceCream() string    { return iceCream(v.User) }
func (v view) IceCreams() []string { return iceCreams }

func (v view) Data() map[string]string { return v.Info.Data }

func (v view) Vehicles() (numbers []string) {
	vehicles, err := v.Info.Data.Vehicles()
	if err != nil {
		return []string{"unreadable"}
	}
	for _, vehicle := range vehicles {
		numbers = append(numbers, vehicle.Number)
	}
	return numbers
}

func writePage(w http.ResponseWriter, name string, data any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if err := pages.ExecuteTemplate(w, name, data); err != nil {
		log.Println(err)
	}
}

var pages = template.Must(template.New("").Parse(`{{define "top"}}<!doctype html><meta charset="utf-8"><title>sgID example</title>
<meta name="viewport" content="width=device-width"><style>:root{color-scheme:light dark}body{font:16px/1.6 system-ui;max-width:44rem;
margin:3rem auto;padding:0 1rem}nav a,td{margin-right:1rem;padding-right:1rem}td{vertical-align:top;white-space:pre-line;overflow-wrap:anywhere}td:first-child{white-space:nowrap;overflow-wrap:normal}</style>
<nav><a href="/">Home</a><a href="/profile">Profile</a><a href="/spa">Single page</a></nav>{{end}}
{{define "choice"}}<label>Ice cream <select name="app_data">{{range .IceCreams}}<option>{{.}}{{end}}</select></label>{{end}}
{{define "home"}}{{template "top"}}{{if .User}}<h1>Hello</h1><p>You are <b>{{.User.Subject}}</b> and like {{.IceCream}}.
<form method="post" action="/auth/logout"><button>Sign out</button></form>{{else}}<h1>Hello</h1><p>You are signed out.
<form action="/auth/login">{{template "choice" .}} <input type="hidden" name="return_to" value="/profile"><button>Sign in with sgID</button></form>{{end}}{{end}}
{{define "profile"}}{{template "top"}}<h1>{{or .Info.Data.Name "Your profile"}}</h1><p>You like {{.IceCream}}.{{with .Vehicles}} You drive{{range .}} <b>{{.}}</b>{{end}}.{{end}}
<table><tr><td>sub<td>{{.Info.Sub}}{{range $scope, $value := .Data}}<tr><td>{{$scope}}<td>{{$value}}{{end}}</table>{{end}}
{{define "failed"}}{{template "top"}}<h1>sgID did not answer</h1><p>Try again, or <a href="/auth/login?return_to=/profile">sign in</a> anew.{{end}}
{{define "spa"}}{{template "top"}}<h1 id="hello">…</h1><form id="in" hidden>{{template "choice" .}} <button>Sign in with sgID</button></form>
<button id="out" hidden>Sign out</button><table id="data"></table><script>
const at = id => document.getElementById(id), json = {headers: {Accept: 'application/json'}};
async function show() {
	const answer = await fetch('/auth/userinfo', json), user = answer.ok ? await answer.json() : null;
	at('hello').textContent = user ? user.sub + ' likes ' + user.ice_cream : answer.status === 401 ? 'You are signed out' : 'sgID did not answer';
	at('in').hidden = answer.status !== 401;
	at('out').hidden = answer.status === 401;
	at('data').replaceChildren(...Object.entries(user ? user.data : {}).sort().map(pair => {
		const row = document.createElement('tr');
		row.append(...pair.map(text => Object.assign(document.createElement('td'), {textContent: text})));
		return row;
	}));
}
at('in').onsubmit = async event => {
	event.preventDefault();
	const answer = await fetch('/auth/login?return_to=/spa&app_data=' + encodeURIComponent(at('in').app_data.value), json);
	if (answer.ok) location.assign((await answer.json()).url);
};
at('out').onclick = async () => { await fetch('/auth/logout', {method: 'POST', ...json}); show(); };
show();
</script>{{end}}`))
