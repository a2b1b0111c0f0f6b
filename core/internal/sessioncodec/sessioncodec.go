// Package sessioncodec is the form in which sessions and sign-ins in progress are kept: the plaintext of what package
// seal encrypts. It is pure: no clock, no randomness, no network.
//
// Two versions of a program run side by side while it is being replaced, and each opens what the other wrote. Therefore a
// record begins with the number of its format, and members and parts that this version does not know survive from Unpack
// to Pack. The golden files in testdata are what earlier versions wrote; they stay readable for two minor versions.
package sessioncodec

import "errors"

var (
	// ErrVersion means that another version of this program wrote the value, in a format that is not known here. It is
	// neither accepted nor deleted: that version can still read it.
	ErrVersion = errors.New("a format of another version")
	// ErrMalformed means that the value was not written by this package, or is too large.
	ErrMalformed = errors.New("not a value that can be read")
)

// version is the first byte of every value.
const version = 1

// versioned returns what follows the version.
func versioned(packed []byte) ([]byte, error) {
	if len(packed) == 0 {
		return nil, ErrMalformed
	}
	if packed[0] != version {
		return nil, ErrVersion
	}
	return packed[1:], nil
}
