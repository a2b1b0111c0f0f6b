package main

import (
	"cmp"
	"log"
	"net/http"
	"os"

	"github.com/gin-gonic/gin"

	"github.com/signward/idserver-go/core/sgid"
	idgin "github.com/signward/idserver-go/gin"
)

func main() {
	client, err := sgid.New(sgid.ConfigFromEnv()) // reports every configuration error at once; no network yet
	if err != nil {
		log.Fatal(err)
	}
	auth := idgin.New(client)
	r := gin.New()
	r.Use(gin.LoggerWithConfig(gin.LoggerConfig{SkipQueryString: true})) // a callback's query holds a code
	auth.Mount(r.Group("/auth"))                                         // login, callback, logout, userinfo
	r.GET("/profile", auth.RequireUser(), func(c *gin.Context) {
		info, err := client.UserInfoFrom(c.Request.Context()) // asks sgID and decrypts
		if err != nil {
			log.Print(err)
			c.String(http.StatusBadGateway, "sgID did not answer: sign in again")
			return
		}
		c.JSON(http.StatusOK, gin.H{"subject": idgin.User(c).Subject, "name": info.Data.Name(), "data": info.Data})
	})
	log.Fatal(r.Run(cmp.Or(os.Getenv("ADDR"), "127.0.0.1:8080")))
}
