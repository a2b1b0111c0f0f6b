package postgresstore

import "sync"

// mostWaiting is how many messages wait for one subscriber. If there are more, they are dropped and it is told that it has missed
// some.
const mostWaiting = 1000

// subscription hands messages to f one after the other, in a goroutine that exists while there are any.
type subscription struct {
	f    func(message string)
	lost func()

	mu      sync.Mutex
	waiting []string
	missed  bool // lost is due
	stopped bool
	running bool      // the goroutine exists
	idle    sync.Cond // it is gone
}

func newSubscription(f func(message string), lost func()) *subscription {
	s := &subscription{f: f, lost: lost}
	s.idle.L = &s.mu
	return s
}

func (s *subscription) send(message string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) == mostWaiting {
		s.waiting, s.missed = nil, true
	}
	s.waiting = append(s.waiting, message)
	s.run()
}

// lose has lost called, before the messages that wait.
func (s *subscription) lose() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.missed = true
	s.run()
}

// run starts the goroutine, if there is none. mu is held.
func (s *subscription) run() {
	if s.stopped || s.running {
		return
	}
	s.running = true
	go func() {
		for call := s.next(); call != nil; call = s.next() {
			call()
		}
	}()
}

// next returns what is to be called next; nil if the goroutine is to end.
func (s *subscription) next() func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stopped || !s.missed && len(s.waiting) == 0:
		s.running = false
		s.idle.Broadcast()
		return nil
	case s.missed:
		s.missed = false
		return s.lost
	}
	message := s.waiting[0]
	s.waiting = s.waiting[1:]
	return func() { s.f(message) }
}

// stop returns once nothing is running.
func (s *subscription) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped, s.waiting = true, nil
	for s.running {
		s.idle.Wait()
	}
}
