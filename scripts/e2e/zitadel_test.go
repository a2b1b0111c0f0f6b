//go:build e2e

package e2e

import (
	"net/url"
	"syscall"
	"testing"
)

// startZitadel starts the example server of zitadel/oidc, which has everything in memory.
func startZitadel(t *testing.T, app, secret, _ string) *providerUnderTest {
	addr := freeAddr(t)
	var server *process
	run := func() (issuer string) {
		server = start(t, []string{"ADDR=" + addr, "APP=" + app, "CLIENT_SECRET=" + secret, "ACCESS_TTL=" + accessTTL.String()}, installed(t, "bin/zitadel"))
		server.untamed = true
		issuer = server.line("provider")
		waitFor(t, server, issuer+".well-known/openid-configuration")
		return issuer
	}
	return &providerUnderTest{
		asks:    true,
		version: "3.46.0", issuer: run(), subject: "id1", env: []string{"AFTER_SIGN_OUT=none"}, // it knows no URI to come back to
		signIn: func(v *visitor, page answer, at string) (answer, string) {
			return v.follow(v.submit(page, at, url.Values{"username": {"test-user@127.0.0.1"}, "password": {"verysecure"}}))
		},
		restart: func() { server.end(); run() },
		rotate: func() {
			_ = server.command.Process.Signal(syscall.SIGUSR2)
			server.line("key")
		},
	}
}
