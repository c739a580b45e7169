"""Runs beside a student's code: one notebook's cells, and its exercises on the inputs that the grader sends.

It judges nothing and knows no expected value of a hidden case. Whatever it sends is data to be distrusted.
"""

import json
import os
import sys
import traceback
from typing import Any

from autograder import checking, registry
from autograder.acting import act, own_traceback
from autograder.grading import wire
from autograder.plain import NotPlain, pack, unpack
from autograder.running import Shell

# What the grader's half is made of: importing it here fails.
KEPT_OUT = ("autograder.answers", "autograder.release", "nbgrader")
REQUEST = 1 << 30  # the grader is trusted: its frames are as large as a case's inputs


def serve(sock: Any) -> None:
    """Answer the grader's requests until it has no more."""
    sock.setblocking(True)
    start = _receive(sock)
    _settle(start["scratch"])
    shell = Shell(output_limit=start["output_limit"])
    shell.user_ns["__name__"] = "__main__"
    exercise = submission = None
    while True:
        try:
            request = _receive(sock)
        except wire.Gone:
            return
        kind = request["do"]
        if kind == "run":
            _send(sock, {"outputs": _run(shell, request["source"], start["output_limit"])})
        elif kind == "take":
            exercise = registry.exercise(request["exercise"])
            submission, problem = _taken(shell, request["expression"])
            _send(sock, problem)
        elif kind == "act":
            wire.send(sock, _report(exercise, submission, request["inputs"]))
        elif kind == "passed":
            checking._passed[exercise.id] = request["passed"]


def _settle(scratch: str) -> None:
    os.chdir(scratch)
    os.environ.update(HOME=scratch, TMPDIR=scratch)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    sys.stdin = os.fdopen(0)  # a cell that waits for input gets the end of the file
    for name in KEPT_OUT:
        for loaded in [m for m in sys.modules if m == name or m.startswith(name + ".")]:
            del sys.modules[loaded]
        sys.modules[name] = None  # type: ignore[assignment]


def _run(shell: Shell, source: str, limit: int) -> str:
    try:
        outputs = list(shell.run(source))
    except BaseException as error:  # the shell itself was broken by what it ran
        outputs = [_error(error)]
    kept, size = [], 0
    for output in outputs:
        text = json.dumps(output, default=str)
        size += len(text)
        if size > 4 * limit:
            kept.append(json.dumps({"output_type": "stream", "name": "stdout", "text": "[further outputs were cut]\n"}))
            break
        kept.append(text)
    return "[" + ",".join(kept) + "]"


def _error(error: BaseException) -> dict[str, Any]:
    lines = traceback.format_exception(error)[-20:]
    return {"output_type": "error", "ename": type(error).__name__, "evalue": str(error)[:1000], "traceback": lines}


def _taken(shell: Shell, expression: str) -> tuple[Any, dict[str, Any]]:
    # What the check cell hands over, whatever the student calls `check`.
    try:
        return eval(compile(expression, "<check cell>", "eval"), shell.user_ns), {"status": "ok"}
    except BaseException as error:
        return None, {"status": "raised", "error": type(error).__name__, "text": own_traceback(error)}


def _report(exercise: Any, submission: Any, inputs: dict[str, Any]) -> bytes:
    try:
        return pack(act(exercise, submission, inputs))
    except (NotPlain, ValueError) as error:  # what cannot travel is no answer
        return pack(_failed("wrong type", "", str(error)))
    except BaseException as error:  # SystemExit and KeyboardInterrupt pass through act
        return pack(_failed("raised", type(error).__name__, own_traceback(error)))


def _failed(status: str, error: str, text: str) -> dict[str, Any]:
    return {"status": status, "error": error, "text": text, "outputs": {}, "modified": []}


def _send(sock: Any, tree: dict[str, Any]) -> None:
    wire.send(sock, pack(tree))


def _receive(sock: Any) -> dict[str, Any]:
    return unpack(wire.receive(sock, REQUEST), REQUEST)
