package idserver

import "testing"

// What nests too deep is refused where it is set: the session could not be read back.
func TestSetRefusesDeepValues(t *testing.T) {
	var deep any = "x"
	for range 40 {
		deep = []any{deep}
	}
	u := &User{Issuer: "i", Subject: "s", text: `{"sub":"s"}`}
	if err := u.Set("deep", deep); err == nil || u.text != `{"sub":"s"}` {
		t.Errorf("set: %v, %s", err, u.text)
	}
}
