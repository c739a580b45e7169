"""Self-check questions: what is incomplete is refused with words; each wrong answer has its own explanation."""

import pytest

from book._ext.self_check import BadQuestion, question

CHOICE = """
<course-self-check><div class="check-ask"><p>Which?</p></div><ol class="check-options">
<li data-right="false"><span class="check-say">A</span>
<details class="check-why"><summary>Why</summary><p>A adds.</p></details></li>
<li data-right="true"><span class="check-say">B</span>
<details class="check-why"><summary>Why</summary><p>B fits.</p></details></li>
</ol></course-self-check><script type="module" src="/_static/js/self_check.js"></script>"""
NUMBER = """
<course-self-check><div class="check-ask"><p>How many?</p></div>
<div class="check-number" data-answer="500" data-within="1"><span class="check-unit">scores</span>
<div class="check-right"><details class="check-why"><summary>Answer</summary><p>500: one a pair.</p></details></div>
<div class="check-wrong" hidden><div data-when="60"><p>That adds.</p></div><div data-when="250"><p>Half.</p></div>
<div class="check-otherwise"><p>Draw it.</p></div></div></div></course-self-check>
<script type="module" src="/_static/js/self_check.js"></script>"""
NUMERIC = "ask: How many?\nanswer: 5\nwithin: 0.5\nwhy: Because.\nwrong: [{when: 6, why: No.}]\notherwise: Think."


def said(page):
    return " ".join(page.inner_text(".concept-verdict").split())


def test_a_whole_question_is_read():
    assert question(NUMERIC)["answer"] == 5
    assert len(question("ask: Q?\noptions: [{say: a, why: b, right: true}, {say: c, why: d}]")["options"]) == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ask: [", "not YAML"),
        ("options: []", "`ask`"),
        ("ask: Q?", "either"),
        ("ask: Q?\nanswer: 1\noptions: [1]", "either"),
        ("ask: Q?\noptions: [{say: a, why: b, right: true}, {say: c}]", "each with"),
        ("ask: Q?\noptions: [{say: a, why: b}, {say: c, why: d}]", "right"),
        ("ask: Q?\noptions: [{say: a, why: b, right: true}, {say: c, why: d, right: true}]", "some wrong"),
        (NUMERIC.replace("answer: 5", "answer: five"), "give a number"),
        (NUMERIC.replace("why: Because.\n", ""), "needs `why`"),
        (NUMERIC.replace("when: 6", "when: 5.5"), "within 0.5"),
    ],
)
def test_a_question_that_lacks_something_is_refused(text, says):
    with pytest.raises(BadQuestion, match=says):
        question(text)


def test_every_option_has_its_own_explanation_and_can_be_chosen_again(open_source):
    page = open_source(CHOICE)
    assert page.is_hidden("text=A adds.")
    page.get_by_role("button", name="A").press("Enter")
    assert said(page) == "No. A adds."
    page.get_by_role("button", name="B").click()
    assert said(page) == "Right. B fits."
    page.get_by_role("button", name="A").click()
    assert said(page) == "No. A adds."
    assert page.get_attribute("button >> nth=0", "aria-pressed") == "true"


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("500", "Right. 500: one a pair."),
        ("499.2", "Right. 500: one a pair."),
        ("60", "No. That adds."),
        ("500/2", "No. Half."),
        ("3,000", "No. Draw it."),
        ("many", "Give a number, such as 2.5, 1,000 or 1/3."),
        ("", "Give a number, such as 2.5, 1,000 or 1/3."),
    ],
)
def test_a_number_is_judged_and_foreseen_mistakes_are_explained(open_source, reply, verdict):
    page = open_source(NUMBER)
    page.get_by_role("textbox").fill(reply)
    page.get_by_role("textbox").press("Enter")
    assert said(page) == verdict


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2.5", 2.5),
        ("2,5", 2.5),
        ("1,000", 1000),
        ("0,125", 0.125),
        ("1 000", 1000),
        ("12,345,678", 12345678),
        ("−3", -3),
        ("1e6", 1e6),
        ("1/4", 0.25),
    ],
)
def test_numbers_are_read_as_people_write_them(open_source, text, value):
    page = open_source("<p>parse</p>")
    assert page.evaluate("t => import('/_static/js/numbers.js').then(m => m.parsed(t))", text) == value


def test_without_scripts_the_answers_can_be_unfolded(open_source):
    page = open_source(CHOICE, java_script_enabled=False)
    page.locator("summary").nth(1).click()
    assert page.is_visible("text=B fits.")
