package idserver

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"testing"
)

// README.md lists every code with its status.
func TestCodesAreListed(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[RefusalCode]int{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (\\d+) \\|").FindAllStringSubmatch(string(readme), -1) {
		status, _ := strconv.Atoi(row[2])
		listed[RefusalCode(row[1])] = status
	}
	for code, kind := range refusalKinds {
		if listed[code] != kind.status {
			t.Errorf("README.md lists %s with status %d, want %d", code, listed[code], kind.status)
		}
		if slices.Contains([]string{kind.page.title, kind.page.detail, kind.answer.title, kind.answer.detail}, "") {
			t.Errorf("%s lacks words", code)
		}
	}
	if len(listed) != len(refusalKinds) {
		t.Errorf("README.md lists %d codes, want %d", len(listed), len(refusalKinds))
	}
}
