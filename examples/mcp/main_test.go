package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
)

// The program as it is run: a client that knows its address alone registers, signs alice in, and asks for the scope that a tool
// needs when it is told.
func TestProgram(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "mcp")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	program := exec.Command(binary)
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "IDSERVER_") && !strings.HasPrefix(variable, "SESSION_SECRET") && !strings.HasPrefix(variable, "BASE_URL=") {
			program.Env = append(program.Env, variable)
		}
	}
	program.Env = append(program.Env, "ADDR=127.0.0.1:0")
	out, err := program.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	program.Stderr = os.Stderr
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	said := func(word string) (rest string) {
		t.Helper()
		line, err := lines.ReadString('\n')
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), word+" ")
		if err != nil || !ok {
			t.Fatalf("it says %q, want %s: %v", line, word, err)
		}
		return rest
	}
	endpoint, provider := said("open"), said("provider")

	var asked []string
	handler, err := auth.NewAuthorizationCodeHandler(&auth.AuthorizationCodeHandlerConfig{
		DynamicClientRegistrationConfig: &auth.DynamicClientRegistrationConfig{Metadata: &oauthex.ClientRegistrationMetadata{
			RedirectURIs: []string{"http://127.0.0.1:9/callback"}, TokenEndpointAuthMethod: "none",
		}},
		AuthorizationCodeFetcher: func(ctx context.Context, args *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
			if !strings.HasPrefix(args.URL, provider+"/connect/authorize?") {
				return nil, fmt.Errorf("it is sent to %s", args.URL)
			}
			at, _ := url.Parse(args.URL)
			asked = append(asked, at.Query().Get("scope"))
			return choose(ctx, args.URL, "alice")
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "client", Version: "1"}, nil)
	session, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: endpoint, OAuthHandler: handler, DisableStandaloneSSE: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for tool, want := range map[string]string{"whoami": `"alice@example.test"`, "list_orders": `"tea for Alice Tan"`} {
		result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: tool})
		if err != nil {
			t.Fatal(err)
		}
		if text, ok := result.Content[0].(*mcp.TextContent); !ok || result.IsError || !strings.Contains(text.Text, want) {
			t.Errorf("%s: %+v", tool, result.Content[0])
		}
	}
	if len(asked) != 2 || asked[0] != "openid" || !strings.Contains(asked[1], "orders:read") {
		t.Errorf("it asked for %q", asked)
	}
	_ = session.Close()

	_ = program.Process.Signal(syscall.SIGTERM)
	if err := program.Wait(); err != nil {
		t.Errorf("it ends with %v", err)
	}
}

// choose is the person at the provider's page.
func choose(ctx context.Context, page, user string) (*auth.AuthorizationResult, error) {
	r, err := http.NewRequestWithContext(ctx, "POST", page, strings.NewReader(url.Values{"user": {user}}.Encode()))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	callback, err := response.Location()
	if err != nil {
		return nil, fmt.Errorf("the provider answers %s", response.Status)
	}
	q := callback.Query()
	return &auth.AuthorizationResult{Code: q.Get("code"), State: q.Get("state"), Iss: q.Get("iss")}, nil
}
