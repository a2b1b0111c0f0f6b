package idtest_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/signward/idserver-go/core/idtest"
)

// A person opens the address that a device shows, types the code, and chooses who they are.
func TestDevicePage(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t)
	p.AddClient(idtest.Client{ID: "television"})
	begun := post(t, p, "/connect/deviceauthorization", url.Values{"client_id": {"television"}, "scope": {"openid"}}).json(t)
	code := begun["user_code"].(string)
	token := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {begun["device_code"].(string)}, "client_id": {"television"}}
	if a := get(t, p, "/device"); a.status != http.StatusOK || !strings.Contains(a.body, `name="user_code"`) || strings.Contains(a.body, "No device waits") {
		t.Errorf("without a code: %d %s", a.status, a.body)
	}
	if a := get(t, p, "/device?user_code=%3Cb%3E1234567890"); !strings.Contains(a.body, "No device waits for the code <strong>B123-4567</strong>") || !strings.Contains(a.body, `name="user_code"`) {
		t.Errorf("with another code: %d %s", a.status, a.body)
	}
	if a := post(t, p, "/device?user_code=AAAA-AAAA", url.Values{"user": {"alice"}}); a.status != http.StatusBadRequest {
		t.Errorf("another code is decided about: %d", a.status)
	}
	typed := "/device?user_code=+" + strings.ToLower(strings.ReplaceAll(code, "-", ""))
	if a := get(t, p, typed); !strings.Contains(a.body, "the device that shows <strong>"+code+"</strong>") || !strings.Contains(a.body, "Alice Tan") {
		t.Errorf("with the code as it was typed: %d %s", a.status, a.body)
	}
	if a := post(t, p, typed, url.Values{"user": {"alice"}}, "Origin", "https://evil.example"); a.status != http.StatusForbidden {
		t.Errorf("by another site: %d", a.status)
	}
	if a := post(t, p, typed, url.Values{"user": {"alice"}}); a.status != http.StatusOK || !strings.Contains(a.body, "Go back to the device") {
		t.Errorf("decided: %d %s", a.status, a.body)
	}
	if a := get(t, p, typed); !strings.Contains(a.body, "No device waits") {
		t.Errorf("decided before: %d %s", a.status, a.body)
	}
	if a := post(t, p, "/connect/token", token); a.status != http.StatusOK || a.json(t)["id_token"] == nil {
		t.Errorf("the device gets %d %s", a.status, a.body)
	}
}
