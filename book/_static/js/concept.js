// A concept card's frame: controls, a picture, a line that says what one sees, a question. It knows no concept.
// A concept's own module gives it plain functions; `compute` must be pure, so that tests can hold it against Python.

let count = 0;

/** An HTML element with properties and children. */
export function html(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) key in made ? (made[key] = value) : made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/**
 * Define <course-NAME>.
 *
 * start: the state before anything was moved, { name: value }.
 * controls: what moves it. Each has name and label, and
 *   kind "range": min, max, step, and optionally show(value) for the words beside it;
 *   kind "choice": options [[value, words], ...];
 *   kind "switch": true or false;
 *   kind "button": press(state) -> changes to the state.
 * compute(state) -> values: the truth, nothing drawn.
 * draw(values, state, set, narrow) -> an SVG from svg.js. set(changes) moves the state, for handles inside the picture.
 *   narrow: on a phone, where a picture should be about 340 units wide: then a unit is a pixel, and text stays legible.
 * tell(values, state) -> a sentence or two with the numbers, read aloud when they change.
 * question: { ask, options [[reply, words], ...] or kind "number" with unit, judge(reply) -> { right, why } }.
 *   Ask what only moving can answer. judge computes: it calls compute, and holds no answer.
 */
export function defineConcept(name, { start, controls, compute, draw, tell, question }) {
  class Concept extends HTMLElement {
    connectedCallback() {
      if (this.shown) return;
      this.state = { ...start };
      this.inputs = {};
      this.shown = html("div", { className: "concept-live" });
      this.place = html("div", { className: "concept-place" });
      this.words = html("p", { className: "concept-words", role: "status" });
      const panel = html("div", { className: "concept-controls" }, ...controls.map((control) => this.control(control)));
      panel.append(html("button", { type: "button", className: "concept-button", textContent: "Reset", onclick: () => this.set(start) }));
      this.shown.append(this.place, this.words, panel);
      if (question) this.shown.append(asked(question));
      this.append(this.shown);
      this.classList.add("course-concept", "live"); // the drawing that stood here for readers without scripts goes
      this.set({});
      new ResizeObserver(() => { if (this.narrow !== this.isNarrow()) this.set({}); }).observe(this);
    }

    isNarrow() { return this.clientWidth < 520; }

    control(told) {
      const id = `concept-${(count += 1)}`;
      if (told.kind === "button") {
        return html("button", { type: "button", className: "concept-button", textContent: told.label, onclick: () => this.set(told.press(this.state)) });
      }
      if (told.kind === "choice") {
        const select = html("select", { id, onchange: () => this.set({ [told.name]: told.options[select.selectedIndex][0] }) }, ...told.options.map(([, words]) => html("option", { textContent: words })));
        this.inputs[told.name] = () => (select.selectedIndex = told.options.findIndex(([value]) => value === this.state[told.name]));
        return html("div", { className: "concept-control" }, html("label", { htmlFor: id, textContent: told.label }), select);
      }
      if (told.kind === "switch") {
        const box = html("input", { id, type: "checkbox", onchange: () => this.set({ [told.name]: box.checked }) });
        this.inputs[told.name] = () => (box.checked = this.state[told.name]);
        return html("div", { className: "concept-control" }, box, html("label", { htmlFor: id, textContent: told.label }));
      }
      const show = told.show ?? String;
      const output = html("output", { htmlFor: id });
      const range = html("input", { id, type: "range", min: told.min, max: told.max, step: told.step, oninput: () => this.set({ [told.name]: Number(range.value) }) });
      this.inputs[told.name] = () => {
        range.value = this.state[told.name];
        output.value = show(this.state[told.name]);
        range.setAttribute("aria-valuetext", output.value);
      };
      return html("div", { className: "concept-control" }, html("label", { htmlFor: id, textContent: told.label }), range, output);
    }

    set(changes) {
      Object.assign(this.state, changes);
      for (const write of Object.values(this.inputs)) write();
      this.values = compute(this.state);
      const focused = this.place.contains(document.activeElement) ? document.activeElement.getAttribute("data-handle") : null;
      this.narrow = this.isNarrow();
      const picture = draw(this.values, this.state, (moved) => this.set(moved), this.narrow);
      // An image has no parts: a picture with handles is a group, so that screen readers find them.
      if (picture.querySelector("[tabindex]")) picture.setAttribute("role", "group");
      this.place.replaceChildren(picture);
      if (focused !== null) this.place.querySelector(`[data-handle="${focused}"]`)?.focus();
      this.words.textContent = tell(this.values, this.state);
    }
  }
  if (!customElements.get(`course-${name}`)) customElements.define(`course-${name}`, Concept);
}

/** A question with its answer's field; each reply gets its own explanation, computed when it is given. */
export function asked({ ask, options, unit = "", judge }) {
  const id = `concept-${(count += 1)}`;
  const verdict = html("p", { className: "concept-verdict", role: "status" });
  const answer = (reply) => {
    const { right, why } = judge(reply);
    verdict.className = `concept-verdict ${right ? "right" : "wrong"}`;
    verdict.textContent = `${right ? "Right." : "Not yet."} ${why}`;
  };
  const form = html("form", { className: "concept-question" }, html("p", { id, className: "concept-ask", textContent: ask }));
  if (options) {
    const group = html("div", { role: "group", "aria-labelledby": id, className: "concept-options" });
    group.append(...options.map(([reply, words]) => html("button", { type: "button", className: "concept-button", textContent: words, onclick: () => answer(reply) })));
    form.append(group);
  } else {
    const field = html("input", { type: "text", inputMode: "decimal", size: 8, "aria-labelledby": id });
    form.append(field, unit, html("button", { className: "concept-button", textContent: "Check" }));
    form.onsubmit = (event) => {
      event.preventDefault();
      const reply = Number(field.value.trim().replace(",", "."));
      if (field.value.trim() === "" || Number.isNaN(reply)) {
        verdict.className = "concept-verdict wrong";
        verdict.textContent = "Give a number, such as 2.5.";
      } else answer(reply);
    };
  }
  form.append(verdict);
  return form;
}

/** Makes an SVG node a handle: dragged by mouse or finger, moved by arrow keys. move(x, y) gets the picture's units. */
export function handle(node, { name, label, value, keys, move }) {
  for (const [key, told] of Object.entries({ tabindex: 0, role: "slider", "aria-label": label, "aria-valuetext": value, "aria-valuenow": parseFloat(value) || 0, "data-handle": name, class: "concept-handle" })) node.setAttribute(key, told);
  node.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!step) return;
    event.preventDefault();
    keys(...step);
  });
  node.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    const svg = node.ownerSVGElement, host = svg.parentNode;
    node.focus();
    const at = (e) => {
      const now = host.querySelector("svg"), point = new DOMPoint(e.clientX, e.clientY).matrixTransform(now.getScreenCTM().inverse());
      move(point.x, point.y);
    };
    const end = () => { window.removeEventListener("pointermove", at); window.removeEventListener("pointerup", end); window.removeEventListener("pointercancel", end); };
    window.addEventListener("pointermove", at);
    window.addEventListener("pointerup", end);
    window.addEventListener("pointercancel", end);
  });
  return node;
}
