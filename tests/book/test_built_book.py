"""The built book: no warnings, every page there, the right buttons, outputs, captions and alt texts."""

import re

import pytest
import yaml

from autograder.facts import chapters, repository
from autograder.release.toc import TOC, published
from book._ext.contents import points
from book._ext.lab_pages import labs_by_page
from book._ext.page_facts import pages

pytestmark = pytest.mark.xdist_group("book")
LABS = labs_by_page()


def test_the_book_builds_without_warnings(built_book):
    assert re.findall(r".*WARNING.*", built_book.log) == []


def test_pages_are_read_in_parallel(built_book):
    assert "serial read" not in built_book.log


def test_every_page_of_the_table_of_contents_is_built(built_book):
    listed = re.findall(r"file: (\S+)", TOC.read_text(encoding="utf-8"))
    listed.append(yaml.safe_load(TOC.read_text(encoding="utf-8"))["root"])
    for name in listed:
        assert (built_book.html / f"{name}.html").is_file(), name


@pytest.mark.parametrize("page", LABS)
def test_a_lab_page_opens_itself_on_colab_and_kaggle_and_can_be_downloaded(built_book, page):
    url, branch = repository()
    place = url.removeprefix("https://github.com/")
    links = [a["href"] for a in built_book.page(page).select(".article-header-buttons a[href]")]
    assert f"https://colab.research.google.com/github/{place}/blob/{branch}/{page}.ipynb" in links
    assert f"https://kaggle.com/kernels/welcome?src={url}/blob/{branch}/{page}.ipynb" in links
    assert url in links
    download = next(link for link in links if link.endswith(".ipynb") and "_sources" in link)
    assert (built_book.html / page).parent.joinpath(download).resolve().read_bytes(), download


def test_a_prose_page_has_no_launch_button(built_book):
    page = built_book.page(next(iter(pages())))
    assert not page.select("a[href*='kaggle.com/kernels'], a[href*='colab.research']")


@pytest.mark.parametrize("page", LABS)
def test_a_lab_page_shows_verdicts_and_no_solution(built_book, page):
    shown = built_book.page(page)
    assert len(shown.select(".cell_output .verdict")) >= 3
    assert "BEGIN SOLUTION" not in shown.text
    assert "NotImplementedError" in shown.text


@pytest.mark.parametrize("page", pages())
def test_a_page_shows_its_level_time_goals_and_needs(built_book, page):
    facts, told = pages()[page], built_book.page(page).select_one(".course-facts")
    badges = [badge.text for badge in told.select(".course-badge")]
    assert badges == [facts.level.capitalize(), f"about {facts.minutes} minutes"]
    assert len(told.select("li")) == len(facts.goals) + len(facts.needs)


@pytest.mark.parametrize("page", pages())
def test_figures_are_numbered_captioned_and_shown_in_both_themes(built_book, page):
    for figure in built_book.page(page).select("figure.course-figure"):
        number = figure.select_one(".caption-number").text
        assert re.match(rf"Figure {int(page.split('/')[1][2:4])}\.\d+", number)
        assert figure.select_one(".caption-text").text.strip()
        drawings = figure.select("img")
        themes = [set(image["class"]) & {"only-light", "only-dark"} for image in drawings]
        assert themes == [{"only-light"}, {"only-dark"}]
        assert drawings[0]["alt"] == drawings[1]["alt"] != ""


@pytest.mark.parametrize("chapter", chapters(), ids=lambda c: c.folder)
def test_a_chapters_contents_list_its_pages_and_labs_with_their_facts(built_book, chapter):
    page = built_book.page(f"book/{chapter.folder}/index")
    items = page.select(".course-contents .course-item")
    assert len(items) == len(chapter.pages) + len(published(chapter))
    for item, lab in zip(items[len(chapter.pages) :], published(chapter), strict=True):
        assert lab.title in item.text
        assert f"{points(lab)} points" in item.text
        assert item.select_one("a")["href"].endswith(f"{lab.stem}.html")
    assert bool(page.select(".course-milestone")) == bool(chapter.milestone)
    assert page.select_one('#flashcards a[href="deck.html"]')
    assert built_book.page(f"book/{chapter.folder}/deck").select("details.flashcard")


def test_the_landing_page_leads_to_every_chapter(built_book):
    links = {a["href"] for a in built_book.page("book/index").select(".course-contents a")}
    assert links == {f"{chapter.folder}/index.html" for chapter in chapters()}


def test_the_titles_of_the_roadmaps_steps_are_no_links_to_the_glossary(built_book):
    roadmap = built_book.page("book/roadmap")
    assert roadmap.select(".arc-title")
    assert roadmap.select(".glossary-term")
    assert not roadmap.select(".arc-title a")


def test_the_root_of_the_book_leads_to_its_landing_page(built_book):
    assert "book/index.html" in (built_book.html / "index.html").read_text(encoding="utf-8")


def test_no_page_of_the_students_edition_holds_a_solution_marker(built_book):
    for file in built_book.html.rglob("notebooks/**/*.html"):
        assert "BEGIN SOLUTION" not in file.read_text(encoding="utf-8"), file.name


@pytest.mark.parametrize("page", LABS)
def test_the_instructors_edition_folds_the_solutions(instructors_book, page):
    shown = instructors_book.page(page)
    folded = [cell for cell in shown.select("details") if "The course’s solution" in cell.text.replace("'", "’")]
    assert len(folded) >= 3
    assert all(not cell.has_attr("open") for cell in folded)
    assert "BEGIN SOLUTION" in shown.text
