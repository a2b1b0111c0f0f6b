package claims

import (
	"slices"

	"github.com/signward/idserver-go/core/internal/strictjson"
)

// Source is one of several that say something about the same user.
type Source struct {
	Name   string // for Merged.RolesFrom
	Claims strictjson.Object
	// WithoutRoles leaves its roles and custom roles out: they are older than the access token, and one may have been taken
	// away since.
	WithoutRoles bool
}

// Merged is what several sources say together.
type Merged struct {
	Claims       strictjson.Object
	RolesFrom    string // the source of the roles, or else of the custom roles; empty if there are none
	VerifiedFrom string // the source of email_verified; empty if there is none
}

// Merge takes each claim from the first source that knows it, with two exceptions: email_verified belongs to one address
// and is never combined with another; and what roles may be in is taken from the first source that has roles, even if another
// has such a claim without any. Claims about a token rather than the user are left out.
func Merge(roles Roles, sources ...Source) (Merged, error) {
	m := merge{roles.Places, sources}
	var w writer
	for i, s := range sources {
		for name, value := range s.Claims.All() {
			if m.from(name) == i {
				w.add(name, value)
			}
		}
	}
	claims, err := w.object()
	if err != nil {
		return Merged{}, err
	}
	return Merged{claims, m.rolesFrom(), m.name(m.emailVerified())}, nil
}

// ofTheTokenItself are claims about the token rather than the user.
var ofTheTokenItself = []string{"aud", "azp", "exp", "nbf", "iat", "jti", "nonce", "at_hash", "c_hash", "client_id", "scope", "scp", "typ"}

const none = -1

type merge struct {
	roles   Places
	sources []Source
}

// from returns which source a claim is taken from, or none.
func (m *merge) from(name string) int {
	switch {
	case slices.Contains(ofTheTokenItself, name):
		return none
	case m.roles.Touch(name):
		return m.rolesIn(name)
	case name == "email_verified":
		return m.emailVerified()
	}
	return m.first(func(s Source) bool { return m.has(s, name) })
}

func (m *merge) first(knows func(Source) bool) int { return slices.IndexFunc(m.sources, knows) }

func (m *merge) has(s Source, name string) bool {
	left := s.WithoutRoles && (m.roles.Touch(name) || name == customRoles)
	return !left && s.Claims.Get(name) != ""
}

// rolesAt returns the first source that has roles.
func (m *merge) rolesAt() int { return m.first(m.hasRoles) }

func (m *merge) hasRoles(s Source) bool { return !s.WithoutRoles && m.roles.In(s.Claims) != "" }

// rolesIn returns the source of a claim that roles may be in: that of the roles, or, for what else stands in it, the first
// source without roles. Another source's roles must not come in beside, at a place that is preferred.
func (m *merge) rolesIn(name string) int {
	if i := m.rolesAt(); i != none && m.has(m.sources[i], name) {
		return i
	}
	return m.first(func(s Source) bool { return m.has(s, name) && !m.hasRoles(s) })
}

// emailVerified returns the first source that says it of the address that is taken.
func (m *merge) emailVerified() int {
	taken := m.first(func(s Source) bool { return m.has(s, "email") })
	return m.first(func(s Source) bool {
		same := taken == none || m.has(s, "email") && Text(s.Claims.Get("email")) == Text(m.sources[taken].Claims.Get("email"))
		return same && m.has(s, "email_verified")
	})
}

func (m *merge) rolesFrom() string {
	i := m.rolesAt()
	if i == none {
		i = m.from(customRoles)
	}
	return m.name(i)
}

func (m *merge) name(i int) string {
	if i == none {
		return ""
	}
	return m.sources[i].Name
}
