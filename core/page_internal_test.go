package idserver

import (
	"bytes"
	"html/template"
	"strings"
	"testing"
)

// reference is the page as html/template writes it, which looks at where each text stands. data-target is in place of href
// and action, because html/template also rewrites URLs; isLocalPath has seen to these.
var reference = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}}{{with .Application}} · {{.}}{{end}}</title>
<style></style>
</head>
<body>
<main>
{{with .Application}}<p class="application">{{.}}</p>
{{end}}<h1>{{.Title}}</h1>
<p>{{.Text}}</p>
<p class="user">Signed in as <strong>{{.User}}</strong></p>
<div class="actions">
{{if .Local}}<a data-target="{{.Target}}">{{.Label}}</a>
{{end}}{{if .Leads}}<a data-target="{{.Target}}">{{.Label}}</a>
{{end}}{{if .Local}}<form method="post" data-target="{{.Target}}"><button>{{.Label}}</button></form>
{{end}}</div>
{{with .Code}}<footer>Code: {{.}}</footer>
{{end}}</main>
</body>
</html>
`))

// No text leaves its place on the page: it is written as html/template would.
func FuzzPage(f *testing.F) {
	for _, s := range []string{"", "Orders", `"><script>alert(1)</script>`, "javascript:alert(1)", "//evil.example", "https://id.example/end?a=b&c=\"", "HTTPS://id.example", `/a?b="c'd&e`, "/&quot;", "a\x00b", "\xff", "</title>", "+`=", "陳亞明"} {
		f.Add(s, "The title", "/profile", "Alice Tan")
		f.Add("Orders", s, "/auth/login?return_to=%2F"+s, s)
		f.Add("Orders", "The title", s, s)
	}
	f.Fuzz(func(t *testing.T, application, text, target, name string) {
		got := string(page{
			application: application, title: text, text: text, user: &User{Subject: "x", Name: name}, userIs: "Signed in as", code: RefusalCode(text),
			actions: []action{{label: name, target: target}, {label: name, target: target, leaves: true}, {label: name, target: target, posts: true}},
		}.html())
		got = strings.NewReplacer(pageStyle, "", "href=", "data-target=", "action=", "data-target=").Replace(got)

		shown := name
		if name == "" {
			shown = "x"
		}
		local := target == thisPage || isLocalPath(target)
		var want bytes.Buffer
		err := reference.Execute(&want, map[string]any{
			"Application": application, "Title": text, "Text": text, "User": shown, "Code": text, "Label": name, "Target": target,
			"Local": local, "Leads": local || strings.HasPrefix(target, "https://") || strings.HasPrefix(target, "http://"),
		})
		if err != nil {
			t.Fatal(err)
		}
		// html/template has another way to write two characters.
		same := strings.NewReplacer("&#43;", "+", "\x00", "\uFFFD", "href=", "data-target=", "action=", "data-target=", pageStyle, "")
		if same.Replace(got) != same.Replace(want.String()) {
			t.Errorf("the page is\n%s\nhtml/template's is\n%s", got, want.String())
		}
	})
}
