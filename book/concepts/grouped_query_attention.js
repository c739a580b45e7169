// Grouped-query attention: H query heads share G key and value heads. It counts cache and shows who shares; it computes no attention.

import { defineConcept } from "../../_static/js/concept.js";
import { box, el, line, picture, rect, short, text } from "../../_static/js/svg.js";

export const H = 8;
const COLOURS = ["blue", "orange", "green", "pink", "sky", "red", "yellow", "ink"].map((name) => `var(--course-${name})`);

/** Which key and value head query head h reads: neighbours share, H / G to a group. */
export function groupOf(h, G) {
  return Math.floor(h / (H / G));
}

/** What is kept for one token in one layer, and what the two projections hold. D: head width; 16 bits. */
export function compute({ groups, D, T }) {
  const G = 2 ** groups;
  return { G, groups: Array.from({ length: H }, (_, h) => groupOf(h, G)), cache: 2 * G * D * 2 * T, full: 2 * H * D * 2 * T, projections: 2 * G * D * H * D };
}

function draw({ G, groups, cache, full }, _state, _set, narrow) {
  const width = narrow ? 340 : 640, svg = picture(width, 270, "Eight query heads above, the key and value heads that they share below; a bar for the size of the cache.");
  const step = (width - 40) / H, x = (h) => 20 + step * (h + 0.5), low = (g) => 20 + step * (H / G) * (g + 0.5);
  svg.append(text(20, 14, `${H} query heads`, { anchor: "start", size: 12 }), text(20, 212, `${G} key and value head${G > 1 ? "s" : ""}`, { anchor: "start", size: 12 }));
  groups.forEach((g, h) => svg.append(line(x(h), 62, low(g), 166, { stroke: COLOURS[g], width: 2 }), box(x(h) - step * 0.36, 28, step * 0.72, 34, COLOURS[g], `q${h}`)));
  for (let g = 0; g < G; g += 1) svg.append(box(low(g) - step * 0.36, 166, step * 0.72, 34, COLOURS[g], narrow ? `${g}` : `k${g}, v${g}`));
  svg.append(el("g", {}, rect(20, 226, width - 40, 14, { fill: "var(--course-faint)", opacity: 0.5 }), rect(20, 226, (width - 40) * cache / full, 14), text(20, 256, `cache: ${short(cache, "B", 1024)} a layer, of ${short(full, "B", 1024)} with a key head for each query head`, { anchor: "start", size: narrow ? 9.5 : 12 })));
  return svg;
}

function tell({ G, cache, full }) {
  const name = G === H ? "multi-head attention" : G === 1 ? "multi-query attention" : "grouped-query attention";
  return `G = ${G}: ${name}. ${H / G} query head${H / G > 1 ? "s" : ""} to a group; the cache is ${full / cache === 1 ? "as large as can be" : `${full / cache} times smaller`}.`;
}

const START = { groups: 1, D: 64, T: 1024 };

defineConcept("grouped-query-attention", {
  start: START,
  controls: [
    { name: "groups", label: "Key and value heads G", kind: "range", min: 0, max: 3, step: 1, show: (n) => String(2 ** n) },
    { name: "T", label: "Tokens", kind: "range", min: 256, max: 8192, step: 256, show: (n) => n.toLocaleString("en") },
  ],
  compute, draw, tell,
  question: {
    ask: "With G = 8, 1,024 tokens fill the memory set aside for the cache. How many tokens fit into it with G = 2?",
    judge(reply) {
      const room = compute({ groups: 3, D: 64, T: 1024 }).cache, of = (T) => compute({ groups: 1, D: 64, T }).cache, right = room / of(1);
      if (!(reply > 0)) return { right: false, why: "Give a number of tokens." };
      if (reply === right) return { right: true, why: "A quarter of the heads are kept, so four times as many tokens fit. The query heads need no room: they are not kept." };
      return { right: false, why: `${reply.toLocaleString("en")} tokens take ${short(of(reply), "B", 1024)}; the room is ${short(room, "B", 1024)}.` };
    },
  },
});
