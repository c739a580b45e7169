"""Malformed hand-ins: what cannot be read gets nothing and a reason, what can be put right is put right and graded."""

import json
import os

import nbformat
import pytest
from conftest import release, room_in
from rooms import CHAPTER, FULL, LAB, POINTS, HandIn, need_isolation, without

from autograder import registry
from autograder.grading import ledger
from autograder.grading.collect import collect
from autograder.release.solutions import grade_id

pytestmark = pytest.mark.xdist_group("malformed")

FIRST, *_, LAST = POINTS


def unreadable(room) -> dict[str, tuple[bytes, str]]:
    whole = nbformat.writes(room.notebook())
    other = whole.replace(LAB + "/", "ch98/lab07/")
    old = json.dumps({"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": []})
    return {
        "truncated JSON": (whole[:-400].encode(), "cut off"),
        "empty file": (b"", "empty"),
        "blank file": (b" \n", "empty"),
        "non-UTF-8": (whole.replace("attention", "attentión").encode("latin-1", "replace"), "UTF-8"),
        "UTF-16": (whole.encode("utf-16"), "UTF-8"),
        "nbformat 3": (old.encode(), "format 3"),
        "nbformat 5": (whole.replace('"nbformat": 4', '"nbformat": 5').encode(), "format 5"),
        "nbformat of no number": (b'{"nbformat": [4], "cells": []}', "format unknown"),
        "a 200 MB file": (b"", "MB"),
        "notebook of another chapter": (other.encode(), "ch98/lab07"),
        "no notebook": (b'{"a": 1}', "no notebook"),
        "a list": (b"[1, 2]", "no notebook"),
        "deep": (b"[" * 100_000, "JSON"),
        "a number too long": (b'{"nbformat": ' + b"9" * 9999 + b"}", "JSON"),
        "no cells": (b'{"nbformat": 4, "cells": 3}', "without cells"),
        "strange cell": (b'{"nbformat": 4, "cells": [3]}', "cell 1"),
        "strange source": (b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": {}}]}', "cell 1"),
        "unrelated": (b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": "1"}]}', "no notebook of this lab"),
        "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(99), "UTF-8"),
        "a web page": (b"<!DOCTYPE html><html></html>", "JSON"),
        "a link": (b"", "cannot be opened"),
        "a pipe": (b"", "no plain file"),
    }


def wrong_kernel(room, nb) -> None:
    nb.metadata.kernelspec = {"name": "julia-1.9", "display_name": "Julia", "language": "julia"}
    nb.metadata.language_info = {"name": "julia"}


def no_metadata(room, nb) -> None:
    nb.metadata = nbformat.from_dict({})
    for i, cell in enumerate(nb.cells):
        cell.metadata, cell.id = nbformat.from_dict({}), f"x{i}"


def no_ids(room, nb) -> None:
    nb.nbformat_minor = 4
    for cell in nb.cells:
        del cell["id"]


def one_id_for_all(room, nb) -> None:
    for cell in nb.cells:
        cell["id"] = "same"


def one_grade_id_for_all(room, nb) -> None:
    for cell in nb.cells:
        if grade_id(cell):
            cell.metadata.nbgrader.grade_id = f"check_{FIRST}"


def duplicate(room, nb) -> None:
    again = nb.cells[room.place(nb, f"check_{FIRST}")].copy()
    again.id = "copied"
    nb.cells.append(again)


def duplicate_solution(room, nb) -> None:
    """The first one, blank, stands behind the right one."""
    again = nbformat.from_dict(room.lab.notebook.cells[room.place(room.lab.notebook, FIRST)])
    again.id = "copied"
    nb.cells.insert(room.place(nb, FIRST) + 1, again)


def delete(*names: str):
    def change(room, nb) -> None:
        nb.cells = [c for c in nb.cells if grade_id(c) not in (names or room.lab.checks)]

    return change


def edit(room, nb) -> None:
    for cell in nb.cells:
        if grade_id(cell) in room.lab.checks:
            cell.source = "1000"


def not_graded(room, nb) -> None:
    for cell in nb.cells:
        if grade_id(cell) in room.lab.checks:
            cell.metadata.nbgrader.update(grade=False, points=1000, locked=False)
            cell.source, cell.cell_type = "1000", "raw"
            del cell["outputs"], cell["execution_count"]


def move_ahead(room, nb) -> None:
    nb.cells.insert(room.place(nb, LAST), nb.cells.pop(room.place(nb, f"check_{LAST}")))


def all_checks_first(room, nb) -> None:
    nb.cells.sort(key=lambda cell: grade_id(cell) not in room.lab.checks)


def checks_last(room, nb) -> None:
    nb.cells.sort(key=lambda cell: grade_id(cell) in room.lab.checks)


def backwards(room, nb) -> None:
    nb.cells.reverse()


def strange_metadata(room, nb) -> None:
    for cell in nb.cells:
        cell.metadata["nbgrader"] = (
            ["solution", 3] if grade_id(cell) == "" else {**cell.metadata.nbgrader, "points": "x"}
        )


MENDED = [
    HandIn("wrong kernel", wrong_kernel),
    HandIn("duplicated graded cell", duplicate, says="more than once"),
    HandIn("duplicated solution cell", duplicate_solution, without(FIRST), "wrong", "more than once"),
    HandIn("deleted check cell", delete(f"check_{FIRST}"), says="put back"),
    HandIn("deleted check cells", delete(), says="put back"),
    HandIn("deleted solution and check cell", delete(LAST, f"check_{LAST}"), without(LAST), "wrong", "put back"),
    HandIn("edited check cell", edit, says="graded as released"),
    HandIn("edited check cell of what is blank", edit, 0.0, "wrong", "graded as released", right=0),
    HandIn("metadata stripped", no_metadata),
    HandIn("metadata that is none", strange_metadata),
    HandIn("grade false", not_graded, says="graded as released"),
    HandIn("grade false of what is blank", not_graded, 0.0, "wrong", "graded as released", right=0),
    HandIn("reordered cells - a check ahead", move_ahead, says="moved behind"),
    HandIn("reordered cells - all checks ahead", all_checks_first, says="moved behind"),
    HandIn("reordered cells - all checks last", checks_last),
    # Nothing is imported when the solutions run: what cannot be defined is not there.
    HandIn("reordered cells - backwards", backwards, 0.0, "wrong", "your code raised an error"),
    HandIn("cell ids missing", no_ids),
    HandIn("cell ids duplicated", one_id_for_all),
    HandIn("grade ids duplicated", one_grade_id_for_all, says=""),
]


@pytest.fixture(scope="module")
def graded(grade_class):
    def unread(room) -> None:
        for student, (data, _) in unreadable(room).items():
            file = room.hand_in(student, data)
            if student == "a 200 MB file":
                os.truncate(file, 200 << 20)
            if student in ("a link", "a pipe"):
                file.unlink()
            if student == "a link":
                file.symlink_to("/etc/passwd")
            if student == "a pipe":
                os.mkfifo(file)
        room.hand_in("nothing", "2026-03-01 12:00:00 UTC", "timestamp.txt")
        room.hand_in("renamed notebook", room.notebook(), f"{room.lab.stem} (1).ipynb")
        room.hand_in("renamed altogether", room.notebook(), "homework.ipynb")
        room.hand_in("in a folder of its own", room.notebook(), f"final/{room.lab.stem}.ipynb")
        told.update(unreadable(room))

    told: dict[str, tuple[bytes, str]] = {}
    done = grade_class(MENDED, around=unread)
    done.unreadable = told
    return done


@pytest.mark.parametrize("hand_in", MENDED, ids=str)
def test_what_can_be_put_right_is_graded(graded, hand_in):
    graded.holds(hand_in)


def test_the_honest_beside_what_is_malformed_get_full_points(graded):
    graded.honest_got_full_points()


def test_what_cannot_be_read_gets_nothing_and_a_reason(graded):
    for student, (_, why) in graded.unreadable.items():
        result = graded.rows[student].result
        assert (result.status, result.points, graded.scores[student]) == ("malformed", 0, 0), (student, result)
        assert why in result.reason, (student, result.reason)
        assert why.lower() in graded.pages[student].lower()
    assert graded.rows["nothing"].result.status == "missing"
    assert "no notebook was handed in" in graded.rows["nothing"].result.reason


@pytest.mark.parametrize("student", ["renamed notebook", "renamed altogether", "in a folder of its own"])
def test_a_renamed_notebook_is_found(graded, student):
    assert graded.rows[student].result.points == graded.scores[student] == FULL
    assert "handed in as" in graded.rows[student].result.notes[0]


def test_a_folder_with_the_notebooks_name_stops_nobody(room):
    need_isolation()
    room.hand_in("honest", room.notebook())
    file = room.hand_in("a folder", b"")
    file.unlink()
    file.mkdir()
    rows = room.grade()
    assert (rows["a folder"].result.status, rows["a folder"].result.points) == ("malformed", 0)
    assert "no plain file" in rows["a folder"].result.reason
    assert room.scores() == {"honest": FULL, "a folder": 0.0}


def test_a_missing_notebook_of_several(tmp_path_factory, monkeypatch):
    need_isolation()
    first, second = [lab for lab, file in registry.lab_files().items() if file.parent.name == CHAPTER][:2]
    room = room_in(
        tmp_path_factory.mktemp("two"), release(tmp_path_factory.mktemp("released"), first, second), monkeypatch
    )
    from autograder.grading import grade, released

    labs = released.released(CHAPTER, released.course_directory())
    assert [lab.id for lab in labs] == [first, second]
    room.hand_in("only the first", room.notebook())
    room.hand_in("only the second", b"", f"{labs[1].stem}.ipynb")
    rows = {(row.student, row.lab): row.result for row in grade.grade(CHAPTER).rows}
    told = {key: (result.status, result.points) for key, result in rows.items()}
    assert told == {
        ("only the first", first): ("right", FULL),
        ("only the first", second): ("missing", 0),
        ("only the second", first): ("missing", 0),
        ("only the second", second): ("malformed", 0),
    }
    assert "no notebook was handed in for this lab" in rows["only the first", second].reason
    assert room.scores() == {"only the first": FULL, "only the second": 0.0}


IDS = [
    "Zoë O'Brien",
    '"quoted"',
    "学生 1",
    "{braces}",
    "semi;colon & co",
    "100%",
    "-dash",
    "$HOME",
    "back\\slash",
    "slash∕like",
    "a%2Fb",
    "[brackets]*?",
    "emoji 🎓",
    "ﬁgure",  # a ligature: NFKC would make it another's id
    "-" * 200,
    "None",
    "~",
]


def test_students_ids_of_all_kinds(room):
    need_isolation()
    for student in IDS:
        room.hand_in(student, room.notebook(right=1))
    rows = room.grade()
    due = float(POINTS[FIRST])
    assert {student: row.result.points for student, row in rows.items()} == dict.fromkeys(IDS, due)
    assert room.scores() == dict.fromkeys(IDS, due)
    # The same bytes, so one result for all.
    assert len(list(ledger.folder().glob("*.json"))) == 1
    from autograder.grading.feedback import feedback

    for student in ("Zoë O'Brien", '"quoted"', "back\\slash"):
        assert len(feedback(CHAPTER, student)) == 1, student


def test_a_slash_in_a_students_id_is_told(room, tmp_path):
    folder = tmp_path / "in" / "group 1" / "jane"
    folder.mkdir(parents=True)
    (folder / f"{room.lab.stem}.ipynb").write_text(nbformat.writes(room.notebook(right=1)))
    done = collect(CHAPTER, tmp_path / "in")
    # A folder within a folder: the outer one is who handed it in, and nothing lands anywhere else.
    assert set(done.taken) == {"group 1"}
    assert [str(f.relative_to(room.path / "submitted").parent) for f in (room.path / "submitted").rglob("*.ipynb")] == [
        f"group 1/{CHAPTER}"
    ]
