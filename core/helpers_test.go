package idserver_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// bubble runs a test in a bubble of testing/synctest, beside others: what waits there for time to pass, waits no time at
// all, and no machine is too slow for it. Its world must be made in it.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, test)
}

// inBubble returns a row of a table as [bubble] runs it.
func inBubble(test func(t *testing.T)) func(t *testing.T) {
	return func(t *testing.T) {
		t.Helper()
		bubble(t, test)
	}
}

// warm returns a token of alice's that was verified before.
func (w *world) warm(t *testing.T) string {
	t.Helper()
	token := w.provider.MintAccessToken("alice")
	if _, err := w.ValidateAccessToken(t.Context(), token, idserver.AccessTokenCheck{}); err != nil {
		t.Fatal(err)
	}
	return token
}

// world is an application, its provider and their common clock.
type world struct {
	*idserver.Client
	provider *idtest.Provider
	clock    *clock
	log      *logBuffer
	cfg      idserver.Config
}

// client makes one more client of the same application: another process.
func (w *world) client(t *testing.T, edit ...func(*idserver.Config)) *idserver.Client {
	t.Helper()
	cfg := w.cfg
	for _, e := range edit {
		e(&cfg)
	}
	client, err := idserver.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func (w *world) browser(t *testing.T) *browser {
	return &browser{t, w.Client, map[string]string{}}
}

// authorize is the person at the provider; it returns the callback's address.
func (w *world) authorize(t *testing.T, address, login string) string {
	t.Helper()
	callback, err := w.provider.Authorize(t.Context(), address, login)
	if err != nil {
		t.Fatal(err)
	}
	return callback.String()
}

// signedIn returns a browser in which login is signed in.
func (w *world) signedIn(t *testing.T, login string) *browser {
	t.Helper()
	b := w.browser(t)
	a := b.route("GET", w.authorize(t, b.begin("/auth/login"), login), navigates)
	if a.Status != http.StatusSeeOther || field(a, "Location") != "/" {
		t.Fatalf("callback: %d %s %s", a.Status, field(a, "Location"), a.Body)
	}
	return b
}

// clock stands, unless it runs.
type clock struct {
	mu   sync.Mutex
	t    time.Time
	runs time.Time // when it began to go on with the time of the bubble
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.runs.IsZero() {
		return c.t.Add(time.Since(c.runs))
	}
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

const (
	base      = "http://127.0.0.1:8080"
	secretOne = "the-first-session-secret-of-32-bytes-or-more"
	secretTwo = "the-second-session-secret-of-32-bytes-or-more"
)

// newWorld starts a provider and makes an application at base.
func newWorld(t *testing.T, edit ...func(*idserver.Config)) *world {
	t.Helper()
	w := &world{clock: &clock{t: time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)}, log: &logBuffer{}}
	w.provider = idtest.NewProvider(t, func(o *idtest.Options) { o.Now, o.InMemory = w.clock.Now, true })
	w.cfg = w.provider.Config(base)
	w.cfg.SessionSecret = secretOne
	w.cfg.Now = w.clock.Now
	w.cfg.Logger = textLog(w.log)
	w.Client = w.client(t, edit...)
	return w
}

func textLog(to io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(to, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// visit is one request with the session; it returns who was seen, and the access token.
func (b *browser) visit() (*idserver.User, string) {
	ctx, _ := b.pass(b.client.RequireUser(), "GET", "/")
	return idserver.UserFrom(ctx), idserver.AccessTokenFrom(ctx)
}

// browser keeps cookies by their names. It does what is asked on routes and guards as values, as an
// adapter would.
type browser struct {
	t       *testing.T
	client  *idserver.Client
	cookies map[string]string
}

func (b *browser) request(method, target string, edits []edit) idserver.Request {
	path, query, _ := strings.Cut(strings.TrimPrefix(target, base), "?")
	r := idserver.Request{Method: method, Path: path, RawQuery: query, Host: "127.0.0.1:8080", Header: http.Header{}}
	var line []string
	for name, value := range b.cookies {
		line = append(line, name+"="+value)
	}
	if len(line) > 0 {
		r.Header.(http.Header)["Cookie"] = []string{strings.Join(line, "; ")}
	}
	for _, e := range edits {
		e(&r)
	}
	return r
}

// route asks a sign-in route.
func (b *browser) route(method, target string, edits ...edit) idserver.Answer {
	b.t.Helper()
	r := b.request(method, target, edits)
	for _, route := range routesOf(b.t, b.client) {
		if "/auth"+route.Path == r.Path && (route.Method == method || method == http.MethodHead && route.Method == http.MethodGet) {
			return b.keep(route.Serve(b.t.Context(), r))
		}
	}
	b.t.Fatalf("no route %s %s", method, target)
	return idserver.Answer{}
}

// pass asks a guard.
func (b *browser) pass(guard idserver.Guard, method, target string, edits ...edit) (context.Context, idserver.Answer) {
	ctx, answer := guard(b.t.Context(), b.request(method, target, edits))
	return ctx, b.keep(answer)
}

// keep takes an answer's cookies over.
func (b *browser) keep(a idserver.Answer) idserver.Answer {
	b.t.Helper()
	for _, f := range a.Add {
		if f.Name != "Set-Cookie" {
			continue
		}
		c, err := http.ParseSetCookie(f.Value)
		if err != nil {
			b.t.Fatalf("Set-Cookie: %v", err)
		}
		if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode {
			b.t.Errorf("cookie %s is readable by scripts or sent across sites", c.Name)
		}
		if b.cookies[c.Name] = c.Value; c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
	}
	return a
}

// logins are the names of the login cookies.
func (b *browser) logins() (names []string) {
	for name := range b.cookies {
		if strings.Contains(name, "-login-") {
			names = append(names, name)
		}
	}
	return names
}

// begin goes to /login and returns the provider's address.
func (b *browser) begin(target string) string {
	b.t.Helper()
	a := b.route("GET", target, navigates)
	if a.Status != http.StatusSeeOther {
		b.t.Fatalf("login: %d %s", a.Status, a.Body)
	}
	return field(a, "Location")
}

// admits reports whether a browser's session is good, at a client that may be another process.
func (b *browser) admits(client *idserver.Client) bool {
	_, a := b.pass(client.RequireUser(), "GET", "/profile")
	return !a.Ends()
}

// routesOf returns a client's routes as a router at Config.RoutesPath registers them.
func routesOf(t *testing.T, client *idserver.Client) []idserver.Route {
	t.Helper()
	routes, err := client.Routes("")
	if err != nil {
		t.Fatal(err)
	}
	return routes
}

// routeNamed returns the GET route at path.
func routeNamed(t *testing.T, client *idserver.Client, path string) idserver.Route {
	t.Helper()
	routes := routesOf(t, client)
	i := slices.IndexFunc(routes, func(r idserver.Route) bool { return r.Method == http.MethodGet && r.Path == path })
	return routes[i]
}

type edit = func(*idserver.Request)

// navigates is what browsers send when a person follows a link.
func navigates(r *idserver.Request) {
	send(r, "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-Site", "same-origin")
	send(r, "Accept", "text/html,application/xhtml+xml")
}

func fetches(r *idserver.Request) {
	send(r, "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty", "Sec-Fetch-Site", "same-origin")
	send(r, "Accept", "application/json")
}

// send sets header fields of a request, each a name and a value.
func send(r *idserver.Request, namesAndValues ...string) {
	for i := 0; i < len(namesAndValues); i += 2 {
		r.Header.(http.Header).Set(namesAndValues[i], namesAndValues[i+1])
	}
}

func bearer(token string) edit {
	return func(r *idserver.Request) { r.Header.(http.Header)["Authorization"] = []string{"Bearer " + token} }
}

func origin(value string) edit { return func(r *idserver.Request) { send(r, "Origin", value) } }

// cookiesSet counts the Set-Cookie fields of an answer.
func cookiesSet(a idserver.Answer) (n int) {
	for _, f := range a.Add {
		if f.Name == "Set-Cookie" {
			n++
		}
	}
	return n
}

func second[A, B any](_ A, b B) B { return b }

func field(a idserver.Answer, name string) string {
	for _, fields := range [][]idserver.Field{a.Set, a.Add} {
		for _, f := range fields {
			if f.Name == name {
				return f.Value
			}
		}
	}
	return ""
}

// code reads the code of a refusal, from the page or the problem document.
func code(t *testing.T, a idserver.Answer) idserver.RefusalCode {
	t.Helper()
	if strings.HasPrefix(field(a, "Content-Type"), "text/html") {
		_, rest, _ := bytes.Cut(a.Body, []byte("Code: "))
		text, _, _ := bytes.Cut(rest, []byte("<"))
		return idserver.RefusalCode(text)
	}
	var problem struct {
		Code   idserver.RefusalCode
		Status int
	}
	if err := json.Unmarshal(a.Body, &problem); err != nil {
		t.Fatalf("not a problem document: %s", a.Body)
	}
	if problem.Status != a.Status {
		t.Errorf("status %d in an answer of status %d", problem.Status, a.Status)
	}
	return problem.Code
}

func query(t *testing.T, address string) url.Values {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}

// setCookies reads the cookies that an answer sets and does not delete.
func setCookies(t *testing.T, a idserver.Answer) (all []*http.Cookie) {
	t.Helper()
	for _, f := range a.Add {
		if f.Name != "Set-Cookie" {
			continue
		}
		c, err := http.ParseSetCookie(f.Value)
		if err != nil {
			t.Fatal(err)
		}
		if len(f.Value) > 4096 { // RFC 6265 section 6.1: what is larger, browsers may drop
			t.Errorf("cookie %s has %d bytes with its attributes", c.Name, len(f.Value))
		}
		if c.MaxAge >= 0 {
			all = append(all, c)
		}
	}
	return all
}

// The secrets of goodConfig, and one that is too short: none may be printed.
const (
	clientSecretText = "client-secret-that-nobody-may-print"
	shortSecret      = "short-secret"
)

func configSecrets() []string {
	return []string{clientSecretText, secretOne, secretTwo, shortSecret}
}

func goodConfig() idserver.Config {
	return idserver.Config{
		Authority:     "https://id.example",
		ClientID:      "example",
		ClientSecret:  clientSecretText,
		BaseURL:       "https://app.example",
		SessionSecret: secretOne,
		Session:       idserver.SessionConfig{OldSecrets: []string{secretTwo}},
		Logger:        slog.New(slog.DiscardHandler),
	}
}

// leaks returns the first of the secrets that text holds.
func leaks(text string, secrets ...string) string {
	for _, secret := range secrets {
		if secret != "" && strings.Contains(text, secret) {
			return secret
		}
	}
	return ""
}

// declared returns the exported names that the package declares at its top level.
func declared(t *testing.T, want func(name string, kind ast.ObjKind) bool) (names []string) {
	t.Helper()
	files, err := fs.Glob(os.DirFS("."), "*.go")
	if err != nil {
		t.Fatal(err)
	}
	note := func(id *ast.Ident, kind ast.ObjKind) {
		if id.IsExported() && want(id.Name, kind) {
			names = append(names, id.Name)
		}
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil {
					note(d.Name, ast.Fun)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch spec := spec.(type) {
					case *ast.TypeSpec:
						note(spec.Name, ast.Typ)
					case *ast.ValueSpec:
						for _, id := range spec.Names {
							note(id, map[token.Token]ast.ObjKind{token.CONST: ast.Con, token.VAR: ast.Var}[d.Tok])
						}
					}
				}
			}
		}
	}
	slices.Sort(names)
	return names
}

// publish replaces the provider's key set and has the client read it.
func publish(t *testing.T, w *world, keys ...any) {
	t.Helper()
	document, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	w.provider.SetJWKS(document)
	w.clock.advance(11 * time.Second)
	if err := w.Refetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.clock.advance(11 * time.Second)
}

// authorizedCode begins a sign-in by hand and returns it with the code that the provider gave.
func authorizedCode(t *testing.T, w *world, client *idserver.Client, login string) (*idserver.AuthorizationRequest, string) {
	t.Helper()
	r, err := client.AuthorizeURL(t.Context(), idserver.AuthorizeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	callback, err := w.provider.Authorize(t.Context(), r.URL, login)
	if err != nil {
		t.Fatal(err)
	}
	answer := callback.Query()
	if answer.Get("state") != r.State || answer.Get("iss") != w.provider.URL() || answer.Get("code") == "" {
		t.Fatalf("the provider answered %v", callback)
	}
	return r, answer.Get("code")
}

func signInByHand(t *testing.T, w *world, client *idserver.Client, login string) (*idserver.AuthorizationRequest, *idserver.Tokens) {
	t.Helper()
	r, code := authorizedCode(t, w, client, login)
	tokens, err := client.ExchangeCode(t.Context(), code, r)
	if err != nil {
		t.Fatal(err)
	}
	return r, tokens
}

// recorder keeps the requests that go to the token endpoint.
type recorder struct {
	http.RoundTripper
	mu       sync.Mutex
	requests []recorded
}

func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Method == http.MethodPost {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return nil, err
		}
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, err
		}
		r.mu.Lock()
		r.requests = append(r.requests, recorded{request.Header.Get("Authorization"), form})
		r.mu.Unlock()
		request = request.Clone(request.Context())
		request.Body = io.NopCloser(strings.NewReader(string(body)))
	}
	return r.RoundTripper.RoundTrip(request)
}

type recorded struct {
	authorization string
	form          url.Values
}

const aliceSubject = "6f0c2a3e-0000-4000-8000-00000000a11c"

func dropIDToken(p *idtest.Provider) {
	p.SetTokenResponse(func(r map[string]any) { delete(r, "id_token") })
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// silence is a network that never answers.
type silence struct{}

func (silence) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func copyOf(cookies map[string]string) map[string]string {
	all := map[string]string{}
	for name, value := range cookies {
		all[name] = value
	}
	return all
}

// newAccessToken is a good access token, in the hands of the same edits as an ID token.
func newAccessToken(w *world) *idToken {
	now := w.clock.Now()
	return &idToken{
		header: map[string]any{"alg": "RS256", "kid": w.provider.KeyID(), "typ": "at+jwt"},
		claims: map[string]any{
			"iss": w.provider.URL(), "sub": "alice", "aud": "idserver-api", "exp": now.Unix() + 300, "iat": now.Unix(),
			"jti": "1", "client_id": idtest.ExampleClient, "scope": "openid", "roles": []string{"admin"},
		},
		now:   now,
		world: w,
	}
}

// groups are the IDs of so many groups, as Entra writes them.
func groups(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("6f0c2a3e-1234-4abc-8def-%012d", i))
	}
	return all
}

// idToken is an ID token in the making: it is good, and a row of a table spoils it.
type idToken struct {
	header, claims map[string]any
	now            time.Time
	world          *world
	check          idserver.IDTokenCheck
	raw            string              // the token itself, for rows that make it by hand
	sign           func(string) string // in place of the provider's signature
}

func (i *idToken) token() string {
	switch {
	case i.raw != "":
		return i.raw
	case i.sign != nil:
		return i.sign(encode(i.header) + "." + encode(i.claims))
	}
	return i.world.provider.SignRaw(i.header, i.claims)
}

// in is a NumericDate that many seconds from now.
func (i *idToken) in(seconds int64) int64 { return i.now.Unix() + seconds }

func encode(v any) string { return base64.RawURLEncoding.EncodeToString(jsonOf(v)) }

func jsonOf(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}

// claim changes one claim; nil removes it.
func claim(name string, value any) func(*idToken) {
	return func(i *idToken) {
		if i.claims[name] = value; value == nil {
			delete(i.claims, name)
		}
	}
}

func header(name string, value any) func(*idToken) {
	return func(i *idToken) {
		if i.header[name] = value; value == nil {
			delete(i.header, name)
		}
	}
}

// dated sets a claim to so many seconds from now.
func dated(name string, seconds int64) func(*idToken) {
	return func(i *idToken) { i.claims[name] = i.in(seconds) }
}

// payload signs text as it is.
func payload(text string) func(*idToken) {
	return func(i *idToken) { i.raw = i.world.provider.SignRaw(i.header, text) }
}

func all(edits ...func(*idToken)) func(*idToken) {
	return func(i *idToken) {
		for _, edit := range edits {
			edit(i)
		}
	}
}

// refused demands exactly one reason, and that the error can be taken apart.
func refused(t *testing.T, err error, want idserver.Reason) {
	t.Helper()
	var e *idserver.InvalidTokenError
	if !errors.As(err, &e) || e.Reason != want {
		t.Fatalf("got %v, want reason %s", err, want)
	}
	if !errors.Is(err, want) || !errors.Is(err, idserver.ErrInvalidToken) || errors.Is(err, idserver.ErrUnavailable) {
		t.Errorf("errors.Is does not tell what %v is", err)
	}
}

func macWith(key func(*idToken) []byte) func(*idToken) {
	return func(i *idToken) {
		i.sign = func(signed string) string {
			mac := hmac.New(sha256.New, key(i))
			mac.Write([]byte(signed))
			return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
		}
	}
}

// jwkOf is a provider's public key, RFC 7518 section 6.3.1.
func jwkOf(p *idtest.Provider, keyID string) map[string]string {
	key := p.PrivateKey().PublicKey
	return map[string]string{
		"kty": "RSA", "kid": keyID, "alg": "RS256", "use": "sig",
		"n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()), "e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes()),
	}
}

// says reports whether err is want and not a judgement of the other kind.
func says(err, want error) bool {
	if want == nil || err == nil {
		return err == want
	}
	return errors.Is(err, want) && errors.Is(err, idserver.ErrUnavailable) == (want == idserver.ErrUnavailable) &&
		errors.Is(err, idserver.ErrInvalidToken) == (want != idserver.ErrUnavailable)
}

// newAPI is newWorld's provider with a client that is an API; a validation that waited for a hanging endpoint would wait for
// an hour. The key set is read unless it is to be cold.
func newAPI(t *testing.T, cold bool) *world {
	t.Helper()
	w := newWorld(t)
	log := w.cfg.Logger
	w.cfg = w.provider.Config("")
	w.cfg.Now, w.cfg.HTTP.Timeout, w.cfg.Logger = w.clock.Now, time.Hour, log
	w.Client = w.client(t)
	if !cold {
		warm(t, w)
	}
	return w
}

func warm(t *testing.T, w *world) {
	t.Helper()
	if _, err := w.ValidateAccessToken(t.Context(), w.provider.MintAccessToken("alice"), idserver.AccessTokenCheck{}); err != nil {
		t.Fatal(err)
	}
}

// resign signs a token's claims with the provider's key under another kid.
func resign(t *testing.T, w *world, token, kid string) string {
	t.Helper()
	parts := strings.Split(token, ".")
	decoded, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil {
		t.Fatal(err)
	}
	var h map[string]any
	if err := json.Unmarshal(decoded, &h); err != nil {
		t.Fatal(err)
	}
	h["kid"] = kid
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	return w.provider.SignRaw(h, payload)
}

// provided is a network of one document: it answers every request with it.
type provided struct {
	status   int
	kind     string // Content-Type
	body     []byte
	asked    atomic.Int32
	location atomic.Value // of the last request
}

func (p *provided) RoundTrip(r *http.Request) (*http.Response, error) {
	p.asked.Add(1)
	p.location.Store(r.URL.String())
	return &http.Response{
		StatusCode: p.status, Header: http.Header{"Content-Type": {p.kind}}, Body: io.NopCloser(bytes.NewReader(p.body)), Request: r,
	}, nil
}

// elsewhere makes a client of https://id.example, whose metadata is the document.
func elsewhere(t testing.TB, network *provided, edit func(*idserver.Config)) *idserver.Client {
	t.Helper()
	cfg := goodConfig()
	cfg.HTTP.Client = &http.Client{Transport: network}
	if edit != nil {
		edit(&cfg)
	}
	client, err := idserver.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// document is the metadata of https://id.example, changed by edit. A nil value takes a member out.
func document(edit map[string]any) []byte {
	const at = "https://id.example"
	m := map[string]any{
		"issuer": at, "authorization_endpoint": at + "/a", "token_endpoint": at + "/t", "jwks_uri": at + "/j",
		"userinfo_endpoint": at + "/u", "revocation_endpoint": at + "/r", "end_session_endpoint": at + "/e",
	}
	maps.Copy(m, edit)
	maps.DeleteFunc(m, func(_ string, value any) bool { return value == nil })
	text, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return text
}

const nearlyOver = 14*time.Minute + 30*time.Second // of an access token's 15 minutes: it is refreshed

// userInfoBody is a userinfo answer for an access token that idtest does not know.
const userInfoBody = `{"sub":"` + aliceSubject + `","email":"info@example.test","name":"Alice Info","roles":["from-userinfo"],"department":"sales","exp":1}`
