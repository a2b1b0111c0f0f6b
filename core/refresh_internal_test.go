package idserver

import (
	"testing"
	"time"
)

func TestRefreshAt(t *testing.T) {
	issued := time.Unix(1800000000, 0)
	for life, want := range map[time.Duration]time.Duration{
		time.Hour: 59 * time.Minute, 5 * time.Minute: 4 * time.Minute, time.Minute: 48 * time.Second, 10 * time.Second: 8 * time.Second,
	} {
		t.Run(life.String(), func(t *testing.T) {
			if got := refreshAt(issued, issued.Add(life)).Sub(issued); got != want {
				t.Errorf("a life of %v is renewed after %v, want %v", life, got, want)
			}
		})
	}
}
