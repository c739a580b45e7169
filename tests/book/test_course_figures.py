"""Every figure that a page shows exists, is described in words, and is drawn in both themes, always the same."""

import re
from pathlib import Path

import pytest

from autograder.paths import BOOK
from book._ext import course_figures
from book._ext.course_figures import PLOTS, BadFigure, drawn, figure
from source.plots import THEMES

USED = sorted(
    {
        (page.parent.name, name)
        for page in BOOK.glob("*/*.md")
        for name in re.findall(r"\{course-figure\} *(\S+)", page.read_text(encoding="utf-8"))
    }
)


@pytest.mark.parametrize(("chapter", "name"), USED)
def test_a_figures_alt_text_says_what_it_shows(chapter, name):
    _, alt = figure(chapter, name)
    assert len(alt.split()) >= 12
    assert "\n" not in alt
    assert "  " not in alt


@pytest.mark.parametrize(("chapter", "name"), USED)
def test_a_figure_is_drawn_in_both_themes(chapter, name):
    pictures = [drawn(chapter, name, theme).read_text(encoding="utf-8") for theme in THEMES]
    assert pictures[0] != pictures[1]
    for picture in pictures:
        assert "<svg" in picture
        assert "<text" not in picture  # outlines: no font of the reader's can break it


def test_a_figure_is_drawn_again_only_when_its_code_changes(monkeypatch, tmp_path):
    chapter = "ch98_x"
    monkeypatch.setattr(course_figures, "BOOK", tmp_path)
    monkeypatch.setattr(course_figures, "ROOT", tmp_path)
    (tmp_path / chapter).mkdir()
    code = tmp_path / chapter / "figures.py"
    code.write_text('import matplotlib.pyplot as plt\n\n\ndef dot():\n    """A dot."""\n    return plt.figure()\n')
    file = drawn(chapter, "dot", "light")
    file.write_text(kept := "kept as it is " + file.read_text(encoding="utf-8"), encoding="utf-8")
    assert drawn(chapter, "dot", "light").read_text(encoding="utf-8") == kept
    code.write_text(code.read_text() + "# changed\n")
    assert drawn(chapter, "dot", "light").read_text(encoding="utf-8") != kept


def test_a_figure_is_drawn_again_when_what_its_file_imports_of_the_book_changes(monkeypatch, tmp_path):
    monkeypatch.setattr(course_figures, "ROOT", tmp_path)
    (folder := tmp_path / "book" / "ch98_x").mkdir(parents=True)
    numbers, between, figures = (folder / f"{name}.py" for name in ("numbers", "between", "figures"))
    numbers.write_text("from book.ch98_x.figures import dot\n")  # a circle does not hang it
    between.write_text("from book.ch98_x.numbers import three\n")
    figures.write_text("from book.ch98_x.between import three\n")
    assert set(course_figures._depends(figures)) >= {numbers, between, figures}
    assert figures not in course_figures._depends(PLOTS)


def test_a_page_may_have_a_file_of_its_own_for_its_figures_and_a_name_is_drawn_once(monkeypatch, tmp_path):
    monkeypatch.setattr(course_figures, "BOOK", tmp_path)
    monkeypatch.setattr(course_figures, "ROOT", tmp_path)
    (tmp_path / "ch98_x").mkdir()
    for name in ("figures.py", "figures_page.py"):
        (tmp_path / "ch98_x" / name).write_text(f'def {Path(name).stem}_own():\n    """A dot."""\n')
        assert figure("ch98_x", f"{Path(name).stem}_own")[1] == "A dot."
    (tmp_path / "ch98_x" / "figures_other.py").write_text('def figures_page_own():\n    """A dot."""\n')
    with pytest.raises(BadFigure, match="rename one"):
        figure("ch98_x", "figures_page_own")


def test_the_same_code_draws_the_same_file(tmp_path):
    chapter, name = USED[0]
    draw, _ = figure(chapter, name)
    assert course_figures._svg(draw, "dark") == course_figures._svg(draw, "dark")


def test_a_figure_that_does_not_exist_is_named():
    with pytest.raises(BadFigure, match="no_such_figure"):
        figure(USED[0][0], "no_such_figure")


def test_a_figure_without_alt_text_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(course_figures, "BOOK", tmp_path)
    monkeypatch.setattr(course_figures, "ROOT", tmp_path)
    (tmp_path / "ch98_x").mkdir()
    (tmp_path / "ch98_x" / "figures.py").write_text("def silent():\n    pass\n")
    with pytest.raises(BadFigure, match="alt text"):
        figure("ch98_x", "silent")
