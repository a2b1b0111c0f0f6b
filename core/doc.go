// Package idserver signs users in with Signward Identity Server, or any other OpenID provider, and protects a program's
// routes.
//
// [New] makes a [Client] from a [Config] without using the network. A web application mounts the client's [Client.Routes]
// (login, callback, logout, userinfo) and puts its guards ([Client.RequireUser], [Client.RequireRole], ...) in front of
// its handlers; the adapter modules (gin, echo, fiber, chi) do both for their framework, with anything that has [Guards].
// An API leaves Config.BaseURL empty and uses the guards alone: they accept a bearer access token, which is verified
// locally against the provider's published keys.
//
// Config.AdmitUser decides who may sign in, and [Events] tell an audit log and metrics what happens. Tests run the
// provider of package idtest in their own process; package sgid, on top of this one, signs in with sgID.
//
// A program that does not use the routes can call the steps of the protocol itself: [Client.AuthorizeURL],
// [Client.ReadCallback], [Client.ExchangeCode], [Client.ValidateAccessToken], [Client.ValidateIDToken], [Client.UserInfo],
// [Client.RefreshToken], [Client.RevokeToken] and [Client.EndSessionURL].
//
// # The flow
//
//  1. GET /auth/login creates a state, a nonce and a PKCE code verifier, seals them into a cookie for this
//     attempt only and redirects the browser to the provider.
//  2. The provider authenticates the user and redirects the browser back to /auth/callback.
//  3. The callback opens the cookie that belongs to the state, checks state and issuer (RFC 9207), and exchanges the
//     code and the verifier for tokens (RFC 6749, RFC 7636).
//  4. The ID token is validated as OpenID Connect Core section 3.1.3.7 prescribes, in that order.
//  5. A session begins: a sealed __Host- cookie (over https) with the user and the tokens.
//  6. Guards open the cookie, refresh the access token shortly before it expires, and put the [User] into the
//     request's context.
//
// What keeps users safe cannot be turned off: state, nonce, PKCE S256, issuer, audience and expiry are always checked.
//
// # Printing
//
// A value of this package may be printed, logged or marshalled: secrets and personal data do not show, and of a [User] only
// issuer and subject. Two types are made to be marshalled, [User] for a front end (by [User.MarshalJSON]) and
// [AuthorizationRequest] for who keeps it.
package idserver
