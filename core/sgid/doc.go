// Package sgid signs users in with sgID, Singapore's government login, on the engine of package idserver.
//
// New makes a [Client] from a [Config], without touching the network. There are two ways to use it:
//
//   - The routes and guards: set Config.Web.BaseURL and give [Client.Client] to an adapter (idgin, idecho, idfiber, idchi). A guard's
//     user has the subject, and [Client.UserInfoFrom] fetches and decrypts what the person agreed to share.
//   - By hand, with the steps of sgID's own SDKs: [GeneratePKCEPair], [Client.AuthorizationURL], [Client.Callback],
//     [Client.UserInfo], [ParseData].
//
// sgID is OpenID Connect up to the ID token. Its userinfo is an envelope: key is a compact JWE (RFC 7516) addressed to the application's RSA key,
// and holds the block key; each value of data is a compact JWE under that block key. It has no refresh tokens and no sign-out of
// its own, and its access tokens are opaque: they are for userinfo, and no bearer tokens for an API of yours.
package sgid
