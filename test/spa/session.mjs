// A page of the single-page application, without a browser: Auth0's own SDK in jsdom, against the issuer at ISSUER, as a
// page of the origin SPA would use it. It logs PERSON in through the login page's form and prints what came of each step as
// one JSON document.
import { createRequire } from 'node:module';
import { webcrypto } from 'node:crypto';

const require = createRequire(new URL('../../tools/node_modules/', import.meta.url));
const { JSDOM } = require('jsdom');

const { ISSUER, SPA, PERSON, AUDIENCE, ORGANIZATION } = process.env;
const page = new JSDOM('<!doctype html><body></body>', { url: SPA + '/' });
const { window } = page;
Object.defineProperty(window, 'crypto', { value: webcrypto });
window.TextEncoder = TextEncoder;
Object.assign(globalThis, {
  window, document: window.document, location: window.location,
  sessionStorage: window.sessionStorage, localStorage: window.localStorage,
});

// The page's own calls, held to CORS as a browser does: a header of the SDK's own needs a preflight, and an answer can be
// read only where it names this origin.
const network = globalThis.fetch;
const calls = [];
globalThis.fetch = async (url, options = {}) => {
  const ask = await network(url, { method: 'OPTIONS', headers: { Origin: SPA, 'Access-Control-Request-Method': options.method ?? 'GET' } });
  const allowed = (ask.headers.get('access-control-allow-headers') ?? '').toLowerCase().split(/, */);
  const simple = options.headers?.['Content-Type'] === 'application/x-www-form-urlencoded' ? ['content-type'] : [];
  for (const name of Object.keys(options.headers ?? {})) {
    if (!ask.ok || ![...allowed, ...simple].includes(name.toLowerCase())) throw new TypeError(`preflight: ${name} is not allowed`);
  }
  const answer = await network(url, { ...options, headers: { ...options.headers, Origin: SPA } });
  if (answer.headers.get('access-control-allow-origin') !== SPA) throw new TypeError('the answer is not for this origin');
  calls.push(new URLSearchParams(options.body).get('grant_type'));
  return answer;
};
window.fetch = globalThis.fetch;

// The browser's own requests: one cookie, redirects followed while they stay at the issuer.
let cookie = '';
async function visit(url, options = {}) {
  for (;;) {
    const answer = await network(url, { ...options, redirect: 'manual', headers: { ...options.headers, ...(cookie && { Cookie: cookie }) } });
    for (const set of answer.headers.getSetCookie()) cookie = /max-age=0/i.test(set) ? '' : set.split(';')[0];
    const location = answer.headers.get('location');
    if (!location) return { url, status: answer.status, body: await answer.text() };
    const next = new URL(location, url);
    if (next.origin !== new URL(ISSUER).origin) return { url: location, status: answer.status, body: '' };
    [url, options] = [next.href, {}];
  }
}

// A hidden iframe: its page is fetched with the cookie and run, and what it posts arrives as a message.
new window.MutationObserver(async (changes) => {
  for (const frame of changes.flatMap((c) => [...c.addedNodes]).filter((n) => n.localName === 'iframe')) {
    const { body } = await visit(frame.getAttribute('src'));
    new JSDOM(body, {
      runScripts: 'dangerously',
      beforeParse(inner) {
        inner.opener = {
          postMessage(data, target) {
            if (target !== SPA) return;
            window.dispatchEvent(new window.MessageEvent('message', { data: JSON.parse(JSON.stringify(data)), origin: new URL(ISSUER).origin }));
          },
        };
      },
    });
  }
}).observe(window.document.body, { childList: true });

const { Auth0Client } = require('@auth0/auth0-spa-js');
const application = (options) => new Auth0Client({
  domain: ISSUER.replace(/\/$/, ''), clientId: 'spa', ...options,
  authorizationParams: { redirect_uri: SPA, audience: AUDIENCE, ...(ORGANIZATION && { organization: ORGANIZATION }), ...options?.authorizationParams },
});
const failure = (promise) => promise.then(() => 'none', (e) => e.error ?? String(e));

const report = {};
const spa = application({ useRefreshTokens: true });
report.before = await failure(application({ useRefreshTokens: false }).getTokenSilently());

let address;
await spa.loginWithRedirect({ appState: { back: '/orders' }, openUrl: (url) => { address = url; } });
const shown = await visit(address);
const form = new JSDOM(shown.body, { url: shown.url }).window.document.querySelector('form');
const fields = new URLSearchParams([...form.querySelectorAll('input[type=hidden]')].map((i) => [i.name, i.value]));
const button = form.querySelector(`button[value="${PERSON}"]`);
fields.set(button.name, button.value);
const back = await visit(form.action, {
  method: form.method, body: fields.toString(),
  headers: { 'Content-Type': 'application/x-www-form-urlencoded', Origin: new URL(ISSUER).origin },
});
report.callback = back.url.split('?')[0];
report.appState = (await spa.handleRedirectCallback(back.url)).appState;
report.again = await failure(spa.handleRedirectCallback(back.url));

report.user = await spa.getUser();
report.first = await spa.getTokenSilently();
report.afterLogin = calls.join(' ');
report.cached = await spa.getTokenSilently() === report.first;
for (let n = 0; n < 2; n++) report.refreshed = await spa.getTokenSilently({ cacheMode: 'off' });
report.afterRefresh = calls.join(' ');

const framed = application({ useRefreshTokens: false });
report.silent = await framed.getTokenSilently({ cacheMode: 'off' });
report.afterSilent = calls.join(' ');

await spa.logout({ logoutParams: { returnTo: SPA }, openUrl: (url) => { address = url; } });
const left = await visit(address);
report.logout = { status: left.status, url: left.url };
report.authenticated = await spa.isAuthenticated();
report.after = await failure(framed.getTokenSilently({ cacheMode: 'off' }));

process.stdout.write(JSON.stringify(report) + '\n', () => process.exit(0)); // jsdom's timers would hold it
