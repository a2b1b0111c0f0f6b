package adaptertest

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
)

// hangs ends what waits for nothing; a slow machine is not a fault.
const hangs = 3 * time.Second

// streams tests what outlasts its request: it ends when its admission does, and leaves nothing running.
func streams(s *suite) {
	addr := s.serve()
	kinds := []struct {
		name, target string
		header       map[string][]string
	}{
		{"event stream", "/suite/stream", aStream}, {"long poll", "/suite/poll", aScript}, {"WebSocket", "/suite/socket", aHandshake},
	}
	for _, kind := range kinds {
		v := s.visitor(addr).signIn("alice")
		st := v.open("GET", kind.target, kind.header)
		if kind.name != "long poll" {
			st.tell("news")
		}
		v.do("POST", "/auth/logout", aPage)
		st.ends("alice's "+kind.name, "it ends when she signs out")
		v.step("alice's "+kind.name+" again", "nobody", "GET", kind.target, kind.header)

		v.signIn("alice")
		for range 14 {
			s.clock.advance(50 * time.Minute)
			v.do("GET", "/suite/user", aScript)
		}
		s.clock.advance(20*time.Minute - moment)
		st = v.open("GET", kind.target, kind.header)
		s.clock.advance(moment)
		st.ends("alice's "+kind.name+" after 12 h", "it ends with the session, used or not")

		v = s.visitor(addr)
		expiry := s.clock.Now().Unix() + 1
		bearer := with(kind.header, "Authorization", "Bearer "+s.provider.MintAccessToken("alice", func(c map[string]any) { c["exp"] = expiry }))
		s.clock.advance(time.Unix(expiry, 0).Add(leeway - moment).Sub(s.clock.Now()))
		st = v.open("GET", kind.target, bearer)
		s.clock.advance(moment)
		st.ends("alice's token: "+kind.name, "it ends with the token, with the leeway of the guard")

		v = s.visitor(addr).signIn("alice")
		v.open("GET", kind.target, kind.header).leave()
	}
	v := s.visitor(addr).signIn("alice")
	st := v.open("GET", "/suite/poll", aScript)
	st.tell("news")
	st.ends("alice's long poll, with news", "its answer")
	for name, header := range inOrder(map[string]map[string][]string{
		"from elsewhere": with(aHandshake, "Origin", "https://evil.example"), "with a bad token": with(aHandshake, "Authorization", "Bearer abc"),
	}) {
		v.step("a WebSocket "+name+", where there is one", "nothing is taken over", "GET", "/suite/socket", header)
	}
	v.wire("a WebSocket with a body", "it would be read as data", "GET /suite/socket", "Origin: "+suiteOrigin, "Upgrade: websocket", "Sec-WebSocket-Version: 13",
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Cookie: "+v.cookies("/"), "Content-Length: 5", "", "hello")
	v.step("a page that is asked to be a WebSocket", "RFC 9110 section 7.8: it may stay what it is", "GET", "/suite/user", aHandshake)
	v.open("GET", "/suite/stream", aHandshake).leave() // an event stream that is asked to be one stays what it is too
	v.step("a page after all those", "alice", "GET", "/suite/user", aScript)

	again, deadline := time.NewTicker(time.Millisecond), time.After(hangs)
	defer again.Stop()
	for left := leftRunning(); left != ""; left = leftRunning() { // who was told to end may take a while
		select {
		case <-again.C:
		case <-deadline:
			s.t.Errorf("after the streams, this is still running:\n%s", left)
			return
		}
	}
}

const (
	leeway = 10 * time.Second // of the guards
	// moment is what a stream has left when it is opened, so that its timer is set; the suite's clock, and not the timer,
	// says when that is over.
	moment = 50 * time.Millisecond
)

// leftRunning returns the stacks of goroutines that run code of this repository, but for those of tests, of providers, and of
// servers.
func leftRunning() (stacks string) {
	all := make([]byte, 1<<20)
	n := runtime.Stack(all, true)
	for ; n == len(all); n = runtime.Stack(all, true) {
		all = make([]byte, 2*len(all))
	}
	for stack := range strings.SplitSeq(string(all[:n]), "\n\n") {
		isOwn := func(name string) bool { return strings.Contains(stack, repository+name) }
		if isOwn("") && !strings.Contains(stack, "testing.tRunner(") && !slices.ContainsFunc([]string{"core/idtest.", "core/idtest/adaptertest.(*suite).serveOn"}, isOwn) {
			stacks += stack + "\n\n"
		}
	}
	return stacks
}

const repository = "signward/idserver-go/"

// open is a stream that a visitor has opened. What has been read of it may be looked at when it is done.
type open struct {
	v              *visitor
	handler        *opened
	method, target string
	header         map[string][]string

	hangUp   context.CancelFunc
	done     chan struct{}
	response *http.Response
	text     []byte
	err      error
}

var shownToken = regexp.MustCompile(`token ([0-9a-f]{16})`)

// open sends a request that outlasts its answer's header, and waits until its handler waits.
func (v *visitor) open(method, target string, header map[string][]string) *open {
	v.s.t.Helper()
	seen := v.do("GET", "/suite/user", with(with(aScript, "Authorization", header["Authorization"]...), "Cookie", header["Cookie"]...))
	who := shownToken.FindStringSubmatch(seen.body)
	if who == nil {
		v.s.t.Fatalf("nobody is signed in: %d %s", seen.StatusCode, seen.body)
	}
	ctx, cancel := context.WithCancel(context.Background())
	o := &open{v: v, handler: newOpened(), method: method, target: target, header: header, hangUp: cancel, done: make(chan struct{})}
	openStreams.Store(who[1], o.handler)
	v.s.t.Cleanup(func() {
		cancel()
		openStreams.Delete(who[1])
	})
	go func() {
		defer close(o.done)
		o.read(ctx)
	}()
	select {
	case <-o.handler.in:
	case <-o.done:
		v.s.t.Fatalf("%s %s is answered without waiting: %v %s %v", method, target, o.response, o.text, o.err)
	case <-time.After(hangs):
		v.s.t.Fatalf("%s %s: the handler does not begin", method, target)
	}
	return o
}

// read sends the request and reads to the end of the stream.
func (o *open) read(ctx context.Context) {
	request, err := o.v.request(ctx, o.method, o.target, o.header, nil)
	if err == nil {
		o.response, err = o.v.transport.RoundTrip(request)
	}
	if o.err = err; err != nil {
		return
	}
	body := o.response.Body
	defer body.Close()
	defer context.AfterFunc(ctx, func() { body.Close() })() // of a WebSocket, no context ends it
	if o.response.StatusCode == http.StatusSwitchingProtocols {
		o.text, o.err = readFrames(body)
		return
	}
	o.text, o.err = io.ReadAll(body)
}

// tell has the handler send something.
func (o *open) tell(news string) {
	o.v.s.t.Helper()
	select {
	case o.handler.news <- news:
	case <-o.handler.out:
		o.v.s.t.Errorf("%s %s has ended, and nobody has signed out", o.method, o.target)
	case <-time.After(hangs):
		o.v.s.t.Fatalf("%s %s: the handler hangs", o.method, o.target)
	}
}

// ends waits until the stream ends by itself, and writes it to the transcript.
func (o *open) ends(name, why string) {
	o.v.s.t.Helper()
	for _, end := range []chan struct{}{o.handler.out, o.done} {
		select {
		case <-end:
		case <-time.After(hangs):
			o.v.s.t.Fatalf("%s does not end", name)
		}
	}
	if o.err != nil {
		o.v.s.t.Fatalf("%s: %v after %q", name, o.err, o.text)
	}
	o.v.s.write(name, why, o.method, o.target, o.header, o.v.s.answerText(exchange{o.response, string(o.text)}))
}

// readFrames reads a WebSocket to its end, one frame to a line.
func readFrames(from io.Reader) (text []byte, err error) {
	for frames := bufio.NewReader(from); ; {
		one, err := readFrame(frames)
		if err == io.EOF {
			return text, nil
		} else if err != nil {
			return text, err
		}
		text = append(text, one+"\n"...)
	}
}

// leave closes the connection, and waits until the handler has noticed: by its context, by reading, or, where the framework
// tells it in no other way, when it has something to send.
func (o *open) leave() {
	o.v.s.t.Helper()
	o.hangUp()
	for deadline := time.After(hangs); ; {
		select {
		case <-o.handler.out:
			return
		case o.handler.news <- strings.Repeat("news ", 1000): // more than once: the first goes into a buffer
		case <-deadline:
			o.v.s.t.Errorf("%s %s: the client has gone, and the handler goes on", o.method, o.target)
			return
		}
	}
}
