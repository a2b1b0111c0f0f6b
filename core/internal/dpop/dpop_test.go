package dpop

import (
	"testing"
	"time"
)

// The examples of RFC 9449: figure 2 (for the token endpoint), figure 13 (for a resource) and section 6.1 (the thumbprint).
func TestRFC9449(t *testing.T) {
	t.Parallel()
	const (
		header = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19."
		first  = header + "eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
		second = header + "eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
		token  = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
		jkt    = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
	)
	at := Rules{
		Method: "POST", URL: "https://server.example.com/token", Algorithms: []string{"ES256"}, Now: time.Unix(1562262620, 0),
		MaxAge: time.Minute, Thumbprint: jkt,
	}
	if c, err := Check(first, at); err != nil || c != (Checked{Known: c.Known, Thumbprint: jkt, ID: "-BwC3ESc6acc2lTc", Issued: time.UnixMilli(1562262616000)}) {
		t.Errorf("figure 2: %v, %v", c, err)
	}
	at.Method, at.URL, at.AccessToken = "GET", "https://resource.example.org/protectedresource", token
	if c, err := Check(second, at); err != nil || c.ID != "e1j3V_bKic8-LAEB" {
		t.Errorf("figure 13: %v, %v", c, err)
	}
	if Hash(token) != "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo" {
		t.Error("the ath of figure 13 is another one")
	}
}
