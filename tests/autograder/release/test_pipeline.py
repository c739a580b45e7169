"""From paired sources to student notebooks: fresh, stable to the byte, and without a trace of a solution."""

import json
import re

import nbformat
import pytest

from autograder import registry
from autograder.facts import chapters
from autograder.paths import INSTRUCTOR, NOTEBOOKS
from autograder.release.assignment import generate, nbgrader_config
from autograder.release.execute import executed
from autograder.release.solutions import grade_id, notebook, solution_cell
from autograder.release.student import write_student
from autograder.release.sync import as_source, as_twin, sources, sync, twin_of

FOLDERS = [c.folder for c in chapters() if c.labs]
LABS = [lab.id for c in chapters() for lab in c.labs]
STUDENT = {lab.id: NOTEBOOKS / "student" / lab.chapter / f"{lab.stem}.ipynb" for c in chapters() for lab in c.labs}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The whole pipeline run twice into empty folders: nothing is taken from what is committed."""
    import os

    runs = []
    for _ in range(2):
        home = tmp_path_factory.mktemp("pipeline")
        before = os.environ.get("COURSE_CLASSROOM")
        os.environ["COURSE_CLASSROOM"] = str(home / "classroom")
        try:
            for file in sources():
                target = home / "instructor" / file.parent.name / twin_of(file).name
                target.parent.mkdir(parents=True, exist_ok=True)
                import jupytext

                target.write_text(nbformat.writes(as_twin(jupytext.read(file), file)) + "\n")
            config = nbgrader_config(source_directory=str(home / "instructor"), release_directory=str(home / "release"))
            for folder in FOLDERS:
                generate(folder, config)
                write_student(folder, home / "release", home / "student")
        finally:
            if before is not None:
                os.environ["COURSE_CLASSROOM"] = before
        runs.append(home)
    return runs


def test_generating_twice_gives_byte_identical_files(made):
    once, again = made
    files = sorted(p.relative_to(once) for p in once.rglob("*.ipynb"))
    assert len(files) == 3 * len(LABS)
    for file in files:
        assert (once / file).read_bytes() == (again / file).read_bytes(), file


@pytest.mark.parametrize("lab", LABS)
def test_the_committed_student_notebook_is_fresh(made, lab):
    fresh = made[0] / "student" / STUDENT[lab].relative_to(NOTEBOOKS / "student")
    assert STUDENT[lab].exists(), f"run: course release {lab.split('/')[0]}"
    assert STUDENT[lab].read_text() == fresh.read_text(), f"run: course release {lab.split('/')[0]}"


def test_no_committed_student_notebook_lacks_a_source():
    assert sorted((NOTEBOOKS / "student").rglob("*.ipynb")) == sorted(STUDENT.values())


def _solution_lines(lab):
    # Lines that say something: the longer ones of each solution region.
    for name in (e.rsplit("/", 1)[1] for e in registry.exercises(lab)):
        region = re.search(r"### BEGIN SOLUTION\n(.*?)### END SOLUTION", solution_cell(lab, name).source, re.DOTALL)
        for line in region[1].splitlines():
            text = line.split("#")[0].strip()
            if len(text) >= 30:
                yield name, text


@pytest.mark.parametrize("lab", LABS)
def test_no_solution_hidden_case_or_reference_reaches_a_student_file(made, lab):
    relative = STUDENT[lab].relative_to(NOTEBOOKS / "student")
    for folder in ("release", "student"):
        text = (made[0] / folder / relative).read_text()
        nb = nbformat.reads(text, as_version=4)
        for word in ("BEGIN SOLUTION", "END SOLUTION", "BEGIN HIDDEN", "autograder.answers", "Misconception"):
            assert word not in text
        cells = {grade_id(c): c.source for c in nb.cells if grade_id(c)}
        for name, line in _solution_lines(lab):
            assert line not in cells[name], (folder, name, line)
        # Nor may another cell give away what an exercise asks for. Given code to be mended may look alike, and hints
        # come as near as pseudocode.
        exempt = {"given", "generated"}
        shown = [c.source for c in nb.cells if not grade_id(c) and not exempt & set(c.metadata.get("tags", []))]
        for name, line in _solution_lines(lab):
            assert not any(line in source for source in shown), (folder, name, line)
        for exercise in registry.exercises(lab):
            name = exercise.rsplit("/", 1)[1]
            assert "raise NotImplementedError(" in cells[name]
            assert cells[f"check_{name}"].startswith(f'check("{exercise}", ')
            for wrong in registry.answer(exercise).misconceptions:
                assert wrong.says not in text


@pytest.mark.parametrize("lab", LABS)
def test_the_instructors_notebook_runs_clean_and_passes_its_own_checks(lab):
    nb = executed(lab)
    for cell in nb.cells:
        if cell.cell_type != "code":
            continue
        kinds = [o.output_type for o in cell.outputs]
        assert "error" not in kinds, cell.source
        assert not [o for o in cell.outputs if o.output_type == "stream" and o.name == "stderr"], cell.source
        name = grade_id(cell)
        if name.startswith("check_"):
            points = registry.exercise(f"{lab}/{name.removeprefix('check_')}").points
            result = next(o for o in cell.outputs if o.output_type == "execute_result")
            assert float(result.data["text/plain"]) == points


@pytest.mark.parametrize("lab", LABS)
def test_every_exercise_has_one_solution_cell_then_one_check_cell(lab):
    told = [(grade_id(c), bool(c.metadata["nbgrader"].get("solution"))) for c in notebook(lab).cells if grade_id(c)]
    names = [e.rsplit("/", 1)[1] for e in registry.exercises(lab)]
    assert told == [pair for n in names for pair in ((n, True), (f"check_{n}", False))]


@pytest.mark.parametrize("folder", FOLDERS)
def test_grade_ids_are_unique_in_a_chapter(folder):
    ids = [e.rsplit("/", 1)[1] for lab in LABS if lab.startswith(folder[:4]) for e in registry.exercises(lab)]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("lab", LABS)
def test_a_student_notebook_is_launch_ready(lab):
    nb = json.loads(STUDENT[lab].read_text())
    assert nb["nbformat_minor"] == 5
    ids = [c["id"] for c in nb["cells"]]
    assert len(set(ids)) == len(ids)
    first = next(c for c in nb["cells"] if c["cell_type"] == "code")
    source = "".join(first["source"])
    assert source.count("\n") == 2, "three lines"
    assert "--no-deps" in source
    assert "setup()" in source
    assert nb["metadata"]["course"]["id"] == lab
    assert nb["metadata"]["kaggle"]["isInternetEnabled"] is True
    wants_gpu = nb["metadata"]["course"]["hardware"] == "gpu"
    assert nb["metadata"]["kaggle"]["isGpuEnabled"] is wants_gpu
    assert (nb["metadata"].get("accelerator") == "GPU") is wants_gpu
    assert not any(c.get("outputs") for c in nb["cells"])


@pytest.mark.parametrize("file", sources(), ids=lambda f: f.stem)
def test_a_source_survives_the_round_trip_through_its_notebook(file):
    import jupytext

    twin = as_twin(jupytext.read(file), file)
    back = as_twin(jupytext.reads(as_source(nbformat.reads(nbformat.writes(twin), as_version=4)), "py:percent"), file)
    again = as_twin(jupytext.read(file), file)
    assert nbformat.writes(back) == nbformat.writes(again)


@pytest.fixture
def pair(tmp_path, monkeypatch):
    """A copy of one pair that a test may edit."""
    import autograder.release.sync as module

    source = sources()[0]
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "CACHE", tmp_path / ".cache")
    file = tmp_path / source.relative_to(INSTRUCTOR)
    file.parent.mkdir(parents=True)
    file.write_bytes(source.read_bytes())
    assert sync(file) == "notebook written"
    return file


def test_sync_takes_the_half_that_was_edited_last(pair):
    import os

    assert sync(pair) == "same"
    twin = twin_of(pair)
    nb = nbformat.read(twin, as_version=4)
    nb.cells[2].source += "\nEdited in Jupyter."
    twin.write_text(nbformat.writes(nb))
    os.utime(twin, (2e9, 2e9))
    assert sync(pair) == "source written"
    assert "# Edited in Jupyter." in pair.read_text()
    assert sync(pair) == "same"
    pair.write_text(pair.read_text().replace("Edited in Jupyter.", "Edited in an editor."))
    os.utime(pair, (3e9, 3e9))
    assert sync(pair) == "notebook written"
    assert "Edited in an editor." in twin.read_text()


def test_sync_loses_nothing_of_the_half_it_replaces(pair, tmp_path):
    import os

    twin = twin_of(pair)
    nb = nbformat.read(twin, as_version=4)
    nb.cells[2].source += "\nEdited in Jupyter, then overruled."
    twin.write_text(nbformat.writes(nb))
    pair.write_text(pair.read_text() + "\n# %% [markdown]\n# Newer.\n")
    os.utime(pair, (3e9, 3e9))
    assert sync(pair) == "notebook written"
    kept = list((tmp_path / ".cache" / "replaced").rglob("*.ipynb"))
    assert "Edited in Jupyter, then overruled." in kept[0].read_text()
