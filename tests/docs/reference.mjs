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

const words = (code) => [...code.matchAll(/"([a-z_]+)"/g)].map(([, word]) => word);

/** Checks by name. */
export function references(read) {
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
      const code = await read('crates/server/src/telemetry.rs');
      const field = new Map([...code.matchAll(/^ {4}(\w+): (?:Family<\w+, )?(Counter|Gauge|Histogram)>?,$/gm)]
        .map(([, name, type]) => [name, type]));
      const registered = [...code.matchAll(/registry\.register\("(\w+)", [^;]*self\.(\w+)\.clone\(\)\);/g)];
      const ending = (from) => (field.get(from) === 'Counter' ? '_total' : '');
      const names = registered.map(([, name, from]) => `countersign_${name}${ending(from)}`);
      assert.ok(names.length > 10 && names.length === [...code.matchAll(/registry\.register\(/g)].length);
      const [table] = (await read('docs/reference/metrics.md')).split(/^## /m);
      assertSame(firstCells(table), names, 'the page');
    },
  });
}
