// Package endings knows what has ended, and tells those who go on with it: open streams.
package endings

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Key identifies what may end: a hash of a session's id, or of an access token.
type Key = [32]byte

// Admission is what let a stream in.
type Admission struct {
	Key   Key
	Until time.Time // it ends by itself then
	Over  error     // the cause that a stream is given then
	// Session is the session that was admitted, whose ID is Key. Zero for an access token.
	Session Session
}

// Streams are the open streams of a process. A stream costs one entry of a map and no goroutine, and all that were let in
// by the same have one timer. It is safe for concurrent use.
type Streams struct {
	now  func() time.Time
	open atomic.Int64 // how many admissions have streams, so that who ends something need not take the lock

	mu     sync.Mutex
	byKey  map[Key]*admitted
	byMark map[Key]map[*admitted]struct{} // of sessions, by what else may end them
	closed error                          // the cause of a stream that is opened now
}

// admitted is an admission and its streams, of which there is at least one.
type admitted struct {
	Admission
	streams map[*stream]struct{}
	timer   *time.Timer
}

type stream struct {
	cancel context.CancelCauseFunc
	leave  func() bool // stops waiting for the stream's context to end
}

// NewStreams returns an empty set of streams.
func NewStreams(now func() time.Time) *Streams {
	return &Streams{now: now, byKey: map[Key]*admitted{}, byMark: map[Key]map[*admitted]struct{}{}}
}

// Open returns a context that ends when the admission does, or parent; context.Cause tells. ended reports what has ended the
// admission already: it is asked after the stream is known to End, so that no ending falls between the two. The function ends
// the context and frees what it holds, and so does everything else that ends it.
func (s *Streams) Open(parent context.Context, a Admission, ended func() error) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	t := &stream{cancel: cancel}
	if err := s.join(ctx, a, t); err != nil {
		cancel(err)
		return ctx, func() {}
	}
	if err := ended(); err != nil {
		s.End(a.Key, err)
	}
	return ctx, func() {
		s.leave(a.Key, t)
		t.leave()
		cancel(nil)
	}
}

// join adds a stream to those of its admission. The error is the cause of a stream that comes too late.
func (s *Streams) join(ctx context.Context, a Admission, t *stream) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed != nil:
		return s.closed
	case !s.now().Before(a.Until):
		return a.Over
	}
	m := s.byKey[a.Key]
	if m == nil {
		m = &admitted{Admission: a, streams: map[*stream]struct{}{}}
		m.timer = time.AfterFunc(a.Until.Sub(s.now()), func() { s.limit(m) })
		s.byKey[a.Key] = m
		s.mark(m)
		s.open.Add(1)
	}
	m.extend(a)
	m.streams[t] = struct{}{}
	t.leave = context.AfterFunc(ctx, func() { s.leave(a.Key, t) })
	return nil
}

// extend takes over the later end. The timer need not know: it looks when it fires.
func (m *admitted) extend(a Admission) {
	if m.Until.Before(a.Until) {
		m.Until, m.Over = a.Until, a.Over
	}
}

// Extend moves the end of an admission that was renewed, if it has streams. It is never moved forward.
func (s *Streams) Extend(a Admission) {
	if s.open.Load() == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.byKey[a.Key]; m != nil {
		m.extend(a)
	}
}

// leave forgets a stream that is over.
func (s *Streams) leave(key Key, t *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.byKey[key]
	if m == nil {
		return
	}
	if delete(m.streams, t); len(m.streams) == 0 { // never so while m is known, unless t was its last
		s.forget(m)
	}
}

// mark has a session found by what may end it. The caller holds the lock.
func (s *Streams) mark(m *admitted) {
	if m.Session.ID == (Key{}) {
		return
	}
	for _, mark := range m.Session.marks()[1:] { // the first is its own
		if s.byMark[mark] == nil {
			s.byMark[mark] = map[*admitted]struct{}{}
		}
		s.byMark[mark][m] = struct{}{}
	}
}

// forget forgets an admission. The caller holds the lock.
func (s *Streams) forget(m *admitted) {
	m.timer.Stop()
	delete(s.byKey, m.Key)
	if m.Session.ID != (Key{}) {
		for _, mark := range m.Session.marks()[1:] {
			if delete(s.byMark[mark], m); len(s.byMark[mark]) == 0 {
				delete(s.byMark, mark)
			}
		}
	}
	s.open.Add(-1)
}

// limit ends the streams of an admission that has ended by itself. It may have been extended since the timer was set, or the
// clock been set back.
func (s *Streams) limit(m *admitted) {
	s.mu.Lock()
	if s.byKey[m.Key] != m {
		s.mu.Unlock()
		return
	}
	if left := m.Until.Sub(s.now()); left > 0 {
		m.timer.Reset(max(left, time.Second)) // a clock that stands must not have it fire without end
		s.mu.Unlock()
		return
	}
	s.forget(m)
	s.mu.Unlock()
	m.end(m.Over)
}

// End ends the streams of what has ended. Whoever calls it has noted the ending before.
func (s *Streams) End(key Key, cause error) {
	s.endAll(cause, func() []*admitted {
		if m := s.byKey[key]; m != nil {
			return []*admitted{m}
		}
		return nil
	})
}

// EndMarked ends the streams of all sessions that a marker ends. Whoever calls it has noted the marker before.
func (s *Streams) EndMarked(mark Key, marker Marker, cause error) {
	s.endAll(cause, func() (all []*admitted) {
		if m := s.byKey[mark]; m != nil {
			all = append(all, m)
		}
		for m := range s.byMark[mark] {
			if m.Session.endedBy(mark, marker) {
				all = append(all, m)
			}
		}
		return all
	})
}

// EndSessions ends the streams of all sessions, and not those of access tokens.
func (s *Streams) EndSessions(cause error) {
	s.endAll(cause, func() (all []*admitted) {
		for _, m := range s.byKey {
			if m.Session.ID != (Key{}) {
				all = append(all, m)
			}
		}
		return all
	})
}

// endAll ends the streams of those that which names while the lock is held.
func (s *Streams) endAll(cause error, which func() []*admitted) {
	if s.open.Load() == 0 {
		return
	}
	s.mu.Lock()
	all := which()
	for _, m := range all {
		s.forget(m)
	}
	s.mu.Unlock()
	for _, m := range all {
		m.end(cause)
	}
}

// Sessions are those that have streams.
func (s *Streams) Sessions() (all []Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.byKey {
		if m.Session.ID != (Key{}) {
			all = append(all, m.Session)
		}
	}
	return all
}

// Close ends all streams, and those to come.
func (s *Streams) Close(cause error) {
	s.mu.Lock()
	all := slices.Collect(maps.Values(s.byKey))
	for _, m := range all {
		s.forget(m)
	}
	s.closed = cause
	s.mu.Unlock()
	for _, m := range all {
		m.end(cause)
	}
}

// end ends the streams of an admission that is no longer known, without the lock: who waits for a context may come back.
func (m *admitted) end(cause error) {
	for t := range m.streams {
		t.leave()
		t.cancel(cause)
	}
}
