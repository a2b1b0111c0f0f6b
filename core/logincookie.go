package idserver

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/signward/idserver-go/core/internal/cookies"
	"github.com/signward/idserver-go/core/internal/seal"
	"github.com/signward/idserver-go/core/internal/sessioncodec"
)

// maxLogins is how many sign-ins one browser may have pending at once, such as in tabs that were restored together.
const maxLogins = 5

// maxLoginBytes is how much of a request's header they may take: a link's return_to makes them long, and a server that
// reads 16 kB would answer 431 to everything after four.
const maxLoginBytes = 4 << 10

// cookieSize is what a cookie takes in a request's header, in bytes.
func cookieSize(name, value string) int { return len(name) + len("=") + len(value) + len("; ") }

// maxLoginCookies is how many login cookies are looked at, because a stranger may send any number.
const maxLoginCookies = 32

// loginCookie returns the name of the cookie of an attempt.
func (w *web) loginCookie(state string) string {
	sum := sha256.Sum256([]byte(state))
	return w.names.Login + base64.RawURLEncoding.EncodeToString(sum[:12])
}

// forgetLogin deletes the cookie of an attempt.
func (w *web) forgetLogin(state string) Field {
	return setCookie(w.loginJar.Delete(w.loginCookie(state), w.loginsPath))
}

// keepLogin writes the cookie of p, and deletes those that are too many or no longer useful.
func (w *web) keepLogin(r *Request, p sessioncodec.Login) ([]Field, error) {
	name := w.loginCookie(p.State)
	content, err := sessioncodec.PackLogin(p)
	if err != nil {
		return nil, err
	}
	sealed, err := w.ring.Seal(w.cfg.Rand, name, content)
	if err != nil {
		return nil, err
	}
	if len(sealed) > cookies.MaxValue && p.ReturnTo != "" { // because of a long app_data: the sign-in matters more than the page to return to
		p.ReturnTo = ""
		return w.keepLogin(r, p)
	}
	life := loginLife - w.now().Sub(time.UnixMilli(p.Begun))
	kept := setCookie(w.loginJar.Set(name, sealed, w.loginsPath, int(life.Seconds())))
	return append([]Field{kept}, w.forgetOtherLogins(r, name, cookieSize(name, sealed))...), nil
}

// forgetOtherLogins deletes, beside the login cookie of that name and size, those that are too many or no longer useful.
func (w *web) forgetOtherLogins(r *Request, name string, size int) (fields []Field) {
	open, foreign := w.logins(r)
	var others []string
	sizes := map[string]int{}
	for other, value := range cookies.Each(r.cookies(), w.names.Login) {
		sizes[other] += cookieSize(other, value)
		if other != name && !slices.Contains(others, other) {
			if others = append(others, other); len(others) == maxLoginCookies {
				break
			}
		}
	}
	slices.SortFunc(others, func(a, b string) int { return cmp.Compare(open[b].Begun, open[a].Begun) }) // the newest first
	total := size
	for i, other := range others {
		p, ok := open[other]
		total += sizes[other]
		useful := ok && w.now().Sub(time.UnixMilli(p.Begun)) <= loginLife || slices.Contains(foreign, other)
		if i >= maxLogins-1 || total > maxLoginBytes || !useful {
			fields = append(fields, setCookie(w.loginJar.Delete(other, w.loginsPath)))
		}
	}
	return fields
}

// logins opens the login cookies of a request, by name. foreign are those that another version of this program wrote, and
// can still read.
func (w *web) logins(r *Request) (open map[string]sessioncodec.Login, foreign []string) {
	open = map[string]sessioncodec.Login{}
	tried := 0
	for name, value := range cookies.Each(r.cookies(), w.names.Login) {
		if tried++; tried > maxLoginCookies {
			break
		}
		switch p, err := w.openLogin(name, value); {
		case err == nil:
			open[name] = p
		case errors.Is(err, sessioncodec.ErrVersion), errors.Is(err, seal.ErrForeign):
			foreign = append(foreign, name)
		}
	}
	return open, foreign
}

var errNotALogin = errors.New("not a login cookie of ours")

func (w *web) openLogin(name, value string) (p sessioncodec.Login, err error) {
	if len(value) > cookies.MaxValue {
		return p, errNotALogin
	}
	content, _, err := w.ring.Open(name, value)
	if err != nil {
		return p, err
	}
	if p, err = sessioncodec.UnpackLogin(content); err != nil {
		return p, err
	}
	if w.loginCookie(p.State) != name {
		return sessioncodec.Login{}, errNotALogin
	}
	return p, nil
}

// pendingLogin finds the attempt that state belongs to, if it was begun in this browser and is not too old. Its cookie
// binds the state to the browser: a victim who was made to follow an attacker's callback has no cookie for it.
func (w *web) pendingLogin(r *Request, state string, now time.Time) (p sessioncodec.Login, ok bool) {
	name := w.loginCookie(state)
	value, ok := cookies.One(r.cookies(), name)
	if !ok {
		return p, false
	}
	p, err := w.openLogin(name, value)
	browser, ok := cookies.One(r.cookies(), w.names.Browser)
	bound := ok && p.Browser == browser && p.State == state
	if err != nil || !bound || !w.inTime(p, now) {
		return sessioncodec.Login{}, false
	}
	return p, true
}

// inTime reports whether a sign-in was begun lately, and not in the future: its cookie was then sealed while the clock was
// ahead, and would be good for longer.
func (w *web) inTime(p sessioncodec.Login, now time.Time) bool {
	age := now.Sub(time.UnixMilli(p.Begun))
	return -w.cfg.Provider.Leeway <= age && age <= loginLife
}

// forgetSpentLogins deletes the marks of completed sign-ins: to sign out and in again is not to go in circles.
func (w *web) forgetSpentLogins(r *Request) (fields []Field) {
	open, _ := w.logins(r)
	for _, name := range slices.Sorted(maps.Keys(open)) {
		if open[name].Spent != 0 {
			fields = append(fields, setCookie(w.loginJar.Delete(name, w.loginsPath)))
		}
	}
	return fields
}
