import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import {
  approve, denyButton, launchBrowser, newCommandLine, openConfirm, openSignedIn, seesHeading, startServer, verifyCode,
  watching,
} from './support.mjs';

let server, browser;

before(async () => {
  server = await startServer();
  browser = await launchBrowser();
  server.addUser('ada');
  server.addPublicClient('acme', 'Acme tool', '--scope', 'deploy');
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

const inBrowser = (inner, options) => watching(browser, server, inner, options);

async function showCode(page) {
  await openSignedIn(page, '/account', 'ada');
  await page.getByRole('button', { name: 'Show a code' }).click();
  await seesHeading(page, 'Connect a command line');
  const code = await page.locator('.shown-code').innerText();
  assert.equal(await page.locator('pre').innerText(), `countersign login --server ${server.url} --code ${code}`);
  return code;
}

for (const javaScriptEnabled of [true, false]) {
  describe(javaScriptEnabled ? 'with JavaScript' : 'without JavaScript', () => {
    test('the confirm page says that it is about an API key', () => inBrowser(async (page) => {
      const asking = await newCommandLine(server, { client_id: 'acme', name: 'build <b>server</b>', scopes: 'deploy' });
      await openConfirm(page, asking, 'ada');
      const main = page.getByRole('main');
      for (const words of [
        'Acme tool wants an API key for your account, ada.', 'build <b>server</b>', '365 days, unless you revoke it',
        'use “deploy”', 'acme-cli/2.1 (linux)', asking.user_code,
      ]) await main.getByText(words).first().waitFor();
      await approve(page);
      const { status, body } = await asking.poll();
      assert.equal(status, 200);
      assert.equal(body.key.name, 'build <b>server</b>');
    }, { javaScriptEnabled }));

    test('a denial reaches the command line', () => inBrowser(async (page) => {
      const asking = await newCommandLine(server);
      await openConfirm(page, asking, 'ada');
      await page.getByText('A command line wants an API key for your account, ada.').waitFor();
      await denyButton(page).click();
      await seesHeading(page, 'Request denied');
      assert.equal((await asking.poll()).body.error, 'access_denied');
    }, { javaScriptEnabled }));

    test('a code for the command line, and what became of it', () => inBrowser(async (page) => {
      const code = await showCode(page);
      const timer = page.getByRole('timer');
      if (javaScriptEnabled) await timer.getByText(/^14:5\d$/).waitFor();
      else assert.match(await timer.innerText(), /^(15:00|14:5\d)$/);
      const { status, body } = await verifyCode(server, code.toLowerCase());
      assert.equal(status, 200);
      // With a script the page shows it by itself.
      if (!javaScriptEnabled) await page.getByRole('link', { name: 'See whether it was used' }).click();
      await seesHeading(page, 'Command line connected');
      await page.getByText('with acme-cli/2.1 (linux)').waitFor();
      await page.getByRole('button', { name: 'This wasn’t me: undo it' }).click();
      await seesHeading(page, 'Undone');
      const me = await fetch(`${server.url}/v1/auth/me`, { headers: { authorization: `Bearer ${body.api_key}` } });
      assert.equal(me.status, 401);
    }, { javaScriptEnabled }));
  });
}
