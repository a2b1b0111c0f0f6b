//go:build e2e

package e2e

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// startLemonLDAP starts the portal of LemonLDAP::NG, from Debian's packages, with its demonstration accounts. Sessions and
// grants are files, which a restart keeps.
func startLemonLDAP(t *testing.T, app, secret, dir string) *providerUnderTest {
	root := installed(t, "debian")
	addr := freeAddr(t)
	issuer := "http://" + addr + "/"
	host, port, _ := net.SplitHostPort(addr)
	for _, name := range []string{"conf", "sessions/lock", "psessions/lock", "cache"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	file := func(name, content string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	portal := filepath.Join(root, "usr/share/lemonldap-ng/portal")
	file("lemonldap-ng.ini", fmt.Sprintf("[all]\nlogLevel = warn\ncheckTime = 1\n[configuration]\ntype = File\ndirName = %s/conf\n[portal]\nstaticPrefix = /static\ntemplateDir = %s/templates\nlanguages = en\n", dir, portal))
	app1 := "application"
	configuration := func(number int, kid string) {
		private, public := pemKey(t)
		text, err := json.Marshal(map[string]any{
			"cfgNum": number, "cfgAuthor": "e2e", "cfgDate": 1, "cfgVersion": "2.16.1",
			"portal": issuer, "domain": host, "cookieName": "lemonldap", "securedCookie": 0, "timeout": 72000,
			"authentication": "Demo", "userDB": "Same", "passwordDB": "Demo", "registerDB": "Null",
			"demoExportedVars": map[string]any{"cn": "cn", "mail": "mail", "uid": "uid"}, "exportedVars": map[string]any{},
			"globalStorage":        "Apache::Session::File",
			"globalStorageOptions": map[string]any{"Directory": dir + "/sessions", "LockDirectory": dir + "/sessions/lock", "generateModule": "Lemonldap::NG::Common::Apache::Session::Generate::SHA256"},
			"localSessionStorage":  "", "localSessionStorageOptions": map[string]any{},
			"persistentStorage":        "Apache::Session::File",
			"persistentStorageOptions": map[string]any{"Directory": dir + "/psessions", "LockDirectory": dir + "/psessions/lock"},
			"locationRules":            map[string]any{addr: map[string]any{"default": "accept"}}, "exportedHeaders": map[string]any{}, "applicationList": map[string]any{},
			"groups": map[string]any{}, "macros": map[string]any{"_whatToTrace": "lc($_user)"}, "whatToTrace": "_whatToTrace", "portalSkin": "bootstrap",
			"captcha_mail_enabled": 0, "captcha_register_enabled": 0, "portalDisplayResetPassword": 0, "portalDisplayRegister": 0, "portalDisplayLogout": 1,
			"issuerDBOpenIDConnectActivation": 1,
			"oidcServicePrivateKeySig":        private, "oidcServicePublicKeySig": public, "oidcServiceKeyIdSig": kid,
			"oidcServiceAllowAuthorizationCodeFlow": 1,
			"oidcRPMetaDataExportedVars":            map[string]any{app1: map[string]any{"name": "cn", "email": "mail", "roles": "groups;array;always"}},
			"oidcRPMetaDataOptionsExtraClaims":      map[string]any{app1: map[string]any{"profile": "name roles"}},
			"oidcRPMetaDataOptions": map[string]any{app1: map[string]any{
				"oidcRPMetaDataOptionsClientID": clientID, "oidcRPMetaDataOptionsClientSecret": secret, "oidcRPMetaDataOptionsRequirePKCE": 1,
				"oidcRPMetaDataOptionsRedirectUris": app + "/auth/callback", "oidcRPMetaDataOptionsPostLogoutRedirectUris": app + "/",
				"oidcRPMetaDataOptionsBypassConsent": 1, "oidcRPMetaDataOptionsIDTokenSignAlg": "RS256", "oidcRPMetaDataOptionsIDTokenForceClaims": 1,
				"oidcRPMetaDataOptionsAccessTokenJWT": 1, "oidcRPMetaDataOptionsAccessTokenClaims": 1, "oidcRPMetaDataOptionsAccessTokenSignAlg": "RS256",
				"oidcRPMetaDataOptionsAdditionalAudiences": "idserver-api", "oidcRPMetaDataOptionsRefreshToken": 1,
				"oidcRPMetaDataOptionsAccessTokenExpiration": int(accessTTL.Seconds()), "oidcRPMetaDataOptionsIDTokenExpiration": 3600,
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
		file(fmt.Sprintf("conf/lmConf-%d.json", number), string(text))
	}
	number := 1
	configuration(number, rand.Text())

	var server *process
	run := func() {
		server = start(t, debianEnv(t, "LLNG_DEFAULTCONFFILE="+filepath.Join(dir, "lemonldap-ng.ini")),
			"perl", filepath.Join(root, "usr/bin/plackup"), "-s", "HTTP::Server::PSGI", "-E", "deployment", "--host", host, "--port", port, filepath.Join(portal, "htdocs/index.psgi"))
		server.untamed = true
		waitFor(t, server, issuer+".well-known/openid-configuration")
	}
	run()
	return &providerUnderTest{
		asks:    true,
		version: "2.16.1", issuer: issuer, subject: "dwho", roles: []string{"timelords", "users"},
		signIn: func(v *visitor, page answer, at string) (answer, string) {
			return v.follow(v.submit(page, at, url.Values{"user": {"dwho"}, "password": {"dwho"}}))
		},
		signOut: func(v *visitor, page answer, at string) (answer, string) {
			return v.follow(v.submit(page, at, url.Values{"confirm": {"1"}}))
		},
		rotate: func() {
			number++
			kid := rand.Text()
			configuration(number, kid)
			for deadline := time.Now().Add(patience); !strings.Contains(newVisitor(t, app).get(issuer+"oauth2/jwks").body, kid); time.Sleep(100 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("the portal does not read its new configuration")
				}
			}
		},
		restart: func() { server.end(); run() },
	}
}

// debianEnv is the environment for what lies unpacked, and not installed, in the folder debian.
func debianEnv(t *testing.T, more ...string) []string {
	root := installed(t, "debian")
	libraries, err := filepath.Glob(filepath.Join(root, "usr/lib/*-linux-*"))
	if err != nil {
		t.Fatal(err)
	}
	perl := []string{filepath.Join(root, "usr/share/perl5")}
	for _, dir := range libraries {
		versions, _ := filepath.Glob(filepath.Join(dir, "perl5/*"))
		perl = append(perl, versions...)
	}
	return append(more, "LD_LIBRARY_PATH="+strings.Join(libraries, ":"), "PERL5LIB="+strings.Join(perl, ":"))
}

func pemKey(t *testing.T) (private, public string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}
