package idgrpc_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	reflectiongrpc "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
	idgrpc "github.com/signward/idserver-go/grpc"
)

var update = flag.Bool("update", false, "write testdata/behaviour.golden anew")

// guarded is how the tests' service is guarded.
func guarded(w *world) idgrpc.Config {
	return idgrpc.Config{
		Methods: map[string]idserver.Guard{
			admin:                                  w.RequireRole("admin"),
			open:                                   w.LoadUser(),
			healthgrpc.Health_Check_FullMethodName: idgrpc.Open,
		},
		Others: w.RequireUser(),
	}
}

// The transcript has what a client is told for every kind of call and of credentials.
func TestBehaviour(t *testing.T) {
	w := newWorld(t)
	conn, _ := serve(t, idgrpc.New(w, guarded(w)).ServerOptions()...)
	alice, bob := w.provider.MintAccessToken("alice"), w.provider.MintAccessToken("bob")
	expired := w.provider.MintAccessToken("alice", func(c map[string]any) { c["exp"] = 1_000_000_000 })
	foreign := w.provider.MintAccessToken("alice", func(c map[string]any) { c["aud"] = "another-api" })
	revoked := w.provider.MintAccessToken("alice")
	if err := w.RevokeToken(t.Context(), revoked); err != nil {
		t.Fatal(err)
	}
	sent := []struct {
		what     string
		metadata []string
	}{
		{"nothing", nil},
		{"alice's token", []string{"authorization", "Bearer " + alice}},
		{"bob's token", []string{"authorization", "Bearer " + bob}},
		{"a token after another spelling of the scheme, in white space", []string{"authorization", " bearer  " + alice + " "}},
		{"an expired token", []string{"authorization", "Bearer " + expired}},
		{"a token for another API", []string{"authorization", "Bearer " + foreign}},
		{"a revoked token", []string{"authorization", "Bearer " + revoked}},
		{"a changed token", []string{"authorization", "Bearer " + alice[:len(alice)-4] + "AAAA"}},
		{"no token at all", []string{"authorization", "Bearer "}},
		{"an empty authorization", []string{"authorization", ""}},
		{"another scheme", []string{"authorization", "Basic YWxpY2U6c2VjcmV0"}},
		{"a token without its scheme", []string{"authorization", alice}},
		{"two tokens", []string{"authorization", "Bearer " + alice, "authorization", "Bearer " + alice}},
		{"two tokens in one value", []string{"authorization", "Bearer " + alice + ", Bearer " + alice}},
		{"a token in binary metadata", []string{"authorization-bin", "Bearer " + alice}},
		{"a token, and one in binary metadata", []string{"authorization", "Bearer " + alice, "authorization-bin", "Bearer " + bob}},
		{"a cookie", []string{"cookie", "__Host-session=" + alice}},
		{"a token far too long", []string{"authorization", "Bearer " + strings.Repeat("x", 100_000)}},
	}
	var transcript strings.Builder
	for _, row := range sent {
		fmt.Fprintf(&transcript, "== %s\n", row.what)
		for _, method := range []string{whoAmI, admin, open} {
			answer, err := call(metadata.AppendToOutgoingContext(t.Context(), row.metadata...), conn, method)
			if err != nil {
				answer = told(err)
			}
			fmt.Fprintf(&transcript, "%s %s\n", method, answer)
		}
		ss := begin(t, metadata.AppendToOutgoingContext(t.Context(), row.metadata...), conn, chat)
		_ = ss.SendMsg(wrapperspb.String("hello")) // io.EOF where the stream was refused first
		_ = ss.CloseSend()
		answer, err := hear(ss)
		if err != nil {
			answer = told(err)
		}
		fmt.Fprintf(&transcript, "%s %s\n", chat, answer)
	}
	const golden = "testdata/behaviour.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(transcript.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	wanted, got := strings.Split(string(want), "\n"), strings.Split(transcript.String(), "\n")
	for i, line := range got {
		if i >= len(wanted) || wanted[i] != line {
			t.Fatalf("line %d is\n%s\nand not what %s has: see go test -update", i+1, line, golden)
		}
	}
	if len(got) != len(wanted) {
		t.Errorf("%d lines, want %d", len(got), len(wanted))
	}
	if strings.Contains(transcript.String(), alice[:20]) || strings.Contains(transcript.String(), "another-api") {
		t.Error("the client is told a token, or why in detail it is refused")
	}
}

// shop is the Identifier of an API whose tokens are bound to a key.
const shop = "https://shop.example"

// boundAPI takes tokens that are bound to a key, and others.
func (w *world) boundAPI(t *testing.T, edit ...func(*idserver.ResourceConfig)) *idserver.Resource {
	t.Helper()
	cfg := idserver.ResourceConfig{Identifier: shop, DPoP: true}
	for _, e := range edit {
		e(&cfg)
	}
	api, err := w.NewResource(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return api
}

func (w *world) boundTo(key *idtest.ProofKey) string {
	return w.provider.MintAccessToken("alice", func(c map[string]any) { c["aud"] = shop }, key.Bind)
}

// A token that is bound to a key comes with a proof for the Identifier's origin, POST, and the full method name (RFC 9449 section 7).
func TestBoundTokens(t *testing.T) {
	w, key := newWorld(t), idtest.NewProofKey(nil)
	api := w.boundAPI(t)
	conn, _ := serve(t, idgrpc.New(api, idgrpc.Config{Methods: map[string]idserver.Guard{admin: api.RequireRole("admin")}, Others: api.RequireUser()}).ServerOptions()...)
	token := w.boundTo(key)
	proof := func(method, url string) string { return key.Proof(method, url, token, "") }
	used := proof("POST", shop+whoAmI)
	for _, row := range []struct {
		what   string
		ctx    context.Context
		reason string
	}{
		{"its proof", proving(t.Context(), token, used), ""},
		{"its proof, once more", proving(t.Context(), token, used), "invalid_dpop_proof"},
		{"another proof", proving(t.Context(), token, proof("POST", shop+whoAmI)), ""},
		{"no proof", metadata.AppendToOutgoingContext(t.Context(), "authorization", "DPoP "+token), "invalid_dpop_proof"},
		{"a proof for another method", proving(t.Context(), token, proof("POST", shop+admin)), "invalid_dpop_proof"},
		{"a proof for GET", proving(t.Context(), token, proof("GET", shop+whoAmI)), "invalid_dpop_proof"},
		{"a proof for the host of the connection", proving(t.Context(), token, proof("POST", "http://memory"+whoAmI)), "invalid_dpop_proof"},
		{"a proof in binary metadata", metadata.AppendToOutgoingContext(t.Context(), "authorization", "DPoP "+token, "dpop-bin", proof("POST", shop+whoAmI)), "invalid_dpop_proof"},
		{"two proofs", proving(metadata.AppendToOutgoingContext(t.Context(), "dpop", proof("POST", shop+whoAmI)), token, proof("POST", shop+whoAmI)), "invalid_dpop_proof"},
		{"a proof of another key", proving(t.Context(), token, idtest.NewProofKey(nil).Proof("POST", shop+whoAmI, token, "")), "invalid_dpop_proof"},
		{"the scheme Bearer", bearer(t.Context(), token), "invalid_token"},
	} {
		got, err := call(row.ctx, conn, whoAmI)
		if (err == nil) != (row.reason == "") || reason(err) != row.reason || err != nil && status.Code(err) != codes.Unauthenticated {
			t.Errorf("%s: %q %v", row.what, got, err)
		}
	}
	if got, err := call(proving(t.Context(), token, proof("POST", shop+admin)), conn, admin); err != nil {
		t.Errorf("a role: %q %v", got, err)
	}
}

// A nonce that the API wants is in the refusal, and the next proof has it.
func TestProofWithNonce(t *testing.T) {
	w, key := newWorld(t), idtest.NewProofKey(nil)
	api := w.boundAPI(t, func(c *idserver.ResourceConfig) {
		c.DPoPNonces, c.DPoPNonceSecrets = true, []string{"a-secret-for-nonces-of-at-least-32-bytes"}
	})
	conn, _ := serve(t, idgrpc.New(api, idgrpc.Config{Others: api.RequireUser()}).ServerOptions()...)
	token := w.boundTo(key)
	_, err := call(proving(t.Context(), token, key.Proof("POST", shop+whoAmI, token, "")), conn, whoAmI)
	var nonce string
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			nonce = info.Metadata["dpop_nonce"]
		}
	}
	if reason(err) != "use_dpop_nonce" || nonce == "" {
		t.Fatalf("%s", told(err))
	}
	if got, err := call(proving(t.Context(), token, key.Proof("POST", shop+whoAmI, token, nonce)), conn, whoAmI); err != nil {
		t.Errorf("%q %v", got, err)
	}
}

func TestStreamsOfEveryKind(t *testing.T) {
	w := newWorld(t)
	conn, _ := serve(t, idgrpc.New(w, guarded(w)).ServerOptions()...)
	for method, row := range map[string]struct{ says, hears []string }{
		list:    {[]string{"?"}, []string{"Alice Tan", "Alice Tan", "Alice Tan"}},
		collect: {[]string{"one", "two"}, []string{"Alice Tan"}},
		chat:    {[]string{"one", "two"}, []string{"Alice Tan: one", "Alice Tan: two"}},
	} {
		t.Run(method, func(t *testing.T) {
			ss := begin(t, bearer(t.Context(), w.provider.MintAccessToken("alice")), conn, method)
			for _, words := range row.says {
				say(t, ss, words)
			}
			if err := ss.CloseSend(); err != nil {
				t.Fatal(err)
			}
			for _, line := range row.hears {
				if got, err := hear(ss); err != nil || got != line {
					t.Fatalf("%q %v, want %q", got, err, line)
				}
			}
			if got, err := hear(ss); !errors.Is(err, io.EOF) {
				t.Errorf("%q %v after the end", got, err)
			}
		})
		t.Run(method+" without a token", func(t *testing.T) {
			ss := begin(t, t.Context(), conn, method)
			if got, err := hear(ss); status.Code(err) != codes.Unauthenticated || reason(err) != "not_signed_in" {
				t.Errorf("%q %v", got, err)
			}
		})
	}
}

// A method that nobody named is open to nobody, whoever calls it; nor is one whose guard is nil.
func TestUnnamedMethods(t *testing.T) {
	w := newWorld(t)
	auth := idgrpc.New(w, idgrpc.Config{Methods: map[string]idserver.Guard{whoAmI: w.RequireUser(), admin: nil, "/test.Suite/": idgrpc.Open, "*": idgrpc.Open}})
	conn, _ := serve(t, auth.ServerOptions()...)
	ctx := bearer(t.Context(), w.provider.MintAccessToken("alice"))
	if got, err := call(ctx, conn, whoAmI); got != "Alice Tan" {
		t.Errorf("%q %v", got, err)
	}
	for _, method := range []string{open, admin, "/test.Suite/WhoAmI/", "/test.suite/whoami", "test.Suite/Open"} {
		if got, err := call(ctx, conn, method); err == nil || got != "" {
			t.Errorf("%s: %q %v", method, got, err)
		}
	}
	if _, err := hear(begin(t, ctx, conn, chat)); status.Code(err) != codes.PermissionDenied || reason(err) != "not_admitted" {
		t.Errorf("%v", err)
	}
}

// The guard of the methods that are not named cannot open them.
func TestOthersAreNeverOpen(t *testing.T) {
	w := newWorld(t)
	key := func(ctx context.Context, r idserver.Request) (context.Context, idserver.Answer) { // an application's own
		if len(r.Header.Values("X-Api-Key")) == 1 {
			return idserver.WithUser(ctx, &idserver.User{Name: "a robot"}), idserver.Answer{}
		}
		return ctx, idserver.Answer{SameContext: true}
	}
	for name, guard := range map[string]idserver.Guard{"Open": idgrpc.Open, "LoadUser": w.LoadUser(), "an own guard": key} {
		t.Run(name, func(t *testing.T) {
			conn, _ := serve(t, idgrpc.New(w, idgrpc.Config{Others: guard}).ServerOptions()...)
			if got, err := call(t.Context(), conn, whoAmI); status.Code(err) != codes.Unauthenticated {
				t.Errorf("without a token: %q %v", got, err)
			}
			if _, err := hear(begin(t, t.Context(), conn, forever)); status.Code(err) != codes.Unauthenticated {
				t.Errorf("a stream without a token: %v", err)
			}
			if got, err := call(bearer(t.Context(), w.provider.MintAccessToken("alice")), conn, whoAmI); got != "Alice Tan" {
				t.Errorf("with a token: %q %v", got, err)
			}
			got, err := call(metadata.AppendToOutgoingContext(t.Context(), "x-api-key", "x"), conn, whoAmI)
			if isOwn := name == "an own guard"; isOwn != (got == "a robot") || isOwn != (err == nil) {
				t.Errorf("with a key: %q %v", got, err)
			}
		})
	}
}

// Health is open by its exact name alone, and reflection is behind the guard of the others.
func TestHealthAndReflection(t *testing.T) {
	w := newWorld(t)
	auth := idgrpc.New(w, guarded(w))
	server := grpc.NewServer(auth.ServerOptions()...)
	healthgrpc.RegisterHealthServer(server, health.NewServer())
	reflection.Register(server)
	conn := serveIn(t, server)
	probe := healthgrpc.NewHealthClient(conn)
	if answer, err := probe.Check(t.Context(), &healthgrpc.HealthCheckRequest{}); err != nil || answer.Status != healthgrpc.HealthCheckResponse_SERVING {
		t.Errorf("%v %v", answer, err)
	}
	if _, err := probe.List(t.Context(), &healthgrpc.HealthListRequest{}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("List: %v", err)
	}
	watch, err := probe.Watch(t.Context(), &healthgrpc.HealthCheckRequest{})
	if err == nil {
		_, err = watch.Recv()
	}
	if status.Code(err) != codes.Unauthenticated {
		t.Errorf("Watch: %v", err)
	}
	mirror, err := reflectiongrpc.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
	if err == nil {
		_, err = mirror.Recv()
	}
	if status.Code(err) != codes.Unauthenticated {
		t.Errorf("reflection: %v", err)
	}
}

func TestCheck(t *testing.T) {
	w := newWorld(t)
	server := grpc.NewServer()
	s := &suite{}
	server.RegisterService(s.desc(), s)
	healthgrpc.RegisterHealthServer(server, health.NewServer())
	if err := idgrpc.New(w, guarded(w)).Check(server); err != nil {
		t.Errorf("%v", err)
	}
	for name, row := range map[string]struct {
		cfg  idgrpc.Config
		want []string
	}{
		"nothing is named":                  {idgrpc.Config{}, []string{whoAmI, chat, forever, "/grpc.health.v1.Health/Check"}},
		"a method is not named":             {idgrpc.Config{Methods: map[string]idserver.Guard{whoAmI: w.RequireUser()}}, []string{admin, chat}},
		"a name with a typing error":        {idgrpc.Config{Others: w.RequireUser(), Methods: map[string]idserver.Guard{"/test.Suite/Adnim": w.RequireRole("admin")}}, []string{"/test.Suite/Adnim"}},
		"a name without its slash":          {idgrpc.Config{Others: w.RequireUser(), Methods: map[string]idserver.Guard{"test.Suite/Admin": w.RequireRole("admin")}}, []string{`"test.Suite/Admin"`}},
		"a service":                         {idgrpc.Config{Others: w.RequireUser(), Methods: map[string]idserver.Guard{"/test.Suite/*": idgrpc.Open}}, []string{"/test.Suite/*"}},
		"a guard that is nil":               {idgrpc.Config{Others: w.RequireUser(), Methods: map[string]idserver.Guard{admin: nil}}, []string{admin}},
		"a guard that is nil, and no other": {idgrpc.Config{Methods: map[string]idserver.Guard{admin: nil}}, []string{admin + " has no guard"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := idgrpc.New(w, row.cfg).Check(server)
			if err == nil {
				t.Fatal("no fault is found")
			}
			for _, want := range row.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
		})
	}
}

// What the application's map becomes later changes nothing: a server reads it while it serves.
func TestMapIsCopied(t *testing.T) {
	w := newWorld(t)
	cfg := guarded(w)
	auth := idgrpc.New(w, cfg)
	cfg.Methods[whoAmI] = idgrpc.Open
	conn, _ := serve(t, auth.ServerOptions()...)
	if _, err := call(t.Context(), conn, whoAmI); status.Code(err) != codes.Unauthenticated {
		t.Errorf("%v", err)
	}
}

// Interceptors before ours recover from a handler's panic, and those behind see the user.
func TestChain(t *testing.T) {
	w := newWorld(t)
	recovers := grpc.ChainUnaryInterceptor(func(ctx context.Context, in any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (out any, err error) {
		defer func() {
			if cause := recover(); cause != nil {
				err = status.Error(codes.Internal, fmt.Sprint(cause))
			}
		}()
		return next(ctx, in)
	})
	seen := make(chan string, 1)
	looks := grpc.ChainUnaryInterceptor(func(ctx context.Context, in any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		seen <- who(ctx).Value
		return next(ctx, in)
	})
	options := append([]grpc.ServerOption{recovers}, idgrpc.New(w, guarded(w)).ServerOptions()...)
	conn, _ := serve(t, append(options, looks)...)
	if _, err := call(bearer(t.Context(), w.provider.MintAccessToken("bob")), conn, panics); status.Code(err) != codes.Internal || !strings.Contains(err.Error(), "a fault of the handler") {
		t.Errorf("%v", err)
	}
	if got := <-seen; got != "Bob Lim" {
		t.Errorf("behind the guard: %q", got)
	}
}

// A caller who leaves while the provider does not answer holds nothing up.
func TestCancellation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		token := w.provider.MintAccessToken("alice")
		w.provider.Fail(idtest.Discovery, idtest.Fault{Hang: true})
		conn, _ := serve(t, idgrpc.New(w, guarded(w)).ServerOptions()...)
		ctx, leave := context.WithCancel(bearer(t.Context(), token))
		answered := make(chan error, 1)
		go func() {
			_, err := call(ctx, conn, whoAmI)
			answered <- err
		}()
		synctest.Wait()
		if w.provider.Requests(idtest.Discovery) == 0 || len(answered) > 0 {
			t.Fatal("the guard does not wait")
		}
		leave()
		if err := <-answered; status.Code(err) != codes.Canceled {
			t.Errorf("%v", err)
		}
	})
}

// A message that is too long is gRPC's to refuse, and says nothing of the service.
func TestOversizedMessage(t *testing.T) {
	w := newWorld(t)
	conn, _ := serve(t, append(idgrpc.New(w, guarded(w)).ServerOptions(), grpc.MaxRecvMsgSize(1<<10))...)
	long := wrapperspb.String(strings.Repeat("x", 1<<12))
	ctx := bearer(t.Context(), w.provider.MintAccessToken("alice"))
	if err := conn.Invoke(ctx, whoAmI, long, new(text)); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("unary: %v", err)
	}
	ss := begin(t, ctx, conn, chat)
	_ = ss.SendMsg(long)
	if _, err := hear(ss); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("stream: %v", err)
	}
}
