// Speculative decoding: a draft proposes, the target accepts or replaces. One pair of distributions for all positions; no model runs.

import { defineConcept, handle } from "../../_static/js/concept.js";
import { el, line, picture, rect, text } from "../../_static/js/svg.js";

const TOKENS = ["A", "B", "C", "D", "E", "F"];
const HIGHEST = 0.6; // no bar is taller, so that the axis need not change while one drags
const sum = (values) => values.reduce((total, value) => total + value, 0);

/** For each token the probability that it is accepted once it is proposed, min(1, p / q). */
export function acceptance(p, q) {
  return p.map((value, i) => (value >= q[i] ? 1 : value / q[i]));
}

/** What a refused proposal is replaced from: max(0, p - q), scaled to sum to one. If the two are equal, nothing is refused. */
export function residual(p, q) {
  const missing = p.map((value, i) => Math.max(0, value - q[i])), total = sum(missing);
  return total > 0 ? missing.map((value) => value / total) : [...p];
}

/** The exact distribution of a token: proposed and accepted, or drawn in place of whichever was refused. */
export function outcome(p, q) {
  const accepted = acceptance(p, q), kept = q.map((value, i) => value * accepted[i]), refused = 1 - sum(kept);
  return residual(p, q).map((value, i) => kept[i] + refused * value);
}

/** How often a proposal is accepted: 1 - TV(p, q), which is the sum of min(p, q). */
export function accepts(p, q) {
  return 1 - sum(p.map((value, i) => Math.abs(value - q[i]))) / 2;
}

/** Expected tokens of one step of the target with `gamma` proposals, each accepted with probability a. */
export function tokensPerStep(a, gamma) {
  return a < 1 ? (1 - a ** (gamma + 1)) / (1 - a) : gamma + 1;
}

/** Uniform numbers in [0, 1) from a seed (mulberry32): everybody sees the same draws. */
export function generator(seed) {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** The index that a uniform number falls on. Rounding may leave it behind the last one: then it is the last possible. */
function drawn(distribution, uniform) {
  let left = uniform;
  for (const [i, value] of distribution.entries()) if ((left -= value) < 0) return i;
  return distribution.findLastIndex((value) => value > 0);
}

/** One step of the target: the draft's proposals, how many of them are accepted, and the tokens that come out, one more than that. */
export function oneStep(p, q, gamma, random) {
  const proposed = Array.from({ length: gamma }, () => drawn(q, random())), accepted = acceptance(p, q);
  const refusal = proposed.findIndex((token) => random() >= accepted[token]);
  const kept = refusal < 0 ? gamma : refusal;
  const last = drawn(refusal < 0 ? p : residual(p, q), random()); // all accepted: one token more, from the target itself
  return { proposed, kept, out: [...proposed.slice(0, kept), last] };
}

/** The draft as it is used: moved toward the target by a share. */
export function moved(draft, target, share) {
  return draft.map((value, i) => (1 - share) * value + share * target[i]);
}

/** A distribution in which token i has probability `to`, the others scaled to what is left; none leaves the axis. */
export function reshaped(distribution, i, to) {
  const rest = 1 - distribution[i], tallest = Math.max(...distribution.filter((_, j) => j !== i));
  const held = Math.min(HIGHEST, Math.max(0, 1 - (HIGHEST * rest) / tallest, to));
  return distribution.map((value, j) => (j === i ? held : (value * (1 - held)) / rest));
}

export function compute({ target, draft, share, gamma, steps }) {
  const q = moved(draft, target, share), a = accepts(target, q), counts = TOKENS.map(() => 0);
  let last = null;
  for (let seed = 1; seed <= steps; seed += 1) {
    last = oneStep(target, q, gamma, generator(seed));
    for (const token of last.out) counts[token] += 1;
  }
  const tokens = sum(counts);
  return { q, a, accepted: acceptance(target, q), perStep: tokensPerStep(a, gamma), last, tokens, shares: counts.map((count) => (tokens ? count / tokens : 0)) };
}

function draw(values, state, set, narrow) {
  const svg = narrow ? picture(340, 570, ALT) : picture(640, 350, ALT);
  svg.append(bars(values, state, set, narrow ? 50 : 58), histogram(values, state, ...(narrow ? [36, 274, 46] : [430, 36, 34])), lastStep(values, state, ...(narrow ? [486, 30, 340] : [266, 46, 640])));
  return svg;
}

const ALT = "For each of six tokens the draft's and the target's probability as bars that can be dragged; beside them the share of each token among those drawn; below the last step.";

/** A line of the legend: a colour's patch and what it stands for. */
function key(x, y, fill, words) {
  return el("g", {}, rect(x, y - 6, 12, 12, { fill }), text(x + 18, y, words, { anchor: "start", size: 12 }));
}

/** Draft and target side by side for each token, each with a handle at its end. */
function bars({ q, accepted }, { target }, set, group) {
  const left = 36, top = 28, height = 152, y = (value) => top + height * (1 - value / HIGHEST), made = el("g", {}, key(left, 10, "var(--course-orange)", "q, the draft"), key(left + 106, 10, "var(--course-blue)", "p, the target"));
  for (const value of [0, 0.2, 0.4, 0.6]) made.append(line(left - 4, y(value), left, y(value)), text(left - 7, y(value), value, { anchor: "end", size: 11 }));
  made.append(line(left, top, left, y(0)), line(left, y(0), left + 6 * group, y(0)));
  made.append(text(2, y(0) + 36, "kept", { anchor: "start", size: 11 }));
  TOKENS.forEach((token, i) => {
    const x = left + group * i, shared = Math.min(q[i], target[i]);
    // [whose, its probability, colour, place, what a change of it is]: a draft that is dragged is no longer moved by the slider.
    const pair = [["draft", q, "var(--course-orange)", x + 1, (next) => ({ draft: next, share: 0 })], ["target", target, "var(--course-blue)", x + group / 2, (next) => ({ target: next })]];
    for (const [who, all, colour, at, changes] of pair) {
      const wide = group / 2 - 1, change = (to) => set(changes(reshaped(all, i, Math.round(100 * to) / 100)));
      made.append(rect(at + 3, y(shared), wide - 6, y(0) - y(shared), { fill: colour }));
      made.append(rect(at + 3, y(all[i]), wide - 6, y(shared) - y(all[i]), { fill: colour, opacity: 0.3, stroke: colour }));
      // What is taken hold of is larger than what is seen: a finger is broad.
      const grip = el("g", {}, rect(at, y(all[i]) - 14, wide, 28, { opacity: 0 }), rect(at + 1, y(all[i]) - 3.5, wide - 2, 7, { fill: "var(--course-ink)", opacity: 0.75, radius: 3.5 }));
      made.append(handle(grip, {
        name: `${who}-${i}`, label: `${who}’s probability of ${token}`, value: `${(100 * all[i]).toFixed(0)} %`, high: 100 * HIGHEST,
        keys: (dx, dy) => change(all[i] + 0.01 * (dx + dy)), move: (_, to) => change((HIGHEST * (top + height - to)) / height),
      }));
    }
    made.append(text(x + group / 2, y(0) + 18, token, { weight: 600 }), text(x + group / 2, y(0) + 36, `${(100 * accepted[i]).toFixed(0)} %`, { size: 11 }));
  });
  return made;
}

/** What came out of all steps: the share of each token, with the target's probability as a mark across. */
function histogram({ shares, tokens }, { target }, left, top, group) {
  const height = 144, y = (value) => top + height * (1 - value / HIGHEST), made = el("g", {}, key(left, top - 26, "var(--course-green)", `what came out, ${tokens.toLocaleString("en")} token${tokens === 1 ? "" : "s"}`));
  made.append(line(left, y(0), left + 6 * group, y(0)));
  TOKENS.forEach((token, i) => {
    const x = left + group * i, tall = Math.min(HIGHEST + 0.02, shares[i]);
    made.append(rect(x + 5, y(tall), group - 10, y(0) - y(tall), { fill: "var(--course-green)" }));
    made.append(line(x + 1, y(target[i]), x + group - 1, y(target[i]), { width: 2.5 }), text(x + group / 2, y(0) + 18, token, { weight: 600 }));
  });
  made.append(line(left, y(0) + 36, left + 14, y(0) + 36, { width: 2.5 }), text(left + 20, y(0) + 36, "p, the target", { anchor: "start", size: 11 }));
  return made;
}

/** The last step: what was proposed, what was made of it, and what came out, one column for each place. */
function lastStep({ last }, { gamma }, top, wide, width) {
  const made = el("g", {}, line(2, top - 14, width - 2, top - 14, { stroke: "var(--course-faint)" }));
  for (const [row, words] of ["draft", "target", "out"].entries()) made.append(text(2, top + 8 + 28 * row, words, { anchor: "start", size: 12 }));
  if (!last) return made;
  for (let i = 0; i <= gamma; i += 1) {
    const x = 52 + wide * i, cell = (row, fill, words) => made.append(rect(x, top - 4 + 28 * row, wide - 4, 24, { fill, stroke: fill, opacity: 0.28, radius: 3 }), text(x + wide / 2 - 2, top + 8 + 28 * row, words, { weight: row === 2 ? 600 : null }));
    const looked = i <= last.kept;
    if (i < gamma) cell(0, looked ? "var(--course-orange)" : "var(--course-faint)", TOKENS[last.proposed[i]]);
    if (i < last.kept) cell(1, "var(--course-green)", "✓");
    else if (looked) cell(1, i < gamma ? "var(--course-red)" : "var(--course-blue)", i < gamma ? "✗" : "+1");
    if (looked) cell(2, i < last.kept ? "var(--course-green)" : "var(--course-blue)", TOKENS[last.out[i]]);
  }
  return made;
}

function tell({ a, perStep, tokens, last }, { gamma, steps }) {
  const measured = steps ? ` Measured over ${steps.toLocaleString("en")} step${steps > 1 ? "s" : ""}: ${(tokens / steps).toFixed(2)}.` : "";
  const names = (tokens) => tokens.map((token) => TOKENS[token]).join(" ");
  const seen = last ? ` Last step: ${last.kept ? `${names(last.proposed.slice(0, last.kept))} accepted, ` : ""}${last.kept < gamma ? `${TOKENS[last.proposed[last.kept]]} refused, ${names(last.out.slice(-1))} in its place` : `${names(last.out.slice(-1))} from the target itself`}.` : "";
  return `${(100 * a).toFixed(0)} % of proposals are accepted; draft and target differ in ${(100 * (1 - a)).toFixed(0)} %. With ${gamma} proposal${gamma > 1 ? "s" : ""} one step of the target gives ${perStep.toFixed(2)} tokens on average.${measured}${seen}`;
}

const START = { target: [0.37, 0.26, 0.15, 0.12, 0.07, 0.03], draft: [0.19, 0.41, 0.1, 0.05, 0.15, 0.1], share: 0, gamma: 4, steps: 1 };

/** How far the starting draft has to be moved toward the target for so many tokens a step, by halving. */
export function shareFor(tokens) {
  let [low, high] = [0, 1];
  for (let i = 0; i < 60; i += 1) {
    const middle = (low + high) / 2;
    if (compute({ ...START, share: middle, steps: 0 }).perStep < tokens) low = middle;
    else high = middle;
  }
  return high;
}

defineConcept("speculative", {
  start: START,
  controls: [
    { name: "share", label: "Draft toward target", kind: "range", min: 0, max: 1, step: 0.01, show: (s) => s.toFixed(2) },
    { name: "gamma", label: "Proposals a step", kind: "range", min: 1, max: 8, step: 1 },
    { name: "one", label: "One step more", kind: "button", press: ({ steps }) => ({ steps: steps + 1 }) },
    { name: "many", label: "100 steps more", kind: "button", press: ({ steps }) => ({ steps: steps + 100 }) },
  ],
  compute, draw, tell,
  question: {
    ask: "From the start (press Reset), with 4 proposals: how far has the draft to move toward the target for 4 tokens a step on average? (to 0.01)",
    judge(reply) {
      if (!(reply >= 0 && reply <= 1)) return { right: false, why: "Give the slider’s value: 0 leaves the draft as it is, 1 makes it the target." };
      const { a, perStep } = compute({ ...START, share: reply, steps: 0 }), told = `At ${reply} it accepts ${(100 * a).toFixed(1)} % of proposals and gives ${perStep.toFixed(2)} tokens a step.`;
      if (Math.abs(reply - shareFor(4)) <= 0.01) return { right: true, why: `${told} Even so the output has not changed: both drafts give exactly the target’s distribution.` };
      return { right: false, why: `${told} ${perStep < 4 ? "The draft has to come closer." : "It need not come that close."}` };
    },
  },
});
