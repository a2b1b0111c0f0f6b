package leaktest

import (
	"fmt"
	"strings"
	"testing"
)

type leaky struct {
	Text   string
	hidden string
	Bytes  []byte
	More   map[string]*leaky
}

func TestMark(t *testing.T) {
	t.Parallel()
	var v leaky
	Mark(&v)
	if text := fmt.Sprintf("%s %s %s %s", v.Text, v.hidden, v.Bytes, v.More["«More»"].hidden); text != "«Text» «hidden» «Bytes» «More.hidden»" {
		t.Errorf("got %s", text)
	}
}

// What shows is found wherever it shows.
func TestShows(t *testing.T) {
	t.Parallel()
	v := leaky{Text: "«Text»", hidden: "«hidden»"}
	for name, row := range map[string]struct {
		value any
		shown []string
		found []string // parts, each of one
		not   string
	}{
		"a field":      {v, []string{"Text"}, []string{"%v shows hidden", "%#v in a struct shows hidden", "slog's text shows hidden"}, "shows Text"},
		"marshalled":   {v, []string{"hidden"}, []string{"JSON shows Text", "slog's JSON shows Text"}, "shows hidden"},
		"bytes":        {leaky{Bytes: []byte("«Bytes»")}, nil, []string{"%v shows bytes", "%#v shows bytes", "JSON shows bytes"}, "shows Text"},
		"nothing":      {1, nil, nil, "shows"},
		"not possible": {func() {}, nil, []string{"cannot be marshalled"}, "shows"},
	} {
		t.Run(name, func(t *testing.T) {
			all := strings.Join(shows(row.value, row.shown, true), "\n")
			for _, found := range row.found {
				if !strings.Contains(all, found) {
					t.Errorf("%q is not in %s", found, all)
				}
			}
			if strings.Contains(all, row.not) {
				t.Errorf("%q is in %s", row.not, all)
			}
		})
	}
}
