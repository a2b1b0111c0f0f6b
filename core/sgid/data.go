package sgid

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/signward/idserver-go/core/internal/baseerror"
	"github.com/signward/idserver-go/core/internal/strictjson"
)

// The scopes of sgID's data catalogue, and others that were seen in use. The catalogue grows, and any string can be a
// scope. Which ones an application may request is decided when it is registered; ScopeName is open to all.
const (
	ScopeOpenID                    = "openid"
	ScopeName                      = "myinfo.name"
	ScopeNRICNumber                = "myinfo.nric_number"
	ScopeDateOfBirth               = "myinfo.date_of_birth"
	ScopePassportNumber            = "myinfo.passport_number"
	ScopePassportExpiryDate        = "myinfo.passport_expiry_date"
	ScopeMobileNumber              = "myinfo.mobile_number"
	ScopeMobileNumberWithCountry   = "myinfo.mobile_number_with_country_code"
	ScopeEmail                     = "myinfo.email"
	ScopeRegisteredAddress         = "myinfo.registered_address"
	ScopeSex                       = "myinfo.sex"
	ScopeRace                      = "myinfo.race"
	ScopeDialect                   = "myinfo.dialect"
	ScopeNationality               = "myinfo.nationality"
	ScopeResidentialStatus         = "myinfo.residentialstatus"
	ScopeHousingType               = "myinfo.housingtype"
	ScopeHDBType                   = "myinfo.hdbtype"
	ScopeBirthCountry              = "myinfo.birth_country"
	ScopeVehicles                  = "myinfo.vehicles"
	ScopeOccupation                = "myinfo.occupation"
	ScopeNameOfEmployer            = "myinfo.name_of_employer"
	ScopeWorkpassStatus            = "myinfo.workpass_status"
	ScopeWorkpassExpiryDate        = "myinfo.workpass_expiry_date"
	ScopeMaritalStatus             = "myinfo.marital_status"
	ScopeCountryOfMarriage         = "myinfo.country_of_marriage"
	ScopeMarriageCertificateNumber = "myinfo.marriage_certificate_number"
	ScopeMarriageDate              = "myinfo.marriage_date"
	ScopeDivorceDate               = "myinfo.divorce_date"
	ScopeSponsoredChildRecords     = "myinfo.sponsored_child_records"
	ScopePublicOfficerDetails      = "pocdex.public_officer_details"
	ScopeNumberOfEmployments       = "pocdex.number_of_employments"
)

// notAvailable stands for a missing value. A person whose name is NA cannot be told from one without a name.
const notAvailable = "NA"

// Data maps scopes to a person's values, which are all strings in sgID. The methods return those of the catalogue;
// [Data.Text] returns any.
type Data map[string]string

// String tells how many values there are, without the values: personal data does not belong in a log.
func (d Data) String() string { return fmt.Sprintf("sgid.Data{%d values}", len(d)) }

// UnmarshalJSON decodes an object of strings and nothing else, such as data that an application stored. The error is
// [ErrInvalidData].
func (d *Data) UnmarshalJSON(document []byte) error {
	var values map[string]*string
	if err := strictjson.Unmarshal(document, &values); err != nil {
		return baseerror.Errorf("sgid: %w: an object of strings is wanted", ErrInvalidData)
	}
	*d = make(Data, len(values))
	for scope, value := range values {
		if value == nil {
			return baseerror.Errorf("sgid: %w: %.64q is null", ErrInvalidData, scope)
		}
		(*d)[scope] = *value
	}
	return nil
}

// Text returns the value of a scope. ok is false if it was not shared, or is NA.
func (d Data) Text(scope string) (text string, ok bool) {
	text, ok = d[scope]
	if !ok || text == notAvailable {
		return "", false
	}
	return text, true
}

func (d Data) text(scope string) string {
	text, _ := d.Text(scope)
	return text
}

// The values that are text. Each is empty if it was not shared, or is NA.

func (d Data) Name() string              { return d.text(ScopeName) }
func (d Data) NRICNumber() string        { return d.text(ScopeNRICNumber) }
func (d Data) PassportNumber() string    { return d.text(ScopePassportNumber) }
func (d Data) MobileNumber() string      { return d.text(ScopeMobileNumber) } // 8 digits
func (d Data) Email() string             { return d.text(ScopeEmail) }
func (d Data) Sex() string               { return d.text(ScopeSex) }
func (d Data) Race() string              { return d.text(ScopeRace) }
func (d Data) Dialect() string           { return d.text(ScopeDialect) }
func (d Data) Nationality() string       { return d.text(ScopeNationality) }
func (d Data) ResidentialStatus() string { return d.text(ScopeResidentialStatus) }
func (d Data) HousingType() string       { return d.text(ScopeHousingType) }
func (d Data) HDBType() string           { return d.text(ScopeHDBType) }
func (d Data) BirthCountry() string      { return d.text(ScopeBirthCountry) }
func (d Data) Occupation() string        { return d.text(ScopeOccupation) }
func (d Data) NameOfEmployer() string    { return d.text(ScopeNameOfEmployer) }
func (d Data) WorkpassStatus() string    { return d.text(ScopeWorkpassStatus) }
func (d Data) MaritalStatus() string     { return d.text(ScopeMaritalStatus) }
func (d Data) CountryOfMarriage() string { return d.text(ScopeCountryOfMarriage) }

// MobileNumberWithCountryCode returns a number such as +65 97399245.
func (d Data) MobileNumberWithCountryCode() string { return d.text(ScopeMobileNumberWithCountry) }

// MarriageCertificateNumber returns the number as text.
func (d Data) MarriageCertificateNumber() string { return d.text(ScopeMarriageCertificateNumber) }

// NumberOfEmployments returns the number as text.
func (d Data) NumberOfEmployments() string { return d.text(ScopeNumberOfEmployments) }

// RegisteredAddress returns the lines of the address that are not empty.
func (d Data) RegisteredAddress() []string {
	var lines []string
	for line := range strings.Lines(d.text(ScopeRegisteredAddress)) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// The values that are dates. ok is false if the value was not shared, is NA or is not a date; Text then returns what
// there is.

func (d Data) DateOfBirth() (date Date, ok bool)        { return d.date(ScopeDateOfBirth) } // may be partial
func (d Data) PassportExpiryDate() (date Date, ok bool) { return d.date(ScopePassportExpiryDate) }
func (d Data) WorkpassExpiryDate() (date Date, ok bool) { return d.date(ScopeWorkpassExpiryDate) }
func (d Data) MarriageDate() (date Date, ok bool)       { return d.date(ScopeMarriageDate) }
func (d Data) DivorceDate() (date Date, ok bool)        { return d.date(ScopeDivorceDate) }

func (d Data) date(scope string) (Date, bool) {
	date, err := ParseDate(d.text(scope))
	return date, err == nil
}

// Vehicle is an element of myinfo.vehicles.
type Vehicle struct {
	Number string `json:"vehicle_number"`
}

// String returns the name of the type, without the number.
func (v Vehicle) String() string { return "sgid.Vehicle{}" }

// SponsoredChild is an element of myinfo.sponsored_child_records. Fields may be empty or NA.
type SponsoredChild struct {
	NRIC              string `json:"nric"`
	Name              string `json:"name"`
	DateOfBirth       string `json:"date_of_birth"`
	Sex               string `json:"sex"`
	Race              string `json:"race"`
	LifeStatus        string `json:"life_status"`
	Nationality       string `json:"nationality"`
	ResidentialStatus string `json:"residential_status"`
}

// String returns the name of the type, without the child's data.
func (c SponsoredChild) String() string { return "sgid.SponsoredChild{}" }

// Employment is an element of pocdex.public_officer_details: a public officer may have several. Fields may be empty or
// NA.
type Employment struct {
	WorkEmail       string `json:"work_email"`
	AgencyName      string `json:"agency_name"`
	DepartmentName  string `json:"department_name"`
	EmploymentType  string `json:"employment_type"`
	EmploymentTitle string `json:"employment_title"`
}

// String returns the name of the type, without the officer's data.
func (e Employment) String() string { return "sgid.Employment{}" }

// Vehicles returns nil if the vehicles were not shared, or are NA. The error is [ErrInvalidData].
func (d Data) Vehicles() ([]Vehicle, error) { return list[Vehicle](d, ScopeVehicles) }

// SponsoredChildRecords is like [Data.Vehicles], for the records of sponsored children.
func (d Data) SponsoredChildRecords() ([]SponsoredChild, error) {
	return list[SponsoredChild](d, ScopeSponsoredChildRecords)
}

// PublicOfficerDetails is like [Data.Vehicles], for the employments of a public officer.
func (d Data) PublicOfficerDetails() ([]Employment, error) {
	return list[Employment](d, ScopePublicOfficerDetails)
}

func list[T any](d Data, scope string) ([]T, error) {
	text, ok := d.Text(scope)
	if !ok {
		return nil, nil
	}
	var all []T
	if err := strictjson.Unmarshal([]byte(text), &all); err != nil {
		return nil, baseerror.Errorf("sgid: %w: %s: %w", ErrInvalidData, scope, err)
	}
	return all, nil
}

// ParseData converts the values to what they mean: JSON lists and objects to []any and map[string]any, NA to nil, and the
// dates of the catalogue to [Date]. Everything else remains a string, and so does a value that looks like one of these
// but cannot be parsed, as in sgID's own SDKs. The error is [ErrInvalidData], for a value that is not UTF-8.
func ParseData(data Data) (map[string]any, error) {
	parsed := make(map[string]any, len(data))
	for scope, text := range data {
		if !utf8.ValidString(text) {
			return nil, baseerror.Errorf("sgid: %w: %.64q is not UTF-8", ErrInvalidData, scope)
		}
		parsed[scope] = parse(scope, text)
	}
	return parsed, nil
}

func parse(scope, text string) any {
	switch {
	case text == notAvailable:
		return nil
	case strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]"), strings.HasPrefix(text, "{") && strings.HasSuffix(text, "}"):
		var value any
		if strictjson.Unmarshal([]byte(text), &value) == nil {
			return value
		}
	case isDate(scope):
		if date, err := ParseDate(text); err == nil {
			return date
		}
	}
	return text
}

func isDate(scope string) bool {
	switch scope {
	case ScopeDateOfBirth, ScopePassportExpiryDate, ScopeWorkpassExpiryDate, ScopeMarriageDate, ScopeDivorceDate:
		return true
	}
	return false
}
