"""Lab 0.3, the student's half: how counting, merging, training and encoding of byte pairs are driven."""

from collections.abc import Mapping, MutableSequence
from itertools import pairwise

from autograder.acting import WrongType
from autograder.cases import Draw
from autograder.exercise import Case, Exercise, Property
from source.tokenizers import bpe


def corpus(d: Draw, words: int, letters: int, longest: int, most: int = 4) -> dict[str, list]:
    """Different random words of ids below `letters`, and how often each occurs (1 to `most`): many ties and runs."""
    drawn = []
    while len(drawn) < words:
        word = d.rng.integers(0, letters, int(d.rng.integers(1, longest + 1))).tolist()
        if word not in drawn:
            drawn.append(word)
    return {"words": drawn, "counts": d.rng.integers(1, most + 1, words).tolist()}


def by_word(i) -> dict[tuple[int, ...], int]:
    """A case's words and counts as the dictionary that the lab works on."""
    return dict(zip(map(tuple, i["words"]), i["counts"], strict=True))


def listed(name: str, result, what: str) -> list[list[int]]:
    """A dictionary pair -> number as rows [left, right, number], in its own order. Raises WrongType."""
    if not isinstance(result, Mapping):
        raise WrongType(f"{name} returned a {type(result).__name__}, not a dictionary pair -> {what}")
    rows = []
    for pair, number in result.items():
        if not (isinstance(pair, tuple) and len(pair) == 2):
            raise WrongType(f"{name} returned a dictionary with the key {pair!r}, which is not a tuple of two ids")
        rows.append([int(pair[0]), int(pair[1]), int(number)])
    return rows


def _counts_cases():
    d = Draw(31)
    return [
        Case("two words by hand", {"words": [[1, 2, 1, 2], [2, 1]], "counts": [3, 5]}),
        Case("a run", {"words": [[4, 4, 4], [4], [5, 4, 4]], "counts": [2, 9, 1]}),
        Case("a dozen random words", corpus(d, 12, 4, 7)),
    ]


def _counts_act(f, i):
    # An edge shape on which a wrong answer can look right comes together with an ordinary one.
    more = {"pairs of no words": listed("pair_counts", f({}), "count")} if i.get("then none") else {}
    return {"pairs": sorted(listed("pair_counts", f(by_word(i)), "count")), **more}


pair_counts = Exercise(
    name="pair_counts",
    title="Count the pairs",
    minutes=8,
    difficulty=1,
    points=2,
    act=_counts_act,
    visible=_counts_cases,
    forbids=("source.tokenizers.bpe.pair_counts",),
    hints=(
        "Write the pairs of 1 2 1 2 down. How many are there, and how much does each add if the word occurs 3 times?",
        "`itertools.pairwise(word)` gives the neighbours (or `zip(word, word[1:])`); `totals.get(pair, 0)` is a count "
        "that may not be there yet.",
        "totals = {}; for each word with its count: for each pair of neighbours: totals[pair] = what it was, or 0, "
        "plus count; return totals.",
    ),
)


def ids_of(name: str, result) -> list[int]:
    """A returned list of ids. Raises WrongType."""
    if not isinstance(result, list):
        raise WrongType(f"{name} returned a {type(result).__name__}, not a list of ids")
    return [int(i) for i in result]


def _merge_cases():
    d = Draw(32)
    return [
        Case("a run of three by hand", {"ids": [7, 7, 7, 2], "pair": [7, 7], "new_id": 9}),
        Case("at the start and at the end", {"ids": [1, 2, 3, 2, 1, 2], "pair": [1, 2], "new_id": 4}),
        Case(
            "runs of two to five", {"ids": [0, 0, 1, *[0] * 3, 1, *[0] * 4, 1, *[0] * 5], "pair": [0, 0], "new_id": 2}
        ),
        Case("thirty random ids", {"ids": d.rng.integers(0, 3, 30).tolist(), "pair": [2, 1], "new_id": 3}),
    ]


def _merge_act(f, i):
    ids = tuple(i["ids"]) if i.get("as a tuple") else i["ids"]
    pair, new_id = tuple(i["pair"]), i["new_id"]
    more = {f"merged, list {n}": ids_of("merge", f(other, pair, new_id)) for n, other in enumerate(i.get("then", []))}
    return {"merged": ids_of("merge", f(ids, pair, new_id)), **more}


merge = Exercise(
    name="merge",
    title="Merge one pair",
    minutes=10,
    difficulty=1,
    points=2,
    act=_merge_act,
    visible=_merge_cases,
    forbids=("source.tokenizers.bpe.merge",),
    hints=(
        "Walk from the left with a finger on one place. How far does the finger move after a merge, how far otherwise?",
        "A `while` loop with its own place `i` can step by one or by two; a `for` loop cannot. Append to a new list: "
        "the one that you were given stays as it is. Does the last id have a neighbour on its right?",
        "out = []; i = 0; while i is a place: if there is a next place and the two ids are the pair, append new_id and "
        "add 2 to i; else append ids[i] and add 1; return out.",
    ),
)


def _train_cases():
    d = Draw(33)
    return [
        Case(
            "three words by hand",
            {"words": [[0, 1, 2], [1, 2], [0, 3]], "counts": [4, 1, 4], "merges": 2, "first_id": 4},
        ),
        Case(
            "nothing but ties",
            {"words": [[3, 2], [1, 3], [2, 1], [1, 2]], "counts": [2, 2, 2, 2], "merges": 4, "first_id": 10},
        ),
        Case(
            "more merges than there are pairs",
            {"words": [[0, 1, 0, 2], [2], [0, 1]], "counts": [1, 6, 1], "merges": 9, "first_id": 3},
        ),
        Case("a dozen random words", {**corpus(d, 12, 3, 8), "merges": 12, "first_id": 3}),
    ]


def _train_act(f, i):
    counts = by_word(i)
    merges = listed("train", f(counts, i["merges"], i["first_id"]), "new id")
    more = {}
    if also := i.get("also"):
        more["merges of other words"] = listed("train", f(by_word(also), also["merges"], also["first_id"]), "new id")
    return {"merges": merges, "counts left as they were": counts == by_word(i), **more}


train = Exercise(
    name="train",
    title="Train a merge table",
    minutes=15,
    difficulty=2,
    points=4,
    act=_train_act,
    visible=_train_cases,
    forbids=(
        "source.tokenizers.bpe.train",
        "source.tokenizers.bpe.train_naive",
        "source.tokenizers.bpe.train_index",
    ),
    hints=(
        "Do the example of the docstring on paper, both steps. Which pairs are counted in the second step?",
        "`min(totals, key=lambda pair: ...)` with a tuple as key compares first by its first entry and then by its "
        "second: which two entries put the highest count first and then the smallest pair? A dictionary comprehension "
        "makes all words anew.",
        "words = a copy of counts; for each new id: totals = pairs_of(words); if there are none, stop; best = the pair "
        "with the smallest (-count, pair); note it; words = every word, replaced, as a tuple, with its count.",
    ),
)


class Watched(MutableSequence):
    """A list that keeps note of which of its places were read or written."""

    def __init__(self, items: list) -> None:
        self.items, self.touched, self.walks = items, set(), 0

    def __getitem__(self, i):
        self.touched |= set(range(len(self.items))[i]) if isinstance(i, slice) else {range(len(self.items))[i]}
        return self.items[i]

    def __setitem__(self, i, value):
        self.touched.add(range(len(self.items))[i])
        self.items[i] = value

    def __iter__(self):
        self.walks += 1
        self.touched |= set(range(len(self.items)))
        return iter(self.items)

    def __len__(self):
        return len(self.items)

    def __delitem__(self, i):
        raise WrongType(
            "a word was deleted from index.words: a word is changed at its place, its number stays the same"
        )

    def insert(self, i, value):
        raise WrongType("a word was added to index.words: a word is changed at its place, its number stays the same")


def _update_cases():
    d = Draw(34)
    return [
        Case("two words by hand", {"words": [[1, 2, 3], [1, 2]], "counts": [4, 1], "merges": [[1, 2, 9]]}),
        Case(
            "the pair twice in a row, and in a run",
            {"words": [[5, 1, 2, 1, 2], [2, 1], [1, 2, 2]], "counts": [2, 3, 1], "merges": [[1, 2, 6]]},
        ),
        Case("runs of one id", {"words": [[1] * 3, [1] * 4, [2, 1, 1, 1]], "counts": [2, 3, 1], "merges": [[1, 1, 3]]}),
        Case("three merges after one another", {**corpus(d, 14, 3, 7), "merges": [[0, 1, 3], [2, 3, 4], [1, 1, 5]]}),
    ]


def _update_act(f, i):
    index = bpe.PairIndex.of(by_word(i))
    returned, others = [], 0
    for left, right, new_id in i["merges"]:
        holding = {n for n, word in enumerate(index.words) if (left, right) in pairwise(word)}
        words = index.words = Watched(index.words)
        result = f(index, (left, right), new_id)
        if not isinstance(result, set | frozenset):
            raise WrongType(f"apply_merge returned a {type(result).__name__}, not a set of pairs")
        returned.append(sorted([int(a), int(b)] for a, b in result))
        others += len(words.touched - holding)
        index.words = words.items if index.words is words else list(index.words)
    return {
        "words": [ids_of("apply_merge leaves a word of index.words that", word) for word in index.words],
        "totals": sorted(listed("apply_merge leaves index.totals, which", index.totals, "count")),
        "where": [[*pair, sorted(places)] for pair, places in sorted(index.where.items())],
        "pairs returned": returned,
        "other words": others,
    }


def _no_other_word(inputs, outputs):
    n = outputs["other words"]
    return f"{n} words that do not hold the pair were read or written" if n else None


apply_merge = Exercise(
    name="apply_merge",
    title="Correct the counts after a merge",
    minutes=18,
    difficulty=3,
    points=4,
    act=_update_act,
    visible=_update_cases,
    properties=(Property("only words that hold the pair are touched", _no_other_word),),
    forbids=("source.tokenizers.bpe.apply_merge", "source.tokenizers.bpe.train_index"),
    hints=(
        "Take one word that holds the pair. Which of its pairs disappear, which appear, which stay? You need not find "
        "out: take all its old pairs out and put all its new ones in.",
        "`list(index.where[pair])` is a copy to walk through. `del d[key]` takes an entry out; `set.discard` does not "
        "mind a missing one; `d.setdefault(key, set()).add(i)` makes the set if need be.",
        "for i in a copy of where[pair]: old = words[i]; new = words[i] = replace(old, pair, new_id); for each pair of "
        "old: lower totals by the weight, delete it at 0, take i out of where, delete an empty set; for each pair of "
        "new: raise totals, put i into where, note the pair if new_id is in it; return what was noted.",
    ),
)


def walked(totals: dict) -> tuple[dict, list[int]]:
    """The same dictionary, and a list that gets an entry each time somebody goes through all of it."""
    walks: list[int] = []

    class Walked(dict):
        def __iter__(self):
            walks.append(1)
            return super().__iter__()

        def keys(self):
            walks.append(1)
            return super().keys()

        def items(self):
            walks.append(1)
            return super().items()

        def values(self):
            walks.append(1)
            return super().values()

    return Walked(totals), walks


def _repaired_cases():
    d = Draw(35)
    return [
        Case(
            "three words by hand",
            {"words": [[0, 1, 2], [1, 2], [0, 3]], "counts": [4, 1, 4], "merges": 2, "first_id": 4},
        ),
        Case(
            "an entry that is too high",
            {"words": [[0, 1, 2], [1, 2], [3, 4], [0, 1]], "counts": [4, 3, 5, 2], "merges": 3, "first_id": 5},
        ),
        Case(
            "an entry whose pair is gone",
            {"words": [[0, 1, 2], [1, 2], [3, 4]], "counts": [4, 3, 2], "merges": 3, "first_id": 5},
        ),
        Case("twenty random words", {**corpus(d, 20, 3, 9), "merges": 20, "first_id": 3}),
    ]


def _repaired_act(f, i):
    index = bpe.PairIndex.of(by_word(i))
    index.totals, walks = walked(index.totals)
    words = index.words = Watched(index.words)
    merges = listed("repaired_train", f(index, i["merges"], i["first_id"]), "new id")
    went = max(0, len(walks) - 1) + words.walks
    after = [list(word) for word in index.words]
    more = {}
    if also := i.get("also"):
        second = f(bpe.PairIndex.of(by_word(also)), also["merges"], also["first_id"])
        more["merges of other words"] = listed("repaired_train", second, "new id")
    return {"merges": merges, "words afterwards": after, "went through": went, **more}


def _once_through(inputs, outputs):
    n = outputs["went through"]
    return f"after the start all pairs or all words were gone through {n} times more" if n else None


repaired_train = Exercise(
    name="repaired_train",
    title="Find two faults in the queue",
    minutes=15,
    difficulty=3,
    points=4,
    act=_repaired_act,
    visible=_repaired_cases,
    properties=(Property("the heap spares going through everything again", _once_through),),
    forbids=(
        "source.tokenizers.bpe.train",
        "source.tokenizers.bpe.train_naive",
        "source.tokenizers.bpe.train_index",
    ),
    hints=(
        "Follow one pair that loses half of its occurrences to an earlier merge. What does its entry in the heap say, "
        "when does it come up, and what is the pair worth then? And how many merges has the loop left after it?",
        "`index.totals.get(pair, 0)` is what the pair is worth now; `-entry` what it was when pushed. `heapq.heappush` "
        "may put it back.",
        "while there is an entry and fewer than `merges` are learned: pop; if the entry's count is not the present "
        "one, push the pair again with its present count unless that is 0, and go on; else learn it with the id "
        "first_id + how many are learned; merge in place; push the fresh pairs.",
    ),
)


def table(d: Draw, letters: int, merges: int) -> list[list[int]]:
    """A random merge table, rows [left, right, new id] in rank order: any two ids below the new one may make a pair."""
    rows, used = [], set()
    while len(rows) < merges:
        new_id = letters + len(rows)
        # Half of the parts are letters, so that many of the pairs do occur in a word.
        below = (letters if d.rng.random() < 0.5 else new_id for _ in range(2))
        pair = tuple(int(d.rng.integers(0, n)) for n in below)
        if pair not in used:
            used.add(pair)
            rows.append([*pair, new_id])
    return rows


def long_word(d: Draw, n: int, letters: int = 12, merges: int = 300) -> dict[str, list]:
    """One word of n random ids, and a table trained on short words of the same kind: hundreds of ranks occur in it."""
    words = {tuple(d.rng.integers(0, letters, 8).tolist()): 1 for _ in range(250)}
    learned = bpe.train(words, merges, letters)
    return {"ids": d.rng.integers(0, letters, n).tolist(), "merges": [[a, b, c] for (a, b), c in learned.items()]}


def _encode_cases():
    d = Draw(36)
    doubling = [[0, 0, 2], [2, 2, 3], [2, 0, 4], [1, 0, 5]]
    return [
        Case("rank before position, by hand", {"ids": [1, 2, 3, 1, 2], "merges": [[2, 3, 4], [1, 2, 5]]}),
        Case("runs", {"ids": [*[0] * 5, 1, *[0] * 7, 1, 0, 0, 0], "merges": doubling}),
        Case("a random table", {"ids": d.rng.integers(0, 3, 60).tolist(), "merges": table(d, 3, 40)}),
        Case("a word of 3000 ids", long_word(d, 3000)),
    ]


# Hashing or comparing an id counts as one look at it. The lab's way takes about 30 looks an id at n = 3000 and 10 at
# n = 10; looking at all pairs again after every merge takes hundreds where hundreds of ranks occur.
LOOKS_AN_ID = 100


def counted() -> tuple[type, list[int]]:
    """A kind of int that counts how often one of them is hashed or compared, and where the count stands."""
    looks = [0]

    class Id(int):
        def __hash__(self):
            looks[0] += 1
            return int.__hash__(self)

        def __eq__(self, other):
            looks[0] += 1
            return int.__eq__(self, other)

        def __ne__(self, other):
            looks[0] += 1
            return int.__ne__(self, other)

        def __lt__(self, other):
            looks[0] += 1
            return int.__lt__(self, other)

        def __gt__(self, other):
            looks[0] += 1
            return int.__gt__(self, other)

        def __le__(self, other):
            looks[0] += 1
            return int.__le__(self, other)

        def __ge__(self, other):
            looks[0] += 1
            return int.__ge__(self, other)

    return Id, looks


def _encode_act(f, i):
    Id, looks = counted()
    merges = {(Id(left), Id(right)): Id(new_id) for left, right, new_id in i["merges"]}
    ids = [Id(n) for n in i["ids"]]
    looks[0] = 0
    result = f(tuple(ids) if i.get("as a tuple") else ids, merges)
    looked = looks[0]
    more = {f"encoded, word {n}": ids_of("encode", f(list(word), merges)) for n, word in enumerate(i.get("then", []))}
    i["ids"][:] = map(int, ids)  # so that a change of the list is noticed as one of the input
    too_many = looked if looked > LOOKS_AN_ID * (len(ids) + 1) else 0
    return {"encoded": ids_of("encode", result), "looks": too_many, **more}


def _little_work(inputs, outputs):
    n, looks = len(inputs["ids"]), outputs["looks"]
    if not looks:
        return None
    return (
        f"on {n:,} ids they were looked at {looks:,} times, {looks // max(n, 1)} each; allowed are {LOOKS_AN_ID}: "
        "after a merge only the two pairs beside it are new"
    )


encode = Exercise(
    name="encode",
    title="Encode with a heap",
    minutes=19,
    difficulty=3,
    points=4,
    act=_encode_act,
    visible=_encode_cases,
    properties=(Property("a long word takes little work for each of its ids", _little_work),),
    forbids=("source.tokenizers.bpe.encode", "source.tokenizers.bpe.encode_naive"),
    hints=(
        "Do 1 2 3 1 2 on paper with places 0 to 4. After (2, 3) became 4 at place 1, which place is dead, and who are "
        "the neighbours of place 1? Which entry of the heap now names a pair that is no longer there?",
        "Two lists `left` and `right` hold each place's neighbours. Mark a dead place with an id that no pair holds, "
        "such as -1. An entry (new id, place) is stale unless the pair that stands at its place now has that new id: "
        "`merges.get((ids[place], ids[right[place]]))`.",
        "heap = (merges[pair], place) of all known pairs; while it has entries: pop; skip it if there is no right "
        "neighbour or the pair there is not worth that new id; write the new id at place, -1 at its neighbour; join "
        "the lists over the dead place; push the pairs on both sides if known. Return the ids that are not -1.",
    ),
)
