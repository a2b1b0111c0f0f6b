package main

import (
	"context"
	"slices"

	idserver "github.com/signward/idserver-go/core"
)

var iceCreams = []string{"Vanilla", "Chocolate", "Durian"}

// keepIceCream keeps in the session what was chosen before signing in. It came by a link, which anyone can make.
func keepIceCream(ctx context.Context, user *idserver.User) error {
	chosen := idserver.AppDataFrom(ctx)
	if !slices.Contains(iceCreams, chosen) {
		chosen = iceCreams[0]
	}
	return user.Set("ice_cream", chosen)
}

func iceCream(user *idserver.User) string {
	var claims struct {
		IceCream string `json:"ice_cream"`
	}
	if err := user.Claims(&claims); err != nil {
		return ""
	}
	return claims.IceCream
}
