package idtest_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// outage is a test of its own: an application calls it TestOutage. In a bubble of testing/synctest time passes as soon as
// everything waits for it, so that a token ends, and an endpoint that hangs is given up, without a real second going by.
func outage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := idtest.NewProvider(t, func(o *idtest.Options) { o.InMemory = true })
		client, err := idserver.New(provider.Config(""))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		guard := client.RequireUser() // an application has a handler here, behind its adapter's RequireUser

		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "Bearer "+provider.MintAccessToken("alice"))
		status := func() int {
			_, answer := guard(r.Context(), idserver.RequestFrom(r))
			return answer.Status // 0: the handler answers
		}

		provider.Fail(idtest.KeySet, idtest.Fault{Hang: true})
		begun := time.Now()
		if got := status(); got != http.StatusServiceUnavailable || time.Since(begun) != 10*time.Second {
			t.Errorf("keys that cannot be had: %d after %v", got, time.Since(begun))
		}
		provider.Heal(idtest.KeySet)
		time.Sleep(time.Minute)
		if got := status(); got != 0 {
			t.Errorf("keys that can be had again: %d", got)
		}
		time.Sleep(20 * time.Minute)
		if got := status(); got != http.StatusUnauthorized {
			t.Errorf("a token of 15 minutes after 21: %d", got)
		}
	})
}

// A test of what happens when the provider does not answer.
func ExampleProvider_Fail() {
	var t *testing.T // of func TestOutage(t *testing.T)
	outage(t)
}
