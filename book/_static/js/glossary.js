// Shows a term's definition where it is used, when its link is pointed at or focused. The definitions stand on the glossary's page.

import { html } from "./concept.js";

let definitions; // fetched once, when the first term is pointed at
let shown; // the link whose definition stands open

/** The definitions of the glossary's page: id of the term to the text behind it. */
export function read(page) {
  const found = new Map();
  for (const term of page.querySelectorAll("dl.glossary dt[id]")) {
    let told = term.nextElementSibling;
    while (told && told.tagName === "DT") told = told.nextElementSibling;
    if (told) found.set(term.id, told.textContent.trim());
  }
  return found;
}

async function definition(link) {
  const [address, id] = link.href.split("#");
  definitions ??= fetch(address).then((answer) => answer.text()).then((text) => read(new DOMParser().parseFromString(text, "text/html")));
  return (await definitions.catch(() => new Map())).get(decodeURIComponent(id ?? ""));
}

const tip = html("div", { className: "glossary-tip", role: "tooltip", id: "glossary-tip", hidden: true });

async function open(link) {
  shown = link;
  const told = await definition(link);
  if (shown !== link || !told) return;
  tip.textContent = told;
  tip.hidden = false;
  link.setAttribute("aria-describedby", tip.id);
  const place = link.getBoundingClientRect(), width = Math.min(352, innerWidth - 16);
  tip.style.width = `${width}px`;
  tip.style.left = `${scrollX + Math.max(8, Math.min(place.left, innerWidth - width - 8))}px`;
  const above = place.top > tip.offsetHeight + 12;
  tip.style.top = `${scrollY + (above ? place.top - tip.offsetHeight - 6 : place.bottom + 6)}px`;
}

function close() {
  shown?.removeAttribute("aria-describedby");
  shown = undefined;
  tip.hidden = true;
}

const links = [...document.querySelectorAll("a.reference")].filter((link) => link.querySelector(".glossary-term"));
if (links.length) document.body.append(tip);
for (const link of links) {
  link.removeAttribute("title");
  link.classList.add("glossary-link");
  for (const event of ["mouseenter", "focus"]) link.addEventListener(event, () => open(link));
  for (const event of ["mouseleave", "blur"]) link.addEventListener(event, close);
}
document.addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });
