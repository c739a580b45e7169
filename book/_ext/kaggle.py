"""Adds Kaggle to a lab page's launch buttons. The theme brings Colab, download and the repository."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from autograder.facts import repository
from book._ext.lab_pages import labs_by_page


def kaggle_url(page: str) -> str:
    """Where Kaggle opens a lab page's notebook from the course's repository."""
    url, branch = repository()
    return f"https://kaggle.com/kernels/welcome?src={url}/blob/{branch}/{page}.ipynb"


def _add(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    if page not in labs_by_page():
        return
    group = next(b for b in context["header_buttons"] if b.get("label") == "launch-buttons")
    group["buttons"].append(
        {
            "type": "link",
            "text": "Kaggle",
            "tooltip": "Launch on Kaggle",
            "icon": "fab fa-kaggle",
            "url": kaggle_url(page),
        }
    )


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", _add, priority=510)  # the theme makes the group at 501
    return {"parallel_read_safe": True, "parallel_write_safe": True}
