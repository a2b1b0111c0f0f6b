package apitoken

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/internal/baseerror"
	"github.com/signward/idserver-go/core/internal/claims"
	"github.com/signward/idserver-go/core/internal/dpop"
	"github.com/signward/idserver-go/core/internal/grants"
	"github.com/signward/idserver-go/core/internal/strictjson"
)

// The errors of [Device.Wait] that say what the person did.
var (
	// ErrDenied means that the person refused (access_denied).
	ErrDenied = baseerror.New("apitoken: the person refused the sign-in on the other device")
	// ErrExpired means that nobody entered the code in time (expired_token).
	ErrExpired = baseerror.New("apitoken: nobody entered the code in time: begin anew")
)

// DeviceOptions are the optional settings of [BeginDevice].
type DeviceOptions struct {
	// Scopes are asked for; openid among them brings the User. Default: openid profile email.
	Scopes []string
	// Parameters are added to the request, such as audience or resource. One that the grant itself sets is an error.
	Parameters url.Values
}

// Device is a sign-in that waits for a person with another device, RFC 8628: a program without a browser shows where to go, and which
// code to enter there. It may be used by one goroutine at a time.
type Device struct {
	// VerificationURI is where the person goes, and UserCode what they enter there. VerificationURIComplete has the code in it, for
	// a QR code; it is empty if the provider sends none. Show UserCode with it all the same, for the person to compare.
	VerificationURI, VerificationURIComplete, UserCode string
	// Life is how long the code is good, from when it was asked for.
	Life time.Duration

	endpoint grants.Endpoint
	code     string
	interval time.Duration
	key      *dpop.Key
	begun    time.Time
}

// String describes the sign-in without its codes.
func (d Device) String() string {
	return fmt.Sprintf("apitoken.Device{VerificationURI: %q}", d.VerificationURI)
}

// GoString returns what String does.
func (d Device) GoString() string { return d.String() }

// Limits on what the provider says.
const (
	defaultInterval = 5 * time.Second
	minInterval     = time.Second // whatever a provider says, nobody asks it all the time
	maxInterval     = time.Minute
	maxDeviceLife   = time.Hour
	maxUserCode     = 64
	maxURI          = 2048
	maxDeviceCode   = 8 << 10
	deviceGrant     = "urn:ietf:params:oauth:grant-type:device_code"
)

// BeginDevice asks the provider for a code (RFC 8628 section 3.1). The error is an [idserver.DiscoveryError] if the provider knows no
// such sign-in, or an [idserver.TokenEndpointError]; any other says what is wrong with the options or with the answer.
func BeginDevice(ctx context.Context, client *idserver.Client, o DeviceOptions) (*Device, error) {
	if client == nil {
		return nil, baseerror.New("apitoken: there is no client")
	}
	scopes := o.Scopes
	if len(scopes) == 0 {
		scopes = []string{"openid", "profile", "email"}
	}
	form := url.Values{"scope": {strings.Join(scopes, " ")}}
	for _, scope := range scopes {
		if !claims.IsScope(scope) {
			return nil, baseerror.Errorf("apitoken: DeviceOptions.Scopes has %q, which is not one scope", scope)
		}
	}
	for name, values := range o.Parameters {
		switch strings.ToLower(name) {
		case "scope", "client_id", "client_secret", "client_assertion", "client_assertion_type", "grant_type", "device_code":
			return nil, baseerror.Errorf("apitoken: DeviceOptions.Parameters must not hold %q", name)
		}
		form[name] = values
	}
	d := &Device{endpoint: grants.Of(client), begun: time.Now()}
	body, err := d.endpoint.Device(ctx, form)
	if err == nil {
		d.key, err = d.endpoint.NewKey()
	}
	if err != nil {
		return nil, baseerror.Errorf("apitoken: %w", err)
	}
	if err := d.read(body); err != nil {
		return nil, baseerror.Errorf("apitoken: the answer of the device authorization endpoint: %w", err)
	}
	return d, nil
}

// read reads an answer, RFC 8628 section 3.2. What a person will be shown must not be able to change what else is on their terminal.
func (d *Device) read(body []byte) error {
	var reply struct {
		DeviceCode      string         `json:"device_code"`
		UserCode        string         `json:"user_code"`
		VerificationURI string         `json:"verification_uri"`
		VerificationURL string         `json:"verification_url"` // Google's
		Complete        string         `json:"verification_uri_complete"`
		ExpiresIn       strictjson.Raw `json:"expires_in"`
		Interval        strictjson.Raw `json:"interval"`
	}
	if err := strictjson.Unmarshal(body, &reply); err != nil {
		return errors.New("it is not the JSON of RFC 8628 section 3.2")
	}
	if reply.VerificationURI == "" {
		reply.VerificationURI = reply.VerificationURL
	}
	d.code, d.UserCode, d.VerificationURI = reply.DeviceCode, reply.UserCode, reply.VerificationURI
	switch {
	case d.code == "" || len(d.code) > maxDeviceCode:
		return errors.New("device_code is missing, or too long")
	case d.UserCode == "" || len(d.UserCode) > maxUserCode || strings.ContainsFunc(d.UserCode, isNotPrintable):
		return fmt.Errorf("user_code is missing, or not of at most %d printable characters", maxUserCode)
	case !isPage(d.VerificationURI):
		return errors.New("verification_uri is missing, or no https URL")
	}
	if isPage(reply.Complete) { // it is optional
		d.VerificationURIComplete = reply.Complete
	}
	d.Life = seconds(reply.ExpiresIn, maxDeviceLife)
	if d.Life <= 0 {
		return errors.New("expires_in is missing, or not in seconds")
	}
	if d.interval = seconds(reply.Interval, maxInterval); d.interval <= 0 {
		d.interval = defaultInterval
	}
	d.interval = max(d.interval, minInterval)
	return nil
}

func isNotPrintable(r rune) bool { return r < ' ' || r > '~' }

// isPage reports whether a person may be sent to a URL: https, or http on loopback, where a provider for development is.
func isPage(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || len(text) > maxURI || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return false
	}
	host := u.Hostname()
	ip := net.ParseIP(host)
	return u.Scheme == "https" || u.Scheme == "http" && (host == "localhost" || ip != nil && ip.IsLoopback())
}

// seconds reads a number of seconds, which some providers write as a string; more than most counts as that.
func seconds(raw strictjson.Raw, most time.Duration) time.Duration {
	n, err := strconv.ParseFloat(strings.Trim(string(raw), `"`), 64)
	if err != nil || math.IsNaN(n) || n <= 0 {
		return 0
	}
	return time.Duration(min(n, most.Seconds()) * float64(time.Second))
}

// Print writes to a terminal where to go, and which code to enter.
func (d *Device) Print(w io.Writer) error {
	_, err := fmt.Fprintf(w, "To sign in, open %s on any device and enter the code %s\n", d.VerificationURI, d.UserCode)
	return err
}

// Wait asks the provider until the person has signed in (RFC 8628 sections 3.4 and 3.5), not more often than it wants, nor than once a
// second, and returns the tokens; with openid among the scopes their User is made from the ID token, which is verified, and
// [idserver.Client.RefreshToken] refreshes them. A passing fault of the provider or the network is none: Wait asks again, later each
// time. The error is [ErrDenied], [ErrExpired], ctx's, an [idserver.TokenEndpointError] that no further attempt would change, or one of
// those of [idserver.Client.ExchangeCode].
func (d *Device) Wait(ctx context.Context) (*idserver.Tokens, error) {
	left := d.Life - time.Since(d.begun)
	within, cancel := context.WithTimeoutCause(ctx, left, ErrExpired)
	defer cancel()
	form := url.Values{"grant_type": {deviceGrant}, "device_code": {d.code}}
	for wait := d.interval; ; {
		if err := pause(within, wait); err != nil {
			return nil, err
		}
		tokens, refusal, err := d.endpoint.DeviceTokens(within, form, d.key)
		switch {
		case err == nil:
			return tokens.(*idserver.Tokens), nil
		case within.Err() != nil:
			return nil, over(within)
		case refusal == "authorization_pending":
			wait = d.interval
		case refusal == "slow_down":
			d.interval += defaultInterval
			wait = d.interval
		case refusal == "access_denied":
			return nil, ErrDenied
		case refusal == "expired_token":
			return nil, ErrExpired
		case refusal == "" && errors.Is(err, idserver.ErrUnavailable), refusal == "server_error", refusal == "temporarily_unavailable":
			wait = min(2*wait, max(maxInterval, d.interval)) // section 3.5: exponential backoff
		default:
			return nil, baseerror.Errorf("apitoken: %w", err)
		}
	}
}

// pause waits.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return over(ctx)
	}
}

// over says why there is nothing more to wait for.
func over(ctx context.Context) error {
	if cause := context.Cause(ctx); cause == ErrExpired {
		return ErrExpired
	}
	return baseerror.Errorf("apitoken: %w", context.Cause(ctx))
}
