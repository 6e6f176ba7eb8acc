// A real OpenID Connect provider of another project, with a sign-in page of a few lines.

import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const PEOPLE = {
  ada: { email: 'ada@corp.example', email_verified: true, name: 'Ada of Corp', groups: ['staff'] },
  eve: { email: 'eve@elsewhere.example', email_verified: true, name: 'Eve', groups: ['staff'] },
  mal: { email: 'mal@corp.example', email_verified: false, name: 'Mal', groups: ['staff'] },
  tom: { email: 'tom@corp.example', email_verified: true, name: 'Tom', groups: ['guests'] },
};

const page = (uid) => `<!doctype html><html lang="en"><link rel="icon" href="data:,"><title>Corp</title><h1>Corp sign-in</h1>
<form method="post" action="/interaction/${uid}">
<label>Name <input name="name"></label>
<label><input type="checkbox" name="strong" value="yes"> with a second factor</label>
<button name="answer" value="yes">Go on</button><button name="answer" value="no">Cancel</button>
</form></html>`;

async function form(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return new URLSearchParams(Buffer.concat(chunks).toString());
}

/** Listens at once, so that its issuer is known, and answers from `open` on. */
export async function startProvider() {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://localhost:${server.address().port}`;
  const secret = 'a secret of the client, with : and % in it';

  return {
    issuer,
    secret,
    open(redirectUris) {
      const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
      const provider = new Provider(issuer, {
        clients: [{ client_id: 'countersign', client_secret: secret, redirect_uris: redirectUris }],
        jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: 'one', use: 'sig', alg: 'RS256' }] },
        cookies: { keys: ['a key for cookies in a test'] },
        pkce: { required: () => true },
        acrValues: ['gold'],
        claims: { openid: ['sub', 'acr', 'amr', 'auth_time'], email: ['email', 'email_verified'], profile: ['name', 'groups'] },
        features: { devInteractions: { enabled: false } },
        interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
        findAccount: (_, id) => PEOPLE[id] && { accountId: id, claims: () => ({ sub: id, ...PEOPLE[id] }) },
        // Nobody is asked for consent here.
        async loadExistingGrant(context) {
          const { client, session, provider: { Grant } } = context.oidc;
          const grant = new Grant({ clientId: client.clientId, accountId: session.accountId });
          grant.addOIDCScope('openid profile email');
          await grant.save();
          return grant;
        },
      });
      const answer = provider.callback();
      server.on('request', async (request, response) => {
        const interaction = /^\/interaction\/([\w-]+)$/.exec(request.url);
        if (!interaction) return answer(request, response);
        if (request.method === 'GET') return response.setHeader('content-type', 'text/html').end(page(interaction[1]));
        const sent = await form(request);
        if (sent.get('answer') === 'no') {
          return provider.interactionFinished(request, response, { error: 'access_denied' });
        }
        const strong = sent.get('strong') === 'yes';
        const login = { accountId: sent.get('name'), amr: strong ? ['pwd', 'mfa'] : ['pwd'], remember: true };
        return provider.interactionFinished(request, response, { login }, { mergeWithLastSubmission: false });
      });
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** On the provider's page. */
export async function signInThere(target, name, { strong = false } = {}) {
  await target.getByRole('heading', { name: 'Corp sign-in' }).waitFor();
  await target.getByLabel('Name').fill(name);
  if (strong) await target.getByLabel('with a second factor').check();
  await target.getByRole('button', { name: 'Go on' }).click();
}
