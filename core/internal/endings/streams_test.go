package endings

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var (
	errSignedOut = errors.New("signed out")
	errLimit     = errors.New("the limit was reached")
)

// inAnHour admits for an hour from now on.
func inAnHour(key byte) Admission {
	return Admission{Key: Key{key}, Until: time.Now().Add(time.Hour), Over: errLimit}
}

func notEnded() error { return nil }

// holds fails the test if streams are held, or goroutines that wait.
func (s *Streams) holds(t *testing.T, admissions int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.byKey) != admissions || int(s.open.Load()) != admissions {
		t.Errorf("%d admissions are held and %d counted, want %d", len(s.byKey), s.open.Load(), admissions)
	}
}

func TestStreamEnds(t *testing.T) {
	parent, leave := context.WithCancel(t.Context())
	for name, row := range map[string]struct {
		happens func(s *Streams, cancel context.CancelFunc)
		cause   error
	}{
		"by its end":                {func(s *Streams, _ context.CancelFunc) { s.End(Key{1}, errSignedOut) }, errSignedOut},
		"by its limit":              {func(*Streams, context.CancelFunc) { time.Sleep(time.Hour) }, errLimit},
		"by its function":           {func(_ *Streams, cancel context.CancelFunc) { cancel() }, context.Canceled},
		"by its parent":             {func(*Streams, context.CancelFunc) { leave() }, context.Canceled},
		"with all others":           {func(s *Streams, _ context.CancelFunc) { s.Close(errSignedOut) }, errSignedOut},
		"not before its limit":      {func(*Streams, context.CancelFunc) { time.Sleep(time.Hour - 1) }, nil},
		"not by the end of another": {func(s *Streams, _ context.CancelFunc) { s.End(Key{2}, errSignedOut) }, nil},
		"not before a limit that was moved": {func(s *Streams, _ context.CancelFunc) {
			time.Sleep(time.Minute)
			s.Extend(inAnHour(1))
			time.Sleep(time.Hour - 1)
		}, nil},
		"by a limit that was moved": {func(s *Streams, _ context.CancelFunc) {
			time.Sleep(time.Minute)
			s.Extend(Admission{Key: Key{1}, Until: time.Now().Add(time.Hour), Over: errSignedOut})
			time.Sleep(time.Hour)
		}, errSignedOut},
		"not sooner than was said first": {func(s *Streams, _ context.CancelFunc) {
			s.Extend(Admission{Key: Key{1}, Until: time.Now().Add(time.Second), Over: errSignedOut})
			time.Sleep(time.Hour - 1)
		}, nil},
		"not after the end of its like, let in again": {func(s *Streams, cancel context.CancelFunc) {
			cancel()
			_, again := s.Open(t.Context(), inAnHour(1), notEnded)
			s.leave(Key{1}, &stream{}) // of the first, late
			s.holds(t, 1)
			again()
		}, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				parent, leave = context.WithCancel(t.Context())
				defer leave()
				s := NewStreams(time.Now)
				ctx, cancel := s.Open(parent, inAnHour(1), notEnded)
				defer cancel()
				row.happens(s, cancel)
				synctest.Wait()
				if cause := context.Cause(ctx); !errors.Is(cause, row.cause) || row.cause == nil && cause != nil {
					t.Errorf("the cause is %v, want %v", cause, row.cause)
				}
				if row.cause != nil {
					s.holds(t, 0)
					return
				}
				s.holds(t, 1)
				cancel()
				s.holds(t, 0)
			})
		})
	}
}

// What ended before is noticed, also where it ends in the middle.
func TestStreamComesTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewStreams(time.Now)
		over := inAnHour(1)
		over.Until = time.Now()
		ended := func() error { return errSignedOut }
		for name, row := range map[string]struct {
			a     Admission
			ended func() error
			cause error
		}{"it has ended": {inAnHour(1), ended, errSignedOut}, "the limit is reached": {over, notEnded, errLimit}} {
			ctx, cancel := s.Open(t.Context(), row.a, row.ended)
			if context.Cause(ctx) != row.cause {
				t.Errorf("%s: the cause is %v, want %v", name, context.Cause(ctx), row.cause)
			}
			cancel()
		}
		s.Close(errSignedOut)
		if ctx, cancel := s.Open(t.Context(), inAnHour(1), notEnded); context.Cause(ctx) != errSignedOut {
			t.Error("after Close, a stream goes on")
		} else {
			cancel()
		}
		s.holds(t, 0)
	})
}

// A clock that is set back, or stands, makes the timer look again, and not without end.
func TestLimitByTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var looks, back atomic.Int64
		s := NewStreams(func() time.Time {
			looks.Add(1)
			return time.Now().Add(-time.Duration(back.Load()))
		})
		ctx, cancel := s.Open(t.Context(), inAnHour(1), notEnded)
		defer cancel()
		back.Store(int64(time.Hour))
		time.Sleep(2*time.Hour - 1)
		if synctest.Wait(); ctx.Err() != nil || looks.Load() > 10 {
			t.Errorf("it has ended: %v; the clock was looked at %d times", ctx.Err(), looks.Load())
		}
		time.Sleep(time.Nanosecond)
		if synctest.Wait(); context.Cause(ctx) != errLimit {
			t.Errorf("at the limit, the cause is %v", context.Cause(ctx))
		}
	})
}

// Ten thousand streams of one session cost one entry and one timer, and no goroutine.
func TestManyStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const many = 10_000
		s := NewStreams(time.Now)
		parent, leave := context.WithCancel(context.WithValue(t.Context(), Key{}, "of a request"))
		defer leave()
		before := runtime.NumGoroutine()
		open := func() (all []context.Context, cancels []context.CancelFunc) {
			for range many {
				ctx, cancel := s.Open(parent, inAnHour(1), notEnded)
				all, cancels = append(all, ctx), append(cancels, cancel)
			}
			s.holds(t, 1)
			if n := goroutines(before); n > before {
				t.Errorf("%d goroutines, want %d", n, before)
			}
			return all, cancels
		}
		for name, ends := range map[string]func([]context.CancelFunc){
			"End": func([]context.CancelFunc) { s.End(Key{1}, errSignedOut) },
			"their functions": func(cancels []context.CancelFunc) {
				for _, cancel := range cancels {
					cancel()
				}
			},
			"the limit": func([]context.CancelFunc) { time.Sleep(time.Hour) },
		} {
			all, cancels := open()
			ends(cancels)
			synctest.Wait()
			for _, ctx := range all {
				if ctx.Err() == nil {
					t.Fatalf("after %s, one goes on", name)
				}
			}
			s.holds(t, 0)
			if n := goroutines(before); n > before {
				t.Errorf("after %s: %d goroutines, want %d", name, n, before)
			}
		}
	})
}

// goroutines returns how many there are. One that has done its work is counted until the scheduler has seen the last of it.
func goroutines(wanted int) int {
	for range 10_000 {
		if runtime.NumGoroutine() <= wanted {
			break
		}
		runtime.Gosched()
	}
	return runtime.NumGoroutine()
}

// What a stream takes, and that all of it is given back.
func TestStreamMemory(t *testing.T) {
	const many, most = 10_000, 1200 // bytes
	s := NewStreams(time.Now)
	parent, leave := context.WithCancel(t.Context())
	defer leave()
	held := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := held()
	cancels := make([]context.CancelFunc, many)
	for i := range cancels {
		_, cancels[i] = s.Open(parent, inAnHour(1), notEnded)
	}
	each := (held() - before) / many
	t.Logf("%d bytes a stream", each)
	if each > most {
		t.Errorf("a stream takes %d bytes, want at most %d", each, most)
	}
	for i, cancel := range cancels {
		cancel()
		cancels[i] = nil
	}
	s.holds(t, 0)
	if left := (held() - before) / many; left > most/4 { // the parent's map of its children keeps its room
		t.Errorf("%d bytes a stream are left", left)
	}
}

func TestStreamsAtOnce(t *testing.T) {
	s := NewStreams(time.Now)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 200 {
				key := byte(j % 3)
				ctx, cancel := s.Open(t.Context(), inAnHour(key), notEnded)
				switch (i + j) % 4 {
				case 0:
					s.End(Key{key}, errSignedOut)
					<-ctx.Done() // now, or as soon as who else is ending the same comes to it
				case 1:
					s.Extend(inAnHour(key))
				}
				cancel()
				cancel()
			}
		})
	}
	all.Wait()
	s.holds(t, 0)
}

// Streams end by what ends their session: its own id, its person's and the provider's session, of those that began before.
func TestEndMarked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, later := sessionOf(1, 1000), sessionOf(2, 3000)
		for name, row := range map[string]struct {
			mark         Key
			m            Marker
			ended, other bool
		}{
			"its own":                   {old.ID, Marker{}, true, false},
			"the person, between both":  {old.Person, Marker{Before: at(2000)}, true, false},
			"the provider's session":    {old.Provider, Marker{Before: at(9000)}, true, true},
			"before both":               {old.Person, Marker{Before: at(10)}, false, false},
			"a mark that nobody has":    {PersonMark("https://op.example", "bob"), Marker{Before: at(9000)}, false, false},
			"the access token's, of no": {Key{7}, Marker{Before: at(9000)}, false, false},
		} {
			s := NewStreams(time.Now)
			open := func(a Admission) context.Context {
				a.Until = time.Now().Add(time.Hour)
				ctx, cancel := s.Open(t.Context(), a, notEnded)
				t.Cleanup(cancel)
				return ctx
			}
			first, second := open(Admission{Key: old.ID, Session: *old}), open(Admission{Key: later.ID, Session: *later})
			token := open(Admission{Key: Key{9}})
			if n := len(s.Sessions()); n != 2 {
				t.Errorf("%s: %d sessions", name, n)
			}
			s.EndMarked(row.mark, row.m, errSignedOut)
			for i, got := range []struct {
				ctx  context.Context
				want bool
			}{{first, row.ended}, {second, row.other}, {token, false}} {
				if ended := context.Cause(got.ctx) == errSignedOut; ended != got.want {
					t.Errorf("%s: stream %d has ended: %v", name, i, ended)
				}
			}
			s.EndSessions(errSignedOut)
			if first.Err() == nil || second.Err() == nil || token.Err() != nil || len(s.byMark) != 0 || len(s.byKey) != 1 {
				t.Errorf("%s: when all sessions end: %v, %v, %v, %d marks, %d streams", name, first.Err(), second.Err(), token.Err(), len(s.byMark), len(s.byKey))
			}
			s.Close(errSignedOut)
		}
	})
}
