package bench

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/MicahParks/keyfunc/v3"
	ginjwt "github.com/appleboy/gin-jwt/v2"
	jwtmiddleware "github.com/auth0/go-jwt-middleware/v2"
	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/jwtauth/v5"
	fiberjwt "github.com/gofiber/contrib/jwt"
	"github.com/gofiber/fiber/v2"
	jwt4 "github.com/golang-jwt/jwt/v4"
	"github.com/golang-jwt/jwt/v5"
	echojwt "github.com/labstack/echo-jwt/v4"
	"github.com/labstack/echo/v4"
	"github.com/valyala/fasthttp"

	idchi "github.com/signward/idserver-go/chi"
	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
	idecho "github.com/signward/idserver-go/echo"
	idfiber "github.com/signward/idserver-go/fiber"
	idgin "github.com/signward/idserver-go/gin"
)

// asker sends one request of a header line to a path of an application, without a network, and returns the status.
type asker func(path, header, value string) (ask func() int)

// The paths of every application: without a guard, with ours, with ours and a role, with the peer's.
const (
	pathBare = "/bare"
	pathOurs = "/ours"
	pathRole = "/role"
)

var frameworks = []struct {
	name  string
	peers []string
	make  func(tb testing.TB, client *idserver.Client) asker
}{
	{"gin", []string{"gin-jwt"}, func(tb testing.TB, client *idserver.Client) asker {
		gin.SetMode(gin.ReleaseMode)
		auth := idgin.New(client)
		peer, err := ginjwt.New(&ginjwt.GinJWTMiddleware{Realm: "bench", SigningAlgorithm: "RS256", KeyFunc: func(*jwt4.Token) (any, error) {
			return provider.public["RS256"], nil // it is of an older golang-jwt, which keyfunc does not serve
		}})
		fatal(tb, err)
		r := gin.New()
		ok := func(c *gin.Context) { c.String(http.StatusOK, "ok") }
		r.GET(pathBare, ok)
		r.GET(pathOurs, auth.RequireUser(), ok)
		r.GET(pathRole, auth.RequireRole("admin"), ok)
		r.GET("/gin-jwt", peer.MiddlewareFunc(), ok)
		return overHTTP(r)
	}},
	{"echo", []string{"echo-jwt"}, func(tb testing.TB, client *idserver.Client) asker {
		auth := idecho.New(client)
		peer := echojwt.WithConfig(echojwt.Config{KeyFunc: keyOf(tb), NewClaimsFunc: func(echo.Context) jwt.Claims { return new(claims) }})
		e := echo.New()
		ok := func(c echo.Context) error { return c.String(http.StatusOK, "ok") }
		e.GET(pathBare, ok)
		e.GET(pathOurs, ok, auth.RequireUser())
		e.GET(pathRole, ok, auth.RequireRole("admin"))
		e.GET("/echo-jwt", ok, peer)
		return overHTTP(e)
	}},
	{"fiber", []string{"contrib-jwt"}, func(tb testing.TB, client *idserver.Client) asker {
		auth := idfiber.New(client)
		peer := fiberjwt.New(fiberjwt.Config{KeyFunc: keyOf(tb), Claims: &claims{}})
		app := fiber.New(fiber.Config{ReadBufferSize: 16 << 10})
		ok := func(c *fiber.Ctx) error { return c.SendString("ok") }
		app.Get(pathBare, ok)
		app.Get(pathOurs, auth.RequireUser(), ok)
		app.Get(pathRole, auth.RequireRole("admin"), ok)
		app.Get("/contrib-jwt", peer, ok)
		return overFasthttp(app.Handler())
	}},
	{"chi", []string{"jwtauth", "auth0"}, func(tb testing.TB, client *idserver.Client) asker {
		auth := idchi.New(client)
		ja := jwtauth.New("RS256", nil, provider.public["RS256"])
		r := chi.NewRouter()
		ok := func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			_, _ = w.Write([]byte("ok"))
		}
		r.Get(pathBare, ok)
		r.With(auth.RequireUser()).Get(pathOurs, ok)
		r.With(auth.RequireRole("admin")).Get(pathRole, ok)
		r.With(jwtauth.Verifier(ja), jwtauth.Authenticator(ja)).Get("/jwtauth", ok)
		r.With(jwtmiddleware.New(auth0(tb, "RS256").ValidateToken).CheckJWT).Get("/auth0", ok)
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
		return func() int {
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
	ask := a(path, header, value)
	b.ReportAllocs()
	for b.Loop() {
		if status := ask(); status != http.StatusOK {
			b.Fatalf("%s: %d", path, status)
		}
	}
}

// BenchmarkFramework asks routes that answer "ok", each by the same token again and again.
func BenchmarkFramework(b *testing.B) {
	bearer := "Bearer " + tokens(b, "RS256", 1)[0]
	for _, f := range frameworks {
		ask := f.make(b, ours(b, 0))
		for _, row := range append([]string{pathBare, pathOurs, pathRole}, f.peers...) {
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
		for _, path := range []string{pathBare, pathOurs, pathRole} {
			b.Run("in="+f.name+"/impl="+path[1:], func(b *testing.B) { ask.bench(b, path, "Cookie", cookie) })
		}
	}
}

// signedIn returns the Cookie line of alice's browser.
func signedIn(tb testing.TB, client *idserver.Client, p *idtest.Provider) string {
	tb.Helper()
	routes := client.Routes()
	begun := routes[0].Serve(tb.Context(), idserver.Request{Method: "GET", Path: "/auth/login"})
	var location string
	for _, f := range begun.Set {
		if f.Name == "Location" {
			location = f.Value
		}
	}
	callback, err := p.Authorize(tb.Context(), location, "alice")
	fatal(tb, err)
	back := routes[1].Serve(tb.Context(), idserver.Request{Method: "GET", Path: "/auth/callback", RawQuery: callback.RawQuery, Cookie: cookies(begun)})
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

// What is measured does something: each lets the good token in, and keeps a tampered one out.
func TestFrameworks(t *testing.T) {
	good := "Bearer " + tokens(t, "RS256", 1)[0]
	for _, f := range frameworks {
		ask := f.make(t, ours(t, 0))
		if status := ask(pathBare, "Accept", "*/*")(); status != http.StatusOK {
			t.Errorf("%s without a guard: %d", f.name, status)
		}
		for _, row := range append([]string{pathOurs, pathRole}, f.peers...) {
			path := "/" + strings.TrimPrefix(row, "/")
			if status := ask(path, "Authorization", good)(); status != http.StatusOK {
				t.Errorf("%s in %s, a good token: %d", path, f.name, status)
			}
			for name, value := range map[string]string{"a tampered one": good[:len(good)-8] + "AAAAAAAA", "none": "x"} {
				if status := ask(path, "Authorization", value)(); status < 400 { // auth0's answers 500 to a header that it cannot read
					t.Errorf("%s in %s, %s: %d", path, f.name, name, status)
				}
			}
		}
	}
}
