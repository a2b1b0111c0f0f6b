package main

import (
	"context"
	"log"
	"net/http"
	"os"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/store/redisstore"
)

// replicated reports whether the application has replicas, which meet in Redis.
func replicated() bool { return os.Getenv("REDIS_URL") != "" }

// share has this replica meet the others, if there are any. Call the function at the end.
func share(cfg *idserver.Config) (leave func(), err error) {
	if !replicated() {
		return func() {}, nil
	}
	store, err := redisstore.FromEnv()
	if err != nil {
		return nil, err
	}
	cfg.Store, cfg.Session.List = store, true // the page of devices shows the list
	return func() { _ = store.Close() }, nil
}

// ready is for the load balancer: 503 while this replica cannot look up sessions or sign anybody in.
func ready(ctx context.Context, client *idserver.Client) (status int) {
	if err := client.Health(ctx); err != nil {
		log.Print(err)
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}
