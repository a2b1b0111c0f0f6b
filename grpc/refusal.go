package idgrpc

import (
	"net/http"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	idserver "github.com/signward/idserver-go/core"
)

// Domain is the domain of the [errdetails.ErrorInfo] in a refusal.
const Domain = "idserver-go"

var (
	errNoGuard     = withInfo(status.New(codes.PermissionDenied, "This method has no guard, and is open to nobody"), map[string]string{"code": string(idserver.CodeNotAdmitted)}, nil)
	errAnotherUser = withInfo(status.New(codes.Unauthenticated, "This stream belongs to another user"), map[string]string{"code": string(idserver.CodeNotSignedIn)}, nil)
)

// statusCodes are those of the answers of guards; what else ends a call is PermissionDenied.
var statusCodes = map[int]codes.Code{
	http.StatusBadRequest:          codes.Unauthenticated, // more than one token, or what is none
	http.StatusUnauthorized:        codes.Unauthenticated,
	http.StatusTooManyRequests:     codes.ResourceExhausted,
	http.StatusInternalServerError: codes.Internal,
	http.StatusBadGateway:          codes.Internal, // trying again does not help
	http.StatusServiceUnavailable:  codes.Unavailable,
}

// refusal makes a status of an answer that ends a call. Its message is the refusal's title and code, which are made for anybody's
// eyes, and never the cause.
func refusal(a idserver.Answer) error {
	code, known := statusCodes[a.Status]
	if !known {
		code = codes.PermissionDenied
	}
	if a.Refusal == nil { // an application's own guard
		return status.Error(code, http.StatusText(a.Status))
	}
	info := map[string]string{"code": string(a.Refusal.Code)}
	for _, f := range a.Add {
		switch {
		case f.Name == "WWW-Authenticate" && info["challenge"] != "": // RFC 9110 section 11.6.1: a list
			info["challenge"] += ", " + f.Value
		case f.Name == "WWW-Authenticate":
			info["challenge"] = f.Value
		case f.Name == "DPoP-Nonce":
			info["dpop_nonce"] = f.Value
		}
	}
	var more []protoadapt.MessageV1
	if after := a.Refusal.RetryAfter; after > 0 {
		more = append(more, &errdetails.RetryInfo{RetryDelay: durationpb.New(after)})
	}
	return withInfo(status.New(code, a.Refusal.Error()), info, more)
}

// withInfo adds what programs tell refusals apart by: the code as the reason, in capitals as AIP-193 has it, and as it is; the
// challenges, RFC 6750 section 3; and the nonce for the next proof, RFC 9449 section 9.
func withInfo(s *status.Status, info map[string]string, more []protoadapt.MessageV1) error {
	all := []protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: strings.ToUpper(info["code"]), Domain: Domain, Metadata: info}}
	detailed, err := s.WithDetails(append(all, more...)...)
	if err != nil {
		return s.Err()
	}
	return detailed.Err()
}
