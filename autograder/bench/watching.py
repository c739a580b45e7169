"""Runs a program and watches what it and all that it starts use: time, processors' time, memory. It judges nothing."""

import os
import resource
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

EVERY_SECONDS = 0.5


@dataclass
class Ran:
    """What a run took. Memory is proportional (PSS): a page that several processes share counts once among them."""

    exit_code: int
    began: float  # seconds since the epoch
    seconds: float
    cpu_seconds: float  # of it and all that it started and waited for
    peak_tree: int  # bytes, all processes together
    peak_self: int  # bytes, the program's own process
    unreadable: int  # looks at a process that told no PSS: its resident size was counted in its place

    def plain(self) -> dict[str, object]:
        """For a result file."""
        return {
            "seconds": round(self.seconds, 3),
            "cpu_seconds": round(self.cpu_seconds, 3),
            "peak_memory_bytes": self.peak_tree,
            "peak_memory_of_its_first_process_bytes": self.peak_self,
            "looks_without_pss": self.unreadable,
            "exit_code": self.exit_code,
        }


def run(command: list[str], environment: dict[str, str], folder: Path, log: Path) -> Ran:
    """Run a command to its end, with what it says in a file; look at its memory every half second."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with log.open("wb") as out:
        began, started = time.time(), time.monotonic()
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
        )
        watch = _Watch(process.pid)
        watch.start()
        try:
            code = process.wait()
            seconds = time.monotonic() - started
        finally:
            watch.over.set()
            watch.join()
            process.kill()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Ran(code, began, seconds, used, watch.tree, watch.first, watch.unreadable)


class _Watch(threading.Thread):
    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.process, self.over = psutil.Process(pid), threading.Event()
        self.tree = self.first = self.unreadable = 0

    def run(self) -> None:
        while not self.over.wait(EVERY_SECONDS):
            try:
                family = [self.process, *self.process.children(recursive=True)]
            except psutil.NoSuchProcess:
                return
            sizes = [self._size(one) for one in family]
            self.tree, self.first = max(self.tree, sum(sizes)), max(self.first, sizes[0])

    def _size(self, process: psutil.Process) -> int:
        try:
            try:
                return process.memory_full_info().pss
            except (psutil.AccessDenied, AttributeError):  # another user's, or no Linux
                self.unreadable += 1
                return process.memory_info().rss
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            return 0


def cores() -> int:
    """How many processors this program may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
