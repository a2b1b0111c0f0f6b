package lease

import (
	"encoding/binary"
	"errors"
)

// record is what the store holds of a grant. Times are in milliseconds since 1970.
type record struct {
	version int64  // of payload: how often the grant was refreshed
	payload []byte // the newest result, or what the first holder began with

	holder [16]byte // who may refresh version; zero: nobody
	until  int64    // when the lease ends
	fence  int64    // of the latest lease: later ones have higher ones
	pause  int64    // nobody refreshes before
	lost   bool     // an attempt to refresh version may have succeeded, and nobody got the answer
	over   bool     // version is the last: the other side has refused

	later []byte // what a later version of this program wrote behind
}

// newerThan reports whether r was written after o: it is of a later version or, of the same one, of a later lease, or what came of that
// lease.
func (r *record) newerThan(o *record) bool {
	switch {
	case r.version != o.version:
		return r.version > o.version
	case r.fence != o.fence:
		return r.fence > o.fence
	}
	return r.holder == [16]byte{} && o.holder != [16]byte{}
}

const (
	format   = 1
	flagLost = 1 << 0
	flagOver = 1 << 1
)

// errFormat means that another version of this program wrote a record, in a format that is not known here.
var errFormat = errors.New("a record of another version")

func (r *record) encode() []byte {
	flags := byte(0)
	if r.lost {
		flags |= flagLost
	}
	if r.over {
		flags |= flagOver
	}
	out := append(make([]byte, 0, len(r.payload)+len(r.later)+64), format, flags)
	out = append(out, r.holder[:]...)
	for _, n := range []int64{r.version, r.until, r.fence, r.pause} {
		out = binary.AppendVarint(out, n)
	}
	out = binary.AppendUvarint(out, uint64(len(r.payload)))
	return append(append(out, r.payload...), r.later...)
}

// decode is the inverse of encode.
func decode(in []byte) (r record, err error) {
	if len(in) < 2+len(r.holder) || in[0] != format {
		return record{}, errFormat
	}
	r.lost, r.over = in[1]&flagLost != 0, in[1]&flagOver != 0
	in = in[2:]
	copy(r.holder[:], in)
	in = in[len(r.holder):]
	for _, n := range []*int64{&r.version, &r.until, &r.fence, &r.pause} {
		value, size := binary.Varint(in)
		if size <= 0 {
			return record{}, errFormat
		}
		*n, in = value, in[size:]
	}
	length, size := binary.Uvarint(in)
	if size <= 0 || length > uint64(len(in)-size) {
		return record{}, errFormat
	}
	in = in[size:]
	r.payload, r.later = in[:length:length], in[length:]
	return r, nil
}
