// Package idgrpc provides the guards of package idserver for gRPC servers, as interceptors. Callers are identified by the bearer
// token of the metadata; there are no sessions and no sign-in routes, which are for browsers.
package idgrpc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"google.golang.org/grpc"

	idserver "github.com/signward/idserver-go/core"
)

// Config says who may call what.
type Config struct {
	// Methods has a guard for each full method name, such as "/shop.v1.Orders/List". Any [idserver.Guard] will do; with
	// [Open] or LoadUser a method is open to everybody.
	Methods map[string]idserver.Guard

	// Others guards every method that Methods does not name, the server's own such as reflection included. It never opens
	// them: whom it admits without finding a user is held to RequireUser as well. Default: nil, and a method that is not
	// named is refused.
	Others idserver.Guard

	// Recheck is how often the guard of an open stream is asked again, with the metadata that the stream began with. A stream
	// ends as soon as the same call would no longer be admitted: its token has expired or was revoked here, its key was
	// withdrawn, or the provider has been away for too long. Default: 10 s. A negative one: never, and a stream that stays
	// open outlives its token.
	Recheck time.Duration
}

// Auth turns a client's guards into interceptors. It is safe for concurrent use.
type Auth struct {
	methods     map[string]idserver.Guard
	others      idserver.Guard
	requireUser idserver.Guard
	recheck     time.Duration
}

// New returns an Auth for what gives guards, such as an [idserver.Client]. It takes any configuration: [Auth.Check] tells what is
// wrong with it.
func New(guards idserver.Guards, cfg Config) *Auth {
	return &Auth{maps.Clone(cfg.Methods), cfg.Others, guards.RequireUser(), cmp.Or(cfg.Recheck, 10*time.Second)}
}

// Open is a guard that admits everybody and looks for nobody, for a method such as "/grpc.health.v1.Health/Check", which a probe
// calls without a token.
func Open(ctx context.Context, _ idserver.Request) (context.Context, idserver.Answer) {
	return ctx, idserver.Answer{SameContext: true}
}

// ServerOptions returns both interceptors, for [grpc.NewServer]. They come after those of the options before and before those of
// the options behind: put one that recovers from panics before them.
func (a *Auth) ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.ChainUnaryInterceptor(a.UnaryInterceptor), grpc.ChainStreamInterceptor(a.StreamInterceptor)}
}

// UnaryInterceptor is a [grpc.UnaryServerInterceptor]. A server that has it needs [Auth.StreamInterceptor] too: without it, streams
// are open to everybody.
func (a *Auth) UnaryInterceptor(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	ctx, err := a.admit(ctx, info.FullMethod)
	if err != nil {
		return nil, err
	}
	return handler(ctx, request)
}

// StreamInterceptor is a [grpc.StreamServerInterceptor]. When the stream's user is no longer admitted, its context ends, with the
// refusal as [context.Cause]; SendMsg and RecvMsg, waiting or called later, return that refusal; and so does the stream, whatever
// the handler returns. See [Config].Recheck.
func (a *Auth) StreamInterceptor(service any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	ctx, err := a.admit(ss.Context(), info.FullMethod)
	if err != nil {
		return err
	}
	user := idserver.UserFrom(ctx)
	if user == nil || a.recheck < 0 { // there is nothing that could end
		return handler(service, &stream{ServerStream: ss, ctx: ctx})
	}
	again := func(own context.Context) error { return a.stillAdmits(own, info.FullMethod, user) }
	return watched(ctx, ss, a.recheck, again, func(s grpc.ServerStream) error { return handler(service, s) })
}

// admit asks the guard of a method.
func (a *Auth) admit(ctx context.Context, method string) (context.Context, error) {
	guard := a.methods[method]
	named := guard != nil
	if !named {
		guard = a.others
	}
	if guard == nil {
		return ctx, errNoGuard
	}
	r := request(ctx, method)
	behind, answer := guard(ctx, r)
	if !answer.Ends() && !named && idserver.UserFrom(behind) == nil {
		behind, answer = a.requireUser(behind, r)
	}
	if answer.Ends() {
		return ctx, refusal(answer)
	}
	return behind, nil
}

// stillAdmits reports whether a stream's user would be admitted now. ctx has no user.
func (a *Auth) stillAdmits(ctx context.Context, method string, user *idserver.User) error {
	behind, err := a.admit(ctx, method)
	if err != nil {
		return err
	}
	if now := idserver.UserFrom(behind); now != nil && now.Issuer == user.Issuer && now.Subject == user.Subject {
		return nil
	}
	if _, answer := a.requireUser(ctx, request(ctx, method)); answer.Ends() { // LoadUser lets nobody through as well
		return refusal(answer)
	}
	return errAnotherUser
}

// Check compares the configuration with the methods that are registered on a server, such as a *grpc.Server, before it serves. It
// returns all faults at once: registered methods without a guard, which are refused when they are called, and names that are not
// registered, whose guard may be meant for another method.
func (a *Auth) Check(server interface {
	GetServiceInfo() map[string]grpc.ServiceInfo
}) error {
	registered := map[string]bool{}
	for service, info := range server.GetServiceInfo() {
		for _, m := range info.Methods {
			registered["/"+service+"/"+m.Name] = true
		}
	}
	var faults []error
	for _, method := range slices.Sorted(maps.Keys(registered)) {
		if a.methods[method] == nil && a.others == nil {
			faults = append(faults, fmt.Errorf("idgrpc: %s has no guard: name it in Config.Methods, or set Config.Others", method))
		}
	}
	for _, method := range slices.Sorted(maps.Keys(a.methods)) {
		switch {
		case !registered[method]:
			faults = append(faults, fmt.Errorf("idgrpc: Config.Methods names %q, and the server has no such method", method))
		case a.methods[method] == nil:
			faults = append(faults, fmt.Errorf("idgrpc: Config.Methods[%q] is nil", method))
		}
	}
	return errors.Join(faults...)
}
