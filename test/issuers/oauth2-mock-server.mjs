// oauth2-mock-server under Auth0's paths. It says typ JWT, has nbf and no jti, publishes keys without "use", and knows
// neither audience nor permissions: those, and Auth0's azp and subject of a machine, are put in before it signs.
import { JWKStore, OAuth2Issuer, OAuth2Service } from '../../tools/node_modules/oauth2-mock-server/dist/index.mjs';
import { keySetPath, override, serve } from './serve.mjs';

// Issuer is one whose keys can be replaced as a whole: a key store can only grow.
class Issuer extends OAuth2Issuer {
  store;
  get keys() {
    return this.store;
  }
}

await serve((url) => {
  const issuer = new Issuer();
  issuer.url = url;
  const service = new OAuth2Service(issuer, { token: '/oauth/token', jwks: keySetPath });
  const its = {
    handler(req, res) {
      turn();
      service.requestHandler(req, res);
    },
    async rotate(kids, { keep, bare }) {
      const before = keep ? issuer.store.toJSON(true) : [];
      const store = new JWKStore();
      for (const jwk of before) await store.add(jwk);
      for (const [alg, kid] of Object.entries(kids)) await store.generate(alg, { kid });
      if (bare) {
        const publish = store.toJSON.bind(store);
        store.toJSON = (secret) => publish(secret).map((jwk) => (secret ? jwk : { ...jwk, alg: undefined }));
      }
      issuer.store = store;
      its.kids = kids;
    },
  };
  // Keys take turns at signing: sending all others to the back makes it the wanted one's turn.
  const turn = () => {
    const wanted = its.kids[its.mint.alg ?? 'RS256'];
    issuer.store.toJSON().forEach(({ kid }) => kid === wanted || issuer.store.get(kid));
  };

  service.on('beforeTokenSigning', (token, req) => {
    turn(); // for the token after this one
    if (token.payload.aud !== undefined) return; // an ID token: its audience is the client
    const client = req.body.client_id;
    Object.assign(token.payload, { aud: req.body.audience, azp: client, permissions: ['read:orders'] });
    token.payload.sub ??= `${client}@clients`;
    token.payload.exp = token.payload.iat + (its.mint.ttl ?? 3600);
    override(token.payload, its.mint.claims);
    for (const [name, value] of Object.entries(its.mint.header ?? {})) token.header[name] = value ?? undefined;
  });
  return its;
});
