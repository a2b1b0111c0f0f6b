// Package storetest proves a store by the contract of [idserver.Store]. It is for tests only.
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) idserver.Store { return mystore.New(...) })
//	}
package storetest

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
)

// Run proves a store: what every store must do, and what is optional where it has the methods. What is left out because it has them
// not, the log says. newStore is called for each test that is run; the stores may share their data, as each test uses keys of its own,
// and the test that is handed over is the one whose end may close the store.
func Run(t *testing.T, newStore func(t *testing.T) idserver.Store) {
	t.Helper()
	RunReplicas(t, Replicas{New: newStore})
}

// Replicas is how the stores of several replicas are made, and troubled.
type Replicas struct {
	// New returns the store of one more replica. Required.
	New func(t *testing.T) idserver.Store
	// Shared says that the stores that New returns share their data. What the replicas see of each other is then tested.
	Shared bool
	// Cut, if set, breaks the connections of all stores at once. New ones can be made.
	Cut func(t *testing.T)
	// Stall, if set, makes whatever the stores talk to fall silent, without breaking a connection, until resume is called.
	Stall func(t *testing.T) (resume func())
}

// RunReplicas proves a store as [Run] does, and what several replicas see of each other, through faults too.
func RunReplicas(t *testing.T, r Replicas) {
	t.Helper()
	prove(inTest{t}, replicas{
		open:   func(t tester) idserver.Store { return r.New(t.(inTest).T) },
		shared: r.Shared,
		cut:    forTest(r.Cut), stall: stallForTest(r.Stall),
	})
}

// tester is what a proof needs of a *testing.T, so that this package's own tests can watch a proof fail.
type tester interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Logf(format string, args ...any)
	Cleanup(f func())
	Context() context.Context
	// run runs named tests: those with beside, beside each other. It returns when all have ended.
	run(tests []namedTest)
}

type namedTest struct {
	name   string
	beside bool
	test   func(t tester)
}

// replicas is Replicas for any tester.
type replicas struct {
	open   func(t tester) idserver.Store
	shared bool
	cut    func(t tester)
	stall  func(t tester) (resume func())
}

// inTest is the tester that users have.
type inTest struct{ *testing.T }

func (t inTest) run(tests []namedTest) {
	t.Helper()
	for _, test := range tests {
		if !test.beside {
			t.Run(test.name, func(t *testing.T) { test.test(inTest{t}) })
		}
	}
	t.Run("together", func(t *testing.T) {
		for _, test := range tests {
			if test.beside {
				t.Run(test.name, func(t *testing.T) {
					t.Parallel()
					test.test(inTest{t})
				})
			}
		}
	})
}

func forTest(f func(t *testing.T)) func(t tester) {
	if f == nil {
		return nil
	}
	return func(t tester) { f(t.(inTest).T) }
}

func stallForTest(f func(t *testing.T) func()) func(t tester) func() {
	if f == nil {
		return nil
	}
	return func(t tester) func() { return f(t.(inTest).T) }
}

// prove runs every test that the store's methods allow, and says what it leaves out.
func prove(t tester, r replicas) {
	t.Helper()
	store := r.open(t)
	tests := []namedTest{
		{"FindCtx", true, r.of(finds)},
		{"Values", true, r.of(values)},
		{"Keys", true, r.of(keys)},
		{"Expiry", true, r.of(expires)},
		{"ExpiryMoves", true, r.of(expiryMoves)},
		{"EndedContext", true, r.of(endedContext)},
		{"Concurrency", true, r.of(concurrency)},
	}
	if _, ok := store.(idserver.Swapper); ok {
		tests = append(tests,
			namedTest{"SwapCtx", true, r.of(swaps)},
			namedTest{"SwapExpiry", true, r.of(swapExpires)},
			namedTest{"SwapContended", true, func(t tester) { contended(t, r.several(t, 1)) }},
			namedTest{"SwapCounts", true, func(t tester) { counts(t, r.several(t, 1)) }},
		)
		if r.shared {
			tests = append(tests,
				namedTest{"ReplicasSwapContended", true, func(t tester) { contended(t, r.several(t, 3)) }},
				namedTest{"ReplicasSwapCount", true, func(t tester) { counts(t, r.several(t, 3)) }},
			)
		}
	} else {
		t.Logf("left out: %T has no SwapCtx (idserver.Swapper), so replicas cannot agree: it is for Config.SingleReplica, and is given no expiry that has passed", store)
	}
	if _, ok := store.(manyFinder); ok {
		tests = append(tests, namedTest{"FindManyCtx", true, r.of(findsMany)})
	} else {
		t.Logf("left out: %T has no FindManyCtx: several values are found one after the other", store)
	}
	_, notifies := store.(idserver.Notifier)
	if notifies {
		tests = append(tests,
			namedTest{"NotifyCtx", true, r.of(notices)},
			namedTest{"SubscribeContext", true, r.of(subscribeContext)},
			namedTest{"SubscriberBlocks", true, r.of(subscriberBlocks)},
			namedTest{"SubscriptionStops", true, r.of(stops)},
		)
	} else {
		t.Logf("left out: %T has no NotifyCtx and Subscribe (idserver.Notifier): replicas look for news in intervals", store)
	}
	if r.shared {
		tests = append(tests, namedTest{"ReplicasSee", true, func(t tester) { replicasSee(t, r.several(t, 3)) }})
	} else {
		t.Logf("left out: what replicas see of each other, as the stores share nothing (Replicas.Shared)")
	}
	if r.cut != nil {
		tests = append(tests, namedTest{"Cut", false, func(t tester) { survivesCut(t, r.open(t), r.cut) }})
	} else {
		t.Logf("left out: connections that break, as nothing can break them here (Replicas.Cut)")
	}
	if r.stall != nil {
		tests = append(tests, namedTest{"Stall", false, func(t tester) { survivesStall(t, r.open(t), r.stall) }})
	} else {
		t.Logf("left out: deadlines, as nothing can make the store wait here (Replicas.Stall)")
	}
	t.run(tests)
}

// of returns a test of one store.
func (r *replicas) of(test func(t tester, s idserver.Store)) func(t tester) {
	return func(t tester) { test(t, r.open(t)) }
}

func (r *replicas) several(t tester, n int) []idserver.Store {
	stores := make([]idserver.Store, n)
	for i := range stores {
		stores[i] = r.open(t)
	}
	return stores
}

// newKey returns a key that nobody else has, of 43 bytes as those of hashes.
func newKey() string { return "storetest:" + rand.Text() + "-_abcde" }

// unique returns a value that nobody else has.
func unique() []byte { return []byte(rand.Text()) }

// later is an expiry that no test lives to see.
func later() time.Time { return time.Now().Add(time.Hour) }

// pause is between two looks at what is about to change. turns is how often it is looked at before that is given up: a machine that
// stands still makes no turns meanwhile, so that it fails no test.
const (
	pause = 20 * time.Millisecond
	turns = 1500
)

// waitFor looks until something is so.
func waitFor(t tester, what string, so func() bool) {
	t.Helper()
	for range turns {
		if so() {
			return
		}
		time.Sleep(pause)
	}
	t.Fatalf("in %d looks over %v: %s", turns, turns*pause, what)
}
