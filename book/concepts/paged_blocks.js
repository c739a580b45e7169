// A paged KV cache: a small allocator with block tables, reference counts and copy-on-write. It holds names of tokens, no keys.

import { defineConcept } from "../../_static/js/concept.js";
import { box, el, picture, rect, text } from "../../_static/js/svg.js";

const NAMES = ["A", "B", "C", "D"], SLOTS = 32, LONGEST = 16;
const COLOURS = { A: "var(--course-blue)", B: "var(--course-orange)", C: "var(--course-green)", D: "var(--course-pink)" };

/** A pool of 32 slots in blocks of `size`. refs: in how many tables a block stands; tokens: what its slots hold. */
export function emptyPool(size) {
  return { size, blocks: Array.from({ length: SLOTS / size }, () => ({ refs: 0, tokens: [] })), tables: {}, note: "" };
}

/** Takes a free block for one table, or returns -1 where none is free. */
function take(pool) {
  const free = pool.blocks.findIndex(({ refs }) => refs === 0);
  if (free >= 0) pool.blocks[free] = { refs: 1, tokens: [] };
  return free;
}

/** One table fewer lists the block; what nobody lists is free again. */
function release(pool, at) {
  const block = pool.blocks[at];
  block.refs -= 1;
  if (block.refs === 0) block.tokens = [];
}

/** Writes a sequence's next token. A full last block asks for a new one; a shared one is copied before it is written. */
function append(pool, who) {
  const table = pool.tables[who] ?? { blocks: [], length: 0 }, place = table.length % pool.size;
  if (table.length === LONGEST) return `${who} is as long as it may become.`;
  let at = table.blocks.at(-1), note = "";
  if (place === 0) {
    at = take(pool);
    if (at < 0) return `No block is free: ${who} has to wait.`;
    table.blocks.push(at);
    note = `${who} gets block ${at}.`;
  } else if (pool.blocks[at].refs > 1) {
    const copy = take(pool);
    if (copy < 0) return `No block is free for a copy: ${who} has to wait.`;
    pool.blocks[copy].tokens = pool.blocks[at].tokens.slice(0, place);
    release(pool, at);
    table.blocks[table.blocks.length - 1] = copy;
    note = `Block ${at} is shared, so ${who} writes into a copy, block ${copy}.`;
    at = copy;
  }
  pool.blocks[at].tokens.push(`${who}${table.length}`);
  table.length += 1;
  pool.tables[who] = table;
  return note || `${who} writes into block ${at}.`;
}

/** A new sequence with the tokens of another: its table is copied, its blocks are not. */
function share(pool, who) {
  const to = NAMES.find((name) => !pool.tables[name]), from = pool.tables[who];
  if (!from) return `${who} has no tokens to share.`;
  if (!to) return "All four names are taken: finish a sequence first.";
  for (const at of from.blocks) pool.blocks[at].refs += 1;
  pool.tables[to] = { blocks: [...from.blocks], length: from.length };
  return `${to} begins with the tokens of ${who}: no block was taken.`;
}

function finish(pool, who) {
  if (!pool.tables[who]) return `${who} has no tokens.`;
  for (const at of pool.tables[who].blocks) release(pool, at);
  delete pool.tables[who];
  return `${who} is finished; blocks that nobody else lists are free.`;
}

const DO = { append, share, finish };

/** The pool after a list of [what, who], from an empty one: the same list can be replayed with any block size. */
export function replay(done, size) {
  const pool = emptyPool(size);
  for (const [what, who] of done) pool.note = DO[what](pool, who);
  return pool;
}

export function compute({ done, size }) {
  const pool = replay(done, size), used = pool.blocks.filter(({ refs }) => refs > 0), lengths = Object.values(pool.tables).map(({ length }) => length);
  const filled = used.reduce((sum, { tokens }) => sum + tokens.length, 0), tokens = lengths.reduce((a, b) => a + b, 0);
  return { pool, used: used.length, filled, wasted: used.length * size - filled, tokens, reserved: lengths.length * LONGEST, reservedWaste: lengths.length * LONGEST - tokens };
}

function draw(values, _state, _set, narrow) {
  const words = "Four block tables, the memory's blocks with the tokens in their slots, and two bars: slots filled and empty in blocks, and with one reservation for each sequence.";
  const svg = narrow ? picture(340, 470, words) : picture(640, 268, words);
  svg.append(tables(values.pool, 6, 14), memory(values.pool, narrow ? 6 : 356, narrow ? 166 : 14), bars(values, narrow ? [6, 408, 330] : [6, 196, 310]));
  return svg;
}

function tables({ tables: all }, left, top) {
  const drawn = el("g", {}, text(left, top, "block tables", { anchor: "start", size: 12 }));
  NAMES.forEach((name, row) => {
    const y = top + 14 + 32 * row, blocks = all[name]?.blocks ?? [], width = Math.min(34, 290 / Math.max(1, blocks.length));
    drawn.append(text(left + 8, y + 14, name, { weight: 600 }));
    if (!blocks.length) drawn.append(text(left + 26, y + 14, "no sequence", { anchor: "start", size: 11 }));
    blocks.forEach((at, i) => drawn.append(box(left + 24 + width * i, y + 1, width - 2, 26, COLOURS[name]), text(left + 23 + width * (i + 0.5), y + 14, at, { size: width < 20 ? 10 : 12 })));
  });
  return drawn;
}

/** Four rows of eight slots; a frame round each block, its number and how many tables list it above. */
function memory({ blocks, size }, left, top) {
  const drawn = el("g", {}, text(left, top, "memory", { anchor: "start", size: 12 })), slot = 33;
  blocks.forEach(({ refs, tokens }, at) => {
    const row = Math.floor(at * size / 8), x = left + slot * ((at * size) % 8), y = top + 34 + 52 * row, width = slot * size - 5;
    drawn.append(text(x + 1, y - 7, refs > 1 ? `${at}: ${size > 2 ? `listed ${refs} times` : `×${refs}`}` : at, { anchor: "start", size: 11, weight: refs > 1 ? 700 : null }));
    const frame = rect(x, y, width, 26, { opacity: 0, stroke: refs ? "var(--course-ink)" : "var(--course-faint)", radius: 3 });
    frame.setAttribute("stroke-width", refs > 1 ? 3 : 1.2);
    const each = width / size;
    for (let i = 0; refs && i < size; i += 1) {
      const token = tokens[i], colour = token ? COLOURS[token[0]] : "var(--course-faint)";
      drawn.append(rect(x + each * i + 1.5, y + 1.5, each - 3, 23, { fill: colour, opacity: token ? 0.35 : 0.3, radius: 2 }), text(x + each * (i + 0.5), y + 13.5, token ?? "–", { size: 11 }));
    }
    drawn.append(frame);
  });
  return drawn;
}

/** Slots that hold a token and slots that are taken and empty, in blocks and with a reservation of the longest for each. */
function bars({ filled, wasted, tokens, reservedWaste }, [left, top, width]) {
  const drawn = el("g"), unit = width / (NAMES.length * LONGEST);
  [["in blocks", filled, wasted], [`${LONGEST} slots reserved for each`, tokens, reservedWaste]].forEach(([name, full, empty], i) => {
    const y = top + 44 * i;
    drawn.append(text(left, y - 9, `${name}: ${full} filled, ${empty} empty`, { anchor: "start", size: 12 }));
    drawn.append(rect(left, y, unit * full, 14, {}), rect(left + unit * full, y + 0.5, unit * empty, 13, { fill: "var(--course-faint)", opacity: 0.4, stroke: "var(--course-ink)" }));
  });
  return drawn;
}

function tell({ pool, used, filled, wasted, reserved, reservedWaste }) {
  const fits = reserved > SLOTS ? `, and the ${SLOTS} slots would be too few` : "";
  return `${pool.note} ${used} of ${pool.blocks.length} blocks are in use: ${filled} slots are filled, ${wasted} empty. Reserved in one piece, ${LONGEST} for each sequence, ${reservedWaste} would be empty${fits}.`;
}

const times = (count, what, who) => Array.from({ length: count }, () => [what, who]);
const START = { done: [...times(6, "append", "A"), ...times(3, "append", "B")], size: 4, who: "A" };
const press = (what, count = 1) => ({ done, who }) => ({ done: [...done, ...times(count, what, who)] });

defineConcept("paged-blocks", {
  start: START,
  controls: [
    { name: "who", label: "Sequence", kind: "choice", options: NAMES.map((name) => [name, name]) },
    { name: "append", label: "Append a token", kind: "button", press: press("append") },
    { name: "four", label: "Append 4", kind: "button", press: press("append", 4) },
    { name: "share", label: "Share its tokens with a new one", kind: "button", press: press("share") },
    { name: "finish", label: "Finish", kind: "button", press: press("finish") },
    { name: "size", label: "Slots in a block", kind: "choice", options: [1, 2, 4, 8].map((size) => [size, String(size)]) },
  ],
  compute, draw, tell,
  question: {
    ask: "After Reset: let A share its tokens with C, then append a token to A and one to C. How many blocks are in use?",
    judge(reply) {
      const used = (...more) => compute({ ...START, done: [...START.done, ...more] }).used;
      const share = ["share", "A"], shared = used(share), first = used(share, ["append", "A"]), both = used(share, ["append", "A"], ["append", "C"]);
      if (reply === both) return { right: true, why: `Sharing leaves ${shared}. A writes first and copies its last block: ${first}. After that C is alone in the old one and writes there: ${both}.` };
      if (reply === shared) return { right: false, why: `Sharing itself takes none, that is ${shared}. But then A writes into a block that C lists too.` };
      if (reply === both + 1) return { right: false, why: "Only one of them has to copy: look at who is left in the old block." };
      return { right: false, why: `Sharing leaves ${shared} in use. Append to A, read what happened, then to C.` };
    },
  },
});
