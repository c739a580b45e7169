"""Runs beside a student's code: one notebook's cells, and its exercises on the inputs that the grader sends.

It judges nothing and knows no expected value of a hidden case. Whatever it sends is data to be distrusted.

At each check cell it forks: the copy holds what the student had written by then, and answers for that exercise alone.
Hidden inputs go only to such copies, and only when the notebook's last cell has run. So no cell can show one.
"""

import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
import tempfile
import traceback
from dataclasses import replace
from typing import Any

import torch

from autograder import checking, registry
from autograder.acting import act, own_traceback
from autograder.exercise import Exercise
from autograder.grading import syscalls, wire
from autograder.plain import NotPlain, pack, unpack
from autograder.running import Shell

try:
    import sandlock
except ImportError:
    sandlock = None

# What the grader's half is made of: importing it here fails.
KEPT_OUT = ("autograder.answers", "autograder.release", "nbgrader")
REQUEST = 1 << 30  # the grader is trusted: its frames are as large as a case's inputs
REPORT = 64 << 20  # the most that the grader takes back (autograder.grading.reports)
_PR_SET_DUMPABLE = 4


def serve(sockets: list[Any], settings: dict[str, Any], shell: Shell) -> None:
    """Answer the grader's requests until it has no more. sockets: the notebook's, then one for each exercise.

    settings: what autograder.grading.worker gives the warm process. shell: one in which nothing has run.
    """
    notebook, *exercises = sockets
    for sock in sockets:
        sock.setblocking(True)
    limits = settings["limits"]
    _settle(settings)
    while True:
        try:
            request = _receive(notebook)
        except wire.Gone:
            return
        kind = request["do"]
        if kind == "run":
            _send(notebook, {"outputs": _run(shell, request["source"], limits["output_characters"])})
        elif kind == "take":
            submission, problem = _taken(shell, request["expression"])
            if problem["status"] == "ok":
                _fork(sockets, exercises[request["place"]], request, submission, limits["case_seconds"])
            _send(notebook, problem)
        elif kind == "passed":
            checking._passed[request["exercise"]] = request["passed"]


def _fork(sockets: list[Any], mine: Any, request: dict[str, Any], submission: Any, seconds: float) -> None:
    if os.fork():
        mine.close()
        return
    try:
        for sock in sockets:
            if sock is not mine and sock.fileno() >= 0:
                sock.close()
        exercise = None  # where the student's code broke the registry, each case says so
        with contextlib.suppress(Exception):
            exercise = replace(registry.exercise(request["exercise"]), forbids=tuple(request["forbids"]))
        _answer(mine, exercise, submission, seconds)
    finally:
        os._exit(0)


def _answer(sock: Any, exercise: Exercise | None, submission: Any, seconds: float) -> None:
    while True:
        try:
            request = _receive(sock)
        except wire.Gone:
            return
        # The kernel ends this copy when a case takes too long, whatever it is doing.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        if request["do"] == "act":
            answer = _report(exercise, submission, request["inputs"])
        else:
            answer = pack({"watched": _watched(exercise.forbids)})
        signal.setitimer(signal.ITIMER_REAL, 0)
        wire.send(sock, answer)


def _watched(forbids: tuple[str, ...]) -> bool:
    # Whether such calls are still noticed here: the student's code may have meddled with the watch.
    def torchs(submission: Any, inputs: Any) -> Any:
        return {"y": torch.softmax(torch.ones(2), 0)}

    def operator(submission: Any, inputs: Any) -> Any:
        return {"y": torch.ops.aten._softmax(torch.ones(2), 0, False)}

    def ours(submission: Any, inputs: Any) -> Any:
        return {"y": checking.earlier("none", 0, 0)}

    trials = []
    if any("." not in name for name in forbids):
        trials += [(torchs, "softmax"), (operator, "softmax")]
    if any("." in name for name in forbids):
        trials.append((ours, f"{checking.__name__}.earlier"))
    return all(act(_trial(run, forbidden), None, {})["status"] == "forbidden" for run, forbidden in trials)


def _trial(run: Any, forbidden: str) -> Exercise:
    return Exercise("trial", "", 0, 1, 0, run, visible=list, hints=(), forbids=(forbidden,))


def _settle(settings: dict[str, Any]) -> None:
    # From here on this process is what a student's code will be: no more rights, and bounds on all it uses.
    limits, kind = settings["limits"], settings["kind"]
    if kind == "user":
        os.setgroups([])
        os.setresgid(*[settings["user"]] * 3)
        os.setresuid(*[settings["user"]] * 3)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)  # it may look at itself
    os.umask(0o077)
    scratch = settings["scratch"] if kind == "none" else tempfile.mkdtemp(prefix="hand-in-", dir=settings["room"])
    os.chdir(scratch)
    os.environ.update(HOME=scratch, TMPDIR=scratch)
    tempfile.tempdir = None
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    sys.stdin = os.fdopen(0)  # a cell that waits for input gets the end of the file
    _limit(limits, kind)
    if settings["landlock"] and sandlock is not None:
        writable = [scratch, "/dev/shm", "/dev/null", "/dev/zero", "/dev/full"]
        sandlock.confine(sandlock.Sandbox(fs_readable=["/"], fs_writable=writable))
    if kind != "none":
        syscalls.deny()
    # The stop button works while a cell runs, and only then.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in KEPT_OUT:
        for loaded in [m for m in sys.modules if m == name or m.startswith(name + ".")]:
            del sys.modules[loaded]
        sys.modules[name] = None  # type: ignore[assignment]


def _limit(limits: dict[str, Any], kind: str) -> None:
    seconds = int(limits["notebook_seconds"]) + 1
    wanted = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_CPU: seconds * limits.get("cores", 1),
        resource.RLIMIT_FSIZE: limits["scratch"],
        resource.RLIMIT_NOFILE: limits["open_files"],
    }
    if sys.platform == "linux":
        wanted[resource.RLIMIT_AS] = _address_space() + limits["memory"]
    if kind != "none":
        # Counted for a user id: without one of its own, everybody's processes would count.
        wanted[resource.RLIMIT_NPROC] = limits["processes"]
    for which, most in wanted.items():
        _, hard = resource.getrlimit(which)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(which, (most, most))


def _address_space() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def _run(shell: Shell, source: str, limit: int) -> str:
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        outputs = list(shell.run(source))
    except BaseException as error:  # the shell itself was broken by what it ran
        outputs = [_error(error)]
    finally:
        with contextlib.suppress(KeyboardInterrupt):
            signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(Exception):
        _forget(getattr(sys, "last_value", None))
    kept, size = [], 0
    for output in outputs:
        text = json.dumps(output, default=str)
        size += len(text)
        if size > 4 * limit:
            kept.append(json.dumps({"output_type": "stream", "name": "stdout", "text": "[further outputs were cut]\n"}))
            break
        kept.append(text)
    return "[" + ",".join(kept) + "]"


def _forget(error: BaseException | None) -> None:
    # The error shown last keeps what its functions held, and so a cell's memory, until the next one: no cell needs it.
    for _ in range(100):  # a chain may be a ring
        if error is None:
            return
        for frame, _ in traceback.walk_tb(error.__traceback__):
            with contextlib.suppress(RuntimeError):  # it still runs
                frame.clear()
            frame.f_locals  # noqa: B018  looked at, the copy that IPython drew is renewed: it is empty now
        error = error.__cause__ or error.__context__


def _error(error: BaseException) -> dict[str, Any]:
    lines = traceback.format_exception(error)[-20:]
    return {"output_type": "error", "ename": type(error).__name__, "evalue": str(error)[:1000], "traceback": lines}


def _taken(shell: Shell, expression: str) -> tuple[Any, dict[str, Any]]:
    # What the check cell hands over, whatever the student calls `check`.
    try:
        return eval(compile(expression, "<check cell>", "eval"), shell.user_ns), {"status": "ok"}
    except BaseException as error:
        return None, {"status": "raised", "error": type(error).__name__, "text": own_traceback(error)}


def _report(exercise: Exercise, submission: Any, inputs: dict[str, Any]) -> bytes:
    try:
        return pack(act(exercise, submission, inputs), REPORT)
    except (NotPlain, ValueError) as error:  # what cannot travel is no answer
        return pack(_failed("wrong type", "", f"what came back cannot be judged: {error}"))
    except BaseException as error:  # SystemExit and KeyboardInterrupt pass through act
        return pack(_failed("raised", type(error).__name__, own_traceback(error)))


def _failed(status: str, error: str, text: str) -> dict[str, Any]:
    return {"status": status, "error": error, "text": text, "outputs": {}, "modified": []}


def _send(sock: Any, tree: dict[str, Any]) -> None:
    wire.send(sock, pack(tree))


def _receive(sock: Any) -> dict[str, Any]:
    return unpack(wire.receive(sock, REQUEST), REQUEST)
