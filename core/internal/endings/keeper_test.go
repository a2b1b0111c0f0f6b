package endings

import (
	"maps"
	"testing"
	"testing/synctest"
	"time"
)

// A store that comes back without its last writes, or without any, is told again who signed out, for replicas that know of nothing.
func TestLostMarkersAreWrittenAgain(t *testing.T) {
	for name, keeps := range map[string]bool{"all but the root": true, "all": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore()
				m := replica(t, s)
				gone, here := sessionOf(1, 0), &Session{ID: SessionMark([32]byte{2}), Began: at(0)}
				ended(t, m, here, false)
				s.onlyRoot()
				if err := m.End(bg, gone.ID, Marker{Before: at(1)}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				s.setFault(func(int) how { return before })
				for range 5 {
					_, _ = m.Ended(bg, here)
					time.Sleep(time.Second)
				}
				s.setFault(nil)
				maps.DeleteFunc(s.values, func(key string, _ []byte) bool { return !keeps || !s.root[key] })
				_, _ = m.Ended(bg, here)
				time.Sleep(5 * time.Second)
				if got, err := replica(t, s).Ended(bg, gone); err != nil || !got {
					t.Errorf("whoever signed out is out: %t, %v", got, err)
				}
			})
		})
	}
}
