package cookies

import (
	"strconv"
	"strings"
)

// Browsers keep at least 4096 bytes of a cookie, including name and attributes (RFC 6265 section 6.1).
const (
	MaxValue  = 3800                 // bytes in one cookie
	MaxChunks = 5                    // cookies for one value
	MaxTotal  = MaxValue * MaxChunks // bytes of one value
)

// Cookie is the name and the value of a cookie.
type Cookie struct{ Name, Value string }

// Split splits a long value over cookies called name, name.1, name.2 and so on. The first says how many there are. The
// value must be sealed as a whole, so that a mixture of two values does not open. It must not have a dot, and at most
// MaxTotal bytes; of a longer one, Chunked reads nothing.
func Split(name, value string) []Cookie {
	if len(value) <= MaxValue {
		return []Cookie{{name, value}}
	}
	n := (len(value) + MaxValue - 1) / MaxValue
	all := make([]Cookie, n)
	for i := range all {
		all[i] = Cookie{chunkName(name, i), value[i*MaxValue : min((i+1)*MaxValue, len(value))]}
	}
	all[0].Value = strconv.Itoa(n) + "." + all[0].Value
	return all
}

// Chunked is the inverse of Split. It reads no more than a value may have: what it returns is decoded and deciphered whole,
// and not written again as it is.
func Chunked(lines []string, name string) (value string, ok bool) {
	value, ok = single(lines, name)
	count, rest, chunked := strings.Cut(value, ".")
	if !ok || !chunked {
		return value, ok && len(value) <= MaxValue
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 2 || n > MaxChunks {
		return "", false
	}
	var whole strings.Builder
	whole.WriteString(rest)
	for i := 1; i < n; i++ {
		chunk, ok := single(lines, chunkName(name, i))
		if !ok {
			return "", false
		}
		whole.WriteString(chunk)
	}
	return whole.String(), whole.Len() <= MaxTotal
}

func chunkName(name string, i int) string {
	if i == 0 {
		return name
	}
	return name + "." + strconv.Itoa(i)
}
