// Relevance scoring: the matrix of scores is every query's dot product with every key, over the square root of D. No softmax here.

import { defineConcept, handle } from "../../_static/js/concept.js";
import { arrow, el, line, picture, tensor, text } from "../../_static/js/svg.js";

const WORDS = ["it", "the cat", "sat"];

/** Q Kᵀ / √D: queries (T, D) and keys (S, D) to scores (T, S). */
export function scores(Q, K) {
  return Q.map((q) => K.map((k) => q.reduce((sum, value, i) => sum + value * k[i], 0) / Math.sqrt(q.length)));
}

export function compute({ query, keys }) {
  const row = scores([query], keys)[0], best = row.indexOf(Math.max(...row));
  const size = (v) => Math.hypot(...v), angle = (a, b) => Math.acos(Math.min(1, Math.max(-1, a.reduce((s, v, i) => s + v * b[i], 0) / (size(a) * size(b) || 1)))) * 180 / Math.PI;
  return { row, best, angles: keys.map((key) => angle(query, key)), sizes: keys.map(size) };
}

function plane(narrow) {
  const [x, y, unit] = [narrow ? 170 : 160, 150, 42];
  return { x, y, unit, at: ([a, b]) => [x + unit * a, y - unit * b], back: (px, py) => [(px - x) / unit, (y - py) / unit] };
}

function draw({ row, best }, { query, keys }, set, narrow) {
  const svg = picture(narrow ? 340 : 640, narrow ? 420 : 300, "Left: a query and three keys as arrows in a plane; their tips can be dragged. Right: their scores as a row of the score matrix.");
  const p = plane(narrow);
  svg.append(line(p.x - 140, p.y, p.x + 140, p.y, { stroke: "var(--course-faint)" }), line(p.x, p.y - 140, p.x, p.y + 140, { stroke: "var(--course-faint)" }));
  const tip = (name, label, vector, colour, moved) => {
    const [x, y] = p.at(vector), clamp = (v) => Math.min(3.2, Math.max(-3.2, Math.round(v * 10) / 10));
    const grip = el("g", {}, el("circle", { cx: x, cy: y, r: 14, "fill-opacity": 0 }), el("circle", { cx: x, cy: y, r: 6, fill: colour }));
    svg.append(arrow(p.x, p.y, x, y, { stroke: colour, width: 3 }), text(x + (vector[0] < 0 ? -12 : 12), y - 12, label, { anchor: vector[0] < 0 ? "end" : "start", size: 12 }));
    svg.append(handle(grip, { name, label, value: `${vector[0].toFixed(1)}, ${vector[1].toFixed(1)}`, keys: (dx, dy) => moved([clamp(vector[0] + 0.1 * dx), clamp(vector[1] + 0.1 * dy)]), move: (px, py) => moved(p.back(px, py).map(clamp)) }));
  };
  keys.forEach((key, i) => tip(`k${i}`, `key of “${WORDS[i]}”`, key, "var(--course-orange)", (moved) => set({ keys: keys.map((k, j) => (j === i ? moved : k)) })));
  tip("q", "query of “it”", query, "var(--course-blue)", (moved) => set({ query: moved }));
  const [x, y] = narrow ? [70, 330] : [380, 110];
  svg.append(tensor([row], { x, y, cell: 64, low: -4, high: 4, numbers: 2, columns: WORDS, rows: ["it"] }));
  svg.append(text(x + 96, y + 84, `largest: “${WORDS[best]}”`, { size: 12 }));
  return svg;
}

function tell({ row, angles, sizes, best }) {
  return `“it” scores “${WORDS[best]}” highest, ${row[best].toFixed(2)}: their angle is ${angles[best].toFixed(0)} degrees, and that key is ${sizes[best].toFixed(1)} long. All scores: ${row.map((s) => s.toFixed(2)).join(", ")}.`.replaceAll("-", "−");
}

const START = { query: [2.4, 0.6], keys: [[0.3, 1.9], [1.6, 1.4], [-1.5, 1]] };

defineConcept("relevance-scoring", {
  start: START, controls: [], compute, draw, tell,
  question: {
    ask: "Keep every direction, and make only the key of “sat” longer. Can it become the most relevant one?",
    options: [["no", "Never"], ["yes", "Yes, if it is long enough"]],
    judge(reply) {
      const long = compute({ ...START, keys: [...START.keys.slice(0, 2), START.keys[2].map((v) => 2 * v)] }).row[2], short = compute(START).row[2];
      const told = `At twice the length its score goes from ${short.toFixed(2)} to ${long.toFixed(2)}.`.replaceAll("-", "−");
      return (reply === "no") === long < short ? { right: true, why: `${told} It points away from the query: length makes a score larger in size, and this one is negative.` } : { right: false, why: `${told} Drag it outward and watch the sign.` };
    },
  },
});
