package idserver_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
	"github.com/signward/idserver-go/core/store/memorystore"
)

// ailingStore knows what is wrong with it.
type ailingStore struct {
	*sharedStore
	says error
}

func (s *ailingStore) HealthCtx(context.Context) error { return s.says }

var errEvicts = errors.New("maxmemory-policy is allkeys-lru")

func TestHealth(t *testing.T) {
	for name, row := range map[string]struct {
		prepare     func(w *world, s *ailingStore)
		want        string // of the error; "": none
		unavailable bool
		fromNew     bool // New has logged the same
	}{
		"well":             {func(*world, *ailingStore) {}, "", false, false},
		"away":             {func(_ *world, s *ailingStore) { s.setAway(true) }, "connection refused", true, true},
		"evicting":         {func(_ *world, s *ailingStore) { s.says = errEvicts }, errEvicts.Error(), false, true},
		"a strange root":   {func(_ *world, s *ailingStore) { s.spoil() }, "written by another version or damaged", true, false},
		"the provider's":   {func(w *world, _ *ailingStore) { w.provider.Fail(idtest.Discovery, idtest.Fault{Status: 503}) }, "503", true, false},
		"away and no root": {func(_ *world, s *ailingStore) { s.empty(); s.setAway(true) }, "connection refused", true, true},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			s := &ailingStore{sharedStore: newSharedStore()}
			w := newWorld(t)
			w.cfg.Store = s
			if row.fromNew {
				row.prepare(w, s)
			}
			client := w.client(t)
			synctest.Wait()
			if warned := strings.Contains(w.log.String(), "Config.Store is not as it should be"); warned != row.fromNew {
				t.Errorf("New warned: %t\n%s", warned, w.log)
			}
			if row.fromNew && !strings.Contains(w.log.String(), row.want) {
				t.Errorf("the warning does not say why:\n%s", w.log)
			}
			row.prepare(w, s)
			err := client.Health(t.Context())
			switch {
			case row.want == "" && err != nil:
				t.Error(err)
			case row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want) || !errors.Is(err, idserver.Err)):
				t.Errorf("got %v, want an error with %q", err, row.want)
			case errors.Is(err, idserver.ErrUnavailable) != row.unavailable:
				t.Errorf("%v: passes by itself: %t", err, !row.unavailable)
			}
		}))
	}
}

// spoil alters everything in the store.
func (s *sharedStore) spoil() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, value := range s.values {
		s.values[key] = append([]byte{value[0] ^ 1}, value[1:]...)
	}
}

// Health sees what New did not wait for, and an API has no store to look at.
func TestHealthOfAnAPI(t *testing.T) {
	t.Parallel()
	w := newAPI(t, true)
	s := newSharedStore()
	s.setAway(true)
	client := w.client(t, func(c *idserver.Config) { c.Store = s })
	if err := client.Health(t.Context()); err != nil || s.done != 0 {
		t.Errorf("%v, after %d operations of a store that is not used", err, s.done)
	}
}

// hangingStore does not answer.
type hangingStore struct{ *sharedStore }

func (hangingStore) FindCtx(ctx context.Context, _ string) ([]byte, bool, error) {
	<-ctx.Done()
	return nil, false, ctx.Err()
}

func TestHealthDoesNotWaitLong(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		begun := time.Now()
		client := w.client(t, func(c *idserver.Config) { c.Store = hangingStore{newSharedStore()} })
		if waited := time.Since(begun); waited != 0 {
			t.Errorf("New waited for %v", waited)
		}
		if err := client.Health(t.Context()); !errors.Is(err, idserver.ErrUnavailable) {
			t.Errorf("%v", err)
		}
		if waited := time.Since(begun); waited > time.Second {
			t.Errorf("Health waited for %v", waited)
		}
		client.Close()
		if waited := time.Since(begun); waited > time.Second {
			t.Errorf("Close waited for %v", waited)
		}
	})
}

func TestNewTellsWhatTheStoreLacks(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		store idserver.Store
		lacks []string
	}{
		"plain":  {newSharedStore(), []string{"Notifier", "FindManyCtx"}},
		"memory": {memorystore.New(), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.client(t, func(c *idserver.Config) { c.Store = row.store })
			if told := strings.Contains(w.log.String(), "lacks what would make it better"); told != (row.lacks != nil) {
				t.Errorf("told: %t\n%s", told, w.log)
			}
			for _, name := range row.lacks {
				if !strings.Contains(w.log.String(), name) {
					t.Errorf("%s is not told:\n%s", name, w.log)
				}
			}
		})
	}
}
