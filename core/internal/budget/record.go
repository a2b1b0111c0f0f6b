package budget

import (
	"cmp"
	"encoding/binary"
	"errors"
	"slices"
	"time"
)

// record is what was sent within the last window. Times are in milliseconds since 1970.
type record struct {
	hold int64  // nobody asks before
	sent []sent // oldest first

	later []byte // what a later version of this program wrote behind
}

type sent struct {
	at  int64
	use Use
}

// reserved is how many of a limit are for refreshes alone.
func reserved(limit int) int { return limit / 2 }

// wait returns how long a request must wait; 0: it need not. What clocks that are ahead wrote counts from now.
func (r *record) wait(now int64, use Use, limit int) time.Duration {
	until := min(r.hold, now+LongestHold.Milliseconds())
	if limit > 0 {
		until = max(until, r.frees(now, limit, func(Use) bool { return true }))
		if use == SignIn {
			until = max(until, r.frees(now, limit-reserved(limit), func(u Use) bool { return u == SignIn }))
		}
	}
	return max(0, time.Duration(until-now)*time.Millisecond)
}

// frees returns when fewer than limit of the requests that count lie within the window; 0 if that is so now.
func (r *record) frees(now int64, limit int, counts func(Use) bool) int64 {
	for _, s := range slices.Backward(r.sent) {
		if s.at > now-window.Milliseconds() && counts(s.use) {
			if limit--; limit == 0 {
				return min(s.at, now) + window.Milliseconds()
			}
		}
	}
	return 0
}

// count counts a request that is sent now. It reports whether that makes a difference to anybody.
func (r *record) count(now int64, use Use, limit int) bool {
	if limit == 0 {
		return false
	}
	r.sent = slices.DeleteFunc(r.sent, func(s sent) bool { return s.at <= now-window.Milliseconds() })
	r.sent = append(r.sent, sent{now, use})
	slices.SortStableFunc(r.sent, func(a, b sent) int { return cmp.Compare(a.at, b.at) }) // by clocks of other replicas
	if surplus := len(r.sent) - Most; surplus > 0 {                                       // of a process that went on without the store
		r.sent = slices.Delete(r.sent, 0, surplus)
	}
	return true
}

// holdUntil reports whether it changes anything.
func (r *record) holdUntil(until int64) bool {
	if until <= r.hold {
		return false
	}
	r.hold = until
	return true
}

const format = 1

var errFormat = errors.New("a record of another version")

func (r *record) encode() []byte {
	out := binary.AppendVarint([]byte{format}, r.hold)
	out = binary.AppendUvarint(out, uint64(len(r.sent)))
	var before int64
	for _, s := range r.sent {
		out = binary.AppendVarint(out, (s.at-before)<<1|int64(s.use))
		before = s.at
	}
	return append(out, r.later...)
}

// decode is the inverse of encode.
func decode(in []byte) (r record, err error) {
	if len(in) == 0 || in[0] != format {
		return record{}, errFormat
	}
	in = in[1:]
	next := func() (n int64) {
		n, size := binary.Varint(in)
		if size <= 0 {
			err = errFormat
			return 0
		}
		in = in[size:]
		return n
	}
	r.hold = next()
	count, size := binary.Uvarint(in)
	if err != nil || size <= 0 || count > Most {
		return record{}, errFormat
	}
	in = in[size:]
	var at int64
	for range count {
		n := next()
		at += n >> 1
		r.sent = append(r.sent, sent{at, Use(n & 1)})
	}
	if err != nil {
		return record{}, err
	}
	if len(in) > 0 {
		r.later = in
	}
	return r, nil
}
