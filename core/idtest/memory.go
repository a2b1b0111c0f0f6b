package idtest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
)

// memory is a listener that is reached without a network. Nothing of it blocks on the operating system, so that both ends
// may run in a bubble of testing/synctest, where a socket would keep the clock from moving.
type memory struct {
	host   string // the only one that can be dialed, with its port
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newMemory(host string) *memory {
	return &memory{host: host, conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (m *memory) Accept() (net.Conn, error) {
	select {
	case conn := <-m.conns:
		return conn, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

func (m *memory) Close() error {
	m.once.Do(func() { close(m.closed) })
	return nil
}

func (m *memory) Addr() net.Addr { return memoryAddr{} }

// dial connects to the listener. An application that asks any other host in a test has a fault that the network must not
// hide.
func (m *memory) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if address != m.host {
		return nil, fmt.Errorf("idtest: only %s can be reached in memory", m.host)
	}
	client, server := net.Pipe()
	select {
	case m.conns <- server:
		return client, nil
	case <-m.closed:
		return nil, &net.OpError{Op: "dial", Net: network, Addr: memoryAddr{}, Err: net.ErrClosed}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// transport reaches the listener. An https URL is taken to end at a proxy in front of the provider, as with a listener on
// the network: there is no TLS.
func (m *memory) transport() *http.Transport {
	return &http.Transport{MaxIdleConnsPerHost: 16, DialContext: m.dial, DialTLSContext: m.dial}
}

type memoryAddr struct{}

func (memoryAddr) Network() string { return "memory" }
func (memoryAddr) String() string  { return "memory" }
