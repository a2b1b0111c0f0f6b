package sessioncodec

import "testing"

func TestPackToken(t *testing.T) {
	for token, segments := range map[string]byte{
		"eyJhbGciOiJSUzI1NiJ9.e30.c2ln": 3,
		"e30.AA.AQ.Ag.Aw":               5,
		"..":                            3,
		"opaque":                        1,
		"":                              1,
		"a.b.c":                         1,
		"e30.e30.e30=":                  1,
		"e30.e30.YR":                    1,
		"e30.e30.Y\nQ":                  1,
		"e30.AA.AQ.Ag.Aw.AA":            1,
		"an opaque.refresh token":       1,
	} {
		t.Run(token, func(t *testing.T) {
			packed := packToken(token)
			if packed[0] != segments {
				t.Errorf("in %d segments, want %d", packed[0], segments)
			}
			if back, err := unpackToken(packed); err != nil || back != token {
				t.Errorf("came back as %q, %v", back, err)
			}
		})
	}
}
