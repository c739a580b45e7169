// Ring all-reduce beside the way through one worker: every message of both is carried out, and counted. No network is measured.

import { defineConcept, handle } from "../../_static/js/concept.js";
import { arrow, el, line, path, picture, rect, short, tensor, text, ticks } from "../../_static/js/svg.js";

const GRADIENTS = { name: "GPT-2 124M in 32 bits", bytes: 4 * 124439808 };
const CHUNKS = "abcdefgh";

/**
 * The steps of a method for N workers, each with its messages, which travel at the same time.
 * A message carries one chunk of the sender's vector; the receiver adds it to its own, or takes it instead (adds: false).
 */
export function plan(method, N) {
  const all = Array.from({ length: N }, (_, i) => i), others = all.slice(1), mod = (i) => ((i % N) + N) % N;
  if (method === "ring") {
    return ["reduce-scatter", "all-gather"].flatMap((phase, second) => others.map((_, s) => ({
      phase, messages: all.map((from) => ({ from, to: mod(from + 1), chunk: mod(from + second - s), adds: !second })),
    })));
  }
  return [
    ...others.map((from) => ({ phase: "gather", messages: all.map((chunk) => ({ from, to: 0, chunk, adds: true })) })),
    ...others.map((to) => ({ phase: "broadcast", messages: all.map((chunk) => ({ from: 0, to, chunk, adds: false })) })),
  ];
}

/**
 * Carry out steps on vectors, one a worker. Returns what each holds; parts, the workers that are in each number, as bits;
 * sent, chunks sent by each worker; time, in chunks over one link: a step lasts as long as its busiest sender or receiver.
 */
export function simulate(vectors, steps) {
  const N = vectors.length, held = vectors.map((vector) => [...vector]), parts = vectors.map((vector, r) => vector.map(() => 1 << r));
  const sent = vectors.map(() => 0);
  let time = 0;
  for (const { messages } of steps) {
    const cargo = messages.map(({ from, chunk }) => [held[from][chunk], parts[from][chunk]]), busy = Array(2 * N).fill(0);
    messages.forEach(({ from, to, chunk, adds }, i) => {
      const [value, who] = cargo[i]; // as it was before this step: all messages leave at once
      held[to][chunk] = adds ? held[to][chunk] + value : value;
      parts[to][chunk] = adds ? parts[to][chunk] | who : who;
      sent[from] += 1;
      busy[from] += 1;
      busy[N + to] += 1;
    });
    time += Math.max(...busy);
  }
  return { held, parts, sent, time };
}

// What the workers hold at the start: digits, so that sums can be checked in one's head.
const DIGITS = ["31415926", "53589793", "23846264", "33832795", "62884197", "16939937", "51758209", "74944592"];

/** The first N chunks of the first N workers. */
export function vectors(N) {
  return DIGITS.slice(0, N).map((row) => [...row].slice(0, N).map(Number));
}

export function compute({ method, workers: N, step }) {
  const steps = plan(method, N), at = Math.min(step, steps.length), start = vectors(N), found = simulate(start, steps.slice(0, at));
  const members = found.parts.map((row) => row.map((bits) => bits.toString(2).replaceAll("0", "").length));
  return {
    ...found, members, at, total: steps.length, last: steps[at - 1] ?? null,
    whole: members.flat().filter((count) => count === N).length,
    sum: start[0].map((_, c) => start.reduce((total, vector) => total + vector[c], 0)),
    vectorsSent: found.sent.map((chunks) => chunks / N), vectorTimes: found.time / N,
    ends: Object.fromEntries(["ring", "one"].map((way) => [way, simulate(start, plan(way, N)).time / N])),
  };
}

function draw(values, state, set, narrow) {
  const svg = narrow ? picture(340, 670, ALT) : picture(640, 456, ALT), pitch = Math.min(66, 312 / state.workers);
  svg.append(vectorRows(values, state, pitch, narrow ? 50 : 70));
  svg.append(narrow ? sentBars(values, state, 50, 412, 20, 270) : sentBars(values, state, 396, 38, pitch, 224));
  svg.append(timeLine(values, state, set, narrow ? [16, 634, 308] : [24, 420, 592]));
  return svg;
}

const ALT = "A row of chunks for each worker, numbers in cells, the messages of the last step as arrows; beside it how much each worker has sent; below a line of time.";

/** Each worker's vector, the links of the ring in the margin, the last step's messages, and the sum that all should reach. */
function vectorRows({ held, members, sum, last }, { workers: N, method }, pitch, left) {
  const made = el("g"), top = 38, gap = 11, cell = pitch - gap, y = (r) => top + pitch * r, middle = (r) => y(r) + cell / 2, node = left - 22;
  const size = Math.max(11, cell * 0.34), column = (c) => left + cell * (c + 0.5) - 0.75;
  made.append(text(left - 8, 10, "worker", { anchor: "end", size: 12 }));
  for (let c = 0; c < N; c += 1) made.append(text(column(c), 10, CHUNKS[c], { size: 12 }), text(column(c), y(N) + 14, sum[c], { size, weight: 600 }));
  made.append(text(left - 8, y(N) + 14, "sum", { anchor: "end", size: 12 }));
  // The links: down from each worker to the next, and from the last around the outside to the first.
  const lit = (from, to) => last?.messages.some((message) => message.from === from && message.to === to), outside = node - 20;
  const around = (from, to) => {
    const style = lit(from, to) ? { stroke: "var(--course-ink)", width: 2.2 } : { stroke: "var(--course-faint)", width: 1.4 };
    made.append(path([[node - 9, middle(from)], [outside, middle(from)], [outside, middle(to)]], style), arrow(outside, middle(to), node - 10, middle(to), style));
  };
  if (method === "ring") {
    for (let r = 0; r + 1 < N; r += 1) made.append(arrow(node, middle(r) + 10, node, middle(r + 1) - 10, lit(r, r + 1) ? { width: 2.2 } : { stroke: "var(--course-faint)" }));
    around(N - 1, 0);
  } else if (last) around(last.messages[0].from, last.messages[0].to);
  held.forEach((row, r) => {
    made.append(el("circle", { cx: node, cy: middle(r), r: 9, fill: "none", stroke: "var(--course-ink)" }), text(node, middle(r), r, { size: 12 }));
    made.append(tensor([members[r]], { x: left, y: y(r), cell, low: 1, high: N }));
    row.forEach((value, c) => made.append(text(column(c), middle(r), value, { size, fill: (members[r][c] - 1) / (N - 1) < 0.55 ? "#fff" : "#000" })));
  });
  for (const { from, to, chunk } of last?.messages ?? []) {
    made.append(rect(left + cell * chunk - 0.75, y(to) - 0.75, cell, cell, { fill: "none", stroke: "var(--course-ink)", radius: 3 }));
    if (method === "ring" && to > from) made.append(arrow(column(chunk), y(to) - gap - 1, column(chunk), y(to) - 1));
    if (method === "ring" && to < from) made.append(line(column(chunk), y(N) - gap, column(chunk), y(N) - 4, { dash: "2 2" }), arrow(column(chunk), top - 16, column(chunk), top - 1));
  }
  return made;
}

/** What each worker has sent so far, in whole vectors, on a scale that both methods share. */
function sentBars({ vectorsSent }, { workers: N }, left, top, pitch, length) {
  const most = Math.max(2, N - 1), x = (value) => left + (length * value) / most, bottom = top + pitch * N, tall = Math.min(18, pitch - 6), centre = (r) => top + pitch * r + (pitch > 24 ? (pitch - 11) / 2 : pitch / 2);
  const made = el("g", {}, text(left, top - 28 + (pitch > 24 ? 0 : 14), "vectors sent; dashed: the ring’s limit", { anchor: "start", size: 12 }));
  const clear = (at) => (at < x(2) && at > x(2) - 30 ? x(2) + 5 : at); // no number lies across the dashed line
  vectorsSent.forEach((value, r) => made.append(rect(left, centre(r) - tall / 2, length * value / most, tall), text(clear(x(value) + 5), centre(r), value.toFixed(2), { anchor: "start", size: 11 }), text(left - 8, centre(r), r, { anchor: "end", size: 12 })));
  made.append(line(left, top - 6, left, bottom), line(x(2), top - 6, x(2), bottom, { dash: "4 3", stroke: "var(--course-orange)", width: 2 }));
  for (const value of ticks(0, most, 7).filter(Number.isInteger)) made.append(text(x(value), bottom + 12, value, { size: 11 }));
  return made;
}

/** Time so far in whole vectors over one link, with a mark that can be dragged, and where both methods end. */
function timeLine({ at, total, vectorTimes, ends }, { method }, set, [left, y, length]) {
  const most = Math.max(...Object.values(ends)), x = (value) => left + (length * value) / most, each = ends[method] / total;
  const made = el("g", {}, text(left, y - 26, "time, in whole vectors over one link", { anchor: "start", size: 12 }), rect(left, y - 4, length, 8, { fill: "var(--course-faint)", radius: 4 }), rect(left, y - 4, x(vectorTimes) - left, 8, { radius: 4 }));
  for (const [way, words, anchor] of [["ring", "ring done", "start"], ["one", "through one done", "end"]]) {
    const far = x(ends[way]);
    made.append(line(far, y - 9, far, y + 9, { width: 2 }), text(far, y + 22, `${words}: ${Number(ends[way].toFixed(2))}`, { anchor, size: 12 }));
  }
  const go = (step) => set({ step: Math.min(total, Math.max(0, Math.round(step))) });
  const grip = el("g", {}, rect(x(vectorTimes) - 14, y - 15, 28, 30, { opacity: 0 }), rect(x(vectorTimes) - 5, y - 11, 10, 22, { fill: "var(--course-ink)", radius: 5 }));
  made.append(handle(grip, { name: "time", label: "step", value: `${at} of ${total}`, high: total, keys: (dx, dy) => go(at + dx + dy), move: (to) => go((most * (to - left)) / length / each) }));
  return made;
}

function tell({ at, total, last, whole, vectorsSent }, { workers: N, method }) {
  if (!last) return `Step 0 of ${total}. Each of ${N} workers holds numbers of its own; nobody has the sum.`;
  const most = Math.max(...vectorsSent), [{ from, to }] = last.messages;
  const happens = {
    "reduce-scatter": "every worker sends one chunk on, and the next one adds it to its own",
    "all-gather": "every worker sends one finished chunk on, and the next one takes it over",
    gather: `worker ${from} sends its whole vector to worker ${to}, which adds it; all others wait`,
    broadcast: `worker ${from} sends the whole sum to worker ${to}; all others wait`,
  }[last.phase];
  const sent = method === "ring" ? `Each has sent ${most.toFixed(2)} times its vector` : `The busiest has sent ${most.toFixed(2)} vectors`;
  const end = at === total ? ` Of the gradients of ${GRADIENTS.name} that is ${short(most * GRADIENTS.bytes, "B")}.` : "";
  return `Step ${at} of ${total}, ${last.phase}: ${happens}. ${sent}; ${whole} of ${N * N} chunks hold the whole sum.${end}`;
}

const START = { method: "ring", workers: 4, step: 0 };
const steps = ({ method, workers }) => plan(method, workers).length;

/** How much each worker has sent, in vectors, after so many steps of the ring. */
export function ringSends(workers, step = Infinity) {
  return Math.max(...compute({ method: "ring", workers, step }).vectorsSent);
}

defineConcept("ring-all-reduce", {
  start: START,
  controls: [
    { name: "method", label: "Method", kind: "choice", options: [["ring", "Ring"], ["one", "Through worker 0"]] },
    { name: "workers", label: "Workers", kind: "range", min: 2, max: 8, step: 1 },
    { name: "play", label: "Play", step: "Step", kind: "play", first: { step: 0 }, advance: (state) => (state.step < steps(state) ? { step: state.step + 1 } : null) },
  ],
  compute, draw, tell,
  question: {
    ask: "Eight workers in a ring: how many times its own vector has each of them sent when all have the sum?",
    judge(reply) {
      const truth = ringSends(8), near = (value) => Math.abs(reply - value) < 0.005, collector = Math.max(...compute({ method: "one", workers: 8, step: Infinity }).vectorsSent);
      if (near(truth)) return { right: true, why: `With four it is ${ringSends(4)}, with two ${ringSends(2)}: it grows toward 2 and never gets there, while worker 0 alone would send ${collector}.` };
      if (near(8 * truth)) return { right: false, why: `So many chunks are sent. How much of a vector is a chunk?` };
      if (near(ringSends(8, 7))) return { right: false, why: "That is what reduce-scatter alone takes: then each worker has the sum of one chunk only." };
      if (near(collector)) return { right: false, why: "That is what worker 0 sends if everything goes through it." };
      return { right: false, why: "Set eight workers, go to the last step, and read the bars." };
    },
  },
});
