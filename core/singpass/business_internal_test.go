package singpass

import (
	"testing"
	"time"
)

// FuzzBusiness gives a block of Corppass's answer. Whatever it is, nobody may do more than what is there says, and for a client only if it has an
// ID.
func FuzzBusiness(f *testing.F) {
	for _, text := range []string{
		`{"Result_Set":{"ESrvc_Row_Count":1,"ESrvc_Result":[{"CPESrvcID":"S","Auth_Result_Set":{"Row_Count":1,"Row":[{"CPEntID_SUB":"","CPRole":"R","StartDate":"2017-11-14","EndDate":"9999-12-31","Parameter":[{"name":"a","value":"b"}]}]}}]}}`,
		`{"Result_Set":{"ESrvc_Result":{"CPESrvcID":"S","Auth_Result_Set":{"Row":{"CPRole":"R","StartDate":"2017-11-14","EndDate":"9999-12-31","Parameter":{"name":"a"}}}}}}`,
		`{"Result_Set":{"ESrvc_Result":[{"Auth_Set":{"TP_Auth":[{"CP_Clnt_ID":"C","Auth_Result_Set":{"Row":[{}]}},{"Auth_Result_Set":{"Row":[{}]}}]}}]}}`,
		`"{\"Result_Set\":{}}"`, `"x"`, `""`, `null`, `[]`, `1`, ``, `{"Result_Set":[[[]]]}`, `"\"\""`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		block, err := parseBlock(text)
		if err != nil {
			return
		}
		now := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
		for _, role := range readRoles(Item{block.Text()}) {
			if role.Client != "" || role.ValidAt(now) && (role.From == Date{} || role.Until == Date{}) {
				t.Errorf("%s: %+v", text, []any{role.Client, role.From, role.Until})
			}
		}
		for _, role := range readClients(Item{block.Text()}) {
			if role.Client == "" {
				t.Errorf("%s: for no client", text)
			}
		}
	})
}
