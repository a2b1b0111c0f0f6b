package dpop

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/signward/idserver-go/core/internal/jose"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	other := newKey(t)
	withPrivate := strings.TrimSuffix(string(other.public), "}") + `,"d":"AAAA"}`
	good := forge(t, nil, nil)
	tail := good[strings.LastIndexByte(good, '.'):]
	for name, row := range map[string]struct {
		proof string
		edit  func(*Rules)
		want  string // "" is accepted
	}{
		"good":                           {proof: good},
		"with a query":                   {proof: good, edit: func(r *Rules) { r.URL += "?a=b#c" }},
		"a query in htu":                 {proof: forge(t, nil, members{"htu": "https://server.example/token?a=b"})},
		"other letters":                  {proof: forge(t, nil, members{"htu": "HTTPS://SERVER.example:443/token"})},
		"an escape that is not needed":   {proof: forge(t, nil, members{"htu": "https://server.example/%74oken"})},
		"an ath where none is needed":    {proof: forge(t, nil, members{"ath": "x"})},
		"a fraction as iat":              {proof: forge(t, nil, members{"iat": 1893499199.25})},
		"the oldest":                     {proof: forge(t, nil, members{"iat": now.Add(-time.Minute).Unix()})},
		"the newest":                     {proof: forge(t, nil, members{"iat": now.Add(10 * time.Second).Unix()})},
		"its key is the wanted":          {proof: good, edit: func(r *Rules) { r.Thumbprint = jose.Thumbprint(ownKey().Public()) }},
		"with exp":                       {proof: forge(t, nil, members{"exp": now.Add(time.Second).Unix()})},
		"empty":                          {want: "compact JWS"},
		"no JWT":                         {proof: "x", want: "compact JWS"},
		"too long":                       {proof: forge(t, nil, members{"x": strings.Repeat("a", MaxProof)}), want: "longer"},
		"no typ":                         {proof: forge(t, members{"typ": nil}, nil), want: "typ"},
		"another typ":                    {proof: forge(t, members{"typ": "JWT"}, nil), want: "typ"},
		"typ in capitals":                {proof: forge(t, members{"typ": "DPOP+JWT"}, nil), want: "typ"},
		"alg none":                       {proof: forge(t, members{"alg": "none"}, nil), want: "alg"},
		"alg HS256":                      {proof: forge(t, members{"alg": "HS256"}, nil), want: "alg"},
		"alg that is not accepted":       {proof: good, edit: func(r *Rules) { r.Algorithms = []string{"PS256"} }, want: "alg"},
		"alg of another key":             {proof: forge(t, members{"alg": "PS256"}, nil), want: "key"},
		"crit":                           {proof: forge(t, members{"crit": []string{"x"}}, nil), want: "crit"},
		"no jwk":                         {proof: forge(t, members{"jwk": nil}, nil), want: "jwk"},
		"jwk is null":                    {proof: forge(t, members{"jwk": json.RawMessage("null")}, nil), want: "key"},
		"a private jwk":                  {proof: forge(t, members{"jwk": json.RawMessage(withPrivate)}, nil), want: "private"},
		"a symmetric jwk":                {proof: forge(t, members{"jwk": members{"kty": "oct", "k": "AAAA"}}, nil), want: "symmetric"},
		"a point off the curve":          {proof: forge(t, members{"jwk": members{"kty": "EC", "crv": "P-256", "x": "AQ", "y": "AQ"}}, nil), want: "key"},
		"another key in it":              {proof: forge(t, members{"jwk": json.RawMessage(other.public)}, nil), want: "signature"},
		"another key than wanted":        {proof: good, edit: func(r *Rules) { r.Thumbprint = other.Thumbprint() }, want: "jkt"},
		"no signature":                   {proof: strings.TrimSuffix(good, tail) + ".", want: "signature"},
		"claims changed":                 {proof: strings.Join([]string{strings.Split(good, ".")[0], strings.Split(forge(t, nil, members{"jti": "2"}), ".")[1], tail[1:]}, "."), want: "signature"},
		"no jti":                         {proof: forge(t, nil, members{"jti": nil}), want: "jti"},
		"a long jti":                     {proof: forge(t, nil, members{"jti": strings.Repeat("a", maxID+1)}), want: "jti"},
		"a number as jti":                {proof: forge(t, nil, members{"jti": 1}), want: "claims"},
		"no htm":                         {proof: forge(t, nil, members{"htm": nil}), want: "htm"},
		"another method":                 {proof: forge(t, nil, members{"htm": "GET"}), want: "htm"},
		"htm in small letters":           {proof: forge(t, nil, members{"htm": "post"}), want: "htm"},
		"no htu":                         {proof: forge(t, nil, members{"htu": nil}), want: "htu"},
		"another path":                   {proof: forge(t, nil, members{"htu": "https://server.example/Token"}), want: "htu"},
		"a slash more":                   {proof: forge(t, nil, members{"htu": "https://server.example/token/"}), want: "htu"},
		"another port":                   {proof: forge(t, nil, members{"htu": "https://server.example:80/token"}), want: "htu"},
		"another scheme":                 {proof: forge(t, nil, members{"htu": "http://server.example/token"}), want: "htu"},
		"an escaped slash":               {proof: forge(t, nil, members{"htu": "https://server.example%2Ftoken"}), want: "htu"},
		"with a user":                    {proof: forge(t, nil, members{"htu": "https://a@server.example/token"}), want: "htu"},
		"a path alone":                   {proof: forge(t, nil, members{"htu": "/token"}), want: "htu"},
		"no iat":                         {proof: forge(t, nil, members{"iat": nil}), want: "iat"},
		"iat is a text":                  {proof: forge(t, nil, members{"iat": "1893499200"}), want: "claims"},
		"iat is huge":                    {proof: forge(t, nil, members{"iat": 1e300}), want: "iat"},
		"iat below zero":                 {proof: forge(t, nil, members{"iat": -1}), want: "iat"},
		"too old":                        {proof: forge(t, nil, members{"iat": now.Add(-61 * time.Second).Unix()}), want: "long ago"},
		"from the future":                {proof: forge(t, nil, members{"iat": now.Add(11 * time.Second).Unix()}), want: "future"},
		"expired":                        {proof: forge(t, nil, members{"exp": now.Unix()}), want: "expired"},
		"exp is huge":                    {proof: forge(t, nil, members{"exp": 1e300}), want: "exp"},
		"not valid yet":                  {proof: forge(t, nil, members{"nbf": now.Add(time.Minute).Unix()}), want: "not valid yet"},
		"no ath":                         {proof: good, edit: func(r *Rules) { r.AccessToken = "token" }, want: "ath"},
		"ath of another token":           {proof: forge(t, nil, members{"ath": Hash("other")}), edit: func(r *Rules) { r.AccessToken = "token" }, want: "ath"},
		"a path behind the origin":       {proof: good, edit: func(r *Rules) { r.URL, r.Path = "https://server.example", "/token" }},
		"an escape behind the origin":    {proof: good, edit: func(r *Rules) { r.URL, r.Path = "https://server.example", "/%74oken" }},
		"another path behind the origin": {proof: good, edit: func(r *Rules) { r.URL, r.Path = "https://server.example", "/token/" }, want: "htu"},
		"a number as htm":                {proof: forge(t, nil, members{"htm": 1}), want: "claims"},
		"an object as htu":               {proof: forge(t, nil, members{"htu": members{}}), want: "claims"},
		"a number as ath":                {proof: forge(t, nil, members{"ath": 1}), edit: func(r *Rules) { r.AccessToken = "token" }, want: "claims"},
		"a number as nonce":              {proof: forge(t, nil, members{"nonce": 1}), want: "claims"},
		"ath is null":                    {proof: forge(t, nil, members{"ath": json.RawMessage("null")}), edit: func(r *Rules) { r.AccessToken = "token" }, want: "ath"},
		"ath is empty":                   {proof: forge(t, nil, members{"ath": ""}), edit: func(r *Rules) { r.AccessToken = "token" }, want: "ath"},
		"iat is null":                    {proof: forge(t, nil, members{"iat": json.RawMessage("null")}), want: "iat"},
		"iat is a list":                  {proof: forge(t, nil, members{"iat": []int{1}}), want: "claims"},
		"claims are a list":              {proof: forgeText(t, "[]"), want: "claims"},
		"claims are null":                {proof: forgeText(t, "null"), want: "claims"},
		"a claim twice":                  {proof: forgeText(t, `{"jti":"a","jti":"b"}`), want: "twice"},
		"ath":                            {proof: forge(t, nil, members{"ath": Hash("token")}), edit: func(r *Rules) { r.AccessToken = "token" }},
		"a claim twice, by another way":  {proof: forge(t, nil, members{"HTM": "GET"})}, // another name
	} {
		r := rules()
		if row.edit != nil {
			row.edit(&r)
		}
		c, err := Check(row.proof, r)
		switch {
		case row.want == "" && (err != nil || c.ID != "once"):
			t.Errorf("%s: %+v, %v", name, c, err)
		case row.want != "" && (!errors.Is(err, ErrProof) || !strings.Contains(err.Error(), row.want) || c != Checked{}):
			t.Errorf("%s: %+v, %v, want %q", name, c, err, row.want)
		}
	}
}

// What is known of a client's proofs saves work, and decides nothing: another key, another token and other claims are noticed.
func TestKnown(t *testing.T) {
	t.Parallel()
	r := rules()
	r.AccessToken, r.Thumbprint = "token", jose.Thumbprint(ownKey().Public())
	c, err := Check(forge(t, nil, members{"ath": Hash("token")}), r)
	if err != nil || c.Known == nil || c.Known.Size() < len(jose.PublicJWK(ownKey().Public())) {
		t.Fatalf("got %+v, %v", c, err)
	}
	r.Known = c.Known
	again, err := Check(forge(t, nil, members{"ath": Hash("token"), "jti": "2"}), r)
	if err != nil || again.Known != c.Known || again.ID != "2" || again.Thumbprint != r.Thumbprint {
		t.Errorf("got %+v, %v", again, err)
	}
	other := newKey(t)
	byOther, err := Make(other, Proof{Method: r.Method, URL: r.URL, AccessToken: "token", ID: "3", Now: now})
	if err != nil {
		t.Fatal(err)
	}
	good := forge(t, nil, members{"ath": Hash("token")})
	for name, row := range map[string]struct{ proof, want string }{
		"another key":                    {byOther, "jkt"},
		"another key's claims":           {good[:strings.IndexByte(good, '.')] + byOther[strings.IndexByte(byOther, '.'):], "signature"},
		"ath of another token":           {forge(t, nil, members{"ath": Hash("other")}), "ath"},
		"no ath":                         {forge(t, nil, nil), "ath"},
		"another method":                 {forge(t, nil, members{"ath": Hash("token"), "htm": "GET"}), "htm"},
		"the same key, another alg":      {forge(t, members{"alg": "ES384"}, members{"ath": Hash("token")}), "alg"},
		"the same key, in another order": {forge(t, members{"kid": "1"}, members{"ath": Hash("token")}), ""},
	} {
		c, err := Check(row.proof, r)
		if row.want == "" && (err != nil || c.Known == r.Known) || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
			t.Errorf("%s: %+v, %v, want %q", name, c, err, row.want)
		}
	}
	r.Thumbprint, r.AccessToken = "", ""
	if c, err := Check(good, r); err != nil || c.Known != nil {
		t.Errorf("a key that nothing is bound to: %+v, %v", c, err)
	}
	r.Known, r.Thumbprint = nil, jose.Thumbprint(ownKey().Public())
	if c, err := Check(good, r); err != nil || c.Known != nil {
		t.Errorf("without an access token: %+v, %v", c, err)
	}
}

// Other kinds of keys prove as well.
func TestCheckAlgorithms(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.Signer{"PS256": rsaKey, "EdDSA": edKey} {
		signer, err := jose.NewSigner(key, name)
		if err != nil {
			t.Fatal(err)
		}
		proof, err := Make(&Key{signer: signer, public: jose.PublicJWK(signer.Public())}, Proof{Method: "POST", URL: rules().URL, ID: "once", Now: now})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Check(proof, rules()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSameTarget(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		a, b string
		same bool
	}{
		{"https://[2001:DB8::1]:443/a", "https://[2001:db8::1]/a", true},
		{"https://server.example", "https://SERVER.example:/", true},
		{"http://server.example:80", "http://server.example/#x", true},
		{"https://server.example/%2f", "https://server.example/%2F", true},
		{"https://server.example/%41", "https://server.example/A", true},
		{"https://server.example/%2f", "https://server.example//", false},
		{"https://server.example/a/../b", "https://server.example/b", false},
		{"https://server.example/%", "https://server.example/%", false},
		{"ftp://server.example/", "ftp://server.example/", false},
		{"", "", false},
	} {
		if got := sameTarget(row.a, row.b); got != row.same {
			t.Errorf("%s and %s: %v", row.a, row.b, got)
		}
	}
}

// Whatever passes was signed by the key that is in it, and is for this request.
func FuzzCheck(f *testing.F) {
	f.Add(forge(f, nil, nil), "https://server.example/token")
	f.Add(forge(f, nil, members{"nonce": "n", "ath": Hash("token"), "exp": now.Unix() + 1}), "https://server.example/%74oken?x")
	f.Add("a.b.c", "http://[::1]:80")
	own := jose.Thumbprint(ownKey().Public())
	of := rules()
	of.AccessToken, of.Thumbprint = "token", own
	first, err := Check(forge(f, nil, members{"ath": Hash("token")}), of)
	if err != nil {
		f.Fatal(err)
	}
	known := first.Known
	f.Add(forge(f, nil, members{"ath": Hash("token")}), "https://server.example/token")
	f.Fuzz(func(t *testing.T, proof, url string) {
		r := rules()
		r.URL = url
		c, err := Check(proof, r)
		bound := r // what is known of another proof changes nothing
		bound.AccessToken, bound.Thumbprint = "token", own
		_, errUnknown := Check(proof, bound)
		bound.Known = known
		if _, errKnown := Check(proof, bound); (errUnknown == nil) != (errKnown == nil) {
			t.Errorf("%v, and with what is known %v", errUnknown, errKnown)
		}
		if err != nil {
			if c != (Checked{}) || !errors.Is(err, ErrProof) {
				t.Errorf("got %+v, %v", c, err)
			}
			return
		}
		if c.ID == "" || len(c.ID) > maxID || c.Issued.Before(now.Add(-time.Minute)) {
			t.Errorf("got %+v", c)
		}
		r.Thumbprint = jose.Thumbprint(newKey(t).signer.Public())
		if _, err := Check(proof, r); err == nil {
			t.Error("it is good for any key")
		}
	})
}
