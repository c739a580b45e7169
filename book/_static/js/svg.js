// Draws into SVG: shapes, tensors, axes. It computes nothing and knows no concept.
// Colours are CSS variables of course.css, so that light and dark need no second drawing.

const SPACE = "http://www.w3.org/2000/svg";

/** An SVG element with attributes and children. A child that is no node becomes text. */
export function el(name, attributes = {}, ...children) {
  const made = document.createElementNS(SPACE, name);
  for (const [key, value] of Object.entries(attributes)) if (value !== null) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** A picture of a size in its own units; it scales with the page. label: what a screen reader says of it. */
export function picture(width, height, label) {
  return el("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label, class: "concept-picture" });
}

export function text(x, y, words, { anchor = "middle", size = 13, fill = "var(--course-ink)", weight = null } = {}) {
  return el("text", { x, y, "text-anchor": anchor, "font-size": size, fill, "font-weight": weight, "dominant-baseline": "central" }, String(words));
}

export function line(x1, y1, x2, y2, { stroke = "var(--course-ink)", width = 1.5, dash = null } = {}) {
  return el("line", { x1, y1, x2, y2, stroke, "stroke-width": width, "stroke-dasharray": dash });
}

export function rect(x, y, width, height, { fill = "var(--course-blue)", stroke = "none", opacity = 1, radius = 0 } = {}) {
  return el("rect", { x, y, width: Math.max(0, width), height: Math.max(0, height), fill, stroke, "fill-opacity": opacity, rx: radius });
}

/** A box of a colour, lightly filled, as book/drawing.py draws it: corner (x, y). */
export function box(x, y, width, height, colour, label = "") {
  const made = el("g", {}, rect(x, y, width, height, { fill: colour, opacity: 0.28, stroke: colour, radius: 2 }));
  if (label) made.append(text(x + width / 2, y + height / 2, label));
  return made;
}

export function arrow(x1, y1, x2, y2, { stroke = "var(--course-ink)", width = 1.4 } = {}) {
  const angle = Math.atan2(y2 - y1, x2 - x1), back = 7;
  const corner = (turn) => `${x2 - back * Math.cos(angle + turn)},${y2 - back * Math.sin(angle + turn)}`;
  return el("g", {}, line(x1, y1, x2, y2, { stroke, width }), el("polygon", { points: `${x2},${y2} ${corner(0.4)} ${corner(-0.4)}`, fill: stroke }));
}

export function path(points, { stroke = "var(--course-blue)", width = 2, dash = null } = {}) {
  const d = points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(2)},${y.toFixed(2)}`).join("");
  return el("path", { d, fill: "none", stroke, "stroke-width": width, "stroke-dasharray": dash });
}

// Cividis at nine places: the colour map of the book's heatmaps, told apart by everybody.
const CIVIDIS = [[0, 34, 78], [18, 53, 112], [59, 73, 108], [87, 93, 109], [112, 113, 115], [138, 134, 120], [165, 156, 116], [195, 179, 105], [254, 232, 56]];

/** The colour map at a share between 0 and 1, as CSS. */
export function cividis(share) {
  const at = Math.min(1, Math.max(0, share)) * (CIVIDIS.length - 1), low = Math.min(CIVIDIS.length - 2, Math.floor(at));
  const mixed = CIVIDIS[low].map((c, i) => Math.round(c + (CIVIDIS[low + 1][i] - c) * (at - low)));
  return `rgb(${mixed.join(",")})`;
}

/**
 * A matrix as a grid of coloured cells, row 0 at the top: how every tensor of the book is drawn.
 * values: rows of numbers; null is a cell that is masked. low, high: the ends of the colour scale.
 * numbers: digits after the point to write into cells, or null. rows, columns: labels beside and above.
 */
export function tensor(values, { x = 0, y = 0, cell = 34, low = 0, high = 1, numbers = null, rows = [], columns = [], name = "" } = {}) {
  const made = el("g", { class: "concept-tensor" });
  values.forEach((row, t) => row.forEach((value, s) => {
    const masked = value === null, share = masked ? 0 : (value - low) / (high - low || 1);
    made.append(rect(x + s * cell, y + t * cell, cell - 1.5, cell - 1.5, { fill: masked ? "var(--course-faint)" : cividis(share), opacity: masked ? 0.35 : 1, radius: 2 }));
    if (!masked && numbers !== null) {
      made.append(text(x + (s + 0.5) * cell - 0.75, y + (t + 0.5) * cell, value.toFixed(numbers).replace("-", "−"), { size: cell * 0.34, fill: share < 0.55 ? "#fff" : "#000" }));
    }
  }));
  rows.forEach((label, t) => made.append(text(x - 6, y + (t + 0.5) * cell, label, { anchor: "end", size: 12 })));
  columns.forEach((label, s) => made.append(text(x + (s + 0.5) * cell, y - 9, label, { size: 12 })));
  if (name) made.append(text(x + (values[0]?.length ?? 0) * cell / 2, y + values.length * cell + 12, name, { size: 12 }));
  return made;
}

/** Evenly spaced round numbers between two ends, at most `most` of them. */
export function ticks(low, high, most = 5) {
  const rough = (high - low) / most, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough * 0.999);
  const made = [];
  for (let value = Math.ceil(low / step - 1e-9) * step; value <= high + 1e-9 * step; value += step) made.push(Number(value.toPrecision(12)));
  return made;
}

/**
 * Two axes with ticks and titles in the rectangle (left, top, width, height).
 * Returns { node, x, y }: the drawing, and the functions from values to places. scale "log" takes powers of base 10 or 2.
 */
export function axes({ left = 52, top = 14, width, height, x, y, xTitle = "", yTitle = "", xScale = "linear", yScale = "linear", base = 10, yBase = base, format = String, yFormat = format }) {
  const place = (ends, scale, from, length) => {
    const f = scale === "log" ? Math.log : (v) => v, [low, high] = ends.map(f);
    return (value) => from + length * (f(value) - low) / (high - low);
  };
  const marks = (ends, scale, base) => {
    if (scale !== "log") return ticks(...ends);
    const made = [];
    for (let value = base ** Math.ceil(Math.log(ends[0]) / Math.log(base) - 1e-9); value <= ends[1] * 1.0001; value *= base) made.push(value);
    const every = Math.ceil(made.length / 6);
    return made.filter((_, i) => i % every === 0);
  };
  const X = place(x, xScale, left, width), Y = place(y, yScale, top + height, -height);
  const node = el("g", { class: "concept-axes" }, line(left, top + height, left + width, top + height), line(left, top, left, top + height));
  for (const value of marks(x, xScale, base)) node.append(line(X(value), top + height, X(value), top + height + 4), text(X(value), top + height + 15, format(value), { size: 11 }));
  for (const value of marks(y, yScale, yBase)) node.append(line(left - 4, Y(value), left, Y(value)), text(left - 7, Y(value), yFormat(value), { size: 11, anchor: "end" }));
  if (xTitle) node.append(text(left + width / 2, top + height + 34, xTitle, { size: 12 }));
  if (yTitle) {
    const title = text(0, 0, yTitle, { size: 12 });
    title.setAttribute("transform", `translate(${left - 42},${top + height / 2}) rotate(-90)`);
    node.append(title);
  }
  return { node, x: X, y: Y };
}

/** A number with a binary or decimal prefix for reading: short(12345) is "12.3 k". */
export function short(value, unit = "", step = 1000) {
  const names = step === 1024 ? ["", "Ki", "Mi", "Gi", "Ti", "Pi"] : ["", "k", "M", "G", "T", "P"];
  let at = 0;
  while (Math.abs(value) >= step && at < names.length - 1) { value /= step; at += 1; }
  const digits = Math.abs(value) >= 100 || Number.isInteger(value) ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${names[at]}${unit}`.trim();
}
