package idtest

import (
	"net/url"
	"strings"
)

// checkResource checks the parameter of RFC 8707 section 2: an absolute URI without a fragment. More than one at a time is not
// supported. Any such URI is taken for an API whose access tokens this provider issues.
func checkResource(uri string) *oauthError {
	if u, err := url.Parse(uri); uri != "" && (err != nil || !u.IsAbs() || strings.Contains(uri, "#")) {
		return &oauthError{Code: "invalid_target", Description: "resource must be an absolute URI without a fragment"}
	}
	return nil
}

// checkResourceOf checks the parameter of a token request, RFC 8707 section 2.2: it may be left out, and name nothing else than the
// sign-in did.
func checkResourceOf(uri, granted string) *oauthError {
	if fault := checkResource(uri); fault != nil {
		return fault
	}
	if uri != "" && uri != granted {
		return &oauthError{Code: "invalid_target", Description: "resource is not that of the authorization request"}
	}
	return nil
}
