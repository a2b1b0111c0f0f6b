package idtest

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"
)

const (
	deviceTTL      = 10 * time.Minute
	deviceInterval = 5 * time.Second
)

// devices are the sign-ins that wait for a person with another device, by their device codes.
type devices struct {
	mu     sync.Mutex
	byCode map[string]*device
}

type device struct {
	userCode, client, scope string
	expires, polled         time.Time
	interval                time.Duration
	grant                   *grant // nil: nobody has decided yet
	denied                  bool
}

// deviceAuthorization implements RFC 8628 section 3.1.
func (p *Provider) deviceAuthorization(w http.ResponseWriter, r *http.Request) {
	client, form, fault := p.authenticate(w, r)
	if fault != nil {
		fault.write(w)
		return
	}
	code, userCode := rand.Text(), rand.Text()[:4]+"-"+rand.Text()[:4]
	p.devices.mu.Lock()
	if p.devices.byCode == nil {
		p.devices.byCode = map[string]*device{}
	}
	p.devices.byCode[code] = &device{
		userCode: userCode, client: client.ID, scope: strings.Join(strings.Fields(form.Get("scope")), " "), expires: p.now().Add(deviceTTL), interval: deviceInterval,
	}
	p.devices.mu.Unlock()
	at := p.URL() + "/device"
	writeJSON(w, http.StatusOK, map[string]any{
		"device_code": code, "user_code": userCode, "verification_uri": at, "verification_uri_complete": at + "?user_code=" + userCode,
		"expires_in": int64(deviceTTL / time.Second), "interval": int64(deviceInterval / time.Second),
	})
}

// DecideDevice acts as the person who enters a user code on another device (RFC 8628 section 3.3): it signs login in there. With
// an empty login the person refuses. It is an error if nothing waits for that code, or if there is no such person.
func (p *Provider) DecideDevice(userCode, login string) error {
	person, known := p.registry.person(login)
	if login != "" && !known {
		return fmt.Errorf("idtest: there is no person %q", login)
	}
	p.devices.mu.Lock()
	defer p.devices.mu.Unlock()
	d := p.devices.waiting(userCode, p.now())
	if d == nil {
		return fmt.Errorf("idtest: nothing waits for the code %q", userCode)
	}
	if d.denied = login == ""; !d.denied {
		d.grant = &grant{client: d.client, login: person.Login, scope: d.scope, sid: rand.Text(), authTime: p.now()}
	}
	return nil
}

// waiting returns the sign-in that waits for a code, or nil. The caller holds the lock.
func (l *devices) waiting(userCode string, now time.Time) *device {
	for _, d := range l.byCode {
		if d.userCode == userCode && d.grant == nil && !d.denied && now.Before(d.expires) {
			return d
		}
	}
	return nil
}

var notInCode = regexp.MustCompile("[^A-Z0-9]")

// typedCode is a code as it was meant by who typed it (RFC 8628 section 6.1).
func typedCode(text string) string {
	code := notInCode.ReplaceAllString(strings.ToUpper(text), "")
	if len(code) > 4 {
		code = code[:4] + "-" + code[4:min(len(code), 8)]
	}
	return code
}

// deviceTokens implements RFC 8628 sections 3.4 and 3.5.
func (p *Provider) deviceTokens(client Client, form url.Values, jkt string) (map[string]any, *oauthError) {
	code := form.Get("device_code")
	g, fault := p.devices.poll(code, client.ID, p.now())
	if fault != nil {
		return nil, fault
	}
	if client.Secret == "" && !client.hasKeys() {
		g.jkt = jkt
	}
	return p.issue(g, issued{scope: g.scope, jkt: jkt})
}

// poll returns the grant of a device code, once.
func (l *devices) poll(code, client string, now time.Time) (*grant, *oauthError) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.byCode[code]
	switch {
	case d == nil || d.client != client:
		return nil, invalidGrant("there is no such device_code for this client")
	case !now.Before(d.expires):
		return nil, &oauthError{Code: "expired_token", Description: "the device_code has expired"}
	case !d.polled.IsZero() && now.Sub(d.polled) < d.interval:
		d.interval, d.polled = d.interval+deviceInterval, now
		return nil, &oauthError{Code: "slow_down", Description: "ask less often"}
	case d.denied:
		return nil, &oauthError{Code: "access_denied", Description: "the person refused"}
	case d.grant == nil:
		d.polled = now
		return nil, &oauthError{Code: "authorization_pending", Description: "nobody has decided yet"}
	}
	delete(l.byCode, code)
	return d.grant, nil
}

// devicePage is where the person enters the code, and chooses who they are.
func (p *Provider) devicePage(w http.ResponseWriter, r *http.Request) {
	code := typedCode(r.URL.Query().Get("user_code"))
	if r.Method != http.MethodPost {
		p.devices.mu.Lock()
		waits := p.devices.waiting(code, p.now()) != nil
		p.devices.mu.Unlock()
		if !waits {
			writePage(w, http.StatusOK, "device", struct{ Wrong string }{code})
			return
		}
		p.signInPage(w, authorizationRequest{device: code})
		return
	}
	if err := sameOrigin(r); err != nil {
		messagePage(w, http.StatusForbidden, "Sign-in refused", "The choice was not made on this provider's page.")
		return
	}
	form, fault := readForm(r)
	if fault != nil {
		refusalPage(w, fault.Description)
		return
	}
	if err := p.DecideDevice(code, form.Get("user")); err != nil {
		refusalPage(w, err.Error())
		return
	}
	messagePage(w, http.StatusOK, "Done", "Go back to the device.")
}
