package lease

import (
	"bytes"
	"reflect"
	"testing"
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
