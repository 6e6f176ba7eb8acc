import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { signInThere, startProvider } from './provider.mjs';
import {
  approve, enterCode, launchBrowser, newDevice, openSignedIn, PASSWORD, Person, seesHeading, startServer, watching,
} from './support.mjs';

let provider, server, closed, browser, television;

const upstream = (fields) => ({
  id: 'corp', issuer: provider.issuer, client_id: 'countersign', client_secret: provider.secret, label: 'Corp', ...fields,
});
const configured = (...upstreams) => `upstream=${JSON.stringify(upstreams)}`;

before(async () => {
  provider = await startProvider();
  const strict = {
    id: 'strict', label: 'Strict Corp', allowed_domains: ['corp.example'], rules: [{ claim: 'groups', any_of: ['staff'] }],
  };
  server = await startServer(configured(upstream(), upstream(strict), upstream({ id: 'strong', label: 'Strong Corp', required_amr: ['mfa'] })));
  closed = await startServer(configured(upstream()), 'login.passwords=false');
  provider.open([
    ...['corp', 'strict', 'strong'].map((id) => `${server.url}/login/upstream/${id}/callback`),
    `${closed.url}/login/upstream/corp/callback`,
  ]);
  browser = await launchBrowser();
  server.addUser('grace');
  television = server.addPublicClient('television', 'Living-room television');
});

after(async () => {
  await browser?.close();
  await server?.stop();
  await closed?.stop();
  await provider?.close();
});

const inBrowser = (inner, options) => watching(browser, server, inner, { ...options, elsewhere: [provider.issuer] });
const claimsOf = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString());

async function signInWith(page, label, name, options) {
  await page.getByRole('link', { name: `Sign in with ${label}`, exact: true }).click();
  await signInThere(page, name, options);
}

for (const javaScriptEnabled of [true, false]) {
  describe(javaScriptEnabled ? 'with JavaScript' : 'without JavaScript', () => {
    test('from a link on a device to tokens', () => inBrowser(async (page) => {
      const device = await newDevice(server, television, { scope: 'openid profile email' });
      await page.goto(device.verification_uri_complete);
      await signInWith(page, 'Corp', 'ada');
      await page.getByRole('button', { name: 'Continue' }).click();
      await approve(page);
      const { status, body } = await device.poll();
      assert.equal(status, 200);
      const claims = claimsOf(body.id_token);
      const me = await fetch(`${server.url}/oauth2/v1/userinfo`, { headers: { authorization: `Bearer ${body.access_token}` } });
      const { preferred_username, name, email } = await me.json();
      assert.deepEqual([preferred_username, name, email], ['ada@localhost', 'Ada of Corp', 'ada@corp.example']);
      assert.deepEqual(claims.amr, ['pwd']);
      assert.equal(claims.acr, 'single-factor');
    }, { javaScriptEnabled }));

    test('a device that wants two factors, and a provider that checks two', () => inBrowser(async (page) => {
      const device = await newDevice(server, television, { acr_values: 'multi-factor' });
      await page.goto('/device');
      await signInWith(page, 'Corp', 'ada', { strong: true });
      await enterCode(page, device.user_code);
      await approve(page);
      const claims = claimsOf((await device.poll()).body.id_token);
      assert.deepEqual([claims.amr, claims.acr], [['pwd', 'mfa'], 'multi-factor']);
    }, { javaScriptEnabled }));

    test('a fresh sign-in is asked for there too', () => inBrowser(async (page) => {
      await page.goto('/login?next=account');
      await signInWith(page, 'Corp', 'ada');
      await seesHeading(page, 'Your devices');
      const device = await newDevice(server, television, { prompt: 'login' });
      await page.goto('/device');
      await enterCode(page, device.user_code);
      await page.getByText('Please sign in again to go on.').waitFor();
      await signInWith(page, 'Corp', 'ada');
      await page.getByRole('button', { name: 'Continue' }).click();
      await approve(page);
      assert.equal((await device.poll()).status, 200);
    }, { javaScriptEnabled }));
  });
}

test('who cancels there is told so, and may try again', () => inBrowser(async (page) => {
  await page.goto('/login?next=account');
  await page.getByRole('link', { name: 'Sign in with Corp', exact: true }).click();
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.getByText('You were not signed in there.').waitFor();
  await signInWith(page, 'Corp', 'ada');
  await seesHeading(page, 'Your devices');
}));

for (const [who, why] of [['eve', 'another domain'], ['mal', 'an unverified address'], ['tom', 'another group']]) {
  test(`${why} is not admitted`, () => inBrowser(async (page) => {
    await page.goto('/login?next=account');
    await signInWith(page, 'Strict Corp', who);
    await page.getByText('Your account there may not be used here.').waitFor();
    await page.goto('/account');
    await seesHeading(page, 'Sign in');
  }));
}

test('one factor is not enough where two are required', () => inBrowser(async (page) => {
  await page.goto('/login?next=account');
  await signInWith(page, 'Strong Corp', 'ada');
  await page.getByText('You signed in there with less than is needed here.').waitFor();
}));

test('an identity is added to an account, and removed again', () => inBrowser(async (page) => {
  await openSignedIn(page, '/account', 'grace');
  await page.getByRole('link', { name: 'Also sign in with Corp', exact: true }).click();
  await signInThere(page, 'tom');
  await page.getByText('You can sign in with Corp.').waitFor();
  await page.getByRole('banner').getByRole('button', { name: 'Sign out', exact: true }).click();
  // They are still signed in there.
  await page.getByRole('link', { name: 'Sign in with Corp', exact: true }).click();
  await page.getByTitle('Signed in as grace').waitFor();
  await page.getByRole('button', { name: 'Do not sign in with Corp any more' }).click();
  await page.getByText('It is removed.').waitFor();
}));

test('an account that has nothing else keeps its identity', () => inBrowser(async (page) => {
  await page.goto('/login?next=account');
  await signInWith(page, 'Corp', 'ada');
  await page.getByRole('button', { name: 'Do not sign in with Corp any more' }).click();
  await page.getByText('without it, you could not sign in any more').waitFor();
}));

test('passwords can be switched off', () => watching(browser, closed, async (page) => {
  await page.goto('/login?next=account');
  assert.equal(await page.getByLabel('Password').count(), 0);
  await signInWith(page, 'Corp', 'ada');
  await seesHeading(page, 'Your devices');
  closed.addUser('linus');
  const linus = new Person(closed);
  const { html } = await linus.open('/login/passkey');
  const { status } = await linus.submit('/login', html, 'credential', { username: 'linus', password: PASSWORD });
  assert.equal(status, 403);
}, { elsewhere: [provider.issuer] }));
