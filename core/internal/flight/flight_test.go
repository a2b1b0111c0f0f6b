package flight

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var key, other = [32]byte{1}, [32]byte{2}

var errRequest = errors.New("the request failed")

// newGroup returns a group of strings that keeps results for a minute, and failures for a second.
func newGroup(edit ...func(*Options[string])) *Group[string] {
	o := Options[string]{
		Now: time.Now, Limit: 30 * time.Second, MostRunning: 100, MostBytes: 1 << 20,
		Size: func(value string, _ error) int { return len(value) },
		Kept: func(_ string, err error) time.Duration {
			if err != nil {
				return time.Second
			}
			return time.Minute
		},
	}
	for _, edit := range edit {
		edit(&o)
	}
	return New(o)
}

// at returns a request that returns value at once.
func at(value string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return value, nil }
}

// until returns a request that returns its context's error as soon as that ends, or value as soon as finish is closed.
func until(finish <-chan struct{}, value string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		select {
		case <-finish:
			return value, nil
		case <-ctx.Done():
			return "", fmt.Errorf("%w: %w", errRequest, context.Cause(ctx))
		}
	}
}

// asked is what an asker in a goroutine of its own got.
type asked struct {
	value string
	err   error
	back  bool // it is back; to be read after synctest.Wait
}

func ask(ctx context.Context, g *Group[string], key [32]byte, request func(context.Context) (string, error)) *asked {
	a := new(asked)
	go func() {
		a.value, a.err = g.Do(ctx, key, request)
		a.back = true
	}()
	synctest.Wait()
	return a
}

func TestOneRequestForMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup()
		defer g.Close()
		var made atomic.Int32
		finish := make(chan struct{})
		request := func(ctx context.Context) (string, error) {
			made.Add(1)
			return until(finish, "the result")(ctx)
		}
		var all []*asked
		for range 20 {
			all = append(all, ask(t.Context(), g, key, request))
		}
		if v, err := g.Do(t.Context(), other, at("another")); v != "another" || err != nil {
			t.Errorf("another key: %q, %v", v, err)
		}
		close(finish)
		synctest.Wait()
		for _, a := range all {
			if !a.back || a.value != "the result" || a.err != nil {
				t.Errorf("an asker got %+v", a)
			}
		}
		if n := made.Load(); n != 1 {
			t.Errorf("%d requests", n)
		}
	})
}

func TestResultsAreRemembered(t *testing.T) {
	for name, row := range map[string]struct {
		err  error
		kept time.Duration
	}{"a success": {nil, time.Minute}, "a failure": {errRequest, time.Second}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGroup()
				defer g.Close()
				made := 0
				do := func() (string, error) {
					return g.Do(t.Context(), key, func(context.Context) (string, error) {
						made++
						return fmt.Sprint("result ", made), row.err
					})
				}
				if _, ok := g.Peek(key); ok {
					t.Error("before the first request there is a result")
				}
				_, _ = do()
				time.Sleep(row.kept - 1)
				if v, err := do(); v != "result 1" || err != row.err {
					t.Errorf("just before it is forgotten: %q, %v", v, err)
				}
				if r, ok := g.Peek(key); !ok || r.Value != "result 1" || r.Err != row.err {
					t.Errorf("just before it is forgotten: %+v, %v", r, ok)
				}
				time.Sleep(time.Nanosecond)
				if _, ok := g.Peek(key); ok {
					t.Error("its time has passed, and there is a result")
				}
				if v, err := do(); v != "result 2" || err != row.err || made != 2 {
					t.Errorf("then: %q, %v", v, err)
				}
				if len(g.soon) != 1 || len(g.byKey) != 1 {
					t.Errorf("%d results are held, %d by key, want 1", len(g.soon), len(g.byKey))
				}
			})
		})
	}
}

func TestNotRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, edit := range map[string]func(*Options[string]){
			"kept for no time":         func(o *Options[string]) { o.Kept = func(string, error) time.Duration { return 0 } },
			"larger than all may be":   func(o *Options[string]) { o.MostBytes = overhead },
			"kept for a negative time": func(o *Options[string]) { o.Kept = func(string, error) time.Duration { return -1 } },
		} {
			g := newGroup(edit)
			v, err := g.Do(t.Context(), key, at("one"))
			if again, _ := g.Do(t.Context(), key, at("two")); v != "one" || err != nil || again != "two" {
				t.Errorf("%s: %q, %v, then %q", name, v, err, again)
			}
			if _, ok := g.Peek(key); ok || len(g.byKey) != 0 || g.bytes != 0 {
				t.Errorf("%s: %d are held, %d bytes", name, len(g.byKey), g.bytes)
			}
			g.Close()
		}
	})
}

// Peek does not wait for a request.
func TestPeekInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup()
		defer g.Close()
		ask(t.Context(), g, key, until(nil, ""))
		if r, ok := g.Peek(key); ok {
			t.Errorf("%+v", r)
		}
	})
}

// A token request that was sent cannot be undone: it goes on when the asker leaves, with the values of the asker's context.
func TestAskerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup()
		defer g.Close()
		type name struct{}
		cause := errors.New("the connection was closed")
		ctx, leave := context.WithCancelCause(context.WithValue(t.Context(), name{}, "value"))
		finish := make(chan struct{})
		a := ask(ctx, g, key, func(ctx context.Context) (string, error) {
			v, err := until(finish, "the result")(ctx)
			return fmt.Sprint(v, " ", ctx.Value(name{})), err
		})
		stays := ask(t.Context(), g, key, at("another"))
		leave(cause)
		synctest.Wait()
		if !a.back || !errors.Is(a.err, ErrLeft) || !errors.Is(a.err, cause) || stays.back {
			t.Errorf("who left got %+v, who stays %+v", a, stays)
		}
		close(finish)
		synctest.Wait()
		if stays.value != "the result value" || stays.err != nil {
			t.Errorf("who stays got %+v", stays)
		}
	})
}

// A refusal must not be escaped by closing the connection: an asker whose context has ended gets the result that is there, always.
func TestResultBeforeContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup()
		defer g.Close()
		ended, end := context.WithCancel(t.Context())
		end()
		if v, err := g.Do(ended, key, at("begun")); !errors.Is(err, ErrLeft) || !errors.Is(err, context.Canceled) {
			t.Errorf("without a result: %q, %v", v, err)
		}
		if len(g.byKey) != 0 {
			t.Error("an asker who had left began a request")
		}
		_, _ = g.Do(t.Context(), key, func(context.Context) (string, error) { return "", errRequest })
		for range 200 {
			if _, err := g.Do(ended, key, at("again")); err != errRequest {
				t.Fatalf("the refusal is there, and the asker got %v", err)
			}
		}
	})
}

func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup()
		defer g.Close()
		begun := time.Now()
		_, err := g.Do(t.Context(), key, until(nil, ""))
		if took := time.Since(begun); !errors.Is(err, errRequest) || !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrLeft) || took != 30*time.Second {
			t.Errorf("after %v: %v", took, err)
		}
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup()
		_, _ = g.Do(t.Context(), other, at("before"))
		ended := false
		a := ask(t.Context(), g, key, func(ctx context.Context) (string, error) {
			_, err := until(nil, "")(ctx)
			time.Sleep(time.Second)
			ended = true
			return "", err
		})
		g.Close()
		if !ended {
			t.Error("Close did not wait")
		}
		synctest.Wait()
		if !errors.Is(a.err, errRequest) || !errors.Is(a.err, ErrClosed) {
			t.Errorf("the asker got %+v", a)
		}
		if _, err := g.Do(t.Context(), [32]byte{3}, at("after")); err != ErrClosed {
			t.Errorf("after Close: %v", err)
		}
		if v, err := g.Do(t.Context(), other, at("after")); v != "before" || err != nil {
			t.Errorf("a result that is remembered: %q, %v", v, err)
		}
		g.Close()
	})
}

// A panic in a goroutine of the group's own would end the process.
func TestPanic(t *testing.T) {
	for name, row := range map[string]struct {
		request func(context.Context) (string, error)
		text    string
	}{
		"a panic":       {func(context.Context) (string, error) { panic("with a token") }, "flight_test.go"},
		"no memory":     {func(context.Context) (string, error) { var none []string; return none[len(none)], nil }, "runtime"},
		"Goexit":        {func(context.Context) (string, error) { runtime.Goexit(); return "", nil }, "goroutine"},
		"a panic (nil)": {func(context.Context) (string, error) { panic(nil) }, "PanicNilError"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGroup()
				defer g.Close()
				a := ask(t.Context(), g, key, row.request)
				if !a.back || !errors.Is(a.err, ErrPanicked) || !strings.Contains(a.err.Error(), row.text) {
					t.Errorf("the asker got %+v", a)
				}
				if a.err != nil && strings.Contains(a.err.Error(), "with a token") {
					t.Errorf("the error tells what was panicked with: %v", a.err)
				}
				if len(g.inFlight) != 0 {
					t.Error("it is still in flight")
				}
			})
		})
	}
}

// A stranger who asks and leaves takes nobody's place: what nobody waits for is cancelled to make room, the oldest first, and
// nobody is refused before.
func TestMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 4
		g := newGroup(func(o *Options[string]) { o.MostRunning = most })
		defer g.Close()
		var causes [most]error
		stranger, leave := context.WithCancel(t.Context())
		for i := range byte(most) {
			ask(stranger, g, [32]byte{i}, func(ctx context.Context) (string, error) {
				<-ctx.Done()
				causes[i] = context.Cause(ctx)
				return "", errRequest
			})
			time.Sleep(time.Millisecond)
		}
		if _, err := g.Do(t.Context(), [32]byte{100}, at("")); err != ErrBusy {
			t.Errorf("when somebody waits for each: %v", err)
		}
		if r, ok := g.Peek([32]byte{100}); ok {
			t.Errorf("that nobody has a place is remembered: %+v", r)
		}
		stays := ask(t.Context(), g, [32]byte{0}, at("")) // beside the stranger, for the oldest
		leave()
		synctest.Wait()
		for i := range byte(most - 1) {
			if a := ask(t.Context(), g, [32]byte{100 + i}, until(nil, "")); a.back {
				t.Fatalf("the %d. who waits got %+v", i+1, a)
			}
			for j := range most {
				if cancelled, want := causes[j] == ErrAbandoned, j >= 1 && j <= int(i)+1; cancelled != want {
					t.Errorf("after %d of those who wait: the stranger's %d. was cancelled: %v", i+1, j+1, cancelled)
				}
			}
		}
		if stays.back {
			t.Errorf("somebody waits for it, and it was cancelled: %+v", stays)
		}
		if _, err := g.Do(t.Context(), [32]byte{200}, at("")); err != ErrBusy {
			t.Errorf("when somebody waits for each: %v", err)
		}
		if v, err := g.Do(t.Context(), [32]byte{1}, at("")); err != errRequest {
			t.Errorf("who asks for one that was cancelled gets %q, %v, want its result", v, err)
		}
	})
}

// Whoever comes back waits for the request that they left, and it is not cancelled.
func TestComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(func(o *Options[string]) { o.MostRunning = 1 })
		defer g.Close()
		finish := make(chan struct{})
		ctx, leave := context.WithCancel(t.Context())
		ask(ctx, g, key, until(finish, "the result"))
		leave()
		synctest.Wait()
		back := ask(t.Context(), g, key, at("another"))
		if _, err := g.Do(t.Context(), other, at("")); err != ErrBusy {
			t.Errorf("another: %v", err)
		}
		close(finish)
		synctest.Wait()
		if back.value != "the result" {
			t.Errorf("who came back got %+v", back)
		}
	})
}

func TestBytesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most, size = 100, 1000
		g := newGroup(func(o *Options[string]) { o.MostBytes = most * (size + overhead) })
		defer g.Close()
		of := func(i int) [32]byte { return [32]byte{byte(i), byte(i >> 8)} }
		value := strings.Repeat("v", size)
		for i := range 3 * most {
			_, _ = g.Do(t.Context(), of(i), at(value))
			if _, ok := g.Peek(of(i)); !ok {
				t.Fatalf("result %d is forgotten at once", i)
			}
			if g.bytes > g.options.MostBytes || len(g.soon) != len(g.byKey) {
				t.Fatalf("%d bytes are held, %d results, %d by key", g.bytes, len(g.soon), len(g.byKey))
			}
			time.Sleep(time.Millisecond)
		}
		for i := range 3 * most {
			if _, ok := g.Peek(of(i)); ok != (i >= 2*most) {
				t.Errorf("result %d of %d is remembered: %v", i, 3*most, ok)
			}
		}
	})
}

// Many results whose time has passed at once are forgotten little by little, and in the end all of them.
func TestForgettingIsIncremental(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 500
		g := newGroup()
		defer g.Close()
		of := func(i int) [32]byte { return [32]byte{byte(i), byte(i >> 8)} }
		for i := range n {
			_, _ = g.Do(t.Context(), of(i), at(""))
		}
		time.Sleep(time.Hour)
		for i := range n {
			before := len(g.byKey)
			_, _ = g.Do(t.Context(), of(n+i), at(""))
			if gone := before + 1 - len(g.byKey); gone > forgetAtOnce {
				t.Fatalf("one call forgot %d", gone)
			}
		}
		if len(g.byKey) != n || g.bytes != n*overhead {
			t.Errorf("%d are held with %d bytes, want %d", len(g.byKey), g.bytes, n)
		}
	})
}

func TestConcurrently(t *testing.T) {
	g := newGroup(func(o *Options[string]) { o.MostBytes = 20 * (overhead + 20); o.MostRunning = 3 })
	var running sync.WaitGroup
	for n := range 8 {
		running.Go(func() {
			for i := range 2000 {
				ctx, end := context.WithCancel(t.Context())
				if (n+i)%3 == 0 {
					end()
				}
				k := [32]byte{byte(i % 50)}
				want := fmt.Sprint(i % 50)
				v, err := g.Do(ctx, k, at(want))
				if err == nil && v != want || err != nil && !errors.Is(err, ErrLeft) && !errors.Is(err, ErrBusy) {
					t.Errorf("%q, %v", v, err)
				}
				g.Peek(k)
				end()
			}
		})
	}
	running.Wait()
	g.Close()
	if len(g.inFlight) != 0 || len(g.soon) != len(g.byKey) {
		t.Errorf("%d are in flight, %d remembered, %d by key", len(g.inFlight), len(g.soon), len(g.byKey))
	}
}
