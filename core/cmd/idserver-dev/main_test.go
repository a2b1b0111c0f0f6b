package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/signward/idserver-go/core/idtest"
)

func TestRun(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, in := io.Pipe()
	status := make(chan int, 1)
	var stderr strings.Builder
	go func() {
		status <- run(ctx, []string{"-addr", "127.0.0.1:0", "-client-secret", "it's secret"}, in, &stderr)
		in.Close()
	}()

	printed := map[string]string{}
	var provider, curl string
	for lines := bufio.NewScanner(out); curl == "" && lines.Scan(); {
		line := lines.Text()
		if name, value, ok := strings.Cut(strings.TrimPrefix(line, "export "), "="); ok && strings.HasPrefix(line, "export ") {
			printed[name] = value
		}
		if rest, ok := strings.CutPrefix(line, "provider "); ok {
			provider = rest
		}
		if strings.HasPrefix(line, "curl ") {
			curl = line
		}
	}
	if !regexp.MustCompile(`^http://localhost:\d+$`).MatchString(provider) {
		t.Fatalf("provider is %q, stderr %q", provider, stderr.String())
	}
	if want := "curl -s -d user=alice " + provider + "/dev/token"; curl != want {
		t.Errorf("curl line is %q, want %q", curl, want)
	}
	if !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(printed["SESSION_SECRET"]) {
		t.Errorf("SESSION_SECRET is %q", printed["SESSION_SECRET"])
	}
	for name, want := range map[string]string{
		"IDSERVER_AUTHORITY":     provider,
		"IDSERVER_CLIENT_ID":     idtest.ExampleClient,
		"IDSERVER_CLIENT_SECRET": `'it'\''s secret'`,
		"BASE_URL":               "http://127.0.0.1:8080",
	} {
		if printed[name] != want {
			t.Errorf("%s is %q, want %q", name, printed[name], want)
		}
	}

	response, err := http.PostForm(provider+"/dev/token", url.Values{"user": {"alice"}})
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var token struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(response.Body).Decode(&token); err != nil || token.AccessToken == "" {
		t.Errorf("token is %+v, %v", token, err)
	}

	stop()
	if got := <-status; got != 0 {
		t.Errorf("exit status is %d", got)
	}
	if _, err := http.Get(provider); err == nil {
		t.Error("still listening")
	}
}

func TestRunRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, test := range map[string]struct {
		args   []string
		status int
		says   string
	}{
		"everywhere":  {[]string{"-addr", ":9000"}, 2, `-addr ":9000" is not on loopback`},
		"unspecified": {[]string{"-addr", "0.0.0.0:9000"}, 2, `-addr "0.0.0.0:9000" is not on loopback`},
		"no port":     {[]string{"-addr", "localhost"}, 2, `-addr "localhost"`},
		"in use":      {[]string{"-addr", taken.Addr().String()}, 1, "-addr " + taken.Addr().String()},
		"bad port":    {[]string{"-addr", "127.0.0.1:http!"}, 1, "-addr 127.0.0.1:http!"},
		"lifetime":    {[]string{"-access-ttl", "1ms"}, 2, "-access-ttl"},
		"client":      {[]string{"-client-id", ""}, 2, "-client-id"},
		"audience":    {[]string{"-audience", ""}, 2, "-audience"},
		"argument":    {[]string{"extra"}, 2, `"extra"`},
		"flag":        {[]string{"-port", "1"}, 2, "-port"},
		"help":        {[]string{"-h"}, 0, "-addr"},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr strings.Builder
			if got := run(t.Context(), test.args, &stdout, &stderr); got != test.status {
				t.Errorf("exit status is %d, want %d", got, test.status)
			}
			if !strings.Contains(stderr.String(), test.says) || stdout.Len() > 0 {
				t.Errorf("stderr is %q, stdout %q, want %q", stderr.String(), stdout.String(), test.says)
			}
		})
	}
}
