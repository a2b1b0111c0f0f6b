// Package baseerror makes the errors of this module: each is [Err] to errors.Is, whatever else it is.
package baseerror

import (
	"errors"
	"fmt"
)

// Err is the base error, which is exported as idserver.Err.
var Err = errors.New("idserver: error")

// member is an error of this module, with the text of the error within.
type member struct{ error }

func (m *member) Is(target error) bool { return target == Err }
func (m *member) Unwrap() error        { return m.error }

// New is errors.New for an error of this module.
func New(text string) error { return &member{errors.New(text)} }

// Errorf is fmt.Errorf for an error of this module.
func Errorf(format string, args ...any) error { return &member{fmt.Errorf(format, args...)} }

// Of makes err, which may be of another package (a context's), an error of this module. One that is
// already, and nil, is returned as it is.
func Of(err error) error {
	if err == nil || errors.Is(err, Err) {
		return err
	}
	return Errorf("idserver: %w", err)
}
