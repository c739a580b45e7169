"""What confines a hand-in, looked at from inside, in every kind of confinement that this machine can do."""

import json
import os
import subprocess
import sys

import nbformat
import pytest
from rooms import LAB

from autograder.grading import engine, grade, isolation, worker
from autograder.grading.expectations import opened
from autograder.grading.isolation import Isolation, NotIsolated
from autograder.grading.limits import Limits
from autograder.paths import ROOT
from autograder.release.expected import kept

FACTS = """
import ctypes, json, os, signal, socket, subprocess
facts = {}
def fact(name, work):
    try:
        facts[name] = work()
    except BaseException as error:
        facts[name] = f"{type(error).__name__}: {error}"
def write(path):
    with open(path, "w") as file:
        file.write("x")
    return "written"
fact("pid 1 is another", lambda: os.getpid() > 1 and os.getppid() in (0, 1))
fact("processes", lambda: sorted(int(p) for p in os.listdir("/proc") if p.isdigit()))
fact("interfaces", lambda: [name for _, name in socket.if_nameindex()])
fact("connect", lambda: socket.create_connection(("198.51.100.1", 80), timeout=5))
for path in PRIVATE:
    fact("sees " + path, lambda: os.path.exists(path))
for path in ("/x", "/home/x", "/usr/x", "/dev/x", "/etc/x", SOURCE + "/x.py", "/proc/sys/kernel/hostname"):
    fact("write " + path, lambda: write(path))
fact("write scratch", lambda: write("x"))
fact("write device", lambda: write("/dev/null"))
fact("kill 1", lambda: os.kill(1, signal.SIGKILL))
fact("stop 1", lambda: os.kill(1, signal.SIGSTOP))
fact("memory of 1", lambda: open("/proc/1/mem", "rb").read(1))
fact("root", lambda: os.setuid(0))
fact("mount", lambda: ctypes.CDLL(None, use_errno=True).mount(b"none", b"/tmp", b"tmpfs", 0, None))
fact("environment", lambda: sorted(os.environ))
fact("home", lambda: os.path.expanduser("~") == os.getcwd())
fact("subprocess", lambda: subprocess.run(["/bin/echo", "hello"], capture_output=True, text=True).stdout)
print("FACTS" + json.dumps(facts, default=str))
"""


def kinds() -> list[Isolation]:
    """Every confinement that works here; none where none does."""
    found = []
    for kind in ("user", "namespace") if os.geteuid() == 0 else ("namespace",):
        trial = [*isolation.sandbox(kind, Limits()), sys.executable, "-c", ""]
        try:
            works = subprocess.run(trial, capture_output=True, check=False).returncode == 0
        except OSError:
            works = False
        if works:
            found += [Isolation(kind, level) for level in {0, isolation.landlock()}]
    return found


@pytest.fixture
def isolated():
    """Skips where nothing confines; in CI that is a failure."""
    try:
        return isolation.probe()
    except NotIsolated as error:
        if os.environ.get("COURSE_SKIP_NOTHING") == "1":
            pytest.fail(str(error))
        pytest.skip(str(error))


def run(room, held: Isolation, *cells: str, limits: Limits | None = None):
    """Grade a right notebook with these cells ahead of its first exercise."""
    nb = room.notebook()
    at = room.place(nb, next(iter(room.lab.checks)).removeprefix("check_"))
    nb.cells[at:at] = [nbformat.v4.new_code_cell(source) for source in cells]
    hand = worker.Worker(held, limits or Limits())
    try:
        expected = opened(kept(LAB))
        first = engine.grade_notebook(nbformat.writes(nb).encode(), room.lab, expected, hand)
        # Whoever comes next in the same process finds nothing changed.
        second = engine.grade_notebook(nbformat.writes(room.notebook()).encode(), room.lab, expected, hand)
    finally:
        hand.close()
    assert (second.status, second.points) == ("right", room.lab.points), second.reason
    return first


@pytest.mark.parametrize("held", kinds(), ids=lambda held: held.level)
def test_a_hand_in_sees_and_changes_nothing_but_its_own(isolated, room, held):
    private = [str(room.path), str(ROOT / "classroom"), str(ROOT / "autograder" / "answers"), str(ROOT / ".git")]
    private += [str(ROOT / "notebooks"), str(ROOT / "autograder" / "release"), "/etc/passwd", "/var", "/run"]
    head = f"PRIVATE = {private!r}\nSOURCE = {str(ROOT / 'source')!r}\n"
    result = run(room, held, head + FACTS)
    assert (result.status, result.points) == ("right", room.lab.points), result.reason
    assert result.isolation == held.level
    text = next(o.text for c in result.notebook.cells for o in c.get("outputs", []) if "FACTS" in o.get("text", ""))
    facts = json.loads(text.split("FACTS", 1)[1])
    assert facts["pid 1 is another"] is True
    assert len(facts["processes"]) <= 3  # the first process, the notebook's own, and nobody else's
    assert facts["interfaces"] == ["lo"]
    assert "unreachable" in facts["connect"]
    assert not any(facts[f"sees {path}"] for path in private)
    for name in [name for name in facts if name.startswith("write /")]:
        assert "Error" in facts[name], name
    assert facts["write scratch"] == facts["write device"] == "written"
    assert "PermissionError" in facts["memory of 1"]
    if held.kind == "user":
        assert "PermissionError" in facts["root"]
    assert facts["mount"] == -1
    assert {"COURSE_SECRET", "COURSE_CLASSROOM", "PYTEST_CURRENT_TEST"}.isdisjoint(facts["environment"])
    assert facts["home"] is True
    assert facts["subprocess"] == "hello\n"
    if held.landlock:
        assert "PermissionError" in facts["kill 1"]
        assert "PermissionError" in facts["stop 1"]


@pytest.mark.parametrize("held", kinds(), ids=lambda held: held.level)
def test_a_fork_bomb_and_a_memory_bomb_end_in_every_kind(isolated, room, held):
    bomb = "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass"
    limits = Limits(notebook_seconds=20, cell_seconds=4, processes=40, memory=1 << 30)
    result = run(room, held, bomb, limits=limits)
    assert result.status in ("crashed", "timed out")
    assert result.points == 0
    eater = (
        "import os\nfor _ in range(6):\n    if os.fork() == 0:\n        break\nx = bytearray(400 << 20)\nx[::4096] = "
    )
    eater += "b'1' * len(x[::4096])\nimport time; time.sleep(60)"
    result = run(room, held, eater, limits=limits)
    assert result.status == "out of memory", result.reason
    assert "1024 MB" in result.reason


def test_where_nothing_confines_grading_refuses_and_says_what_mends_it(room, monkeypatch):
    room.hand_in("jane", room.notebook(right=1))
    isolation.probe.cache_clear()
    monkeypatch.setenv("PATH", "/nowhere")
    try:
        with pytest.raises(NotIsolated, match=r"apt-get install bubblewrap.*--unsafe"):
            grade.grade(room.lab.chapter)
        monkeypatch.setattr(sys, "platform", "darwin")
        with pytest.raises(NotIsolated, match="Linux only"):
            grade.grade(room.lab.chapter)
    finally:
        isolation.probe.cache_clear()
    assert not (room.path / "ledger").exists() or not list((room.path / "ledger").iterdir())


def test_a_refusal_of_the_kernel_is_passed_on_with_what_mends_it(isolated, monkeypatch, tmp_path):
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    isolation.probe.cache_clear()
    try:
        with pytest.raises(NotIsolated, match=r"Permission denied.*--unsafe"):
            isolation.probe()
    finally:
        isolation.probe.cache_clear()


def test_unsafe_runs_all_the_same_and_is_recorded(room):
    room.hand_in("jane", room.notebook())
    row = room.grade(unsafe=True)["jane"]
    assert (row.result.status, row.result.points) == ("right", room.lab.points)
    assert row.result.isolation == isolation.NONE


def test_a_sandbox_that_shows_what_it_must_not_is_not_used(isolated, monkeypatch):
    # A classroom inside what every hand-in may read would be in plain sight.
    monkeypatch.setenv("COURSE_CLASSROOM", "/usr/share")
    hand = worker.Worker(isolated, Limits())
    try:
        with pytest.raises(worker.CannotStart, match="shows /usr/share"):
            hand.child(1)
    finally:
        hand.close()
