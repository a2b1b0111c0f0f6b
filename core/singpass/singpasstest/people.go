package singpasstest

import (
	"slices"

	"github.com/signward/idserver-go/core/idtest"
	"github.com/signward/idserver-go/core/singpass"
)

// Person is someone whom the provider signs in.
type Person struct {
	idtest.Person

	// AccountType is standard or foreign. Default: standard.
	AccountType string
	// IdentityNumber, IssuedBy and Mobile are what Login's sub_attributes have besides the name and the e-mail address.
	IdentityNumber, IssuedBy, Mobile string
	// Level is the level of assurance of the sign-in. Default: 2.
	Level int
	// Data are the items of Myinfo by name, each the JSON text that userinfo answers. An item that is asked for and has no text here
	// is answered as unavailable.
	Data map[string]string
	// Business is for whom they act at Corppass.
	Business Business
}

// attributes are what Login's ID token says of the person.
func (p Person) attributes(scopes []string) map[string]string {
	about := map[string]string{"account_type": "standard"}
	if p.AccountType != "" {
		about["account_type"] = p.AccountType
	}
	for name, value := range map[string]string{"name": p.Name, "email": p.Email, "mobileno": p.Mobile} {
		if slices.Contains(scopes, name) {
			about[name] = value
		}
	}
	if slices.Contains(scopes, "user.identity") {
		about["identity_number"], about["identity_coi"] = p.IdentityNumber, p.IssuedBy
	}
	return about
}

// value is an item with a value, and coded one with a code.
func value(text string) string {
	return `{"lastupdated":"2026-11-01","source":"1","classification":"C","value":` + text + `}`
}

func coded(code, description string) string {
	return `{"lastupdated":"2026-11-01","source":"1","classification":"C","code":"` + code + `","desc":"` + description + `"}`
}

// People returns three people who are made up: meiling, who has a value of every kind, kumar, of whom little is known, and
// a foreign account. At Corppass, meiling and kumar act for one company, and zoe for a foreign one. The caller may modify the slice.
func People() []Person {
	company := Business{
		Entity: singpass.Entity{ID: "T09LL0001B", Type: "UEN", RegistrationNumber: "T09LL0001B", Country: "SG", Name: "EXAMPLE PTE LTD", Status: "Registered"},
		Data: map[string]string{
			"basic_profile.name": value(`"EXAMPLE PTE LTD"`), "basic_profile.type": coded("LC", "LOCAL COMPANY"), "basic_profile.registration_date": value(`"2009-03-01"`),
			"address": `{"lastupdated":"2026-11-01","source":"1","classification":"C","block":{"value":"1"},"street":{"value":"EXAMPLE STREET"},"postal":{"value":"000001"},"country":{"code":"SG","desc":"SINGAPORE"}}`,
		},
	}
	administrator := company
	administrator.Roles = `{"Result_Set":{"ESrvc_Row_Count":1,"ESrvc_Result":[{"CPESrvcID":"EXAMPLE-SERVICE","Auth_Result_Set":{"Row_Count":2,"Row":[` +
		`{"CPEntID_SUB":"","CPRole":"Approver","StartDate":"2017-11-14","EndDate":"9999-12-31","Parameter":[{"name":"Effective YA","value":"2020"}]},` +
		`{"CPEntID_SUB":"001","CPRole":"Preparer","StartDate":"2017-11-14","EndDate":"2018-11-14"}]}}]}}`
	administrator.Clients = `{"Result_Set":{"ESrvc_Row_Count":1,"ESrvc_Result":[{"CPESrvcID":"EXAMPLE-SERVICE","Auth_Set":{"ENT_ROW_COUNT":1,"TP_Auth":[` +
		`{"CP_Clnt_ID":"T10LL0002A","CP_ClntEnt_TYPE":"UEN","Auth_Result_Set":{"Row_Count":1,"Row":[{"CP_ClntEnt_SUB":"","CPRole":"Filer","StartDate":"2020-01-01","EndDate":"9999-12-31"}]}}]}}]}}`
	foreign := Business{Entity: singpass.Entity{ID: "C19001125A", Type: "NON-UEN", RegistrationNumber: "PT500000001", Country: "PT", Name: "EXEMPLO LDA"}}
	return []Person{
		{
			Person:         idtest.Person{Login: "meiling", Subject: "8f1c0b6e-0000-4000-8000-0000000000b1", Name: "LIM MEI LING", Email: "meiling@example.test"},
			IdentityNumber: "S0000001I", IssuedBy: "SG", Mobile: "+6590000001", Business: administrator,
			Data: map[string]string{
				"uinfin": value(`"S0000001I"`), "name": value(`"LIM MEI LING"`), "aliasname": value(`""`), "dob": value(`"1985-10-31"`), "email": value(`"meiling@example.test"`),
				"sex": coded("F", "FEMALE"), "race": coded("CN", "CHINESE"), "nationality": coded("SG", "SINGAPORE CITIZEN"),
				"birthcountry": coded("SG", "SINGAPORE"), "residentialstatus": coded("C", "CITIZEN"), "marital": coded("2", "MARRIED"),
				"housingtype": coded("", ""), "hdbtype": coded("113", "4-ROOM FLAT (HDB)"),
				"passportnumber": value(`"E0000001X"`), "passportexpirydate": value(`"2031-02-28"`), "occupation": `{"lastupdated":"2026-11-01","source":"2","classification":"C","value":"ENGINEER"}`,
				"employment": value(`"EXAMPLE PTE LTD"`), "ownerprivate": value("false"),
				"mobileno": `{"lastupdated":"2026-11-01","source":"4","classification":"C","prefix":{"value":"+"},"areacode":{"value":"65"},"nbr":{"value":"90000001"}}`,
				"regadd":   `{"lastupdated":"2026-11-01","source":"1","classification":"C","type":"SG","block":{"value":"1"},"building":{"value":""},"floor":{"value":"08"},"unit":{"value":"15"},"street":{"value":"EXAMPLE STREET"},"postal":{"value":"000001"},"country":{"code":"SG","desc":"SINGAPORE"}}`,
				"cpfcontributions": `{"lastupdated":"2026-11-01","source":"1","classification":"C","history":[` +
					`{"employer":{"value":"EXAMPLE PTE LTD"},"date":{"value":"2026-10-12"},"month":{"value":"2026-09"},"amount":{"value":1500.5}},` +
					`{"employer":{"value":"EXAMPLE PTE LTD"},"date":{"value":"2026-11-12"},"month":{"value":"2026-10"},"amount":{"value":1500.5}}]}`,
			},
		},
		{
			Person:         idtest.Person{Login: "kumar", Subject: "8f1c0b6e-0000-4000-8000-0000000000b2", Name: "KUMAR S/O RAJ"},
			IdentityNumber: "S0000002G", IssuedBy: "SG", Business: company,
			Data: map[string]string{
				"uinfin": value(`"S0000002G"`), "name": value(`"KUMAR S/O RAJ"`), "dob": value(`"1979-04"`), "email": value(`"NA"`), "sex": coded("M", "MALE"),
				"regadd": `{"lastupdated":"2026-11-01","source":"1","classification":"C","type":"Unformatted","line1":{"value":"1 EXAMPLE ROAD"},"line2":{"value":"LONDON"}}`,
			},
		},
		{
			Person: idtest.Person{Login: "zoe", Subject: "8f1c0b6e-0000-4000-8000-0000000000b3", Name: "ZOË D'SOUZA"}, AccountType: "foreign",
			IdentityNumber: "X1234567", IssuedBy: "PT", Business: foreign,
		},
	}
}
