// What a page of the documentation holds: fenced blocks, headings, links.
//
// Comments, which no reader sees, say what a block is beyond its language. Before a block:
//   <!-- file: NAME -->         it is the content of that file
//   <!-- from: PATH -->         it stands like this in that file of the repository
//   <!-- person: approve -->    while it runs, somebody approves (or denies) the code that it
//                               shows; `approve at URL` where the server is not http://localhost:8628
// After a block of commands:
//   <!-- expect: PATTERN -->    its output matches this extended regular expression
// Anywhere:
//   <!-- check: COMMAND -->     this is typed as well, and must succeed

/** A page in parts: blocks, comments that say something about them, and the text around them. */
export function parse(text) {
  const parts = [];
  let block = null;
  for (const [index, line] of text.split('\n').entries()) {
    const number = index + 1;
    const fence = /^(`{3,}|~{3,})\s*(.*?)\s*$/.exec(line);
    if (block) {
      if (fence && fence[1].startsWith(block.fence) && !fence[2]) {
        parts.push(block);
        block = null;
      } else {
        block.lines.push(line);
      }
    } else if (fence) {
      block = { kind: 'block', language: fence[2], fence: fence[1], line: number, lines: [] };
    } else {
      const said = /^<!-- (file|from|person|expect|check): (.*) -->$/.exec(line);
      parts.push(said ? { kind: said[1], value: said[2], line: number } : { kind: 'text', value: line, line: number });
    }
  }
  if (block) throw new Error(`line ${block.line}: a block that does not end`);
  return parts;
}

/** The parts of one section, from its heading to the next one of the same level. */
export function section(parts, heading) {
  const level = /^#+/.exec(heading)[0];
  let inside = false;
  return parts.filter((part) => {
    if (part.kind === 'text' && new RegExp(`^${level} `).test(part.value)) inside = part.value === heading;
    return inside;
  });
}

/** What the pages have their readers type. */
const COMMAND = /^(countersign|curl|cargo|docker|kubectl|promtool|scripts\/\S+|systemctl) /;

const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

/** What is typed for a page: a text for bash, the files that it saves, and what it took from elsewhere. */
export function typed(parts) {
  const script = [];
  const copies = [];
  let commands = 0;
  let before = {};
  for (const part of parts) {
    if (part.kind === 'text') {
      if (part.value.trim() && Object.keys(before).length) {
        throw new Error(`line ${part.line}: no block follows what was said of it`);
      }
    } else if (part.kind === 'expect') {
      if (!commands) throw new Error(`line ${part.line}: nothing was typed before`);
      script.push(`docs_expect ${quoted(part.value)}`);
    } else if (part.kind === 'check') {
      script.push(`docs_check ${quoted(part.value)}`);
    } else if (part.kind === 'block') {
      const content = `${part.lines.join('\n')}\n`;
      if (!part.language && part.lines.some((line) => COMMAND.test(line))) {
        throw new Error(`line ${part.line}: commands that nobody types: mark the block as sh, or as console`);
      }
      if (before.from) copies.push({ path: before.from, content, line: part.line });
      if (before.file) {
        // In its turn: a page may show a second version of a file.
        const end = `end of ${before.file}`;
        script.push(`docs_line=${part.line}`, `mkdir -p "$(dirname ${quoted(before.file)})"`);
        script.push(`cat >${quoted(before.file)} <<${quoted(end)}`, content + end);
      } else if (part.language === 'sh') {
        commands += 1;
        script.push(`docs_block ${part.line}`);
        if (before.person) script.push(`docs_person ${before.person}`);
        script.push(content);
      } else if (before.person) {
        throw new Error(`line ${part.line}: nothing is typed here that somebody could decide`);
      }
      before = {};
    } else {
      before[part.kind] = part.value;
    }
  }
  return { script: `${script.join('\n')}\n`, commands, copies };
}

const plain = (text) => text
  .replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
  .replace(/[`*]/g, '');

/** The anchors of a page's headings, as they are made for pages of a repository and of a book alike. */
export function anchors(parts) {
  const found = new Map();
  for (const part of parts) {
    const heading = part.kind === 'text' && /^#{1,6} +(.*?)\s*$/.exec(part.value);
    if (!heading) continue;
    const slug = plain(heading[1]).toLowerCase().replace(/[^\p{L}\p{N}\p{M} _-]/gu, '').replaceAll(' ', '-');
    const times = found.get(slug) ?? 0;
    found.set(slug, times + 1);
    if (times) found.set(`${slug}-${times}`, 1);
  }
  return new Set(found.keys());
}

/** Where a page leads: `{ target, line }` each. */
export function links(parts) {
  const found = [];
  for (const part of parts) {
    if (part.kind !== 'text') continue;
    const text = part.value.replace(/`[^`]*`/g, (code) => ' '.repeat(code.length));
    for (const [, target] of text.matchAll(/\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)/g)) {
      found.push({ target, line: part.line });
    }
  }
  return found;
}
