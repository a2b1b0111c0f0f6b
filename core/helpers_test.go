package idserver_test

import (
	"testing"
	"testing/synctest"
)

// inBubble returns a test that runs in a bubble of testing/synctest, beside others: what waits there for time to pass, waits
// no time at all, and no machine is too slow for it. Its world must be made in it.
func inBubble(test func(t *testing.T)) func(t *testing.T) {
	return func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, test)
	}
}
