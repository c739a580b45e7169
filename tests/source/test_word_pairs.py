"""Pairs of words in the plays: counted one by one, they are as many."""

import re
from itertools import pairwise

from source.corpus import shakespeare
from source.word_pairs import WORDS, counts


def test_pairs_counted_one_by_one_are_as_many():
    lines = [line for line in shakespeare("train").split("\n") if not re.fullmatch(r"[A-Z][^a-z]*:", line)]
    words = re.findall(r"[a-z']+|[.,;:?!]", "\n".join(lines).lower())
    for left, right in ((".", "the"), ("i", "have"), ("the", "king"), ("the", "the"), ("what", "what"), (".", ".")):
        there = sum(pair == (left, right) for pair in pairwise(words))
        assert counts()[WORDS.index(left), WORDS.index(right)] == there


def test_each_word_has_a_row_and_a_column():
    assert counts().shape == (len(WORDS), len(WORDS))
    assert len(set(WORDS)) == len(WORDS)
    assert (counts().sum(axis=1) > 0).all()
