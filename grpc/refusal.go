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
	errNoGuard     = withInfo(status.New(codes.PermissionDenied, "This method has no guard, and is open to nobody"), string(idserver.CodeNotAdmitted), "", nil)
	errAnotherUser = withInfo(status.New(codes.Unauthenticated, "This stream belongs to another user"), string(idserver.CodeNotSignedIn), "", nil)
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
	challenge := ""
	for _, f := range a.Add {
		if f.Name == "WWW-Authenticate" {
			challenge = f.Value
		}
	}
	var more []protoadapt.MessageV1
	if after := a.Refusal.RetryAfter; after > 0 {
		more = append(more, &errdetails.RetryInfo{RetryDelay: durationpb.New(after)})
	}
	return withInfo(status.New(code, a.Refusal.Error()), string(a.Refusal.Code), challenge, more)
}

// withInfo adds what programs tell refusals apart by: the code as the reason, in capitals as AIP-193 has it, and as it is; and the
// challenge, RFC 6750 section 3.
func withInfo(s *status.Status, code, challenge string, more []protoadapt.MessageV1) error {
	info := &errdetails.ErrorInfo{Reason: strings.ToUpper(code), Domain: Domain, Metadata: map[string]string{"code": code}}
	if challenge != "" {
		info.Metadata["challenge"] = challenge
	}
	detailed, err := s.WithDetails(append([]protoadapt.MessageV1{info}, more...)...)
	if err != nil {
		return s.Err()
	}
	return detailed.Err()
}
