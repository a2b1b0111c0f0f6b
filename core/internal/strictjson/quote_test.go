package strictjson

import "testing"

func TestAppendString(t *testing.T) {
	for in, want := range map[string]string{
		"":             `""`,
		"alice":        `"alice"`,
		"\"\\\n\x00é😀": `"\"\\\n\u0000é😀"`,
		"<a href='&'>": `"<a href='&'>"`,
	} {
		t.Run(in, func(t *testing.T) {
			out, err := AppendString([]byte("x:"), in)
			if err != nil || string(out) != "x:"+want {
				t.Errorf("got %s, %v, want x:%s", out, err, want)
			}
			if back, ok := String(string(out[2:])); !ok || back != in {
				t.Errorf("read as %q, %v", back, ok)
			}
		})
	}
	if _, err := AppendString(nil, "\xff"); err == nil {
		t.Error("a string that is not UTF-8 is written")
	}
}
