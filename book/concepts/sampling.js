// Temperature, top-k and top-p: how a distribution over the next token is reshaped before a token is drawn. No penalties.

import { defineConcept } from "../../_static/js/concept.js";
import { el, line, picture, rect, text } from "../../_static/js/svg.js";

const TOKENS = ["the", "a", "his", "her", "my", "gold", "king", "night", "zebra", "qua"];
const LOGITS = [3.1, 2.6, 1.9, 1.7, 1.2, 0.4, 0.1, -0.6, -2.0, -3.2];

/**
 * The distribution that is drawn from, token by token: logits / temperature, softmax, then all but the k likeliest are
 * cut, then all behind the first whose sum reaches p; what is left sums to one again. k = 0 and p = 1 cut nothing.
 */
export function reshaped(logits, { temperature, k, p }) {
  const high = Math.max(...logits), raised = logits.map((logit) => Math.exp((logit - high) / temperature));
  const sum = raised.reduce((a, b) => a + b, 0), full = raised.map((value) => value / sum);
  const order = full.map((_, i) => i).sort((a, b) => full[b] - full[a] || a - b);
  const allowed = new Set(k ? order.slice(0, k) : order), inTop = order.filter((i) => allowed.has(i));
  const mass = inTop.reduce((total, i) => total + full[i], 0);
  const kept = new Set();
  let before = 0;
  for (const i of inTop) {
    if (before >= p) break; // the token that crosses p is the last one in
    kept.add(i);
    before += full[i] / mass;
  }
  const left = [...kept].reduce((total, i) => total + full[i], 0);
  return { full, drawn: full.map((value, i) => (kept.has(i) ? value / left : 0)), kept: kept.size };
}

export function compute(state) {
  const found = reshaped(LOGITS, state);
  const entropy = -found.drawn.reduce((sum, value) => sum + (value > 0 ? value * Math.log(value) : 0), 0);
  return { ...found, choices: Math.exp(entropy) };
}

function draw({ full, drawn }, _state, _set, narrow) {
  const width = narrow ? 340 : 640, svg = picture(width, 290, "For each token two bars: its probability after the temperature, and what it is drawn with after the cuts.");
  const left = 58, length = width - left - 62;
  TOKENS.forEach((token, i) => {
    const y = 12 + 27 * i, cut = drawn[i] === 0;
    svg.append(el("g", {},
      text(left - 8, y + 10, token, { anchor: "end", size: 12 }),
      rect(left, y + 12, length * full[i], 5, { fill: "var(--course-faint)" }),
      rect(left, y + 2, length * drawn[i], 10, { fill: "var(--course-blue)" }),
      text(left + length * Math.max(full[i], drawn[i]) + 6, y + 9, cut ? "cut" : `${(100 * drawn[i]).toFixed(1)} %`, { anchor: "start", size: 11 })));
  });
  svg.append(line(left, 8, left, 282));
  return svg;
}

function tell({ kept, choices, drawn }) {
  const top = Math.max(...drawn);
  return `${kept} of ${TOKENS.length} tokens can be drawn; the likeliest with ${(100 * top).toFixed(1)} %. That is as undecided as ${choices.toFixed(1)} equally likely tokens.`;
}

const START = { temperature: 1, k: 0, p: 1 };

/** The lowest top-p, in steps of 0.01, that keeps "gold" in at temperature 1 without top-k. */
export function lowestFor(token) {
  const i = TOKENS.indexOf(token);
  for (let step = 1; step <= 100; step += 1) if (compute({ ...START, p: step / 100 }).drawn[i] > 0) return step / 100;
  return 1;
}

defineConcept("sampling", {
  start: START,
  controls: [
    { name: "temperature", label: "Temperature", kind: "range", min: 0.1, max: 3, step: 0.05, show: (t) => t.toFixed(2) },
    { name: "k", label: "Top-k", kind: "range", min: 0, max: TOKENS.length, step: 1, show: (k) => (k ? String(k) : "off") },
    { name: "p", label: "Top-p", kind: "range", min: 0.05, max: 1, step: 0.01, show: (p) => (p < 1 ? p.toFixed(2) : "off") },
  ],
  compute, draw, tell,
  question: {
    ask: "At temperature 1, without top-k: what is the lowest top-p at which “gold” can still be drawn?",
    judge(reply) {
      if (!(reply > 0 && reply <= 1)) return { right: false, why: "Top-p is a probability: above 0, at most 1." };
      const { drawn, kept } = compute({ ...START, p: reply }), inside = drawn[TOKENS.indexOf("gold")] > 0;
      if (Math.abs(reply - lowestFor("gold")) < 0.005) return { right: true, why: `It is token number ${kept} by probability, and those before it sum to just less than ${reply}.` };
      return { right: false, why: inside ? `At ${reply} it is in, among ${kept} tokens. It can be lower.` : `At ${reply} it is cut: ${kept} likelier tokens reach the sum without it.` };
    },
  },
});
