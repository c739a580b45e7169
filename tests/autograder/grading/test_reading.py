"""Reading what is not the student's: other hand-ins, grades, answers, hidden cases, secrets, the host, the network."""

import os
import socket
import textwrap
from pathlib import Path

import pytest
from conftest import SECRET
from rooms import CHAPTER, FULL, LAB, HandIn, ahead, at_the_end, begins, behind, both, visible_share, without

from autograder import registry
from autograder.paths import ROOT

pytestmark = pytest.mark.xdist_group("reading")

CANARY = "CANARY-of-another-student"
HOST = "CANARY-of-the-host"
READ = """
import glob, os
for path in {paths}:
    try:
        if os.path.isdir(path):
            print("LISTED", path, os.listdir(path))
        else:
            print("READ", path, open(path, "rb").read()[-2000:])
    except OSError as error:
        print("NOT THERE" if isinstance(error, FileNotFoundError) else "REFUSED", type(error).__name__)
print("TRIED", {count})
"""


def reads(name: str, *paths, shows: str = "NOT THERE", hides: tuple[str, ...] = ("READ", "LISTED")) -> HandIn:
    """Prints what is at paths; a function of the room gives some of them."""

    def change(room, nb) -> None:
        told = [str(path(room) if callable(path) else path) for path in paths]
        ahead(READ.format(paths=told, count=len(told)))(room, nb)

    return HandIn(name, change, shows=shows, hides=(*hides, CANARY, HOST, SECRET))


def runs(name: str, source: str, shows: str, hides: tuple[str, ...] = ()) -> HandIn:
    return HandIn(name, ahead(textwrap.dedent(source)), shows=shows, hides=(*hides, CANARY, HOST, SECRET))


LAB_FILE = registry.lab_files()[LAB].name
FILES = [
    reads("the gradebook", lambda room: room.path / "gradebook.db", lambda room: room.path),
    reads(
        "other submissions",
        lambda room: room.path / "submitted" / "another" / CHAPTER / "mine.txt",
        lambda room: room.path / "submitted",
        lambda room: room.path / "autograded",
        lambda room: room.path / "ledger",
    ),
    reads("hidden cases", lambda room: room.path / "expected", lambda room: room.path / "expected" / f"{LAB}.npz"),
    reads("the course's secret in its file", lambda room: room.path / "secret", ROOT / "classroom" / "secret"),
    reads(
        "reference code",
        ROOT / "autograder" / "answers",
        ROOT / "autograder" / "answers" / CHAPTER / LAB_FILE,
        ROOT / "autograder" / "release" / "expected.py",
        ROOT / "autograder" / "grading" / "engine.py",
        ROOT / "notebooks" / "instructor",
        ROOT / "notebooks",
        ROOT / ".git",
    ),
    reads("the people of the machine", "/etc/passwd", "/etc/shadow", "/etc/hosts", "/var", "/mnt", "/srv"),
    reads(
        "files at home",
        *[Path.home() / name for name in (".bashrc", ".profile", ".ssh", ".cache", ".config", ".netrc")],
    ),
    reads(
        "the warm process",
        "/proc/1/environ",
        "/proc/1/mem",
        "/proc/1/maps",
        "/proc/1/fd",
        "/proc/1/root",
        "/proc/1/cwd",
        shows="REFUSED",
    ),
]

CODE = [
    runs(
        "the environment's secrets",
        """
        import os
        print("ENVIRONMENT", sorted(os.environ.items()), open("/proc/self/environ").read())
        """,
        "ENVIRONMENT",
        ("COURSE_",),
    ),
    runs("imports the answers", f"import autograder.answers.{CHAPTER}", "ModuleNotFoundError", ("ANSWERS",)),
    runs(
        "imports the answers past the guard",
        """
        import sys, importlib
        for name in [m for m in sys.modules if sys.modules[m] is None]: del sys.modules[name]
        for name in ("autograder.answers", "autograder.release.expected", "autograder.grading.engine"):
            try:
                print("IMPORTED", importlib.import_module(name))
            except ImportError as error:
                print("NO SUCH MODULE", error)
        """,
        "NO SUCH MODULE",
        ("IMPORTED",),
    ),
    runs(
        "answers through the registry",
        f"""
        from autograder import registry
        print("ANSWER", registry.answer("{LAB}/softmax"))
        import os
        os.environ["NBGRADER_EXECUTION"] = "autograde"
        print("ANSWER", registry.answer("{LAB}/scores"))
        """,
        "ANSWER None",
        ("ANSWER Answer",),
    ),
    runs(
        "other processes",
        """
        import glob, os
        for folder in glob.glob("/proc/[0-9]*"):
            number = int(folder[6:])
            print("PROCESS", number if number < 1000 else "FAR", open(folder + "/cmdline").read()[:60])
        """,
        "PROCESS 1",
        ("PROCESS FAR", "pytest", "dask"),
    ),
    runs(
        "memory of what runs beside it",
        """
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        print("ATTACH", libc.ptrace(16, 1, 0, 0), "VM", libc.process_vm_readv(1, 0, 0, 0, 0, 0))
        try:
            os.open("/proc/1/mem", os.O_RDWR); print("OPENED")
        except OSError as error:
            print(error)
        """,
        "ATTACH -1",
        ("OPENED",),
    ),
    runs(
        "home folders",
        """
        import os, sys
        # A Python that was installed at home is there, and the way to it; nothing else.
        ours = (sys.base_prefix, sys.prefix)
        for home in ("/home", "/root"):
            inside = [os.path.join(home, name) for name in os.listdir(home)] if os.access(home, os.R_OK) else []
            print("AT HOME", [path for path in inside if not any(one.startswith(path) for one in ours)])
        """,
        "AT HOME []",
        ("AT HOME ['",),
    ),
    runs("the kernel's messages", "print(open('/dev/kmsg').read(), open('/proc/kcore', 'rb').read(9))", "Error"),
]

NETWORK = """
import socket
for address in {addresses}:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        try:
            family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
            tried = socket.socket(family, kind)
            tried.settimeout(1)
            tried.connect(tuple(address) if isinstance(address, list) else address)
            tried.send(b"{canary}")
            print("REACHED", kind.name, address)
        except OSError as error:
            print("UNREACHABLE", error)
print("INTERFACES", socket.if_nameindex())
"""


def connects(name: str, *addresses) -> HandIn:
    source = NETWORK.format(addresses=list(addresses), canary=CANARY)
    return HandIn(name, ahead(source), shows="UNREACHABLE", hides=("REACHED SOCK",))


# Inside the sandbox there is no route: an attempt fails at once, and nothing of it leaves this machine.
OUTSIDE = [
    connects("the network", ["1.1.1.1", 53], ["8.8.8.8", 443]),
    connects("cloud metadata addresses", ["169.254.169.254", 80], ["169.254.170.2", 80], ["100.100.100.200", 80]),
    runs("the network by name", "import socket\nsocket.getaddrinfo('example.org', 80)", "gaierror"),
]

SPY = "kept.append([v.flatten().tolist() for v in (x, Q, K, weights) if v is not None])"
SHOW = "print('SHOWN', kept)"


def spies(name: str, before: str, keeps: str, shows: str, text: str = "SHOWN") -> HandIn:
    """Keeps what softmax and scores are given, and cells behind them and at the end show what was kept."""
    change = both(
        ahead(textwrap.dedent(before)),
        begins("softmax", "given = x.flatten().tolist()", *textwrap.dedent(keeps).strip().splitlines()),
        begins("scores", "given = Q.flatten().tolist()", *textwrap.dedent(keeps).strip().splitlines()),
        behind(textwrap.dedent(shows)),
        at_the_end(textwrap.dedent(shows)),
    )
    return HandIn(name, change, shows=text)


# What shows that a way works: entries of a visible case of softmax, given while cells still run.
SEEN = "0.693147182"  # log 2
KEPT = [
    spies("kept in a global", "kept = []", "kept.append(given)", SHOW),
    spies(
        "kept in a file",
        "import os\npath = os.path.join(os.environ['TMPDIR'], 'kept')",
        "with open(path, 'a') as file: print(given, file=file)",
        "print('SHOWN', open(path).read())",
        SEEN,
    ),
    spies(
        "kept in shared memory",
        "import mmap\nkept = mmap.mmap(-1, 1 << 20)",
        "kept.write((repr(given) + chr(10)).encode()) if kept.tell() < 900000 else None",
        "kept.seek(0)\nprint('SHOWN', kept.read(1 << 20).rstrip(bytes(1)))",
        SEEN,
    ),
    spies(
        "kept in a pipe",
        "import os\nread, write = os.pipe()\nos.set_blocking(read, False)\nos.set_blocking(write, False)",
        "os.write(write, repr(given).encode())",
        "print('SHOWN', os.read(read, 1 << 20))",
        SEEN,
    ),
    spies(
        "kept by a thread that waits",
        """
        import os, threading
        read, write = os.pipe()
        kept = []
        threading.Thread(target=lambda: [kept.append(os.read(read, 9999)) for _ in range(99)], daemon=True).start()
        """,
        "os.write(write, repr(given).encode())",
        "import time; time.sleep(0.1)\nprint('SHOWN', kept)",
        SEEN,
    ),
    spies(
        "kept in a socket of its own",
        "import socket\nhere, there = socket.socketpair()\nhere.setblocking(False); there.setblocking(False)",
        "there.send(repr(given).encode())",
        "print('SHOWN', here.recv(1 << 20))",
        SEEN,
    ),
]


def tells(name: str, line: str, due: float, says: str, status: str = "wrong") -> HandIn:
    """Right on the visible cases; of a hidden input it makes something that a verdict could show."""
    seen = "if repr(x.flatten().tolist()) not in seen:"
    before = (
        "from autograder import registry\n"
        f"seen = [repr(c.inputs['x'].flatten().tolist()) for c in registry.exercise('{LAB}/softmax').visible()]\n"
        "import os, struct, sys"
    )
    return HandIn(
        name,
        both(ahead(before), begins("softmax", seen, *("    " + part for part in line.splitlines()))),
        due,
        status,
        says,
    )


DUE = without("softmax") + visible_share("softmax")
LEAKED = "given = repr(x.flatten().tolist())\n"
TOLD = [
    tells("told in an error", LEAKED + "raise ValueError(given)", DUE, "raised an error"),
    tells("told as not implemented", LEAKED + "raise NotImplementedError(given)", DUE, "not implemented"),
    tells("told in the error's name", LEAKED + "raise type(given[:150], (Exception,), {})", DUE, "raised an error"),
    tells("told as a wrong type", LEAKED + "return type(given[:150], (), {})()", DUE, "wrong type"),
    tells("told in the values", "return x", DUE, "values differ"),
    tells("told in the shape", "return x.flatten()", DUE, "shape"),
    tells("told by printing", LEAKED + "print(given); sys.__stdout__.write(given)", FULL, "", "right"),
    tells("told by displaying", LEAKED + "from IPython.display import display; display(given)", FULL, "", "right"),
    tells("told by a warning", LEAKED + "import warnings; warnings.warn(given)", FULL, "", "right"),
    tells(
        "told in a broken report",
        LEAKED
        + "import autograder.grading.child as c\n"
        + "told = dict.fromkeys(('text', 'error'), given)\n"
        + "c.act = lambda *a: {'status': 'ok', 'outputs': {given: given}, 'modified': [given], **told}\n"
        + "return x",
        DUE,
        "",
        "tampered",
    ),
    tells(
        "told in a frame that is none",
        LEAKED
        + "from autograder.plain import pack\n"
        + "data = pack({'status': 'ok', 'outputs': x.clone()}).replace(b'float32', given[1:8].encode())\n"
        + "data = struct.pack('>Q', len(data)) + data\n"
        + "for fd in range(3, 64):\n"
        + "    try: os.write(fd, data)\n"
        + "    except OSError: pass",
        DUE,
        "tampered",
        "tampered",
    ),
]


@pytest.fixture(scope="module")
def graded(grade_class):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_TOKEN", HOST)
        return grade_class(FILES + CODE + OUTSIDE + KEPT + TOLD, around=_secrets)


def _secrets(room) -> None:
    # What a class's folder holds besides, with something in it that is known by sight.
    nb = room.notebook()
    nb.cells[0].source += f"\n{CANARY}"
    room.hand_in("another", nb)
    room.hand_in("another", CANARY, "mine.txt")
    (room.path / "secret").write_text(SECRET)


@pytest.mark.parametrize("hand_in", FILES + CODE, ids=str)
def test_what_is_not_the_students_cannot_be_read(graded, hand_in):
    graded.holds(hand_in)


@pytest.mark.parametrize("hand_in", OUTSIDE, ids=str)
def test_nothing_outside_is_reached(graded, hand_in):
    graded.holds(hand_in)


@pytest.mark.parametrize("hand_in", KEPT, ids=str)
def test_no_cell_shows_a_hidden_input_that_the_students_code_kept(graded, hand_in):
    graded.holds(hand_in)


@pytest.mark.parametrize("hand_in", TOLD, ids=str)
def test_no_verdict_shows_a_hidden_input_that_the_students_code_tells(graded, hand_in):
    graded.holds(hand_in)


def test_the_honest_among_spies_get_full_points(graded):
    graded.honest_got_full_points()
    for student in graded.rows:
        graded.hides_hidden_cases(student)


def test_no_socket_of_the_host_is_reached(new_room, tmp_path):
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX) as named,
        socket.socket(socket.AF_UNIX) as abstract,
        new_room() as room,
    ):
        udp.bind(("127.0.0.1", 0))
        named.bind(str(tmp_path / "socket"))
        abstract.bind(f"\0course-test-{os.getpid()}")
        for one in (named, abstract):
            one.listen()
        for one in (tcp, udp, named, abstract):
            one.setblocking(False)
        places = [
            list(tcp.getsockname()),
            list(udp.getsockname()),
            named.getsockname(),
            abstract.getsockname().decode(),
        ]
        hand_in = connects("a listening socket of the host", *places[:2], *places[2:])
        nb = room.notebook()
        hand_in.change(room, nb)
        room.hand_in(hand_in.name, nb)
        result = room.grade()[hand_in.name].result
        assert (result.points, result.status) == (FULL, "right"), result.reason
        shown = str(room.graded(hand_in.name).cells)
        assert "UNREACHABLE" in shown
        # To send a datagram to a port of one's own, where nobody listens, is no error.
        assert "REACHED SOCK_STREAM" not in shown.replace(hand_in.name, "")
        for one in (tcp, named, abstract):
            with pytest.raises(BlockingIOError):
                one.accept()
        with pytest.raises(BlockingIOError):
            udp.recv(99)
