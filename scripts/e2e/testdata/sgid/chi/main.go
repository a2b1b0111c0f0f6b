package main

import (
	"cmp"
	"encoding/json"
	"log"
	"net/http"
	"os"

	"github.com/go-chi/chi/v5"

	idchi "github.com/signward/idserver-go/chi"
	"github.com/signward/idserver-go/core/sgid"
)

func main() {
	client, err := sgid.New(sgid.ConfigFromEnv()) // reports every configuration error at once; no network yet
	if err != nil {
		log.Fatal(err)
	}
	auth := idchi.New(client)
	r := chi.NewRouter()
	auth.Mount(r) // /auth/login, callback, logout, userinfo
	r.With(auth.RequireUser()).Get("/profile", func(w http.ResponseWriter, r *http.Request) {
		info, err := client.UserInfoFrom(r.Context()) // asks sgID and decrypts
		if err != nil {
			log.Print(err)
			http.Error(w, "sgID did not answer: sign in again", http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"subject": idchi.User(r).Subject, "name": info.Data.Name(), "data": info.Data})
	})
	log.Fatal(http.ListenAndServe(cmp.Or(os.Getenv("ADDR"), "127.0.0.1:8080"), r))
}
