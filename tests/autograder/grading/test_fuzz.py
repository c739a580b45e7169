"""Hand-ins that were damaged or doctored at random: there is always a result, and never a point without an answer.

COURSE_FUZZ_EXAMPLES: how many. 60 and always the same ones in the normal suite; where it is set, new ones are drawn, in
parts that several workers of pytest can take.
"""

import copy
import json
import os
import shutil
from dataclasses import asdict

import nbformat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nbgrader.utils import determine_grade
from rooms import CHAPTER, LAB, Room

from autograder.grading import engine, gradebook, ledger, released
from autograder.grading.expectations import opened
from autograder.grading.isolation import NotIsolated, probe
from autograder.grading.ledger import Result
from autograder.grading.limits import Limits
from autograder.grading.worker import Worker
from autograder.release.assignment import nbgrader_config
from autograder.release.expected import kept
from autograder.release.solutions import grade_id

EXAMPLES = int(os.environ.get("COURSE_FUZZ_EXAMPLES", "60"))
ALWAYS_THE_SAME = "COURSE_FUZZ_EXAMPLES" not in os.environ
PARTS = 1 if ALWAYS_THE_SAME else min(8, EXAMPLES)

# Code that a hand-in may hold, none of which answers anything. {name} is an exercise's, {points} what all are worth.
HOSTILE = [
    "import os; os._exit(0)",
    "import os; os.abort()",
    "import ctypes; ctypes.string_at(0)",
    "raise SystemExit(3)",
    "raise KeyboardInterrupt",
    "exit()",
    "while True: pass",
    "import time; time.sleep(60)",
    "input('?')",
    "x = bytearray(10**11)",
    "def f(): return f()\nf()",
    "import sys; sys.setrecursionlimit(5)",
    "import sys; sys.stdout = sys.stderr = None",
    "import sys; sys.modules['torch'] = sys.modules['numpy'] = None",
    "import sys; sys.path[:] = []; sys.modules.clear()",
    "import builtins; builtins.isinstance = lambda *a: True; builtins.len = lambda *a: 0",
    "import builtins; builtins.print = builtins.all = builtins.any = lambda *a, **k: True",
    "import os; os.kill(os.getppid(), 9)",
    "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)",
    "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)",
    "import signal; signal.setitimer(signal.ITIMER_REAL, 0.01)",
    "import os\nfor fd in range(3, 99):\n    try: os.close(fd)\n    except OSError: pass",
    "import os\nfor fd in range(3, 99):\n    try: os.write(fd, b'\\xff' * 999)\n    except OSError: pass",
    "import os\nfor fd in range(3, 99):\n    try: os.write(fd, (0).to_bytes(8, 'big'))\n    except OSError: pass",
    "import os\nos.fork()",
    "import threading; threading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=True).start()",
    "import atexit, os; atexit.register(os._exit, 0)",
    "import gc, socket\nfrom autograder.plain import pack\nfrom autograder.grading import wire\n"
    "for s in [o for o in gc.get_objects() if isinstance(o, socket.socket)]:\n"
    "    for told in ({{'status': 'ok'}}, {{'watched': True}}, {{'outputs': '[]'}}):\n"
    "        try: wire.send(s, pack(told))\n        except Exception: pass",
    "from autograder import checking\nchecking._passed = {{'{lab}/{name}': True}}",
    "from autograder import checking\nfor n in list(vars(checking)): setattr(checking, n, lambda *a, **k: True)",
    "import torch\ntorch.allclose = torch.equal = torch.isclose = lambda *a, **k: True",
    "import numpy\nnumpy.allclose = numpy.array_equal = numpy.testing.assert_allclose = lambda *a, **k: True",
    "class Yes:\n    def __eq__(self, o): return True\n    def __getattr__(self, n): return self\n"
    "    def __call__(self, *a, **k): return self\n    def __bool__(self): return True\n{name} = Yes()",
    "import torch\nclass Yes(torch.Tensor):\n    __eq__ = lambda s, o: True\n"
    "def {name}(*a, **k): return torch.ones(1).as_subclass(Yes)",
    "def {name}(*a, **k): return None",
    "def {name}(*a, **k): raise SystemExit(0)",
    "def {name}(*a, **k):\n    import os; os._exit(0)",
    "def {name}(x, *a, **k): return x",
    "{name} = 1",
    "del {name}",
    "from IPython.core.interactiveshell import InteractiveShell\nInteractiveShell.showtraceback = lambda *a, **k: None",
    "InteractiveShell = type(get_ipython())\nInteractiveShell.run_cell = lambda *a, **k: {points}",
    "get_ipython().input_transformers_post.append(lambda lines: ['{points}\\n'])",
    "get_ipython().display_formatter = None",
    "check = lambda *a, **k: {points}",
    "import autograder; autograder.check = lambda *a, **k: {points}",
    "from autograder.verdict import Points\nPoints({points})",
    "print('✓ {name}: {points} of {points} points')",
    "display({points})",
    "{points}",
    "from IPython.display import HTML; HTML('<script>alert(1)</script>')",
    "%reset -f",
    "%%bash\nexit 3",
    "%%capture\n{points}",
    "!kill -9 $PPID",
    "?{name}",
    "x = 0x" + "f" * 5000,
    "x = " + "+".join("1" * 400),
    "x = " + "(" * 150 + ")" * 150,
    "x = y" + ".a" * 700,
    "if 1:\n" + "".join(" " * i + "if 1:\n" for i in range(1, 90)) + " " * 90 + "pass",
    "x = '\\ud800'; print(x)\nx",
    "print('\\x00\\x1b[31m\\x07')\nimport sys; print('x', file=sys.stderr)",
    "raise type('\\ud800', (Exception,), {{}})('\\udfff' * 99)",
    "class E(Exception):\n    def __str__(self): raise self\nraise E()",
    "class R:\n    def __repr__(self): 1/0\nR()",
    "return 1",
    "await x",
    "yield 1",
    "from __future__ import annotations",
    "global x; x = 1",
    "\x00",
    "\ufeffx = 1",
    "\x0c\r\r\n x = 1",
    "x = 1\\",
    "'''",
    "import torch; torch.set_default_dtype(torch.float64); torch.use_deterministic_algorithms(True)",
    "import random, numpy; random.seed = numpy.random.seed = None",
]
# What may stand in a notebook's JSON in another thing's place; a str that begins with ! goes into the file as it is.
ODD = [
    *(
        None,
        True,
        False,
        0,
        -1,
        4,
        4.0,
        3,
        1e308,
        "",
        "x",
        "\ud800",
        "\x00",
        "code",
        "markdown",
        "ch01/lab02/x",
        "<img src=//x.yz>",
    ),
    *([], {}, [[]], [None], ["a", 1], {"": ""}, {"nbgrader": {}}, {"grade_id": []}, {"text/plain": "13.0"}),
    *("!NaN", "!Infinity", "!-Infinity", "!1e99999", "!" + "9" * 4000, "!" + "9" * 5000, "!" + "[" * 400 + "]" * 400),
    *("!" + "[" * 50_000 + "]" * 50_000, '!{"a": 1, "a": 2}', '!"\\ud83d"', '!"\\udc00\\ud800"', "!-0", "!1E400"),
]
MARK = "@odd@"

number = st.integers(0, 999)
code = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(max_size=60),
    st.text(alphabet="()[]{}:=.,+-*@%!?\\\"'#\n\t xyf019", max_size=40),
)
cell_change = st.one_of(
    st.tuples(st.sampled_from(["remove", "double", "no id", "no metadata", "no grade id", "no source"]), number),
    st.tuples(st.sampled_from(["swap", "swap sources", "same id", "same grade id", "move"]), number, number),
    st.tuples(st.just("type"), number, st.sampled_from(["code", "markdown", "raw", "heading", ""])),
    st.tuples(st.sampled_from(["source", "insert", "append", "prepend"]), number, code),
    # The cells that matter, more often than chance would have it.
    st.tuples(
        st.sampled_from(["check source", "solution source", "solution append", "no check", "not graded"]), number
    ),
    st.tuples(st.sampled_from(["check source", "solution source", "solution append"]), number, code),
    st.tuples(st.sampled_from(["outputs", "attachments", "lines"]), number, st.sampled_from(range(len(ODD)))),
)
json_change = st.tuples(
    st.sampled_from(["remove", "replace", "wrap", "add"]), st.lists(number, min_size=1, max_size=6), number
)
byte_change = st.one_of(
    st.tuples(st.just("cut"), st.floats(0, 1)),
    st.tuples(st.just("flip"), st.floats(0, 1), st.integers(1, 255)),
    st.tuples(st.just("put"), st.floats(0, 1), st.binary(max_size=8)),
    st.tuples(st.just("drop"), st.floats(0, 1), st.integers(1, 2000)),
    st.tuples(st.sampled_from(["bom", "utf-16", "latin-1", "twice", "junk", "crlf", "unescaped"])),
)
right_ones = st.sets(st.integers(0, 15), max_size=16)
changes = st.tuples(
    st.lists(cell_change, max_size=6),
    st.one_of(st.just([]), st.lists(json_change, max_size=4)),
    st.one_of(st.just([]), st.just([]), st.lists(byte_change, max_size=2)),
)


class Grader:
    """A room, the lab's expectations, one confined worker and an open gradebook, for all examples."""

    def __init__(self, room: Room, worker: Worker) -> None:
        self.room, self.worker, self.expected = room, worker, opened(kept(LAB))
        self.config = nbgrader_config()
        self.course = released.course_directory(self.config)

    def grade(self, data: bytes) -> Result:
        return engine.grade_notebook(data, self.room.lab, self.expected, self.worker)

    def in_the_gradebook(self, result: Result) -> float:
        """What stands in nbgrader's gradebook when the result is entered as `course grade` would enter it."""
        gradebook.fill(self.book, self.course, self.config, "somebody", [self.room.lab], [result])
        return self.book.find_submission(CHAPTER, "somebody").score


@pytest.fixture(scope="module")
def grader(release_folder, tmp_path_factory):
    try:
        held = probe()
    except NotIsolated as error:
        if os.environ.get("COURSE_SKIP_NOTHING") == "1":
            pytest.fail(str(error))
        pytest.skip(str(error))
    path = tmp_path_factory.mktemp("fuzzed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_CLASSROOM", str(path))
        patch.setenv("COURSE_SECRET", "a secret for tests")
        for name in ("gradebook.db", "nbgrader_config.py"):
            shutil.copy(release_folder / name, path)
        # Short: what loops for ever may cost a second, and whoever is cut off earns less, never more.
        worker = Worker(held, Limits(notebook_seconds=20.0, cell_seconds=1.5, case_seconds=5.0))
        made = Grader(Room(path), worker)
        with gradebook.gradebook(made.course, CHAPTER, [made.room.lab]) as made.book:
            yield made
        worker.close()


def tree_of(room, right: set[int], cell_changes) -> dict:
    """The notebook's JSON: the right solutions in some exercises, stubs in the others, then changed cell by cell."""
    names = [check.removeprefix("check_") for check in room.lab.checks]
    stubs, solved = room.notebook(right=0), room.notebook()
    for place, cell in enumerate(stubs.cells):
        if grade_id(cell) in names and names.index(grade_id(cell)) in right:
            stubs.cells[place] = solved.cells[place]
    tree = json.loads(nbformat.writes(stubs))
    for change in cell_changes:
        _change_cells(tree["cells"], names, f"{room.lab.points:g}", *change)
    return tree


def _name(cell) -> str:
    told = cell.get("metadata", {}).get("nbgrader", {}).get("grade_id", "")
    return told if isinstance(told, str) else ""


def _change_cells(cells: list, names: list[str], points: str, what: str, at: int, other=0) -> None:
    if not cells:
        return
    at %= len(cells)
    if isinstance(other, str):  # code
        for part, put in (("{name}", names[at % len(names)]), ("{points}", points), ("{lab}", LAB)):
            other = other.replace(part, put)
        other = other.replace("{{", "{").replace("}}", "}")
    of_kind = {"check": lambda c: _name(c) in {f"check_{n}" for n in names}, "solution": lambda c: _name(c) in names}
    kind, _, action = what.partition(" ")
    if (kind in of_kind and action) or what in ("no check", "not graded"):
        wanted = of_kind["solution" if kind == "solution" else "check"]
        chosen = [i for i, cell in enumerate(cells) if wanted(cell)]
        if not chosen:
            return
        at = chosen[at % len(chosen)]
    told = cells[at].setdefault("metadata", {})
    nbgrader = told.get("nbgrader", {})
    if what in ("remove", "no check"):
        del cells[at]
    elif what == "double":
        cells.insert(at, copy.deepcopy(cells[at]))
    elif what == "no id":
        cells[at].pop("id", None)
    elif what == "no metadata":
        cells[at]["metadata"] = {}
    elif what == "no grade id":
        nbgrader.pop("grade_id", None)
    elif what == "no source":
        cells[at].pop("source", None)
    elif what == "not graded":
        nbgrader.update(grade=False, solution=True, locked=False, points=1000)
    elif what == "swap":
        b = other % len(cells)
        cells[at], cells[b] = cells[b], cells[at]
    elif what == "move":
        cells.insert(other % len(cells), cells.pop(at))
    elif what == "swap sources":
        b = other % len(cells)
        cells[at]["source"], cells[b]["source"] = cells[b].get("source", ""), cells[at].get("source", "")
    elif what == "same id":
        cells[at]["id"] = cells[other % len(cells)].get("id", "")
    elif what == "same grade id":
        told["nbgrader"] = copy.deepcopy(cells[other % len(cells)].get("metadata", {}).get("nbgrader", {}))
    elif what == "type":
        cells[at]["cell_type"] = other
    elif what == "insert":
        cells.insert(at, {"cell_type": "code", "source": other, "metadata": {}, "outputs": [], "execution_count": None})
    elif what == "outputs":
        cells[at]["outputs"] = [
            {"output_type": "execute_result", "data": {"text/plain": points}, "metadata": {}, "execution_count": 1},
            {"output_type": "execute_result", "data": _odd(other), "metadata": {}, "execution_count": _odd(other)},
        ]
    elif what == "attachments":
        cells[at]["attachments"] = {"a.png": {"image/png": _odd(other)}, "\ud800": {"image/png": "\ud800", "x": 1}}
        cells[at]["cell_type"] = "markdown"
    elif what == "lines":
        cells[at]["source"] = [_odd(other), "x = 1\n"]
    elif what.endswith("source"):
        cells[at]["source"] = other or ""
    else:  # append and prepend
        source = cells[at].get("source", "")
        source = "".join(map(str, source)) if isinstance(source, list) else source
        pair = (other or "", source) if what == "prepend" else (source, other or "")
        cells[at]["source"] = "\n".join(map(str, pair))


def _odd(which: int):
    """Something odd; what no Python object can stand for is marked, and put in when the file is written."""
    told = ODD[which % len(ODD)]
    return f"{MARK}{which % len(ODD)}{MARK}" if isinstance(told, str) and told.startswith("!") else copy.deepcopy(told)


def _change_json(tree, what: str, path: list[int], which: int) -> None:
    # Follows the path as far as there is something below.
    holder, key = None, None
    here = tree
    for step in path:
        keys = list(here) if isinstance(here, dict) else range(len(here)) if isinstance(here, list) else []
        if not keys:
            break
        holder, key = here, keys[step % len(keys)]
        here = holder[key]
    if holder is None:
        return
    if what == "remove":
        del holder[key]
    elif what == "replace":
        holder[key] = _odd(which)
    elif what == "wrap":
        holder[key] = [here] if which % 2 else {"x": here}
    elif isinstance(holder, dict):
        holder[f"x{which}"] = _odd(which)
    else:
        holder.insert(key, _odd(which))


def written(tree, json_changes, byte_changes) -> bytes:
    """The file's bytes, with JSON and bytes changed."""
    for change in json_changes:
        _change_json(tree, *change)
    escaped = not any(kind == "unescaped" for kind, *_ in byte_changes)
    text = json.dumps(tree, ensure_ascii=escaped, indent=1)
    for i, told in enumerate(ODD):
        if isinstance(told, str) and told.startswith("!"):
            text = text.replace(f'"{MARK}{i}{MARK}"', told[1:])
    # Lone surrogates as bytes of their own where they are not escaped.
    data = text.encode("utf-8", "surrogatepass")
    for kind, *told in byte_changes:
        at = int(told[0] * len(data)) if told else 0
        if kind == "cut":
            data = data[:at]
        elif kind == "flip" and at < len(data):
            data = data[:at] + bytes([data[at] ^ told[1]]) + data[at + 1 :]
        elif kind == "put":
            data = data[:at] + told[1] + data[at:]
        elif kind == "drop":
            data = data[:at] + data[at + told[1] :]
        elif kind == "bom":
            data = b"\xef\xbb\xbf" + data
        elif kind in ("utf-16", "latin-1"):
            data = data.decode("utf-8", "replace").encode(kind, "replace")
        elif kind == "twice":
            data = data + data
        elif kind == "junk":
            data = data + b"\x00\xff"
        elif kind == "crlf":
            data = data.replace(b"\n", b"\r\n")
    return data


def of_exercise(room, result: Result) -> dict[str, float]:
    """Points by exercise, each check exactly once."""
    told = {e["grade_id"]: e["points"] for e in result.exercises}
    assert sorted(told) == sorted(room.lab.checks)
    assert len(result.exercises) == len(told)
    assert all(0 <= points <= room.lab.checks[name].points for name, points in told.items())
    return told


def in_nbgraders_eyes(notebook) -> dict[str, float]:
    """What nbgrader reads from a graded notebook: points by check cell, as it would stand in a file."""
    text = nbformat.writes(nbformat.from_dict(notebook))
    read = nbformat.reads(text.encode("utf-8").decode("utf-8"), as_version=4)
    nbformat.validate(read)
    # Markup of theirs would be alive on the page of whoever reads the feedback.
    assert not any("<img" in cell.source for cell in read.cells if cell.cell_type == "markdown")
    cells = [cell for cell in read.cells if cell.metadata.get("nbgrader", {}).get("grade")]
    assert len({grade_id(cell) for cell in cells}) == len(cells)
    return {grade_id(cell): determine_grade(cell)[0] or 0.0 for cell in cells}


def holds(grader: Grader, right: set[int], changed) -> None:
    """Whatever is handed in has a result, and no point is without an answer."""
    room = grader.room
    cell_changes, json_changes, byte_changes = changed
    result = grader.grade(written(tree_of(room, right, cell_changes), json_changes, byte_changes))
    assert result.status in set(ledger.STATUSES) - {"infrastructure"}
    assert result.max_points == room.lab.points
    points = of_exercise(room, result)
    answered = {name for i, name in enumerate(room.lab.checks) if i in right}
    assert {name for name, earned in points.items() if earned > 0} <= answered
    assert result.points == round(sum(points.values()), 2)
    # As the ledger keeps it, as nbgrader reads it, as the gradebook has it.
    again = Result(**json.loads(json.dumps(asdict(result), sort_keys=True)))
    assert of_exercise(room, again) == points
    assert in_nbgraders_eyes(again.notebook) == points
    assert round(grader.in_the_gradebook(again), 2) == result.points


ALL = set(range(16))
# What the long runs found, and what they start from.
FOUND = {
    "nothing is changed": (ALL, ([], [], [])),
    "nothing is answered": (set(), ([], [], [])),
    "a long sum": (ALL, ([("insert", 1, "x = " + "+".join("1" * 400))], [], [])),
    "a long chain": (ALL, ([("insert", 1, "x = y" + ".a" * 700)], [], [])),
    "a huge number": (ALL, ([("insert", 1, "x = 0x" + "f" * 5000)], [], [])),
    "a picture's name is no text": (ALL, ([("attachments", 0, 0)], [], [])),
    "the format is no text": (ALL, ([], [("replace", [2], ODD.index("\ud800"))], [])),
    "the format is markup": (ALL, ([], [("replace", [2], ODD.index("<img src=//x.yz>"))], [])),
}


@pytest.mark.parametrize("found", FOUND)
def test_what_was_found_before_does_not_come_again(grader, found):
    right, changed = FOUND[found]
    holds(grader, right, changed)


@pytest.mark.parametrize("part", range(PARTS))
@settings(
    max_examples=-(-EXAMPLES // PARTS),
    deadline=None,
    derandomize=ALWAYS_THE_SAME,
    database=None,
    print_blob=not ALWAYS_THE_SAME,
    suppress_health_check=list(HealthCheck),
)
@given(right=right_ones, changed=changes)
def test_whatever_is_handed_in_has_a_result_and_no_point_is_without_an_answer(grader, part, right, changed):
    holds(grader, right, changed)
