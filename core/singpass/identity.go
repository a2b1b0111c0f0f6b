package singpass

import (
	"context"
	"fmt"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/internal/baseerror"
)

// Identity is what an ID token says of who signed in. What a scope would bring, and the application has not asked for, is empty.
type Identity struct {
	Subject string // a UUID, another one for each organization; not the identity number. Of Corppass, the UUID of the person who acts
	// Level is the level of assurance, of 1 to 3, and 0 if the token does not say; Methods are how the person proved who they are (amr), such as face or pwd.
	Level   int
	Methods []string

	AccountType string // standard, or foreign: without Myinfo
	// IdentityNumber is the NRIC, FIN or foreign number, and IssuedBy the country that issued it, such as SG (scope user.identity).
	IdentityNumber, IssuedBy string
	Name, Email, Mobile      string // scopes name (Corppass: user.name), email and mobileno

	Entity *Entity // for whom the person acts; nil but for Corppass and Myinfo Business
}

// String tells who signed in by their subject.
func (i Identity) String() string { return fmt.Sprintf("singpass.Identity{Subject: %q}", i.Subject) }

type identityKey struct{}

// IdentityFrom returns, in Config.AdmitUser, what the ID token says of who is signing in, and elsewhere nil: it does not stay in
// the session.
func IdentityFrom(ctx context.Context) *Identity {
	i, _ := ctx.Value(identityKey{}).(*Identity)
	return i
}

// attributes is the claim that has the person's data.
const attributes = "sub_attributes"

// levels are those of the acr claim.
var levels = map[string]int{
	"urn:singpass:authentication:loa:1": 1, "urn:singpass:authentication:loa:2": 2, "urn:singpass:authentication:loa:3": 3,
}

// subjectAttributes are what an ID token says of a person, or of an entity.
type subjectAttributes struct {
	AccountType    string `json:"account_type"`
	IdentityNumber string `json:"identity_number"`
	IssuedBy       string `json:"identity_coi"`
	Name           string `json:"name"`
	Email          string `json:"email"`
	Mobile         string `json:"mobileno"`

	EntityType   string `json:"entity_type"`
	EntityNumber string `json:"entity_reg_number"`
	EntityIn     string `json:"entity_coi"`
	EntityName   string `json:"entity_name"`
	EntityStatus string `json:"entity_uen_status"`
}

// readIdentity reads who has signed in: a person or, of Corppass, one who acts for an entity, which is the subject then.
func readIdentity(user *idserver.User, ofCorppass bool) (*Identity, error) {
	var claims struct {
		Level      string            `json:"acr"`
		Methods    []string          `json:"amr"`
		Type       string            `json:"sub_type"`
		Attributes subjectAttributes `json:"sub_attributes"`
		Actor      struct {
			Subject    string            `json:"sub"`
			Attributes subjectAttributes `json:"sub_attributes"`
		} `json:"act"`
	}
	if err := user.Claims(&claims); err != nil {
		return nil, baseerror.Errorf("singpass: the ID token: %w", ErrInvalidData) // and nothing of it: it may name the person
	}
	a := claims.Attributes
	i := &Identity{Subject: user.Subject, Level: levels[claims.Level], Methods: claims.Methods}
	if ofCorppass {
		switch {
		case claims.Type != "entity":
			return nil, baseerror.Errorf("singpass: the ID token: %w: its sub_type is not entity", ErrInvalidData)
		case claims.Actor.Subject == "":
			return nil, baseerror.Errorf("singpass: the ID token: %w: %w", ErrInvalidData, errNoActor)
		}
		i.Subject = claims.Actor.Subject
		i.Entity = &Entity{
			ID: user.Subject, Type: a.EntityType, RegistrationNumber: a.EntityNumber, Country: a.EntityIn, Name: a.EntityName, Status: a.EntityStatus,
		}
		a = claims.Actor.Attributes
	}
	i.AccountType, i.IdentityNumber, i.IssuedBy, i.Name, i.Email, i.Mobile = a.AccountType, a.IdentityNumber, a.IssuedBy, a.Name, a.Email, a.Mobile
	return i, nil
}
