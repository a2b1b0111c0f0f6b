package fault_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/signward/idserver-go/core/internal/fault"
)

func TestList(t *testing.T) {
	t.Parallel()
	var faults fault.List
	if err := faults.Err(); err != nil {
		t.Errorf("nothing is wrong: %v", err)
	}
	faults.Add("Name", "NAME", "is empty")
	faults.Add("File", "", "%q: %w", "x", io.EOF)
	err := fmt.Errorf("configuration: %w", faults.Err())
	if want := "configuration: Name (NAME) is empty\nFile \"x\": EOF"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
	if !errors.Is(err, io.EOF) {
		t.Errorf("%v is not its cause", err)
	}
	found, ok := errors.AsType[fault.List](err)
	if !ok || len(found) != 2 || found[0].Field != "Name" || found[1].Variable != "" {
		t.Errorf("%+v", found)
	}
	if one, ok := errors.AsType[*fault.Fault](err); !ok || one.Field != "Name" {
		t.Errorf("%+v", one)
	}
}
