"""A page's facts are shown under its title, and warnings still name the right line."""

from book._ext.page_facts import pages, with_directive

PAGE = "---\ncourse:\n  order: 1\n  level: expert\n  minutes: 5\n  goals:\n    - a\n    - b\n---\n# Title\n\nText.\n"


def test_the_directive_stands_right_under_the_title():
    lines = [line for line in with_directive(PAGE).splitlines() if line]
    assert lines == ["# Title", "```{page-facts}", "```", "Text."]


def test_the_text_keeps_its_line_numbers():
    assert with_directive(PAGE).splitlines().index("Text.") == PAGE.splitlines().index("Text.")


def test_other_front_matter_is_kept():
    text = with_directive(PAGE.replace("course:", "html_meta:\n  keywords: x\ncourse:"))
    assert "keywords: x" in text
    assert "level: expert" not in text


def test_a_page_without_front_matter_stays_as_it_is():
    assert with_directive("# Title\n") == "# Title\n"


def test_every_page_of_the_book_keeps_its_line_numbers():
    for page in pages().values():
        text = page.file.read_text(encoding="utf-8")
        assert with_directive(text).splitlines()[-1] == text.splitlines()[-1], page.file
        assert len(with_directive(text).splitlines()) == len(text.splitlines()), page.file
