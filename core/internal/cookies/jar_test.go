package cookies

import (
	"bytes"
	"log"
	"slices"
	"strings"
	"testing"
)

func TestSet(t *testing.T) {
	for name, row := range map[string]struct {
		jar         Jar
		value, path string
		maxAge      int
		want        string
	}{
		"https":           {Jar{Secure: true}, "v", "/", 60, "n=v; Path=/; Max-Age=60; HttpOnly; Secure; SameSite=Lax"},
		"http":            {Jar{}, "v", "/auth", 60, "n=v; Path=/auth; Max-Age=60; HttpOnly; SameSite=Lax"},
		"for the session": {Jar{}, "v", "/", 0, "n=v; Path=/; HttpOnly; SameSite=Lax"},
		"across sites":    {Jar{Secure: true, CrossSite: true}, "v", "/", 60, "n=v; Path=/; Max-Age=60; HttpOnly; Secure; SameSite=None"},
		"deleted":         {Jar{}, "", "/", -1, "n=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := row.jar.Set("n", row.value, row.path, row.maxAge); got != row.want {
				t.Errorf("%s, want %s", got, row.want)
			}
		})
	}
	if got := (Jar{Secure: true}).Delete("n", "/auth"); got != "n=; Path=/auth; Max-Age=0; HttpOnly; Secure; SameSite=Lax" {
		t.Errorf("deleted: %s", got)
	}
}

// net/http writes a cookie's bad bytes to the global log, which is the application's: nothing that a stranger sent may get there.
func TestBadValuesAreNotLogged(t *testing.T) {
	var logged bytes.Buffer
	before := log.Writer()
	log.SetOutput(&logged)
	defer log.SetOutput(before)
	for b := range 256 {
		value := "a" + string([]byte{byte(b)}) + "b"
		got := (Jar{}).Set("n", value, "/", 60)
		if good := strings.HasPrefix(got, "n="+value+"; "); !good && got != (Jar{}).Delete("n", "/") {
			t.Errorf("byte %#x: %q", b, got)
		}
	}
	if logged.Len() != 0 {
		t.Errorf("the log is %q", logged.String())
	}
}

func TestSetChunked(t *testing.T) {
	j := Jar{Secure: true}
	long := strings.Repeat("v", 2*MaxValue+1)
	for name, row := range map[string]struct {
		lines  []string
		value  string
		names  []string // in order
		err    error
		delete int // how many of the last are deletions
	}{
		"short, nothing before":      {nil, "v", []string{"s"}, nil, 0},
		"short after one of four":    {[]string{"s=4.a; s.1=b", "s.2=c; s.3=d"}, "v", []string{"s", "s.1", "s.2", "s.3"}, nil, 3},
		"long, nothing before":       {[]string{"t=1"}, long, []string{"s", "s.1", "s.2"}, nil, 0},
		"long after a longer one":    {[]string{"s=5.a; s.1=b; s.2=c; s.3=d; s.4=e"}, long, []string{"s", "s.1", "s.2", "s.3", "s.4"}, nil, 2},
		"a left-over twice":          {[]string{"s.3=d; s.3=e"}, "v", []string{"s", "s.3"}, nil, 1},
		"a left-over with bad bytes": {[]string{"s.1=\x01"}, "v", []string{"s", "s.1"}, nil, 1},
		"others of that beginning":   {[]string{"s.9=d; s-login-x=e; s.10=f"}, "v", []string{"s"}, nil, 0},
		"too long":                   {nil, strings.Repeat("v", MaxTotal+1), nil, ErrTooLong, 0},
	} {
		t.Run(name, func(t *testing.T) {
			set, err := j.SetChunked(row.lines, "s", row.value, "/", 60)
			if err != row.err {
				t.Fatal(err)
			}
			var names []string
			for i, field := range set {
				n, _, _ := strings.Cut(field, "=")
				names = append(names, n)
				if deleted := strings.Contains(field, "Max-Age=0;"); deleted != (i >= len(set)-row.delete) {
					t.Errorf("%s is deleted: %v", n, deleted)
				}
			}
			if !slices.Equal(names, row.names) {
				t.Errorf("%q, want %q", names, row.names)
			}
		})
	}
}

func TestDeleteChunked(t *testing.T) {
	j := Jar{}
	got := j.DeleteChunked([]string{"s=2.a; s.1=b; s.1=c; t=d", "s.4=e"}, "s", "/")
	if want := []string{j.Delete("s", "/"), j.Delete("s.1", "/"), j.Delete("s.4", "/")}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := j.DeleteChunked([]string{"t=d"}, "s", "/"); got != nil {
		t.Errorf("without a session: %q", got)
	}
}
