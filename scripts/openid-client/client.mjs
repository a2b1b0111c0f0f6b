// A client that nobody here wrote, npm openid-client, signs alice in, for scripts/e2e: at idtest as a provider of FAPI 2.0, so that it is not
// judged by this repository's client alone.
//
// Environment: ISSUER; CLIENT_ID; REDIRECT_URI; KEYS, a private JSON Web Key Set with a key that signs and, if the provider encrypts, one that
// decrypts; ALG, what the provider signs with; SIGNED, to sign requests (JAR) and want signed responses (JARM). It prints "done JSON" after a sign-in, userinfo, a refresh and userinfo again, or "refused
// STEP: WHY".
import * as client from 'openid-client';

const { ISSUER, CLIENT_ID, REDIRECT_URI, KEYS, ALG, SIGNED } = process.env;
const scope = 'openid profile email offline_access';

const algorithms = {
  PS256: { name: 'RSA-PSS', hash: 'SHA-256' },
  ES256: { name: 'ECDSA', namedCurve: 'P-256' },
  EdDSA: { name: 'Ed25519' },
};
const { keys } = JSON.parse(KEYS);
const signing = keys.find((key) => key.use !== 'enc');
const decrypting = keys.find((key) => key.use === 'enc');
const imported = (key, algorithm, uses) => crypto.subtle.importKey('jwk', { ...key, use: undefined, key_ops: undefined, alg: undefined }, algorithm, false, uses);

// atProvider acts as the person at the browser.
const atProvider = async (url) => {
  const answer = await fetch(url, { method: 'POST', redirect: 'manual', body: new URLSearchParams({ user: 'alice' }) });
  const location = answer.headers.get('Location');
  if (!location) throw new Error(`the provider answers ${answer.status}: ${await answer.text()}`);
  return new URL(location);
};

let step = 'discovery';
const run = async () => {
  const key = { key: await imported(signing, algorithms[signing.alg], ['sign']), kid: signing.kid };
  const metadata = { id_token_signed_response_alg: ALG, userinfo_signed_response_alg: decrypting && ALG, authorization_signed_response_alg: ALG };
  const config = await client.discovery(new URL(ISSUER), CLIENT_ID, metadata, client.PrivateKeyJwt(key), { execute: [client.allowInsecureRequests] });
  client.enableNonRepudiationChecks(config); // it does not verify ID tokens that come straight from the provider otherwise
  if (decrypting) {
    const opener = { key: await imported(decrypting, { name: 'ECDH', namedCurve: decrypting.crv }, ['deriveBits']), alg: decrypting.alg, kid: decrypting.kid };
    client.enableDecryptingResponses(config, ['A256CBC-HS512', 'A256GCM'], opener);
  }
  if (SIGNED) client.useJwtResponseMode(config);
  const bound = { DPoP: client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256')) };

  step = 'pushing';
  const verifier = client.randomPKCECodeVerifier();
  const state = client.randomState();
  const nonce = client.randomNonce();
  let parameters = {
    redirect_uri: REDIRECT_URI, scope, state, nonce, code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
  };
  if (SIGNED) parameters = (await client.buildAuthorizationUrlWithJAR(config, parameters, key)).searchParams;
  const to = await client.buildAuthorizationUrlWithPAR(config, parameters, bound);

  step = 'callback';
  const back = await atProvider(to);
  const tokens = await client.authorizationCodeGrant(config, back, { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true }, undefined, bound);
  const { sub } = tokens.claims();
  step = 'userinfo';
  const info = await client.fetchUserInfo(config, tokens.access_token, sub, bound);
  step = 'refresh';
  const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, bound);
  const again = await client.fetchUserInfo(config, refreshed.access_token, sub, bound);
  step = 'revocation';
  await client.tokenRevocation(config, tokens.refresh_token);
  return {
    sub, email: info.email, again: again.email, type: tokens.token_type, query: [...to.searchParams.keys()],
    encrypted: client.getDecryptedResponses(tokens) !== undefined && client.getDecryptedResponses(info) !== undefined,
  };
};

try {
  console.log(`done ${JSON.stringify(await run())}`);
} catch (error) {
  console.log(`refused ${step}: ${error.code ?? ''} ${error.error ?? ''} ${error.cause?.message ?? ''} ${error.message}`);
}
