// What both issuers here share: a free loopback port, keys that a test can replace while the issuer runs, and orders of
// the test. An order is a line of JSON on standard input, its answer one on standard output; the process ends with its
// input. An order holds, each optional:
//   rotate  {keep, bare, again}: new keys; keep = the old ones stay published, bare = published without "alg", again =
//           under the ids of the old ones
//   mint    how access tokens are made from now on: {alg, ttl (seconds), header, claims, encrypt}. A member null in header
//           or claims is left out of the token
//   down    whether the key set answers 503
// The answer is {issuer, kids: {alg: kid of the key that signs}, fetched: how often the key set was asked for}.
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';

console.log = console.info = console.error; // standard output is for answers

const algorithms = ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'];
export const keySetPath = '/.well-known/jwks.json';

// serve runs the issuer that start makes: start(issuer) gives {handler(req, res), mint, rotate(kids, order)}, where kids
// are the ids that the new keys shall have, by algorithm.
export async function serve(start) {
  let its, round = 0, kids, fetched = 0, down = false;
  const server = createServer((req, res) => {
    if (req.url === keySetPath) {
      fetched++;
      if (down) return res.writeHead(503).end();
    }
    its.handler(req, res);
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const issuer = `http://127.0.0.1:${server.address().port}/`; // with Auth0's slash

  const rotate = async (order) => {
    if (!order.again) round++;
    kids = Object.fromEntries(algorithms.map((alg) => [alg, `${alg}-${round}`])); // alike at both issuers: ids are an issuer's own
    await its.rotate(kids, order);
  };
  const answer = () => process.stdout.write(JSON.stringify({ issuer, kids, fetched }) + '\n');

  its = await start(issuer);
  its.mint = {};
  await rotate({});
  answer();
  for await (const line of createInterface({ input: process.stdin })) {
    const order = JSON.parse(line);
    if (order.rotate) await rotate(order.rotate);
    if (order.mint) its.mint = order.mint;
    if (order.down !== undefined) down = order.down;
    answer();
  }
  process.exit(0);
}

// override puts the members of one object into another; null removes.
export function override(object, members = {}) {
  for (const [name, value] of Object.entries(members)) {
    if (value === null) delete object[name];
    else object[name] = value;
  }
}
