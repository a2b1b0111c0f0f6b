package idgrpc_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	idserver "github.com/signward/idserver-go/core"
	idgrpc "github.com/signward/idserver-go/grpc"
)

// What a guard is handed of a call, over TLS on loopback.
func TestRequest(t *testing.T) {
	w := newWorld(t)
	type seen struct {
		r      idserver.Request
		values map[string][]string
	}
	calls := make(chan seen, 1)
	look := func(ctx context.Context, r idserver.Request) (context.Context, idserver.Answer) {
		values := map[string][]string{}
		for _, name := range []string{"Authorization", "Cookie", "X-Learnt-Later", "X-None", "User-Agent"} {
			values[name] = r.Header.Values(name)
		}
		calls <- seen{r, values}
		return ctx, idserver.Answer{SameContext: true}
	}
	site := httptest.NewTLSServer(nil) // for its certificate
	defer site.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	options := append(idgrpc.New(w, idgrpc.Config{Methods: map[string]idserver.Guard{whoAmI: look}}).ServerOptions(),
		grpc.Creds(credentials.NewServerTLSFromCert(&site.TLS.Certificates[0])))
	trusted := credentials.NewTLS(&tls.Config{RootCAs: site.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, ServerName: "example.com", MinVersion: tls.VersionTLS12})
	_, server := newSuite(options...)
	conn := serveOn(t, server, listener, listener.Addr().String(), grpc.WithTransportCredentials(trusted))
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer a", "authorization", " b  ", "authorization-bin", "Bearer c",
		"cookie", "a=b", "X-Learnt-Later", "one", "x-learnt-later", " two ")
	if _, err := call(ctx, conn, whoAmI); err != nil {
		t.Fatal(err)
	}
	got := <-calls
	if got.r.Method != "POST" || got.r.Path != whoAmI || got.r.RawQuery != "" || got.r.Host != "example.com" || got.r.TLS == nil || !got.r.TLS.HandshakeComplete || got.r.Body != nil {
		t.Errorf("%+v", got.r)
	}
	for name, want := range map[string][]string{
		"Authorization": {"Bearer a", "b", ""}, "Cookie": nil, "X-Learnt-Later": {"one", "two"}, "X-None": nil,
	} {
		if !slices.Equal(got.values[name], want) {
			t.Errorf("%s: %q, want %q", name, got.values[name], want)
		}
	}
	if len(got.values["User-Agent"]) != 1 {
		t.Errorf("User-Agent: %q", got.values["User-Agent"])
	}
}
