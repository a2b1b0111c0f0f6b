// Package idserver signs users in with Signward Identity Server, or any other OpenID
// provider, and protects routes with them.
//
// New makes a [Client] from a [Config], without touching the network. A web application mounts the
// client's [Client.Routes] (login, callback, logout, userinfo) and puts its guards
// ([Client.RequireUser], [Client.RequireRole], ...) before its handlers; an adapter module (gin, echo, fiber,
// chi) carries both into a framework. An API leaves Config.BaseURL out and uses the guards alone: they
// take a bearer access token, verified here against the provider's published keys.
//
// The protocol is also there by hand: [Client.AuthorizeURL], [Client.ExchangeCode],
// [Client.ValidateToken], [Client.ValidateIDToken], [Client.UserInfo], [Client.RefreshToken],
// [Client.RevokeToken] and [Client.EndSessionURL].
//
// # The flow
//
//  1. GET /auth/login makes a state, a nonce and a PKCE code verifier, seals them into a cookie
//     of this attempt's own and sends the browser to the provider.
//  2. The provider asks the user and sends the browser back to /auth/callback.
//  3. The callback takes the state's cookie, compares state and issuer (RFC 9207), and trades the
//     code and the verifier for tokens (RFC 6749, RFC 7636).
//  4. The ID token is checked as OpenID Connect Core 3.1.3.7 lists it, in its order.
//  5. A session begins: a sealed __Host- cookie with the user and the tokens.
//  6. Guards open the cookie, refresh the access token ahead of its end, and put the
//     [User] into the request's context.
//
// What keeps a user safe has no switch: state, nonce, PKCE S256, issuer, audience and expiry
// are always checked.
package idserver
