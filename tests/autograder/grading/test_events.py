"""Processes that die, disks that fill, graders that meet: run again, the grades are those of an undisturbed run."""

import contextlib
import dataclasses
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import nbformat
import psutil
import pytest
from click.testing import CliRunner
from nbgrader.utils import determine_grade
from rooms import CHAPTER, LAB, SHORT, Room

from autograder.cli import instructor
from autograder.grading import engine, grade, gradebook, ledger, pool, released
from autograder.grading.expectations import opened
from autograder.grading.isolation import UNSAFE, NotIsolated, probe
from autograder.grading.limits import Limits
from autograder.grading.worker import Worker
from autograder.paths import ROOT
from autograder.release.expected import kept
from autograder.release.solutions import grade_id

# Another seed, other moments; more rounds, more of them.
SEED = int(os.environ.get("COURSE_EVENT_SEED", "2026"))
ROUNDS = int(os.environ.get("COURSE_EVENT_ROUNDS", "1"))
# Against hanging only: nothing here is asserted to be fast.
DEADLINE = 400
new_code = nbformat.v4.new_code_cell


@pytest.fixture(scope="module", autouse=True)
def confined():
    """Hand-ins run for real; where they cannot be confined there is nothing to test."""
    try:
        return probe()
    except NotIsolated as error:
        if os.environ.get("COURSE_SKIP_NOTHING") == "1":
            pytest.fail(str(error))
        pytest.skip(str(error))


def a_class(room) -> None:
    """Hand-ins of all kinds, each long enough to be met in its midst."""

    def slow(nb, student):
        nb.cells.insert(room.place(nb, name) + 1, new_code(f"import time; time.sleep(0.4)  # {student}"))
        return nb

    name = next(iter(room.lab.checks))
    for k in range(4):
        room.hand_in(f"right {k}", slow(room.notebook(right=k), k))
    for twin in ("twin a", "twin b"):
        room.hand_in(twin, slow(room.notebook(), "the same bytes"))
    gone = slow(room.notebook(), "gone")
    gone.cells.insert(room.place(gone, name) + 1, new_code("import os; os._exit(0)"))
    room.hand_in("gone", gone)
    room.hand_in("cut", nbformat.writes(room.notebook())[:-300])


def scores_of(room) -> str:
    """The scores in the gradebook, check by check, and in the autograded notebooks: byte for byte the same or not."""
    course = released.course_directory()
    with gradebook.gradebook(course, CHAPTER, [room.lab]) as book:
        checks = {
            f"{s.student.id}/{nb.name}/{g.name}": [g.auto_score, g.manual_score, g.needs_manual_grade]
            for s in book.find_assignment(CHAPTER).submissions
            for nb in s.notebooks
            for g in nb.grades
        }
    graded = {}
    for file in (room.path / "autograded").glob("*/*/*.ipynb"):
        for cell in nbformat.read(file, as_version=4).cells:
            if cell.metadata.get("nbgrader", {}).get("grade"):
                graded[f"{file.relative_to(room.path)}/{grade_id(cell)}"] = determine_grade(cell)
    return json.dumps({"book": room.scores(), "checks": checks, "notebooks": graded}, sort_keys=True, indent=1)


@pytest.fixture(scope="module")
def undisturbed(release_folder, tmp_path_factory):
    """The class, graded without any event: its scores, and the folder with its ledger."""
    path = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_CLASSROOM", str(path))
        patch.setenv("COURSE_SECRET", "a secret for tests")
        for name in ("gradebook.db", "nbgrader_config.py"):
            shutil.copy(release_folder / name, path)
        room = Room(path)
        a_class(room)
        rows = room.grade()
        assert {r.result.status for r in rows.values()} == {"right", "wrong", "crashed", "malformed"}
        assert rows["twin a"].result.points == rows["twin b"].result.points == room.lab.points
        return SimpleNamespace(path=path, scores=scores_of(room), by_student=room.scores())


@pytest.fixture
def the_class(room, undisturbed):
    """The same class in a room of its own, ungraded. What is expected is the same: it is not worked out again."""
    a_class(room)
    shutil.copytree(undisturbed.path / "expected", room.path / "expected")
    return room


def start(*words: str, before: str = "", within: tuple[str, ...] = ()) -> subprocess.Popen:
    """`course grade` in a process of its own. before: code that it runs first; within: a command around it."""
    code = f"{before}\nfrom autograder.cli.instructor import grade; grade()"
    command = [*within, sys.executable, "-c", code, SHORT, "--json", *words]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ, start_new_session=True
    )


def finish(process: subprocess.Popen, look: bool = True) -> tuple[int, str, str]:
    """Its exit code and what it said. An end that is no success is told in a sentence. look: at once."""
    try:
        out, err = process.communicate(timeout=DEADLINE)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        pytest.fail(f"the grader hangs: {err.decode()}")
    out, err = out.decode(), err.decode().strip()
    assert not look or "Traceback" not in err, err
    assert process.returncode >= 0, err
    return process.returncode, out, err


def until(true, process: subprocess.Popen | None = None, say: str = "") -> bool:
    """Wait until something is true; returns False where the process ended before."""
    deadline = time.monotonic() + DEADLINE
    while not true():
        if process is not None and process.poll() is not None:
            return False
        assert time.monotonic() < deadline, f"it never came: {say}"
        time.sleep(0.01)
    return True


def done() -> int:
    """How many results the ledger holds."""
    return len(list(ledger.folder().glob("*.json")))


def again_until_done(room, *words: str, told: str) -> None:
    """Run it again until it ends well: at most three times. An end that is no success is told in a sentence."""
    for _ in range(3):
        code, _, err = finish(start(*words))
        if code == 0:
            return
        assert err.strip(), told
    pytest.fail(f"it does not complete, {told}: {err}")


def below(process: subprocess.Popen) -> list[tuple[psutil.Process, list[str]]]:
    """The processes that it started, and their command lines."""
    found = []
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                found.append((child, child.cmdline()))
    return found


def warm_processes(process: subprocess.Popen) -> list[psutil.Process]:
    """bubblewrap and the warm process in it, where a notebook is at work in a child of theirs."""
    found = []
    for child, words in below(process):
        if words[:1] == ["bwrap"] and "autograder.grading.warm" in words:
            with contextlib.suppress(psutil.Error):
                for warm in child.children():
                    # What it forks has its command line. In starting it runs other programs.
                    if any("autograder.grading.warm" in each.cmdline() for each in warm.children()):
                        found += [child, warm]
    return found


def dask_workers(process) -> list[psutil.Process]:
    """Forked from a server of the grader's (which has the same words), or started by a cluster's `dask worker`."""
    forked = [child for child, words in below(process) if "multiprocessing.forkserver" in " ".join(words)]
    servers = {child.pid for child in forked}
    started = [child for child, words in below(process) if "--multiprocessing-fork" in words]
    return started + [child for child in forked if child.ppid() in servers]


# --- the grader killed ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("turn", range(ROUNDS))
def test_a_grader_killed_at_any_moment_of_grading_goes_on_to_the_same_grades(the_class, undisturbed, turn):
    chance = random.Random(f"{SEED}/grader/{turn}")
    told = f"COURSE_EVENT_SEED={SEED}, round {turn}"
    # Once at some moment; once in the midst of writing a result, when the file lies there under its other name.
    first = start("--jobs=2")
    wanted = chance.randint(1, 3)
    assert until(lambda: done() >= wanted, first, "results"), finish(first)
    time.sleep(chance.random() / 2)
    first.kill()
    first.communicate()
    kept = done()
    assert kept >= wanted
    nth = chance.randint(1, 2)
    deadly = (
        "import os, signal\nreal, count = os.fsync, []\n"
        "def dies(fd):\n    count.append(0); real(fd)\n"
        f"    len(count) == {nth} and os.kill(os.getpid(), signal.SIGKILL)\n"
        "os.fsync = dies\n"
    )
    second = start("--jobs=2", before=deadly)
    second.communicate(timeout=DEADLINE)
    if kept + nth <= 6:
        assert second.returncode == -signal.SIGKILL, told
        assert len(list(ledger.folder().glob("*.part"))) == 1, told
        assert done() == kept + nth - 1, told
        assert the_class.scores() == {}, told
    code, out, err = finish(start("--jobs=2"))
    assert code == 0, f"{told}: {err}"
    assert scores_of(the_class) == undisturbed.scores, told
    # What was graded before was not graded again, and nothing half-written is left.
    assert sum(row["skipped"] for row in json.loads(out)["notebooks"]) >= kept, told
    assert not list(ledger.folder().glob("*.part")), told


# Where the gradebook is filled, with everything graded: what dies, and when.
STAGES = {
    "the scores are not committed": "_scores",
    "the scores are committed, the folder is not": "_swap",
    "the notebook is half written": "write",
    "the old folder is aside, the new one not there": "rename",
    "at some moment": "",
}


def fill_and_die(environment: dict[str, str], stage: str, nth: int) -> None:
    """In a process of its own: grade what the ledger holds, and die at the nth time of a stage."""
    os.environ.update(environment)
    count = []

    def dies(times: int) -> None:
        count.append(0)
        if len(count) == times:
            os.kill(os.getpid(), signal.SIGKILL)

    def dying(holder, name: str, first: bool, only=lambda *args: True) -> None:
        real = getattr(holder, name)

        def instead(*args, **options):
            told = None if first else real(*args, **options)
            if only(*args):
                dies(nth)
            return real(*args, **options) if first else told

        setattr(holder, name, instead)

    if stage == "_scores":
        dying(gradebook, "_scores", first=False)
    elif stage == "_swap":
        dying(gradebook, "_swap", first=True)
    elif stage == "rename":
        dying(Path, "rename", False, lambda here, to: str(to).endswith(".old"))
    elif stage == "write":
        real = nbformat.write

        def half(notebook, file, **options):
            text = nbformat.writes(notebook)
            file.write_text(text[: len(text) // 2])
            dies(nth)
            real(notebook, file, **options)

        nbformat.write = half
    grade.probe = lambda: UNSAFE  # nothing runs: all is graded
    grade.grade(SHORT)


@pytest.mark.parametrize("turn", range(ROUNDS))
def test_a_grader_killed_while_it_fills_the_gradebook_leaves_whole_submissions(
    the_class, undisturbed, release_folder, turn
):
    chance = random.Random(f"{SEED}/filling/{turn}")
    told = f"COURSE_EVENT_SEED={SEED}, round {turn}"
    room = the_class
    shutil.copytree(undisturbed.path / "ledger", ledger.folder())
    # A server that has imported everything forks each of them: no start takes long.
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["test_events"])
    environment = {name: os.environ[name] for name in ("COURSE_CLASSROOM", "COURSE_SECRET")}
    students = len(undisturbed.by_student)

    def killed(stage: str) -> None:
        nth = chance.randint(1, students - 1)
        filling = processes.Process(target=fill_and_die, args=(environment, STAGES[stage], nth))
        filling.start()
        if not STAGES[stage]:
            grades = room.path / "autograded"
            until(lambda: len(list(grades.glob("*/*"))) >= nth or not filling.is_alive(), say="graded folders")
            time.sleep(chance.random() / 20)
            filling.kill()
        filling.join(DEADLINE)
        # The killing is real, except where it came too late.
        assert filling.exitcode in ((-signal.SIGKILL,) if STAGES[stage] else (-signal.SIGKILL, 0)), (stage, told)

    for stage in STAGES:
        shutil.copy(release_folder / "gradebook.db", room.path)
        if STAGES[stage] != "rename":  # which needs an old folder
            shutil.rmtree(room.path / "autograded", ignore_errors=True)
        killed(stage)
        # A submission is there whole or not at all.
        assert room.scores().items() <= undisturbed.by_student.items(), (stage, told)
        room.grade()
        assert scores_of(room) == undisturbed.scores, (stage, told)
    # And one after the other, each upon what the last one left.
    shutil.copy(release_folder / "gradebook.db", room.path)
    for stage in chance.sample(list(STAGES), len(STAGES)):
        killed(stage)
        assert room.scores().items() <= undisturbed.by_student.items(), (stage, told)
    room.grade()
    assert scores_of(room) == undisturbed.scores, told
    assert [p.name for p in (room.path / "autograded").glob("*/.*")] == [], told


# --- its helpers killed -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("turn", range(ROUNDS))
@pytest.mark.parametrize("whom", [dask_workers, warm_processes], ids=["worker", "warm process"])
def test_killed_helpers_change_no_grade(the_class, undisturbed, whom, turn):
    chance = random.Random(f"{SEED}/{whom.__name__}/{turn}")
    told = f"COURSE_EVENT_SEED={SEED}, round {turn}"
    running = start("--jobs=2")
    killed = 0
    # Three times, each time when another notebook is at work: as often as Dask bears it.
    for wanted in sorted(chance.sample(range(5), 3)):
        if until(lambda n=wanted: done() >= n and whom(running), running):
            time.sleep(chance.random() / 4)
            for helper in chance.sample(found := whom(running), min(1, len(found))):
                helper.kill()
                killed += 1
    assert killed, told
    code, _, err = finish(running)
    if code != 0:
        assert err.startswith("Error: "), f"{told}: {err}"
        again_until_done(the_class, "--jobs=2", told=told)
    assert scores_of(the_class) == undisturbed.scores, told
    # That stands in the ledger, too: whoever runs it again gets the same.
    assert all(row.skipped or row.result.status == "malformed" for row in the_class.grade().values())
    assert scores_of(the_class) == undisturbed.scores, told


@pytest.mark.parametrize("which", ["bubblewrap", "the warm process"])
def test_a_sandbox_killed_from_outside_is_not_the_students_fault(the_class, confined, which):
    # Nothing inside can do that: the machine ran out of memory, say. To be tried again, or to end with an error that
    # is: a result that says "crashed" would stand in the ledger for good.
    room = the_class
    nb = room.notebook()
    nb.cells.insert(room.place(nb, next(iter(room.lab.checks))) + 1, new_code("import time; time.sleep(3)"))
    worker = Worker(confined, Limits(notebook_seconds=240.0))

    def kill() -> None:
        until(at_work, say="a notebook at work")
        time.sleep(1)
        killed.append(at_work()[which == "the warm process"])
        killed[0].kill()

    def at_work() -> list[psutil.Process]:
        return warm_processes(SimpleNamespace(pid=os.getpid()))

    killed: list[psutil.Process] = []
    killing = threading.Thread(target=kill)
    killing.start()
    try:
        told = engine.grade_notebook(nbformat.writes(nb).encode(), room.lab, opened(kept(LAB)), worker)
    except Exception:  # the pool tries it again
        return
    finally:
        killing.join()
        worker.close()
        assert killed
    assert (told.status, told.points) == ("right", room.lab.points), told.reason


def tasks_of(room) -> tuple[list[pool.Task], pool.Setting]:
    """The class's readable hand-ins as the pool takes them, each under its student's name."""
    files = sorted((room.path / "submitted").glob(f"*/{CHAPTER}/*.ipynb"))
    tasks = [pool.Task(file.parent.parent.name, LAB, file.read_bytes()) for file in files]
    return tasks, pool.Setting.of([room.lab], Limits(notebook_seconds=240.0), False, False)


def expected() -> dict[str, bytes]:
    return {LAB: kept(LAB)}


def told_by(results) -> str:
    """All that a result says but how long it took, byte for byte."""
    told = {}
    for key, result in results:
        assert key not in told, f"{key} came twice"
        told[key] = [result.status, result.reason, result.points, result.max_points, result.exercises, result.notes]
    return json.dumps(told, sort_keys=True)


def test_in_any_order_with_any_number_of_workers_and_delivered_twice_the_results_are_the_same(the_class):
    tasks, setting = tasks_of(the_class)
    chance = random.Random(SEED)
    straight = told_by(pool.run(tasks, setting, expected, 1))
    chance.shuffle(twice := [*tasks, *tasks])
    assert told_by(pool.run(twice, setting, expected, 2)) == straight, f"COURSE_EVENT_SEED={SEED}"
    of = {task.key: json.loads(straight)[task.key] for task in tasks}
    assert of["twin a"] == of["twin b"]


def test_results_that_were_lost_with_their_workers_are_made_again(the_class):
    tasks, setting = tasks_of(the_class)
    tasks = [task for task in tasks if task.key != "cut"][:5]
    mine = SimpleNamespace(pid=os.getpid())
    before = {worker.pid for worker in dask_workers(mine)}
    coming = pool.run(tasks, setting, expected, 2)
    results = [next(coming)]
    # By now the workers have computed all that they have in hand, and hold it: nobody has asked for it yet.
    time.sleep(6)
    workers = [worker for worker in dask_workers(mine) if worker.pid not in before]
    assert len(workers) == 2
    for worker in workers:
        worker.kill()
    results += coming
    assert {key: result.status for key, result in results} == {
        task.key: "crashed" if task.key == "gone" else "right" if "twin" in task.key else "wrong" for task in tasks
    }


# --- a cluster --------------------------------------------------------------------------------------------------------


class Cluster:
    """A scheduler and workers as an instructor would start them. They see another classroom, and no secret."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.started = folder, []
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"

    def run(self, *words: str, **environment: str) -> subprocess.Popen:
        told = {name: value for name, value in os.environ.items() if not name.startswith("COURSE_")}
        told |= {"COURSE_CLASSROOM": str(self.folder / "elsewhere"), **environment}
        with (self.folder / "cluster.log").open("ab") as log:
            program = [str(Path(sys.executable).parent / "dask"), *words]
            made = subprocess.Popen(program, stdout=log, stderr=log, env=told, cwd=self.folder, start_new_session=True)
        self.started.append(made)
        return made

    def scheduler(self) -> subprocess.Popen:
        where = ("--host", "127.0.0.1", "--port", str(self.port), "--dashboard-address", "127.0.0.1:0")
        self.of_scheduler = self.run("scheduler", *where)

        def answers() -> bool:
            with socket.socket() as asking:
                return asking.connect_ex(("127.0.0.1", self.port)) == 0

        assert until(answers, self.of_scheduler, "the scheduler"), self.log()
        return self.of_scheduler

    def workers(self, count: int = 2, **environment: str) -> subprocess.Popen:
        words = ("--nworkers", str(count), "--nthreads", "1", "--no-dashboard", "--memory-limit", "0")
        return self.run("worker", self.address, *words, "--local-directory", str(self.folder), **environment)

    def log(self) -> str:
        return (self.folder / "cluster.log").read_text()[-3000:]

    def end(self) -> None:
        for process in self.started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def cluster(tmp_path_factory, room):
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    yield made
    made.end()


def test_workers_lost_from_a_cluster_change_no_grade(the_class, undisturbed, cluster):
    chance = random.Random(f"{SEED}/cluster")
    told = f"COURSE_EVENT_SEED={SEED}"
    cluster.scheduler()
    cluster.workers(1)
    lost = cluster.workers(1)
    running = start("--cluster", cluster.address)
    assert until(lambda: done() >= 1, running), finish(running)
    time.sleep(chance.random() / 2)
    # A worker, which its nanny replaces; then nanny and all, as when a machine is switched off.
    for helper in dask_workers(lost):
        helper.kill()
    until(lambda: done() >= 3, running)
    os.killpg(lost.pid, signal.SIGKILL)
    code, _, err = finish(running)
    if code != 0:
        assert err.startswith("Error: "), f"{told}: {err}"
        again_until_done(the_class, "--cluster", cluster.address, told=told)
    assert scores_of(the_class) == undisturbed.scores, f"{told}: {cluster.log()}"


def test_a_scheduler_that_is_lost_and_comes_back_costs_no_grade(the_class, undisturbed, cluster):
    chance = random.Random(f"{SEED}/scheduler")
    told = f"COURSE_EVENT_SEED={SEED}"
    cluster.scheduler()
    cluster.workers()
    running = start("--cluster", cluster.address)
    assert until(lambda: done() >= 1, running), finish(running)
    time.sleep(chance.random() / 2)
    cluster.of_scheduler.kill()
    cluster.of_scheduler.wait()
    time.sleep(chance.random() * 3)
    cluster.scheduler()
    cluster.workers()
    code, _, err = finish(running, look=False)
    if code != 0:
        assert "no scheduler answers" in err, f"{told}: {err}"
        again_until_done(the_class, "--cluster", cluster.address, told=told)
    assert scores_of(the_class) == undisturbed.scores, f"{told}: {cluster.log()}"
    assert "Traceback" not in err, err


def test_a_scheduler_that_stays_away_ends_grading_with_a_sentence_and_what_is_graded_is_kept(
    the_class, undisturbed, cluster
):
    cluster.scheduler()
    cluster.workers()
    soon = "from autograder.grading import pool; pool._COME_BACK_SECONDS = 2.0"
    running = start("--cluster", cluster.address, before=soon)
    assert until(lambda: done() >= 2, running), finish(running)
    cluster.of_scheduler.kill()
    code, _, said = finish(running, look=False)
    assert code == 1
    assert f"no scheduler answers at {cluster.address}" in said
    assert "dask scheduler" in said
    assert the_class.scores() == {}
    kept = done()
    assert kept >= 2
    # Here, then, without a cluster.
    code, out, err = finish(start("--jobs=2"))
    assert code == 0, err
    assert sum(row["skipped"] for row in json.loads(out)["notebooks"]) >= kept
    assert scores_of(the_class) == undisturbed.scores
    assert "Traceback" not in said, said


def test_where_no_scheduler_is_a_sentence_says_so(the_class, cluster, monkeypatch):
    monkeypatch.setattr(pool, "_COME_BACK_SECONDS", 1.0)
    said = CliRunner().invoke(instructor.grade, [SHORT, "--cluster", cluster.address])
    assert said.exit_code == 1
    assert re.search(r"^Error: no scheduler answers at tcp://127.0.0.1:\d+ .*dask scheduler", said.output.strip()), (
        said.output
    )
    assert the_class.scores() == {}
    assert done() == 0


def copied_course(folder: Path) -> Path:
    """The course's code in another folder: to be imported from there in place of this one."""
    leave = shutil.ignore_patterns("__pycache__", "*.ipynb")
    for part in ("autograder", "source", "notebooks", "data"):
        shutil.copytree(ROOT / part, folder / part, ignore=leave)
    return folder


def test_a_worker_with_another_version_of_the_course_is_refused(the_class, undisturbed, cluster, tmp_path_factory):
    other = copied_course(tmp_path_factory.mktemp("other"))
    with (other / "autograder" / "judging.py").open("a") as file:
        file.write("# Judges otherwise.\n")
    cluster.scheduler()
    wrong = cluster.workers(PYTHONPATH=str(other))
    code, _, err = finish(start("--cluster", cluster.address))
    assert code == 1
    assert err.startswith("Error: this worker has another version of the course than the grader"), err
    assert done() == 0
    assert the_class.scores() == {}
    # With the right ones in its place it goes on.
    os.killpg(wrong.pid, signal.SIGKILL)
    cluster.workers()
    code, _, err = finish(start("--cluster", cluster.address))
    assert code == 0, err
    assert scores_of(the_class) == undisturbed.scores


def test_two_courses_grade_on_one_cluster_at_once(the_class, cluster):
    cluster.scheduler()
    cluster.workers()
    tasks, setting = tasks_of(the_class)
    tasks = [dataclasses.replace(t, key=f"{t.key} {i}") for i in range(3) for t in tasks if "right" in t.key]
    # The other course gives another time, and its tasks have names of their own. Each of the two must get results by
    # its own settings: in the other's, hidden cases and limits are others.
    other = dataclasses.replace(setting, limits=Limits(notebook_seconds=200.0))
    others = [dataclasses.replace(t, key=f"other {t.key}") for t in tasks]
    first = pool.run(tasks, setting, expected, 2, cluster.address)
    mine = [next(first)]
    second = pool.run(others, other, expected, 2, cluster.address)
    theirs = [next(second), *second]
    mine += first
    assert len(mine) == len(theirs) == len(tasks)
    assert {result.status for _, result in mine + theirs} == {"wrong"}
    assert {result.budget for _, result in theirs} == {200.0}
    assert {result.budget for _, result in mine} == {240.0}


# --- two graders, full disks ------------------------------------------------------------------------------------------


def test_of_two_graders_at_once_one_is_refused_and_nothing_is_damaged(the_class, undisturbed):
    both = [start("--jobs=1"), start("--jobs=1")]
    ended = sorted(finish(process) for process in both)
    assert [code for code, _, _ in ended] == [0, 1], ended
    assert "another `course grade` works on" in ended[1][2]
    assert scores_of(the_class) == undisturbed.scores


def on_a_small_disk(room, script: str) -> str:
    """Run a shell script with the room on a disk of 1 MB, then bring back what is there. `fill N`: leave N KB."""
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
    home = room.path
    seed = home.with_name(f"{home.name}-seed")
    home.rename(seed)
    home.mkdir()
    lines = f"""
    set -u
    grade() {{ {sys.executable} -c 'from autograder.cli.instructor import grade; grade()' {SHORT} --jobs=2 2>&1; }}
    room() {{ rm -f {home}/ballast; }}
    fill() {{
        free=$(($(stat -f -c %f {home}) * $(stat -f -c %S {home}) / 1024))
        head -c $(((free - $1) * 1024)) /dev/zero > {home}/ballast
    }}
    cp -a {seed}/. {home}
    {script}
    room
    rm -rf {seed}/* && cp -a {home}/. {seed}
    """
    small = ("bwrap", "--dev-bind", "/", "/", "--size", str(8 << 20), "--tmpfs", str(home))
    ran = subprocess.run(
        [*small, "bash", "-c", lines], cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert ran.returncode == 0, ran.stderr
    home.rmdir()
    seed.rename(home)
    return ran.stdout


def test_a_disk_that_is_full_before_anything_is_graded_is_told_in_a_sentence(the_class):
    shutil.rmtree(the_class.path / "expected")
    said = on_a_small_disk(the_class, "fill 40; grade; echo code $?")
    assert "Traceback" not in said, said
    assert "code 1" in said
    assert "make room" in said
    assert the_class.scores() == {}


def test_a_disk_that_fills_while_notebooks_are_graded_keeps_what_was_graded(the_class, undisturbed):
    script = "fill 64; grade; echo code $?; ls {0}/ledger; echo then; room; grade; echo code $?"
    said = on_a_small_disk(the_class, script.format(the_class.path))
    full, then = said.split("\nthen\n")
    assert "Traceback" not in said, said
    assert "code 1" in full
    assert "No space left on device" in full
    assert "make room" in full
    kept = full.count(".json\n")
    assert kept >= 1, full
    assert "code 0" in then, then
    skipped = int(re.search(r"(\d+) skipped", then)[1])
    assert skipped >= kept
    assert scores_of(the_class) == undisturbed.scores
    assert not list(ledger.folder().glob("*.part"))


@pytest.mark.parametrize("left", [0, 100])
def test_a_disk_that_fills_with_the_gradebook_leaves_whole_submissions(the_class, undisturbed, left):
    shutil.copytree(undisturbed.path / "ledger", ledger.folder())
    script = "fill {1}; grade; echo code $?; mkdir {0}-half; room; cp -a {0}/. {0}-half; grade; echo code $?"
    said = on_a_small_disk(the_class, script.format(the_class.path, left))
    assert "Traceback" not in said, said
    codes = re.findall(r"^code (\d)", said, re.MULTILINE)
    assert codes == ["1", "0"], said
    assert "No space left" in said or "disk is full" in said, said
    assert scores_of(the_class) == undisturbed.scores
    half = Path(f"{the_class.path}-half")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_CLASSROOM", str(half))
        assert Room(half).scores().items() <= undisturbed.by_student.items()
