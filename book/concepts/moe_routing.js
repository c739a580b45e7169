// Mixture of experts: a router's scores, the top-k choice, capacity, dropped tokens, the balancing loss. No expert computes here.

import { defineConcept } from "../../_static/js/concept.js";
import { el, line, picture, rect, text } from "../../_static/js/svg.js";

const T = 16, E = 4;
const COLOURS = ["var(--course-blue)", "var(--course-orange)", "var(--course-green)", "var(--course-pink)"];

// Tokens (T, 2) that look random and are the same for everybody; the router (2, E) has one direction for each expert.
const TOKENS = Array.from({ length: T }, (_, t) => [0, 1].map((j) => Math.sin(0.6 + 2.3 * t * (j + 1) + 1.1 * j)));
const ROUTER = [Math.cos, Math.sin].map((f) => Array.from({ length: E }, (_, e) => f(0.6 + e * Math.PI / 2)));

/** Softmax over the experts and each token's k likeliest, the likeliest first. logits: (T, E). */
export function routed(logits, k) {
  const probabilities = logits.map((row) => {
    const high = Math.max(...row), raised = row.map((logit) => Math.exp(logit - high)), sum = raised.reduce((a, b) => a + b, 0);
    return raised.map((value) => value / sum);
  });
  const choices = probabilities.map((row) => row.map((_, e) => e).sort((a, b) => row[b] - row[a] || a - b).slice(0, k));
  return { probabilities, choices };
}

/**
 * Who gets a slot: all first choices in the tokens' order, then all second ones.
 * Returns { taken, refused }: for each expert the tokens that found room and those that did not.
 */
export function dispatched(choices, experts, capacity) {
  const taken = Array.from({ length: experts }, () => []), refused = Array.from({ length: experts }, () => []);
  for (let rank = 0; rank < choices[0].length; rank += 1) {
    choices.forEach((chosen, token) => (taken[chosen[rank]].length < capacity ? taken : refused)[chosen[rank]].push(token));
  }
  return { taken, refused };
}

/** Switch Transformer's balancing loss without its factor: E times the sum of f P. With k choices, f is a share of T k. */
export function balance(probabilities, choices) {
  const experts = probabilities[0].length, all = choices.flat();
  const f = Array.from({ length: experts }, (_, e) => all.filter((chosen) => chosen === e).length / all.length);
  const P = f.map((_, e) => probabilities.reduce((sum, row) => sum + row[e], 0) / probabilities.length);
  return { f, P, loss: experts * f.reduce((sum, share, e) => sum + share * P[e], 0) };
}

export function compute({ k, bias, temperature, factor }) {
  const logits = TOKENS.map((x) => ROUTER[0].map((_, e) => (x[0] * ROUTER[0][e] + x[1] * ROUTER[1][e] + (e === 0 ? bias : 0)) / temperature));
  const { probabilities, choices } = routed(logits, k), capacity = Math.floor(factor * k * T / E);
  const { taken, refused } = dispatched(choices, E, capacity), found = balance(probabilities, choices);
  const served = new Set(taken.flat());
  return {
    ...found, logits, probabilities, choices, capacity, taken, refused, load: taken.map((got, e) => got.length + refused[e].length),
    dropped: refused.flat().length, empty: E * capacity - taken.flat().length, lost: TOKENS.map((_, t) => t).filter((t) => !served.has(t)),
  };
}

function draw({ taken, refused, load, P, capacity }, _state, _set, narrow) {
  const width = narrow ? 340 : 640, svg = picture(width, 300, "Four experts as rows of slots with the tokens that were routed to them; tokens beyond the capacity have a cross below; under each row a bar for the expert's mean probability.");
  const left = 8, cell = (width - 2 * left) / T;
  for (let e = 0; e < E; e += 1) {
    const top = 12 + 75 * e, row = el("g", {}, text(left, top, `expert ${e}: load ${load[e]}, mean probability ${P[e].toFixed(2)}`, { anchor: "start", size: 12 }));
    for (let slot = 0; slot < Math.max(capacity, load[e]); slot += 1) {
      const x = left + slot * cell, token = [...taken[e], ...refused[e]][slot], out = slot >= capacity;
      const fill = token === undefined || out ? "none" : COLOURS[e];
      row.append(rect(x + 1, top + 12, cell - 2, 26, { fill, opacity: 0.35, stroke: out ? "var(--course-red)" : "var(--course-faint)", radius: 3 }));
      if (token !== undefined) row.append(text(x + cell / 2, top + 25, token, { size: 11 }));
      if (out) row.append(text(x + cell / 2, top + 46, "×", { size: 14, weight: 700 }));
    }
    row.append(line(left + capacity * cell, top + 9, left + capacity * cell, top + 41, { width: 3 }));
    row.append(rect(left, top + 53, (width - 2 * left) * P[e], 5, { fill: COLOURS[e] }));
    svg.append(row);
  }
  return svg;
}

function tell({ load, capacity, dropped, lost, empty, loss }) {
  const gone = lost.length ? `; ${lost.length} token${lost.length > 1 ? "s pass" : " passes"} by all experts` : "";
  return `Loads ${load.join(", ")} with room for ${capacity} each: ${dropped} choice${dropped === 1 ? "" : "s"} dropped${gone}, ${empty} slot${empty === 1 ? "" : "s"} empty. Balancing loss ${loss.toFixed(3)}.`;
}

const START = { k: 1, bias: 0, temperature: 1, factor: 1 };

defineConcept("moe-routing", {
  start: START,
  controls: [
    { name: "bias", label: "Bias of expert 0", kind: "range", min: -3, max: 3, step: 0.1, show: (b) => b.toFixed(1).replace("-", "−") },
    { name: "temperature", label: "Temperature", kind: "range", min: 0.25, max: 4, step: 0.25, show: (t) => t.toFixed(2) },
    { name: "k", label: "Experts for each token", kind: "choice", options: [[1, "1"], [2, "2"]] },
    { name: "factor", label: "Capacity factor", kind: "range", min: 0.5, max: 2, step: 0.25, show: (f) => f.toFixed(2) },
  ],
  compute, draw, tell,
  question: {
    ask: "Raise the temperature from 1 to 4, all else as at the start. What happens to the loads?",
    options: [["evener", "They even out"], ["same", "They stay"], ["sharper", "They grow more uneven"]],
    judge(reply) {
      const before = compute(START), after = compute({ ...START, temperature: 4 }), most = (found) => Math.max(...found.load);
      const truth = String(before.load) === String(after.load) ? "same" : most(after) < most(before) ? "evener" : "sharper";
      const told = `At 1 they are ${before.load.join(", ")}, at 4 they are ${after.load.join(", ")}.`;
      if (reply === truth) return { right: true, why: `${told} Dividing all scores by the same number leaves their order; only the probabilities flatten, and the loss goes from ${before.loss.toFixed(3)} to ${after.loss.toFixed(3)} though no token moved.` };
      return { right: false, why: `${told} ${reply === "evener" ? "The probabilities even out, the bars show it. The choice looks only at which is largest." : "A higher temperature flattens; it sharpens nothing."}` };
    },
  },
});
