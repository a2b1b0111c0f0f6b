package apitoken

import (
	"strings"
	"testing"
)

// FuzzDeviceAnswer gives what a provider answers: whatever it is, a person is shown nothing but printable text, and sent nowhere
// but to https, and the program asks neither all the time nor never.
func FuzzDeviceAnswer(f *testing.F) {
	f.Add([]byte(`{"device_code":"a","user_code":"WDJB-MJHT","verification_uri":"https://id.example/device","verification_uri_complete":"https://id.example/device?c=1","expires_in":600,"interval":5}`))
	f.Add([]byte(`{"device_code":"a","user_code":"\u001b","verification_url":"http://127.0.0.1/","expires_in":"1e9","interval":1e300}`))
	f.Add([]byte(`{"device_code":"a","user_code":"A","verification_uri":"https://id.example/","expires_in":1e-9,"interval":1e-9}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var d Device
		if d.read(body) != nil {
			return
		}
		if d.code == "" || strings.ContainsFunc(d.UserCode+d.VerificationURI+d.VerificationURIComplete, isNotPrintable) || d.UserCode == "" || len(d.UserCode) > maxUserCode {
			t.Errorf("%+q", d.UserCode)
		}
		for _, at := range []string{d.VerificationURI, d.VerificationURIComplete} {
			if at != "" && !strings.HasPrefix(strings.ToLower(at), "https://") && !strings.HasPrefix(strings.ToLower(at), "http://") {
				t.Errorf("a person is sent to %q", at)
			}
		}
		if d.Life <= 0 || d.Life > maxDeviceLife || d.interval < minInterval || d.interval > maxInterval {
			t.Errorf("%v, every %v", d.Life, d.interval)
		}
	})
}
