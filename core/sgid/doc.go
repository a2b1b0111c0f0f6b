// Package sgid signs users in with sgID, Singapore's government login. It is built on package idserver.
//
// [New] makes a [Client] from a [Config] without using the network. There are two ways to use it:
//
//   - With routes and guards: set Config.BaseURL and pass the Client to an adapter (idgin, idecho, idfiber, idchi).
//     The user that a guard finds has the subject, and [Client.UserInfoFrom] fetches and decrypts what the person agreed to
//     share.
//   - With the same steps as sgID's own SDKs: [GeneratePKCEPair], [Client.AuthorizeURL], [Client.Callback],
//     [Client.UserInfo], [ParseData].
//
// Up to the ID token, sgID is OpenID Connect. Its userinfo is an envelope: key is a compact JWE (RFC 7516) that holds the
// block key, encrypted for the application's RSA key, and each value of data is a compact JWE encrypted with the block
// key. sgID has no refresh tokens and no sign-out. Its access tokens are opaque: they are for userinfo, and cannot serve
// as bearer tokens for your own API.
package sgid
