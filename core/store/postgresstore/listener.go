package postgresstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	quiet       = time.Second            // how long a connection is silent before it is asked whether it is there
	answers     = 2 * time.Second        // how long that may take
	connects    = 5 * time.Second        // how long it takes to connect and listen
	reconnects  = 500 * time.Millisecond // between tries to connect
	losesEvery  = 700 * time.Millisecond // while messages cannot arrive; the contract has a second
	closesAfter = time.Second            // how long the goodbye to the server may take
)

// errClosed is what Subscribe returns after Close.
var errClosed = errors.New("postgresstore: closed")

// ErrPooler is the error of [Store.Subscribe] if its connection is not the server's own but a connection pooler's, such as PgBouncer's:
// messages would be lost without anybody noticing. [Store.Direct] or DATABASE_DIRECT_URL leads past it.
var ErrPooler = errors.New("LISTEN needs a connection to the server itself, and this one goes through a connection pooler: set Direct, or DATABASE_DIRECT_URL")

// channelOf returns the one channel on which a table's messages are sent, each behind its topic. Topics are longer than the names
// of channels, and one LISTEN is enough for all.
func channelOf(schema, table string) string {
	hash := sha256.Sum256([]byte(schema + "." + table))
	return "idserver_" + hex.EncodeToString(hash[:16])
}

// NotifyCtx sends message to those that subscribe to topic, by NOTIFY. PostgreSQL queues it for whoever is slow.
func (s *Store) NotifyCtx(ctx context.Context, topic, message string) error {
	return s.do(ctx, writes, func(q *statements) error {
		_, err := s.pool.Exec(ctx, q.notify, topic+" "+message)
		return err
	})
}

// Subscribe has f called with the messages of topic. All subscriptions share one connection, which there is while there is a
// subscription. It is made anew when it breaks, and asked every second whether it is there. If it cannot be made now, Subscribe returns an
// error at once; [ErrPooler] is one that stays.
func (s *Store) Subscribe(ctx context.Context, topic string, f func(message string), lost func()) (stop func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("postgresstore: %w", err)
	}
	subscriber := newSubscription(f, lost)
	if err := s.listener.add(ctx, topic, subscriber); err != nil {
		return nil, err
	}
	return func() {
		s.listener.remove(topic, subscriber)
		subscriber.stop()
	}, nil
}

// listen connects and listens.
func (s *Store) listen(ctx context.Context) (_ *pgx.Conn, err error) {
	q, err := s.statements()
	if err != nil {
		return nil, err
	}
	pool := s.pool.Config()
	config, prepare, accept := pool.ConnConfig, pool.BeforeConnect, pool.AfterConnect
	if s.Direct != nil {
		config, prepare, accept = s.Direct.Copy(), nil, nil
	}
	if prepare != nil { // it may fetch a password that lives for minutes
		if err := prepare(ctx, config); err != nil {
			return nil, err
		}
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	if accept != nil {
		err = accept(ctx, conn)
	}
	if err == nil {
		_, err = conn.Exec(ctx, "LISTEN "+pgx.Identifier{q.channel}.Sanitize(), pgx.QueryExecModeSimpleProtocol)
	}
	var backend uint32
	if err == nil {
		err = conn.QueryRow(ctx, "SELECT pg_backend_pid()", pgx.QueryExecModeSimpleProtocol).Scan(&backend)
	}
	if err == nil && backend != conn.PgConn().PID() { // poolers give their clients numbers of their own, to cancel requests by
		err = ErrPooler
	}
	if err != nil {
		goodbye(conn)
		return nil, err
	}
	return conn, nil
}

func goodbye(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), closesAfter)
	defer cancel()
	_ = conn.Close(ctx)
}

// listener hands the messages of one connection to subscriptions. It has a goroutine while there are any.
type listener struct {
	connect func(ctx context.Context) (*pgx.Conn, error)
	life    context.Context

	mu      sync.Mutex
	byTopic map[string][]*subscription
	wanted  int   // subscriptions, and those that wait to become one
	turn    *turn // nil: nobody wants one
	running sync.WaitGroup
}

// turn is one life of the goroutine, and of its connections one after the other.
type turn struct {
	ctx       context.Context
	end       context.CancelFunc
	listening bool
	fault     error              // of the last try to connect
	changed   chan struct{}      // closed after each try, each answer and each loss, and then another
	interrupt context.CancelFunc // ends the wait for a message
	doubted   bool               // the connection is to be asked whether it is there
	answered  int                // how often it has answered
}

// add makes a subscription one, as soon as messages arrive: where somebody hears them already, after the server has answered once more.
func (l *listener) add(ctx context.Context, topic string, s *subscription) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.life.Err() != nil {
		return errClosed
	}
	l.wanted++
	if l.turn == nil {
		t := &turn{changed: make(chan struct{}), interrupt: func() {}}
		t.ctx, t.end = context.WithCancel(l.life)
		l.turn = t
		l.running.Go(func() { l.run(t) })
	}
	t := l.turn
	before := t.answered
	if t.listening {
		t.doubted = true
		t.interrupt()
	}
	for !t.listening || t.answered == before {
		if err := l.wait(ctx, t); err != nil {
			l.unwant()
			return fmt.Errorf("postgresstore: no connection to listen on: %w", err)
		}
	}
	if l.byTopic == nil {
		l.byTopic = map[string][]*subscription{}
	}
	l.byTopic[topic] = append(l.byTopic[topic], s)
	return nil
}

// wait waits until something has changed. mu is held, but not while it waits. The error is ctx's, or that of a try to connect.
func (l *listener) wait(ctx context.Context, t *turn) error {
	changed := t.changed
	l.mu.Unlock()
	var err error
	select {
	case <-changed:
	case <-ctx.Done():
		err = ctx.Err()
	case <-t.ctx.Done():
		err = errClosed
	}
	l.mu.Lock()
	if err == nil {
		err = t.fault
	}
	return err
}

func (l *listener) remove(topic string, s *subscription) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.byTopic[topic]
	rest := slices.DeleteFunc(slices.Clone(before), func(other *subscription) bool { return other == s })
	if len(rest) == len(before) { // it was stopped before
		return
	}
	if len(rest) == 0 {
		delete(l.byTopic, topic)
	} else {
		l.byTopic[topic] = rest
	}
	l.unwant()
}

// unwant ends the goroutine when nobody wants it any more.
func (l *listener) unwant() {
	if l.wanted--; l.wanted == 0 {
		l.turn.end()
		l.turn = nil
	}
}

// close ends all subscriptions. life has ended.
func (l *listener) close() {
	l.running.Wait()
	l.mu.Lock()
	var all []*subscription
	for _, some := range l.byTopic {
		all = append(all, some...)
	}
	l.mu.Unlock()
	for _, s := range all {
		s.stop()
	}
}

// run connects, hears, and connects again.
func (l *listener) run(t *turn) {
	for t.ctx.Err() == nil {
		conn, err := l.connected(t)
		l.change(t, func() {
			t.listening, t.fault = err == nil, err
			t.answered++ // LISTEN, if it was
			t.doubted = false
			l.lose() // what was sent meanwhile
		})
		if err != nil {
			l.rest(t)
			continue
		}
		l.hear(t, conn)
		l.change(t, func() {
			t.listening = false
			l.lose()
		})
		goodbye(conn)
	}
}

// change changes a turn, and tells those that wait.
func (l *listener) change(t *turn, change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
	close(t.changed)
	t.changed = make(chan struct{})
}

// lose tells every subscription that it may have missed messages. mu is held.
func (l *listener) lose() {
	for _, some := range l.byTopic {
		for _, s := range some {
			s.lose()
		}
	}
}

// connected connects, and says meanwhile that messages cannot arrive.
func (l *listener) connected(t *turn) (conn *pgx.Conn, err error) {
	ctx, cancel := context.WithTimeout(t.ctx, connects)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err = l.connect(ctx)
	}()
	l.losesUntil(done)
	return conn, err
}

// rest waits between two tries.
func (l *listener) rest(t *turn) {
	ctx, cancel := context.WithTimeout(t.ctx, reconnects)
	defer cancel()
	l.losesUntil(ctx.Done())
}

func (l *listener) losesUntil(done <-chan struct{}) {
	ticker := time.NewTicker(losesEvery)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return
		case <-ticker.C:
			l.mu.Lock()
			l.lose()
			l.mu.Unlock()
		}
	}
}

// hear hands out what arrives until the connection breaks, does not answer, or the turn ends.
func (l *listener) hear(t *turn, conn *pgx.Conn) {
	for t.ctx.Err() == nil {
		patience, cancel := context.WithTimeout(t.ctx, quiet)
		if l.doubted(t, cancel) {
			cancel()
		}
		notification, err := conn.WaitForNotification(patience)
		cancel()
		if err == nil {
			topic, message, _ := strings.Cut(notification.Payload, " ")
			l.send(topic, message)
			continue
		}
		if conn.IsClosed() || !answer(t.ctx, conn) {
			return
		}
		l.change(t, func() {
			t.answered++
			t.doubted = false
		})
	}
}

// doubted reports whether somebody wants the connection to be asked, and else notes how to interrupt the wait for a message.
func (l *listener) doubted(t *turn, interrupt context.CancelFunc) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	t.interrupt = interrupt
	return t.doubted
}

// answer reports whether a connection that is silent is there.
func answer(ctx context.Context, conn *pgx.Conn) bool {
	ctx, cancel := context.WithTimeout(ctx, answers)
	defer cancel()
	return conn.Ping(ctx) == nil
}

func (l *listener) send(topic, message string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.byTopic[topic] {
		s.send(message)
	}
}
