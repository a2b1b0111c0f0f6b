package endings

import (
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
)

func TestEndedBy(t *testing.T) {
	s := sessionOf(1, 1000)
	issued, outlived := *s, *s
	issued.Issued = 5000
	outlived.Outlived = at(3000)
	for name, row := range map[string]struct {
		s    *Session
		mark Key
		m    Marker
		want bool
	}{
		"its own, whatever the time":                  {s, s.ID, Marker{}, true},
		"its person, before it began":                 {s, s.Person, Marker{Before: at(999)}, false},
		"its person, when it began":                   {s, s.Person, Marker{Before: at(1000)}, true},
		"its person, afterwards":                      {s, s.Person, Marker{Before: at(1001)}, true},
		"the provider's session, before it began":     {s, s.Provider, Marker{Before: at(999)}, false},
		"the provider's session, afterwards":          {s, s.Provider, Marker{Before: at(1000)}, true},
		"by the provider's clock, not known when":     {s, s.Person, Marker{Before: at(0), Issued: 9000}, false},
		"by the provider's clock, before":             {&issued, s.Person, Marker{Before: at(0), Issued: 4999}, false},
		"by the provider's clock, in the same second": {&issued, s.Person, Marker{Before: at(0), Issued: 5000}, true},
		"it was known when the session began":         {&outlived, s.Person, Marker{Before: at(3000)}, false},
		"it is later than what was known":             {&outlived, s.Person, Marker{Before: at(3001)}, true},
	} {
		if got := row.s.endedBy(row.mark, row.m); got != row.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestMarksDiffer(t *testing.T) {
	marks := map[Key]string{}
	for name, mark := range map[string]Key{
		"session": SessionMark([32]byte{}), "another session": SessionMark([32]byte{1}),
		"sid": ProviderMark("i", "x"), "sid of another issuer": ProviderMark("j", "x"), "another sid": ProviderMark("i", "y"),
		"no sid": UnnamedMark("i", "x"),
		"sub":    PersonMark("i", "x"), "sub of another issuer": PersonMark("j", "x"), "another sub": PersonMark("i", "y"),
		"sid and issuer, cut elsewhere": ProviderMark("ix", ""),
	} {
		if other, ok := marks[mark]; ok {
			t.Errorf("%s and %s have the same mark", name, other)
		}
		marks[mark] = name
	}
}

func TestMarkerCode(t *testing.T) {
	m := Marker{Before: 1795530408123, Issued: 1795530400000}
	for _, later := range []string{"", "what a later version wrote"} {
		back, kept, ok := decodeMarker(m.encode([]byte(later)))
		if !ok || back != m || string(kept) != later {
			t.Errorf("%v, %q, %v", back, kept, ok)
		}
	}
	good := string(m.encode(nil))
	for name, text := range map[string]string{
		"empty": "", "cut": good[:len(good)-1], "of another version": "\x02" + good[1:], "before is negative": "\x01\xff" + good[2:],
		"issued is negative": good[:9] + "\xff" + good[10:],
	} {
		if back, _, ok := decodeMarker([]byte(text)); ok {
			t.Errorf("%s: %v", name, back)
		}
	}
}

// Files of earlier versions stay readable for two minor versions, and what is found by a mark stays found.
func TestGoldenMarker(t *testing.T) {
	packed, err := base64.RawURLEncoding.DecodeString(strings.TrimSpace(string(golden(t, "marker-v1.txt"))))
	if err != nil {
		t.Fatal(err)
	}
	m, later, ok := decodeMarker(packed)
	if want := (Marker{Before: 1795530408123, Issued: 1795530400000}); !ok || m != want || len(later) != 0 {
		t.Errorf("%v, %q, %v, want %v", m, later, ok, want)
	}
	mark, m, ok := parseMessage(string(golden(t, "message-v1.txt")))
	if want := (Marker{Before: 1795530408123, Issued: 1795530400000}); !ok || m != want || mark != PersonMark("https://op.example", "alice") {
		t.Errorf("%x, %v, %v, want %v", mark, m, ok, want)
	}
	for name, mark := range map[string]Key{
		"session": SessionMark([32]byte{1}), "sid": ProviderMark("https://op.example", "sid"), "no sid": UnnamedMark("https://op.example", "alice"),
		"sub": PersonMark("https://op.example", "alice"),
	} {
		if line := name + " " + hex.EncodeToString(mark[:]); !slices.Contains(strings.Split(string(golden(t, "marks-v1.txt")), "\n"), line) {
			t.Errorf("the mark is now %q", line)
		}
	}
}

func TestMessage(t *testing.T) {
	mark, m := PersonMark("i", "s"), Marker{Before: 1795530408123, Issued: 1795530400000}
	good := m.message(mark)
	for _, text := range []string{good, good + " more"} {
		if gotMark, got, ok := parseMessage(text); !ok || gotMark != mark || got != m {
			t.Errorf("%q: %v %v", text, got, ok)
		}
	}
	hash, times, _ := strings.Cut(good, " ")
	for name, text := range map[string]string{
		"empty": "", "no times": hash, "one time": hash + " 1", "a short mark": hash[1:] + " " + times, "a long mark": hash + "AAAA " + times,
		"not base64url": strings.Repeat("+", 43) + " " + times, "no number": hash + " 1 x", "negative": hash + " -1 1",
		"too large": hash + " 1 9223372036854775808", "empty words": "  ",
	} {
		if _, got, ok := parseMessage(text); ok {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func FuzzMessage(f *testing.F) {
	f.Add(Marker{Before: 1, Issued: 2}.message(PersonMark("i", "s")))
	f.Fuzz(func(t *testing.T, text string) {
		mark, m, ok := parseMessage(text)
		if !ok {
			return
		}
		if againMark, again, ok := parseMessage(m.message(mark)); !ok || again != m || againMark != mark || m.Before < 0 || m.Issued < 0 {
			t.Errorf("%q is %v", text, m)
		}
	})
}

func FuzzMarker(f *testing.F) {
	f.Add(Marker{Before: 1, Issued: 2}.encode(nil))
	f.Fuzz(func(t *testing.T, in []byte) {
		if m, later, ok := decodeMarker(in); ok && string(m.encode(later)) != string(in) {
			t.Errorf("%x is %v", in, m)
		}
	})
}

func TestChangeMessage(t *testing.T) {
	session := SessionMark([32]byte{1})
	message := changeMessage(session)
	for text, want := range map[string]bool{
		message: true, message + " of a later version": true, message[:len(message)-1]: false, message + "A": false, "changed": false, "changed ": false,
		"": false, Marker{1, 2}.message(session): false, "changed !": false,
	} {
		if got, ok := parseChange(text); ok != want || ok && got != session {
			t.Errorf("%q: %v, %t", text, got, ok)
		}
	}
	if _, _, ok := parseMessage(message); ok {
		t.Error("it is taken for a marker")
	}
}
