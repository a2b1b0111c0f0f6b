package claims

import (
	"slices"
	"strings"

	"github.com/signward/idserver-go/core/internal/strictjson"
)

// Text returns a claim that is a string; a value of another type counts as absent.
func Text(value string) string {
	s, _ := strictjson.String(value)
	return s
}

// Texts reads custom roles: an array of strings, or one string. Nothing is split: "admin,user" is one role with an odd name.
func Texts(value string) []string {
	if one := Text(value); one != "" {
		return []string{one}
	}
	all, _, _ := strictjson.Strings(value)
	return trimmed(all)
}

// At descends into claims, one name per level, and returns the text of what is there, or "".
func At(claims strictjson.Object, path []string) string {
	value := claims.Get(path[0])
	for _, name := range path[1:] {
		object, err := strictjson.ParseObject([]byte(value))
		if err != nil {
			return ""
		}
		value = object.Get(name)
	}
	return value
}

// Place is where in claims something may stand: the name of a claim, or a path of names within names, with slashes, such as
// realm_access/roles. A claim whose whole name is written with slashes, such as https://app.example/roles, goes first.
type Place struct {
	name string
	path []string // nil for a name alone
}

// Places are in order of preference: what is there first, wins.
type Places []Place

// ParsePlaces parses places as they are configured.
func ParsePlaces(texts ...string) Places {
	var all Places
	for _, text := range texts {
		p := Place{name: text}
		if path := strings.Split(text, "/"); len(path) > 1 && !slices.Contains(path, "") {
			p.path = path
		}
		all = append(all, p)
	}
	return all
}

// In returns the text of what is at the first of the places that is there, or "".
func (p Places) In(claims strictjson.Object) string {
	for _, place := range p {
		value := claims.Get(place.name)
		if value == "" && place.path != nil {
			value = At(claims, place.path)
		}
		if value != "" {
			return value
		}
	}
	return ""
}

// Touch reports whether one of the places is in the claim of that name, or is that claim.
func (p Places) Touch(name string) bool {
	return slices.ContainsFunc(p, func(place Place) bool {
		return place.name == name || place.path != nil && place.path[0] == name
	})
}

// With returns claims in which name has that value, a JSON text.
func With(claims strictjson.Object, name, value string) (strictjson.Object, error) {
	var w writer
	found := false
	for other, old := range claims.All() {
		if other == name {
			old, found = value, true
		}
		w.add(other, old)
	}
	if !found {
		w.add(name, value)
	}
	return w.object()
}

// Some returns of claims those that are named.
func Some(claims strictjson.Object, names ...string) (strictjson.Object, error) {
	return some(claims, func(name string) bool { return slices.Contains(names, name) })
}

// Without returns claims without those that are named.
func Without(claims strictjson.Object, names ...string) (strictjson.Object, error) {
	return some(claims, func(name string) bool { return !slices.Contains(names, name) })
}

func some(claims strictjson.Object, wanted func(name string) bool) (strictjson.Object, error) {
	var w writer
	for name, value := range claims.All() {
		if wanted(name) {
			w.add(name, value)
		}
	}
	return w.object()
}

// writer writes an object member by member.
type writer struct {
	out []byte
	err error
}

func (w *writer) add(name, value string) {
	if w.err != nil {
		return
	}
	w.out, w.err = strictjson.AppendString(append(w.out, ','), name)
	w.out = append(append(w.out, ':'), value...)
}

// object parses what was written: the first comma becomes the bracket that opens the object.
func (w *writer) object() (strictjson.Object, error) {
	switch {
	case w.err != nil:
		return strictjson.Object{}, w.err
	case len(w.out) == 0:
		return strictjson.ParseObject([]byte("{}"))
	}
	w.out[0] = '{'
	return strictjson.ParseObject(append(w.out, '}'))
}
