// Package nametest is a name server for tests.
package nametest

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
)

// ResolvesTo makes every name that one address. It answers as a name server does over TCP, RFC 1035 sections 4.1 and 4.2.2.
func ResolvesTo(address [4]byte) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go serve(far, address)
		return near, nil
	}}
}

func serve(c net.Conn, address [4]byte) {
	defer func() { _ = c.Close() }()
	for {
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, query); err != nil {
			return
		}
		if _, err := c.Write(answer(query, address)); err != nil {
			return
		}
	}
}

func answer(query []byte, address [4]byte) []byte {
	end := 12 + strings.IndexByte(string(query[12:]), 0) + 5 // the question: a name, a type and a class
	a := append([]byte{0, 0}, query[:end]...)
	copy(a[4:], []byte{0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0})
	if binary.BigEndian.Uint16(query[end-4:]) == 1 {
		a[9] = 1
		a = append(append(a, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4), address[:]...)
	}
	binary.BigEndian.PutUint16(a, uint16(len(a)-2))
	return a
}
