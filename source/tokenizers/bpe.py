"""Byte-pair encoding over words of integer ids: training, encoding, expansion. It knows no text, bytes or files.

A word is a tuple of ids of some base alphabet (bytes, letters). A merge table maps a pair of neighbouring ids to the
id that replaces it. New ids count up from `first_id`, so a merge's new id is its rank: lower means learned earlier.

- Gage (1994), A New Algorithm for Data Compression: the replacement of the most frequent pair.
- Sennrich et al. (2016), Neural Machine Translation of Rare Words with Subword Units, section 3.2 and algorithm 1:
  pair counts over words weighted by how often each word occurs.
"""

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeVar

Word = tuple[int, ...]
Pair = tuple[int, int]
Merges = dict[Pair, int]
Spelling = TypeVar("Spelling", bytes, str, tuple)


def pair_counts(counts: Mapping[Word, int]) -> dict[Pair, int]:
    """How often each pair of neighbours occurs, every word counted as often as it occurs: {(1, 1, 1): 5} -> (1, 1): 10.

    In a run such as aaa the pair (a, a) occurs twice, though only one of the two can be merged.
    """
    totals: dict[Pair, int] = {}
    for word, count in counts.items():
        for pair in pairwise(word):
            totals[pair] = totals.get(pair, 0) + count
    return totals


def merge(ids: Iterable[int], pair: Pair, new_id: int) -> list[int]:
    """The ids with every occurrence of the pair replaced, from left to right: aaa with (a, a) -> A becomes Aa."""
    out: list[int] = []
    left, right = pair
    fresh = False  # the last id of `out` was made by this merge, so it takes no part in another
    for i in ids:
        if out and not fresh and i == right and out[-1] == left:
            out[-1] = new_id
            fresh = True
        else:
            out.append(i)
            fresh = False
    return out


def train_naive(counts: Mapping[Word, int], merges: int, first_id: int, *, min_count: int = 1) -> Merges:
    """What `train` returns, with all pairs counted anew at every step: O(merges * ids of all words)."""
    _check(counts, merges, first_id)
    learned: Merges = {}
    words: Mapping[Word, int] = counts
    while len(learned) < merges:
        totals = pair_counts(words)
        if not totals:
            break
        best = min(totals, key=lambda pair: (-totals[pair], pair))
        if totals[best] < min_count:
            break
        learned[best] = first_id + len(learned)
        words = {tuple(merge(word, best, learned[best])): count for word, count in words.items()}
    return learned


@dataclass
class PairIndex:
    """Words, the counts of their pairs, and which words hold each pair. `apply_merge` keeps all four in step."""

    words: list[list[int]] = field(default_factory=list)
    weights: list[int] = field(default_factory=list)  # how often word i occurs
    totals: dict[Pair, int] = field(default_factory=dict)  # pairs that occur, weighted; none with a count of 0
    where: dict[Pair, set[int]] = field(default_factory=dict)  # pair -> the indices of the words that hold it

    @classmethod
    def of(cls, counts: Mapping[Word, int]) -> "PairIndex":
        """The index of words as they are before any merge."""
        index = cls([list(word) for word in counts], list(counts.values()), pair_counts(counts))
        for i, word in enumerate(index.words):
            for pair in pairwise(word):
                index.where.setdefault(pair, set()).add(i)
        return index


def apply_merge(index: PairIndex, pair: Pair, new_id: int) -> set[Pair]:
    """Replace the pair in every word and correct the counts, looking at no word that does not hold the pair.

    Changes the index in place. Returns the pairs that now exist and did not before: each has new_id on a side.
    """
    created: set[Pair] = set()
    totals, where = index.totals, index.where
    for i in list(where.get(pair, ())):  # a copy: the set shrinks meanwhile
        weight, old = index.weights[i], index.words[i]
        new = index.words[i] = merge(old, pair, new_id)
        for p in pairwise(old):
            totals[p] -= weight
            if not totals[p]:
                del totals[p]
        for p in set(pairwise(old)):
            where[p].discard(i)
            if not where[p]:
                del where[p]
        for p in pairwise(new):
            totals[p] = totals.get(p, 0) + weight
            where.setdefault(p, set()).add(i)
            if new_id in p:
                created.add(p)
    return created


def train(counts: Mapping[Word, int], merges: int, first_id: int, *, min_count: int = 1) -> Merges:
    """Learn up to `merges` merges: each time the most frequent pair, and of equals the smallest pair by its ids.

    counts: how often each word occurs. first_id: larger than every id in the words. min_count: stop when the best pair
    occurs less often; 1 goes on until no pair is left. Returns pair -> new id in the order learned. Hugging Face's
    BpeTrainer learns the same with the same ids (its min_frequency is min_count, its default merges to the end too).
    Raises ValueError for a bad first_id, a negative number of merges, or a count below 1.
    """
    _check(counts, merges, first_id)
    return train_index(PairIndex.of(counts), merges, first_id, min_count=min_count)


def train_index(index: PairIndex, merges: int, first_id: int, *, min_count: int = 1) -> Merges:
    """`train` on an index, which afterwards holds the merged words. Only words that hold a merged pair are touched.

    A heap finds the best pair. Its entries may be stale: a pair's count never grows after the merge that made its newer
    id, so a stale entry can only come up too early, and is then put back with its present count.
    """
    heap = [(-count, pair) for pair, count in index.totals.items()]
    heapq.heapify(heap)
    learned: Merges = {}
    while heap and len(learned) < merges:
        entry, pair = heapq.heappop(heap)
        count = index.totals.get(pair, 0)
        if count != -entry:
            if count:
                heapq.heappush(heap, (-count, pair))
            continue
        if count < min_count:
            break
        learned[pair] = first_id + len(learned)
        for fresh in apply_merge(index, pair, learned[pair]):
            heapq.heappush(heap, (-index.totals[fresh], fresh))
    return learned


def encode_naive(ids: Iterable[int], merges: Mapping[Pair, int]) -> list[int]:
    """What `encode` returns: look at all pairs, merge the one of lowest rank everywhere, and look again. O(n²)."""
    ids = list(ids)
    while known := [pair for pair in pairwise(ids) if pair in merges]:
        first = min(known, key=merges.__getitem__)
        ids = merge(ids, first, merges[first])
    return ids


def encode(ids: Iterable[int], merges: Mapping[Pair, int]) -> list[int]:
    """Apply a merge table to one word, lowest rank first and equal ranks from the left: O(n log n) for n ids.

    merges: as `train` returns it; each new id is larger than the two that it replaces. Ids are not negative.
    The pairs wait in a heap, the ids stand in a linked list. An entry whose pair is gone by now is dropped when it
    comes up.
    """
    ids = list(ids)
    n = len(ids)
    before, after = list(range(-1, n - 1)), list(range(1, n + 1))  # the neighbours of each place; -1 and n: none
    heap = [(merges[pair], i) for i, pair in enumerate(pairwise(ids)) if pair in merges]
    heapq.heapify(heap)
    while heap:
        new_id, i = heapq.heappop(heap)
        j = after[i]
        if j == n or merges.get((ids[i], ids[j])) != new_id:
            continue
        ids[i], ids[j] = new_id, -1  # place j is gone: no pair holds a -1
        after[i] = k = after[j]
        if k < n:
            before[k] = i
            if (rank := merges.get((new_id, ids[k]))) is not None:
                heapq.heappush(heap, (rank, i))
        h = before[i]
        if h >= 0 and (rank := merges.get((ids[h], new_id))) is not None:
            heapq.heappush(heap, (rank, h))
    return [i for i in ids if i >= 0]


def expand(merges: Mapping[Pair, int], base: Mapping[int, Spelling]) -> dict[int, Spelling]:
    """What every id stands for, so that a text is the concatenation of its ids' spellings.

    base: id -> spelling of the base alphabet, bytes, strings or tuples alike. Returns base and one more entry a merge.
    Raises ValueError when a merge uses an id that neither base nor an earlier merge explains.
    """
    spelled = dict(base)
    for (left, right), new_id in sorted(merges.items(), key=lambda item: item[1]):
        for part in (left, right):
            if part not in spelled:
                raise ValueError(
                    f"the merge ({left}, {right}) -> {new_id} uses id {part}, which is neither in the base alphabet "
                    "nor made by an earlier merge: give `expand` the alphabet that the table was trained on"
                )
        spelled[new_id] = spelled[left] + spelled[right]
    return spelled


def _check(counts: Mapping[Word, int], merges: int, first_id: int) -> None:
    largest = max((max(word) for word in counts if word), default=-1)
    if first_id <= largest:
        raise ValueError(f"first_id is {first_id}, but the words use ids up to {largest}: give {largest + 1} or more")
    if merges < 0:
        raise ValueError(f"{merges} merges: give 0 or more")
    if any(count < 1 for count in counts.values()):
        word, count = next((w, c) for w, c in counts.items() if c < 1)
        raise ValueError(f"the word {word} has a count of {count}: leave out words that do not occur")
