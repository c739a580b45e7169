// Q, K, V: three tokens' vectors, each seen through three projections, and the scores of all for all. No softmax, no blend.

import { defineConcept, handle } from "../../_static/js/concept.js";
import { arrow, el, line, picture, rect, tensor, text } from "../../_static/js/svg.js";

const TOKENS = ["old", "fox", "ran"];
const COLOURS = ["var(--course-blue)", "var(--course-orange)", "var(--course-green)"];

/** A projection (C, D) = (2, 2) that turns a row vector to the left by so many degrees: x W. */
export function turning(degrees) {
  const cos = Math.cos(degrees * Math.PI / 180), sin = Math.sin(degrees * Math.PI / 180);
  return [[cos, sin], [-sin, cos]];
}

/** Rows times a matrix: (T, C) @ (C, D) → (T, D). */
export function project(rows, matrix) {
  return rows.map((row) => matrix[0].map((_, d) => row.reduce((sum, value, c) => sum + value * matrix[c][d], 0)));
}

export function compute({ x, q, k, v }) {
  const queries = project(x, turning(q)), keys = project(x, turning(k)), values = project(x, turning(v));
  const scores = queries.map((query) => keys.map((key) => query[0] * key[0] + query[1] * key[1])); // (T, S)
  const apart = Math.max(...scores.flatMap((row, t) => row.map((score, s) => Math.abs(score - scores[s][t]))));
  return { queries, keys, values, scores, apart };
}

/** Rows as arrows in a circle of radius 1. Returns the drawing and the place of each tip. */
function view(cx, cy, radius, rows, title) {
  const drawn = el("g", {}, el("circle", { cx, cy, r: radius, fill: "none", stroke: "var(--course-faint)" }));
  const thin = { stroke: "var(--course-faint)", width: 1 };
  drawn.append(line(cx - radius, cy, cx + radius, cy, thin), line(cx, cy - radius, cx, cy + radius, thin));
  drawn.append(text(cx, cy - radius - 27, title, { weight: 600 }));
  const tips = rows.map(([a, b]) => [cx + radius * a, cy - radius * b]);
  tips.forEach(([tx, ty], t) => {
    const length = Math.hypot(...rows[t]) || 1, out = [rows[t][0] / length, rows[t][1] / length];
    drawn.append(arrow(cx, cy, tx, ty, { stroke: COLOURS[t], width: 3 }), text(tx + 15 * out[0], ty - 11 * out[1], TOKENS[t], { size: 12 }));
  });
  return { drawn, tips };
}

function draw({ queries, keys, values, scores }, { x }, set, narrow) {
  const svg = picture(narrow ? 340 : 640, narrow ? 552 : 366, "Four circles with three arrows each: the tokens, their queries, their keys, their values. Below them the scores of each token for each.");
  const radius = narrow ? 60 : 62, centres = narrow ? [[86, 106], [254, 106], [86, 284], [254, 284]] : [[84, 106], [242, 106], [400, 106], [558, 106]];
  const all = [[x, "tokens x"], [queries, "queries x W_Q"], [keys, "keys x W_K"], [values, "values x W_V"]];
  const [tokens, ...views] = all.map(([rows, title], i) => view(...centres[i], radius, rows, title));
  svg.append(...views.map(({ drawn }) => drawn), tokens.drawn);
  const moved = (t, [a, b]) => {
    const length = Math.max(1, Math.hypot(a, b)); // a vector stays in the circle
    set({ x: x.map((old, i) => (i === t ? [a / length, b / length].map((value) => Math.round(100 * value) / 100) : old)) });
  };
  tokens.tips.forEach(([tx, ty], t) => {
    const grip = el("g", {}, rect(tx - 15, ty - 15, 30, 30, { opacity: 0 }), el("circle", { cx: tx, cy: ty, r: 5, fill: COLOURS[t], stroke: "var(--course-ink)" }));
    svg.append(handle(grip, {
      name: t, label: `vector of ${TOKENS[t]}`, value: x[t].map((value) => value.toFixed(2)).join(", "),
      keys: (dx, dy) => moved(t, [x[t][0] + 0.05 * dx, x[t][1] + 0.05 * dy]),
      move: (px, py) => moved(t, [(px - centres[0][0]) / radius, (centres[0][1] - py) / radius]),
    }));
  });
  const left = narrow ? 130 : 150, top = narrow ? 402 : 216;
  svg.append(tensor(scores, { x: left, y: top, cell: 40, low: -1, high: 1, numbers: 2, rows: TOKENS.map((token) => `query of ${token}`), columns: TOKENS, name: "scores (T, S)" }));
  const note = narrow ? [] : ["Row t, column s:", "the query of token t times", "the key of token s."];
  note.forEach((words, i) => svg.append(text(left + 148, top + 30 + 20 * i, words, { anchor: "start", size: 12 })));
  svg.append(text(left + 126, top - 9, "← keys of", { anchor: "start", size: 12 }));
  return svg;
}

/** A number with a true minus sign. */
function signed(value, digits = 2) {
  return value.toFixed(digits).replace(/^-(0\.?0*)$/, "$1").replace("-", "−");
}

function tell({ scores, apart }) {
  const told = `“old” scores “fox” ${signed(scores[0][1])}, “fox” scores “old” ${signed(scores[1][0])}.`;
  return `${told} ${apart < 0.005 ? "Every score equals its mirror: the matrix is symmetric." : `A score and its mirror differ by up to ${apart.toFixed(2)}.`}`;
}

export const START = { x: [[0.9, 0.1], [0.3, 0.8], [-0.7, 0.5]], q: 0, k: 60, v: -45 };

/** The angle of W_Q, to a degree, at which "old" scores "fox" highest, with all else as at the start. */
export function sharpest() {
  const score = (q) => compute({ ...START, q }).scores[0][1];
  return Array.from({ length: 360 }, (_, i) => i - 179).reduce((best, q) => (score(q) > score(best) ? q : best));
}

const degrees = (angle) => `${String(angle).replace("-", "−")}°`;
const angle = (name, label) => ({ name, label, kind: "range", min: -180, max: 180, step: 5, show: degrees });

defineConcept("qkv-three-views", {
  start: START,
  controls: [
    angle("q", "Turn W_Q"), angle("k", "Turn W_K"), angle("v", "Turn W_V"),
    { name: "same", label: "Make W_Q = W_K", kind: "button", press: ({ k }) => ({ q: k }) },
  ],
  compute, draw, tell,
  question: {
    ask: "From the start (press Reset), turn W_Q alone: at which angle does “old” score “fox” highest? (in degrees, to 5)",
    judge(reply) {
      if (Math.abs(reply) > 180) return { right: false, why: "Give an angle from −180 to 180 degrees." };
      const { scores } = compute({ ...START, q: reply }), best = sharpest(), off = Math.abs(((reply - best + 540) % 360) - 180);
      const told = `At ${degrees(reply)} “old” scores “fox” ${signed(scores[0][1])}, and “fox” scores “old” ${signed(scores[1][0])}.`;
      if (off <= 5) return { right: true, why: `${told} The query of “old” points along the key of “fox”; the other way round nothing was aligned. Looking is one-way.` };
      if (Math.abs(reply - START.k) <= 5) return { right: false, why: `${told} With W_Q = W_K both ways score the same, and a token looks for what resembles it.` };
      const ahead = compute({ ...START, q: reply + 1 }).scores[0][1] > scores[0][1];
      return { right: false, why: `${told} It gets higher ${ahead ? "with a larger angle, counterclockwise" : "with a smaller angle, clockwise"}.` };
    },
  },
});
