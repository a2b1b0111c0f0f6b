package sgid_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/signward/idserver-go/core/sgid"
)

func TestDate(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"1985-10-31", "1985-10", "1985", "0001-01-01", "9999", "2000-02-29"} {
		d, err := sgid.ParseDate(text)
		if err != nil || d.String() != text {
			t.Errorf("%s: %v, %v", text, d, err)
		}
		written, err := json.Marshal(d)
		var back sgid.Date
		if err2 := json.Unmarshal(written, &back); err != nil || err2 != nil || back != d || string(written) != `"`+text+`"` {
			t.Errorf("%s: %s, %v, %v", text, written, err, err2)
		}
	}
	for _, text := range []string{"", "NA", "85", "1985-1", "1985-13", "1985-02-30", "1985-10-31T00:00:00Z", " 1985", "1985-", "0000", "2001-02-29", "十九八五", "+985"} {
		if d, err := sgid.ParseDate(text); !errors.Is(err, sgid.ErrInvalidData) || d != (sgid.Date{}) {
			t.Errorf("%q: %v, %v", text, d, err)
		}
	}
	for text, want := range map[string]struct {
		day   string
		exact bool
	}{"1985-10-31": {"1985-10-31", true}, "1985-10": {"1985-10-01", false}, "1985": {"1985-01-01", false}} {
		d, err := sgid.ParseDate(text)
		if at, exact := d.Time(time.UTC); err != nil || at.Format(time.DateOnly) != want.day || exact != want.exact {
			t.Errorf("%s: %v, %v, %v", text, at, exact, err)
		}
	}
}
