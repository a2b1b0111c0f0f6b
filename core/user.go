package idserver

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/signward/idserver-go/core/internal/baseerror"
	"github.com/signward/idserver-go/core/internal/claims"
	"github.com/signward/idserver-go/core/internal/jose"
	"github.com/signward/idserver-go/core/internal/strictjson"
)

// User is who sent a request: a signed-in person, or the subject of a bearer access token. It is made from verified
// claims only. Issuer and Subject together identify a user; an e-mail address does not. A User that a guard admitted is
// shared by concurrent requests and must not be modified; Config.AdmitUser is the place to do that.
type User struct {
	Issuer  string // iss
	Subject string // sub: opaque, unique at the issuer

	Email         string
	EmailVerified bool   // the claim is true; or, in an ID token or from userinfo, the text "true" (Apple, Cognito)
	shared        bool   // by requests: must not be modified; it stands here because many users are remembered, and room counts
	Name          string // the name claim, or given and family name without one
	GivenName     string
	FamilyName    string
	TenantID      string
	Roles         []string // the provider's built-in roles
	CustomRoles   []string // roles that a tenant's administrator created, with any name

	// Scopes are what the access token may be used for: its claim scope or scp. Those of a session are the ones that the
	// token endpoint told at the sign-in or the last refresh; where it told none, those of an access token that is valid
	// here and, without such, the ones that were asked for (RFC 6749 section 5.1). What cannot be a scope is left out, and
	// of more than 1000 none counts.
	Scopes []string
	// ClientID is the client that the access token was issued to: azp, client_id, cid or appid, whichever is there first.
	// That of a session is Config.ClientID.
	ClientID string
	// Expiry is when the access token expires (exp), also that of a session, which lives on by refreshing it. It is zero
	// if nobody says.
	Expiry time.Time

	// ACR and AuthTime are how and when the provider authenticated the user: acr and auth_time of the access token (RFC 9470
	// section 6.2) and, of a session, those of the ID token of its sign-in; an ACR in the ID token of a refresh takes its
	// place. They are empty if the provider does not say. What AdmitUser makes of them does not last.
	ACR      string
	AuthTime time.Time

	text  string // all claims as one JSON object
	token []byte // or, where many are remembered and memory counts, the verified token whose payload they are
}

// String names the user by issuer and subject alone: the rest is personal data.
func (u User) String() string {
	return fmt.Sprintf("idserver.User{Issuer: %q, Subject: %q}", u.Issuer, u.Subject)
}

// HasRole reports whether the user has role, built-in or custom, ignoring case. A tenant can create a custom role with
// any name, even "owner": where that matters, use [User.HasBuiltInRole].
func (u *User) HasRole(role string) bool { return u.HasBuiltInRole(role) || u.HasCustomRole(role) }

// HasBuiltInRole is like [User.HasRole] but ignores the tenant's custom roles.
func (u *User) HasBuiltInRole(role string) bool { return containsFold(u.Roles, role) }

// HasAnyBuiltInRole reports whether [User.HasBuiltInRole] is true for at least one of the roles.
func (u *User) HasAnyBuiltInRole(role string, more ...string) bool {
	return u.HasBuiltInRole(role) || slices.ContainsFunc(more, u.HasBuiltInRole)
}

// HasAllBuiltInRoles reports whether [User.HasBuiltInRole] is true for all of the roles.
func (u *User) HasAllBuiltInRoles(role string, more ...string) bool {
	return u.HasBuiltInRole(role) && !slices.ContainsFunc(more, func(r string) bool { return !u.HasBuiltInRole(r) })
}

// HasCustomRole is like [User.HasRole] but considers only the tenant's custom roles.
func (u *User) HasCustomRole(role string) bool { return containsFold(u.CustomRoles, role) }

// HasAnyRole reports whether [User.HasRole] is true for at least one of the roles.
func (u *User) HasAnyRole(role string, more ...string) bool {
	return u.HasRole(role) || slices.ContainsFunc(more, u.HasRole)
}

// HasAllRoles reports whether [User.HasRole] is true for all of the roles.
func (u *User) HasAllRoles(role string, more ...string) bool {
	return u.HasRole(role) && !slices.ContainsFunc(more, func(r string) bool { return !u.HasRole(r) })
}

// HasScope reports whether scope is among the user's Scopes, whose case matters. It knows nothing of Config.ScopeIncludes.
func (u *User) HasScope(scope string) bool { return slices.Contains(u.Scopes, scope) }

// containsFold compares lengths too: to EqualFold the Kelvin sign is a k and ſ is an s, and a provider that reserves a
// name may not know that.
func containsFold(roles []string, role string) bool {
	return slices.ContainsFunc(roles, func(r string) bool { return len(r) == len(role) && strings.EqualFold(r, role) })
}

// Claims decodes the user's claims into v, a pointer to a struct or a map. Unlike in encoding/json, member names are
// matched exactly.
func (u *User) Claims(v any) error {
	text, err := u.claimsText()
	if err != nil {
		return baseerror.New("idserver: the claims cannot be written")
	}
	if err := strictjson.Unmarshal(text, v); err != nil {
		return baseerror.New("idserver: claims: " + err.Error())
	}
	return nil
}

// claimsText returns all claims as one JSON object.
func (u *User) claimsText() ([]byte, error) {
	switch {
	case u.text != "":
		return []byte(u.text), nil
	case u.token != nil:
		message, err := jose.Parse(string(u.token))
		if err != nil {
			return nil, err
		}
		return claims.Mend(message.Payload), nil
	}
	return []byte("{}"), nil
}

// object returns all claims, parsed.
func (u *User) object() (strictjson.Object, error) {
	text, err := u.claimsText()
	if err != nil {
		return strictjson.Object{}, err
	}
	return strictjson.ParseObject(text)
}

// Set adds or replaces a claim for the application's own use, in Config.AdmitUser. It is kept with the session and
// returned by [User.Claims]; nil removes the claim. The fields of User do not change with it, and iss and sub cannot be replaced. Set fails on a
// user that a guard or [Client.ValidateAccessToken] returned, who is shared by requests.
func (u *User) Set(claim string, value any) error {
	if u.shared {
		return baseerror.New("idserver: Set: the user is shared by requests: set claims in AdmitUser")
	}
	if claim == "" || claim == "iss" || claim == "sub" {
		return baseerror.Errorf("idserver: Set: %q is not a claim of the application's own", claim)
	}
	raw, err := strictjson.Marshal(value)
	if err != nil {
		return baseerror.New("idserver: the value of claim " + claim + " cannot be written as JSON")
	}
	known, err := u.object()
	switch {
	case err != nil:
	case value == nil:
		known, err = claims.Without(known, claim)
	default:
		known, err = claims.With(known, claim, string(raw))
	}
	if err != nil {
		return baseerror.Errorf("idserver: Set: %w", err)
	}
	u.text, u.token = known.Text(), nil
	return nil
}

// withoutRoles returns a copy of the user that has no roles, neither in its fields nor among its claims. Claims that cannot
// be taken apart are left out.
func (u *User) withoutRoles(roles claims.Roles) *User {
	own := *u
	own.Roles, own.CustomRoles, own.token, own.text = nil, nil, nil, "{}"
	if known, err := u.object(); err == nil {
		if known, err = roles.Without(known); err == nil {
			own.text = known.Text()
		}
	}
	return &own
}

// MarshalJSON encodes what a front end may see: id (the Subject), email, name, tenant_id, roles and custom_roles. All six
// members are always present, and the roles are never null.
func (u User) MarshalJSON() ([]byte, error) {
	text, err := strictjson.Marshal(struct {
		ID          string   `json:"id"`
		Email       string   `json:"email"`
		Name        string   `json:"name"`
		TenantID    string   `json:"tenant_id"`
		Roles       []string `json:"roles"`
		CustomRoles []string `json:"custom_roles"`
	}{u.Subject, u.Email, u.Name, u.TenantID, u.Roles, u.CustomRoles})
	return text, baseerror.Of(err)
}

// newUser makes a user from a verified token's claims; its strings are parts of their text. textIsTrue lets the text
// "true" in email_verified count: only where the provider says it to this client, never in a token that anybody presents.
func newUser(known strictjson.Object, roles claims.Roles, textIsTrue bool) *User {
	u := new(User)
	u.readClaims(known, roles, textIsTrue)
	return u
}

// clientClaims are where tokens name the client: OpenID Connect Core section 2, RFC 9068 section 2.2, Okta and Entra.
var clientClaims = [...]string{"azp", "client_id", "cid", "appid"}

// readClaims makes u the user of the claims.
func (u *User) readClaims(known strictjson.Object, roles claims.Roles, textIsTrue bool) {
	*u = User{text: known.Text()}
	var scope, scp string
	var clients [len(clientClaims)]string
	for name, value := range known.All() {
		switch name {
		case "iss":
			u.Issuer = claims.Text(value)
		case "sub":
			u.Subject = claims.Text(value)
		case "email":
			u.Email = claims.Text(value)
		case "email_verified":
			u.EmailVerified = value == "true" || textIsTrue && claims.Text(value) == "true"
		case "name":
			u.Name = claims.Text(value)
		case "given_name":
			u.GivenName = claims.Text(value)
		case "family_name":
			u.FamilyName = claims.Text(value)
		case "tenant_id":
			u.TenantID = claims.Text(value)
		case "custom_roles":
			u.CustomRoles = claims.Texts(value)
		case "scope":
			scope = value
		case "scp":
			scp = value
		case "exp":
			u.Expiry = claims.Time(value)
		case "acr":
			u.ACR = claims.Text(value)
		case "auth_time":
			u.AuthTime = claims.Time(value)
		default:
			if i := slices.Index(clientClaims[:], name); i >= 0 {
				clients[i] = claims.Text(value)
			}
		}
	}
	u.Scopes, _ = claims.Scopes(scope, scp)
	u.ClientID = cmp.Or(clients[:]...)
	u.Roles, _ = roles.In(known)
	if u.Name == "" {
		u.Name = strings.TrimSpace(u.GivenName + " " + u.FamilyName)
	}
}
