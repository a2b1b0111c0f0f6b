package main

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	idchi "github.com/signward/idserver-go/chi"
	idserver "github.com/signward/idserver-go/core"
)

// mountDevices registers the page where people see where they are signed in.
func mountDevices(r chi.Router, auth *idchi.Auth, client *idserver.Client) {
	r.With(auth.RequireUser()).Get("/devices", func(w http.ResponseWriter, r *http.Request) { send(w, showDevices(r.Context(), client)) })
	r.With(auth.RequireUser()).Post("/devices", func(w http.ResponseWriter, r *http.Request) {
		send(w, signOutDevice(r.Context(), client, r.PostFormValue("session")))
	})
}

func send(w http.ResponseWriter, r reply) {
	if r.location != "" {
		w.Header().Set("Location", r.location)
	}
	w.WriteHeader(r.status)
	_, _ = w.Write(r.page)
}
