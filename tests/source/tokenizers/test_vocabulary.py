"""The vocabulary: one order for one set of counts, losses that are counted, specials that no text can forge."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source.tokenizers.counting import CountedWord, Tally
from source.tokenizers.vocabulary import Vocabulary, ordered_tokens, split_special, split_words

SPECIALS = ["<unk>", "<eos>"]
WORDS = st.lists(st.text("ab<eos>", min_size=1, max_size=5), max_size=40)


def test_words_keep_apostrophes_and_signs_stand_alone():
    assert split_words("Don't go, Tom!\n'Tis I.") == ["Don't", "go", ",", "Tom", "!", "'", "Tis", "I", "."]
    assert split_words(" \n") == []


@given(WORDS, st.randoms(use_true_random=False))
def test_the_order_of_the_text_does_not_change_the_list(words, random):
    shuffled = random.sample(words, len(words))
    assert ordered_tokens(words, SPECIALS) == ordered_tokens(shuffled, SPECIALS)


@given(WORDS, st.integers(2, 8), st.integers(1, 3))
def test_what_is_left_out_is_never_more_frequent_than_what_is_kept(words, size, min_count):
    tokens = ordered_tokens(words, SPECIALS, size, min_count)
    kept = tokens[len(SPECIALS) :]
    assert tokens[: len(SPECIALS)] == SPECIALS
    assert len(tokens) <= size
    assert len(set(tokens)) == len(tokens)
    assert all(words.count(word) >= min_count for word in kept)
    if len(tokens) == size and kept:
        left = set(words) - set(tokens)
        assert all((-words.count(a), a) > (-words.count(kept[-1]), kept[-1]) for a in left)


def test_specials_that_do_not_fit_are_told():
    with pytest.raises(ValueError, match="no room for 2 special tokens"):
        ordered_tokens([], SPECIALS, size=1)


@given(WORDS)
def test_known_words_come_back_and_unknown_ones_are_counted(words):
    vocabulary = Vocabulary([*SPECIALS, "a", "b", "ab"], SPECIALS)
    ids = vocabulary.encode(words)
    assert vocabulary.decode(ids) == [word if word in ("a", "b", "ab") else "<unk>" for word in words]
    assert vocabulary.unknown_counts.total() == ids.count(0)
    assert not Vocabulary(SPECIALS, SPECIALS).unknown_counts


def test_a_text_becomes_a_special_only_where_it_is_allowed():
    vocabulary = Vocabulary(["the", "eos", "<unk>", "<eos>"], SPECIALS)
    assert vocabulary.encode(["<eos>", "<unk>"]) == [2, 2]
    assert vocabulary.encode_text("the <eos>") == [0, 2, 1, 2]
    assert vocabulary.encode_text("the <eos>", allowed=["<eos>"]) == [0, 3]
    with pytest.raises(ValueError, match="no special token"):
        vocabulary.encode_text("the", allowed=["the"])


@pytest.mark.parametrize("wrong", [-1, 4, -4])
def test_an_id_outside_the_vocabulary_is_told(wrong):
    with pytest.raises(ValueError, match=f"{wrong} is no id"):
        Vocabulary(["a", "b", *SPECIALS], SPECIALS).decode([0, wrong])


@pytest.mark.parametrize(
    ("tokens", "specials", "said"),
    [(["a", "a", "<unk>"], ["<unk>"], "twice"), (["a"], [], "unknown words"), (["a"], ["<unk>"], "not among")],
)
def test_a_vocabulary_that_cannot_work_is_refused(tokens, specials, said):
    with pytest.raises(ValueError, match=said):
        Vocabulary(tokens, specials)


def test_encoding_looks_at_a_few_words_however_many_there_are():
    tally = Tally()
    words = [CountedWord(f"w{n}", tally) for n in range(1000)]
    vocabulary = Vocabulary([*SPECIALS, *words], SPECIALS)
    before = tally.count
    vocabulary.encode([CountedWord(f"w{n}", tally) for n in range(1000)])
    assert tally.count - before <= 3 * 1000


@given(
    st.text("<eos>|[(.*", max_size=30),
    st.lists(st.sampled_from(["<eos>", "<e", "|", "[(", ".*", "s>|"]), max_size=4, unique=True),
)
def test_pieces_spell_the_text_and_are_cut_as_by_hand(text, specials):
    pieces = split_special(text, specials)
    assert "".join(piece for piece, _ in pieces) == text
    at, by_hand = 0, []
    while at < len(text):
        here = max((s for s in specials if text.startswith(s, at)), key=len, default="")
        by_hand.append((here or text[at], bool(here)))
        at += len(here) or 1
    together = []  # neighbouring ordinary characters are one piece
    for piece, special in by_hand:
        if together and not special and not together[-1][1]:
            piece = together.pop()[0] + piece
        together.append((piece, special))
    assert pieces == together


def test_a_special_with_signs_of_patterns_is_taken_literally():
    assert split_special("a|b<|x|>", ["<|x|>"]) == [("a|b", False), ("<|x|>", True)]
    with pytest.raises(re.error):
        re.split("([)", "")  # what the escape saves us from
    assert split_special("a[", ["["]) == [("a", False), ("[", True)]
