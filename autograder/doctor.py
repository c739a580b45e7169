"""Looks at what this machine has and what the course needs, and names the command that mends it. It changes nothing."""

import importlib.metadata
import os
import platform
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "transformer-systems"


@dataclass(frozen=True)
class Finding:
    """One line. state: "ok", "missing", "old", or "absent" (nobody needs it to learn). mend: what to type."""

    part: str  # "student", "instructor", ...
    name: str
    state: str
    says: str
    mend: str = ""

    @property
    def bad(self) -> bool:
        """Whether a student cannot work because of it."""
        return self.part == "student" and self.state in ("missing", "old")


def examine(here: Path | None = None) -> list[Finding]:
    """Everything, in the order in which it is told."""
    here = here or Path.cwd()
    return [_python(), *_libraries(), *_device(), *_room(here), *_tools(), *_isolation(), *_course()]


def _python() -> Finding:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()} ({sys.executable})"
    if (3, 11) <= sys.version_info[:2] < (3, 14):
        return Finding("student", "Python", "ok", found)
    return Finding(
        "student", "Python", "old", f"{found}: the course needs 3.11, 3.12 or 3.13", "https://www.python.org/downloads"
    )


def _libraries() -> list[Finding]:
    findings = []
    for extra, wanted in _extras().items():
        absent = []
        for name, needed in wanted.items():
            state, says = _library(name, needed)
            if extra == "student" or extra == "":
                mend = "" if state == "ok" else f"{_pip()} '{name}{needed}'"
                findings.append(Finding("student", name, state, says, mend))
            elif state != "ok":
                absent.append(f"{name} {says}")
        if extra not in ("", "student"):
            state = "absent" if absent else "ok"
            mend = f"{_pip()} {_itself(extra)}" if absent else ""
            told = "; ".join(absent) or ", ".join(wanted) or "complete"
            findings.append(Finding(extra, f"extra {extra!r}", state, told, mend))
    return findings


def _library(name: str, needed: str) -> tuple[str, str]:
    from packaging.specifiers import SpecifierSet

    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "missing", "not installed"
    if not SpecifierSet(needed).contains(version, prereleases=True):
        return "old", f"{version}; needed is {needed}"
    return "ok", version


def _extras() -> dict[str, dict[str, str]]:
    """Each extra's libraries and their versions, as the installed package states them; "" is what always comes."""
    from packaging.requirements import Requirement

    try:
        told = [Requirement(text) for text in importlib.metadata.requires(PACKAGE) or []]
    except importlib.metadata.PackageNotFoundError:
        from autograder.launch import OLDEST

        oldest = {name: f">={'.'.join(map(str, least))}" for name, least in OLDEST.items()}
        return {"": {}, "student": {**oldest, "ipywidgets": ">=8.1"}}
    extras: dict[str, dict[str, str]] = {"": {}, "student": {}}
    for one in told:
        if one.name == PACKAGE:  # an extra that includes another
            continue
        marker = str(one.marker or "")
        extra = match[1] if (match := re.search(r"extra == ['\"]([\w-]+)['\"]", marker)) else ""
        if one.marker is None or one.marker.evaluate({"extra": extra}):
            extras.setdefault(extra, {})[one.name] = str(one.specifier)
    return extras


def _device() -> list[Finding]:
    try:
        import torch
    except Exception:  # a damaged installation raises many kinds; the library's own line tells of it
        return []
    threads = f"{torch.get_num_threads()} threads"
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        says = f"cuda: {torch.cuda.get_device_name()}, {free / 2**30:.1f} of {total / 2**30:.1f} GB free; CPU {threads}"
    elif torch.backends.mps.is_available():
        says = f"mps is there; the labs run on the CPU, {threads}"
    else:
        says = f"cpu, {threads}"
    return [Finding("machine", "device", "ok", says)]


def _room(here: Path) -> list[Finding]:
    disk = shutil.disk_usage(here).free / 2**30
    enough = Finding("machine", "free disk", "ok", f"{disk:.1f} GB")
    if disk < 1:
        enough = Finding(
            "machine", "free disk", "absent", f"{disk:.1f} GB: make room, a lab may write 1 GB", "pip cache purge"
        )
    memory = _free_memory()
    findings = [enough]
    if memory is not None:
        says = f"{memory:.1f} GB" + ("" if memory >= 2 else ": close other programs, a lab may need 2 GB")
        findings.append(Finding("machine", "free memory", "ok" if memory >= 2 else "absent", says))
    return findings


def _free_memory() -> float | None:
    told = Path("/proc/meminfo")
    if told.exists():
        match = re.search(r"MemAvailable:\s+(\d+) kB", told.read_text())
        return int(match[1]) / 2**20 if match else None
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30  # all there is: macOS tells no more
    except (AttributeError, ValueError, OSError):
        return None


def _tools() -> list[Finding]:
    from autograder.system import TOOLS, command

    findings = []
    for name, (programs, use) in TOOLS.items():
        found = next(filter(None, map(shutil.which, programs)), "")
        state = "ok" if found else "absent"
        findings.append(
            Finding("instructor", name, state, found or f"not there ({use})", "" if found else command(name))
        )
    return findings


def _isolation() -> list[Finding]:
    from autograder.grading.isolation import NotIsolated, probe

    try:
        return [Finding("instructor", "confinement", "ok", f"hand-ins are confined by {probe().level}")]
    except NotIsolated as error:
        why, _, mend = str(error).rpartition(": ")
        return [Finding("instructor", "confinement", "absent", why, mend)]


def _course() -> list[Finding]:
    from autograder.labs import BrokenCourse, labs
    from autograder.paths import NOTEBOOKS, student_notebooks
    from autograder.registry import HERE

    clone = student_notebooks() == NOTEBOOKS / "student"
    mend = "course release" if clone else f"{_pip()} --force-reinstall --no-deps {_itself()}"
    try:
        found = labs()
    except BrokenCourse as error:
        return [Finding("student", "lab notebooks", "missing", str(error), mend)]
    stored = [lab for lab in found if (HERE / "stored" / lab.chapter / f"{lab.stem}.plain").exists()]
    findings = [Finding("student", "lab notebooks", "ok", f"{len(found)} in {student_notebooks()}")]
    if len(stored) == len(found):
        return [*findings, Finding("student", "expected outputs", "ok", f"for {len(stored)} labs")]
    lacking = ", ".join(lab.number for lab in found if lab not in stored)
    return [*findings, Finding("student", "expected outputs", "missing", f"none for lab {lacking}", mend)]


def _itself(extra: str = "") -> str:
    # How pip is told of the course: a clone by its folder.
    from autograder.paths import ROOT

    chosen = f"[{extra}]" if extra else ""
    return f"-e '{ROOT}{chosen}'" if (ROOT / "pyproject.toml").exists() else f"'{PACKAGE}{chosen}'"


def _pip() -> str:
    # This very Python's pip: another's would install where the course does not look.
    return f"{sys.executable} -m pip install"
