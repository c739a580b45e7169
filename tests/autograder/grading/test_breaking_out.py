"""Breaking out: what a notebook writes, starts, signals or leaves behind reaches nobody, not even the next student."""

import base64
import json
import os
import pickle
import subprocess
import textwrap
from pathlib import Path

import nbformat
import pytest
from rooms import CHAPTER, HandIn, ahead, at_the_end, begins, behind, visible_share, without, writes

from autograder.paths import ROOT

pytestmark = pytest.mark.xdist_group("breaking out")

MARK = str(10**9 + os.getpid())  # what is started sleeps so long, and is known by it
SLEEPS = f"subprocess.Popen(['sleep', '{MARK}'], start_new_session=True)"


def runs(name: str, source: str, shows: str = "", hides: tuple[str, ...] = (), **more) -> HandIn:
    return HandIn(name, behind(textwrap.dedent(source)), shows=shows, hides=hides, **more)


def writes_outside(room, nb) -> None:
    folders = [
        room.path,
        room.path / "submitted",
        room.path.parent,
        ROOT,
        ROOT / "source",
        ROOT / "autograder",
        Path.home(),
    ]
    source = f"""
    import os, sys, torch
    told = {[str(f) for f in folders]}
    told += ["/", "/dev", "/etc", "/home", "/opt", "/proc", "/proc/sys/kernel", "/root", "/run", "/sys", "/usr", "/var"]
    told += [*sys.path, sys.prefix, os.path.dirname(torch.__file__)]
    scratch = os.environ["TMPDIR"]
    for top in ("/", ROOT := {str(ROOT)!r}):
        for folder, inner, _ in os.walk(top):
            inner[:] = [i for i in inner if folder.count("/") < 3 and os.path.join(folder, i) not in ("/proc", "/sys")]
            told.append(folder)
    done = []
    for folder in dict.fromkeys(told):
        if folder.startswith((scratch, "/dev/shm")): continue
        file = os.path.join(folder, "owned")
        for how in (lambda: open(file, "w"), lambda: os.mkdir(file), lambda: os.symlink("/etc", file),
                    lambda: os.mkfifo(file), lambda: os.chmod(folder, 0o777), lambda: os.rename(folder, file)):
            try:
                how()
                done.append(file)
            except OSError:
                pass
    print("WRITTEN", done, "OF", len(told) > 60)
    """
    behind(textwrap.dedent(source))(room, nb)


def links_outside(room, nb) -> None:
    victims = [
        str(room.path / "gradebook.db"),
        str(ROOT / "README.md"),
        "/etc/passwd",
        "/etc/ld.so.cache",
        "/usr/bin/env",
    ]
    source = f"""
    import os
    for i, target in enumerate({victims}):
        for make in (os.symlink, os.link):
            try:
                link = f"link{{i}}{{make.__name__}}"
                make(target, link)
                open(link, "r+b").write(b"owned")
                print("WRITTEN", target)
            except OSError as error:
                print("REFUSED", error)
    """
    behind(textwrap.dedent(source))(room, nb)


def shadows(*names: str):
    """Python files handed in beside the notebook, under the names of what a notebook or the grader imports."""

    def change(room, nb) -> None:
        for name in names:
            room.hand_in(
                "modules beside it", f"open({str(room.path / 'owned')!r}, 'w')\nraise SystemExit('owned')", name
            )
        behind("import os\nprint('BESIDE', [name for name in os.listdir('.') if name.endswith('.py')])")(room, nb)

    return change


class Owned:
    # What a pickle does when it is opened.
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def pickled(room, nb) -> None:
    data = base64.b64encode(pickle.dumps(Owned(room.path / "owned"))).decode()
    nb.metadata["pickle"] = data
    nb.metadata["widgets"] = {"application/x-python-pickle": data}
    for cell in nb.cells:
        cell.metadata["pickle"] = data
        if cell.cell_type == "code":
            cell.outputs = [nbformat.v4.new_output("display_data", data={"application/x-python-pickle": data})]
    at_the_end(f"display({{'application/x-python-pickle': {data!r}}}, raw=True)")(room, nb)


SENDS_A_PICKLE = """
import io, os, struct, numpy, zipfile
class Owned:
    def __reduce__(self): return os.system, ("touch {path}",)
out = io.BytesIO()
numpy.savez(out, tree=numpy.array([Owned()], dtype=object), a0=numpy.array([Owned()], dtype=object))
data = struct.pack(">Q", len(out.getvalue())) + out.getvalue()
for fd in range(3, 64):
    try: os.write(fd, data)
    except OSError: pass
"""

FILES = [
    HandIn("writes outside its scratch folder", writes_outside, shows="WRITTEN [] OF True"),
    HandIn("links to what lies outside", links_outside, shows="REFUSED", hides=("WRITTEN",)),
    HandIn(
        "modules beside it",
        shadows(
            "numpy.py", "sitecustomize.py", "usercustomize.py", "torch.py", "math.py", "autograder.py", "conftest.py"
        ),
        shows="BESIDE []",
    ),
    runs(
        "modules that it writes itself",
        """
        import os, subprocess, sys
        for name in ("numpy", "sitecustomize", "torch", "random"):
            open(name + ".py", "w").write("raise SystemExit('owned')")
            os.makedirs(os.path.expanduser("~/.local/lib/python3/site-packages"), exist_ok=True)
        """,
    ),
    HandIn("a pickle in outputs and metadata", pickled, hides=("x-python-pickle",)),
    HandIn(
        "returns a pickle",
        writes(
            "softmax",
            "class Owned:\n    def __reduce__(self): return __import__('os').system, ('touch owned',)\n"
            "def softmax(x):\n    return Owned()",
        ),
        without("softmax"),
        "wrong",
        "wrong type",
    ),
    HandIn(
        "sends a pickle to the judge",
        lambda room, nb: behind(SENDS_A_PICKLE.format(path=room.path / "owned"))(room, nb),
        2.0,
        "tampered",
        "no report",
    ),
]

PROCESSES = [
    runs("a background process", f"import subprocess\n{SLEEPS}"),
    runs(
        "a background process that ignores signals",
        f"""
        import os, signal
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                for n in range(1, 65):
                    try: signal.signal(n, signal.SIG_IGN)
                    except (OSError, ValueError): pass
                os.execvp("sleep", ["sleep", "{MARK}"])
            os._exit(0)
        """,
    ),
    HandIn("a background process of a solution", begins("attention_test", "import subprocess", SLEEPS)),
    *[
        runs(
            f"{signal} to {whom}",
            f"""
            import os, signal
            try:
                os.kill({pid}, signal.{signal})
                print("SENT")
            except OSError as error:
                print("REFUSED", error)
            """,
            shows=shows,
        )
        for signal in ("SIGKILL", "SIGSTOP", "SIGTERM", "SIGINT")
        for whom, pid, shows in (("the first process", 1, ""), ("its parent", "os.getppid()", ""))
    ],
    HandIn(
        "SIGKILL to everything",
        behind("import os, signal\nos.kill(-1, signal.SIGKILL)\nprint('SENT')"),
        # Its own copies are all that it reaches: the one that answers for the first exercise is one of them.
        without("softmax") + visible_share("softmax"),
        "crashed",
        "crashed",
        shows="SENT",
    ),
    HandIn(
        "SIGSTOP to everything",
        behind("import os, signal\nos.kill(-1, signal.SIGSTOP)\nprint('SENT')"),
        without("softmax") + visible_share("softmax"),
        "timed out",
        "timed out",
        shows="SENT",
    ),
    runs(
        "limits of the first process",
        """
        import ctypes, os, resource
        for pid in (1, os.getppid()):
            for which in (resource.RLIMIT_NOFILE, resource.RLIMIT_AS, resource.RLIMIT_CPU):
                try:
                    resource.prlimit(pid, which, (1, 1))
                    print("LIMITED")
                except OSError as error:
                    print("REFUSED", error)
        for call in (lambda: os.sched_setaffinity(1, {0}), lambda: os.setpriority(os.PRIO_PROCESS, 1, 19),
                     lambda: open("/proc/1/oom_score_adj", "w").write("1000")):
            try:
                call()
                print("CHANGED")
            except OSError as error:
                print("REFUSED", error)
        """,
        "REFUSED",
    ),
    runs(
        "ptrace of the first process",
        """
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        libc.ptrace.argtypes = [ctypes.c_long] * 4
        print("TRACED", [libc.ptrace(request, pid, 0, 0) for request in (16, 0x4206) for pid in (1, os.getppid())])
        """,
        "TRACED [-1, -1, -1, -1]",
    ),
    runs(
        "more rights",
        """
        import ctypes, os, shutil, subprocess
        libc = ctypes.CDLL(None, use_errno=True)
        told = []
        for call in (lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.setgroups([0]), lambda: os.chroot("/usr"),
                     lambda: os.sethostname(b"owned") if hasattr(os, "sethostname") else os.chroot("/")):
            try:
                call()
                told.append(call)
            except OSError:
                pass
        mounted = libc.mount(b"none", b"/tmp", b"tmpfs", 0, None)
        print("GAINED", told, mounted, open("/proc/self/status").read().split("CapEff:")[1].split()[0])
        """,
        "GAINED [] -1 0000000000000000",
    ),
]

# What one leaves, and the next one finds: student ids say who comes first.
KEY = f"left by {os.getpid()}"  # the kernel keeps a user's keys: another run's may still be there
LEAVES = """
import ctypes, mmap, os, socket, subprocess
TOKEN = "LEFT-BEHIND"
def attempt(call):
    try:
        call()
    except (OSError, AttributeError) as error:
        print("REFUSED", error)
for folder in ("/tmp", "/dev/shm", ".", os.environ["TMPDIR"]):
    attempt(lambda: open(folder + "/left", "w").write(TOKEN))
    attempt(lambda: os.makedirs(folder + "/deep" * 40))
    attempt(lambda: os.symlink("/etc", folder + "/link"))
os.environ["LEFT"] = TOKEN
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
libc.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
shared = libc.shmget(4711, 4096, 0o1666)
if shared >= 0:
    ctypes.memmove(libc.shmat(shared, None, 0), TOKEN.encode(), len(TOKEN))
queue = libc.msgget(4712, 0o1666)
libc.msgsnd(queue, ctypes.create_string_buffer((1).to_bytes(8, "little") + TOKEN.encode()), len(TOKEN), 0o4000)
libc.semget(4713, 1, 0o1666)
try:
    posix = libc.mq_open(b"/left", 0o102, 0o666, None)
    print("POSIX QUEUE", libc.mq_send(posix, TOKEN.encode(), len(TOKEN), 0))
except AttributeError as error:
    print("REFUSED", error)
add_key = 248 if os.uname().machine == "x86_64" else 217
for keyring in (-5, -4, -3):  # of the user's sessions, of the user, of the session
    print("KEY", libc.syscall(add_key, b"user", b"{key}", TOKEN.encode(), len(TOKEN), keyring))
abstract = socket.socket(socket.AF_UNIX)
attempt(lambda: abstract.bind("\\0left"))
import torch, math
math.pi = 3
torch.Tensor.log = None
"""
FINDS = """
import ctypes, math, os, socket
found = []
for folder in ("/tmp", "/dev/shm", "."):
    for top, _, files in os.walk(folder):
        found += [os.path.join(top, f) for f in files if "left" in f]
found += [value for value in os.environ.values() if "LEFT" in value]
libc = ctypes.CDLL(None, use_errno=True)
shared = {"shm": libc.shmget(4711, 0, 0), "msg": libc.msgget(4712, 0), "sem": libc.semget(4713, 0, 0)}
found += [name for name, answer in shared.items() if answer >= 0]
try:
    posix = libc.mq_open(b"/left", 0o4000)
    if posix >= 0:
        buffer = ctypes.create_string_buffer(8192)
        libc.mq_receive(posix, buffer, 8192, None)
        found.append(("mq", buffer.value))
except AttributeError:
    pass
keyctl = 250 if os.uname().machine == "x86_64" else 219
for keyring in (-5, -4, -3):
    key = libc.syscall(keyctl, 10, keyring, b"user", b"{key}", 0)
    if key >= 0:
        buffer = ctypes.create_string_buffer(99)
        libc.syscall(keyctl, 11, key, buffer, 99)
        found.append(("key", keyring, buffer.value))
try:
    socket.socket(socket.AF_UNIX).connect("\\0left")
    found.append("socket")
except OSError:
    pass
print("FOUND", found, math.pi)
"""
LEAVES, FINDS = LEAVES.replace("{key}", KEY), FINDS.replace("{key}", KEY)
LEFT = [
    HandIn("leftovers 1 are left", at_the_end(LEAVES)),
    HandIn("leftovers 2 are looked for", ahead(FINDS), shows="FOUND [] 3.14159265"),
    # In a solution, so that it is left when hidden cases are asked.
    HandIn("leftovers 3 are left by a solution", begins("softmax", f"exec({LEAVES!r}, {{}})", "import torch")),
    HandIn(
        "leftovers 4 are looked for again",
        ahead(FINDS.replace("FOUND", "FOUND AGAIN")),
        shows="FOUND AGAIN [] 3.14159265",
    ),
]


ALL = FILES + PROCESSES


@pytest.fixture(scope="module")
def graded(grade_class):
    done = grade_class(ALL, case_seconds=4)
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    done.running = [line for line in running.splitlines() if MARK in line]
    return done


@pytest.mark.parametrize("hand_in", FILES, ids=str)
def test_nothing_is_written_outside(graded, hand_in):
    graded.holds(hand_in)


@pytest.mark.parametrize("hand_in", PROCESSES, ids=str)
def test_no_process_reaches_another(graded, hand_in):
    graded.holds(hand_in)


def test_the_honest_beside_those_who_break_out_get_full_points(graded):
    graded.honest_got_full_points()
    assert graded.running == []
    assert not [f for f in graded.room.path.rglob("*owned*") if f.name == "owned"]
    assert not (ROOT / "owned").exists()
    assert json.loads(
        (graded.room.path / "autograded" / ALL[0].name / CHAPTER / f"{graded.room.lab.stem}.ipynb").read_text()
    )


@pytest.fixture(scope="module")
def left(grade_class):
    return grade_class(LEFT)


@pytest.mark.parametrize("hand_in", LEFT, ids=str)
def test_nothing_is_left_for_the_next_student(left, hand_in):
    left.holds(hand_in)
