"""Facts are read from where they are written, and a bad one is told with file and remedy."""

import pytest

from autograder import registry
from autograder.facts import BadFact, chapters, front_matter, lab_facts, notebook_header
from autograder.paths import INSTRUCTOR, ROOT

GOOD = {
    "title": "A lab",
    "level": "expert",
    "minutes": 30,
    "hardware": "gpu",
    "builds": "Something.",
    "goals": ["Do this", "Do that"],
}


def test_every_lab_with_checks_has_a_notebook_and_the_other_way_round():
    assert {lab.id for c in chapters() for lab in c.labs} == set(registry.lab_files())


def test_checks_answers_notebook_and_stored_expectations_share_their_name():
    for lab in (lab for c in chapters() for lab in c.labs):
        for place in ("notebooks/instructor/{}/{}.py", "autograder/checks/{}/{}.py", "autograder/answers/{}/{}.py"):
            assert (ROOT / place.format(lab.chapter, lab.stem)).exists()
        assert (ROOT / f"autograder/stored/{lab.chapter}/{lab.stem}.plain").exists()


def test_a_milestone_names_a_lab_of_its_chapter():
    for chapter in chapters():
        if chapter.milestone:
            assert f"{chapter.folder[:4]}/{chapter.milestone['lab']}" in [lab.id for lab in chapter.labs]
            assert chapter.milestone["goal"]


def test_a_labs_minutes_are_about_the_sum_of_its_exercises():
    for lab in (lab for c in chapters() for lab in c.labs):
        spent = sum(e.minutes for e in registry.exercises(lab.id).values())
        assert 0.5 * lab.minutes <= spent <= lab.minutes, (lab.id, spent)
        assert 1 <= len(registry.exercises(lab.id)) <= 6


def test_good_facts_become_a_lab():
    lab = lab_facts(GOOD, "ch07_sparse", "lab03_kv_compression", "there")
    assert (lab.id, lab.number, lab.level) == ("ch07/lab03", "7.3", "expert")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"level": "hard"}, "course.level is 'hard'; choose one of intermediate"),
        ({"hardware": None}, "course.hardware is None"),
        ({"minutes": "60"}, "state a number of minutes"),
        ({"goals": ["One"]}, "course.goals has 1 entries"),
        ({"builds": ""}, "lacks course.builds"),
    ],
)
def test_a_bad_fact_is_told_with_its_file_and_remedy(change, said):
    with pytest.raises(BadFact, match=r"there/lab\.py") as error:
        lab_facts({**GOOD, **change}, "ch01_x", "lab01_y", "there/lab.py")
    assert said in str(error.value)


def test_a_page_without_front_matter_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("autograder.facts.ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text("# Title\n")
    with pytest.raises(BadFact, match="begin the page with front matter"):
        front_matter(page)
    page.write_text("---\ncourse: [\n---\n# Title\n")
    with pytest.raises(BadFact, match="is not YAML"):
        front_matter(page)


def test_a_notebook_without_header_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("autograder.facts.ROOT", tmp_path)
    file = tmp_path / "lab.py"
    file.write_text("# %%\n1\n")
    with pytest.raises(BadFact, match="commented YAML header"):
        notebook_header(file)


def test_headers_are_read_from_the_sources():
    file = next(INSTRUCTOR.glob("ch*/lab*.py"))
    assert notebook_header(file)["title"]
