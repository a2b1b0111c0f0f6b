package bench

import (
	"bufio"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	ginjwt "github.com/appleboy/gin-jwt/v2"
	jwtmiddleware "github.com/auth0/go-jwt-middleware/v2"
	"github.com/auth0/go-jwt-middleware/v2/validator"
	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/jwtauth/v5"
	fiberjwt "github.com/gofiber/contrib/jwt"
	"github.com/gofiber/fiber/v2"
	fiber3 "github.com/gofiber/fiber/v3"
	jwt4 "github.com/golang-jwt/jwt/v4"
	"github.com/golang-jwt/jwt/v5"
	echojwt "github.com/labstack/echo-jwt/v4"
	"github.com/labstack/echo/v4"
	echo5 "github.com/labstack/echo/v5"
	jwxjwt "github.com/lestrrat-go/jwx/v2/jwt"
	"github.com/valyala/fasthttp"

	idchi "github.com/signward/idserver-go/chi"
	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
	idecho "github.com/signward/idserver-go/echo"
	idecho5 "github.com/signward/idserver-go/echov5"
	idfiber "github.com/signward/idserver-go/fiber"
	idfiber3 "github.com/signward/idserver-go/fiberv3"
	idgin "github.com/signward/idserver-go/gin"
)

// asker sends one request of a header line to a path of an application, without a network, and returns the status.
type asker func(path, header, value string) (ask func() int)

// The paths of every application beside the peer's: without a guard, with ours.
const (
	pathBare = "/bare"
	pathOurs = "/ours"
	pathRole = "/role" // in the place of the guard
	pathNext = "/next" // behind the guard, middleware that does nothing
	pathBoth = "/both" // behind the guard, a role
)

var (
	ownPaths     = []string{pathOurs, pathRole, pathNext, pathBoth}
	errWrongUser = errors.New("the guard let somebody in and does not say whom")
)

// frameworkRow is a framework, the peers that there are in it, and an application with routes of all.
type frameworkRow struct {
	name  string
	peers []string
	make  func(tb testing.TB, client *idserver.Client) asker
}

var frameworks = []frameworkRow{
	{"gin", []string{"gin-jwt"}, func(tb testing.TB, client *idserver.Client) asker {
		gin.SetMode(gin.ReleaseMode)
		auth := idgin.New(client)
		peer, err := ginjwt.New(&ginjwt.GinJWTMiddleware{
			Realm: "bench", IdentityKey: "sub",
			KeyFunc: func(token *jwt4.Token) (any, error) { // it is of an older golang-jwt, which keyfunc does not serve
				if token.Header["kid"] != "key-RS256" {
					return nil, errors.New("another key")
				}
				return provider.public["RS256"], nil
			},
			ParseOptions: []jwt4.ParserOption{jwt4.WithValidMethods([]string{"RS256"})},
			Authorizator: func(_ any, c *gin.Context) bool { // nothing else looks at these
				all := jwt4.MapClaims(ginjwt.ExtractClaims(c))
				return all.VerifyIssuer(provider.url, true) && all.VerifyAudience(audience, true)
			},
		})
		fatal(tb, err)
		r := gin.New()
		behind := func(found func(*gin.Context) bool) gin.HandlerFunc {
			return func(c *gin.Context) {
				if !found(c) {
					panic(errWrongUser)
				}
				c.String(http.StatusOK, "ok")
			}
		}
		ours := behind(func(c *gin.Context) bool { return idgin.User(c).HasRole("user") })
		r.GET(pathBare, behind(func(*gin.Context) bool { return true }))
		r.GET(pathOurs, auth.RequireUser(), ours)
		r.GET(pathRole, auth.RequireRole("admin"), ours)
		r.GET(pathNext, auth.RequireUser(), func(c *gin.Context) { c.Next() }, ours)
		r.GET(pathBoth, auth.RequireUser(), auth.RequireRole("admin"), ours)
		r.GET("/gin-jwt", peer.MiddlewareFunc(), behind(func(c *gin.Context) bool {
			roles, _ := ginjwt.ExtractClaims(c)["roles"].([]any)
			return slices.Contains(roles, any("user"))
		}))
		return overHTTP(r)
	}},
	{"echo", []string{"echo-jwt"}, func(tb testing.TB, client *idserver.Client) asker {
		auth := idecho.New(client)
		peer := echojwt.WithConfig(echojwt.Config{KeyFunc: keyOf(tb), NewClaimsFunc: func(echo.Context) jwt.Claims { return new(checkedClaims) }})
		e := echo.New()
		behind := func(found func(echo.Context) bool) echo.HandlerFunc {
			return func(c echo.Context) error {
				if !found(c) {
					return errWrongUser
				}
				return c.String(http.StatusOK, "ok")
			}
		}
		ours := behind(func(c echo.Context) bool { return idecho.User(c).HasRole("user") })
		e.GET(pathBare, behind(func(echo.Context) bool { return true }))
		e.GET(pathOurs, ours, auth.RequireUser())
		e.GET(pathRole, ours, auth.RequireRole("admin"))
		e.GET(pathNext, ours, auth.RequireUser(), func(next echo.HandlerFunc) echo.HandlerFunc { return func(c echo.Context) error { return next(c) } })
		e.GET(pathBoth, ours, auth.RequireUser(), auth.RequireRole("admin"))
		e.GET("/echo-jwt", behind(func(c echo.Context) bool {
			token, _ := c.Get("user").(*jwt.Token)
			return token != nil && slices.Contains(token.Claims.(*checkedClaims).Roles, "user")
		}), peer)
		return overHTTP(e)
	}},
	{"echov5", nil, func(tb testing.TB, client *idserver.Client) asker {
		auth := idecho5.New(client)
		e := echo5.New()
		behind := func(found func(*echo5.Context) bool) echo5.HandlerFunc {
			return func(c *echo5.Context) error {
				if !found(c) {
					return errWrongUser
				}
				return c.String(http.StatusOK, "ok")
			}
		}
		ours := behind(func(c *echo5.Context) bool { return idecho5.User(c).HasRole("user") })
		e.GET(pathBare, behind(func(*echo5.Context) bool { return true }))
		e.GET(pathOurs, ours, auth.RequireUser())
		e.GET(pathRole, ours, auth.RequireRole("admin"))
		e.GET(pathNext, ours, auth.RequireUser(), func(next echo5.HandlerFunc) echo5.HandlerFunc { return func(c *echo5.Context) error { return next(c) } })
		e.GET(pathBoth, ours, auth.RequireUser(), auth.RequireRole("admin"))
		return overHTTP(e)
	}},
	{"fiber", []string{"contrib-jwt"}, func(tb testing.TB, client *idserver.Client) asker {
		auth := idfiber.New(client)
		peer := fiberjwt.New(fiberjwt.Config{KeyFunc: keyOf(tb), Claims: &checkedClaims{}})
		app := fiber.New(fiber.Config{ReadBufferSize: 16 << 10})
		behind := func(found func(*fiber.Ctx) bool) fiber.Handler {
			return func(c *fiber.Ctx) error {
				if !found(c) {
					return errWrongUser
				}
				return c.SendString("ok")
			}
		}
		ours := behind(func(c *fiber.Ctx) bool { return idfiber.User(c).HasRole("user") })
		app.Get(pathBare, behind(func(*fiber.Ctx) bool { return true }))
		app.Get(pathOurs, auth.RequireUser(), ours)
		app.Get(pathRole, auth.RequireRole("admin"), ours)
		app.Get(pathNext, auth.RequireUser(), func(c *fiber.Ctx) error { return c.Next() }, ours)
		app.Get(pathBoth, auth.RequireUser(), auth.RequireRole("admin"), ours)
		app.Get("/contrib-jwt", peer, behind(func(c *fiber.Ctx) bool {
			token, _ := c.Locals("user").(*jwt.Token)
			return token != nil && slices.Contains(token.Claims.(*checkedClaims).Roles, "user")
		}))
		return overFasthttp(app.Handler())
	}},
	{"fiberv3", nil, func(tb testing.TB, client *idserver.Client) asker {
		auth := idfiber3.New(client)
		app := fiber3.New(fiber3.Config{ReadBufferSize: 16 << 10})
		behind := func(found func(fiber3.Ctx) bool) fiber3.Handler {
			return func(c fiber3.Ctx) error {
				if !found(c) {
					return errWrongUser
				}
				return c.SendString("ok")
			}
		}
		ours := behind(func(c fiber3.Ctx) bool { return idfiber3.User(c).HasRole("user") })
		app.Get(pathBare, behind(func(fiber3.Ctx) bool { return true }))
		app.Get(pathOurs, auth.RequireUser(), ours)
		app.Get(pathRole, auth.RequireRole("admin"), ours)
		app.Get(pathNext, auth.RequireUser(), func(c fiber3.Ctx) error { return c.Next() }, ours)
		app.Get(pathBoth, auth.RequireUser(), auth.RequireRole("admin"), ours)
		return overFasthttp(app.Handler())
	}},
	{"chi", []string{"jwtauth", "auth0"}, func(tb testing.TB, client *idserver.Client) asker {
		auth := idchi.New(client)
		ja := jwtauth.New("RS256", nil, provider.public["RS256"], jwxjwt.WithIssuer(provider.url), jwxjwt.WithAudience(audience), jwxjwt.WithRequiredClaim("exp"))
		r := chi.NewRouter()
		behind := func(found func(*http.Request) bool) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				if !found(r) {
					panic(errWrongUser)
				}
				w.Header().Set("Content-Type", "text/plain; charset=utf-8")
				_, _ = w.Write([]byte("ok"))
			}
		}
		ours := behind(func(r *http.Request) bool { return idchi.User(r).HasRole("user") })
		r.Get(pathBare, behind(func(*http.Request) bool { return true }))
		r.With(auth.RequireUser()).Get(pathOurs, ours)
		r.With(auth.RequireRole("admin")).Get(pathRole, ours)
		r.With(auth.RequireUser(), func(next http.Handler) http.Handler { return http.HandlerFunc(next.ServeHTTP) }).Get(pathNext, ours)
		r.With(auth.RequireUser(), auth.RequireRole("admin")).Get(pathBoth, ours)
		r.With(jwtauth.Verifier(ja), jwtauth.Authenticator(ja)).Get("/jwtauth", behind(func(r *http.Request) bool {
			token, _ := r.Context().Value(jwtauth.TokenCtxKey).(jwxjwt.Token) // FromContext would make a map of the claims once more
			if token == nil {
				return false
			}
			all, _ := token.Get("roles")
			roles, _ := all.([]any)
			return slices.Contains(roles, any("user"))
		}))
		r.With(jwtmiddleware.New(auth0(tb, "RS256").ValidateToken).CheckJWT).Get("/auth0", behind(func(r *http.Request) bool {
			all, _ := r.Context().Value(jwtmiddleware.ContextKey{}).(*validator.ValidatedClaims)
			return all != nil && slices.Contains(all.CustomClaims.(*customClaims).Roles, "user")
		}))
		return overHTTP(r)
	}},
}

func keyOf(tb testing.TB) jwt.Keyfunc {
	tb.Helper()
	keys, err := keyfunc.NewDefaultCtx(tb.Context(), []string{provider.url + "/jwks"})
	fatal(tb, err)
	return keys.Keyfunc
}

// discard is an answer that nobody reads.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }

func overHTTP(h http.Handler) asker {
	return func(path, header, value string) func() int {
		request, answer := httptest.NewRequest("GET", path, nil), &discard{}
		request.Header = http.Header{"Accept": {"application/json"}, header: {value}}
		fresh := *request
		return func() int {
			*request = fresh // without what a peer has put into its context
			answer.header, answer.status = http.Header{}, http.StatusOK
			h.ServeHTTP(answer, request)
			return answer.status
		}
	}
}

func overFasthttp(h fasthttp.RequestHandler) asker {
	return func(path, header, value string) func() int {
		var ctx fasthttp.RequestCtx
		text := "GET " + path + " HTTP/1.1\r\nHost: app\r\nAccept: application/json\r\n" + header + ": " + value + "\r\n\r\n"
		source := strings.NewReader(text)
		connection := bufio.NewReaderSize(source, 16<<10)
		return func() int {
			ctx.Response.Reset()
			ctx.ResetUserValues()
			source.Reset(text)
			connection.Reset(source)
			if ctx.Request.Read(connection) != nil {
				return 0
			}
			h(&ctx)
			return ctx.Response.StatusCode()
		}
	}
}

func (a asker) bench(b *testing.B, path, header, value string) {
	a(path, header, strings.Clone(value))() // keys, token and session are known from here on
	ask := a(path, header, value)
	b.ReportAllocs()
	defer processor(b)()
	for b.Loop() {
		if status := ask(); status != http.StatusOK {
			b.Fatalf("%s: %d", path, status)
		}
	}
}

// BenchmarkFramework asks routes that answer "ok", each by the same token again and again. The handler behind a guard looks at
// the roles, where the guard has put them.
func BenchmarkFramework(b *testing.B) {
	bearer := "Bearer " + tokens(b, "RS256", 1)[0]
	for _, f := range frameworks {
		ask := f.make(b, ours(b, 0))
		for _, row := range slices.Concat([]string{pathBare}, ownPaths, f.peers) {
			path := "/" + strings.TrimPrefix(row, "/")
			b.Run("in="+f.name+"/impl="+path[1:], func(b *testing.B) { ask.bench(b, path, "Authorization", bearer) })
		}
	}
}

// BenchmarkSession asks the same routes by a session's cookie.
func BenchmarkSession(b *testing.B) {
	p := idtest.NewProvider(b)
	client, err := idserver.New(p.Config("http://127.0.0.1:8080"))
	fatal(b, err)
	b.Cleanup(client.Close)
	cookie := signedIn(b, client, p)
	for _, f := range frameworks {
		ask := f.make(b, client)
		for _, path := range append([]string{pathBare}, ownPaths...) {
			b.Run("in="+f.name+"/impl="+path[1:], func(b *testing.B) { ask.bench(b, path, "Cookie", cookie) })
		}
	}
}

// signedIn returns the Cookie line of alice's browser.
func signedIn(tb testing.TB, client *idserver.Client, p *idtest.Provider) string {
	tb.Helper()
	routes, err := client.Routes("/auth")
	if err != nil {
		tb.Fatal(err)
	}
	begun := routes[0].Serve(tb.Context(), idserver.Request{Method: "GET", Path: "/auth/login"})
	var location string
	for _, f := range begun.Set {
		if f.Name == "Location" {
			location = f.Value
		}
	}
	callback, err := p.Authorize(tb.Context(), location, "alice")
	fatal(tb, err)
	back := routes[1].Serve(tb.Context(), idserver.Request{Method: "GET", Path: "/auth/callback", RawQuery: callback.RawQuery, Header: http.Header{"Cookie": cookies(begun)}})
	return strings.Join(cookies(back), "; ")
}

func cookies(a idserver.Answer) (lines []string) {
	for _, f := range a.Add {
		if f.Name == "Set-Cookie" {
			pair, _, _ := strings.Cut(f.Value, ";")
			lines = append(lines, pair)
		}
	}
	return lines
}

// What is measured does something: each lets a good token in, and a session where it is ours, and nothing else.
func TestFrameworks(t *testing.T) {
	good := tokens(t, "RS256", 2)[1]
	withoutRole := mint("RS256", 1, time.Now(), func(all jwt.MapClaims) { all["roles"] = []string{"user"} })
	p := idtest.NewProvider(t)
	client, err := idserver.New(p.Config("http://127.0.0.1:8080"))
	fatal(t, err)
	t.Cleanup(client.Close)
	cookie := signedIn(t, client, p)
	tampered := cookie[:strings.IndexByte(cookie, '=')+20] // of the first cookie, the session's
	for _, f := range frameworks {
		status := func(ask asker, path, header, value string) int { return ask(path, header, strings.Clone(value))() }
		byToken, bySession := f.make(t, ours(t, 0)), f.make(t, client)
		if got := status(byToken, pathBare, "X-Nothing", "x"); got != http.StatusOK {
			t.Errorf("%s without a guard: %d", f.name, got)
		}
		for _, row := range slices.Concat(ownPaths, f.peers) {
			path := "/" + strings.TrimPrefix(row, "/")
			for range 2 { // the second time from memory, where there is one
				if got := status(byToken, path, "Authorization", "Bearer "+good); got != http.StatusOK {
					t.Errorf("%s in %s, a good token: %d", path, f.name, got)
				}
			}
			if got, refused := status(byToken, path, "Authorization", "Bearer "+withoutRole), path == pathRole || path == pathBoth; (got == http.StatusForbidden) != refused {
				t.Errorf("%s in %s, without the role: %d", path, f.name, got)
			}
			for what, token := range bad(t, "RS256") {
				if got := status(byToken, path, "Authorization", "Bearer "+token); got < 400 {
					t.Errorf("%s in %s, a token %s: %d", path, f.name, what, got)
				}
			}
			for header, value := range map[string]string{"X-Nothing": "x", "Authorization": "x"} {
				if got := status(byToken, path, header, value); got < 400 { // auth0's answers 500 to a header that it cannot read
					t.Errorf("%s in %s, nobody: %d", path, f.name, got)
				}
			}
			if !slices.Contains(ownPaths, path) {
				continue
			}
			for range 2 {
				if got := status(bySession, path, "Cookie", cookie); got != http.StatusOK {
					t.Errorf("%s in %s, a session: %d", path, f.name, got)
				}
			}
			if got := status(bySession, path, "Cookie", tampered+"AAAAAAAA"+cookie[len(tampered)+8:]); got < 400 {
				t.Errorf("%s in %s, a tampered session: %d", path, f.name, got)
			}
		}
	}
}
