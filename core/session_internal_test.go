package idserver

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/signward/idserver-go/core/internal/sessioncodec"
)

func fullSession() *session {
	return newSession(
		sessioncodec.Record{ID: [32]byte{1}, Issuer: "i", Subject: "s"},
		&User{
			Issuer: "i", Subject: "s", Email: "e", EmailVerified: true, Name: "n", GivenName: "g", FamilyName: "f", TenantID: "t",
			Roles: []string{"r"}, CustomRoles: []string{"c"}, Scopes: []string{"openid", "x"}, ClientID: "c", Expiry: time.UnixMilli(1795530408123), text: `{"sub":"s"}`, shared: true,
		},
		Tokens{AccessToken: "a", IDToken: "b", RefreshToken: "c", Expiry: time.UnixMilli(1795530408123), refreshAt: time.UnixMilli(1795530400456)},
		time.UnixMilli(1795530300789), time.UnixMilli(1795530301012),
	)
}

func TestPackSession(t *testing.T) {
	s := fullSession()
	for name, s := range map[string]*session{
		"as begun":  s,
		"renewed":   s.renewed(time.UnixMilli(1795530500001)),
		"refreshed": s.refreshed(&User{Issuer: "i", Subject: "s", Name: "new", ClientID: "c", text: "{}", shared: true}, Tokens{AccessToken: "d"}, time.UnixMilli(1795530500001)),
	} {
		t.Run(name, func(t *testing.T) {
			packed, err := packSession(s)
			if err != nil {
				t.Fatal(err)
			}
			back, _, err := unpackSession(packed, "c")
			if err != nil {
				t.Fatal(err)
			}
			if back.ends != s.ends || back.kept.ID != s.kept.ID || back.kept.Version != s.kept.Version || back.refreshKey != s.refreshKey {
				t.Error("it is another session")
			}
			if !reflect.DeepEqual(back.user, s.user) || !back.signedIn.Equal(s.signedIn) || !back.seen.Equal(s.seen) {
				t.Errorf("got %v of %v, want %v of %v", back.user, back.signedIn, s.user, s.signedIn)
			}
			if got, want := back.tokens, s.tokens; !reflect.DeepEqual(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
	if a, b := s.renewed(time.Now()), s.refreshed(s.user, s.tokens, time.Now()); a.ends != s.ends || b.ends != s.ends || a.kept.Version != 0 || b.kept.Version != 1 {
		t.Error("a session changes its id, or counts its refreshes wrongly")
	}
}

// A provider may give the same refresh token again. What its next refresh brings is not what the last one brought.
func TestEachRefreshHasItsKey(t *testing.T) {
	s := fullSession()
	same := s.refreshed(s.user, s.tokens, time.Now())
	next := s.tokens
	next.AccessToken = "another"
	if other := s.refreshed(s.user, next, time.Now()); s.refreshKey != same.refreshKey || s.refreshKey == other.refreshKey {
		t.Error("the key does not tell one refresh from the next")
	}
}

func TestSessionsHaveIDs(t *testing.T) {
	w := byItself(t).site.(*web)
	var ids [][32]byte
	for range 2 {
		tokens := &Tokens{User: &User{Issuer: "i", Subject: "s"}}
		if err := w.nameSession(tokens); err != nil {
			t.Fatal(err)
		}
		one, err := w.beginSession(t.Context(), tokens)
		if err != nil {
			t.Fatal(err)
		}
		again, err := w.beginSession(t.Context(), tokens)
		if err != nil || again.ends != one.ends || again.kept.ID != one.kept.ID {
			t.Errorf("the same sign-in begins the sessions %x and %x, %v", one.kept.ID, again.kept.ID, err)
		}
		ids = append(ids, one.kept.ID)
	}
	if ids[0] == ids[1] || ids[0] == [32]byte{} {
		t.Errorf("the ids are %x", ids)
	}
	w.cfg.Rand = strings.NewReader("too little")
	if err := w.nameSession(&Tokens{}); err == nil {
		t.Error("a session begins without an id")
	}
}

// While a program is being replaced, the new version and the old one get each other's cookies.
func TestSessionOfAnotherVersionIsKept(t *testing.T) {
	c := byItself(t)
	for name, row := range map[string]struct {
		packed  []byte
		deleted bool
	}{
		"another version": {[]byte{3, 1, 2, 3}, false},
		"nothing of ours": {[]byte{1, 1, 2, 3}, true},
		"no reference":    {[]byte{2, 1, 2, 3}, true},
	} {
		t.Run(name, func(t *testing.T) {
			value, err := c.site.(*web).ring.Seal(c.cfg.Rand, c.site.(*web).names.Session, row.packed)
			if err != nil {
				t.Fatal(err)
			}
			r := Request{Method: "GET", Path: "/", Header: http.Header{"Cookie": {c.site.(*web).names.Session + "=" + value}}}
			_, a := c.RequireUser()(t.Context(), r)
			deleted := false
			for _, f := range a.Add {
				deleted = deleted || f.Name == "Set-Cookie" && strings.HasPrefix(f.Value, c.site.(*web).names.Session+"=;")
			}
			if a.Status != 401 || deleted != row.deleted {
				t.Errorf("status %d, the cookie is deleted: %v", a.Status, deleted)
			}
		})
	}
}

// byItself makes a client with routes that asks no provider.
func byItself(t *testing.T) *Client {
	t.Helper()
	c, err := New(Config{
		Authority: "https://op.example", ClientID: "app", BaseURL: "https://app.example", SessionSecret: "Lg2Xq8vTz4Rk7Wn1Bc5Jd9Hf3Ms6Pa0Q",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}
