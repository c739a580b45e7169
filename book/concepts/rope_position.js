// RoPE: a query and a key are turned by an angle that grows with the position, and their score knows only the distance.

import { defineConcept, handle } from "../../_static/js/concept.js";
import { arrow, axes, el, line, path, picture, rect, text } from "../../_static/js/svg.js";

const D = 16, BASE = 10000;

/** Radians that pair i turns from one position to the next. */
export function frequency(i, width = D, base = BASE) {
  return base ** (-2 * i / width);
}

/** A vector with each pair (i, i + D/2) turned by position times its frequency, as Llama pairs them. */
export function rotated(vector, position, base = BASE) {
  const half = vector.length / 2, out = Array(vector.length);
  for (let i = 0; i < half; i += 1) {
    const angle = position * frequency(i, vector.length, base), cos = Math.cos(angle), sin = Math.sin(angle);
    out[i] = vector[i] * cos - vector[i + half] * sin;
    out[i + half] = vector[i] * sin + vector[i + half] * cos;
  }
  return out;
}

export function score(query, key, at, of, base = BASE) {
  const q = rotated(query, at, base), k = rotated(key, of, base);
  return q.reduce((sum, value, i) => sum + value * k[i], 0) / Math.sqrt(query.length);
}

// One query and one key that point the same way in every pair: where nothing is turned, their score is the largest.
const ONES = Array(D).fill(1);

export function compute({ query, key, pair }) {
  const turns = (position) => position * frequency(pair);
  return {
    distance: query - key, queryAngle: turns(query), keyAngle: turns(key), score: score(ONES, ONES, query, key),
    curve: Array.from({ length: 129 }, (_, n) => score(ONES, ONES, n, 0)),
  };
}

function dial(x, y, radius, angle, colour, name) {
  const tip = [x + radius * Math.cos(angle), y - radius * Math.sin(angle)];
  return el("g", {}, el("circle", { cx: x, cy: y, r: radius, fill: "none", stroke: "var(--course-faint)" }), arrow(x, y, ...tip, { stroke: colour, width: 3 }), text(x, y + radius + 16, name));
}

function draw({ queryAngle, keyAngle, curve, distance }, { query, key }, set, narrow) {
  const svg = picture(narrow ? 340 : 640, narrow ? 440 : 280, "Left: one pair of the query and of the key as arrows, turned by their positions. Right: the score against the distance.");
  // The line of positions, with two handles.
  const [left, length] = [24, narrow ? 292 : 250], place = (t) => left + length * t / 128;
  svg.append(line(left, 30, left + length, 30));
  for (const [name, at, colour] of [["query", query, "var(--course-blue)"], ["key", key, "var(--course-orange)"]]) {
    const up = name === "query", y = up ? 18 : 42;
    const moved = (t) => set({ [name]: Math.min(128, Math.max(0, Math.round(t))) });
    const grip = el("g", {}, rect(place(at) - 16, y - 14, 32, 28, { opacity: 0 }), rect(place(at) - 5, y - 9, 10, 18, { fill: colour, radius: 4 }));
    svg.append(handle(grip, { name, label: `position of the ${name}`, value: String(at), keys: (dx, dy) => moved(at + dx + dy), move: (x) => moved(128 * (x - left) / length) }));
  }
  svg.append(text(left, 66, "0", { size: 11 }), text(left + length, 66, "position 128", { size: 11, anchor: "end" }));
  svg.append(dial(left + 60, 150, 52, queryAngle, "var(--course-blue)", `query at ${query}`), dial(left + 190, 150, 52, keyAngle, "var(--course-orange)", `key at ${key}`));
  const frame = axes({ left: narrow ? 48 : 352, top: narrow ? 258 : 20, width: narrow ? 268 : 264, height: narrow ? 130 : 190, x: [0, 128], y: [-2, 4], xTitle: "distance", yTitle: "score" });
  svg.append(frame.node, path(curve.map((value, n) => [frame.x(n), frame.y(value)])));
  const n = Math.abs(distance);
  svg.append(rect(frame.x(n) - 5, frame.y(curve[n]) - 5, 10, 10, { fill: "var(--course-ink)", radius: 5 }));
  return svg;
}

function tell({ distance, score: found, queryAngle, keyAngle }, { pair }) {
  const turn = ((queryAngle - keyAngle) * 180 / Math.PI).toFixed(0).replace("-", "−");
  return `Distance ${String(distance).replace("-", "−")}: score ${found.toFixed(2).replace("-", "−")}. In pair ${pair} the query stands ${turn} degrees ahead of the key; this pair needs ${Math.round(2 * Math.PI / frequency(pair)).toLocaleString("en")} positions for a whole turn.`;
}

defineConcept("rope-position", {
  start: { query: 40, key: 30, pair: 0 },
  controls: [
    { name: "pair", label: "Pair shown", kind: "range", min: 0, max: D / 2 - 1, step: 1 },
    { name: "shift", label: "Move both by 16", kind: "button", press: ({ query, key }) => (Math.max(query, key) + 16 <= 128 ? { query: query + 16, key: key + 16 } : {}) },
  ],
  compute, draw, tell,
  question: {
    ask: "Move both tokens by the same number of positions. What happens to their score?",
    options: [["same", "It stays"], ["falls", "It falls"], ["rises", "It rises"]],
    judge(reply) {
      const before = compute({ query: 40, key: 30, pair: 0 }).score, after = compute({ query: 56, key: 46, pair: 0 }).score, far = compute({ query: 56, key: 30, pair: 0 }).score;
      const told = `At 40 and 30 it is ${before.toFixed(3)}, at 56 and 46 it is ${after.toFixed(3)}.`, truth = Math.abs(before - after) < 1e-9 ? "same" : after > before ? "rises" : "falls";
      return reply === truth ? { right: true, why: `${told} Both arrows turned by the same angle, and a dot product sees only the angle between them.` } : { right: false, why: `${told} It is the distance that changes it: at 56 and 30 it is ${far.toFixed(3)}.` };
    },
  },
});
