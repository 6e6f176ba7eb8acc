// The tables of docs/reference against the code that they describe.
import assert from 'node:assert/strict';

import { parse } from './markdown.mjs';

/** The first cells of all table rows of a page, without backticks. */
function firstCells(text) {
  const rows = parse(text).filter(({ kind, value }) => kind === 'text' && value.startsWith('| `'));
  return rows.map(({ value }) => value.split('|')[1].trim().replaceAll('`', ''));
}

/** Both lists hold the same, in any order and however often. */
export function assertSame(shown, real, where) {
  const [page, code] = [new Set(shown), new Set(real)];
  const missing = [...code].filter((one) => !page.has(one));
  const gone = [...page].filter((one) => !code.has(one));
  assert.ok(!missing.length && !gone.length, [
    ...missing.map((one) => `${where} lacks ${one}`),
    ...gone.map((one) => `${where} has ${one}, which is not there (any more)`),
  ].join('\n'));
}

/** The text of one function, from its head to the brace that ends it. */
function body(code, head) {
  const begin = code.indexOf(head);
  assert.notEqual(begin, -1, `there is no ${head} any more`);
  return code.slice(begin, code.indexOf('\n    }\n', begin));
}

/** What stands between this bracket and the one that closes it, cut at its own commas. */
function args(code, open) {
  const parts = [''];
  for (let at = open + 1, depth = 0, quoted = false; ; at += 1) {
    const one = code[at];
    assert.ok(one, 'a bracket is never closed');
    if (quoted && one === '\\') {
      parts[parts.length - 1] += one + code[(at += 1)];
      continue;
    }
    if (one === '"') quoted = !quoted;
    if (!quoted && '([{'.includes(one)) depth += 1;
    if (!quoted && ')]}'.includes(one) && (depth -= 1) < 0) return parts.map((part) => part.trim()).filter(Boolean);
    if (!quoted && depth === 0 && one === ',') parts.push('');
    else parts[parts.length - 1] += one;
  }
}

/** Lines of the log that this file writes for operators: message, level, target, fields. */
function logLines(file, code) {
  const place = file.replace(/^crates\/(\w+)\/src\//, '$1/').replace(/(\/mod)?\.rs$/, '').split('/');
  const target = `countersign_${place.join('::')}`.replace(/::(lib|main)$/, '');
  return [...code.matchAll(/\b(info|warn|error)!\(/g)].map(({ 0: { length }, 1: level, index }) => {
    assert.equal(code.slice(index - 9, index), 'tracing::', `${file}: a log macro without tracing:: before it`);
    const all = args(code, index + length - 1);
    const said = all.pop();
    assert.match(said, /^"[^"{}\n]*(\\"[^"{}\n]*)*"$/, `${file}: ${said} is no plain message`);
    const fields = all.map((field) => field.replace(/^[%?]/, '').split('=')[0].trim());
    return { message: JSON.parse(said), level, target, fields };
  });
}

const words = (code) => [...code.matchAll(/"([a-z_]+)"/g)].map(([, word]) => word);

/** Checks by name. `rust` names the sources of the server and of the command line. */
export function references(read, rust) {
  return Object.entries({
    async 'docs/reference/routes.md has every route of the router, and no other'() {
      const router = await read('crates/server/src/router.rs');
      const table = [...router.matchAll(/^ +endpoint\(([A-Z]+),\s+("[^"]+"|verification_path),/gm)];
      const named = (route) => (route === 'verification_path' ? '/device' : route.slice(1, -1));
      const routes = table.map(([, method, route]) => `${method} ${named(route)}`);
      const ops = await read('crates/server/src/ops.rs');
      const private_ = [...ops.matchAll(/\.route\("([^"]+)", (get|post)\(/g)];
      routes.push(...private_.map(([, route, method]) => `${method.toUpperCase()} ${route}`));
      assertSame(firstCells(await read('docs/reference/routes.md')), routes, 'the page');
    },

    async 'docs/reference/errors.md has every error code, and no other'() {
      const page = await read('docs/reference/errors.md');
      const [, oauth, api, socket] = page.split(/^## (?:OAuth door|CLI door|Socket door)$/m);
      const codes = async (file) => words(body(await read(file), "fn code(&self) -> &'static str"));
      assertSame(firstCells(oauth), await codes('crates/server/src/oauth/error.rs'), 'the OAuth door');
      assertSame(firstCells(api), await codes('crates/server/src/api/error.rs'), 'the CLI door');
      const rpc = body(await read('crates/server/src/ws/rpc.rs'), 'pub fn json(&self) -> Value');
      const numbers = [...rpc.matchAll(/\((-32\d{3}),/g)].map(([, number]) => number);
      assertSame(firstCells(socket.split(/^##/m)[0]), numbers, 'the socket door');
    },

    async 'docs/reference/metrics.md has every metric, and no other'() {
      const code = await read('crates/server/src/telemetry/mod.rs');
      const field = new Map([...code.matchAll(/^ {4}(\w+): (.+),$/gm)].map(([, name, type]) => [name, type]));
      const registered = [...code.matchAll(/registry\.register\("(\w+)", [^;]*self\.(\w+)\.clone\(\)\);/g)];
      const ending = (from) => (/\bCounter>?$/.test(field.get(from)) ? '_total' : '');
      const names = registered.map(([, name, from]) => `countersign_${name}${ending(from)}`);
      assert.ok(names.length > 10 && names.length === [...code.matchAll(/registry\.register\(/g)].length);
      const [table] = (await read('docs/reference/metrics.md')).split(/^## /m);
      assertSame(firstCells(table), names, 'the page');
    },

    async 'docs/reference/metrics.md has every value of a label, and no other'() {
      const code = await read('crates/server/src/telemetry/labels.rs');
      const page = (await read('docs/reference/metrics.md')).split(/^## Labels$/m)[1];
      const row = (label) => {
        const [, cell] = page.match(new RegExp(`^\\| \`${label}\` \\|(.*)\\|$`, 'm'));
        return [...cell.replace(/\([^)]*\)/g, '').matchAll(/`(\w+)`/g)].map(([, value]) => value);
      };
      const list = (name) => words(code.slice(code.indexOf(`const ${name}: [`)).split(';')[1]);
      const sources = (await Promise.all((await rust()).map(read))).join('\n');
      const literals = (head) => [...sources.matchAll(new RegExp(`${head}\\(\\s*"([a-z_]+)"`, 'g'))].map(([, one]) => one);
      assertSame(row('limit'), list('LIMITS'), 'the page');
      assertSame(row('setting'), list('SETTINGS'), 'the page');
      assertSame(row('outcome'), list('OUTCOMES'), 'the page');
      for (const one of literals('metrics\\.refused')) assert.ok(list('LIMITS').includes(one), `LIMITS lacks ${one}`);
      for (const one of literals('metrics\\.objected')) assert.ok(list('SETTINGS').includes(one), `SETTINGS lacks ${one}`);
    },

    async 'docs/reference/logs.md has every line from info on, and no other'() {
      const real = new Map();
      for (const file of await rust()) {
        for (const { message, level, target, fields } of logLines(file, await read(file))) {
          const line = real.get(`${level}: ${message}`) ?? { targets: new Set(), fields: new Set() };
          line.targets.add(target);
          fields.forEach((field) => line.fields.add(field));
          real.set(`${level}: ${message}`, line);
        }
      }
      const sorted = (all) => [...all].sort().join(', ');
      const lines = [...real].map(([said, line]) => `${said} [${sorted(line.targets)}] {${sorted(line.fields)}}`);
      assert.ok(lines.length > 40, 'the lines are not found any more');
      const page = (await read('docs/reference/logs.md')).split(/^## (?=Error$|Warn$|Info$)/m).slice(1);
      const shown = page.flatMap((part) => {
        const level = part.split('\n')[0].toLowerCase();
        return part.split('\n').filter((row) => row.startsWith('| `')).map((row) => {
          const [message, target, fields] = row.split('|').slice(1).map((cell) => cell.trim().replaceAll('`', ''));
          const split = (cell) => cell.split(', ').filter(Boolean);
          const targets = split(target).map((one) => `countersign_server::${one}`);
          return `${level}: ${message} [${sorted(targets)}] {${sorted(split(fields))}}`;
        });
      });
      assertSame(shown, lines, 'the page');
    },
  });
}
