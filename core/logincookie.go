package idserver

import (
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"slices"
	"time"

	"github.com/signward/idserver-go/core/internal/strictjson"
)

// maxLogins is how many sign-ins one browser may have pending at once, such as in tabs that were restored together.
const maxLogins = 5

// maxLoginCookies is how many login cookies are looked at, because a stranger may send any number.
const maxLoginCookies = 32

// pendingLogin is what a browser keeps, sealed, between /login and /callback: one cookie for each attempt, so that tabs
// do not disturb each other.
type pendingLogin struct {
	State    string `json:"state"`
	Browser  string `json:"browser"` // the value of the browser's cookie
	Nonce    string `json:"nonce,omitempty"`
	Verifier string `json:"verifier,omitempty"`
	ReturnTo string `json:"return_to,omitempty"`
	AppData  []byte `json:"app_data,omitempty"`
	Begun    int64  `json:"begun"`
	Spent    int64  `json:"spent,omitempty"` // when it led to a session; 0: not yet
}

// loginCookie returns the name of the cookie of an attempt.
func (w *web) loginCookie(state string) string {
	sum := sha256.Sum256([]byte(state))
	return w.loginName + base64.RawURLEncoding.EncodeToString(sum[:12])
}

// keepLogin writes the cookie of p, and deletes those that are too many or no longer useful.
func (w *web) keepLogin(r *Request, p pendingLogin) ([]Field, error) {
	name := w.loginCookie(p.State)
	content, err := strictjson.Marshal(p)
	if err != nil {
		return nil, err
	}
	sealed, err := w.ring.Seal(w.cfg.Rand, name, content)
	if err != nil {
		return nil, err
	}
	if len(sealed) > maxChunk && p.ReturnTo != "" { // because of a long app_data: the sign-in matters more than the page to return to
		p.ReturnTo = ""
		return w.keepLogin(r, p)
	}
	life := int64(loginLife.Seconds()) - (w.now().Unix() - p.Begun)
	fields := []Field{w.setCookie(name, sealed, w.routesPath, int(life))}

	open := w.logins(r)
	var others []string
	for other := range r.eachCookie(w.loginName) {
		if other != name && !slices.Contains(others, other) {
			if others = append(others, other); len(others) == maxLoginCookies {
				break
			}
		}
	}
	slices.SortFunc(others, func(a, b string) int { return int(open[b].Begun - open[a].Begun) }) // the newest first
	for i, other := range others {
		p, ok := open[other]
		if i >= maxLogins-1 || !ok || w.now().Sub(time.Unix(p.Begun, 0)) > loginLife {
			fields = append(fields, w.setCookie(other, "", w.routesPath, -1))
		}
	}
	return fields, nil
}

// logins opens the login cookies of a request, by name.
func (w *web) logins(r *Request) map[string]pendingLogin {
	all := map[string]pendingLogin{}
	tried := 0
	for name, value := range r.eachCookie(w.loginName) {
		if tried++; tried > maxLoginCookies {
			break
		}
		if p, ok := w.openLogin(name, value); ok {
			all[name] = p
		}
	}
	return all
}

func (w *web) openLogin(name, value string) (p pendingLogin, ok bool) {
	if len(value) > maxChunk {
		return p, false
	}
	content, _, err := w.ring.Open(name, value)
	if err != nil || strictjson.Unmarshal(content, &p) != nil || w.loginCookie(p.State) != name {
		return pendingLogin{}, false
	}
	return p, true
}

// pendingLogin finds the attempt that state belongs to, if it was begun in this browser and is not too old. Its cookie
// binds the state to the browser: a victim who was made to follow an attacker's callback has no cookie for it.
func (w *web) pendingLogin(r *Request, state string, now time.Time) (p pendingLogin, ok bool) {
	name := w.loginCookie(state)
	value, ok := r.cookie(name)
	if !ok {
		return p, false
	}
	p, ok = w.openLogin(name, value)
	browser, bound := r.cookie(w.browserName)
	if !ok || !bound || p.Browser != browser || p.State != state || now.Sub(time.Unix(p.Begun, 0)) > loginLife {
		return pendingLogin{}, false
	}
	return p, true
}

// forgetSpentLogins deletes the marks of completed sign-ins: to sign out and in again is not to go in circles.
func (w *web) forgetSpentLogins(r *Request) (fields []Field) {
	open := w.logins(r)
	for _, name := range slices.Sorted(maps.Keys(open)) {
		if open[name].Spent != 0 {
			fields = append(fields, w.setCookie(name, "", w.routesPath, -1))
		}
	}
	return fields
}
