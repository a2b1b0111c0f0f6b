package claims

import (
	"testing"

	"github.com/signward/idserver-go/core/internal/strictjson"
)

func TestMend(t *testing.T) {
	for in, want := range map[string]string{
		``:                         ``,
		`{"a":"b"}`:                `{"a":"b"}`,
		`\ud83d\ude00`:             `\ud83d\ude00`,
		`\uD83D\uDE00`:             `\uD83D\uDE00`,
		`x\ud83dy`:                 `x\ufffdy`,
		`\ude00`:                   `\ufffd`,
		`\uDE00\uD83D`:             `\ufffd\ufffd`,
		`\ud83d\ud83d\ude00\ude00`: `\ufffd\ud83d\ude00\ufffd`,
		`\\ud83d`:                  `\\ud83d`,
		`\\\ud83d`:                 `\\\ufffd`,
		`\ud83d\\ude00`:            `\ufffd\\ude00`,
		`\ud83d\u0041`:             `\ufffd\u0041`,
		`\ud83`:                    `\ud83`,
		`\ud83d\ud`:                `\ufffd\ud`,
		`\`:                        `\`,
		`\ufffd`:                   `\ufffd`,
	} {
		t.Run(in, func(t *testing.T) {
			before := in
			if got := string(Mend([]byte(in))); got != want || in != before {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

// A name that was cut within a character signs nobody out; a subject that was is nobody's.
func TestParseObjectMends(t *testing.T) {
	for text, want := range map[string]string{
		`{"sub":"s","name":"Al\ud83d"}`:          `{"sub":"s","name":"Al\ufffd"}`,
		`{"roles":["admin\udc00"]}`:              `{"roles":["admin\ufffd"]}`,
		`{"sub":"\ufffd","name":"Al"}`:           `{"sub":"\ufffd","name":"Al"}`,
		`{"sub":"s\ud83d"}`:                      "",
		`{"aud":["a","b\ud83d"]}`:                "",
		`{"x\ud83d":1,"x\ud83e":2}`:              "", // the same name twice
		`{"name":"\ud83d","\u0073ub":"s\ud83d"}`: "",
	} {
		t.Run(text, func(t *testing.T) {
			if got, err := ParseObject([]byte(text)); got.Text() != want || (err == nil) != (want != "") {
				t.Errorf("got %s, %v", got.Text(), err)
			}
		})
	}
}

func FuzzMend(f *testing.F) {
	for _, in := range []string{`{"a":"\ud83d"}`, `{"a":"\ud83d\ude00"}`, `{"a":"\\ud83d"}`, `{"\ude00":[]}`, `{"a":"\u00e9"}`} {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		out := Mend(in)
		if len(out) != len(in) || string(Mend(out)) != string(out) {
			t.Fatalf("%q becomes %q", in, out)
		}
		if _, err := strictjson.ParseObject(in); err == nil && string(out) != string(in) {
			t.Fatalf("%q was well, and becomes %q", in, out)
		}
	})
}
