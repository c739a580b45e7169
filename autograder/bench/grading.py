"""`course measure grading`: runs the parts of the grading benchmark and writes a result file each. Measures nothing."""

import json
import tempfile
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from autograder.bench import against_nbgrader, many, profile, scaling
from autograder.bench.watching import cores
from autograder.release.measure import RESULTS, machine

# From the shortest to the longest: what is wrong shows early.
PARTS: dict[str, ModuleType] = {part.NAME: part for part in (profile, scaling, against_nbgrader, many)}
CHAPTER, SEED = "ch01_attention", 1  # results of one year compare with those of another


def measure(only: tuple[str, ...] = (), students: int | None = None, results: Path = RESULTS) -> int:
    """Run some parts (default: all); students: instead of each part's own number. Returns the exit code.

    It is 1 where an honest student's score is not what it must be; the result file says whose.
    """
    code = 0
    for name in [part for part in PARTS if not only or part in only]:
        print(f"grading-{name} on {machine(torch.device('cpu'))['device']} ...", flush=True)
        started = time.monotonic()
        found = run(name, students or PARTS[name].STUDENTS)
        file = write(name, found, results)
        print(f"  {time.monotonic() - started:.0f} s, written: {file}", flush=True)
        for row in found.get("differing", [])[:20]:
            print(f"  not equal: {row}")
            code = 1
    return code


def run(name: str, students: int) -> dict[str, Any]:
    """One part in a temporary folder; its result with machine, versions and settings."""
    with tempfile.TemporaryDirectory(prefix="grading-bench-", ignore_cleanup_errors=True) as folder:
        found = PARTS[name].measure(Path(folder), CHAPTER, students, SEED)
    told = {"part": name, "chapter": CHAPTER, "students": students, "seed": SEED, "cores": cores()}
    return {**machine(torch.device("cpu")), **told, **found}


def write(name: str, found: dict[str, Any], results: Path = RESULTS) -> Path:
    """Write a part's result file."""
    results.mkdir(parents=True, exist_ok=True)
    file = results / f"grading-{name}.json"
    file.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return file
