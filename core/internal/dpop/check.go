package dpop

import (
	"crypto/subtle"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/signward/idserver-go/core/internal/jose"
	"github.com/signward/idserver-go/core/internal/strictjson"
)

// Rules are what a proof must be for.
type Rules struct {
	Method      string
	URL         string   // of the request, as its sender knows it; query and fragment do not count
	AccessToken string   // that came with the proof; "": none, and the proof may have any ath
	Thumbprint  string   // of the key that the token or code is bound to; "": any
	Algorithms  []string // that are accepted
	Now         time.Time
	MaxAge      time.Duration // of the proof
	MaxAhead    time.Duration // how far ahead its maker's clock may be
}

// Checked is what a proof says that its caller must look at.
type Checked struct {
	Thumbprint string // of the key
	ID         string // jti: a proof is good once
	Nonce      string // "" if there is none
	Issued     time.Time
}

// Check checks a proof, RFC 9449 section 4.3, but for its nonce and whether it was used before. The cheap comes first: no
// signature is verified of a proof that would be refused anyway. The error wraps ErrProof, and contains nothing of the proof.
func Check(proof string, r Rules) (Checked, error) {
	var m jose.Message
	if err := m.ParseUpTo(MaxProof, proof, nil); err != nil {
		return Checked{}, refuse("%w", err)
	}
	if m.Header.Type != Type {
		return Checked{}, refuse("its typ is not %s", Type)
	}
	if !slices.Contains(r.Algorithms, m.Header.Algorithm) {
		return Checked{}, refuse("its alg is not one of %q", r.Algorithms)
	}
	checked, err := r.claims(m.Payload)
	if err != nil {
		return Checked{}, err
	}
	key, err := m.EmbeddedKey()
	if err != nil {
		return Checked{}, refuse("its key: %w", err)
	}
	checked.Thumbprint = jose.Thumbprint(key.Public)
	if r.Thumbprint != "" && !equal(checked.Thumbprint, r.Thumbprint) {
		return Checked{}, refuse("it was made with another key (jkt)")
	}
	if err := m.Verify(key); err != nil {
		return Checked{}, refuse("%w", err)
	}
	return checked, nil
}

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrProof, fmt.Errorf(format, args...))
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// maxID limits the length of a jti: whoever remembers it must not be made to remember much.
const maxID = 256

// claims checks what the proof says.
func (r *Rules) claims(payload []byte) (Checked, error) {
	var c *struct {
		ID      string   `json:"jti"`
		Method  string   `json:"htm"`
		Target  string   `json:"htu"`
		Issued  *float64 `json:"iat"`
		Expires *float64 `json:"exp"`
		From    *float64 `json:"nbf"`
		Hash    *string  `json:"ath"`
		Nonce   string   `json:"nonce"`
	}
	if err := strictjson.Unmarshal(payload, &c); err != nil {
		return Checked{}, refuse("its claims: %w", err)
	}
	if c == nil {
		return Checked{}, refuse("its claims are no object")
	}
	issued, hasTime := at(c.Issued)
	expires, ends := at(c.Expires)
	from, begins := at(c.From)
	switch {
	case c.ID == "" || len(c.ID) > maxID:
		return Checked{}, refuse("its jti is missing, or longer than %d bytes", maxID)
	case c.Method != r.Method:
		return Checked{}, refuse("its htm is not the request's method")
	case !sameTarget(c.Target, r.URL):
		return Checked{}, refuse("its htu is not the request's URL, which is %q", withoutQuery(r.URL))
	case !hasTime:
		return Checked{}, refuse("its iat is missing, or no time")
	case issued.After(r.Now.Add(r.MaxAhead)):
		return Checked{}, refuse("its iat is in the future")
	case issued.Before(r.Now.Add(-r.MaxAge)):
		return Checked{}, refuse("its iat is too long ago")
	case c.Expires != nil && (!ends || !r.Now.Before(expires)):
		return Checked{}, refuse("it has expired")
	case c.From != nil && (!begins || r.Now.Add(r.MaxAhead).Before(from)):
		return Checked{}, refuse("it is not valid yet")
	case r.AccessToken != "" && (c.Hash == nil || !equal(*c.Hash, Hash(r.AccessToken))):
		return Checked{}, refuse("its ath is not that of the access token")
	}
	return Checked{ID: c.ID, Nonce: c.Nonce, Issued: issued}, nil
}

// maxSeconds is the year 9999: arithmetic with later times could overflow.
const maxSeconds = 253402300799

func at(seconds *float64) (time.Time, bool) {
	if seconds == nil || !(*seconds >= 0 && *seconds <= maxSeconds) {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(*seconds * 1000)), true
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
