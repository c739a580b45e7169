// Attention routes, the feed-forward network computes: four numbers, a weight that carries one elsewhere, a function of each alone.

import { defineConcept } from "../../_static/js/concept.js";
import { arrow, box, picture, text } from "../../_static/js/svg.js";

/**
 * One block on numbers in place of vectors, without residuals. Attention: position `to` gets `share` of the number at `from` and
 * keeps the rest of its own; all others keep theirs. Feed-forward: every position's number x becomes ReLU(x) + ReLU(-x).
 */
export function block(x, { from, to, share, attention, feedForward }) {
  const mixed = x.map((own, t) => (attention && t === to ? (1 - share) * own + share * x[from] : own));
  return { mixed, out: mixed.map((value) => (feedForward ? Math.max(0, value) + Math.max(0, -value) : value)) };
}

const X = [-3, 1, 2, 0];

export function compute(state) {
  return block(X, { from: 0, to: 3, ...state });
}

const signed = (value) => String(Number(value.toFixed(2))).replace("-", "−");

function draw({ mixed, out }, { share, attention, feedForward }, _set, narrow) {
  const width = narrow ? 340 : 640, svg = picture(width, 300, "Four positions in columns: their numbers before the block, after attention and after the feed-forward network.");
  const step = (width - 90) / 4, x = (t) => 90 + step * t, wide = step * 0.72;
  [["before", 30], ["attention", 130], ["feed-fwd", 230]].forEach(([name, y]) => svg.append(text(4, y + 20, name, { anchor: "start", size: 12 })));
  X.forEach((value, t) => {
    svg.append(box(x(t), 30, wide, 40, "var(--course-blue)", signed(value)), box(x(t), 130, wide, 40, "var(--course-orange)", signed(mixed[t])), box(x(t), 230, wide, 40, "var(--course-green)", signed(out[t])));
    const own = attention && t === 3 ? 1 - share : 1;
    if (own > 0) svg.append(arrow(x(t) + wide / 2, 72, x(t) + wide / 2, 128, { width: 0.6 + 2.4 * own }));
    svg.append(arrow(x(t) + wide / 2, 172, x(t) + wide / 2, 228, { width: feedForward ? 3 : 0.8 }));
  });
  if (attention && share > 0) svg.append(arrow(x(0) + wide / 2, 72, x(3) + wide / 2 - 12, 128, { stroke: "var(--course-orange)", width: 0.6 + 2.4 * share }));
  svg.append(text(x(3) + wide / 2, 288, "position 4", { size: 12 }), text(x(0) + wide / 2, 288, "position 1", { size: 12 }));
  return svg;
}

function tell({ out }) {
  return `After the block: ${out.map(signed).join(", ")}. Position 4 holds ${signed(out[3])}.`;
}

const START = { share: 1, attention: true, feedForward: false };

defineConcept("attention-routes", {
  start: START,
  controls: [
    { name: "attention", label: "Attention", kind: "switch" },
    { name: "share", label: "How much position 4 looks at position 1", kind: "range", min: 0, max: 1, step: 0.05, show: (v) => v.toFixed(2) },
    { name: "feedForward", label: "Feed-forward network", kind: "switch" },
  ],
  compute, draw, tell,
  question: {
    ask: "Position 4 should end with 3, the size of position 1’s number. What does it take?",
    options: [["attention", "Attention alone"], ["feedForward", "The feed-forward network alone"], ["both", "Both"]],
    judge(reply) {
      const shares = Array.from({ length: 101 }, (_, i) => i / 100), reach = (told) => shares.some((share) => compute({ share, ...told }).out[3] === 3);
      const can = reply === "both" ? reach({ attention: true, feedForward: true }) : reach({ attention: reply === "attention", feedForward: reply === "feedForward" });
      if (can) return { right: true, why: "Attention carries −3 to position 4, and there the network computes its size. Neither can do the other’s part." };
      return { right: false, why: reply === "attention" ? "Attention blends 0 and −3: whatever the weight, it stays between them." : "The network sees position 4’s own number only, and that is 0." };
    },
  },
});
