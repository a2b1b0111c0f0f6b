package claims

import (
	"slices"
	"strings"

	"github.com/signward/idserver-go/core/internal/strictjson"
)

// Roles says where a provider puts roles, and how it writes them.
type Roles struct {
	Places    Places
	Separator string // of several roles in one string; empty: nothing is split, because a comma may be part of a name
}

// In reads the roles in claims. odd says what there is that cannot be read, without its value; it is empty if all can be.
func (r Roles) In(claims strictjson.Object) (roles []string, odd string) {
	return r.read(r.Places.In(claims))
}

// Known reports whether claims say anything about roles, if only that there are none.
func (r Roles) Known(claims strictjson.Object) bool { return r.Places.In(claims) != "" }

// about reports whether a claim holds roles.
func (r Roles) about(name string) bool { return r.Places.Touch(name) || name == customRoles }

// customRoles are the roles that a tenant of Signward has made itself.
const customRoles = "custom_roles"

// Only returns of claims what is about roles.
func (r Roles) Only(claims strictjson.Object) (strictjson.Object, error) {
	return some(claims, r.about)
}

// Without returns claims without what is about roles.
func (r Roles) Without(claims strictjson.Object) (strictjson.Object, error) {
	return some(claims, func(name string) bool { return !r.about(name) })
}

// read reads what stands in one place: one string, an array of strings or of objects with a name, or an object whose
// members are the roles.
func (r Roles) read(value string) (roles []string, odd string) {
	if value == "" || value == "null" {
		return nil, ""
	}
	switch value[0] {
	case '"':
		return r.split(Text(value))
	case '[':
		return array(value)
	case '{':
		return members(value)
	}
	return nil, "it is neither text nor an array nor an object"
}

func (r Roles) split(text string) (roles []string, odd string) {
	switch {
	case r.Separator != "":
		for role := range strings.SplitSeq(text, r.Separator) {
			roles = appendRole(roles, strings.TrimSpace(role))
		}
		return roles, ""
	case strings.Contains(text, ","):
		return []string{text}, "it is one text with a comma in it, which counts as one role: if it is several, set Config.Provider.RolesSeparator"
	}
	return appendRole(nil, text), ""
}

func array(value string) (roles []string, odd string) {
	if all, mixed, ok := strictjson.Strings(value); ok && !mixed {
		return trimmed(all), ""
	}
	var elements []strictjson.Raw
	if strictjson.Unmarshal([]byte(value), &elements) != nil {
		return nil, "it cannot be read"
	}
	for _, element := range elements {
		name, ok := strictjson.String(string(element))
		if !ok {
			name, ok = named(string(element))
		}
		if roles = appendRole(roles, name); !ok && string(element) != "null" {
			odd = "an element of the array is neither text nor an object with a name"
		}
	}
	return roles, odd
}

// named returns the name of a role that is an object, unless that says that the role is not in force.
func named(value string) (name string, ok bool) {
	object, err := strictjson.ParseObject([]byte(value))
	if err != nil {
		return "", false
	}
	if name, ok = strictjson.String(object.Get("name")); !ok {
		return "", false
	}
	for _, flag := range []string{"enabled", "isEnabled", "is_enabled", "active", "isActive", "is_active"} {
		if in := object.Get(flag); in != "" && in != "true" {
			return "", true
		}
	}
	return name, true
}

// members reads an object whose members are named for the roles, as Zitadel writes them. A member counts only if its value
// is true, or an object with more about it: {"admin":false} makes nobody an administrator.
func members(value string) (roles []string, odd string) {
	object, err := strictjson.ParseObject([]byte(value))
	if err != nil {
		return nil, "it cannot be read"
	}
	for name, value := range object.All() {
		switch {
		case value == "true" || value[0] == '{':
			roles = appendRole(roles, name)
		case value != "false" && value != "null":
			odd = "a member of the object is neither true nor false nor an object"
		}
	}
	return roles, odd
}

func appendRole(roles []string, role string) []string {
	if role == "" {
		return roles
	}
	return append(roles, role)
}

// trimmed leaves empty names out.
func trimmed(roles []string) []string {
	if roles = slices.DeleteFunc(roles, func(s string) bool { return s == "" }); len(roles) == 0 {
		return nil
	}
	return slices.Clip(roles)
}
