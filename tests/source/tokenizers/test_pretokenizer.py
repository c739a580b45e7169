"""GPT-2's pieces, against Hugging Face's pre-tokenizer, a naive twin, and cases to check by eye."""

import pytest
from gpt2_references import in_tiktoken, in_tokenizers, texts
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers.pre_tokenizers import ByteLevel

from source.tokenizers.pretokenizer import pieces, pieces_naive

REFERENCE = ByteLevel(add_prefix_space=False)


def hugging_faces(text):
    return [text[a:b] for _, (a, b) in REFERENCE.pre_tokenize_str(text)]


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("", []),
        ("It's  2 cats", ["It", "'s", " ", " 2", " cats"]),
        ("we'LL we’ll", ["we", "'", "LL", " we", "’", "ll"]),
        ("a\n\n b  ", ["a", "\n\n", " b", "  "]),
        ("a\nb", ["a", "\n", "b"]),
        ("x_1 ½", ["x", "_", "1", " ½"]),
        ("\xa0 a", ["\xa0", " a"]),
        ("नमस्ते", ["नमस", "्", "त", "े"]),
    ],
)
def test_known_cuts(text, cut):
    assert pieces(text) == pieces_naive(text) == cut


@settings(max_examples=300, deadline=None)
@given(texts)
def test_pieces_are_hugging_faces_and_the_naive_twins_and_joined_they_are_the_text(text):
    assert pieces(text) == hugging_faces(text) == pieces_naive(text)
    assert "".join(pieces(text)) == text


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(max_codepoint=127), max_size=40) | st.text(st.sampled_from("a1' \n\tstd!"), max_size=20))
def test_ascii_text_is_cut_as_it_is_with_another_letter_behind_it(text):
    assert pieces(text) == hugging_faces(text)
    assert pieces(text + "!é")[: len(pieces(text + "!"))] == pieces(text + "!")


def test_every_code_point_is_cut_as_in_both_libraries():
    # Beside a letter and a numeral its kind shows: it joins the one that it is like, or none.
    every = [chr(n) for n in range(0x110000) if not 0xD800 <= n < 0xE000]
    for start in range(0, len(every), 20_000):
        text = "".join(f"a{c}1{c}\n" for c in every[start : start + 20_000])
        assert pieces(text) == hugging_faces(text)


def test_both_libraries_know_the_version_of_unicode_that_the_pieces_are_pinned_to():
    newest_letter, not_yet = "\U00010d4a", "\U00010940"  # Garay came with Unicode 16, Sidetic with 17
    for character, count in ((newest_letter, 1), (not_yet, 3)):
        text = f"a{character}a"
        assert len(pieces(text)) == len(hugging_faces(text)) == count
        assert in_tiktoken().encode_ordinary(text) == in_tokenizers().encode(text).ids
