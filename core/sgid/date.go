package sgid

import (
	"fmt"
	"time"

	"github.com/signward/idserver-go/core/internal/baseerror"
)

// Date is a date whose day, or month and day, may be unknown and are then 0. Dates of birth can be like that.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// ParseDate parses YYYY-MM-DD, YYYY-MM or YYYY. The error is [ErrInvalidData].
func ParseDate(text string) (Date, error) {
	for layout, known := range map[string]func(time.Time) Date{
		time.DateOnly: func(t time.Time) Date { return Date{t.Year(), t.Month(), t.Day()} },
		"2006-01":     func(t time.Time) Date { return Date{t.Year(), t.Month(), 0} },
		"2006":        func(t time.Time) Date { return Date{t.Year(), 0, 0} },
	} {
		if t, err := time.Parse(layout, text); err == nil && len(text) == len(layout) && t.Year() > 0 {
			return known(t), nil
		}
	}
	return Date{}, baseerror.Errorf("sgid: %w: no date of the form YYYY-MM-DD, YYYY-MM or YYYY", ErrInvalidData)
}

// Time returns the beginning of the date in loc, and whether all of the date is known.
func (d Date) Time(loc *time.Location) (t time.Time, exact bool) {
	return time.Date(d.Year, max(d.Month, 1), max(d.Day, 1), 0, 0, 0, 0, loc), d.Month != 0 && d.Day != 0
}

// String formats the date as ParseDate parses it.
func (d Date) String() string {
	switch {
	case d.Month == 0:
		return fmt.Sprintf("%04d", d.Year)
	case d.Day == 0:
		return fmt.Sprintf("%04d-%02d", d.Year, d.Month)
	}
	return fmt.Sprintf("%04d-%02d-%02d", d.Year, d.Month, d.Day)
}

// MarshalText returns [Date.String]: in JSON, a Date is a string.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText parses text with [ParseDate].
func (d *Date) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDate(string(text))
	return err
}
