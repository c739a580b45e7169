"""The index of labs: a table of all, filtered by level, time and hardware in the browser. It states no fact itself."""

from html import escape

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from autograder.facts import HARDWARE, LEVELS, chapters
from autograder.release.toc import lab_page, published
from book._ext.contents import points
from book._ext.markdown import raw


class LabIndex(SphinxDirective):
    """```{lab-index}```: every lab that is published."""

    def run(self) -> list[nodes.Node]:
        up = "../" * self.env.docname.count("/")
        rows = []
        for chapter in chapters():
            for lab in published(chapter):
                link = f'<a href="{up}{lab_page(lab)}.html">{escape(lab.title)}</a>'
                rows.append(
                    f'<tr data-level="{lab.level}" data-minutes="{lab.minutes}" data-hardware="{lab.hardware}">'
                    f"<td>{lab.number}</td><td>{link}<br><small>{escape(chapter.title)}</small></td>"
                    f"<td>{lab.level.capitalize()}</td><td>{lab.minutes}</td><td>{HARDWARE[lab.hardware]}</td>"
                    f"<td>{points(lab)}</td></tr>"
                )
        heads = "".join(f'<th scope="col">{h}</th>' for h in ("Lab", "Title", "Level", "Minutes", "Hardware", "Points"))
        table = f'<table class="table lab-index"><thead><tr>{heads}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
        choices = f'data-levels="{" ".join(LEVELS)}" data-hardware="{" ".join(HARDWARE)}"'
        script = f'<script type="module" src="{up}_static/js/lab_index.js"></script>'
        return [raw(f"<course-lab-index {choices}><div class='lab-scroll'>{table}</div></course-lab-index>{script}")]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("lab-index", LabIndex)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
