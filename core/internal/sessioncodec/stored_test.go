package sessioncodec

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
)

// fullStored is what a store has of a session that has moved. The golden file holds it.
func fullStored(t testing.TB) Stored {
	t.Helper()
	packed, err := Pack(full())
	if err != nil {
		t.Fatal(err)
	}
	return Stored{Session: packed, Moves: 2, Settled: 1795530409456}
}

func TestPackStored(t *testing.T) {
	for name, s := range map[string]Stored{
		"full": fullStored(t), "least": {Session: []byte{1}},
	} {
		t.Run(name, func(t *testing.T) {
			packed, err := PackStored(s)
			if err != nil {
				t.Fatal(err)
			}
			if back, err := UnpackStored(packed); err != nil || !reflect.DeepEqual(back, s) {
				t.Errorf("packed and unpacked: %+v, %v", back, err)
			}
			again, err := PackStored(s)
			if err != nil || !bytes.Equal(packed, again) {
				t.Errorf("packed again: %x, %v, want %x", again, err, packed)
			}
		})
	}
	for name, s := range map[string]Stored{
		"nothing": {}, "moves backwards": {Session: []byte{1}, Moves: -1},
		"too large": {Session: make([]byte, MaxStoredSize)},
	} {
		if packed, err := PackStored(s); err == nil {
			t.Errorf("%s: packed into %d bytes", name, len(packed))
		}
	}
}

func TestUnpackStoredRefuses(t *testing.T) {
	packed, err := PackStored(fullStored(t))
	if err != nil {
		t.Fatal(err)
	}
	object := func(text string) part { return part{partRecord, []byte(text)} }
	session := part{partSession, []byte{1}}
	made := func(parts ...part) []byte { return append([]byte{version}, joined(parts...)...) }
	if _, err := UnpackStored(made(object(`{}`), session)); err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		packed []byte
		want   error
	}{
		"empty":                    {nil, ErrMalformed},
		"version 0":                {append([]byte{0}, packed[1:]...), ErrVersion},
		"version 2":                {append([]byte{2}, packed[1:]...), ErrVersion},
		"cut":                      {packed[:len(packed)-1], ErrMalformed},
		"something behind":         {append(bytes.Clone(packed), 0), ErrMalformed},
		"no session":               {made(object(`{}`)), ErrMalformed},
		"an empty session":         {made(object(`{}`), part{partSession, nil}), ErrMalformed},
		"moves is negative":        {made(object(`{"moves":-1}`), session), ErrMalformed},
		"moves is of 20 digits":    {made(object(`{"moves":10000000000000000000}`), session), ErrMalformed},
		"two sessions":             {made(object(`{}`), session, session), ErrMalformed},
		"not an object":            {made(object(`[]`), session), ErrMalformed},
		"larger than any may be":   {made(object(`{}`), part{partSession, make([]byte, MaxStoredSize)}), ErrMalformed},
		"another kind of value":    {append([]byte{version}, `{"state":"x"}`...), ErrMalformed},
		"settled before it begins": {made(object(`{"settled":-5}`), session), ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			if s, err := UnpackStored(row.packed); !errors.Is(err, row.want) {
				t.Errorf("got %+v, %v, want %v", s, err, row.want)
			}
		})
	}
}

// What a later version wrote is kept.
func TestStoredKeepsWhatItDoesNotKnow(t *testing.T) {
	in := append([]byte{version}, joined(part{partRecord, []byte(`{"later":{"a":1}}`)}, part{partSession, []byte{1}}, part{77, []byte("x")})...)
	s, err := UnpackStored(in)
	if err != nil {
		t.Fatal(err)
	}
	s.Session, s.Moves = []byte{2, 3}, 4
	packed, err := PackStored(s)
	want := append([]byte{version}, joined(part{partRecord, []byte(`{"moves":4,"later":{"a":1}}`)}, part{partSession, []byte{2, 3}}, part{77, []byte("x")})...)
	if err != nil || !bytes.Equal(packed, want) {
		t.Errorf("got %q, %v, want %q", packed, err, want)
	}
}

func TestGoldenStored(t *testing.T) {
	got, err := UnpackStored(golden(t, "stored-v1.txt"))
	if err != nil || got.Moves != 2 || got.Settled != 1795530409456 {
		t.Fatalf("got %+v, %v", got, err)
	}
	if r, _, err := Unpack(got.Session); err != nil || !reflect.DeepEqual(r, full()) {
		t.Errorf("got %v, %v, want %v", fields(r), err, fields(full()))
	}
}

func FuzzUnpackStored(f *testing.F) {
	packed, err := PackStored(fullStored(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packed)
	f.Fuzz(func(t *testing.T, in []byte) {
		s, err := UnpackStored(in)
		if err != nil {
			return
		}
		packed, err := PackStored(s)
		if err != nil {
			t.Fatalf("unpacked and not packed: %v", err)
		}
		if back, err := UnpackStored(packed); err != nil || !reflect.DeepEqual(back, s) {
			t.Errorf("%+v, %v, want %+v", back, err, s)
		}
	})
}
