package idserver_test

import (
	"context"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
)

// plainStore is a Store and nothing else. It panics when it is called, which New must survive.
type plainStore struct{ idserver.Store }

// swappingStore is one in which replicas can agree.
type swappingStore struct{ plainStore }

func (swappingStore) SwapCtx(context.Context, string, []byte, []byte, time.Time) (bool, error) {
	panic("this store panics")
}

func TestNewChecksStore(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		edit func(*idserver.Config)
		want []string // of the error; none: it is accepted
	}{
		"no store":                    {func(*idserver.Config) {}, nil},
		"no store, one replica":       {func(c *idserver.Config) { c.SingleReplica = true }, nil},
		"a Swapper":                   {func(c *idserver.Config) { c.Store = swappingStore{} }, nil},
		"a pointer to a Swapper":      {func(c *idserver.Config) { c.Store = &swappingStore{} }, nil},
		"a Swapper of an API":         {func(c *idserver.Config) { c.Store, c.BaseURL, c.SessionSecret = swappingStore{}, "", "" }, nil},
		"no Swapper, one replica":     {func(c *idserver.Config) { c.Store, c.SingleReplica = plainStore{}, true }, nil},
		"no Swapper":                  {func(c *idserver.Config) { c.Store = plainStore{} }, []string{"Store is a idserver_test.plainStore", "SwapCtx", "SingleReplica"}},
		"no Swapper in an API":        {func(c *idserver.Config) { c.Store, c.BaseURL, c.SessionSecret = plainStore{}, "", "" }, []string{"SwapCtx"}},
		"a nil pointer":               {func(c *idserver.Config) { c.Store = (*swappingStore)(nil) }, []string{"nil *idserver_test.swappingStore"}},
		"a nil pointer, one replica":  {func(c *idserver.Config) { c.Store, c.SingleReplica = (*plainStore)(nil), true }, []string{"nil *idserver_test.plainStore"}},
		"a nil pointer, told only so": {func(c *idserver.Config) { c.Store = (*plainStore)(nil) }, []string{"nil *idserver_test.plainStore"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := goodConfig()
			row.edit(&cfg)
			client, err := idserver.New(cfg)
			if len(row.want) == 0 {
				if err != nil {
					t.Fatal(err)
				}
				client.Close()
				return
			}
			if err == nil {
				t.Fatal("it was accepted")
			}
			if n := strings.Count(err.Error(), "\n"); n != 0 {
				t.Errorf("%d faults in place of one:\n%v", n+1, err)
			}
			for _, want := range row.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q, want one with %q", err, want)
				}
			}
		})
	}
}
