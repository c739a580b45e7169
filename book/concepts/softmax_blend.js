// Softmax turns scores into a blend: three scores and a temperature, the weights, and the mixed value. No attention mask.

import { defineConcept, handle } from "../../_static/js/concept.js";
import { box, el, line, picture, rect, text } from "../../_static/js/svg.js";

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

function draw({ weights, blend }, { scores }, set, narrow) {
  const words = "Three scores as bars that can be dragged; their weights as shares of one bar; the blend of the values on a line.";
  const svg = narrow ? picture(340, 420, words) : picture(640, 260, words);
  svg.append(bars(scores, set));
  const [x, y] = narrow ? [30, 262] : [330, 20];
  let at = x;
  svg.append(text(x, y, "weights", { anchor: "start" }));
  weights.forEach((weight, i) => {
    const width = 280 * weight;
    svg.append(box(at, y + 14, width, 40, COLOURS[i], width > 64 ? `${KEYS[i]} ${weight.toFixed(2)}` : ""));
    at += width;
  });
  const place = (value) => x + 280 * (value + 1) / 2;
  svg.append(text(x, y + 80, "the blend of the values", { anchor: "start" }), line(x, y + 126, x + 280, y + 126));
  VALUES.forEach((value, i) => svg.append(rect(place(value) - 5, y + 121, 10, 10, { fill: COLOURS[i], radius: 5 }), text(place(value), y + 146, `${KEYS[i]} ${signed(value)}`, { size: 12 })));
  svg.append(line(place(blend), y + 106, place(blend), y + 126, { width: 3 }), text(place(blend), y + 97, signed(blend.toFixed(2)), { weight: 600 }));
  return svg;
}

/** The scores as bars, each with a handle at its end. */
function bars(scores, set) {
  const drawn = el("g"), top = 16, height = 200, y = (score) => top + height * (4 - score) / 8;
  drawn.append(line(56, y(0), 290, y(0)), line(56, top, 56, top + height), text(2, y(1), "score", { anchor: "start", size: 12 }));
  for (const value of [-4, -2, 0, 2, 4]) drawn.append(line(52, y(value), 56, y(value)), text(47, y(value), signed(value), { anchor: "end", size: 12 }));
  scores.forEach((score, i) => {
    const x = 98 + 72 * i, moved = (to) => set({ scores: scores.map((s, j) => (j === i ? Math.min(4, Math.max(-4, Math.round(to * 10) / 10)) : s)) });
    drawn.append(rect(x - 22, y(Math.max(0, score)), 44, Math.abs(y(score) - y(0)), { fill: COLOURS[i], opacity: 0.85 }), text(x, 232, KEYS[i]));
    // What is taken hold of is larger than what is seen: a finger is broad.
    const grip = el("g", {}, rect(x - 30, y(score) - 15, 60, 30, { opacity: 0 }), rect(x - 26, y(score) - 5, 52, 10, { fill: "var(--course-ink)", opacity: 0.75, radius: 5 }));
    drawn.append(handle(grip, {
      name: i, label: `score of ${KEYS[i]}`, value: score.toFixed(1),
      keys: (dx, dy) => moved(score + 0.1 * (dx + dy)),
      move: (_, to) => moved(4 - (8 * (to - top)) / height),
    }));
  });
  return drawn;
}

/** A number with a true minus sign. */
function signed(value) {
  return String(value).replace("-", "−");
}

function tell({ weights, blend, entropy }) {
  const shares = weights.map((weight, i) => `${KEYS[i]} ${(100 * weight).toFixed(1)} %`).join(", ");
  return `Weights: ${shares}. Blend ${signed(blend.toFixed(2))}; entropy ${entropy.toFixed(2)} nats of at most ${Math.log(3).toFixed(2)}.`;
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
    ask: "With the scores 2, 1 and −1: what is the highest temperature at which “cat” still gets 90 % of the weight? (to 0.05)",
    judge(reply) {
      const { weights } = compute({ scores: START.scores, temperature: reply });
      if (!(reply > 0)) return { right: false, why: "A temperature divides the scores: it has to be above 0." };
      const share = `At ${reply} it gets ${(100 * weights[0]).toFixed(1)} %.`;
      if (Math.abs(reply - coldest()) <= 0.05) return { right: true, why: `${share} Dividing by a number below 1 stretches the differences between scores.` };
      return { right: false, why: reply < coldest() ? `${share} It can be warmer.` : `${share} Too warm: differences shrink.` };
    },
  },
});
