package singpass

import "github.com/signward/idserver-go/core/internal/baseerror"

// The kinds of errors, for errors.Is, besides those of package idserver. No error contains a token, a key or a person's data.
var (
	// ErrLevel means that somebody signed in with less assurance than Config.MinimumLevel. The sign-in is refused (403,
	// sign_in_refused).
	ErrLevel = baseerror.New("the sign-in is not as sure as it must be")
	// ErrUpstream means that an agency behind Myinfo does not answer, as in the weekly maintenance windows that Singpass publishes: ask
	// again later. It comes with idserver.ErrUserInfo and idserver.ErrUnavailable.
	ErrUpstream = baseerror.New("an agency behind Myinfo does not answer")
	// ErrSignInAgain means that the access token is no longer good for Myinfo, which takes it for half an hour after the sign-in. It comes
	// with idserver.ErrUserInfo.
	ErrSignInAgain = baseerror.New("the person must sign in again to share data")
	// ErrNotMyinfo means that PersonFrom was called for an application whose product is not Myinfo.
	ErrNotMyinfo = baseerror.New("the application is not one of Myinfo")
	// ErrNotCorppass means that BusinessFrom was called for an application whose product is not Corppass or MyinfoBusiness.
	ErrNotCorppass = baseerror.New("the application is not one of Corppass or Myinfo Business")
	// ErrInvalidData means that Myinfo's answer, or an item of it, is not of the form that is wanted.
	ErrInvalidData = baseerror.New("the data are not of the form that is wanted")
)
