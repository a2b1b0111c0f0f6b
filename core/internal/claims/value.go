package claims

import (
	"slices"

	"github.com/signward/idserver-go/core/internal/strictjson"
)

// Text returns a claim that is a string; a value of another type counts as absent.
func Text(value string) string {
	s, _ := strictjson.String(value)
	return s
}

// Texts reads roles: an array of strings, or one string. Nothing is split: "admin,user" is one role with an odd name.
func Texts(value string) []string {
	if one := Text(value); one != "" {
		return []string{one}
	}
	all, _, _ := strictjson.Strings(value)
	if all = slices.DeleteFunc(all, func(s string) bool { return s == "" }); len(all) == 0 {
		return nil
	}
	return slices.Clip(all)
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
