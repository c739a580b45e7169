"""The warm process: imports what labs need once, then forks one child a notebook. It runs no student's code itself.

Started by autograder.grading.worker with a clean environment and one socket, over which it is told what to do:
`s` with a descriptor (start a child that talks over it), `d` and `e` (end everything that is left of the child).
When the grader is gone, so is everything here.
"""

import contextlib
import ctypes
import io
import os
import signal
import socket
import struct
import sys
import time

STATUS = struct.Struct(">qq")  # the child's process id; its wait status, -1 where it had to be ended


def main() -> None:
    """Serve until the socket closes."""
    control = socket.socket(fileno=int(sys.argv[1]))
    _preload()
    _adopt_orphans()
    control.sendall(STATUS.pack(os.getpid(), 0))
    child = 0
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not message:
            break
        if message == b"s":
            child = _start(control, descriptors[0])
            control.sendall(STATUS.pack(child, 0))
        else:
            control.sendall(STATUS.pack(child, _end(child, wait=message == b"d")))
    _end(child, wait=False)


def _preload() -> None:
    # Before the first fork no thread may exist: a forked child would wait for one for ever.
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

    # torch loads half of itself when the first call is watched.
    with Watch(("softmax",)):
        torch.ones(2).exp()
    import source.plots  # noqa: F401


def _start(control: socket.socket, descriptor: int) -> int:
    pid = os.fork()
    if pid:
        os.close(descriptor)
        return pid
    code = 1
    try:
        os.setsid()
        control.close()
        from autograder.grading.child import serve

        serve(socket.socket(fileno=descriptor))
        code = 0
    finally:
        os._exit(code)


def _end(child: int, wait: bool) -> int:
    """Kill the child and all that it left behind; return its wait status, or -1 where it was still running."""
    status = -1
    if child:
        until = time.monotonic() + (1.0 if wait else 0.0)
        while True:
            with contextlib.suppress(ChildProcessError):
                pid, found = os.waitpid(child, os.WNOHANG)
                if pid:
                    status = found
                    break
            if time.monotonic() >= until:
                break
            time.sleep(0.005)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)
    # Whatever it started in sessions of their own is this process's child by now, or becomes it as its parents die.
    while True:
        for pid in _children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return status


def _children() -> list[int]:
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as file:
            return [int(pid) for pid in file.read().split()]
    except OSError:  # no Linux: what the child's process group does not hold is not found
        return []


def _adopt_orphans() -> None:
    if sys.platform == "linux":
        pr_set_child_subreaper = 36
        ctypes.CDLL(None).prctl(pr_set_child_subreaper, 1, 0, 0, 0)


if __name__ == "__main__":
    main()
