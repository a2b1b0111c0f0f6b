package main

import (
	"bytes"
	"context"
	"log"
	"net/http"

	idserver "github.com/signward/idserver-go/core"
)

// everywhere is what the form of the page of devices posts for all of a person's sessions, in place of one's ID.
const everywhere = "everywhere"

// reply is an answer of the page of devices: a page, or where to go on.
type reply struct {
	status   int
	page     []byte
	location string
}

// showDevices shows where the user of a request is signed in. ctx is the context behind a guard.
func showDevices(ctx context.Context, client *idserver.Client) reply {
	user := idserver.UserFrom(ctx)
	sessions, err := client.Sessions(ctx, user.Issuer, user.Subject)
	if err != nil {
		return failed(err, user, "Where you are signed in cannot be told now. Please try again in a moment.")
	}
	return devicesPage(http.StatusOK, user, sessions, "")
}

// signOutDevice signs the user of a request out on one device, or everywhere. The guard in front has refused what another site
// had the browser post.
func signOutDevice(ctx context.Context, client *idserver.Client, session string) reply {
	user := idserver.UserFrom(ctx)
	if session == everywhere {
		if err := client.EndSessions(ctx, user.Issuer, user.Subject); err != nil {
			return failed(err, nil, "You are signed out here. It takes a moment longer until that is so everywhere.")
		}
		return reply{status: http.StatusSeeOther, location: "/"}
	}
	if err := client.EndOneSession(ctx, user.Issuer, user.Subject, session); err != nil { // only their own sessions end
		return failed(err, user, "The device may not be signed out yet. Please try again in a moment.")
	}
	return reply{status: http.StatusSeeOther, location: "/devices"}
}

func failed(err error, user *idserver.User, notice string) reply {
	log.Print(err)
	return devicesPage(http.StatusServiceUnavailable, user, nil, notice)
}

func devicesPage(status int, user *idserver.User, sessions []idserver.SessionInfo, notice string) reply {
	view := struct {
		Title, Notice, Everywhere string
		User                      *idserver.User
		Sessions                  []idserver.SessionInfo
	}{titles["devices"], notice, everywhere, user, sessions}
	var page bytes.Buffer
	if err := pages.ExecuteTemplate(&page, "devices", view); err != nil {
		log.Print(err)
		return reply{status: http.StatusInternalServerError}
	}
	return reply{status: status, page: page.Bytes()}
}
