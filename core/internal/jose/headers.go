package jose

import (
	"maps"
	"strings"
	"sync/atomic"
)

// maxHeaders is how many headers are remembered: an issuer's tokens of one kind with one key have the same header.
const maxHeaders = 16

// Headers remembers the headers of verified tokens by their text. It is safe for concurrent use, and the zero value is
// ready to use.
type Headers struct {
	known atomic.Pointer[map[string]Header]
}

func (h *Headers) read(encoded string) (Header, bool) {
	if h == nil {
		return Header{}, false
	}
	known := h.known.Load()
	if known == nil {
		return Header{}, false
	}
	header, ok := (*known)[encoded]
	return header, ok
}

// Remember keeps the header of a message whose signature was verified, so that strangers cannot fill the memory. When it
// is full, it starts over.
func (h *Headers) Remember(m *Message) {
	before := h.known.Load()
	if _, ok := h.read(m.header); ok {
		return
	}
	after := map[string]Header{}
	if before != nil && len(*before) < maxHeaders {
		after = maps.Clone(*before)
	}
	after[strings.Clone(m.header)] = m.Header
	h.known.CompareAndSwap(before, &after) // if another came first, this one is remembered the next time
}
