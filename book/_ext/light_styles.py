"""Leaves out of a built book's styles what no page can use: two thirds of the theme's. It rewrites no rule.

A rule stays when each class that it asks for is written somewhere in a page or script.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import tinycss2
from sphinx.application import Sphinx

STYLES = ("styles/pydata-sphinx-theme.css", "styles/sphinx-book-theme.css", "sphinx-design.min.css", "mystnb.*.css")
PUT_TOGETHER = ("bs-",)  # beginnings of classes that scripts make of parts
_ASIDE = re.compile(
    r"\[[^\]]*\]|:(?:not|is|where|has)\((?:[^()]|\([^()]*\))*\)"
)  # asks for no class, or for one of several
_CLASS = re.compile(r"\.(-?[A-Za-z_][\w-]*)")


def words(html: Path) -> set[str]:
    """Every word, hyphens included, of a built book's pages and scripts: a class of theirs is among them."""
    files = [*html.rglob("*.html"), *(html / "_static").rglob("*.js"), *(html / "book").rglob("*.js")]
    # MathJax makes its styles itself.
    read = (file.read_text(encoding="utf-8") for file in files if "mathjax" not in file.parts)
    return {word for text in read for word in re.findall(r"[\w-]+", text)}


def usable(selector: str, known: set[str]) -> bool:
    """Whether a selector's classes are all known."""
    asked = _CLASS.findall(_ASIDE.sub("", selector))
    return all(name in known or name.startswith(PUT_TOGETHER) for name in asked)


def lighter(style: str, known: set[str]) -> str:
    """The style without the selectors that cannot match, and without rules of which none is left."""
    return "".join(_kept(tinycss2.parse_stylesheet(style, skip_comments=True, skip_whitespace=True), known))


def _kept(rules: list[tinycss2.ast.Node], known: set[str]) -> Iterator[str]:
    for rule in rules:
        if rule.type == "qualified-rule":
            kept = [one for one in _selectors(rule.prelude) if usable(one, known)]
            if kept:
                yield f"{','.join(kept)}{{{tinycss2.serialize(rule.content)}}}"
        elif rule.type == "at-rule" and rule.lower_at_keyword in ("media", "supports"):
            inside = "".join(_kept(tinycss2.parse_rule_list(rule.content, True, True), known))
            if inside:
                yield f"@{rule.at_keyword}{tinycss2.serialize(rule.prelude)}{{{inside}}}"
        else:
            yield rule.serialize()


def _selectors(prelude: list[tinycss2.ast.Node]) -> list[str]:
    """A rule's selectors; commas inside brackets part none."""
    found: list[list[tinycss2.ast.Node]] = [[]]
    for node in prelude:
        if node.type == "literal" and node.value == ",":
            found.append([])
        else:
            found[-1].append(node)
    return [tinycss2.serialize(one).strip() for one in found]


def _finish(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        html = Path(app.outdir)
        known = words(html)
        for file in (found for pattern in STYLES for found in (html / "_static").glob(pattern)):
            file.write_text(lighter(file.read_text(encoding="utf-8"), known), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("build-finished", _finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
