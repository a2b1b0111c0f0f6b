package idserver

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/signward/idserver-go/core/internal/sessioncodec"
)

// RememberedRevocations is how many revoked access tokens are remembered.
func (c *Client) RememberedRevocations() int { return c.provider.revoked.Len() }

// RememberedProofs is how many uses of DPoP proofs an API remembers.
func (r *Resource) RememberedProofs() int { return r.as.possession.used.Len() }

// WithLater returns the value of a session's cookie as a later version would have written it: with the parts and members that
// the codec's files "…-later.txt" have besides.
func (c *Client) WithLater(value string) (string, error) {
	w := c.site.(*web)
	packed, err := c.unsealed(value)
	if err != nil {
		return "", err
	}
	if packed, err = withLater(packed); err != nil {
		return "", err
	}
	return w.ring.Seal(w.cfg.Rand, w.names.Session, packed)
}

// Later tells what a later version wrote in the value of a session's cookie.
func (c *Client) Later(value string) (string, error) {
	packed, err := c.unsealed(value)
	if err != nil {
		return "", err
	}
	return laterIn(packed)
}

// StoreLater has the store hold what a later version would have written of the session of a cookie.
func (c *Client) StoreLater(ctx context.Context, value string) error {
	w := c.site.(*web)
	stored, err := c.storedOf(ctx, value)
	if err != nil {
		return err
	}
	now := stored.Stored
	if stored.Stored, err = sessioncodec.UnpackStored(golden("stored")); err != nil {
		return err
	}
	stored.Moves, stored.Settled = now.Moves, now.Settled
	if stored.Session, err = withLater(now.Session); err != nil {
		return err
	}
	packed, err := sessioncodec.PackStored(stored.Stored)
	if err != nil {
		return err
	}
	s, err := w.unpackStored(stored, w.mustRefer(value).ID)
	if err != nil {
		return err
	}
	_, err = w.vault.Swap(ctx, kindSession, string(s.kept.ID[:]), stored.value, packed, w.storedUntil(s))
	return err
}

// LaterInStore tells what a later version wrote in what the store has of the session of a cookie.
func (c *Client) LaterInStore(ctx context.Context, value string) (string, error) {
	stored, err := c.storedOf(ctx, value)
	if err != nil {
		return "", err
	}
	inside, err := laterIn(stored.Session)
	stored.Session, stored.Moves, stored.Settled = nil, 0, 0
	return fmt.Sprintf("%+v %s", stored.Stored, inside), err
}

func (c *Client) unsealed(value string) ([]byte, error) {
	w := c.site.(*web)
	packed, _, err := w.ring.OpenIn(nil, w.names.Session, value)
	return packed, err
}

func (w *web) mustRefer(value string) sessioncodec.Reference {
	packed, _, err := w.ring.OpenIn(nil, w.names.Session, value)
	if err != nil {
		panic(err)
	}
	ref, err := sessioncodec.UnpackReference(packed)
	if err != nil {
		panic(err)
	}
	return ref
}

func (c *Client) storedOf(ctx context.Context, value string) (storedSession, error) {
	w := c.site.(*web)
	ref := w.mustRefer(value)
	found, err := w.vault.Find(ctx, kindSession, string(ref.ID[:]))
	if err != nil {
		return storedSession{}, err
	}
	stored, _, err := w.opensStored(ref.ID, found)
	return stored, err
}

// golden is a value of a later version.
func golden(kind string) []byte {
	text, err := os.ReadFile("internal/sessioncodec/testdata/" + kind + "-later.txt")
	if err != nil {
		panic(err)
	}
	packed, err := base64.RawURLEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		panic(err)
	}
	return packed
}

func withLater(packed []byte) ([]byte, error) {
	if sessioncodec.IsReference(packed) {
		now, err := sessioncodec.UnpackReference(packed)
		if err != nil {
			return nil, err
		}
		ref, err := sessioncodec.UnpackReference(golden("reference"))
		if err != nil {
			return nil, err
		}
		takeExported(&ref, &now)
		return sessioncodec.PackReference(ref)
	}
	now, _, err := sessioncodec.Unpack(packed)
	if err != nil {
		return nil, err
	}
	r, _, err := sessioncodec.Unpack(golden("session"))
	if err != nil {
		return nil, err
	}
	takeExported(&r, &now)
	return sessioncodec.Pack(r)
}

// laterIn prints what of a value is a later version's.
func laterIn(packed []byte) (string, error) {
	if sessioncodec.IsReference(packed) {
		ref, err := sessioncodec.UnpackReference(packed)
		return unexported(ref), err
	}
	r, _, err := sessioncodec.Unpack(packed)
	return unexported(r), err
}

// takeExported copies what this version knows.
func takeExported[R any](to, from *R) {
	for i := range reflect.TypeFor[R]().NumField() {
		if reflect.TypeFor[R]().Field(i).IsExported() {
			reflect.ValueOf(to).Elem().Field(i).Set(reflect.ValueOf(from).Elem().Field(i))
		}
	}
}

// unexported prints what this version does not know.
func unexported[R any](r R) (text string) {
	for i := range reflect.TypeFor[R]().NumField() {
		if field := reflect.TypeFor[R]().Field(i); !field.IsExported() {
			text += fmt.Sprintf("%s: %v ", field.Name, reflect.ValueOf(r).Field(i))
		}
	}
	return text
}
