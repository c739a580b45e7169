"""The grader's handle on one warm process: starts it, has it fork children, ends what is left. It runs no code.

One worker serves one notebook at a time. Whoever wants a worker confined puts the confining program before `command`.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from autograder.grading.warm import STATUS
from autograder.paths import CACHE, ROOT

# All that a student's code finds in its environment, HOME and TMPDIR aside.
_KEPT = ("PATH", "LANG", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "SYSTEMROOT")
_SET = {
    "HF_HUB_OFFLINE": "1",
    "JAX_PLATFORMS": "cpu",
    "LC_ALL": "C.UTF-8",
    "MKL_NUM_THREADS": "1",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "OMP_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
    "TRANSFORMERS_OFFLINE": "1",
}
_START_SECONDS = 120.0


class CannotStart(RuntimeError):
    """The warm process did not come up: the installation's fault, never a student's."""


def command(control: int) -> list[str]:
    """What starts a warm process that listens on the descriptor `control`."""
    return [sys.executable, "-P", "-m", "autograder.grading.warm", str(control)]


def environment() -> dict[str, str]:
    """The clean environment of a warm process and its children."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    fonts = CACHE / "matplotlib"
    fonts.mkdir(parents=True, exist_ok=True)
    return {**kept, **_SET, "MPLCONFIGDIR": str(fonts), "PYTHONPATH": str(ROOT)}


class Worker:
    """A warm process and at most one child of it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen | None = None
        self._control: socket.socket | None = None
        self._child = 0

    def child(self) -> socket.socket:
        """Fork a child; returns the socket over which to talk with it. Raises CannotStart."""
        if self._process is None or self._process.poll() is not None:
            self._start()
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._control, [b"s"], [theirs.fileno()])
        self._child, _ = self._answer()
        return ours

    def end(self, died: bool = False) -> str:
        """End the child and all it started. Returns how it ended by itself, "" where it did not.

        died: it closed its socket, so it is ending and its exit status is worth a moment's wait.
        """
        try:
            self._control.sendall(b"d" if died else b"e")
            _, status = self._answer()
        except (OSError, CannotStart):
            self._abandon()
            return "it ended the process that had started it"
        self._child = 0
        if status == -1 or not died:
            return ""
        if os.WIFSIGNALED(status):
            return f"it was ended by signal {signal.Signals(os.WTERMSIG(status)).name}"
        return f"it exited with code {os.waitstatus_to_exitcode(status)}"

    def stop(self) -> None:
        """End the child at once; may be called from another thread. Its talk finds the socket closed."""
        if self._child:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._child, signal.SIGKILL)

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
        self._process = self._control = None

    def _start(self) -> None:
        self.close()
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                command(theirs.fileno()),
                env=environment(),
                cwd=Path(os.sep),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        self._control = ours
        try:
            self._control.settimeout(_START_SECONDS)
            self._answer()
            self._control.settimeout(30)
        except (OSError, CannotStart):
            self._process.kill()
            said = self._process.communicate()[1].decode(errors="replace").strip()
            self._process = None
            last = said.splitlines()[-1] if said else "it said nothing"
            raise CannotStart(f"the process that runs notebooks does not start: {last}") from None
        # Nobody reads what it would say later, and a full pipe would stop it.
        self._process.stderr.close()

    def _answer(self) -> tuple[int, int]:
        data = b""
        while len(data) < STATUS.size:
            part = self._control.recv(STATUS.size - len(data))
            if not part:
                raise CannotStart("the process that runs notebooks is gone")
            data += part
        return STATUS.unpack(data)

    def _abandon(self) -> None:
        # The warm process is gone or hangs: without it nobody else would end its child.
        for pid in (self._child, self._process.pid if self._process else 0):
            if pid:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGKILL)
        self._child = 0
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self.close()
