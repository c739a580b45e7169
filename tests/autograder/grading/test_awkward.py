"""Honest but awkward: what is right earns its points, however it looks, and what is not is told in words."""

import nbformat
import pytest
from rooms import FULL, POINTS, HandIn, ahead, at_the_end, begins, behind, both, nothing, visible_share, without, writes

from source.sliders import VIEW

pytestmark = pytest.mark.xdist_group("awkward")

NOISE = "import sys, warnings; warnings.warn('about nothing'); print('noise', file=sys.stderr)"
SOFTMAX = """
def softmax(x):
    {before}
    e = torch.exp(x - x.amax(dim=-1, keepdim=True))
    return {result}
"""


def softmax(
    name: str, before: str = "", result: str = "e / e.sum(dim=-1, keepdim=True)", due=FULL, status="right", says=""
):
    return HandIn(name, writes("softmax", SOFTMAX.format(before=before or "pass", result=result)), due, status, says)


def warns(room, nb) -> None:
    for name in POINTS:
        begins(name, NOISE, "")(room, nb)
    behind(NOISE, "import logging; logging.warning('about nothing')")(room, nb)


def slow(room, nb) -> None:
    for name in POINTS:
        begins(name, "import time; time.sleep(0.05)", "")(room, nb)
    behind("import time\ntime.sleep(3)\nprint('SLOW BUT DONE')")(room, nb)


MOVES = "from source.sliders import move\nmove(lambda n=1: plt.figure(), alt='an empty figure', n=(0, 2, 1))"


def keeps_widgets(room, nb) -> None:
    """What a browser saves under a figure that can be moved: a view among the outputs, a state in the notebook."""
    state = {"version_major": 2, "version_minor": 0, "state": {"m": {"model_name": "VBoxModel", "state": {}}}}
    nb.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": state}
    view = {VIEW: {"model_id": "m", "version_major": 2, "version_minor": 0}, "text/plain": "VBox()"}
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.outputs = [nbformat.v4.new_output("display_data", data=view)]


LESS = without("softmax")
AWKWARD = [
    HandIn("correct code that warns on stderr", warns, shows="about nothing"),
    softmax(
        "correct code that warns as errors would",
        "import warnings; warnings.warn('x', DeprecationWarning, stacklevel=1)",
    ),
    HandIn("correct code that is slow", slow, shows="SLOW BUT DONE"),
    HandIn(
        "prints much",
        both(behind("for i in range(20000): print('much', i)"), begins("scores", "print('much' * 10000)")),
        shows="much 500",
    ),
    HandIn(
        "needs an earlier exercise that is wrong",
        writes("scores", "def scores(Q, K):\n    return Q @ K.transpose(-2, -1)"),
        without("scores") + visible_share("scores", 1),  # where the width is 1 there is nothing to scale
        "wrong",
        "no-scale",
        shows="using the course's own",
    ),
    HandIn(
        "needs an earlier exercise that is blank",
        writes("scores", "def scores(Q, K):\n    raise NotImplementedError"),
        without("scores"),
        "wrong",
        "not implemented yet",
        shows="using the course's own",
    ),
    HandIn(
        "needs an earlier exercise that loops for ever",
        begins("scores", "while True: pass"),
        without("scores"),
        "timed out",
        "timed out",
        shows="using the course's own",
    ),
    HandIn(
        "leaves figures open",
        behind("for _ in range(60):\n    plt.figure()\n    plt.plot([1, 2])\nprint('OPEN', len(plt.get_fignums()))"),
        shows="OPEN 60",
    ),
    HandIn(
        "moves a figure",
        behind(MOVES + "\nprint('OPEN', len(plt.get_fignums()))"),
        shows="an empty figure",
        hides=(VIEW,),
    ),
    HandIn("keeps the widgets of its own run", keeps_widgets, hides=(VIEW,)),
    HandIn("leaves figures open in a solution", begins("softmax", "plt.figure(); plt.plot([1, 2])", "")),
    softmax("uses float64 inside", "given, x = x.dtype, x.double()", "(e / e.sum(dim=-1, keepdim=True)).to(given)"),
    softmax(
        "uses float64 and returns it",
        "x = x.double()",
        # Two of the eleven cases: the one that is of float64.
        due=LESS + 0.18,
        status="wrong",
        says="dtype",
    ),
    HandIn("makes float64 the default", ahead("torch.set_default_dtype(torch.float64)")),
    softmax(
        "uses the device that setup found",
        "given, x = x.device, x.to(device)",
        "(e / e.sum(dim=-1, keepdim=True)).to(given)",
    ),
    softmax("uses another device", "x = x.to('cuda')", due=LESS, status="wrong", says="your code raised an error"),
    softmax(
        "returns what lies on another device",
        result="(e / e.sum(dim=-1, keepdim=True)).to('meta')",
        due=LESS,
        status="wrong",
        says="your code raised an error",
    ),
    softmax("wants gradients", result="(e / e.sum(dim=-1, keepdim=True)).requires_grad_()"),
    softmax("returns a view", result="(e / e.sum(dim=-1, keepdim=True)).unsqueeze(0)[0]"),
    softmax(
        "returns numpy",
        result="(e / e.sum(dim=-1, keepdim=True)).float().numpy()",
        due=LESS,
        status="wrong",
        says="wrong type",
    ),
    HandIn("uses random numbers", ahead("torch.manual_seed(0); torch.randn(3); import random; random.seed(1)")),
    HandIn("uses many threads", ahead("torch.set_num_threads(8)")),
    HandIn("has an error in a cell of its own", behind("1 / 0", "undefined_name"), shows="ZeroDivisionError"),
    HandIn("uses magic lines", behind("%timeit -n 1 -r 1 1 + 1\n%matplotlib inline"), shows="per loop"),
    HandIn("uses shell lines", behind("!echo hello from a shell"), shows="hello from a shell"),
    HandIn("clears its own names", at_the_end("%reset -f")),
    HandIn(
        "writes and reads a file",
        behind("open('notes.txt', 'w').write('mine')\nprint('AGAIN', open('notes.txt').read())"),
        shows="AGAIN mine",
    ),
    HandIn("exits in a cell", behind("import sys; sys.exit(3)", "exit()", "raise KeyboardInterrupt", "quit()")),
    HandIn(
        "defines its function twice",
        lambda room, nb: writes("softmax", nb.cells[room.place(nb, "softmax")].source * 2)(room, nb),
    ),
    HandIn("names a function of its own check", ahead("check = 3")),
    HandIn(
        "a partial solution",
        nothing,
        float(POINTS["softmax"] + POINTS["scores"]),
        "wrong",
        "not implemented yet",
        right=2,
    ),
    HandIn("a blank one", nothing, 0.0, "wrong", "not implemented yet", right=0),
    HandIn(
        "a solution that is no Python",
        begins("softmax", "this is no Python"),
        LESS,
        "wrong",
        "your code raised an error",
    ),
    HandIn("a solution that exits", begins("softmax", "raise SystemExit"), LESS, "wrong", "your code raised an error"),
    HandIn("a solution that ends its process", begins("softmax", "import os; os._exit(0)"), LESS, "crashed", "crashed"),
    HandIn(
        "ends its process", behind("import os; os._exit(0)"), float(POINTS["softmax"]), "crashed", "exited with code 0"
    ),
    HandIn("crashes", behind("import ctypes; ctypes.string_at(0)"), float(POINTS["softmax"]), "crashed", "SIGSEGV"),
    HandIn(
        "shows markup",
        behind("from IPython.display import HTML; display(HTML('<script>alert(1)</script>'))"),
        hides=("<script",),
    ),
]


@pytest.fixture(scope="module")
def graded(grade_class):
    return grade_class(AWKWARD, jobs=2, case_seconds=4)


@pytest.mark.parametrize("hand_in", AWKWARD, ids=str)
def test_what_is_right_earns_its_points(graded, hand_in):
    graded.holds(hand_in)


def test_the_honest_beside_the_awkward_get_full_points(graded):
    graded.honest_got_full_points()
