// A fresh server, a device, a person at a program's speed, and a watched browser.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { chromium } from 'playwright-core';

export const PASSWORD = 'correct horse battery staple';
const PATIENCE = 30_000;

function program() {
  const path = process.env.COUNTERSIGN_BIN;
  if (!path) throw new Error('Set COUNTERSIGN_BIN to the countersign program to be tested.');
  return path;
}

/** The caller's own settings must not reach the server under test. */
function cleanEnvironment() {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('COUNTERSIGN_')));
}

/** Asks again and again until the answer is truthy. */
export async function until(what, question) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const answer = await question();
    if (answer) return answer;
    assert.ok(Date.now() < end, `waited too long until ${what}`);
    await pause(50);
  }
}

export async function startServer(...settings) {
  const binary = program();
  const dataDir = mkdtempSync(join(tmpdir(), 'countersign-'));
  const surroundings = { cwd: dataDir, env: cleanEnvironment() };
  const child = spawn(
    binary,
    [
      '--data-dir', dataDir, 'serve', '--listen', '127.0.0.1:0', '--ops-listen', '127.0.0.1:0',
      '--set', 'log.format=json', '--set', 'device.interval=1s', '--set', 'cli.interval=1s',
      ...settings.flatMap((setting) => ['--set', setting]),
    ],
    { ...surroundings, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const ended = once(child, 'exit');
  const url = await listening(child);

  function run(args, input) {
    const options = { ...surroundings, encoding: 'utf8', input, stdio: ['pipe', 'pipe', 'inherit'] };
    return execFileSync(binary, ['--data-dir', dataDir, ...args], options);
  }

  return {
    url,
    addUser(name, ...more) {
      run(['user', 'add', name, '--password-stdin', ...more], `${PASSWORD}\n`);
      return name;
    },
    addPublicClient(id, name, ...more) {
      run(['client', 'add', '--id', id, '--name', name, '--public', ...more]);
      return { client_id: id };
    },
    /** With exceptions from the approval policy, as TOML. */
    addClientWithPolicy(id, name, policy) {
      writeFileSync(join(dataDir, 'policy.toml'), policy);
      return this.addPublicClient(id, name, '--policy', 'policy.toml');
    },
    addConfidentialClient(id, name, ...more) {
      const made = JSON.parse(run(['client', 'add', '--id', id, '--name', name, '--secret', '--json', ...more]));
      return { client_id: made.client_id, client_secret: made.client_secret };
    },
    async stop() {
      child.kill('SIGTERM');
      const [code, signal] = await ended;
      process.removeListener('exit', kill);
      rmSync(dataDir, { recursive: true });
      assert.deepEqual({ code, signal }, { code: 0, signal: null }, 'the server did not stop cleanly');
    },
  };
}

/** Reads the log until it says where the server listens, and goes on emptying it. */
function listening(child) {
  return new Promise((resolve, reject) => {
    const seen = [];
    const timer = setTimeout(() => reject(new Error(`the server does not listen:\n${seen.join('\n')}`)), PATIENCE);
    createInterface({ input: child.stderr }).on('line', (line) => {
      if (timer.hasRef()) seen.push(line);
      if (!line.includes('"listening"')) return;
      clearTimeout(timer);
      timer.unref();
      resolve(`http://localhost:${JSON.parse(line).address.split(':').at(-1)}`);
    });
    child.once('exit', () => reject(new Error(`the server ended:\n${seen.join('\n')}`)));
    child.once('error', reject);
  });
}

/** Posts a form as programs do. */
export async function postForm(url, fields, headers = {}) {
  const response = await fetch(url, { method: 'POST', body: new URLSearchParams(fields), headers });
  const text = await response.text();
  return { status: response.status, body: text ? JSON.parse(text) : undefined };
}

/** A device that has asked for a code. */
export async function newDevice(server, client, options = {}, headers = {}) {
  const asked = await postForm(`${server.url}/oauth2/v1/device_authorization`, {
    ...client, scope: 'openid profile offline_access', ...options,
  }, { 'User-Agent': 'Television/1.0', ...headers });
  assert.equal(asked.status, 200, JSON.stringify(asked.body));
  const code = asked.body;
  return {
    ...code,
    poll: (more = {}) => postForm(`${server.url}/oauth2/v1/token`, {
      ...client, grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code: code.device_code, ...more,
    }),
  };
}

/** Posts JSON as programs do. */
export async function postJson(url, fields, headers = {}) {
  const body = fields === undefined ? undefined : JSON.stringify(fields);
  const kind = body === undefined ? {} : { 'content-type': 'application/json' };
  const response = await fetch(url, { method: 'POST', body, headers: { ...kind, ...headers } });
  const text = await response.text();
  return { status: response.status, body: text ? JSON.parse(text) : undefined };
}

/** A command line that has asked for an API key. */
export async function newCommandLine(server, fields) {
  const asked = await postJson(`${server.url}/v1/auth/device`, fields, { 'User-Agent': 'acme-cli/2.1 (linux)' });
  assert.equal(asked.status, 200, JSON.stringify(asked.body));
  const { device_code } = asked.body;
  return { ...asked.body, poll: () => postJson(`${server.url}/v1/auth/device/token`, { device_code }) };
}

/** What an authenticator app shows for this secret (RFC 6238), now or some steps later. */
export function totp(secret, later = 0) {
  const symbols = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  const bits = [...secret].map((symbol) => symbols.indexOf(symbol).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + later));
  const mac = createHmac('sha1', key).update(step).digest();
  const number = mac.readUInt32BE(mac.at(-1) & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, '0');
}

/** Sets an authenticator app up in a browser that is signed in; its secret, and the recovery codes. */
export async function enrol(page) {
  await page.goto('/account/totp');
  const secret = (await page.locator('#totp-secret').innerText()).replaceAll(' ', '');
  await page.getByLabel('Code that the app shows').fill(totp(secret));
  await page.getByRole('button', { name: 'Turn it on' }).click();
  await seesHeading(page, 'Your recovery codes');
  return { secret, codes: await page.locator('.recovery-code').allInnerTexts() };
}

/** A node that waits to be paired: our own command, at the socket door. */
export async function newNode(server, name, type, deviceId) {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-node-'));
  const child = spawn(program(), [
    'pair', '--server', server.url, '--name', name, '--type', type, '--device-id', deviceId,
    '--no-browser', '--credentials', join(folder, 'credentials.json'),
  ], { cwd: folder, env: cleanEnvironment(), stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  child.stdout.on('data', (data) => { said += data; });
  const ended = once(child, 'close').then(([code]) => {
    rmSync(folder, { recursive: true });
    return { code, said };
  });
  const user_code = await new Promise((resolve, reject) => {
    createInterface({ input: child.stderr }).on('line', (line) => {
      said += `${line}\n`;
      const code = /and enter (\d{6})/.exec(line)?.[1];
      if (code) resolve(code);
    });
    ended.then(({ said: all }) => reject(new Error(`pair ended early: ${all}`)));
  });
  return { user_code, verification_uri_complete: `${server.url}/device?user_code=${user_code}`, ended };
}

export const verifyCode = (server, cli_code) => postJson(
  `${server.url}/v1/auth/cli-verify`, { cli_code }, { 'User-Agent': 'acme-cli/2.1 (linux)' },
);

export async function introspect(server, confidential, token) {
  const { status, body } = await postForm(`${server.url}/oauth2/v1/introspect`, { ...confidential, token });
  assert.equal(status, 200);
  return body;
}

/** A person's side as a program: forms by plain fetch, with a cookie. */
export class Person {
  #cookie = '';

  constructor(server) {
    this.server = server;
  }

  async #request(path, init = {}) {
    const headers = { ...init.headers, cookie: this.#cookie };
    const response = await fetch(this.server.url + path, { ...init, headers, redirect: 'manual' });
    const [cookie] = response.headers.getSetCookie();
    if (cookie) this.#cookie = cookie.split(';')[0];
    return { status: response.status, html: await response.text() };
  }

  open(path) {
    return this.#request(path);
  }

  /** Sends the first form of a page that has this field, hidden fields included. */
  submit(path, html, field, fields) {
    const form = html.match(/<form[^>]*>.*?<\/form>/gs).find((one) => one.includes(`name="${field}"`));
    const hidden = [...form.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)">/g)];
    const body = new URLSearchParams(hidden.map(([, name, value]) => [name, value]));
    for (const [name, value] of Object.entries(fields)) body.set(name, value);
    return this.#request(path, { method: 'POST', body });
  }

  async signIn(username, password = PASSWORD) {
    const { html } = await this.open('/login');
    return this.submit('/login', html, 'password', { username, password });
  }

  async decide(user_code, decision) {
    const box = await this.open('/device');
    const confirm = await this.submit('/device', box.html, 'user_code', { user_code });
    assert.equal(confirm.status, 200, confirm.html);
    const tick = decision === 'approve' ? { own_device: 'yes' } : {};
    const result = await this.submit('/device', confirm.html, 'ticket', { decision, ...tick });
    assert.equal(result.status, 200, result.html);
  }
}

export async function newPerson(server, username) {
  const person = new Person(server);
  assert.equal((await person.signIn(username)).status, 303);
  return person;
}

export function launchBrowser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync',
    ],
  });
}

/** A page whose requests and complaints are kept; `close` holds them against the rules. */
export async function watchedPage(browser, server, { elsewhere = [], ...options } = {}) {
  const own = [server.url, ...elsewhere];
  const context = await browser.newContext({ baseURL: server.url, ...options });
  const page = await context.newPage();
  const requests = [];
  const problems = [];
  const documents = new Set();
  page.on('request', (request) => {
    requests.push({ method: request.method(), path: new URL(request.url()).pathname });
    if (request.isNavigationRequest()) documents.add(request.url());
    if (!own.includes(new URL(request.url()).origin)) problems.push(`request to ${request.url()}`);
  });
  // A link that turns out to be a download ends as a navigation, and goes on as a file.
  const downloads = new Set();
  page.on('download', (download) => downloads.add(download.url()));
  const failed = [];
  page.on('requestfailed', (request) => failed.push(request));
  page.on('pageerror', (error) => problems.push(`script: ${error.message}`));
  page.on('console', (message) => {
    // Chromium also reports the status of pages that are meant to be refusals.
    const refusal = /^Failed to load resource: the server responded with a status of 4\d\d/.test(message.text());
    if (refusal && documents.has(message.location().url)) return;
    if (['error', 'warning'].includes(message.type())) problems.push(`console: ${message.text()}`);
  });
  return {
    page,
    requests,
    async close() {
      await context.close();
      for (const request of failed.filter((request) => !downloads.has(request.url()))) {
        problems.push(`failed: ${request.url()} ${request.failure()?.errorText}`);
      }
      assert.deepEqual(problems, [], 'the pages asked elsewhere or complained');
    },
  };
}

/** Whom the proxy in front of the server says that a device is: on the network of somebody else. */
export const ELSEWHERE = { 'X-Forwarded-For': '203.0.113.7' };
/** Where browsers are, for a server that believes the proxy. */
export const BEHIND_PROXY = 'server.trusted_proxies=["127.0.0.1", "::1"]';

/** Fills in the sign-in form that the page shows. */
export async function signIn(page, username, password = PASSWORD) {
  await page.getByLabel('User name').fill(username);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

/** Opens `path` signed in, in a page that was not. */
export async function openSignedIn(page, path, username) {
  await page.goto(path);
  await signIn(page, username);
  await page.getByRole('banner').getByRole('button', { name: 'Sign out', exact: true }).waitFor();
}

/** From the code box to the confirm page. */
export async function enterCode(page, code) {
  await page.getByRole('textbox', { name: 'Code' }).fill(code);
  await page.getByRole('button', { name: 'Continue' }).click();
}

export async function seesHeading(page, text) {
  await page.getByRole('heading', { level: 1, name: text, exact: true }).waitFor();
}

/** Signed in, with the confirm page of this device open. */
export async function openConfirm(page, device, username) {
  await openSignedIn(page, device.verification_uri_complete, username);
  await page.getByRole('button', { name: 'Continue' }).click();
  await seesHeading(page, 'Connect this device?');
}

export const ownDevice = (page) => page.getByRole('checkbox', { name: 'I started this myself' });
export const approveButton = (page) => page.getByRole('button', { name: 'Approve', exact: true });
export const denyButton = (page) => page.getByRole('button', { name: 'Deny', exact: true });

export async function approve(page) {
  await ownDevice(page).check();
  await approveButton(page).click();
  await seesHeading(page, 'Device connected');
}

/** Runs `inner` in a browser of its own and then holds everything that it did against the rules. */
export async function watching(browser, server, inner, options) {
  const watched = await watchedPage(browser, server, options);
  await inner(watched.page, watched);
  await watched.close();
}
