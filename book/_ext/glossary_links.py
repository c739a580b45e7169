"""Links the first mention of each glossary term on a page to its definition. The definitions stand in book/glossary.md.

On the page the definition shows when the link is pointed at or focused (book/_static/js/glossary.js).
"""

import re
from functools import cache

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

from autograder.paths import BOOK

FILE = BOOK / "glossary.md"
# Text inside of these is not searched: a link within a link is none, code means something else, titles stay plain. Nor
# is a list of contents, or the title of a step of the roadmap: what is linked there is what it names.
_CLOSED = (nodes.title, nodes.reference, nodes.literal, nodes.literal_block, nodes.math, nodes.caption, nodes.term,
           nodes.raw, addnodes.pending_xref, nodes.table, nodes.rubric)  # fmt: skip
_CLOSED_CLASSES = {"course-contents", "arc-title"}


@cache
def terms() -> dict[str, str]:
    """Each way to write a term, in lower case, to the term as the glossary lists it: its plural is another way."""
    text = FILE.read_text(encoding="utf-8")
    listed = re.search(r"```\{glossary\}\n(.*?)```", text, re.DOTALL)[1]
    found = {}
    for line in listed.splitlines():
        if line and not line[0].isspace() and not line.startswith(":"):
            found[line.lower()] = line
            found.setdefault(f"{line.lower()}s", line)
    return found


@cache
def _pattern() -> re.Pattern[str]:
    longest_first = sorted(terms(), key=len, reverse=True)
    return re.compile(r"(?<![\w-])(" + "|".join(map(re.escape, longest_first)) + r")(?![\w-])", re.IGNORECASE)


def pieces(text: str, seen: set[str]) -> list[tuple[str, str]]:
    """The text cut at terms that were not seen yet: pairs of text and term, "" where there is none. Adds to seen."""
    found, at = [], 0
    for match in _pattern().finditer(text):
        term = terms()[match[1].lower()]
        if term in seen:
            continue
        seen.add(term)
        found += [(text[at : match.start()], ""), (match[1], term)]
        at = match.end()
    return [pair for pair in [*found, (text[at:], "")] if pair[0]]


class LinkTerms(SphinxTransform):
    """Runs when a page was read, before its references are resolved."""

    default_priority = 500

    def apply(self) -> None:
        page = self.env.docname
        if not page.startswith("book/") or page == "book/glossary":
            return
        seen: set[str] = set()
        for text in list(self.document.findall(nodes.Text)):
            if self._open(text):
                cut = pieces(text.astext(), seen)
                if any(term for _, term in cut):
                    text.parent.replace(text, [self._link(p, term, page) if term else nodes.Text(p) for p, term in cut])

    @staticmethod
    def _open(text: nodes.Text) -> bool:
        node, in_paragraph = text.parent, False
        while node is not None:
            if isinstance(node, _CLOSED) or _CLOSED_CLASSES & set(node.get("classes", [])):
                return False
            in_paragraph = in_paragraph or isinstance(node, nodes.paragraph)
            node = node.parent
        return in_paragraph

    @staticmethod
    def _link(words: str, term: str, page: str) -> addnodes.pending_xref:
        inner = nodes.inline("", words, classes=["glossary-term"])
        return addnodes.pending_xref(
            "", inner, refdomain="std", reftype="term", reftarget=term, refexplicit=True, refdoc=page, refwarn=True
        )


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_transform(LinkTerms)
    app.add_js_file("js/glossary.js", type="module")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
