"""`course collect`: from a folder or a zip to nbgrader's folder of hand-ins, through nbgrader's zip collection.

What strangers made is unpacked here, file by file; nbgrader only ever sees plain notebooks in folders that we named.
"""

import io
import logging
import shutil
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath

from nbgrader.api import Gradebook
from nbgrader.apps import ZipCollectApp

from autograder.grading import archives, names
from autograder.grading.lab import Released
from autograder.grading.released import chapter_folder, course_directory, released
from autograder.release.assignment import nbgrader_config

# Where we put a hand-in before nbgrader collects it: archive/STUDENT/TIME/NOTEBOOK.ipynb.
PATTERN = r".*/extracted/(?P<student_id>[^/]+)/(?:(?P<timestamp>\d{8}T\d{6})|undated)/(?P<file_id>[^/]+)\.ipynb$"


class CannotCollect(RuntimeError):
    """Nothing can be taken from this path; the message says what is wrong with it."""


@dataclass
class Collected:
    """taken: student -> notebooks. skipped: what, and why."""

    taken: dict[str, list[str]] = field(default_factory=dict)
    skipped: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class _HandIn:
    # One attempt of one student: an archive, or the files that lie in one folder.
    source: str
    when: datetime | None = None
    name: str = ""
    files: dict[str, bytes] = field(default_factory=dict)


def collect(wanted: str, path: Path) -> Collected:
    """Take in the hand-ins of a chapter. Raises CannotCollect or NotReleased."""
    chapter = chapter_folder(wanted)
    config = nbgrader_config()
    course = course_directory(config)
    labs = released(chapter, course)
    found = Collected()
    attempts = _attempts(path, chapter, labs, found)
    latest = {student: _latest(student, those, found) for student, those in attempts.items()}
    latest = {student: hand_in for student, hand_in in latest.items() if hand_in.files}
    if not latest:
        told = "; ".join(f"{what}: {why}" for what, why in found.skipped[:5])
        raise CannotCollect(f"{path} holds no notebook that can be taken" + (f" ({told})" if told else ""))
    _through_nbgrader(latest, chapter, config)
    _remember_names(latest, course)
    found.taken = {student: sorted(hand_in.files) for student, hand_in in sorted(latest.items())}
    return found


def _attempts(path: Path, chapter: str, labs: list[Released], found: Collected) -> dict[str, list[_HandIn]]:
    attempts: dict[str, dict[str, _HandIn]] = {}
    for entry in _entries(path, chapter):
        if entry.path.name.startswith((".", "__MACOSX")) or "__MACOSX" in entry.path.parts:
            continue
        if entry.refused:
            found.skipped.append((str(entry.path), entry.refused))
            continue
        whose = names.owner(entry.path, chapter)
        if whose is None:
            found.skipped.append((str(entry.path), "its name does not say whose it is (an id holds none of / * ? [)"))
            continue
        # A zip is an attempt of its own; loose notebooks of a student belong together.
        source = str(entry.path) if entry.path.suffix == ".zip" else ""
        fresh = _HandIn(source or str(entry.path), name=whose.name)
        hand_in = attempts.setdefault(whose.student, {}).setdefault(source, fresh)
        _add(hand_in, entry, whose.rest, labs, found)
    return {student: list(those.values()) for student, those in attempts.items()}


def _entries(path: Path, chapter: str):
    if path.is_dir():
        yield from archives.of_folder(path)
        return
    try:
        entries = list(archives.of_zip(path))
    except archives.Refused as error:
        raise CannotCollect(f"{path.name}: {error}") from error
    # One student's own archive holds its notebooks at the top; a platform's names say whose each is.
    own = [e for e in entries if len(e.path.parts) == 1 and e.path.suffix == ".ipynb"]
    if own and not any(names.owner(e.path, chapter) for e in own):
        when = archives.of_folder(path.parent)
        when = next((e.when for e in when if e.path.name == path.name), None)
        yield archives.Entry(PurePosixPath(path.name), when, path.read_bytes())
        return
    yield from entries


def _add(hand_in: _HandIn, entry: archives.Entry, rest: PurePosixPath, labs: list[Released], found: Collected) -> None:
    if entry.path.suffix != ".zip":
        _take(hand_in, entry, rest.name, labs, found, str(entry.path))
        return
    try:
        inner = list(archives.of_zip(entry.data))
    except archives.Refused as error:
        found.skipped.append((str(entry.path), str(error)))
        return
    hand_in.when = entry.when
    for one in inner:
        if "__MACOSX" not in one.path.parts and not one.path.name.startswith("."):
            if one.refused:
                found.skipped.append((f"{entry.path}: {one.path}", one.refused))
            else:
                _take(hand_in, one, one.path.name, labs, found, f"{entry.path}: {one.path}", dated=False)


def _take(
    hand_in: _HandIn,
    entry: archives.Entry,
    name: str,
    labs: list[Released],
    found: Collected,
    what: str,
    dated: bool = True,
) -> None:
    if not name.endswith(".ipynb"):
        # A timestamp.txt of the student's own would set the hour of the hand-in.
        found.skipped.append((what, "it is no notebook"))
        return
    name = names.notebook_name(name, [lab.stem for lab in labs])
    if dated and entry.when and (hand_in.when is None or entry.when > hand_in.when):
        hand_in.when = entry.when
    if name in hand_in.files:
        found.skipped.append((what, f"another {name} was taken"))
        return
    hand_in.files[name] = entry.data


def _latest(student: str, those: list[_HandIn], found: Collected) -> _HandIn:
    those = sorted(those, key=lambda one: (bool(one.files), one.when or datetime.min, one.source))
    for older in those[:-1]:
        if older.files:
            found.skipped.append((older.source, f"{student} handed in again later"))
    return those[-1]


def _through_nbgrader(latest: dict[str, _HandIn], chapter: str, config) -> None:
    config.ZipCollectApp.force = True
    config.FileNameCollectorPlugin.named_regexp = PATTERN
    app = ZipCollectApp(config=config, coursedir=course_directory(config))
    app.coursedir.assignment_id = chapter
    app.log.setLevel(logging.CRITICAL)
    archive = Path(app._format_collect_path(app.archive_directory))
    shutil.rmtree(archive, ignore_errors=True)
    for student, hand_in in latest.items():
        folder = archive / student / (hand_in.when.strftime("%Y%m%dT%H%M%S") if hand_in.when else "undated")
        folder.mkdir(parents=True)
        for name, data in hand_in.files.items():
            (folder / name).write_bytes(data)
    said = io.StringIO()
    try:
        with redirect_stdout(said), redirect_stderr(said):
            app.init_plugins()
            app.extract_archive_files()
            app.process_extracted_files()
    except SystemExit as error:
        raise CannotCollect(f"nbgrader's zip collection stopped: {said.getvalue().strip()}") from error


def _remember_names(latest: dict[str, _HandIn], course) -> None:
    with Gradebook(course.db_url, course.course_id) as book:
        for student, hand_in in latest.items():
            if not hand_in.name:
                continue
            first, _, last = hand_in.name.rpartition(" ")
            known = {s.id: s for s in book.students}.get(student)
            if known is None or not known.last_name:
                book.update_or_create_student(student, first_name=first or None, last_name=last)
