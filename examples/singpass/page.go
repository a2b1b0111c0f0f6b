package main

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"log"
	"net/http"
	"strings"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/singpass"
)

var (
	//go:embed style.css
	style string
	//go:embed page.html
	pageText string
)

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"style": func() template.CSS { return template.CSS(style) },
	"policy": func() string { // a page loads nothing, and runs nothing
		sum := sha256.Sum256([]byte(style))
		return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'"
	},
}).Parse(pageText))

var titles = map[string]string{"home": "Home", "profile": "Your profile", "failed": "No answer"}

// view is what a page shows. User is nil if nobody is signed in, Person if nothing is shared, and Business if nobody acts for an entity.
type view struct {
	Title    string
	User     *idserver.User
	Person   *singpass.Person
	Business *singpass.Business
}

func writePage(w http.ResponseWriter, status int, name string, data view) {
	data.Title = titles[name]
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if err := pages.ExecuteTemplate(w, name, data); err != nil {
		log.Println(err)
	}
}

// fact is one of the person's data as it is shown.
type fact struct{ Name, Text string }

// Facts are the items that are there.
func (v view) Facts() (facts []fact) {
	add := func(name, text string) {
		if text != "" {
			facts = append(facts, fact{name, text})
		}
	}
	if b := v.Business; b != nil {
		add("Person who acts", b.Person.Subject)
		add("Entity", b.Entity("basic_profile.name").Text())
		if a, ok := b.Entity("address").Address(); ok {
			add("Its address", addressLine(a))
		}
		for _, role := range append(b.Authorizations(), b.ThirdParty()...) {
			if role.ValidAt(time.Now()) {
				add(role.Role, strings.TrimSpace(role.Service+" "+role.Client))
			}
		}
	}
	p := v.Person
	if p == nil {
		return facts
	}
	add("NRIC or FIN", p.IdentityNumber())
	if date, ok := p.DateOfBirth(); ok {
		add("Date of birth", date.String())
	}
	add("Sex", p.Sex())
	add("Nationality", p.Nationality())
	add("E-mail", p.Email())
	add("Mobile", p.Mobile())
	if a, ok := p.RegisteredAddress(); ok {
		add("Address", addressLine(a))
	}
	for _, one := range p.Item("cpfcontributions.history").List() {
		add("CPF "+one.Member("month").Text(), one.Member("amount").Text()+" from "+one.Member("employer").Text())
	}
	return facts
}

func addressLine(a singpass.Address) string {
	if len(a.Lines) > 0 {
		return strings.Join(a.Lines, ", ")
	}
	unit := ""
	if a.Floor != "" || a.Unit != "" {
		unit = fmt.Sprintf(" #%s-%s", a.Floor, a.Unit)
	}
	return fmt.Sprintf("%s %s%s, %s %s", a.Block, a.Street, unit, a.Country, a.Postal)
}
