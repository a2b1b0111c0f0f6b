package main

import (
	"github.com/labstack/echo/v5"

	idserver "github.com/signward/idserver-go/core"
	idecho "github.com/signward/idserver-go/echov5"
)

// mountDevices registers the page where people see where they are signed in.
func mountDevices(e *echo.Echo, auth *idecho.Auth, client *idserver.Client) {
	e.GET("/devices", func(c *echo.Context) error { return send(c, showDevices(c.Request().Context(), client)) }, auth.RequireUser())
	e.POST("/devices", func(c *echo.Context) error {
		return send(c, signOutDevice(c.Request().Context(), client, c.FormValue("session")))
	}, auth.RequireUser())
}

func send(c *echo.Context, r reply) error {
	if r.location != "" {
		return c.Redirect(r.status, r.location)
	}
	return c.HTMLBlob(r.status, r.page)
}
