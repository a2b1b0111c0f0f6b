package adaptertest

import (
	"bufio"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	idserver "github.com/signward/idserver-go/core"
)

// Stream is what the handler of /suite/stream writes to its client, as server-sent events: who it is, what the suite has to
// tell, and why it ended. flush sends what was written. Stream returns when the admission of ctx ends, or when the client has
// gone.
func Stream(ctx context.Context, user *idserver.User, w io.Writer, flush func() error) {
	until, cancel := idserver.UntilSignedOut(ctx)
	defer cancel()
	o := openOf(ctx)
	if o == nil {
		return
	}
	defer o.left()
	send := func(event string) bool {
		_, err := io.WriteString(w, event+"\n\n")
		return err == nil && flush() == nil
	}
	if !send("data: " + Seen(ctx, user)) {
		return
	}
	o.entered()
	for {
		select {
		case news := <-o.news:
			if !send("data: " + news) {
				return
			}
		case <-until.Done():
			send("event: end\ndata: " + cause(until))
			return
		}
	}
}

// Poll returns what the handler of /suite/poll answers with: news, as soon as the suite has some, or that the admission of
// ctx has ended.
func Poll(ctx context.Context, user *idserver.User) string {
	until, cancel := idserver.UntilSignedOut(ctx)
	defer cancel()
	o := openOf(ctx)
	if o == nil {
		return "nobody waits"
	}
	defer o.left()
	o.entered()
	select {
	case news := <-o.news:
		return news + " for " + Seen(ctx, user)
	case <-until.Done():
		return "ended: " + cause(until)
	}
}

// Socket is what the handler of /suite/socket does with the connection that it took over: it answers the handshake, whose
// Sec-WebSocket-Key is key (RFC 6455 section 4.2.2), and sends the same as [Stream] as text frames. It closes conn.
func Socket(ctx context.Context, user *idserver.User, key string, conn net.Conn) {
	defer conn.Close()
	until, cancel := idserver.UntilSignedOut(ctx)
	defer cancel()
	o := openOf(ctx)
	if o == nil {
		return
	}
	defer o.left()
	gone := make(chan struct{})
	go func() { // of a client that leaves, who reads is told
		defer close(gone)
		_, _ = io.Copy(io.Discard, conn)
	}()
	defer func() {
		_ = conn.SetReadDeadline(time.Unix(0, 1)) // fasthttp closes a connection that was taken over when it is given back
		<-gone
	}()
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: "+base64.StdEncoding.EncodeToString(sum[:])+"\r\n\r\n")
	_, _ = conn.Write(frame(textFrame, []byte(Seen(ctx, user))))
	o.entered()
	for {
		select {
		case news := <-o.news:
			_, _ = conn.Write(frame(textFrame, []byte(news)))
		case <-until.Done():
			reason := binary.BigEndian.AppendUint16(nil, policyViolation)
			_, _ = conn.Write(frame(closeFrame, append(reason, cause(until)...)))
			return
		case <-gone:
			return
		}
	}
}

// cause says why a context of [idserver.UntilSignedOut] has ended.
func cause(until context.Context) string {
	return strings.TrimPrefix(context.Cause(until).Error(), "idserver: ")
}

// Of RFC 6455 sections 5.2 and 7.4.1.
const (
	textFrame, closeFrame = 1, 8
	policyViolation       = 1008
)

// frame makes a frame of a server, whole and not masked.
func frame(opcode byte, payload []byte) []byte {
	head := []byte{0x80 | opcode, byte(len(payload))}
	if len(payload) > 125 {
		head = binary.BigEndian.AppendUint16([]byte{0x80 | opcode, 126}, uint16(len(payload)))
	}
	return append(head, payload...)
}

// readFrame reads a frame of a server, as text.
func readFrame(from *bufio.Reader) (text string, err error) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(from, head); err != nil {
		return "", err
	}
	length := int(head[1])
	if length == 126 {
		long := make([]byte, 2)
		if _, err := io.ReadFull(from, long); err != nil {
			return "", err
		}
		length = int(binary.BigEndian.Uint16(long))
	}
	payload := make([]byte, length)
	if _, err := io.ReadFull(from, payload); err != nil {
		return "", err
	}
	if head[0] == 0x80|closeFrame && length > 2 {
		return fmt.Sprintf("closed %d: %s", binary.BigEndian.Uint16(payload), payload[2:]), nil
	}
	return string(payload), nil
}

// opened is a stream that the suite has opened, as the suite and the handler share it.
type opened struct {
	in   chan struct{} // closed when the handler waits
	news chan string   // what it is to send
	out  chan struct{} // closed when it returns
}

// openStreams are those of all running suites, by a hash of the access token, of a session or of a bearer: a handler hands over
// nothing else that tells them apart. With one token, one is open at a time.
var openStreams sync.Map

// hashOfToken is how [Seen] shows an access token.
func hashOfToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:8])
}

// openOf returns the stream that the suite opens with the credentials of ctx; nil if it knows of none.
func openOf(ctx context.Context) *opened {
	o, _ := openStreams.Load(hashOfToken(idserver.AccessTokenFrom(ctx)))
	known, _ := o.(*opened)
	return known
}

func newOpened() *opened {
	return &opened{in: make(chan struct{}), news: make(chan string), out: make(chan struct{})}
}

func (o *opened) entered() { close(o.in) }
func (o *opened) left()    { close(o.out) }
