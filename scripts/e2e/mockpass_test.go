//go:build e2e

package e2e

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// mockPass starts MockPass, which scripts/test installed, with the public key of key.
func mockPass(t *testing.T, key *rsa.PrivateKey) (hostname string) {
	t.Helper()
	leftOut(t, "node")
	dir := os.Getenv("MOCKPASS")
	if dir == "" {
		t.Fatal("MOCKPASS is not set: scripts/test installs MockPass and sets it")
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	file := filepath.Join(t.TempDir(), "public.pem")
	if err := errors.Join(err, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), 0o600)); err != nil {
		t.Fatal(err)
	}
	p := start(t, []string{"MOCKPASS_NRIC=S9812379B", "SERVICE_PROVIDER_PUB_KEY=" + file, "SHOW_LOGIN_PAGE=false"}, "node", filepath.Join(dir, "mockpass.mjs"))
	return p.line("mockpass")
}

// sgIDSample builds the guide's program for sgID in one framework, in the module of that framework's example, which has all
// that it imports.
func sgIDSample(t *testing.T, framework string) (binary string) {
	t.Helper()
	program, err := os.ReadFile(filepath.Join("testdata", "sgid", framework, "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	folder, err := os.MkdirTemp(filepath.Join("../../examples", framework), "sample")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(folder)
	if err := os.WriteFile(filepath.Join(folder, "main.go"), program, 0o644); err != nil {
		t.Fatal(err)
	}
	binary = filepath.Join(t.TempDir(), framework)
	command := exec.Command("go", "build", "-race", "-o", binary, ".")
	command.Dir = folder
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// listening waits until somebody listens there.
func (p *process) listening(addr string) {
	p.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); ; {
		select {
		case <-tick.C:
			if c, err := net.Dial("tcp", addr); err == nil {
				_ = c.Close()
				return
			}
		case <-deadline:
			p.t.Fatalf("nobody listens at %s:\n%s", addr, p.log.String())
		}
	}
}

// mockPassScopes are what MockPass has of S9812379B; its values are its own, and public.
var mockPassScopes = map[string]string{
	"myinfo.nric_number":                     "S9812379B",
	"myinfo.name":                            "LIM YONG XIANG",
	"myinfo.email":                           "myinfotesting@gmail.com",
	"myinfo.sex":                             "MALE",
	"myinfo.race":                            "CHINESE",
	"myinfo.mobile_number":                   "97399245",
	"myinfo.mobile_number_with_country_code": "+65 97399245",
	"myinfo.registered_address":              "", // not empty
	"myinfo.date_of_birth":                   "1980-10-06",
	"myinfo.nationality":                     "BRITISH OVERSEAS TERRITORIES CITIZEN",
	"myinfo.residentialstatus":               "PR",
	"myinfo.hdbtype":                         "3-ROOM FLAT (HDB)",
	"myinfo.housingtype":                     "NA",
	"myinfo.birth_country":                   "BRITISH VIRGIN ISLANDS",
	"myinfo.marital_status":                  "DIVORCED",
	"myinfo.passport_number":                 "NA",
	"myinfo.occupation":                      "NA", // MockPass does not know it
	"pocdex.public_officer_details":          "",
}

// A person signs in at MockPass through each adapter, and the decrypted data are shown.
func TestMockPass(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	hostname := mockPass(t, key)
	scopes := "openid"
	for scope := range mockPassScopes {
		scopes += " " + scope
	}
	for _, framework := range []string{"gin", "echo", "fiber", "chi"} {
		t.Run(framework, func(t *testing.T) {
			addr := freeAddr(t)
			app := "http://" + addr
			p := start(t, []string{
				"ADDR=" + addr, "BASE_URL=" + app, "SESSION_SECRET=" + rand.Text() + rand.Text(), "SGID_SCOPES=" + scopes,
				"SGID_HOSTNAME=" + hostname, "SGID_CLIENT_ID=app", "SGID_CLIENT_SECRET=" + rand.Text(),
				"SGID_PRIVATE_KEY=" + strings.ReplaceAll(pkcs1, "\n", `\n`), // as environment files have it
			}, sgIDSample(t, framework))
			p.untamed = true
			p.listening(addr)
			v := newVisitor(t, app)
			shown, at := v.follow(v.get("/profile"))
			if at != app+"/profile" || shown.StatusCode != 200 {
				t.Fatalf("signed in at %s: %d %s", at, shown.StatusCode, shown.body)
			}
			var profile struct {
				Subject, Name string
				Data          map[string]string
			}
			if err := json.Unmarshal([]byte(shown.body), &profile); err != nil {
				t.Fatalf("%v: %s", err, shown.body)
			}
			if !strings.HasPrefix(profile.Subject, "u=") || profile.Name != "LIM YONG XIANG" {
				t.Errorf("subject %q, name %q", profile.Subject, profile.Name)
			}
			checkMockPassData(t, profile.Data)

			a := v.do("GET", "/auth/userinfo", script, nil)
			var info struct {
				ID, Sub string
				Data    map[string]string
			}
			if err := json.Unmarshal([]byte(a.body), &info); err != nil || a.StatusCode != 200 || info.ID != profile.Subject || info.Sub != profile.Subject {
				t.Errorf("userinfo: %d %s", a.StatusCode, a.body)
			}
			checkMockPassData(t, info.Data)

			if a := v.do("POST", "/auth/logout", script, nil); a.StatusCode != 200 || !strings.Contains(a.body, `"url":"/"`) {
				t.Errorf("logout: %d %s", a.StatusCode, a.body)
			}
			if a := v.do("GET", "/auth/userinfo", script, nil); a.StatusCode != 401 {
				t.Errorf("signed out: %d %s", a.StatusCode, a.body)
			}
		})
	}
}

func checkMockPassData(t *testing.T, data map[string]string) {
	t.Helper()
	for scope, want := range mockPassScopes {
		if got := data[scope]; got != want && want != "" || got == "" {
			t.Errorf("%s is %q, want %q", scope, got, want)
		}
	}
	if len(data) != len(mockPassScopes) {
		t.Errorf("%d values, want %d", len(data), len(mockPassScopes))
	}
	if address := data["myinfo.registered_address"]; !strings.Contains(address, "LORONG 1 TOA PAYOH\n") {
		t.Errorf("address %q", address)
	}
	if officer := data["pocdex.public_officer_details"]; !strings.HasPrefix(officer, `[{"work_email":"lim_yong_xiang@was.gov.sg"`) {
		t.Errorf("officer %q", officer)
	}
}
