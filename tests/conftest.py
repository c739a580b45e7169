"""What the tests share: the classroom is never the real one, and what a machine lacks is said aloud."""

import os
import shutil
from pathlib import Path

import hypothesis
import pytest

# Tests run several at a time, and tensors here are tiny: more threads than cores wait more than they work.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# How long a case takes says something of the machine, and nothing of the code.
hypothesis.settings.register_profile("course", deadline=None)
hypothesis.settings.load_profile("course")

ROOT = Path(__file__).resolve().parent.parent
# CI installs everything; there a missing program is a failure, never a skip.
NOTHING_SKIPPED = os.environ.get("COURSE_SKIP_NOTHING") == "1"


def pytest_configure(config: pytest.Config) -> None:
    os.environ.pop("COURSE_SECRET", None)


@pytest.fixture(autouse=True)
def classroom(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty classroom: no test reads or writes a real one."""
    room = tmp_path_factory.mktemp("classroom")
    monkeypatch.setenv("COURSE_CLASSROOM", str(room))
    return room


def need(*programs: str, package: str) -> str:
    """The path of the first program that is there; else skip with the command that installs it (in CI: fail)."""
    for program in programs:
        if found := shutil.which(program):
            return found
    said = f"{programs[0]} is not here: sudo apt-get install {package}"
    if NOTHING_SKIPPED:
        pytest.fail(said)
    pytest.skip(said)


@pytest.fixture
def chromium() -> str:
    """The browser with which pages are looked at."""
    return need("chromium", "chromium-browser", "google-chrome", package="chromium")
