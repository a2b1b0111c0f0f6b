package idserver

import (
	"reflect"
	"testing"
	"time"
)

func TestDefaults(t *testing.T) {
	got := Config{Authority: "https://id.example"}.withDefaults()
	if got.Logger == nil || got.Now == nil {
		t.Error("no logger or no clock")
	}
	got.Logger, got.Now = nil, nil
	want := Config{
		Authority: "https://id.example", Audience: "idserver-api", RoutesPath: "/auth", CallbackPath: "/auth/callback", RolesClaim: []string{"roles"},
		Session:  SessionConfig{Idle: time.Hour, Max: 12 * time.Hour, StaleMax: time.Hour},
		Provider: ProviderConfig{WebBaseURL: "https://id.example", Leeway: 10 * time.Second},
		HTTP:     HTTPConfig{Timeout: 10 * time.Second}, TokenCacheBytes: 18 << 20, LogSubject: subjectHashed,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %#v\nwant %#v", got, want)
	}
	own := Config{
		Authority: "https://id.example", Audience: "a", RoutesPath: "/r", CallbackPath: "/r/callback", RolesClaim: []string{"g"},
		Session: SessionConfig{Idle: 1, Max: 1, StaleMax: 1}, Provider: ProviderConfig{WebBaseURL: "https://www.example", Leeway: 1},
		HTTP: HTTPConfig{Timeout: 1}, TokenCacheBytes: 1, LogSubject: subjectPlain,
	}
	got = own.withDefaults()
	if got.Logger, got.Now = nil, nil; !reflect.DeepEqual(got, own) {
		t.Errorf("a setting was replaced: %#v", got)
	}
}
