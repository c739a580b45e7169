"""The card on generating: its counts are the plays', it draws in proportion to them, and it finds the greedy loop."""

import numpy as np
import pytest

from book.concepts.figures_one_token_at_a_time import WORDS, counts, following


def test_the_table_is_what_the_plays_say(card):
    shown = card("one_token_at_a_time")
    words, found = shown.page.evaluate("() => import('/book/concepts/bigram_table.js').then(m => [m.WORDS, m.COUNTS])")
    assert words == WORDS
    assert found == counts().tolist()


def test_after_a_text_the_probabilities_are_the_counts_shares_and_sum_to_one(card):
    shown = card("one_token_at_a_time")
    for word in WORDS:
        found = shown.call("following", ["my", word])
        assert found == pytest.approx(following(word).tolist())
        assert sum(found) == pytest.approx(1)


def test_a_number_falls_on_a_token_as_often_as_its_probability_says(card):
    shown, p = card("one_token_at_a_time"), following("you")
    script = """p => import('/book/concepts/one_token_at_a_time.js').then(
        m => Array.from({ length: 2000 }, (_, i) => m.drawnAt(p, (i + 0.5) / 2000)))"""
    drawn = np.bincount(shown.page.evaluate(script, p.tolist()), minlength=len(WORDS)) / 2000
    assert drawn == pytest.approx(p, abs=1 / 1000)
    assert shown.call("drawnAt", [0, 0.3, 0.7, 0], 0) == 1
    assert shown.call("drawnAt", [0, 0.3, 0.7 - 1e-12, 0], 1 - 1e-13) == 2


def test_a_drawn_token_is_appended_and_the_next_distribution_is_its(card):
    shown = card("one_token_at_a_time")
    shown.page.evaluate("() => { Math.random = () => 0.5 }")
    shown.page.get_by_role("button", name="Draw a token").press("Enter")
    expected = WORDS[int(np.searchsorted(following("the").cumsum(), 0.5, side="right"))]
    assert shown.state()["tokens"] == ["the", expected]
    assert shown.words().startswith(f"After “{expected}”")
    shown.page.get_by_role("button", name="Take one back").click()
    shown.page.get_by_role("button", name="Take one back").click()
    assert shown.state()["tokens"] == ["the"]


def test_a_texts_probability_is_the_product_of_its_steps(card):
    found = card("one_token_at_a_time").call("compute", {"tokens": ["my", "good", "lord", "."]})
    steps = [following(left)[WORDS.index(right)] for left, right in [("my", "good"), ("good", "lord"), ("lord", ".")]]
    assert found["steps"] == pytest.approx(steps)
    assert found["log"] == pytest.approx(np.log(steps).sum())


def greedy(tokens: int) -> list[str]:
    text = ["the"]
    while len(text) < tokens:
        text.append(WORDS[int(following(text[-1]).argmax())])
    return text


def test_taking_the_likeliest_runs_into_the_loop_that_python_finds_and_stops_at_sixty(card):
    shown = card("one_token_at_a_time")
    button = shown.page.get_by_role("button", name="Take the likeliest")
    for _ in range(64):
        button.click()
    assert shown.state()["tokens"] == greedy(60)
    assert "enough" in shown.words()


def test_the_question_accepts_the_loops_length_and_explains_other_numbers(card):
    shown, text = card("one_token_at_a_time"), greedy(100)
    period = next(n for n in range(1, 50) if text[-50:] == text[-50 - n : -n])
    assert shown.call("greedyLoop")["period"] == period > 2
    assert shown.answer(str(period)).startswith("Right.")
    assert "not for the first time" in shown.answer(str(2 * period))
    assert "never come again" in shown.answer(str(len(set(text))))
    assert "tokens on stands" in shown.answer(str(period + 1))
    assert "Count tokens" in shown.answer("0")


def test_on_a_phone_it_fits_with_a_long_text(card):
    shown = card("one_token_at_a_time", width=390)
    for _ in range(40):
        shown.page.get_by_role("button", name="Take the likeliest").click()
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 390
    inside = """() => { const all = document.querySelector('.concept-picture'), frame = all.getBoundingClientRect();
        return [...all.querySelectorAll('text')].every(t => t.getBoundingClientRect().right <= frame.right + 1) }"""
    assert shown.page.evaluate(inside)
