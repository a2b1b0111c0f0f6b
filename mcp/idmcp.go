// Package idmcp puts the guards of package idserver before a Model Context Protocol server of the official go-sdk. Clients find
// the provider by themselves: from a 401, by the metadata of an [idserver.Resource] with PublishMetadata.
package idmcp

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	idserver "github.com/signward/idserver-go/core"
)

// Auth guards an MCP server. It is safe for concurrent use.
type Auth struct {
	api         *idserver.Resource
	requireUser idserver.Guard
	tools       map[string]idserver.Guard
}

// New returns an Auth for the tokens of api. tools has a guard for each tool that needs more than a signed-in user, by its name,
// such as api.RequireScope("orders:read"). Use both [Auth.Handler] and [Auth.Middleware].
func New(api *idserver.Resource, tools map[string]idserver.Guard) *Auth {
	return &Auth{api, api.RequireUser(), maps.Clone(tools)}
}

// Handler guards the handler of a server, such as that of [mcp.NewStreamableHTTPHandler], in whatever router takes an
// http.Handler. Every request needs a token that is good for the API, in the Authorization header, and otherwise gets the 401 that
// tells where to get one. A call of a tool whose guard refuses it gets the guard's answer, such as the 403 insufficient_scope with
// which clients ask for more, if the request says in Mcp-Method and Mcp-Name what it calls: clients of protocol version
// 2026-07-28 do. The server has the user by [User], and in [auth.TokenInfo] the scopes, the expiration, and issuer and subject as
// UserID, by which it keeps sessions apart. A stream for the server's messages (a GET, or subscriptions/listen) ends with the token, see
// [idserver.UntilSignedOut]; a call that was let in is finished.
func (a *Auth) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, answer := a.requireUser(r.Context(), idserver.RequestFrom(r))
		if guard := a.tools[r.Header.Get("Mcp-Name")]; guard != nil && !answer.Ends() && r.Header.Get("Mcp-Method") == callTool {
			ctx, answer = guard(ctx, idserver.RequestFrom(r))
		}
		answer.WriteTo(w)
		if answer.Ends() {
			return
		}
		behind, end := answer.Behind(w)
		defer end()
		if r.Method == http.MethodGet || r.Header.Get("Mcp-Method") == listen { // nobody else ends it
			var stop context.CancelFunc
			ctx, stop = idserver.UntilSignedOut(ctx)
			defer stop()
		}
		admitted := &admission{user: idserver.UserFrom(ctx), tools: a.tools, ctx: ctx, request: r}
		verify := func(context.Context, string, *http.Request) (*auth.TokenInfo, error) {
			return info(admitted.user, map[string]any{admissionKey: admitted}), nil
		}
		// Its context key is its own, so it must be asked. It decides nothing: the guard has, with the leeway and the clock of the client.
		auth.RequireBearerToken(verify, &auth.RequireBearerTokenOptions{AllowMissingExpiration: true, ClockSkew: decided})(next).ServeHTTP(behind, r.WithContext(ctx))
	})
}

const (
	callTool     = "tools/call"
	listen       = "subscriptions/listen"
	decided      = time.Duration(1<<63 - 1)
	admissionKey = "idserver"
)

// admission is how a request was let in.
type admission struct {
	user    *idserver.User
	tools   map[string]idserver.Guard
	ctx     context.Context
	request *http.Request
}

// info describes a user as go-sdk does.
func info(user *idserver.User, extra map[string]any) *auth.TokenInfo {
	return &auth.TokenInfo{Scopes: user.Scopes, Expiration: user.Expiry, UserID: user.Issuer + " " + user.Subject, Extra: extra}
}

// Middleware refuses calls of tools by what their body says, with a JSON-RPC error: those of clients that do not send Mcp-Name,
// and whatever comes by another way than [Auth.Handler]. Add it with [mcp.Server.AddReceivingMiddleware].
func (a *Auth) Middleware(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, request mcp.Request) (mcp.Result, error) {
		if call, ok := request.(*mcp.CallToolRequest); ok && method == callTool && call.Params != nil {
			if guard := a.tools[call.Params.Name]; guard != nil {
				if err := admits(guard, request); err != nil {
					return nil, err
				}
			}
		}
		return next(ctx, method, request)
	}
}

// admits asks a guard about the HTTP request that a call came in.
func admits(guard idserver.Guard, request mcp.Request) error {
	admitted := admissionOf(request)
	if admitted == nil {
		return refused("not_signed_in")
	}
	_, answer := guard(admitted.ctx, idserver.RequestFrom(admitted.request))
	switch {
	case !answer.Ends():
		return nil
	case answer.Refusal != nil:
		return refused(string(answer.Refusal.Code))
	}
	return refused(fmt.Sprint("status ", answer.Status))
}

// refused is a JSON-RPC error of the server's own range.
func refused(code string) error {
	return &jsonrpc.Error{Code: -32001, Message: "the tool may not be called: " + code}
}

// User returns who sent a request to a server behind [Auth.Handler], and nil for any other request.
func User(request mcp.Request) *idserver.User {
	if admitted := admissionOf(request); admitted != nil {
		return admitted.user
	}
	return nil
}

func admissionOf(request mcp.Request) *admission {
	extra := request.GetExtra()
	if extra == nil || extra.TokenInfo == nil {
		return nil
	}
	admitted, _ := extra.TokenInfo.Extra[admissionKey].(*admission)
	return admitted
}

// Verify is an [auth.TokenVerifier], for a program that uses [auth.RequireBearerToken] itself, without [Auth.Handler]: it gives
// the same TokenInfo, and shares the keys and what is remembered of tokens. The answers are then go-sdk's: no problem document, no
// Origin check, and 500 where a token cannot be judged now. [User] finds nobody.
func (a *Auth) Verify(ctx context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
	user, err := a.api.ValidateAccessToken(ctx, token)
	switch {
	case errors.Is(err, idserver.ErrInvalidToken):
		return nil, fmt.Errorf("%w: %w", auth.ErrInvalidToken, err)
	case err != nil:
		return nil, err
	}
	return info(user, nil), nil
}
