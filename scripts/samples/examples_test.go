package samples

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// Each example is copied by itself, so each has its own copy of what they share: the stylesheet, and where the application
// is the same, its pages, its event stream and what replicas share.
func TestPagesAreTheSame(t *testing.T) {
	for name, least := range map[string]int{
		"style.css": 7, "pages.html": 6, "pages.go": 6, "live.go": 6, "live.js": 6, "devices.go": 6, "replicas.go": 6,
	} {
		t.Run(name, func(t *testing.T) {
			want := read(t, "examples/gin/"+name)
			copies, err := filepath.Glob(filepath.Join(root, "examples", "*", name))
			if err != nil {
				t.Fatal(err)
			}
			same := 0
			for _, path := range copies {
				if name != "style.css" && filepath.Base(filepath.Dir(path)) == "sgid" { // another application
					continue
				}
				got, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if same++; !bytes.Equal(got, want) {
					t.Errorf("%s is not what examples/gin has", path)
				}
			}
			if same < least {
				t.Errorf("%d examples have it, want at least %d", same, least)
			}
		})
	}
}

// An example is read before it is copied: its main.go has at most 100 lines of code.
func TestExamplesAreShort(t *testing.T) {
	programs, err := filepath.Glob(filepath.Join(root, "examples", "*", "main.go"))
	if err != nil || len(programs) == 0 {
		t.Fatalf("%d examples: %v", len(programs), err)
	}
	for _, path := range programs {
		source, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		code := 0
		for line := range bytes.Lines(source) {
			if line = bytes.TrimSpace(line); len(line) > 0 && !bytes.HasPrefix(line, []byte("//")) {
				code++
			}
		}
		if code > 100 {
			t.Errorf("%s has %d lines of code", path, code)
		}
	}
}
