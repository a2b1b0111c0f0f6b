package endings

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/signward/idserver-go/core/internal/strictjson"
	"github.com/signward/idserver-go/core/internal/vault"
)

const (
	listKind = "devices" // the vault's kind of lists

	// MostListed limits how many sessions of a person are listed. Of more, those that were seen last stay.
	MostListed = 100
	// MaxWords limits Browser and Place, in bytes.
	MaxWords = 100
)

// Listed is a session in its person's list. Times are in milliseconds since 1970.
type Listed struct {
	ID       Key    `json:"id"` // as in Session, and the next four too
	Provider Key    `json:"provider"`
	Began    int64  `json:"began"`
	Issued   int64  `json:"issued,omitzero"`
	Outlived int64  `json:"outlived,omitzero"`
	Seen     int64  `json:"seen"`
	Until    int64  `json:"until"` // when it ends in any case
	Browser  string `json:"browser,omitzero"`
	Place    string `json:"place,omitzero"`

	later members
}

// Session is the session as markers see it.
func (l *Listed) Session(person Key) Session {
	return Session{ID: l.ID, Provider: l.Provider, Person: person, Began: l.Began, Issued: l.Issued, Outlived: l.Outlived}
}

// Lists are the lists of people's sessions, in a vault. They only tell people what there is, and decide nothing.
type Lists struct {
	vault *vault.Vault
	now   func() time.Time
}

// NewLists returns the lists in a vault.
func NewLists(v *vault.Vault, now func() time.Time) *Lists { return &Lists{v, now} }

// list is a person's list as it is kept.
type list struct {
	Version  int      `json:"v"`
	Sessions []Listed `json:"sessions"`

	later members
}

const listVersion = 1

// Of returns a person's sessions, those that were seen last first. The error wraps [vault.ErrAway].
func (l *Lists) Of(ctx context.Context, person Key) ([]Listed, error) {
	_, kept, err := l.find(ctx, person)
	return kept.Sessions, err
}

// Put adds a session, or takes its place. What was noted when it began stays. The error wraps [vault.ErrAway].
func (l *Lists) Put(ctx context.Context, person Key, s Listed) error {
	s.Browser, s.Place = cut(s.Browser), cut(s.Place)
	return l.change(ctx, person, func(all []Listed) []Listed {
		i := slices.IndexFunc(all, func(o Listed) bool { return o.ID == s.ID })
		if i < 0 {
			return append(all, s)
		}
		all[i].Seen, all[i].Until = max(all[i].Seen, s.Seen), max(all[i].Until, s.Until)
		all[i].Place = s.Place
		return all
	})
}

// Remove removes a session. The error wraps [vault.ErrAway].
func (l *Lists) Remove(ctx context.Context, person, session Key) error {
	return l.change(ctx, person, func(all []Listed) []Listed {
		return slices.DeleteFunc(all, func(o Listed) bool { return o.ID == session })
	})
}

// RemoveAll removes the list. The error wraps [vault.ErrAway].
func (l *Lists) RemoveAll(ctx context.Context, person Key) error {
	return l.vault.Delete(ctx, listKind, string(person[:]))
}

// find returns a person's list, and the value that it was read from. One that cannot be read is as good as none.
func (l *Lists) find(ctx context.Context, person Key) (*vault.Value, list, error) {
	found, err := l.vault.Find(ctx, listKind, string(person[:]))
	switch {
	case errors.Is(err, vault.ErrUnreadable), err == nil && found == nil:
		return found, list{Version: listVersion}, nil
	case err != nil:
		return nil, list{}, err
	}
	kept, err := decodeList(found.Plain)
	switch {
	case err != nil, kept.Version < listVersion:
		return found, list{Version: listVersion}, nil
	case kept.Version > listVersion:
		return found, list{Version: kept.Version}, nil
	}
	now := l.now().UnixMilli()
	kept.Sessions = slices.DeleteFunc(kept.Sessions, func(s Listed) bool { return s.Until <= now })
	kept.Sessions = newest(kept.Sessions)
	return found, kept, nil
}

// newest are the sessions of a list that are kept, those that were seen last first.
func newest(all []Listed) []Listed {
	slices.SortStableFunc(all, func(a, b Listed) int { return int(b.Seen - a.Seen) })
	return all[:min(len(all), MostListed)]
}

// change changes a person's list. An empty one is kept until its sessions would have ended: whoever changes it at the same
// time must not bring it back. One of a later version is left alone.
func (l *Lists) change(ctx context.Context, person Key, edit func([]Listed) []Listed) error {
	for range writeTries {
		found, next, err := l.find(ctx, person)
		if err != nil || next.Version != listVersion {
			return err
		}
		if next.Sessions = newest(edit(next.Sessions)); found == nil && len(next.Sessions) == 0 {
			return nil
		}
		until := l.now().UnixMilli() + time.Minute.Milliseconds()
		for _, s := range next.Sessions {
			until = max(until, s.Until)
		}
		plain, err := next.encode()
		if err != nil {
			return err
		}
		swapped, err := l.vault.Swap(ctx, listKind, string(person[:]), found, plain, time.UnixMilli(until))
		if err != nil || swapped {
			return err
		}
	}
	return fmt.Errorf("%w: a list does not stay the same", vault.ErrAway)
}

// members are those that this version does not know: a later one of this program wrote them, and they are kept.
type members map[string]strictjson.Raw

// decodeList is the inverse of encode. Of another version, nothing but that is read.
func decodeList(plain []byte) (l list, err error) {
	var all members
	if err := strictjson.Unmarshal(plain, &all); err != nil {
		return list{}, err
	}
	if err := strictjson.Unmarshal(all["v"], &l.Version); err != nil || l.Version != listVersion {
		return l, err
	}
	if err := strictjson.Unmarshal(plain, &l); err != nil {
		return list{}, err
	}
	var sessions []members
	if err := strictjson.Unmarshal(all["sessions"], &sessions); err != nil {
		return list{}, err
	}
	for i := range l.Sessions {
		l.Sessions[i].later = without[Listed](sessions[i])
	}
	l.later = without[list](all)
	return l, nil
}

// encode writes the list with all that was read of it.
func (l *list) encode() ([]byte, error) {
	sessions := make([]members, len(l.Sessions))
	for i, s := range l.Sessions {
		var err error
		if sessions[i], err = s.later.with(s); err != nil {
			return nil, err
		}
	}
	all, err := l.later.with(*l)
	if err != nil {
		return nil, err
	}
	if all["sessions"], err = strictjson.Marshal(sessions); err != nil {
		return nil, err
	}
	return strictjson.Marshal(all)
}

// without returns the members that are no fields of a struct.
func without[T any](all members) members {
	for _, f := range reflect.VisibleFields(reflect.TypeFor[T]()) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		delete(all, name)
	}
	return all
}

// with returns the members of a struct, and these.
func (m members) with(v any) (members, error) {
	text, err := strictjson.Marshal(v)
	if err != nil {
		return nil, err
	}
	all := maps.Clone(m)
	return all, strictjson.Unmarshal(text, &all)
}

// cut shortens a text to MaxWords, at the end of a character.
func cut(text string) string {
	if len(text) <= MaxWords {
		return text
	}
	end := 0
	for i := range text {
		if i > MaxWords {
			break
		}
		end = i
	}
	return text[:end]
}
