// Package fault is what is wrong with a configuration: every fault at once, each with the field that it is about, so that a
// package whose configuration is turned into another's can report the faults under its own names.
package fault

import (
	"fmt"
	"strings"
)

// Fault is one thing that is wrong.
type Fault struct {
	Field    string // such as SessionSecret or Session.Idle
	Variable string // the environment variable that sets it; "" if none does
	Err      error  // goes on from there, such as: is empty
}

func (f *Fault) Error() string {
	if f.Variable == "" {
		return f.Field + " " + f.Err.Error()
	}
	return f.Field + " (" + f.Variable + ") " + f.Err.Error()
}

// Unwrap returns the error without the names.
func (f *Fault) Unwrap() error { return f.Err }

// List is all that is wrong with a configuration.
type List []*Fault

// Add adds a fault whose text is made as by [fmt.Errorf].
func (l *List) Add(field, variable, format string, args ...any) {
	*l = append(*l, &Fault{field, variable, fmt.Errorf(format, args...)})
}

// Err returns the list as an error: nil if it is empty.
func (l List) Err() error {
	if len(l) == 0 {
		return nil
	}
	return l
}

// Error returns one line for each fault.
func (l List) Error() string {
	lines := make([]string, len(l))
	for i, f := range l {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the faults.
func (l List) Unwrap() []error {
	all := make([]error, len(l))
	for i, f := range l {
		all[i] = f
	}
	return all
}
