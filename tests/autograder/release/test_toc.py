"""The table of contents says what the tree holds."""

import pytest
import yaml

from autograder.facts import BadFact, chapters
from autograder.paths import ROOT
from autograder.release import toc


def files(entry) -> list[str]:
    """Every file that a table of contents names, in order."""
    if isinstance(entry, list):
        return [file for one in entry for file in files(one)]
    own = [entry["file"]] if "file" in entry else []
    return own + files(entry.get("parts", []) + entry.get("chapters", []) + entry.get("sections", []))


def test_the_committed_table_of_contents_is_fresh():
    assert toc.TOC.read_text(encoding="utf-8") == toc.toc_text(), "run `course build`, or build the book"


def test_every_page_and_every_lab_with_a_student_notebook_is_in_it_once():
    listed = files(yaml.safe_load(toc.toc_text()))
    wanted = {f"book/{c.folder}/{p.file.stem}" for c in chapters() for p in c.pages}
    wanted |= {f"book/{c.folder}/index" for c in chapters()}
    wanted |= {f.relative_to(ROOT).with_suffix("").as_posix() for f in ROOT.glob("book/ch*/deck.md")}
    wanted |= {f.relative_to(ROOT).with_suffix("").as_posix() for f in ROOT.glob("notebooks/student/ch*/lab*.ipynb")}
    assert len(set(listed)) == len(listed)
    assert wanted <= set(listed)


def test_everything_that_it_lists_exists():
    for file in files(yaml.safe_load(toc.toc_text())):
        assert (ROOT / f"{file}.md").is_file() or (ROOT / f"{file}.ipynb").is_file(), file


def test_a_lab_without_a_student_notebook_is_left_out(monkeypatch, tmp_path):
    monkeypatch.setattr(toc, "ROOT", tmp_path)
    monkeypatch.setattr(toc, "NOTEBOOKS", tmp_path / "notebooks")
    assert all(toc.published(chapter) == () for chapter in chapters())


def test_writing_it_twice_changes_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(toc, "TOC", tmp_path / "_toc.yml")
    assert toc.write_toc()
    assert not toc.write_toc()


def test_instructors_have_a_part_between_the_chapters_and_what_is_about_the_book():
    parts = yaml.safe_load(toc.toc_text())["parts"]
    assert [part["caption"] for part in parts][-2:] == ["For instructors", "About"]
    (entry,) = parts[-2]["chapters"]
    assert entry["file"] == "book/instructors/index"
    found = {f"book/instructors/{file.stem}" for file in toc.TEACHING.glob("*.md")} - {entry["file"]}
    assert {section["file"] for section in entry["sections"]} == found


@pytest.fixture
def teaching(monkeypatch, tmp_path):
    """Writes pages of an instructors' folder: name, order."""
    from autograder import facts

    monkeypatch.setattr(facts, "ROOT", tmp_path)
    monkeypatch.setattr(toc, "TEACHING", tmp_path / "instructors")
    toc.TEACHING.mkdir()

    def write(name: str, order: object) -> None:
        text = f"---\ncourse:\n  order: {order}\n---\n# {name}\n"
        (toc.TEACHING / f"{name}.md").write_text(text, encoding="utf-8")

    return write


def test_instructors_pages_stand_in_the_order_that_they_state(teaching):
    for name, order in (("alpha", 3), ("beta", 1), ("gamma", 2), ("index", "null")):
        teaching(name, order)
    assert toc.teaching_pages() == ["book/instructors/beta", "book/instructors/gamma", "book/instructors/alpha"]


@pytest.mark.parametrize(("order", "says"), [("null", "lacks course.order"), (1, "alpha.md has the same")])
def test_an_instructors_page_without_a_place_of_its_own_is_named(teaching, order, says):
    teaching("alpha", 1)
    teaching("beta", order)
    with pytest.raises(BadFact, match=rf"beta\.md.*{says}"):
        toc.teaching_pages()
