package jose

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/signward/idserver-go/core/internal/strictjson"
)

func TestParseSet(t *testing.T) {
	var (
		rsaJWK  = jwkOf(rsaKey().Public())
		p256JWK = jwkOf(p256Key().Public())
		p384JWK = jwkOf(p384Key().Public())
		p521JWK = jwkOf(p521Key().Public())
		edJWK   = jwkOf(edwards().Public())
	)
	type algorithms = []string
	for name, row := range map[string]struct {
		key     webKey
		allowed algorithms
		public  crypto.PublicKey
		want    algorithms
	}{
		"RSA":                         {rsaJWK, nil, rsaKey().Public(), algorithms{"RS256"}},
		"RSA, a large exponent":       {rsaJWK.with("e", b64([]byte{0x7f, 0xff, 0xff, 0xff})), nil, &rsa.PublicKey{N: rsaKey().N, E: 1<<31 - 1}, algorithms{"RS256"}},
		"RSA, exponent 3":             {rsaJWK.with("e", "Aw"), nil, &rsa.PublicKey{N: rsaKey().N, E: 3}, algorithms{"RS256"}},
		"P-256":                       {p256JWK, nil, p256Key().Public(), algorithms{"ES256"}},
		"P-384":                       {p384JWK, nil, p384Key().Public(), algorithms{"ES384"}},
		"P-521":                       {p521JWK, nil, p521Key().Public(), algorithms{"ES512"}},
		"Ed25519":                     {edJWK, nil, edwards().Public(), algorithms{"EdDSA", "Ed25519"}},
		"its own alg":                 {rsaJWK.with("alg", "PS384"), nil, rsaKey().Public(), algorithms{"PS384"}},
		"its own alg, RS512":          {rsaJWK.with("alg", "RS512"), nil, rsaKey().Public(), algorithms{"RS512"}},
		"alg EdDSA has two names":     {edJWK.with("alg", "EdDSA"), nil, edwards().Public(), algorithms{"EdDSA", "Ed25519"}},
		"alg Ed25519 has two names":   {edJWK.with("alg", "Ed25519"), nil, edwards().Public(), algorithms{"EdDSA", "Ed25519"}},
		"allowed instead of a type":   {rsaJWK, algorithms{"PS256", "ES256", "RS512"}, rsaKey().Public(), algorithms{"PS256", "RS512"}},
		"allowed, and its own alg":    {rsaJWK.with("alg", "RS256"), algorithms{"RS256", "PS256"}, rsaKey().Public(), algorithms{"RS256"}},
		"allowed under one name":      {edJWK.with("alg", "EdDSA"), algorithms{"Ed25519"}, edwards().Public(), algorithms{"Ed25519"}},
		"use sig":                     {rsaJWK.with("use", "sig"), nil, rsaKey().Public(), algorithms{"RS256"}},
		"key_ops verify":              {rsaJWK.with("key_ops", algorithms{"verify"}), nil, rsaKey().Public(), algorithms{"RS256"}},
		"key_ops verify among others": {rsaJWK.with("key_ops", algorithms{"sign", "verify"}), nil, rsaKey().Public(), algorithms{"RS256"}},
		"x5c a string":                {rsaJWK.with("x5c", "MIIB"), nil, rsaKey().Public(), algorithms{"RS256"}},
		"x5c of things":               {p256JWK.with("x5c", []any{1, nil}), nil, p256Key().Public(), algorithms{"ES256"}},
		"x5t of wrong types":          {edJWK.with("x5t", 1).with("x5t#S256", []string{}).with("x5u", true), nil, edwards().Public(), algorithms{"EdDSA", "Ed25519"}},
		"numbers of another type":     {rsaJWK.with("x", 1).with("crv", []int{}), nil, rsaKey().Public(), algorithms{"RS256"}},
		"unknown members":             {rsaJWK.with("issuer", "https://id.example").with("exp", 1), nil, rsaKey().Public(), algorithms{"RS256"}},
		"a member in other case":      {rsaJWK.with("USE", "enc"), nil, rsaKey().Public(), algorithms{"RS256"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, id := range []string{"", "1"} {
				element := row.key
				if id != "" {
					element = element.with("kid", id)
				}
				keys := parsed(t, row.allowed, element)
				if len(keys) != 1 || keys[0].ID != id || !slices.Equal(keys[0].Algorithms, row.want) {
					t.Fatalf("got %+v, want kid %q with %v", keys, id, row.want)
				}
				if !reflect.DeepEqual(keys[0].Public, row.public) {
					t.Errorf("the key is %v, want %v", keys[0].Public, row.public)
				}
			}
		})
	}
}

// A key that cannot be used is left out, and never spoils the good ones around it.
func TestParseSetLeavesOut(t *testing.T) {
	var (
		rsaJWK  = jwkOf(rsaKey().Public())
		p256JWK = jwkOf(p256Key().Public())
		p384JWK = jwkOf(p384Key().Public())
		edJWK   = jwkOf(edwards().Public())
		private = rsaJWK.with("d", b64(rsaKey().D.Bytes()))
	)
	number := func(bits int, last uint64) string { // of that many bits, and odd if last is
		n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
		return b64(n.Add(n, new(big.Int).SetUint64(last)).Bytes())
	}
	offCurve := must(base64.RawURLEncoding.DecodeString(p256JWK["y"].(string)))
	offCurve[31] ^= 1
	for name, row := range map[string]struct {
		element any
		allowed []string
		why     string
	}{
		"null":                         {nil, nil, ""},
		"a number":                     {4711, nil, "wanted"},
		"a string":                     {"RSA", nil, "wanted"},
		"an array":                     {[]any{}, nil, "wanted"},
		"an empty object":              {webKey{}, nil, "understood"},
		"no kty":                       {rsaJWK.with("kty", nil), nil, "understood"},
		"unknown kty":                  {rsaJWK.with("kty", "AKP"), nil, "understood"},
		"kty in lower case":            {rsaJWK.with("kty", "rsa"), nil, "understood"},
		"kty a number":                 {rsaJWK.with("kty", 1), nil, "wanted"},
		"kid a number":                 {rsaJWK.with("kid", 1), nil, "wanted"},
		"alg a number":                 {rsaJWK.with("alg", 1), nil, "wanted"},
		"symmetric":                    {webKey{"kty": "oct", "k": b64(make([]byte, 32))}, nil, "symmetric"},
		"symmetric, as RS256":          {webKey{"kty": "oct", "k": b64(make([]byte, 32)), "alg": "RS256"}, nil, "symmetric"},
		"symmetric, its HMAC allowed":  {webKey{"kty": "oct", "k": b64(make([]byte, 32)), "alg": "HS256"}, []string{"HS256"}, "symmetric"},
		"private RSA":                  {private, nil, "private"},
		"private RSA, whole":           {private.with("p", b64(rsaKey().Primes[0].Bytes())).with("q", b64(rsaKey().Primes[1].Bytes())), nil, "private"},
		"private EC":                   {p256JWK.with("d", b64(must(p256Key().Bytes()))), nil, "private"},
		"private Ed25519":              {edJWK.with("d", b64(edwards().Seed())), nil, "private"},
		"d empty":                      {rsaJWK.with("d", ""), nil, "private"},
		"d null":                       {rsaJWK.with("d", strictjson.Raw("null")), nil, "private"},
		"use enc":                      {rsaJWK.with("use", "enc"), nil, "use"},
		"use SIG":                      {rsaJWK.with("use", "SIG"), nil, "use"},
		"key_ops without verify":       {rsaJWK.with("key_ops", []string{"sign", "encrypt"}), nil, "key_ops"},
		"key_ops empty":                {rsaJWK.with("key_ops", []string{}), nil, "key_ops"},
		"key_ops a string":             {rsaJWK.with("key_ops", "verify"), nil, "wanted"},
		"RSA without n":                {rsaJWK.with("n", nil), nil, "understood"},
		"RSA without e":                {rsaJWK.with("e", nil), nil, "understood"},
		"RSA, n not base64url":         {rsaJWK.with("n", "!"), nil, "understood"},
		"RSA 1024":                     {rsaJWK.with("n", number(1024, 1)), nil, "1024 bits"},
		"RSA 2047":                     {rsaJWK.with("n", number(2047, 1)), nil, "2047 bits"},
		"RSA 16385":                    {rsaJWK.with("n", number(16385, 1)), nil, "16385 bits"},
		"RSA 1024 with zeros before":   {rsaJWK.with("n", b64(append(make([]byte, 128), must(base64.RawURLEncoding.DecodeString(number(1024, 1)))...))), nil, "1024 bits"},
		"RSA, even modulus":            {rsaJWK.with("n", number(2048, 2)), nil, "modulus"},
		"RSA, exponent 0":              {rsaJWK.with("e", "AA"), nil, "exponent"},
		"RSA, exponent 1":              {rsaJWK.with("e", "AQ"), nil, "exponent"},
		"RSA, exponent 2":              {rsaJWK.with("e", "Ag"), nil, "exponent"},
		"RSA, even exponent":           {rsaJWK.with("e", b64([]byte{1, 0, 0})), nil, "exponent"},
		"RSA, exponent beyond 31 bits": {rsaJWK.with("e", b64([]byte{0x80, 0, 0, 1})), nil, "exponent"},
		"RSA, exponent beyond 64 bits": {rsaJWK.with("e", number(65, 65537)), nil, "exponent"}, // 65537 when cut off
		"RSA for ES256":                {rsaJWK.with("alg", "ES256"), nil, "no accepted algorithm"},
		"RSA for EdDSA":                {rsaJWK.with("alg", "EdDSA"), nil, "no accepted algorithm"},
		"RSA for HS256":                {rsaJWK.with("alg", "HS256"), nil, "no accepted algorithm"},
		"RSA for HS256, allowed":       {rsaJWK.with("alg", "HS256"), []string{"HS256", "RS256"}, "no accepted algorithm"},
		"RSA for encryption":           {rsaJWK.with("alg", "RSA-OAEP"), nil, "no accepted algorithm"},
		"alg none":                     {rsaJWK.with("alg", "none"), nil, "no accepted algorithm"},
		"alg none, allowed":            {rsaJWK.with("alg", "none"), []string{"none"}, "no accepted algorithm"},
		"alg in lower case":            {rsaJWK.with("alg", "rs256"), nil, "no accepted algorithm"},
		"EC for RS256":                 {p256JWK.with("alg", "RS256"), nil, "no accepted algorithm"},
		"P-256 for ES384":              {p256JWK.with("alg", "ES384"), nil, "no accepted algorithm"},
		"P-384 for ES256":              {p384JWK.with("alg", "ES256"), nil, "no accepted algorithm"},
		"Ed25519 for ES256":            {edJWK.with("alg", "ES256"), nil, "no accepted algorithm"},
		"Ed25519 for Ed448":            {edJWK.with("alg", "Ed448"), nil, "no accepted algorithm"},
		"its alg is not allowed":       {rsaJWK.with("alg", "RS512"), []string{"RS256"}, "no accepted algorithm"},
		"its type is not allowed":      {p256JWK, []string{"RS256"}, "no accepted algorithm"},
		"EC without x":                 {p256JWK.with("x", nil), nil, ""},
		"EC without crv":               {p256JWK.with("crv", nil), nil, "understood"},
		"EC, unknown curve":            {p256JWK.with("crv", "brainpoolP256r1"), nil, "understood"},
		"EC, another curve":            {p256JWK.with("crv", "P-384"), nil, ""},
		"EC, a point off the curve":    {p256JWK.with("y", b64(offCurve)), nil, "EC"},
		"EC, the point at infinity":    {p256JWK.with("x", b64(make([]byte, 32))).with("y", b64(make([]byte, 32))), nil, "EC"},
		"EC, x longer than the field":  {p256JWK.with("x", "AQ"+strings.Repeat("A", 42)), nil, ""},
		"secp256k1": {webKey{
			"kty": "EC", "crv": "secp256k1", // its generator, SEC 2 section 2.4.1
			"x": "eb5mfvncu6xVoGKVzocLBwKb_NstzijZWfKBWxb4F5g", "y": "SDradyajxGVdpPv8DhEIqP0XtEimhVQZnEfQj_sQ1Lg",
		}, nil, "understood"},
		"X25519":             {edJWK.with("crv", "X25519"), nil, ""},
		"Ed448":              {edJWK.with("crv", "Ed448"), nil, "understood"},
		"Ed25519, too short": {edJWK.with("x", b64(make([]byte, 31))), nil, ""},
		"Ed25519, too long":  {edJWK.with("x", b64(make([]byte, 33))), nil, ""},
		"a member twice":     {strictjson.Raw(`{"kty":"OKP","kty":"OKP","crv":"Ed25519","x":"` + edJWK["x"].(string) + `"}`), nil, "twice"},
		"deep inside":        {webKey{"kty": "RSA", "x": strictjson.Raw(strings.Repeat("[", 20) + strings.Repeat("]", 20))}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			good := []any{rsaJWK.with("kid", "before"), p256JWK.with("kid", "between"), edJWK.with("kid", "after")}
			alone := setOf(row.element)
			if raw, ok := row.element.(strictjson.Raw); ok { // encoding/json would refuse or mend it
				alone = []byte(`{"keys":[` + string(raw) + `]}`)
			}
			keys, skipped, err := ParseSet(alone, row.allowed)
			if err != nil || len(keys) != 0 || len(skipped) != 1 || !holds(skipped[0], "key 0: ") || !holds(skipped[0], row.why) {
				t.Fatalf("alone: got %+v, skipped %v, %v, want it skipped with %q", keys, skipped, err, row.why)
			}

			element := bytes.TrimSuffix(bytes.TrimPrefix(alone, []byte(`{"keys":[`)), []byte("]}"))
			among := bytes.Replace(setOf(good[0], good[1], 4711, good[2]), []byte("4711"), element, 1)
			keys, skipped, err = ParseSet(among, nil)
			var ids []string
			for _, key := range keys {
				ids = append(ids, key.ID)
			}
			if row.allowed != nil { // without the list it may be a good key
				ids = slices.DeleteFunc(ids, func(id string) bool { return id == "" })
			} else if len(skipped) != 1 || !holds(skipped[0], "key 2: ") {
				t.Errorf("among others: skipped %v", skipped)
			}
			if err != nil || !slices.Equal(ids, []string{"before", "between", "after"}) {
				t.Errorf("among others: got %q, %v", ids, err)
			}
		})
	}
}

func TestParseSetRefuses(t *testing.T) {
	good := string(setOf(jwkOf(edwards().Public())))
	for name, in := range map[string]string{
		"empty":                ``,
		"HTML":                 `<!doctype html><title>Gateway</title>`,
		"null":                 `null`,
		"an array":             `[]`,
		"one key, no set":      string(must(strictjson.Marshal(jwkOf(edwards().Public())))),
		"no keys":              `{}`,
		"Keys":                 strings.Replace(good, "keys", "Keys", 1),
		"keys null":            `{"keys":null}`,
		"keys an object":       `{"keys":{}}`,
		"keys a string":        `{"keys":"[]"}`,
		"keys twice":           strings.TrimSuffix(good, "}") + `,"keys":[]}`,
		"keys twice, escaped":  strings.TrimSuffix(good, "}") + `,"\u006beys":[]}`,
		"cut":                  strings.TrimSuffix(good, "]}"),
		"cut in a key":         good[:len(good)/2],
		"something after":      good + good,
		"a comma too many":     strings.Replace(good, "]", ",]", 1),
		"a byte order mark":    "\ufeff" + good,
		"nested very deep":     `{"keys":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}`,
		"broken in another":    `{"x":tru,"keys":[]}`,
		"a PEM of a key":       "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
		"an object's end only": `}`,
	} {
		t.Run(name, func(t *testing.T) {
			keys, skipped, err := ParseSet([]byte(in), nil)
			if err == nil || keys != nil || skipped != nil {
				t.Errorf("got %+v, skipped %v, %v, want an error alone", keys, skipped, err)
			}
		})
	}
}

// A key that nests deeper than any does is left out, and does not spoil the others.
func TestParseSetWithADeepKey(t *testing.T) {
	deep := `{"kty":"RSA","x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`
	good := string(setOf(jwkOf(edwards().Public())))
	keys, skipped, err := ParseSet([]byte(strings.Replace(good, "[", "["+deep+",", 1)), nil)
	if err != nil || len(keys) != 1 || len(skipped) != 1 {
		t.Errorf("got %+v, skipped %v, %v, want the good key", keys, skipped, err)
	}
}

func TestParseEmptySet(t *testing.T) {
	for _, in := range []string{`{"keys":[]}`, ` { "issuer" : "x", "keys" : [ ] } `} {
		keys, skipped, err := ParseSet([]byte(in), nil)
		if len(keys) != 0 || len(skipped) != 0 || err != nil {
			t.Errorf("%s: got %+v, skipped %v, %v", in, keys, skipped, err)
		}
	}
}

// What a key may do is its own: changing one's algorithms changes neither another's nor the caller's list.
func TestParseSetSharesNothing(t *testing.T) {
	allowed := []string{"RS256", "PS256"}
	keys := parsed(t, allowed, jwkOf(rsaKey().Public()), jwkOf(rsaKey().Public()))
	keys[0].Algorithms[0] = "none"
	if !slices.Equal(allowed, []string{"RS256", "PS256"}) || !slices.Equal(keys[1].Algorithms, allowed) {
		t.Errorf("the list is %v, the other key has %v", allowed, keys[1].Algorithms)
	}
}

func TestSelect(t *testing.T) {
	type keys = []Key
	key := func(id, mark string, algorithms ...string) Key {
		return Key{ID: id, Public: mark, Algorithms: algorithms}
	}
	var (
		rsa1, rsa2 = key("1", "rsa1", "RS256"), key("2", "rsa2", "RS256")
		ec1, ed1   = key("1", "ec1", "ES256"), key("1", "ed1", "EdDSA", "Ed25519")
		both       = key("1", "both", "RS256", "PS256")
		nameless   = key("", "nameless", "RS256")
	)
	const none = "\x00" // no kid
	for name, row := range map[string]struct {
		keys     keys
		alg, kid string
		want     string // the mark
		err      error
	}{
		"kid and alg":                      {keys{rsa1, rsa2}, "RS256", "2", "rsa2", nil},
		"the same kid on RSA and EC, RSA":  {keys{rsa1, ec1, ed1}, "RS256", "1", "rsa1", nil},
		"the same kid on RSA and EC, EC":   {keys{rsa1, ec1, ed1}, "ES256", "1", "ec1", nil},
		"the same kid, EdDSA":              {keys{rsa1, ec1, ed1}, "EdDSA", "1", "ed1", nil},
		"the same kid, Ed25519":            {keys{rsa1, ec1, ed1}, "Ed25519", "1", "ed1", nil},
		"the second of its algorithms":     {keys{ec1, both}, "PS256", "1", "both", nil},
		"the same kid and alg twice":       {keys{rsa1, both}, "RS256", "1", "", ErrAmbiguous},
		"two keys of one kid and alg":      {keys{rsa1, key("1", "rsa3", "RS256")}, "RS256", "1", "", ErrAmbiguous},
		"no kid, one key":                  {keys{rsa1}, "RS256", none, "rsa1", nil},
		"no kid, one fits":                 {keys{ec1, rsa2, ed1}, "RS256", none, "rsa2", nil},
		"no kid, the only key has none":    {keys{nameless}, "RS256", none, "nameless", nil},
		"no kid, two fit":                  {keys{rsa1, rsa2}, "RS256", none, "", ErrAmbiguous},
		"no kid, two fit, one has none":    {keys{rsa1, nameless}, "RS256", none, "", ErrAmbiguous},
		"no kid, none fits":                {keys{rsa1, rsa2}, "ES256", none, "", ErrAlgorithm},
		"no kid, no keys":                  {keys{}, "RS256", none, "", ErrUnknownKey},
		"an unknown kid":                   {keys{rsa1, rsa2}, "RS256", "3", "", ErrUnknownKey},
		"kid in other case":                {keys{key("a", "a", "RS256")}, "RS256", "A", "", ErrUnknownKey},
		"kid with a space":                 {keys{rsa1}, "RS256", "1 ", "", ErrUnknownKey},
		"kid, and the only key has none":   {keys{nameless}, "RS256", "1", "", ErrUnknownKey},
		"kid empty, and keys have one":     {keys{rsa1}, "RS256", "", "", ErrUnknownKey},
		"kid empty, and a key has none":    {keys{rsa1, nameless}, "RS256", "", "nameless", nil},
		"the kid's key is of another type": {keys{ec1, rsa2}, "RS256", "1", "", ErrAlgorithm},
		"the kid's key has another alg":    {keys{rsa1}, "RS512", "1", "", ErrAlgorithm},
		"alg none":                         {keys{rsa1}, "none", "1", "", ErrAlgorithm},
		"alg none, no kid":                 {keys{rsa1}, "none", none, "", ErrAlgorithm},
		"alg none, unknown kid":            {keys{rsa1}, "none", "3", "", ErrAlgorithm},
		"alg none, no keys":                {keys{}, "none", none, "", ErrAlgorithm},
		"HS256":                            {keys{rsa1}, "HS256", "1", "", ErrAlgorithm},
		"HS256, unknown kid":               {keys{rsa1}, "HS256", "3", "", ErrAlgorithm},
		"no alg":                           {keys{rsa1}, "", "1", "", ErrAlgorithm},
		"no alg, no kid, no keys":          {keys{}, "", none, "", ErrAlgorithm},
		"alg in lower case":                {keys{rsa1}, "rs256", "1", "", ErrAlgorithm},
		"alg of encryption":                {keys{rsa1}, "RSA-OAEP", "1", "", ErrAlgorithm},
	} {
		t.Run(name, func(t *testing.T) {
			h := Header{Algorithm: row.alg}
			if row.kid != none {
				h.KeyID = &row.kid
			}
			got, err := Select(row.keys, h)
			if !errors.Is(err, row.err) || (err == nil) != (row.err == nil) {
				t.Fatalf("got %v, %v, want %v", got, err, row.err)
			}
			if (got != nil) != (err == nil) || got != nil && got.Public != row.want {
				t.Errorf("got key %v, want %q", got, row.want)
			}
		})
	}
}

// A key that is listed twice is one key, also in entries that differ in use, alg, kid or certificate; another one beside it is
// another.
func TestSelectAmongEqualKeys(t *testing.T) {
	a := jwkOf(rsaKey().Public()).with("kid", "1")
	b := jwkOf(must(rsa.GenerateKey(rand.Reader, 2048)).Public()).with("kid", "1")
	ed := jwkOf(edwards().Public()).with("kid", "1")
	for name, row := range map[string]struct {
		set      []any
		alg, kid string
		err      error
	}{
		"twice":                       {[]any{a, a}, "RS256", "1", nil},
		"three times":                 {[]any{a, a, a}, "RS256", "1", nil},
		"twice, Ed25519":              {[]any{ed, ed}, "EdDSA", "1", nil},
		"another use":                 {[]any{a.with("use", "sig"), a}, "RS256", "1", nil},
		"for encryption as well":      {[]any{a.with("use", "enc"), a}, "RS256", "1", nil},
		"another alg":                 {[]any{a.with("alg", "RS256"), a.with("alg", "PS256")}, "PS256", "1", nil},
		"alg and none":                {[]any{a.with("alg", "RS256"), a}, "RS256", "1", nil},
		"another x5t":                 {[]any{a.with("x5t", "a"), a.with("x5t", "b")}, "RS256", "1", nil},
		"two kids, and none is named": {[]any{a, a.with("kid", "2"), a.with("kid", nil)}, "RS256", "", nil},
		"two keys":                    {[]any{a, b}, "RS256", "1", ErrAmbiguous},
		"two keys, one twice":         {[]any{a, b, a}, "RS256", "1", ErrAmbiguous},
		"two keys, the other twice":   {[]any{a, b, b}, "RS256", "1", ErrAmbiguous},
	} {
		t.Run(name, func(t *testing.T) {
			keys, _, err := ParseSet(setOf(row.set...), nil)
			if err != nil {
				t.Fatal(err)
			}
			h := Header{Algorithm: row.alg, KeyID: &row.kid}
			if row.kid == "" {
				h.KeyID = nil
			}
			if key, err := Select(keys, h); !errors.Is(err, row.err) || (key == nil) != (row.err != nil) {
				t.Errorf("got %v, %v, want %v", key, err, row.err)
			}
		})
	}
}

func TestAdmissible(t *testing.T) {
	set := parsed(t, nil, jwkOf(rsaKey().Public()).with("kid", "plain"), jwkOf(rsaKey().Public()).with("kid", "named").with("alg", "RS256"), jwkOf(p256Key().Public()).with("kid", "ec"))
	for _, row := range []struct {
		alg, kid string
		want     bool
	}{
		{"PS256", "plain", true}, {"RS512", "plain", true}, {"PS256", "named", false}, {"PS256", "ec", false}, {"PS256", "other", false},
		{"HS256", "plain", false}, {"none", "plain", false}, {"ES384", "ec", false},
	} {
		if got := Admissible(set, Header{Algorithm: row.alg, KeyID: &row.kid}); got != row.want {
			t.Errorf("%s with %s: %t", row.alg, row.kid, got)
		}
	}
	if !Admissible(set, Header{Algorithm: "PS256"}) {
		t.Error("PS256 without a kid")
	}
}

// Others are those of the same type and algorithm, and at most eight.
func TestOthers(t *testing.T) {
	elements := []any{jwkOf(rsaKey().Public()).with("kid", "rsa")}
	for n := range 12 {
		seed := bytes.Repeat([]byte{byte(n + 1)}, ed25519.SeedSize)
		elements = append(elements, jwkOf(ed25519.NewKeyFromSeed(seed).Public()).with("kid", "ed"))
	}
	set := parsed(t, nil, elements...)
	others := Others(set, &set[1], "EdDSA")
	if len(others) != 8 || slices.ContainsFunc(others, func(k Key) bool { return k.ID != "ed" || k.Same(&set[1]) }) {
		t.Errorf("got %v", others)
	}
	if others := Others(set, &set[0], "RS256"); len(others) != 0 {
		t.Errorf("beside the only RSA key there are %v", others)
	}
}

// FuzzParseSet: what comes out of a set can be verified with, whatever went in.
func FuzzParseSet(f *testing.F) {
	for _, public := range []crypto.PublicKey{rsaKey().Public(), p256Key().Public(), p384Key().Public(), p521Key().Public(), edwards().Public()} {
		f.Add(setOf(jwkOf(public)), "")
		f.Add(setOf(jwkOf(public).with("kid", "1").with("use", "sig").with("alg", "RS256"), nil, webKey{}), "RS256 ES256 EdDSA")
	}
	f.Add(setOf(webKey{"kty": "oct", "k": "AAAA", "alg": "HS256"}), "HS256")
	f.Add(setOf(jwkOf(rsaKey().Public()).with("e", "gAAAAQ")), "PS512 none")
	f.Add([]byte(`{"keys":[],"keys":[]}`), "")
	f.Fuzz(func(t *testing.T, document []byte, list string) {
		allowed := strings.Fields(list)
		keys, skipped, err := ParseSet(document, allowed)
		if err != nil {
			if keys != nil || skipped != nil {
				t.Fatalf("%v, and yet keys %v, skipped %v", err, keys, skipped)
			}
			return
		}
		elements, err := strictjson.Elements(document, "keys")
		if err != nil || len(keys)+len(skipped) != len(elements) {
			t.Fatalf("%d keys and %d skipped of %d, %v", len(keys), len(skipped), len(elements), err)
		}
		for _, key := range keys {
			checkUsable(t, key, allowed)
		}
		again, _, err := ParseSet(document, allowed)
		if err != nil || !reflect.DeepEqual(again, keys) {
			t.Errorf("read again it is %v, %v", again, err)
		}
	})
}

// checkUsable holds a key against what Go's library demands, and verifies with it what nobody can have signed.
func checkUsable(t *testing.T, key Key, allowed []string) {
	t.Helper()
	var size int
	switch public := key.Public.(type) {
	case *rsa.PublicKey:
		size = public.Size()
		if bits := public.N.BitLen(); bits < 2048 || bits > 16384 || public.N.Bit(0) == 0 || public.E < 3 || public.E > 1<<31-1 || public.E%2 == 0 {
			t.Errorf("an RSA key of %d bits with exponent %d", bits, public.E)
		}
	case *ecdsa.PublicKey:
		size = 2 * ((public.Params().BitSize + 7) / 8)
		if _, err := public.Bytes(); err != nil {
			t.Errorf("an EC key: %v", err)
		}
	case ed25519.PublicKey:
		if size = ed25519.SignatureSize; len(public) != ed25519.PublicKeySize {
			t.Errorf("an Ed25519 key of %d bytes", len(public))
		}
	default:
		t.Fatalf("a key of type %T", public)
	}
	if len(key.Algorithms) == 0 {
		t.Error("a key without algorithms")
	}
	for _, name := range key.Algorithms {
		if !Known(name) || strings.HasPrefix(name, "HS") || len(allowed) > 0 && !slices.Contains(allowed, name) {
			t.Errorf("a key for %q", name)
		}
		m := &Message{Header: Header{Algorithm: name}, signed: []byte("x"), signature: bytes.Repeat([]byte{0xff}, size)}
		if err := m.Verify(&key); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: verifying says %v", name, err)
		}
	}
}
