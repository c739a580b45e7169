// Reads numbers as people type them. It judges none.

/** The number that somebody typed: a decimal comma, spaces or commas between thousands, and a fraction are understood. */
export function parsed(text) {
  const clean = text.trim().replace(/[\s_]/g, "").replace("−", "-"), fraction = clean.match(/^(-?[\d.]+)\/([\d.]+)$/);
  if (fraction) return Number(fraction[1]) / Number(fraction[2]);
  const grouped = /^-?[1-9]\d{0,2}(,\d{3})+(\.\d+)?$/.test(clean) ? clean.replace(/,/g, "") : clean.replace(",", ".");
  return grouped === "" ? NaN : Number(grouped);
}
