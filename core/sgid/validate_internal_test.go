package sgid

import "testing"

// The issuer is written as sgID writes it, however Hostname is.
func TestOriginOf(t *testing.T) {
	for in, want := range map[string]string{
		"https://api.id.gov.sg": "https://api.id.gov.sg", "https://API.id.gov.SG/": "https://api.id.gov.sg", "https://api.id.gov.sg:443/v2": "https://api.id.gov.sg",
		"https://api.id.gov.sg:8443": "https://api.id.gov.sg:8443", "http://localhost:80": "http://localhost", "http://localhost:443": "http://localhost:443",
	} {
		t.Run(in, func(t *testing.T) {
			if got, err := originOf(in); got != want || err != nil {
				t.Errorf("%q, %v, want %q", got, err, want)
			}
		})
	}
	for _, in := range []string{"", "api.id.gov.sg", "ftp://api.id.gov.sg", "https://api.id.gov.sg/v1", "https://u@api.id.gov.sg", "https://api.id.gov.sg?x"} {
		if got, err := originOf(in); err == nil {
			t.Errorf("%q is taken for %q", in, got)
		}
	}
}
