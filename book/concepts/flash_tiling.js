// FlashAttention's online softmax: keys are read in tiles, and maximum, sum and output are kept right. No memory is timed, no mask.

import { defineConcept } from "../../_static/js/concept.js";
import { axes, cividis, el, line, picture, rect, text } from "../../_static/js/svg.js";

const COLOURS = ["var(--course-blue)", "var(--course-orange)", "var(--course-green)", "var(--course-pink)"];

// Queries (T, D), keys and values (S, D) that look random and are the same for everybody.
const rows = (count, seed) => Array.from({ length: count }, (_, i) => [0, 1].map((j) => 2 * Math.sin(seed + 2.3 * i * (j + 1) + 1.1 * j)));
export const Q = rows(4, 0.5), K = rows(12, 2.2), V = rows(12, 2.9);

const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
const scoresOf = (q, keys) => keys.map((k) => dot(q, k) / Math.sqrt(q.length));

/** Attention as it is defined: all scores of a query at once. (T, D), (S, D), (S, D) -> (T, D) */
export function plain(queries, keys, values) {
  return queries.map((q) => {
    const scores = scoresOf(q, keys), high = Math.max(...scores), raised = scores.map((score) => Math.exp(score - high));
    const sum = raised.reduce((a, b) => a + b, 0);
    return values[0].map((_, d) => raised.reduce((mixed, weight, s) => mixed + weight * values[s][d], 0) / sum);
  });
}

/** One query's { m: maximum, l: sum, o: mixed values, not yet divided } after one more tile of keys and values. */
export function update({ m, l, o }, q, keys, values) {
  const scores = scoresOf(q, keys), high = Math.max(m, ...scores);
  const rescale = Math.exp(m - high); // e to -infinity is 0: before the first tile there is nothing to keep
  const raised = scores.map((score) => Math.exp(score - high));
  return {
    m: high, rescale,
    l: l * rescale + raised.reduce((a, b) => a + b, 0),
    o: o.map((kept, d) => kept * rescale + raised.reduce((mixed, weight, s) => mixed + weight * values[s][d], 0)),
  };
}

/** What every query keeps before the first tile and after each: tiles + 1 lists of T. The last tile may be shorter. */
export function tiled(queries, keys, values, tile) {
  const kept = [queries.map(() => ({ m: -Infinity, rescale: 1, l: 0, o: values[0].map(() => 0) }))];
  for (let from = 0; from < keys.length; from += tile) {
    kept.push(kept.at(-1).map((before, t) => update(before, queries[t], keys.slice(from, from + tile), values.slice(from, from + tile))));
  }
  return kept;
}

export function compute({ tile, step }) {
  const kept = tiled(Q, K, V, tile), tiles = kept.length - 1, done = Math.min(step, tiles), now = kept[done], truth = plain(Q, K, V);
  const outputs = now.map(({ l, o }) => o.map((mixed) => (l ? mixed / l : 0)));
  const gap = Math.max(...outputs.flatMap((row, t) => row.map((value, d) => Math.abs(value - truth[t][d]))));
  return { scores: Q.map((q) => scoresOf(q, K)), tiles, done, now, outputs, truth, gap, from: (done - 1) * tile, to: Math.min(done * tile, K.length) };
}

function draw(values, _state, _set, narrow) {
  const words = "Scores of four queries for twelve keys, of which one tile is held. Below, each query's maximum, sum and rescaling. On a plane, the outputs so far as dots and plain attention's as rings.";
  const svg = narrow ? picture(340, 606, words) : picture(640, 320, words);
  svg.append(grid(values), table(values, 182), narrow ? plane(values, 30, 336, 290, 220) : plane(values, 386, 14, 240, 264));
  return svg;
}

const CELL = 25, LEFT = 30, TOP = 36;

function grid({ scores, done, from, to }) {
  const drawn = el("g"), flat = scores.flat(), low = Math.min(...flat), high = Math.max(...flat);
  drawn.append(text(LEFT, 10, "scores of the queries for the keys", { anchor: "start", size: 12 }));
  scores.forEach((row, t) => {
    drawn.append(text(LEFT - 8, TOP + (t + 0.5) * CELL, `q${t}`, { anchor: "end", size: 11 }));
    row.forEach((score, s) => {
      const held = done > 0 && s >= from && s < to, gone = s < from, share = (score - low) / (high - low);
      const [x, y] = [LEFT + s * CELL, TOP + t * CELL];
      const cell = rect(x + 0.5, y + 0.5, CELL - 2, CELL - 2, { fill: held ? cividis(share) : "var(--course-faint)", opacity: held ? 1 : gone ? 0.5 : 0, stroke: held || gone ? "none" : "var(--course-faint)", radius: 2 });
      drawn.append(cell);
      if (held) drawn.append(text(x + CELL / 2 - 0.5, y + CELL / 2, signed(score, 1), { size: 10, fill: share < 0.55 ? "#fff" : "#000" }));
    });
  });
  K.forEach((_, s) => drawn.append(text(LEFT + (s + 0.5) * CELL, TOP - 9, s, { size: 11 })));
  if (done > 0) drawn.append(rect(LEFT + from * CELL - 1.5, TOP - 1.5, (to - from) * CELL + 1.5, 4 * CELL + 1.5, { opacity: 0, stroke: "var(--course-ink)", radius: 3 }));
  const [middle, y] = [LEFT + (from + to) * CELL / 2, TOP + 4 * CELL + 12];
  drawn.append(text(done ? Math.min(LEFT + 250, Math.max(LEFT + 50, middle)) : LEFT + 150, y, done ? "in fast memory" : "no tile read yet", { size: 12 }));
  return drawn;
}

function table({ now, outputs, done }, top) {
  const drawn = el("g"), columns = [LEFT + 55, LEFT + 120, LEFT + 185, LEFT + 258];
  ["maximum", "sum", "old kept ×", "output"].forEach((name, i) => drawn.append(text(columns[i], top, name, { size: 12 })));
  drawn.append(line(LEFT - 26, top + 13, LEFT + 300, top + 13, { width: 1, stroke: "var(--course-faint)" }));
  now.forEach(({ m, l, rescale }, t) => {
    const y = top + 30 + 25 * t, shown = done ? [signed(m), l.toFixed(2), rescale.toFixed(2), outputs[t].map((value) => signed(value)).join(", ")] : ["−∞", "0", "", ""];
    drawn.append(el("circle", { cx: LEFT - 20, cy: y, r: 5, fill: COLOURS[t] }), text(LEFT - 2, y, `q${t}`, { size: 12 }));
    shown.forEach((words, i) => drawn.append(text(columns[i], y, words, { size: 12, weight: i === 2 && done > 1 && rescale < 1 ? 700 : null })));
  });
  return drawn;
}

function plane({ outputs, truth, done }, left, top, width, height) {
  const frame = axes({ left, top, width, height, x: [-2, 2], y: [-2, 2], format: signed0, xTitle: "" });
  frame.node.append(...V.map(([x, y]) => rect(frame.x(x) - 2.5, frame.y(y) - 2.5, 5, 5, { fill: "var(--course-faint)", stroke: "var(--course-ink)" })));
  truth.forEach(([x, y], t) => frame.node.append(el("circle", { cx: frame.x(x), cy: frame.y(y), r: 11, fill: "none", stroke: COLOURS[t], "stroke-width": 2.5 }), text(frame.x(x) + 21, frame.y(y), `q${t}`, { size: 11 })));
  if (done) {
    outputs.forEach(([x, y], t) => frame.node.append(line(frame.x(x), frame.y(y), frame.x(truth[t][0]), frame.y(truth[t][1]), { stroke: COLOURS[t], width: 1, dash: "3 3" }), el("circle", { cx: frame.x(x), cy: frame.y(y), r: 5, fill: COLOURS[t] })));
  }
  frame.node.append(text(left + width / 2, top + height + 32, "● output  ○ plain attention  □ value", { size: 11 }));
  return frame.node;
}

const signed = (value, digits = 2) => value.toFixed(digits).replace(/^-(?=0\.?0*$)/, "").replace("-", "−"); // no minus before a zero
const signed0 = (value) => String(value).replace("-", "−");

function tell({ tiles, done, now, gap, from, to }, { tile }) {
  if (!done) return `${tiles} tile${tiles > 1 ? "s" : ""} of at most ${tile} keys are to be read. Press Step.`;
  const rose = now.map(({ rescale }, t) => [t, rescale]).filter(([, rescale]) => rescale < 1);
  const told = done === 1 ? "It is the first: nothing is rescaled." : rose.length ? `A larger score rescales ${rose.map(([t, rescale]) => `q${t} by ${rescale.toFixed(2)}`).join(", ")}.` : "No maximum rises: nothing is rescaled.";
  const off = done === tiles ? `All read: the outputs are plain attention's, to ${gap < 1e-14 ? "the last digit or two" : gap.toExponential(0)}.` : `The outputs are off by at most ${gap.toFixed(2)}.`;
  return `Tile ${done} of ${tiles}, keys ${from} to ${to - 1}: ${4 * (to - from)} of ${4 * K.length} scores are held. ${told} ${off}`;
}

const count = (tile) => Math.ceil(K.length / tile);
const next = ({ tile, step }) => (step < count(tile) ? { step: step + 1 } : null);

/** How often query t's kept sum is multiplied by less than 1, the first tile left out. */
export function rescalings(tile, t) {
  return tiled(Q, K, V, tile).slice(2).filter((kept) => kept[t].rescale < 1).length;
}

defineConcept("flash-tiling", {
  start: { tile: 3, step: 0 },
  controls: [
    { name: "tile", label: "Keys in a tile", kind: "range", min: 1, max: K.length, step: 1 },
    { name: "back", label: "Back", kind: "button", press: ({ tile, step }) => ({ step: Math.max(0, Math.min(step, count(tile)) - 1) }) },
    { name: "step", label: "Step", kind: "button", press: (state) => next(state) ?? {} },
    { name: "play", label: "Play", kind: "play", advance: next, first: { step: 0 } },
  ],
  compute, draw, tell,
  question: {
    ask: "Tiles of 2 keys: how often is what q2 has kept multiplied by less than 1? (The first tile has nothing to keep.)",
    judge(reply) {
      const truth = rescalings(2, 2), maxima = tiled(Q, K, V, 2).slice(1).map((kept) => signed(kept[2].m));
      const told = `Its maximum after each tile: ${maxima.join(", ")}.`;
      if (reply === truth) return { right: true, why: `${told} Only where it rises is there anything to put right.` };
      if (reply === truth + 1) return { right: false, why: `${told} The first tile does not count: nothing was kept before it.` };
      return { right: false, why: `${told} Count how often it rises; where it stays, the factor is 1.` };
    },
  },
});
