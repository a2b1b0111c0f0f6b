package idtest

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Authentication is how the provider authenticates people: see [Provider.SetAuthentication].
type Authentication struct {
	// ACR is the acr of whoever signs in, whatever is asked for: a provider that does not comply with acr_values, or cannot. A
	// request for an essential acr (OpenID Connect Core section 5.5.1.1) that has others is answered with
	// unmet_authentication_requirements. Default: the first that is asked for; without any, tokens have no acr.
	ACR string
	// Age is how long ago whoever signs in was authenticated (auth_time), whatever max_age says. Default: just now.
	Age time.Duration
}

// SetAuthentication sets how people are authenticated who sign in from now on. By default the provider does what it is asked for:
// the first of the acr that a request names, and an authentication that is as recent as max_age wants, because everybody chooses
// who they are on its page. The ID token has acr and auth_time, and an access token has both if either was asked for (RFC 9470
// section 6.2), also where it is introspected.
func (p *Provider) SetAuthentication(a Authentication) { p.authentication.Store(&a) }

// wantedAuthentication is what an authorization request says of how to authenticate.
type wantedAuthentication struct {
	acr       []string // the first is preferred
	essential bool
	asked     bool // acr or max_age
}

func readAuthentication(params url.Values) (wanted wantedAuthentication, fault *oauthError) {
	wanted.acr = strings.Fields(params.Get("acr_values"))
	if text := params.Get("claims"); text != "" {
		var claims struct {
			IDToken struct {
				ACR *struct {
					Essential bool     `json:"essential"`
					Value     string   `json:"value"`
					Values    []string `json:"values"`
				} `json:"acr"`
			} `json:"id_token"`
		}
		if err := json.Unmarshal([]byte(text), &claims); err != nil {
			return wanted, &oauthError{Code: "invalid_request", Description: "claims is not the JSON of OpenID Connect Core section 5.5"}
		}
		if acr := claims.IDToken.ACR; acr != nil {
			wanted.acr, wanted.essential = acr.Values, acr.Essential
			if acr.Value != "" {
				wanted.acr = []string{acr.Value}
			}
		}
	}
	wanted.asked = len(wanted.acr) > 0 || params.Has("max_age")
	return wanted, nil
}

// authenticated returns the acr and the auth_time of a person who signs in now.
func (p *Provider) authenticated(wanted wantedAuthentication) (acr string, at time.Time, fault *oauthError) {
	how := Authentication{}
	if set := p.authentication.Load(); set != nil {
		how = *set
	}
	acr = how.ACR
	switch {
	case acr == "" && len(wanted.acr) > 0:
		acr = wanted.acr[0]
	case wanted.essential && len(wanted.acr) > 0 && !slices.Contains(wanted.acr, acr):
		return "", at, &oauthError{Code: "unmet_authentication_requirements", Description: "nobody is authenticated here by " + strings.Join(wanted.acr, " or ")}
	}
	return acr, p.now().Add(-how.Age), nil
}

// addTo adds to the claims of a token how the person of a grant was authenticated.
func (g *grant) addTo(claims map[string]any) {
	if g != nil && g.asked {
		put(claims, "acr", g.acr)
		claims["auth_time"] = g.authTime.Unix()
	}
}
