"""Feedback pages of a chapter, by nbgrader's own generate_feedback. It grades nothing."""

import shutil
from glob import escape
from pathlib import Path

from autograder.grading.released import chapter_folder, course_directory
from autograder.release.assignment import nbgrader_api, nbgrader_config

# nbgrader's page is as wide as its widest picture or line.
_FOR_PHONES = """<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
img { max-width: 100%; height: auto; }
body, pre { overflow-wrap: anywhere; }
pre { white-space: pre-wrap; word-break: normal; }
summary { display: list-item; cursor: pointer; }
@media (max-width: 600px) {
  .container, .panel-body, #notebook-container { padding-left: 4px; padding-right: 4px; }
  div.prompt { min-width: 0; }
}
</style>
"""


class NoFeedback(RuntimeError):
    """There is nothing to make feedback of, or nbgrader could not; the message says what to do."""


def feedback(wanted: str, student: str | None = None) -> list[Path]:
    """Make the pages; returns the files. Raises NoFeedback or NotReleased."""
    chapter = chapter_folder(wanted)
    config = nbgrader_config()
    course = course_directory(config)
    graded = _folders(course, course.autograded_directory, chapter, student)
    if not graded:
        whose = f" for {student!r}" if student else ""
        raise NoFeedback(f"no graded notebook of {chapter}{whose}: run `course grade {chapter.split('_')[0]}` first")
    failed = []
    # One student at a time: one that fails does not stop the others. nbgrader takes a student's id for a pattern.
    for folder in graded:
        name = folder.parent.name
        shutil.rmtree(course.format_path(course.feedback_directory, name, chapter), ignore_errors=True)
        result = nbgrader_api(config).generate_feedback(chapter, escape(name), force=True)
        if not result["success"]:
            failed.append(f"{name}: {result.get('error', result.get('log', '')).strip().splitlines()[-1]}")
    folders = _folders(course, course.feedback_directory, chapter, student)
    pages = sorted(file for folder in folders for file in folder.glob("*.html"))
    for page in pages:
        text = page.read_text(encoding="utf-8")
        page.write_text(text.replace("</head>", _FOR_PHONES + "</head>", 1), encoding="utf-8")
    if failed:
        raise NoFeedback(f"{len(pages)} pages made, but nbgrader could not make those of " + "; ".join(failed))
    return pages


def _folders(course, step: str, chapter: str, student: str | None) -> list[Path]:
    root = Path(course.format_path(step, "x", chapter)).parent.parent
    found = sorted(root.glob(f"*/{chapter}")) if root.is_dir() else []
    return [f for f in found if not f.parent.name.startswith(".") and student in (None, f.parent.name)]
