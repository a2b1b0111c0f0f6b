package idserver_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// flood is thousand with tokens that are bad: each answer is want, or that nothing is known because a limit held a fetch back.
func flood(t *testing.T, client *idserver.Client, want error, token func(i int) string) {
	t.Helper()
	for _, err := range answers(t, client, token) {
		if !says(err, want) && !says(err, idserver.ErrUnavailable) {
			t.Fatalf("want %v, got %v", want, err)
		}
	}
}

// thousand validates 1,000 tokens at once. want is nil, a Reason or ErrUnavailable, and is every answer.
func thousand(t *testing.T, client *idserver.Client, want error, token func(i int) string) {
	t.Helper()
	others := map[string]int{}
	for _, err := range answers(t, client, token) {
		if !says(err, want) {
			others[fmt.Sprint(err)]++
		}
	}
	if len(others) > 0 {
		t.Fatalf("want %v of all, got %v", want, others)
	}
}

func answers(t *testing.T, client *idserver.Client, token func(i int) string) (all []error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // who waits for a provider that hangs fails here
	defer cancel()
	answers, begin := make(chan error, 1000), make(chan struct{})
	for i := range 1000 {
		go func() {
			<-begin
			_, err := client.ValidateAccessToken(ctx, token(i), idserver.AccessTokenCheck{})
			answers <- err
		}()
	}
	close(begin)
	for range 1000 {
		all = append(all, <-answers)
	}
	return all
}

func same(token string) func(int) string { return func(int) string { return token } }

// afterwards lets what a test set off in its bubble come to an end.
func afterwards(t *testing.T, what string, done func() bool) {
	t.Helper()
	synctest.Wait()
	if !done() {
		t.Fatalf("it did not come to it: %s", what)
	}
}

// madeUp is a token under a kid that nobody has.
func madeUp(w *world) func(int) string {
	i := newAccessToken(w)
	claims := encode(i.claims)
	return func(n int) string {
		return encode(map[string]any{"alg": "RS256", "kid": fmt.Sprintf("made-up-%d", n)}) + "." + claims + ".AAAA"
	}
}

// What 1,000 validations at once cost in requests for the key set, and what they say.
func TestKeySetRequests(t *testing.T) {
	for name, row := range map[string]struct {
		cold        bool
		act         func(*testing.T, *world)
		least, most int
	}{
		"a cold start": {true, func(t *testing.T, w *world) {
			thousand(t, w.Client, nil, same(w.provider.MintAccessToken("alice")))
		}, 1, 1},
		"known keys": {false, func(t *testing.T, w *world) {
			thousand(t, w.Client, nil, same(w.provider.MintAccessToken("alice")))
		}, 1, 1},
		"a rotated key": {false, func(t *testing.T, w *world) {
			old := w.provider.MintAccessToken("alice")
			w.provider.RotateKey()
			thousand(t, w.Client, nil, same(w.provider.MintAccessToken("alice")))
			thousand(t, w.Client, nil, same(old))
		}, 2, 2},
		"a rotated key at a cold start": {true, func(t *testing.T, w *world) {
			w.provider.RotateKey()
			thousand(t, w.Client, nil, same(w.provider.MintAccessToken("alice")))
		}, 1, 1},
		"unknown kids at a cold start": {true, func(t *testing.T, w *world) {
			flood(t, w.Client, idserver.ReasonUnknownKey, madeUp(w))
		}, 2, 4},
		"unknown kids": {false, func(t *testing.T, w *world) {
			flood(t, w.Client, idserver.ReasonUnknownKey, madeUp(w))
		}, 2, 4},
		"unknown kids again and again": {false, func(t *testing.T, w *world) {
			for range 4 { // at 0, 5, 10 and 15 seconds
				flood(t, w.Client, idserver.ReasonUnknownKey, madeUp(w))
				w.clock.advance(5 * time.Second)
			}
		}, 4, 5}, // a burst of three, and one in ten seconds
		"one unknown kid again and again": {false, func(t *testing.T, w *world) {
			kid := madeUp(w)(1)
			for range 4 {
				thousand(t, w.Client, idserver.ReasonUnknownKey, same(kid))
				w.clock.advance(5 * time.Second)
			}
		}, 3, 5},
		"unknown kids while it is down": {false, func(t *testing.T, w *world) {
			w.provider.Fail(idtest.KeySet, idtest.Fault{Status: 503, Once: true}) // mended, and not asked
			flood(t, w.Client, idserver.ReasonUnknownKey, madeUp(w))
		}, 2, 5}, // perhaps the background's next try
		"algorithms that are never accepted": {false, func(t *testing.T, w *world) {
			thousand(t, w.Client, idserver.ReasonAlgorithm, func(n int) string {
				return encode(map[string]any{"alg": []string{"none", "HS256"}[n%2], "kid": fmt.Sprint(n)}) + ".e30."
			})
		}, 1, 1},
		"seven minutes later": {false, func(t *testing.T, w *world) {
			w.clock.advance(7 * time.Minute)
			thousand(t, w.Client, nil, same(w.provider.MintAccessToken("alice")))
		}, 1, 1},
		"ten minutes later": {false, func(t *testing.T, w *world) {
			w.clock.advance(10 * time.Minute)
			thousand(t, w.Client, nil, same(w.provider.MintAccessToken("alice")))
			afterwards(t, "a refresh", func() bool { return w.provider.Requests(idtest.KeySet) == 2 })
			thousand(t, w.Client, nil, same(w.provider.MintAccessToken("alice")))
		}, 2, 2},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newAPI(t, row.cold)
			row.act(t, w)
			if n := w.provider.Requests(idtest.KeySet); n < row.least || n > row.most {
				t.Errorf("%d requests, want %d to %d", n, row.least, row.most)
			}
		}))
	}
}

// A token may be signed with a key that came in the place of the one that is known, where it names none or under the same kid:
// the key set is asked, once for all, twice at most and then once in ten seconds.
func TestKeySetReplacedWithoutKeyIDs(t *testing.T) {
	stranger := idtest.NewProvider(t)
	stranger.RotateKey()
	publish := func(t *testing.T, w *world, keyID string) {
		document, err := json.Marshal(map[string]any{"keys": []any{jwkOf(w.provider, keyID)}})
		if err != nil {
			t.Fatal(err)
		}
		w.provider.SetJWKS(document)
	}
	token := func(w *world, n int, edits ...func(*idToken)) string { // no two of which are remembered as one
		i := newAccessToken(w)
		i.claims["jti"] = fmt.Sprint(n)
		all(edits...)(i)
		return i.token()
	}
	noKid := header("kid", nil)
	good := func(w *world) func(int) string {
		var tokens []string
		for n := range 20 {
			tokens = append(tokens, token(w, n, noKid))
		}
		return func(n int) string { return tokens[n%20] }
	}
	forged := func(w *world, edits ...func(*idToken)) func(int) string {
		begun := token(w, 0, edits...)
		return func(n int) string { return begun[:strings.LastIndex(begun, ".")+1] + encode(fmt.Sprint(n)) }
	}
	for name, row := range map[string]struct {
		act         func(*testing.T, *world)
		least, most int // requests for the key set, of which the first is that of the beginning
	}{
		"the known key": {func(t *testing.T, w *world) { thousand(t, w.Client, nil, good(w)) }, 1, 1},
		"another came in its place": {func(t *testing.T, w *world) {
			old := good(w)(0)
			w.provider.RotateKey()
			publish(t, w, "")
			thousand(t, w.Client, nil, good(w))
			thousand(t, w.Client, idserver.ReasonSignature, same(old))
		}, 2, 3},
		"and two more within ten seconds": {func(t *testing.T, w *world) {
			for _, step := range []struct {
				later  time.Duration
				want   error
				rotate bool
			}{{0, nil, true}, {5 * time.Second, nil, true}, {4 * time.Second, idserver.ReasonSignature, true}, {time.Second, nil, false}} {
				w.clock.advance(step.later)
				if step.rotate {
					w.provider.RotateKey()
					publish(t, w, "")
				}
				thousand(t, w.Client, step.want, good(w))
			}
		}, 4, 4},
		"another beside it, and neither is named": {func(t *testing.T, w *world) {
			known := jwkOf(w.provider, "")
			w.provider.RotateKey()
			document, err := json.Marshal(map[string]any{"keys": []any{known, jwkOf(w.provider, "")}})
			if err != nil {
				t.Fatal(err)
			}
			w.provider.SetJWKS(document)
			if _, err := w.ValidateAccessToken(t.Context(), good(w)(0), idserver.AccessTokenCheck{}); !errors.Is(err, idserver.ReasonSignature) {
				t.Errorf("got %v", err)
			}
			thousand(t, w.Client, idserver.ReasonAmbiguousKey, good(w)) // which of them is meant cannot be told
		}, 2, 2},
		"a flood of bad signatures": {func(t *testing.T, w *world) {
			for range 4 { // at 0, 5, 10 and 15 seconds
				thousand(t, w.Client, idserver.ReasonSignature, forged(w, noKid))
				w.clock.advance(5 * time.Second)
			}
			thousand(t, w.Client, nil, good(w))
		}, 4, 4},
		"a stranger's signatures": {func(t *testing.T, w *world) {
			i := newAccessToken(w)
			noKid(i)
			thousand(t, w.Client, idserver.ReasonSignature, same(stranger.SignRaw(i.header, i.claims)))
		}, 2, 3},
		"a flood while it is down": {func(t *testing.T, w *world) {
			w.provider.Fail(idtest.KeySet, idtest.Fault{Status: 503})
			thousand(t, w.Client, idserver.ReasonSignature, forged(w, noKid))
			thousand(t, w.Client, nil, good(w))
		}, 2, 4}, // perhaps the background's next try
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newAPI(t, true)
			publish(t, w, "")
			if _, err := w.ValidateAccessToken(t.Context(), token(w, 0, noKid), idserver.AccessTokenCheck{}); err != nil {
				t.Fatal(err)
			}
			row.act(t, w)
			if n := w.provider.Requests(idtest.KeySet); n < row.least || n > row.most {
				t.Errorf("%d requests, want %d to %d", n, row.least, row.most)
			}
		}))
	}
	t.Run("with a kid", inBubble(func(t *testing.T) {
		w := newAPI(t, false)
		w.clock.advance(time.Minute)
		id := w.provider.KeyID()
		thousand(t, w.Client, idserver.ReasonSignature, forged(w))
		w.provider.RotateKey() // and the new key is published under the name of the one that is known
		publish(t, w, id)
		w.clock.advance(10 * time.Second)
		thousand(t, w.Client, nil, same(token(w, 1, header("kid", id))))
		if n := w.provider.Requests(idtest.KeySet); n < 3 || n > 4 {
			t.Errorf("%d requests, want 3 or 4", n)
		}
	}))
}

// While an endpoint hangs nobody waits who has the key.
func TestKeySetHangs(t *testing.T) {
	for _, endpoint := range []idtest.Endpoint{idtest.KeySet, idtest.Discovery} {
		t.Run(string(endpoint), inBubble(func(t *testing.T) {
			w := newAPI(t, false)
			w.provider.Fail(endpoint, idtest.Fault{Hang: true})
			w.clock.advance(10 * time.Minute)
			thousand(t, w.Client, nil, same(w.provider.MintAccessToken("alice")))
			afterwards(t, "a request that hangs", func() bool { return w.provider.Requests(endpoint) == 2 })
			thousand(t, w.Client, nil, same(w.provider.MintAccessToken("alice")))
			w.clock.advance(23 * time.Hour)
			thousand(t, w.Client, nil, same(w.provider.MintAccessToken("alice")))
			if n := w.provider.Requests(endpoint); n != 2 {
				t.Errorf("it was asked %d times, and has answered once", n)
			}
		}))
	}
}

// Without the provider known keys serve for a day. Then nothing is said of any token, until it is back.
func TestKeySetAway(t *testing.T) {
	for name, endpoints := range map[string][]idtest.Endpoint{"the key set": {idtest.KeySet}, "all": {idtest.KeySet, idtest.Discovery}} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newAPI(t, false)
			for _, endpoint := range endpoints {
				w.provider.Fail(endpoint, idtest.Fault{Drop: true})
			}
			for _, step := range []struct {
				later time.Duration
				want  error
			}{{0, nil}, {10 * time.Minute, nil}, {12*time.Hour - 10*time.Minute, nil}, {12*time.Hour - time.Second, nil}, {time.Hour + time.Second, idserver.ErrUnavailable}} {
				w.clock.advance(step.later)
				thousand(t, w.Client, step.want, same(w.provider.MintAccessToken("alice")))
			}
			expired := newAccessToken(w)
			expired.claims["exp"] = expired.in(-3600)
			thousand(t, w.Client, idserver.ReasonExpired, same(expired.token())) // it says so itself
			for _, endpoint := range endpoints {
				w.provider.Heal(endpoint)
			}
			w.clock.advance(2 * time.Minute)
			thousand(t, w.Client, nil, same(w.provider.MintAccessToken("alice")))
		}))
	}
}

// A key that the provider withdrew is believed until the next refresh, and no longer.
func TestKeySetWithdrawn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newAPI(t, false)
		old := w.provider.MintAccessToken("alice")
		w.provider.RotateKey()
		w.provider.WithdrawKey()
		w.clock.advance(7 * time.Minute)
		thousand(t, w.Client, nil, same(old))
		if n := w.provider.Requests(idtest.KeySet); n != 1 {
			t.Errorf("the key set was asked for %d times before its time", n)
		}
		w.clock.advance(3 * time.Minute)
		_, _ = w.ValidateAccessToken(t.Context(), old, idserver.AccessTokenCheck{}) // the key set is refreshed behind it
		afterwards(t, "a refusal", func() bool {
			_, err := w.ValidateAccessToken(t.Context(), old, idserver.AccessTokenCheck{})
			return says(err, idserver.ReasonUnknownKey)
		})
		thousand(t, w.Client, idserver.ReasonUnknownKey, same(old))
		thousand(t, w.Client, nil, same(w.provider.MintAccessToken("alice")))
	})
}

// Whatever the endpoint answers, good keys are replaced by good keys only.
func TestKeySetIsNotReplaced(t *testing.T) {
	tooLong := `{"keys":[],"x":"` + strings.Repeat("x", 1<<20) + `"}`
	for name, fault := range map[string]idtest.Fault{
		"500": {}, "404": {Status: 404}, "429": {Status: 429}, "204": {Status: 204}, "drop": {Drop: true},
		"nothing": {Status: 200}, "HTML": {HTML: true}, "a redirect": {Redirect: "http://127.0.0.1:1/"},
		"endless": {Endless: true}, "a gzip bomb": {GzipBomb: true}, "too long": {Body: tooLong},
		"an empty set": {Body: `{"keys":[]}`}, "broken JSON": {Body: `{"keys":[{"kty":"RSA"`}, "null": {Body: "null"}, "an object": {Body: "{}"},
		"an error": {Body: `{"error":"temporarily_unavailable"}`}, "keys null": {Body: `{"keys":null}`}, "keys twice": {Body: `{"keys":[],"keys":[]}`},
		"a broken key": {Body: `{"keys":[{"kty":"RSA","n":"!","e":"AQAB"}]}`}, "a symmetric key": {Body: `{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}`},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newAPI(t, false)
			w.provider.Fail(idtest.KeySet, fault)
			mended := name == "404" || name == "HTML" || name == "a redirect" // somebody has to
			if err := w.Refetch(t.Context()); !errors.Is(err, idserver.ErrDiscovery) || errors.Is(err, idserver.ErrUnavailable) == mended {
				t.Fatalf("Refetch: %v", err)
			}
			thousand(t, w.Client, nil, same(w.provider.MintAccessToken("alice")))
			for _, err := range answers(t, w.Client, madeUp(w)) { // its key may be one that could not be read
				if errors.Is(err, idserver.ErrInvalidToken) || !mended && !errors.Is(err, idserver.ErrUnavailable) {
					t.Fatal(err)
				}
			}
			w.provider.Heal(idtest.KeySet)
			w.provider.RotateKey()
			w.clock.advance(30 * time.Second) // which the 429 asks for
			thousand(t, w.Client, nil, same(w.provider.MintAccessToken("alice")))
		}))
	}
}

// Whoever answered once in the provider's place, with keys of their own under the genuine set's ETag, must not have the
// provider confirm them from then on: there are no conditional requests, and a 304 confirms nothing.
func TestNothingIsConfirmedByETag(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newAPI(t, true)
		conditional := make(chan string, 16)
		w.Client = w.client(t, func(c *idserver.Config) {
			network := c.HTTP.Client.Transport
			c.HTTP.Client = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				for _, name := range []string{"If-None-Match", "If-Modified-Since"} {
					if r.Header.Get(name) != "" {
						conditional <- r.URL.Path
					}
				}
				return network.RoundTrip(r)
			})}
		})
		warm(t, w)
		for range 3 {
			w.clock.advance(20 * time.Minute)
			if err := w.Refetch(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		close(conditional)
		for path := range conditional {
			t.Errorf("%s is asked for conditionally", path)
		}
		w.provider.Fail(idtest.KeySet, idtest.Fault{Status: 304})
		w.clock.advance(20 * time.Minute)
		if err := w.Refetch(t.Context()); !errors.Is(err, idserver.ErrUnavailable) {
			t.Errorf("a 304 that was not asked for: %v", err)
		}
		token := w.provider.MintAccessToken("alice")
		thousand(t, w.Client, nil, same(token)) // the good keys serve on
		thousand(t, w.client(t), idserver.ErrUnavailable, same(token))
	})
}

// A key set of many broken keys is a line of the log, and no more: anyone can have it fetched again.
func TestManyBrokenKeysAreOneLine(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newAPI(t, false)
		keys := []any{jwkOf(w.provider, w.provider.KeyID())}
		for range 900 {
			keys = append(keys, 1)
		}
		before := len(w.log.String())
		publish(t, w, keys...)
		thousand(t, w.Client, nil, same(w.provider.MintAccessToken("alice")))
		if line := w.log.String()[before:]; strings.Count(line, "\n") != 1 || len(line) > 1000 || !strings.Contains(line, "keys=900") || strings.Contains(line, "json:") {
			t.Errorf("the log has %d bytes: %.2000s", len(line), line)
		}
		for range 200 {
			keys = append(keys, 1)
		}
		document, err := json.Marshal(map[string]any{"keys": keys})
		if err != nil {
			t.Fatal(err)
		}
		w.provider.SetJWKS(document)
		w.clock.advance(11 * time.Second)
		if err := w.Refetch(t.Context()); !errors.Is(err, idserver.ErrUnavailable) || !strings.Contains(err.Error(), "1000") {
			t.Errorf("1101 keys: %v", err)
		}
	})
}

// What a token may mean by its kid and alg, in sets of several keys.
func TestKeySetOfSeveralKeys(t *testing.T) {
	w := newAPI(t, true)
	stranger := idtest.NewProvider(t)
	stranger.RotateKey()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := private.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	id := w.provider.KeyID()
	own, another := jwkOf(w.provider, id), jwkOf(stranger, "another")
	ec := map[string]string{
		"kty": "EC", "crv": "P-256", "kid": id, "alg": "ES256",
		"x": base64.RawURLEncoding.EncodeToString(point[1:33]), "y": base64.RawURLEncoding.EncodeToString(point[33:]),
	}
	secret := []byte("a-secret-of-at-least-32-bytes-that-is-published")
	symmetric := map[string]string{"kty": "oct", "kid": "mac", "alg": "HS256", "use": "sig", "k": base64.RawURLEncoding.EncodeToString(secret)}
	sameKidSymmetric := map[string]string{"kty": "oct", "kid": id, "k": symmetric["k"]}
	exotic := map[string]any{"kty": "AKP", "kid": id, "alg": "ML-DSA-65", "pub": "AAAA"}

	byEC := all(header("alg", "ES256"), func(i *idToken) {
		i.sign = func(signed string) string {
			sum := sha256.Sum256([]byte(signed))
			r, s, err := ecdsa.Sign(rand.Reader, private, sum[:])
			if err != nil {
				t.Fatal(err)
			}
			return signed + "." + base64.RawURLEncoding.EncodeToString(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
		}
	})
	byMAC := all(header("alg", "HS256"), macWith(func(*idToken) []byte { return secret }))
	asItIs, noKid := func(*idToken) {}, header("kid", nil)
	type set = []any
	for name, row := range map[string]struct {
		keys set
		edit func(*idToken)
		want error
	}{
		"one exotic key beside a good one":     {set{exotic, own}, asItIs, nil},
		"a good one beside exotic things":      {set{own, exotic, nil, 4711, "x", set{}}, asItIs, nil},
		"a symmetric key beside a good one":    {set{symmetric, own}, asItIs, nil},
		"signed with the symmetric key":        {set{symmetric, own}, all(header("kid", "mac"), byMAC), idserver.ReasonAlgorithm},
		"so, under the good key's kid":         {set{sameKidSymmetric, own}, byMAC, idserver.ReasonAlgorithm},
		"so, without kid":                      {set{symmetric, own}, all(noKid, byMAC), idserver.ReasonAlgorithm},
		"so, and said to be RS256":             {set{symmetric, own}, all(byMAC, header("alg", "RS256"), header("kid", "mac")), idserver.ReasonUnknownKey},
		"the same kid on RSA and EC, by RSA":   {set{ec, own}, asItIs, nil},
		"the same kid on RSA and EC, by EC":    {set{own, ec}, byEC, nil},
		"by RSA, and said to be EC's":          {set{own, ec}, header("alg", "ES256"), idserver.ReasonSignature},
		"by EC, and said to be RSA's":          {set{own, ec}, all(byEC, header("alg", "RS256")), idserver.ReasonSignature},
		"no kid, one key":                      {set{own}, noKid, nil},
		"no kid, one fits":                     {set{ec, own, exotic, symmetric}, noKid, nil},
		"no kid, one fits, by EC":              {set{own, another, ec}, all(byEC, noKid), nil},
		"no kid, two fit":                      {set{own, another}, noKid, idserver.ReasonAmbiguousKey},
		"no kid, one fits, another signed":     {set{another}, noKid, idserver.ReasonSignature},
		"no kid, none fits":                    {set{ec}, noKid, idserver.ReasonAlgorithm},
		"a kid, and two keys without one":      {set{jwkOf(w.provider, ""), jwkOf(stranger, "")}, asItIs, idserver.ReasonUnknownKey},
		"the same kid on two RSA keys":         {set{own, jwkOf(stranger, id)}, asItIs, idserver.ReasonAmbiguousKey},
		"another's key under the token's kid":  {set{jwkOf(stranger, id)}, asItIs, idserver.ReasonSignature},
		"the set has the key under another id": {set{jwkOf(w.provider, "other")}, asItIs, idserver.ReasonUnknownKey},
	} {
		t.Run(name, func(t *testing.T) {
			document, err := json.Marshal(map[string]any{"keys": row.keys})
			if err != nil {
				t.Fatal(err)
			}
			w.provider.SetJWKS(document)
			i := newAccessToken(w)
			row.edit(i)
			thousand(t, w.client(t), row.want, same(i.token()))
		})
	}
}

// A set is read up to a mebibyte.
func TestKeySetBodyCap(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newAPI(t, true)
		for size, want := range map[int]error{1 << 20: nil, 1<<20 + 1: idserver.ErrUnavailable} {
			document, err := json.Marshal(map[string]any{"keys": []any{jwkOf(w.provider, w.provider.KeyID())}})
			if err != nil {
				t.Fatal(err)
			}
			w.provider.SetJWKS(append(document, bytes.Repeat([]byte(" "), size-len(document))...))
			thousand(t, w.client(t), want, same(w.provider.MintAccessToken("alice")))
		}
	})
}

// A stranger's token with a made-up kid, or several, and a key that is rotated right after it: good tokens of the new key are
// admitted, people who are signed in stay so, and others can sign in. Where the limit is reached, nothing is said of a token.
func TestRotationAfterStrangers(t *testing.T) {
	for name, row := range map[string]struct {
		strangers int
		bearer    error
	}{
		"one": {1, nil}, "as many as there are fetches": {3, idserver.ErrUnavailable}, "a hundred": {100, idserver.ErrUnavailable},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			b := w.signedIn(t, "alice")
			_, first := b.visit()
			w.clock.advance(14*time.Minute + 30*time.Second)
			made := madeUp(w)
			for n := range row.strangers {
				_, err := w.ValidateAccessToken(t.Context(), made(n), idserver.AccessTokenCheck{})
				if !says(err, idserver.ReasonUnknownKey) && !says(err, idserver.ErrUnavailable) {
					t.Fatalf("a stranger: %v", err)
				}
			}
			w.provider.RotateKey()
			good := w.provider.MintAccessToken("alice")
			bearer := func(r *idserver.Request) { send(r, "Authorization", "Bearer "+good) }
			_, a := w.browser(t).pass(w.RequireUser(), "GET", "/api", bearer)
			if row.bearer == nil && a.Ends() {
				t.Errorf("the new key: %d %s", a.Status, a.Body)
			}
			if row.bearer != nil && (a.Status != 503 || code(t, a) != idserver.CodeProviderUnavailable || field(a, "Retry-After") != "10") {
				t.Errorf("the new key: %d %s, Retry-After %q", a.Status, a.Body, field(a, "Retry-After"))
			}
			u, second := b.visit()
			if u == nil || second == first || !u.HasRole("admin") {
				t.Errorf("at the refresh: %+v, another token: %t\n%s", u, second != first, w.log)
			}
			w.signedIn(t, "bob")
			if _, a := w.browser(t).pass(w.RequireUser(), "GET", "/api", bearer); a.Ends() { // the key has come with another's fetch
				t.Errorf("the new key, later: %d %s", a.Status, a.Body)
			}
		}))
	}
}

// A kid that was asked for and is not in the set is 401 for ten seconds, and what a token says of itself is looked at before
// anything is fetched: neither costs a fetch, and no load balancer sees a 503 for it.
func TestNothingIsFetchedForStrangers(t *testing.T) {
	for name, row := range map[string]struct {
		edit func(*idToken)
		want error
	}{
		"for another audience": {claim("aud", "another"), idserver.ReasonAudience},
		"of another issuer":    {claim("iss", "https://evil.example"), idserver.ReasonIssuer},
		"expired":              {all(dated("iat", -600), dated("exp", -300)), idserver.ReasonExpired},
		"without exp":          {claim("exp", nil), idserver.ReasonExpired},
		"an ID token":          {claim("at_hash", "x"), idserver.ReasonType},
		"alg none":             {header("alg", "none"), idserver.ReasonAlgorithm},
		"alg HS256":            {header("alg", "HS256"), idserver.ReasonAlgorithm},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newAPI(t, false)
			for n := range 20 {
				i := newAccessToken(w)
				i.header["kid"] = fmt.Sprint(n)
				row.edit(i)
				_, err := w.ValidateAccessToken(t.Context(), i.token(), idserver.AccessTokenCheck{})
				if !says(err, row.want) {
					t.Fatalf("got %v, want %v", err, row.want)
				}
				if n == 0 { // a known kid whose signature does not verify
					text := i.token()
					i.header["kid"] = w.provider.KeyID()
					if _, err := w.ValidateAccessToken(t.Context(), text[:len(text)-8]+"AAAAAAAA", idserver.AccessTokenCheck{}); !errors.Is(err, idserver.ErrInvalidToken) {
						t.Errorf("forged: %v", err)
					}
				}
			}
			if n := w.provider.Requests(idtest.KeySet); n != 1 {
				t.Errorf("%d requests for the key set, want that of the beginning", n)
			}
			w.provider.RotateKey() // and the budget is whole
			if _, err := w.ValidateAccessToken(t.Context(), w.provider.MintAccessToken("alice"), idserver.AccessTokenCheck{}); err != nil {
				t.Error(err)
			}
		}))
	}
}

// A provider that was started anew has a new key under the old kid: whoever is signed in stays so, and tokens of the new key
// are admitted, also right after a stranger's.
func TestNewKeyUnderTheOldKid(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.signedIn(t, "alice")
		w.clock.advance(14*time.Minute + 30*time.Second)
		kid := w.provider.KeyID()
		forged := w.provider.MintAccessToken("alice")
		forged = forged[:strings.LastIndex(forged, ".")+1] + "AAAA"
		if _, err := w.ValidateAccessToken(t.Context(), forged, idserver.AccessTokenCheck{}); !says(err, idserver.ReasonSignature) {
			t.Fatal(err)
		}
		w.provider.RotateKey()
		document, err := json.Marshal(map[string]any{"keys": []any{jwkOf(w.provider, kid)}})
		if err != nil {
			t.Fatal(err)
		}
		w.provider.SetJWKS(document)
		resigned := func(token string) string { return resign(t, w, token, kid) }
		if _, err := w.ValidateAccessToken(t.Context(), resigned(w.provider.MintAccessToken("alice")), idserver.AccessTokenCheck{}); err != nil {
			t.Errorf("a bearer token: %v", err)
		}
		w.provider.SetTokenResponse(func(r map[string]any) {
			r["access_token"] = resigned(r["access_token"].(string))
			delete(r, "id_token")
		})
		if u, _ := b.visit(); u == nil || !u.HasRole("admin") {
			t.Errorf("the session: %+v", u)
		}
	})
}

// A key set that is not there is the operator's to mend as well.
func TestMisconfiguredKeys(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newAPI(t, true)
		w.provider.Fail(idtest.KeySet, idtest.Fault{Status: 404})
		for _, guard := range []idserver.Guard{w.RequireUser(), w.RequireRole("admin")} {
			_, a := w.browser(t).pass(guard, "GET", "/", func(r *idserver.Request) {
				send(r, "Authorization", "Bearer "+w.provider.MintAccessToken("alice"))
			})
			if a.Status != http.StatusBadGateway || code(t, a) != idserver.CodeProviderMisconfigured || !strings.Contains(w.log.String(), "Endpoints.JWKS") {
				t.Errorf("%d %s\n%s", a.Status, a.Body, w.log)
			}
		}
	})
}

// The signing key changes every five seconds. A good token is let in, or waits with 503; it is never called bad. If each key was
// published before it signed, all are let in.
func TestKeysChangeEveryFiveSeconds(t *testing.T) {
	for name, row := range map[string]struct{ ahead, goesOn bool }{"at once": {false, false}, "published ahead": {true, true}} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newStrictWorld(t, 15*time.Minute, idtest.Dialect{}, func(c *idserver.Config) { c.BaseURL, c.SessionSecret = "", "" })
			clients := []*idserver.Client{w.Client}
			for range 2 {
				clients = append(clients, w.client(t, func(c *idserver.Config) { c.BaseURL, c.SessionSecret = "", "" }))
			}
			seen := map[int]int{}
			before := w.provider.MintAccessToken("alice")
			for range 10 {
				if row.ahead {
					w.provider.AnnounceKey()
				}
				for range 10 {
					for _, token := range []string{w.provider.MintAccessToken("alice"), before} {
						for _, client := range clients {
							b := &browser{t, client, nil}
							_, a := b.pass(client.RequireUser(), "GET", "/api", bearer(token))
							seen[a.Status]++
							switch {
							case !a.Ends():
							case a.Status != 503 || row.goesOn || field(a, "Retry-After") == "":
								t.Fatalf("a good token: %d %s, Retry-After %q", a.Status, a.Body, field(a, "Retry-After"))
							}
						}
					}
					time.Sleep(500 * time.Millisecond)
				}
				before = w.provider.MintAccessToken("alice")
				w.provider.RotateKey()
			}
			t.Logf("%v, %d requests for the keys", seen, w.provider.Requests(idtest.KeySet))
			if !row.goesOn && seen[503] == 0 {
				t.Error("nothing was held back: the keys are fetched without limit")
			}
			if most := 3 * (3 + 6); w.provider.Requests(idtest.KeySet) > most {
				t.Errorf("%d requests for the keys within 50 s, of three clients; at most %d", w.provider.Requests(idtest.KeySet), most)
			}
		}))
	}
}
