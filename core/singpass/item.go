package singpass

import (
	"encoding/json"
	"strings"

	"github.com/signward/idserver-go/core/internal/strictjson"
	"github.com/signward/idserver-go/core/sgid"
)

// Date is a date whose day, or month and day, may be unknown and are then 0.
type Date = sgid.Date

// Source is where a value comes from.
type Source string

// The sources of Myinfo.
const (
	Verified     Source = "1" // by a government agency
	UserProvided Source = "2"
	NotApplied   Source = "3" // the field does not apply to the person
	FromSingpass Source = "4"
)

// Item is one item of Myinfo, or a part of one: a value or a code with its description, other items, or a list of them. The zero value is one
// that is not available.
type Item struct{ text string }

// orIn finds an item whose name leads into another one, such as cpfcontributions.history, where it is none by itself.
func (i Item) orIn(items strictjson.Object, name string) Item {
	if i.text != "" {
		return i
	}
	first, rest, found := strings.Cut(name, ".")
	if !found {
		return i
	}
	return Item{items.Get(first)}.Member(rest)
}

// String returns the name of the type, without the value.
func (i Item) String() string { return "singpass.Item{}" }

// object returns the item's members; none if it is no object.
func (i Item) object() strictjson.Object {
	o, err := strictjson.ParseObject([]byte(i.text))
	if err != nil {
		return strictjson.Object{}
	}
	return o
}

// notAvailable is how some agencies write that they have no value.
const notAvailable = "NA"

// Available reports whether there is anything: the person shares the item, and the agency has a value.
func (i Item) Available() bool {
	if i.text == "" || i.text == "null" {
		return false
	}
	o := i.object()
	return o.Get("unavailable") != "true"
}

// Text returns the value or, of a code, the description; empty if there is none, or it is NA. A number or a truth is returned as it is
// written.
func (i Item) Text() string {
	if !i.Available() {
		return ""
	}
	if text, ok := strictjson.String(i.text); ok {
		return orNothing(text)
	}
	o := i.object()
	for _, name := range []string{"value", "desc", "code"} {
		if value := o.Get(name); value != "" && value != "null" {
			if text, ok := strictjson.String(value); ok {
				if text = orNothing(text); text != "" {
					return text
				}
				continue
			}
			if value[0] != '{' && value[0] != '[' {
				return value
			}
		}
	}
	return ""
}

func orNothing(text string) string {
	if text == notAvailable {
		return ""
	}
	return text
}

// Code returns the code of a value that has one, such as F; empty if it has none.
func (i Item) Code() string {
	if !i.Available() {
		return ""
	}
	code, _ := strictjson.String(i.object().Get("code"))
	return orNothing(code)
}

// Date returns the value as a date. ok is false if it is none.
func (i Item) Date() (date Date, ok bool) {
	date, err := sgid.ParseDate(i.Text())
	return date, err == nil
}

// Bool returns the value as a truth, which Myinfo writes as true and false, or as Y and N. ok is false if it is none.
func (i Item) Bool() (value, ok bool) {
	switch text := i.Text(); {
	case text == "true" || text == "Y" || i.Code() == "Y":
		return true, true
	case text == "false" || text == "N" || i.Code() == "N":
		return false, true
	}
	return false, false
}

// Source returns where the value comes from; empty if it does not say.
func (i Item) Source() Source {
	source, _ := strictjson.String(i.object().Get("source"))
	return Source(source)
}

// LastUpdated returns when the value was updated. ok is false if it does not say.
func (i Item) LastUpdated() (date Date, ok bool) {
	text, _ := strictjson.String(i.object().Get("lastupdated"))
	date, err := sgid.ParseDate(text)
	return date, err == nil
}

// Member returns a part of an item by its name, or by names with dots between them.
func (i Item) Member(name string) Item {
	for part := range strings.SplitSeq(name, ".") {
		if !i.Available() {
			return Item{}
		}
		i = Item{i.object().Get(part)}
	}
	return i
}

// List returns the elements of an item that is a list, also where it is the value of another; nil if it is none.
func (i Item) List() []Item {
	if !i.Available() {
		return nil
	}
	text := i.text
	if text[0] == '{' {
		text = i.object().Get("value")
	}
	var all []strictjson.Raw
	if text == "" || text[0] != '[' || strictjson.Unmarshal([]byte(text), &all) != nil {
		return nil
	}
	items := make([]Item, len(all))
	for at, element := range all {
		items[at] = Item{string(element)}
	}
	return items
}

// Address returns an item that is an address. ok is false if it is none.
func (i Item) Address() (a Address, ok bool) {
	if !i.Available() {
		return a, false
	}
	for name, part := range map[string]*string{
		"block": &a.Block, "street": &a.Street, "building": &a.Building, "floor": &a.Floor, "unit": &a.Unit, "postal": &a.Postal, "country": &a.Country,
	} {
		*part = i.Member(name).Text()
	}
	for _, name := range []string{"line1", "line2"} {
		if line := i.Member(name).Text(); line != "" {
			a.Lines = append(a.Lines, line)
		}
	}
	return a, a.Block != "" || a.Street != "" || a.Postal != "" || len(a.Lines) > 0
}

// MarshalJSON returns the item as Myinfo sent it.
func (i Item) MarshalJSON() ([]byte, error) {
	if i.text == "" {
		return []byte("null"), nil
	}
	return json.RawMessage(i.text), nil
}
