"""Begins to load what grading workers need, in a process from which they are forked. It grades nothing.

Loading takes seconds: begun first, it is done while the grader itself still loads, and once for all workers.
"""

import os
import sys
from multiprocessing import forkserver

# Outside Linux a process that has loaded the system's libraries must not be forked: there each worker loads for itself.
METHOD = "forkserver" if sys.platform == "linux" else "spawn"
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def begin() -> None:
    """Start that process unless it runs already; nobody waits for it here."""
    if METHOD != "forkserver":
        return
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(_ONE_THREAD)  # a library that has started threads must not be forked
    try:
        forkserver.set_forkserver_preload(["autograder.grading.pool"])
        forkserver.ensure_running()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
