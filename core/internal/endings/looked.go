package endings

import "sync"

// mostLooked limits how many sessions are remembered of which nothing was found in the store.
const mostLooked = 100_000

// looked are the sessions that were looked up a moment ago, and had not ended. Forgetting costs a look, so half of them are
// forgotten at once when there are too many.
type looked struct {
	mu          sync.RWMutex
	generation  int64 // what was looked up before it began is of no use
	now, before map[Key]int64
}

// begin returns the generation of a look that begins now.
func (l *looked) begin() int64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.generation
}

// add remembers that a session had not ended when it was looked up, in milliseconds, unless news have come since.
func (l *looked) add(session Key, generation, at int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if generation != l.generation {
		return
	}
	if l.now == nil || len(l.now) >= mostLooked/2 {
		l.before, l.now = l.now, map[Key]int64{}
	}
	l.now[session] = at
}

// at returns when a session was looked up; 0 if that is not known.
func (l *looked) at(session Key) int64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if at, ok := l.now[session]; ok {
		return at
	}
	return l.before[session]
}

// drop forgets everything, looks that are under way too.
func (l *looked) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.generation++
	l.now, l.before = nil, nil
}
