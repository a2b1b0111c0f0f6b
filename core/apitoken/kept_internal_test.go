package apitoken

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/signward/idserver-go/core/internal/grants"
)

func keyOf(n int) (key [32]byte) {
	binary.BigEndian.PutUint64(key[:], uint64(n))
	return key
}

// Users come with any number of tokens: memory is bounded, by their number and by their size, and the newest is kept.
func TestKeptIsBounded(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for name, length := range map[string]int{"many": 10, "large": 60 << 10} {
		var k kept
		for n := range 20_000 {
			text := strings.Repeat("a", length)
			k.put(keyOf(n), grants.Token{Token: &oauth2.Token{AccessToken: text, Expiry: now.Add(time.Hour)}}, now)
			if _, s := k.get(keyOf(n), now); s != fresh {
				t.Fatalf("%s: the newest is not kept", name)
			}
			if len(k.byKey) > mostKept || k.bytes > mostKeptBytes {
				t.Fatalf("%s: %d tokens, %d bytes", name, len(k.byKey), k.bytes)
			}
		}
	}
}

func TestKeptExpires(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	var k kept
	put := func(n int, expiry time.Time) {
		k.put(keyOf(n), grants.Token{Token: &oauth2.Token{AccessToken: "x", Expiry: expiry}}, now)
	}
	put(1, now.Add(100*time.Second))
	put(2, time.Time{})
	for after, want := range map[time.Duration][2]state{
		0: {fresh, fresh}, 48*time.Second - 1: {fresh, fresh}, 48 * time.Second: {fresh, due}, 60 * time.Second: {fresh, none}, 79 * time.Second: {fresh, none}, 80 * time.Second: {due, none}, 100 * time.Second: {none, none},
	} {
		for i, w := range want {
			if _, s := k.get(keyOf(i+1), now.Add(after)); s != w {
				t.Errorf("token %d after %v: %d, want %d", i+1, after, s, w)
			}
		}
	}
	k.forget(keyOf(1))
	k.forget(keyOf(7))
	if k.bytes != size(held{Token: grants.Token{Token: &oauth2.Token{AccessToken: "x"}}}) {
		t.Errorf("%d bytes", k.bytes)
	}
}
