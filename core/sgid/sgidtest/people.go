package sgidtest

import "github.com/signward/idserver-go/core/idtest"

// Person is someone whom the provider signs in.
type Person struct {
	idtest.Person

	// Data are the person's values by scope, such as "myinfo.name". A scope that is asked for and has no value here is
	// answered with "NA", as sgID does.
	Data map[string]string
}

// People returns the people of the sgID example: meiling, who has a value of every kind, an officer with two
// employments, and someone of whom little is known. The caller may modify the slice.
func People() []Person {
	return []Person{
		{
			Person: idtest.Person{Login: "meiling", Subject: "u=8f1c0b6e-0000-4000-8000-0000000000a1", Name: "Lim Mei Ling", Email: "meiling@example.test"},
			Data: map[string]string{
				"myinfo.name": "LIM MEI LING", "myinfo.nric_number": "S0000001A", "myinfo.date_of_birth": "1985-10-31",
				"myinfo.passport_number": "K0000001X", "myinfo.passport_expiry_date": "2031-02-28",
				"myinfo.mobile_number": "90000001", "myinfo.mobile_number_with_country_code": "+65 90000001",
				"myinfo.email": "meiling@example.test", "myinfo.registered_address": "1 EXAMPLE STREET\n#08-15\nSINGAPORE 000001",
				"myinfo.sex": "FEMALE", "myinfo.race": "CHINESE", "myinfo.dialect": "HOKKIEN", "myinfo.nationality": "SINGAPORE CITIZEN",
				"myinfo.residentialstatus": "CITIZEN", "myinfo.housingtype": "HDB", "myinfo.hdbtype": "4-ROOM FLAT (HDB)",
				"myinfo.birth_country": "SINGAPORE", "myinfo.vehicles": `[{"vehicle_number":"SAB1234X"},{"vehicle_number":"FBC5678Y"}]`,
				"myinfo.occupation": "ENGINEER", "myinfo.name_of_employer": "EXAMPLE PTE LTD", "myinfo.marital_status": "MARRIED",
				"myinfo.country_of_marriage": "SINGAPORE", "myinfo.marriage_certificate_number": "0000001", "myinfo.marriage_date": "2012-12-12",
				"myinfo.sponsored_child_records": `[{"nric":"T0000001B","name":"TAN KAI","date_of_birth":"2014-05","sex":"MALE","race":"CHINESE","life_status":"ALIVE","nationality":"SINGAPORE CITIZEN","residential_status":"CITIZEN"}]`,
			},
		},
		{
			Person: idtest.Person{Login: "arun", Subject: "u=8f1c0b6e-0000-4000-8000-0000000000a2", Name: "Arun s/o Raj", Email: "arun@agency.example.test"},
			Data: map[string]string{
				"myinfo.name": "ARUN S/O RAJ", "myinfo.nric_number": "S0000002B", "myinfo.date_of_birth": "1979-04",
				"myinfo.email": "arun@agency.example.test", "myinfo.sex": "MALE",
				"pocdex.public_officer_details": `[{"work_email":"arun@agency.example.test","agency_name":"EXAMPLE AGENCY","department_name":"NA","employment_type":"Permanent","employment_title":"Manager"},{"work_email":"arun@other.example.test","agency_name":"OTHER AGENCY"}]`,
				"pocdex.number_of_employments":  "2",
			},
		},
		{
			Person: idtest.Person{Login: "zoe", Subject: "u=8f1c0b6e-0000-4000-8000-0000000000a3", Name: "Zoë d'Souza"},
			Data:   map[string]string{"myinfo.name": "ZOË D'SOUZA 陳亞明", "myinfo.date_of_birth": "1990", "myinfo.registered_address": "", "myinfo.vehicles": "[]"},
		},
	}
}
