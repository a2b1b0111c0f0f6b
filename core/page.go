package idserver

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"html"
	"net/http"
	"strings"
)

// page is a built-in page. All its strings are plain text and are escaped when the page is written. They stand in two
// places only, between tags and in double-quoted attributes, where html.EscapeString is enough: html/template would add
// 9 MB to every program, because its reflection keeps the linker from leaving out what is not called.
type page struct {
	application string // its name, above the heading and in the title; may be empty
	title, text string
	user        *User // the account that the page is about; may be nil
	userIs      string
	actions     []action // the first is the one to take
	code        RefusalCode
}

// action is a link or, if it posts, a button. Its target is a path of this application, or thisPage; that of one that leaves is an
// http URL as well. A link to anything else is left out: a page of ours must not lead elsewhere, and a javascript: URL would
// run in it.
type action struct {
	label, target string
	posts, leaves bool
}

// thisPage is a link's target that loads the page again, at whatever address and with whatever query it has.
const thisPage = ""

// html returns the page.
func (p page) html() []byte {
	title := html.EscapeString(p.title)
	var b strings.Builder
	b.WriteString(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>` + title)
	if p.application != "" {
		b.WriteString(` · ` + html.EscapeString(p.application))
	}
	b.WriteString("</title>\n<style>" + pageStyle + "</style>\n</head>\n<body>\n<main>\n")
	if p.application != "" {
		b.WriteString(`<p class="application">` + html.EscapeString(p.application) + "</p>\n")
	}
	b.WriteString("<h1>" + title + "</h1>\n<p>" + html.EscapeString(p.text) + "</p>\n")
	if p.user != nil {
		b.WriteString(`<p class="user">` + html.EscapeString(p.userIs) + " <strong>" + html.EscapeString(nameOf(p.user)) + "</strong></p>\n")
	}
	if len(p.actions) > 0 {
		b.WriteString(`<div class="actions">` + "\n")
		for _, a := range p.actions {
			b.WriteString(a.html())
		}
		b.WriteString("</div>\n")
	}
	if p.code != "" {
		b.WriteString("<footer>Code: " + html.EscapeString(string(p.code)) + "</footer>\n")
	}
	b.WriteString("</main>\n</body>\n</html>\n")
	return []byte(b.String())
}

func (a action) html() string {
	target, label := html.EscapeString(a.target), html.EscapeString(a.label)
	switch {
	case a.leaves && isHTTP(a.target):
	case a.target != thisPage && !isLocalPath(a.target):
		return ""
	case a.posts:
		return `<form method="post" action="` + target + `"><button>` + label + "</button></form>\n"
	}
	return `<a href="` + target + `">` + label + "</a>\n"
}

// isHTTP reports whether a target is an http or https URL, and none that would run in a page.
func isHTTP(target string) bool {
	return strings.HasPrefix(target, "https://") || strings.HasPrefix(target, "http://")
}

// nameOf is what a person is called on a page, by which they know the account from their other ones.
func nameOf(u *User) string {
	if u.Name != "" && u.Email != "" {
		return u.Name + " (" + u.Email + ")"
	}
	return cmp.Or(u.Name, u.Email, u.Subject)
}

// pageStyle shows the first action as a button and the others as links, in the reader's own light or dark.
const pageStyle = `:root{color-scheme:light dark;--page:#f3f5f9;--card:#fff;--text:#172033;--soft:#5c6880;--line:#dde2ec;--accent:#1f5fd0;--on:#fff;--tint:#eaf1ff}
@media(prefers-color-scheme:dark){:root{--page:#0e131c;--card:#171e2a;--text:#e7ecf5;--soft:#98a4ba;--line:#2b3546;--accent:#7eaaff;--on:#0e131c;--tint:#1c2a45}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.25rem;background:var(--page);color:var(--text);font:16px/1.5 system-ui,sans-serif}
main{width:100%;max-width:27rem;padding:2rem;background:var(--card);border:1px solid var(--line);border-radius:16px;box-shadow:0 12px 32px rgb(16 24 40/.08);overflow-wrap:anywhere}
h1{margin:0;font-size:1.375rem;line-height:1.3;text-wrap:balance}
p{margin:.5rem 0 0;color:var(--soft);text-wrap:pretty}
.application{margin:0 0 .75rem;color:var(--accent);font-size:.875rem;font-weight:600}
.user{margin-top:1rem;padding:.625rem .875rem;border-radius:10px;background:var(--tint);font-size:.875rem}
strong{color:var(--text);font-weight:600}
.actions{display:flex;flex-wrap:wrap;gap:.625rem;margin-top:1.5rem}
a,button{display:block;padding:.625rem 1.125rem;border:1px solid var(--line);border-radius:10px;background:none;color:var(--text);font:inherit;font-weight:500;text-decoration:none;cursor:pointer}
a:hover,button:hover{border-color:var(--accent)}
.actions>:first-child:is(a),.actions>:first-child button{border-color:var(--accent);background:var(--accent);color:var(--on)}
a:focus-visible,button:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
footer{margin-top:1.5rem;padding-top:1rem;border-top:1px solid var(--line);color:var(--soft);font-size:.8125rem}
@media(max-width:26rem){main{padding:1.5rem}.actions,form{display:grid}.actions>*{text-align:center}}`

// pageFields are the header fields of the built-in pages: nothing may be loaded, and nothing may frame them. There is no
// form-action, because Chromium applies it to the redirect that follows the form, and sign-out leads to the provider.
var pageFields = func() []Field {
	sum := sha256.Sum256([]byte(pageStyle))
	policy := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; frame-ancestors 'none'; base-uri 'none'"
	return []Field{
		{"Content-Type", "text/html; charset=utf-8"},
		{"Content-Security-Policy", policy},
		{"Referrer-Policy", "same-origin"},
	}
}()

// refusalPage returns the page of a refusal.
func (c *Client) refusalPage(r *Request, refusal *Refusal) []byte {
	p := page{application: c.cfg.ApplicationName, title: refusal.Title, text: refusal.Detail, code: refusal.Code}
	if p.user, p.userIs = refusal.User, "Signed in as"; refusal.Code == CodeSignInRefused {
		p.userIs = "Your account:"
	}
	switch {
	case refusal.RetryAfter > 0 || refusal.Code == CodeInternal || refusal.Code == CodeSessionNotRenewed:
		if r.Method != http.MethodGet { // a link would not post the form again; the browser's reload does
			break
		}
		p.actions = append(p.actions, action{label: "Try again", target: thisPage})
	case refusal.SignInURL != "" && notAdmitted(refusal.Code):
		p.actions = append(p.actions, action{label: "Sign in as someone else", target: refusal.SignInURL})
	case refusal.SignInURL != "":
		p.actions = append(p.actions, action{label: "Sign in", target: refusal.SignInURL})
	}
	if home := c.site.wayHome(*r); home != "" {
		p.actions = append(p.actions, action{label: "Start page", target: home})
	}
	return p.html()
}

// signOutPage asks whether to sign out, or says that nobody is signed in.
func (w *web) signOutPage(ctx context.Context, r *Request) []byte {
	p := page{application: w.cfg.ApplicationName}
	switch s, err := w.sessionOf(ctx, r); {
	case s == nil && err == nil:
		p.title, p.text = "You are signed out", "Nobody is signed in here in this browser."
		p.actions = []action{{label: "Sign in", target: w.loginURL()}, {label: "Start page", target: w.home()}}
	default: // who it is cannot be told if the store is away
		p.title, p.text = "Sign out?", "You can sign in again whenever you like."
		if s != nil {
			p.user, p.userIs = s.user, "Signed in as"
		}
		p.actions = []action{{label: "Sign out", target: w.signOutURL(r), posts: true}, {label: "Stay signed in", target: w.home()}}
	}
	return p.html()
}

// signedOutPage says that a sign-out holds in this browser, and not yet everywhere. It leads to where a sign-out leads.
func (w *web) signedOutPage(target string) []byte {
	return page{
		application: w.cfg.ApplicationName,
		title:       "You are signed out in this browser",
		text: "The rest of the sign-out could not be completed now, and follows as soon as possible. If somebody else may be using your account, " +
			"sign in and out once more in a few minutes.",
		actions: []action{{label: "Continue", target: target, leaves: true}},
	}.html()
}
