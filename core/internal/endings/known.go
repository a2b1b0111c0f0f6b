package endings

import (
	"container/heap"
	"sync"
	"sync/atomic"
	"time"
)

// known are the markers that this process knows. What is known stays true, because markers only grow.
type known struct {
	now  func() time.Time
	most int
	any  atomic.Bool // there was a marker: until then, nobody takes the lock

	mu     sync.RWMutex
	byMark map[Key]*knownMarker
	soon   soonest
}

// knownMarker is a marker, and what is known of it. place is its index in the heap.
type knownMarker struct {
	mark  Key
	until time.Time // when no session can live that it ends
	place int

	Marker
	own   bool     // this process has written it, or is to
	epoch [16]byte // in which it did
}

func newKnown(now func() time.Time, most int) *known {
	return &known{now: now, most: most, byMark: map[Key]*knownMarker{}}
}

// add takes a marker over and returns what is known then, and whether that is news. Of too many, those that are needed for the
// shortest time are forgotten first, but never the one that is added.
func (k *known) add(mark Key, m Marker, until time.Time, own bool) (all Marker, news bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	k.forgetOld(now)
	e := k.byMark[mark]
	if e == nil {
		if len(k.soon) >= k.most {
			k.forgetFirst()
		}
		e = &knownMarker{mark: mark, until: until}
		k.byMark[mark] = e
		heap.Push(&k.soon, e)
		k.any.Store(true)
		news = true
	}
	if all = e.Marker.with(m); all != e.Marker {
		e.Marker, news = all, true
	}
	if news && e.until.Before(until) {
		e.until = until
		heap.Fix(&k.soon, e.place)
	}
	e.own = e.own || own
	return all, news
}

// ends reports whether a marker that is known ends a session.
func (k *known) ends(s *Session) bool {
	if !k.any.Load() {
		return false
	}
	now := k.now()
	k.mu.RLock()
	defer k.mu.RUnlock()
	for _, mark := range [...]Key{s.ID, s.Person, s.Provider} {
		if e := k.byMark[mark]; e != nil && now.Before(e.until) && s.endedBy(mark, e.Marker) {
			return true
		}
	}
	return false
}

// before returns the latest time of the markers of a session's person and of its provider's session.
func (k *known) before(s *Session) (latest int64) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	for _, mark := range [...]Key{s.Person, s.Provider} {
		if e := k.byMark[mark]; e != nil {
			latest = max(latest, e.Before)
		}
	}
	return latest
}

// get returns a marker that is still needed.
func (k *known) get(mark Key) (m Marker, ok bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	e := k.byMark[mark]
	if e == nil || !k.now().Before(e.until) {
		return Marker{}, false
	}
	return e.Marker, true
}

// written notes in which epoch of the store a marker was written.
func (k *known) written(mark Key, epoch [16]byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if e := k.byMark[mark]; e != nil {
		e.epoch = epoch
	}
}

// own returns the markers that this process has written, as they are now, but for those that are hardly needed any more: the
// store's clock may say that they are not.
func (k *known) own() (all []knownMarker) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	now := k.now()
	for _, e := range k.byMark {
		if e.own && now.Before(e.until.Add(-time.Minute)) {
			all = append(all, *e)
		}
	}
	return all
}

// forgetAtOnce limits how many markers whose time has passed one add forgets, so that none holds the lock for long. It is more
// than one, so that they become fewer.
const forgetAtOnce = 4

func (k *known) forgetOld(now time.Time) {
	for range forgetAtOnce {
		if len(k.soon) == 0 || now.Before(k.soon[0].until) {
			return
		}
		k.forgetFirst()
	}
}

func (k *known) forgetFirst() {
	first := heap.Pop(&k.soon).(*knownMarker)
	delete(k.byMark, first.mark)
}

// soonest is a heap with the marker at its top that is needed for the shortest time.
type soonest []*knownMarker

func (h soonest) Len() int           { return len(h) }
func (h soonest) Less(i, j int) bool { return h[i].until.Before(h[j].until) }

func (h soonest) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

func (h *soonest) Push(x any) {
	e := x.(*knownMarker)
	e.place = len(*h)
	*h = append(*h, e)
}

func (h *soonest) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return e
}
