package claims

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/signward/idserver-go/core/internal/strictjson"
)

// exact are the claims that are compared with something. Two different ones must not become equal by mending.
var exact = []string{"iss", "sub", "aud", "azp", "nonce", "at_hash", "c_hash"}

// replacement stands for half a character: U+FFFD, as long as the escape that it replaces.
const replacement = `\ufffd`

// ParseObject parses the text of claims. A name that was cut in the middle of a character holds half of a surrogate pair,
// which is no text: it is mended, unless it stands in a claim that is compared.
func ParseObject(text []byte) (strictjson.Object, error) {
	text, mended := mend(text)
	object, err := strictjson.ParseObject(text)
	if err != nil {
		return strictjson.Object{}, fmt.Errorf("claims: %w", err)
	}
	if !mended {
		return object, nil
	}
	for name, value := range object.All() {
		if slices.Contains(exact, name) && strings.Contains(value, replacement) {
			return strictjson.Object{}, fmt.Errorf("claims: %s has half of a character in it", name)
		}
	}
	return object, nil
}

// Mend replaces each escape of half a surrogate pair (RFC 8259 section 8.2) by one of U+FFFD. It returns text itself if
// there is none.
func Mend(text []byte) []byte {
	text, _ = mend(text)
	return text
}

func mend(text []byte) (out []byte, mended bool) {
	out = text
	for i := 0; i < len(text); {
		at := bytes.IndexByte(text[i:], '\\')
		if at < 0 {
			break
		}
		i += at
		switch unit := escapedUnit(text[i:]); {
		case 0xd800 <= unit && unit <= 0xdbff && isLowHalf(escapedUnit(text[i+6:])):
			i += 12
		case 0xd800 <= unit && unit <= 0xdfff:
			if !mended {
				out, mended = bytes.Clone(text), true
			}
			copy(out[i:], replacement)
			i += 6
		default:
			i += 2 // a backslash that is itself escaped begins nothing
		}
	}
	return out, mended
}

func isLowHalf(unit int) bool { return 0xdc00 <= unit && unit <= 0xdfff }

// escapedUnit returns the UTF-16 code unit of the escape that text begins with, or -1.
func escapedUnit(text []byte) int {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return -1
	}
	unit, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	if err != nil {
		return -1
	}
	return int(unit)
}
