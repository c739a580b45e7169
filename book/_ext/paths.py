"""The roadmap: the learning arc, the tracks, and on each page what comes before and after. It keeps nobody's progress.

Which places make a step or a track stands in book/paths.yml; what a place is called and takes, on its own page.
"""

import json
from dataclasses import dataclass
from functools import cache
from html import escape
from typing import Any

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from autograder.facts import BadFact, Chapter, chapters
from autograder.paths import BOOK
from autograder.release.toc import lab_page, published
from book._ext.contents import count
from book._ext.markdown import badges, block, parsed, raw

FILE = BOOK / "paths.yml"


@dataclass(frozen=True)
class Place:
    """A page or a lab. page: its name in the book, without ending."""

    title: str
    page: str
    minutes: int
    chapter: int


@dataclass(frozen=True)
class Way:
    """A step of the arc or a track: its places in order."""

    id: str
    title: str
    says: str
    places: tuple[Place, ...]

    @property
    def hours(self) -> int:
        return max(1, round(sum(place.minutes for place in self.places) / 60))


def places_of(chapter: Chapter) -> dict[str, Place]:
    """A chapter's pages, then its labs, by the name that paths.yml uses for them."""
    found = {
        page.file.stem: Place(page.title, f"book/{chapter.folder}/{page.file.stem}", page.minutes, chapter.number)
        for page in chapter.pages
    }
    for lab in published(chapter):
        found[lab.id.split("/")[1]] = Place(
            f"Lab {lab.number}: {lab.title}", lab_page(lab), lab.minutes, chapter.number
        )
    return found


def resolved(names: list[str]) -> tuple[Place, ...]:
    """The places of these names, chapters that do not exist yet left out. Raises BadFact for any other unknown name."""
    known, found = {f"ch{c.number:02d}": places_of(c) for c in chapters()}, []
    for name in names:
        chapter, _, one = name.partition("/")
        if chapter not in known:
            continue
        if one and one not in known[chapter]:
            raise BadFact(f"paths.yml: {name} does not exist; {chapter} has {', '.join(known[chapter])}")
        found += [known[chapter][one]] if one else known[chapter].values()
    return tuple(found)


@cache
def ways(kind: str) -> tuple[Way, ...]:
    """The steps of the "arc", or the "tracks". Raises BadFact."""
    told = yaml.safe_load(FILE.read_text(encoding="utf-8"))[kind]
    return tuple(Way(w.get("id", ""), w["title"], w["says"], resolved(w["places"])) for w in told)


def neighbours(page: str) -> list[tuple[Way, Place | None, Place | None]]:
    """For each track that a page lies on: what comes before it and after it there."""
    found = []
    for track in ways("tracks"):
        pages = [place.page for place in track.places]
        if page in pages:
            i = pages.index(page)
            after = track.places[i + 1] if i + 1 < len(pages) else None
            found.append((track, track.places[i - 1] if i else None, after))
    return found


class LearningArc(SphinxDirective):
    """```{learning-arc}```: the steps as a line with stations."""

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(FILE))
        shown: list[nodes.Node] = [raw('<ol class="arc">')]
        for step in ways("arc"):
            shown.append(raw('<li class="arc-step"><div class="arc-head">'))
            told = parsed(self, f"**{step.title}**\n\n{step.says}")
            told[0]["classes"].append("arc-title")
            shown += told
            shown += [badges(*_size(step)), raw('</div><ul class="arc-places">')]
            for place in step.places:
                shown += [raw("<li>"), *parsed(self, link(place)), raw("</li>")]
            if not step.places:
                shown += [raw('<li class="arc-none">'), *parsed(self, "To come."), raw("</li>")]
            shown.append(raw("</ul></li>"))
        return [*shown, raw("</ol>")]


class Tracks(SphinxDirective):
    """```{tracks}```: each track with its hours and all its places, unfoldable."""

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(FILE))
        items = []
        for track in ways("tracks"):
            told = parsed(self, f"{track.title}\n\n{track.says}")
            told[0]["classes"].append("course-item-title")
            listed = parsed(self, "\n".join(f"1. {link(place)}, {place.minutes} min" for place in track.places))
            summary = f'<details class="track-places" data-track="{track.id}"><summary>All of it, in order</summary>'
            first = parsed(self, f"Begin with {link(track.places[0])}.")
            items.append(
                block("course-item", "course-lab", children=[told[0], badges(*_size(track)), *told[1:], *first])
            )
            items[-1] += [raw(summary), *listed, raw("</details>")]
        return [block("course-contents", children=items)]


class OwnRecord(SphinxDirective):
    """```{own-record}```: how much of the book this reader has ticked, computed in the browser."""

    def run(self) -> list[nodes.Node]:
        minutes = {place.page: place.minutes for chapter in chapters() for place in places_of(chapter).values()}
        return [raw(f"<course-record data-minutes='{escape(json.dumps(minutes))}'></course-record>")]


def link(place: Place) -> str:
    """A place as a link in Markdown, from any page."""
    ending = ".ipynb" if place.page.startswith("notebooks/") else ".md"
    return f"[{place.title}](/{place.page}{ending})"


def _size(way: Way) -> list[str]:
    labs = sum(place.page.startswith("notebooks/") for place in way.places)
    sizes = [count(len(way.places) - labs, "page"), count(labs, "lab"), f"about {way.hours} h"]
    return sizes if way.places else ["0 h"]


def footer(app: Sphinx, page: str) -> str:
    """What stands at the end of a page or lab: the tick, and the way on for each track."""
    lines = []
    for track, before, after in neighbours(page):
        links = ""
        for side, arrows, place in (("before", ("← ", ""), before), ("after", ("", " →"), after)):
            if place:
                href = app.builder.get_relative_uri(page, place.page)
                links += f'<a class="track-{side}" href="{href}">{arrows[0]}{escape(place.title)}{arrows[1]}</a> '
        lines.append(f'<p data-track="{track.id}"><span class="track-name">{escape(track.title)}</span> {links}</p>')
    nav = f'<nav class="track-nav" aria-label="On the tracks">{"".join(lines)}</nav>' if lines else ""
    return f'<course-tick data-page="{page}"></course-tick>{nav}'


def _add(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    if page in {place.page for chapter in chapters() for place in places_of(chapter).values()}:
        context["body"] += footer(app, page)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("learning-arc", LearningArc)
    app.add_directive("tracks", Tracks)
    app.add_directive("own-record", OwnRecord)
    app.add_js_file("js/progress.js", type="module")
    app.connect("html-page-context", _add)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
