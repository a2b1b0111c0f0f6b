package idserver_test

import (
	"testing"
	"testing/synctest"
)

// bubble runs a test in a bubble of testing/synctest, beside others: what waits there for time to pass, waits no time at
// all, and no machine is too slow for it. Its world must be made in it.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, test)
}

// inBubble returns a row of a table as [bubble] runs it.
func inBubble(test func(t *testing.T)) func(t *testing.T) {
	return func(t *testing.T) {
		t.Helper()
		bubble(t, test)
	}
}
