// Makes the README's pictures: the confirm page on a phone, the demo in a terminal, the administration.
// Run by scripts/pictures.
import { spawn } from 'node:child_process';
import {
  launchBrowser, newCommandLine, newDevice, newPerson, openConfirm, openSignedIn, startServer,
} from './support.mjs';

const folder = process.env.PICTURES;
if (!folder) throw new Error('PICTURES must name the folder to write to');

const server = await startServer();
server.addUser('alice');
const client = server.addPublicClient('living-room-tv', 'Living-room TV');
const browser = await launchBrowser();

const phone = await browser.newPage({ baseURL: server.url, viewport: { width: 390, height: 700 }, deviceScaleFactor: 2 });
const device = await newDevice(server, client);
await openConfirm(phone, device, 'alice');
await phone.screenshot({ path: `${folder}/confirm.png`, fullPage: true });

// Some logins, for the overview.
server.addUser('grace');
server.addUser('ada', '--admin');
const sensor = server.addPublicClient('greenhouse-sensor', 'Greenhouse sensor');
const grace = await newPerson(server, 'grace');
for (const [asking, decision] of [[client, 'approve'], [client, 'approve'], [sensor, 'approve'], [client, 'deny']]) {
  const asked = await newDevice(server, asking);
  await grace.decide(asked.user_code, decision);
  if (decision === 'approve') await asked.poll();
}
const line = await newCommandLine(server, { name: 'backup tool' });
await grace.decide(line.user_code, 'approve');
await line.poll();
const desktop = await browser.newPage({ baseURL: server.url, viewport: { width: 1100, height: 700 }, deviceScaleFactor: 2 });
await openSignedIn(desktop, '/admin', 'ada');
await desktop.goto('/admin?days=1');
await desktop.screenshot({ path: `${folder}/administration.png`, fullPage: true });

// `script` gives the program a terminal, so it shows what a person would see.
const shown = await new Promise((resolve, reject) => {
  const child = spawn('script', ['-qfec', `${process.env.COUNTERSIGN_BIN} demo`, '/dev/null'], { env: { ...process.env, DISPLAY: '' } });
  let text = '';
  child.stdout.on('data', (data) => {
    text += data;
    if (text.includes('Waiting for approval')) {
      child.kill('SIGINT');
      resolve(text);
    }
  });
  child.on('error', reject);
});
const lines = shown
  .replace(/\x1b\[[0-9;?]*[A-Za-z]/g, '')
  .split(/\r?\n|\r/)
  .filter((line, at, all) => !line.includes('Waiting') || at === all.findIndex((other) => other.includes('Waiting')));
const terminal = await browser.newPage({ viewport: { width: 720, height: 400 }, deviceScaleFactor: 2 });
await terminal.setContent(`<style>
  body { margin: 0; padding: 18px 22px; background: #14181f; color: #e6e9ee; width: max-content; }
  pre { margin: 0; font: 14px/1.16 "DejaVu Sans Mono", monospace; }
</style><pre></pre>`);
await terminal.evaluate((text) => { document.querySelector('pre').textContent = text; }, ['$ countersign demo', ...lines].join('\n').trimEnd());
await terminal.locator('body').screenshot({ path: `${folder}/terminal.png` });

await browser.close();
await server.stop();
process.exit(0);
