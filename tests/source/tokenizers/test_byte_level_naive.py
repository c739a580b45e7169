"""The tokenizer on strings, against tiktoken and on cases to check by hand."""

import pytest
from gpt2_references import gpt2_files, in_tiktoken, texts
from hypothesis import given, settings

from source.files import data_path
from source.tokenizers.byte_level import END_OF_TEXT
from source.tokenizers.byte_level_naive import Tokenizer, merge_word, read_merges

VOCAB, MERGES = gpt2_files()
NAIVE = Tokenizer(VOCAB, {pair: rank for rank, pair in enumerate(MERGES)}, [END_OF_TEXT])


def test_merges_are_read_in_order_and_a_merge_of_hashes_is_one():
    ranks = read_merges(data_path("gpt2_tokenizer/vocab.bpe").read_text(encoding="utf-8"))
    assert list(ranks) == MERGES
    assert list(ranks.values()) == list(range(50000))
    assert ("#", "#") in ranks
    assert read_merges("# #\na b") == {("#", "#"): 0, ("a", "b"): 1}
    assert read_merges("#version: 0.2\n") == {}


def test_a_line_that_is_no_merge_is_named():
    with pytest.raises(ValueError, match="line 2 of the merges is 'a b c'"):
        read_merges("a b\na b c\n")


def test_the_lowest_rank_is_merged_first_and_runs_from_the_left():
    assert merge_word("lower", {("l", "o"): 0, ("e", "r"): 1, ("lo", "w"): 2}) == ["low", "er"]
    assert merge_word("aaaaa", {("a", "a"): 0}) == ["aa", "aa", "a"]
    assert merge_word("", {}) == []


@settings(max_examples=60, deadline=None)
@given(texts)
def test_ids_are_tiktokens_and_decode_gives_the_text(text):
    assert NAIVE.encode(text) == in_tiktoken().encode_ordinary(text)
    allowed = NAIVE.encode(text, {END_OF_TEXT})
    assert allowed == in_tiktoken().encode(text, allowed_special="all")
    assert NAIVE.decode(allowed) == text
