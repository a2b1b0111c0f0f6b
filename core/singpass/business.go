package singpass

import (
	"context"
	"errors"
	"fmt"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/internal/baseerror"
	"github.com/signward/idserver-go/core/internal/strictjson"
)

// Business is what Corppass tells of an entity and of the person who acts for it: what they may do ([Corppass] and [MyinfoBusiness]),
// and the items of Myinfo Business that the application asks for.
type Business struct {
	Subject string  // the entity: its UEN, or its Corppass Entity ID if it has none
	Person  *Person // the items of the person who acts; its Subject is their UUID

	entity, corppass strictjson.Object
	roles, clients   []Authorization
}

// String tells whose data these are, without the data.
func (b Business) String() string { return fmt.Sprintf("singpass.Business{Subject: %q}", b.Subject) }

// BusinessFrom asks Corppass what it tells of the entity and the person whom a guard put into ctx or, in Config.AdmitUser, who is
// signing in. Every call asks; do not keep the answer in a session, which Singpass forbids. That works for ten minutes after the
// sign-in: then the error is [ErrSignInAgain]. Others are [ErrUpstream], [ErrNotCorppass], [ErrInvalidData], and those of
// [idserver.Client.UserInfo]; what wraps [idserver.ErrUnavailable] may work later.
func (c *Client) BusinessFrom(ctx context.Context) (*Business, error) {
	user := idserver.UserFrom(ctx)
	switch {
	case !c.cfg.Product.isCorppass():
		return nil, baseerror.Errorf("singpass: BusinessFrom: %w", ErrNotCorppass)
	case user == nil:
		return nil, errNobodyActs
	}
	info, err := c.engine.UserInfo(ctx, idserver.AccessTokenFrom(ctx), user.Subject)
	if err != nil {
		return nil, refusedBy(err)
	}
	var blocks struct {
		Entity     strictjson.Raw `json:"entity_info"`
		Person     strictjson.Raw `json:"person_info"`
		Corppass   strictjson.Raw `json:"corppass_info"`
		Roles      strictjson.Raw `json:"auth_info"`
		ThirdParty strictjson.Raw `json:"tp_auth_info"`
	}
	if err := info.Claims(&blocks); err != nil {
		return nil, baseerror.Errorf("singpass: %w: %w", idserver.ErrUserInfo, ErrInvalidData)
	}
	b := &Business{Subject: user.Subject, Person: &Person{Subject: ActorOf(user)}}
	var roles, thirdParty strictjson.Object
	for _, block := range []struct {
		name string
		text strictjson.Raw
		into *strictjson.Object
	}{
		{"entity_info", blocks.Entity, &b.entity}, {"person_info", blocks.Person, &b.Person.items}, {"corppass_info", blocks.Corppass, &b.corppass},
		{"auth_info", blocks.Roles, &roles}, {"tp_auth_info", blocks.ThirdParty, &thirdParty},
	} {
		if *block.into, err = parseBlock(block.text); err != nil {
			return nil, baseerror.Errorf("singpass: %w: %w: %s is no object", idserver.ErrUserInfo, ErrInvalidData, block.name)
		}
	}
	b.roles, b.clients = readRoles(Item{roles.Text()}), readClients(Item{thirdParty.Text()})
	return b, nil
}

var errNobodyActs = baseerror.New("singpass: BusinessFrom: nobody is signed in: a guard must come before")

// parseBlock reads a part of Corppass's answer: an object, or one that is written as JSON into a string. One that is not there is empty.
func parseBlock(text []byte) (strictjson.Object, error) {
	if len(text) == 0 || string(text) == "null" {
		return strictjson.Object{}, nil
	}
	if inner, ok := strictjson.String(string(text)); ok {
		if inner == "" {
			return strictjson.Object{}, nil
		}
		text = []byte(inner)
	}
	return strictjson.ParseObject(text)
}

// Entity returns an item of the entity by the name of its scope without "entity.", such as "basic_profile.name" or "address". One that was
// not shared is an Item that is not available.
func (b *Business) Entity(name string) Item { return Item{b.entity.Get(name)}.orIn(b.entity, name) }

// Email returns the address that the person has at Corppass (scope corppass.email), and whether it is verified.
func (b *Business) Email() (address string, verified bool) {
	return Item{b.corppass.Get("email")}.Text(), b.corppass.Get("email_verified") == "true"
}

// Authorizations returns what the person may do for the entity (scope authinfo): none if its administrator has assigned them nothing.
// Check each with [Authorization.ValidAt].
func (b *Business) Authorizations() []Authorization { return b.roles }

// ThirdParty returns what the person may do for other entities that are clients of theirs, such as a tax agent's (scope tpauthinfo).
func (b *Business) ThirdParty() []Authorization { return b.clients }

// Authorization is one role that an administrator has assigned at Corppass.
type Authorization struct {
	Service string // the ID of the digital service
	// Client is the entity that a third party acts for, and ClientType UEN, NON-UEN or GSTN; both are empty for one's own.
	Client, ClientType string
	SubEntity          string // a part of the entity (Sub-UEN); empty for all of it
	Role               string
	From, Until        Date              // 9999-12-31 stands for no end
	Parameters         map[string]string // that the administrator has set for the service
}

// String returns the name of the type, without what somebody may do.
func (a Authorization) String() string { return "singpass.Authorization{}" }

// singapore has no summer time.
var singapore = time.FixedZone("SGT", 8*60*60)

// ValidAt reports whether the authorization holds at a time: from the beginning of From to the end of Until, in Singapore. One without both
// dates, or whose values Corppass could not tell (ERROR_MISSING_VALUE), never does.
func (a Authorization) ValidAt(t time.Time) bool {
	from, exact := a.From.Time(singapore)
	until, exactToo := a.Until.Time(singapore)
	for _, value := range []string{a.SubEntity, a.Role} {
		if value == missingValue {
			return false
		}
	}
	return exact && exactToo && !t.Before(from) && t.Before(until.AddDate(0, 0, 1))
}

// missingValue is in place of what an administrator had to set, and has not.
const missingValue = "ERROR_MISSING_VALUE"

// readRoles reads auth_info. What is odd is left out: nobody may do it.
func readRoles(block Item) (all []Authorization) {
	for _, service := range block.Member("Result_Set.ESrvc_Result").elements() {
		about := Authorization{Service: service.Member("CPESrvcID").Text()}
		all = append(all, readRows(service.Member("Auth_Result_Set"), about, "CPEntID_SUB")...)
	}
	return all
}

// readClients reads tp_auth_info.
func readClients(block Item) (all []Authorization) {
	for _, service := range block.Member("Result_Set.ESrvc_Result").elements() {
		for _, client := range service.Member("Auth_Set.TP_Auth").elements() {
			about := Authorization{
				Service: service.Member("CPESrvcID").Text(), Client: client.Member("CP_Clnt_ID").Text(), ClientType: client.Member("CP_ClntEnt_TYPE").Text(),
			}
			if about.Client != "" { // or it would be one's own
				all = append(all, readRows(client.Member("Auth_Result_Set"), about, "CP_ClntEnt_SUB")...)
			}
		}
	}
	return all
}

func readRows(set Item, about Authorization, sub string) (all []Authorization) {
	for _, row := range set.Member("Row").elements() {
		a := about
		a.SubEntity, a.Role = row.Member(sub).Text(), row.Member("CPRole").Text()
		a.From, _ = row.Member("StartDate").Date()
		a.Until, _ = row.Member("EndDate").Date()
		for _, parameter := range row.Member("Parameter").elements() {
			if a.Parameters == nil {
				a.Parameters = map[string]string{}
			}
			a.Parameters[parameter.Member("name").Text()] = parameter.Member("value").Text()
		}
		all = append(all, a)
	}
	return all
}

// elements are those of a list; one that is alone may be written without a list.
func (i Item) elements() []Item {
	if i.text != "" && i.text[0] == '{' {
		return []Item{i}
	}
	return i.List()
}

// Entity is for whom somebody acts who has signed in with Corppass. What a scope would bring, and the application has not asked for, is
// empty.
type Entity struct {
	ID string // the UEN, or the Corppass Entity ID of an entity without one
	// Type is UEN, NON-UEN or GSTN; RegistrationNumber is a foreign one for NON-UEN; Country is that of incorporation, such as SG (scope
	// entity.identity).
	Type, RegistrationNumber, Country string
	Name                              string // scope entity.basic_profile.name
	Status                            string // Registered, Deregistered or Withdrawn (scope entity.basic_profile.uen_status)
}

// String tells which entity it is by its ID.
func (e Entity) String() string { return fmt.Sprintf("singpass.Entity{ID: %q}", e.ID) }

// actor is the claim that says who acts, RFC 8693 section 4.1.
const actor = "act"

// ActorOf returns the person who acts for the entity that a user of Corppass is: a UUID, the same for each of their sign-ins. It is empty for
// a user of another product. An account of yours is one of the entity ([idserver.User].Subject) and the person together.
func ActorOf(user *idserver.User) string {
	var claims struct {
		Actor struct {
			Subject string `json:"sub"`
		} `json:"act"`
	}
	if user == nil || user.Claims(&claims) != nil {
		return ""
	}
	return claims.Actor.Subject
}

var errNoActor = errors.New("it does not say who acts for the entity (act)")
