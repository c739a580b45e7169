"""The warm process: imports what labs need once, then forks one child a notebook. It runs no student's code itself.

Started by autograder.grading.worker, inside the sandbox as its first process, with a clean environment and one
socket, over which it is told what to do:
`s` with descriptors (start a child that talks over them), `i` (interrupt its cell), `d` and `e` (end all that is left).
When the grader is gone, so is everything here: with its first process a sandbox ends.
"""

import contextlib
import ctypes
import importlib
import io
import json
import os
import resource
import select
import shutil
import signal
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Any

# The child's process id; its wait status, -1 where it had to be ended; why it was ended before anybody asked;
# whether this process can serve on.
STATUS = struct.Struct(">qqqq")
CAUSES = ("", "out of memory", "too many processes")
SOCKETS = 64  # one for the notebook, one for each exercise
_WATCH_SECONDS = 0.2
SCRATCH = "/scratch"  # in the sandbox, where /tmp leads to it
_SCRATCH = (SCRATCH, "/dev/shm")
_SHARED_MEMORY = ("/proc/sysvipc/shm", "/proc/sysvipc/msg", "/proc/sysvipc/sem")
_PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER = 4, 36


def main() -> None:
    """Serve until the socket closes."""
    control, settings = socket.socket(fileno=int(sys.argv[1])), json.loads(sys.argv[2])
    confined = settings["kind"] != "none"
    if confined:
        _verify(settings)
    shell = _preload(settings)
    if confined:
        # Nobody with the same user id may look into this process or change it.
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        # The first process of a sandbox gets no signal from inside that it has not asked for: Python asks for this one.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    elif sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    keeper = _Keeper(control, settings, confined, shell)
    control.sendall(STATUS.pack(os.getpid(), 0, 0, 1))
    while True:
        ready, _, _ = select.select([control], [], [], _WATCH_SECONDS if keeper.child else None)
        if not ready:
            keeper.watch()
            continue
        message, descriptors, _, _ = socket.recv_fds(control, 1, SOCKETS)
        if not message:
            break
        if message == b"s":
            keeper.start(descriptors)
        elif message == b"i":
            keeper.interrupt()
        elif not keeper.end(wait=message == b"d"):
            break
    keeper.kill_all()


class _Keeper:
    """Starts one child at a time, watches what all its processes use, and ends them."""

    def __init__(self, control: socket.socket, settings: dict[str, Any], confined: bool, shell: Any) -> None:
        self.control, self.settings, self.confined, self.shell = control, settings, confined, shell
        self.child = self.status = self.cause = 0
        self.memory = self.settings["limits"]["memory"]
        self.processes = self.settings["limits"]["processes"]
        self.own = _anonymous(os.getpid())
        self.world = _world() if confined else ()

    def start(self, descriptors: list[int]) -> None:
        """Fork a child that serves over these descriptors."""
        self.status, self.cause = -1, 0
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.setsid()
                self.control.close()
                from autograder.grading.child import serve

                serve([socket.socket(fileno=descriptor) for descriptor in descriptors], self.settings, self.shell)
                code = 0
            finally:
                os._exit(code)
        for descriptor in descriptors:
            os.close(descriptor)
        self.child = pid
        self.control.sendall(STATUS.pack(pid, 0, 0, 1))

    def interrupt(self) -> None:
        """What a learner does with the stop button."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(self.child, signal.SIGINT)

    def watch(self) -> None:
        """End everything as soon as it uses too much; collect what has ended."""
        self._reap()
        if not self.confined or self.cause:
            return
        pids = [pid for pid in _processes() if pid != os.getpid()]
        used = sum(_used(folder) for folder in _SCRATCH)
        # What a child shares with this process is no memory of its own.
        if used + sum(max(0, _anonymous(pid) - self.own) for pid in pids) > self.memory:
            # Several that share memory with each other were counted once each: now the exact sum is worth its time.
            if used + sum(max(0, _proportional(pid)) for pid in pids) > self.memory:
                self.cause = 1
        elif sum(_threads(pid) for pid in pids) > self.processes + 8:
            self.cause = 2
        if self.cause:
            self.kill_all()

    def end(self, wait: bool) -> bool:
        """End the child and all it left behind, and tell how; returns whether this process can serve on."""
        until = time.monotonic() + (1.0 if wait else 0.0)
        self._reap()
        while self.child and self.status == -1 and time.monotonic() < until:
            time.sleep(0.002)
            self._reap()
        child, status = self.child, self.status
        self.kill_all()
        self.child = 0
        clean = not self.confined or (_tidy() and _world() == self.world)
        self.control.sendall(STATUS.pack(child, status, self.cause, clean))
        return clean

    def kill_all(self) -> None:
        """Everything but this process."""
        if self.confined:
            # In a sandbox's process namespace "all" is all there is, at once: nothing can fork its way out of it.
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)
            self._reap(every=True)
            return
        if self.child:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.child, signal.SIGKILL)
        # Whatever it started in sessions of their own is this process's child by now, or becomes it as its parents die.
        while pids := _children():
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(-1, 0)
        self._reap(every=True)

    def _reap(self, every: bool = False) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, 0 if every else os.WNOHANG)
                if pid == 0:
                    return
                if pid == self.child and not every:
                    self.status = status


def _verify(settings: dict[str, Any]) -> None:
    # That the sandbox is one is looked at from inside, at every start.
    if os.getpid() != 1:
        raise SystemExit("the sandbox has no processes of its own")
    if any(name != "lo" for _, name in socket.if_nameindex()):
        raise SystemExit("the sandbox has a network")
    for path in settings["private"]:
        if os.path.lexists(path):
            raise SystemExit(f"the sandbox shows {path}")
    for folder in ("/", "/dev", "/proc", "/home", "/usr", os.path.dirname(os.path.abspath(__file__))):
        if not os.statvfs(folder).f_flag & os.ST_RDONLY:
            raise SystemExit(f"the sandbox lets {folder} be written")


def _preload(settings: dict[str, Any]) -> Any:
    # Returns a shell in which nothing has run: each child begins with its own copy of it.
    # Before the first fork no thread may exist: a forked child would wait for one for ever.
    from autograder import quick_start  # noqa: F401  isort: skip
    import torch

    torch.set_num_threads(1)
    torch.ones(2, 2) @ torch.ones(2, 2)
    import IPython.core.interactiveshell  # noqa: F401
    import matplotlib

    matplotlib.use("module://matplotlib_inline.backend_inline")
    import matplotlib.pyplot as plt

    # The first drawing loads fonts and the PNG writer: once here instead of once a notebook.
    figure = plt.figure()
    figure.gca().set_title("warm")
    figure.savefig(io.BytesIO())
    plt.close(figure)
    import autograder.grading.child  # noqa: F401
    from autograder.forbids import Watch
    from autograder.launch import setup
    from autograder.running import Shell

    # Much is loaded by the first use: torch when a call is first watched, IPython by the first cell, and a lab's
    # first line looks up versions.
    with Watch(("softmax",)):
        torch.ones(2).exp()
    Shell().run("1 + 1")
    with contextlib.redirect_stdout(io.StringIO()):
        setup()
    for module in ("torch.fx.experimental.symbolic_shapes", *settings["loads"]):  # backward() loads the first one
        importlib.import_module(module)
    shell = Shell(output_limit=settings["limits"]["output_characters"])
    shell.user_ns["__name__"] = "__main__"
    # A collection in a child would touch, and so copy, all that it shares with this process.
    import gc

    gc.collect()
    gc.freeze()
    return shell


def _tidy() -> bool:
    # Whether nothing is left of what a hand-in wrote.
    for folder in _SCRATCH:
        with os.scandir(folder) as entries:
            for entry in list(entries):
                if entry.is_dir(follow_symlinks=False):
                    with contextlib.suppress(RecursionError):
                        shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    with contextlib.suppress(OSError):
                        os.unlink(entry.path)
    return not any(os.listdir(folder) for folder in _SCRATCH)


def _world() -> tuple[Any, ...]:
    # What a child with the same user id could change for those after it.
    limits = tuple(resource.getrlimit(which) for which in range(16))
    queues = tuple(Path(file).read_text() for file in _SHARED_MEMORY if os.path.exists(file))
    affinity = tuple(sorted(os.sched_getaffinity(0))) if sys.platform == "linux" else ()
    return limits, queues, affinity, os.getpriority(os.PRIO_PROCESS, 0), os.getcwd()


def _processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _children() -> list[int]:
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as file:
            return [int(pid) for pid in file.read().split()]
    except OSError:  # no Linux: what the child's process group does not hold is not found
        return []


def _anonymous(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm") as file:
            _, resident, shared = (int(word) for word in file.read().split()[:3])
        return (resident - shared) * resource.getpagesize()
    except (OSError, ValueError):
        return 0


def _proportional(pid: int) -> int:
    # Memory that several share, counted in parts; unreadable for another user's process, then all of it counts.
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("Pss_Anon:"))
    except (OSError, ValueError, StopIteration):
        return _anonymous(pid)


def _threads(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/task"))
    except OSError:
        return 0


def _used(folder: str) -> int:
    told = os.statvfs(folder)
    return (told.f_blocks - told.f_bfree) * told.f_frsize


if __name__ == "__main__":
    main()
