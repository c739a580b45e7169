"""Gives names and roles to parts of the theme's pages that lack them. What the book itself draws brings its own."""

import re
from functools import wraps
from html import escape, unescape
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

# In the sidebar a chapter's link stands before a fold whose only content is an arrow.
_FOLD = re.compile(r">([^<]+)</a><details([^>]*)><summary>")


def named_folds(html: str) -> str:
    """The sidebar with a name on each fold, from the link that stands before it."""
    return _FOLD.sub(
        lambda m: (
            f'>{m[1]}</a><details{m[2]}><summary aria-label="Pages of {escape(unescape(m[1]).strip(), quote=True)}">'
        ),
        html,
    )


def listed_papers(body: str) -> str:
    """The bibliography's entries as items of their list: the role that they have is withdrawn from the standard."""
    return body.replace('role="doc-biblioentry"', 'role="listitem"')


def _name(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    if "body" in context:
        context["body"] = listed_papers(context["body"])
    made = context.get("generate_toctree_html")
    if made:

        @wraps(made)
        def named(*arguments: Any, **options: Any) -> Any:
            told = made(*arguments, **options)
            return told if isinstance(told, list | bool) or told is None else named_folds(str(told))

        context["generate_toctree_html"] = named


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", _name, priority=900)  # after the theme
    return {"parallel_read_safe": True, "parallel_write_safe": True}
