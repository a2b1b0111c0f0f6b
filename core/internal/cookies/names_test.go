package cookies

import (
	"net/url"
	"testing"
)

// Applications that browsers do not keep apart (another port of the same host, another path, another client of the same
// program) have cookies of other names. The names of a release stay: with others, everybody is signed out.
func TestNamesOf(t *testing.T) {
	seen := map[Names]string{}
	for _, row := range []struct {
		base, routes string
		want         Names // empty: any that no other has
	}{
		{"https://app.example", "", Names{"__Host-idserver", "__Secure-idserver-login-", "__Host-idserver-browser", "__Host-idserver-kept", "__Secure-idserver-lost"}},
		{"https://app.example:8443", "", Names{"__Host-idserver-8443", "__Secure-idserver-8443-login-", "__Host-idserver-8443-browser", "__Host-idserver-8443-kept", "__Secure-idserver-8443-lost"}},
		{"https://app.example/one", "", Names{"__Host-idserver-7692c3ad", "__Secure-idserver-7692c3ad-login-", "__Host-idserver-7692c3ad-browser", "__Host-idserver-7692c3ad-kept", "__Secure-idserver-7692c3ad-lost"}},
		{"https://app.example", "/second", Names{}},
		{"https://app.example", "/third", Names{}},
		{"https://app.example/one", "/second", Names{}},
		{"https://app.example/one/second", "", Names{}}, // the same text without what is between them
		{"http://127.0.0.1", "", Names{"idserver", "idserver-login-", "idserver-browser", "idserver-kept", "idserver-lost"}},
		{"http://127.0.0.1:8080", "", Names{"idserver-8080", "idserver-8080-login-", "idserver-8080-browser", "idserver-8080-kept", "idserver-8080-lost"}},
		{"http://127.0.0.1:8080", "/second", Names{}},
	} {
		t.Run(row.base+row.routes, func(t *testing.T) {
			base, err := url.Parse(row.base)
			if err != nil {
				t.Fatal(err)
			}
			n := NamesOf(base, row.routes)
			if row.want != (Names{}) && n != row.want {
				t.Errorf("%+v, want %+v", n, row.want)
			}
			if other, ok := seen[n]; ok {
				t.Errorf("the names are those of %s", other)
			}
			seen[n] = row.base + row.routes
		})
	}
	for _, same := range []string{"https://app.example/", "https://app.example:443"} {
		if base, _ := url.Parse(same); NamesOf(base, "").Session != "__Host-idserver" {
			t.Errorf("%s has other names than https://app.example", same)
		}
	}
}
