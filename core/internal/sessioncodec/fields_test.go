package sessioncodec

import (
	"slices"
	"testing"
)

// Two fields with one name would make every record unreadable.
func TestFieldNames(t *testing.T) {
	var names []string
	for _, f := range recordFields {
		names = append(names, f.name)
	}
	slices.Sort(names)
	if len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("a name stands twice in %q", names)
	}
}

func TestDecode(t *testing.T) {
	for in, ok := range map[string]bool{"": true, "YQ": true, "YQ==": false, "YR": false, "Y\nQ": false, "YQ\r\n": false, "+/": false} {
		t.Run(in, func(t *testing.T) {
			out, err := decode(in)
			if (err == nil) != ok || ok && base64url.EncodeToString(out) != in {
				t.Errorf("got %q, %v", out, err)
			}
		})
	}
}
