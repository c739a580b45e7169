"""Cutting a text into words loses nothing and keeps spaces in front."""

from hypothesis import given
from hypothesis import strategies as st

from source.tokenizers.words import byte_counts, split


@given(st.text(max_size=60))
def test_the_words_joined_are_the_text(text):
    assert "".join(split(text)) == text


@given(st.text(max_size=60))
def test_every_byte_of_the_text_is_counted(text):
    counts = byte_counts(text)
    assert sum(len(word) * count for word, count in counts.items()) == len(text.encode())


def test_a_word_takes_the_space_before_it():
    assert split("It is, Sir:\n\n  'tis don't") == ["It", " is", ",", " Sir", ":", "\n\n  ", "'tis", " don't"]
