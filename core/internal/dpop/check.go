package dpop

import (
	"crypto/subtle"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/signward/idserver-go/core/internal/jose"
	"github.com/signward/idserver-go/core/internal/strictjson"
)

// Rules are what a proof must be for.
type Rules struct {
	Method      string
	URL         string   // of the request, as its sender knows it; query and fragment do not count
	Path        string   // that belongs behind URL, if that is an origin alone; escaped, and without query
	AccessToken string   // that came with the proof; "": none, and the proof may have any ath
	Thumbprint  string   // of the key that the token or code is bound to; "": any
	Algorithms  []string // that are accepted
	Now         time.Time
	MaxAge      time.Duration // of the proof
	MaxAhead    time.Duration // how far ahead its maker's clock may be
	Known       *Known        // of another proof with the same AccessToken and Thumbprint, or nil
}

// Checked is what a proof says that its caller must look at.
type Checked struct {
	Thumbprint string // of the key
	ID         string // jti: a proof is good once
	Nonce      string // "" if there is none
	Issued     time.Time
	Known      *Known // for the next proof; only with an access token and the thumbprint that it is bound to
}

// Known is what the proofs that one client makes for one access token have in common: the header with the key, and the hash of the
// token. Who remembers it saves the most part of checking the next one, but for the signature.
type Known struct {
	embedded         *jose.Embedded
	thumbprint, hash string
}

// Size is about what it takes in memory, in bytes.
func (k *Known) Size() int { return 640 + k.embedded.Len() }

// messages hold memory, which is reused.
var messages = sync.Pool{New: func() any { return new(jose.Message) }}

// Check checks a proof, RFC 9449 section 4.3, but for its nonce and whether it was used before. The cheap comes first: no
// signature is verified of a proof that would be refused anyway. The error wraps ErrProof, and contains nothing of the proof.
func Check(proof string, r Rules) (Checked, error) {
	m := messages.Get().(*jose.Message)
	defer messages.Put(m)
	known := r.Known
	var before *jose.Embedded
	if known != nil {
		before = known.embedded
	}
	if err := m.ParseEmbedded(MaxProof, proof, before); err != nil {
		return Checked{}, refuse("%w", err)
	}
	if m.Header.Type != Type {
		return Checked{}, refuse("its typ is not %s", Type)
	}
	if !slices.Contains(r.Algorithms, m.Header.Algorithm) {
		return Checked{}, refuse("its alg is not one of %q", r.Algorithms)
	}
	hash := ""
	switch {
	case r.AccessToken == "":
	case known != nil && known.hash != "":
		hash = known.hash
	default:
		hash = Hash(r.AccessToken)
	}
	checked, err := r.claims(m.Payload, hash)
	if err != nil {
		return Checked{}, err
	}
	embedded, err := m.Embedded(before)
	if err != nil {
		return Checked{}, refuse("its key: %w", err)
	}
	if embedded != before {
		known = &Known{embedded, jose.Thumbprint(embedded.Key.Public), hash}
	}
	if r.Thumbprint != "" && !equal(known.thumbprint, r.Thumbprint) {
		return Checked{}, refuse("it was made with another key (jkt)")
	}
	if err := m.Verify(&embedded.Key); err != nil {
		return Checked{}, refuse("%w", err)
	}
	checked.Thumbprint = known.thumbprint
	if r.Thumbprint != "" && hash != "" {
		checked.Known = known
	}
	return checked, nil
}

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrProof, fmt.Errorf(format, args...))
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// maxID limits the length of a jti: whoever remembers it must not be made to remember much.
const maxID = 256

// said is what a proof says. A member that is null is none.
type said struct {
	id, method, target, hash, nonce string
	issued, expires, from           time.Time
	hasHash, hasIssued, ends        bool
	begins                          bool
	odd                             string // the name of a member of another type, or of a time that is none
}

func (c *said) read(name, value string) {
	if value == "null" {
		return
	}
	text := func(to *string) {
		var ok bool
		if *to, ok = strictjson.String(value); !ok {
			c.odd = name
		}
	}
	moment := func(to *time.Time) {
		var ok bool
		if *to, ok = at(value); !ok {
			c.odd = name
		}
	}
	switch name {
	case "jti":
		text(&c.id)
	case "htm":
		text(&c.method)
	case "htu":
		text(&c.target)
	case "ath":
		text(&c.hash)
		c.hasHash = true
	case "nonce":
		text(&c.nonce)
	case "iat":
		moment(&c.issued)
		c.hasIssued = true
	case "exp":
		moment(&c.expires)
		c.ends = true
	case "nbf":
		moment(&c.from)
		c.begins = true
	}
}

// claims checks what the proof says. hash is the ath that it must have.
func (r *Rules) claims(payload []byte, hash string) (Checked, error) {
	var c said
	if err := strictjson.EachMember(payload, c.read); err != nil {
		return Checked{}, refuse("its claims: %w", err)
	}
	switch {
	case c.odd != "":
		return Checked{}, refuse("its claims: %s is not of its type, or no time", c.odd)
	case c.id == "" || len(c.id) > maxID:
		return Checked{}, refuse("its jti is missing, or longer than %d bytes", maxID)
	case c.method != r.Method:
		return Checked{}, refuse("its htm is not the request's method")
	case !r.isFor(c.target):
		return Checked{}, refuse("its htu is not the request's URL, which is %q", withoutQuery(r.URL+r.Path))
	case !c.hasIssued:
		return Checked{}, refuse("its iat is missing")
	case c.issued.After(r.Now.Add(r.MaxAhead)):
		return Checked{}, refuse("its iat is in the future")
	case c.issued.Before(r.Now.Add(-r.MaxAge)):
		return Checked{}, refuse("its iat is too long ago")
	case c.ends && !r.Now.Before(c.expires):
		return Checked{}, refuse("it has expired")
	case c.begins && r.Now.Add(r.MaxAhead).Before(c.from):
		return Checked{}, refuse("it is not valid yet")
	case r.AccessToken != "" && (!c.hasHash || !equal(c.hash, hash)):
		return Checked{}, refuse("its ath is not that of the access token")
	}
	return Checked{ID: c.id, Nonce: c.nonce, Issued: c.issued}, nil
}

// maxSeconds is the year 9999: arithmetic with later times could overflow.
const maxSeconds = 253402300799

// at reads a NumericDate (RFC 7519 section 2). value is JSON.
func at(value string) (time.Time, bool) {
	seconds, err := strconv.ParseFloat(value, 64)
	if err != nil || !(seconds >= 0 && seconds <= maxSeconds) {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(seconds * 1000)), true
}

// isFor reports whether htu is the URL of the request. Most are written as the server writes it.
func (r *Rules) isFor(htu string) bool {
	if r.Path != "" && strings.HasPrefix(htu, r.URL) && htu[len(r.URL):] == r.Path && !strings.ContainsAny(r.Path, "%?#") {
		return true
	}
	return sameTarget(htu, r.URL+r.Path)
}

func withoutQuery(raw string) string {
	if i := strings.IndexAny(raw, "?#"); i >= 0 {
		return raw[:i]
	}
	return raw
}

// sameTarget compares two URLs without query and fragment, as RFC 3986 sections 6.2.2 and 6.2.3 normalize them.
func sameTarget(claimed, actual string) bool {
	a, ok := normalized(claimed)
	if !ok {
		return false
	}
	b, ok := normalized(actual)
	return ok && a == b
}

func normalized(raw string) (string, bool) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return "", false
	}
	host := strings.ToLower(u.Host) // url.Parse has lowered the scheme
	if port := u.Port(); port == "" || u.Scheme == "http" && port == "80" || u.Scheme == "https" && port == "443" {
		host = strings.TrimSuffix(strings.TrimSuffix(host, port), ":")
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	return u.Scheme + "://" + host + normalizedPath(path), true
}

// normalizedPath decodes escaped characters that need no escape, and writes the others in capitals.
func normalizedPath(path string) string {
	if strings.IndexByte(path, '%') < 0 {
		return path
	}
	var out strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] != '%' || i+2 >= len(path) {
			out.WriteByte(path[i])
			continue
		}
		escaped := path[i : i+3]
		if c, err := url.PathUnescape(escaped); err == nil && len(c) == 1 && isUnreserved(c[0]) {
			out.WriteString(c)
		} else {
			out.WriteString(strings.ToUpper(escaped))
		}
		i += 2
	}
	return out.String()
}

// isUnreserved reports whether a character means the same with and without an escape, RFC 3986 section 2.3.
func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}
