package main

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"log"
	"maps"
	"net/http"
	"slices"
	"strings"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/sgid"
)

var (
	//go:embed style.css
	style string
	//go:embed pages.html
	pagesText string
	//go:embed spa.js
	script string
)

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"style":  func() template.CSS { return template.CSS(style) },
	"script": func() template.JS { return template.JS(script) },
	"policy": func() string { // a page loads nothing, and runs nothing but that script
		return "default-src 'none'; style-src " + hashOf(style) + "; script-src " + hashOf(script) + "; connect-src 'self'; base-uri 'none'"
	},
	"initials": initials,
}).Parse(pagesText))

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

var titles = map[string]string{"home": "Home", "profile": "Your profile", "failed": "No answer", "spa": "Single page"}

// view is what a page shows. User is nil if nobody is signed in.
type view struct {
	Title string
	User  *idserver.User
	Info  *sgid.UserInfo
}

func writePage(w http.ResponseWriter, name string, data view) {
	data.Title = titles[name]
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if err := pages.ExecuteTemplate(w, name, data); err != nil {
		log.Println(err)
	}
}

func (v view) IceCream() string    { return iceCream(v.User) }
func (v view) IceCreams() []string { return iceCreams }

func (v view) Vehicles() (numbers []string) {
	vehicles, err := v.Info.Data.Vehicles()
	if err != nil {
		return []string{"unreadable"}
	}
	for _, vehicle := range vehicles {
		numbers = append(numbers, vehicle.Number)
	}
	return numbers
}

// fact is one of the person's data as it is shown.
type fact struct {
	Name, Text string
	Pre        bool // keep its line breaks
}

func (v view) Facts() (facts []fact) {
	for _, scope := range slices.Sorted(maps.Keys(v.Info.Data)) {
		one := fact{label(scope), v.Info.Data[scope], false}
		var indented bytes.Buffer
		if strings.HasPrefix(one.Text, "[") && json.Indent(&indented, []byte(one.Text), "", "  ") == nil {
			one.Text, one.Pre = indented.String(), true
		}
		facts = append(facts, one)
	}
	return facts
}

// label makes "Date of birth" of "myinfo.date_of_birth".
func label(scope string) string {
	_, words, found := strings.Cut(scope, ".")
	if !found || words == "" {
		return scope
	}
	words = strings.ReplaceAll(words, "_", " ")
	return strings.ToUpper(words[:1]) + words[1:]
}

func initials(name string) (letters string) {
	words := strings.Fields(name)
	if len(words) == 0 {
		return "?"
	}
	for _, word := range slices.Compact([]string{words[0], words[len(words)-1]}) {
		letters += strings.ToUpper(string([]rune(word)[:1]))
	}
	return letters
}
