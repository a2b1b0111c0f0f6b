package sgid_test

import (
	"fmt"

	"github.com/signward/idserver-go/core/sgid"
)

// Values as they come from [sgid.Client.UserInfo], and what they mean.
func ExampleParseData() {
	parsed, err := sgid.ParseData(sgid.Data{
		sgid.ScopeName:           "TAN MEI LING",
		sgid.ScopeDateOfBirth:    "1990-02-28",
		sgid.ScopePassportNumber: "NA",
		sgid.ScopeVehicles:       `[{"vehicle_number":"SGX1234A"}]`,
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(parsed[sgid.ScopeName])
	fmt.Println(parsed[sgid.ScopeDateOfBirth])
	fmt.Println(parsed[sgid.ScopePassportNumber])
	fmt.Println(parsed[sgid.ScopeVehicles])
	// Output:
	// TAN MEI LING
	// 1990-02-28
	// <nil>
	// [map[vehicle_number:SGX1234A]]
}
