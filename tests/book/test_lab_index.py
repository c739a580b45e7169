"""The index of labs: it filters by level, time and hardware, says how many are left, and is whole without scripts."""

ROWS = "".join(
    f'<tr data-level="{level}" data-minutes="{minutes}" data-hardware="{hardware}"><td>{name}</td></tr>'
    for name, level, minutes, hardware in [
        ("a", "intermediate", 45, "cpu"),
        ("b", "advanced", 60, "gpu"),
        ("c", "advanced", 90, "cpu"),
    ]
)
PAGE = f"""<course-lab-index data-levels="intermediate advanced expert" data-hardware="cpu gpu tpu">
<table class="lab-index"><tbody>{ROWS}</tbody></table></course-lab-index>
<script type=module src=/_static/js/lab_index.js></script>"""


def left(page):
    return [cell.inner_text() for cell in page.locator("td:visible").all()]


def test_filters_narrow_together_and_say_what_is_left(open_source):
    page = open_source(PAGE)
    assert left(page) == ["a", "b", "c"]
    assert page.inner_text("[role=status]") == "3 of 3 labs, about 3 hours."
    page.get_by_label("Level").select_option("advanced")
    assert left(page) == ["b", "c"]
    page.get_by_label("Hardware").select_option("cpu")
    assert left(page) == ["c"]
    page.get_by_label("Time").select_option(label="up to 60 minutes")
    assert left(page) == []
    assert "No lab fits" in page.inner_text("[role=status]")
    page.get_by_label("Level").select_option("")
    assert left(page) == ["a"]


def test_without_scripts_all_labs_are_there(open_source):
    assert left(open_source(PAGE, java_script_enabled=False)) == ["a", "b", "c"]
