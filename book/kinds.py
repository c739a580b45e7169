"""One page of each kind that the book has, to be looked at, weighed and tested. It opens none."""

from autograder.facts import chapters
from autograder.release.toc import concept_pages, lab_page, published


def kinds() -> dict[str, str]:
    """Each kind of page, and the name in the book, without ending, of a page of that kind."""
    chapter = next(c for c in chapters() if len(c.pages) > 1 and published(c))
    return {
        "cover": "book/index",
        "roadmap": "book/roadmap",
        "chapter": f"book/{chapter.folder}/index",
        "prose": f"book/{chapter.folder}/{chapter.pages[1].file.stem}",
        "lab": lab_page(published(chapter)[0]),
        "deck": f"book/{chapter.folder}/deck",
        "review": "book/review",
        "concept": concept_pages()[0],
        "concepts": "book/concepts/index",
        "explain": "book/explain",
        "glossary": "book/glossary",
        "labs": "book/labs",
        "notation": "book/notation",
        "bibliography": "book/bibliography",
        "instructors": "book/instructors/guide",
        "search": "search",
    }
