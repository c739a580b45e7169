"""Turns [@key] in a lab's prose into a link, from the book's bibliography: so that it reads well on every platform."""

import re
from functools import cache

from pybtex.database import Entry, parse_file

from autograder.paths import BOOK


class NoSuchPaper(LookupError):
    """A citation's key is not in book/references.bib, or its entry lacks what a link needs."""


@cache
def bibliography() -> dict[str, Entry]:
    """Each key's entry in book/references.bib."""
    return dict(parse_file(str(BOOK / "references.bib")).entries)


def linked(text: str) -> str:
    """The text with every [@key] as "[Vaswani et al., 2017](address)". Raises NoSuchPaper."""
    return re.sub(r"\[@([\w-]+)\]", lambda m: _link(m[1]), text)


def _link(key: str) -> str:
    paper = bibliography().get(key)
    if paper is None:
        raise NoSuchPaper(f"no paper {key!r} in book/references.bib; there are: {', '.join(sorted(bibliography()))}")
    missing = [field for field in ("year", "url") if field not in paper.fields]
    if missing:
        raise NoSuchPaper(
            f"the paper {key!r} in book/references.bib has no {' and no '.join(missing)}: a lab links to it"
        )
    authors = [" ".join(person.last_names) for person in paper.persons["author"]]
    names = authors[0] if len(authors) == 1 else " and ".join(authors) if len(authors) == 2 else f"{authors[0]} et al."
    return f"[{names}, {paper.fields['year']}]({paper.fields['url']})"
