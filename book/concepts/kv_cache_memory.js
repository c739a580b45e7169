// What a KV cache takes: bytes by layers, key heads, width, precision, length and batch, beside the weights. It runs no model.

import { defineConcept } from "../../_static/js/concept.js";
import { axes, line, path, picture, rect, short, text } from "../../_static/js/svg.js";

// Published configurations: layers, key and value heads, head width, weights.
export const MODELS = {
  gpt2: { name: "GPT-2 124M", L: 12, G: 12, D: 64, weights: 124439808, longest: 1024 },
  llama2: { name: "Llama 2 7B", L: 32, G: 32, D: 128, weights: 6738415616, longest: 4096 },
  llama3: { name: "Llama 3 8B", L: 32, G: 8, D: 128, weights: 8030261248, longest: 8192 },
};

/** Bytes of keys and values of one token: 2 tensors, L layers, G heads, D numbers, each of so many bytes. */
export function tokenBytes({ L, G, D }, bytes) {
  return 2 * L * G * D * bytes;
}

export function compute({ model, length, batch, bytes }) {
  const told = MODELS[model], token = tokenBytes(told, bytes);
  return { token, cache: token * 2 ** length * 2 ** batch, weights: told.weights * 2, T: 2 ** length, B: 2 ** batch };
}

function draw({ cache, weights }, { model, length, batch, bytes }, _set, narrow) {
  const width = narrow ? 340 : 640, svg = picture(width, 300, "The cache's size against the number of tokens, on logarithmic axes, with the weights' size as a level line.");
  const [low, high] = [1e6, 1e14];
  const frame = axes({ left: 64, top: 14, width: width - 84, height: 220, x: [2 ** 7, 2 ** 17], y: [low, high], xScale: "log", yScale: "log", base: 2, yBase: 1000, xTitle: "tokens in each sequence", format: (v) => (v >= 1024 ? `${v / 1024} Ki` : v), yFormat: (v) => short(v, "B") });
  svg.append(frame.node);
  const sizes = Array.from({ length: 11 }, (_, i) => 2 ** (7 + i));
  const of = (T) => tokenBytes(MODELS[model], bytes) * T * 2 ** batch;
  svg.append(path(sizes.map((T) => [frame.x(T), frame.y(of(T))])));
  svg.append(line(64, frame.y(weights), width - 20, frame.y(weights), { stroke: "var(--course-orange)", width: 2, dash: "6 4" }));
  svg.append(text(width - 22, frame.y(weights) - 9, `the weights, ${short(weights, "B")}`, { anchor: "end", size: 12 }));
  const x = frame.x(2 ** length), y = frame.y(cache);
  svg.append(rect(x - 5, y - 5, 10, 10, { radius: 5 }), text(Math.min(x, width - 60), y - 14, short(cache, "B"), { weight: 600 }));
  return svg;
}

function tell({ token, cache, weights, T, B }) {
  return `One token takes ${short(token, "B", 1024)}. ${B} sequence${B > 1 ? "s" : ""} of ${T.toLocaleString("en")} tokens take ${short(cache, "B")}, ${(cache / weights).toPrecision(2)} times the weights in 16 bits.`;
}

const START = { model: "llama3", length: 13, batch: 0, bytes: 2 };

defineConcept("kv-cache-memory", {
  start: START,
  controls: [
    { name: "model", label: "Model", kind: "choice", options: Object.entries(MODELS).map(([key, { name }]) => [key, name]) },
    { name: "length", label: "Tokens", kind: "range", min: 7, max: 17, step: 1, show: (n) => (2 ** n).toLocaleString("en") },
    { name: "batch", label: "Sequences", kind: "range", min: 0, max: 8, step: 1, show: (n) => String(2 ** n) },
    { name: "bytes", label: "Precision", kind: "choice", options: [[2, "16 bits"], [1, "8 bits"], [0.5, "4 bits"]] },
  ],
  compute, draw, tell,
  question: {
    ask: "Llama 3 8B, 8,192 tokens, 16 bits: from how many sequences on (a power of two) does the cache outgrow the weights?",
    judge(reply) {
      const exponent = Math.log2(reply);
      if (!Number.isInteger(exponent) || exponent < 0) return { right: false, why: "Give a power of two: 1, 2, 4, ..." };
      const at = (batch) => compute({ ...START, batch }), { cache, weights } = at(exponent);
      const said = `${reply} sequence${reply > 1 ? "s" : ""} take ${short(cache, "B")} beside ${short(weights, "B")} of weights.`;
      if (cache <= weights) return { right: false, why: `${said} There is room for more.` };
      if (exponent > 0 && at(exponent - 1).cache > weights) return { right: false, why: `${said} It happens earlier.` };
      return { right: true, why: `${said} Beyond that, a step reads more cache than weights.` };
    },
  },
});
