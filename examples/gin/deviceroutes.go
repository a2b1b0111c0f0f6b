package main

import (
	"github.com/gin-gonic/gin"

	idserver "github.com/signward/idserver-go/core"
	idgin "github.com/signward/idserver-go/gin"
)

// mountDevices registers the page where people see where they are signed in.
func mountDevices(r *gin.Engine, auth *idgin.Auth, client *idserver.Client) {
	r.GET("/devices", auth.RequireUser(), func(c *gin.Context) { send(c, showDevices(c.Request.Context(), client)) })
	r.POST("/devices", auth.RequireUser(), func(c *gin.Context) {
		send(c, signOutDevice(c.Request.Context(), client, c.PostForm("session")))
	})
}

func send(c *gin.Context, r reply) {
	if r.location != "" {
		c.Header("Location", r.location)
	}
	c.Data(r.status, "text/html; charset=utf-8", r.page)
}
