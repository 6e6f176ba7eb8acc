import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import {
  approve, denyButton, launchBrowser, newNode, openConfirm, seesHeading, startServer, watching,
} from './support.mjs';

let server, browser;

before(async () => {
  server = await startServer();
  browser = await launchBrowser();
  server.addUser('ada');
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

const inBrowser = (inner, options) => watching(browser, server, inner, options);

for (const [at, javaScriptEnabled] of [true, false].entries()) {
  const id = `6f1c0d9e-58c1-4d8e-9b1a-2f00d2a4c00${at}`;

  describe(javaScriptEnabled ? 'with JavaScript' : 'without JavaScript', () => {
    test('a node is paired, renamed and disconnected', () => inBrowser(async (page) => {
      const node = await newNode(server, 'Kitchen <b>tablet</b>', 'android', id);
      await openConfirm(page, node, 'ada');
      const main = page.getByRole('main');
      for (const words of [
        '“Kitchen <b>tablet</b>” wants to be paired with your account, ada.', 'android', id, node.user_code,
      ]) await main.getByText(words).first().waitFor();
      await approve(page);
      const { code, said } = await node.ended;
      assert.equal(code, 0, said);
      assert.match(said, /Paired “Kitchen/);

      await page.goto('/account');
      const line = page.getByRole('listitem').filter({ hasText: id });
      await line.getByText('not connected now').waitFor();
      await line.locator('summary').filter({ hasText: 'Rename' }).click();
      await line.getByRole('textbox').fill('Tablet');
      await line.getByRole('button', { name: 'Rename', exact: true }).click();
      await page.getByRole('heading', { name: 'Tablet' }).waitFor();
      await page.getByRole('button', { name: /^Disconnect Tablet/ }).click();
      await page.getByText('The device is disconnected').waitFor();
    }, { javaScriptEnabled }));

    test('a denial reaches the node', () => inBrowser(async (page) => {
      const node = await newNode(server, 'Phone', 'ios', `6f1c0d9e-58c1-4d8e-9b1a-2f00d2a4c01${at}`);
      await openConfirm(page, node, 'ada');
      await denyButton(page).click();
      await seesHeading(page, 'Request denied');
      const { code, said } = await node.ended;
      assert.equal(code, 3, said);
    }, { javaScriptEnabled }));
  });
}
