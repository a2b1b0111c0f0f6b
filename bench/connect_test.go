package bench

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/wrapperspb"

	idchi "github.com/signward/idserver-go/chi"
	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// connectError is what the guide shows.
func connectError(_ context.Context, refusal idserver.Refusal) idserver.Rendered {
	code, known := map[int]string{401: "unauthenticated", 403: "permission_denied", 503: "unavailable"}[refusal.Status]
	if refusal.Navigation || !known {
		return idserver.Rendered{} // as usual
	}
	body, err := json.Marshal(map[string]string{"code": code, "message": refusal.Error()})
	if err != nil {
		return idserver.Rendered{}
	}
	return idserver.Rendered{ContentType: "application/json", Body: body}
}

// A client of Connect, in each of its protocols, understands the refusals of the guards before a handler. It is here, and not beside
// the adapter, so that the adapter does not require Connect.
func TestConnect(t *testing.T) {
	provider := idtest.NewProvider(t)
	cfg := provider.Config("")
	cfg.RenderRefusal = connectError
	client, err := idserver.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	auth := idchi.New(client)
	const whoAmI, admin = "/test.Suite/WhoAmI", "/test.Suite/Admin"
	who := func(ctx context.Context, _ *connect.Request[wrapperspb.StringValue]) (*connect.Response[wrapperspb.StringValue], error) {
		return connect.NewResponse(wrapperspb.String(idserver.UserFrom(ctx).Name)), nil
	}
	mux := http.NewServeMux()
	mux.Handle(whoAmI, auth.RequireUser()(connect.NewUnaryHandler(whoAmI, who)))
	mux.Handle(admin, auth.RequireRole("admin")(connect.NewUnaryHandler(admin, who)))
	server := httptest.NewUnstartedServer(mux)
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()

	for protocol, options := range map[string][]connect.ClientOption{"Connect": nil, "gRPC": {connect.WithGRPC()}, "gRPC-Web": {connect.WithGRPCWeb()}} {
		for name, row := range map[string]struct {
			method, token string
			code          connect.Code
			message       string // told in Connect's own protocol
		}{
			"admitted":        {admin, provider.MintAccessToken("alice"), 0, ""},
			"without a token": {whoAmI, "", connect.CodeUnauthenticated, "not_signed_in"},
			"a bad token":     {whoAmI, "x.y.z", connect.CodeUnauthenticated, "invalid_token"},
			"a wrong role":    {admin, provider.MintAccessToken("bob"), connect.CodePermissionDenied, "insufficient_role"},
		} {
			t.Run(protocol+", "+name, func(t *testing.T) {
				caller := connect.NewClient[wrapperspb.StringValue, wrapperspb.StringValue](server.Client(), server.URL+row.method, options...)
				request := connect.NewRequest(wrapperspb.String("?"))
				if row.token != "" {
					request.Header().Set("Authorization", "Bearer "+row.token)
				}
				answer, err := caller.CallUnary(t.Context(), request)
				switch {
				case row.code == 0 && (err != nil || answer.Msg.Value != "Alice Tan"):
					t.Errorf("%v %v", answer, err)
				case row.code != 0 && connect.CodeOf(err) != row.code:
					t.Errorf("%v, want %v", err, row.code)
				case row.code != 0 && protocol == "Connect" && !strings.Contains(err.Error(), row.message):
					t.Errorf("%v does not tell %s", err, row.message)
				}
			})
		}
	}
}
