// Causal mask patterns: which pairs are visible, and after how many layers word of a token reaches another. No weights, no scores.

import { defineConcept, handle } from "../../_static/js/concept.js";
import { el, line, path, picture, rect, text } from "../../_static/js/svg.js";

const T = 12;

// Does token t see token s at or before it? distance is t - s, and 0 is the token itself.
const SEES = {
  full: () => true,
  window: (distance, t, s, { W }) => distance < W,
  dilated: (distance, t, s, { W, stride }) => distance % stride === 0 && distance < W * stride,
  strided: (distance, t, s, { W, stride }) => distance < W || distance % stride === 0,
  global: (distance, t, s, { W, global }) => distance < W || s === global || t === global,
};

/** The mask (T, T) of a pattern: true where row t may see column s. Nothing that comes later is ever visible. */
export function mask(pattern, told, tokens = T) {
  return Array.from({ length: tokens }, (_, t) => Array.from({ length: tokens }, (_, s) => s <= t && SEES[pattern](t - s, t, s, told)));
}

/** The product of two boolean matrices: is there a token in between? */
function then(first, second) {
  return first.map((row) => row.map((_, s) => row.some((seen, middle) => seen && second[middle][s])));
}

/** After how many layers row t has heard of column s: the lowest power of the mask that holds the pair; null is never. */
export function layersNeeded(seen) {
  const needed = seen.map((row) => row.map(() => null));
  let power = seen;
  for (let layer = 1; layer <= seen.length; layer += 1) {
    power.forEach((row, t) => row.forEach((holds, s) => { if (holds && needed[t][s] === null) needed[t][s] = layer; }));
    power = then(power, seen);
  }
  return needed;
}

/** The tokens that word passes on a shortest way from s to t, both ends included; empty where there is none. */
export function route(seen, needed, t, s) {
  if (needed[t][s] === null) return [];
  const way = [t];
  for (let left = needed[t][s]; left > 1; left -= 1) {
    const at = way[0];
    way.unshift(seen[at].findIndex((holds, middle) => holds && needed[middle][s] === left - 1));
  }
  return [s, ...way];
}

export function compute(state) {
  const seen = mask(state.pattern, state), needed = layersNeeded(seen);
  const causal = needed.flatMap((row, t) => row.slice(0, t + 1));
  return {
    seen, needed, pairs: seen.flat().filter(Boolean).length, all: T * (T + 1) / 2,
    way: route(seen, needed, state.query, state.key), unreached: causal.filter((layers) => layers === null).length, farthest: Math.max(...causal),
  };
}

const CELL = 25, LEFT = 26, TOP = 26;

function draw(values, state, set, narrow) {
  const words = "A grid of tokens that look, against tokens that are looked at. Beside it the shortest way of word from the chosen column to the chosen row, one layer a step.";
  const svg = narrow ? picture(340, 606, words) : picture(640, 350, words);
  svg.append(grid(values, state, set), narrow ? ladder(values, 26, 394, 300, 180) : ladder(values, 372, 54, 250, 240));
  return svg;
}

function grid({ seen, needed }, { query, key }, set) {
  const drawn = el("g"), moved = (t, s) => {
    const to = Math.min(T - 1, Math.max(0, t));
    set({ query: to, key: Math.min(to, Math.max(0, s)) }); // only what is past can be heard of
  };
  for (let t = 0; t < T; t += 1) {
    drawn.append(text(LEFT - 6, TOP + (t + 0.5) * CELL, t, { anchor: "end", size: 11 }), text(LEFT + (t + 0.5) * CELL, TOP - 9, t, { size: 11 }));
    for (let s = 0; s <= t; s += 1) {
      const [x, y] = [LEFT + s * CELL, TOP + t * CELL], direct = seen[t][s];
      drawn.append(rect(x, y, CELL - 1.5, CELL - 1.5, { fill: direct ? "var(--course-blue)" : "var(--course-faint)", opacity: direct ? 1 : 0.35, radius: 2 }));
      drawn.append(text(x + CELL / 2 - 0.75, y + CELL / 2, needed[t][s] ?? "–", { size: 11, fill: direct ? "#fff" : "var(--course-ink)" }));
    }
  }
  drawn.append(text(LEFT + T * CELL / 2, TOP + T * CELL + 12, "looked at", { size: 12 }));
  const surface = rect(LEFT, TOP, T * CELL, T * CELL, { opacity: 0 });
  const cell = (x, y) => moved(Math.floor((y - TOP) / CELL), Math.floor((x - LEFT) / CELL));
  surface.addEventListener("click", (event) => {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(surface.getScreenCTM().inverse());
    cell(at.x, at.y);
  });
  const mark = el("g", {}, rect(LEFT + key * CELL - 2, TOP + query * CELL - 2, CELL + 2.5, CELL + 2.5, { opacity: 0, stroke: "var(--course-red)", radius: 4 }));
  mark.firstChild.setAttribute("stroke-width", 3);
  drawn.append(surface, handle(mark, { name: "pair", label: "chosen cell", value: `row ${query}, column ${key}`, keys: (dx, dy) => moved(query - dy, key + dx), move: cell }));
  return drawn;
}

/** Tokens from left to right, layers from bottom to top, and the way of word through them. */
function ladder({ way }, left, top, width, height) {
  const layers = Math.max(1, way.length - 1), x = (s) => left + 8 + (width - 16) * s / (T - 1), y = (layer) => top + height - height * layer / Math.max(3, layers);
  const drawn = el("g");
  for (let layer = 0; layer <= layers; layer += 1) {
    for (let s = 0; s < T; s += 1) drawn.append(el("circle", { cx: x(s), cy: y(layer), r: 2.5, fill: "var(--course-faint)" }));
  }
  for (let s = 0; s < T; s += 1) drawn.append(text(x(s), top + height + 18, s, { size: 11 }));
  drawn.append(text(left, y(layers) - 20, way.length ? `${layers} layer${layers > 1 ? "s" : ""}, from bottom to top` : "no way through any number of layers", { anchor: "start", size: 12 }));
  drawn.append(path(way.map((s, layer) => [x(s), y(layer)]), { stroke: "var(--course-red)", width: 2.5 }));
  way.forEach((s, layer) => drawn.append(el("circle", { cx: x(s), cy: y(layer), r: 5, fill: "var(--course-red)" })));
  drawn.append(line(left, y(0) + 7, left + width, y(0) + 7, { stroke: "var(--course-faint)", width: 1 }));
  return drawn;
}

function tell({ pairs, all, way, unreached, farthest }, { query, key }) {
  const arrives = way.length ? `Word of token ${key} reaches token ${query} after ${way.length - 1} layer${way.length > 2 ? "s" : ""}: ${way.join(" → ")}.` : `Word of token ${key} never reaches token ${query}.`;
  const rest = unreached ? `${unreached} pairs never meet.` : `No pair needs more than ${farthest}.`;
  return `${pairs} of ${all} causal pairs are computed, ${(100 * pairs / all).toFixed(0)} %. ${arrives} ${rest}`;
}

const START = { pattern: "window", W: 3, stride: 3, global: 6, query: T - 1, key: 0 };

defineConcept("sparse-attention", {
  start: START,
  controls: [
    { name: "pattern", label: "Pattern", kind: "choice", options: [["full", "Full"], ["window", "Window"], ["dilated", "Dilated window"], ["strided", "Window and every stride-th"], ["global", "Window and a global token"]] },
    { name: "W", label: "Window W", kind: "range", min: 1, max: T, step: 1, when: ({ pattern }) => pattern !== "full" },
    { name: "stride", label: "Stride", kind: "range", min: 2, max: 6, step: 1, when: ({ pattern }) => pattern === "dilated" || pattern === "strided" },
    { name: "global", label: "Global token", kind: "range", min: 0, max: T - 1, step: 1, when: ({ pattern }) => pattern === "global" },
  ],
  compute, draw, tell,
  question: {
    ask: "A window of W = 4 and nothing else: after how many layers has token 11 heard of token 0?",
    judge(reply) {
      if (!Number.isInteger(reply) || reply < 1) return { right: false, why: "Layers come whole: 1, 2, 3, ..." };
      const { needed } = compute({ ...START, W: 4 }), truth = needed[T - 1][0];
      const first = needed[T - 1].findIndex((layers) => layers !== null && layers <= reply);
      const told = `After ${reply} layer${reply > 1 ? "s" : ""} token 11 has heard of the tokens from ${first} on.`;
      if (reply === truth) return { right: true, why: `${told} A window of W counts the token itself, so each layer reaches W − 1 further back.` };
      if (reply > truth) return { right: false, why: `${told} It was enough after fewer.` };
      return { right: false, why: `${told}${reply === T / 4 ? " Tokens divided by W is too few: the window counts the token itself." : ""} Word of token 0 is still on its way.` };
    },
  },
});
