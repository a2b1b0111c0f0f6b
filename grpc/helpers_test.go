package idgrpc_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/wrapperspb"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
	idgrpc "github.com/signward/idserver-go/grpc"
)

// world is a provider and a client of it.
type world struct {
	*idserver.Client

	provider *idtest.Provider
}

func newWorld(t *testing.T) *world {
	t.Helper()
	provider, err := idtest.Start(idtest.Options{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(provider.Close)
	client, err := idserver.New(provider.Config(""))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return &world{client, provider}
}

// The methods of the service that the tests serve. Each answers with who its caller is.
const (
	whoAmI  = "/test.Suite/WhoAmI"  // unary
	admin   = "/test.Suite/Admin"   // unary
	open    = "/test.Suite/Open"    // unary
	panics  = "/test.Suite/Panics"  // unary
	list    = "/test.Suite/List"    // server stream: three messages
	forever = "/test.Suite/Forever" // server stream: one message, then until its context ends
	flood   = "/test.Suite/Flood"   // server stream: as much as the client takes
	collect = "/test.Suite/Collect" // client stream
	chat    = "/test.Suite/Chat"    // both: an echo
)

// suite is what the handlers tell the test.
type suite struct {
	causes chan error // why the context of Forever, or a message of Chat, ended
}

type text = wrapperspb.StringValue

func who(ctx context.Context) *text {
	if user := idserver.UserFrom(ctx); user != nil {
		return wrapperspb.String(user.Name)
	}
	return wrapperspb.String("nobody")
}

func unary(name string, answer func(ctx context.Context) (*text, error)) grpc.MethodDesc {
	full := "/test.Suite/" + name
	return grpc.MethodDesc{MethodName: name, Handler: func(srv any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
		in := new(text)
		if err := decode(in); err != nil {
			return nil, err
		}
		handler := func(ctx context.Context, _ any) (any, error) { return answer(ctx) }
		if interceptor == nil {
			return handler(ctx, in)
		}
		return interceptor(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: full}, handler)
	}}
}

func (s *suite) desc() *grpc.ServiceDesc {
	whoIs := func(ctx context.Context) (*text, error) { return who(ctx), nil }
	return &grpc.ServiceDesc{
		ServiceName: "test.Suite", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{
			unary("WhoAmI", whoIs), unary("Admin", whoIs), unary("Open", whoIs),
			unary("Panics", func(context.Context) (*text, error) { panic("a fault of the handler") }),
		},
		Streams: []grpc.StreamDesc{
			{StreamName: "List", ServerStreams: true, Handler: s.list},
			{StreamName: "Forever", ServerStreams: true, Handler: s.forever},
			{StreamName: "Flood", ServerStreams: true, Handler: s.flood},
			{StreamName: "Collect", ClientStreams: true, Handler: s.collect},
			{StreamName: "Chat", ServerStreams: true, ClientStreams: true, Handler: s.chat},
		},
	}
}

func (s *suite) list(_ any, ss grpc.ServerStream) error {
	if err := ss.RecvMsg(new(text)); err != nil {
		return err
	}
	for range 3 {
		if err := ss.SendMsg(who(ss.Context())); err != nil {
			return err
		}
	}
	return nil
}

func (s *suite) forever(_ any, ss grpc.ServerStream) error {
	if err := errors.Join(ss.RecvMsg(new(text)), ss.SendMsg(who(ss.Context()))); err != nil {
		return err
	}
	<-ss.Context().Done()
	s.causes <- context.Cause(ss.Context())
	return nil // even so, the stream ends with the refusal
}

func (s *suite) flood(_ any, ss grpc.ServerStream) error {
	if err := ss.RecvMsg(new(text)); err != nil {
		return err
	}
	for {
		if err := ss.SendMsg(wrapperspb.String(string(make([]byte, 32<<10)))); err != nil {
			s.causes <- err
			return err
		}
	}
}

func (s *suite) collect(_ any, ss grpc.ServerStream) error {
	for {
		switch err := ss.RecvMsg(new(text)); {
		case errors.Is(err, io.EOF):
			return ss.SendMsg(who(ss.Context()))
		case err != nil:
			return err
		}
	}
}

func (s *suite) chat(_ any, ss grpc.ServerStream) error {
	for {
		in := new(text)
		switch err := ss.RecvMsg(in); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			s.causes <- err
			return err
		}
		if err := ss.SendMsg(wrapperspb.String(who(ss.Context()).Value + ": " + in.Value)); err != nil {
			return err
		}
	}
}

// serve serves the suite in memory and returns a connection to it.
func serve(t *testing.T, options ...grpc.ServerOption) (*grpc.ClientConn, *suite) {
	t.Helper()
	s, server := newSuite(options...)
	return serveIn(t, server), s
}

func newSuite(options ...grpc.ServerOption) (*suite, *grpc.Server) {
	s, server := &suite{make(chan error, 8)}, grpc.NewServer(options...)
	server.RegisterService(s.desc(), s)
	return s, server
}

// serveIn serves in memory.
func serveIn(t *testing.T, server *grpc.Server) *grpc.ClientConn {
	t.Helper()
	listener := bufconn.Listen(64 << 10)
	dial := grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) })
	return serveOn(t, server, listener, "passthrough:///memory", dial, grpc.WithTransportCredentials(insecure.NewCredentials()))
}

func serveOn(t *testing.T, server *grpc.Server, listener net.Listener, target string, dial ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn, err := grpc.NewClient(target, dial...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return conn
}

// bearer is a call's context with a token.
func bearer(ctx context.Context, token string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}

// proving is a call's context with a token that is bound to a key, and the proof of that for one method.
func proving(ctx context.Context, token, proof string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "DPoP "+token, "dpop", proof)
}

// call makes a unary call.
func call(ctx context.Context, conn *grpc.ClientConn, method string) (string, error) {
	out := new(text)
	err := conn.Invoke(ctx, method, wrapperspb.String("?"), out)
	return out.Value, err
}

// begin opens a stream.
func begin(t *testing.T, ctx context.Context, conn *grpc.ClientConn, method string) grpc.ClientStream {
	t.Helper()
	ss, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method)
	if err != nil {
		t.Fatal(err)
	}
	return ss
}

// say sends a message.
func say(t *testing.T, ss grpc.ClientStream, words string) {
	t.Helper()
	if err := ss.SendMsg(wrapperspb.String(words)); err != nil {
		t.Fatal(err)
	}
}

// ask sends the one message of a server stream.
func ask(t *testing.T, ss grpc.ClientStream) {
	t.Helper()
	say(t, ss, "?")
	if err := ss.CloseSend(); err != nil {
		t.Fatal(err)
	}
}

// hear receives a message.
func hear(ss grpc.ClientStream) (string, error) {
	out := new(text)
	err := ss.RecvMsg(out)
	return out.Value, err
}

// told is what an error tells a client, in one line.
func told(err error) string {
	s := status.Convert(err)
	line := s.Code().String() + ": " + s.Message()
	for _, detail := range s.Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			more, _ := json.Marshal(d.Metadata) // in the order of the names
			line += "\n  " + d.Domain + " " + d.Reason + " " + string(more)
		case *errdetails.RetryInfo:
			line += "\n  again after " + d.RetryDelay.AsDuration().String()
		}
	}
	return line
}

// reason is the code of a refusal, or "".
func reason(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.Domain == idgrpc.Domain {
			return info.Metadata["code"]
		}
	}
	return ""
}
