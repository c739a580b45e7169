// What a block costs as the text grows: the products over pairs of tokens beside all others, and the scores' memory. It times nothing.

import { defineConcept, handle } from "../../_static/js/concept.js";
import { axes, box, el, line, path, picture, rect, short, text } from "../../_static/js/svg.js";

// Published widths and heads of blocks of one form: full heads, and a feed-forward network of four times the width.
export const MODELS = {
  small: { name: "GPT-2 small", C: 768, H: 12 },
  xl: { name: "GPT-2 XL", C: 1600, H: 25 },
  medium: { name: "GPT-3 6.7B", C: 4096, H: 32 },
  large: { name: "GPT-3 175B", C: 12288, H: 96 },
};

/** Multiply-adds of one block on T tokens. skip: pairs that the causal mask hides are not computed. */
export function blockCost(T, C, skip = false) {
  const pairs = skip ? T * (T + 1) / 2 : T * T;
  const scores = pairs * C, blend = pairs * C; // QKᵀ, and the weights with V: H heads of D numbers are C numbers
  const projections = 4 * T * C * C, feedForward = 2 * T * C * (4 * C);
  return { quadratic: scores + blend, rest: projections + feedForward };
}

/** The length at which the pairs cost as much as the rest: 2 T² C = 12 T C², with (T + 1) / 2 for one T where half is skipped. */
export function overtake(C, skip = false) {
  return skip ? 12 * C - 1 : 6 * C;
}

/** Bytes of one layer's scores if they are all stored, in numbers of two bytes. */
export function scoreBytes(T, H) {
  return H * T * T * 2;
}

export function compute({ model, length, skip }) {
  const { C, H } = MODELS[model], T = Math.round(2 ** length), cost = blockCost(T, C, skip);
  return { T, C, H, ...cost, share: cost.quadratic / (cost.quadratic + cost.rest), crossing: overtake(C, skip), scores: scoreBytes(T, H) };
}

const [SHORTEST, LONGEST] = [7, 20];

function draw({ T, C, quadratic, rest, share, crossing }, { length, skip }, set, narrow) {
  const width = narrow ? 340 : 640, left = 60, span = width - left - 16;
  const svg = picture(width, 396, "Multiply-adds of a block against the number of tokens: a dashed line for the rest, a steeper solid line for the pairs, and a mark to move. Below it the shares at the mark.");
  const frame = axes({ left, top: 54, width: span, height: 220, x: [2 ** SHORTEST, 2 ** LONGEST], y: [1e7, 1e17], xScale: "log", yScale: "log", base: 2, yBase: 1000, xTitle: "tokens", yTitle: narrow ? "" : "multiply-adds", format: (v) => (v >= 2 ** 20 ? `${v / 2 ** 20} Mi` : v >= 1024 ? `${v / 1024} Ki` : v), yFormat: (v) => short(v) });
  svg.append(frame.node, line(left, 10, left + 24, 10, { stroke: "var(--course-blue)", width: 3 }), text(left + 30, 10, "pairs of tokens: scores and blend", { anchor: "start", size: 12 }));
  svg.append(line(left, 28, left + 24, 28, { stroke: "var(--course-orange)", width: 3, dash: "6 4" }), text(left + 30, 28, "the rest: projections, feed-forward", { anchor: "start", size: 12 }));
  const lengths = Array.from({ length: LONGEST - SHORTEST + 1 }, (_, i) => 2 ** (SHORTEST + i));
  const curve = (part) => lengths.map((n) => [frame.x(n), frame.y(blockCost(n, C, skip)[part])]);
  svg.append(path(curve("rest"), { stroke: "var(--course-orange)", dash: "6 4", width: 2.5 }), path(curve("quadratic"), { width: 2.5 }));
  const meet = [frame.x(crossing), frame.y(blockCost(crossing, C, skip).rest)];
  svg.append(el("circle", { cx: meet[0], cy: meet[1], r: 7, fill: "none", stroke: "var(--course-ink)", "stroke-width": 1.5 }));
  const x = frame.x(T), moved = (to) => set({ length: Math.min(LONGEST, Math.max(SHORTEST, Math.round(8 * to) / 8)) });
  const grip = el("g", {}, rect(x - 14, 38, 28, 236, { opacity: 0 }), line(x, 50, x, 274, { width: 1.5 }), rect(x - 7, 40, 14, 14, { fill: "var(--course-ink)", radius: 7 }));
  for (const [cost, colour] of [[quadratic, "var(--course-blue)"], [rest, "var(--course-orange)"]]) grip.append(rect(x - 4.5, frame.y(cost) - 4.5, 9, 9, { fill: colour, stroke: "var(--course-ink)", radius: 4.5 }));
  svg.append(handle(grip, { name: "length", label: "number of tokens", value: String(T), keys: (dx, dy) => moved(length + (dx + dy) / 8), move: (to) => moved(SHORTEST + (LONGEST - SHORTEST) * (to - left) / span) }));
  const cut = span * share;
  svg.append(text(left, 332, `at ${T.toLocaleString("en")} tokens`, { anchor: "start", size: 12 }));
  svg.append(box(left, 344, cut, 34, "var(--course-blue)", cut > 70 ? `pairs ${percent(share)}` : ""), box(left + cut, 344, span - cut, 34, "var(--course-orange)", span - cut > 70 ? `rest ${percent(1 - share)}` : ""));
  return svg;
}

function percent(share) {
  return `${(100 * share).toFixed(share > 0.1 && share < 0.9 ? 0 : 1)} %`;
}

function tell({ T, C, H, quadratic, rest, share, scores }) {
  return `Width ${C}, ${T.toLocaleString("en")} tokens: pairs take ${short(quadratic)} multiply-adds, the rest ${short(rest)}; that is ${percent(share)} for the pairs. Stored in 16 bits, the scores of ${H} heads take ${short(scores, "B")} in each layer.`;
}

const START = { model: "small", length: 10, skip: false };

defineConcept("long-context-cost", {
  start: START,
  controls: [
    { name: "model", label: "Width", kind: "choice", options: Object.entries(MODELS).map(([key, { name, C }]) => [key, `${C} (${name})`]) },
    { name: "length", label: "Tokens", kind: "range", min: SHORTEST, max: LONGEST, step: 0.125, show: (n) => Math.round(2 ** n).toLocaleString("en") },
    { name: "skip", label: "Skip the pairs that the causal mask hides", kind: "switch" },
  ],
  compute, draw, tell,
  question: {
    ask: "Width 4096, every pair computed: at about how many tokens do the pairs cost as much as all the rest? (within a tenth)",
    judge(reply) {
      if (!(reply >= 1)) return { right: false, why: "Give a number of tokens, at least 1." };
      const { C } = MODELS.medium, { quadratic, rest } = blockCost(reply, C), near = (length) => Math.abs(reply / length - 1) <= 0.1;
      const told = `At ${reply.toLocaleString("en")} tokens the pairs take ${short(quadratic)} multiply-adds, the rest ${short(rest)}.`;
      if (near(overtake(C))) return { right: true, why: `${told} 2 T² C and 12 T C² are equal at T = 6 C, so a wider model notices its length later.` };
      if (near(overtake(C, true))) return { right: false, why: `${told} This is where they meet when the masked half is skipped.` };
      return { right: false, why: quadratic < rest ? `${told} The text can be longer.` : `${told} They met at a shorter text.` };
    },
  },
});
