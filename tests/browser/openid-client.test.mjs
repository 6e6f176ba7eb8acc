import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import * as client from 'openid-client';

import { newPerson, postForm, startServer, until } from './support.mjs';

const SCOPE = 'openid profile email offline_access';

let server, ada;

before(async () => {
  server = await startServer();
  server.addUser('ada', '--email', 'ada@example.org', '--full-name', 'Ada Lovelace');
  ada = await newPerson(server, 'ada');
});

after(() => server?.stop());

/** The library, set up for one client; `heard` fills with the errors that polling brought. */
async function discover({ client_id }, authentication) {
  const options = { execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks] };
  const config = await client.discovery(new URL(server.url), client_id, undefined, authentication, options);
  const heard = [];
  config[client.customFetch] = async (url, request) => {
    const response = await fetch(url, request);
    if (response.status === 400) heard.push((await response.clone().json()).error);
    return response;
  };
  return { config, heard };
}

/** Polls until somebody decides; the decision comes once the library has heard that it must wait. */
async function logIn({ config, heard }, parameters = {}, decision = 'approve') {
  const asked = await client.initiateDeviceAuthorization(config, { scope: SCOPE, ...parameters });
  const polling = client.pollDeviceAuthorizationGrant(config, asked);
  const deciding = until('the library has polled', () => heard.includes('authorization_pending'))
    .then(() => ada.decide(asked.user_code, decision));
  const [polled, decided] = await Promise.allSettled([polling, deciding]);
  if (decided.status === 'rejected') throw decided.reason;
  if (polled.status === 'rejected') throw polled.reason;
  return polled.value;
}

const public_ = { authentication: () => client.None(), add: (id) => server.addPublicClient(id, 'Television') };
const confidential = (authentication, method) => ({
  authentication,
  add: (id) => server.addConfidentialClient(id, 'Office backend', '--auth-method', method),
});
const KINDS = {
  none: public_,
  client_secret_basic: confidential(client.ClientSecretBasic, 'client_secret_basic'),
  client_secret_post: confidential(client.ClientSecretPost, 'client_secret_post'),
};

for (const [method, { authentication, add }] of Object.entries(KINDS)) {
  test(`${method}: from discovery to revocation`, async () => {
    const registered = add(`by-${method}`);
    const library = await discover(registered, authentication(registered.client_secret));
    const { config, heard } = library;
    const nonce = client.randomNonce();

    const tokens = await logIn(library, { nonce });
    assert.deepEqual(heard, ['authorization_pending']);
    assert.ok(tokens.expiresIn() > 0);
    const claims = tokens.claims();
    assert.deepEqual([claims.iss, claims.aud, claims.nonce], [server.url, registered.client_id, nonce]);

    const fresh = await client.refreshTokenGrant(config, tokens.refresh_token);
    assert.notEqual(fresh.access_token, tokens.access_token);
    assert.notEqual(fresh.refresh_token, tokens.refresh_token);

    const person = await client.fetchUserInfo(config, fresh.access_token, claims.sub);
    assert.equal(person.name, 'Ada Lovelace');
    assert.equal(person.preferred_username, 'ada');
    assert.equal(person.email, 'ada@example.org');

    const active = async (token) => (await client.tokenIntrospection(config, token)).active;
    if (registered.client_secret) {
      assert.equal(await active(fresh.access_token), true);
      assert.equal(await active(fresh.refresh_token), true);
    }
    await client.tokenRevocation(config, fresh.refresh_token);
    await assert.rejects(client.refreshTokenGrant(config, fresh.refresh_token), { error: 'invalid_grant' });
    if (registered.client_secret) {
      assert.equal(await active(fresh.access_token), false);
      assert.equal(await active(fresh.refresh_token), false);
    }
    await assert.rejects(client.fetchUserInfo(config, fresh.access_token, claims.sub), { status: 401 });
  });
}

describe('a public client', () => {
  let television;

  before(() => {
    television = server.addPublicClient('television', 'Television');
  });

  test('a denial is access_denied', async () => {
    const library = await discover(television, client.None());
    await assert.rejects(logIn(library, {}, 'deny'), { error: 'access_denied' });
    assert.deepEqual(library.heard, ['authorization_pending', 'access_denied']);
  });

  test('slow_down is survived', async () => {
    const { config, heard } = await discover(television, client.None());
    const asked = await client.initiateDeviceAuthorization(config, { scope: SCOPE });
    const recorded = config[client.customFetch];
    // Somebody else polls the same code a moment before the library does.
    config[client.customFetch] = async (url, request) => {
      if (url === config.serverMetadata().token_endpoint && heard.length === 0) {
        const fields = { ...television, grant_type: request.body.get('grant_type'), device_code: asked.device_code };
        assert.equal((await postForm(url, fields)).body.error, 'authorization_pending');
      }
      return recorded(url, request);
    };
    const polling = client.pollDeviceAuthorizationGrant(config, asked);
    await until('the library was slowed down', () => heard.includes('slow_down'));
    await ada.decide(asked.user_code, 'approve');
    assert.ok((await polling).access_token);
    assert.deepEqual(heard, ['slow_down']);
  });

  test('a code that was collected is gone', async () => {
    const library = await discover(television, client.None());
    const asked = await client.initiateDeviceAuthorization(library.config, { scope: SCOPE });
    await ada.decide(asked.user_code, 'approve');
    await client.pollDeviceAuthorizationGrant(library.config, asked);
    await assert.rejects(client.pollDeviceAuthorizationGrant(library.config, asked), { error: 'invalid_grant' });
  });
});

test('a wrong secret is invalid_client, with a challenge where the client tried HTTP', async () => {
  const guessed = server.addConfidentialClient('guessed', 'Guessed');
  const ask = async (authentication) => {
    const { config } = await discover(guessed, authentication);
    return client.initiateDeviceAuthorization(config, { scope: SCOPE });
  };
  await assert.rejects(ask(client.ClientSecretPost('guess')), { status: 400, error: 'invalid_client' });
  await assert.rejects(ask(client.ClientSecretBasic('guess')), (failure) => {
    assert.deepEqual([failure.status, failure.cause[0].scheme], [401, 'basic']);
    return true;
  });
});
