package idtest

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Person is someone whom the provider signs in. Empty fields are left out of tokens, except for the roles, which are then
// empty lists.
type Person struct {
	Login         string   // the value of the sign-in button; not a claim
	Subject       string   // sub; default: Login
	Email         string   // email
	EmailVerified bool     // email_verified
	Name          string   // name
	GivenName     string   // given_name
	FamilyName    string   // family_name
	TenantID      string   // tenant_id
	Roles         []string // roles
	CustomRoles   []string // custom_roles
}

// People returns the people of the example apps, all of one tenant: alice (admin, user; custom role billing), bob
// (editor) and carol (user). The caller may modify the slice.
func People() []Person {
	const tenant = "7b1d5c52-0000-4000-8000-00000000acee"
	return []Person{
		{
			Login: "alice", Subject: "6f0c2a3e-0000-4000-8000-00000000a11c", TenantID: tenant,
			Email: "alice@example.test", EmailVerified: true,
			Name: "Alice Tan", GivenName: "Alice", FamilyName: "Tan",
			Roles: []string{"admin", "user"}, CustomRoles: []string{"billing"},
		},
		{
			Login: "bob", Subject: "6f0c2a3e-0000-4000-8000-000000000b0b", TenantID: tenant,
			Email: "bob@example.test", EmailVerified: true,
			Name: "Bob Lim", GivenName: "Bob", FamilyName: "Lim",
			Roles: []string{"editor"},
		},
		{
			Login: "carol", Subject: "6f0c2a3e-0000-4000-8000-00000000ca01", TenantID: tenant,
			Email: "carol@example.test", EmailVerified: true,
			Name: "Carol Ng", GivenName: "Carol", FamilyName: "Ng",
			Roles: []string{"user"},
		},
	}
}

// SetPerson adds a person, or replaces the one with the same Login: tokens that are issued or refreshed from now on have
// the new claims.
func (p *Provider) SetPerson(person Person) { p.registry.setPerson(person) }

// SetSignedIn has the provider keep the sign-in of a person, as if in every browser: a request with prompt=none (OpenID Connect Core
// section 3.1.2.1) is then answered with a code for them, unless its id_token_hint is somebody else's. "" is nobody, which is how it
// begins: prompt=none is answered with login_required. Other requests show the page, whoever is signed in.
func (p *Provider) SetSignedIn(login string) {
	p.registry.mu.Lock()
	defer p.registry.mu.Unlock()
	p.registry.signedIn = keptSignIn{login, p.now()}
}

// standardClaims returns the claims about a person that the scope asks for, OpenID Connect Core section 5.4.
func (person Person) standardClaims(scope string) map[string]any {
	claims := map[string]any{"sub": person.Subject}
	if hasScope(scope, "profile") {
		put(claims, "name", person.Name)
		put(claims, "given_name", person.GivenName)
		put(claims, "family_name", person.FamilyName)
	}
	if hasScope(scope, "email") && person.Email != "" {
		claims["email"], claims["email_verified"] = person.Email, person.EmailVerified
	}
	return claims
}

// addTenantClaims adds Signward's own claims. They do not depend on the scope: no documentation says that they do.
func (person Person) addTenantClaims(claims map[string]any) {
	put(claims, "tenant_id", person.TenantID)
	claims["roles"] = append([]string{}, person.Roles...)
	claims["custom_roles"] = append([]string{}, person.CustomRoles...)
}

func put(claims map[string]any, name, value string) {
	if value != "" {
		claims[name] = value
	}
}

func hasScope(scope, name string) bool { return slices.Contains(strings.Fields(scope), name) }

// registry holds the people who can be signed in and the clients that can ask for it.
type registry struct {
	mu       sync.RWMutex
	clients  []Client
	people   []Person
	signedIn keptSignIn

	registered int // clients that registered themselves
}

// keptSignIn is whose sign-in the provider keeps, since when.
type keptSignIn struct {
	login string
	since time.Time
}

func (g *registry) fill(clients []Client, people []Person) {
	for _, client := range clients {
		g.setClient(client)
	}
	for _, person := range people {
		g.setPerson(person)
	}
}

func (g *registry) setPerson(person Person) {
	person.Subject = cmp.Or(person.Subject, person.Login)
	person.Roles, person.CustomRoles = slices.Clone(person.Roles), slices.Clone(person.CustomRoles)
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.IndexFunc(g.people, func(other Person) bool { return other.Login == person.Login }); i >= 0 {
		g.people[i] = person
		return
	}
	g.people = append(g.people, person)
}

func (g *registry) setClient(client Client) {
	client.RedirectURIs = slices.Clone(client.RedirectURIs)
	client.PostLogoutRedirectURIs = slices.Clone(client.PostLogoutRedirectURIs)
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.IndexFunc(g.clients, func(other Client) bool { return other.ID == client.ID }); i >= 0 {
		g.clients[i] = client
		return
	}
	g.clients = append(g.clients, client)
}

func (g *registry) everyone() []Person {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return slices.Clone(g.people)
}

func (g *registry) person(login string) (Person, bool) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	i := slices.IndexFunc(g.people, func(person Person) bool { return person.Login == login })
	if i < 0 {
		return Person{}, false
	}
	return g.people[i], true
}

func (g *registry) client(id string) (Client, bool) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	i := slices.IndexFunc(g.clients, func(client Client) bool { return client.ID == id })
	if i < 0 {
		return Client{}, false
	}
	return g.clients[i], true
}

func (g *registry) firstClient() string {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if len(g.clients) == 0 {
		return ""
	}
	return g.clients[0].ID
}
