// Package replays remembers which proofs have been used, so that each is good once (RFC 9449 section 11.1).
//
// A [Memory] is bounded. It never forgets a proof that could still be accepted: where it is full, it says that the oldest proofs
// are not accepted any more. The package is pure: no clock.
package replays

import (
	"crypto/sha256"
	"errors"
	"io"
	"math"
	"sync"
	"time"
)

var (
	// ErrUsed means that a proof was used before.
	ErrUsed = errors.New("it was used before")
	// ErrTooOld means that there is no telling whether a proof was used before, because it is among the oldest and the memory is full.
	ErrTooOld = errors.New("so many proofs are used that those of its iat are not accepted any more")
)

// DefaultMost is how many proofs a Memory of a process remembers: about 40 MB. To fill it, somebody who holds a good token and its
// key has as many signatures verified within a minute or so, which takes a processor about as long.
const DefaultMost = 1_000_000

// Use is what is remembered of the use of a proof: a part of a hash, for what is wanted is that a proof is recognized, and not what it
// was.
type Use [16]byte

// UseOf returns what is remembered of the proof with that jti, made with the key with that thumbprint.
func UseOf(thumbprint, jti string) (u Use) {
	h := sha256.New()
	io.WriteString(h, thumbprint) // of a fixed length
	io.WriteString(h, "\x00")
	io.WriteString(h, jti)
	var sum [sha256.Size]byte
	copy(u[:], h.Sum(sum[:0]))
	return u
}

// Memory remembers proofs by when they were made, as they say: those that are too old to be accepted are forgotten together. It
// is safe for concurrent use.
type Memory struct {
	most int

	mu     sync.Mutex
	used   int
	made   map[int64]map[Use]struct{} // by the number of the span
	oldest int64                      // the oldest span that was accepted when it was last looked
	floor  int64                      // spans before it are not accepted, because they had to be forgotten
}

// span is how far apart the times of proofs are that are forgotten together.
const span = 5 * time.Second

func spanOf(t time.Time) int64 { return int64(math.Floor(float64(t.Unix()) / span.Seconds())) }

// New returns a memory of at most so many proofs.
func New(most int) *Memory {
	return &Memory{most: most, made: map[int64]map[Use]struct{}{}, oldest: math.MinInt64, floor: math.MinInt64}
}

// First remembers the use of a proof that was made at that time, and returns nil if it is the first one. Proofs that were made before
// oldest are no longer accepted by the caller. The errors are ErrUsed and ErrTooOld.
func (m *Memory) First(use Use, made, oldest time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forgetBefore(spanOf(oldest))
	of := spanOf(made)
	switch _, used := m.made[of][use]; {
	case used:
		return ErrUsed
	case of < m.floor:
		return ErrTooOld
	}
	for m.used >= m.most {
		m.forgetOldest()
	}
	if of < m.floor {
		return ErrTooOld
	}
	if m.made[of] == nil {
		m.made[of] = map[Use]struct{}{}
	}
	m.made[of][use] = struct{}{}
	m.used++
	return nil
}

// Len returns how many proofs are remembered.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used
}

// forgetBefore forgets what is no longer accepted. A clock that was set back does not bring it again.
func (m *Memory) forgetBefore(oldest int64) {
	if oldest <= m.oldest {
		m.oldest = min(m.oldest, oldest)
		return
	}
	m.oldest = oldest
	for of, uses := range m.made {
		if of < oldest {
			m.used -= len(uses)
			delete(m.made, of)
		}
	}
}

// forgetOldest makes room, at the price that the proofs of that time are not accepted any more.
func (m *Memory) forgetOldest() {
	first := int64(math.MaxInt64)
	for of := range m.made {
		first = min(first, of)
	}
	m.used -= len(m.made[first])
	delete(m.made, first)
	m.floor = max(m.floor, first+1)
}
