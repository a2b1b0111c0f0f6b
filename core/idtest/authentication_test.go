package idtest_test

import (
	"testing"
	"time"

	"github.com/signward/idserver-go/core/idtest"
)

// How people are authenticated stands in the ID token, and in the access token if it was asked for.
func TestSetAuthentication(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	for name, row := range map[string]struct {
		asked         []string
		set           idtest.Authentication
		acr           any
		ago           time.Duration
		inAccessToken bool
		err           string
	}{
		"nothing":               {nil, idtest.Authentication{}, nil, 0, false, ""},
		"acr_values":            {[]string{"acr_values", "gold silver"}, idtest.Authentication{}, "gold", 0, true, ""},
		"max_age":               {[]string{"max_age", "60"}, idtest.Authentication{}, nil, 0, true, ""},
		"claims":                {[]string{"claims", `{"id_token":{"acr":{"essential":true,"values":["gold"]}}}`}, idtest.Authentication{}, "gold", 0, true, ""},
		"claims with one value": {[]string{"claims", `{"id_token":{"acr":{"value":"gold"}}}`}, idtest.Authentication{}, "gold", 0, true, ""},
		"claims of others":      {[]string{"claims", `{"userinfo":{"email":null},"id_token":{"acr":null}}`}, idtest.Authentication{}, nil, 0, false, ""},
		"claims are no JSON":    {[]string{"claims", "gold"}, idtest.Authentication{}, nil, 0, false, "invalid_request"},
		"another than asked":    {[]string{"acr_values", "gold", "max_age", "60"}, idtest.Authentication{ACR: "silver", Age: time.Hour}, "silver", time.Hour, true, ""},
		"essential, and not":    {[]string{"claims", `{"id_token":{"acr":{"essential":true,"values":["gold"]}}}`}, idtest.Authentication{ACR: "silver"}, nil, 0, false, "unmet_authentication_requirements"},
	} {
		t.Run(name, func(t *testing.T) {
			p := idtest.NewProvider(t, func(o *idtest.Options) { o.Now = func() time.Time { return at } })
			p.SetAuthentication(row.set)
			response := signIn(t, p, "alice", row.asked...)
			if got := response.Get("error"); got != row.err {
				t.Fatalf("the provider answers with %q", got)
			}
			if row.err != "" {
				return
			}
			tokens := post(t, p, "/connect/token", codeForm(response.Get("code"))).json(t)
			_, idToken := decode(t, tokens["id_token"].(string))
			_, access := decode(t, tokens["access_token"].(string))
			authTime := float64(at.Add(-row.ago).Unix())
			if idToken["acr"] != row.acr || idToken["auth_time"] != authTime {
				t.Errorf("the ID token has %v %v", idToken["acr"], idToken["auth_time"])
			}
			if row.inAccessToken != (access["auth_time"] == authTime) || row.inAccessToken && access["acr"] != row.acr {
				t.Errorf("the access token has %v %v", access["acr"], access["auth_time"])
			}
		})
	}
}
