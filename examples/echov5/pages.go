package main

import (
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	idserver "github.com/signward/idserver-go/core"
)

//go:embed style.css
var style string

//go:embed live.js
var script string

//go:embed pages.html
var pagesText string

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"style":  func() template.CSS { return template.CSS(style) },
	"script": func() template.JS { return template.JS(script) },
	"policy": func() string { // a page loads nothing, and runs live.js alone
		return "default-src 'none'; style-src " + hash(style) + "; script-src " + hash(script) + "; connect-src 'self'; base-uri 'none'"
	},
	"initials":   initials,
	"replicated": replicated,
}).Parse(pagesText))

// hash names an element's text in a Content-Security-Policy.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

var titles = map[string]string{"home": "Home", "profile": "Your profile", "admin": "Administration", "devices": "Your devices"}

// writePage writes one of the pages. user is nil if nobody is signed in.
func writePage(w io.Writer, name string, user *idserver.User) error {
	view := struct {
		Title  string
		User   *idserver.User
		Claims []claim
	}{titles[name], user, nil}
	if name == "profile" {
		var err error
		if view.Claims, err = claimsOf(user); err != nil {
			return err
		}
	}
	return pages.ExecuteTemplate(w, name, view)
}

// initials are the first letters of a name's first and last word.
func initials(user *idserver.User) (letters string) {
	words := strings.Fields(cmp.Or(user.Name, user.Email))
	if len(words) == 0 {
		return "?"
	}
	for _, word := range slices.Compact([]string{words[0], words[len(words)-1]}) {
		letters += strings.ToUpper(string([]rune(word)[:1]))
	}
	return letters
}

// claim is a claim as a person reads it.
type claim struct {
	Name, Text string
	List       []string
}

func claimsOf(user *idserver.User) (shown []claim, err error) {
	var all map[string]json.RawMessage
	if err := user.Claims(&all); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		one := claim{Name: name, Text: string(all[name])}
		var seconds float64
		isDate := slices.Contains([]string{"auth_time", "exp", "iat", "nbf", "updated_at"}, name) && json.Unmarshal(all[name], &seconds) == nil
		switch {
		case isDate:
			one.Text = time.Unix(int64(seconds), 0).UTC().Format("2 January 2006, 15:04:05 UTC")
		case json.Unmarshal(all[name], &one.Text) == nil: // a string
		case json.Unmarshal(all[name], &one.List) != nil:
			one.List = nil // neither a string nor a list of strings: as it is
		case len(one.List) == 0:
			one.Text = "none"
		}
		shown = append(shown, one)
	}
	return shown, nil
}
