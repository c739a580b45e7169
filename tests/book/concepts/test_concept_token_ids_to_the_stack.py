"""The card on token ids: its tokenizer is the course's with fewer merges, and its rows are those that the ids fetch."""

import pytest

from book.concepts.figures_token_ids_to_the_stack import MERGES, embedding, tokenizer
from source.corpus import shakespeare
from source.tokenizers.shipped import course_tokenizer

TEXTS = [
    "to be or not to be",
    "",
    " ",
    "It's  2 cats, o'er the   hill; we'll see!",
    "naïve café",
    "日本語 🙂🙂",
    "aaaaaaa ththth THE",
    "x\t y \n\n z ",
]


def test_the_merges_are_the_first_of_the_files(card, course_merges):
    shown = card("token_ids_to_the_stack")
    found = shown.page.evaluate("() => import('/book/concepts/merges_table.js').then(m => m.MERGES)")
    assert [tuple(pair) for pair in found] == course_merges[:MERGES]


@pytest.fixture
def course_merges():
    from source.files import data_path
    from source.tokenizers.byte_level_naive import read_merges

    return list(read_merges(data_path("tokenizer/merges.txt").read_text(encoding="utf-8")))


@pytest.mark.parametrize("merges", [0, 1, 100, MERGES])
def test_ids_are_the_course_tokenizers(card, merges):
    shown, python = card("token_ids_to_the_stack"), tokenizer(merges)
    texts = [*TEXTS, shakespeare("validation")[:3000]]
    for text in texts:
        assert shown.call("encode", text, merges) == python.encode(text)


def test_an_id_means_in_the_card_what_it_means_in_the_course(card):
    shown, whole = card("token_ids_to_the_stack"), course_tokenizer()
    for i in (*range(94), 220, 256, 267, 433, 507, 767):
        assert shown.call("shown", i) == whole.decode([i]).replace(" ", "␣")
    assert shown.call("shown", whole.encode("é")[0]) == "C3"


def test_each_id_fetches_its_row_of_the_table(card):
    shown = card("token_ids_to_the_stack")
    found = shown.call("compute", {"words": "the hat on the hat", "merges": MERGES})
    assert found["ids"] == tokenizer().encode("the hat on the hat")
    assert found["x"] == pytest.approx(embedding(found["ids"]), abs=1e-12)
    assert found["x"][1] == found["x"][4]
    assert found["x"][0] != found["x"][3]
    assert len({tuple(row) for row in embedding(list(range(256 + MERGES)))}) == 256 + MERGES


def test_a_typed_text_is_cut_at_once_and_the_field_keeps_the_focus(card):
    shown = card("token_ids_to_the_stack")
    assert "18 bytes became T = 6 tokens" in shown.words()
    field = shown.page.get_by_label("Text", exact=True)
    field.press("End")
    field.press_sequentially(" 🙂")
    assert "23 bytes" in shown.words()
    field.fill("")
    assert "T = 0 tokens" in shown.words()
    field.fill("<b>&")
    assert shown.state()["words"] == "<b>&"
    shown.page.get_by_role("button", name="Reset").click()
    assert field.input_value() == "to be or not to be"


def test_without_merges_each_byte_is_a_token_and_a_long_text_is_counted_though_not_drawn(card):
    shown = card("token_ids_to_the_stack")
    shown.slide("Merges", "Home")
    assert "18 bytes became T = 18 tokens" in shown.words()
    assert "V = 256 rows" in shown.words()
    shown.page.get_by_label("Text", exact=True).fill("🙂" * 8)
    assert "T = 32 tokens" in shown.words()
    assert shown.page.locator(".concept-picture text", has_text="and 12 more rows").count() == 1


def test_the_question_counts_ids_and_explains_other_counts(card):
    shown, ids = card("token_ids_to_the_stack"), tokenizer().encode("the hat on the hat")
    assert shown.answer(str(len(set(ids)))).startswith("Right.")
    assert "fetches the same row" in shown.answer(str(len(ids)))
    assert "different words" in shown.answer("3")
    assert "counts characters" in shown.answer(str(len(set("the hat on the hat"))))
    assert "column of ids" in shown.answer("17")


def test_on_a_phone_it_fits(card):
    shown = card("token_ids_to_the_stack", width=390)
    shown.page.get_by_label("Text", exact=True).fill("Thou art a very ragged Wart. W")
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 390
