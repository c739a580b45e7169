"""Small helpers that the course's directives share: parsed Markdown, badges. It defines no directive and no node."""

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective


def parsed(directive: SphinxDirective, text: str) -> list[nodes.Node]:
    """The text's nodes, parsed as the page itself is: links, math, code and citations work."""
    holder = nodes.Element()
    lines = StringList(text.splitlines(), source=directive.get_source_info()[0])
    directive.state.nested_parse(lines, directive.content_offset, holder)
    return list(holder.children)


def inline(directive: SphinxDirective, text: str) -> list[nodes.Node]:
    """The same without its paragraph, to stand inside another line."""
    return [child for block in parsed(directive, text) for child in block.children]


def block(*classes: str, children: list[nodes.Node] | None = None) -> nodes.container:
    """A div of these classes."""
    return nodes.container("", *(children or []), classes=list(classes), is_div=True)


def badges(*texts: str) -> nodes.paragraph:
    """A line of short facts."""
    line = nodes.paragraph(classes=["course-badges"])
    for i, text in enumerate(texts):
        if i:
            line += nodes.Text(" ")  # a screen reader and a copied line need the space
        line += nodes.inline("", text, classes=["course-badge"])
    return line


def raw(html: str) -> nodes.raw:
    """HTML as it stands, for the HTML builders alone."""
    return nodes.raw("", html, format="html")


def section(identifier: str, title: str, children: list[nodes.Node]) -> nodes.section:
    """A section with a heading, which the page's table of contents lists."""
    return nodes.section("", nodes.title("", title), *children, ids=[identifier], names=[identifier])
