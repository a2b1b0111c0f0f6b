package main

import (
	"cmp"
	"log"
	"os"

	"github.com/gofiber/fiber/v2"

	"github.com/signward/idserver-go/core/sgid"
	idfiber "github.com/signward/idserver-go/fiber"
)

func main() {
	client, err := sgid.New(sgid.ConfigFromEnv()) // reports every configuration error at once; no network yet
	if err != nil {
		log.Fatal(err)
	}
	auth := idfiber.New(client)
	app := fiber.New(fiber.Config{ReadBufferSize: 16 << 10}) // room for the session cookies
	auth.Mount(app.Group("/auth"))                           // login, callback, logout, userinfo
	app.Get("/profile", auth.RequireUser(), func(c *fiber.Ctx) error {
		info, err := client.UserInfoFrom(c.UserContext()) // asks sgID and decrypts
		if err != nil {
			log.Print(err)
			return fiber.NewError(fiber.StatusBadGateway, "sgID did not answer: sign in again")
		}
		return c.JSON(fiber.Map{"subject": idfiber.User(c).Subject, "name": info.Data.Name(), "data": info.Data})
	})
	log.Fatal(app.Listen(cmp.Or(os.Getenv("ADDR"), "127.0.0.1:8080")))
}
