package dpop

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// Nonces make and recognize a server's nonces, RFC 9449 sections 8 and 9, without remembering any: a nonce is the time at which it
// was made, sealed with a key. Which key changes every day. The zero value has no secret, and must not be used.
type Nonces struct {
	Secrets [][]byte // the first makes nonces, all are recognized
	Life    time.Duration
}

const (
	nonceTime = 8  // bytes
	nonceMAC  = 16 // bytes of the MAC
	nonceDay  = 24 * 60 * 60
)

// At returns the nonce of a time. Within the same minute it is the same.
func (n Nonces) At(now time.Time) string {
	return nonceOf(n.Secrets[0], now.Unix()/60*60)
}

// Made returns when a nonce was made, and whether it is one of ours that is still good.
func (n Nonces) Made(nonce string, now time.Time) (made time.Time, good bool) {
	var raw [nonceTime + nonceMAC]byte
	if base64.RawURLEncoding.EncodedLen(len(raw)) != len(nonce) {
		return made, false
	}
	if _, err := base64.RawURLEncoding.Strict().Decode(raw[:], []byte(nonce)); err != nil {
		return made, false
	}
	seconds := int64(binary.BigEndian.Uint64(raw[:]))
	if age := now.Unix() - seconds; age < 0 || age > int64(n.Life/time.Second) { // before it is multiplied or shown
		return made, false
	}
	for _, secret := range n.Secrets {
		if equal(nonce, nonceOf(secret, seconds)) {
			return time.Unix(seconds, 0), true
		}
	}
	return made, false
}

func nonceOf(secret []byte, seconds int64) string {
	var text [nonceTime]byte
	binary.BigEndian.PutUint64(text[:], uint64(seconds))
	key := hmac.New(sha256.New, secret)
	key.Write([]byte("DPoP nonces of the day "))
	key.Write(binary.BigEndian.AppendUint64(nil, uint64(seconds/nonceDay)))
	mac := hmac.New(sha256.New, key.Sum(nil))
	mac.Write(text[:])
	return base64.RawURLEncoding.EncodeToString(append(text[:], mac.Sum(nil)[:nonceMAC]...))
}
