package apitoken_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/apitoken"
	"github.com/signward/idserver-go/core/idtest"
)

func (w *world) device(t *testing.T, o apitoken.DeviceOptions) *apitoken.Device {
	t.Helper()
	d, err := apitoken.BeginDevice(t.Context(), w.Client, o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// public is a program without a secret, such as a CLI.
func public(c *idserver.Config) {
	c.ClientID, c.ClientSecret = idtest.ExamplePublicClient, ""
}

// A person signs in on another device while the program asks, no more often than the provider wants.
func TestDevice(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, public)
		d := w.device(t, apitoken.DeviceOptions{})
		var shown strings.Builder
		if err := d.Print(&shown); err != nil || !strings.Contains(shown.String(), d.VerificationURI) || !strings.Contains(shown.String(), d.UserCode+"\n") {
			t.Errorf("%q %v", shown.String(), err)
		}
		if d.VerificationURIComplete != d.VerificationURI+"?user_code="+d.UserCode || d.Life != 10*time.Minute {
			t.Errorf("%+v", d)
		}
		begun := time.Now()
		go func() {
			time.Sleep(32 * time.Second)
			if err := w.provider.DecideDevice(d.UserCode, "alice"); err != nil {
				t.Error(err)
			}
		}()
		tokens, err := d.Wait(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took != 35*time.Second || w.provider.Requests(idtest.Token) != 7 {
			t.Errorf("after %v and %d requests", took, w.provider.Requests(idtest.Token))
		}
		if tokens.User == nil || tokens.User.Email != "alice@example.test" || tokens.RefreshToken == "" {
			t.Errorf("%v", tokens)
		}
		again, err := w.RefreshToken(t.Context(), tokens)
		if err != nil || again.User.Subject != tokens.User.Subject {
			t.Errorf("a refresh: %v", err)
		}
		if _, err := d.Wait(t.Context()); err == nil {
			t.Error("the code is good twice")
		}
	})
}

// answers answers token requests in order, and leaves the rest to the provider.
type answers struct {
	inner http.RoundTripper
	all   []string // OAuth errors; "503", or "" for no answer
	asked []time.Time
}

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, "/token") {
		return a.inner.RoundTrip(r)
	}
	a.asked = append(a.asked, time.Now())
	if len(a.asked) > len(a.all) {
		return a.inner.RoundTrip(r)
	}
	answer := &http.Response{StatusCode: 400, Header: http.Header{"Content-Type": {"application/json"}}, Request: r}
	switch said := a.all[len(a.asked)-1]; said {
	case "":
		return nil, errors.New("no route")
	case "503":
		answer.StatusCode, answer.Body = 503, http.NoBody
	default:
		answer.Body = io.NopCloser(strings.NewReader(`{"error":"` + said + `"}`))
	}
	return answer, nil
}

// answering makes a program whose token requests are answered so.
func answering(t *testing.T, all ...string) (*world, *answers) {
	t.Helper()
	a := &answers{all: all}
	w := newWorld(t)
	w.Client = w.client(t, public, func(c *idserver.Config) {
		a.inner = c.HTTP.Client.Transport
		c.HTTP.Client = &http.Client{Transport: a}
	})
	return w, a
}

// slow_down adds five seconds for good, and a passing fault doubles the time until there is an answer.
func TestDeviceSlowsDown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, a := answering(t, "authorization_pending", "slow_down", "authorization_pending", "slow_down", "", "503", "temporarily_unavailable", "authorization_pending", "authorization_pending")
		d := w.device(t, apitoken.DeviceOptions{Scopes: []string{"orders:read"}})
		if err := w.provider.DecideDevice(d.UserCode, "bob"); err != nil {
			t.Fatal(err)
		}
		before := time.Now()
		tokens, err := d.Wait(t.Context())
		if err != nil || tokens.AccessToken == "" || tokens.User != nil {
			t.Fatalf("%v %v", tokens, err)
		}
		var waited []int
		for _, at := range a.asked {
			waited = append(waited, int(at.Sub(before)/time.Second))
			before = at
		}
		if want := []int{5, 5, 10, 10, 15, 30, 60, 60, 15, 15}; !slices.Equal(waited, want) {
			t.Errorf("it waits %v, want %v", waited, want)
		}
	})
}

// Who refuses, and who does not come, is told from what is wrong.
func TestDeviceEnds(t *testing.T) {
	for name, row := range map[string]struct {
		answers []string
		want    error
		after   time.Duration
	}{
		"refused":         {[]string{"authorization_pending", "access_denied"}, apitoken.ErrDenied, 10 * time.Second},
		"expired":         {[]string{"expired_token"}, apitoken.ErrExpired, 5 * time.Second},
		"nobody came":     {nil, apitoken.ErrExpired, 10 * time.Minute},
		"another code":    {[]string{"invalid_grant"}, idserver.ErrTokenEndpoint, 5 * time.Second},
		"another client":  {[]string{"invalid_client"}, idserver.ErrTokenEndpoint, 5 * time.Second},
		"unknown":         {[]string{"unsupported_grant_type"}, idserver.ErrTokenEndpoint, 5 * time.Second},
		"never an answer": {slices.Repeat([]string{""}, 100), apitoken.ErrExpired, 10 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w, _ := answering(t, row.answers...)
				d := w.device(t, apitoken.DeviceOptions{})
				begun := time.Now()
				if tokens, err := d.Wait(t.Context()); tokens != nil || !errors.Is(err, row.want) || !errors.Is(err, idserver.Err) {
					t.Errorf("%v", err)
				}
				if took := time.Since(begun); took != row.after {
					t.Errorf("after %v, want %v", took, row.after)
				}
			})
		})
	}
}

// The person refuses at the provider; and a program that leaves is not told that they did.
func TestDeviceDenied(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, public)
		d := w.device(t, apitoken.DeviceOptions{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := d.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, apitoken.ErrExpired) {
			t.Errorf("the program leaves: %v", err)
		}
		if err := w.provider.DecideDevice(d.UserCode, ""); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Wait(t.Context()); !errors.Is(err, apitoken.ErrDenied) {
			t.Errorf("%v", err)
		}
		if err := w.provider.DecideDevice(d.UserCode, "alice"); err == nil {
			t.Error("it was decided before")
		}
	})
}

// The ID token of a device's sign-in is verified as any other.
func TestDeviceVerifiesTheIDToken(t *testing.T) {
	for name, edit := range map[string]func(map[string]any){
		"another issuer":   func(c map[string]any) { c["iss"] = "https://evil.example" },
		"another audience": func(c map[string]any) { c["aud"] = "another" },
		"expired":          func(c map[string]any) { c["exp"] = time.Now().Add(-time.Hour).Unix() },
		"no subject":       func(c map[string]any) { delete(c, "sub") },
		"another token's":  func(c map[string]any) { c["at_hash"] = "AAAAAAAAAAAAAAAAAAAAAA" },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t, public)
				w.provider.SetIDTokenClaims(edit)
				d := w.device(t, apitoken.DeviceOptions{})
				if err := w.provider.DecideDevice(d.UserCode, "alice"); err != nil {
					t.Fatal(err)
				}
				if tokens, err := d.Wait(t.Context()); tokens != nil || !errors.Is(err, idserver.ErrInvalidToken) {
					t.Errorf("%v %v", tokens, err)
				}
			})
		})
	}
}

// deviceAnswer is a good answer, changed.
func deviceAnswer(name, value string) string {
	members := map[string]string{
		"device_code": `"abc"`, "user_code": `"WDJB-MJHT"`, "verification_uri": `"https://id.example/device"`, "expires_in": "600", "interval": "5",
	}
	members[name] = value
	var all []string
	for _, n := range slices.Sorted(maps.Keys(members)) {
		if members[n] != "" {
			all = append(all, `"`+n+`":`+members[n])
		}
	}
	return "{" + strings.Join(all, ",") + "}"
}

func TestDeviceAnswers(t *testing.T) {
	for name, row := range map[string]struct {
		body string
		ok   bool
	}{
		"as it should be":        {deviceAnswer("", ""), true},
		"without interval":       {deviceAnswer("interval", ""), true},
		"odd interval":           {deviceAnswer("interval", `"soon"`), true},
		"Google's name":          {deviceAnswer("verification_uri", "")[:1] + `"verification_url":"https://id.example/device",` + deviceAnswer("verification_uri", "")[1:], true},
		"an odd complete URI":    {deviceAnswer("verification_uri_complete", `"javascript:alert(1)"`), true},
		"expires_in as text":     {deviceAnswer("expires_in", `"600"`), true},
		"no device_code":         {deviceAnswer("device_code", ""), false},
		"no user_code":           {deviceAnswer("user_code", ""), false},
		"no URI":                 {deviceAnswer("verification_uri", ""), false},
		"no expires_in":          {deviceAnswer("expires_in", ""), false},
		"it has expired":         {deviceAnswer("expires_in", "-1"), false},
		"a terminal's escape":    {deviceAnswer("user_code", `"\u001b[2JWDJB"`), false},
		"a line break":           {deviceAnswer("user_code", `"A\nB"`), false},
		"not ASCII":              {deviceAnswer("user_code", `"ＡＢ"`), false},
		"a long code":            {deviceAnswer("user_code", `"`+strings.Repeat("A", 65)+`"`), false},
		"http":                   {deviceAnswer("verification_uri", `"http://id.example/device"`), false},
		"javascript":             {deviceAnswer("verification_uri", `"javascript:alert(1)"`), false},
		"a URI with a break":     {deviceAnswer("verification_uri", `"https://id.example/\u001b]0;x"`), false},
		"a name in the URI":      {deviceAnswer("verification_uri", `"https://id.example@evil.example/"`), false},
		"a giant device_code":    {deviceAnswer("device_code", `"`+strings.Repeat("A", 9<<10)+`"`), false},
		"a number":               {deviceAnswer("user_code", "7"), false},
		"device_code twice":      {`{"device_code":"x",` + deviceAnswer("", "")[1:], false},
		"no JSON":                {"<html>", false},
		"nothing":                {"", false},
		"more than one megabyte": {`{"x":"` + strings.Repeat("a", 1<<20) + `",` + deviceAnswer("", "")[1:], false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t, public)
				w.provider.Fail(idtest.DeviceAuthorization, idtest.Fault{Status: 200, Body: row.body, ContentType: "application/json"})
				d, err := apitoken.BeginDevice(t.Context(), w.Client, apitoken.DeviceOptions{})
				if (err == nil) != row.ok || err != nil && !errors.Is(err, idserver.Err) {
					t.Fatalf("%v", err)
				}
				if row.ok && (d.UserCode != "WDJB-MJHT" || d.VerificationURI != "https://id.example/device" || d.VerificationURIComplete != "" || d.Life != 10*time.Minute) {
					t.Errorf("%+v", d)
				}
			})
		})
	}
}

// Whatever the provider says, it is asked no more often than once a second, and at least every minute.
func TestDeviceIntervals(t *testing.T) {
	for interval, want := range map[string]time.Duration{
		"": 5 * time.Second, "null": 5 * time.Second, "0": 5 * time.Second, "-3": 5 * time.Second, `"NaN"`: 5 * time.Second, "[7]": 5 * time.Second, `""`: 5 * time.Second,
		"7": 7 * time.Second, `"7"`: 7 * time.Second, "1.5": 1500 * time.Millisecond,
		"1e-9": time.Second, "0.001": time.Second, "3600": time.Minute, "1e300": time.Minute, `"Infinity"`: time.Minute,
	} {
		t.Run(interval, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w, _ := answering(t, "access_denied")
				w.provider.Fail(idtest.DeviceAuthorization, idtest.Fault{Body: deviceAnswer("interval", interval)})
				d, begun := w.device(t, apitoken.DeviceOptions{}), time.Now()
				if _, err := d.Wait(t.Context()); !errors.Is(err, apitoken.ErrDenied) || time.Since(begun) != want {
					t.Errorf("%v after %v, want %v", err, time.Since(begun), want)
				}
			})
		})
	}
}

// A code is good for an hour at most, and one that is good for no time is none.
func TestDeviceLives(t *testing.T) {
	for life, want := range map[string]time.Duration{
		"600": 10 * time.Minute, `"600"`: 10 * time.Minute, "86400": time.Hour, "1e300": time.Hour, "0": 0, "-600": 0, "null": 0, `"soon"`: 0, "[600]": 0, "1e-10": 0,
	} {
		t.Run(life, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t, public)
				w.provider.Fail(idtest.DeviceAuthorization, idtest.Fault{Body: deviceAnswer("expires_in", life)})
				d, err := apitoken.BeginDevice(t.Context(), w.Client, apitoken.DeviceOptions{})
				if (err == nil) != (want > 0) || err == nil && d.Life != want || err != nil && !errors.Is(err, idserver.Err) {
					t.Errorf("%+v, %v", d, err)
				}
			})
		})
	}
}

// deviceFaults are those of an endpoint that is no answer, and whether they may pass.
var deviceFaults = map[string]struct {
	fault   idtest.Fault
	passing bool
}{
	"away":              {idtest.Fault{Drop: true}, true},
	"it hangs":          {idtest.Fault{Hang: true}, true},
	"slow":              {idtest.Fault{Slow: time.Minute}, true},
	"503":               {idtest.Fault{Status: 503}, true},
	"endless":           {idtest.Fault{Endless: true}, false},
	"gzip bomb":         {idtest.Fault{GzipBomb: true}, false},
	"a page":            {idtest.Fault{HTML: true}, false},
	"elsewhere":         {idtest.Fault{Redirect: "https://evil.example"}, false},
	"over 1 MiB":        {idtest.Fault{Body: `{"x":"` + strings.Repeat("a", 1<<20) + `"}`}, false},
	"a list":            {idtest.Fault{Body: `[]`}, false},
	"null":              {idtest.Fault{Body: `null`}, false},
	"nothing":           {idtest.Fault{Body: ` `}, false},
	"an error as a 200": {idtest.Fault{Status: 200, Body: `{"error":"invalid_request"}`}, false},
}

func TestDeviceFaults(t *testing.T) {
	for name, row := range deviceFaults {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t, public)
				d := w.device(t, apitoken.DeviceOptions{Scopes: []string{"orders:read"}})
				w.provider.Fail(idtest.DeviceAuthorization, row.fault)
				if _, err := apitoken.BeginDevice(t.Context(), w.Client, apitoken.DeviceOptions{}); !errors.Is(err, idserver.Err) || errors.Is(err, idserver.ErrUnavailable) != row.passing {
					t.Errorf("of a code: %v", err)
				}
				row.fault.Once = true
				w.provider.Fail(idtest.Token, row.fault)
				if err := w.provider.DecideDevice(d.UserCode, "alice"); err != nil {
					t.Fatal(err)
				}
				if tokens, err := d.Wait(t.Context()); row.passing && (err != nil || tokens.AccessToken == "") || !row.passing && (tokens != nil || !errors.Is(err, idserver.ErrTokenEndpoint)) {
					t.Errorf("of tokens: %v", err)
				}
			})
		})
	}
}

// The tokens of a device are of type Bearer, and said once.
func TestDeviceTokenAnswers(t *testing.T) {
	for name, body := range map[string]string{
		"of MAC type": `{"access_token":"x","token_type":"mac"}`, "of no type": `{"access_token":"x","token_type":"N_A"}`, "bound to some key": `{"access_token":"x","token_type":"DPoP"}`,
		"twice": `{"access_token":"x","access_token":"y","token_type":"Bearer"}`, "no token": `{"token_type":"Bearer"}`, "a number": `{"access_token":7,"token_type":"Bearer"}`,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t, public)
				d := w.device(t, apitoken.DeviceOptions{})
				w.provider.Fail(idtest.Token, idtest.Fault{Body: body})
				if tokens, err := d.Wait(t.Context()); tokens != nil || !errors.Is(err, idserver.ErrTokenEndpoint) || errors.Is(err, idserver.ErrUnavailable) {
					t.Errorf("%v %v", tokens, err)
				}
			})
		})
	}
}

func TestBeginDeviceRefuses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, public)
		for name, o := range map[string]apitoken.DeviceOptions{
			"two scopes in one": {Scopes: []string{"a b"}}, "the grant's own": {Parameters: url.Values{"Client_ID": {"x"}}},
		} {
			if d, err := apitoken.BeginDevice(t.Context(), w.Client, o); d != nil || err == nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := apitoken.BeginDevice(t.Context(), nil, apitoken.DeviceOptions{}); err == nil {
			t.Error("there is no client")
		}
		w.provider.Fail(idtest.DeviceAuthorization, idtest.Fault{OAuthError: "unauthorized_client"})
		if _, err := apitoken.BeginDevice(t.Context(), w.Client, apitoken.DeviceOptions{}); !errors.Is(err, idserver.ErrTokenEndpoint) {
			t.Errorf("refused: %v", err)
		}
		w.provider.SetMetadata(func(m map[string]any) { delete(m, "device_authorization_endpoint") })
		if _, err := apitoken.BeginDevice(t.Context(), w.client(t, public), apitoken.DeviceOptions{}); !errors.Is(err, idserver.ErrDiscovery) {
			t.Errorf("no endpoint: %v", err)
		}
	})
}
