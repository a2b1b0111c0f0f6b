package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/store/memorystore"
)

// recorder is a tester that keeps what it is told, in a bubble of testing/synctest.
type recorder struct {
	ctx      context.Context
	name     string
	cleanups []func()

	mu     *sync.Mutex
	faults map[string][]string // by the names of tests
	logs   *[]string
}

func (r *recorder) Helper()                  {}
func (r *recorder) Cleanup(f func())         { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Context() context.Context { return r.ctx }

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults[r.name] = append(r.faults[r.name], fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Logf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*r.logs = append(*r.logs, fmt.Sprintf(format, args...))
}

func (r *recorder) run(tests []namedTest) {
	for _, test := range tests {
		one := &recorder{ctx: r.ctx, name: test.name, mu: r.mu, faults: r.faults, logs: r.logs}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			defer func() {
				for _, f := range slices.Backward(one.cleanups) {
					f()
				}
			}()
			test.test(one)
		}()
		<-ended
	}
}

// watch proves stores in a bubble, and returns the faults that were found, by the names of tests.
func watch(t *testing.T, r replicas) (faults map[string][]string, logs []string) {
	t.Helper()
	faults = map[string][]string{}
	synctest.Test(t, func(t *testing.T) {
		prove(&recorder{ctx: t.Context(), mu: new(sync.Mutex), faults: faults, logs: &logs}, r)
		time.Sleep(time.Minute) // what goes on, because it was not stopped, ends
	})
	return faults, logs
}

// wrong is a store that is wrong wherever one of its functions is set.
type wrong struct {
	*memorystore.Store
	find     func(ctx context.Context, key string) ([]byte, bool, error)
	commit   func(ctx context.Context, key string, value []byte, expiry time.Time) error
	remove   func(ctx context.Context, key string) error
	swap     func(ctx context.Context, key string, old, value []byte, expiry time.Time) (bool, error)
	findMany func(ctx context.Context, keys []string) ([][]byte, error)
	notify   func(ctx context.Context, topic, message string) error
	listen   func(ctx context.Context, topic string, f func(string), lost func()) (func(), error)
}

func (w *wrong) FindCtx(ctx context.Context, key string) ([]byte, bool, error) {
	if w.find != nil {
		return w.find(ctx, key)
	}
	return w.Store.FindCtx(ctx, key)
}

func (w *wrong) CommitCtx(ctx context.Context, key string, value []byte, expiry time.Time) error {
	if w.commit != nil {
		return w.commit(ctx, key, value, expiry)
	}
	return w.Store.CommitCtx(ctx, key, value, expiry)
}

func (w *wrong) DeleteCtx(ctx context.Context, key string) error {
	if w.remove != nil {
		return w.remove(ctx, key)
	}
	return w.Store.DeleteCtx(ctx, key)
}

func (w *wrong) SwapCtx(ctx context.Context, key string, old, value []byte, expiry time.Time) (bool, error) {
	if w.swap != nil {
		return w.swap(ctx, key, old, value, expiry)
	}
	return w.Store.SwapCtx(ctx, key, old, value, expiry)
}

func (w *wrong) FindManyCtx(ctx context.Context, keys []string) ([][]byte, error) {
	if w.findMany != nil {
		return w.findMany(ctx, keys)
	}
	return w.Store.FindManyCtx(ctx, keys)
}

func (w *wrong) NotifyCtx(ctx context.Context, topic, message string) error {
	if w.notify != nil {
		return w.notify(ctx, topic, message)
	}
	return w.Store.NotifyCtx(ctx, topic, message)
}

func (w *wrong) Subscribe(ctx context.Context, topic string, f func(string), lost func()) (func(), error) {
	if w.listen != nil {
		return w.listen(ctx, topic, f, lost)
	}
	return w.Store.Subscribe(ctx, topic, f, lost)
}

var (
	errWrong = errors.New("wrong")
	at       = context.Background()
)

// Each row is one way to break the contract, and the test that must notice.
func TestRunNotices(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		breaks func(w *wrong, s *memorystore.Store)
		test   string
	}{
		"absent is an error": {func(w *wrong, s *memorystore.Store) {
			w.find = func(ctx context.Context, key string) ([]byte, bool, error) {
				value, found, err := s.FindCtx(ctx, key)
				if err == nil && !found {
					err = errWrong
				}
				return value, found, err
			}
		}, "FindCtx"},
		"absent is found, without a value": {func(w *wrong, s *memorystore.Store) {
			w.find = func(ctx context.Context, key string) ([]byte, bool, error) {
				value, _, err := s.FindCtx(ctx, key)
				return value, err == nil, err
			}
		}, "FindCtx"},
		"an error is not found": {func(w *wrong, s *memorystore.Store) {
			w.find = func(ctx context.Context, key string) ([]byte, bool, error) {
				value, found, _ := s.FindCtx(ctx, key)
				return value, found, nil
			}
		}, "EndedContext"},
		"the context is ignored": {func(w *wrong, s *memorystore.Store) {
			w.commit = func(_ context.Context, key string, value []byte, expiry time.Time) error {
				return s.CommitCtx(at, key, value, expiry)
			}
		}, "EndedContext"},
		"an ended context commits, and is an error": {func(w *wrong, s *memorystore.Store) {
			w.commit = func(ctx context.Context, key string, value []byte, expiry time.Time) error {
				return errors.Join(s.CommitCtx(at, key, value, expiry), ctx.Err())
			}
		}, "EndedContext"},
		"an ended context deletes, and is an error": {func(w *wrong, s *memorystore.Store) {
			w.remove = func(ctx context.Context, key string) error { return errors.Join(s.DeleteCtx(at, key), ctx.Err()) }
		}, "EndedContext"},
		"the first value stays": {func(w *wrong, s *memorystore.Store) {
			w.commit = func(ctx context.Context, key string, value []byte, expiry time.Time) error {
				_, err := s.SwapCtx(ctx, key, nil, value, expiry)
				return err
			}
		}, "FindCtx"},
		"a delete does nothing": {func(w *wrong, _ *memorystore.Store) {
			w.remove = func(ctx context.Context, _ string) error { return ctx.Err() }
		}, "FindCtx"},
		"to delete what is absent is an error": {func(w *wrong, s *memorystore.Store) {
			w.remove = func(ctx context.Context, key string) error {
				if _, found, err := s.FindCtx(ctx, key); err == nil && !found {
					return errWrong
				}
				return s.DeleteCtx(ctx, key)
			}
		}, "FindCtx"},
		"values end at a NUL": {committing(func(_ string, value []byte) (string, []byte) {
			value, _, _ = bytes.Cut(value, []byte{0})
			return "", value
		}), "Values"},
		"values are trimmed": {committing(func(_ string, value []byte) (string, []byte) { return "", bytes.TrimSpace(value) }), "Values"},
		"values are UTF-8":   {committing(func(_ string, value []byte) (string, []byte) { return "", bytes.ToValidUTF8(value, []byte("?")) }), "Values"},
		"values have 64 kB":  {committing(func(_ string, value []byte) (string, []byte) { return "", value[:min(len(value), 1<<16)] }), "Values"},
		"1 MiB is refused": {func(w *wrong, s *memorystore.Store) {
			w.commit = func(ctx context.Context, key string, value []byte, expiry time.Time) error {
				if len(value) > 1e6 {
					return errWrong
				}
				return s.CommitCtx(ctx, key, value, expiry)
			}
		}, "Values"},
		"the caller's value is changed": {func(w *wrong, s *memorystore.Store) {
			w.commit = func(ctx context.Context, key string, value []byte, expiry time.Time) error {
				err := s.CommitCtx(ctx, key, value, expiry)
				clear(value)
				return err
			}
		}, "Values"},
		"keys are folded":      {renaming(strings.ToLower), "Keys"},
		"keys are cut":         {renaming(func(key string) string { return key[:min(len(key), 126)] }), "Keys"},
		"keys are unescaped":   {renaming(func(key string) string { return strings.ReplaceAll(key, "%25", "%") }), "Keys"},
		"keys are cut in {}":   {renaming(func(key string) string { return strings.ReplaceAll(key, "{}", "") }), "Keys"},
		"nothing expires":      {expiring(func(time.Time) time.Time { return later() }), "Expiry"},
		"expires too late":     {expiring(func(e time.Time) time.Time { return e.Add(5 * time.Second) }), "Expiry"},
		"expires too early":    {expiring(func(e time.Time) time.Time { return e.Add(-1300 * time.Millisecond) }), "Expiry"},
		"expires in a month":   {expiring(func(e time.Time) time.Time { return earlier(e, time.Now().AddDate(0, 1, 0)) }), ""}, // nobody can see it
		"a far expiry is past": {expiring(func(e time.Time) time.Time { return earlier(e, time.Unix(1<<31, 0)).Add(-24 * 365 * 40 * time.Hour) }), "FindCtx"},
		"an expiry that has passed is none": {func(w *wrong, s *memorystore.Store) {
			w.commit = func(ctx context.Context, key string, value []byte, expiry time.Time) error {
				if expiry.Before(time.Now()) {
					expiry = later()
				}
				return s.CommitCtx(ctx, key, value, expiry)
			}
		}, "Expiry"},
		"an expiry that has passed is an error": {func(w *wrong, s *memorystore.Store) {
			w.commit = func(ctx context.Context, key string, value []byte, expiry time.Time) error {
				if expiry.Before(time.Now()) {
					return errWrong
				}
				return s.CommitCtx(ctx, key, value, expiry)
			}
		}, "Expiry"},
		"the first expiry stays": {func(w *wrong, s *memorystore.Store) {
			var first sync.Map
			w.commit = func(ctx context.Context, key string, value []byte, expiry time.Time) error {
				if e, ok := first.LoadOrStore(key, expiry); ok && expiry.After(time.Now()) {
					expiry = e.(time.Time)
				}
				return s.CommitCtx(ctx, key, value, expiry)
			}
		}, "ExpiryMoves"},

		"a swap is a commit": {func(w *wrong, s *memorystore.Store) {
			w.swap = func(ctx context.Context, key string, _, value []byte, expiry time.Time) (bool, error) {
				return true, s.CommitCtx(ctx, key, value, expiry)
			}
		}, "SwapCtx"},
		"a swap never happens": {func(w *wrong, _ *memorystore.Store) {
			w.swap = func(ctx context.Context, _ string, _, _ []byte, _ time.Time) (bool, error) { return false, ctx.Err() }
		}, "SwapCtx"},
		"a swap without old overwrites": {swapping(func(_, old []byte) bool { return old == nil }), "SwapCtx"},
		"a swap of what is absent":      {swapping(func(current, _ []byte) bool { return current == nil }), "SwapCtx"},
		"a swap compares prefixes":      {swapping(func(current, old []byte) bool { return old != nil && bytes.HasPrefix(current, old) }), "SwapCtx"},
		"a swap compares lengths": {swapping(func(current, old []byte) bool {
			return current != nil && old != nil && len(current) == len(old)
		}), "SwapCtx"},
		"a swap folds case": {swapping(func(current, old []byte) bool { return old != nil && bytes.EqualFold(current, old) }), "SwapCtx"},
		"a swap ends at a NUL": {swapping(func(current, old []byte) bool {
			return current != nil && old != nil && bytes.Equal(bytes.TrimRight(current, "\x00"), bytes.TrimRight(old, "\x00"))
		}), "SwapCtx"},
		"a swap that fails deletes": {func(w *wrong, s *memorystore.Store) {
			w.swap = func(ctx context.Context, key string, old, value []byte, expiry time.Time) (bool, error) {
				swapped, err := s.SwapCtx(ctx, key, old, value, expiry)
				if err == nil && !swapped && old != nil {
					err = s.DeleteCtx(ctx, key)
				}
				return swapped, err
			}
		}, "SwapCtx"},
		"a swap that fails is an error": {func(w *wrong, s *memorystore.Store) {
			w.swap = func(ctx context.Context, key string, old, value []byte, expiry time.Time) (bool, error) {
				swapped, err := s.SwapCtx(ctx, key, old, value, expiry)
				if err == nil && !swapped {
					err = errWrong
				}
				return swapped, err
			}
		}, "SwapCtx"},
		"a swap is two steps": {func(w *wrong, s *memorystore.Store) {
			w.swap = func(ctx context.Context, key string, old, value []byte, expiry time.Time) (bool, error) {
				current, found, err := s.FindCtx(ctx, key)
				if err != nil || found != (old != nil) || !bytes.Equal(current, old) {
					return false, err
				}
				time.Sleep(time.Millisecond)
				return true, s.CommitCtx(ctx, key, value, expiry)
			}
		}, "SwapContended"},
		"a swap is sent twice": {func(w *wrong, s *memorystore.Store) {
			w.swap = func(ctx context.Context, key string, old, value []byte, expiry time.Time) (bool, error) {
				if _, err := s.SwapCtx(ctx, key, old, value, expiry); err != nil {
					return false, err
				}
				return s.SwapCtx(ctx, key, old, value, expiry)
			}
		}, "SwapCtx"},
		"who finds the own value swapped": {func(w *wrong, s *memorystore.Store) {
			w.swap = func(ctx context.Context, key string, old, value []byte, expiry time.Time) (bool, error) {
				swapped, err := s.SwapCtx(ctx, key, old, value, expiry)
				if err == nil && !swapped {
					current, _, _ := s.FindCtx(ctx, key)
					swapped = bytes.Equal(current, value)
				}
				return swapped, err
			}
		}, "SwapContended"},
		"a swap keeps the expiry": {func(w *wrong, s *memorystore.Store) {
			w.swap = func(ctx context.Context, key string, old, value []byte, expiry time.Time) (bool, error) {
				if old != nil && expiry.After(time.Now()) {
					expiry = time.Now().Add(life)
				}
				return s.SwapCtx(ctx, key, old, value, expiry)
			}
		}, "SwapExpiry"},
		"a swapped value does not expire": {func(w *wrong, s *memorystore.Store) {
			w.swap = func(ctx context.Context, key string, old, value []byte, expiry time.Time) (bool, error) {
				if expiry.After(time.Now()) {
					expiry = later()
				}
				return s.SwapCtx(ctx, key, old, value, expiry)
			}
		}, "SwapExpiry"},
		"a swap past its expiry": {func(w *wrong, s *memorystore.Store) {
			w.swap = func(ctx context.Context, key string, old, value []byte, expiry time.Time) (bool, error) {
				if !expiry.After(time.Now()) {
					return false, nil
				}
				return s.SwapCtx(ctx, key, old, value, expiry)
			}
		}, "SwapExpiry"},
		"an expired value is in the way": {func(w *wrong, s *memorystore.Store) {
			var swapped sync.Map
			w.swap = func(ctx context.Context, key string, old, value []byte, expiry time.Time) (bool, error) {
				if _, before := swapped.LoadOrStore(key, true); before && old == nil {
					return false, ctx.Err()
				}
				return s.SwapCtx(ctx, key, old, value, expiry)
			}
			w.remove = func(ctx context.Context, key string) error {
				swapped.Delete(key)
				return s.DeleteCtx(ctx, key)
			}
		}, "SwapExpiry"},

		"many: absent ones are left out": {func(w *wrong, s *memorystore.Store) {
			w.findMany = func(ctx context.Context, keys []string) ([][]byte, error) {
				values, err := s.FindManyCtx(ctx, keys)
				return slices.DeleteFunc(values, func(v []byte) bool { return v == nil }), err
			}
		}, "FindManyCtx"},
		"many: absent ones are empty": {func(w *wrong, s *memorystore.Store) {
			w.findMany = func(ctx context.Context, keys []string) ([][]byte, error) {
				values, err := s.FindManyCtx(ctx, keys)
				for i := range values {
					values[i] = append([]byte{}, values[i]...)
				}
				return values, err
			}
		}, "FindManyCtx"},
		"many: in another order": {func(w *wrong, s *memorystore.Store) {
			w.findMany = func(ctx context.Context, keys []string) ([][]byte, error) {
				return s.FindManyCtx(ctx, slices.Sorted(slices.Values(keys)))
			}
		}, "FindManyCtx"},
		"many: each once": {func(w *wrong, s *memorystore.Store) {
			w.findMany = func(ctx context.Context, keys []string) ([][]byte, error) {
				values, err := s.FindManyCtx(ctx, keys)
				for i, key := range keys {
					if slices.Index(keys, key) < i {
						values[i] = nil
					}
				}
				return values, err
			}
		}, "FindManyCtx"},
		"many: none is an error": {func(w *wrong, s *memorystore.Store) {
			w.findMany = func(ctx context.Context, keys []string) ([][]byte, error) {
				if len(keys) == 0 {
					return nil, errWrong
				}
				return s.FindManyCtx(ctx, keys)
			}
		}, "FindManyCtx"},
		"many: an error is none": {func(w *wrong, s *memorystore.Store) {
			w.findMany = func(ctx context.Context, keys []string) ([][]byte, error) {
				values, err := s.FindManyCtx(ctx, keys)
				if err != nil {
					values = make([][]byte, len(keys))
				}
				return values, nil
			}
		}, "EndedContext"},

		"messages are dropped": {func(w *wrong, _ *memorystore.Store) {
			w.notify = func(ctx context.Context, _, _ string) error { return ctx.Err() }
		}, "NotifyCtx"},
		"the topic is ignored": {renamingTopics(func(string) string { return "all" }), "NotifyCtx"},
		"the topic is a pattern": {func(w *wrong, s *memorystore.Store) {
			w.notify = func(ctx context.Context, topic, message string) error {
				return errors.Join(s.NotifyCtx(ctx, topic, message), s.NotifyCtx(ctx, topic[:len(topic)-1]+"*", message))
			}
		}, "NotifyCtx"},
		"the topic's end is ignored":   {renamingTopics(func(topic string) string { return strings.TrimSuffix(topic, "2") }), "NotifyCtx"},
		"messages are trimmed":         {rewording(strings.TrimSpace), "NotifyCtx"},
		"messages are cut":             {rewording(func(m string) string { return m[:min(len(m), 500)] }), "NotifyCtx"},
		"to notify nobody is an error": {func(w *wrong, s *memorystore.Store) { w.notify = onlyIfHeard(w, s) }, "NotifyCtx"},
		"messages come in disorder": {func(w *wrong, s *memorystore.Store) {
			held := map[string]string{}
			w.notify = func(ctx context.Context, topic, message string) error {
				if earlier, ok := held[topic]; ok {
					delete(held, topic)
					return errors.Join(s.NotifyCtx(ctx, topic, message), s.NotifyCtx(ctx, topic, earlier))
				}
				held[topic] = message
				return ctx.Err()
			}
		}, "NotifyCtx"},
		"one subscriber at a time": {func(w *wrong, s *memorystore.Store) {
			last := map[string]func(){}
			w.listen = func(ctx context.Context, topic string, f func(string), lost func()) (func(), error) {
				if stop := last[topic]; stop != nil {
					stop()
				}
				stop, err := s.Subscribe(ctx, topic, f, lost)
				last[topic] = stop
				return stop, err
			}
		}, "NotifyCtx"},
		"a subscription ends with the context": {func(w *wrong, s *memorystore.Store) {
			w.listen = func(ctx context.Context, topic string, f func(string), lost func()) (func(), error) {
				stop, err := s.Subscribe(ctx, topic, f, lost)
				if err == nil {
					context.AfterFunc(ctx, stop)
				}
				return stop, err
			}
		}, "SubscribeContext"},
		"a subscriber blocks who notifies": {func(w *wrong, s *memorystore.Store) {
			var mu sync.Mutex
			subscribers := map[string][]func(string){}
			w.listen = func(ctx context.Context, topic string, f func(string), _ func()) (func(), error) {
				mu.Lock()
				defer mu.Unlock()
				subscribers[topic] = append(subscribers[topic], f)
				return func() {}, ctx.Err()
			}
			w.notify = func(ctx context.Context, topic, message string) error {
				mu.Lock()
				all := slices.Clone(subscribers[topic])
				mu.Unlock()
				for _, f := range all {
					f(message)
				}
				return ctx.Err()
			}
		}, "SubscriberBlocks"},
		"a subscriber blocks others": {func(w *wrong, s *memorystore.Store) {
			one := make(chan struct{}, 1)
			w.listen = func(ctx context.Context, topic string, f func(string), lost func()) (func(), error) {
				return s.Subscribe(ctx, topic, func(message string) {
					one <- struct{}{}
					f(message)
					<-one
				}, lost)
			}
		}, "SubscriberBlocks"},
		"stop does not stop": {func(w *wrong, s *memorystore.Store) {
			w.listen = func(ctx context.Context, topic string, f func(string), lost func()) (func(), error) {
				_, err := s.Subscribe(ctx, topic, f, lost)
				return func() {}, err
			}
		}, "SubscriptionStops"},
		"stop does not wait": {func(w *wrong, s *memorystore.Store) {
			w.listen = func(ctx context.Context, topic string, f func(string), lost func()) (func(), error) {
				stop, err := s.Subscribe(ctx, topic, f, lost)
				return func() { go stop() }, err
			}
		}, "SubscriptionStops"},
		"stop stops another one": {func(w *wrong, s *memorystore.Store) {
			var stops []func()
			w.listen = func(ctx context.Context, topic string, f func(string), lost func()) (func(), error) {
				stop, err := s.Subscribe(ctx, topic, f, lost)
				stops = append(stops, stop)
				return func() {
					for _, stop := range stops {
						stop()
					}
				}, err
			}
		}, "SubscriptionStops"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			faults, _ := watch(t, replicas{open: func(tester) idserver.Store {
				w := &wrong{Store: memorystore.New()}
				row.breaks(w, w.Store)
				return w
			}})
			if row.test == "" {
				if len(faults) != 0 {
					t.Errorf("it is faulted for what nobody sees: %.1000q", faults)
				}
				return
			}
			if len(faults[row.test]) == 0 {
				t.Errorf("%s does not notice; %v do", row.test, slices.Sorted(maps.Keys(faults)))
			}
		})
	}
}

// committing changes what is stored. A key of "" stands for itself.
func committing(change func(key string, value []byte) (string, []byte)) func(w *wrong, s *memorystore.Store) {
	return func(w *wrong, s *memorystore.Store) {
		w.commit = func(ctx context.Context, key string, value []byte, expiry time.Time) error {
			_, value = change(key, value)
			return s.CommitCtx(ctx, key, value, expiry)
		}
	}
}

// renaming changes the keys in all methods.
func renaming(rename func(key string) string) func(w *wrong, s *memorystore.Store) {
	return func(w *wrong, s *memorystore.Store) {
		w.find = func(ctx context.Context, key string) ([]byte, bool, error) { return s.FindCtx(ctx, rename(key)) }
		w.remove = func(ctx context.Context, key string) error { return s.DeleteCtx(ctx, rename(key)) }
		w.commit = func(ctx context.Context, key string, value []byte, expiry time.Time) error {
			return s.CommitCtx(ctx, rename(key), value, expiry)
		}
	}
}

// expiring changes the expiry.
func expiring(change func(time.Time) time.Time) func(w *wrong, s *memorystore.Store) {
	return func(w *wrong, s *memorystore.Store) {
		w.commit = func(ctx context.Context, key string, value []byte, expiry time.Time) error {
			return s.CommitCtx(ctx, key, value, change(expiry))
		}
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// swapping swaps where also says so, too.
func swapping(also func(current, old []byte) bool) func(w *wrong, s *memorystore.Store) {
	return func(w *wrong, s *memorystore.Store) {
		w.swap = func(ctx context.Context, key string, old, value []byte, expiry time.Time) (bool, error) {
			if current, _, err := s.FindCtx(ctx, key); err == nil && also(current, old) {
				return true, s.CommitCtx(ctx, key, value, expiry)
			}
			return s.SwapCtx(ctx, key, old, value, expiry)
		}
	}
}

func renamingTopics(rename func(topic string) string) func(w *wrong, s *memorystore.Store) {
	return func(w *wrong, s *memorystore.Store) {
		w.notify = func(ctx context.Context, topic, message string) error {
			return s.NotifyCtx(ctx, rename(topic), message)
		}
		w.listen = func(ctx context.Context, topic string, f func(string), lost func()) (func(), error) {
			return s.Subscribe(ctx, rename(topic), f, lost)
		}
	}
}

func rewording(change func(message string) string) func(w *wrong, s *memorystore.Store) {
	return func(w *wrong, s *memorystore.Store) {
		w.notify = func(ctx context.Context, topic, message string) error {
			return s.NotifyCtx(ctx, topic, change(message))
		}
	}
}

// onlyIfHeard is a NotifyCtx for which it is an error if nobody subscribes.
func onlyIfHeard(w *wrong, s *memorystore.Store) func(ctx context.Context, topic, message string) error {
	subscribed := map[string]bool{}
	w.listen = func(ctx context.Context, topic string, f func(string), lost func()) (func(), error) {
		subscribed[topic] = true
		return s.Subscribe(ctx, topic, f, lost)
	}
	return func(ctx context.Context, topic, message string) error {
		if !subscribed[topic] {
			return errWrong
		}
		return s.NotifyCtx(ctx, topic, message)
	}
}

// What is right passes, and what a store lacks is said.
func TestRunPasses(t *testing.T) {
	t.Parallel()
	shared := memorystore.New()
	for name, row := range map[string]struct {
		replicas replicas
		leftOut  []string
	}{
		"memory":         {replicas{open: func(tester) idserver.Store { return memorystore.New() }}, []string{"Replicas.Shared", "Replicas.Cut", "Replicas.Stall"}},
		"shared memory":  {replicas{open: func(tester) idserver.Store { return shared }, shared: true}, []string{"Replicas.Cut", "Replicas.Stall"}},
		"a plain store":  {replicas{open: func(tester) idserver.Store { return struct{ idserver.Store }{memorystore.New()} }}, []string{"idserver.Swapper", "FindManyCtx", "idserver.Notifier", "Replicas.Shared", "Replicas.Cut", "Replicas.Stall"}},
		"over a network": {newNetwork().replicas(func(*remote) {}), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			faults, logs := watch(t, row.replicas)
			if len(faults) != 0 {
				t.Errorf("faults: %.2000q", faults)
			}
			if len(logs) != len(row.leftOut) {
				t.Errorf("it says %q, want %d lines", logs, len(row.leftOut))
			}
			for _, what := range row.leftOut {
				if !strings.Contains(strings.Join(logs, "\n"), what) {
					t.Errorf("it does not say that it leaves out what needs %s: %q", what, logs)
				}
			}
		})
	}
}
