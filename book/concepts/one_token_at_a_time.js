// One token at a time: a distribution over the next token, one drawn from it, appended, and read again. No training, no cuts.

import { defineConcept } from "../../_static/js/concept.js";
import { box, el, line, picture, rect, text } from "../../_static/js/svg.js";
import { COUNTS, WORDS } from "./bigram_table.js";

const LONGEST = 60;

/** The probability of each word of the vocabulary behind a text, (V,): the counts behind its last word, divided by their sum. */
export function following(tokens) {
  const row = COUNTS[WORDS.indexOf(tokens.at(-1))], sum = row.reduce((a, b) => a + b, 0);
  return row.map((count) => count / sum);
}

/** The index that a number u from [0, 1) falls on, when the probabilities lie one behind the other on a line of length 1. */
export function drawnAt(probabilities, u) {
  let end = 0;
  for (let i = 0; i < probabilities.length; i += 1) {
    end += probabilities[i];
    if (u < end) return i;
  }
  return probabilities.findLastIndex((p) => p > 0); // u is so near 1 that rounding left no room
}

/** The index of the largest probability, the first of equals. */
export function likeliest(probabilities) {
  return probabilities.indexOf(Math.max(...probabilities));
}

export function compute({ tokens }) {
  const steps = tokens.slice(1).map((token, t) => following(tokens.slice(0, t + 1))[WORDS.indexOf(token)]);
  return { probabilities: following(tokens), steps, log: steps.reduce((sum, p) => sum + Math.log(p), 0) };
}

/** The last tokens of a text that fit into so many lines: [word, x, line, number of the token, width of its box] each. */
function placed(tokens, width, lines) {
  let x = 0, at = 0;
  const all = tokens.map((token, t) => {
    const wide = 9 * token.length + 16;
    if (x + wide > width) { x = 0; at += 1; }
    x += wide + 4;
    return [token, x - wide - 4, at, t, wide];
  });
  const first = Math.max(0, at - lines + 1);
  return all.filter(([, , on]) => on >= first).map(([token, left, on, t, wide]) => [token, left, on - first, t, wide]);
}

function draw({ probabilities }, { tokens }, _set, narrow) {
  const width = narrow ? 340 : 640, lines = narrow ? 3 : 2, top = 30 * lines + 34, columns = narrow ? 1 : 2;
  const rows = WORDS.length / columns, step = narrow ? 17 : 22; // on a phone the buttons below should stay in view
  const svg = picture(width, top + step * rows + 6, "Above, the text, token by token. Below, a bar for each word of the vocabulary: its probability of being the next token.");
  for (const [token, x, on, t, wide] of placed(tokens, width - 8, lines)) {
    const last = t === tokens.length - 1;
    svg.append(box(4 + x, 4 + 30 * on, wide, 24, last ? "var(--course-orange)" : "var(--course-blue)", token));
    if (last) svg.append(rect(4 + x, 4 + 30 * on, wide, 24, { fill: "none", stroke: "var(--course-ink)", radius: 2 }));
  }
  svg.append(text(4, top - 16, `probability of the next token after “${tokens.at(-1)}”`, { anchor: "start", size: 12, weight: 600 }));
  const best = likeliest(probabilities), length = width / columns - 122;
  WORDS.forEach((word, i) => {
    const x = 62 + Math.floor(i / rows) * (width / columns), y = top + step * (i % rows), p = probabilities[i];
    svg.append(el("g", {},
      text(x - 8, y + step / 2, word, { anchor: "end", size: narrow ? 12 : 13, weight: i === best ? 700 : null }),
      rect(x, y + 2, length * p, step - 4, { fill: i === best ? "var(--course-orange)" : "var(--course-blue)" }),
      text(x + length * p + 6, y + step / 2, p === 0 ? "never" : `${(100 * p).toFixed(1)} %`, { anchor: "start", size: 11 }),
      line(x, y, x, y + step)));
  });
  return svg;
}

/** “1 in 1,234”, with as many digits as anybody reads. */
function oneIn(log) {
  const n = Math.exp(-log);
  return n < 1e6 ? `1 in ${Number(n.toPrecision(3)).toLocaleString("en")}` : `1 in 10 to the ${Math.round(-log / Math.LN10)}`;
}

function tell({ probabilities, steps, log }, { tokens }) {
  const best = likeliest(probabilities), next = `After “${tokens.at(-1)}”, “${WORDS[best]}” is likeliest: ${(100 * probabilities[best]).toFixed(1)} %.`;
  if (steps.length === 0) return `${next} The model says nothing about what comes after that.`;
  const full = tokens.length >= LONGEST ? ` ${LONGEST} tokens are enough here.` : "";
  return `${next} The last token had ${(100 * steps.at(-1)).toFixed(1)} %; all ${steps.length} together, multiplied: ${oneIn(log)}.${full}`;
}

/** The text with one more token: the likeliest, or the one that the number u falls on. */
export function appended(tokens, u = null) {
  if (tokens.length >= LONGEST) return tokens;
  const probabilities = following(tokens);
  return [...tokens, WORDS[u === null ? likeliest(probabilities) : drawnAt(probabilities, u)]];
}

const START = { tokens: ["the"] };

/** Always the likeliest token from the start on, until one comes again: the text, and after how many tokens it repeats. */
export function greedyLoop() {
  let tokens = appended(START.tokens);
  while (tokens.indexOf(tokens.at(-1)) === tokens.length - 1) tokens = appended(tokens);
  return { tokens, period: tokens.length - 1 - tokens.indexOf(tokens.at(-1)) };
}

defineConcept("one-token-at-a-time", {
  start: START,
  controls: [
    { name: "draw", label: "Draw a token", kind: "button", press: ({ tokens }) => ({ tokens: appended(tokens, Math.random()) }) },
    { name: "greedy", label: "Take the likeliest", kind: "button", press: ({ tokens }) => ({ tokens: appended(tokens) }) },
    { name: "back", label: "Take one back", kind: "button", press: ({ tokens }) => ({ tokens: tokens.length > 1 ? tokens.slice(0, -1) : tokens }) },
  ],
  compute, draw, tell,
  question: {
    ask: "Press Reset, then take the likeliest token again and again. The text ends up in a loop: of how many tokens?",
    judge(reply) {
      const { tokens, period } = greedyLoop(), first = tokens.length - 1 - period, loop = tokens.slice(first, -1);
      if (!Number.isInteger(reply) || reply < 1) return { right: false, why: "Count tokens: 1, 2, 3, ... The full stop is one." };
      if (reply === period) return { right: true, why: `“${loop.join(" ")}”, for ever. The same text read gives the same distribution, and its largest entry is the same; here the last token is all that is read. Drawing gets out of it.` };
      if (reply % period === 0) return { right: false, why: `After ${reply} tokens it has repeated, but not for the first time.` };
      if (reply === tokens.length - 1) return { right: false, why: `${reply} is how many different tokens the text has. The first ${first} of them never come again.` };
      return { right: false, why: `Take a token of the loop, such as “${loop[0]}”: ${reply} tokens on stands “${loop[reply % period]}”, not “${loop[0]}”.` };
    },
  },
});
