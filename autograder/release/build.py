"""Makes everything that derives from the sources, in order, redoing only what changed. It grades nothing."""

import hashlib
import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from autograder import registry
from autograder.facts import chapters
from autograder.paths import CACHE, RELEASE, ROOT, classroom
from autograder.release.expected import kept
from autograder.release.sync import sources, sync, twin_of

Say = Callable[[str], None]


def fingerprint(paths: list[Path]) -> str:
    """A hash of some files' names and contents; folders count with all that lies in them."""
    digest = hashlib.sha256()
    for path in paths:
        files = sorted(f for f in path.rglob("*") if f.is_file()) if path.is_dir() else [path]
        for file in files:
            if file.exists() and "__pycache__" not in file.parts and file.suffix != ".pyc":
                digest.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def redo(name: str, inputs: list[Path], outputs: list[Path], work: Callable[[], object]) -> bool:
    """Do `work` unless its inputs are what they were when it was last done and its outputs are there.

    Returns whether it was done. The record lies in .cache/steps/.
    """
    record = CACHE / "steps" / f"{name.replace('/', '-')}.json"
    before = json.loads(record.read_text()) if record.exists() else {}
    if all(p.exists() for p in outputs) and before == {"in": fingerprint(inputs), "out": fingerprint(outputs)}:
        return False
    work()
    record.parent.mkdir(parents=True, exist_ok=True)
    partial = record.with_suffix(f".{os.getpid()}.part")
    partial.write_text(json.dumps({"in": fingerprint(inputs), "out": fingerprint(outputs)}))
    partial.replace(record)
    return True


def draw_secret() -> bool:
    """Draw this course's secret, from which hidden cases derive, unless it has one. Returns whether it was drawn."""
    file = classroom() / "secret"
    if file.exists():
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(secrets.token_hex(16) + "\n")
    return True


def release(wanted: list[str] | None = None, say: Say = print) -> dict[str, int]:
    """Sync pairs, store expectations, make release and student notebooks of some chapters (default: all).

    Returns how many of each were written anew. Raises LookupError for a chapter that does not exist.
    """
    known = [c.folder for c in chapters()]
    folders = [_folder(w, known) for w in wanted] if wanted else known
    done = {"pairs synced": 0, "expectations stored": 0, "chapters released": 0, "student notebooks written": 0}
    if draw_secret():
        say(f"drew the course's secret: {classroom() / 'secret'} (keep it, and keep it to yourself)")
    for file in sources():
        if file.parent.name in folders:
            done["pairs synced"] += _synced(file, say)
    for folder in folders:
        labs = [lab for lab, file in registry.lab_files().items() if file.parent.name == folder]
        for lab in labs:
            done["expectations stored"] += _stored(lab, say)
        if not any((ROOT / "notebooks/instructor" / folder).glob("lab*.ipynb")):
            continue
        done["chapters released"] += _released(folder, say)
        done["student notebooks written"] += _student(folder, say)
    for folder in folders:
        for lab, file in registry.lab_files().items():
            if file.parent.name == folder:
                # Grading needs it and would work it out: an instructor who has just released waits anyway.
                kept(lab)
    if published_anew():
        say("table of contents written: _toc.yml")
    return done


def published_anew() -> bool:
    """Write the book's table of contents, which names each lab with a student notebook; tell whether it changed."""
    from autograder.release.toc import write_toc

    return write_toc()


def _folder(wanted: str, known: list[str]) -> str:
    for folder in known:
        if wanted in (folder, folder.split("_")[0]):
            return folder
    raise LookupError(f"no chapter {wanted!r}; there are: {', '.join(known)}")


def _synced(file: Path, say: Say) -> bool:
    # Points come from the checks, so a pair depends on them too.
    result = sync(file)
    if result != "same":
        say(f"{result}: {(twin_of(file) if result == 'notebook written' else file).relative_to(ROOT)}")
    return result != "same"


def _halves(folder: str) -> list[Path]:
    core = [p for p in (ROOT / "autograder").glob("*.py")]
    return [*core, ROOT / "autograder/checks" / folder, ROOT / "source"]


def _stored(lab: str, say: Say) -> bool:
    from autograder.release.expected import store
    from autograder.release.solutions import source_file
    from autograder.store import stored_file

    file = registry.lab_files()[lab]
    answers = ROOT / "autograder/answers" / file.parent.name / file.name
    inputs = [*_halves(file.parent.name), answers, source_file(lab), ROOT / "autograder/release/expected.py"]
    changed = []
    redo(f"stored-{lab}", inputs, [stored_file(lab)], lambda: changed.append(store(lab)))
    if any(changed):
        say(f"expectations stored: {lab}")
    return any(changed)


def _released(folder: str, say: Say) -> bool:
    def work() -> None:
        from autograder.release.assignment import generate

        generate(folder)

    twins = sorted((ROOT / "notebooks/instructor" / folder).glob("lab*.ipynb"))
    inputs = [*twins, *_halves(folder), ROOT / "book" / folder / "index.md", ROOT / "book/references.bib"]
    inputs += [ROOT / "autograder/nbgrader_config.py", *(ROOT / "autograder/release").glob("*.py")]
    outputs = [RELEASE / folder / twin.name for twin in twins]
    # Another classroom has a gradebook of its own, which has to hear of the assignment.
    done = redo(f"release-{folder}-{_name(classroom())}", inputs, [*outputs], work)
    if not (classroom() / "gradebook.db").exists():
        work()
        done = True
    if done:
        say(f"released: {folder}, {len(twins)} labs")
    return done


def _student(folder: str, say: Say) -> int:
    written: list[Path] = []

    def work() -> None:
        from autograder.release.student import write_student

        written.extend(write_student(folder))

    releases = sorted((RELEASE / folder).glob("lab*.ipynb"))
    outputs = [ROOT / "notebooks/student" / folder / r.name for r in releases]
    inputs = [*releases, ROOT / "_config.yml", ROOT / "autograder/release/student.py", ROOT / "autograder/facts.py"]
    redo(f"student-{folder}", inputs, outputs, work)
    for file in written:
        say(f"student notebook written: {file.relative_to(ROOT)}")
    return len(written)


def _name(path: Path) -> str:
    return hashlib.sha256(str(path).encode()).hexdigest()[:8]
