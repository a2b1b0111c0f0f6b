package cookies

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"strings"
)

// Names are the names of an application's cookies.
type Names struct {
	Session string
	Login   string // the prefix of the name of each sign-in that is pending
	Browser string // binds the pending sign-ins to a browser
	Kept    string // says for a moment that the browser had a session cookie
	Lost    string // holds for a moment what a silent sign-in needs to go on with a session
}

// NamesOf returns different names for applications that browsers would not keep apart: cookies are shared by all ports of
// a host, and __Host- cookies by all its paths. A neighbouring host cannot plant a __Host- cookie. It can plant a __Secure-
// one, which is why a login cookie is worthless without the browser's cookie. base is where browsers reach the
// application; routes is where its sign-in routes are, or empty for the usual place.
func NamesOf(base *url.URL, routes string) Names {
	name := "idserver"
	if port := base.Port(); port != "" && port != "443" {
		name += "-" + port
	}
	p := strings.Trim(base.Path, "/")
	if routes != "" { // another client in the same program
		p += "\x00" + routes
	}
	if p != "" {
		sum := sha256.Sum256([]byte(p))
		name += "-" + hex.EncodeToString(sum[:4])
	}
	if base.Scheme != "https" {
		return Names{name, name + "-login-", name + "-browser", name + "-kept", name + "-lost"}
	}
	// Login cookies and that of a lost session have the path of the routes, which the prefix __Host- does not allow.
	return Names{
		"__Host-" + name, "__Secure-" + name + "-login-", "__Host-" + name + "-browser", "__Host-" + name + "-kept", "__Secure-" + name + "-lost",
	}
}
