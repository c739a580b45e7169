"""Notebooks that break, exhaust or deceive a grader, in one class: each gets its due, and so does everybody else."""

import json
import os
import subprocess
import time

import nbformat
import pytest
from rooms import CHAPTER, LAB, text_of

from autograder.grading import ledger
from autograder.release.solutions import grade_id

new_code = nbformat.v4.new_code_cell
SCRIBBLE = """
import os
for fd in range(3, 64):
    try:
        os.write(fd, {bytes})
    except OSError:
        pass
"""


@pytest.fixture
def hand_in(room):
    """Writes notebooks that differ from the right one, and remembers what each must get."""
    names = [name.removeprefix("check_") for name in room.lab.checks]
    points = {name.removeprefix("check_"): check.points for name, check in room.lab.checks.items()}
    want = {}

    class HandIn:
        first, second = names[:2]
        full = room.lab.points
        # What a notebook has earned when it stops right behind its first check.
        one = points[names[0]]

        def __call__(self, student, due, status, change, right=True):
            nb = room.notebook(right)
            change(nb)
            room.hand_in(student, nb)
            want[student] = (due, status)

        def behind(self, *sources):
            """New cells behind the first check."""

            def change(nb):
                at = room.place(nb, f"check_{self.first}") + 1
                nb.cells[at:at] = [new_code(source) for source in sources]

            return change

        def ahead(self, *sources):
            """New cells at the end of the set-up."""

            def change(nb):
                at = room.place(nb, self.first)
                nb.cells[at:at] = [new_code(source) for source in sources]

            return change

        def second_does(self, line):
            """The second exercise's solution begins with this line."""

            def change(nb):
                cell = nb.cells[room.place(nb, self.second)]
                cell.source = cell.source.replace("### BEGIN SOLUTION", line, 1)

            return change

    made = HandIn()
    made.want, made.points = want, points
    return made


def grade_all(room, hand_in, **options):
    rows = room.grade(**options)
    got = {student: (row.result.points, row.result.status) for student, row in rows.items()}
    assert {s: got[s] for s in hand_in.want} == hand_in.want, {s: rows[s].result.reason for s in got}
    assert room.scores() == {student: due for student, (due, _) in got.items()}
    return rows


def test_what_crashes_or_deceives_gets_its_due_and_everybody_else_is_graded(room, hand_in):
    full, one = hand_in.full, hand_in.one
    hand_in("honest", full, "right", lambda nb: None)
    hand_in("exits", full, "right", hand_in.behind("import sys; sys.exit(3)", "exit()", "raise KeyboardInterrupt"))
    hand_in("is gone", one, "crashed", hand_in.behind("import os; os._exit(0)"))
    hand_in("segfaults", one, "crashed", hand_in.behind("import ctypes; ctypes.string_at(0)"))
    hand_in("garbage", one, "tampered", hand_in.behind(SCRIBBLE.format(bytes="b'\\xff' * 9999")))
    hand_in("huge", one, "tampered", hand_in.behind(SCRIBBLE.format(bytes="(1 << 50).to_bytes(8, 'big')")))
    hand_in("kills what started it", full, "right", hand_in.behind("import os, signal; os.kill(os.getppid(), 9)"))
    background = "import subprocess; subprocess.Popen(['sleep', '987654'], start_new_session=True)"
    hand_in("leaves a process", full, "right", hand_in.behind(background))
    without_second = full - hand_in.points[hand_in.second]
    exits_inside = hand_in.second_does("raise SystemExit")
    recursion = hand_in.second_does(f"return {hand_in.second}(*[a for a in locals().values()])")
    # Later exercises may build on the second one: what is asked of them is only to be judged.
    no_python = hand_in.second_does("this is no Python")
    for student, change in (("exits inside", exits_inside), ("recursion", recursion), ("no Python", no_python)):
        nb = room.notebook()
        change(nb)
        room.hand_in(student, nb)
    hand_in(
        "shadows check",
        full,
        "right",
        hand_in.ahead("check = lambda *a: 0", "import autograder; autograder.check = check"),
    )
    fake = f"print('✓ all: {full:g} of {full:g} points')\n{full:g}"
    hand_in("prints a verdict", 0.0, "wrong", hand_in.ahead(fake, f"display({full:g})"), right=0)
    hand_in("waits", full, "right", hand_in.behind("input('name? ')"))
    loud = "print('x' * 30_000_000)\nfor _ in range(1_000_000): print('y')\nimport sys; print('z', file=sys.stderr)"
    hand_in("loud", full, "right", hand_in.behind(loud))
    spy = f"import autograder.answers.{CHAPTER}"
    hand_in("spy", full, "right", hand_in.behind(spy))
    markup = "from IPython.display import HTML; display(HTML('<script>alert(1)</script>'))"
    hand_in("scripts", full, "right", hand_in.behind(markup))
    rows = grade_all(room, hand_in)

    for student in ("exits inside", "recursion", "no Python"):
        assert rows[student].result.status == "wrong"
        assert 0 < rows[student].result.points <= without_second
        told = next(e for e in rows[student].result.exercises if e["exercise"].endswith("/" + hand_in.second))
        assert (told["points"], told["why"]) == (0, "your code raised an error")
    reasons = {student: row.result.reason for student, row in rows.items()}
    assert "exited with code 0" in reasons["is gone"]
    assert "SIGSEGV" in reasons["segfaults"]
    assert "too much" in reasons["huge"]
    assert "started it" in rows["kills what started it"].result.notes[0]
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert "987654" not in running
    outputs = {s: "".join(text_of(c) for c in room.graded(s).cells if c.cell_type == "code") for s in rows}
    assert "ModuleNotFoundError" in outputs["spy"]
    assert "EOFError" in outputs["waits"]
    assert len(outputs["loud"]) < 2_000_000
    assert "cut" in outputs["loud"]
    assert "<script>" not in outputs["scripts"]
    assert "not judged" in outputs["is gone"]


def test_edited_deleted_duplicated_and_moved_cells(room, hand_in):
    full = hand_in.full
    last = list(room.lab.checks)[-1]

    def delete_all(nb):
        nb.cells = [c for c in nb.cells if grade_id(c) not in room.lab.checks]

    def strip(nb):
        for i, cell in enumerate(nb.cells):
            cell.metadata, cell.id = nbformat.from_dict({}), f"x{i}"

    def duplicate(nb):
        again = nb.cells[room.place(nb, f"check_{hand_in.first}")].copy()
        again.id = "copied"
        nb.cells.append(again)

    def move_ahead(nb):
        nb.cells.insert(room.place(nb, last.removeprefix("check_")), nb.cells.pop(room.place(nb, last)))

    def not_graded(nb):
        for cell in nb.cells:
            if grade_id(cell) in room.lab.checks:
                cell.metadata.nbgrader.update(grade=False, points=1000, locked=False)
                cell.source, cell.cell_type = "1000", "raw"

    def forge(nb):
        for cell in nb.cells:
            if cell.cell_type == "code":
                claim = {"text/plain": "99"}
                cell.outputs = [nbformat.v4.new_output("execute_result", data=claim, execution_count=1)]

    hand_in("deleted", full, "right", delete_all)
    hand_in("stripped", full, "right", strip)
    hand_in("duplicated", full, "right", duplicate)
    hand_in("moved", full, "right", move_ahead)
    hand_in("not graded", 0.0, "wrong", not_graded, right=0)
    hand_in("forged", 0.0, "wrong", forge, right=0)
    rows = grade_all(room, hand_in)
    notes = {student: " ".join(row.result.notes) for student, row in rows.items()}
    assert "put back" in notes["deleted"]
    assert "more than once" in notes["duplicated"]
    assert "moved behind" in notes["moved"]
    assert "graded as released" in notes["not graded"]


def test_an_endless_loop_costs_one_budget_and_nobody_else_anything(room, hand_in):
    room.hand_in("honest", room.notebook())
    assert room.grade()["honest"].result.status == "right"
    # With a small budget from here on: the honest one is in the ledger by now.
    hand_in("ten cells", hand_in.one, "timed out", hand_in.behind(*["while True: pass"] * 10))
    hand_in("one case", hand_in.one, "timed out", hand_in.second_does("while True: pass"))
    started = time.monotonic()
    rows = grade_all(room, hand_in, seconds=10)
    assert time.monotonic() - started < 60
    assert rows["honest"].skipped
    assert "longer than 10 s" in rows["ten cells"].result.reason
    assert room.scores()["honest"] == hand_in.full
    # With no more time the result stands; with more it is worth another try.
    assert all(row.skipped for row in room.grade(seconds=10).values())
    room.hand_in("one case", room.notebook())
    assert room.grade("one case", seconds=240)["one case"].result.status == "right"


def malformed(room) -> dict[str, tuple[bytes, str]]:
    whole = nbformat.writes(room.notebook())
    other = whole.replace(LAB + "/", "ch98/lab07/")
    old = json.dumps({"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": []})
    return {
        "truncated": (whole[:-400].encode(), "cut off"),
        "empty": (b"", "empty"),
        "blank": (b" \n", "empty"),
        "latin-1": (whole.replace("attention", "attentión").encode("latin-1", "replace"), "UTF-8"),
        "old format": (old.encode(), "format 3"),
        "another chapter": (other.encode(), "ch98/lab07"),
        "no notebook": (b'{"a": 1}', "no notebook"),
        "a list": (b"[1, 2]", "no notebook"),
        "deep": (b"[" * 100_000, "JSON"),
        "no cells": (b'{"nbformat": 4, "cells": 3}', "without cells"),
        "strange cell": (b'{"nbformat": 4, "cells": [3]}', "cell 1"),
        "unrelated": (b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": "1"}]}', "no notebook of this lab"),
        "too large": (b"", "MB"),
        "a link": (b"", "cannot be opened"),
    }


def test_what_cannot_be_read_gets_nothing_and_a_reason(room):
    kinds = malformed(room)
    for student, (data, _) in kinds.items():
        file = room.hand_in(student, data)
        if student == "too large":
            os.truncate(file, 200 << 20)
        if student == "a link":
            file.unlink()
            file.symlink_to("/etc/passwd")
    room.hand_in("nothing", "2026-03-01 12:00:00 UTC", "timestamp.txt")
    room.hand_in("renamed", room.notebook(), f"{room.lab.stem} (1).ipynb")
    room.hand_in("renamed altogether", room.notebook(), "homework.ipynb")
    rows = room.grade()
    for student, (_, why) in kinds.items():
        assert (rows[student].result.status, rows[student].result.points) == ("malformed", 0), student
        assert why in rows[student].result.reason, student
        assert why.lower() in room.graded(student).cells[0].source.lower()
    assert rows["nothing"].result.status == "missing"
    for student in ("renamed", "renamed altogether"):
        assert rows[student].result.points == room.lab.points
        assert "handed in as" in rows[student].result.notes[0]
    assert room.scores() == {student: row.result.points for student, row in rows.items()}


IDS = ["Zoë O'Brien", '"quoted"', "学生 1", "{braces}", "semi;colon & co", "100%", "-dash", "$HOME"]


def test_students_ids_of_all_kinds(room):
    for student in IDS:
        room.hand_in(student, room.notebook(right=1))
    rows = room.grade()
    assert set(room.scores().values()) == {rows[IDS[0]].result.points}
    assert set(room.scores()) == set(IDS)
    # The same bytes, so one result for all.
    assert len(list(ledger.folder().glob("*.json"))) == 1
    from autograder.grading.feedback import feedback

    assert len(feedback(CHAPTER)) == len(IDS)
