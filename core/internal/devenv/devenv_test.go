package devenv

import (
	"net"
	"testing"
)

func TestIsLoopback(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"localhost": true, "LocalHost": true, "127.0.0.1": true, "127.9.9.9": true, "::1": true, "::ffff:127.0.0.1": true,
		"": false, "localhost.": false, "app.localhost": false, "localhost.example.com": false,
		"10.0.0.1": false, "0.0.0.0": false, "::": false,
	} {
		t.Run(host, func(t *testing.T) {
			if got := IsLoopback(host); got != want {
				t.Errorf("%v, want %v", got, want)
			}
		})
	}
}

func TestIsLoopbackURL(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"http://localhost:8080/a": true, "https://[::1]": true, "http://127.0.0.1": true,
		"http://app.example.com": false, "http://localhost@app.example.com": false, "://": false, "": false,
	} {
		t.Run(text, func(t *testing.T) {
			if got := IsLoopbackURL(text); got != want {
				t.Errorf("%v, want %v", got, want)
			}
		})
	}
}

func TestURLOf(t *testing.T) {
	t.Parallel()
	for want, ip := range map[string]net.IP{
		"http://127.0.0.1:80": net.IPv4zero, "http://127.0.0.2:80": net.IPv4(127, 0, 0, 2), "http://[::1]:80": net.IPv6loopback,
	} {
		t.Run(want, func(t *testing.T) {
			if got := URLOf(net.TCPAddr{IP: ip, Port: 80}); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		})
	}
}

func TestAnySet(t *testing.T) {
	t.Setenv("DEVENV_TEST_EMPTY", "")
	if AnySet("DEVENV_TEST") {
		t.Error("an empty variable counts as set")
	}
	t.Setenv("DEVENV_TEST_FULL", "x")
	if !AnySet("NO_SUCH_VARIABLE", "DEVENV_TEST") || AnySet("VENV_TEST") {
		t.Error("a prefix is not looked for at the beginning")
	}
}

func TestOnOtherPort(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"http://127.0.0.1:8080": false, "http://localhost:8080/app": false, "http://127.0.0.1:8081": true, "http://localhost": true,
		"https://localhost": true, "https://app.example.com": false, "http://app.example.com:9": false, "": false, "://": false,
	} {
		t.Run(text, func(t *testing.T) {
			if got := OnOtherPort(text, net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080}); got != want {
				t.Errorf("%v, want %v", got, want)
			}
		})
	}
}
