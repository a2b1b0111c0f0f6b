package endings

import "sync"

// mostLooked limits how many sessions are remembered of which nothing was found in the store, and how many that have changed.
const mostLooked = 100_000

// looked are the sessions that were looked up a moment ago, and had not ended, and those of which news have come. News and looks
// are counted together: what was looked up before the news is of no use. Forgetting costs a look, so half of them are forgotten at
// once when there are too many.
type looked struct {
	mu          sync.RWMutex
	count       int64 // of news
	useless     int64 // looks that began before are of no use to any session
	now, before map[Key]int64

	changed, changedBefore map[Key]int64 // when news came of a session
	since, sinceBefore     int64         // when these begin: what changed earlier is not known any more
}

// begin returns the number of a look that begins now.
func (l *looked) begin() int64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.count
}

// add remembers that a session had not ended when it was looked up, in milliseconds, unless news have come since.
func (l *looked) add(session Key, look, at int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.holdsLocked(session, look) {
		return
	}
	if l.now == nil || len(l.now) >= mostLooked/2 {
		l.before, l.now = l.now, map[Key]int64{}
	}
	l.now[session] = at
}

// holds reports whether no news have come of a session since a look began.
func (l *looked) holds(session Key, look int64) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.holdsLocked(session, look)
}

func (l *looked) holdsLocked(session Key, look int64) bool {
	return look >= l.useless && look >= l.sinceBefore && look >= l.changed[session] && look >= l.changedBefore[session]
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

// forget forgets a session, of which there are news; looks that are under way too.
func (l *looked) forget(session Key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count++
	delete(l.now, session)
	delete(l.before, session)
	if l.changed == nil || len(l.changed) >= mostLooked/2 {
		l.changedBefore, l.sinceBefore = l.changed, l.since
		l.changed, l.since = map[Key]int64{}, l.count
	}
	l.changed[session] = l.count
}

// drop forgets everything, looks that are under way too.
func (l *looked) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count++
	l.useless = l.count
	l.now, l.before = nil, nil
	l.changed, l.changedBefore = nil, nil
}
