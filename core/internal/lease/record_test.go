package lease

import (
	"bytes"
	"context"
	"encoding/base64"
	"os"
	"reflect"
	"testing"
	"testing/synctest"
	"time"
)

func TestRecord(t *testing.T) {
	for name, r := range map[string]record{
		"nothing": {},
		"all": {
			version: 7, payload: []byte("payload"), holder: [16]byte{1, 15: 2}, until: 1795530408123, fence: 3, pause: 1795530408124,
			lost: true, over: true, later: []byte("of a later version"),
		},
		"a long one": {payload: bytes.Repeat([]byte("x"), 300_000)},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := decode(r.encode())
			if err != nil || !bytes.Equal(got.payload, r.payload) || !bytes.Equal(got.later, r.later) {
				t.Fatalf("%+v, %v", got, err)
			}
			got.payload, r.payload, got.later, r.later = nil, nil, nil, nil
			if !reflect.DeepEqual(got, r) {
				t.Errorf("%+v, want %+v", got, r)
			}
		})
	}
}

// Files of earlier versions stay readable for two minor versions. A new one is added when a version is released; none is ever
// written anew.
func TestGoldenRecord(t *testing.T) {
	text, err := os.ReadFile("testdata/record-v1.txt")
	if err != nil {
		t.Fatal(err)
	}
	in, err := base64.RawURLEncoding.DecodeString(string(bytes.TrimSpace(text)))
	if err != nil {
		t.Fatal(err)
	}
	got, err := decode(in)
	want := record{
		version: 7, payload: []byte("payload"), holder: [16]byte{1, 15: 2}, until: 1795530408123, fence: 3, pause: 1795530408124,
		lost: true, over: true, later: []byte{},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
}

// What a later version wrote behind a record is still there when the grant was refreshed, and when its last version was.
func TestLaterSurvivesARefresh(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, p := newStore(), &provider{}
		here, there := replica(t, s, 0), replica(t, s, 0)
		refresh(t.Context(), here, 0, p, 1)
		edit := func(change func(r *record)) (r record) {
			t.Helper()
			found, err := here.options.Vault.Find(t.Context(), kind, "g")
			if err == nil {
				r, err = decode(found.Plain)
			}
			if err == nil && change != nil {
				change(&r)
				err = here.options.Vault.Commit(t.Context(), kind, "g", r.encode(), time.Now().Add(time.Hour))
			}
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		edit(func(r *record) { r.later = []byte("of a later version") })
		for version := int64(1); version < 4; version++ {
			refresh(t.Context(), there, version, p, 1)
			if r := edit(nil); r.version != version+1 || string(r.later) != "of a later version" {
				t.Errorf("version %d has %q behind it", r.version, r.later)
			}
		}
		if _, err := here.Do(t.Context(), grant(4), func(context.Context, bool) Attempt { return Attempt{Over: true} }); err != nil {
			t.Fatal(err)
		}
		if r := edit(nil); !r.over || string(r.later) != "of a later version" {
			t.Errorf("%+v", r)
		}
	})
}

func TestRecordsThatAreNone(t *testing.T) {
	good := (&record{version: 7, payload: []byte("payload"), until: 1 << 50}).encode()
	for i := range good {
		if r, err := decode(good[:i]); err == nil {
			t.Errorf("cut after %d bytes: %+v", i, r)
		}
	}
	other := bytes.Clone(good)
	other[0] = 2
	if _, err := decode(other); err == nil {
		t.Error("another format is read")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add((&record{version: 7, payload: []byte("payload"), lost: true, later: []byte("x")}).encode())
	f.Add([]byte{format})
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := decode(in)
		if err != nil {
			return
		}
		again, err := decode(r.encode())
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Errorf("%+v becomes %+v, %v", r, again, err)
		}
	})
}
