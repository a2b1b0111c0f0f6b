package adaptertest

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
	"github.com/signward/idserver-go/core/internal/jose"
)

// scenarios are the suite. Each begins with nobody signed in and its own provider.
var scenarios = []func(*suite){
	strangers, browsers, caches, beginning, callbacks, returning, roles, bearers,
	scopes, stepUp, tenants, resources, publishedMetadata, issuers, introspected, boundTokens, certificates, typedClaims,
	cookieLines, crossSite, otherOrigins, renewal, signOut, backchannelLogout, tabs, nextAPI, outage, ownWords, routers,
	handedOver, onTheWire, clientKeys, streams, pushed, bound, fapi2, serverSessions,
}

// clientKeys tests an application without a secret: it publishes its keys, and authenticates with one.
func clientKeys(s *suite) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	v := s.visitor(s.serve(func(c *idserver.Config) {
		c.ClientSecret, c.ClientKeys = "", []idserver.ClientKey{{ID: "s1", Private: key}}
	}))
	e := v.step("the public keys", "for the provider, and for everybody", "GET", "/auth/jwks", aProgram)
	s.provider.AddClient(idtest.Client{ID: idtest.ExampleClient, JWKS: []byte(e.body), RedirectURIs: []string{suiteOrigin + "/auth/callback"}})
	v.signIn("alice")
	v.step("alice, whose application has a key", "RFC 7523", "GET", "/suite/user", aScript)
	s.assertionFile(key, []byte(e.body))
}

// assertionFile tests an application whose assertions are in a file, and what becomes of its people when that is lost.
func (s *suite) assertionFile(key ed25519.PrivateKey, keys []byte) {
	folder, err := os.MkdirTemp("", "assertion")
	if err != nil {
		s.t.Fatalf("%v", err)
	}
	s.t.Cleanup(func() { _ = os.RemoveAll(folder) })
	file := filepath.Join(folder, "token")
	write := func(content string) {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			s.t.Fatalf("%v", err)
		}
	}
	const issuer, subject = "https://cluster.example", "system:serviceaccount:shop:orders"
	signed := func() string {
		signer, err := jose.NewSigner(key, "")
		if err != nil {
			s.t.Fatalf("%v", err)
		}
		now := s.clock.Now().Unix()
		text, err := signer.Sign(jose.SigningHeader{KeyID: "s1"}, fmt.Appendf(nil, `{"iss":%q,"sub":%q,"aud":[%q],"iat":%d,"exp":%d}`, issuer, subject, s.provider.URL(), now, now+600))
		if err != nil {
			s.t.Fatalf("%v", err)
		}
		return text
	}
	write(signed())
	s.provider.AddClient(idtest.Client{
		ID: idtest.ExampleClient, JWKS: keys, AssertionIssuer: issuer, AssertionSubject: subject, RedirectURIs: []string{suiteOrigin + "/auth/callback"},
	})
	v := s.visitor(s.serve(func(c *idserver.Config) { c.ClientSecret, c.ClientAssertionFile = "", file }))
	v.signIn("alice")
	back := v.comeBack(v.begin(""), "alice")
	s.clock.advance(14*time.Minute + 30*time.Second)
	v.step("callback while the application's file has expired", "nothing is sent, and nothing is lost", "GET", back, aPage)
	v.step("alice, when her token ends and the file has expired", "the session goes on", "GET", "/suite/user", aScript)
	write(signed())
	v.step("alice, once the file was written anew", "refreshed", "GET", "/suite/user", aScript)
}

func strangers(s *suite) {
	v := s.visitor(s.serve())
	v.step("stranger at an open page", "LoadUser admits everybody", "GET", "/suite/open", aPage)
	v.step("stranger at a page", "a navigation is sent to sign in", "GET", "/suite/user", aPage)
	v.step("stranger at a page with a query", "return_to keeps it", "GET", "/suite/user?a=b&c=%2F%26&d", aPage)
	v.step("stranger at a page with odd escapes", "the query as it came", "GET", "/suite/user?x=%5Cevil&y=%zz", aPage)
	v.step("stranger at a page, old browser", "without Sec-Fetch-Mode, Accept tells", "GET", "/suite/user", with(nil, "Accept", "text/html"))
	v.step("stranger's script", "RFC 6750 section 3.1: a bare challenge", "GET", "/suite/user", aScript)
	v.step("stranger's script that accepts a page", "Sec-Fetch-Mode decides", "GET", "/suite/user", with(aScript, "Accept", "text/html"))
	v.step("stranger's program", "no Accept, no page", "GET", "/suite/user", nil)
	v.step("stranger posts", "only a GET is a navigation", "POST", "/suite/user", aPage)
	v.step("stranger at a role's page", "first who, then whether", "GET", "/suite/admin", aPage)
	v.step("stranger at a role's API", "401 and not 403", "GET", "/suite/admin", aProgram)
	v.step("stranger asks who it is", "never a redirect", "GET", "/auth/userinfo", aPage)
	v.step("stranger with nonsense cookies", "a malformed neighbour is passed over", "GET", "/suite/open", with(aPage, "Cookie", `a="b; =x; ;;; c d=e; __Host-idserver-x=1`))
	v.step("stranger with a made-up session", "not sealed here: the cookie goes", "GET", "/suite/user", with(aPage, "Cookie", "__Host-idserver=AAAA"))
}

// The header fields of requests that are neither a page nor a script's. Browsers send a WebSocket's Origin always, and some
// no Sec-Fetch-Site.
var (
	aHandshake = map[string][]string{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}, "Origin": {suiteOrigin},
	}
	anImage   = map[string][]string{"Accept": {"image/avif,image/webp,*/*;q=0.8"}, "Sec-Fetch-Mode": {"no-cors"}, "Sec-Fetch-Dest": {"image"}, "Sec-Fetch-Site": {"same-origin"}}
	aBeacon   = map[string][]string{"Accept": {"*/*"}, "Sec-Fetch-Mode": {"no-cors"}, "Sec-Fetch-Dest": {"empty"}, "Sec-Fetch-Site": {"same-origin"}}
	aStream   = with(aScript, "Accept", "text/event-stream")
	aPrefetch = with(aPage, "Sec-Purpose", "prefetch;prerender")
	ofHTMX    = with(with(with(aScript, "Accept", "*/*"), "Hx-Request", "true"), "Hx-Current-Url", suiteOrigin+"/suite/open?tab=2")
	aForm     = with(aPage, "Content-Type", "application/x-www-form-urlencoded")
)

// browsers tests what browsers ask for besides pages and what scripts fetch.
func browsers(s *suite) {
	addr := s.serve()
	v := s.visitor(addr)
	v.step("stranger's WebSocket", "401, and no redirect", "GET", "/suite/user", aHandshake)
	v.step("stranger's event stream", "401 ends an EventSource", "GET", "/suite/user", aStream)
	v.step("stranger's image", "401", "GET", "/suite/user", anImage)
	v.step("stranger's prefetch", "no sign-in begins where nobody went", "GET", "/suite/user", aPrefetch)
	v.step("stranger's htmx", "the window goes to sign in, and back to its page", "GET", "/suite/user", ofHTMX)
	v.step("stranger's htmx on another site's page", "return_to's rules", "GET", "/suite/user", with(ofHTMX, "Hx-Current-Url", "https://evil.example/"))
	v.step("stranger's htmx posts", "the same", "POST", "/suite/user", ofHTMX)
	v.step("stranger's boosted link", "the page that was wanted", "GET", "/suite/user?a=b", with(ofHTMX, "Hx-Boosted", "true"))
	v.step("stranger's htmx with a bad token", "the header decides", "GET", "/suite/user", with(ofHTMX, "Authorization", "Bearer abc"))
	v.step("stranger posts a form", "a page, and a way back to the form", "POST", "/suite/user", with(aForm, "Referer", suiteOrigin+"/suite/open"))
	v.step("stranger posts a form, old browser", "Accept and the form's type tell", "POST", "/suite/user", map[string][]string{"Accept": {"text/html"}, "Content-Type": {"multipart/form-data; boundary=x"}})
	v.step("stranger posts JSON", "no form does", "POST", "/suite/user", map[string][]string{"Accept": {"text/html"}, "Content-Type": {"application/json"}})

	v.signIn("bob")
	v.step("a form posted from elsewhere", "a page", "POST", "/suite/user", with(with(aForm, "Sec-Fetch-Site", "cross-site"), "Origin", "https://evil.example"))
	v.step("bob's htmx at admin", "403 and no redirect", "GET", "/suite/admin", ofHTMX)
	for name, origin := range inOrder(map[string]string{"here": suiteOrigin, "a trusted origin": suiteFriend, "elsewhere": "https://evil.example", "nowhere": "null"}) {
		v.step("a WebSocket from "+name, "RFC 6455 section 10.2", "GET", "/suite/user", with(aHandshake, "Origin", origin))
	}
	v.step("a WebSocket from elsewhere at an open page", "nobody", "GET", "/suite/open", with(aHandshake, "Origin", "https://evil.example"))
	v.step("a WebSocket from no browser", "without Origin", "GET", "/suite/user", with(aHandshake, "Origin"))

	unrenewed := []struct {
		name   string
		header map[string][]string
	}{{"a WebSocket", aHandshake}, {"an image", anImage}, {"a beacon", aBeacon}, {"a prefetch", aPrefetch}}
	old := v.cookies("/")
	s.clock.advance(14*time.Minute + 30*time.Second)
	for _, u := range unrenewed {
		v.step(u.name+" when a refresh is due", "its answer's cookies may not arrive: nothing is renewed", "GET", "/suite/user", u.header)
	}
	s.clock.advance(time.Minute)
	for _, u := range unrenewed {
		v.step(u.name+" when the access token has expired", "the provider must be asked first", "GET", "/suite/user", u.header)
	}
	v.step("an event stream when the access token has expired", "its header arrives: it renews", "GET", "/suite/user", aStream)
	v.step("a WebSocket after that", "goes on", "GET", "/suite/user", aHandshake)
	v.step("a WebSocket with the cookie before", "who refreshed it is remembered", "GET", "/suite/user", with(aHandshake, "Cookie", old))
}

// caches tests what a handler that calls its page public does to answers with cookies.
func caches(s *suite) {
	v := s.visitor(s.serve())
	v.step("stranger at a public page", "as the handler says", "GET", "/suite/public", aPage)
	v.signIn("alice")
	v.step("alice at a public page", "as the handler says", "GET", "/suite/public", aPage)
	s.clock.advance(7 * time.Minute)
	v.step("an image of a session after 7 min", "what caches store renews nothing", "GET", "/suite/public", anImage)
	v.step("alice at a public page after 7 min", "it sets a cookie, and is for nobody else", "GET", "/suite/public", aPage)
	s.clock.advance(2 * time.Hour)
	v.step("alice at a public page after her session", "nor is one that deletes it", "GET", "/suite/public", aPage)
}

func beginning(s *suite) {
	addr := s.serve()
	v := func() *visitor { return s.visitor(addr) }
	v().step("login", "RFC 6749 section 4.1.1, RFC 7636 section 4.3", "GET", "/auth/login", aPage)
	v().step("login with what may be passed on", "an allow-list", "GET", "/auth/login?login_hint=bob&prompt=login&ui_locales=de&acr_values=2", aPage)
	v().step("login with what may not", "a link must not change what is asked for", "GET", "/auth/login?scope=all&redirect_uri=https://evil.example&state=mine&response_type=token&client_id=x", aPage)
	v().step("login with a broken query", "it is not passed on", "GET", "/auth/login?login_hint=a;b&x=%zz", aPage)
	v().step("login from elsewhere", "a link on another site may begin a sign-in", "GET", "/auth/login", with(aPage, "Sec-Fetch-Site", "cross-site"))
	v().step("login by a script", "a front end that navigates by itself", "GET", "/auth/login", aScript)
	v().step("login by a trusted origin's script", "Config.TrustedOrigins", "GET", "/auth/login", with(with(aScript, "Sec-Fetch-Site", "same-site"), "Origin", suiteFriend))
	v().step("login by a strange script", "its answer would be read elsewhere", "GET", "/auth/login", with(with(aScript, "Sec-Fetch-Site", "cross-site"), "Origin", "https://evil.example"))
	v().step("login by an image", "not a navigation", "GET", "/auth/login", with(with(aPage, "Sec-Fetch-Mode", "no-cors"), "Sec-Fetch-Dest", "image"))
	v().step("login in a frame", "clickjacking", "GET", "/auth/login", with(aPage, "Sec-Fetch-Dest", "iframe"))
	v().step("login by a prefetch", "nobody went there", "GET", "/auth/login", with(aPage, "Sec-Purpose", "prefetch;prerender"))
	v().step("login, old browser", "without Fetch Metadata", "GET", "/auth/login", with(nil, "Accept", "text/html"))
}

func callbacks(s *suite) {
	addr := s.serve()
	fresh := func() (*visitor, string) {
		v := s.visitor(addr)
		return v, v.comeBack(v.begin("?return_to=/suite/user"), "alice")
	}
	without := func(target, name string) string { return edited(target, func(q url.Values) { q.Del(name) }) }

	v, back := fresh()
	v.step("callback", "a session begins", "GET", back, aPage)
	v.step("callback reloaded", "the attempt is spent, and the person signed in", "GET", back, aPage)
	v.step("callback of a stranger while signed in", "kindly on", "GET", "/auth/callback?code=x&state=unknown-state-of-somebody-else", aPage)
	v.step("callback that cannot be read while signed in", "kindly on", "GET", "/auth/callback", aPage)

	v, back = fresh()
	v.step("callback without its cookie", "one more attempt, by itself", "GET", back, with(aPage, "Cookie", "other=1"))
	v = s.visitor(addr)
	e := v.do("GET", back, aPage)
	again := v.comeBack(e.Header.Get("Location"), "alice")
	v.step("callback without its cookie again", "then a page, and never a loop", "GET", again, with(aPage, "Cookie", "other=1"))
	_, back = fresh()
	s.visitor(addr).step("callback in another browser, by a program", "login CSRF", "GET", back, aProgram)

	v, back = fresh()
	v.step("callback without code", "RFC 6749 section 4.1.2", "GET", without(back, "code"), aPage)
	v.step("callback without state", "RFC 6749 section 10.12", "GET", without(back, "state"), aPage)
	v.step("callback with code and error", "one of both", "GET", back+"&error=access_denied", aPage)
	v.step("callback with two states", "RFC 6749 section 3.1", "GET", back+"&state=x", aPage)
	v.step("callback with a long query", "bounded", "GET", back+"&x="+strings.Repeat("y", 2100)+strings.Repeat("z", 2100), with(aPage, "Cookie", "a=b"))
	v.step("callback without iss", "RFC 9207 section 2.4", "GET", without(back, "iss"), aPage)
	v, back = fresh()
	v.step("callback with another iss", "a mix-up attack", "GET", edited(back, func(q url.Values) { q.Set("iss", "https://evil.example") }), aPage)

	v = s.visitor(addr)
	v.step("callback after cancelling", "access_denied", "GET", v.comeBack(v.begin(""), ""), aPage)
	for _, name := range []string{"temporarily_unavailable", "invalid_request"} {
		v, back = fresh()
		v.step("callback with the error "+name, "RFC 6749 section 4.1.2.1", "GET", edited(back, func(q url.Values) { q.Del("code"); q.Set("error", name); q.Set("error_description", "<b>\n") }), aPage)
	}

	for name, fault := range inOrder(map[string]idtest.Fault{
		"refuses the code": {OAuthError: "invalid_grant"}, "is broken": {Status: 500}, "answers HTML": {HTML: true}, "redirects": {Redirect: "https://evil.example/"},
		"limits the rate": {Status: 429}, "drops": {Drop: true}, "answers without end": {Endless: true},
	}) {
		v, back = fresh()
		s.provider.Fail(idtest.Token, fault)
		v.step("callback when the token endpoint "+name, "502 for good, 503 for now", "GET", back, aPage)
		s.provider.Heal(idtest.Token)
		s.clock.advance(30 * time.Second) // until then nobody asks where the rate was limited
	}
	v, back = fresh()
	s.provider.Fail(idtest.Token, idtest.Fault{Status: 503, Once: true})
	v.do("GET", back, aPage)
	v.step("callback reloaded after a fault", "it works again as soon as the provider does", "GET", back, aPage)

	for name, edit := range inOrder(map[string]func(map[string]any){
		"another nonce": func(c map[string]any) { c["nonce"] = "x" }, "no nonce": func(c map[string]any) { delete(c, "nonce") },
		"another aud": func(c map[string]any) { c["aud"] = "x" }, "another iss": func(c map[string]any) { c["iss"] = "https://evil.example" },
		"another azp": func(c map[string]any) { c["azp"] = "x" }, "an exp long ago": func(c map[string]any) { c["exp"] = s.clock.Now().Unix() - 60 },
		"another at_hash": func(c map[string]any) { c["at_hash"] = "x" }, "no sub": func(c map[string]any) { delete(c, "sub") },
	}) {
		v, back = fresh()
		s.provider.SetIDTokenClaims(edit)
		v.step("callback with an ID token of "+name, "OpenID Connect Core section 3.1.3.7", "GET", back, aPage)
		s.provider.SetIDTokenClaims(nil)
	}
	v, back = fresh()
	s.provider.RotateKey()
	s.provider.WithdrawKey()
	v.step("callback after the keys were rotated", "one refetch", "GET", back, aPage)

	refusing := s.serve(func(c *idserver.Config) {
		c.AdmitUser = func(context.Context, *idserver.User) error { return errors.New("not one of ours") }
	})
	v = s.visitor(refusing)
	v.step("callback that AdmitUser refuses", "a page, and no session", "GET", v.comeBack(v.begin(""), "bob"), aPage)
}

// inOrder iterates over a map in the order of its keys, because the transcript numbers what it meets.
func inOrder[V any](m map[string]V) iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		for _, name := range slices.Sorted(maps.Keys(m)) {
			if !yield(name, m[name]) {
				return
			}
		}
	}
}

func edited(target string, edit func(url.Values)) string {
	path, query, _ := strings.Cut(target, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		panic(err) // the provider's own
	}
	edit(values)
	return path + "?" + values.Encode()
}

func returning(s *suite) {
	addr := s.serve()
	for _, target := range []string{
		"/suite/user?a=b", suiteOrigin + "/suite/open", suiteFriend + "/x", "//evil.example", "/\\evil.example", "/%5Cevil.example", "/%2Fevil.example", "https://evil.example",
		"https://app.example.test.evil.example", "https://app.example.test@evil.example", "javascript:alert(1)", "/\tx", "/../..//evil.example", "/auth/logout", "/a\r\nSet-Cookie: x=y", "/" + strings.Repeat("x", 2050),
	} {
		v := s.visitor(addr)
		back := v.comeBack(v.begin("?return_to="+url.QueryEscape(target)), "carol")
		name := fmt.Sprintf("%.40q", target)
		v.step("return_to "+name, "this application or a trusted origin", "GET", back, aPage)
	}
}

func roles(s *suite) {
	addr := s.serve()
	for _, login := range []string{"alice", "bob", "carol"} {
		v := s.visitor(addr).signIn(login)
		for _, path := range []string{"open", "user", "admin", "behind", "editors", "billing", "builtin", "own"} {
			v.step(login+" at "+path, "a page", "GET", "/suite/"+path, aPage)
		}
		v.step(login+"'s script at admin", "problem+json, RFC 9457", "GET", "/suite/admin", aScript)
		v.step(login+" asks who it is", "never a token", "GET", "/auth/userinfo", aScript)
		v.step(login+" and the application's own header", "Vary and Set-Cookie stand beside", "GET", "/suite/clash", aPage)
	}
	s.visitor(addr).step("stranger and the application's own header", "the same when refused", "GET", "/suite/clash", aScript)
}

func bearers(s *suite) {
	addr := s.serve()
	v := s.visitor(addr)
	token := s.provider.MintAccessToken("alice")
	bearer := func(token string) map[string][]string { return with(aProgram, "Authorization", "Bearer "+token) }
	for _, path := range []string{"open", "user", "admin", "behind", "editors", "billing", "builtin", "own", "clash"} {
		v.step("alice's token at "+path, "RFC 6750 section 2.1", "GET", "/suite/"+path, bearer(token))
	}
	v.step("alice's token posts", "no browser sends it by itself", "POST", "/suite/user", with(bearer(token), "Sec-Fetch-Site", "cross-site"))
	v.step("alice's token asks who it is", "userinfo takes both", "GET", "/auth/userinfo", bearer(token))
	v.step("bob's token at admin", "403", "GET", "/suite/admin", bearer(s.provider.MintAccessToken("bob")))
	v.step("a token, the scheme in lower case", "RFC 9110 section 11.1", "GET", "/suite/user", with(aProgram, "Authorization", "bearer "+token))
	v.step("a token after two spaces", "1*SP", "GET", "/suite/user", with(aProgram, "Authorization", "Bearer  "+token))
	for name, header := range inOrder(map[string][]string{
		"two Authorization lines": {"Bearer " + token, "Bearer " + token}, "another scheme": {"Basic YTpi"}, "no token": {"Bearer"}, "two tokens": {"Bearer " + token + " " + token},
		"a token of odd characters": {"Bearer a,b"}, "an empty line": {""},
	}) {
		v.step("with "+name, "RFC 6750 section 3.1", "GET", "/suite/user", with(aProgram, "Authorization", header...))
	}
	claims := func(edit func(map[string]any)) string { return s.provider.MintAccessToken("alice", edit) }
	for name, bad := range inOrder(map[string]string{
		"not a JWT": "abc", "expired": claims(func(c map[string]any) { c["exp"] = s.clock.Now().Unix() - 60 }), "for another audience": claims(func(c map[string]any) { c["aud"] = "other" }),
		"of another issuer": claims(func(c map[string]any) { c["iss"] = "https://evil.example" }), "an ID token": s.provider.MintIDToken("alice", "example", func(c map[string]any) { c["nonce"] = "n" }),
		"with another signature": token[:len(token)-8] + "AAAAAAAA", "without algorithm": s.provider.SignRaw(map[string]any{"alg": "none"}, map[string]any{"sub": "x"}),
		"of an unknown key": s.provider.SignRaw(map[string]any{"alg": "RS256", "kid": "unknown"}, map[string]any{"sub": "x"}),
	}) {
		v.step("a token "+name, "401 invalid_token, whatever it is", "GET", "/suite/user", bearer(bad))
	}
	v.step("a bad token at an open page", "LoadUser makes nobody of it", "GET", "/suite/open", bearer("abc"))
	v.step("a page with a bad token", "no redirect: the header decides", "GET", "/suite/user", with(aPage, "Authorization", "Bearer abc"))
	v.signIn("bob")
	v.step("bob's session and alice's token", "the header decides alone", "GET", "/suite/user", bearer(token))
	v.step("bob's session and a bad token", "the cookie is not looked at", "GET", "/suite/user", bearer("abc"))
}

// scopes tests guards by scopes, and guards that are combined.
func scopes(s *suite) {
	addr := s.serve(func(c *idserver.Config) { c.ScopeIncludes = func(held, wanted string) bool { return held == "orders" } })
	v := s.visitor(addr)
	paths := []string{"scope", "scopes", "allof", "anyof"}
	scoped := func(login string, scope any) map[string][]string {
		token := s.provider.MintAccessToken(login, func(c map[string]any) { c["scope"] = scope })
		return with(aProgram, "Authorization", "Bearer "+token)
	}
	for _, path := range paths {
		v.step("stranger's program at "+path, "a bare challenge", "GET", "/suite/"+path, aProgram)
		v.step("alice's token without a scope at "+path, "RFC 6750 section 3.1: insufficient_scope", "GET", "/suite/"+path, scoped("alice", "openid"))
		v.step("alice's token with one scope at "+path, "a single one", "GET", "/suite/"+path, scoped("alice", "openid orders:read"))
		v.step("bob's token with one scope at "+path, "no admin", "GET", "/suite/"+path, scoped("bob", "orders:read"))
		v.step("bob's token with a scope that includes others at "+path, "Config.ScopeIncludes", "GET", "/suite/"+path, scoped("bob", "orders"))
	}
	v.step("a token with a scope in quotation marks", "no scope is", "GET", "/suite/scope", scoped("bob", `"orders:read" "orders:write"`))
	v.step("a token with scopes beyond ASCII", "no scope is", "GET", "/suite/scope", scoped("bob", "órders:read orders:write\u00a0orders:read"))
	v.step("a token with scopes in an array", "Okta's scp, and others' scope", "GET", "/suite/scope", scoped("bob", []string{"orders:write", "orders:read"}))
	v.step("stranger at anyof", "a navigation is sent to sign in", "GET", "/suite/anyof", aPage)
	v.step("bob's token at anyof, and a page", "403 and no redirect", "GET", "/suite/anyof", with(aPage, "Authorization", scoped("bob", "x")["Authorization"]...))
	v.signIn("bob")
	v.step("bob's session without the scope", "a page", "GET", "/suite/scope", aPage)
	v.step("bob's session without the scope, by a script", "problem+json", "GET", "/suite/scopes", aScript)
	s.provider.SetTokenResponse(func(r map[string]any) { r["scope"] = "openid orders:read orders:write" })
	v.signIn("bob")
	v.step("bob's session with the scopes", "those that the token endpoint told", "GET", "/suite/scope", aPage)
	v.step("bob's session at anyof", "by the scope", "GET", "/suite/anyof", aPage)
	v.step("bob's session at allof", "no admin", "GET", "/suite/allof", aScript)
}

// stepUp tests guards that want the user to be authenticated in some way, or lately (RFC 9470).
func stepUp(s *suite) {
	v := s.visitor(s.serve())
	authenticated := func(aud, acr string, ago time.Duration) map[string][]string {
		return with(aProgram, "Authorization", "Bearer "+s.provider.MintAccessToken("alice", func(c map[string]any) {
			c["aud"], c["acr"], c["auth_time"] = aud, acr, s.clock.Now().Add(-ago).Unix()
		}))
	}
	v.step("stranger's program where an acr is wanted", "a bare challenge", "GET", "/suite/gold", aProgram)
	v.step("stranger where an acr is wanted", "sent to sign in, as anywhere", "GET", "/suite/gold", aPage)
	v.step("a token with another acr", "RFC 9470 section 3", "GET", "/suite/gold", authenticated("idserver-api", "silver", 0))
	v.step("a token with the acr", "section 6.2", "GET", "/suite/gold", authenticated("idserver-api", "platinum", time.Hour))
	v.step("a token of a sign-in long ago", "max_age", "GET", "/suite/recent", authenticated("idserver-api", "", time.Hour))
	v.step("a token of a recent sign-in", "max_age", "GET", "/suite/recent", authenticated("idserver-api", "", time.Minute))
	v.step("a token with another acr at an API", "both, and its scopes", "GET", "/suite/api-gold", authenticated(suiteAPI, "silver", 0))
	v.step("a token with the acr at an API", "both", "GET", "/suite/api-gold", authenticated(suiteAPI, "gold", time.Minute))
	v.step("a token with the acr at an API, to a page", "never redirected", "GET", "/suite/api-gold", with(aPage, "Authorization", authenticated(suiteAPI, "silver", 0)["Authorization"]...))
	v.signIn("alice")
	v.step("alice's script where an acr is wanted", "with the way to sign in", "GET", "/suite/gold", aScript)
	asked := v.step("alice where an acr is wanted", "sent to sign in again", "GET", "/suite/gold?x=1", aPage)
	begun := v.step("alice signs in again for an acr", "which is asked for", "GET", asked.Header.Get("Location"), aPage)
	v.step("alice comes back with another acr", "a page says that the provider does not comply", "GET", v.backWith(idtest.Authentication{ACR: "silver"}, begun.Header.Get("Location")), aPage)
	v.step("alice, who came back with another acr", "is signed in as before", "GET", "/suite/user", aScript)
	begun = v.step("alice signs in once more for an acr", "from that page", "GET", asked.Header.Get("Location")+"&prompt=login", aPage)
	v.step("alice comes back with the acr", "to the page", "GET", v.backWith(idtest.Authentication{}, begun.Header.Get("Location")), aPage)
	v.step("alice, who came back with the acr", "is let in", "GET", "/suite/gold?x=1", aPage)
	v.step("alice's recent sign-in", "max_age", "GET", "/suite/recent", aPage)
	s.clock.advance(6 * time.Minute)
	asked = v.step("alice's sign-in of six minutes ago", "sent to sign in again", "GET", "/suite/recent", aPage)
	begun = v.step("alice signs in again", "with max_age", "GET", asked.Header.Get("Location"), aPage)
	v.step("alice comes back with an old sign-in", "a page says so", "GET", v.backWith(idtest.Authentication{Age: time.Hour}, begun.Header.Get("Location")), aPage)
	s.stepUpOfForms()
}

// stepUpOfForms tests what becomes of a form that is posted where a step-up is wanted: nothing of it is kept or sent again.
func (s *suite) stepUpOfForms() {
	s.provider.SetAuthentication(idtest.Authentication{ACR: "silver"})
	v := s.visitor(s.serve()).signIn("alice")
	from := func(referer ...string) map[string][]string { return with(aForm, "Referer", referer...) }
	for name, header := range inOrder(map[string]map[string][]string{
		"from nowhere": from(), "from another site's page": from("https://evil.example/form"), "from what is no URL": from("/\\evil.example"),
	}) {
		v.step("alice posts a form "+name+" where an acr is wanted", "a page with the way to sign in", "POST", "/suite/gold", header)
	}
	v.step("alice posts from another site where an acr is wanted", "refused before", "POST", "/suite/gold", with(with(aForm, "Sec-Fetch-Site", "cross-site"), "Origin", "https://evil.example"))
	v.step("alice's script posts where an acr is wanted", "with the way to sign in", "POST", "/suite/gold", aScript)
	asked := v.step("alice posts a form where an acr is wanted", "sent to sign in again, and then to the form", "POST", "/suite/gold", from(suiteOrigin+"/suite/open?form=2"))
	begun := v.step("alice signs in again for her form", "with the acr", "GET", asked.Header.Get("Location"), aPage)
	v.step("alice comes back to her form", "to the form's page, by GET", "GET", v.backWith(idtest.Authentication{}, begun.Header.Get("Location")), aPage)
	v.step("alice posts her form once more", "let in", "POST", "/suite/gold", from(suiteOrigin+"/suite/open?form=2"))
}

// backWith is the person at the provider, who is authenticated in this way; it returns the callback.
func (v *visitor) backWith(how idtest.Authentication, authorize string) string {
	v.s.provider.SetAuthentication(how)
	return v.comeBack(authorize, "alice")
}

// tenants tests a guard by the tenant that the path names.
func tenants(s *suite) {
	v := s.visitor(s.serve())
	own := idtest.People()[0].TenantID
	of := func(tenant any) map[string][]string {
		return with(aProgram, "Authorization", "Bearer "+s.provider.MintAccessToken("alice", func(c map[string]any) { c["tenant_id"] = tenant }))
	}
	v.step("stranger's program at a tenant", "401, whichever it is", "GET", "/suite/of/"+own, aProgram)
	v.step("stranger at a tenant", "sent to sign in", "GET", "/suite/of/acme", aPage)
	v.step("a token of the tenant", "the path's parameter", "GET", "/suite/of/acme", of("acme"))
	v.step("a token of another tenant", "403", "GET", "/suite/of/acme", of("acne"))
	v.step("a token of the tenant, in another case", "another one", "GET", "/suite/of/ACME", of("acme"))
	v.step("a token of no tenant", "nobody's", "GET", "/suite/of/acme", of(""))
	v.step("a token of two tenants", "a claim is one text", "GET", "/suite/of/acme", of([]string{"acme", "acne"}))
	v.step("a token of a part of the tenant", "the whole", "GET", "/suite/of/acme.example", of("acme"))
	v.signIn("alice")
	v.step("alice's session at her tenant", "tenant_id", "GET", "/suite/of/"+own, aPage)
	v.step("alice's session at another tenant", "a page", "GET", "/suite/of/acme", aPage)
	v.step("alice's script at another tenant", "problem+json", "GET", "/suite/of/acme", aScript)
	v = s.visitor(s.serve(func(c *idserver.Config) {
		c.HideTenants, c.TenantOf = true, func(u *idserver.User) string { return strings.TrimPrefix(u.TenantID, "t-") }
	}))
	v.step("a token of a tenant by its name", "Config.TenantOf", "GET", "/suite/of/acme", of("t-acme"))
	v.step("a token of another tenant, which is hidden", "Config.HideTenants", "GET", "/suite/of/acme", of("t-acne"))
	v.step("a token of a tenant without a name", "nobody's", "GET", "/suite/of/t-", of("t-"))
}

// resources tests an API of its own audience in the same application, which takes bearer tokens only.
func resources(s *suite) {
	v := s.visitor(s.serve())
	of := func(login string, aud any) string {
		return s.provider.MintAccessToken(login, func(c map[string]any) { c["aud"] = aud })
	}
	alices, clients := of("alice", suiteAPI), of("alice", "idserver-api")
	untyped := s.provider.SignRaw(map[string]any{"alg": "RS256", "kid": s.provider.KeyID(), "typ": "JWT"}, map[string]any{
		"iss": s.provider.URL(), "sub": "alice", "aud": suiteAPI, "client_id": "x", "scope": "orders:read", "exp": s.clock.Now().Add(time.Minute).Unix(),
	})
	bearer := func(token string) map[string][]string { return with(aProgram, "Authorization", "Bearer "+token) }
	v.step("stranger at the API", "what to ask for, and no redirect", "GET", "/suite/api", aPage)
	v.step("the API's token", "its own audience", "GET", "/suite/api", bearer(alices))
	v.step("the API's token, for its URL with a slash", "the same resource", "GET", "/suite/api", bearer(of("alice", []string{"x", suiteAPI + "/"})))
	v.step("the API's token at a scope", "the one that is wanted there", "GET", "/suite/api-get", bearer(alices))
	v.step("the client's token at the API", "another audience", "GET", "/suite/api", bearer(clients))
	v.step("the API's token at the client", "another audience", "GET", "/suite/user", bearer(alices))
	v.step("a token of typ JWT at the API", "RFC 9068 section 2.1", "GET", "/suite/api", bearer(untyped))
	v.step("an odd scheme at the API", "no bearer token", "GET", "/suite/api", with(aProgram, "Authorization", "Basic YTpi"))
	v.step("the API's token in a gateway's field", "ResourceConfig.Header", "GET", "/suite/gateway", with(aProgram, "X-Access-Token", alices))
	v.step("the API's token in the usual field, at the gateway's", "which is not looked at", "GET", "/suite/gateway", bearer(alices))
	v.step("two tokens in a gateway's field", "which one is not known", "GET", "/suite/gateway", with(aProgram, "X-Access-Token", alices, alices))
	v.signIn("alice")
	v.step("alice's session at the API", "never the cookie", "GET", "/suite/api", aPage)
	v.step("alice's session at the API, by a script", "the same", "GET", "/suite/api", aScript)
	v.step("alice's session at the API behind a guard of the client", "the same", "GET", "/suite/behind-client", aScript)
	v.step("the API's token with a session", "the header decides", "GET", "/suite/behind-client", bearer(alices))
	v.step("alice's session at either", "AnyOf", "GET", "/suite/either", aPage)
	v.step("the API's token at either", "AnyOf", "GET", "/suite/either", bearer(alices))
	v.step("a bad token at either", "the answer of the first", "GET", "/suite/either", bearer("abc"))
}

// publishedMetadata tests what tells a client without a token where to get one (RFC 9728), and which pages may ask.
func publishedMetadata(s *suite) {
	v := s.visitor(s.serve())
	const page, evil = "https://pages.example", "https://evil.example"
	fromPage := func(origin string, header map[string][]string) map[string][]string {
		return with(header, "Origin", origin)
	}
	preflight := func(origin string) map[string][]string {
		return map[string][]string{
			"Origin": {origin}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {"authorization,content-type,mcp-protocol-version,x-other"},
		}
	}
	for _, path := range []string{"/.well-known/oauth-protected-resource/suite/mcp", "/.well-known/oauth-protected-resource"} {
		v.step("the metadata of an API, at "+path, "RFC 9728 section 3", "GET", path, fromPage(evil, aProgram))
		v.step("what a page may send for it, at "+path, "every page may read it", "OPTIONS", path, preflight(evil))
	}
	v.step("the metadata of an API, with a query", "it decides nothing", "GET", "/.well-known/oauth-protected-resource/suite/mcp?resource=https://evil.example", fromPage(evil, aProgram))
	token := s.provider.MintAccessToken("alice", func(c map[string]any) { c["aud"], c["scope"] = suiteOrigin+"/suite/mcp", "orders:read" })
	bearer := with(aProgram, "Authorization", "Bearer "+token)
	v.step("no token at an API with metadata", "where to get one", "GET", "/suite/mcp", aProgram)
	v.step("a bad token at an API with metadata", "where to get a better one", "GET", "/suite/mcp", with(aProgram, "Authorization", "Bearer abc"))
	v.step("a token at an API with metadata", "alice", "GET", "/suite/mcp", bearer)
	v.step("a token without the scope at an API with metadata", "step up", "GET", "/suite/mcp-write", bearer)
	v.step("a page that may use the API", "it reads the answer", "GET", "/suite/mcp", fromPage(page, bearer))
	v.step("a page that may use the API, without a token", "it reads the challenge", "GET", "/suite/mcp", fromPage(page, aProgram))
	v.step("a page that may not use the API", "MCP, DNS rebinding", "GET", "/suite/mcp", fromPage(evil, bearer))
	v.step("what a page may send to the API", "Authorization, Content-Type and MCP's", "OPTIONS", "/suite/mcp", preflight(page))
	v.step("what a page that may not use the API may send", "nothing", "OPTIONS", "/suite/mcp", preflight(evil))
}

// issuers tests an API that takes the tokens of two issuers.
func issuers(s *suite) {
	other := idtest.NewProvider(s.t, func(o *idtest.Options) {
		o.Now, o.InMemory, o.BaseURL = s.clock.Now, true, "http://localhost:8001/other"
	})
	cfg := other.Config("")
	cfg.Now, cfg.Logger = s.clock.Now, slog.New(slog.DiscardHandler)
	var err error
	if s.other, err = idserver.New(cfg); err != nil {
		s.t.Fatalf("%v", err)
	}
	s.t.Cleanup(s.other.Close)
	v := s.visitor(s.serve())
	bearer := func(token string) map[string][]string { return with(aProgram, "Authorization", "Bearer "+token) }
	says := func(iss string) func(map[string]any) { return func(c map[string]any) { c["iss"] = iss } }
	v.step("a token of the first issuer", "the iss chooses the client", "GET", "/suite/issuers", bearer(s.provider.MintAccessToken("alice")))
	v.step("a token of the other issuer", "with keys of its own", "GET", "/suite/issuers", bearer(other.MintAccessToken("bob")))
	v.step("a token of the other issuer at the first's guard", "it is another client's", "GET", "/suite/user", bearer(other.MintAccessToken("bob")))
	v.step("a token that says the other issuer", "signed with the first's key", "GET", "/suite/issuers", bearer(s.provider.MintAccessToken("alice", says(other.URL()))))
	v.step("a token of an issuer that looks like the other", "only those that are listed", "GET", "/suite/issuers", bearer(other.MintAccessToken("bob", says(other.URL()+".evil.example"))))
	v.signIn("alice")
	v.step("alice's session where two issuers' tokens are taken", "never the cookie", "GET", "/suite/issuers", aPage)
	other.Fail(idtest.KeySet, idtest.Fault{Status: 503})
	s.visitor(s.serve()).step("a token of the first issuer, while the other is away", "they are apart", "GET", "/suite/issuers", bearer(s.provider.MintAccessToken("alice")))
}

// introspected tests an API that asks the provider about tokens that are no JWT.
func introspected(s *suite) {
	v := s.visitor(s.serve())
	forAPI := func(c map[string]any) { c["aud"] = suiteAPI }
	at := func(name, why, token string) {
		v.step(name, why, "GET", "/suite/introspected", with(aProgram, "Authorization", "Bearer "+token))
	}
	alices := s.provider.MintOpaqueToken("alice", forAPI)
	at("alice's opaque token", "RFC 7662", alices)
	at("alice's JWT, where opaque tokens are asked about", "verified here", s.provider.MintAccessToken("alice", forAPI))
	at("bob's opaque token, without the role", "roles as of a JWT", s.provider.MintOpaqueToken("bob", forAPI))
	at("alice's opaque token for another API", "another audience", s.provider.MintOpaqueToken("alice"))
	at("an opaque token that nobody issued", "not active", "nothing")
	at("a spoiled JWT, where opaque tokens are asked about", "it is not asked about", s.provider.MintAccessToken("alice", forAPI)+"x")
	at("an opaque token of other characters", "RFC 6750 section 2.1", "a,"+alices)
	s.provider.SetIntrospection(func(answer map[string]any) { answer["token_use"] = "refresh_token" })
	at("an opaque token that the provider calls a refresh token", "Hydra calls those active", s.provider.MintOpaqueToken("alice", forAPI))
	s.provider.SetIntrospection(nil)
	s.provider.Fail(idtest.Introspection, idtest.Fault{Body: `{"active":true,"active":true}`})
	at("an opaque token, and an answer with duplicate members", "not known is not invalid", s.provider.MintOpaqueToken("alice", forAPI))
	s.provider.Fail(idtest.Introspection, idtest.Fault{Body: `{"active":"true","sub":"alice","aud":"` + suiteAPI + `"}`})
	at("an opaque token, and an answer that is active in quotation marks", "the same", s.provider.MintOpaqueToken("alice", forAPI))
	s.provider.Fail(idtest.Introspection, idtest.Fault{Body: `{"active":true,"sub":"alice","aud":"` + suiteAPI + `","x":"` + strings.Repeat("x", 1<<20) + `"}`})
	at("an opaque token, and an answer of more than a megabyte", "the same", s.provider.MintOpaqueToken("alice", forAPI))
	s.provider.Fail(idtest.Introspection, idtest.Fault{Endless: true})
	at("an opaque token, and an answer that does not end", "the same", s.provider.MintOpaqueToken("alice", forAPI))
	s.provider.Fail(idtest.Introspection, idtest.Fault{Body: `{"active":true,"sub":"alice","aud":"` + suiteAPI + `","iss":"https://other.example"}`})
	at("an opaque token, and an answer of another issuer", "it is not the provider's own", s.provider.MintOpaqueToken("alice", forAPI))
	s.provider.Fail(idtest.Introspection, idtest.Fault{Status: 503})
	at("an opaque token while the provider is away", "503 and never 401", s.provider.MintOpaqueToken("alice", forAPI))
	at("alice's opaque token again", "the answer is kept for ten seconds", alices)
	s.provider.Fail(idtest.Introspection, idtest.Fault{OAuthError: "invalid_client", Status: 401})
	at("an opaque token, and the client may not ask", "the operator's to mend", s.provider.MintOpaqueToken("alice", forAPI))
}

func cookieLines(s *suite) {
	addr := s.serve()
	v := s.visitor(addr).signIn("alice")
	session := v.cookies("/")
	lines := func(lines ...string) map[string][]string { return with(aPage, "Cookie", lines...) }
	v.step("the session in a second Cookie line", "HTTP/2 splits them, RFC 9113 section 8.2.3", "GET", "/suite/user", lines("a=b", session))
	v.step("the session among malformed cookies", "a neighbour must not sign out", "GET", "/suite/user", lines(`bad="; x y=z; =; `+session+`; é=1`))
	v.step("the session twice", "one was planted, and which is not known", "GET", "/suite/user", lines(session+"; "+session))
	v.step("the session twice, in two lines", "the same", "GET", "/suite/user", lines(session, session))
	v.step("the session cut off", "not what was sealed", "GET", "/suite/user", lines(session[:len(session)-4]))
	v.step("the session altered", "not what was sealed", "GET", "/suite/user", lines(session[:40]+"AAAA"+session[44:]))
	v.step("the session under another name", "a value has one purpose", "GET", "/suite/user", lines(strings.Replace(session, "__Host-idserver", "__Host-idserver-other", 1)))
	v.step("the session with another's name in front", "names are whole", "GET", "/suite/user", lines("x__Host-idserver=1; "+session))
	begun := s.visitor(addr)
	begun.begin("")
	_, login, _ := strings.Cut(begun.cookies("/auth/login"), "=")
	v.step("a login cookie as the session", "a value has one purpose", "GET", "/suite/user", lines("__Host-idserver="+login))

	long := idtest.Person{Login: "dave", Subject: "dave", Email: "dave@example.test", Name: "Dave"}
	for i := range 700 {
		long.CustomRoles = append(long.CustomRoles, fmt.Sprintf("%x", 7919*(i+1)*(i+3)))
	}
	s.provider.SetPerson(long)
	v = s.visitor(addr)
	v.step("callback of someone with many roles", "the cookie is chunked", "GET", v.comeBack(v.begin(""), "dave"), aPage)
	v.step("a session of several cookies", "a server whose limit is low answers 431 here", "GET", "/suite/open", aPage)
	parts := strings.Split(v.cookies("/"), "; ")
	v.step("a session of several cookies, one lost", "the whole is sealed", "GET", "/suite/user", lines(strings.Join(parts[:len(parts)-1], "; ")))
	slices.Reverse(parts)
	v.step("a session of several cookies, in another order", "their names tell", "GET", "/suite/open", lines(strings.Join(parts, "; ")))
}

func crossSite(s *suite) {
	v := s.visitor(s.serve()).signIn("alice")
	from := func(site string) map[string][]string { return with(aScript, "Sec-Fetch-Site", site) }
	old := with(nil, "Accept", "application/json")
	for _, site := range []string{"same-origin", "none", "same-site", "cross-site"} {
		v.step("alice posts, "+site, "as net/http's CrossOriginProtection", "POST", "/suite/user", from(site))
	}
	v.step("alice posts from a trusted origin", "Config.TrustedOrigins", "POST", "/suite/user", with(from("cross-site"), "Origin", suiteFriend))
	v.step("alice posts, old browser", "its Origin is ours", "POST", "/suite/user", with(old, "Origin", suiteOrigin))
	v.step("alice posts, old browser, elsewhere", "its Origin is not", "POST", "/suite/user", with(old, "Origin", "https://evil.example"))
	v.step("alice posts with the Origin null", "a sandboxed frame", "POST", "/suite/user", with(old, "Origin", "null"))
	v.step("alice posts, no browser", "neither header", "POST", "/suite/user", old)
	v.step("alice follows a link elsewhere", "a GET is safe", "GET", "/suite/user", with(aPage, "Sec-Fetch-Site", "cross-site"))
}

func renewal(s *suite) {
	addr := s.serve(func(c *idserver.Config) { c.SessionSecret = suiteOldSecret })
	v := s.visitor(addr).signIn("alice")
	v.step("a session at once", "no new cookie", "GET", "/suite/user", aPage)
	s.clock.advance(7 * time.Minute)
	v.step("a session after 7 min", "a tenth of the idle time: written again", "GET", "/suite/user", aPage)
	rotated := s.visitor(s.serve(func(c *idserver.Config) { c.Session.OldSecrets = []string{suiteOldSecret} }))
	rotated.jar = v.jar
	rotated.step("a session of an old secret", "opened, and sealed with the new one", "GET", "/suite/user", aPage)
	v = rotated

	s.clock.advance(7*time.Minute + 30*time.Second)
	s.provider.SetPerson(idtest.Person{Login: "alice", Subject: idtest.People()[0].Subject, Email: "alice@example.test", Name: "Alice Tan", Roles: []string{"user"}})
	v.step("a session when its access token ends", "refreshed, and roles taken again", "GET", "/suite/admin", aPage)
	s.clock.advance(14*time.Minute + 30*time.Second)
	s.provider.Fail(idtest.Token, idtest.Fault{Status: 503, Header: http.Header{"Retry-After": {"5"}}}) // or it is asked again, for seconds
	v.step("a session while the provider is away", "nobody is signed out", "GET", "/suite/user", aPage)
	s.clock.advance(10 * time.Minute)
	v.step("a session past its access token's end", "the session has limits of its own", "GET", "/suite/user", aPage)
	s.provider.Fail(idtest.Token, idtest.Fault{OAuthError: "invalid_grant"})
	s.clock.advance(2 * time.Minute)
	v.step("a session whose refresh is refused", "it is over", "GET", "/suite/user", aPage)
	s.provider.Heal(idtest.Token)
	v.step("a sign-in after that", "an answer may have been lost: silent, once", "GET", "/auth/login", aPage)

	s.provider.SetSignedIn("alice")
	v.signIn("alice")
	s.clock.advance(14*time.Minute + 30*time.Second)
	isRefresh := func(form url.Values) bool { return form.Get("grant_type") == "refresh_token" }
	s.provider.Fail(idtest.Token, idtest.Fault{Lost: true, Once: true, When: isRefresh})
	e := v.step("a session whose refresh was lost", "a strict provider has ended it", "GET", "/suite/user", aPage)
	e = v.step("a sign-in after a lost answer", "OpenID Connect Core section 3.1.2.1: prompt=none", "GET", e.Header.Get("Location"), aPage)
	v.step("the callback of a silent sign-in", "the session goes on, back at its page", "GET", v.comeBack(e.Header.Get("Location"), ""), aPage)
	v.step("alice after a silent sign-in", "signed in", "GET", "/suite/user", aPage)
	s.provider.SetSignedIn("")

	v.signIn("bob")
	s.clock.advance(61 * time.Minute)
	v.step("a session idle for 61 min", "it is over", "GET", "/suite/user", aScript)
	v.signIn("bob")
	s.clock.advance(7 * time.Minute)
	v.step("bob's session after 7 min, where a guard stands behind another", "written again, once", "GET", "/suite/behind", aScript)
	v.signIn("bob")
	for range 14 {
		s.clock.advance(50 * time.Minute)
		v.do("GET", "/suite/user", aScript)
	}
	s.clock.advance(21 * time.Minute)
	v.step("a session of 12 h", "it is over, used or not", "GET", "/suite/user", aScript)
}

func signOut(s *suite) {
	addr := s.serve()
	signedIn := func() *visitor { return s.visitor(addr).signIn("alice") }
	v := signedIn()
	v.step("logout by a link elsewhere", "the button", "GET", "/auth/logout", with(aPage, "Sec-Fetch-Site", "cross-site"))
	v.step("logout by an image", "the button", "GET", "/auth/logout", with(with(aPage, "Sec-Fetch-Dest", "image"), "Sec-Fetch-Mode", "no-cors"))
	v.step("logout by a prefetch", "the button", "GET", "/auth/logout", with(aPage, "Sec-Purpose", "prefetch"))
	v.step("logout, old browser", "the button", "GET", "/auth/logout", with(nil, "Accept", "text/html"))
	v.step("logout posted from elsewhere", "refused", "POST", "/auth/logout", with(with(aPage, "Sec-Fetch-Site", "cross-site"), "Origin", "https://evil.example"))
	v.step("after those, signed in", "none of them signed out", "GET", "/suite/user", aScript)
	v.step("logout by a link here", "RP-Initiated Logout 1.0 section 2", "GET", "/auth/logout", aPage)
	v.step("after logout", "nobody", "GET", "/suite/user", aScript)
	signedIn().step("logout posted", "the button's form", "POST", "/auth/logout", aPage)
	signedIn().step("logout posted by a script", "it navigates by itself", "POST", "/auth/logout", aScript)
	s.visitor(addr).step("logout of nobody", "home", "POST", "/auth/logout", aPage)
	v = signedIn()
	s.provider.Fail(idtest.Revocation, idtest.Fault{Status: 500})
	v.step("logout while revocation is broken", "the session here ends all the same", "POST", "/auth/logout", aPage)
	s.provider.Heal(idtest.Revocation)
	s.provider.SetMetadata(func(m map[string]any) { delete(m, "end_session_endpoint") })
	signedInAt := s.visitor(s.serve()).signIn("alice")
	signedInAt.step("logout where the provider has none", "home", "POST", "/auth/logout", aPage)
}

// backchannelLogout tests what the provider posts when a session there has ended: OpenID Connect Back-Channel Logout 1.0.
func backchannelLogout(s *suite) {
	const target = "/auth/backchannel-logout"
	addr := s.serve()
	alice, bob, provider := s.visitor(addr).signIn("alice"), s.visitor(addr).signIn("bob"), s.visitor(addr)
	kept := alice.cookies("/")
	post := func(name, why, contentType, body string) {
		s.t.Helper()
		provider.post(name, why, target, map[string][]string{"Content-Type": {contentType}}, strings.NewReader(body))
	}
	const form = "application/x-www-form-urlencoded"
	token := func() string { return "logout_token=" + s.provider.MintLogoutToken("alice", idtest.ExampleClient) }
	first := token()
	post("a logout request without a token", "400, and nothing else", form, "state=x")
	post("a logout request with two tokens", "which of them", form, first+"&"+first)
	post("a logout request of 100 kB", "more than is read", form, first+"&x="+strings.Repeat("x", 100<<10))
	post("a logout request in JSON", "section 2.5: a form", "application/json", first)
	post("a logout token of another client", "aud", form, "logout_token="+s.provider.MintLogoutToken("alice", idtest.ExamplePublicClient))
	post("an ID token as a logout token", "no events", form, "logout_token="+s.provider.MintIDToken("alice", idtest.ExampleClient))
	alice.step("after those, alice is signed in", "none of them ended a session", "GET", "/suite/user", aScript)
	s.clock.advance(time.Second)
	post("a logout token", "section 2.8: 200, and nothing to keep", form, first+"&state=x")
	alice.step("alice after it", "her session is over, and its cookie goes", "GET", "/suite/user", aScript)
	alice.step("a copy of her cookie", "over too", "GET", "/suite/user", with(aScript, "Cookie", kept))
	bob.step("bob after it", "goes on", "GET", "/suite/user", aScript)
	s.clock.advance(time.Second)
	alice.signIn("alice")
	post("the logout token again", "200, because the provider may not have got the first answer", form, first)
	alice.step("alice, who signed in again", "it ends nothing that began since", "GET", "/suite/user", aScript)
	alice.step("a page that sends her away", "a browser has no business there", "POST", target, with(aPage, "Sec-Fetch-Site", "cross-site"))
}

// otherOrigins tests pages of a trusted origin and of an unknown one: the first may read the responses, and is answered
// before it sends a request that a form cannot send (a preflight).
func otherOrigins(s *suite) {
	v := s.visitor(s.serve())
	from := func(origin string) http.Header {
		return with(with(aScript, "Sec-Fetch-Site", "same-site"), "Origin", origin)
	}
	const evil = "https://evil.example"
	v.step("a trusted page asks who it is", "401, and it can read why", "GET", "/auth/userinfo", from(suiteFriend))
	v.step("a trusted page at a guard", "the same", "GET", "/suite/user", from(suiteFriend))
	for _, path := range []string{"/auth/login", "/auth/logout", "/auth/userinfo"} {
		v.step("a trusted page's preflight of "+path, "Fetch standard section 3.3", "OPTIONS", path, with(from(suiteFriend), "Access-Control-Request-Method", "POST"))
		v.step("a strange page's preflight of "+path, "nothing is allowed", "OPTIONS", path, with(from(evil), "Access-Control-Request-Method", "POST"))
	}
	v = v.signIn("alice")
	v.step("a trusted page is let in", "with credentials", "GET", "/suite/user", from(suiteFriend))
	v.step("a strange page is let in", "and its browser keeps the answer from it", "GET", "/suite/user", from(evil))
	v.step("a trusted page signs out", "the URL to go to", "POST", "/auth/logout", from(suiteFriend))
}

func tabs(s *suite) {
	v := s.visitor(s.serve())
	one, two := v.begin("?return_to=/suite/open"), v.begin("?return_to=/suite/user")
	backOne, backTwo := v.comeBack(one, "alice"), v.comeBack(two, "alice")
	v.step("the second of two tabs", "each attempt has its own cookie", "GET", backTwo, aPage)
	v.step("the first of two tabs", "and goes to its own page", "GET", backOne, aPage)
	v = s.visitor(s.serve())
	first := v.comeBack(v.begin(""), "bob")
	for range 4 {
		s.clock.advance(time.Second)
		v.begin("")
	}
	s.clock.advance(time.Second)
	v.step("a sixth tab", "five are kept, the oldest goes", "GET", "/auth/login", aPage)
	v.step("the tab that went", "begins again", "GET", first, aPage)
	late := s.visitor(s.serve())
	back := late.comeBack(late.begin(""), "bob")
	s.clock.advance(21 * time.Minute)
	late.step("a tab after 21 min", "an attempt lives 20 min", "GET", back, with(aPage, "Cookie", late.cookies("/auth/callback")))
}

func outage(s *suite) {
	token := s.provider.MintAccessToken("alice")
	s.provider.Fail(idtest.Discovery, idtest.Fault{Drop: true})
	v := s.visitor(s.serve())
	v.step("login while the provider is down", "503, and Retry-After", "GET", "/auth/login", aPage)
	v.step("login by a script while the provider is down", "the same as problem+json", "GET", "/auth/login", aScript)
	v.step("a token while the provider is down", "503 and never 401: nothing is known of it", "GET", "/suite/user", with(aProgram, "Authorization", "Bearer "+token))
	v.step("a stranger while the provider is down", "nothing is needed of it", "GET", "/suite/user", aScript)
	v.step("an open page while the provider is down", "LoadUser makes nobody of the token", "GET", "/suite/open", with(aProgram, "Authorization", "Bearer "+token))
	s.provider.Heal(idtest.Discovery)
	s.clock.advance(5 * time.Second)
	v.step("login when the provider is back", "at once", "GET", "/auth/login", aPage)
	s.provider.SetMetadata(func(m map[string]any) { m["issuer"] = "https://evil.example" })
	s.visitor(s.serve()).step("login at a provider of another name", "OpenID Connect Discovery section 4.3", "GET", "/auth/login", aPage)
}

func ownWords(s *suite) {
	v := s.visitor(s.serve(func(c *idserver.Config) {
		c.RenderRefusal = func(_ context.Context, r idserver.Refusal) idserver.Rendered {
			return idserver.Rendered{Status: http.StatusTeapot, ContentType: "text/plain; charset=utf-8", Body: []byte("own words: " + string(r.Code) + "\n")}
		}
	})).signIn("bob")
	v.step("a refusal in the application's words", "status and body", "GET", "/suite/admin", aPage)
	s.clock.advance(2 * time.Hour)
	v.step("a refusal in the application's words, with cookies", "header fields and cookies stay", "GET", "/suite/user", aScript)
}

func routers(s *suite) {
	v := s.visitor(s.serve()).signIn("alice")
	for _, r := range RouterAnswers {
		v.router(r)
	}
	v.step("after those, still signed in", "none of them signed out", "GET", "/suite/user", aScript)
}
