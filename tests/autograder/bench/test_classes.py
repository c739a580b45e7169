"""The made-up class: the same seed gives the same files, no two files are equal, everybody is honest."""

import nbformat

from autograder import registry
from autograder.bench.classes import BLANK, RIGHT, draw, source
from autograder.grading import handin
from autograder.grading.sample_class import skeletons
from autograder.release.solutions import grade_id


def _files(room):
    folder = room.path / "submitted"
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*.ipynb"))}


def _again(room, tmp_path, seed):
    from autograder.bench.room import copied

    other = copied(room, tmp_path / f"again-{seed}")
    for folder in (other.path / "submitted").glob("*/*"):
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
    other.hand_in(12, seed)
    return _files(other)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(room, tmp_path):
    room.hand_in(12, seed=3)
    assert _again(room, tmp_path, 3) == _files(room)
    assert _again(room, tmp_path, 4) != _files(room)


def test_no_two_files_are_equal_and_each_is_a_notebook_of_the_lab(room):
    room.hand_in(40, seed=1)
    files = _files(room)
    assert len(files) == 40 == len(set(files.values()))
    for data in list(files.values())[:5]:
        nbformat.validate(nbformat.reads(data.decode(), as_version=4))
        assert handin.cells(data, room.labs()[0])


def test_a_hand_in_says_what_was_drawn_and_nothing_else_is_changed(room):
    drawn = room.hand_in(5, seed=2)
    (lab,) = room.labs()
    for student, wrote in drawn.items():
        handed_in = nbformat.read(room.path / "submitted" / student / room.chapter / f"{lab.stem}.ipynb", as_version=4)
        named = 0
        for cell, ours in zip(handed_in.cells, lab.notebook.cells, strict=True):
            if (name := grade_id(ours)) in wrote[lab.id]:
                text = cell.source.removesuffix(f"\n# {student}")
                named += text != cell.source
                assert text == source(lab, name, wrote[lab.id][name])
            else:
                assert cell == ours
        assert named == 1


def test_the_shares_are_about_as_told_and_every_misconception_is_somebodys(room):
    (lab,) = room.labs()
    drawn = draw([lab], 400, seed=1)
    for name in skeletons(lab):
        written = [wrote[lab.id][name] for wrote in drawn.values()]
        assert 0.45 < written.count(RIGHT) / 400 < 0.65
        assert 0.08 < written.count(BLANK) / 400 < 0.22
        bank = {wrong.name for wrong in registry.answer(f"{lab.id}/{name}").misconceptions}
        assert set(written) == bank | {RIGHT, BLANK}


def test_a_student_writes_the_same_in_a_larger_class(room):
    labs = room.labs()
    assert draw(labs, 3, seed=1).items() <= draw(labs, 9, seed=1).items()
