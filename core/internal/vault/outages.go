package vault

import (
	"sync"
	"time"
)

// outages are the times in which the store could not be reached. Whoever takes its place then may lack its last writes, without another
// epoch: that is noticed by who looks for what it wrote.
type outages struct {
	mu      sync.Mutex
	began   time.Time // the first error since the store answered last; zero: it answers
	cut     bool      // messages were lost since: the connection to another server may be a new one
	back    time.Time // when the last outage was over
	watcher func(newEpoch bool)
}

// outage is how long a store does not answer, at least, when another server takes its place. It may be slow, or fail now and then, for
// shorter.
const outage = time.Second

// failed notes that the store did not answer.
func (o *outages) failed(now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.began.IsZero() {
		o.began = now
	}
}

// cutOff notes that messages were lost.
func (o *outages) cutOff() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.cut = true
}

// Watch has f called when the store may have lost something: after each change of its epoch, and when it answers after an error or after
// messages were lost. f is called by whoever has noticed, and returns soon. There is one at most.
func (v *Vault) Watch(f func(newEpoch bool)) {
	v.outages.mu.Lock()
	defer v.outages.mu.Unlock()
	v.watcher = f
}

// learn takes over what a look has found.
func (v *Vault) learn(o *opened) {
	v.outages.mu.Lock()
	before := v.known.Load()
	sameEpoch := before != nil && before.epoch == o.epoch
	o.since = v.now()
	if sameEpoch {
		o.since = before.since
	}
	doubtful := v.cut || !v.began.IsZero()
	if v.cut || !v.began.IsZero() && v.now().Sub(v.began).Abs() >= outage {
		v.back = v.now()
	}
	v.began, v.cut = time.Time{}, false
	v.known.Store(o)
	watcher := v.watcher
	v.outages.mu.Unlock()
	if watcher != nil && before != nil && (doubtful || !sameEpoch) {
		watcher(!sameEpoch)
	}
}

// Noticed returns when this process noticed the epoch that the store is in, and when the store was last back after an outage. Replicas
// that notice such a thing write again what they know to be lost. A time is zero if that has not happened.
func (v *Vault) Noticed() (epoch, back time.Time) {
	v.outages.mu.Lock()
	defer v.outages.mu.Unlock()
	if o := v.known.Load(); o != nil {
		epoch = o.since
	}
	return epoch, v.back
}
