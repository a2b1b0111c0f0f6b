package idserver

import (
	"context"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/signward/idserver-go/core/internal/strictjson"
)

// Limits on Apple's parameter user, in bytes.
const (
	maxUserParameter = 2 << 10
	maxUnprovenName  = 128
)

// unprovenName returns the name in the parameter user, which Apple posts with the first sign-in of a person and nobody else
// sends: {"name":{"firstName":"...","lastName":"..."},"email":"..."}.
func (w *web) unprovenName(p callbackParameters) string {
	if w.cfg.ResponseMode != formPost {
		return ""
	}
	return nameFromUser(p.user)
}

// nameFromUser reads the name, and nothing else. The browser has carried it and nobody has signed it: whoever signs in can
// write there what they like, so that what does not look like a name is dropped, above all an e-mail address.
func nameFromUser(user string) string {
	if user == "" || len(user) > maxUserParameter || !utf8.ValidString(user) {
		return ""
	}
	object, err := strictjson.ParseObject([]byte(user))
	if err != nil {
		return ""
	}
	parts, err := strictjson.ParseObject([]byte(object.Get("name")))
	if err != nil {
		return ""
	}
	first, _ := strictjson.String(parts.Get("firstName"))
	last, _ := strictjson.String(parts.Get("lastName"))
	name := strings.Join(strings.Fields(first+" "+last), " ")
	if len(name) > maxUnprovenName || strings.ContainsFunc(name, isNotOfName) {
		return ""
	}
	return name
}

// isNotOfName reports whether c cannot be in a name: a sign of an e-mail address or of markup, or one that is not seen.
func isNotOfName(c rune) bool {
	return strings.ContainsRune("@<>\uff20\ufe6b", c) || !unicode.IsPrint(c)
}

type unprovenNameKey struct{}

func withUnprovenName(ctx context.Context, name string) context.Context {
	return contextWithText(ctx, unprovenNameKey{}, name, "WithUnprovenName")
}

// UnprovenNameFrom returns, in the context of Config.AdmitUser, the name that the browser posted with the provider's
// response: Apple's parameter user, which comes with Config.ResponseMode form_post at the first sign-in of a person only, and
// is in no token. Nobody has proven it, and whoever signs in can write there what they like: it is for display and for
// nothing else. It has at most 128 bytes and is never an e-mail address. To keep it for the session, use [User.Set].
func UnprovenNameFrom(ctx context.Context) string {
	name, _ := ctx.Value(unprovenNameKey{}).(string)
	return name
}
