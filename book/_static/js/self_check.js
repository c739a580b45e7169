// <course-self-check>: makes a question of the page answerable. Questions and explanations stand in the page; it keeps no score.

import { html } from "./concept.js";
import { parsed } from "./numbers.js";

/** What a reply to a numeric question deserves: "right", the place of a foreseen wrong answer, or "otherwise". */
export function judged(reply, answer, within, foreseen) {
  if (Math.abs(reply - answer) <= within + 1e-12 * Math.abs(answer)) return "right";
  const near = foreseen.findIndex((value) => Math.abs(reply - value) <= Math.max(within, 1e-9 * Math.abs(value)));
  return near >= 0 ? near : "otherwise";
}

let count = 0;

class SelfCheck extends HTMLElement {
  connectedCallback() {
    if (this.verdict) return;
    const ask = this.querySelector(".check-ask");
    ask.id = `check-${(count += 1)}`;
    this.verdict = html("div", { className: "concept-verdict", role: "status" });
    const options = this.querySelector(".check-options"), number = this.querySelector(".check-number");
    if (options) this.choose(options, ask.id);
    else this.type(number, ask.id);
    this.append(this.verdict);
    this.classList.add("live");
  }

  /** Show an explanation, moved here from its place in the page and back: formulas stay drawn. */
  say(right, words, nodes) {
    this.back?.();
    const places = nodes.map((node) => [node, node.parentNode, node.nextSibling]);
    this.verdict.className = `concept-verdict ${right ? "right" : "wrong"}`;
    this.verdict.replaceChildren(html("strong", { textContent: words }), ...nodes);
    this.back = () => places.reverse().forEach(([node, parent, next]) => parent.insertBefore(node, next));
  }

  choose(options, asked) {
    options.setAttribute("aria-labelledby", asked);
    for (const option of options.children) {
      const say = option.querySelector(".check-say"), why = option.querySelector(".check-why"), right = option.dataset.right === "true";
      why.hidden = true;
      const button = html("button", { type: "button", className: "concept-button", onclick: () => {
        for (const other of options.querySelectorAll("button")) other.setAttribute("aria-pressed", String(other === button));
        this.say(right, right ? "Right. " : "No. ", contents(why));
      } });
      button.append(say);
      option.prepend(button);
    }
  }

  type(number, asked) {
    const field = html("input", { type: "text", inputMode: "decimal", size: 10, autocomplete: "off", "aria-labelledby": asked });
    const form = html("form", { className: "check-form" }, field, number.querySelector(".check-unit"), html("button", { className: "concept-button", textContent: "Check" }));
    const why = number.querySelector(".check-why"), wrong = [...number.querySelectorAll(".check-wrong > [data-when]")], otherwise = number.querySelector(".check-otherwise");
    why.hidden = true;
    form.onsubmit = (event) => {
      event.preventDefault();
      const reply = parsed(field.value);
      if (Number.isNaN(reply)) return this.say(false, "Give a number, such as 2.5, 1,000 or 1/3.", []);
      const found = judged(reply, Number(number.dataset.answer), Number(number.dataset.within), wrong.map((w) => Number(w.dataset.when)));
      if (found === "right") this.say(true, "Right. ", contents(why));
      else this.say(false, "No. ", contents(found === "otherwise" ? otherwise : wrong[found]));
    };
    number.prepend(form);
  }
}

function contents(node) {
  return [...node.children].filter((child) => child.tagName !== "SUMMARY");
}

customElements.define("course-self-check", SelfCheck);
