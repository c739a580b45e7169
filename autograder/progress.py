"""What a student's checks came to so far, in `.course/progress.json`. It runs no check."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.labs import Lab, labs
from autograder.work import REMEMBERED, Copy, CourseFolder, read_json, root, versions, write_json


@dataclass(frozen=True)
class Standing:
    """How far a lab has come. `stale`: edited since its newest check."""

    lab: Lab
    state: str  # "not started", "in progress", "done"
    points: float
    exercises: dict[str, dict[str, Any]]
    stale: bool
    checked: str  # when, "" for never


def record(copy: Copy, result: dict[str, Any]) -> None:
    """Remember what a check came to."""
    file = _file(copy.root)
    told = read_json(file)
    lab = told.setdefault(copy.lab.id, {"exercises": {}})
    now, version = time.strftime("%Y-%m-%d %H:%M:%S"), versions(copy)
    for exercise in result["exercises"]:
        if exercise.get("stage") == "not reached":
            continue  # a crash before it says nothing of it
        came_to = {k: exercise[k] for k in ("title", "points", "of", "passed")}
        lab["exercises"][exercise["name"]] = {**came_to, "checked": now, "version": version}
    lab["checked"] = now
    write_json(file, told)


def put_aside(copy: Copy) -> None:
    """Keep a lab's results under another name: it is started again."""
    file = _file(copy.root)
    told = read_json(file)
    if copy.lab.id in told:
        told[f"{copy.lab.id} until {time.strftime('%Y-%m-%d %H:%M:%S')}"] = told.pop(copy.lab.id)
        write_json(file, told)


def standing(copy: Copy) -> Standing:
    """How far a lab has come."""
    told = read_json(_file(copy.root)).get(copy.lab.id, {})
    if not copy.started:
        return Standing(copy.lab, "not started", 0.0, {}, False, "")
    names = {task.name for task in copy.lab.tasks}
    exercises = {name: e for name, e in told.get("exercises", {}).items() if name in names}
    now = versions(copy)
    stale = any(e["version"] != now for e in exercises.values())
    done = exercises.keys() == names and all(e["passed"] for e in exercises.values())
    points = round(sum(e["points"] for e in exercises.values()), 2)
    return Standing(copy.lab, "done" if done else "in progress", points, exercises, stale, told.get("checked", ""))


def standings() -> list[Standing]:
    """How far every lab has come, in the current working folder."""
    try:
        here = root()
    except CourseFolder:
        # In the course's own folders nobody has work.
        return [Standing(lab, "not started", 0.0, {}, False, "") for lab in labs()]
    return [standing(Copy(lab, here)) for lab in labs()]


def next_one(found: list[Standing]) -> Standing | None:
    """The lab to go on with: the first in progress, else the first not started."""
    for state in ("in progress", "not started"):
        for one in found:
            if one.state == state:
                return one
    return None


def total(found: list[Standing]) -> tuple[float, float]:
    """Points earned, and points to be had."""
    return round(sum(s.points for s in found), 2), sum(s.lab.points for s in found)


def facts(s: Standing) -> dict[str, Any]:
    """A lab and its standing as plain data."""
    lab = s.lab
    plain = {name: getattr(lab, name) for name in ("id", "number", "title", "chapter", "level", "minutes", "hardware")}
    blank = {"points": 0.0, "passed": False}
    tasks = []
    for task in lab.tasks:
        came_to = s.exercises.get(task.name, blank)
        tasks.append({"name": task.name, "of": task.points, "points": came_to["points"], "passed": came_to["passed"]})
    plain |= {"points": s.points, "of": lab.points, "state": s.state, "stale": s.stale}
    return plain | {"checked": s.checked or None, "exercises": tasks}


def _file(root: Path) -> Path:
    return root / REMEMBERED / "progress.json"
