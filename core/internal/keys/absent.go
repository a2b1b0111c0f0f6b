package keys

import (
	"hash/maphash"
	"sync"
	"time"

	"github.com/signward/idserver-go/core/internal/jose"
)

const (
	absentFor = 10 * time.Second
	maxAbsent = 1024 // kids that are remembered; strangers make up as many as they like
)

// absent remembers which kids were asked for and were not in the set. Only hashes are kept: a kid may be long.
type absent struct {
	mu    sync.Mutex
	since map[uint64]time.Time
}

var seed = maphash.MakeSeed()

func hashOf(h jose.Header) uint64 {
	if h.KeyID == nil {
		return 0
	}
	return maphash.String(seed, *h.KeyID)
}

func (a *absent) has(h jose.Header, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	since, ok := a.since[hashOf(h)]
	return ok && recent(since, now)
}

// recent is false for a time in the future too, which a clock that was set back leaves behind.
func recent(since, now time.Time) bool {
	age := now.Sub(since)
	return 0 <= age && age < absentFor
}

// add remembers a kid. If there are too many, those that are over go, and otherwise any one.
func (a *absent) add(h jose.Header, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.since == nil {
		a.since = map[uint64]time.Time{}
	}
	if len(a.since) >= maxAbsent {
		for hash, since := range a.since {
			if !recent(since, now) {
				delete(a.since, hash)
			}
		}
		for hash := range a.since {
			if len(a.since) < maxAbsent {
				break
			}
			delete(a.since, hash)
		}
	}
	a.since[hashOf(h)] = now
}
