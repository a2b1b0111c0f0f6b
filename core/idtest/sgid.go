package idtest

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"
)

// SGID makes a provider behave like sgID, version 2, instead of Signward: other paths, no iss in the authorization
// response, opaque access tokens, no refresh tokens, no sign-out, ID tokens that say nothing of the person but the
// subject, and userinfo as an encrypted envelope.
type SGID struct {
	// Algorithms are those of the envelope. Default: [SGIDFixtures].
	Algorithms SGIDAlgorithms
}

// SGIDAlgorithms is one of the two sets of algorithms that were seen in sgID's envelopes. What production uses is not
// documented.
type SGIDAlgorithms int

const (
	// SGIDFixtures are those in the test data of sgID's own SDKs: the block key under RSA-OAEP-256 and A256GCM, the data
	// under A128GCMKW and A128GCM, and an alg in the block key that is neither.
	SGIDFixtures SGIDAlgorithms = iota
	// SGIDMockPass are those of MockPass: the block key under RSA-OAEP and A128CBC-HS256, the data under dir and A256GCM.
	SGIDMockPass
)

var sgidPaths = map[Endpoint]string{
	Discovery:     "/.well-known/openid-configuration",
	KeySet:        "/.well-known/jwks.json",
	Authorization: "/oauth/authorize",
	Token:         "/oauth/token",
	UserInfo:      "/oauth/userinfo",
}

// NewSGIDProvider is like [NewProvider], for a provider that behaves like sgID, with [SGIDClients] and [SGIDPeople].
func NewSGIDProvider(t TB, configure ...func(*Options)) *Provider {
	t.Helper()
	isSGID := func(o *Options) { o.SGID = &SGID{} }
	return NewProvider(t, append([]func(*Options){isSGID}, configure...)...)
}

// sgidKey is the RSA key of [ExampleClient] at sgID.
var sgidKey = sync.OnceValue(newKey)

// SGIDPrivateKey returns the private key of [ExampleClient] at a provider that behaves like sgID, in PEM (PKCS#8). It is
// generated once in each process.
func SGIDPrivateKey() string {
	der, err := x509.MarshalPKCS8PrivateKey(sgidKey())
	if err != nil {
		panic(err) // an RSA key can always be encoded
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// SGIDClients returns the client of the sgID example: [ExampleClient], with any loopback redirect_uri. The caller may
// modify the slice.
func SGIDClients() []Client {
	return []Client{{ID: ExampleClient, Secret: ExampleSecret, AnyLoopbackRedirect: true, EncryptionKey: &sgidKey().PublicKey}}
}

// SGIDPeople returns the people of the sgID example: meiling, who has a value of every kind, an officer with two
// employments, and someone of whom little is known. The caller may modify the slice.
func SGIDPeople() []Person {
	return []Person{
		{
			Login: "meiling", Subject: "u=8f1c0b6e-0000-4000-8000-0000000000a1", Name: "Lim Mei Ling", Email: "meiling@example.test",
			Myinfo: map[string]string{
				"myinfo.name": "LIM MEI LING", "myinfo.nric_number": "S0000001A", "myinfo.date_of_birth": "1985-10-31",
				"myinfo.passport_number": "K0000001X", "myinfo.passport_expiry_date": "2031-02-28",
				"myinfo.mobile_number": "90000001", "myinfo.mobile_number_with_country_code": "+65 90000001",
				"myinfo.email": "meiling@example.test", "myinfo.registered_address": "1 EXAMPLE STREET\n#08-15\nSINGAPORE 000001",
				"myinfo.sex": "FEMALE", "myinfo.race": "CHINESE", "myinfo.dialect": "HOKKIEN", "myinfo.nationality": "SINGAPORE CITIZEN",
				"myinfo.residentialstatus": "CITIZEN", "myinfo.housingtype": "HDB", "myinfo.hdbtype": "4-ROOM FLAT (HDB)",
				"myinfo.birth_country": "SINGAPORE", "myinfo.vehicles": `[{"vehicle_number":"SAB1234X"},{"vehicle_number":"FBC5678Y"}]`,
				"myinfo.occupation": "ENGINEER", "myinfo.name_of_employer": "EXAMPLE PTE LTD", "myinfo.marital_status": "MARRIED",
				"myinfo.country_of_marriage": "SINGAPORE", "myinfo.marriage_certificate_number": "0000001", "myinfo.marriage_date": "2012-12-12",
				"myinfo.sponsored_child_records": `[{"nric":"T0000001B","name":"TAN KAI","date_of_birth":"2014-05","sex":"MALE","race":"CHINESE","life_status":"ALIVE","nationality":"SINGAPORE CITIZEN","residential_status":"CITIZEN"}]`,
			},
		},
		{
			Login: "arun", Subject: "u=8f1c0b6e-0000-4000-8000-0000000000a2", Name: "Arun s/o Raj", Email: "arun@agency.example.test",
			Myinfo: map[string]string{
				"myinfo.name": "ARUN S/O RAJ", "myinfo.nric_number": "S0000002B", "myinfo.date_of_birth": "1979-04",
				"myinfo.email": "arun@agency.example.test", "myinfo.sex": "MALE",
				"pocdex.public_officer_details": `[{"work_email":"arun@agency.example.test","agency_name":"EXAMPLE AGENCY","department_name":"NA","employment_type":"Permanent","employment_title":"Manager"},{"work_email":"arun@other.example.test","agency_name":"OTHER AGENCY"}]`,
				"pocdex.number_of_employments":  "2",
			},
		},
		{
			Login: "zoe", Subject: "u=8f1c0b6e-0000-4000-8000-0000000000a3", Name: "Zoë d'Souza",
			Myinfo: map[string]string{"myinfo.name": "ZOË D'SOUZA 陳亞明", "myinfo.date_of_birth": "1990", "myinfo.registered_address": "", "myinfo.vehicles": "[]"},
		},
	}
}

// unavailable is what sgID answers for a scope that has no value.
const unavailable = "NA"

// issueSGID is issue for sgID.
func (p *Provider) issueSGID(g *grant, person Person, nonce string) map[string]any {
	about := map[string]any{}
	put(about, "nonce", nonce)
	return map[string]any{
		"access_token": p.grants.issueOpaque(g, p.now().Add(p.options.AccessTTL)),
		"id_token":     p.idToken(person, g.client, "openid", about),
	}
}

// issueOpaque records a new opaque access token.
func (l *ledger) issueOpaque(g *grant, expires time.Time) string {
	token := rand.Text() + "+/" + rand.Text()
	l.issue(g, token, expires)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.access[token].expires = expires
	return token
}

// opaque finds the grant of an access token that issueOpaque made.
func (l *ledger) opaque(token string, now time.Time) (*grant, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t, ok := l.access[token]
	switch {
	case !ok:
		return nil, errors.New("not an access token of this provider")
	case !now.Before(t.expires):
		return nil, errors.New("the token has expired")
	case t.revoked || t.grant.revoked:
		return nil, errors.New("the token is revoked")
	}
	return t.grant, nil
}

// sgidUserInfo answers with the envelope: sub and, unless openid was the only scope, key and data.
func (p *Provider) sgidUserInfo(w http.ResponseWriter, r *http.Request) {
	_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	g, err := p.grants.opaque(token, p.now())
	if err != nil {
		w.Header().Set("WWW-Authenticate", `error="invalid_token", error_description="`+err.Error()+`"`) // without a scheme, as sgID does
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	person, ok := p.registry.person(g.login)
	client, ok2 := p.registry.client(g.client)
	if !ok || !ok2 || client.EncryptionKey == nil {
		problem(w, http.StatusInternalServerError, "the person is no longer here, or the client has no EncryptionKey")
		return
	}
	answer := map[string]any{"sub": person.Subject}
	if scopes := strings.Fields(g.scope); len(scopes) > 1 {
		values := map[string]string{}
		for _, scope := range scopes {
			if scope == "openid" {
				continue
			}
			value, ok := person.Myinfo[scope]
			if !ok {
				value = unavailable
			}
			values[scope] = value
		}
		answer["key"], answer["data"] = sealEnvelope(p.options.SGID.Algorithms, client.EncryptionKey, values)
	}
	p.hooks.userInfo.apply(answer)
	writeJSON(w, http.StatusOK, answer)
}
