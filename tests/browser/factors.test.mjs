import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import {
  approve, enrol, enterCode, launchBrowser, newDevice, openSignedIn, seesHeading, signIn, startServer, totp, watching,
} from './support.mjs';

let server, browser, television;

before(async () => {
  server = await startServer('login.second_factor=everybody');
  browser = await launchBrowser();
  television = server.addPublicClient('television', 'Living-room television');
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

const inBrowser = (inner, options) => watching(browser, server, inner, options);

for (const javaScriptEnabled of [true, false]) {
  describe(javaScriptEnabled ? 'with JavaScript' : 'without JavaScript', () => {
    const name = javaScriptEnabled ? 'ada' : 'grace';

    test('a second factor is set up on the way to a device', () => inBrowser(async (page) => {
      server.addUser(name);
      const device = await newDevice(server, television);
      await openSignedIn(page, '/device', name);
      await enterCode(page, device.user_code);
      await seesHeading(page, 'Set up an authenticator app');
      await page.getByText('Your account needs a second factor').waitFor();
      const secret = (await page.locator('#totp-secret').innerText()).replaceAll(' ', '');
      await page.getByLabel('Code that the app shows').fill(totp(secret));
      await page.getByRole('button', { name: 'Turn it on' }).click();
      await page.getByRole('link', { name: 'I have kept them' }).click();
      await page.getByRole('button', { name: 'Continue' }).click();
      await approve(page);
      assert.equal((await device.poll()).status, 200);
    }, { javaScriptEnabled }));

    test('signing in takes both, and a recovery code is one', () => inBrowser(async (page) => {
      server.addUser(`${name}-too`);
      await openSignedIn(page, '/account', `${name}-too`);
      const { secret, codes } = await enrol(page);
      const signInWith = async (code) => {
        await page.context().clearCookies();
        const device = await newDevice(server, television);
        await page.goto(device.verification_uri_complete);
        await signIn(page, `${name}-too`);
        await seesHeading(page, 'One more step');
        await page.getByLabel('Code', { exact: true }).fill(code);
        await page.getByRole('button', { name: 'Sign in' }).click();
        await page.getByRole('button', { name: 'Continue' }).click();
        await approve(page);
        assert.equal((await device.poll()).status, 200);
      };
      // The code of this step set the app up.
      await signInWith(totp(secret, 1));
      await signInWith(codes[4]);
    }, { javaScriptEnabled }));
  });
}
