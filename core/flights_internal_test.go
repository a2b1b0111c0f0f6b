package idserver

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/signward/idserver-go/core/internal/flight"
)

// How long the result of a token request is served to those who come late.
func TestResultsAreKept(t *testing.T) {
	now := time.Unix(1800000000, 0)
	w := &web{cfg: Config{Now: func() time.Time { return now }}}
	asked := func(d time.Duration) error { return &TokenEndpointError{Status: 503, RetryAfter: d} }
	for name, row := range map[string]struct {
		tokens            *Tokens
		err               error
		exchange, refresh time.Duration
	}{
		"tokens that live for long":            {&Tokens{rotated: true, refreshAt: now.Add(time.Hour)}, nil, time.Minute, 15 * time.Minute},
		"tokens that live for five minutes":    {&Tokens{rotated: true, refreshAt: now.Add(4 * time.Minute)}, nil, time.Minute, 4 * time.Minute},
		"tokens that live for a moment":        {&Tokens{rotated: true, refreshAt: now.Add(time.Second)}, nil, time.Minute, time.Minute},
		"not rotated, that live for a moment":  {&Tokens{refreshAt: now.Add(time.Second)}, nil, time.Minute, time.Second},
		"not rotated, and no longer good":      {&Tokens{refreshAt: now.Add(-time.Second)}, nil, time.Minute, 0},
		"not rotated, for who knows how long":  {&Tokens{}, nil, time.Minute, time.Minute},
		"rotated, and the user is not known":   {&Tokens{rotated: true, refreshAt: now.Add(time.Hour)}, ErrUnavailable, time.Minute, time.Minute},
		"a refusal":                            {nil, ErrInvalidToken, time.Minute, time.Minute},
		"a passing fault":                      {nil, ErrUnavailable, 0, refreshPause},
		"a passing fault, and to wait for 2 s": {nil, asked(2 * time.Second), 2 * time.Second, refreshPause},
		"a passing fault, and to wait":         {nil, asked(time.Minute), time.Minute, time.Minute},
		"a passing fault, and to wait a day":   {nil, asked(24 * time.Hour), 15 * time.Minute, 15 * time.Minute},
		"a fault after the code was spent":     {nil, fmt.Errorf("%w: %w", errCodeSpent, ErrUnavailable), time.Minute, refreshPause},
	} {
		t.Run(name, func(t *testing.T) {
			if got := keptExchange(row.tokens, row.err); got != row.exchange {
				t.Errorf("of an exchange: %v, want %v", got, row.exchange)
			}
			if got := w.keptRefresh(row.tokens, row.err); got != row.refresh {
				t.Errorf("of a refresh: %v, want %v", got, row.refresh)
			}
		})
	}
}

// What a flight itself says is neither a refusal by the provider nor a fault of the application's.
func TestFlown(t *testing.T) {
	for _, err := range []error{flight.ErrLeft, flight.ErrBusy, flight.ErrClosed, flight.ErrPanicked} {
		t.Run(err.Error(), func(t *testing.T) {
			if _, got := flown(&Tokens{}, fmt.Errorf("x: %w", err)); !errors.Is(got, ErrUnavailable) || !errors.Is(got, err) {
				t.Errorf("%v becomes %v", err, got)
			}
		})
	}
	tokens := &Tokens{}
	if got, err := flown(tokens, ErrInvalidToken); got != tokens || err != ErrInvalidToken {
		t.Errorf("another error becomes %v", err)
	}
}
