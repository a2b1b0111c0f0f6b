package postgresstore

import (
	"fmt"
	"testing"
	"testing/synctest"
)

// A subscriber for whom too many messages wait is told that it has lost some, hears those that come later, and costs no more memory.
func TestSubscriberIsLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var heard []string
		losses := 0
		s := newSubscription(func(message string) {
			<-release
			heard = append(heard, message)
		}, func() { losses++ })
		for i := range 5000 {
			s.send(fmt.Sprint(i))
			if i == 0 {
				synctest.Wait() // it is being handed over
			}
		}
		close(release)
		synctest.Wait()
		if losses != 1 || len(heard) < 2 || len(heard) > mostWaiting+1 || heard[0] != "0" || heard[len(heard)-1] != "4999" {
			t.Errorf("it was told %d times, and heard %d messages, the last of them %q", losses, len(heard), heard[max(0, len(heard)-1):])
		}
		s.stop()
	})
}

// What was lost is told before what came after it, once for as long as nobody listens, and not after stop.
func TestSubscriberLoses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var calls []string
		s := newSubscription(func(message string) {
			<-release
			calls = append(calls, message)
		}, func() { calls = append(calls, "lost") })
		s.send("one")
		synctest.Wait()
		for range 100 {
			s.lose()
		}
		s.send("two")
		close(release)
		synctest.Wait()
		s.lose()
		synctest.Wait()
		s.stop()
		s.lose()
		s.send("three")
		synctest.Wait()
		if got := fmt.Sprint(calls); got != "[one lost two lost]" {
			t.Errorf("%s", got)
		}
	})
}
