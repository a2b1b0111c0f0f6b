package claims

import (
	"strings"

	"github.com/signward/idserver-go/core/internal/strictjson"
)

// Limits on the scopes of one token. More than these are none: who reads only a part of what somebody may do must not act
// on it.
const (
	maxScopes = 1000
	maxScope  = 1024 // bytes
)

// Scopes reads the scopes of a token from its claims scope and scp, given as JSON text or "". Each may be one string of
// scopes with spaces between (RFC 8693 section 4.2, RFC 9068 section 2.2.3), or an array (Okta's scp). The first that has any
// wins. odd says what there is that cannot be read, without its value; it is empty if all can be. What cannot be a scope,
// such as one with a quotation mark, is left out: nobody can ask for it.
func Scopes(scope, scp string) (scopes []string, odd string) {
	for _, value := range []string{scope, scp} {
		if value == "" || value == "null" {
			continue
		}
		some, why := readScopes(value)
		if odd == "" {
			odd = why
		}
		if len(some) > 0 {
			return some, odd
		}
	}
	return nil, odd
}

func readScopes(value string) (scopes []string, odd string) {
	if text, ok := strictjson.String(value); ok {
		return SplitScopes(text)
	}
	all, mixed, ok := strictjson.Strings(value)
	switch {
	case !ok:
		return nil, "it is neither text nor an array"
	case len(all) > maxScopes:
		return nil, "it has too many scopes, of which none counts"
	case mixed:
		odd = "an element of the array is not text"
	}
	scopes = make([]string, 0, len(all))
	for _, one := range all {
		if !IsScope(one) {
			odd = "an element of the array cannot be a scope"
			continue
		}
		scopes = append(scopes, one)
	}
	return scopes, odd
}

// SplitScopes splits a text of scopes, RFC 6749 section 3.3. odd says what of it cannot be read.
func SplitScopes(text string) (scopes []string, odd string) {
	n := strings.Count(text, " ") + 1
	if n > maxScopes {
		return nil, "it has too many scopes, of which none counts"
	}
	scopes = make([]string, 0, n)
	for one := range strings.SplitSeq(text, " ") {
		switch {
		case one == "": // two spaces, or none but spaces
		case !IsScope(one):
			odd = "a part of the text cannot be a scope"
		default:
			scopes = append(scopes, one)
		}
	}
	return scopes, odd
}

// IsScope reports whether a text is one scope: visible ASCII without quotation marks and backslashes (RFC 6749 section 3.3),
// at most 1024 bytes.
func IsScope(text string) bool {
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return 0 < len(text) && len(text) <= maxScope
}
