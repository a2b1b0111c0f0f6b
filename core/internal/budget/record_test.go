package budget

import (
	"bytes"
	"encoding/base64"
	"os"
	"reflect"
	"testing"
	"time"
)

func TestRecord(t *testing.T) {
	for name, r := range map[string]record{
		"nothing":          {},
		"a hold":           {hold: 1795530408123},
		"all":              {hold: 1795530408123, sent: []sent{{1795530400000, SignIn}, {1795530400000, Refresh}, {1795530407777, SignIn}}, later: []byte("of a later version")},
		"before the epoch": {hold: -1, sent: []sent{{-1000, Refresh}, {5, SignIn}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := decode(r.encode())
			if err != nil || !reflect.DeepEqual(got, r) {
				t.Errorf("%+v, %v, want %+v", got, err, r)
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
	want := record{hold: 1795530408123, sent: []sent{{1795530400000, SignIn}, {1795530400000, Refresh}, {1795530407777, SignIn}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
}

func TestRecordsThatAreNone(t *testing.T) {
	good := (&record{hold: 1 << 50, sent: []sent{{1 << 50, Refresh}, {1<<50 + 1000, SignIn}}}).encode()
	for i := range good {
		if r, err := decode(good[:i]); err == nil {
			t.Errorf("cut after %d bytes: %+v", i, r)
		}
	}
	if r, err := decode(append([]byte{format + 1}, good[1:]...)); err == nil {
		t.Errorf("another format: %+v", r)
	}
	many := record{}
	for range Most + 1 {
		many.sent = append(many.sent, sent{1, SignIn})
	}
	if _, err := decode(many.encode()); err == nil {
		t.Error("more requests than there can be are read")
	}
}

// Of a process that goes on without the store for long, the record does not grow without end.
func TestRecordIsBounded(t *testing.T) {
	var r record
	for i := range 3 * Most {
		r.count(time.Minute.Milliseconds()+int64(i%2), SignIn, Most)
	}
	if len(r.sent) != Most {
		t.Errorf("%d", len(r.sent))
	}
}

func FuzzDecode(f *testing.F) {
	f.Add((&record{hold: 1 << 50, sent: []sent{{1 << 50, Refresh}}, later: []byte("x")}).encode())
	f.Add([]byte{format, 0, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := decode(in)
		if err != nil {
			return
		}
		if again, err := decode(r.encode()); err != nil || !reflect.DeepEqual(again, r) {
			t.Errorf("%+v becomes %+v, %v", r, again, err)
		}
		r.wait(1<<50, SignIn, 10)
		r.count(1<<50, Refresh, 10)
	})
}
