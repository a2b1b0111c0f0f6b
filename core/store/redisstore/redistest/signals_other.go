//go:build !unix

package redistest

import (
	"errors"
	"os"
)

func pause(*os.Process) error { return errors.ErrUnsupported }
func goOn(*os.Process) error  { return errors.ErrUnsupported }
