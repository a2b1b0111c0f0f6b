package jose

import (
	"crypto/ed25519"
	"encoding/hex"
	"slices"
)

// smallOrderY are the y of Ed25519's eight points of small order as RFC 8032 section 5.1.2 encodes them, and of the two
// that Go's library also reads with y beyond the field. The last bit, which is the sign of x, is not among them: it tells
// two points with the same y apart, and Go reads it where x is 0 as well.
var smallOrderY = func() (all [][]byte) {
	for _, y := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000", // order 4
		"0100000000000000000000000000000000000000000000000000000000000000", // order 1
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", // order 8
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", // order 8
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p-1, order 2
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p, which is 0
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p+1, which is 1
	} {
		b, err := hex.DecodeString(y)
		if err != nil {
			panic(err)
		}
		all = append(all, b)
	}
	return all
}()

// isSmallOrder reports whether a key of 32 bytes is a point of small order. A signature of R = 1 and S = 0 verifies for all
// texts with the one of order 1, and for at least one text of eight with any: whoever publishes such a key, or has one
// published, lets everybody sign.
func isSmallOrder(public ed25519.PublicKey) bool {
	y := slices.Clone(public)
	y[31] &= 0x7f
	return slices.ContainsFunc(smallOrderY, func(small []byte) bool { return slices.Equal(small, y) })
}
