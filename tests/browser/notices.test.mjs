import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, describe, test } from 'node:test';
import PostalMime from 'postal-mime';
import { SMTPServer } from 'smtp-server';
import { Webhook } from 'standardwebhooks';

import {
  introspect, launchBrowser, newCommandLine, newDevice, newPerson, openSignedIn, PASSWORD, seesHeading, startServer, until,
  watching,
} from './support.mjs';

async function collected(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const SECRET = `whsec_${randomBytes(32).toString('base64')}`;
const mails = [];
const calls = [];
let failures = 0;
let smtp, hook, server, browser, television, office;

before(async () => {
  smtp = new SMTPServer({
    authOptional: false,
    disabledCommands: ['STARTTLS'],
    onAuth: ({ username, password }, _, done) => done(
      username === 'us' && password === 'p@ss' ? null : new Error('no'), { user: username },
    ),
    onData(stream, _, done) {
      collected(stream).then((raw) => PostalMime.parse(raw)).then((mail) => { mails.push(mail); done(); }, done);
    },
  });
  smtp.listen(0, '127.0.0.1');
  await once(smtp.server, 'listening');
  hook = createServer(async (request, response) => {
    calls.push({ headers: request.headers, body: (await collected(request)).toString() });
    const failed = failures > 0;
    if (failed) failures -= 1;
    response.writeHead(failed ? 500 : 204).end();
  });
  hook.listen(0, '127.0.0.1');
  await once(hook, 'listening');
  const endpoint = { id: 'ops', url: `http://127.0.0.1:${hook.address().port}/hook`, secret: SECRET, events: ['device.connected'] };
  server = await startServer(
    `mail.smtp_url=smtp://us:p%40ss@127.0.0.1:${smtp.server.address().port}`, 'mail.from=Devices <devices@example.com>',
    `webhooks.endpoints=${JSON.stringify([endpoint])}`, 'webhooks.allowed_networks=["127.0.0.0/8"]',
  );
  browser = await launchBrowser();
  for (const name of ['ada', 'grace']) server.addUser(name, '--email', `${name}@example.com`);
  television = server.addPublicClient('television', 'Living-room <b>television</b>');
  office = server.addConfidentialClient('office', 'Office backend');
});

after(async () => {
  await browser?.close();
  await server?.stop();
  smtp?.close();
  hook?.closeAllConnections();
  hook?.close();
});

const mailTo = (name) => until(`a mail to ${name} came`, () => mails.find((mail) => mail.to[0].address === `${name}@example.com`));

for (const javaScriptEnabled of [true, false]) {
  describe(javaScriptEnabled ? 'with JavaScript' : 'without JavaScript', () => {
    const name = javaScriptEnabled ? 'ada' : 'grace';

    test('a mail tells of a new device, and its link disconnects it, once', () => watching(browser, server, async (page) => {
      const device = await newDevice(server, television);
      await (await newPerson(server, name)).decide(device.user_code, 'approve');
      const { body: tokens } = await device.poll();
      const mail = await mailTo(name);
      assert.equal(mail.subject, 'New device: Living-room <b>television</b>');
      assert.deepEqual([mail.from.name, mail.from.address], ['Devices', 'devices@example.com']);
      assert.match(mail.text, new RegExp(`Hello ${name},`));
      const [link] = mail.text.match(/http\S+\/revoke\/\S+/);
      assert.ok((await introspect(server, office, tokens.access_token)).active);
      // Programs that look at links change nothing.
      await page.goto(link);
      await seesHeading(page, 'Disconnect this device?');
      assert.ok((await introspect(server, office, tokens.access_token)).active);
      await page.getByRole('button', { name: 'Disconnect it' }).click();
      await seesHeading(page, 'Disconnected');
      assert.equal((await introspect(server, office, tokens.access_token)).active, false);
      await page.goto(link);
      await seesHeading(page, 'Nothing to disconnect');
    }, { javaScriptEnabled }));
  });
}

test('a webhook is signed, and comes again with the same id when it was not taken', async () => {
  const before = calls.length;
  failures = 1;
  const line = await newCommandLine(server, { name: 'build machine' });
  await (await newPerson(server, 'ada')).decide(line.user_code, 'approve');
  assert.equal((await line.poll()).status, 200);
  await until('it came twice', () => calls.length >= before + 2);
  const [first, second] = calls.slice(before);
  assert.equal(first.headers['webhook-id'], second.headers['webhook-id']);
  for (const { headers, body } of [first, second]) {
    const event = new Webhook(SECRET).verify(body, headers);
    assert.equal(event.type, 'device.connected');
    assert.deepEqual([event.data.door, event.data.name, event.data.username], ['cli', 'build machine', 'ada']);
    assert.match(event.data.revoke_url, /\/revoke\//);
  }
});

test('the account page undoes, signs other browsers out, and changes the password', () => watching(browser, server, async (page) => {
  const device = await newDevice(server, television);
  const other = await newPerson(server, 'ada');
  await other.decide(device.user_code, 'approve');
  const { body: tokens } = await device.poll();
  await openSignedIn(page, '/account', 'ada');
  await page.getByRole('button', { name: 'This wasn’t me: disconnect Living-room <b>television</b>' }).first().click();
  await seesHeading(page, 'Undone');
  assert.equal((await introspect(server, office, tokens.access_token)).active, false);
  await page.goto('/account');
  await page.getByRole('button', { name: 'Sign out the browser that signed in on' }).first().click();
  await page.getByText('That browser is signed out.').waitFor();
  await page.getByLabel('New password').fill(`${PASSWORD} two`);
  await page.getByRole('button', { name: 'Change it' }).click();
  await page.getByText('Your password is changed.').waitFor();
  assert.equal((await other.open('/account')).status, 303);
}));
