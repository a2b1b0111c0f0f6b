package nametest_test

import (
	"slices"
	"testing"

	"github.com/signward/idserver-go/core/internal/nametest"
)

func TestResolvesTo(t *testing.T) {
	t.Parallel()
	addresses, err := nametest.ResolvesTo([4]byte{192, 0, 2, 7}).LookupHost(t.Context(), "idp.test")
	if err != nil || !slices.Equal(addresses, []string{"192.0.2.7"}) {
		t.Errorf("got %v, %v", addresses, err)
	}
}
