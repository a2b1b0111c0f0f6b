package lease

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// What is remembered has its limits, in bytes and in time; what was heard of last stays.
func TestMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m memory
		m.init(time.Now, time.Hour)
		const each = 64 << 10
		add := func(i int, version int64) {
			m.add(&remembered{id: fmt.Sprint(i), expiry: time.Now().Add(12 * time.Hour), record: record{version: version, payload: make([]byte, each)}})
		}
		most := mostRemembered / (each + rememberedSize)
		for i := range 3 * most {
			add(i, 1)
			add(0, int64(i)) // one that is heard of all the time
		}
		if len(m.byID) != m.order.Len() || m.order.Len() != most || m.bytes > mostRemembered {
			t.Errorf("%d and %d are remembered, in %d bytes, want %d", len(m.byID), m.order.Len(), m.bytes, most)
		}
		if e := m.get("0"); e == nil || e.record.version != int64(3*most-1) {
			t.Errorf("what was heard of last: %+v", e)
		}
		if m.get("1") != nil || m.get(fmt.Sprint(3*most-1)) == nil {
			t.Error("those that were heard of last are not those that are remembered")
		}
		add(1<<20, 1)
		m.add(&remembered{id: "large", expiry: time.Now().Add(time.Hour), record: record{payload: make([]byte, 2*mostRemembered)}})
		if m.order.Len() != 1 {
			t.Errorf("%d besides one that takes everything", m.order.Len()-1)
		}
		add(2, 1)
		if m.bytes > mostRemembered {
			t.Errorf("%d bytes", m.bytes)
		}

		time.Sleep(time.Hour)
		add(3, 1)
		if m.get("2") == nil {
			t.Error("it is forgotten too early")
		}
		time.Sleep(time.Second)
		if m.get("2") != nil || len(m.all(func(*remembered) bool { return true })) != 1 {
			t.Error("it is remembered for longer than it is of use")
		}
		add(4, 1)
		if len(m.byID) != 2 || m.bytes != 2*(each+rememberedSize) {
			t.Errorf("%d are remembered, in %d bytes", len(m.byID), m.bytes)
		}
		m.add(&remembered{id: "over", expiry: time.Now().Add(2 * time.Minute)})
		time.Sleep(time.Minute)
		if m.get("over") != nil {
			t.Error("the store may forget it by now")
		}
	})
}

// An older record, which is read where the store has lost the newer one, does not take its place.
func TestMemoryOnlyGrows(t *testing.T) {
	var m memory
	m.init(time.Now, time.Hour)
	at := time.Now().Add(time.Hour)
	steps := []record{{version: 1, fence: 1}, {version: 1, fence: 2, holder: [16]byte{1}}, {version: 1, fence: 2}, {version: 2, fence: 2}}
	for i, step := range steps {
		m.add(&remembered{id: "g", expiry: at, record: step})
		for _, older := range steps[:i+1] {
			m.add(&remembered{id: "g", expiry: at, record: older})
		}
		if got := m.get("g").record; got.newerThan(&step) || step.newerThan(&got) {
			t.Errorf("step %d: %+v", i, got)
		}
	}
}

// Thousands of records are written again, each once, by those who know them.
func TestRestoresAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		here, reader := replicaOf(t, s, true, 0), replicaOf(t, s, true, 0)
		const many = 300
		g := grant(0)
		for i := range many {
			g.ID = fmt.Sprint(i)
			here.Do(t.Context(), g, func(context.Context, bool) Attempt { return Attempt{Payload: payload(1)} })
			reader.Latest(t.Context(), g)
		}
		synctest.Wait()
		time.Sleep(time.Second)
		s.becomes(nil)
		before := s.operations()
		here.notice(t)
		synctest.Wait()
		reader.notice(t)
		synctest.Wait()
		if n := s.operations() - before; n > 2*many+2*many/mostAsked+20 {
			t.Errorf("%d operations for %d records", n, many)
		}
		time.Sleep(time.Minute)
		s.becomes(nil)
		reader.notice(t) // and it remembers them still
		synctest.Wait()
		fresh := replicaOf(t, s, true, 0)
		for i := range many {
			g.ID = fmt.Sprint(i)
			if got, err := fresh.Latest(t.Context(), g); err != nil || string(got) != string(payload(1)) {
				t.Fatalf("%d: %q, %v", i, got, err)
			}
		}
	})
}
