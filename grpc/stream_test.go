package idgrpc_test

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/wrapperspb"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
	idgrpc "github.com/signward/idserver-go/grpc"
)

// lasting is the lifetime of the tests' tokens, as the provider issues them.
const lasting = 15 * time.Minute

// A stream ends, in every state that it may be in, when its token expires: within a re-check and the leeway, and not before.
func TestStreamEndsWithItsToken(t *testing.T) {
	for method, want := range map[string]string{
		forever: "Alice Tan",        // the handler waits for its context
		chat:    "Alice Tan: hello", // for a message of the client's
		flood:   "",                 // for the client to take what was sent
	} {
		t.Run(method, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				conn, s := serve(t, idgrpc.New(w, guarded(w)).ServerOptions()...)
				ss := begin(t, bearer(t.Context(), w.provider.MintAccessToken("alice")), conn, method)
				if say(t, ss, "hello"); method != chat {
					_ = ss.CloseSend()
				}
				if want != "" {
					if got, err := hear(ss); err != nil || got != want {
						t.Fatalf("%q %v", got, err)
					}
				}
				time.Sleep(lasting)
				if synctest.Wait(); len(s.causes) > 0 {
					t.Fatalf("it is over too early: %v", <-s.causes)
				}
				time.Sleep(30 * time.Second)
				if synctest.Wait(); len(s.causes) != 1 {
					t.Fatal("it outlives its token")
				}
				if cause := <-s.causes; status.Code(cause) != codes.Unauthenticated || reason(cause) != "invalid_token" {
					t.Errorf("the handler is told %v", cause)
				}
				err := error(nil)
				for err == nil { // what was sent before
					_, err = hear(ss)
				}
				if status.Code(err) != codes.Unauthenticated || reason(err) != "invalid_token" {
					t.Errorf("the client is told %v", err)
				}
			})
		})
	}
}

// A proof is for the call that it came with: a stream is not asked for another one, however long it lasts. All else ends it.
func TestStreamOfABoundToken(t *testing.T) {
	for name, row := range map[string]struct {
		happens func(w *world, token string)
		after   time.Duration
		reason  string
	}{
		"nothing":      {func(*world, string) {}, lasting - time.Second, ""},
		"it expires":   {func(*world, string) {}, lasting + time.Minute, "invalid_token"},
		"a revocation": {func(w *world, token string) { _ = w.RevokeToken(context.Background(), token) }, 11 * time.Second, "invalid_token"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, key := newWorld(t), idtest.NewProofKey(time.Now)
				api := w.boundAPI(t)
				for kind, guard := range map[string]idserver.Guard{"Resource": api.RequireUser(), "LoadUser": api.LoadUser(), "behind an own one": idserver.AllOf(api.RequireUser(), known, api.RequireRole("admin"))} {
					conn, s := serve(t, idgrpc.New(api, idgrpc.Config{Methods: map[string]idserver.Guard{forever: guard}}).ServerOptions()...)
					token := w.boundTo(key)
					ss := begin(t, proving(t.Context(), token, key.Proof("POST", shop+forever, token, "")), conn, forever)
					ask(t, ss)
					if got, err := hear(ss); err != nil {
						t.Fatalf("%s: %q %v", kind, got, err)
					}
					row.happens(w, token)
					time.Sleep(row.after)
					if synctest.Wait(); (len(s.causes) == 0) != (row.reason == "") {
						t.Fatalf("%s: ended %d times", kind, len(s.causes))
					}
					if row.reason == "" {
						continue
					}
					if cause := <-s.causes; reason(cause) != row.reason {
						t.Errorf("%s: the handler is told %v", kind, cause)
					}
				}
			})
		})
	}
}

// known is a guard of an application's own, which gives the user another name.
func known(ctx context.Context, _ idserver.Request) (context.Context, idserver.Answer) {
	user := *idserver.UserFrom(ctx)
	user.Name = "known"
	return idserver.WithUser(ctx, &user), idserver.Answer{}
}

// What else ends a stream, and what does not.
func TestStreamEnds(t *testing.T) {
	for name, row := range map[string]struct {
		happens func(w *world, token string)
		code    codes.Code
		reason  string
	}{
		"nothing":           {func(*world, string) {}, codes.OK, ""},
		"a revocation here": {func(w *world, token string) { _ = w.RevokeToken(context.Background(), token) }, codes.Unauthenticated, "invalid_token"},
		"a revocation of another token": {func(w *world, _ string) {
			_ = w.RevokeToken(context.Background(), w.provider.MintAccessToken("alice"))
		}, codes.OK, ""},
		"a short outage of the provider": {func(w *world, _ string) {
			w.provider.Fail(idtest.KeySet, idtest.Fault{})
			w.provider.Fail(idtest.Discovery, idtest.Fault{})
		}, codes.OK, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				conn, s := serve(t, idgrpc.New(w, guarded(w)).ServerOptions()...)
				token := w.provider.MintAccessToken("alice")
				ss := begin(t, bearer(t.Context(), token), conn, chat)
				say(t, ss, "hello")
				if _, err := hear(ss); err != nil {
					t.Fatal(err)
				}
				row.happens(w, token)
				time.Sleep(time.Minute)
				if synctest.Wait(); (len(s.causes) == 1) != (row.code != codes.OK) {
					t.Fatalf("%d causes", len(s.causes))
				}
				if row.code == codes.OK {
					say(t, ss, "still here")
					if got, err := hear(ss); err != nil || got != "Alice Tan: still here" {
						t.Fatalf("%q %v", got, err)
					}
					_ = ss.CloseSend()
					if _, err := hear(ss); !errors.Is(err, io.EOF) {
						t.Errorf("%v", err)
					}
					return
				}
				if _, err := hear(ss); status.Code(err) != row.code || reason(err) != row.reason {
					t.Errorf("%v", err)
				}
			})
		})
	}
}

// Behind a guard that admits nobody in particular, a stream ends with its user; one that never had a user goes on.
func TestStreamOfLoadUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		conn, s := serve(t, idgrpc.New(w, idgrpc.Config{Methods: map[string]idserver.Guard{forever: w.LoadUser()}}).ServerOptions()...)
		ctx, leave := context.WithCancel(t.Context())
		anonymous := begin(t, ctx, conn, forever)
		ask(t, anonymous)
		if got, err := hear(anonymous); err != nil || got != "nobody" {
			t.Fatalf("%q %v", got, err)
		}
		alice := begin(t, bearer(t.Context(), w.provider.MintAccessToken("alice")), conn, forever)
		ask(t, alice)
		if got, err := hear(alice); err != nil || got != "Alice Tan" {
			t.Fatalf("%q %v", got, err)
		}
		time.Sleep(2 * lasting)
		if _, err := hear(alice); status.Code(err) != codes.Unauthenticated || reason(err) != "invalid_token" {
			t.Errorf("%v", err)
		}
		<-s.causes
		if synctest.Wait(); len(s.causes) > 0 {
			t.Fatal("the stream without a user is over")
		}
		leave()
		if cause := <-s.causes; !errors.Is(cause, context.Canceled) {
			t.Errorf("%v", cause)
		}
	})
}

// A guard of the application's own, at a re-check.
func TestStreamOfOwnGuard(t *testing.T) {
	for name, row := range map[string]struct {
		later func(ctx context.Context) (context.Context, idserver.Answer)
		code  codes.Code
	}{
		"the same user": {func(ctx context.Context) (context.Context, idserver.Answer) {
			return idserver.WithUser(ctx, &idserver.User{Subject: "1", Name: "One"}), idserver.Answer{}
		}, codes.OK},
		"another user": {func(ctx context.Context) (context.Context, idserver.Answer) {
			return idserver.WithUser(ctx, &idserver.User{Subject: "2", Name: "Two"}), idserver.Answer{}
		}, codes.Unauthenticated},
		"nobody": {func(ctx context.Context) (context.Context, idserver.Answer) {
			return ctx, idserver.Answer{SameContext: true}
		}, codes.Unauthenticated},
		"a refusal": {func(ctx context.Context) (context.Context, idserver.Answer) { return ctx, idserver.Answer{Status: 403} }, codes.PermissionDenied},
		"a panic":   {func(context.Context) (context.Context, idserver.Answer) { panic("a fault of the guard") }, codes.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				var asked atomic.Int32
				own := func(ctx context.Context, _ idserver.Request) (context.Context, idserver.Answer) {
					if asked.Add(1) > 1 {
						return row.later(ctx)
					}
					return idserver.WithUser(ctx, &idserver.User{Subject: "1", Name: "One"}), idserver.Answer{}
				}
				panicked := make(chan any, 1)
				recovers := grpc.ChainStreamInterceptor(func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
					defer func() {
						if cause := recover(); cause != nil {
							panicked <- cause
							err = status.Error(codes.Internal, "recovered")
						}
					}()
					return next(srv, ss)
				})
				auth := idgrpc.New(w, idgrpc.Config{Methods: map[string]idserver.Guard{forever: own}, Recheck: time.Second})
				conn, s := serve(t, append([]grpc.ServerOption{recovers}, auth.ServerOptions()...)...)
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				ss := begin(t, ctx, conn, forever)
				ask(t, ss)
				if got, err := hear(ss); err != nil || got != "One" {
					t.Fatalf("%q %v", got, err)
				}
				time.Sleep(3 * time.Second)
				synctest.Wait()
				if row.code == codes.OK {
					if asked.Load() != 4 || len(s.causes) > 0 {
						t.Errorf("asked %d times, %d causes", asked.Load(), len(s.causes))
					}
					return
				}
				if _, err := hear(ss); status.Code(err) != row.code {
					t.Errorf("%v", err)
				}
				if cause := <-s.causes; status.Code(cause) != row.code || asked.Load() != 2 {
					t.Errorf("%v, asked %d times", cause, asked.Load())
				}
				if name == "a panic" && <-panicked != "a fault of the guard" {
					t.Error("no interceptor is told of the panic")
				}
			})
		})
	}
}

// Without re-checks a stream outlives its token, as the configuration says.
func TestRecheckNever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		cfg := guarded(w)
		cfg.Recheck = -1
		conn, _ := serve(t, idgrpc.New(w, cfg).ServerOptions()...)
		ss := begin(t, bearer(t.Context(), w.provider.MintAccessToken("alice")), conn, chat)
		say(t, ss, "one")
		_, _ = hear(ss)
		time.Sleep(2 * lasting)
		say(t, ss, "two")
		if got, err := hear(ss); err != nil || got != "Alice Tan: two" {
			t.Errorf("%q %v", got, err)
		}
		_ = ss.CloseSend()
		_, _ = hear(ss)
	})
}

// A client that leaves, in the middle of anything, leaves nothing running: a bubble waits for all its goroutines, and time stands
// still for one that waits for more than time.
func TestClientLeaves(t *testing.T) {
	for _, method := range []string{forever, chat, flood, collect} {
		t.Run(method, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				over := make(chan struct{})
				watch := grpc.ChainStreamInterceptor(func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
					defer close(over)
					return next(srv, ss)
				})
				conn, _ := serve(t, append([]grpc.ServerOption{watch}, idgrpc.New(w, guarded(w)).ServerOptions()...)...)
				ctx, leave := context.WithCancel(bearer(t.Context(), w.provider.MintAccessToken("alice")))
				ss := begin(t, ctx, conn, method)
				if say(t, ss, "hello"); method == forever || method == flood {
					_ = ss.CloseSend()
				}
				time.Sleep(time.Second)
				leave()
				<-over
			})
		})
	}
}

// A panic of the handler, or of a message's codec in it, reaches the interceptors before ours, and the stream's watch is over.
func TestPanicInStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := &suite{}
		server := grpc.NewServer(append([]grpc.ServerOption{grpc.ChainStreamInterceptor(func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
			defer func() {
				if cause := recover(); cause != nil {
					err = status.Error(codes.Internal, "recovered")
				}
			}()
			return next(srv, ss)
		})}, idgrpc.New(w, guarded(w)).ServerOptions()...)...)
		desc := s.desc()
		desc.Streams = []grpc.StreamDesc{
			{StreamName: "Handler", ServerStreams: true, Handler: func(any, grpc.ServerStream) error { panic("handler") }},
			{StreamName: "Codec", ServerStreams: true, Handler: func(_ any, ss grpc.ServerStream) error { return ss.SendMsg(panicking{}) }},
		}
		server.RegisterService(desc, s)
		conn := serveIn(t, server)
		for _, method := range []string{"/test.Suite/Handler", "/test.Suite/Codec"} {
			ss := begin(t, bearer(t.Context(), w.provider.MintAccessToken("alice")), conn, method)
			_ = ss.CloseSend()
			if _, err := hear(ss); status.Code(err) != codes.Internal || status.Convert(err).Message() != "recovered" {
				t.Errorf("%s: %v", method, err)
			}
		}
	})
}

// panicking is a message that cannot be written.
type panicking struct{ *wrapperspb.StringValue }

func (panicking) ProtoReflect() protoreflect.Message { panic("a fault of the codec") }

// Streams of many people at once keep their users apart.
func TestStreamsTogether(t *testing.T) {
	w := newWorld(t)
	cfg := guarded(w)
	cfg.Recheck = time.Millisecond
	conn, _ := serve(t, idgrpc.New(w, cfg).ServerOptions()...)
	names := map[string]string{"alice": "Alice Tan", "bob": "Bob Lim", "carol": "Carol Ng"}
	done := make(chan error, 30)
	for i := range 30 {
		login := []string{"alice", "bob", "carol"}[i%3]
		token := w.provider.MintAccessToken(login)
		go func() {
			ss, err := conn.NewStream(metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, chat)
			for range 50 {
				if err != nil {
					break
				}
				if err = ss.SendMsg(wrapperspb.String("x")); err == nil {
					var got string
					if got, err = hear(ss); err == nil && got != names[login]+": x" {
						err = errors.New(got + " is not " + login)
					}
				}
			}
			if err == nil {
				err = ss.CloseSend()
			}
			done <- err
		}()
	}
	for range 30 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
