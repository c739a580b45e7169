"""Spreads notebooks over Dask workers and gives back their results. It reads no hand-in and writes no grade.

A hand-in's bytes travel to a worker and its result travels back: workers need the course installed, and no file of
the classroom. Dask may lose a worker, run a task twice, or lose its scheduler: a task that was lost is sent again,
and a result that comes twice is the same result.
"""

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any
from uuid import uuid4

from autograder import quick_start  # noqa: F401  isort: skip
import dask
import torch
from distributed import CancelledError, Client, LocalCluster, WorkerPlugin, as_completed, get_worker

from autograder.grading import ahead, engine, skipping, versions
from autograder.grading.expectations import Expectation, opened
from autograder.grading.isolation import UNSAFE, NotIsolated, probe
from autograder.grading.lab import Released
from autograder.grading.ledger import Result
from autograder.grading.limits import Limits
from autograder.grading.worker import CannotStart, Worker

TRIES = 3  # of what failed through no fault of the student's
_COME_BACK_SECONDS = 60.0  # how long a lost scheduler is waited for
_IN_HAND = 3  # tasks a worker: enough to keep it busy, and no class of ten thousand in the scheduler's memory


class NoCluster(RuntimeError):
    """There is no scheduler to work with; the message says what to do."""


@dataclass(frozen=True)
class Task:
    """One notebook to grade. key: its name in the ledger."""

    key: str
    lab: str
    data: bytes


@dataclass(frozen=True)
class Setting:
    """How workers are to grade."""

    labs: dict[str, Released]
    limits: Limits
    unsafe: bool
    every_cell: bool
    engine: str

    @classmethod
    def of(cls, labs: list[Released], limits: Limits, unsafe: bool, every_cell: bool) -> "Setting":
        """With this machine's version of the engine, which the workers' must equal."""
        by_id = {lab.id: lab for lab in labs}
        return cls(by_id, limits, unsafe, every_cell, versions.engine_version())


class _Hands(WorkerPlugin):
    # A Dask worker's warm process. Dask hands the plugin to every worker, also to those that come later.
    # name: its own, since a cluster may serve several graders at once.
    def __init__(self, setting: Setting) -> None:
        self.setting, self.name = setting, f"course-grading-{uuid4().hex}"
        self.worker: Worker | None = None

    def setup(self, worker: Any) -> None:
        torch.set_num_threads(1)
        self.worker = None
        # What cannot start says so when it is asked to grade: then its words reach whoever asked.
        with contextlib.suppress(CannotStart, NotIsolated, OSError):
            self._hand().start()

    def teardown(self, worker: Any) -> None:
        if self.worker is not None:
            self.worker.close()

    def grade(self, lab: str, data: bytes, expected: dict[str, Expectation]) -> Result:
        """In the worker's one thread, so one notebook at a time."""
        told = self.setting
        if versions.engine_version() != told.engine:
            raise CannotStart("this worker has another version of the course than the grader: install the same")
        return engine.grade_notebook(data, told.labs[lab], expected, self._hand(), told.every_cell)

    def _hand(self) -> Worker:
        if self.worker is None:
            told = self.setting
            loads = skipping.loads(told.labs.values(), told.every_cell)
            self.worker = Worker(UNSAFE if told.unsafe else probe(), told.limits, loads)
        return self.worker


class _Expected(WorkerPlugin):
    # What is expected, by lab. It comes after the hands: while it is worked out, they get ready.
    def __init__(self, hands: _Hands, packed: dict[str, bytes]) -> None:
        self.name, self.packed = f"{hands.name}-expected", packed
        self.opened: dict[str, dict[str, Expectation]] = {}

    def of(self, lab: str) -> dict[str, Expectation]:
        if lab not in self.opened:
            self.opened[lab] = opened(self.packed[lab])
        return self.opened[lab]


def _grade(hands: str, lab: str, data: bytes) -> dict[str, Any]:
    plugins = get_worker().plugins
    return asdict(plugins[hands].grade(lab, data, plugins[f"{hands}-expected"].of(lab)))


def run(
    tasks: Iterable[Task], setting: Setting, expected: Callable[[], dict[str, bytes]], jobs: int, cluster: str = ""
) -> Iterator[tuple[str, Result]]:
    """Grade: each task's key and result, as they come. cluster: a scheduler's address; "" for `jobs` processes here.

    expected: works out a lab's packed expectations, by lab; asked when the workers have begun to get ready.
    Tasks are taken one by one as workers get free: a class of any size needs no more memory than a small one. A task
    that failed TRIES times has the status "infrastructure". Raises NoCluster where the scheduler is gone for good,
    NotIsolated or CannotStart where no worker can work.
    """
    hand = _InHand(iter(tasks))
    lost_since, connected, lost = 0.0, False, 0
    while hand.more():
        try:
            with _client(cluster, jobs) as client:
                lost_since, connected = 0.0, True
                hands = _Hands(setting)
                client.register_plugin(hands)
                try:
                    client.register_plugin(_Expected(hands, expected()))
                    yield from _through(client, hand, hands.name)
                finally:
                    if cluster:  # others work there too; a scheduler that came back has never had it
                        for name in (hands.name, f"{hands.name}-expected"):
                            with contextlib.suppress(Exception):
                                client.sync(client.scheduler.unregister_worker_plugin, name=name, callback_timeout=5)
        except (OSError, TimeoutError, _Lost) as error:
            # The scheduler is gone, and with it all that it knew. What came back is kept.
            lost_since, lost = lost_since or time.monotonic(), lost + 1
            if not cluster and lost >= TRIES:
                raise NoCluster(
                    f"the {jobs} processes that grade do not stay up on this machine ({error}): give fewer with "
                    "--jobs, then run this again; what is graded so far is kept"
                ) from error
            if cluster and (not connected or time.monotonic() - lost_since > _COME_BACK_SECONDS):
                raise NoCluster(
                    f"no scheduler answers at {cluster} ({error}): start one with `dask scheduler`, then run this "
                    "again; what is graded so far is kept"
                ) from error
            hand.take_back()
            time.sleep(1)


class _InHand:
    # The tasks that were taken and have no result yet. Each key is given out once, however often it comes.
    def __init__(self, tasks: Iterator[Task]) -> None:
        self.tasks = tasks
        self.doing: dict[str, Task] = {}
        self.again: list[Task] = []
        self.tries: dict[str, int] = {}

    def more(self) -> bool:
        if not self.again and not self.doing:
            self.again = [task for task in [self._fresh()] if task]
        return bool(self.again or self.doing)

    def next(self) -> Task | None:
        task = self.again.pop() if self.again else self._fresh()
        if task is not None:
            self.doing[task.key] = task
            self.tries[task.key] += 1
        return task

    def done(self, key: str) -> None:
        del self.doing[key]

    def failed(self, key: str) -> bool:
        """Put a task back; whether it may be tried again."""
        if self.tries[key] < TRIES:
            self.again.append(self.doing.pop(key))
            return True
        return False

    def take_back(self) -> None:
        """Whoever had them is gone."""
        self.again += self.doing.values()
        for task in self.doing.values():
            self.tries[task.key] -= 1
        self.doing.clear()

    def _fresh(self) -> Task | None:
        for task in self.tasks:
            if task.key not in self.tries:
                self.tries[task.key] = 0
                return task
        return None


class _Lost(Exception):
    """The scheduler that knew the futures is gone, or a local one did not start."""


@contextlib.contextmanager
def _client(cluster: str, jobs: int) -> Iterator[Client]:
    quiet = {
        "distributed.worker.memory.terminate": False,  # hand-ins have a limit of their own
        "distributed.admin.tick.limit": "1h",
        "distributed.comm.timeouts.connect": "10s",
        "distributed.worker.daemon": False,
        "distributed.worker.multiprocessing-method": ahead.METHOD,
    }
    # What Dask logs of a lost connection is told in one sentence by whoever catches it.
    for name in ("distributed", "distributed.client", "distributed.core", "distributed.comm", "tornado.application"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with dask.config.set(quiet):
        if cluster:
            with Client(cluster, timeout=10, set_as_default=False) as client:
                yield client
            return
        ahead.begin()
        threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        options = {"threads_per_worker": 1, "processes": True, "memory_limit": 0, "dashboard_address": "127.0.0.1:0"}
        try:
            local = LocalCluster(
                n_workers=jobs, host="127.0.0.1", silence_logs=50, env={**os.environ, **threads}, **options
            )
        except RuntimeError as error:  # one of its processes died while it started
            raise _Lost(str(error)) from error
        with local, Client(local, set_as_default=False) as client:
            yield client


def _through(client: Client, hand: _InHand, hands: str) -> Iterator[tuple[str, Result]]:
    doing, scheduler = as_completed(loop=client.loop), _scheduler(client)
    futures: dict[str, str] = {}  # a future's key -> the task's

    def submit() -> bool:
        task = hand.next()
        if task is None:
            return False
        name = f"{hands}-{task.key}-{hand.tries[task.key]}"
        futures[name] = task.key
        doing.add(client.submit(_grade, hands, task.lab, task.data, key=name, pure=False))
        return True

    def fill() -> None:
        workers = len(client.scheduler_info(n_workers=-1)["workers"])
        while len(futures) < _IN_HAND * max(1, workers) and submit():
            pass

    fill()
    for future in doing:
        key = futures.pop(future.key)
        try:
            result, error = Result(**future.result()), None
        except (CancelledError, Exception) as raised:
            result, error = None, raised
        if isinstance(error, CannotStart | NotIsolated):
            raise error
        if result is None and _scheduler(client) != scheduler:
            # The client went over to one that came in its place. It has no workers' hands, and knows no task.
            raise _Lost("the scheduler forgot what it was to do")
        if result is not None:
            hand.done(key)
            yield key, result
        elif not hand.failed(key):
            yield key, _failed(hand.doing[key], error)
            hand.done(key)
        future.release()
        fill()


def _scheduler(client: Client) -> str:
    try:
        return client.sync(client.scheduler.identity, n_workers=0)["id"]
    except Exception as error:  # whatever breaks off a talk with a scheduler that is gone
        raise _Lost("the scheduler is gone") from error


def _failed(task: Task, error: BaseException) -> Result:
    reason = f"the grader failed on it {TRIES} times: {type(error).__name__}: {error}".splitlines()[0]
    return replace(Result(task.lab, "infrastructure", reason, 0, 0))
