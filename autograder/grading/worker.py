"""The grader's handle on one warm process: starts it confined, has it fork children, ends what is left. Runs no code.

One worker serves one notebook at a time.
"""

import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from autograder.grading import isolation
from autograder.grading.isolation import Isolation
from autograder.grading.limits import Limits
from autograder.grading.warm import CAUSES, SCRATCH, SOCKETS, STATUS
from autograder.paths import CACHE, ROOT, classroom

# All that a student's code finds in its environment, HOME and TMPDIR aside.
_KEPT = ("PATH", "LANG", "LD_LIBRARY_PATH")
_SET = {
    "CUDA_VISIBLE_DEVICES": "",
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",  # fewer pages to list at each fork: half its time
    "HF_HUB_OFFLINE": "1",
    "JAX_PLATFORMS": "cpu",
    "LC_ALL": "C.UTF-8",
    "LOGNAME": "student",
    "MKL_NUM_THREADS": "1",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "OMP_NUM_THREADS": "1",
    "PYTHONMALLOC": "malloc",  # likewise: all objects in one heap
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
    "TRANSFORMERS_OFFLINE": "1",
    "USER": "student",
}
_START_SECONDS = 120.0
_ANSWER_SECONDS = 30.0
_FIRST_USER = 61_000  # above what distributions give to people and services
_numbers = itertools.count()


class CannotStart(RuntimeError):
    """The warm process did not come up: the installation's fault, never a student's."""


def environment(confined: bool) -> dict[str, str]:
    """The clean environment of a warm process and its children."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    home = SCRATCH
    if not confined:
        home = str(CACHE / "grading")
        Path(home).mkdir(parents=True, exist_ok=True)
    own = {"HOME": home, "TMPDIR": home, "MPLCONFIGDIR": f"{home}/matplotlib", "PYTHONPATH": str(ROOT)}
    return {**kept, **_SET, **own}


class Lost(RuntimeError):
    """The warm process ended in mid-work, which nothing in its sandbox can do: not the student's fault."""


class Worker:
    """A warm process and at most one child of it. loads: modules that it imports besides (skipping.loads)."""

    def __init__(self, held: Isolation, limits: Limits | None = None, loads: tuple[str, ...] = ()) -> None:
        self.isolation, self.limits, self.loads = held, limits or Limits(), loads
        self._process: subprocess.Popen | None = None
        self._control: socket.socket | None = None
        self._child = 0
        self._good, self._ready = True, False
        self._scratch: tempfile.TemporaryDirectory | None = None
        # Another for each worker of this machine: what one hand-in starts must not count against another's.
        self._user = _FIRST_USER + (os.getpid() * 7 + next(_numbers)) % 4000

    def child(self, exercises: int) -> list[socket.socket]:
        """Fork a child; returns the sockets for its notebook and for each exercise. Raises CannotStart or Lost."""
        self.start()
        self._wait()
        pairs = [socket.socketpair() for _ in range(min(exercises, SOCKETS - 1) + 1)]
        try:
            socket.send_fds(self._control, [b"s"], [theirs.fileno() for _, theirs in pairs])
            self._child, *_ = self._answer()
        except (OSError, CannotStart) as error:
            self._abandon()
            raise Lost(f"the process that runs notebooks is gone: {error}") from error
        finally:
            for _, theirs in pairs:
                theirs.close()
        return [ours for ours, _ in pairs]

    def start(self) -> None:
        """Start the warm process unless it serves already. It takes seconds; nobody waits for it here."""
        if self._process is None or self._process.poll() is not None or not self._good:
            self._start()

    def interrupt(self) -> None:
        """Interrupt the cell that runs, as the stop button would."""
        with contextlib.suppress(OSError):
            self._control.sendall(b"i")

    def end(self, died: bool = False) -> tuple[str, str]:
        """End the child and all it started. Returns why it had been ended, and how it ended by itself; "" where not.

        died: it closed its socket, so it is ending and its exit status is worth a moment's wait. Raises Lost.
        """
        try:
            self._control.sendall(b"d" if died else b"e")
            _, status, cause, good = self._answer()
        except (OSError, CannotStart):
            self._abandon()
            if self.isolation.kind != "none":
                raise Lost("the sandbox was ended from outside") from None
            return "", "it ended the process that had started it"
        self._child, self._good = 0, bool(good)
        told = CAUSES[cause]
        if status == -1 or not died:
            return told, ""
        if os.WIFSIGNALED(status):
            return told, f"it was ended by signal {signal.Signals(os.WTERMSIG(status)).name}"
        return told, f"it exited with code {os.waitstatus_to_exitcode(status)}"

    def close(self) -> None:
        """End the warm process."""
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._scratch is not None:
            self._scratch.cleanup()
        self._process = self._control = self._scratch = None

    def _start(self) -> None:
        self.close()
        confined = self.isolation.kind != "none"
        before = isolation.sandbox(self.isolation.kind, self.limits) if confined else []
        if not confined:
            self._scratch = tempfile.TemporaryDirectory(prefix="course-", ignore_cleanup_errors=True)
        settings = {
            "kind": self.isolation.kind,
            "landlock": self.isolation.landlock,
            "limits": self.limits.plain() | {"cores": os.cpu_count() or 1},
            "loads": self.loads,
            "private": [str(classroom()), str(ROOT / "autograder" / "answers"), str(ROOT / "notebooks")],
            "room": SCRATCH,
            "scratch": self._scratch.name if self._scratch else "",
            "user": self._user,
        }
        ours, theirs = socket.socketpair()
        with theirs:
            program = [sys.executable, "-P", "-m", "autograder.grading.warm", str(theirs.fileno())]
            self._process = subprocess.Popen(
                [*before, *program, json.dumps(settings)],
                env=environment(confined),
                cwd=Path(os.sep),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        self._control, self._good, self._ready = ours, True, False

    def _wait(self) -> None:
        if self._ready:
            return
        try:
            self._control.settimeout(_START_SECONDS)
            self._answer()
            self._control.settimeout(_ANSWER_SECONDS)
        except (OSError, CannotStart):
            self._process.kill()
            said = self._process.communicate()[1].decode(errors="replace").strip()
            self._process = None
            last = said.splitlines()[-1] if said else "it said nothing"
            raise CannotStart(
                f"the process that runs notebooks does not start: {last}. Is the course installed with its instructor "
                "extra?"
            ) from None
        # Nobody reads what it would say later, and a full pipe would stop it.
        self._process.stderr.close()
        self._ready = True

    def _answer(self) -> tuple[int, ...]:
        data = b""
        while len(data) < STATUS.size:
            part = self._control.recv(STATUS.size - len(data))
            if not part:
                raise CannotStart("the process that runs notebooks is gone")
            data += part
        return STATUS.unpack(data)

    def _abandon(self) -> None:
        # The warm process is gone or hangs: without it nobody else would end its child.
        confined = self.isolation.kind != "none"
        # A sandbox counts its processes by itself: the child's number means another process out here.
        for pid in (0 if confined else self._child, self._process.pid if self._process else 0):
            if pid:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGKILL)
        self._child = 0
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self.close()
