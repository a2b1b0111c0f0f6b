package idtest

// FAPI2MutualTLS is [FAPI2] with certificates in place of DPoP: access tokens are bound to the one that the client presents (RFC 8705
// section 3). Register clients with Certificates or CertificateAuthority, or with keys.
func FAPI2MutualTLS(o *Options) {
	FAPI2(o)
	o.TLS, o.Dialect.RequireDPoP, o.Dialect.CertificateBound = true, false, true
}

// FAPI2 is for [NewProvider]: it makes a provider as the FAPI 2.0 Security Profile wants it. Authorization requests must be pushed
// (RFC 9126), access tokens are bound to a key (DPoP, RFC 9449), ID tokens are signed with PS256, refresh tokens are not
// rotated. Register clients with JWKS or JWKSURI: those with a secret are none of the profile, and are not refused for it.
//
//	provider := idtest.NewProvider(t, idtest.FAPI2)
func FAPI2(o *Options) {
	o.Dialect.RequirePAR, o.Dialect.RequireDPoP, o.Dialect.NoRotation = true, true, true
	o.Dialect.SigningAlgorithm = "PS256"
}
