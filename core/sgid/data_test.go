package sgid_test

import (
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signward/idserver-go/core/sgid"
	"github.com/signward/idserver-go/core/sgid/sgidtest"
)

// dataOf are the values of one of sgidtest's people, as UserInfo returns them.
func dataOf(login string) sgid.Data {
	people := sgidtest.People()
	return sgid.Data(people[slices.IndexFunc(people, func(p sgidtest.Person) bool { return p.Login == login })].Data)
}

func TestAccessors(t *testing.T) {
	t.Parallel()
	meiling, arun, zoe := dataOf("meiling"), dataOf("arun"), dataOf("zoe")
	for scope, read := range map[string]func(sgid.Data) string{
		sgid.ScopeName: sgid.Data.Name, sgid.ScopeNRICNumber: sgid.Data.NRICNumber, sgid.ScopePassportNumber: sgid.Data.PassportNumber,
		sgid.ScopeMobileNumber: sgid.Data.MobileNumber, sgid.ScopeMobileNumberWithCountry: sgid.Data.MobileNumberWithCountryCode,
		sgid.ScopeEmail: sgid.Data.Email, sgid.ScopeSex: sgid.Data.Sex, sgid.ScopeRace: sgid.Data.Race, sgid.ScopeDialect: sgid.Data.Dialect,
		sgid.ScopeNationality: sgid.Data.Nationality, sgid.ScopeResidentialStatus: sgid.Data.ResidentialStatus,
		sgid.ScopeHousingType: sgid.Data.HousingType, sgid.ScopeHDBType: sgid.Data.HDBType, sgid.ScopeBirthCountry: sgid.Data.BirthCountry,
		sgid.ScopeOccupation: sgid.Data.Occupation, sgid.ScopeNameOfEmployer: sgid.Data.NameOfEmployer, sgid.ScopeWorkpassStatus: sgid.Data.WorkpassStatus,
		sgid.ScopeMaritalStatus: sgid.Data.MaritalStatus, sgid.ScopeCountryOfMarriage: sgid.Data.CountryOfMarriage,
		sgid.ScopeMarriageCertificateNumber: sgid.Data.MarriageCertificateNumber, sgid.ScopeNumberOfEmployments: sgid.Data.NumberOfEmployments,
	} {
		for _, data := range []sgid.Data{meiling, arun, zoe, nil, {scope: "NA"}, {scope: "x"}} {
			want := data[scope]
			if want == "NA" {
				want = ""
			}
			if got := read(data); got != want {
				t.Errorf("%s: %q, want %q", scope, got, want)
			}
		}
	}
	if got := meiling.RegisteredAddress(); !slices.Equal(got, []string{"1 EXAMPLE STREET", "#08-15", "SINGAPORE 000001"}) {
		t.Errorf("address %q", got)
	}
	for _, none := range []string{"", "NA", "\n\n", " \n"} {
		if got := (sgid.Data{sgid.ScopeRegisteredAddress: none}).RegisteredAddress(); got != nil {
			t.Errorf("address %q of %q", got, none)
		}
	}
	for scope, read := range map[string]func(sgid.Data) (sgid.Date, bool){
		sgid.ScopeDateOfBirth: sgid.Data.DateOfBirth, sgid.ScopePassportExpiryDate: sgid.Data.PassportExpiryDate,
		sgid.ScopeWorkpassExpiryDate: sgid.Data.WorkpassExpiryDate, sgid.ScopeMarriageDate: sgid.Data.MarriageDate, sgid.ScopeDivorceDate: sgid.Data.DivorceDate,
	} {
		if got, ok := read(sgid.Data{scope: "2001-02-03"}); !ok || got != (sgid.Date{Year: 2001, Month: 2, Day: 3}) {
			t.Errorf("%s: %v %v", scope, got, ok)
		}
		for _, none := range []string{"", "NA", "3 Feb 2001"} {
			if got, ok := read(sgid.Data{scope: none}); ok || got != (sgid.Date{}) {
				t.Errorf("%s %q: %v", scope, none, got)
			}
		}
	}
	if got, err := meiling.Vehicles(); err != nil || !slices.Equal(got, []sgid.Vehicle{{Number: "SAB1234X"}, {Number: "FBC5678Y"}}) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := meiling.SponsoredChildRecords(); err != nil || len(got) != 1 || got[0].Name != "TAN KAI" || got[0].ResidentialStatus != "CITIZEN" || got[0].DateOfBirth != "2014-05" {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := arun.PublicOfficerDetails(); err != nil || len(got) != 2 || got[0].EmploymentTitle != "Manager" || got[1].DepartmentName != "" {
		t.Errorf("%v, %v", got, err)
	}
	for _, none := range []sgid.Data{nil, {sgid.ScopeVehicles: "NA"}, {sgid.ScopeVehicles: "[]"}} {
		if got, err := none.Vehicles(); err != nil || len(got) != 0 {
			t.Errorf("%v: %v, %v", none, got, err)
		}
	}
	for _, bad := range []string{"", "\x00", "[1]", `{"vehicle_number":"x"}`, `[{"vehicle_number":1}]`, `[{"vehicle_number":"a","vehicle_number":"b"}]`} {
		if got, err := (sgid.Data{sgid.ScopeVehicles: bad}).Vehicles(); !errors.Is(err, sgid.ErrInvalidData) || got != nil {
			t.Errorf("%q: %v, %v", bad, got, err)
		}
	}
	if text, ok := zoe.Text("myinfo.registered_address"); text != "" || !ok {
		t.Errorf("an empty value: %q, %v", text, ok)
	}
	if _, ok := zoe.Text("myinfo.sex"); ok {
		t.Error("a value that was not shared is there")
	}
}

func TestParseData(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		scope, text string
		want        any
	}{
		"text":                     {"myinfo.name", "ZOË D'SOUZA 陳亞明", "ZOË D'SOUZA 陳亞明"},
		"empty":                    {"myinfo.name", "", ""},
		"NA":                       {"myinfo.sex", "NA", nil},
		"na":                       {"myinfo.sex", "na", "na"},
		"a list":                   {"myinfo.vehicles", `[{"vehicle_number":"S1"}]`, []any{map[string]any{"vehicle_number": "S1"}}},
		"an empty list":            {"myinfo.vehicles", "[]", []any{}},
		"an object":                {"custom.x", `{"a":[1,null,true]}`, map[string]any{"a": []any{1.0, nil, true}}},
		"a broken list":            {"myinfo.vehicles", "[{]", "[{]"},
		"a bracket":                {"myinfo.name", "[", "["},
		"brackets that do not fit": {"myinfo.name", "[x}", "[x}"},
		"a space before":           {"myinfo.vehicles", " []", " []"},
		"null":                     {"myinfo.name", "null", "null"},
		"a number":                 {"myinfo.mobile_number", "90000001", "90000001"},
		"a member twice":           {"custom.x", `{"a":1,"a":2}`, `{"a":1,"a":2}`},
		"deep":                     {"custom.x", strings.Repeat("[", 100) + strings.Repeat("]", 100), strings.Repeat("[", 100) + strings.Repeat("]", 100)},
		"a date":                   {"myinfo.date_of_birth", "1985-10-31", sgid.Date{Year: 1985, Month: time.October, Day: 31}},
		"a month":                  {"myinfo.date_of_birth", "1985-10", sgid.Date{Year: 1985, Month: time.October}},
		"a year":                   {"myinfo.date_of_birth", "1985", sgid.Date{Year: 1985}},
		"no date":                  {"myinfo.date_of_birth", "1985-13", "1985-13"},
		"a date elsewhere":         {"myinfo.name", "1985-10-31", "1985-10-31"},
		"broken":                   {"myinfo.vehicles", "\x00", "\x00"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := sgid.ParseData(sgid.Data{row.scope: row.text})
			if err != nil || !reflect.DeepEqual(got, map[string]any{row.scope: row.want}) {
				t.Errorf("%#v, %v, want %#v", got, err, row.want)
			}
		})
	}
	if got, err := sgid.ParseData(nil); err != nil || len(got) != 0 {
		t.Errorf("nothing: %v, %v", got, err)
	}
	if got, err := sgid.ParseData(sgid.Data{"a": "\xff"}); !errors.Is(err, sgid.ErrInvalidData) || got != nil {
		t.Errorf("not UTF-8: %v, %v", got, err)
	}
}

func TestDataFromJSON(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(dataOf("zoe"))
	if err != nil {
		t.Fatal(err)
	}
	var back sgid.Data
	if err := json.Unmarshal(text, &back); err != nil || !maps.Equal(back, dataOf("zoe")) {
		t.Errorf("%v, %v", back, err)
	}
	for _, bad := range []string{`[]`, `"x"`, `1`, `{"a":1}`, `{"a":null}`, `{"a":{}}`, `{"a":["x"]}`} {
		var d sgid.Data
		if err := json.Unmarshal([]byte(bad), &d); !errors.Is(err, sgid.ErrInvalidData) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func FuzzParseData(f *testing.F) {
	f.Add("myinfo.date_of_birth", "1985-10")
	f.Add("myinfo.vehicles", `[{"vehicle_number":"S1"}]`)
	f.Fuzz(func(t *testing.T, scope, text string) {
		data := sgid.Data{scope: text}
		parsed, err := sgid.ParseData(data)
		if err != nil {
			return
		}
		if _, err := json.Marshal(parsed); err != nil {
			t.Error(err)
		}
		if date, ok := parsed[scope].(sgid.Date); ok && date.String() != text {
			t.Errorf("%q is read as %v", text, date)
		}
		_, _ = data.Vehicles()
		data.RegisteredAddress()
	})
}
