package endings

import (
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"
)

func newLists(t testing.TB, s *store) *Lists { return NewLists(replica(t, s).o.Vault, time.Now) }

var alice = PersonMark("https://op.example", "alice")

// listed is a session that was seen at a time, and lives for an hour from there.
func listed(id byte, seen int64) Listed {
	return Listed{ID: SessionMark([32]byte{id}), Began: at(int64(id)), Seen: at(seen), Until: at(seen) + time.Hour.Milliseconds()}
}

// has fails the test unless a person's list has these sessions, in this order.
func has(t *testing.T, l *Lists, person Key, want ...byte) []Listed {
	t.Helper()
	all, err := l.Of(bg, person)
	if err != nil || len(all) != len(want) {
		t.Fatalf("%d sessions, %v, want %d", len(all), err, len(want))
	}
	for i := range all {
		if all[i].ID != SessionMark([32]byte{want[i]}) {
			t.Errorf("session %d is another", i)
		}
	}
	return all
}

func TestLists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		l, other := newLists(t, s), newLists(t, s)
		put := func(l Listed) {
			t.Helper()
			if err := other.Put(bg, alice, l); err != nil {
				t.Fatal(err)
			}
		}
		has(t, l, alice)
		first := listed(1, 100)
		first.Browser, first.Place = "Firefox on Linux", "Singapore"
		put(first)
		put(listed(2, 200))
		has(t, l, alice, 2, 1)
		again := listed(1, 300)
		again.Browser, again.Place, again.Began = "Chrome", "Berlin", at(5)
		put(again)
		if all := has(t, l, alice, 1, 2); all[0].Browser != "Firefox on Linux" || all[0].Place != "Berlin" || all[0].Began != at(1) || all[0].Seen != at(300) {
			t.Errorf("%+v", all[0])
		}
		put(listed(1, 50)) // from a request that took long
		if all := has(t, l, alice, 1, 2); all[0].Seen != at(300) {
			t.Errorf("it was seen at %d", all[0].Seen)
		}
		has(t, l, PersonMark("https://op.example", "bob"))
		if err := l.Remove(bg, alice, SessionMark([32]byte{1})); err != nil {
			t.Fatal(err)
		}
		if err := l.Remove(bg, alice, SessionMark([32]byte{9})); err != nil {
			t.Fatal(err)
		}
		has(t, other, alice, 2)
		time.Sleep(time.Hour)
		has(t, l, alice, 2)
		time.Sleep(200 * time.Millisecond)
		has(t, l, alice)
		put(listed(3, time.Hour.Milliseconds()))
		if err := l.RemoveAll(bg, alice); err != nil {
			t.Fatal(err)
		}
		has(t, l, alice)
	})
}

// Replicas that note sessions at the same time lose none.
func TestListsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		l := newLists(t, s)
		var writers sync.WaitGroup
		for i := range 4 {
			writers.Go(func() {
				if err := l.Put(bg, alice, listed(byte(i), int64(10-i))); err != nil {
					t.Error(err)
				}
			})
		}
		writers.Wait()
		has(t, l, alice, 0, 1, 2, 3)
	})
}

// Of more sessions than are listed, those that were seen last stay, and words are cut.
func TestListsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLists(t, newStore())
		for i := range 110 {
			s := listed(byte(i), int64(i))
			s.Browser, s.Place = strings.Repeat("ü", MaxWords), "x"+strings.Repeat("ü", MaxWords)
			if err := l.Put(bg, alice, s); err != nil {
				t.Fatal(err)
			}
		}
		all, err := l.Of(bg, alice)
		if err != nil || len(all) != MostListed || all[0].Seen != at(109) || all[MostListed-1].Seen != at(10) {
			t.Fatalf("%d sessions, %v", len(all), err)
		}
		for _, s := range all {
			if len(s.Browser) > MaxWords || len(s.Place) > MaxWords || !utf8.ValidString(s.Browser) || !utf8.ValidString(s.Place) || len(s.Place) < MaxWords-2 {
				t.Fatalf("%d and %d bytes", len(s.Browser), len(s.Place))
			}
		}
	})
}

// A list that cannot be read is as good as none, and does not stay so.
func TestUnreadableList(t *testing.T) {
	for name, plain := range map[string]string{"empty": "", "not JSON": "x", "of no version": `{"v":0,"sessions":[]}`, "null": "null", "another type": `{"v":1,"sessions":{}}`, "an ID that is too short": `{"v":1,"sessions":[{"id":"AA==","seen":1}]}`} {
		synctest.Test(t, func(t *testing.T) {
			l := newLists(t, newStore())
			if err := l.vault.Commit(bg, listKind, string(alice[:]), []byte(plain), time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			if all, err := l.Of(bg, alice); err != nil || len(all) != 0 {
				t.Errorf("%s: %v, %v", name, all, err)
			}
			if err := l.Put(bg, alice, listed(1, 1)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			has(t, l, alice, 1)
		})
	}
}

// What a later version writes besides stays, in the list and in its sessions; a list in another form is not read, and left alone.
func TestListsOfALaterVersion(t *testing.T) {
	commit := func(t *testing.T, l *Lists, plain string) {
		t.Helper()
		if err := l.vault.Commit(bg, listKind, string(alice[:]), []byte(plain), time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		l := newLists(t, newStore())
		commit(t, l, string(golden(t, "devices-later.json")))
		for _, put := range []Listed{listed(2, 200), listed(1, 300)} { // another session, and the one that is there
			if err := l.Put(bg, alice, put); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Remove(bg, alice, SessionMark([32]byte{2})); err != nil {
			t.Fatal(err)
		}
		if all := has(t, l, alice, 1); all[0].Seen != at(300) {
			t.Errorf("%+v", all[0])
		}
		found, err := l.vault.Find(bg, listKind, string(alice[:]))
		if err != nil {
			t.Fatal(err)
		}
		for _, kept := range []string{`"pinned":["a",1]`, `"named":{"by":"alice"}`} {
			if !strings.Contains(string(found.Plain), kept) {
				t.Errorf("%s is gone from %s", kept, found.Plain)
			}
		}
	})
	synctest.Test(t, func(t *testing.T) {
		l := newLists(t, newStore())
		const other = `{"v":2,"sessions":{"a":1}}`
		for _, plain := range []string{other, `{"v":2,"sessions":[]}`} {
			commit(t, l, plain)
			if err := l.Put(bg, alice, listed(1, 1)); err != nil {
				t.Fatal(err)
			}
			has(t, l, alice)
			if found, err := l.vault.Find(bg, listKind, string(alice[:])); err != nil || string(found.Plain) != plain {
				t.Errorf("%s became %s, %v", plain, found.Plain, err)
			}
		}
	})
}

// Files of earlier versions stay readable for two minor versions. A new one is added when a version is released; none is ever
// written anew.
func TestGoldenList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLists(t, newStore())
		if err := l.vault.Commit(bg, listKind, string(alice[:]), golden(t, "devices-v1.json"), time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		want := listed(1, 100)
		want.Provider, want.Issued, want.Outlived = ProviderMark("https://op.example", "sid"), at(0), at(0)-5000
		want.Browser, want.Place = "Firefox on Linux", "Singapore"
		all := has(t, l, alice, 1, 2)
		if all[0].later = nil; !reflect.DeepEqual(all[0], want) {
			t.Errorf("%+v, want %+v", all[0], want)
		}
	})
}
