// Package replicas is a test of replicas behind a round robin, with real listeners and a crowd of browsers: how many people are signed
// out, and how often a refresh token is sent, while the provider rotates refresh tokens and loses answers. The test itself takes
// seconds; scripts/soak runs it for as long as it is told, and prints a table.
package replicas
