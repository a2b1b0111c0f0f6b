package idtest

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"html"
	"html/template"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

const style = `:root{color-scheme:light dark;--page:#f3f5f9;--card:#fff;--text:#172033;--soft:#5c6880;--line:#dde2ec;--accent:#1f5fd0;--tint:#eaf1ff}
@media(prefers-color-scheme:dark){:root{--page:#0e131c;--card:#171e2a;--text:#e7ecf5;--soft:#98a4ba;--line:#2b3546;--accent:#7eaaff;--tint:#1c2a45}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.25rem;background:var(--page);color:var(--text);font:16px/1.5 system-ui,sans-serif}
main{width:100%;max-width:27rem;padding:2rem;background:var(--card);border:1px solid var(--line);border-radius:16px;box-shadow:0 12px 32px rgb(16 24 40/.08)}
h1{margin:0;font-size:1.375rem;line-height:1.3}
p{margin:.5rem 0 0;color:var(--soft);overflow-wrap:anywhere}
strong{color:var(--text);font-weight:600}
form{display:grid;gap:.625rem;margin-top:1.5rem}
input{width:100%;padding:.75rem .875rem;border:1px solid var(--line);border-radius:12px;background:none;color:inherit;font:inherit;letter-spacing:.125em}
button{width:100%;padding:.75rem .875rem;border:1px solid var(--line);border-radius:12px;background:none;color:inherit;font:inherit;text-align:left;cursor:pointer}
button:hover{border-color:var(--accent);background:var(--tint)}
button:focus-visible,input:focus-visible,a:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
.person{display:grid;grid-template-columns:2.5rem 1fr;gap:0 .875rem;align-items:center}
.person.hinted{border-color:var(--accent);background:var(--tint)}
.initials{display:grid;place-items:center;width:2.5rem;height:2.5rem;border-radius:50%;background:var(--tint);color:var(--accent);font-weight:600}
.name{display:block;font-weight:600}
.email{display:block;color:var(--soft);font-size:.875rem;overflow-wrap:anywhere}
.roles{display:flex;flex-wrap:wrap;gap:.25rem;margin-top:.375rem}
.role{padding:0 .5rem;border:1px solid var(--line);border-radius:99px;color:var(--soft);font-size:.75rem}
.cancel{border-color:transparent;color:var(--soft);text-align:center}
pre{margin:1rem 0 0;padding:.75rem;border:1px solid var(--line);border-radius:10px;white-space:pre-wrap;overflow-wrap:anywhere;font-size:.8125rem}
a{color:var(--accent)}
footer{margin-top:1.5rem;padding-top:1rem;border-top:1px solid var(--line);color:var(--soft);font-size:.8125rem}`

// contentPolicy allows nothing to be loaded and nobody to frame the page. There is deliberately no form-action: Chromium
// applies it to the redirect that follows the form, which leads to the client.
var contentPolicy = func() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; frame-ancestors 'none'; base-uri 'none'"
}()

var pages = template.Must(template.New("").Parse(`
{{- define "head"}}<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.}} · development provider</title>
<style>` + style + `</style>
</head>
<body>
<main>
<h1>{{.}}</h1>
{{end}}

{{- define "foot"}}<footer>Development provider: no passwords, no real people, this machine only.</footer>
</main>
</body>
</html>
{{end}}

{{- define "sign in"}}{{template "head" "Sign in"}}<p>Choose who you are. {{if .Device}}You sign in to the device that shows <strong>{{.Device}}</strong>.
{{- else}}<strong>{{.Client}}</strong> takes you back to <strong>{{.Destination}}</strong>.{{end}}</p>
<form method="post">
{{- range .People}}
<button class="person{{if .Hinted}} hinted{{end}}" name="user" value="{{.Login}}"{{if .Hinted}} autofocus{{end}}>
<span class="initials" aria-hidden="true">{{.Initials}}</span>
<span><span class="name">{{or .Name .Login}}</span>
{{- with .Email}} <span class="email">{{.}}</span>{{end}}
{{- if or .Roles .CustomRoles}} <span class="roles">
{{- range .Roles}}<span class="role">{{.}}</span> {{end}}
{{- range .CustomRoles}}<span class="role">{{.}}</span> {{end}}</span>{{end}}</span>
</button>
{{- end}}
<button class="cancel" name="cancel" value="1">Cancel</button>
</form>
{{template "foot"}}{{end}}

{{- define "device"}}{{template "head" "Sign in on another device"}}<p>{{with .Wrong}}No device waits for the code <strong>{{.}}</strong>. {{end}}Enter the code that the device shows.</p>
<form>
<input name="user_code" aria-label="Code" placeholder="ABCD-EFGH" required autofocus autocomplete="off" autocapitalize="characters" spellcheck="false">
<button>Continue</button>
</form>
{{template "foot"}}{{end}}

{{- define "message"}}{{template "head" .Title}}<p>{{.Text}}</p>
{{template "foot"}}{{end}}

{{- define "home"}}{{template "head" "OpenID provider"}}<p>For tests and development. Its issuer is <strong>{{.Issuer}}</strong>; an app finds the rest in its <a href="{{.Discovery}}">metadata</a>.</p>
{{with .Login}}<p>An access token for the terminal:</p>
<pre><code>curl -s -d user={{.}} {{$.Issuer}}/dev/token</code></pre>
{{end}}{{template "foot"}}{{end}}`))

type personButton struct {
	Person
	Initials string
	Hinted   bool
}

func (p *Provider) signInPage(w http.ResponseWriter, request authorizationRequest) {
	var people []personButton
	for _, person := range p.registry.everyone() {
		hint := request.hint
		people = append(people, personButton{
			Person:   person,
			Initials: initials(cmp.Or(person.Name, person.Login)),
			Hinted:   hint != "" && (hint == person.Login || hint == person.Subject || strings.EqualFold(hint, person.Email)),
		})
	}
	destination := request.redirectURI
	if u, err := url.Parse(destination); err == nil && u.Host != "" {
		destination = u.Scheme + "://" + u.Host
	}
	writePage(w, http.StatusOK, "sign in", struct {
		Client, Destination, Device string
		People                      []personButton
	}{request.client.ID, destination, request.device, people})
}

// initials are the first letters of a name's first and last word.
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

// home says what is listening here.
func (p *Provider) home(w http.ResponseWriter, r *http.Request) {
	login := "alice"
	if people := p.registry.everyone(); len(people) > 0 {
		login = people[0].Login
	}
	if p.options.Dialect.OpaqueAccessTokens { // there is no /dev/token then
		login = ""
	}
	writePage(w, http.StatusOK, "home", struct{ Issuer, Discovery, Login string }{
		p.URL(), p.URL() + p.path(Discovery), login,
	})
}

func refusalPage(w http.ResponseWriter, text string) {
	messagePage(w, http.StatusBadRequest, "Request refused", text)
}

func messagePage(w http.ResponseWriter, status int, title, text string) {
	writePage(w, status, "message", struct{ Title, Text string }{title, text})
}

func writePage(w http.ResponseWriter, status int, name string, data any) {
	var page bytes.Buffer
	if err := pages.ExecuteTemplate(&page, name, data); err != nil {
		panic(err) // the templates and their data are both from this package
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(page.Bytes())
}

var paragraph = regexp.MustCompile(`(?s)<h1>(.*?)</h1>\s*<p>(.*?)</p>`)

// mainText returns the text of a message page.
func mainText(page []byte) string {
	if match := paragraph.FindSubmatch(page); match != nil {
		return html.UnescapeString(string(match[1]) + ": " + string(match[2]))
	}
	return strings.TrimSpace(string(page))
}
