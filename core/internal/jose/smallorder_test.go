package jose

import (
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// smallOrder are all the texts of 32 bytes that Go's library reads as one of the eight points of small order.
func smallOrder(t *testing.T) (all []ed25519.PublicKey) {
	t.Helper()
	for _, y := range []string{
		strings.Repeat("00", 32),
		"01" + strings.Repeat("00", 31),
		"ec" + strings.Repeat("ff", 30) + "7f",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"ed" + strings.Repeat("ff", 30) + "7f", // y = p, not canonical
		"ee" + strings.Repeat("ff", 30) + "7f", // y = p+1
	} {
		key, err := hex.DecodeString(y)
		if err != nil {
			t.Fatal(err)
		}
		negative := slices.Clone(key)
		negative[31] |= 0x80
		all = append(all, key, negative)
	}
	return all
}

// A key of small order is refused when the set is read: a signature of R = 1 and S = 0, which anybody can write down, verifies
// with each of them for some texts.
func TestSmallOrderKeys(t *testing.T) {
	forged := make([]byte, ed25519.SignatureSize)
	forged[0] = 1
	for _, key := range smallOrder(t) {
		t.Run(fmt.Sprintf("%x", key), func(t *testing.T) {
			verifies := false
			for n := range 200 {
				verifies = verifies || ed25519.Verify(key, fmt.Append(nil, n), forged)
			}
			if !verifies {
				t.Error("Go's library does not let a forged signature in with this key: is it of small order?")
			}
			keys, skipped, err := ParseSet(setOf(jwkOf(key), jwkOf(edwards().Public())), nil)
			if err != nil || len(keys) != 1 || len(skipped) != 1 || !holds(skipped[0], "small order") {
				t.Errorf("got %v, skipped %v, %v", keys, skipped, err)
			}
		})
	}
}

// The neighbours of those points are ordinary.
func TestOrdinaryKeysAreNotOfSmallOrder(t *testing.T) {
	t.Parallel()
	for n := range 256 {
		public := ed25519.NewKeyFromSeed(append(make([]byte, 31), byte(n))).Public().(ed25519.PublicKey)
		if isSmallOrder(public) {
			t.Errorf("%x", public)
		}
	}
	if isSmallOrder(append([]byte{2}, make([]byte, 31)...)) {
		t.Error("y = 2")
	}
}
