// Command streams is a board that people write on and watch: by server-sent events, by WebSockets of two packages and by long
// polling. Whoever signs out watches no more.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"sync"
	"time"

	coder "github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"

	idchi "github.com/signward/idserver-go/chi"
	idserver "github.com/signward/idserver-go/core"
)

// board is a line of text that others wait for.
type board struct {
	mu     sync.Mutex
	text   string
	closed chan struct{} // when there is another
}

func (b *board) write(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.closed)
	b.text, b.closed = text, make(chan struct{})
}

func (b *board) read() (text string, next <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text, b.closed
}

// watch sends what stands on the board and what is written, until the admission ends, which is the error, or send fails, or gone
// is closed.
func (b *board) watch(admitted context.Context, gone <-chan struct{}, send func(text string) error) error {
	until, cancel := idserver.UntilSignedOut(admitted)
	defer cancel()
	for {
		text, next := b.read()
		if send(text) != nil {
			return nil
		}
		select {
		case <-next:
		case <-until.Done():
			return context.Cause(until)
		case <-gone:
			return nil
		}
	}
}

const patience = 10 * time.Second // with a browser that does not read

func (b *board) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would keep events until it has 4 kB of them
	to := http.NewResponseController(w)
	send := func(event string) error {
		_ = to.SetWriteDeadline(time.Now().Add(patience))
		_, err := fmt.Fprint(w, event, "\n\n")
		return errors.Join(err, to.Flush())
	}
	err := b.watch(r.Context(), r.Context().Done(), func(text string) error { return send("data: " + text) })
	if errors.Is(err, idserver.ErrSignedOut) {
		_ = send("event: end\ndata: signed out")
	}
}

func (b *board) coder(w http.ResponseWriter, r *http.Request) {
	conn, err := coder.Accept(w, r, nil)
	if err != nil {
		return // it has answered
	}
	defer func() { _ = conn.CloseNow() }()
	gone := conn.CloseRead(r.Context()) // not the context that ends at sign-out: with that, nothing could be said any more
	err = b.watch(r.Context(), gone.Done(), func(text string) error {
		ctx, cancel := context.WithTimeout(gone, patience)
		defer cancel()
		return conn.Write(ctx, coder.MessageText, []byte(text))
	})
	if err != nil {
		_ = conn.Close(coder.StatusPolicyViolation, "signed out")
	}
}

func (b *board) gorilla(w http.ResponseWriter, r *http.Request) {
	conn, err := new(gorilla.Upgrader).Upgrade(w, r, nil)
	if err != nil {
		return // it has answered
	}
	gone := make(chan struct{})
	go func() { // of a browser that leaves, who reads is told
		defer close(gone)
		_, _, _ = conn.NextReader() // this board takes no messages: one ends the connection
	}()
	defer func() { <-gone }()
	defer conn.Close()
	deadline := func() time.Time { return time.Now().Add(patience) }
	err = b.watch(r.Context(), gone, func(text string) error {
		_ = conn.SetWriteDeadline(deadline())
		return conn.WriteMessage(gorilla.TextMessage, []byte(text))
	})
	if err != nil {
		_ = conn.WriteControl(gorilla.CloseMessage, gorilla.FormatCloseMessage(gorilla.ClosePolicyViolation, "signed out"), deadline())
	}
}

func (b *board) poll(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), time.Minute) // proxies wait no longer
	defer cancel()
	_ = b.watch(r.Context(), ctx.Done(), func(text string) error {
		if text == r.FormValue("seen") {
			return nil
		}
		_, _ = io.WriteString(w, text)
		return io.EOF // one is enough
	}) // otherwise the answer is empty: the browser asks again, and the guard refuses it or not
}

func routes(auth *idchi.Auth) *http.ServeMux {
	b, mux := &board{text: "Welcome", closed: make(chan struct{})}, http.NewServeMux()
	auth.Mount(mux)
	handle := func(pattern string, handler http.HandlerFunc) { mux.Handle(pattern, auth.RequireUser()(handler)) }
	handle("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, page) })
	handle("POST /write", func(_ http.ResponseWriter, r *http.Request) { b.write(r.FormValue("text")) })
	handle("GET /events", b.events)
	handle("GET /coder", b.coder)
	handle("GET /gorilla", b.gorilla)
	handle("GET /poll", b.poll)
	return mux
}

const page = `<!doctype html>
<title>Board</title>
<p><input id="text"> <button id="write">Write</button></p>
<form method="post" action="/auth/logout"><button>Sign out</button></form>
<pre id="log"></pre>
<script>
const at = id => document.getElementById(id), log = (...words) => at('log').append(words.join(' ') + '\n');
at('write').onclick = () => fetch('/write', {method: 'POST', body: new URLSearchParams({text: at('text').value})});
const events = new EventSource('/events');
events.onmessage = event => log('events', event.data);
events.addEventListener('end', event => { events.close(); log('events end', event.data); });
for (const name of ['coder', 'gorilla']) {
	const socket = new WebSocket('/' + name);
	socket.onmessage = event => log(name, event.data);
	socket.onclose = event => log(name, 'end', event.code, event.reason);
}
async function poll(seen) {
	const answer = await fetch('/poll?seen=' + encodeURIComponent(seen), {headers: {Accept: 'text/plain'}}), text = await answer.text();
	if (!answer.ok) return log('poll end', answer.status);
	if (text) log('poll', text);
	poll(text || seen);
}
poll('');
</script>`

func main() {
	client, err := idserver.New(idserver.ConfigFromEnv())
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe(cmp.Or(os.Getenv("ADDR"), "127.0.0.1:8080"), routes(idchi.New(client))))
}
