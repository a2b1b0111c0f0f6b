// A provider that nobody here wrote, npm oidc-provider, with the example's people, for scripts/e2e.
//
// Environment: APP, the application's base URL; ALG, RS256 or ES256; CLIENT_SECRET, of the client "app" (public without one);
// ACCESS_TTL, the lifetime of access tokens in seconds; PORT, a free one without it. It prints "provider URL", and "grant TYPE" for
// each grant. With FAPI, which is the algorithm of client assertions, it is a provider of FAPI 2.0: the client "app" has keys at APP/auth/jwks
// and no secret, requests are pushed, access tokens are opaque and bound to a key, ALG may be PS256; with NONCES proofs must have one, with SIGNED
// requests must be signed (JAR), and responses are (JARM). On SIGUSR2 it signs with a new key and prints "key ID"; the old ones stay published.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import Provider from 'oidc-provider';
import { createMemoryAdapter } from 'oidc-provider/lib/adapters/memory_adapter.js';

const { APP, ALG = 'RS256', CLIENT_SECRET = '', ACCESS_TTL = '900', PORT = '0', FAPI = '', NONCES = '', SIGNED = '' } = process.env;
const tenant = '7b1d5c52-0000-4000-8000-00000000acee';
const people = {
  alice: { sub: '6f0c2a3e-0000-4000-8000-00000000a11c', given_name: 'Alice', family_name: 'Tan', roles: ['admin', 'user'], custom_roles: ['billing'] },
  bob: { sub: '6f0c2a3e-0000-4000-8000-000000000b0b', given_name: 'Bob', family_name: 'Lim', roles: ['editor'], custom_roles: [] },
  carol: { sub: '6f0c2a3e-0000-4000-8000-00000000ca01', given_name: 'Carol', family_name: 'Ng', roles: ['user'], custom_roles: [] },
};
const bySubject = {};
for (const [login, person] of Object.entries(people)) {
  bySubject[person.sub] = { ...person, name: `${person.given_name} ${person.family_name}`, email: `${login}@example.test`, email_verified: true, tenant_id: tenant };
}

const newKey = () => {
  const key = ALG === 'ES256' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...key.privateKey.export({ format: 'jwk' }), alg: ALG, use: 'sig', kid: randomBytes(8).toString('hex') };
};
const resource = 'urn:idserver-api';
const scope = 'openid profile email roles';
const client = (client_id, secret, base) => ({
  client_id,
  ...(secret ? { client_secret: secret, token_endpoint_auth_method: 'client_secret_basic' } : { token_endpoint_auth_method: 'none' }),
  redirect_uris: [`${base}/auth/callback`],
  post_logout_redirect_uris: [`${base}/`],
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  id_token_signed_response_alg: ALG,
});

const configuration = {
  adapter: createMemoryAdapter(), // in memory, and not anew with each key
  clients: [client('app', CLIENT_SECRET, APP), client('cli', '', 'http://127.0.0.1:1')],
  jwks: { keys: [newKey()] },
  cookies: { keys: [randomBytes(32).toString('hex')] },
  pkce: { required: () => true },
  scopes: scope.split(' '),
  claims: { openid: ['sub'], profile: ['name', 'given_name', 'family_name'], email: ['email', 'email_verified'], roles: ['roles', 'custom_roles', 'tenant_id'] },
  conformIdTokenClaims: process.env.PLAIN_ID_TOKEN === undefined,
  findAccount: (_, sub) => bySubject[sub] && { accountId: sub, claims: () => bySubject[sub] },
  extraTokenClaims: (_, token) => bySubject[token.accountId] && (({ roles, custom_roles, tenant_id, name, email }) => ({ roles, custom_roles, tenant_id, name, email }))(bySubject[token.accountId]),
  issueRefreshToken: () => true,
  rotateRefreshToken: true,
  ttl: { AccessToken: Number(ACCESS_TTL), IdToken: 900, RefreshToken: 3600, AuthorizationCode: 60, Interaction: 600, Session: 3600, Grant: 3600 },
  features: {
    devInteractions: { enabled: false },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => resource,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({ scope, audience: 'idserver-api', accessTokenFormat: 'jwt', accessTokenTTL: Number(ACCESS_TTL), jwt: { sign: { alg: ALG } } }),
    },
    rpInitiatedLogout: {
      enabled: true,
      logoutSource: (ctx, form) => {
        ctx.body = `<!doctype html><title>Sign out</title>${form}<button form="op.logoutForm" name="logout" value="yes">Sign out</button>`;
      },
    },
  },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  // Nobody is asked for consent: what is asked for is granted.
  async loadExistingGrant(ctx) {
    const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
    grant.addOIDCScope(scope);
    grant.addResourceScope(resource, scope);
    await grant.save();
    return grant;
  },
};

if (FAPI) {
  configuration.clients = [{
    ...client('app', '', APP),
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: FAPI,
    jwks_uri: `${APP}/auth/jwks`,
    dpop_bound_access_tokens: true,
  }];
  configuration.clientAuthMethods = ['private_key_jwt'];
  configuration.enabledJWA = { clientAuthSigningAlgValues: [FAPI], dPoPSigningAlgValues: ['ES256'] };
  configuration.rotateRefreshToken = false;
  configuration.fetch = (url, { dispatcher, ...options }) => fetch(url, options); // its dispatcher refuses loopback, where APP is
  Object.assign(configuration.features, {
    fapi: { enabled: true, profile: '2.0' },
    pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: true },
    dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => NONCES !== '' },
    resourceIndicators: { enabled: false },
  });
  if (SIGNED) {
    Object.assign(configuration.clients[0], { request_object_signing_alg: FAPI, require_signed_request_object: true, authorization_signed_response_alg: ALG });
    Object.assign(configuration.features, {
      requestObjects: { enabled: true, requireSignedRequestObject: true },
      jwtResponseModes: { enabled: true },
    });
  }
}

const start = (issuer) => {
  const provider = new Provider(issuer, configuration);
  provider.on('grant.success', (ctx) => console.log(`grant ${ctx.oidc.params.grant_type}`));
  provider.on('server_error', (_, error) => console.error(error));
  for (const event of ['authorization.error', 'pushed_authorization_request.error', 'grant.error', 'revocation.error', 'userinfo.error', 'end_session.error']) {
    provider.on(event, (_, error) => console.error(event, error.message, error.error_description, error.error_detail));
  }
  return provider;
};

const server = createServer();
server.listen(Number(PORT), '127.0.0.1', () => {
  const issuer = `http://localhost:${server.address().port}`;
  let provider = start(issuer);
  server.on('request', async (request, response) => {
    if (!request.url.startsWith('/interaction/')) return provider.callback()(request, response);
    if (request.method === 'POST') {
      let body = '';
      for await (const chunk of request) body += chunk;
      const accountId = people[new URLSearchParams(body).get('user')]?.sub;
      return provider.interactionFinished(request, response, { login: { accountId } }, { mergeWithLastSubmission: false });
    }
    response.setHeader('Content-Type', 'text/html; charset=utf-8');
    return response.end(`<!doctype html><title>Sign in</title><form method="post">${Object.keys(people).map((p) => `<button name="user" value="${p}">${p}</button>`).join('')}</form>`);
  });
  process.on('SIGUSR2', () => {
    configuration.jwks = { keys: [newKey(), ...configuration.jwks.keys] };
    provider = start(issuer);
    console.log(`key ${configuration.jwks.keys[0].kid}`);
  });
  console.log(`provider ${issuer}`);
});
process.on('SIGTERM', () => process.exit(0));
