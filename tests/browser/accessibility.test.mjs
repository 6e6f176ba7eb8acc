import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before, test } from 'node:test';
import axe from 'axe-core';

import {
  approve, approveButton, denyButton, enrol, enterCode, launchBrowser, newDevice, newPerson, openConfirm, openSignedIn,
  BEHIND_PROXY, ELSEWHERE, newCommandLine, newNode, ownDevice, Person, seesHeading, signIn, startServer, until, verifyCode, watchedPage,
} from './support.mjs';

const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22a', 'wcag22aa'];
const SCHEMES = ['light', 'dark'];
const SIZES = [{ width: 390, height: 844 }, { width: 1280, height: 900 }];
const NARROWEST = 320;
const ICON = fileURLToPath(new URL('../../crates/server/assets/icon.svg', import.meta.url));
const LONG_SCOPE = `https://example.org/${'measurements/'.repeat(5)}read`;

let server, browser, television;

before(async () => {
  const corp = { id: 'corp', issuer: 'https://sso.corp.example', client_id: 'countersign', label: 'Corp', icon_file: ICON };
  server = await startServer(BEHIND_PROXY, `upstream=${JSON.stringify([corp])}`);
  browser = await launchBrowser();
  for (const name of ['ada', 'grace', 'mary', 'rosa', 'emmy', 'nora', 'hedy', 'lise']) server.addUser(name);
  server.addUser('annamaria-von-hohenzollern-sigmaringen-at-some-long-host.example');
  television = server.addPublicClient('television', 'Living-room television');
  server.addClientWithPolicy('vault', 'Vault', 'initiation_check = "pin"\ncomplete_uri = false\n');
  server.addPublicClient(
    'wordy', `Donaudampfschifffahrts${'gesellschafts'.repeat(3)}kapitän`,
    '--scope', 'openid', '--scope', LONG_SCOPE,
  );
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

const newTelevision = (options) => newDevice(server, television, options);
const newWordyDevice = () => newDevice(server, { client_id: 'wordy' }, { scope: `openid ${LONG_SCOPE}` });

async function audit(page) {
  if (!(await page.evaluate(() => 'axe' in globalThis))) await page.addScriptTag({ content: axe.source });
  const { violations } = await page.evaluate((tags) => globalThis.axe.run({ runOnly: tags }), TAGS);
  return violations.flatMap(({ id, help, nodes }) => nodes.map(({ html }) => `${id}: ${help}: ${html}`));
}

const folder = process.env.SCREENSHOTS;
if (folder) mkdirSync(folder, { recursive: true });

async function hold(page, name) {
  for (const colorScheme of SCHEMES) {
    await page.emulateMedia({ colorScheme });
    for (const size of SIZES) {
      await page.setViewportSize(size);
      const view = `${name}-${colorScheme}-${size.width}`;
      if (folder) await page.screenshot({ path: join(folder, `${view}.png`), fullPage: true });
      assert.deepEqual(await audit(page), [], view);
    }
  }
  await page.setViewportSize({ width: NARROWEST, height: 800 });
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= NARROWEST, `${name} is ${width} px wide in a window of ${NARROWEST} px`);
}

/** Leads a browser to one page and holds that page against the rules. */
function pageTest(name, lead) {
  test(name, async () => {
    const { page, close } = await watchedPage(browser, server, { bypassCSP: true });
    await lead(page);
    await hold(page, name.replaceAll(' ', '-'));
    await close();
  });
}

pageTest('login', async (page) => {
  await page.goto('/login?next=account');
  await seesHeading(page, 'Sign in');
});

pageTest('login for a device', async (page) => {
  await page.goto('/device');
  await page.getByText('Sign in to connect a device.').waitFor();
});

pageTest('login wrong', async (page) => {
  await page.goto('/login');
  await signIn(page, 'nobody-of-that-name');
  await page.getByRole('alert').waitFor();
});

pageTest('login again', async (page) => {
  await openSignedIn(page, '/account', 'ada');
  const device = await newTelevision({ prompt: 'login' });
  await page.goto(device.verification_uri_complete);
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByText('Please sign in again').waitFor();
});

pageTest('too many attempts', async (page) => {
  const guesser = new Person(server);
  await until('there were too many', async () => (await guesser.signIn('nobody-at-all')).status === 429);
  await page.goto('/login');
  await signIn(page, 'nobody-at-all');
  await seesHeading(page, 'Too many attempts');
});

pageTest('signed out', async (page) => {
  await openSignedIn(page, '/account', 'ada');
  await page.getByRole('button', { name: 'Sign out', exact: true }).click();
  await page.getByText('You are signed out.').waitFor();
});

pageTest('logout', async (page) => {
  await openSignedIn(page, '/account', 'ada');
  await page.goto('/logout');
  await seesHeading(page, 'Sign out?');
});

pageTest('device', (page) => openSignedIn(page, '/device', 'ada'));

pageTest('device to be typed', async (page) => {
  const device = await newDevice(server, { client_id: 'vault' });
  await openSignedIn(page, `/device?user_code=${device.user_code}`, 'ada');
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByText('For this device, links do not work.').waitFor();
});

pageTest('confirm from elsewhere', async (page) => {
  const device = await newDevice(server, television, {}, ELSEWHERE);
  await openSignedIn(page, '/device', 'ada');
  await enterCode(page, device.user_code);
  await page.getByText('This was asked for from another network than yours').waitFor();
});

pageTest('pin', async (page) => {
  const device = await newDevice(server, { client_id: 'vault' });
  await openSignedIn(page, '/device', 'ada');
  await enterCode(page, device.user_code);
  await ownDevice(page).check();
  await approveButton(page).click();
  await seesHeading(page, 'One more step on the device');
});

pageTest('device prefilled', async (page) => {
  const device = await newTelevision();
  await openSignedIn(page, device.verification_uri_complete, 'ada');
  await page.getByText('This code was filled in for you.').waitFor();
});

pageTest('device wrong', async (page) => {
  await openSignedIn(page, '/device', 'ada');
  await enterCode(page, 'AAAA-AAAA');
  await page.getByRole('alert').waitFor();
});

pageTest('confirm', async (page) => openConfirm(page, await newTelevision(), 'ada'));

pageTest('confirm without the tick', async (page) => {
  await openConfirm(page, await newTelevision(), 'ada');
  await approveButton(page).click();
  await page.getByRole('alert').waitFor();
});

pageTest('confirm for somebody else', async (page) => {
  await openConfirm(page, await newTelevision({ login_hint: 'grace' }), 'ada');
  await page.getByRole('alert').waitFor();
});

pageTest('confirm with long words', async (page) => {
  const device = await newWordyDevice();
  await openConfirm(page, device, 'annamaria-von-hohenzollern-sigmaringen-at-some-long-host.example');
});

/** Nodes end with the server where nobody decides about them. */
const phone = (id) => newNode(server, 'Ada’s phone', 'ios', `6f1c0d9e-58c1-4d8e-9b1a-2f00d2a4c${id}`);

pageTest('confirm a pairing', async (page) => {
  const node = await phone('001');
  await openConfirm(page, node, 'ada');
  await page.getByText('6f1c0d9e-58c1-4d8e-9b1a-2f00d2a4c001').waitFor();
});

pageTest('confirm a pairing that replaces', async (page) => {
  const node = await phone('002');
  await (await newPerson(server, 'ada')).decide(node.user_code, 'approve');
  await node.ended;
  await openConfirm(page, await phone('002'), 'ada');
  await page.getByText('It takes the place of your device “Ada’s phone”').waitFor();
});

pageTest('foreign', async (page) => {
  const node = await phone('003');
  await (await newPerson(server, 'grace')).decide(node.user_code, 'approve');
  await node.ended;
  await openConfirm(page, await phone('003'), 'ada');
  await ownDevice(page).check();
  await approveButton(page).click();
  await seesHeading(page, 'Not yours to pair');
});

pageTest('account with a paired node', async (page) => {
  const node = await phone('004');
  await (await newPerson(server, 'nora')).decide(node.user_code, 'approve');
  await node.ended;
  await openSignedIn(page, '/account', 'nora');
  await page.getByRole('heading', { name: 'Ada’s phone' }).waitFor();
});

pageTest('totp', async (page) => {
  await openSignedIn(page, '/account/totp', 'grace');
  await seesHeading(page, 'Set up an authenticator app');
});

pageTest('totp wrong', async (page) => {
  await openSignedIn(page, '/account/totp', 'grace');
  await page.getByLabel('Code that the app shows').fill('000000');
  await page.getByRole('button', { name: 'Turn it on' }).click();
  await page.getByRole('alert').waitFor();
});

pageTest('recovery codes', async (page) => {
  await openSignedIn(page, '/account', 'hedy');
  await enrol(page);
});

pageTest('second step', async (page) => {
  await page.goto('/login?next=account');
  await signIn(page, 'hedy');
  await seesHeading(page, 'One more step');
  await page.getByLabel('Code', { exact: true }).fill('000000');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('alert').waitFor();
});

pageTest('account with an app', async (page) => {
  await openSignedIn(page, '/account', 'lise');
  await enrol(page);
  await page.getByRole('link', { name: 'I have kept them' }).click();
  await page.getByText('10 recovery codes are left.').waitFor();
});

pageTest('passkey', async (page) => {
  await openSignedIn(page, '/account/passkey', 'grace');
  await seesHeading(page, 'Add a passkey');
});

pageTest('passkey sign-in', async (page) => {
  await page.goto('/login/passkey');
  await seesHeading(page, 'Sign in with a passkey');
});

pageTest('approved', async (page) => {
  await openConfirm(page, await newTelevision(), 'ada');
  await approve(page);
});

pageTest('denied', async (page) => {
  await openConfirm(page, await newTelevision(), 'ada');
  await denyButton(page).click();
  await seesHeading(page, 'Request denied');
});

pageTest('undone', async (page) => {
  await openConfirm(page, await newTelevision(), 'ada');
  await approve(page);
  await page.getByRole('button', { name: 'This wasn’t me' }).click();
  await seesHeading(page, 'Undone');
});

pageTest('late', async (page) => {
  const device = await newTelevision();
  await openConfirm(page, device, 'ada');
  await (await newPerson(server, 'ada')).decide(device.user_code, 'deny');
  await ownDevice(page).check();
  await approveButton(page).click();
  await seesHeading(page, 'Too late');
});

async function connect(username, ...devices) {
  const person = await newPerson(server, username);
  for (const device of devices) {
    await person.decide(device.user_code, 'approve');
    assert.equal((await device.poll()).status, 200);
  }
}

pageTest('account with nothing', (page) => openSignedIn(page, '/account', 'grace'));

pageTest('account with one', async (page) => {
  await connect('mary', await newTelevision());
  await openSignedIn(page, '/account', 'mary');
  await page.getByRole('heading', { name: 'Living-room television' }).waitFor();
});

pageTest('account with several', async (page) => {
  await connect('rosa', await newTelevision(), await newTelevision(), await newWordyDevice());
  await openSignedIn(page, '/account', 'rosa');
  await page.locator('summary', { hasText: 'Disconnect everything' }).click();
  await page.getByRole('button', { name: 'Disconnect everything' }).waitFor();
});

pageTest('account after disconnecting', async (page) => {
  await connect('emmy', await newTelevision(), await newTelevision(), await newTelevision());
  await openSignedIn(page, '/account', 'emmy');
  await page.getByRole('button', { name: /^Disconnect Living-room/ }).first().click();
  await page.getByRole('status').waitFor();
  await page.getByText('No longer connected').click();
});

pageTest('not found', async (page) => {
  await page.goto('/no-such-page');
  await seesHeading(page, 'Page not found');
});

pageTest('forged form', async (page) => {
  await page.goto('/login');
  await page.context().clearCookies();
  await signIn(page, 'ada');
  await seesHeading(page, 'Please try again');
});

// A name given to the element that holds the code is read in place of the code.
test('screen readers hear the code on the confirm page, not a label in its place', async () => {
  const { page, close } = await watchedPage(browser, server);
  const device = await newTelevision();
  await openConfirm(page, device, 'ada');
  const devtools = await page.context().newCDPSession(page);
  const expression = 'document.querySelector(".shown-code")';
  const { result: { objectId } } = await devtools.send('Runtime.evaluate', { expression });
  const { nodes } = await devtools.send('Accessibility.getPartialAXTree', { objectId, fetchRelatives: false });
  const spoken = nodes[0].name?.value || await page.locator('.shown-code').innerText();
  assert.equal(spoken, device.user_code);
  await close();
});

test('a field with a mistake looks different from one without', async () => {
  const { page, close } = await watchedPage(browser, server);
  const borders = () => page.locator('#username').evaluate((field) => getComputedStyle(field).borderColor);
  await page.goto('/login');
  const before = await borders();
  await signIn(page, 'nobody-of-that-name', 'wrong');
  await page.getByRole('alert').waitFor();
  assert.notEqual(await borders(), before);
  await close();
});

test('the code box shows the code in the letters of the confirm page', async () => {
  const { page, close } = await watchedPage(browser, server);
  const letters = (selector) => page.locator(selector).evaluate((code) => getComputedStyle(code).fontFamily);
  const device = await newTelevision();
  await openSignedIn(page, device.verification_uri_complete, 'ada');
  const typed = await letters('#user_code');
  await page.getByRole('button', { name: 'Continue' }).click();
  await seesHeading(page, 'Connect this device?');
  assert.equal(typed, await letters('.shown-code'));
  await close();
});

const showCode = async (page, username) => {
  await openSignedIn(page, '/account', username);
  await page.getByRole('button', { name: 'Show a code' }).click();
  await seesHeading(page, 'Connect a command line');
  return page.locator('.shown-code').innerText();
};

pageTest('confirm api key', async (page) => {
  const asking = await newCommandLine(server, { name: 'Build server in the cellar', scopes: ['deploy'] });
  await openConfirm(page, asking, 'ada');
  await page.getByText('wants an API key for your account').waitFor();
});

pageTest('connect a command line', (page) => showCode(page, 'emmy'));

pageTest('command line connected', async (page) => {
  const { status } = await verifyCode(server, await showCode(page, 'emmy'));
  assert.equal(status, 200);
  await seesHeading(page, 'Command line connected');
});

pageTest('command line code ended', async (page) => {
  await showCode(page, 'emmy');
  const here = page.url();
  await page.getByRole('button', { name: 'Withdraw this code' }).click();
  await seesHeading(page, 'Undone');
  await page.goto(here);
  await seesHeading(page, 'This code has ended');
});

pageTest('account with keys', async (page) => {
  const { body } = await verifyCode(server, await showCode(page, 'emmy'));
  await fetch(`${server.url}/v1/auth/api-keys/report`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ api_key: body.api_key }),
  });
  await page.goto('/account');
  await page.getByRole('alert').getByText('was found where it should not be').waitFor();
});

pageTest('new key', async (page) => {
  await openSignedIn(page, '/account', 'emmy');
  await page.getByLabel('Name', { exact: true }).fill('Nightly backup');
  await page.getByRole('button', { name: 'Make a key' }).click();
  await seesHeading(page, 'Your new API key');
});
