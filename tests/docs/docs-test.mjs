// Holds the documentation against what is there: types every command, follows every link, compares the
// tables with the code, builds the book. With arguments it only types these pages.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { access, mkdir, mkdtemp, open, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { anchors, links, parse, section, typed } from './markdown.mjs';
import { assertSame, references } from './reference.mjs';

const here = import.meta.dirname;
const root = path.resolve(here, '../..');
const PAGE_SECONDS = 90;

/** Of the README, one section is typed here; `scripts/test` runs the rest. It has no comments that say
 * what its commands must answer. */
const SECTIONS = {
  'README.md': { heading: '## Quick start', says: ['"access_token"', '"preferred_username":"alice"'] },
};

/** Pages whose commands another script tries, because they need more than a shell. */
const TRIED_ELSEWHERE = { 'docs/how-to/deploy.md': 'scripts/deploy-test' };

/** Pages without a command to type. What they show needs other programs, or is there to be read. */
const ONLY_READ = new Set([
  'docs/architecture.md',
  'docs/command-line.md',
  'docs/comparison.md',
  'docs/configuration.md',
  'docs/explanation/codes.md',
  'docs/explanation/tokens.md',
  // Its programs are built and tried by the workspace's own tests.
  'docs/how-to/cli-rust.md',
  'docs/identity-providers.md',
  'docs/index.md',
  'docs/pairing.md',
  // scripts/bench and scripts/crash-test; minutes each.
  'docs/performance.md',
  'docs/reference/errors.md',
  'docs/reference/logs.md',
  'docs/reference/metrics.md',
  'docs/reference/routes.md',
  'docs/scaling.md',
]);

let passed = 0;
const failed = [];

async function check(name, body) {
  const begun = performance.now();
  try {
    await body();
    passed += 1;
    console.log(`ok      ${name} (${((performance.now() - begun) / 1000).toFixed(1)} s)`);
  } catch (error) {
    failed.push(name);
    const why = error instanceof assert.AssertionError ? error.message : error.stack;
    console.log(`FAILED  ${name}\n${why.replace(/^/gm, '        ')}`);
  }
}

const read = (page) => readFile(path.join(root, page), 'utf8');

async function markdownBelow(folder) {
  const names = await readdir(path.join(root, folder), { recursive: true });
  return names.filter((name) => name.endsWith('.md')).map((name) => path.posix.join(folder, name)).sort();
}

/** The sources of the server and of the command line. */
async function sources() {
  const below = async (folder) => (await readdir(path.join(root, folder), { recursive: true }))
    .filter((name) => name.endsWith('.rs')).map((name) => path.posix.join(folder, name));
  return (await Promise.all(['crates/server/src', 'crates/cli/src'].map(below))).flat().sort();
}

async function isFree(port) {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/** What a page shows of the code stands there like this, or in a comment there. */
async function compareCopies({ copies }) {
  for (const { path: from, content, line } of copies) {
    const code = await read(from);
    const comments = code.replace(/^\/\/[!/] ?/gm, '');
    assert.ok(code.includes(content) || comments.includes(content), `line ${line}: ${from} has no such lines`);
  }
}

/** Types a page in one shell, in a new folder, and ends whatever that leaves behind. */
async function type(page, { script }) {
  for (const port of [8628, 9628]) assert.ok(await isFree(port), `port ${port} is in use`);
  const work = await mkdtemp(path.join(tmpdir(), 'countersign-docs-'));
  try {
    const folder = path.join(work, 'folder');
    const bin = path.join(work, 'bin');
    const home = path.join(work, 'home');
    for (const made of [folder, bin, home]) await mkdir(made);
    await symlink(path.resolve(process.env.COUNTERSIGN_BIN), path.join(bin, 'countersign'));
    if (process.env.DOCS_NODE_MODULES) await symlink(process.env.DOCS_NODE_MODULES, path.join(folder, 'node_modules'));
    const [script_, said] = [path.join(work, 'typed'), path.join(work, 'said')];
    await writeFile(script_, script);
    const out = await open(said, 'a');
    const environment = {
      PATH: [bin, process.env.DOCS_PYTHON_BIN, process.env.PATH].filter(Boolean).join(':'),
      HOME: home,
      LANG: 'C.UTF-8',
    };
    const shell = spawn('bash', [path.join(here, 'page.sh'), script_, said], {
      env: environment,
      stdio: ['ignore', out.fd, out.fd],
      // A group of its own, which can be ended as a whole.
      detached: true,
    });
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      end(shell.pid, 'SIGTERM');
      setTimeout(() => end(shell.pid, 'SIGKILL'), 5000).unref();
    }, PAGE_SECONDS * 1000);
    const status = await new Promise((resolve, reject) => {
      shell.on('exit', (code, signal) => resolve(code ?? signal));
      shell.on('error', reject);
    });
    clearTimeout(timer);
    end(shell.pid, 'SIGKILL');
    await out.close();
    // Pages have the server's log in a file, out of the way of what they show.
    const logs = (await readdir(folder)).filter((name) => name.endsWith('.log'));
    const texts = [said, ...logs.map((name) => path.join(folder, name))].map((file) => readFile(file, 'utf8'));
    const text = (await Promise.all(texts)).join('--- log\n');
    if (process.env.DOCS_VERBOSE) console.log(text);
    assert.ok(!late, `${page} took longer than ${PAGE_SECONDS} s\n${text}`);
    assert.ok(status === 0, `${page} did not get to its end\n${text}`);
    for (const word of SECTIONS[page]?.says ?? []) assert.ok(text.includes(word), `no ${word} was said\n${text}`);
    assert.doesNotMatch(text, /panicked at|level=ERROR| ERROR /, `the server had trouble\n${text}`);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

function end(group, signal) {
  try {
    process.kill(-group, signal);
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

async function typePage(page) {
  const whole = parse(await read(page));
  const text = typed(SECTIONS[page] ? section(whole, SECTIONS[page].heading) : whole);
  if (text.copies.length) await check(`code: ${page}`, () => compareCopies(text));
  if (TRIED_ELSEWHERE[page]) {
    await access(path.join(root, TRIED_ELSEWHERE[page]));
    return;
  }
  if (ONLY_READ.has(page)) {
    assert.equal(text.commands, 0, 'it has commands now: take it out of ONLY_READ');
    return;
  }
  assert.ok(text.commands, 'it has no command to type: put it into ONLY_READ, or mark the blocks as sh');
  await check(`typed: ${page}`, () => type(page, text));
}

/** Links between files of the repository; those to elsewhere are not followed. */
async function followLinks(page, parsed) {
  const lost = [];
  for (const { target, line } of links(parsed.get(page))) {
    if (/^[a-z][a-z0-9+.-]*:/i.test(target)) continue;
    const [file, anchor] = target.split('#');
    const to = file ? path.posix.join(path.posix.dirname(page), decodeURI(file)) : page;
    if (!await access(path.join(root, to)).then(() => true, () => false)) {
      lost.push(`line ${line}: there is no ${to}`);
    } else if (anchor && to.endsWith('.md')) {
      if (!parsed.has(to)) parsed.set(to, parse(await read(to)));
      if (!anchors(parsed.get(to)).has(anchor)) lost.push(`line ${line}: ${to} has no heading #${anchor}`);
    }
  }
  assert.ok(!lost.length, lost.join('\n'));
}

/** The generated reference writes `<port>` where it means `&lt;port>`; that is for its generator to mend. */
const PLACEHOLDERS = /.*unclosed HTML tag `<(port|path|prefix)>` found in `configuration\.md`.*\n.*\n/g;

/** Builds the book, and looks at what came of it as a browser would. */
async function buildBook() {
  const book = await mkdtemp(path.join(tmpdir(), 'countersign-book-'));
  try {
    const options = { cwd: root, encoding: 'utf8', timeout: 60_000 };
    const built = spawnSync('mdbook', ['build', 'docs', '--dest-dir', book], options);
    const said = `${built.stdout}${built.stderr}${built.error ?? ''}`;
    assert.equal(built.status, 0, said);
    assert.doesNotMatch(said.replace(PLACEHOLDERS, ''), /\b(WARN|ERROR|warning|error)\b/, said);
    const names = (await readdir(book, { recursive: true })).filter((name) => name.endsWith('.html'));
    const pages = new Map(await Promise.all(names.map(async (name) => {
      const html = await readFile(path.join(book, name), 'utf8');
      const ids = new Set([...html.matchAll(/\sid="([^"]+)"/g)].map(([, id]) => id));
      return [name, { html, ids }];
    })));
    const wrong = [];
    for (const [name, { html }] of pages) {
      for (const [, url] of html.matchAll(/<(?!a\b)\w+[^>]*\s(?:src|href)="((?:https?:)?\/\/[^"]*)"/g)) {
        wrong.push(`${name} loads ${url}`);
      }
      // It shows all pages on one, with links that it makes itself.
      if (['print.html', '404.html', 'toc.html'].includes(name)) continue;
      for (const [, href] of html.matchAll(/<a[^>]*\shref="([^"]*)"/g)) {
        if (/^[a-z][a-z0-9+.-]*:/i.test(href)) continue;
        const [file, anchor] = href.split('#');
        const to = file ? path.posix.join(path.posix.dirname(name), file) : name;
        // Out of the book, into the repository: the links of the pages were followed above.
        if (to.startsWith('..')) continue;
        const page = pages.get(to);
        if (!page && !await access(path.join(book, to)).then(() => true, () => false)) {
          wrong.push(`${name} leads to ${to}, which is not there`);
        } else if (page && anchor && !page.ids.has(decodeURIComponent(anchor))) {
          wrong.push(`${name} leads to ${to}#${anchor}, which is not there`);
        }
      }
    }
    assert.ok(!wrong.length, wrong.join('\n'));
  } finally {
    await rm(book, { recursive: true, force: true });
  }
}

async function checkAll() {
  const pages = (await markdownBelow('docs')).filter((page) => page !== 'docs/SUMMARY.md');
  const others = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md', 'docs/SUMMARY.md'];
  const parsed = new Map();
  for (const page of [...pages, ...others]) parsed.set(page, parse(await read(page)));

  await check('every page stands in docs/SUMMARY.md once', async () => {
    const listed = links(parsed.get('docs/SUMMARY.md')).map(({ target }) => path.posix.join('docs', target));
    assertSame(listed, pages, 'docs/SUMMARY.md');
    assert.equal(listed.length, pages.length, 'a page stands there twice');
    const unknown = [...ONLY_READ, ...Object.keys(TRIED_ELSEWHERE)].filter((page) => !pages.includes(page));
    assert.deepEqual(unknown, [], 'pages are named in docs-test.mjs that are not there');
  });
  for (const page of parsed.keys()) await check(`links: ${page}`, () => followLinks(page, parsed));
  for (const [name, body] of references(read, sources)) await check(name, body);
  await check('the book builds without a warning and asks nobody else for anything', buildBook);
  for (const page of pages) {
    const broken = await typePage(page).then(() => null, (error) => error);
    if (broken) await check(`commands: ${page}`, () => { throw broken; });
  }
}

const wanted = process.argv.slice(2);
if (wanted.length) {
  for (const page of wanted) {
    assert.ok(!ONLY_READ.has(page), `${page} has nothing to type`);
    await typePage(page);
  }
} else {
  await checkAll();
}
if (failed.length) console.log(`Failed:\n${failed.map((name) => `  ${name}`).join('\n')}`);
console.log(`test result: ${failed.length ? 'FAILED' : 'ok'}. ${passed} passed; ${failed.length} failed; 0 ignored;`);
process.exitCode = failed.length ? 1 : 0;
