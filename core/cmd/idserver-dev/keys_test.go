package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jwk"

	idserver "github.com/signward/idserver-go/core"
)

// What is printed is what IDSERVER_CLIENT_KEYS takes, and a public set that others understand.
func TestKeys(t *testing.T) {
	t.Parallel()
	for _, algorithm := range signingAlgorithms {
		var out, stderr strings.Builder
		if status := runKeys([]string{"-alg", algorithm, "-enc"}, &out, &stderr); status != 0 {
			t.Fatalf("%s: status %d, %s", algorithm, status, stderr.String())
		}
		_, rest, _ := strings.Cut(out.String(), "export IDSERVER_CLIENT_KEYS=")
		private, rest, _ := strings.Cut(rest, "\n")
		lines := strings.Split(strings.TrimSpace(rest), "\n")
		public := lines[len(lines)-1]

		keys, err := idserver.ParseClientKeys(private)
		if err != nil || len(keys) != 2 || keys[0].Algorithm != algorithm || keys[0].Use != "sig" || keys[1].Use != "enc" {
			t.Errorf("%s: %v, %v", algorithm, keys, err)
		}
		if theirs, err := jwk.ParseString(strings.Trim(private, "'")); err != nil || theirs.Len() != 2 {
			t.Errorf("%s: jwx reads the private set: %v", algorithm, err)
		}
		if theirs, err := jwk.ParseString(public); err != nil || theirs.Len() != 2 {
			t.Errorf("%s: jwx reads the public set: %v", algorithm, err)
		}
		var set struct{ Keys []map[string]string }
		if err := json.Unmarshal([]byte(public), &set); err != nil || set.Keys[0]["kid"] != keys[0].ID || set.Keys[0]["d"] != "" || set.Keys[1]["alg"] != "ECDH-ES+A256KW" {
			t.Errorf("%s: the public set is %s, %v", algorithm, public, err)
		}
	}
	var out, stderr strings.Builder
	if status := runKeys(nil, &out, &stderr); status != 0 || strings.Contains(out.String(), "enc") {
		t.Errorf("without a flag: %d %s", status, out.String())
	}
}

func TestKeysRefuses(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		`-alg "HS256"`: {"-alg", "HS256"}, `unexpected argument "x"`: {"x"}, "not defined": {"-private"},
	} {
		var out, stderr strings.Builder
		if status := run(t.Context(), append([]string{"keys"}, args...), &out, &stderr); status != 2 || !strings.Contains(stderr.String(), want) || out.Len() > 0 {
			t.Errorf("%v: status %d, %s", args, status, stderr.String())
		}
	}
	var out, stderr strings.Builder
	if status := run(t.Context(), []string{"keys", "-h"}, &out, &stderr); status != 0 || !strings.Contains(stderr.String(), "-enc") {
		t.Errorf("help: %d %s", status, stderr.String())
	}
}
