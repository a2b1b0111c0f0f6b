package sessioncodec

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"os"
	"testing"
)

// golden returns what an earlier version wrote.
func golden(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	packed, err := base64.RawURLEncoding.DecodeString(string(bytes.TrimSpace(text)))
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

// deflated makes the value whose plain text is that.
func deflated(t testing.TB, plain []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	out.WriteByte(version)
	w := deflaters.Get().(*flate.Writer)
	defer deflaters.Put(w)
	w.Reset(&out)
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// joined makes the plain text of parts.
func joined(parts ...part) (plain []byte) {
	for _, p := range parts {
		plain = p.appendTo(plain)
	}
	return plain
}
