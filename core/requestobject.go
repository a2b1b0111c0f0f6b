package idserver

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/signward/idserver-go/core/internal/jose"
	"github.com/signward/idserver-go/core/internal/strictjson"
)

const (
	requestObjectType = "oauth-authz-req+jwt"
	requestObjectLife = time.Minute // FAPI 2.0 Message Signing section 5.3.1 allows an hour
)

// requestObject signs the parameters of an authorization request, RFC 9101 section 4: the provider can show afterwards who asked for
// what. Its audience is the issuer alone.
func (p *provider) requestObject(m *metadata, form url.Values) (string, error) {
	jti, err := randomText(p.cfg.Rand)
	if err != nil {
		return "", err
	}
	payload, err := appendMembers([]byte{'{'}, "iss", p.cfg.ClientID, "aud", m.Issuer, "jti", jti, "client_id", p.cfg.ClientID)
	if err != nil {
		return "", err
	}
	for _, name := range slices.Sorted(maps.Keys(form)) {
		if slices.Contains(ownClaims, name) {
			continue
		}
		value, err := parameterClaim(name, form[name])
		if err != nil {
			return "", err
		}
		if payload, err = strictjson.AppendString(append(payload, ','), name); err != nil {
			return "", err
		}
		payload = append(append(payload, ':'), value...)
	}
	now := p.now()
	payload = strconv.AppendInt(append(payload, `,"nbf":`...), now.Unix(), 10)
	payload = append(appendTimes(payload, now, requestObjectLife), '}')
	key := p.clientKeys.signer
	return key.Sign(jose.SigningHeader{Type: requestObjectType, KeyID: key.id, Certificate: key.certificate}, payload)
}

// ownClaims are those of the JWT, which no parameter may take the place of.
var ownClaims = []string{"iss", "sub", "aud", "jti", "iat", "nbf", "exp", "client_id"}

// parameterClaim is a parameter as a claim: a number and an object as what they are, a parameter that occurs more than once as a list.
func parameterClaim(name string, values []string) ([]byte, error) {
	if len(values) == 1 {
		switch value := values[0]; name {
		case "max_age":
			if n, err := strconv.ParseUint(value, 10, 31); err == nil {
				return strconv.AppendUint(nil, n, 10), nil
			}
		case "claims", "authorization_details": // OpenID Connect Core section 5.5, RFC 9396 section 2
			var object any
			if strictjson.Unmarshal([]byte(value), &object) == nil {
				return []byte(value), nil
			}
		}
		return strictjson.AppendString(nil, values[0])
	}
	out := []byte{'['}
	for i, value := range values {
		if i > 0 {
			out = append(out, ',')
		}
		var err error
		if out, err = strictjson.AppendString(out, value); err != nil {
			return nil, err
		}
	}
	return append(out, ']'), nil
}
