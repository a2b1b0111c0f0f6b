package idserver

import (
	"context"
	"errors"
	"testing"
	"time"
)

// A signed-out session is refused for as long as it may live, also if another replica, which does not know, renews its cookie.
func TestSignedOutForSessionMax(t *testing.T) {
	now := time.Unix(1800000000, 0)
	c, err := New(Config{
		Authority: "https://op.example", ClientID: "c", BaseURL: "https://app.example", SessionSecret: "a-secret-of-at-least-thirty-two-bytes",
		Now: func() time.Time { return now }, Session: SessionConfig{Idle: time.Hour, Max: 2 * time.Hour},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	w := c.site.(*web)
	s := newSession(fullSession().kept, &User{Issuer: "i", Subject: "s"}, Tokens{}, now, now)
	w.end(context.Background(), s)
	now = now.Add(2 * time.Hour)
	if _, err := w.refresh(context.Background(), &Request{}, s); !errors.Is(err, errSignedOut) {
		t.Error("after two hours it may come back")
	}
	now = now.Add(time.Hour)
	if _, err := w.refresh(context.Background(), &Request{}, s); err != nil {
		t.Error("it is remembered for ever")
	}
}
