package sessioncodec

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// fullReference is a reference in which everything is set. The golden file holds it.
func fullReference() Reference {
	return Reference{ID: full().ID, Issuer: full().Issuer, Subject: full().Subject, ProviderSession: "op-session", Moves: 3}
}

func TestPackReference(t *testing.T) {
	for name, r := range map[string]Reference{
		"full": fullReference(), "least": {ID: [32]byte{31: 1}, Issuer: "i", Subject: "s"},
	} {
		t.Run(name, func(t *testing.T) {
			packed, err := PackReference(r)
			if err != nil || !IsReference(packed) {
				t.Fatalf("%x, %v", packed, err)
			}
			if back, err := UnpackReference(packed); err != nil || !reflect.DeepEqual(back, r) {
				t.Errorf("packed and unpacked: %#v, %v", back, err)
			}
			if _, _, err := Unpack(packed); !errors.Is(err, ErrVersion) { // what knows no references must not delete the cookie
				t.Errorf("as a session: %v", err)
			}
		})
	}
	for name, r := range map[string]Reference{
		"no id": {Issuer: "i", Subject: "s"}, "no issuer": {ID: full().ID, Subject: "s"}, "no subject": {ID: full().ID, Issuer: "i"},
		"too long": {ID: full().ID, Issuer: "i", Subject: strings.Repeat("s", MaxReferenceSize)}, "no UTF-8": {ID: full().ID, Issuer: "i", Subject: "\xff"},
		"moves backwards": {ID: full().ID, Issuer: "i", Subject: "s", Moves: -1},
	} {
		if packed, err := PackReference(r); err == nil {
			t.Errorf("%s: packed into %x", name, packed)
		}
	}
}

func TestUnpackReferenceRefuses(t *testing.T) {
	packed, err := PackReference(fullReference())
	if err != nil {
		t.Fatal(err)
	}
	object, id := part{partRecord, []byte(`{"iss":"i","sub":"s"}`)}, part{partID, bytes.Repeat([]byte{1}, 32)}
	made := func(parts ...part) []byte { return append([]byte{reference}, joined(parts...)...) }
	if _, err := UnpackReference(made(object, id)); err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		packed []byte
		want   error
	}{
		"empty":             {nil, ErrMalformed},
		"a session":         {append([]byte{version}, packed[1:]...), ErrVersion},
		"version 3":         {append([]byte{3}, packed[1:]...), ErrVersion},
		"a version alone":   {[]byte{reference}, ErrMalformed},
		"cut":               {packed[:len(packed)-1], ErrMalformed},
		"something behind":  {append(bytes.Clone(packed), 0), ErrMalformed},
		"no object":         {made(id), ErrMalformed},
		"no id":             {made(object), ErrMalformed},
		"an id of 31 bytes": {made(object, part{partID, id.data[:31]}), ErrMalformed},
		"an id of zeros":    {made(object, part{partID, make([]byte, 32)}), ErrMalformed},
		"two ids":           {made(object, id, id), ErrMalformed},
		"no issuer":         {made(part{partRecord, []byte(`{"sub":"s"}`)}, id), ErrMalformed},
		"sub is a number":   {made(part{partRecord, []byte(`{"iss":"i","sub":1}`)}, id), ErrMalformed},
		"5 kB":              {made(object, id, part{99, make([]byte, 5<<10)}), ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			if r, err := UnpackReference(row.packed); !errors.Is(err, row.want) {
				t.Errorf("got %v, %v, want %v", r, err, row.want)
			}
		})
	}
}

// What a later version wrote is kept.
func TestReferenceKeepsWhatItDoesNotKnow(t *testing.T) {
	id := part{partID, bytes.Repeat([]byte{1}, 32)}
	r, err := UnpackReference(append([]byte{reference}, joined(part{partRecord, []byte(`{"iss":"i","sub":"s","later":[1]}`)}, id, part{77, []byte("x")})...))
	if err != nil {
		t.Fatal(err)
	}
	r.Moves = 2
	packed, err := PackReference(r)
	if err != nil || !bytes.Contains(packed, []byte(`"later":[1]`)) || !bytes.HasSuffix(packed, joined(part{77, []byte("x")})) {
		t.Errorf("%q, %v", packed, err)
	}
}

func TestGoldenReference(t *testing.T) {
	if got, err := UnpackReference(golden(t, "reference-v2.txt")); err != nil || !reflect.DeepEqual(got, fullReference()) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestReferencePrintsNoID(t *testing.T) {
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		if text := fmt.Sprintf(verb, fullReference()); text != `sessioncodec.Reference{Issuer: "https://op.example", Subject: "6f0c2a3e-0000-4000-8000-00000000a11c"}` {
			t.Errorf("%s: %s", verb, text)
		}
	}
}

func FuzzUnpackReference(f *testing.F) {
	packed, err := PackReference(fullReference())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packed)
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := UnpackReference(in)
		if err != nil {
			return
		}
		packed, err := PackReference(r)
		if err != nil {
			t.Fatalf("unpacked and not packed: %v", err)
		}
		if back, err := UnpackReference(packed); err != nil || !reflect.DeepEqual(back, r) {
			t.Errorf("%#v, %v, want %#v", back, err, r)
		}
	})
}
