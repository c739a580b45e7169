// Lets the keyboard scroll what is wider than the screen: such a box takes the focus, others do not. It moves nothing.

const BOXES = "mjx-container[display='true'], div.math, .lab-scroll, .pst-scrollable-table-container, .concept-place";

function mark() {
  for (const box of document.querySelectorAll(BOXES)) {
    if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}

let waiting = 0;
window.addEventListener("resize", () => {
  cancelAnimationFrame(waiting);
  waiting = requestAnimationFrame(mark);
});
mark();
window.MathJax?.startup?.promise?.then(mark);
window.addEventListener("load", () => (window.MathJax?.startup?.promise ?? Promise.resolve()).then(mark));
