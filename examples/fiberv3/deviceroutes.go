package main

import (
	"github.com/gofiber/fiber/v3"

	idserver "github.com/signward/idserver-go/core"
	idfiber "github.com/signward/idserver-go/fiberv3"
)

// mountDevices registers the page where people see where they are signed in.
func mountDevices(app *fiber.App, auth *idfiber.Auth, client *idserver.Client) {
	app.Get("/devices", auth.RequireUser(), func(c fiber.Ctx) error { return send(c, showDevices(c.Context(), client)) })
	app.Post("/devices", auth.RequireUser(), func(c fiber.Ctx) error {
		return send(c, signOutDevice(c.Context(), client, c.FormValue("session")))
	})
}

func send(c fiber.Ctx, r reply) error {
	if r.location != "" {
		c.Location(r.location)
	}
	return c.Status(r.status).Type("html", "utf-8").Send(r.page)
}
