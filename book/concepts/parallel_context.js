// Parallel context: all positions blend what they may see in one pass, and who can see a changed word. No training, no cache.

import { defineConcept, handle } from "../../_static/js/concept.js";
import { el, picture, rect, tensor, text } from "../../_static/js/svg.js";
import { COUNTS, WORDS } from "./bigram_table.js";

export const TEXT = ["the", "king", ".", "you", "are", "a"], BEHIND = "good"; // and the word behind them, the last target
const T = TEXT.length;

/** Attention's weights (T, S): position t sees s up to t, or all without the mask; a step of distance divides the weight by e. */
export function weights(length, mask) {
  return Array.from({ length }, (_, t) => {
    const raised = Array.from({ length }, (_, s) => (mask && s > t ? 0 : Math.exp(-Math.abs(t - s))));
    const sum = raised.reduce((a, b) => a + b, 0);
    return raised.map((value) => value / sum);
  });
}

/** Weights (T, S) @ values (S, V) → predictions (T, V). A word's value: the shares of what follows it, each count raised by one. */
export function predict(tokens, mask) {
  const values = tokens.map((token) => {
    const row = COUNTS[WORDS.indexOf(token)], sum = row.reduce((a, b) => a + b, 0) + row.length;
    return row.map((count) => (count + 1) / sum);
  });
  return weights(tokens.length, mask).map((row) => WORDS.map((_, v) => row.reduce((sum, weight, s) => sum + weight * values[s][v], 0)));
}

export function compute({ position, word, mask }) {
  const tokens = TEXT.map((old, t) => (t === position && word ? word : old)), targets = [...tokens.slice(1), BEHIND];
  const before = predict(TEXT, mask), predictions = predict(tokens, mask);
  const losses = predictions.map((row, t) => -Math.log(row[WORDS.indexOf(targets[t])]));
  return {
    tokens, targets, predictions, losses, weights: weights(T, mask), loss: losses.reduce((a, b) => a + b, 0) / T,
    changed: predictions.map((row, t) => t).filter((t) => predictions[t].some((p, v) => Math.abs(p - before[t][v]) > 1e-12)),
  };
}

/** The likeliest word of a prediction and its share: ["king", 0.7]. */
function best(prediction) {
  const share = Math.max(...prediction);
  return [WORDS[prediction.indexOf(share)], share];
}

function draw({ tokens, targets, predictions, losses, weights: seen, changed }, { position, mask, mode }, set, narrow) {
  const cell = narrow ? 32 : 38, left = narrow ? 42 : 70, top = 62, right = left + T * cell + (narrow ? 8 : 26);
  const svg = picture(narrow ? 340 : 640, top + T * cell + 30, "A matrix: one row a position, one column a word that it may see. Beside each row, what the position predicts.");
  const shownWeights = seen.map((row, t) => row.map((weight, s) => (mask && s > t ? null : weight)));
  svg.append(tensor(shownWeights, { x: left, y: top, cell, numbers: 2, rows: tokens, columns: tokens, name: "position t (row) sees s (column)" }));
  svg.append(text(right, narrow ? 16 : 40, narrow ? "predicts" : "predicts next", { anchor: "start", weight: 600 }));
  if (mode === "training") svg.append(text(narrow ? right : right + 130, narrow ? 34 : 40, "target, loss", { anchor: "start", size: 12 }));
  predictions.forEach((prediction, t) => {
    const [word, share] = best(prediction), used = mode === "training" || t === T - 1, y = top + (t + 0.5) * cell, delta = changed.includes(t);
    const row = el("g", { opacity: used ? 1 : 0.7 }), up = narrow && (mode === "training" || !used) ? 7 : 0;
    if (delta) row.append(rect(right - 4, y - cell / 2 + 1, (narrow ? 336 : 636) - right, cell - 3, { fill: "var(--course-orange)", opacity: 0.2, radius: 3 }));
    row.append(text(right, y - up, `${word} ${(100 * share).toFixed(0)} %`, { anchor: "start", weight: used ? 600 : null }));
    const target = `${targets[t]} ${losses[t].toFixed(2)}`;
    if (mode === "training") row.append(narrow ? text(right, y + 8, target, { anchor: "start", size: 11 }) : text(right + 130, y, target, { anchor: "start" }));
    else if (!used) row.append(text(narrow ? right : right + 130, narrow ? y + 8 : y, "not used", { anchor: "start", size: 11 }));
    if (delta) row.append(text(narrow ? 332 : 630, narrow ? y - up : y, narrow ? "Δ" : "changed", { anchor: "end", size: 12 }));
    svg.append(row);
  });
  const moved = (to) => set({ position: Math.min(T - 1, Math.max(0, to)) }), x = left + position * cell;
  const frame = rect(x - 1, top - 24, cell, T * cell + 24, { fill: "none", stroke: "var(--course-orange)", radius: 3 });
  frame.setAttribute("stroke-width", 2.5);
  const grip = el("g", {}, frame, rect(x - 1, top - 46, cell, T * cell + 46, { opacity: 0 }), text(x + cell / 2 - 1, top - 34, "↔"));
  svg.append(handle(grip, {
    name: "position", label: "position replaced", value: String(position),
    keys: (dx, dy) => moved(position + dx + dy),
    move: (to) => moved(Math.floor((to - left) / cell)),
  }));
  if (narrow && changed.length) svg.append(text(332, top + T * cell + 12, "Δ changed", { anchor: "end", size: 12 }));
  return svg;
}

function tell({ changed, loss, predictions }, { position, mask, mode }) {
  const [word, share] = best(predictions[T - 1]);
  const use = mode === "training"
    ? `One pass, ${T} predictions, all judged: mean loss ${loss.toFixed(2)} nats.${mask ? "" : " Without the mask a position sees its own target, so this judges nothing."}`
    : `One pass, ${T} predictions, one used: “${word}”, ${(100 * share).toFixed(0)} %, goes to the end of the text.`;
  return `${use} ${changed.length ? `The word at position ${position} changed the predictions of ${changed.length} of ${T} positions: ${changed.join(", ")}.` : "No word is replaced yet."}`;
}

/** How many predictions some other word at a position can change. */
export function reach(position, mask) {
  return Math.max(...WORDS.map((word) => compute({ position, word, mask }).changed.length));
}

const ASKED = 2;

defineConcept("parallel-context", {
  start: { position: ASKED, word: "", mode: "training", mask: true },
  controls: [
    { name: "word", label: "Word there", kind: "choice", options: [["", "as it is"], ...WORDS.map((word) => [word, word])] },
    { name: "mode", label: "Used for", kind: "choice", options: [["training", "training"], ["decoding", "decoding"]] },
    { name: "mask", label: "Causal mask", kind: "switch" },
  ],
  compute, draw, tell,
  question: {
    ask: `The mask is on. How many of the ${T} predictions change when position ${ASKED} gets another word? (positions count from 0)`,
    judge(reply) {
      const right = reach(ASKED, true), open = reach(ASKED, false);
      if (reply === right) return { right: true, why: `Positions ${ASKED} to ${T - 1}. Those before it cannot see it, so their predictions are what they would be in a shorter text: that is why one pass can train on all of them, and why decoding need not compute the past again.` };
      if (reply === open) return { right: false, why: `All ${open} change without the mask. Switch it on and look again.` };
      if (reply === T - right) return { right: false, why: `${reply} positions come before it, and they are the ones that stay: what is behind them is masked.` };
      if (reply === 1) return { right: false, why: "Its own prediction changes, and so does each that can see it: look at the column under the frame." };
      if (reply === right - 1) return { right: false, why: `${reply} positions come after it. A position sees itself, too: the diagonal is not masked.` };
      return { right: false, why: "Put another word there and count the rows marked as changed." };
    },
  },
});
