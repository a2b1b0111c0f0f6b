package idserver_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// introspecting is an API of the world's client that asks about tokens.
func (w *world) introspecting(t *testing.T, edit ...func(*idserver.ResourceConfig)) *idserver.Resource {
	t.Helper()
	cfg := idserver.ResourceConfig{Identifier: ordersAPI, Introspect: "opaque"}
	for _, e := range edit {
		e(&cfg)
	}
	return w.resource(t, cfg)
}

func forOrders(c map[string]any) { c["aud"] = ordersAPI }

// What an answer says decides as the claims of a JWT do.
func TestIntrospection(t *testing.T) {
	set := func(name string, value any) func(map[string]any) {
		return func(c map[string]any) {
			if c[name] = value; value == nil {
				delete(c, name)
			}
		}
	}
	for name, row := range map[string]struct {
		edit   func(answer map[string]any)
		want   error // nil: it is good
		code   idserver.RefusalCode
		status int
	}{
		"active":                         {func(map[string]any) {}, nil, "", 0},
		"without iss":                    {set("iss", nil), nil, "", 0},
		"without exp":                    {set("exp", nil), nil, "", 0},
		"without token_use":              {set("token_use", nil), nil, "", 0},
		"Keycloak's typ":                 {set("typ", "Bearer"), nil, "", 0},
		"not active":                     {set("active", false), idserver.ReasonRevoked, idserver.CodeInvalidToken, 401},
		"active is a text":               {set("active", "true"), idserver.ErrUnavailable, idserver.CodeProviderUnavailable, 503},
		"active is missing":              {set("active", nil), idserver.ErrUnavailable, idserver.CodeProviderUnavailable, 503},
		"another issuer":                 {set("iss", "https://other.example"), idserver.ReasonIssuer, idserver.CodeInvalidToken, 401},
		"iss is a number":                {set("iss", 7), idserver.ReasonMalformed, idserver.CodeInvalidToken, 401},
		"another audience":               {set("aud", "idserver-api"), idserver.ReasonAudience, idserver.CodeInvalidToken, 401},
		"no audience":                    {set("aud", nil), idserver.ReasonAudience, idserver.CodeInvalidToken, 401},
		"among audiences":                {set("aud", []string{"x", ordersAPI}), nil, "", 0},
		"expired":                        {set("exp", 1_000_000), idserver.ReasonExpired, idserver.CodeInvalidToken, 401},
		"not valid yet":                  {set("nbf", 3_000_000_000), idserver.ReasonNotYetValid, idserver.CodeInvalidToken, 401},
		"no sub":                         {set("sub", nil), idserver.ReasonSubject, idserver.CodeInvalidToken, 401},
		"a refresh token (Hydra)":        {set("token_use", "refresh_token"), idserver.ReasonType, idserver.CodeInvalidToken, 401},
		"a refresh token (Keycloak)":     {set("typ", "Refresh"), idserver.ReasonType, idserver.CodeInvalidToken, 401},
		"a refresh token (token_type)":   {set("token_type", "refresh_token"), idserver.ReasonType, idserver.CodeInvalidToken, 401},
		"an ID token (Keycloak)":         {set("typ", "ID"), idserver.ReasonType, idserver.CodeInvalidToken, 401},
		"an ID token (at_hash)":          {set("at_hash", "x"), idserver.ReasonType, idserver.CodeInvalidToken, 401},
		"a DPoP token":                   {set("token_type", "DPoP"), idserver.ReasonType, idserver.CodeInvalidToken, 401},
		"bound to a key":                 {set("cnf", map[string]string{"x5t#S256": "x"}), idserver.ReasonType, idserver.CodeInvalidToken, 401},
		"a token_type that is no string": {set("token_type", 7), idserver.ReasonType, idserver.CodeInvalidToken, 401},
		"a MAC token":                    {set("token_type", "mac"), idserver.ReasonType, idserver.CodeInvalidToken, 401},
		"active is a number":             {set("active", 1), idserver.ErrUnavailable, idserver.CodeProviderUnavailable, 503},
		"active is a list":               {set("active", []bool{true}), idserver.ErrUnavailable, idserver.CodeProviderUnavailable, 503},
		"active in capitals":             {func(c map[string]any) { c["Active"] = true; delete(c, "active") }, idserver.ErrUnavailable, idserver.CodeProviderUnavailable, 503},
		"aud is a number":                {set("aud", 7), idserver.ReasonMalformed, idserver.CodeInvalidToken, 401},
		"aud is an empty list":           {set("aud", []string{}), idserver.ReasonAudience, idserver.CodeInvalidToken, 401},
		"aud has a number":               {set("aud", []any{ordersAPI, 7}), idserver.ReasonMalformed, idserver.CodeInvalidToken, 401},
		"exp is a text":                  {set("exp", "4102444800"), idserver.ReasonMalformed, idserver.CodeInvalidToken, 401},
		"exp is huge":                    {set("exp", 1e300), idserver.ReasonMalformed, idserver.CodeInvalidToken, 401},
		"exp is negative":                {set("exp", -1), idserver.ReasonMalformed, idserver.CodeInvalidToken, 401},
		"exp is 0":                       {set("exp", 0), idserver.ReasonMalformed, idserver.CodeInvalidToken, 401},
		"nbf is a text":                  {set("nbf", "0"), idserver.ReasonMalformed, idserver.CodeInvalidToken, 401},
		"sub is a number":                {set("sub", 7), idserver.ReasonMalformed, idserver.CodeInvalidToken, 401},
		"sub is giant":                   {set("sub", strings.Repeat("x", 256)), idserver.ReasonSubject, idserver.CodeInvalidToken, 401},
		"cnf is a text":                  {set("cnf", "x"), idserver.ReasonType, idserver.CodeInvalidToken, 401},
		"a logout token":                 {set("events", map[string]any{}), idserver.ReasonType, idserver.CodeInvalidToken, 401},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			api := w.introspecting(t)
			w.provider.SetIntrospection(row.edit)
			token := w.provider.MintOpaqueToken("alice", forOrders, func(c map[string]any) { c["scope"] = "orders:read" })
			for range 2 {
				u, err := api.ValidateAccessToken(t.Context(), token)
				ctx, a := w.browser(t).pass(api.RequireUser(), "GET", "/", bearer(token))
				if row.want != nil {
					if !errors.Is(err, row.want) || a.Status != row.status || code(t, a) != row.code {
						t.Fatalf("%v, %d %s", err, a.Status, a.Body)
					}
					continue
				}
				if err != nil || a.Ends() {
					t.Fatalf("%v, %d %s", err, a.Status, a.Body)
				}
				var more struct {
					Jti string `json:"jti"`
				}
				if err := u.Claims(&more); err != nil || more.Jti == "" {
					t.Errorf("its claims: %v %v", more, err)
				}
				if u.Subject != aliceSubject || u.Issuer != w.provider.URL() || !u.HasBuiltInRole("admin") || !u.HasScope("orders:read") || u.ClientID != idtest.ExampleClient ||
					idserver.UserFrom(ctx) != u || idserver.AccessTokenFrom(ctx) != token {
					t.Errorf("got %#v", u)
				}
				if err := u.Set("x", 1); err == nil {
					t.Error("a user that is shared by requests can be modified")
				}
			}
			if n := w.provider.Requests(idtest.Introspection); n != 1 {
				t.Errorf("asked %d times", n)
			}
		}))
	}
}

// A JWT is verified here, good or not; only what is none is asked about, unless all are.
func TestIntrospectedTokens(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		opaque, all := w.introspecting(t), w.introspecting(t, func(c *idserver.ResourceConfig) { c.Introspect = "all" })
		jwt := w.provider.MintAccessToken("alice", forOrders)
		for name, row := range map[string]struct {
			token       string
			opaque, all int // requests
			status      int // where the opaque ones are asked about
		}{
			"a JWT":                  {jwt, 0, 1, 0},
			"a JWT, spoiled":         {jwt[:len(jwt)-6] + "AAAAAA", 0, 1, 401},
			"a JWT of nobody's":      {"eyJhbGciOiJub25lIn0.e30.", 0, 1, 401},
			"nearly a JWT":           {"ey!.x.y", 0, 0, 400},
			"a JWT's header, spaced": {encode(map[string]any{}) + "." + encode(1) + ".x", 0, 1, 401},
			"random":                 {"abc", 1, 1, 401},
			"three words":            {"abc.def.ghi", 1, 1, 401},
			"five parts":             {"eyJhbGciOiJkaXIifQ..a.b.c", 1, 1, 401},
			"giant":                  {strings.Repeat("x", 9000), 0, 0, 401},
			"no token's characters":  {"a\u00e9", 0, 0, 400},
		} {
			for api, want := range map[*idserver.Resource]int{opaque: row.opaque, all: row.all} {
				w.provider.ResetRequests()
				_, a := w.browser(t).pass(api.RequireUser(), "GET", "/", bearer(row.token))
				if n := w.provider.Requests(idtest.Introspection); n != want {
					t.Errorf("%s: asked %d times, want %d", name, n, want)
				}
				if a.Status != row.status {
					t.Errorf("%s: %d %s", name, a.Status, a.Body)
				}
			}
		}
		if _, a := w.browser(t).pass(w.RequireUser(), "GET", "/", bearer(w.provider.MintOpaqueToken("alice"))); a.Status != 401 {
			t.Errorf("an opaque token at the client: %d", a.Status)
		}
	})
}

// A real sign-in's opaque access token is good, and its refresh token is not, although the provider calls it active.
func TestIntrospectedRefreshToken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		api := w.introspecting(t)
		_, tokens := signInByHand(t, w, w.Client, "alice")
		w.provider.SetIntrospection(forOrders)
		_, err := api.ValidateAccessToken(t.Context(), tokens.RefreshToken)
		refused(t, err, idserver.ReasonType)
	})
}

// An answer is used again for ten seconds, and never beyond exp; that a token is not active, for five.
func TestIntrospectionIsKept(t *testing.T) {
	for name, row := range map[string]struct {
		kept, life, want time.Duration
		active           bool
	}{
		"by default":        {0, time.Hour, 10 * time.Second, true},
		"for longer":        {time.Minute, time.Hour, time.Minute, true},
		"not beyond exp":    {time.Minute, 20 * time.Second, 20 * time.Second, true},
		"not at all":        {-1, time.Hour, 0, true},
		"that it is none":   {0, time.Hour, 5 * time.Second, false},
		"that, not at all,": {-1, time.Hour, 5 * time.Second, false},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			api := w.introspecting(t, func(c *idserver.ResourceConfig) { c.IntrospectionKept = row.kept })
			token := "unknown"
			if row.active {
				token = w.provider.MintOpaqueToken("alice", forOrders, func(c map[string]any) { c["exp"] = w.clock.Now().Add(row.life).Unix() })
			}
			asked := func() int {
				t.Helper()
				w.provider.ResetRequests()
				_, err := api.ValidateAccessToken(t.Context(), token)
				if (err == nil) != row.active && !errors.Is(err, idserver.ErrInvalidToken) {
					t.Fatal(err)
				}
				return w.provider.Requests(idtest.Introspection)
			}
			if asked() != 1 {
				t.Error("it was not asked about")
			}
			if row.want > 0 {
				w.clock.advance(row.want - time.Millisecond)
				if asked() != 0 {
					t.Errorf("it was asked about before %v", row.want)
				}
				w.clock.advance(time.Millisecond)
			}
			if asked() != 1 {
				t.Errorf("it was not asked about after %v", row.want)
			}
		}))
	}
}

// A token that this client revokes is refused at once, at a guard behind another and in streams too.
func TestIntrospectionAfterRevocation(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		api := w.introspecting(t, func(c *idserver.ResourceConfig) { c.IntrospectionKept = time.Minute })
		one, two := w.provider.MintOpaqueToken("alice", forOrders), w.provider.MintOpaqueToken("alice", forOrders)
		b := w.browser(t)
		ctx, a := b.pass(api.RequireUser(), "GET", "/", bearer(one))
		if _, err := api.ValidateAccessToken(t.Context(), two); err != nil || a.Ends() {
			t.Fatal(err, a.Status)
		}
		stream, stop := idserver.UntilSignedOut(ctx)
		defer stop()
		if err := w.RevokeToken(t.Context(), one); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !errors.Is(context.Cause(stream), idserver.ReasonRevoked) {
			t.Errorf("the stream: %v", context.Cause(stream))
		}
		if _, a := api.RequireUser()(ctx, b.request("GET", "/", []edit{bearer(one)})); a.Status != 401 {
			t.Errorf("behind the guard: %d", a.Status)
		}
		w.provider.SetIntrospection(func(answer map[string]any) { t.Error("the provider is asked about what was revoked here") })
		_, err := api.ValidateAccessToken(t.Context(), one)
		refused(t, err, idserver.ReasonRevoked)
		time.Sleep(2 * time.Minute) // no answer is kept any more
		_, err = api.ValidateAccessToken(t.Context(), one)
		refused(t, err, idserver.ReasonRevoked)
		w.provider.SetIntrospection(nil)
		if _, err := api.ValidateAccessToken(t.Context(), two); err != nil {
			t.Errorf("the other token: %v", err)
		}
	})
}

// Whatever is wrong with the endpoint is an outage or a fault of the configuration, never a 401; and a stream of bytes ends.
func TestIntrospectionFails(t *testing.T) {
	for name, row := range map[string]struct {
		fault idtest.Fault
		code  idserver.RefusalCode
	}{
		"500":                {idtest.Fault{Status: 500}, idserver.CodeProviderUnavailable},
		"429":                {idtest.Fault{Status: 429}, idserver.CodeProviderUnavailable},
		"down":               {idtest.Fault{Drop: true}, idserver.CodeProviderUnavailable},
		"hangs":              {idtest.Fault{Hang: true}, idserver.CodeProviderUnavailable},
		"slow":               {idtest.Fault{Slow: time.Minute}, idserver.CodeProviderUnavailable},
		"a JWT, unasked for": {idtest.Fault{Body: "eyJhbGciOiJub25lIn0.eyJhY3RpdmUiOnRydWV9.", ContentType: "application/token-introspection+jwt"}, idserver.CodeProviderUnavailable},
		"duplicates inside":  {idtest.Fault{Body: `{"active":true,"sub":"x","aud":"` + ordersAPI + `","act":{"sub":"a","sub":"b"}}`}, idserver.CodeProviderUnavailable},
		"the same, escaped":  {idtest.Fault{Body: `{"active":false,"\u0061ctive":true,"sub":"x","aud":"` + ordersAPI + `"}`}, idserver.CodeProviderUnavailable},
		"more behind it":     {idtest.Fault{Body: `{"active":true,"sub":"x","aud":"` + ordersAPI + `"}{}`}, idserver.CodeProviderUnavailable},
		"no UTF-8":           {idtest.Fault{Body: "{\"active\":true,\"sub\":\"\xff\",\"aud\":\"" + ordersAPI + "\"}"}, idserver.CodeProviderUnavailable},
		"nested deep":        {idtest.Fault{Body: `{"active":true,"x":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}`}, idserver.CodeProviderUnavailable},
		"HTML":               {idtest.Fault{HTML: true}, idserver.CodeProviderUnavailable},
		"endless":            {idtest.Fault{Endless: true}, idserver.CodeProviderUnavailable},
		"gzip bomb":          {idtest.Fault{GzipBomb: true}, idserver.CodeProviderUnavailable},
		"redirect":           {idtest.Fault{Redirect: "https://evil.example"}, idserver.CodeProviderUnavailable},
		"over 1 MiB":         {idtest.Fault{Body: `{"active":true,"x":"` + strings.Repeat("x", 1<<20) + `"}`}, idserver.CodeProviderUnavailable},
		"duplicate members":  {idtest.Fault{Body: `{"active":false,"active":true,"sub":"x","aud":"` + ordersAPI + `"}`}, idserver.CodeProviderUnavailable},
		"an array":           {idtest.Fault{Body: `[{"active":true}]`}, idserver.CodeProviderUnavailable},
		"empty":              {idtest.Fault{Body: ` `}, idserver.CodeProviderUnavailable},
		"another client":     {idtest.Fault{Status: 401, OAuthError: "invalid_client"}, idserver.CodeProviderMisconfigured},
		"not allowed":        {idtest.Fault{Status: 403}, idserver.CodeProviderMisconfigured},
		"not found":          {idtest.Fault{Status: 404}, idserver.CodeProviderMisconfigured},
		"an error, as a 200": {idtest.Fault{Status: 200, Body: `{"error":"server_error"}`}, idserver.CodeProviderUnavailable},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			api := w.introspecting(t)
			w.provider.Fail(idtest.Introspection, row.fault)
			token := w.provider.MintOpaqueToken("alice", forOrders)
			_, a := w.browser(t).pass(api.RequireUser(), "GET", "/", bearer(token))
			if a.Status != map[idserver.RefusalCode]int{idserver.CodeProviderUnavailable: 503, idserver.CodeProviderMisconfigured: 502}[row.code] || code(t, a) != row.code {
				t.Errorf("%d %s", a.Status, a.Body)
			}
			if leaked := leaks(w.log.String(), token, idtest.ExampleSecret); leaked != "" {
				t.Errorf("the log has %q", leaked)
			}
			w.provider.Heal(idtest.Introspection)
			w.clock.advance(time.Second)
			if _, a := w.browser(t).pass(api.RequireUser(), "GET", "/", bearer(token)); a.Ends() {
				t.Errorf("healed: %d %s", a.Status, a.Body)
			}
		}))
	}
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.provider.SetMetadata(func(m map[string]any) { delete(m, "introspection_endpoint") })
		if _, a := w.browser(t).pass(w.introspecting(t).RequireUser(), "GET", "/", bearer("abc")); a.Status != 502 || code(t, a) != idserver.CodeProviderMisconfigured {
			t.Errorf("no endpoint: %d %s", a.Status, a.Body)
		}
		at := w.client(t, func(c *idserver.Config) {
			c.Provider.Endpoints.Introspection = w.provider.URL() + "/connect/introspect"
		})
		api, err := at.NewResource(idserver.ResourceConfig{Identifier: ordersAPI, Introspect: "opaque"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := api.ValidateAccessToken(t.Context(), w.provider.MintOpaqueToken("alice", forOrders)); err != nil {
			t.Errorf("a configured endpoint: %v", err)
		}
	})
}

// A token has the scopes that the answer says, in the way of a JWT's: what can be none is left out, and of too many none counts.
func TestIntrospectedScopes(t *testing.T) {
	for name, row := range map[string]struct {
		scope any
		good  bool
	}{
		"the scope":       {"openid orders:read", true},
		"in a list":       {[]string{"orders:read"}, true},
		"quotation marks": {`"orders:read" orders:read"`, false},
		"a backslash":     {`orders:read\`, false},
		"beyond ASCII":    {"órders:read x orders:read", false},
		"a line end":      {"x\norders:read", false},
		"commas":          {"x,orders:read", false},
		"giant":           {strings.Repeat("s ", 20_000) + "orders:read", false},
		"one giant":       {"orders:read" + strings.Repeat("s", 100_000), false},
		"a number":        {7, false},
		"an object":       {map[string]any{"orders:read": true}, false},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			api := w.introspecting(t)
			token := w.provider.MintOpaqueToken("alice", forOrders, func(c map[string]any) { c["scope"] = row.scope })
			_, a := w.browser(t).pass(api.RequireScope("orders:read"), "GET", "/", bearer(token))
			if a.Ends() == row.good || !row.good && (a.Status != 403 || code(t, a) != idserver.CodeInsufficientScope || field(a, "WWW-Authenticate") != `Bearer error="insufficient_scope", scope="orders:read"`) {
				t.Errorf("%d %s %s", a.Status, field(a, "WWW-Authenticate"), a.Body)
			}
		}))
	}
}

// Strangers cannot use us against the provider: 32 requests at once, one for each token, and none for a token that is asked about.
func TestIntrospectionIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		api := w.introspecting(t)
		if _, err := api.ValidateAccessToken(t.Context(), "warm"); !errors.Is(err, idserver.ReasonRevoked) {
			t.Fatal(err)
		}
		w.provider.ResetRequests()
		w.provider.Fail(idtest.Introspection, idtest.Fault{Slow: time.Second})
		errs := make(chan error, 120)
		for n := range 120 {
			go func() {
				_, err := api.ValidateAccessToken(t.Context(), fmt.Sprintf("token-%d", n%60))
				errs <- err
			}()
			synctest.Wait()
		}
		count := map[bool]int{}
		for range 120 {
			err := <-errs
			if !errors.Is(err, idserver.ReasonRevoked) && !errors.Is(err, idserver.ErrUnavailable) {
				t.Error(err)
			}
			count[errors.Is(err, idserver.ErrUnavailable)]++
		}
		if n := w.provider.Requests(idtest.Introspection); n != 32 || count[false] != 64 || count[true] != 56 {
			t.Errorf("%d requests, %v", n, count)
		}
	})
}

func TestSignedIntrospection(t *testing.T) {
	type answer = struct{ header, claims map[string]any }
	for name, row := range map[string]struct {
		edit func(*answer)
		good bool
	}{
		"good":                {func(*answer) {}, true},
		"with application/":   {func(a *answer) { a.header["typ"] = "application/token-introspection+jwt" }, true},
		"another typ":         {func(a *answer) { a.header["typ"] = "JWT" }, false},
		"another issuer":      {func(a *answer) { a.claims["iss"] = "https://other.example" }, false},
		"for another client":  {func(a *answer) { a.claims["aud"] = "other" }, false},
		"without iat":         {func(a *answer) { delete(a.claims, "iat") }, false},
		"an old one":          {func(a *answer) { a.claims["iat"] = a.claims["iat"].(int64) - 60 }, false},
		"of the future":       {func(a *answer) { a.claims["iat"] = a.claims["iat"].(int64) + 60 }, false},
		"without the claim":   {func(a *answer) { delete(a.claims, "token_introspection") }, false},
		"the claim is a text": {func(a *answer) { a.claims["token_introspection"] = `{"active":true}` }, false},
		"unsigned":            {func(a *answer) { a.header["alg"] = "none" }, false},
		"of an unknown key":   {func(a *answer) { a.header["kid"] = "x" }, false},
		"aud is missing":      {func(a *answer) { delete(a.claims, "aud") }, false},
		"iat is a text":       {func(a *answer) { a.claims["iat"] = "now" }, false},
		"the claim is a list": {func(a *answer) { a.claims["token_introspection"] = []any{map[string]any{"active": true}} }, false},
		"active twice": {func(a *answer) {
			a.claims["token_introspection"] = json.RawMessage(`{"active":false,"active":true,"sub":"alice","aud":"` + ordersAPI + `"}`)
		}, false},
		"active is a text": {func(a *answer) {
			a.claims["token_introspection"] = map[string]any{"active": "true", "sub": "alice", "aud": ordersAPI}
		}, false},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			api := w.introspecting(t, func(c *idserver.ResourceConfig) { c.SignedIntrospection = true })
			token := w.provider.MintOpaqueToken("alice", forOrders)
			a := answer{
				map[string]any{"alg": "RS256", "kid": w.provider.KeyID(), "typ": "token-introspection+jwt"},
				map[string]any{"iss": w.provider.URL(), "aud": idtest.ExampleClient, "iat": w.clock.Now().Unix(), "token_introspection": map[string]any{"active": true, "sub": "alice", "aud": ordersAPI}},
			}
			row.edit(&a)
			w.provider.Fail(idtest.Introspection, idtest.Fault{ContentType: "application/token-introspection+jwt", Body: w.provider.SignRaw(a.header, a.claims)})
			_, err := api.ValidateAccessToken(t.Context(), token)
			if row.good && err != nil || !row.good && (!errors.Is(err, idserver.ErrUnavailable) || errors.Is(err, idserver.ErrInvalidToken)) {
				t.Error(err)
			}
			if _, a := w.browser(t).pass(api.RequireUser(), "GET", "/", bearer(token)); a.Ends() == row.good || !row.good && (a.Status != 503 || code(t, a) != idserver.CodeProviderUnavailable) {
				t.Errorf("%d %s", a.Status, a.Body)
			}
		}))
	}
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		api := w.introspecting(t, func(c *idserver.ResourceConfig) { c.SignedIntrospection = true })
		if u, err := api.ValidateAccessToken(t.Context(), w.provider.MintOpaqueToken("alice", forOrders)); err != nil || u.Subject != aliceSubject {
			t.Errorf("the provider's own: %v", err)
		}
		w.provider.Fail(idtest.Introspection, idtest.Fault{Body: `{"active":true,"sub":"x","aud":"` + ordersAPI + `"}`})
		if _, a := w.browser(t).pass(api.RequireUser(), "GET", "/", bearer("x")); a.Status != 502 || code(t, a) != idserver.CodeProviderMisconfigured {
			t.Errorf("not signed: %d %s", a.Status, a.Body)
		}
		header := map[string]any{"alg": "RS256", "kid": w.provider.KeyID(), "typ": "token-introspection+jwt"}
		for name, row := range map[string]struct {
			said   map[string]any
			status int
			code   idserver.RefusalCode
		}{
			"not active":            {map[string]any{"active": false}, 401, idserver.CodeInvalidToken},
			"of another issuer":     {map[string]any{"active": true, "sub": "x", "aud": ordersAPI, "iss": "https://other.example"}, 401, idserver.CodeInvalidToken},
			"for another audience":  {map[string]any{"active": true, "sub": "x", "aud": "other"}, 401, idserver.CodeInvalidToken},
			"of a refresh token":    {map[string]any{"active": true, "sub": "x", "aud": ordersAPI, "token_use": "refresh_token"}, 401, idserver.CodeInvalidToken},
			"more than is verified": {map[string]any{"active": true, "sub": "x", "aud": ordersAPI, "x": strings.Repeat("x", 1<<20)}, 503, idserver.CodeProviderUnavailable},
		} {
			w.provider.Fail(idtest.Introspection, idtest.Fault{ContentType: "application/token-introspection+jwt", Body: w.provider.SignRaw(header, map[string]any{
				"iss": w.provider.URL(), "aud": idtest.ExampleClient, "iat": w.clock.Now().Unix(), "token_introspection": row.said,
			})})
			if _, a := w.browser(t).pass(api.RequireUser(), "GET", "/", bearer(w.provider.MintOpaqueToken("alice", forOrders))); a.Status != row.status || code(t, a) != row.code {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
			}
		}
	})
}

func TestIntrospectionFaults(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		for name, cfg := range map[string]idserver.ResourceConfig{
			"another word": {Introspect: "some"}, "kept for too long": {Introspect: "all", IntrospectionKept: time.Hour},
			"kept, and not asked": {IntrospectionKept: time.Second}, "signed, and not asked": {SignedIntrospection: true},
		} {
			cfg.Identifier = ordersAPI
			if _, err := w.NewResource(cfg); err == nil || !strings.Contains(err.Error(), "Introspect") {
				t.Errorf("%s: %v", name, err)
			}
		}
		public := w.client(t, func(c *idserver.Config) { c.ClientSecret = "" })
		if _, err := public.NewResource(idserver.ResourceConfig{Identifier: ordersAPI, Introspect: "opaque"}); err == nil || !strings.Contains(err.Error(), "authenticates") {
			t.Errorf("a public client: %v", err)
		}
	})
}

// Beside several issuers, a token that is no JWT is the client's own provider's, and a JWT its issuer's.
func TestIntrospectionAmongIssuers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		other, client := w.another(t, otherURL)
		api := w.introspecting(t, func(c *idserver.ResourceConfig) { c.Issuers = []*idserver.Client{client} })
		for name, row := range map[string]struct {
			token string
			asked []int
			good  bool
		}{
			"opaque":              {w.provider.MintOpaqueToken("alice", forOrders), []int{1, 0}, true},
			"the other's opaque":  {other.MintOpaqueToken("alice", forOrders), []int{1, 0}, false},
			"the other's JWT":     {other.MintAccessToken("alice", forOrders), []int{0, 0}, true},
			"the client's own":    {w.provider.MintAccessToken("alice", forOrders), []int{0, 0}, true},
			"nobody's that is it": {w.provider.MintAccessToken("alice", forOrders, func(c map[string]any) { c["iss"] = "https://x.example" }), []int{0, 0}, false},
		} {
			w.provider.ResetRequests()
			other.ResetRequests()
			_, err := api.ValidateAccessToken(t.Context(), row.token)
			if asked := []int{w.provider.Requests(idtest.Introspection), other.Requests(idtest.Introspection)}; !slices.Equal(asked, row.asked) || (err == nil) != row.good {
				t.Errorf("%s: asked %v, %v", name, asked, err)
			}
		}
	})
}

// The request is what RFC 7662 section 2.1 describes, with the client's authentication.
func TestIntrospectionRequest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		network := &recorder{RoundTripper: w.provider.HTTPClient().Transport}
		client := w.client(t, func(c *idserver.Config) { c.HTTP.Client = &http.Client{Transport: network} })
		api, err := client.NewResource(idserver.ResourceConfig{Identifier: ordersAPI, Introspect: "opaque"})
		if err != nil {
			t.Fatal(err)
		}
		token := w.provider.MintOpaqueToken("alice", forOrders)
		if _, err := api.ValidateAccessToken(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		sent := network.requests[0]
		if want := "token=" + token + "&token_type_hint=access_token"; len(network.requests) != 1 || sent.form.Encode() != want || !strings.HasPrefix(sent.authorization, "Basic ") {
			t.Errorf("%d requests, %q", len(network.requests), sent.form)
		}
	})
}
