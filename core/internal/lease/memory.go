package lease

import (
	"container/list"
	"sync"
	"time"
)

// memory is what this process knows: records that this process has written or read, the newest of each grant: a store may lose them, and whoever has the
// version before would then have it refreshed a second time. It holds at most mostRemembered bytes, of which those that were not heard of
// for longest go first, and nothing for longer than kept: there is nobody then who has the version before.
//
// Record and lease of a grant that is being refreshed are in it too, and what the store did not take yet.
type memory struct {
	now  func() time.Time
	kept time.Duration
	most int

	mu    sync.Mutex
	byID  map[string]*list.Element
	order list.List // of *remembered: the latest first
	bytes int
}

const (
	mostRemembered = 16 << 20 // bytes: of people as in the examples, some 10,000
	rememberedSize = 512      // of one, besides its payload
)

// remembered is a record, as this process knows it. It is not modified, but for its epoch, which is the keeper's.
type remembered struct {
	id     string
	expiry time.Time
	record record

	at        time.Time // when it was heard of
	unwritten bool      // the store did not take it
	epoch     [16]byte  // of the store, when that had it
}

func (e *remembered) size() int { return rememberedSize + len(e.record.payload) + len(e.record.later) }

func (m *memory) init(now func() time.Time, kept time.Duration) {
	m.now, m.kept, m.most, m.byID = now, kept, mostRemembered, map[string]*list.Element{}
}

// add takes e over, unless something newer is known.
func (m *memory) add(e *remembered) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e.at = m.now()
	if known := m.byID[e.id]; known != nil {
		if before := known.Value.(*remembered); before.record.newerThan(&e.record) {
			return
		}
		m.forget(known)
	}
	m.byID[e.id] = m.order.PushFront(e)
	m.bytes += e.size()
	for m.bytes > m.most && m.order.Len() > 1 {
		m.forget(m.order.Back())
	}
	for last := m.order.Back(); m.isOver(last.Value.(*remembered)) && m.order.Len() > 1; last = m.order.Back() {
		m.forget(last)
	}
}

func (m *memory) forget(e *list.Element) {
	gone := m.order.Remove(e).(*remembered)
	delete(m.byID, gone.id)
	m.bytes -= gone.size()
}

// isOver reports whether e is of no use any more, or hardly: the store's clock may say so.
func (m *memory) isOver(e *remembered) bool {
	now := m.now()
	return now.Sub(e.at) > m.kept || !now.Before(e.expiry.Add(-time.Minute))
}

// get returns what is known of a grant; nil for nothing.
func (m *memory) get(id string) *remembered {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.byID[id]; e != nil && !m.isOver(e.Value.(*remembered)) {
		return e.Value.(*remembered)
	}
	return nil
}

// all returns what is known and chosen, the latest first.
func (m *memory) all(chosen func(*remembered) bool) (all []*remembered) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for e := m.order.Front(); e != nil; e = e.Next() {
		if one := e.Value.(*remembered); !m.isOver(one) && chosen(one) {
			all = append(all, one)
		}
	}
	return all
}

// drop forgets e, if nothing else was heard since.
func (m *memory) drop(e *remembered) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known := m.byID[e.id]; known != nil && known.Value == any(e) {
		m.forget(known)
	}
}
