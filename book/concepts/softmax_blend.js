// Softmax turns scores into a blend: three scores and a temperature, the weights, and the mixed value. No attention mask.

import { defineConcept, handle } from "../../_static/js/concept.js";
import { axes, box, line, picture, rect, text } from "../../_static/js/svg.js";

const KEYS = ["cat", "sat", "mat"];
const COLOURS = ["var(--course-blue)", "var(--course-orange)", "var(--course-green)"];
const VALUES = [-1, 0.5, 1]; // what each key hands over: one number, so that the blend is a place on a line

/** Softmax of scores / temperature, the largest score taken off first: no exponential overflows. */
export function softmax(scores, temperature = 1) {
  const high = Math.max(...scores), raised = scores.map((score) => Math.exp((score - high) / temperature));
  const sum = raised.reduce((a, b) => a + b, 0);
  return raised.map((value) => value / sum);
}

export function compute({ scores, temperature }) {
  const weights = softmax(scores, temperature);
  return {
    weights,
    blend: weights.reduce((sum, weight, i) => sum + weight * VALUES[i], 0),
    entropy: -weights.reduce((sum, weight) => sum + (weight > 0 ? weight * Math.log(weight) : 0), 0),
  };
}

function draw({ weights, blend }, { scores }, set) {
  const svg = picture(640, 300, "Left: three scores as bars that can be dragged. Right: their weights, and the blend of the values on a line.");
  const left = axes({ left: 56, top: 20, width: 200, height: 200, x: [0, 3], y: [-4, 4], yTitle: "score", format: (v) => (Number.isInteger(v) ? v : "") });
  svg.append(left.node.lastChild, line(56, left.y(0), 256, left.y(0)), line(56, 20, 56, 220));
  for (const value of [-4, -2, 0, 2, 4]) svg.append(line(52, left.y(value), 56, left.y(value)), text(47, left.y(value), value, { anchor: "end", size: 11 }));
  scores.forEach((score, i) => {
    const x = left.x(i + 0.5), top = left.y(Math.max(0, score)), height = Math.abs(left.y(score) - left.y(0));
    svg.append(rect(x - 22, top, 44, height, { fill: COLOURS[i], opacity: 0.85 }), text(x, 238, KEYS[i]));
    const moved = (to) => set({ scores: scores.map((s, j) => (j === i ? Math.min(4, Math.max(-4, Math.round(to * 10) / 10)) : s)) });
    svg.append(handle(rect(x - 26, left.y(score) - 7, 52, 14, { fill: "var(--course-ink)", opacity: 0.75, radius: 6 }), {
      name: i, label: `score of ${KEYS[i]}`, value: score.toFixed(1),
      keys: (dx, dy) => moved(score + 0.1 * (dx + dy)),
      move: (_, y) => moved(4 - (8 * (y - 20)) / 200),
    }));
  });
  let at = 330;
  svg.append(text(330, 20, "weights", { anchor: "start", size: 12 }));
  weights.forEach((weight, i) => {
    const width = 280 * weight;
    svg.append(box(at, 36, width, 44, COLOURS[i], width > 64 ? `${KEYS[i]} ${weight.toFixed(2)}` : ""));
    at += width;
  });
  const place = (value) => 330 + 280 * (value + 1) / 2;
  svg.append(text(330, 130, "the blend of the values", { anchor: "start", size: 12 }), line(330, 180, 610, 180));
  VALUES.forEach((value, i) => svg.append(rect(place(value) - 5, 175, 10, 10, { fill: COLOURS[i], radius: 5 }), text(place(value), 200, `${KEYS[i]} ${value}`, { size: 11 })));
  svg.append(line(place(blend), 152, place(blend), 180, { width: 3 }), text(place(blend), 144, blend.toFixed(2), { weight: 600 }));
  return svg;
}

function tell({ weights, blend, entropy }) {
  const shares = weights.map((weight, i) => `${KEYS[i]} ${(100 * weight).toFixed(1)} %`).join(", ");
  return `Weights: ${shares}. Blend ${blend.toFixed(2)}; entropy ${entropy.toFixed(2)} nats of at most ${Math.log(3).toFixed(2)}.`;
}

const START = { scores: [2, 1, -1], temperature: 1 };

/** The highest temperature at which the first of the starting scores still gets 90 % of the weight, by halving. */
export function coldest() {
  let [low, high] = [0.05, 4];
  for (let i = 0; i < 60; i += 1) {
    const middle = (low + high) / 2;
    if (compute({ scores: START.scores, temperature: middle }).weights[0] >= 0.9) low = middle;
    else high = middle;
  }
  return low;
}

defineConcept("softmax-blend", {
  start: START,
  controls: [{ name: "temperature", label: "Temperature", kind: "range", min: 0.05, max: 4, step: 0.05, show: (t) => t.toFixed(2) }],
  compute, draw, tell,
  question: {
    ask: "With the scores 2, 1 and -1: what is the highest temperature at which “cat” still gets 90 % of the weight? (to 0.05)",
    judge(reply) {
      const { weights } = compute({ scores: START.scores, temperature: reply });
      if (!(reply > 0)) return { right: false, why: "A temperature divides the scores: it has to be above 0." };
      const share = `At ${reply} it gets ${(100 * weights[0]).toFixed(1)} %.`;
      if (Math.abs(reply - coldest()) <= 0.05) return { right: true, why: `${share} Dividing by a number below 1 stretches the differences between scores.` };
      return { right: false, why: reply < coldest() ? `${share} It can be warmer.` : `${share} Too warm: differences shrink.` };
    },
  },
});
