package baseerror

import (
	"context"
	"errors"
	"testing"
)

func TestErr(t *testing.T) {
	t.Parallel()
	one, other := New("text"), New("text")
	for name, row := range map[string]struct {
		err  error
		text string
		is   []error
		not  []error
	}{
		"New":                {one, "text", []error{Err, one}, []error{other, context.Canceled}},
		"Errorf":             {Errorf("a %w: %w", one, context.Canceled), "a text: context canceled", []error{Err, one, context.Canceled}, []error{other}},
		"Errorf of others":   {Errorf("a %w", context.Canceled), "a context canceled", []error{Err, context.Canceled}, []error{one}},
		"Of another package": {Of(context.Canceled), "idserver: context canceled", []error{Err, context.Canceled}, []error{one}},
		"Of this module":     {Of(one), "text", []error{Err, one}, []error{other}},
	} {
		t.Run(name, func(t *testing.T) {
			if row.err.Error() != row.text {
				t.Errorf("%q, want %q", row.err, row.text)
			}
			for _, target := range row.is {
				if !errors.Is(row.err, target) {
					t.Errorf("it is not %v", target)
				}
			}
			for _, target := range row.not {
				if errors.Is(row.err, target) {
					t.Errorf("it is %v", target)
				}
			}
		})
	}
	if Of(nil) != nil {
		t.Error("Of(nil) is an error")
	}
	if Of(one) != one {
		t.Error("an error of this module is wrapped once more")
	}
}
