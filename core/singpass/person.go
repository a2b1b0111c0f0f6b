package singpass

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/internal/baseerror"
	"github.com/signward/idserver-go/core/internal/strictjson"
)

// Person is what somebody agreed to share: the items of Myinfo that the application asks for. The methods return those that most
// applications want; [Person.Item] returns any.
type Person struct {
	Subject string
	items   strictjson.Object
}

// String tells whose data these are, without the data: personal data does not belong in a log.
func (p Person) String() string { return fmt.Sprintf("singpass.Person{Subject: %q}", p.Subject) }

// MarshalJSON returns the items as Myinfo sent them, for a front end.
func (p Person) MarshalJSON() ([]byte, error) {
	if text := p.items.Text(); text != "" {
		return []byte(text), nil
	}
	return []byte("{}"), nil
}

// errNobody is the error of PersonFrom in a context that does not come from a guard.
var errNobody = baseerror.New("singpass: PersonFrom: nobody is signed in: a guard must come before")

// PersonFrom asks Myinfo what the person shares whom a guard put into ctx or, in Config.AdmitUser, who is signing in. Every call asks,
// which Singpass charges for and takes seconds; do not keep the answer in a session to fill in a form later, which it
// forbids. That works for half an hour after the sign-in: then the error is [ErrSignInAgain]. Others are [ErrUpstream],
// [ErrNotMyinfo], [ErrInvalidData], and those of [idserver.Client.UserInfo]; what wraps [idserver.ErrUnavailable] may work later.
func (c *Client) PersonFrom(ctx context.Context) (*Person, error) {
	user := idserver.UserFrom(ctx)
	switch {
	case c.cfg.Product != Myinfo:
		return nil, baseerror.Errorf("singpass: PersonFrom: %w", ErrNotMyinfo)
	case user == nil:
		return nil, errNobody
	}
	info, err := c.engine.UserInfo(ctx, idserver.AccessTokenFrom(ctx), user.Subject)
	if err != nil {
		return nil, refusedBy(err)
	}
	var claims struct {
		Person strictjson.Raw `json:"person_info"`
	}
	if err := info.Claims(&claims); err != nil {
		return nil, baseerror.Errorf("singpass: %w: %w", idserver.ErrUserInfo, ErrInvalidData)
	}
	items, err := parsePerson(claims.Person)
	if err != nil {
		return nil, err
	}
	return &Person{Subject: info.Subject, items: items}, nil
}

// parsePerson reads person_info. An item that is odd does not spoil the others.
func parsePerson(text []byte) (strictjson.Object, error) {
	items, err := strictjson.ParseObject(text)
	if err != nil {
		return items, baseerror.Errorf("singpass: %w: %w: person_info is no object", idserver.ErrUserInfo, ErrInvalidData)
	}
	return items, nil
}

// refusedBy says what Myinfo's refusal means.
func refusedBy(err error) error {
	var refused *idserver.UserInfoError
	if errors.As(err, &refused) {
		switch {
		case refused.Code == "upstream_dependency_error":
			return baseerror.Errorf("singpass: %w: %w", ErrUpstream, err)
		case refused.Status == http.StatusUnauthorized:
			return baseerror.Errorf("singpass: %w: %w", ErrSignInAgain, err)
		}
	}
	return err
}

// Item returns an item by the name of its scope, such as "name", or "cpfcontributions.history". One that was not shared is an Item that
// is not available.
func (p *Person) Item(name string) Item { return Item{p.items.Get(name)}.orIn(p.items, name) }

// The items that are text. Each is empty if it was not shared, or is not available.

func (p *Person) IdentityNumber() string    { return p.Item("uinfin").Text() }
func (p *Person) Name() string              { return p.Item("name").Text() }
func (p *Person) AliasName() string         { return p.Item("aliasname").Text() }
func (p *Person) Email() string             { return p.Item("email").Text() }
func (p *Person) Sex() string               { return p.Item("sex").Text() } // a description, such as FEMALE; its Code is F
func (p *Person) Race() string              { return p.Item("race").Text() }
func (p *Person) Nationality() string       { return p.Item("nationality").Text() }
func (p *Person) BirthCountry() string      { return p.Item("birthcountry").Text() }
func (p *Person) ResidentialStatus() string { return p.Item("residentialstatus").Text() }
func (p *Person) MaritalStatus() string     { return p.Item("marital").Text() }
func (p *Person) PassportNumber() string    { return p.Item("passportnumber").Text() }
func (p *Person) Occupation() string        { return p.Item("occupation").Text() }
func (p *Person) Employer() string          { return p.Item("employment").Text() }
func (p *Person) HousingType() string       { return p.Item("housingtype").Text() }
func (p *Person) HDBType() string           { return p.Item("hdbtype").Text() }

// DateOfBirth may be partial. ok is false if it was not shared, or is none.
func (p *Person) DateOfBirth() (date Date, ok bool) { return p.Item("dob").Date() }

// PassportExpiryDate is like DateOfBirth.
func (p *Person) PassportExpiryDate() (date Date, ok bool) {
	return p.Item("passportexpirydate").Date()
}

// Mobile returns a number such as +6597399245; empty if it was not shared.
func (p *Person) Mobile() string {
	number := p.Item("mobileno")
	local := number.Member("nbr").Text()
	if local == "" {
		return ""
	}
	return number.Member("prefix").Text() + number.Member("areacode").Text() + local
}

// Address is an address in Singapore, or elsewhere.
type Address struct {
	Block, Street, Building, Floor, Unit, Postal string
	Country                                      string   // a description, such as SINGAPORE
	Lines                                        []string // of an address that is not taken apart, such as one abroad
}

// String returns the name of the type, without the address.
func (a Address) String() string { return "singpass.Address{}" }

// RegisteredAddress returns the registered address. ok is false if it was not shared, or is not available.
func (p *Person) RegisteredAddress() (address Address, ok bool) { return p.Item("regadd").Address() }
