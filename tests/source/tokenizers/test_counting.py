"""Counted texts read like plain ones, and no way of reading them goes uncounted."""

import pytest

from source.tokenizers.counting import CountedText, CountedWord, Tally, TooMuchWork


def test_a_counted_text_reads_like_the_text():
    text = CountedText("abcde")
    assert (len(text), text[1], text[-1], text[1:4], "".join(text)) == (5, "b", "e", "bcd", "abcde")
    assert text == "abcde"
    assert text == CountedText("abcde")
    assert {"bcd": 1}[text[1:4]] == 1
    assert text.startswith("cd", 2)
    assert not text.startswith("ef", 4)
    with pytest.raises(IndexError):
        text[5]


def test_characters_slices_and_comparisons_are_counted():
    text = CountedText("abcde")
    text[0]
    assert text.read == 1
    text[1:4]
    assert text.read == 4
    text.startswith("abx")
    assert text.read == 7
    text.startswith("x")
    assert text.read == 8


def test_what_was_cut_out_goes_on_counting():
    text = CountedText("abcde")
    rest = text[1:]
    rest[1:][0]
    rest.startswith("b")
    assert text.read == 4 + 3 + 1 + 1


def test_reading_without_end_is_stopped():
    text = CountedText("ab", limit=10)
    text[:]
    assert [text[0] for _ in range(8)] == ["a"] * 8
    with pytest.raises(TooMuchWork, match="11 characters"):
        text[1]


def test_a_counted_word_counts_hashes_and_comparisons():
    tally = Tally()
    table = {CountedWord("a", tally): 1}
    assert tally.count == 1
    assert table[CountedWord("a", tally)] == 1
    assert tally.count == 3  # hashed, then compared
    assert CountedWord("a", tally) in ["b", "c", "a"]
    assert tally.count == 6
    assert CountedWord("a", tally) != "b"
