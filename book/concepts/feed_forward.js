// The feed-forward network seen from one number: each hidden unit adds a bent line, and their sum is the function. It is not trained.

import { defineConcept, handle } from "../../_static/js/concept.js";
import { axes, el, line, path, picture, rect, text } from "../../_static/js/svg.js";

const COLOURS = ["var(--course-orange)", "var(--course-green)", "var(--course-pink)"];
const SQRT2 = Math.SQRT2;

/** The error function to 1e-7 (Abramowitz and Stegun 7.1.26), for GELU. */
function erf(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x)), tail = (((((1.061405429 * t - 1.453152027) * t) + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t * Math.exp(-x * x);
  return x < 0 ? tail - 1 : 1 - tail;
}

export const ACTIVATIONS = { relu: (x) => Math.max(0, x), gelu: (x) => x * 0.5 * (1 + erf(x / SQRT2)), silu: (x) => x / (1 + Math.exp(-x)), none: (x) => x };

/** One hidden unit's part of the output at x: out * activation(slope * (x - edge)). */
export function part(x, { edge, slope, out }, kind) {
  return out * ACTIVATIONS[kind](slope * (x - edge));
}

/** The whole network at x: the parts of all units, added up. */
export function network(x, units, kind) {
  return units.reduce((sum, unit) => sum + part(x, unit, kind), 0);
}

/** Where the function bends, for ReLU: each edge once, if the slopes before and behind it differ. */
export function corners(units, kind) {
  if (kind !== "relu") return 0;
  const edges = [...new Set(units.map((unit) => unit.edge))], near = 1e-6;
  const slope = (x) => (network(x + near, units, kind) - network(x - near, units, kind)) / (2 * near);
  return edges.filter((edge) => Math.abs(slope(edge + 0.01) - slope(edge - 0.01)) > 1e-3).length;
}

const XS = Array.from({ length: 121 }, (_, i) => -3 + i / 20);

export function compute({ units, kind }) {
  return { curve: XS.map((x) => network(x, units, kind)), parts: units.map((unit) => XS.map((x) => part(x, unit, kind))), corners: corners(units, kind) };
}

function draw({ curve, parts }, { units }, set, narrow) {
  const width = narrow ? 340 : 640, svg = picture(width, 320, "The network's output against its input: one thin bent line for each of three hidden units, and their sum as a thick line.");
  const frame = axes({ left: 48, top: 10, width: width - 64, height: 240, x: [-3, 3], y: [-4, 4], xTitle: "", yTitle: "output" });
  const inside = (values) => XS.map((x, i) => [frame.x(x), frame.y(Math.max(-4, Math.min(4, values[i])))]);
  svg.append(frame.node, line(frame.x(-3), frame.y(0), frame.x(3), frame.y(0), { stroke: "var(--course-faint)" }));
  parts.forEach((values, i) => svg.append(path(inside(values), { stroke: COLOURS[i], width: 1.5, dash: ["6 3", "2 3", "8 3 2 3"][i] })));
  svg.append(path(inside(curve), { width: 3.5 }));
  units.forEach((unit, i) => {
    const x = frame.x(unit.edge), moved = (to) => set({ units: units.map((u, j) => (j === i ? { ...u, edge: Math.min(3, Math.max(-3, Math.round(to * 10) / 10)) } : u)) });
    const grip = el("g", {}, rect(x - 14, 272, 28, 34, { opacity: 0 }), rect(x - 6, 278, 12, 18, { fill: COLOURS[i], radius: 4 }));
    svg.append(line(x, 250, x, 278, { stroke: COLOURS[i], width: 1 }), handle(grip, { name: i, label: `edge of unit ${i + 1}`, value: unit.edge.toFixed(1), keys: (dx, dy) => moved(unit.edge + 0.1 * (dx + dy)), move: (px) => moved(-3 + (6 * (px - 48)) / (width - 64)) }));
  });
  svg.append(text(48 + (width - 64) / 2, 310, "input; the marks are the units' edges", { size: 12 }));
  return svg;
}

function tell({ corners: found, curve }, { kind }) {
  const shape = kind === "relu" ? `${found} corner${found === 1 ? "" : "s"}` : kind === "none" ? "a straight line" : "no corner, but bends";
  return `Three units, ${{ relu: "ReLU", gelu: "GELU", silu: "SiLU", none: "no activation" }[kind]}: the sum has ${shape}. Its output runs from ${curve[0].toFixed(1)} at −3 to ${curve.at(-1).toFixed(1)} at 3.`.replaceAll("-", "−");
}

const START = { units: [{ edge: -1.5, slope: 1, out: 1 }, { edge: 0, slope: 1, out: -2 }, { edge: 1.5, slope: 1, out: 1.5 }], kind: "relu" };

defineConcept("feed-forward", {
  start: START,
  controls: [{ name: "kind", label: "Activation", kind: "choice", options: [["relu", "ReLU"], ["gelu", "GELU"], ["silu", "SiLU"], ["none", "none"]] }],
  compute, draw, tell,
  question: {
    ask: "Take the activation away. Which functions can three units still make?",
    options: [["lines", "Straight lines only"], ["same", "The same as before"], ["curves", "Any smooth curve"]],
    judge(reply) {
      const { curve } = compute({ ...START, kind: "none" }), bend = Math.max(...curve.slice(1, -1).map((value, i) => Math.abs(curve[i] - 2 * value + curve[i + 2])));
      const told = `Without it the largest bend anywhere is ${bend.toExponential(0)}, with ReLU there are ${compute(START).corners} corners.`;
      return reply === (bend < 1e-9 ? "lines" : "curves") ? { right: true, why: `${told} A sum of straight lines is a straight line: two matrices without anything between them are one matrix.` } : { right: false, why: `${told} Choose “none” and move the marks.` };
    },
  },
});
