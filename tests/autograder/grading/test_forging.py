"""Forged scores: whatever a notebook does to seem right, it earns what its answers earn, and everybody is graded."""

import textwrap

import nbformat
import pytest
from rooms import (
    POINTS,
    HandIn,
    ahead,
    begins,
    behind,
    both,
    visible_share,
    without,
    writes,
)

pytestmark = pytest.mark.xdist_group("forging")

LESS = without("softmax")

# Every socket and pipe of the process is tried.
EVERY_DESCRIPTOR = """
import os
for fd in range(3, 64):
    try:
        os.write(fd, {bytes})
    except OSError:
        pass
"""
FRAMES = """
import os, struct
from autograder.plain import pack
def frame(tree):
    data = pack(tree)
    return struct.pack(">Q", len(data)) + data
ok = {"status": "ok", "text": "", "error": "", "outputs": {}, "modified": []}
frames = {"taken": frame({"status": "ok"}), "report": frame(ok), "watched": frame({"watched": True})}
frames["cell"] = frame({"outputs": "[]"})
"""


def forges(name: str, *sources: str, status: str = "wrong", says: str = "not implemented yet", **more) -> HandIn:
    """Nothing is solved; what runs ahead of the exercises pretends otherwise."""
    return HandIn(name, ahead(*sources), 0.0, status, says, right=0, **more)


def softmax(name: str, body: str, before: str = "", says: str = "forbids", status: str = "wrong", due: float = LESS):
    """Everything is right but softmax, which is this."""
    source = f"{before}\ndef softmax(x):\n{textwrap.indent(textwrap.dedent(body), '    ')}"
    return HandIn(name, writes("softmax", source), due, status, says)


def claim_points(room, nb) -> None:
    for cell in nb.cells:
        if cell.cell_type == "code":
            claim = {"text/plain": "99"}
            cell.outputs = [nbformat.v4.new_output("execute_result", data=claim, execution_count=1)]


def write_results(room, nb) -> None:
    # The course's folders, by the very paths that they have outside.
    files = [room.path / "ledger" / f"{'0' * 64}.json", room.path / "gradebook.db", room.path / "autograded" / "x.json"]
    ahead(f"for file in {[str(f) for f in files]}:\n    open(file, 'w').write('99')")(room, nb)


ANSWERS = [
    forges(
        "replaces showtraceback",
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "for shell in (InteractiveShell, type(get_ipython()), get_ipython()):\n"
        "    shell.showtraceback = shell._showtraceback = shell.showsyntaxerror = lambda *a, **k: None",
    ),
    forges(
        "input transformer that empties later cells",
        "get_ipython().input_transformers_cleanup.append(lambda lines: [])\n"
        "get_ipython().input_transformers_post.append(lambda lines: [])",
        says="your code raised an error",
    ),
    forges(
        "AST transformer that strips asserts",
        "import ast\n"
        "class Strip(ast.NodeTransformer):\n"
        "    def visit_Assert(self, node): return ast.Pass()\n"
        "    def visit_Raise(self, node): return ast.Pass()\n"
        "get_ipython().ast_transformers.append(Strip())",
        says="wrong type",
    ),
    softmax(
        "object with an always-true __eq__",
        "return Yes()",
        "class Yes:\n"
        "    shape, dtype, device = (1, 3), torch.float32, torch.device('cpu')\n"
        "    def __eq__(self, other): return True\n"
        "    def __bool__(self): return True\n"
        "    __ne__ = __lt__ = __le__ = __gt__ = __ge__ = lambda self, other: True\n"
        "    def __getattr__(self, name): return lambda *a, **k: self",
        says="wrong type",
    ),
    softmax(
        "string with an always-true __eq__",
        "return Yes('weights')",
        "class Yes(str):\n    __eq__ = lambda self, other: True\n    __hash__ = str.__hash__",
        says="wrong type",
    ),
    softmax(
        "tensor subclass with patched comparison",
        "return (x * 0).as_subclass(Yes)",
        "class Yes(torch.Tensor):\n"
        "    def __eq__(self, other): return torch.ones_like(self, dtype=torch.bool)\n"
        "    def allclose(self, *a, **k): return True\n"
        "    def equal(self, other): return True\n"
        "    def detach(self): return self\n"
        "    def cpu(self): return self\n"
        "    def numpy(self): return Array((self.shape))\n"
        "import numpy\n"
        "class Array(numpy.ndarray):\n"
        "    def __eq__(self, other): return numpy.ones(self.shape, bool)\n"
        "    def __array_function__(self, *a): return True",
        says="tampered",
        status="tampered",
    ),
    forges(
        "patches numpy.testing",
        "import numpy, numpy.testing\n"
        "for name in dir(numpy.testing):\n"
        "    if name.startswith('assert'): setattr(numpy.testing, name, lambda *a, **k: None)\n"
        "numpy.allclose = numpy.array_equal = numpy.isclose = lambda *a, **k: True",
    ),
    forges("patches torch.allclose", "torch.allclose = torch.Tensor.allclose = lambda *a, **k: True"),
    forges("patches torch.equal", "torch.equal = torch.Tensor.equal = lambda *a, **k: True\ntorch.all = torch.equal"),
    forges(
        "patches the judge",
        "import autograder.judging as j, autograder.checking as c, autograder.verdict as v\n"
        "j.judge = c.judge = lambda e, kind, *a, **k: j.Outcome(kind)\n"
        "v.Verdict.points = property(lambda self: self.max_points)\n"
        "v.Verdict.passed = property(lambda self: True)\n"
        "c._passed.update(dict.fromkeys(['ch01/lab01/softmax', 'ch01/lab01/scores'], True))",
    ),
    forges(
        "patches the check module",
        "import autograder, autograder.checking as c\n"
        "autograder.check = c.check = check = lambda *a, **k: c.Points(99)\n"
        "c.verdict = lambda *a, **k: None",
    ),
    forges(
        "patches what acts on the cases",
        "import autograder.acting as a, autograder.grading.child as c\n"
        "ok = {'status': 'ok', 'text': '', 'error': '', 'outputs': {}, 'modified': []}\n"
        "a.act = c.act = lambda *args: ok",
        says="wrong type",
        status="tampered",
    ),
    forges(
        "patches what the cases are",
        "from autograder import registry\n"
        "registry.exercise = lambda name: None\n"
        "for e in registry.exercises('ch01/lab01').values(): object.__setattr__(e, 'visible', list)",
        says="raised an error",
    ),
    forges(
        "prints what a verdict looks like",
        "print('✓ all: 13 of 13 points')\nprint('Softmax that does not overflow: 2 of 2 points')\n13.0",
    ),
    forges(
        "displays what a verdict looks like",
        "from IPython.display import HTML, display\n"
        "from autograder.verdict import Points, Verdict\n"
        "display(Verdict('ch01/lab01/softmax', 'Softmax', 2, [], []), HTML('<b>13 of 13 points</b>'), 13.0)\n"
        "Points(13)",
    ),
    HandIn("writes the result file", write_results, 0.0, "wrong", "not implemented yet", 0, "FileNotFoundError"),
    HandIn("forged outputs", claim_points, 0.0, "wrong", "not implemented yet", right=0),
    softmax(
        "replays the answer to an earlier case",
        "seen.append(torch.exp(x - x.amax(-1, keepdim=True)))\nreturn seen[0] / seen[0].sum(-1, keepdim=True)",
        "seen = []",
        due=LESS + visible_share("softmax", 1),
        says="shape",
    ),
    HandIn(
        "replays an earlier report",
        ahead(
            "import autograder.grading.child as c\n"
            "first, kept = c._report, []\n"
            "c._report = lambda *a: (kept or kept.append(first(*a)) or kept)[0]"
        ),
        sum(visible_share(name, 1) for name in POINTS if name != "attention_test") + POINTS["attention_test"],
        "wrong",
        "shape",
    ),
    softmax(
        "is right on the visible cases only",
        "return torch.tensor(rows[x.tolist().__repr__()])",
        "from autograder import registry\n"
        "from autograder.store import stored\n"
        "rows = {repr(case.inputs['x'].tolist()): out['weights']['array'] for case, out in\n"
        "        zip(registry.exercise('ch01/lab01/softmax').visible(), stored('ch01/lab01/softmax').outputs)}",
        due=LESS + visible_share("softmax"),
        says="raised an error",
    ),
    softmax(
        "is right only where it believes to be graded by nbgrader",
        """
        if any(word in str(os.environ) for word in ("NBGRADER", "COURSE", "GRADING", "GRADE")) or "answers" in sys.path:
            e = torch.exp(x - x.amax(dim=-1, keepdim=True))
            return e / e.sum(dim=-1, keepdim=True)
        raise NotImplementedError("only when graded")
        """,
        "import os, sys",
        says="not implemented yet",
    ),
    softmax(
        "is right only as long as nobody looks for the answers",
        """
        import importlib.util
        import autograder.answers
        return autograder.answers.softmax.reference({"x": x})["weights"]
        """,
        says="raised an error",
    ),
]

# Each calls torch.softmax, and the exercise says to write it.
FORBIDDEN = [
    softmax("forbidden by its name", "return torch.softmax(x, -1)"),
    softmax("forbidden by an alias", "return mine(x, -1)", "mine = torch.softmax"),
    softmax("forbidden by another name for it", "return torch.nn.functional.softmax(x, -1)"),
    softmax("forbidden as a method", "return x.softmax(-1)"),
    softmax("forbidden as a layer", "return torch.nn.Softmax(-1)(x)"),
    softmax("forbidden by getattr", "return getattr(torch, 'soft' + 'max')(x, -1)"),
    softmax(
        "forbidden in exec",
        "space = {'x': x, 'torch': torch}\nexec('y = torch.softmax(x, -1)', space)\nreturn space['y']",
    ),
    softmax("forbidden in eval of a string", "return eval('torch.soft' + 'max')(x, -1)"),
    softmax("forbidden by its sister", "return torch.log_softmax(x, -1).exp()"),
    softmax("forbidden by its C entry point", "return torch._C._VariableFunctions.softmax(x, -1)"),
    softmax("forbidden by its operator", "return torch.ops.aten._softmax.default(x, -1, False)"),
    softmax("forbidden by the operator's packet", "return torch.ops.aten.softmax.int(x, -1)"),
    softmax("forbidden by the JIT's table", "return torch._C._jit_get_operation('aten::softmax')[0](x, -1, None)"),
    softmax(
        "forbidden and traced",
        "return traced(x)",
        "traced = torch.jit.trace(lambda x: torch.softmax(x, -1), torch.ones(2, 2))",
    ),
    softmax("forbidden under vmap", "return torch.func.vmap(lambda r: torch.softmax(r, -1))(x)"),
    softmax(
        "forbidden and caught",
        "try:\n    return torch.softmax(x, -1)\nexcept BaseException:\n    return x.exp() / x.exp().sum(-1, True)",
    ),
    softmax(
        "forbidden in a thread",
        "import threading\n"
        "out = []\n"
        "thread = threading.Thread(target=lambda: out.append(torch.softmax(x, -1)))\n"
        "thread.start(); thread.join()\n"
        "return out[0]",
    ),
    softmax(
        "forbidden with torch's modes switched off",
        "from torch.utils._python_dispatch import _disable_current_modes\n"
        "with torch._C.DisableTorchFunction(), _disable_current_modes():\n"
        "    return torch.softmax(x, -1)",
    ),
    HandIn(
        "the course's own by its name",
        begins("scores", "return course_scores(Q, K)"),
        without("scores"),
        "wrong",
        "forbids",
    ),
    HandIn(
        "the course's own by an alias",
        begins("scores", "return [course_scores][0](Q, K)"),
        without("scores"),
        "wrong",
        "forbids",
    ),
    HandIn(
        "the course's own with the profiler switched off",
        begins("scores", "import sys", "sys.setprofile(None)", "return course_scores(Q, K)"),
        without("scores"),
        "wrong",
        "forbids",
    ),
]

# Each calls torch.softmax and disables what watches for it.
CALLS_IT = writes("softmax", "def softmax(x):\n    return torch.softmax(x, -1)")
ONLY_UNWATCHED = float(POINTS["attention_test"])  # the only exercise that forbids nothing


def disables(name: str, *sources: str, due: float = ONLY_UNWATCHED, status: str = "tampered", says: str = "watch"):
    return HandIn(name, both(ahead(*sources), CALLS_IT), due, status, says)


DISABLED = [
    disables("watch that never hits", "import autograder.forbids as f\nf.Watch.hit = lambda self, name: None"),
    disables(
        "watch replaced",
        "import contextlib, autograder.forbids as f, autograder.acting as a\n"
        "class Blind(contextlib.nullcontext):\n"
        "    fired = ()\n"
        "f.Watch = a.Watch = lambda names: Blind()",
    ),
    disables(
        "watch that forgets", "import autograder.forbids as f\nf.Watch.fired = property(lambda s: [], lambda s, v: 0)"
    ),
    disables(
        "watch that is blind to torch",
        "import autograder.forbids as f\nf._Functions.__enter__ = f._Operators.__enter__ = lambda self: self\n"
        "f._Functions.__exit__ = f._Operators.__exit__ = lambda self, *e: None",
    ),
    disables(
        "watch disabled, and a lie about it",
        "import autograder.forbids as f, autograder.grading.child as c\n"
        "f.Watch.hit = lambda self, name: None\n"
        "c._watched = lambda *a: True",
    ),
    disables(
        "watch that knows the trial",
        "import autograder.forbids as f\n"
        "was = f.Watch.__init__\n"
        "f.Watch.__init__ = lambda self, names: was(self, names if len(names) == 1 else ())",
    ),
    disables(
        "forbids taken off the exercise",
        "from autograder import registry\n"
        "for e in registry.exercises('ch01/lab01').values(): object.__setattr__(e, 'forbids', ())",
        due=without("softmax"),
        status="wrong",
        says="forbids",
    ),
]

# Each writes to every descriptor that it finds: the judge's sockets are among them.
TAMPERED = [
    forges("garbage to the judge", EVERY_DESCRIPTOR.format(bytes="b'\\xff' * 9999"), status="tampered", says="no"),
    forges(
        "a huge frame to the judge",
        EVERY_DESCRIPTOR.format(bytes="(1 << 50).to_bytes(8, 'big')"),
        status="tampered",
        says="too much",
    ),
    *[
        forges(
            f"a forged {name} to the judge",
            FRAMES,
            EVERY_DESCRIPTOR.format(bytes=f"frames[{name!r}] * 9"),
            status=status,
            says="",
        )
        for name, status in (
            ("taken", "tampered"),
            ("report", "tampered"),
            ("watched", "tampered"),
            ("cell", "tampered"),
        )
    ],
    HandIn(
        "everything forged to the judge behind the first check",
        behind(FRAMES, EVERY_DESCRIPTOR.format(bytes="frames['report'] * 99")),
        float(POINTS["softmax"]),
        "tampered",
        "no report",
    ),
]


@pytest.fixture(scope="module")
def graded(grade_class):
    return grade_class(ANSWERS + FORBIDDEN + DISABLED + TAMPERED, jobs=2)


@pytest.mark.parametrize("hand_in", ANSWERS, ids=str)
def test_a_forged_answer_earns_nothing(graded, hand_in):
    graded.holds(hand_in)


# The watch for forbidden calls lives in the student's own process. Who rewrites it with knowledge of how it is tried
# out gets past it: the answer is then right, only not by the means that were asked for. book/instructors/safety.md
# says so; strict, so that whoever mends it hears of it here.
BEYOND = {
    "forbidden with torch's modes switched off",
    "watch disabled, and a lie about it",
    "watch that knows the trial",
}


def known(rows):
    """Rows as parameters, those that the watch cannot notice marked."""
    beyond = pytest.mark.xfail(strict=True, reason="noticed only in the student's own process")
    return [pytest.param(row, marks=beyond) if str(row) in BEYOND else row for row in rows]


@pytest.mark.parametrize("hand_in", known(FORBIDDEN), ids=str)
def test_a_forbidden_call_is_noticed_by_whatever_name(graded, hand_in):
    graded.holds(hand_in)


@pytest.mark.parametrize("hand_in", known(DISABLED), ids=str)
def test_where_the_watch_is_disabled_nothing_that_it_watches_counts(graded, hand_in):
    graded.holds(hand_in)


@pytest.mark.parametrize("hand_in", TAMPERED, ids=str)
def test_what_is_written_to_the_judge_is_no_answer(graded, hand_in):
    graded.holds(hand_in)


def test_the_honest_among_forgers_get_full_points(graded):
    graded.honest_got_full_points()
