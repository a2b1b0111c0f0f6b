// Package claims reads what tokens and the userinfo endpoint say about somebody, and puts it together. Claims are always
// one thing, a strictjson.Object: their text, parsed once. The package is pure: no clock, no keys, no network.
package claims

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/signward/idserver-go/core/internal/strictjson"
)

// Claims are the claims that decide whether a token is valid (RFC 7519 section 4.1, OpenID Connect Core section 2), and all
// claims in their original text.
type Claims struct {
	strictjson.Object

	Issuer          string
	Subject         string
	Audience        []string // from a string or an array of strings
	AuthorizedParty *string
	Expiry          time.Time // the zero time means that the claim is absent
	NotBefore       time.Time
	IssuedAt        time.Time
	AuthTime        time.Time
	Nonce           *string
	AccessTokenHash *string
	CodeHash        *string

	odd []string
}

// Odd reports whether a claim has a value that it cannot have, such as a number in place of a text. Its field is then as
// if it were absent, and whoever needs the claim refuses it.
func (c *Claims) Odd(name string) bool { return slices.Contains(c.odd, name) }

// Oddities returns the names of the claims that are odd.
func (c *Claims) Oddities() []string { return c.odd }

// Has reports whether there is a claim of that name, whatever its value.
func (c *Claims) Has(name string) bool { return c.Get(name) != "" }

// needed are the claims that decide over every token. An odd value of any other is left to those whom it concerns: a
// provider's oddity in a claim that decides nothing must not refuse anybody.
var needed = []string{"iss", "sub", "aud", "exp", "nbf"}

// Parse parses a verified payload. A claim that is null counts as absent, and so does a time before 1970, which providers
// write for one that they do not know. Errors contain no values.
func Parse(payload []byte) (*Claims, error) {
	object, err := ParseObject(payload)
	if err != nil {
		return nil, err
	}
	c := &Claims{Object: object}
	for name, value := range object.All() {
		switch {
		case value == "null" || c.set(name, value):
		case slices.Contains(needed, name):
			return nil, fmt.Errorf("claims: %s is of a wrong type, or out of range", name)
		default:
			c.odd = append(c.odd, name)
		}
	}
	return c, nil
}

// set sets the field of a claim; others have none.
func (c *Claims) set(name, value string) (ok bool) {
	switch name {
	case "iss":
		c.Issuer, ok = strictjson.String(value)
	case "sub":
		c.Subject, ok = strictjson.String(value)
	case "aud":
		c.Audience, ok = audience(value)
	case "azp":
		c.AuthorizedParty, ok = pointer(value)
	case "nonce":
		c.Nonce, ok = pointer(value)
	case "at_hash":
		c.AccessTokenHash, ok = pointer(value)
	case "c_hash":
		c.CodeHash, ok = pointer(value)
	case "exp":
		c.Expiry, ok = numericDate(value)
		ok = ok && !c.Expiry.IsZero()
	case "nbf":
		c.NotBefore, ok = numericDate(value)
	case "iat":
		c.IssuedAt, ok = numericDate(value)
	case "auth_time":
		c.AuthTime, ok = numericDate(value)
	default:
		return true
	}
	return ok
}

// pointer tells an empty string from none.
func pointer(value string) (*string, bool) {
	s, ok := strictjson.String(value)
	if !ok {
		return nil, false
	}
	return &s, true
}

// audience parses aud: a string or an array of nothing but strings, RFC 7519 section 4.1.3.
func audience(value string) ([]string, bool) {
	if one, ok := strictjson.String(value); ok {
		return []string{one}, true
	}
	all, mixed, ok := strictjson.Strings(value)
	return all, ok && !mixed
}

// Time returns a claim that is a NumericDate, RFC 7519 section 2; a value of another type counts as absent.
func Time(value string) time.Time {
	t, _ := numericDate(value)
	return t
}

// The last second of the year 9999 is the latest date accepted: arithmetic with later ones could overflow.
const maxNumericDate = 253402300799

// numericDate parses seconds since 1970, RFC 7519 section 2: a JSON number, whole or not. One below 1 is the zero time: no
// token is from 1970 or before.
func numericDate(value string) (time.Time, bool) {
	seconds, err := strconv.ParseFloat(value, 64)
	switch {
	case err != nil || seconds > maxNumericDate:
		return time.Time{}, false
	case seconds < 1:
		return time.Time{}, true
	}
	if exact, err := strconv.ParseInt(value, 10, 64); err == nil {
		return time.Unix(exact, 0), true
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(fraction*1e9)), true
}
