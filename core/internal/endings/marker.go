package endings

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// Marker says when something ended. It only grows, so that to write it twice, late or in another order changes nothing.
// Times are in milliseconds since 1970.
type Marker struct {
	// Before ends the sessions that began until then, by the clocks of replicas.
	Before int64
	// Issued ends the sessions whose ID token was issued until then, by the provider's clock alone. 0: it was not the provider
	// that ended them.
	Issued int64
}

// with returns the later times of both.
func (m Marker) with(o Marker) Marker {
	return Marker{Before: max(m.Before, o.Before), Issued: max(m.Issued, o.Issued)}
}

// Session is a session as markers see it: by what it can be ended, and when it began.
type Session struct {
	ID       Key // SessionMark. Any marker there ends it: clocks need not agree on what came first
	Provider Key // ProviderMark or, if the provider told no sid, UnnamedMark
	Person   Key // PersonMark

	Began    int64 // by the clock of the replica where it began
	Issued   int64 // iat of the ID token that it began with; 0: not known
	Outlived int64 // no marker up to here ends it: it was known when the session began
}

// endedBy reports whether a marker ends the session.
func (s *Session) endedBy(mark Key, m Marker) bool {
	return mark == s.ID || s.Began <= m.Before && s.Outlived < m.Before || s.Issued != 0 && s.Issued <= m.Issued
}

// marks are those that may end the session.
func (s *Session) marks() []Key { return []Key{s.ID, s.Person, s.Provider} }

// SessionMark is the mark of a session by its own id.
func SessionMark(id [32]byte) Key { return mark("session", string(id[:])) }

// ProviderMark is the mark of a session of the provider, by its sid.
func ProviderMark(issuer, sid string) Key { return mark("sid", issuer+"\x00"+sid) }

// UnnamedMark is the mark of those sessions of a person of which the provider told no sid.
func UnnamedMark(issuer, subject string) Key { return mark("no sid", issuer+"\x00"+subject) }

// PersonMark is the mark of a person.
func PersonMark(issuer, subject string) Key { return mark("sub", issuer+"\x00"+subject) }

func mark(kind, id string) Key { return sha256.Sum256([]byte(kind + "\x00" + id)) }

const (
	markerVersion = 1
	markerSize    = 1 + 8 + 8
)

// encode is how a marker is kept. A later version appends to it, and changes nothing of what is there.
func (m Marker) encode(later []byte) []byte {
	out := append(make([]byte, 0, markerSize+len(later)), markerVersion)
	out = binary.BigEndian.AppendUint64(out, uint64(m.Before))
	out = binary.BigEndian.AppendUint64(out, uint64(m.Issued))
	return append(out, later...)
}

// decodeMarker is the inverse of encode.
func decodeMarker(in []byte) (m Marker, later []byte, ok bool) {
	if len(in) < markerSize || in[0] != markerVersion {
		return Marker{}, nil, false
	}
	m.Before, m.Issued = int64(binary.BigEndian.Uint64(in[1:])), int64(binary.BigEndian.Uint64(in[9:]))
	return m, in[markerSize:], 0 <= m.Before && 0 <= m.Issued
}

// message is a marker as replicas tell each other.
func (m Marker) message(mark Key) string {
	return fmt.Sprintf("%s %d %d", base64.RawURLEncoding.EncodeToString(mark[:]), m.Before, m.Issued)
}

// changeMessage says that what the store has of a session is another than before, by the mark of its id.
func changeMessage(session Key) string {
	return changeWord + base64.RawURLEncoding.EncodeToString(session[:])
}

const changeWord = "changed "

// parseChange is the inverse of changeMessage. What a later version appends is ignored.
func parseChange(text string) (session Key, ok bool) {
	text, ok = strings.CutPrefix(text, changeWord)
	if !ok {
		return Key{}, false
	}
	text, _, _ = strings.Cut(text, " ")
	hash, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(hash) != len(session) {
		return Key{}, false
	}
	return Key(hash), true
}

// parseMessage is the inverse of message. What a later version appends is ignored.
func parseMessage(text string) (mark Key, m Marker, ok bool) {
	words := strings.Split(text, " ")
	if len(words) < 3 {
		return Key{}, Marker{}, false
	}
	hash, err := base64.RawURLEncoding.Strict().DecodeString(words[0])
	if err != nil || len(hash) != len(mark) {
		return Key{}, Marker{}, false
	}
	before, err := strconv.ParseUint(words[1], 10, 63)
	if err != nil {
		return Key{}, Marker{}, false
	}
	issued, err := strconv.ParseUint(words[2], 10, 63)
	return Key(hash), Marker{int64(before), int64(issued)}, err == nil
}
