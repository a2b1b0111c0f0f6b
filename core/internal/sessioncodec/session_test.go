package sessioncodec

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

// full is a session in which everything is set. The golden file holds it.
func full() Record {
	return Record{
		ID:     [32]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32},
		Issuer: "https://op.example", Subject: "6f0c2a3e-0000-4000-8000-00000000a11c",
		Email: "alice@example.test", EmailVerified: true, Name: "Alice Ämmerli", GivenName: "Alice", FamilyName: "Ämmerli", TenantID: "t1",
		Roles: []string{"admin", "user"}, CustomRoles: []string{"billing"}, RolesFrom: "id_token",
		Claims:   `{"iss":"https://op.example", "sub":"6f0c2a3e-0000-4000-8000-00000000a11c", "n":1.50, "t":"<\u00e9>"}`,
		SignedIn: 1795530408123, Seen: 1795530409456, Expiry: 1795531308123, RefreshAt: 1795531248123,
		Nonce: "n0nce", AuthTime: 1795530400000, ACR: "urn:mace:incommon:iap:silver", ProviderSession: "op-session", Version: 7,
		AccessToken: "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiI2ZjBjMmEzZSJ9.c2ln", IDToken: "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL29wIn0.c2lnbg",
		RefreshToken: "opaque.refresh token", ProofKey: []byte{0, 1, 2, 0xff},
	}
}

// least is the smallest session.
func least() Record { return Record{ID: [32]byte{31: 1}, Issuer: "i", Subject: "s"} }

func with(r Record, edit func(*Record)) Record {
	edit(&r)
	return r
}

func TestPack(t *testing.T) {
	for name, r := range map[string]Record{
		"full":                    full(),
		"least":                   least(),
		"with what came later":    with(full(), func(r *Record) { r.Issued, r.Outlived, r.Confirmed = 1795530400000, 1795530400001, 1795530400002 }),
		"moved":                   with(full(), func(r *Record) { r.Moves = 2 }),
		"an encrypted token":      with(least(), func(r *Record) { r.IDToken = "e30.AA.AQ.Ag.Aw" }),
		"segments that are empty": with(least(), func(r *Record) { r.IDToken = ".." }),
	} {
		t.Run(name, func(t *testing.T) {
			packed, err := Pack(r)
			if err != nil {
				t.Fatal(err)
			}
			back, size, err := Unpack(packed)
			if err != nil || !reflect.DeepEqual(back, r) || size < 10 {
				t.Errorf("packed and unpacked:\n%#v\n%#v\n%d, %v", fields(r), fields(back), size, err)
			}
		})
	}
}

// fields shows what String leaves out.
func fields(r Record) any {
	type plain Record
	return plain(r)
}

func TestPackRefuses(t *testing.T) {
	for name, edit := range map[string]func(*Record){
		"no id":                   func(r *Record) { r.ID = [32]byte{} },
		"no issuer":               func(r *Record) { r.Issuer = "" },
		"no subject":              func(r *Record) { r.Subject = "" },
		"a name that is no UTF-8": func(r *Record) { r.Name = "\xff" },
		"a role that is no UTF-8": func(r *Record) { r.Roles = []string{"\xff"} },
		"too many roles":          func(r *Record) { r.Roles = make([]string, maxTexts+1) },
		"claims in an array":      func(r *Record) { r.Claims = "[]" },
		"claims that are cut":     func(r *Record) { r.Claims = `{"a":1` },
		"claims and a member":     func(r *Record) { r.Claims = `{},"x":{}` },
		"claims twice":            func(r *Record) { r.Claims = `{"a":1,"a":2}` },
		"claims nested too deep":  func(r *Record) { r.Claims = strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40) },
		"a time before 1970":      func(r *Record) { r.Seen = -1 },
		"a time after 9999":       func(r *Record) { r.Seen = maxNumber + 1 },
		"more than may be":        func(r *Record) { r.AccessToken = strings.Repeat("a.", MaxSize/2) },
	} {
		t.Run(name, func(t *testing.T) {
			if packed, err := Pack(with(full(), edit)); err == nil {
				t.Errorf("packed into %d bytes", len(packed))
			}
		})
	}
}

func TestUnpackRefuses(t *testing.T) {
	packed, err := Pack(full())
	if err != nil {
		t.Fatal(err)
	}
	id := part{partID, bytes.Repeat([]byte{1}, 32)}
	object := func(text string) part { return part{partRecord, []byte(text)} }
	good := object(`{"iss":"i","sub":"s"}`)
	plain := func(parts ...part) []byte { return deflated(t, joined(parts...)) }
	if _, _, err := Unpack(plain(good, id)); err != nil {
		t.Fatal(err)
	}
	many := func(n int) (parts []part) {
		for i := range n {
			parts = append(parts, part{uint64(100 + i), nil})
		}
		return parts
	}
	var members strings.Builder
	for i := range maxMembers + 1 {
		fmt.Fprintf(&members, `,"x%d":0`, i)
	}
	for name, row := range map[string]struct {
		packed []byte
		want   error
	}{
		"empty":                      {nil, ErrMalformed},
		"a version alone":            {[]byte{version}, ErrMalformed},
		"version 0":                  {append([]byte{0}, packed[1:]...), ErrVersion},
		"version 2":                  {append([]byte{2}, packed[1:]...), ErrVersion},
		"cut":                        {packed[:len(packed)-1], ErrMalformed},
		"something behind":           {append(bytes.Clone(packed), 0), ErrMalformed},
		"not deflated":               {[]byte("\x01{}"), ErrMalformed},
		"no parts":                   {plain(), ErrMalformed},
		"no record":                  {plain(id), ErrMalformed},
		"no id":                      {plain(good), ErrMalformed},
		"an id of 31 bytes":          {plain(good, part{partID, id.data[:31]}), ErrMalformed},
		"an id of 33 bytes":          {plain(good, part{partID, append(bytes.Clone(id.data), 1)}), ErrMalformed},
		"an id of zeros":             {plain(good, part{partID, make([]byte, 32)}), ErrMalformed},
		"two ids":                    {plain(good, id, id), ErrMalformed},
		"too many parts":             {plain(append(many(maxParts-1), good, id)...), ErrMalformed},
		"a part that is cut":         {deflated(t, joined(good, id)[:40]), ErrMalformed},
		"a part without length":      {deflated(t, append(joined(good, id), 9)), ErrMalformed},
		"a part's kind is cut":       {deflated(t, append(joined(good, id), 0x80)), ErrMalformed},
		"a part of 2^63 bytes":       {deflated(t, append(joined(good, id), 9, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1)), ErrMalformed},
		"no issuer":                  {plain(object(`{"sub":"s"}`), id), ErrMalformed},
		"no subject":                 {plain(object(`{"iss":"i"}`), id), ErrMalformed},
		"sub twice":                  {plain(object(`{"iss":"i","sub":"s","sub":"m"}`), id), ErrMalformed},
		"sub is a number":            {plain(object(`{"iss":"i","sub":1}`), id), ErrMalformed},
		"sub is null":                {plain(object(`{"iss":"i","sub":null}`), id), ErrMalformed},
		"a role is a number":         {plain(object(`{"iss":"i","sub":"s","roles":["a",1]}`), id), ErrMalformed},
		"roles are a string":         {plain(object(`{"iss":"i","sub":"s","roles":"a"}`), id), ErrMalformed},
		"email_verified is a string": {plain(object(`{"iss":"i","sub":"s","email_verified":"true"}`), id), ErrMalformed},
		"a time with a fraction":     {plain(object(`{"iss":"i","sub":"s","seen":1.5}`), id), ErrMalformed},
		"a time before 1970":         {plain(object(`{"iss":"i","sub":"s","seen":-1}`), id), ErrMalformed},
		"a time after 9999":          {plain(object(`{"iss":"i","sub":"s","seen":253402300800000}`), id), ErrMalformed},
		"claims are a string":        {plain(object(`{"iss":"i","sub":"s","claims":"{}"}`), id), ErrMalformed},
		"too many unknown members":   {plain(object(`{"iss":"i","sub":"s"`+members.String()+`}`), id), ErrMalformed},
		"an empty token":             {plain(good, id, part{partIDToken, nil}), ErrMalformed},
		"a token of no segments":     {plain(good, id, part{partIDToken, []byte{0}}), ErrMalformed},
		"a token of six segments":    {plain(good, id, part{partIDToken, []byte{6, 0, 0, 0, 0, 0, 0}}), ErrMalformed},
		"a token's segment is cut":   {plain(good, id, part{partIDToken, []byte{3, 0, 0, 1}}), ErrMalformed},
		"a token, something behind":  {plain(good, id, part{partIDToken, []byte{3, 0, 0, 0, 0}}), ErrMalformed},
		"a bomb":                     {deflated(t, make([]byte, 4<<20)), ErrMalformed},
		"larger than may be":         {plain(good, id, part{99, make([]byte, MaxSize)}), ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			r, _, err := Unpack(row.packed)
			other := map[error]error{ErrMalformed: ErrVersion, ErrVersion: ErrMalformed}[row.want]
			if !errors.Is(err, row.want) || errors.Is(err, other) || !reflect.DeepEqual(r, Record{}) {
				t.Errorf("got %v, %v, want %v", fields(r), err, row.want)
			}
		})
	}
}

func TestUnpackUpToMaxSize(t *testing.T) {
	r := least()
	plain, err := r.plain()
	if err != nil {
		t.Fatal(err)
	}
	most := MaxSize - len(plain) - 1 - 3 // the kind and the length of the part
	for name, row := range map[string]struct {
		size int
		ok   bool
	}{"as large as may be": {most, true}, "a byte more": {most + 1, false}} {
		t.Run(name, func(t *testing.T) {
			filling := part{99, make([]byte, row.size)}
			_, size, err := Unpack(deflated(t, filling.appendTo(bytes.Clone(plain))))
			if (err == nil) != row.ok || row.ok && size != MaxSize {
				t.Errorf("unpacked %d bytes, %v", size, err)
			}
			if _, err := Pack(with(r, func(r *Record) { r.others = []part{filling} })); (err == nil) != row.ok {
				t.Errorf("packed: %v", err)
			}
		})
	}
}

// A bomb must not be unpacked before it is refused.
func TestUnpackAllocatesLittle(t *testing.T) {
	bomb := deflated(t, make([]byte, 4<<20))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, _, err := Unpack(bomb); err == nil {
		t.Error("a bomb was read")
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 8*MaxSize {
		t.Errorf("a bomb of %d bytes takes %d bytes of memory", len(bomb), took)
	}
}

// Nothing of a session is in the memory that it was unpacked from, or in, which the next one takes.
func TestUnpackKeepsNothing(t *testing.T) {
	whole := with(full(), func(r *Record) {
		r.ProofKey, r.others, r.unknown = []byte("key"), []part{{99, []byte("later")}}, []member{{"later", `{"a":1}`}}
	})
	packed, err := Pack(whole)
	if err != nil {
		t.Fatal(err)
	}
	next, err := Pack(with(least(), func(r *Record) { r.Subject = strings.Repeat("x", 8<<10) }))
	if err != nil {
		t.Fatal(err)
	}
	for range 20 { // a pool may be empty
		in := bytes.Clone(packed)
		got, _, err := Unpack(in)
		if err != nil {
			t.Fatal(err)
		}
		clear(in)
		if _, _, err := Unpack(next); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, whole) {
			t.Fatalf("after the next one was unpacked, it is %#v", got)
		}
	}
}

// Tokens of every length are as they were: they are encoded by pieces.
func TestTokensOfEveryLength(t *testing.T) {
	for length := range 3000 {
		segment := base64url.EncodeToString(bytes.Repeat([]byte{0xa5}, length))
		for _, token := range []string{segment + "." + segment, "e30." + segment + ".AA", segment[:min(3, len(segment))]} {
			if got, err := unpackToken(packToken(token)); token != "" && (got != token || err != nil) {
				t.Fatalf("%d bytes: %d characters, %v, want %d", length, len(got), err, len(token))
			}
		}
	}
}

// A session that a later version wrote is renewed by this one, and loses nothing.
func TestUnknownSurvives(t *testing.T) {
	later := deflated(t, joined(
		part{77, []byte("a part of a later version")},
		part{partRecord, []byte(`{"iss":"i","new":{"a":[1,2.50,"\u00e9"]},"sub":"s","o\u0064d":null,"seen":5}`)},
		part{partID, bytes.Repeat([]byte{1}, 32)},
		part{partAccessToken, packToken("old")},
		part{1 << 40, nil},
	))
	r, _, err := Unpack(later)
	if err != nil {
		t.Fatal(err)
	}
	r.Seen, r.AccessToken, r.Roles = 6, "new", []string{"admin"}
	packed, err := Pack(r)
	if err != nil {
		t.Fatal(err)
	}
	back, _, err := Unpack(packed)
	if err != nil || back.Seen != 6 || back.AccessToken != "new" || len(back.Roles) != 1 {
		t.Fatalf("got %v, %v", fields(back), err)
	}
	if want := []member{{"new", `{"a":[1,2.50,"\u00e9"]}`}, {"odd", "null"}}; !reflect.DeepEqual(back.unknown, want) {
		t.Errorf("the members are %q, want %q", back.unknown, want)
	}
	if len(back.others) != 2 || back.others[0].kind != 77 || string(back.others[0].data) != "a part of a later version" || back.others[1].kind != 1<<40 {
		t.Errorf("the parts are %v", back.others)
	}
}

// Files of earlier versions stay readable for two minor versions. A new one is added when a version is released; none is
// ever written anew.
func TestGoldenSession(t *testing.T) {
	for name, want := range map[string]Record{
		"session-v1.txt":       full(),
		"session-v1-least.txt": least(),
	} {
		t.Run(name, func(t *testing.T) {
			got, _, err := Unpack(golden(t, name))
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %v, %v, want %v", fields(got), err, fields(want))
			}
		})
	}
}

// The dictionary is part of format 1.
func TestDictionary(t *testing.T) {
	sum := sha256.Sum256(dictionary)
	if got, want := hex.EncodeToString(sum[:]), "9f59b9be1c425d502e50ad8ea905e59929611fa81d0225a31e0e5debd4f2cf44"; got != want {
		t.Errorf("the dictionary's hash is %s, want %s: no session that was packed with the other one can be read", got, want)
	}
}

func TestRecordPrintsNoSecrets(t *testing.T) {
	r := full()
	for name, text := range map[string]string{
		"%v": fmt.Sprintf("%v", r), "%+v": fmt.Sprintf("%+v", r), "%#v": fmt.Sprintf("%#v", r), "pointer": fmt.Sprintf("%+v", &r), "slog": slog.AnyValue(r).Resolve().String(),
	} {
		t.Run(name, func(t *testing.T) {
			if want := `sessioncodec.Record{Issuer: "https://op.example", Subject: "6f0c2a3e-0000-4000-8000-00000000a11c"}`; text != want {
				t.Errorf("got %s, want %s", text, want)
			}
		})
	}
}

func FuzzUnpack(f *testing.F) {
	for _, r := range []Record{full(), least()} {
		plain, err := r.plain()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(plain)
	}
	f.Add(joined(part{partRecord, []byte(`{"iss":"i","x":[],"sub":"s","y":"\ud83d\ude00"}`)}, part{partID, make([]byte, 32)}, part{9, []byte("x")}))
	f.Fuzz(func(t *testing.T, plain []byte) {
		_, _, _ = Unpack(plain)
		r, _, err := Unpack(deflated(t, plain))
		if err != nil {
			return
		}
		packed, err := Pack(r)
		if err != nil {
			t.Fatal(err)
		}
		if back, _, err := Unpack(packed); err != nil || !reflect.DeepEqual(back, r) {
			t.Fatalf("not the same again: %v\n%v\n%v", err, fields(r), fields(back))
		}
	})
}

func BenchmarkPack(b *testing.B) {
	r := full()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Pack(r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUnpack(b *testing.B) {
	packed, err := Pack(full())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Unpack(packed); err != nil {
			b.Fatal(err)
		}
	}
}
