// <course-review>: goes through flashcards with spaced repetition, on a deck's page or over all decks. It schedules nothing itself.
// The cards are the page's own <details class="flashcard">; with data-decks they are fetched from the decks' pages.

import { html } from "./concept.js";
import { exported, imported, merged, next, NEW_A_DAY, preview, queue, rated, span } from "./schedule.js";
import { download, record } from "./store.js";

/** The cards of a document, { id, front, back }: nodes to be cloned. deck: the chapter's folder. */
export function cardsOf(root, deck) {
  return [...root.querySelectorAll("details.flashcard")].map((card) => ({
    id: `${deck}/${card.id.replace(/^card-/, "")}`,
    front: card.querySelector(".flashcard-front"),
    back: card.querySelector(".flashcard-back"),
  }));
}

/** The cards of another deck's page. Its links and pictures are made to lead where they led there. */
async function fetched({ deck, page }) {
  const address = new URL(page, document.baseURI);
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${page}: ${answer.status}`);
  const read = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const [selector, name] of [["a[href]", "href"], ["img[src]", "src"]]) {
    for (const node of read.querySelectorAll(selector)) node.setAttribute(name, new URL(node.getAttribute(name), address));
  }
  return cardsOf(read, deck);
}

class Review extends HTMLElement {
  async connectedCallback() {
    if (this.stage) return;
    this.store = record("reviews", 1, { cards: {}, newADay: NEW_A_DAY });
    this.stage = html("div", { className: "review-stage" });
    this.counts = html("p", { className: "review-counts", role: "status" });
    this.trouble = html("p", { className: "review-trouble", role: "alert" });
    this.append(this.counts, this.stage, this.trouble, this.tools());
    this.addEventListener("keydown", (event) => this.key(event));
    try {
      const decks = this.dataset.decks ? JSON.parse(this.dataset.decks) : null;
      this.cards = decks ? (await Promise.all(decks.map(fetched))).flat() : cardsOf(document, this.dataset.deck);
    } catch (error) {
      this.trouble.textContent = `The decks could not be read (${error.message}). Open a chapter's own deck instead.`;
      this.cards = [];
    }
    this.byId = new Map(this.cards.map((card) => [card.id, card]));
    this.home();
  }

  get log() { return this.store.value.cards; }

  waiting(now = new Date()) { return queue(this.log, [...this.byId.keys()], now, this.store.value.newADay); }

  keep(cards) {
    this.store.keep({ ...this.store.value, cards });
    this.trouble.textContent = this.store.trouble;
  }

  told() {
    const { due, fresh, soon } = this.waiting(), begun = this.cards.filter((card) => this.log[card.id]).length;
    this.counts.textContent = `${due.length + soon.length} due, ${fresh.length} new for today, ${begun} of ${this.cards.length} begun`;
  }

  home() {
    this.current = null;
    this.told();
    this.trouble.textContent ||= this.store.trouble;
    const { due, fresh } = this.waiting();
    if (due.length + fresh.length) {
      this.stage.replaceChildren(this.button("Review", () => this.show(), "primary"));
    } else {
      const when = next(this.log, [...this.byId.keys()], new Date());
      this.stage.replaceChildren(html("p", { textContent: when ? `Nothing is due. The next card comes back in ${span(when - new Date())}.` : "No cards." }));
    }
  }

  show() {
    const { due, fresh, soon } = this.waiting(), id = [...due, ...fresh, ...soon][0];
    this.told();
    if (id === undefined) return this.home();
    this.current = id;
    this.open = false;
    const { front } = this.byId.get(id);
    this.answer = html("div", { className: "review-back", hidden: true });
    this.below = html("div", { className: "review-buttons" }, this.button("Show the answer", () => this.reveal(), "primary"));
    this.stage.replaceChildren(html("div", { className: "review-card" }, html("div", { className: "review-front", tabIndex: -1 }, ...copies(front)), this.answer, this.below));
    typeset(this.stage);
    this.stage.querySelector(".review-front").focus({ preventScroll: true });
  }

  reveal() {
    this.open = true;
    this.answer.replaceChildren(...copies(this.byId.get(this.current).back));
    this.answer.hidden = false;
    const ratings = preview(this.log, this.current, new Date());
    this.below.replaceChildren(...ratings.map(([name, rating, when], i) => this.button(`${name} (${when})`, () => this.rate(rating), `rating-${i + 1}`)));
    typeset(this.answer);
    this.below.children[2].focus({ preventScroll: true });
  }

  rate(rating) {
    this.undone = [this.current, this.log[this.current]];
    this.keep(rated(this.log, this.current, rating, new Date()));
    this.undo.disabled = false;
    this.show();
  }

  back() {
    const [id, card] = this.undone, cards = { ...this.log };
    if (card) cards[id] = card;
    else delete cards[id];
    this.keep(cards);
    this.undo.disabled = true;
    this.show();
  }

  key(event) {
    if (event.target.matches("input, select, summary, a") || event.ctrlKey || event.metaKey || event.altKey || !this.current) return;
    const at = "1234".indexOf(event.key);
    if (!this.open && event.key === " ") this.reveal();
    else if (this.open && at >= 0) this.below.children[at].click();
    else return;
    event.preventDefault();
  }

  tools() {
    this.undo = this.button("Undo", () => this.back());
    this.undo.disabled = true;
    const file = html("input", { type: "file", accept: ".json,application/json", hidden: true, "aria-label": "A file of reviews" });
    file.onchange = async () => {
      try {
        const cards = imported(await file.files[0].text());
        this.keep(merged(this.log, cards));
        this.home();
        this.trouble.textContent = `${Object.keys(cards).length} cards imported.`;
      } catch (error) {
        this.trouble.textContent = error.message;
      }
      file.value = "";
    };
    const limit = html("select", { "aria-label": "New cards a day" }, ...[5, 10, 20, 50, 1000].map((n) => html("option", { value: n, textContent: n === 1000 ? "all" : String(n), selected: n === this.store.value.newADay })));
    limit.onchange = () => { this.store.keep({ ...this.store.value, newADay: Number(limit.value) }); this.current ? this.told() : this.home(); };
    const forget = this.button("Forget all", () => {
      if (!confirm("Forget all reviews of this book in this browser? Export them first if you may want them back.")) return;
      this.keep({});
      this.undo.disabled = true;
      this.home();
    });
    return html("details", { className: "review-tools sd-dropdown" }, html("summary", { textContent: "Your record" }),
      html("p", {}, "It stays in this browser. Keys: space shows the answer, 1 to 4 rate it."),
      html("div", { className: "review-buttons" }, this.undo, this.button("Export", () => download("transformer-systems-reviews.json", exported(this.log))), this.button("Import", () => file.click()), file, forget, html("label", {}, "New cards a day ", limit)));
  }

  button(words, press, kind = "") {
    return html("button", { type: "button", className: `concept-button ${kind}`, textContent: words, onclick: press });
  }
}

function copies(node) {
  return [...node.cloneNode(true).childNodes];
}

// Formulas in nodes that came from another page are text until MathJax has seen them.
function typeset(node) {
  window.MathJax?.startup?.promise?.then(() => window.MathJax.typesetPromise([node]));
}

customElements.define("course-review", Review);
