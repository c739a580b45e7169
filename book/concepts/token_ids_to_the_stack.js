// Token ids to the stack: a text, its bytes merged into tokens, their ids, the rows that the ids fetch. No training, no positions.

import { defineConcept } from "../../_static/js/concept.js";
import { arrow, box, line, picture, rect, tensor, text } from "../../_static/js/svg.js";
import { MERGES } from "./merges_table.js";

const C = 5;
const ROWS_DRAWN = 20; // of a longer text, the first ones

// GPT-2's byte alphabet: printable bytes stand for themselves, the others for characters from U+0100 on. Its order gives the ids.
const bytesBetween = (first, last) => Array.from({ length: last - first + 1 }, (_, i) => first + i);
const PRINTABLE = [...bytesBetween(33, 126), ...bytesBetween(161, 172), ...bytesBetween(174, 255)];
const BYTES = [...PRINTABLE, ...bytesBetween(0, 255).filter((byte) => !PRINTABLE.includes(byte))];
const ID_OF_BYTE = new Map(BYTES.map((byte, id) => [byte, id]));
const CHARACTERS = BYTES.map((byte, id) => String.fromCodePoint(id < PRINTABLE.length ? byte : 256 + id - PRINTABLE.length));

// What each id stands for, in bytes; and the pairs of ids, with the id that a merge puts in their place.
const SPELLED = BYTES.map((byte) => [byte]), ID_OF_PAIR = new Map();
const idOf = new Map(CHARACTERS.map((character, id) => [character, id]));
for (const [left, right] of MERGES) {
  const pair = [idOf.get(left), idOf.get(right)];
  idOf.set(left + right, SPELLED.length);
  ID_OF_PAIR.set(pair.join(), SPELLED.length);
  SPELLED.push([...SPELLED[pair[0]], ...SPELLED[pair[1]]]);
}

// GPT-2's pattern: merges never cross the border between two pieces.
const PIECES = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/** The ids of a text with the first so many merges: in each piece the earliest learned pair is merged, until none is left. */
export function encode(words, merges = MERGES.length) {
  return (words.match(PIECES) ?? []).flatMap((piece) => {
    let ids = [...new TextEncoder().encode(piece)].map((byte) => ID_OF_BYTE.get(byte));
    for (;;) {
      const known = ids.slice(1).map((right, i) => ID_OF_PAIR.get(`${ids[i]},${right}`)).filter((id) => id < 256 + merges);
      if (known.length === 0) return ids;
      ids = merged(ids, Math.min(...known));
    }
  });
}

/** Ids with every pair that becomes `made` replaced, from left to right. */
function merged(ids, made) {
  const out = [];
  for (let i = 0; i < ids.length; i += 1) {
    const found = i + 1 < ids.length && ID_OF_PAIR.get(`${ids[i]},${ids[i + 1]}`) === made;
    out.push(found ? made : ids[i]);
    if (found) i += 1;
  }
  return out;
}

/** What an id stands for, to be read: a space is ␣, bytes that are no whole character are in hexadecimal. */
export function shown(id) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array(SPELLED[id])).replaceAll(" ", "␣").replaceAll(/\p{Cc}/gu, "␤");
  } catch {
    return SPELLED[id].map((byte) => byte.toString(16).toUpperCase()).join(" ");
  }
}

/** Row `id` of the table (V, C): numbers between −1 and 1 that look random and are always the same. */
export function embedding(id) {
  return Array.from({ length: C }, (_, c) => ((id * C + c + 1) * 2654435761 % 2 ** 32) / 2 ** 31 - 1);
}

export function compute({ words, merges }) {
  const ids = encode(words, merges);
  return { ids, tokens: ids.map(shown), x: ids.map(embedding), V: 256 + merges, bytes: new TextEncoder().encode(words).length, distinct: new Set(ids).size };
}

function draw({ ids, tokens, x, V }, _state, _set, narrow) {
  const at = narrow ? { token: 62, id: 84, table: 122, small: 6, x: 206, step: 18 } : { token: 112, id: 146, table: 226, small: 8, x: 396, step: 20 };
  const T = Math.min(ids.length, ROWS_DRAWN), top = 46, height = Math.max(230, T * at.step);
  const middle = at.table + C * at.small / 2, right = at.x + C * at.step, out = top + Math.max(T, 1) * at.step / 2;
  const svg = picture(narrow ? 340 : 640, top + height + 28, "From left to right: the tokens, their ids, the rows of the table that the ids fetch, and the same rows one below the other as the matrix x.");
  const heads = [[at.token - 30, "tokens", ""], [at.id, "ids", narrow ? "" : `(T,) = (${ids.length},)`], [middle, "table E", "(V, C)"], [at.x + C * at.step / 2, "x = E[ids]", `(T, C) = (${ids.length}, ${C})`]];
  for (const [place, head, size] of heads) svg.append(text(place, 12, head, { weight: 600 }), text(place, 30, size, { size: 11 }));
  svg.append(rect(at.table - 3, top - 3, C * at.small + 6, height + 6, { fill: "var(--course-faint)", opacity: 0.3, stroke: "var(--course-faint)" }));
  ids.slice(0, T).forEach((id, t) => {
    const y = top + (t + 0.5) * at.step, row = top + (id / V) * (height - at.small), twice = ids.indexOf(id) !== ids.lastIndexOf(id);
    const colour = twice ? "var(--course-orange)" : "var(--course-blue)", look = { stroke: colour, width: twice ? 2.5 : 1.2 };
    svg.append(line(at.id + 16, y, at.table - 3, row + at.small / 2, look), line(at.table + C * at.small + 3, row + at.small / 2, at.x - 4, y, look));
    svg.append(box(at.token - 58, y - at.step / 2 + 1, 58, at.step - 2, colour), text(at.token - 29, y, tokens[t], { size: 12 }), text(at.id, y, id, { size: 12 }));
    svg.append(tensor([x[t]], { x: at.table, y: row, cell: at.small, low: -1, high: 1 }));
  });
  svg.append(tensor(x.slice(0, T), { x: at.x, y: top, cell: at.step, low: -1, high: 1 }));
  if (ids.length > T) svg.append(text(at.x + C * at.step / 2, top + height + 14, `and ${ids.length - T} more rows`, { size: 12 }));
  svg.append(text(middle, top + height + 14, `${V} rows`, { size: 12 }), arrow(right + 2, out, right + 22, out));
  if (!narrow) svg.append(box(right + 26, top, 84, height, "var(--course-green)", "the stack"));
  return svg;
}

function tell({ ids, V, bytes, distinct }) {
  const again = distinct < ids.length ? ` ${distinct} different rows were fetched: equal ids (orange, thick lines) fetch the same one.` : "";
  return `${bytes} bytes became T = ${ids.length} tokens, so x is (${ids.length}, ${C}). The table has V = ${V} rows.${again}`;
}

const START = { words: "to be or not to be", merges: MERGES.length };
const ASKED = "the hat on the hat";

defineConcept("token-ids-to-the-stack", {
  start: START,
  controls: [
    { name: "words", label: "Text", kind: "text", longest: 32 },
    { name: "merges", label: "Merges", kind: "range", min: 0, max: MERGES.length, step: 16 },
  ],
  compute, draw, tell,
  question: {
    ask: `Type “${ASKED}”, with all ${MERGES.length} merges. How many different rows of the table does it fetch?`,
    judge(reply) {
      const { ids, tokens, distinct } = compute({ words: ASKED, merges: MERGES.length });
      const different = [...new Set(tokens)].map((token) => `“${token}”`).join(", ");
      const spelled = new Set(ASKED.split(" ")).size, letters = new Set(ASKED).size;
      if (reply === distinct) return { right: true, why: `${different}: ${ids.length} tokens, ${distinct} ids. “the” and “␣the” have different ids, so different rows, and nothing in an id says that they are alike.` };
      if (reply === ids.length) return { right: false, why: `${reply} is T, the rows of x. One id occurs twice there: it fetches the same row both times.` };
      if (reply === spelled) return { right: false, why: `There are ${reply} different words. But a space belongs to the token behind it: compare the ids of the first and the second “the”.` };
      if (reply === letters) return { right: false, why: `${reply} counts characters. Set Merges to 0: then each byte is a token.` };
      return { right: false, why: "Count the different numbers in the column of ids." };
    },
  },
});
