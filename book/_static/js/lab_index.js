// <course-lab-index>: filters the table of labs that stands in it, by level, time and hardware. The table is whole without it.

import { html } from "./concept.js";

const TIMES = [["any time", Infinity], ["up to 45 minutes", 45], ["up to 60 minutes", 60], ["up to 75 minutes", 75]];

/** Whether a row's facts fit what was chosen; "" stands for any. */
export function fits({ level, minutes, hardware }, chosen) {
  return (!chosen.level || level === chosen.level) && (!chosen.hardware || hardware === chosen.hardware) && Number(minutes) <= chosen.minutes;
}

class LabIndex extends HTMLElement {
  connectedCallback() {
    if (this.told) return;
    const rows = [...this.querySelectorAll("tbody tr")];
    this.told = html("p", { role: "status" });
    const select = (label, options) => {
      const made = html("select", { onchange: () => show() }, ...options.map(([words, value]) => html("option", { textContent: words, value })));
      bar.append(html("label", {}, `${label} `, made));
      return made;
    };
    const bar = html("div", { className: "lab-filters" });
    const level = select("Level", [["any level", ""], ...this.dataset.levels.split(" ").map((l) => [l, l])]);
    const minutes = select("Time", TIMES.map(([words, most]) => [words, String(most)]));
    const hardware = select("Hardware", [["any hardware", ""], ...this.dataset.hardware.split(" ").map((h) => [h.toUpperCase(), h])]);
    const show = () => {
      const chosen = { level: level.value, minutes: Number(minutes.value), hardware: hardware.value };
      for (const row of rows) row.hidden = !fits(row.dataset, chosen);
      const left = rows.filter((row) => !row.hidden), hours = Math.round(left.reduce((sum, row) => sum + Number(row.dataset.minutes), 0) / 60);
      this.told.textContent = left.length ? `${left.length} of ${rows.length} labs, about ${hours} hours.` : "No lab fits: choose less.";
    };
    this.prepend(bar, this.told);
    show();
  }
}

customElements.define("course-lab-index", LabIndex);
