package sessioncodec

import (
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
)

func fullLogin() Login {
	return Login{
		State: "state", Browser: "browser", Nonce: "nonce", Verifier: "verifier", ReturnTo: "/a?b=\"é\"&c", AppData: []byte("plan=gold"), MaxAge: 3600,
		Begun: 1795530408123, Spent: 1795530409456,
	}
}

// silentLogin is a sign-in that goes on with a session that was lost.
func silentLogin() Login {
	return Login{State: "lost", Begun: 1795530408123, Lost: []byte("session")}
}

// steppedUp is a sign-in that must bring an acr.
func steppedUp() Login {
	return Login{State: "state", MaxAge: 300, ACR: []string{"gold", "platinum"}, Begun: 1795530408123}
}

func TestPackLogin(t *testing.T) {
	for name, l := range map[string]Login{"full": fullLogin(), "least": {State: "s"}, "with a key": {State: "s", ProofKey: []byte("key")}, "silent": silentLogin(), "stepped up": steppedUp()} {
		t.Run(name, func(t *testing.T) {
			packed, err := PackLogin(l)
			if err != nil {
				t.Fatal(err)
			}
			if back, err := UnpackLogin(packed); err != nil || !reflect.DeepEqual(back, l) {
				t.Errorf("what came back is something else, %v", err)
			}
		})
	}
}

func TestPackLoginRefuses(t *testing.T) {
	for name, l := range map[string]Login{
		"no state":           {Begun: 1},
		"a time before 1970": {State: "s", Begun: -1},
		"not UTF-8":          {State: "s", ReturnTo: "\xff"},
		"too long":           {State: "s", ReturnTo: strings.Repeat("a", MaxLoginSize)},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := PackLogin(l); err == nil {
				t.Error("packed")
			}
		})
	}
}

func TestUnpackLoginRefuses(t *testing.T) {
	for name, row := range map[string]struct {
		packed string
		want   error
	}{
		"empty":                {"", ErrMalformed},
		"a version alone":      {"\x01", ErrMalformed},
		"version 2":            {"\x02{}", ErrVersion},
		"JSON without version": {`{"state":"s"}`, ErrVersion},
		"an array":             {"\x01[]", ErrMalformed},
		"no state":             {"\x01{}", ErrMalformed},
		"an empty state":       {"\x01{\"state\":\"\"}", ErrMalformed},
		"state twice":          {"\x01{\"state\":\"a\",\"state\":\"b\"}", ErrMalformed},
		"state is a number":    {"\x01{\"state\":1}", ErrMalformed},
		"max_age is negative":  {"\x01{\"state\":\"s\",\"max_age\":-1}", ErrMalformed},
		"acr is a string":      {"\x01{\"state\":\"s\",\"acr\":\"gold\"}", ErrMalformed},
		"acr is mixed":         {"\x01{\"state\":\"s\",\"acr\":[\"gold\",1]}", ErrMalformed},
		"begun is a string":    {"\x01{\"state\":\"s\",\"begun\":\"1\"}", ErrMalformed},
		"app_data is no text":  {"\x01{\"state\":\"s\",\"app_data\":1}", ErrMalformed},
		"app_data is padded":   {"\x01{\"state\":\"s\",\"app_data\":\"YQ==\"}", ErrMalformed},
		"something behind":     {"\x01{\"state\":\"s\"}{}", ErrMalformed},
		"too long":             {"\x01{\"state\":\"" + strings.Repeat("s", MaxLoginSize) + "\"}", ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			if l, err := UnpackLogin([]byte(row.packed)); !errors.Is(err, row.want) || !reflect.DeepEqual(l, Login{}) {
				t.Errorf("got %v, want %v", err, row.want)
			}
		})
	}
}

func TestUnknownSurvivesInLogin(t *testing.T) {
	l, err := UnpackLogin([]byte("\x01" + `{"later":[1, 2],"state":"s","begun":1}`))
	if err != nil {
		t.Fatal(err)
	}
	l.Spent = 2
	packed, err := PackLogin(l)
	if want := "\x01" + `{"state":"s","begun":1,"spent":2,"later":[1, 2]}`; err != nil || string(packed) != want {
		t.Errorf("got %q, %v, want %q", packed, err, want)
	}
}

func TestGoldenLogin(t *testing.T) {
	old := fullLogin()
	old.MaxAge = 0 // which the first version did not write
	for name, want := range map[string]Login{"login-v1.txt": old, "login-v1-max-age.txt": fullLogin(), "login-v1-silent.txt": silentLogin(), "login-v1-acr.txt": steppedUp()} {
		t.Run(name, func(t *testing.T) {
			if got, err := UnpackLogin(golden(t, name)); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("not what was packed, %v", err)
			}
		})
	}
}

func TestLoginPrintsNothing(t *testing.T) {
	l := fullLogin()
	for name, text := range map[string]string{
		"%v": fmt.Sprintf("%v", l), "%#v": fmt.Sprintf("%#v", l), "pointer": fmt.Sprintf("%+v", &l), "slog": slog.AnyValue(l).Resolve().String(),
	} {
		t.Run(name, func(t *testing.T) {
			if text != "sessioncodec.Login{…}" {
				t.Errorf("got %s", text)
			}
		})
	}
}

func FuzzUnpackLogin(f *testing.F) {
	packed, err := PackLogin(fullLogin())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packed)
	f.Add([]byte("\x01" + `{"x\n":[1],"state":"\u00e9"}`))
	f.Fuzz(func(t *testing.T, packed []byte) {
		l, err := UnpackLogin(packed)
		if err != nil {
			return
		}
		again, err := PackLogin(l)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := UnpackLogin(again); err != nil || !reflect.DeepEqual(back, l) {
			t.Fatalf("not the same again: %v", err)
		}
	})
}
