import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import {
  approve, approveButton, denyButton, enterCode, introspect, launchBrowser, newDevice, newPerson, openConfirm,
  openSignedIn, ownDevice, PASSWORD, postForm, seesHeading, signIn, startServer, until, watching,
} from './support.mjs';

let server, browser, television, office;

before(async () => {
  server = await startServer();
  browser = await launchBrowser();
  for (const name of ['ada', 'grace', 'mary', 'rosa', 'emmy']) server.addUser(name);
  television = server.addPublicClient('television', 'Living-room television');
  office = server.addConfidentialClient('office', 'Office backend');
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

const inBrowser = (inner, options) => watching(browser, server, inner, options);

async function pollError(device) {
  const { status, body } = await device.poll();
  assert.equal(status, 400);
  return body.error;
}

async function tokensOf(device) {
  const { status, body } = await device.poll();
  assert.equal(status, 200, JSON.stringify(body));
  return body;
}

const alert = (page) => page.getByRole('alert');

for (const javaScriptEnabled of [true, false]) {
  describe(javaScriptEnabled ? 'with JavaScript' : 'without JavaScript', () => {
    test('from the link on the device to tokens', () => inBrowser(async (page, { requests }) => {
      const device = await newDevice(server, television);
      await page.goto(device.verification_uri_complete);
      await seesHeading(page, 'Sign in');
      await signIn(page, 'ada');

      await seesHeading(page, 'Connect a device');
      assert.equal(await page.getByRole('textbox', { name: 'Code' }).inputValue(), device.user_code);
      assert.deepEqual(requests.filter(({ method, path }) => method === 'POST' && path === '/device'), []);
      assert.equal(await pollError(device), 'authorization_pending');
      await page.getByRole('button', { name: 'Continue' }).click();

      await seesHeading(page, 'Connect this device?');
      const main = page.getByRole('main');
      assert.equal(await page.locator('.shown-code').innerText(), device.user_code);
      for (const words of ['Living-room television', 'ada', 'Television/1.0', '127.0.0.1', 'see your name']) {
        await main.getByText(words).first().waitFor();
      }
      assert.equal(await ownDevice(page).isChecked(), false);

      await approveButton(page).click();
      assert.match(await alert(page).innerText(), /Tick the box/);
      assert.equal(await page.locator('.shown-code').innerText(), device.user_code);
      assert.notEqual((await device.poll()).status, 200);

      await approve(page);
      await main.getByText('Living-room television is connected to your account.').waitFor();
      const tokens = await tokensOf(device);
      assert.equal(tokens.token_type, 'Bearer');
      assert.ok(tokens.access_token && tokens.refresh_token && tokens.id_token);
      assert.equal(await pollError(device), 'invalid_grant');
    }, { javaScriptEnabled }));

    test('deny', () => inBrowser(async (page) => {
      const device = await newDevice(server, television);
      await openConfirm(page, device, 'ada');
      await denyButton(page).click();
      await seesHeading(page, 'Request denied');
      assert.equal(await page.getByRole('button', { name: 'This wasn’t me' }).count(), 0);
      assert.equal(await pollError(device), 'access_denied');
    }, { javaScriptEnabled }));

    test('“this wasn’t me” revokes what the device got', () => inBrowser(async (page) => {
      const device = await newDevice(server, office);
      await openConfirm(page, device, 'ada');
      await approve(page);
      const tokens = await tokensOf(device);
      assert.equal((await introspect(server, office, tokens.access_token)).active, true);

      await page.getByRole('button', { name: 'This wasn’t me' }).click();
      await seesHeading(page, 'Undone');
      assert.deepEqual(await introspect(server, office, tokens.access_token), { active: false });
      assert.deepEqual(await introspect(server, office, tokens.refresh_token), { active: false });
      const refresh = { ...office, grant_type: 'refresh_token', refresh_token: tokens.refresh_token };
      assert.equal((await postForm(`${server.url}/oauth2/v1/token`, refresh)).body.error, 'invalid_grant');
      const headers = { authorization: `Bearer ${tokens.access_token}` };
      assert.equal((await fetch(`${server.url}/oauth2/v1/userinfo`, { headers })).status, 401);
    }, { javaScriptEnabled }));
  });
}

test('“this wasn’t me” before the device collected', () => inBrowser(async (page) => {
  const device = await newDevice(server, television);
  await openConfirm(page, device, 'ada');
  await approve(page);
  const grant = await page.locator('[name=grant]').inputValue();
  await page.getByRole('button', { name: 'This wasn’t me' }).click();
  await seesHeading(page, 'Undone');
  assert.equal(await pollError(device), 'access_denied');

  const ada = await newPerson(server, 'ada');
  const box = await ada.open('/device');
  const again = await ada.submit('/device', box.html, 'user_code', { undo: 'undo', grant });
  assert.equal(again.status, 404);
  assert.match(again.html, /Nothing to undo/);
}));

test('a code typed by hand, however it is written', () => inBrowser(async (page) => {
  const device = await newDevice(server, television);
  await openSignedIn(page, '/device', 'ada');
  await page.locator('#user_code:focus').waitFor();
  await enterCode(page, ` ${device.user_code.toLowerCase().replace('-', '').split('').join(' ')} `);
  await seesHeading(page, 'Connect this device?');
  assert.equal(await page.locator('.shown-code').innerText(), device.user_code);
}));

/** Presses Tab until the focus is on what `selector` names. */
async function tabTo(page, selector) {
  for (let presses = 0; presses < 20; presses += 1) {
    if (await page.evaluate((wanted) => document.activeElement.matches(wanted), selector)) return;
    await page.keyboard.press('Tab');
  }
  assert.fail(`Tab does not lead to ${selector}`);
}

/** What is focused must look so. */
async function showsFocus(page) {
  const outline = await page.evaluate(() => {
    const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
    return { outlineStyle, width: Number.parseFloat(outlineWidth) };
  });
  assert.notEqual(outline.outlineStyle, 'none');
  assert.ok(outline.width >= 2);
}

/** From the link to the confirm page without a pointer. */
async function typeToConfirm(page, device) {
  await page.goto(device.verification_uri_complete);
  await page.locator('#username:focus').waitFor();
  await page.keyboard.type('ada');
  await page.keyboard.press('Tab');
  await page.keyboard.type(PASSWORD);
  await page.keyboard.press('Enter');
  await seesHeading(page, 'Connect a device');
  await tabTo(page, 'button.main');
  await page.keyboard.press('Enter');
  await seesHeading(page, 'Connect this device?');
}

test('approve with the keyboard alone', () => inBrowser(async (page) => {
  const device = await newDevice(server, television);
  await typeToConfirm(page, device);
  await tabTo(page, '[name=own_device]');
  await showsFocus(page);
  await page.keyboard.press('Space');
  assert.equal(await ownDevice(page).isChecked(), true);
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.value), 'approve');
  await showsFocus(page);
  await page.keyboard.press('Enter');
  await seesHeading(page, 'Device connected');
  await tokensOf(device);
}));

test('deny with the keyboard alone', () => inBrowser(async (page) => {
  const device = await newDevice(server, television);
  await typeToConfirm(page, device);
  await tabTo(page, '[name=decision][value=deny]');
  await showsFocus(page);
  await page.keyboard.press('Space');
  await seesHeading(page, 'Request denied');
  assert.equal(await pollError(device), 'access_denied');
}));

test('the skip link is the first stop and leads to the content', () => inBrowser(async (page) => {
  await page.goto('/no-such-page');
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Skip to content');
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
}));

test('Approve and Deny are equally large, side by side', () => inBrowser(async (page) => {
  await openConfirm(page, await newDevice(server, television), 'ada');
  for (const width of [320, 390, 1280]) {
    await page.setViewportSize({ width, height: 900 });
    const [yes, no] = [await approveButton(page).boundingBox(), await denyButton(page).boundingBox()];
    assert.deepEqual([yes.width, yes.height, yes.y], [no.width, no.height, no.y], `at ${width} px`);
    assert.ok(yes.height >= 44 && yes.width >= 88);
  }
}));

test('the account page lists devices and disconnects one, then all', () => inBrowser(async (page) => {
  await openSignedIn(page, '/account', 'grace');
  await seesHeading(page, 'Your devices');
  await page.getByText('Nothing is connected yet.').waitFor();

  const grace = await newPerson(server, 'grace');
  const connect = async () => {
    const device = await newDevice(server, office);
    await grace.decide(device.user_code, 'approve');
    return tokensOf(device);
  };
  const live = async (tokens) => (await introspect(server, office, tokens.access_token)).active;
  const [first, second, third] = [await connect(), await connect(), await connect()];

  await page.reload();
  assert.equal(await page.getByRole('heading', { level: 2, name: 'Office backend' }).count(), 3);
  await page.getByRole('button', { name: /^Disconnect Office backend/ }).last().click();
  await page.getByRole('status').getByText('The device is disconnected.').waitFor();
  assert.equal(await page.getByRole('heading', { level: 2, name: 'Office backend' }).count(), 2);
  assert.equal((await Promise.all([first, second, third].map(live))).filter(Boolean).length, 2);

  await page.getByText('No longer connected').click();
  await page.getByText(/^Office backend, .*: disconnected$/).waitFor();
  await page.locator('summary', { hasText: 'Disconnect everything' }).click();
  await page.getByRole('button', { name: 'Disconnect everything' }).click();
  await page.getByRole('status').getByText('Everything is disconnected.').waitFor();
  assert.deepEqual(await Promise.all([first, second, third].map(live)), [false, false, false]);
  await page.getByText('Nothing is connected yet.').waitFor();
}));

test('nobody can disconnect somebody else’s device', () => inBrowser(async (page) => {
  const device = await newDevice(server, office);
  await (await newPerson(server, 'mary')).decide(device.user_code, 'approve');
  const tokens = await tokensOf(device);

  await openSignedIn(page, '/account', 'mary');
  const id = await page.locator('[name=device_id]').inputValue();
  const other = await newPerson(server, 'rosa');
  const box = await other.open('/device');
  const answer = await other.submit('/account', box.html, 'user_code', { action: 'revoke', device_id: id });
  assert.equal(answer.status, 404);
  assert.equal((await introspect(server, office, tokens.access_token)).active, true);
}));

test('a wrong code says so, and the right one still works', () => inBrowser(async (page) => {
  const device = await newDevice(server, television);
  await openSignedIn(page, '/device', 'rosa');
  await enterCode(page, 'AAAA-AAAA');
  assert.match(await alert(page).innerText(), /not right or has expired/);
  const box = page.getByRole('textbox', { name: 'Code' });
  assert.equal(await box.inputValue(), 'AAAA-AAAA');
  assert.equal(await box.getAttribute('aria-invalid'), 'true');
  await enterCode(page, device.user_code);
  await seesHeading(page, 'Connect this device?');
}));

test('a used code gets the words of a wrong one', () => inBrowser(async (page) => {
  const device = await newDevice(server, television);
  await (await newPerson(server, 'rosa')).decide(device.user_code, 'approve');
  await openSignedIn(page, '/device', 'rosa');
  await enterCode(page, device.user_code);
  assert.match(await alert(page).innerText(), /not right or has expired/);
}));

test('a wrong password and an unknown name get the same words', () => inBrowser(async (page) => {
  const words = [];
  for (const name of ['emmy', 'nobody-of-that-name']) {
    await page.goto('/login');
    await signIn(page, name, 'wrong');
    words.push(await alert(page).innerText());
    assert.equal(await page.getByLabel('User name').inputValue(), name);
    assert.equal(await page.getByLabel('Password').inputValue(), '');
  }
  assert.equal(words[0], 'The user name or the password is not right.');
  assert.equal(words[1], words[0]);
  await signIn(page, 'emmy');
  await seesHeading(page, 'Connect a device');
}));

test('signing out ends the session, and a link asks first', () => inBrowser(async (page) => {
  await openSignedIn(page, '/account', 'emmy');
  const [cookie] = await page.context().cookies();
  assert.deepEqual([cookie.httpOnly, cookie.sameSite], [true, 'Lax']);
  await page.goto('/logout');
  await seesHeading(page, 'Sign out?');
  await page.goto('/account');
  await seesHeading(page, 'Your devices');

  await page.getByRole('banner').getByRole('button', { name: 'Sign out', exact: true }).click();
  await page.getByRole('status').getByText('You are signed out.').waitFor();
  await page.context().addCookies([cookie]);
  await page.goto('/account');
  await seesHeading(page, 'Sign in');
}));

test('a decision after another one changes nothing', () => inBrowser(async (page) => {
  const device = await newDevice(server, television);
  await openConfirm(page, device, 'ada');
  await (await newPerson(server, 'ada')).decide(device.user_code, 'deny');
  await ownDevice(page).check();
  await approveButton(page).click();
  await seesHeading(page, 'Too late');
  assert.equal(await pollError(device), 'access_denied');
}));

test('a decision after the code has expired changes nothing', () => inBrowser(async (page) => {
  const hasty = server.addPublicClient('hasty', 'Hasty kettle', '--code-ttl', '5s');
  const device = await newDevice(server, hasty);
  await openConfirm(page, device, 'ada');
  await until('the code has expired', async () => (await pollError(device)) === 'expired_token');
  await ownDevice(page).check();
  await approveButton(page).click();
  await seesHeading(page, 'Too late');
  assert.equal(await pollError(device), 'expired_token');
}));

test('prompt=login wants a fresh sign-in', () => inBrowser(async (page) => {
  await openSignedIn(page, '/account', 'ada');
  const device = await newDevice(server, television, { prompt: 'login' });
  await page.goto(device.verification_uri_complete);
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByText('Please sign in again to go on.').waitFor();
  assert.equal(await page.getByLabel('User name').inputValue(), 'ada');
  await signIn(page, 'ada');
  await page.getByRole('button', { name: 'Continue' }).click();
  await approve(page);
  await tokensOf(device);
}));

test('the confirm page warns when the device asked for somebody else', () => inBrowser(async (page) => {
  await openConfirm(page, await newDevice(server, television, { login_hint: 'grace' }), 'ada');
  assert.match(await alert(page).innerText(), /asked for the account grace, but you are signed in as ada/);
}));

test('what devices send stays text', () => inBrowser(async (page) => {
  const markup = '<img src=x onerror=alert(1)>';
  server.addPublicClient('markup', markup);
  await openConfirm(page, await newDevice(server, { client_id: 'markup' }, { login_hint: markup }), 'ada');
  await page.getByRole('main').getByText(markup).first().waitFor();
  assert.equal(await page.locator('img').count(), 0);
}));

test('a form of another browser is refused', () => inBrowser(async (page) => {
  const device = await newDevice(server, television);
  await openConfirm(page, device, 'ada');
  await ownDevice(page).check();
  await page.context().clearCookies();
  await approveButton(page).click();
  await seesHeading(page, 'Please try again');
  assert.equal(await pollError(device), 'authorization_pending');
}));
