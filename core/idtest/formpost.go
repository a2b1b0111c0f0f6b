package idtest

import (
	"crypto/sha256"
	"encoding/base64"
	"html"
	"html/template"
	"net/http"
	"net/url"
	"regexp"
)

// submit posts the only form of a page as soon as the browser has read it.
const submit = "document.forms[0].submit()"

// submitPolicy allows nothing but that script. There is no form-action: the form leads to the client.
var submitPolicy = func() string {
	sum := sha256.Sum256([]byte(submit))
	return "default-src 'none'; script-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; frame-ancestors 'none'; base-uri 'none'"
}()

var formPostTemplate = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Back to the application</title>
</head>
<body>
<form method="post" action="{{.Action}}">
{{range $name, $values := .Form}}{{range $values}}<input type="hidden" name="{{$name}}" value="{{.}}">
{{end}}{{end}}<noscript><button>Continue</button></noscript>
</form>
<script>` + submit + `</script>
</body>
</html>
`))

// formPostPage answers with a page that posts the response to the client.
func formPostPage(w http.ResponseWriter, action string, form url.Values) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", submitPolicy)
	h.Set("Referrer-Policy", "strict-origin") // the client sees the origin, and not the request
	h.Set("Cache-Control", "no-store")
	_ = formPostTemplate.Execute(w, struct {
		Action string
		Form   url.Values
	}{action, form})
}

var (
	formPostAction = regexp.MustCompile(`<form method="post" action="([^"]+)">`)
	formPostInput  = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
)

// readFormPostPage reads what a browser would post.
func readFormPostPage(page []byte) (action *url.URL, form url.Values, ok bool) {
	match := formPostAction.FindSubmatch(page)
	if match == nil {
		return nil, nil, false
	}
	action, err := url.Parse(html.UnescapeString(string(match[1])))
	if err != nil {
		return nil, nil, false
	}
	form = url.Values{}
	for _, input := range formPostInput.FindAllSubmatch(page, -1) {
		form.Add(html.UnescapeString(string(input[1])), html.UnescapeString(string(input[2])))
	}
	return action, form, true
}
