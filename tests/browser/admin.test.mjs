// The administration as people see it: with and without scripts, on a phone and on a desktop.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import axe from 'axe-core';

import { launchBrowser, newCommandLine, newDevice, newPerson, openSignedIn, startServer, watchedPage } from './support.mjs';

const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22a', 'wcag22aa'];
const SIZES = [{ width: 390, height: 844 }, { width: 1280, height: 900 }];
const folder = process.env.SCREENSHOTS;
if (folder) mkdirSync(folder, { recursive: true });

let server, browser, television;

before(async () => {
  server = await startServer();
  browser = await launchBrowser();
  server.addUser('ada', '--admin');
  for (const name of ['grace', 'mary']) server.addUser(name, '--email', `${name}@example.com`);
  television = server.addPublicClient('television', 'Living-room <b>television</b>');
  const person = await newPerson(server, 'grace');
  for (const decision of ['approve', 'approve', 'deny']) {
    const device = await newDevice(server, television);
    await person.decide(device.user_code, decision);
    if (decision === 'approve') await device.poll();
  }
  const line = await newCommandLine(server, { name: 'backup tool' });
  await person.decide(line.user_code, 'approve');
  await line.poll();
  await newDevice(server, television);
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

/** Axe finds nothing in light and dark, and nothing runs out of a narrow window. */
async function hold(page, name) {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    for (const size of SIZES) {
      await page.setViewportSize(size);
      if (folder) await page.screenshot({ path: join(folder, `${name}-${colorScheme}-${size.width}.png`), fullPage: true });
      if (!(await page.evaluate(() => 'axe' in globalThis))) await page.addScriptTag({ content: axe.source });
      const { violations } = await page.evaluate((tags) => globalThis.axe.run({ runOnly: tags }), TAGS);
      assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`), [], `${name} ${colorScheme} ${size.width}`);
    }
  }
  await page.setViewportSize({ width: 320, height: 800 });
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= 320, `${name} is ${width} px wide`);
}

async function office(options = {}) {
  const watched = await watchedPage(browser, server, { bypassCSP: true, ...options });
  await openSignedIn(watched.page, '/admin', 'ada');
  return watched;
}

test('every page holds in light and dark, on a phone and on a desktop', async () => {
  const { page, close } = await office();
  for (const [name, path] of [
    ['overview', ''], ['clients', '/clients'], ['client', '/clients/television'], ['new-client', '/clients/new'],
    ['users', '/users'], ['user', '/users/grace'], ['new-user', '/users/new'], ['devices', '/devices'],
    ['keys', '/keys'], ['audit', '/audit'], ['notices', '/notices'],
  ]) {
    await page.goto(`${server.url}/admin${path}`);
    for (const details of await page.locator('details').all()) await details.evaluate((one) => { one.open = true; });
    await hold(page, `admin-${name}`);
  }
  await close();
});

test('what the routes take and give reads well, for everybody', async () => {
  const { page, close } = await watchedPage(browser, server, { bypassCSP: true });
  await page.goto(`${server.url}/docs`);
  await page.locator('#askForDevice').evaluate((one) => { one.open = true; });
  await hold(page, 'docs');
  await close();
});

test('the overview tells what happened, and keeps itself fresh', async () => {
  const { page, close } = await office({ bypassCSP: false });
  const funnel = page.getByRole('img', { name: 'From question to login: Asked 5, Opened 4, Approved 3, Connected 3' });
  await funnel.waitFor();
  await page.getByText('1 denied').waitFor();
  const device = await newDevice(server, television);
  const person = await newPerson(server, 'mary');
  await person.decide(device.user_code, 'approve');
  await device.poll();
  // Without anybody loading the page anew.
  await page.getByRole('img', { name: 'Connected 4' }).waitFor({ timeout: 25_000 });
  await close();
});

test('without scripts everything works as well', async () => {
  const { page, close } = await office({ javaScriptEnabled: false });
  assert.match(await page.content(), /http-equiv="refresh"/);
  await page.getByRole('link', { name: 'Clients' }).click();
  await page.getByRole('link', { name: 'Add a client' }).click();
  await page.getByLabel('Id', { exact: true }).fill('sensor');
  await page.getByLabel('Name', { exact: true }).fill('Cellar sensor');
  await page.getByLabel('Proves who it is by').selectOption('client_secret');
  await page.getByRole('button', { name: 'Add client' }).click();
  const secret = await page.locator('.client-secret').innerText();
  assert.match(secret, /^cs_cs_/);
  const device = await newDevice(server, { client_id: 'sensor', client_secret: secret });
  assert.ok(device.user_code);
  await page.getByRole('link', { name: 'Devices', exact: true }).click();
  const before = await page.getByRole('button', { name: /^Disconnect backup tool/ }).count();
  await page.getByRole('button', { name: /^Disconnect backup tool/ }).first().click();
  assert.equal(await page.getByRole('button', { name: /^Disconnect backup tool/ }).count(), before - 1);
  await page.getByRole('link', { name: 'Audit trail' }).click();
  await page.getByLabel('Action').fill('device');
  await page.getByRole('button', { name: 'Search' }).click();
  await page.getByRole('cell', { name: 'device.revoked' }).waitFor();
  const download = page.waitForEvent('download');
  await page.getByRole('link', { name: /^Download everything/ }).click();
  assert.equal((await download).suggestedFilename(), 'countersign-audit.jsonl');
  await close();
});
