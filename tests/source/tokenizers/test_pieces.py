"""Frequent pieces: every text of the alphabet can be spelled, and the order is always the same."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source.tokenizers.pieces import frequent_pieces
from source.tokenizers.trie import Trie


@given(st.lists(st.text("abcd", min_size=1, max_size=6), min_size=1, max_size=20), st.integers(5, 30))
def test_every_word_can_be_spelled_and_no_piece_comes_twice(words, size):
    pieces = frequent_pieces(Counter(words), size, alphabet="d?")
    assert len(pieces) == len(set(pieces)) <= size
    assert set("".join(words)) | {"d", "?"} <= set(pieces)
    trie = Trie({piece: i for i, piece in enumerate(pieces)})
    assert all(-1 not in trie.tokenize(word, -1) for word in words)


def test_the_piece_that_saves_most_comes_first_after_the_characters():
    # "the" saves two tokens five times; "an" saves one token seven times.
    assert frequent_pieces({"the": 5, "an": 7}, 7) == ["a", "e", "h", "n", "t", "the", "an"]


def test_characters_that_do_not_fit_are_told():
    with pytest.raises(ValueError, match="3 different characters"):
        frequent_pieces({"abc": 1}, 2)
