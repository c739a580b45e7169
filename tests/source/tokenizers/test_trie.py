"""The trie against its slower twins, the fewest tokens against trying every cut, and what each of them reads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source.tokenizers.counting import CountedText
from source.tokenizers.trie import Trie, fewest_tokens, fewest_tokens_naive, tokenize_hashed, tokenize_naive

TOKENS = st.lists(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=12, unique=True)
TEXT = st.text("abcd", max_size=14)


def numbered(tokens):
    return {token: i for i, token in enumerate(tokens)}


@given(TOKENS, TEXT)
def test_three_ways_of_searching_give_the_same_ids(tokens, text):
    ids = numbered(tokens)
    expected = tokenize_naive(text, ids, -1)
    assert Trie(ids).tokenize(text, -1) == expected
    assert tokenize_hashed(text, ids, -1) == expected


@given(TOKENS, TEXT)
def test_prefixes_are_all_the_tokens_that_stand_at_a_place(tokens, text):
    ids = numbered(tokens)
    trie = Trie(ids)
    for start in range(len(text) + 1):
        standing = sorted((len(token), i) for token, i in ids.items() if text.startswith(token, start))
        assert list(trie.prefixes(text, start)) == standing
        assert trie.longest_prefix(text, start) == (standing[-1] if standing else (0, None))


@given(TOKENS, st.text("abc", max_size=10))
def test_the_fewest_tokens_are_those_found_by_trying_every_cut(tokens, text):
    ids = numbered(tokens)
    try:
        expected = fewest_tokens_naive(text, ids)
    except ValueError:
        with pytest.raises(ValueError, match="no sequence of tokens"):
            fewest_tokens(text, ids)
        return
    assert fewest_tokens(text, ids) == expected
    greedy = Trie(ids).tokenize(text, -1)
    assert -1 in greedy or len(expected) <= len(greedy)


def test_longest_match_can_need_more_tokens_and_can_get_stuck():
    ids = numbered(["a", "b", "ab", "abc", "cde", "d", "e"])
    assert Trie(ids).tokenize("abcde", -1) == [3, 5, 6]
    assert fewest_tokens("abcde", ids) == [2, 4]
    ids = numbered(["ab", "abc", "cd"])
    assert Trie(ids).tokenize("abcd", -1) == [1, -1]
    assert fewest_tokens("abcd", ids) == [0, 2]


def test_a_trie_reads_each_step_once_and_does_not_mind_a_long_entry():
    ids = numbered(["a", "b", "ab", "-" * 100])
    trie, hashed = CountedText("ab" * 50), CountedText("ab" * 50)
    Trie(ids).tokenize(trie, -1)
    tokenize_hashed(hashed, ids, -1)
    assert trie.read == 3 * 50 - 1  # a, b, and the a at which the walk ends
    assert hashed.read > 20 * trie.read


def test_the_nodes_of_a_trie_are_the_different_beginnings_of_its_tokens():
    tokens = ["a", "ab", "abc", "b", "bc"]
    assert Trie(numbered(tokens)).nodes() == 1 + len({t[:n] for t in tokens for n in range(1, len(t) + 1)})


def test_an_empty_token_is_refused():
    with pytest.raises(ValueError, match="matches everywhere"):
        Trie({"": 0})
