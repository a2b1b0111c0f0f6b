package vault

import (
	"context"
	"errors"
	"fmt"

	"github.com/signward/idserver-go/core/internal/seal"
)

// notifier is a store that carries messages. lost is called whenever some may have been missed.
type notifier interface {
	NotifyCtx(ctx context.Context, topic, message string) error
	Subscribe(ctx context.Context, topic string, f func(message string), lost func()) (stop func(), err error)
}

// maxMessage limits a message, in bytes: the store's have 1000, and what is sealed and in base64url is longer.
const maxMessage = 700

// HasNotifier reports whether the store carries messages. Without, Notify and Subscribe do nothing.
func (v *Vault) HasNotifier() bool { return v.notifier != nil }

// Notify tells a message to all who subscribed to a topic. Messages shorten waits, and nothing may rely on them. They are
// sealed, each for its topic, with the application's secrets and not with the root's: so that replicas which cannot look up
// the root now hear them too. The error is ErrAway.
func (v *Vault) Notify(ctx context.Context, topic, message string) error {
	if v.notifier == nil {
		return nil
	}
	if len(message) > maxMessage {
		return fmt.Errorf("%w: a message of %d bytes", ErrTooLarge, len(message))
	}
	var all []error
	for _, ring := range v.rings { // another replica may have only one of them
		sealed, err := ring.Seal(v.rand, messagePurpose(topic), []byte(message))
		if err != nil {
			return err
		}
		all = append(all, v.do(ctx, func(ctx context.Context) error { return v.notifier.NotifyCtx(ctx, topicOf(ring, topic), sealed) }))
	}
	return errors.Join(all...)
}

// Subscribe has f called with the messages of a topic, and lost whenever some may have been missed, until stop is called.
// While secrets change, a message may come twice. One that cannot be opened counts as missed. The error is ErrAway; there
// is no subscription then.
func (v *Vault) Subscribe(ctx context.Context, topic string, f func(message string), lost func()) (stop func(), err error) {
	if v.notifier == nil {
		return func() {}, nil
	}
	var stops []func()
	stop = func() {
		for _, stop := range stops {
			stop()
		}
	}
	doubt := func() {
		v.cutOff()
		v.stale.Store(true)
		lost()
	}
	for _, ring := range v.rings {
		hear := func(sealed string) {
			message, _, err := ring.Open(messagePurpose(topic), sealed)
			if err != nil || len(message) > maxMessage {
				lost()
				return
			}
			f(string(message))
		}
		one, err := v.notifier.Subscribe(ctx, topicOf(ring, topic), hear, doubt)
		if err != nil {
			stop()
			return nil, fmt.Errorf("%w: %w", ErrAway, err)
		}
		stops = append(stops, one)
	}
	return stop, nil
}

func messagePurpose(topic string) string { return "message\x00" + topic }

// topicOf returns a topic's name in the store, for those who have a secret.
func topicOf(ring *seal.Ring, topic string) string {
	hash := ring.Derive("topic\x00" + topic)
	return inStore(hash[:])
}
