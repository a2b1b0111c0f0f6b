package idserver

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
)

const pageStyle = `:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;margin:0;min-height:100vh;display:grid;place-items:center;background:Canvas;color:CanvasText}main{max-width:28rem;margin:1rem;padding:2rem;border:1px solid color-mix(in srgb,CanvasText 20%,transparent);border-radius:12px}h1{font-size:1.25rem;margin:0 0 .5rem}a.go,button{display:inline-block;margin-top:1rem;padding:.6rem 1.2rem;border:0;border-radius:8px;background:#1f5fd0;color:#fff;font:inherit;text-decoration:none;cursor:pointer}small{display:block;margin-top:1.5rem;opacity:.7}`

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

var pages = template.Must(template.New("").Parse(`{{define "head"}}<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}}</title><style>` + pageStyle + `</style></head>
<body><main><h1>{{.Title}}</h1>{{end}}
{{define "refusal"}}{{template "head" .}}
<p>{{.Detail}}</p>{{with .SignInURL}}
<a class="go" href="{{.}}">{{if $.AsSomeoneElse}}Sign in as someone else{{else}}Sign in{{end}}</a>{{end}}
<small>Code: {{.Code}}</small></main></body></html>
{{end}}
{{define "signOut"}}{{template "head" .}}
<p>Do you want to sign out of this application?</p>
<form method="post" action="{{.Action}}"><button>Sign out</button></form></main></body></html>
{{end}}`))

func refusalPage(refusal Refusal) []byte { return page("refusal", &refusal) }

func signOutPage(action string) []byte {
	return page("signOut", struct{ Title, Action string }{"Sign out", action})
}

func page(name string, data any) []byte {
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, name, data); err != nil {
		panic(err) // the templates and their data are both from this package
	}
	return b.Bytes()
}
