//go:build !unix

package bench

import "time"

// processorTime is not known here: the clock has to do.
func processorTime() time.Duration { return 0 }
