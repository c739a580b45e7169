// Quantization: weights rounded to a few evenly spaced steps, one scale for all or one a group. No calibration, no float formats.

import { defineConcept } from "../../_static/js/concept.js";
import { axes, el, line, picture, rect } from "../../_static/js/svg.js";

const N = 64;

/** N numbers that look like a row of weights: normal quantiles in a scattered order, the last one stretched. */
export function weights(outlier) {
  const made = Array.from({ length: N }, (_, i) => quantile(((i * 37) % N + 0.5) / N));
  made[41] = outlier;
  return made;
}

// The standard normal's quantile by bisection on its distribution, so that every number here can be checked.
function quantile(p) {
  let [low, high] = [-6, 6];
  for (let i = 0; i < 60; i += 1) {
    const middle = (low + high) / 2;
    if (normal(middle) < p) low = middle;
    else high = middle;
  }
  return low;
}

function normal(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x) / Math.SQRT2); // Abramowitz and Stegun 7.1.26
  const tail = (((((1.061405429 * t - 1.453152027) * t) + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t * Math.exp(-x * x / 2);
  return x < 0 ? tail / 2 : 1 - tail / 2;
}

/** Symmetric quantization: scale = largest size / (2^(bits-1) - 1) in each group, round to the nearest step, and back. */
export function quantized(values, bits, group) {
  const steps = 2 ** (bits - 1) - 1, out = [], scales = [];
  for (let start = 0; start < values.length; start += group) {
    const part = values.slice(start, start + group), scale = Math.max(...part.map(Math.abs)) / steps || 1;
    scales.push(scale);
    out.push(...part.map((value) => Math.round(value / scale) * scale));
  }
  return { out, scales };
}

export function compute({ bits, group, outlier }) {
  const values = weights(outlier), { out, scales } = quantized(values, bits, group);
  const error = Math.sqrt(values.reduce((sum, value, i) => sum + (value - out[i]) ** 2, 0) / N);
  return { values, out, scales, error, zeros: out.filter((value) => value === 0).length, perWeight: bits + 16 / group };
}

function draw({ values, out, scales }, { group }, _set, narrow) {
  const width = narrow ? 340 : 640, svg = picture(width, 290, "Each weight as a dot, and the step that it is rounded to as a short line; the distance between them is the error.");
  const most = Math.max(3, ...values.map(Math.abs));
  const frame = axes({ left: 48, top: 10, width: width - 60, height: 230, x: [0, N], y: [-most, most], xTitle: "weight", yTitle: "value" });
  svg.append(frame.node);
  for (let g = group; g < N; g += group) svg.append(line(frame.x(g), 10, frame.x(g), 240, { stroke: "var(--course-faint)", width: 1, dash: "3 3" }));
  values.forEach((value, i) => {
    const x = frame.x(i + 0.5), step = frame.y(out[i]);
    svg.append(line(x, frame.y(value), x, step, { stroke: "var(--course-red)", width: 1.5 }), rect(x - 3.5, step - 1.5, 7, 3, { fill: "var(--course-ink)" }), el("circle", { cx: x, cy: frame.y(value), r: 2.6, fill: "var(--course-blue)" }));
  });
  return svg;
}

function tell({ error, zeros, perWeight, scales }) {
  return `Root mean square error ${error.toFixed(3)}; ${zeros} of ${N} weights became zero. ${perWeight.toFixed(2)} bits a weight, the ${scales.length === 1 ? "scale" : `${scales.length} scales`} in 16 bits included.`;
}

const START = { bits: 4, group: 64, outlier: 2 };

defineConcept("quantization-error", {
  start: START,
  controls: [
    { name: "bits", label: "Bits", kind: "range", min: 2, max: 8, step: 1 },
    { name: "group", label: "Weights that share a scale", kind: "choice", options: [64, 32, 16, 8].map((n) => [n, String(n)]) },
    { name: "outlier", label: "Largest weight", kind: "range", min: 2, max: 20, step: 0.5, show: (v) => v.toFixed(1) },
  ],
  compute, draw, tell,
  question: {
    ask: "Largest weight 20, 4 bits: which helps the other weights more, one bit more or a scale for every 8 weights?",
    options: [["bit", "One bit more"], ["group", "A scale for every 8"]],
    judge(reply) {
      const from = compute({ ...START, outlier: 20 }).error, bit = compute({ ...START, outlier: 20, bits: 5 }).error, group = compute({ ...START, outlier: 20, group: 8 }).error;
      const told = `The error falls from ${from.toFixed(3)} to ${bit.toFixed(3)} with 5 bits, and to ${group.toFixed(3)} with groups of 8.`;
      return reply === (group < bit ? "group" : "bit") ? { right: true, why: `${told} One huge weight stretches the steps of all that share its scale.` } : { right: false, why: `${told} Set both and look at the black steps.` };
    },
  },
});
