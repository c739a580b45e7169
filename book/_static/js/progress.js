// Ticks: which pages and labs a reader has done, kept in the browser. It changes no page's content and sends nothing.
// <course-tick data-page> sets a tick; links to ticked pages in lists get a mark; <course-record> shows and moves the record.

import { html } from "./concept.js";
import { download, record } from "./store.js";

const LISTS = ".course-contents a, .arc a, .track-nav a, .bd-sidebar-primary nav a";

/** A page's name in the book, from its address and the book's root: "book/ch01_attention/index". */
export function pageName(address, root) {
  const path = new URL(address, root).pathname, base = new URL(root).pathname;
  return path.startsWith(base) && path.endsWith(".html") ? path.slice(base.length, -".html".length) : null;
}

/** The ticks in an exported file's text. Throws an Error that says what is wrong. */
export function imported(text) {
  let told;
  try {
    told = JSON.parse(text);
  } catch {
    throw new Error("This is no JSON file: choose the file that “Export” saved.");
  }
  const fits = told?.kind === "transformer-systems progress" && told.version === 1 && typeof told.pages === "object" && told.pages !== null;
  if (!fits || Object.values(told.pages).some((date) => typeof date !== "string" || Number.isNaN(Date.parse(date)))) {
    throw new Error("This file holds no progress of this book: choose the file that “Export” saved.");
  }
  return told.pages;
}

const root = new URL(document.documentElement.dataset.content_root ?? "./", document.baseURI).href;
const store = record("progress", 1, { pages: {} });

function keep(pages) {
  store.keep({ pages });
  mark();
  document.dispatchEvent(new CustomEvent("course-progress"));
}

/** Mark the links of all lists that lead to ticked pages, for the eye and for a screen reader. */
function mark() {
  for (const link of document.querySelectorAll(LISTS)) {
    const name = pageName(link.href.split("#")[0], root), done = name !== null && name in store.value.pages;
    const there = link.querySelector(".done-mark");
    if (done && !there) link.append(html("span", { className: "done-mark" }, " ✓", html("span", { className: "visually-hidden", textContent: " (done)" })));
    else if (!done && there) there.remove();
  }
}

class Tick extends HTMLElement {
  connectedCallback() {
    const page = this.dataset.page, lab = page.startsWith("notebooks/");
    const box = html("input", { type: "checkbox", checked: page in store.value.pages });
    const note = html("span", { className: "tick-note", role: "status" });
    box.onchange = () => {
      const { [page]: _, ...others } = store.value.pages;
      keep(box.checked ? { ...others, [page]: new Date().toISOString() } : others);
      note.textContent = store.trouble;
    };
    this.replaceChildren(html("label", {}, box, lab ? " I have done this lab" : " I have read this page"), note);
  }
}

class Record extends HTMLElement {
  connectedCallback() {
    this.told = html("p", { role: "status" });
    this.note = html("p", { role: "alert" });
    const file = html("input", { type: "file", accept: ".json,application/json", hidden: true, "aria-label": "A file of progress" });
    file.onchange = async () => {
      try {
        keep({ ...imported(await file.files[0].text()), ...store.value.pages });
        this.note.textContent = "Imported.";
      } catch (error) {
        this.note.textContent = error.message;
      }
      file.value = "";
    };
    const button = (words, press) => html("button", { type: "button", className: "concept-button", textContent: words, onclick: press });
    const buttons = html("p", { className: "review-buttons" },
      button("Export", () => download("transformer-systems-progress.json", JSON.stringify({ kind: "transformer-systems progress", version: 1, pages: store.value.pages }, null, 1))),
      button("Import", () => file.click()), file,
      button("Forget all", () => { if (confirm("Forget all ticks of this book in this browser?")) keep({}); }));
    this.replaceChildren(this.told, buttons, this.note);
    document.addEventListener("course-progress", () => this.tell());
    this.tell();
  }

  tell() {
    const all = JSON.parse(this.dataset.minutes), done = Object.keys(all).filter((page) => page in store.value.pages);
    const hours = (pages) => Math.round(pages.reduce((sum, page) => sum + all[page], 0) / 60);
    this.told.textContent = `${done.length} of ${Object.keys(all).length} pages and labs done, about ${hours(done)} of ${hours(Object.keys(all))} hours.`;
    this.note.textContent ||= store.trouble;
  }
}

customElements.define("course-tick", Tick);
customElements.define("course-record", Record);
mark();
