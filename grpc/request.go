package idgrpc

import (
	"context"
	"net/http"
	"strings"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	idserver "github.com/signward/idserver-go/core"
)

// request makes of a call what guards take: every call is a POST to its full method name.
func request(ctx context.Context, method string) idserver.Request {
	r := idserver.Request{Method: http.MethodPost, Path: method, Header: header{ctx}}
	if hosts := metadata.ValueFromIncomingContext(ctx, ":authority"); len(hosts) > 0 {
		r.Host = hosts[0]
	}
	if p, ok := peer.FromContext(ctx); ok {
		r.Remote = p.Addr
		if over, ok := p.AuthInfo.(credentials.TLSInfo); ok {
			r.TLS = &over.State
		}
	}
	return r
}

// header gives access to the metadata.
type header struct{ ctx context.Context }

// Values returns the metadata of a name. There are no cookies: a session that a guard renews could not be sent back, and its
// refresh token would be lost. A binary authorization counts as one that cannot be read, so that it never stands beside a token or
// in its place.
func (h header) Values(name string) []string {
	switch name {
	case "Cookie":
		return nil
	case "Authorization":
		lines := trimmed(metadata.ValueFromIncomingContext(h.ctx, "authorization"))
		for range metadata.ValueFromIncomingContext(h.ctx, "authorization-bin") {
			lines = append(lines, "")
		}
		return lines
	}
	return trimmed(metadata.ValueFromIncomingContext(h.ctx, strings.ToLower(name)))
}

// trimmed takes away the white space around the lines, which are a copy.
func trimmed(lines []string) []string {
	for i := range lines {
		lines[i] = strings.Trim(lines[i], " \t")
	}
	return lines
}
