"""The course's byte-pair encoding against its naive twins and against Hugging Face's trainer and encoder."""

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from source.tokenizers import bpe

LETTERS = "abcd"
# Few letters, many repeats: ties and runs are the rule.
words = st.lists(st.integers(0, 3), max_size=9).map(tuple)
corpora = st.dictionaries(words, st.integers(1, 6), max_size=12)
tables = st.builds(lambda counts, n: bpe.train_naive(counts, n, 4), corpora, st.integers(0, 25))


def hugging_face(counts, merges, **more):
    """(merges as pairs of ids, the tokenizer) that Hugging Face learns from the same words over the same letters."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.BpeTrainer(
        vocab_size=len(LETTERS) + merges, initial_alphabet=list(LETTERS), show_progress=False, **more
    )
    texts = ["".join(LETTERS[i] for i in word) for word, count in counts.items() for _ in range(count)]
    tokenizer.train_from_iterator(texts, trainer)
    ids = tokenizer.get_vocab()
    state = json.loads(tokenizer.to_str())
    return [((ids[a], ids[b]), ids[a + b]) for a, b in state["model"]["merges"]], tokenizer


@given(corpora, st.integers(0, 25), st.integers(1, 4))
@settings(max_examples=300, deadline=None)
def test_the_fast_trainer_learns_what_the_naive_one_learns_in_the_same_order(counts, merges, min_count):
    fast = bpe.train(counts, merges, 4, min_count=min_count)
    assert list(fast.items()) == list(bpe.train_naive(counts, merges, 4, min_count=min_count).items())


@given(corpora, st.integers(0, 25), st.integers(1, 4))
@settings(max_examples=150, deadline=None)
def test_hugging_face_learns_the_same_merges(counts, merges, min_count):
    theirs, _ = hugging_face(counts, merges, min_frequency=min_count)
    assert list(bpe.train(counts, merges, 4, min_count=min_count).items()) == theirs


@given(corpora)
@settings(max_examples=50, deadline=None)
def test_by_default_hugging_face_stops_where_the_course_stops(counts):
    theirs, _ = hugging_face(counts, 500)
    assert list(bpe.train(counts, 500, 4).items()) == theirs


@given(corpora, st.integers(0, 25), st.lists(st.integers(0, 3), min_size=1, max_size=40))
@settings(max_examples=100, deadline=None)
def test_hugging_face_encodes_the_same(counts, merges, ids):
    _, tokenizer = hugging_face(counts, merges)
    table = bpe.train(counts, merges, 4)
    assert bpe.encode(ids, table) == tokenizer.encode("".join(LETTERS[i] for i in ids)).ids


@given(tables, st.lists(st.integers(0, 5), max_size=60))
@settings(max_examples=400, deadline=None)
def test_the_heap_encodes_what_the_naive_loop_encodes(table, ids):
    ids = [i if i < 4 else 0 for i in ids] + [0] * (len(ids) % 7)  # runs at the end, of every length
    assert bpe.encode(ids, table) == bpe.encode_naive(ids, table)


@st.composite
def any_tables(draw):
    """Tables that no training gives: pairs in any order, as long as a new id is larger than its parts."""
    table = {}
    for new_id in range(4, 4 + draw(st.integers(0, 12))):
        table.setdefault((draw(st.integers(0, new_id - 1)), draw(st.integers(0, new_id - 1))), new_id)
    return table


@given(any_tables(), st.lists(st.integers(0, 15), max_size=40))
@settings(max_examples=400, deadline=None)
def test_the_heap_encodes_as_the_naive_loop_with_any_table_and_ids_already_merged(table, ids):
    assert bpe.encode(ids, table) == bpe.encode_naive(ids, table)


@given(tables, st.lists(st.integers(0, 3), max_size=60))
@settings(max_examples=200, deadline=None)
def test_what_is_encoded_expands_to_what_went_in(table, ids):
    spelled = bpe.expand(table, {i: (i,) for i in range(4)})
    assert [j for i in bpe.encode(ids, table) for j in spelled[i]] == ids


@given(corpora, st.integers(0, 25))
@settings(max_examples=200, deadline=None)
def test_no_two_merges_spell_the_same(counts, merges):
    spelled = bpe.expand(bpe.train(counts, merges, 4), {i: (i,) for i in range(4)})
    assert len(set(spelled.values())) == len(spelled)


@given(corpora, st.integers(0, 25))
@settings(max_examples=200, deadline=None)
def test_encoding_a_training_word_gives_what_training_made_of_it(counts, merges):
    table = bpe.train(counts, merges, 4)
    index = bpe.PairIndex.of(counts)
    for pair, new_id in table.items():
        bpe.apply_merge(index, pair, new_id)
    assert index.words == [bpe.encode(word, table) for word in counts]


@given(corpora, st.integers(1, 8))
@settings(max_examples=200, deadline=None)
def test_the_index_stays_what_a_recount_says_and_counts_only_fall(counts, merges):
    index = bpe.PairIndex.of(counts)
    for pair, new_id in bpe.train(counts, merges, 4).items():
        before = dict(index.totals)
        created = bpe.apply_merge(index, pair, new_id)
        now = {tuple(word): count for word, count in zip(index.words, index.weights, strict=True)}
        assert index.totals == bpe.pair_counts(now)
        assert created == {p for p in index.totals if new_id in p} == index.totals.keys() - before.keys()
        assert all(count <= before[p] for p, count in index.totals.items() if p in before)
        assert index.where.keys() == index.totals.keys()
        for p in index.totals:
            assert index.where[p] == {i for i, word in enumerate(index.words) if p in pairwise(word)}


class Watched(list):
    """A list that remembers which places were read."""

    def __init__(self, items):
        super().__init__(items)
        self.read = set()

    def __getitem__(self, i):
        self.read.add(i)
        return super().__getitem__(i)


def test_a_merge_reads_only_words_that_hold_the_pair():
    counts = {(0, 1): 3, (2, 3): 5, (0, 1, 0, 1): 1, (1, 0): 2}
    index = bpe.PairIndex.of(counts)
    index.words = Watched(index.words)
    bpe.apply_merge(index, (0, 1), 4)
    assert index.words.read == {0, 2}


def test_pairs_are_counted_by_words_and_runs_overlap():
    assert bpe.pair_counts({(0, 0, 0): 2, (0, 1): 3, (1,): 7, (): 1}) == {(0, 0): 4, (0, 1): 3}


@pytest.mark.parametrize(
    ("ids", "merged"),
    [
        ([0, 0, 0], [9, 0]),
        ([0, 0, 0, 0], [9, 9]),
        ([0] * 5, [9, 9, 0]),
        ([], []),
        ([0], [0]),
        ((1, 0, 0), [1, 9]),
        ([9, 0, 0], [9, 9]),
    ],
)
def test_a_run_is_merged_from_the_left(ids, merged):
    assert bpe.merge(ids, (0, 0), 9) == merged


def test_what_a_merge_made_is_not_merged_again_in_the_same_pass():
    assert bpe.merge([1, 2, 2, 2], (1, 2), 1) == [1, 2, 2]


def test_of_equal_counts_the_smallest_pair_wins():
    assert list(bpe.train({(3, 2): 2, (0, 3): 2, (0, 2): 2, (1, 0): 1}, 2, 4)) == [(0, 2), (0, 3)]


def test_training_stops_when_nothing_is_left_to_merge():
    assert bpe.train({(0, 1): 1, (2,): 9, (): 1}, 10, 3) == {(0, 1): 3}
    assert bpe.train({}, 10, 0) == {}
    assert bpe.train({(0, 1): 1}, 10, 3, min_count=2) == {}


@pytest.mark.parametrize("train", [bpe.train, bpe.train_naive])
def test_what_cannot_be_trained_is_refused_with_the_remedy(train):
    with pytest.raises(ValueError, match="ids up to 7: give 8 or more"):
        train({(0, 7): 1}, 1, 7)
    with pytest.raises(ValueError, match="give 0 or more"):
        train({(0, 1): 1}, -1, 2)
    with pytest.raises(ValueError, match="leave out words that do not occur"):
        train({(0, 1): 0}, 1, 2)


def test_expand_spells_bytes_strings_and_tuples():
    merges = {(0, 1): 2, (2, 0): 3}
    assert bpe.expand(merges, {0: b"a", 1: b"b"}) == {0: b"a", 1: b"b", 2: b"ab", 3: b"aba"}
    assert bpe.expand(merges, {0: "a", 1: "b"})[3] == "aba"
    assert bpe.expand(merges, {0: (0,), 1: (1,)})[3] == (0, 1, 0)


def test_expand_names_the_id_that_nothing_explains():
    with pytest.raises(ValueError, match="uses id 1, which is neither"):
        bpe.expand({(0, 1): 2}, {0: b"a"})
