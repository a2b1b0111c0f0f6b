// Command fibersocket is a WebSocket in fiber that says what time it is, until its user signs out.
package main

import (
	"cmp"
	"context"
	"log"
	"os"
	"time"

	"github.com/gofiber/contrib/websocket"
	"github.com/gofiber/fiber/v2"

	idserver "github.com/signward/idserver-go/core"
	idfiber "github.com/signward/idserver-go/fiber"
)

func clock(conn *websocket.Conn) {
	until, cancel := idserver.UntilSignedOut(conn.Locals("admitted").(context.Context))
	defer cancel() // this context does not end with the request, or with the connection
	gone := make(chan struct{})
	go func() { // of a browser that leaves, who reads is told
		defer close(gone)
		_, _, _ = conn.NextReader()
	}()
	defer func() {
		_ = conn.Close()
		<-gone // conn is used again for another browser
	}()
	deadline := func() time.Time { return time.Now().Add(10 * time.Second) }
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for now := time.Now(); ; {
		_ = conn.SetWriteDeadline(deadline())
		if conn.WriteMessage(websocket.TextMessage, now.AppendFormat(nil, time.TimeOnly)) != nil {
			return
		}
		select {
		case now = <-second.C:
		case <-gone:
			return
		case <-until.Done():
			_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.ClosePolicyViolation, "signed out"), deadline())
			return
		}
	}
}

func routes(auth *idfiber.Auth) *fiber.App {
	app := fiber.New(fiber.Config{ReadBufferSize: 16 << 10})
	auth.Mount(app.Group("/auth"))
	app.Get("/clock", auth.RequireUser(), func(c *fiber.Ctx) error {
		c.Locals("admitted", c.UserContext()) // a connection that was taken over has nothing else of the request
		return c.Next()
	}, websocket.New(clock)) // its Origins may stay "*": the guard has looked at Origin
	return app
}

func main() {
	client, err := idserver.New(idserver.ConfigFromEnv())
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(routes(idfiber.New(client)).Listen(cmp.Or(os.Getenv("ADDR"), "127.0.0.1:8080")))
}
