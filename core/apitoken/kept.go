package apitoken

import (
	"maps"
	"sync"
	"time"

	"github.com/signward/idserver-go/core/internal/grants"
)

// Limits on the tokens that are kept: users come with any number of them.
const (
	mostKept      = 10_000
	mostKeptBytes = 16 << 20
)

// kept are the tokens of a source. The zero value has none. It is safe for concurrent use.
type kept struct {
	mu    sync.Mutex
	byKey map[[32]byte]held
	bytes int
}

// held is a token, and until when it is good.
type held struct {
	grants.Token
	due, until time.Time
}

// state is what a token that is kept is good for.
type state int

const (
	none state = iota // there is none, or it has expired
	due               // it is good, and another is to be asked for
	fresh
)

func (k *kept) get(key [32]byte, now time.Time) (grants.Token, state) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch h, ok := k.byKey[key]; {
	case !ok || !now.Before(h.until):
		return grants.Token{}, none
	case !now.Before(h.due):
		return h.Token, due
	default:
		return h.Token, fresh
	}
}

// put keeps a token that was asked for then, until a fifth of its life is left.
func (k *kept) put(key [32]byte, t grants.Token, asked time.Time) {
	until := t.Expiry
	if until.IsZero() {
		until = asked.Add(unknownLife)
	}
	h := held{t, until.Add(-until.Sub(asked) / 5), until}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.byKey == nil {
		k.byKey = map[[32]byte]held{}
	}
	k.drop(key)
	k.byKey[key] = h
	k.bytes += size(h)
	if len(k.byKey) > mostKept || k.bytes > mostKeptBytes {
		k.makeRoom(key, asked)
	}
}

// makeRoom forgets tokens that have expired, and then any others but that of key: who wants one asks again.
func (k *kept) makeRoom(key [32]byte, now time.Time) {
	for other, h := range maps.Clone(k.byKey) {
		if !now.Before(h.until) {
			k.drop(other)
		}
	}
	for other := range maps.Clone(k.byKey) {
		if len(k.byKey) <= mostKept*9/10 && k.bytes <= mostKeptBytes*9/10 {
			return
		}
		if other != key {
			k.drop(other)
		}
	}
}

func (k *kept) forget(key [32]byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.drop(key)
}

func (k *kept) drop(key [32]byte) {
	if h, ok := k.byKey[key]; ok {
		k.bytes -= size(h)
		delete(k.byKey, key)
	}
}

// size is what a token takes in memory, in bytes.
func size(h held) int { return len(h.AccessToken) + 400 }
