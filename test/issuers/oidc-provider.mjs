// oidc-provider made like Auth0: its paths, an audience parameter, permissions and azp in the access token, a trailing
// slash. What it signs is its own: at+jwt, with client_id, jti, and the client as the subject of client credentials.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { Provider } from '../../tools/node_modules/oidc-provider/lib/index.js';
import { keySetPath, override, serve } from './serve.mjs';

const pair = {
  RS256: ['rsa', { modulusLength: 2048 }],
  PS256: ['rsa', { modulusLength: 2048 }],
  ES256: ['ec', { namedCurve: 'P-256' }],
  ES384: ['ec', { namedCurve: 'P-384' }],
  EdDSA: ['ed25519', {}],
};

function newKey(alg, kid, bare) {
  const jwk = generateKeyPairSync(...pair[alg]).privateKey.export({ format: 'jwk' });
  return { ...jwk, kid, use: 'sig', ...(bare ? {} : { alg }) };
}

// A provider's keys are fixed when it is made: new keys mean a new provider under the same name.
function newProvider(issuer, keys, its) {
  const provider = new Provider(issuer, {
    jwks: { keys },
    clients: [
      {
        client_id: 'm2m', client_secret: 'a-secret-of-the-test', token_endpoint_auth_method: 'client_secret_post',
        grant_types: ['client_credentials'], redirect_uris: [], response_types: [],
      },
      {
        client_id: 'spa', token_endpoint_auth_method: 'none', application_type: 'web',
        grant_types: ['authorization_code'], redirect_uris: ['http://localhost/callback'], response_types: ['code'],
      },
    ],
    scopes: ['openid', 'read:orders'],
    pkce: { required: () => true },
    extraParams: ['audience'],
    routes: { authorization: '/authorize', token: '/oauth/token', jwks: keySetPath },
    features: {
      devInteractions: { enabled: true },
      clientCredentials: { enabled: true },
      encryption: { enabled: true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        defaultResource: (ctx) => ctx.oidc.params?.audience ?? ctx.oidc.body?.audience,
        getResourceServerInfo: (ctx, audience) => {
          const alg = its.mint.alg ?? 'RS256';
          const jwt = { sign: { alg, kid: its.kids[alg] } };
          if (its.mint.encrypt) jwt.encrypt = { alg: 'dir', enc: 'A256GCM', key: randomBytes(32) };
          return { audience, scope: 'read:orders', accessTokenFormat: 'jwt', accessTokenTTL: its.mint.ttl ?? 3600, jwt };
        },
      },
    },
    extraTokenClaims: (ctx, token) => ({ permissions: ['read:orders'], azp: token.clientId }),
    formats: {
      customizers: {
        jwt: (ctx, token, jwt) => {
          jwt.header = Object.fromEntries(Object.entries(its.mint.header ?? {}).map(([name, value]) => [name, value ?? undefined]));
          override(jwt.payload, its.mint.claims);
        },
      },
    },
    findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    cookies: { keys: [randomBytes(16).toString('hex')] },
  });
  return provider.callback();
}

await serve((issuer) => {
  let keys = [];
  const its = {
    handler: undefined,
    rotate(kids, { keep, bare }) {
      its.kids = kids;
      keys = [...Object.entries(kids).map(([alg, kid]) => newKey(alg, kid, bare)), ...(keep ? keys : [])];
      its.handler = newProvider(issuer, keys, its);
    },
  };
  return its;
});
