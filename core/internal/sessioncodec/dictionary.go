package sessioncodec

// dictionary is text that sessions have in common: the compressor refers to it as if every session began with it. It is
// part of the format: with another one, the sessions that were packed before cannot be read.
var dictionary = []byte(`{"alg":"ES256","typ":"at+jwt","alg":"EdDSA","kid":"` +
	`"alg":"RS256","typ":"JWT","kid":"` +
	`"groups":["entitlements":["azp":"client_id":"tid":"oid":"preferred_username":"picture":"https://locale":"en","updated_at":` +
	`"scope":"openid profile email offline_access","scp":"jti":"amr":["pwd","mfa"],"at_hash":"auth_time":"nonce":"acr":"sid":"` +
	`"aud":["aud":"idserver-api","exp":"iat":"nbf":17` +
	`"roles_from":"id_token","claims":{"roles_from":"access_token","claims":{"roles_from":"userinfo","claims":{` +
	`"iss":"https://","sub":"","email":"@gmail.com","email_verified":true,"name":"","given_name":"","family_name":"",` +
	`"tenant_id":"","roles":["user","admin","owner"],"custom_roles":["` +
	`"],"signed_in":"seen":"expiry":"refresh_at":"version":{"iss":"https://`)
