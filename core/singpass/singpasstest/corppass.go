package singpasstest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/signward/idserver-go/core/idtest"
	"github.com/signward/idserver-go/core/singpass"
)

// The clients of [CorppassClients].
const (
	CorppassClient       = "examplecorppassapp01" // for singpass.Corppass
	MyinfoBusinessClient = "examplebusinessapp01" // for singpass.MyinfoBusiness
)

// CorppassClients returns one client for each product of Corppass, as [Clients] does for Singpass.
func CorppassClients() []Client {
	return []Client{
		{Client: idtest.Client{ID: CorppassClient, AnyLoopbackRedirect: true}, Product: singpass.Corppass},
		{Client: idtest.Client{ID: MyinfoBusinessClient, AnyLoopbackRedirect: true}, Product: singpass.MyinfoBusiness},
	}
}

// Business is for whom a [Person] acts at Corppass, and what userinfo answers about it.
type Business struct {
	singpass.Entity

	// Data are the items of Myinfo Business by the names of their scopes, each the JSON text that userinfo answers, as Person.Data. An item that is
	// asked for and has no text here is answered as unavailable.
	Data map[string]string
	// Roles and Clients are the JSON texts of auth_info and tp_auth_info. Default: none.
	Roles, Clients string
}

// attributes are what the ID token says of the entity.
func (b Business) attributes(scopes []string) map[string]string {
	about := map[string]string{}
	if slices.Contains(scopes, "entity.identity") {
		about["entity_type"], about["entity_reg_number"], about["entity_coi"] = b.Type, b.RegistrationNumber, b.Country
	}
	if slices.Contains(scopes, "entity.basic_profile.name") {
		about["entity_name"] = b.Name
	}
	if slices.Contains(scopes, "entity.basic_profile.uen_status") && b.Status != "" {
		about["entity_uen_status"] = b.Status
	}
	return about
}

// corppass is how Corppass differs from Singpass.
func (p *Provider) corppass(d idtest.Dialect) idtest.Dialect {
	d.Paths = map[idtest.Endpoint]string{
		idtest.Discovery: "/.well-known/openid-configuration", idtest.KeySet: "/.well-known/keys", idtest.PushedAuthorization: "/request",
		idtest.Authorization: "/mga/sps/oauth/oauth20/authorize", idtest.Token: "/mga/sps/oauth/oauth20/token", idtest.UserInfo: "/userinfo",
	}
	d.IDTokenOf, d.UserInfo = p.corppassIDToken, p.businessInfo
	d.TokenResponse = func(response map[string]any) {
		keep(response, "access_token", "id_token", "token_type", "expires_in", "scope")
	}
	return d
}

const corppassTTL = 10 * time.Minute // of access tokens

// checkCorppass refuses what Corppass refuses.
func checkCorppass(client Client, form url.Values) error {
	about, message := form.Get("authentication_context_type"), form.Get("authentication_context_message")
	switch {
	case client.Product == singpass.Corppass && about != "APP_AUTHENTICATION_DEFAULT":
		return errors.New("authentication_context_type must be APP_AUTHENTICATION_DEFAULT")
	case client.Product == singpass.Corppass && (len(message) > 100 || strings.ContainsAny(message, ".,-@'!()")):
		return errors.New("authentication_context_message has at most 100 letters, digits and spaces")
	case client.Product == singpass.MyinfoBusiness && (about != "" || message != ""):
		return errors.New("authentication_context_type and authentication_context_message are not for Myinfo Business")
	case form.Has("acr_values") && form.Get("acr_values") != "urn:singpass:authentication:loa:2":
		return errors.New("acr_values must be urn:singpass:authentication:loa:2")
	}
	return nil
}

// corppassIDToken makes the claims of Corppass's ID tokens: the entity is the subject, and the person acts for it.
func (p *Provider) corppassIDToken(grant idtest.Grant, claims map[string]any) {
	keep(claims, "iss", "aud", "iat", "exp", "nonce", "at_hash")
	p.mu.Lock()
	person := p.people[grant.Login]
	p.mu.Unlock()
	scopes := strings.Fields(grant.Scope)
	claims["sub"], claims["sub_type"], claims["sub_attributes"] = person.Business.ID, "entity", person.Business.attributes(scopes)
	about := map[string]string{}
	if slices.Contains(scopes, "user.identity") {
		about["account_type"], about["identity_number"], about["identity_coi"] = "standard", person.IdentityNumber, person.IssuedBy
		if person.AccountType != "" {
			about["account_type"] = person.AccountType
		}
	}
	if slices.Contains(scopes, "user.name") {
		about["name"] = person.Name
	}
	claims["act"] = map[string]any{"sub": person.Subject, "sub_type": "user", "sub_attributes": about}
	claims["amr"] = []string{"pwd", "otp-sms"}
	if person.Level != 0 { // which Corppass does not document
		claims["acr"] = fmt.Sprintf("urn:singpass:authentication:loa:%d", person.Level)
	}
}

// businessInfo is what userinfo answers: blocks, by the scopes.
func (p *Provider) businessInfo(grant idtest.Grant) (map[string]any, error) {
	p.mu.Lock()
	client, person := p.clients[grant.ClientID], p.people[grant.Login]
	p.mu.Unlock()
	blocks := map[string]map[string]json.RawMessage{}
	add := func(block, name, text string) {
		if blocks[block] == nil {
			blocks[block] = map[string]json.RawMessage{}
		}
		if text == "" {
			text = `{"lastupdated":"2026-11-01","source":"1","classification":"C","unavailable":true}`
		}
		blocks[block][name] = json.RawMessage(text)
	}
	answer := map[string]any{"sub": person.Business.ID}
	if p.asDocumented {
		answer["sub"] = grant.ClientID
	}
	put := func(name, text string) {
		switch {
		case text == "":
		case p.asDocumented:
			answer[name] = json.RawMessage(text)
		default: // as a text, which staging was seen to do
			answer[name] = text
		}
	}
	for scope := range strings.FieldsSeq(grant.Scope) {
		family, name, _ := strings.Cut(scope, ".")
		switch {
		case scope == "authinfo":
			put("auth_info", person.Business.Roles)
		case scope == "tpauthinfo":
			put("tp_auth_info", person.Business.Clients)
		case client.Product != singpass.MyinfoBusiness:
		case scope == "corppass.email":
			email, err := json.Marshal(map[string]any{"email": person.Email, "email_verified": true})
			if err != nil {
				return nil, err
			}
			put("corppass_info", string(email))
		case family == "entity" && name != "identity":
			add("entity_info", name, person.Business.Data[name])
		case family == "user" && name != "identity":
			add("person_info", name, person.Data[name])
		}
	}
	for name, block := range blocks {
		text, err := json.Marshal(block)
		if err != nil {
			return nil, err
		}
		put(name, string(text))
	}
	return answer, nil
}
