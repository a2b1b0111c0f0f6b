package idgrpc

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	idserver "github.com/signward/idserver-go/core"
)

// stream is a stream behind a guard.
type stream struct {
	grpc.ServerStream
	ctx context.Context

	ended    chan struct{} // nil: nothing can end it before the handler returns
	over     error         // why it ended; set before ended is closed
	panicked any           // what a guard panicked with, which is why

	received, sent chan outcome // of the one message that may be on its way in each direction
}

// outcome is what became of a call that was made in a goroutine of its own.
type outcome struct {
	err      error
	panicked any
}

func attempt(do func() error) (o outcome) {
	defer func() { o.panicked = recover() }()
	o.err = do()
	return o
}

var errPanicked = status.Error(codes.Internal, "The guard of this stream panicked")

// watched hands a stream to its handler that ends when stillAdmitted, which is asked again and again, returns an error. found is the
// context behind the guard. When watched returns, nothing is left running but a message that was on its way, and that gRPC interrupts as
// soon as the interceptor has returned.
func watched(found context.Context, ss grpc.ServerStream, every time.Duration, stillAdmitted func(context.Context) error, handle func(grpc.ServerStream) error) error {
	ctx, end := context.WithCancelCause(found)
	defer end(nil)
	s := &stream{ServerStream: ss, ctx: ctx, ended: make(chan struct{}), received: make(chan outcome, 1), sent: make(chan outcome, 1)}
	err := func() error {
		asking, stop := context.WithCancel(idserver.WithUser(found, nil)) // nobody is known any more, but that a proof was shown
		stopped := make(chan struct{})
		defer func() {
			stop()
			<-stopped
		}()
		go func() {
			defer close(stopped)
			s.watch(asking, every, stillAdmitted, end)
		}()
		return handle(s)
	}()
	switch {
	case s.panicked != nil:
		panic(s.panicked) // here, where interceptors can recover from it
	case s.over != nil:
		return s.over
	}
	return err
}

// watch ends the stream when it is no longer admitted. It returns then, or when ctx ends.
func (s *stream) watch(ctx context.Context, every time.Duration, stillAdmitted func(context.Context) error, end context.CancelCauseFunc) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		o := attempt(func() error { return stillAdmitted(ctx) })
		if ctx.Err() != nil { // the client or the handler was faster, and a guard that was interrupted refuses
			return
		}
		if o.panicked != nil {
			o.err = errPanicked
		}
		if o.err != nil {
			s.over, s.panicked = o.err, o.panicked
			close(s.ended)
			end(o.err)
			return
		}
	}
}

// Context ends when the stream does.
func (s *stream) Context() context.Context { return s.ctx }

func (s *stream) RecvMsg(m any) error { return s.unlessOver(s.received, s.ServerStream.RecvMsg, m) }

func (s *stream) SendMsg(m any) error { return s.unlessOver(s.sent, s.ServerStream.SendMsg, m) }

// unlessOver receives or sends a message. gRPC waits for a silent client, and for one that reads nothing, as long as the handler
// runs; so that the handler can return when the stream is over, a goroutine waits in its place.
func (s *stream) unlessOver(done chan outcome, message func(any) error, m any) error {
	if s.ended == nil {
		return message(m)
	}
	select {
	case <-s.ended:
		return s.over
	default:
	}
	go func() { done <- attempt(func() error { return message(m) }) }()
	select {
	case <-s.ended:
		return s.over
	case o := <-done:
		if o.panicked != nil { // a codec, which panics in the handler otherwise
			panic(o.panicked)
		}
		return o.err
	}
}
