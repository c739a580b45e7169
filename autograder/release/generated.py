"""The cells no author writes: a lab's header, each exercise's line, its folded hints. It states no fact of its own."""

import nbformat
from nbformat import NotebookNode

from autograder import registry
from autograder.facts import HARDWARE, Chapter, Lab
from autograder.release.citations import linked


def header(lab: Lab, chapter: Chapter) -> NotebookNode:
    """Title, badges, what the learner builds, will be able to do, and needs."""
    points = sum(e.points for e in registry.exercises(lab.id).values())
    place = f"lab {chapter.labs.index(lab) + 1} of {len(chapter.labs)}"
    badges = [
        lab.level.capitalize(),
        f"about {lab.minutes} minutes",
        HARDWARE[lab.hardware],
        f"Chapter {chapter.number}, {chapter.title}: {place}",
        f"{points} points",
    ]
    lines = [
        f"# Lab {lab.number}: {lab.title}",
        "",
        "*" + " · ".join(badges) + "*",
        "",
        f"**You will build** {lab.builds}",
        "",
    ]
    lines += ["**You will be able to**", "", *[f"- {goal}" for goal in lab.goals]]
    if lab.needs:
        lines += ["", "**You need**", "", *[f"- {need}" for need in lab.needs]]
    if chapter.milestone:
        measuring = f"ch{chapter.number:02d}/{chapter.milestone['lab']}"
        where = "here" if measuring == lab.id else f"in lab {chapter.number}.{int(measuring[-2:])}"
        lines += ["", f"**The chapter's milestone** (measured {where}): {chapter.milestone['goal']}"]
    return _cell("header", "\n".join(lines))


def with_generated(nb: NotebookNode, lab: Lab, chapter: Chapter) -> NotebookNode:
    """The notebook with its generated cells: header first, an exercise's line before it, its hints after its check."""
    exercises = registry.exercises(lab.id)
    cells = [header(lab, chapter)]
    for cell in nb.cells:
        grade_id = cell.metadata.get("nbgrader", {}).get("grade_id", "")
        name = grade_id.removeprefix("check_")
        exercise = exercises.get(f"{lab.id}/{name}")
        if exercise and grade_id == name:
            number = list(exercises).index(exercise.id) + 1
            stars = "●" * exercise.difficulty + "○" * (3 - exercise.difficulty)
            told = [
                f"Exercise {number} of {len(exercises)}: {exercise.title}",
                f"about {exercise.minutes} minutes",
                stars,
            ]
            cells.append(_cell(f"about-{name}", "*" + " · ".join([*told, f"{exercise.points} points"]) + "*"))
        cells.append(cell)
        if exercise and grade_id != name:
            cells.append(_cell(f"hints-{name}", _hints(exercise.hints)))
    for cell in cells:
        if cell.cell_type == "markdown":
            cell.source = linked(cell.source)
    nb.cells = cells
    return nb


def _hints(hints: tuple[str, ...]) -> str:
    # Blank lines inside <details> let Markdown through on Colab, Kaggle, Jupyter and in the book.
    folded = [
        f"<details>\n<summary>Hint {i} of {len(hints)}</summary>\n\n{hint}\n\n</details>"
        for i, hint in enumerate(hints, 1)
    ]
    return "\n\n".join(folded)


def _cell(name: str, source: str) -> NotebookNode:
    cell = nbformat.v4.new_markdown_cell(
        source, metadata={"editable": False, "deletable": False, "tags": ["generated"]}
    )
    cell.id = name
    return cell
