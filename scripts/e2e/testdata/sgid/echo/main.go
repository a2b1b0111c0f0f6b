package main

import (
	"cmp"
	"log"
	"net/http"
	"os"

	"github.com/labstack/echo/v4"

	"github.com/signward/idserver-go/core/sgid"
	idecho "github.com/signward/idserver-go/echo"
)

func main() {
	client, err := sgid.New(sgid.ConfigFromEnv()) // reports every configuration error at once; no network yet
	if err != nil {
		log.Fatal(err)
	}
	auth := idecho.New(client)
	e := echo.New()
	auth.Mount(e.Group("/auth")) // login, callback, logout, userinfo
	e.GET("/profile", func(c echo.Context) error {
		info, err := client.UserInfoFrom(c.Request().Context()) // asks sgID and decrypts
		if err != nil {
			return echo.NewHTTPError(http.StatusBadGateway, "sgID did not answer: sign in again").SetInternal(err)
		}
		return c.JSON(http.StatusOK, map[string]any{"subject": idecho.User(c).Subject, "name": info.Data.Name(), "data": info.Data})
	}, auth.RequireUser())
	log.Fatal(e.Start(cmp.Or(os.Getenv("ADDR"), "127.0.0.1:8080")))
}
