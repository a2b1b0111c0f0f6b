package cookies

import (
	"strings"
	"testing"
)

// line is the header of a browser that has these cookies.
func line(all []Cookie) string {
	var pairs []string
	for _, c := range all {
		pairs = append(pairs, c.Name+"="+c.Value)
	}
	return strings.Join(pairs, "; ")
}

func TestSplit(t *testing.T) {
	for name, row := range map[string]struct{ length, chunks int }{
		"empty":                {0, 1},
		"short":                {10, 1},
		"the most of one":      {MaxValue, 1},
		"one byte more":        {MaxValue + 1, 2},
		"two":                  {2 * MaxValue, 2},
		"the most of all":      {MaxTotal, 5},
		"one byte less than 3": {3*MaxValue - 1, 3},
	} {
		t.Run(name, func(t *testing.T) {
			value := strings.Repeat("v", row.length)
			chunks := Split("__Host-idserver-65535-7692c3ad", value)
			if len(chunks) != row.chunks {
				t.Errorf("%d cookies, want %d", len(chunks), row.chunks)
			}
			for _, c := range chunks {
				if set := (Jar{Secure: true}).Set(c.Name, c.Value, "/", 1<<30); len(set) > 4096 {
					t.Errorf("%s has %d bytes with its attributes", c.Name, len(set))
				}
			}
			if got, ok := Chunked([]string{line(chunks)}, "__Host-idserver-65535-7692c3ad"); !ok || got != value {
				t.Errorf("%d bytes are read back, %v", len(got), ok)
			}
		})
	}
	if value, ok := Chunked([]string{line(Split("s", strings.Repeat("v", MaxTotal+1)))}, "s"); ok {
		t.Errorf("%d bytes are read", len(value))
	}
}

// What a stranger sends is read up to what a value may have, and no further: it is decoded and deciphered whole.
func TestChunked(t *testing.T) {
	chunk := strings.Repeat("a", MaxValue)
	for name, row := range map[string]struct {
		pairs []string
		want  int // length; -1: refused
	}{
		"none":                      {nil, -1},
		"one":                       {[]string{"s=" + chunk}, MaxValue},
		"one that is too long":      {[]string{"s=" + chunk + "a"}, -1},
		"one of a megabyte":         {[]string{"s=" + strings.Repeat("a", 1<<20)}, -1},
		"five":                      {[]string{"s=5." + chunk, "s.1=" + chunk, "s.2=" + chunk, "s.3=" + chunk, "s.4=" + chunk}, MaxTotal},
		"five and a byte":           {[]string{"s=5." + chunk, "s.1=" + chunk, "s.2=" + chunk, "s.3=" + chunk, "s.4=" + chunk + "a"}, -1},
		"five, one of a megabyte":   {[]string{"s=5.", "s.1=", "s.2=", "s.3=", "s.4=" + strings.Repeat("a", 1<<20)}, -1},
		"six":                       {[]string{"s=6." + chunk, "s.1=" + chunk, "s.2=" + chunk, "s.3=" + chunk, "s.4=" + chunk, "s.5=" + chunk}, -1},
		"a first one of a megabyte": {[]string{"s=2." + strings.Repeat("a", 1<<20), "s.1=a"}, -1},
		"six small ones":            {[]string{"s=6.a", "s.1=a", "s.2=a", "s.3=a", "s.4=a", "s.5=a"}, -1},
		"two that are one":          {[]string{"s=1." + chunk}, -1},
		"no chunks":                 {[]string{"s=0." + chunk}, -1},
		"fewer than none":           {[]string{"s=-2.a"}, -1},
		"a count that is no number": {[]string{"s=x.a"}, -1},
		"no count":                  {[]string{"s=.a"}, -1},
		"a count beyond 64 bits":    {[]string{"s=99999999999999999999.a"}, -1},
		"a chunk is missing":        {[]string{"s=3.a", "s.1=b"}, -1},
		"only later chunks":         {[]string{"s.1=b", "s.2=c"}, -1},
		"a chunk too many":          {[]string{"s=2.a", "s.1=b", "s.2=c"}, 2},
		"a chunk twice":             {[]string{"s=2.a", "s.1=b", "s.1=b"}, -1},
		"the first twice":           {[]string{"s=2.a", "s=2.a", "s.1=b"}, -1},
		"a chunk with bad bytes":    {[]string{"s=2.a", "s.1=\x01"}, 2}, // nobody sealed it: opening it fails
	} {
		t.Run(name, func(t *testing.T) {
			value, ok := Chunked([]string{strings.Join(row.pairs, "; ")}, "s")
			if !ok && row.want != -1 || ok && len(value) != row.want {
				t.Errorf("%d bytes, %v, want %d", len(value), ok, row.want)
			}
		})
	}
}
