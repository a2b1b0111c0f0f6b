package house

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The behaviour suite sends a header field that no adapter has heard of: what the core learns to read later must reach it
// through adapters that are already published. It proves nothing if an adapter knows the name.
func TestAdaptersKnowNoNewHeader(t *testing.T) {
	const learntLater = "X-Learnt-Later"
	suite, err := os.ReadFile(filepath.Join(root, "core/idtest/adaptertest/inspect.go"))
	if err != nil || !bytes.Contains(suite, []byte(`"`+learntLater+`"`)) {
		t.Fatalf("the suite does not send %s (%v)", learntLater, err)
	}
	looked := 0
	for _, adapter := range adapters {
		files, err := filepath.Glob(filepath.Join(root, adapter, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			source, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if looked++; bytes.Contains(bytes.ToLower(source), []byte(strings.ToLower(learntLater))) {
				t.Errorf("%s names %s", name, learntLater)
			}
		}
	}
	if looked < 6 {
		t.Errorf("only %d files of adapters were looked at", looked)
	}
}
