import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import {
  approve, approveButton, BEHIND_PROXY, ELSEWHERE, enterCode, launchBrowser, newDevice, openSignedIn, ownDevice,
  seesHeading, signIn, startServer, watching,
} from './support.mjs';

let server, browser;
const clients = {};

before(async () => {
  server = await startServer(BEHIND_PROXY);
  browser = await launchBrowser();
  for (const name of ['ada', 'grace']) server.addUser(name);
  const policies = {
    pin: 'initiation_check = "pin"', deny: 'mismatch = "deny"', again: 'mismatch = "step_up"',
  };
  for (const [id, policy] of Object.entries(policies)) clients[id] = server.addClientWithPolicy(id, `The ${id}`, policy);
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

const inBrowser = (inner, options) => watching(browser, server, inner, options);

for (const javaScriptEnabled of [true, false]) {
  describe(javaScriptEnabled ? 'with JavaScript' : 'without JavaScript', () => {
    const name = javaScriptEnabled ? 'ada' : 'grace';

    test('a PIN is read in the browser and typed on the device', () => inBrowser(async (page) => {
      const device = await newDevice(server, clients.pin);
      await openSignedIn(page, '/device', name);
      await enterCode(page, device.user_code);
      await ownDevice(page).check();
      await approveButton(page).click();
      await seesHeading(page, 'One more step on the device');
      const pin = await page.locator('#initiation-pin').innerText();
      const waiting = await device.poll();
      assert.deepEqual([waiting.body.error, waiting.body.pin_required], ['authorization_pending', true]);
      const other = String((Number(pin) + 1) % 100).padStart(2, '0');
      assert.equal((await device.poll({ initiation_pin: other })).body.error, 'authorization_pending');
      assert.equal((await device.poll({ initiation_pin: pin })).status, 200);
    }, { javaScriptEnabled }));

    test('a PIN page can be undone', () => inBrowser(async (page) => {
      const device = await newDevice(server, clients.pin);
      await openSignedIn(page, '/device', name);
      await enterCode(page, device.user_code);
      await ownDevice(page).check();
      await approveButton(page).click();
      await page.getByRole('button', { name: 'This wasn’t me' }).click();
      await seesHeading(page, 'Undone');
      assert.equal((await device.poll()).body.error, 'access_denied');
    }, { javaScriptEnabled }));

    test('from elsewhere: denied, and then a device in the same place', () => inBrowser(async (page) => {
      const far = await newDevice(server, clients.deny, {}, ELSEWHERE);
      await openSignedIn(page, '/device', name);
      await enterCode(page, far.user_code);
      await page.getByText('If that device is not in front of you, deny.').waitFor();
      await ownDevice(page).check();
      await approveButton(page).click();
      await seesHeading(page, 'Asked for from elsewhere');
      assert.equal((await far.poll()).body.error, 'authorization_pending');
      const near = await newDevice(server, clients.deny);
      await page.goto('/device');
      await enterCode(page, near.user_code);
      await approve(page);
      assert.equal((await near.poll()).status, 200);
    }, { javaScriptEnabled }));

    test('from elsewhere: only after a fresh sign-in', () => inBrowser(async (page) => {
      await openSignedIn(page, '/device', name);
      const far = await newDevice(server, clients.again, {}, ELSEWHERE);
      await enterCode(page, far.user_code);
      await page.getByText('Please sign in again to go on.').waitFor();
      await signIn(page, name);
      await page.getByRole('button', { name: 'Continue' }).click();
      await approve(page);
      assert.equal((await far.poll()).status, 200);
    }, { javaScriptEnabled }));
  });
}
