import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import {
  approve, introspect, launchBrowser, newDevice, openSignedIn, seesHeading, signIn, startServer, watchedPage,
} from './support.mjs';

let server, browser, television, api;

before(async () => {
  server = await startServer();
  browser = await launchBrowser();
  television = server.addPublicClient('television', 'Living-room television');
  api = server.addConfidentialClient('api', 'API');
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

/** A browser with an authenticator built in, which always says yes. */
async function withAuthenticator(name, inner) {
  server.addUser(name);
  const watched = await watchedPage(browser, server);
  const { page } = watched;
  const devtools = await page.context().newCDPSession(page);
  await devtools.send('WebAuthn.enable');
  const { authenticatorId } = await devtools.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  await inner(page, {
    credentials: async () => (await devtools.send('WebAuthn.getCredentials', { authenticatorId })).credentials,
    refuse: () => devtools.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: false }),
    clear: () => devtools.send('WebAuthn.clearCredentials', { authenticatorId }),
    restore: (credential) => devtools.send('WebAuthn.addCredential', { authenticatorId, credential }),
  });
  await watched.close();
}

async function addPasskey(page, name) {
  await page.goto('/account');
  await page.getByRole('button', { name: 'Add a passkey' }).click();
  await page.getByLabel('What to call it').fill(name);
  await page.getByRole('button', { name: 'Add a passkey' }).click();
}

const line = (page, name) => page.getByRole('listitem').filter({ hasText: name });

test('a passkey is the whole sign-in, and a device login follows', () => withAuthenticator('ada', async (page, key) => {
  await openSignedIn(page, '/account', 'ada');
  await addPasskey(page, 'Ada’s laptop');
  await seesHeading(page, 'Your recovery codes');
  assert.equal((await page.locator('.recovery-code').all()).length, 10);
  assert.equal((await key.credentials()).length, 1);
  // The same authenticator makes no second one.
  await addPasskey(page, 'Again');
  await page.getByText('Your browser did not make one.').waitFor();

  await page.context().clearCookies();
  const device = await newDevice(server, television);
  await page.goto(device.verification_uri_complete);
  await page.getByRole('link', { name: 'Sign in with a passkey' }).click();
  await page.getByRole('button', { name: 'Use a passkey' }).click();
  await page.getByRole('button', { name: 'Continue' }).click();
  await approve(page);
  const { status, body } = await device.poll();
  assert.equal(status, 200);
  const claims = JSON.parse(Buffer.from(body.id_token.split('.')[1], 'base64url'));
  assert.deepEqual([claims.amr, claims.acr], [['pop', 'mfa', 'user'], 'multi-factor']);
  assert.equal((await introspect(server, api, body.access_token)).username, 'ada');
}));

test('a passkey comes after the password', () => withAuthenticator('grace', async (page, key) => {
  await openSignedIn(page, '/account', 'grace');
  await addPasskey(page, 'Phone');
  await seesHeading(page, 'Your recovery codes');
  const code = await page.locator('.recovery-code').first().innerText();
  await page.context().clearCookies();
  await page.goto('/login?next=account');
  await signIn(page, 'grace');
  await seesHeading(page, 'One more step');
  // Whoever does not unlock it is not let in, and may try again.
  await key.refuse();
  await page.getByRole('button', { name: 'Use a passkey' }).click();
  await page.getByText('Your browser did not answer.').waitFor();
  await page.getByLabel('Code', { exact: true }).fill(code);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('9 recovery codes are left.').waitFor();
}));

test('passkeys are named, renamed and removed', () => withAuthenticator('mary', async (page, key) => {
  await openSignedIn(page, '/account', 'mary');
  await addPasskey(page, 'First <b>one</b>');
  await page.getByRole('link', { name: 'I have kept them' }).click();
  await line(page, 'First <b>one</b>').locator('summary').click();
  await line(page, 'First <b>one</b>').getByRole('textbox').fill('Better');
  await line(page, 'First <b>one</b>').getByRole('button', { name: 'Rename', exact: true }).click();
  await line(page, 'Better').getByText('not yet').waitFor();
  await page.context().clearCookies();
  await page.goto('/login/passkey?next=account');
  await page.getByRole('button', { name: 'Use a passkey' }).click();
  await seesHeading(page, 'Your devices');
  await line(page, 'Better').getByText('UTC').nth(1).waitFor();
  await page.getByRole('button', { name: 'Remove the passkey Better' }).click();
  await page.getByText('The passkey is removed.').waitFor();
  // What was removed signs nobody in, and the password alone does again.
  await page.context().clearCookies();
  await page.goto('/login/passkey?next=account');
  await page.getByRole('button', { name: 'Use a passkey' }).click();
  await page.getByText('This passkey is not right, or was removed.').waitFor();
  await page.getByRole('link', { name: 'Sign in with your password' }).click();
  await signIn(page, 'mary');
  await seesHeading(page, 'Your devices');
  assert.equal((await key.credentials()).length, 1);
}));

test('one who was copied is not let in', () => withAuthenticator('rosa', async (page, key) => {
  await openSignedIn(page, '/account', 'rosa');
  await addPasskey(page, 'Key');
  await seesHeading(page, 'Your recovery codes');
  const [copy] = await key.credentials();
  const use = async () => {
    await page.context().clearCookies();
    await page.goto('/login/passkey?next=account', { waitUntil: 'networkidle' });
    await page.getByRole('button', { name: 'Use a passkey' }).click();
  };
  await use();
  await seesHeading(page, 'Your devices');
  // The copy counts from where it was copied.
  await key.clear();
  await key.restore(copy);
  await use();
  await page.getByText('This passkey is not right, or was removed.').waitFor();
}));

test('an answer is good once, and for the browser that was asked', () => withAuthenticator('emmy', async (page) => {
  await openSignedIn(page, '/account', 'emmy');
  await addPasskey(page, 'Key');
  await seesHeading(page, 'Your recovery codes');
  await page.context().clearCookies();
  await page.goto('/login/passkey?next=account');
  let sent;
  page.on('request', (request) => {
    if (request.method() === 'POST' && request.url().endsWith('/login/passkey')) sent = request.postData();
  });
  const asked = (await page.context().cookies()).map(({ name, value }) => `${name}=${value}`).join('; ');
  await page.getByRole('button', { name: 'Use a passkey' }).click();
  await seesHeading(page, 'Your devices');
  const again = await fetch(`${server.url}/login/passkey`, {
    method: 'POST',
    body: sent,
    redirect: 'manual',
    headers: { 'content-type': 'application/x-www-form-urlencoded', cookie: asked, origin: server.url },
  });
  assert.equal(again.status, 303);
  assert.match(again.headers.get('location'), /^\/login\?/);
}));
