import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import axe from 'axe-core';

import { BEHIND_PROXY, ELSEWHERE, launchBrowser, newDevice, Person, startServer, watchedPage } from './support.mjs';

const LANGUAGES = {
  en: 'English', de: 'Deutsch', fr: 'Français', es: 'Español', pt: 'Português', ja: '日本語', 'zh-Hans': '简体中文', ar: 'العربية',
};
const folder = process.env.SCREENSHOTS;
if (folder) mkdirSync(folder, { recursive: true });

let server, browser, television;

before(async () => {
  server = await startServer(BEHIND_PROXY);
  browser = await launchBrowser();
  server.addUser('ada');
  television = server.addPublicClient('television', 'Living-room television');
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

/** Axe finds nothing, nothing runs out of a narrow window, and no English is left. */
async function hold(page, name) {
  await page.setViewportSize({ width: 390, height: 844 });
  if (folder) await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
  if (!(await page.evaluate(() => 'axe' in globalThis))) await page.addScriptTag({ content: axe.source });
  const { violations } = await page.evaluate(() => globalThis.axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa'] }));
  assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`), [], name);
  await page.setViewportSize({ width: 320, height: 800 });
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= 320, `${name} is ${width} px wide`);
}

for (const [code, called] of Object.entries(LANGUAGES)) {
  test(`the whole way in ${called}`, async () => {
    const device = await newDevice(server, television, {}, ELSEWHERE);
    const { page, close } = await watchedPage(browser, server, { bypassCSP: true, locale: code });
    await page.goto(device.verification_uri_complete);
    assert.equal(await page.locator('html').getAttribute('lang'), code);
    assert.equal(await page.locator('html').getAttribute('dir'), code === 'ar' ? 'rtl' : 'ltr');
    await hold(page, `login-${code}`);
    await page.locator('#username').fill('ada');
    await page.locator('#password').fill('correct horse battery staple');
    await page.locator('main button.main').click();
    await page.locator('#user_code').waitFor();
    await page.locator('main button.main').click();
    await page.locator('[name=own_device]').waitFor();
    await hold(page, `confirm-${code}`);
    const shown = await page.locator('.shown-code').innerText();
    assert.equal(shown, device.user_code, 'a code reads from left to right everywhere');
    await page.locator('[name=own_device]').check();
    await page.locator('[name=decision][value=approve]').click();
    await page.locator('[name=undo]').waitFor();
    assert.equal((await device.poll()).status, 200);
    await page.goto('/account');
    await hold(page, `account-${code}`);
    await close();
  });
}

test('the switch is kept, and works without JavaScript', async () => {
  const { page, close } = await watchedPage(browser, server, { locale: 'de', javaScriptEnabled: false });
  await page.goto('/login?next=account');
  assert.equal(await page.locator('html').getAttribute('lang'), 'de');
  await page.locator('#lang').selectOption('ja');
  await page.locator('footer button').click();
  assert.equal(await page.locator('html').getAttribute('lang'), 'ja');
  assert.ok(page.url().endsWith('/login?next=account'), page.url());
  await page.goto('/device');
  assert.equal(await page.locator('html').getAttribute('lang'), 'ja');
  await close();
});

test('a browser that speaks nothing of ours reads English', async () => {
  const { html } = await new Person(server).open('/login');
  assert.match(html, /<html lang="en"/);
});
