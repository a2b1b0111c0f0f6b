package idserver

import "testing"

func TestTokenRequestsPerMinute(t *testing.T) {
	for name, row := range map[string]struct {
		authority string
		set, want int
	}{
		"Signward":                  {"https://mytenant.signward.com", 0, 10},
		"Signward, a larger plan":   {"https://mytenant.signward.com", 60, 60},
		"Signward, as many as come": {"https://mytenant.signward.com", -1, 0},
		"another":                   {"https://id.example", 0, 0},
		"another, set":              {"https://id.example", 7, 7},
		"not Signward":              {"https://mytenant.notsignward.com", 0, 0},
		"a development provider":    {"http://localhost:9000", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			c := Config{Authority: row.authority, Provider: ProviderConfig{TokenRequestsPerMinute: row.set}}
			if got := c.tokenRequestsPerMinute(); got != row.want {
				t.Errorf("%d, want %d", got, row.want)
			}
		})
	}
}
