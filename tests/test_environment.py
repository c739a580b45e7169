"""The lists of what to install agree: pyproject.toml is the authority, the others follow."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
PINS = dict(
    re.match(r"([^=\s]+)==(\S+)", line).groups()
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if "==" in line and not line.startswith("#")
)
PINS = {name.lower().replace("_", "-"): version for name, version in PINS.items()}
CONDA_NAMES = {"torch": "pytorch"}


def requirements(extra: str) -> list[Requirement]:
    """An extra's requirements, those of the extras it names included."""
    found = []
    for line in EXTRAS[extra]:
        one = Requirement(line)
        if one.name == PROJECT["name"]:
            found += [r for inner in one.extras for r in requirements(inner)]
        else:
            found.append(one)
    return found


def test_a_student_needs_no_library_of_the_graders_or_the_books():
    libraries = {"torch", "numpy", "matplotlib", "ipywidgets", "regex", "safetensors", "tokenizers", "transformers"}
    assert {r.name for r in requirements("student")} == libraries


@pytest.mark.parametrize("extra", EXTRAS)
def test_every_extra_is_pinned_to_a_version_it_allows(extra):
    for one in requirements(extra) + [Requirement(line) for line in PROJECT["dependencies"]]:
        assert one.name in PINS, f"{one.name} has no pin in constraints.txt"
        assert one.specifier.contains(Version(PINS[one.name])), f"{one} does not allow {PINS[one.name]}"


def test_conda_and_pip_ask_for_the_same():
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    conda = {str(line) for line in listed if isinstance(line, str)} - {"pip"}
    # What conda-forge does not carry comes through pip in the same file.
    conda |= {line for part in listed if isinstance(part, dict) for line in part["pip"] if not line.startswith("-")}
    wanted = {f"python{PROJECT['requires-python']}"}
    for one in [Requirement(p) for p in PROJECT["dependencies"]] + requirements("instructor") + requirements("book"):
        marker = f"; {one.marker}" if one.marker else ""
        versions = ",".join(sorted(map(str, one.specifier), reverse=True))
        wanted.add(CONDA_NAMES.get(one.name, one.name) + versions + marker.replace('"', "'"))
    assert {_sorted(c) for c in conda} == {_sorted(w) for w in wanted}


def _sorted(spec: str) -> tuple[str, frozenset[str]]:
    name = re.match(r"[A-Za-z0-9_.-]+", spec)[0]
    return name, frozenset(spec[len(name) :].split(","))


def test_the_pins_name_no_place_of_one_machine():
    text = (ROOT / "constraints.txt").read_text()
    assert "file:" not in text
    assert "://" not in text
