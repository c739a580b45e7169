"""Times a function fairly: warm-up, then the median of many runs. It compares nothing and prints nothing."""

import statistics
import time
from collections.abc import Callable

import torch


def seconds(work: Callable[[], object], repeats: int = 15, warm_up: int = 3) -> float:
    """Median wall time of one call of `work`, in seconds. On a GPU the clock stops when its queue is empty.

    repeats: timed calls. warm_up: calls before them, so that caches are filled and kernels compiled.
    """
    for _ in range(warm_up):
        work()
    times = []
    for _ in range(repeats):
        _finish()
        start = time.perf_counter()
        work()
        _finish()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def _finish() -> None:
    # A CUDA call returns before its work is done.
    if torch.cuda.is_available():
        torch.cuda.synchronize()
