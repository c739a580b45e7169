"""Takes out the scripts of Thebe, which Jupyter Book brings twice and this book does not use. It adds nothing."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx


def _without(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    # Included twice, its constant is declared twice, which the browser reports as an error on every page.
    context["script_files"] = [
        script
        for script in context.get("script_files", [])
        if "thebe" not in str(getattr(script, "filename", script)) and "THEBE" not in str(_body(script))
    ]


def _body(script: Any) -> str:
    return getattr(script, "attributes", {}).get("body") or ""


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", _without, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
