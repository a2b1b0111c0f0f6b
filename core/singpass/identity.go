package singpass

import (
	"context"
	"fmt"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/internal/baseerror"
)

// Identity is what an ID token says of who signed in. What a scope would bring, and the application has not asked for, is empty.
type Identity struct {
	Subject string // a UUID, another one for each organization; not the identity number
	// Level is the level of assurance, of 1 to 3, and 0 if the token does not say; Methods are how the person proved who they are (amr), such as face or pwd.
	Level   int
	Methods []string

	AccountType string // standard, or foreign: without Myinfo
	// IdentityNumber is the NRIC, FIN or foreign number, and IssuedBy the country that issued it, such as SG (scope user.identity).
	IdentityNumber, IssuedBy string
	Name, Email, Mobile      string // scopes name, email and mobileno
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

func readIdentity(user *idserver.User) (*Identity, error) {
	var claims struct {
		Level      string   `json:"acr"`
		Methods    []string `json:"amr"`
		Attributes struct {
			AccountType    string `json:"account_type"`
			IdentityNumber string `json:"identity_number"`
			IssuedBy       string `json:"identity_coi"`
			Name           string `json:"name"`
			Email          string `json:"email"`
			Mobile         string `json:"mobileno"`
		} `json:"sub_attributes"`
	}
	if err := user.Claims(&claims); err != nil {
		return nil, baseerror.Errorf("singpass: the ID token: %w", ErrInvalidData) // and nothing of it: it may name the person
	}
	a := claims.Attributes
	return &Identity{
		Subject: user.Subject, Level: levels[claims.Level], Methods: claims.Methods, AccountType: a.AccountType,
		IdentityNumber: a.IdentityNumber, IssuedBy: a.IssuedBy, Name: a.Name, Email: a.Email, Mobile: a.Mobile,
	}, nil
}
