package idserver_test

import (
	"encoding/json"
	"errors"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

var writeGolden = flag.String("golden", "", "write testdata/golden/NAME.json, when a version is released")

// written is what a version of this program has written: cookies, and a store with its root, sessions, leases, markers and lists.
type written struct {
	Issuer, Secret string
	Time           time.Time // when it was written
	Cookies        map[string]map[string]string
	Store          map[string][]byte
}

// goldenUsers are whose cookies there are, by where their session lives, and what a visit shows.
var goldenUsers = map[string]string{"sealed": "alice", "refreshed by another replica": "bob", "in the store": "carol", "signed out": "401"}

// What a version has written stays readable for two minor versions: a rolling deployment signs nobody out, and brings back nobody who
// has signed out. A file is added with "go test -run TestGolden -golden NAME" when a version is released; none is written anew.
func TestGolden(t *testing.T) {
	if *writeGolden != "" {
		bubble(t, func(t *testing.T) { writeGoldenFile(t, filepath.Join("testdata", "golden", *writeGolden+".json")) })
	}
	files, err := filepath.Glob(filepath.Join("testdata", "golden", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var f written
			if err := json.Unmarshal(text, &f); err != nil {
				t.Fatal(err)
			}
			for name, edit := range map[string]func(*idserver.Config){"sessions in cookies": inCookies, "sessions in the store": inStore} {
				t.Run(name, func(t *testing.T) { f.isRead(t, edit) })
			}
		})
	}
}

// isRead fails the test unless a client of this version answers whoever has the cookies. It cannot reach the provider.
func (f *written) isRead(t *testing.T, edit func(*idserver.Config)) {
	store := newSharedStore()
	for key, value := range f.Store {
		store.values[key] = value
	}
	cfg := idserver.Config{
		Authority: f.Issuer, ClientID: idtest.ExampleClient, ClientSecret: idtest.ExampleSecret, BaseURL: base, SessionSecret: f.Secret, Store: store,
		Now: func() time.Time { return f.Time.Add(time.Second) }, Logger: textLog(&logBuffer{}),
	}
	cfg.Session.List, cfg.Session.StaleMax = true, -1 // nobody is let in because the provider is away
	cfg.HTTP.Client = &http.Client{Transport: nowhere{}}
	edit(&cfg)
	client, err := idserver.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for whose, want := range goldenUsers {
		b := &browser{t, client, copyOf(f.Cookies[whose])}
		if got := b.seen(); got != want {
			t.Errorf("%s: %s, want %s", whose, got, want)
		}
	}
	all, err := client.Sessions(t.Context(), f.Issuer, aliceSubject)
	if err != nil || len(all) != 1 || all[0].Browser != "Firefox on Linux" {
		t.Errorf("alice's list is %+v, %v", all, err)
	}
}

// nowhere is a network without a provider.
type nowhere struct{}

func (nowhere) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("unplugged") }

// writeGoldenFile has people sign in, and writes what there is then.
func writeGoldenFile(t *testing.T, file string) {
	w := newReplicas(t, 15*time.Minute, idtest.Dialect{}, func(c *idserver.Config) { c.Session.List = true })
	f := written{Issuer: w.provider.URL(), Secret: secretOne, Cookies: map[string]map[string]string{}}
	bob := w.signedIn(t, "bob")
	f.Cookies["refreshed by another replica"] = copyOf(bob.cookies)
	time.Sleep(nearlyOver)
	if got := w.at(1, bob).seen(); got != "bob" {
		t.Fatal(got)
	}
	time.Sleep(time.Minute) // what bob's first cookie holds has expired
	f.Cookies["sealed"] = w.signedInFrom(t, "alice", fromFirefox).cookies
	out := w.signedIn(t, "alice")
	f.Cookies["signed out"] = copyOf(out.cookies)
	out.route("POST", "/auth/logout", navigates)
	stored := w.client(t, inStore, func(c *idserver.Config) { c.Store, c.Session.List = w.store, true })
	carol := &browser{t, stored, map[string]string{}}
	carol.route("GET", w.authorize(t, carol.begin("/auth/login"), "carol"), navigates)
	f.Cookies["in the store"] = carol.cookies
	f.Time, f.Store = time.Now(), w.store.values
	text, err := json.MarshalIndent(f, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}
