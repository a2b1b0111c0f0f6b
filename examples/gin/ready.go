package main

import (
	"context"
	"log"
	"net/http"

	"github.com/gin-gonic/gin"
)

// ready is for the load balancer: 503 while this replica cannot look up sessions or sign anybody in.
func ready(health func(context.Context) error) gin.HandlerFunc {
	return func(c *gin.Context) {
		if err := health(c.Request.Context()); err != nil {
			log.Print(err)
			c.Status(http.StatusServiceUnavailable)
		}
	}
}
