package cookies

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// all returns the cookies whose names begin with prefix.
func all(lines []string, prefix string) (found []Cookie) {
	for name, value := range Each(lines, prefix) {
		found = append(found, Cookie{name, value})
	}
	return found
}

func TestEach(t *testing.T) {
	for name, row := range map[string]struct {
		lines []string
		want  []Cookie
	}{
		"none":                        {nil, nil},
		"an empty line":               {[]string{""}, nil},
		"one":                         {[]string{"s=1"}, []Cookie{{"s", "1"}}},
		"several of the prefix":       {[]string{"s=1; s.1=2; s-x=3; t=4"}, []Cookie{{"s", "1"}, {"s.1", "2"}, {"s-x", "3"}}},
		"two of a name":               {[]string{"s=1; s=2"}, []Cookie{{"s", "1"}, {"s", "2"}}},
		"on several lines":            {[]string{"a=b; s=1", "s=2"}, []Cookie{{"s", "1"}, {"s", "2"}}},
		"without a space":             {[]string{"a=b;s=1"}, []Cookie{{"s", "1"}}},
		"after many spaces and tabs":  {[]string{"a=b; \t  s=1"}, []Cookie{{"s", "1"}}},
		"spaces and tabs after it":    {[]string{"s=1 \t ; a=b"}, []Cookie{{"s", "1"}}},
		"within another name":         {[]string{"as=1; xs=2"}, nil},
		"within another value":        {[]string{"a=s; b= s=1; c=x s=2"}, nil},
		"in a value, and itself":      {[]string{"a=s=s=s; s=1"}, []Cookie{{"s", "1"}}},
		"an equals sign in the value": {[]string{"s=1=2="}, []Cookie{{"s", "1=2="}}},
		"an empty value":              {[]string{"s="}, []Cookie{{"s", ""}}},
		"no equals sign":              {[]string{"s; s"}, nil},
		"quotes":                      {[]string{`s="1"`}, []Cookie{{"s", `"1"`}}},
		"beside malformed ones":       {[]string{"\x00=; =; ;; a b=c; {}; s=1; \"=\\;"}, []Cookie{{"s", "1"}}},
		"another case":                {[]string{"S=1"}, nil},
		"a space before the sign":     {[]string{"s =1"}, []Cookie{{"s ", "1"}}}, // another name
		"a no-break space before":     {[]string{"\u00a0s=1"}, nil},
		"a next line before":          {[]string{"a=b; \u0085s=1"}, nil},
		"an em space before":          {[]string{"a=b; \u2003s=1"}, nil},
		"an ideographic space before": {[]string{"\u3000s=1"}, nil},
		"a vertical tab before":       {[]string{"\vs=1"}, nil},
		"a form feed before":          {[]string{"\fs=1"}, nil},
		"a carriage return before":    {[]string{"\rs=1"}, nil},
		"a line feed before":          {[]string{"\ns=1"}, nil},
		"a zero byte before":          {[]string{"\x00s=1"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := all(row.lines, "s"); !slices.Equal(got, row.want) {
				t.Errorf("%q, want %q", got, row.want)
			}
		})
	}
	for _, prefix := range []string{"", ";", ";s", "=", "s="} {
		if got := all([]string{"s=1;;;s=1"}, prefix); got != nil {
			t.Errorf("the prefix %q finds %q", prefix, got)
		}
	}
}

func TestEachStops(t *testing.T) {
	n := 0
	for range Each([]string{"s=1; s=2", "s=3"}, "s") {
		n++
		break
	}
	if n != 1 {
		t.Errorf("%d steps", n)
	}
}

func TestOne(t *testing.T) {
	for name, row := range map[string]struct {
		lines []string
		value string
		ok    bool
		has   bool
	}{
		"none":                    {[]string{"t=1"}, "", false, false},
		"one":                     {[]string{"t=1; s=2"}, "2", true, true},
		"an empty one":            {[]string{"s="}, "", true, true},
		"longer names beside":     {[]string{"s.1=1; s=2; s-login=3"}, "2", true, true},
		"only longer names":       {[]string{"s.1=1"}, "", false, false},
		"two":                     {[]string{"s=1; s=2"}, "", false, true},
		"two that are the same":   {[]string{"s=1; s=1"}, "", false, true},
		"two, on two lines":       {[]string{"s=1", "s=1"}, "", false, true},
		"three":                   {[]string{"s=1; s=2; s=3"}, "", false, true},
		"a name with a space":     {[]string{"s =1"}, "", false, false},
		"one and one not trimmed": {[]string{"\u00a0s=1; s=2"}, "2", true, true},
		"a control character":     {[]string{"s=a\x01"}, "", false, true},
		"a line feed":             {[]string{"s=a\nb"}, "", false, true},
		"a byte beyond ASCII":     {[]string{"s=a\xffb"}, "", false, true},
		"delete":                  {[]string{"s=a\x7f"}, "", false, true},
		"a space":                 {[]string{"s=a b"}, "", false, true},
		"a comma":                 {[]string{"s=a,b"}, "", false, true},
		"a quote":                 {[]string{`s="a"`}, "", false, true},
		"a backslash":             {[]string{`s=a\b`}, "", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			if value, ok := One(row.lines, "s"); value != row.value || ok != row.ok {
				t.Errorf("%q, %v, want %q, %v", value, ok, row.value, row.ok)
			}
			if has := Has(row.lines, "s"); has != row.has {
				t.Errorf("it is there: %v, want %v", has, row.has)
			}
		})
	}
}

// Reading takes no memory, whatever the line is.
func TestReadingAllocatesNothing(t *testing.T) {
	for name, line := range map[string]string{
		"semicolons":     strings.Repeat(";", 1<<16),
		"spaces":         strings.Repeat(" ", 1<<16),
		"the same name":  strings.Repeat("s=1;", 1<<14),
		"part of a name": strings.Repeat("xs", 1<<15),
		"a long value":   "s=" + strings.Repeat("v", 1<<16),
	} {
		lines := []string{line}
		if n := testing.AllocsPerRun(3, func() { One(lines, "s"); Has(lines, "s") }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// Where http.ParseCookie reads a line at all, the cookies of each name are the same. It takes quotes off.
func FuzzRead(f *testing.F) {
	for _, line := range []string{"", "s=1", "s=1; s=2", "a=s=1; s=2", ` s="1" ;a=b`, "s.1=x; s=2.y", "\u00a0s=1", ";;;", "a b=c; s=1", "s=\x00"} {
		f.Add(line, "s")
	}
	f.Add(";;;", ";")
	f.Add("__Host-idserver=a; __Host-idserver.1=b", "__Host-idserver")
	f.Fuzz(func(t *testing.T, line, name string) {
		lines := []string{line}
		for n := range Each(lines, name) {
			if !strings.HasPrefix(n, name) {
				t.Fatalf("the name %q does not begin with %q", n, name)
			}
		}
		if value, ok := One(lines, name); ok {
			if set := (Jar{}).Set("c", value, "/", 0); !strings.HasPrefix(set, "c="+value+"; ") {
				t.Errorf("what is read cannot be written again: %q, %q", value, set)
			}
		}
		if value, _ := Chunked(lines, name); len(value) > MaxTotal {
			t.Errorf("a value of %d bytes is read", len(value))
		}
		parsed, err := http.ParseCookie(line)
		if err != nil || strings.ContainsAny(line, "\r\n") { // which no header field has, and which it trims
			return
		}
		for _, c := range parsed {
			var want, got []string
			for _, same := range parsed {
				if same.Name == c.Name && same.Quoted {
					want = append(want, `"`+same.Value+`"`)
				} else if same.Name == c.Name {
					want = append(want, same.Value)
				}
			}
			for _, found := range all(lines, c.Name) {
				if found.Name == c.Name {
					got = append(got, found.Value)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%q has %q, want %q", c.Name, got, want)
			}
		}
	})
}

// What a stranger's line of a megabyte costs: each of these must stay linear.
func BenchmarkHostileLine(b *testing.B) {
	for name, line := range map[string]string{
		"semicolons":        strings.Repeat(";", 1<<20),
		"spaces":            strings.Repeat(" ", 1<<20),
		"part of a name":    strings.Repeat("xs", 1<<19),
		"spaced-out names":  strings.Repeat("s ", 1<<19),
		"the same, correct": strings.Repeat("s=;", 1<<18),
	} {
		lines := []string{line}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				Has(lines, "s.1")
			}
		})
	}
}
