package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	idserver "github.com/signward/idserver-go/core"
)

// live sends the time, once a second, as server-sent events: until the user has signed out, until the browser has gone, or until
// ctx ends, which is the program's. admitted is the context behind a guard. flush sends what was written, and deadline says by
// when.
func live(ctx, admitted context.Context, w io.Writer, flush func() error, deadline func(time.Time) error) {
	until, cancel := idserver.UntilSignedOut(admitted)
	defer cancel()
	defer func() { _ = deadline(time.Time{}) }() // the connection goes on to other requests
	send := func(event string) bool {
		_ = deadline(time.Now().Add(10 * time.Second)) // a browser that does not read must not keep us
		_, err := fmt.Fprint(w, event, "\n\n")
		return errors.Join(err, flush()) == nil
	}
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for send("data: " + time.Now().UTC().Format("15:04:05 UTC")) {
		select {
		case <-second.C:
		case <-until.Done():
			if errors.Is(context.Cause(until), idserver.ErrSignedOut) {
				send("event: end\ndata: signed out")
			}
			return // for any other reason, and the browser connects again
		case <-ctx.Done(): // a server that is told to end waits for its requests
			return
		}
	}
}
