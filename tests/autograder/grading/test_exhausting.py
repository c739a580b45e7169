"""Exhausting: time, memory, processes, disk and output are bounded, and who uses them up spends only their own."""

import textwrap

import pytest
from rooms import FULL, POINTS, HandIn, begins, behind, need_isolation, visible_share, without

pytestmark = pytest.mark.xdist_group("exhausting")

FIRST_ONLY = float(POINTS["softmax"])
LESS = without("scores")
SMALL = {"memory": 1 << 30, "processes": 64, "scratch": 32 << 20}
SHORT = {"seconds": 15.0, "cell_seconds": 2.0, "case_seconds": 2.0}
# For what is to meet another bound than time.
LONG = {"seconds": 90.0, "cell_seconds": 20.0, "case_seconds": 20.0}


def cell(name: str, *sources: str, due: float = FULL, status: str = "right", says: str = "", shows: str = "", hides=()):
    return HandIn(name, behind(*(textwrap.dedent(s) for s in sources)), due, status, says, shows=shows, hides=hides)


def scores(name: str, *lines: str, due: float = LESS, status: str, says: str) -> HandIn:
    """The second exercise's solution begins with these lines; the later ones may build on the course's own."""
    return HandIn(name, begins("scores", *lines), due, status, says)


TIME = [
    cell("an infinite loop in one cell", "while True: pass", says="longer than 2 s", shows="KeyboardInterrupt"),
    # Twelve seconds of cells are given: ten loops get as many of them as there are.
    cell(
        "an infinite loop in ten cells",
        *["while True: pass"] * 10,
        due=FIRST_ONLY,
        status="timed out",
        says="longer than 15 s",
    ),
    cell(
        "an infinite loop that cannot be interrupted",
        "import time\nwhile True:\n    try: time.sleep(99)\n    except BaseException: pass",
        due=FIRST_ONLY,
        status="timed out",
        says="could not be interrupted",
    ),
    cell(
        "an infinite loop that ignores signals",
        """
        import signal
        for n in range(1, 32):
            try: signal.signal(n, signal.SIG_IGN)
            except OSError: pass
        while True: pass
        """,
        due=FIRST_ONLY,
        status="timed out",
        says="could not be interrupted",
    ),
    cell("an infinite loop in C", "sum(iter(int, 1))", says="", due=FIRST_ONLY, status="timed out"),
    scores("an infinite loop in a case", "while True: pass", status="timed out", says="timed out"),
    scores(
        "an infinite loop in a case that ignores signals",
        "import signal",
        "signal.signal(signal.SIGALRM, signal.SIG_IGN)",
        "signal.setitimer(signal.ITIMER_REAL, 0)",
        "while True: pass",
        status="timed out",
        says="timed out",
    ),
    scores(
        "an infinite loop in a hidden case",
        "if Q.dtype == torch.float64:",
        "    while True: pass",
        # What comes after it is not judged; attention builds on it and has a case of float64 too.
        due=without("scores", "attention") + visible_share("scores", 7) + visible_share("attention", 10),
        status="timed out",
        says="timed out",
    ),
    cell("a sleep", "import time\ntime.sleep(10**6)", says="longer than 2 s", shows="KeyboardInterrupt"),
    cell(
        "a cell that waits for input",
        "input('name? ')",
        "import sys\nprint('READ', repr(sys.stdin.read()))",
        shows="READ ''",
    ),
]

MEMORY = [
    cell(
        "a memory bomb in one process",
        "def bomb():\n    x = []\n    while True: x.append(bytearray(b'1' * (64 << 20)))\nbomb()",
        shows="MemoryError",
    ),
    cell("a memory bomb at once", "import torch\nx = torch.ones(1 << 40)", shows="memory"),
    scores("a memory bomb in a solution", "x = torch.ones(1 << 32)", status="out of memory", says="raised an error"),
    cell(
        "a memory bomb in many processes",
        """
        import os, time
        for _ in range(20):
            if os.fork() == 0:
                x = bytearray(b"1" * (200 << 20))
                time.sleep(60)
        time.sleep(60)
        """,
        due=visible_share("softmax"),  # all that could still answer is ended
        status="out of memory",
        says="memory",
    ),
    cell(
        "a memory bomb in shared memory",
        """
        import mmap, os
        kept = []
        for i in range(64):
            kept.append(mmap.mmap(-1, 64 << 20))
            kept[-1].write(b"1" * (64 << 20))
        """,
        shows="Error",
    ),
    cell(
        "a memory bomb in shared files",
        """
        with open("/dev/shm/x", "wb") as file:
            for _ in range(4096): file.write(b"1" * (1 << 20))
        """,
        shows="Error",
    ),
    cell("a huge tensor in a cell", "import torch\nx = torch.ones(40_000_000)\nx", shows="tensor"),
    scores("a huge tensor returned", "return torch.ones(40_000_000)", status="wrong", says="wrong type"),
    scores(
        "a huge view of a small tensor returned",
        "return torch.ones(1).expand(1 << 40)",
        status="out of memory",
        says="raised an error",
    ),
    # Caught, since IPython takes ten seconds and more to draw a thousand frames.
    cell(
        "a deep recursion in a cell",
        "def f(): return f()\ntry: f()\nexcept RecursionError as error: print('DEEP', repr(error))",
        shows="DEEP RecursionError",
    ),
    cell(
        "a deep recursion in C",
        "import sys\nsys.setrecursionlimit(10**9)\nx = []\nfor _ in range(10**6): x = [x]\nrepr(x)",
        due=FIRST_ONLY,
        status="crashed",
        says="SIGSEGV",
    ),
    scores("a deep recursion in a solution", "return scores(Q, K)", status="wrong", says="raised an error"),
    scores(
        "a deep recursion in C in a solution",
        "import sys",
        "sys.setrecursionlimit(10**9)",
        "x = []",
        "for _ in range(10**6): x = [x]",
        "repr(x)",
        status="crashed",
        says="crashed",
    ),
    scores("a deep list returned", "x = []", "for _ in range(10**5): x = [x]", "return x", status="wrong", says=""),
]

# At their bound no process starts another, and those that there are go on trying.
FORKS = [
    cell(
        "a fork bomb",
        "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
        due=FIRST_ONLY,
        status="timed out",
        says="longer than 2 s",
    ),
    HandIn(
        "a fork bomb in a solution",
        begins("attention_test", "import os", "while True:", "    try: os.fork()", "    except OSError: pass"),
        without("attention_test"),
        "timed out",
        "timed out",
        at_most=True,  # its processes get in the way of its own other exercises
    ),
]
PROCESSES = [
    cell(
        "a thread bomb",
        "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(99,), daemon=True).start()",
        shows="start new thread",
    ),
    cell(
        "as many open files as there are",
        "kept = []\nwhile True: kept.append(open('/dev/null'))",
        shows="Too many open files",
    ),
]

DISK = [
    cell("a disk fill", "with open('x', 'wb') as file:\n    while True: file.write(b'1' * (1 << 20))", shows="Error"),
    cell(
        "a disk fill in many files",
        "for i in range(10**9):\n    with open(f'x{i}', 'wb') as file: file.write(b'1' * (1 << 20))",
        shows="No space left",
    ),
    cell("many empty files", "for i in range(100_000): open(f'x{i}', 'w').close()\nprint('MADE')", shows="MADE"),
    cell("a sparse file", "import os\nopen('x', 'w').close()\nos.truncate('x', 1 << 50)", shows="Error"),
    cell(
        "a disk fill under a deep folder",
        "import os\nfor i in range(500):\n    os.mkdir('d'); os.chdir('d')\nprint('DEEP')",
        shows="DEEP",
    ),
]

OUTPUT = [
    cell("30 MB on one line", "print('x' * 30_000_000)", shows="cut"),
    cell("a million short lines", "for _ in range(1_000_000): print('y')", shows="cut"),
    cell("a million errors", "import sys\nfor _ in range(1_000_000): print('z', file=sys.stderr)", shows="cut"),
    cell("a million displays", "for _ in range(3000): display('x' * 1000)", shows="cut"),
    cell("30 MB displayed", "from IPython.display import HTML\ndisplay('x' * 30_000_000)", shows="cut"),
    cell("30 MB as a result", "'x' * 30_000_000", shows="cut"),
    cell("30 MB in an error", "raise ValueError('x' * 30_000_000)", shows="cut"),
    cell(
        "many long cells",
        *["print('x' * 190_000); import sys; print('x' * 190_000, file=sys.stderr)"] * 30,
        shows="prints too much",
    ),
    scores("30 MB in a solution's error", "raise ValueError('x' * 30_000_000)", status="wrong", says="raised an error"),
    scores("30 MB in a solution's result", "return 'x' * 30_000_000", status="wrong", says="wrong type"),
]


@pytest.fixture(scope="module")
def short(grade_class):
    return grade_class(TIME + FORKS, jobs=2, **SMALL, **SHORT)


@pytest.fixture(scope="module")
def graded(grade_class):
    return grade_class(MEMORY + PROCESSES + DISK + OUTPUT, jobs=2, **SMALL, **LONG)


@pytest.mark.parametrize("hand_in", TIME + FORKS, ids=str)
def test_time_is_bounded(short, hand_in):
    short.holds(hand_in)
    # One budget, however often it is asked for. The time to start a process anew, on a busy machine, comes on top.
    assert short.rows[hand_in.name].result.seconds < 4 * SHORT["seconds"]


@pytest.mark.parametrize("hand_in", MEMORY, ids=str)
def test_memory_is_bounded(graded, hand_in):
    graded.holds(hand_in)


@pytest.mark.parametrize("hand_in", PROCESSES, ids=str)
def test_processes_are_bounded(graded, hand_in):
    graded.holds(hand_in)


@pytest.mark.parametrize("hand_in", DISK, ids=str)
def test_the_disk_is_bounded(graded, hand_in):
    graded.holds(hand_in)


@pytest.mark.parametrize("hand_in", OUTPUT, ids=str)
def test_output_is_bounded(graded, hand_in):
    graded.holds(hand_in)
    assert len(graded.pages[hand_in.name]) < 9_000_000


def test_the_honest_beside_those_who_exhaust_get_full_points(short, graded):
    short.honest_got_full_points()
    graded.honest_got_full_points()


def test_what_ran_out_of_time_is_tried_again_only_with_more_of_it(room):
    need_isolation()
    nb = room.notebook()
    begins("scores", "while True: pass")(room, nb)
    room.hand_in("jane", nb)
    assert room.grade(seconds=20, case_seconds=1)["jane"].result.status == "timed out"
    assert room.grade(seconds=20, case_seconds=1)["jane"].skipped
    assert not room.grade(seconds=30, case_seconds=1)["jane"].skipped
    assert room.scores() == {"jane": LESS}
