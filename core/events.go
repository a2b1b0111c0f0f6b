package idserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/signward/idserver-go/core/internal/endpoint"
)

// Events are functions that are called when something has happened, for audit logs and metrics. All are optional. They get
// values without secrets, and of people only issuer and subject.
//
// They are called concurrently and while the request waits, so they must not block: what takes time belongs into a
// goroutine or a queue. A panic in one is logged, and the request goes on as if it had returned. ctx has the values of the
// request; metadata and keys are fetched for no request in particular, and refreshed tokens for the first of several.
type Events struct {
	// SignedIn is called when a session begins, before the browser is answered.
	SignedIn func(ctx context.Context, e SessionEvent)
	// Refused is called when a route or a guard refuses a request.
	Refused func(ctx context.Context, e RefusalEvent)
	// Refreshed is called when the tokens of a session were to be refreshed: once for all requests that waited for it.
	Refreshed func(ctx context.Context, e SessionEvent)
	// SignedOut is called when a user has signed out here, once for each session; and when the provider has told that somebody
	// signed out there, once for what it told.
	SignedOut func(ctx context.Context, e SessionEvent)
	// KeysFetched is called when the provider's keys were fetched and can be used.
	KeysFetched func(ctx context.Context, e KeysEvent)
	// ProviderRequest is called when a request to the provider is over, whatever its outcome.
	ProviderRequest func(ctx context.Context, e ProviderEvent)
}

// SessionEvent is the value of Events.SignedIn, Events.Refreshed and Events.SignedOut.
type SessionEvent struct {
	// Issuer and Subject are whose session it is. Subject is empty where the provider has told only which of its sessions has ended.
	Issuer, Subject string
	// Outcome is that of a refresh, and empty otherwise: "refreshed"; or "refused": the provider or Config.AdmitUser said no, and
	// the session is over; or "failed": there was no verdict, and the session goes on for as long as it may.
	Outcome string
}

// RefusalEvent is the value of Events.Refused.
type RefusalEvent struct {
	Code            RefusalCode
	Status          int
	Issuer, Subject string // who is known and not admitted; empty if nobody is known
}

// KeysEvent is the value of Events.KeysFetched.
type KeysEvent struct {
	Keys    int  // that can be used
	LeftOut int  // that cannot
	Changed bool // they are not those that were there before
}

// ProviderEvent is the value of Events.ProviderRequest.
type ProviderEvent struct {
	Endpoint string        // metadata, keys, token, revocation or userinfo
	Status   int           // 0 if there was no answer
	Duration time.Duration // by Config.Now
	// Failure is why there is no answer that can be read, whatever its status: "timeout"; "canceled": nobody waits any
	// more; "unreachable"; or "unusable": a redirect, or too long. Empty if there is one.
	Failure string
}

// tell calls a function of Config.Events, by its name there. A metric that cannot be counted must not decide over a sign-in.
func tell[E any](ctx context.Context, log *slog.Logger, name string, event func(context.Context, E), e E) {
	if event == nil {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			log.ErrorContext(ctx, "idserver: a function of Config.Events panicked",
				"event", name, "panic", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
		}
	}()
	event(ctx, e)
}

// do sends one request to the provider.
func (p *provider) do(ctx context.Context, name string, call endpoint.Call) (*endpoint.Answer, error) {
	call.Mutual = call.Authentication != nil // what is published is nobody's business
	event := p.cfg.Events.ProviderRequest
	if event == nil {
		return p.http.Do(ctx, call)
	}
	begun := p.now()
	a, err := p.http.Do(ctx, call)
	e := ProviderEvent{Endpoint: name, Duration: p.now().Sub(begun)}
	if err == nil {
		e.Status = a.Status
	} else {
		e.Status, e.Failure = failureOf(err)
	}
	tell(ctx, p.cfg.Logger, "ProviderRequest", event, e)
	return a, err
}

func failureOf(err error) (status int, failure string) {
	var answered *endpoint.AnswerError
	switch {
	case errors.Is(err, endpoint.ErrTimeout):
		failure = "timeout"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		failure = "canceled"
	case errors.As(err, &answered):
		failure = "unusable"
	default:
		failure = "unreachable"
	}
	if errors.As(err, &answered) {
		status = answered.Status
	}
	return status, failure
}
