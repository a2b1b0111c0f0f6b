package adaptertest

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/signward/idserver-go/core/idtest"
)

// halfClosed sends requests and closes the connection for writing, while the provider takes a while to refuse the refresh
// of their session. net/http then cancels the request's context and still delivers the answer, which must not be the
// handler's: a person whose account was disabled would keep it open that way.
func halfClosed(s *suite) {
	s.t.Helper()
	addr := s.serve()
	for round := range 4 {
		v := s.visitor(addr).signIn("alice")
		line := v.cookies("/")
		s.clock.advance(14*time.Minute + 30*time.Second) // the access token is due
		s.provider.Fail(idtest.Token, idtest.Fault{OAuthError: "invalid_grant", Slow: 20 * time.Millisecond})
		for _, method := range []string{"POST", "GET"} {
			response, err := askAndLeave(addr, method, line)
			switch {
			case err != nil: // no answer is no way in either
			case response.StatusCode < 300:
				s.t.Errorf("round %d: %s of a half-closed connection is answered %d", round, method, response.StatusCode)
			default:
				for _, c := range response.Cookies() {
					wasKept := strings.HasSuffix(c.Name, "-kept") // says that there was a session, which is over
					if strings.Contains(c.Name, "idserver") && c.MaxAge >= 0 && !wasKept {
						s.t.Errorf("round %d: %s of a half-closed connection renews the cookie %s", round, method, c.Name)
					}
				}
			}
		}
		s.provider.Heal(idtest.Token)
	}
}

// askAndLeave sends a request for /suite/user, closes the connection for writing and reads the answer.
func askAndLeave(addr, method, cookies string) (*http.Response, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	fmt.Fprintf(c, "%s /suite/user HTTP/1.1\r\nHost: %s\r\nAccept: application/json\r\nSec-Fetch-Site: same-origin\r\nCookie: %s\r\nContent-Length: 0\r\n\r\n",
		method, suiteHost, cookies)
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		return nil, err
	}
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return nil, err
	}
	response.Body.Close()
	return response, nil
}
