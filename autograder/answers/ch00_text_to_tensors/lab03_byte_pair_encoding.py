"""Lab 0.3, the instructor's half: words as strings and str.replace for references, hidden cases, misconceptions."""

from collections import Counter

from autograder.cases import Draw
from autograder.checks.ch00_text_to_tensors.lab03_byte_pair_encoding import corpus, long_word, table
from autograder.exercise import Answer, Case, Misconception

# A word is a string, one character an id; str.replace goes from left to right and never looks at what it put in.
_FIRST = 0x4E00


def _text(ids) -> str:
    return "".join(chr(_FIRST + n) for n in ids)


def _ids(text: str) -> list[int]:
    return [ord(c) - _FIRST for c in text]


def _texts(i) -> dict[str, int]:
    return {_text(word): count for word, count in zip(i["words"], i["counts"], strict=True)}


def _counted(texts: dict[str, int]) -> Counter:
    totals: Counter = Counter()
    for text, count in texts.items():
        for at in range(1, len(text)):
            totals[text[at - 1 : at + 1]] += count
    return totals


def _counts_hidden(seed):
    d = Draw(seed)
    return [
        Case("some words, then none", {**corpus(d, 3, 3, 4), "then none": True}),
        Case("words without pairs", {"words": [[], [7], d.rng.integers(0, 3, 2).tolist()], "counts": [5, 3, 2]}),
        Case("one long word of two ids", {"words": [d.rng.integers(0, 2, 60).tolist()], "counts": [7]}),
        Case(
            "ids in the thousands", {**corpus(d, 6, 40000, 5), "words": d.rng.integers(40000, 50000, (6, 4)).tolist()}
        ),
        Case("large counts", corpus(d, 10, 4, 6, most=10**9)),
    ]


def _counts_reference(i):
    more = {"pairs of no words": []} if i.get("then none") else {}
    return {"pairs": sorted([*_ids(pair), count] for pair, count in _counted(_texts(i)).items()), **more}


pair_counts = Answer(
    name="pair_counts",
    reference=_counts_reference,
    hidden=_counts_hidden,
    misconceptions=(
        Misconception(
            "words-count-once",
            "each different word counts once, however often it occurs",
            edits=(("totals.get(pair, 0) + count", "totals.get(pair, 0) + 1"),),
        ),
        Misconception(
            "once-a-word",
            "a pair that stands twice in a word is counted there once",
            edits=(("in pairwise(word)", "in set(pairwise(word))"),),
        ),
        Misconception(
            "overwritten",
            "each word overwrites what earlier words counted for the same pair",
            edits=(("totals[pair] = totals.get(pair, 0) + count", "totals[pair] = count"),),
        ),
        Misconception(
            "every-other-pair",
            "pairs are taken two ids at a time, at even places only",
            edits=(("pairwise(word)", "zip(word[::2], word[1::2])"),),
        ),
        Misconception(
            "runs-without-overlap",
            "in a run such as aaa the pair (a, a) is counted once, since only one of the two can be merged",
            code="def pair_counts(counts):\n"
            "    totals = {}\n"
            "    for word, count in counts.items():\n"
            "        i = 0\n"
            "        while i + 1 < len(word):\n"
            "            pair = word[i], word[i + 1]\n"
            "            totals[pair] = totals.get(pair, 0) + count\n"
            "            i += 2 if word[i : i + 3] == (pair[0],) * 3 else 1\n"
            "    return totals\n",
        ),
        Misconception(
            "order-ignored",
            "(a, b) and (b, a) are counted as one pair",
            edits=(
                (
                    "            totals[pair] = totals.get(pair, 0) + count",
                    "            pair = tuple(sorted(pair))\n            totals[pair] = totals.get(pair, 0) + count",
                ),
            ),
        ),
        Misconception(
            "across-words",
            "the last id of a word and the first of the next are counted as a pair",
            edits=(
                ("    totals = {}", "    totals, last = {}, ()"),
                ("in pairwise(word):", "in pairwise(last + word):"),
                ("    return totals", "        last = word[-1:] or last\n    return totals"),
            ),
        ),
    ),
)


def _merge_hidden(seed):
    d = Draw(seed)

    def drawn(n, letters, pair, **more):
        return {"ids": d.rng.integers(0, letters, n).tolist(), "pair": pair, "new_id": letters, **more}

    return [
        Case("an empty list, then others", {"ids": [], "pair": [1, 2], "new_id": 3, "then": [[1], [2, 1], [1, 2]]}),
        Case(
            "a pair that does not occur, then one that does", {**drawn(9, 3, [3, 4]), "then": [[3, 4, 3, 4, 4], [4, 3]]}
        ),
        Case("a long run of even length", {"ids": [4] * (2 * int(d.rng.integers(3, 9))), "pair": [4, 4], "new_id": 5}),
        Case(
            "a long run of odd length", {"ids": [4] * (2 * int(d.rng.integers(3, 9)) + 1), "pair": [4, 4], "new_id": 5}
        ),
        Case("a tuple instead of a list", drawn(40, 2, [0, 1], **{"as a tuple": True})),
        Case(
            "ids of large tokens",
            {"ids": (d.rng.integers(0, 2, 50) + 50000).tolist(), "pair": [50001, 50000], "new_id": 50002},
        ),
        Case("two hundred random ids", drawn(200, 3, [1, 1])),
    ]


def _merge_reference(i):
    def one(ids):
        return _ids(_text(ids).replace(_text(i["pair"]), _text([i["new_id"]])))

    more = {f"merged, list {n}": one(ids) for n, ids in enumerate(i.get("then", []))}
    return {"merged": one(i["ids"]), **more}


merge = Answer(
    name="merge",
    reference=_merge_reference,
    hidden=_merge_hidden,
    misconceptions=(
        Misconception(
            "overlapping",
            "an id is used in two merges at once, so that aaa becomes AA",
            code="def merge(ids, pair, new_id):\n"
            "    out = []\n"
            "    for i in range(len(ids)):\n"
            "        if (*ids[i : i + 2],) == pair:\n"
            "            out.append(new_id)\n"
            "        elif i == 0 or (ids[i - 1], ids[i]) != pair:\n"
            "            out.append(ids[i])\n"
            "    return out\n",
        ),
        Misconception(
            "from-the-right",
            "runs are merged from the right: aaa becomes aA",
            code="def merge(ids, pair, new_id):\n"
            "    out, i = [], len(ids) - 1\n"
            "    while i >= 0:\n"
            "        if i > 0 and (ids[i - 1], ids[i]) == pair:\n"
            "            out.append(new_id)\n"
            "            i -= 2\n"
            "        else:\n"
            "            out.append(ids[i])\n"
            "            i -= 1\n"
            "    return out[::-1]\n",
        ),
        Misconception(
            "last-id-lost",
            "the loop ends one place early, so that an id at the end that is in no pair is lost",
            edits=(("while i < len(ids):", "while i < len(ids) - 1:"),),
        ),
        Misconception(
            "first-only",
            "only the first occurrence is merged",
            edits=(("i + 1 < len(ids) and", "new_id not in out and i + 1 < len(ids) and"),),
        ),
        Misconception(
            "either-order",
            "(b, a) is merged as well as (a, b)",
            edits=(("(ids[i], ids[i + 1]) == pair", "(ids[i], ids[i + 1]) in (pair, pair[::-1])"),),
        ),
        Misconception(
            "even-places",
            "only pairs that start at an even place are found",
            edits=(("i + 1 < len(ids) and", "i % 2 == 0 and i + 1 < len(ids) and"),),
        ),
        Misconception(
            "in-place",
            "the list that was given is changed itself",
            code="def merge(ids, pair, new_id):\n"
            "    i = 0\n"
            "    while i + 1 < len(ids):\n"
            "        if (ids[i], ids[i + 1]) == pair:\n"
            "            ids[i : i + 2] = [new_id]\n"
            "        i += 1\n"
            "    return ids\n",
        ),
    ),
)


NO_PAIRS = {"words": [[], [1]], "counts": [3, 2]}


def _train_hidden(seed):
    d = Draw(seed)
    # An edge shape on which a wrong answer can look right comes together with an ordinary one.
    ordinary = {**corpus(d, 12, 3, 7), "merges": 8, "first_id": 3}
    return [
        Case("no merge is asked for, then some", {**corpus(d, 5, 3, 6), "merges": 0, "first_id": 3, "also": ordinary}),
        Case("no word has a pair, then some have", {**NO_PAIRS, "merges": 5, "first_id": 2, "also": ordinary}),
        Case(
            "one long word of two ids",
            {"words": [d.rng.integers(0, 2, 64).tolist()], "counts": [1], "merges": 12, "first_id": 2},
        ),
        Case("all words once", {**corpus(d, 15, 4, 6, most=1), "merges": 15, "first_id": 4}),
        Case(
            "runs",
            {
                "words": [[0] * n for n in range(1, 12)],
                "counts": d.rng.integers(1, 4, 11).tolist(),
                "merges": 9,
                "first_id": 1,
            },
        ),
        Case("a first id far above", {**corpus(d, 10, 3, 7), "merges": 6, "first_id": 256}),
        Case("to the very end", {**corpus(d, 8, 3, 6), "merges": 200, "first_id": 3}),
        Case("forty words", {**corpus(d, 40, 5, 8, most=9), "merges": 30, "first_id": 5}),
    ]


def _learned(i, merges):
    """Rows [left, right, new id], and what became of the words."""
    texts, rows = _texts(i), []
    for new_id in range(i["first_id"], i["first_id"] + merges):
        totals = _counted(texts)
        if not totals:
            break
        most = max(totals.values())
        best = min(pair for pair, count in totals.items() if count == most)  # strings compare as tuples of ids do
        rows.append([*_ids(best), new_id])
        texts = {text.replace(best, _text([new_id])): count for text, count in texts.items()}
    return rows, [_ids(text) for text in texts]


def _train_reference(i):
    more = {"merges of other words": _learned(i["also"], i["also"]["merges"])[0]} if "also" in i else {}
    return {"merges": _learned(i, i["merges"])[0], "counts left as they were": True, **more}


train = Answer(
    name="train",
    reference=_train_reference,
    hidden=_train_hidden,
    misconceptions=(
        Misconception(
            "first-met-wins",
            "of several pairs with the highest count the one that was met first is taken",
            edits=(("min(totals, key=lambda pair: (-totals[pair], pair))", "max(totals, key=totals.get)"),),
        ),
        Misconception(
            "largest-wins",
            "of several pairs with the highest count the largest is taken instead of the smallest",
            edits=(
                ("min(totals, key=lambda pair: (-totals[pair], pair))", "max(totals, key=lambda p: (totals[p], p))"),
            ),
        ),
        Misconception(
            "second-id-first",
            "ties are decided by the second id of the pair before the first",
            edits=(("(-totals[pair], pair))", "(-totals[pair], pair[::-1]))"),),
        ),
        Misconception(
            "last-met-wins",
            "of several pairs with the highest count the one that was met last is taken",
            edits=(
                ("min(totals, key=lambda pair: (-totals[pair], pair))", "max(reversed(list(totals)), key=totals.get)"),
            ),
        ),
        Misconception(
            "counted-once",
            "the pairs are counted once, at the start, so that no merge is made of merged ids",
            code="def train(counts, merges, first_id):\n"
            "    totals = pairs_of(counts)\n"
            "    best = sorted(totals, key=lambda pair: (-totals[pair], pair))[:merges]\n"
            "    return {pair: first_id + n for n, pair in enumerate(best)}\n",
        ),
        Misconception(
            "stops-at-one",
            "training stops where no pair occurs more than once, although pairs are left",
            edits=(("if not totals:", "if max(totals.values(), default=0) < 2:"),),
        ),
        Misconception(
            "never-stops",
            "nothing ends the training when no pair is left",
            edits=(("        if not totals:\n            break\n", ""),),
        ),
        Misconception(
            "words-count-once",
            "each different word counts once, however often it occurs",
            edits=(("words, learned = dict(counts), {}", "words, learned = dict.fromkeys(counts, 1), {}"),),
        ),
        Misconception(
            "one-id-too-high",
            "the first merge gets the id after first_id",
            edits=(("learned[best] = new_id", "learned[best] = new_id + 1"),),
        ),
        Misconception(
            "counts-changed",
            "the dictionary that was given is changed while training",
            code="def train(counts, merges, first_id):\n"
            "    learned = {}\n"
            "    while len(learned) < merges and (totals := pairs_of(counts)):\n"
            "        best = min(totals, key=lambda pair: (-totals[pair], pair))\n"
            "        learned[best] = first_id + len(learned)\n"
            "        for word in list(counts):\n"
            "            count = counts.pop(word)\n"
            "            counts[tuple(replace(word, best, learned[best]))] = count\n"
            "    return learned\n",
        ),
    ),
)


def _update_hidden(seed):
    d = Draw(seed)
    runs = {"words": [[0] * n for n in range(1, 10)], "counts": d.rng.integers(1, 5, 9).tolist()}
    return [
        Case(
            "a pair that does not occur, then one that does",
            {"words": [[1, 2], [3]], "counts": [2, 1], "merges": [[2, 1, 4], [1, 2, 5]]},
        ),
        Case(
            "every word is the pair", {"words": [[0, 1]], "counts": [int(d.rng.integers(1, 9))], "merges": [[0, 1, 2]]}
        ),
        Case("runs of every length", {**runs, "merges": [[0, 0, 1], [1, 1, 2], [1, 0, 3]]}),
        Case(
            "a long word of two ids",
            {"words": [d.rng.integers(0, 2, 80).tolist()], "counts": [3], "merges": [[0, 1, 2], [2, 2, 3], [1, 2, 4]]},
        ),
        Case("words without pairs", {"words": [[], [1], [1, 2, 1]], "counts": [2, 5, 3], "merges": [[1, 2, 3]]}),
        Case("many words", {**corpus(d, 60, 4, 8), "merges": [[0, 1, 4], [2, 4, 5], [3, 3, 6], [5, 5, 7], [4, 4, 8]]}),
    ]


def _update_reference(i):
    texts, returned = [(_text(w), c) for w, c in zip(i["words"], i["counts"], strict=True)], []
    for left, right, new_id in i["merges"]:
        texts = [(text.replace(_text([left, right]), _text([new_id])), count) for text, count in texts]
        returned.append(sorted(_ids(pair) for pair in _counted(dict(texts)) if _text([new_id]) in pair))
    totals = _counted(dict(texts))
    return {
        "words": [_ids(text) for text, _ in texts],
        "totals": sorted([*_ids(pair), count] for pair, count in totals.items()),
        "where": [[*_ids(pair), [n for n, (text, _) in enumerate(texts) if pair in text]] for pair in sorted(totals)],
        "pairs returned": returned,
    }


apply_merge = Answer(
    name="apply_merge",
    reference=_update_reference,
    hidden=_update_hidden,
    misconceptions=(
        Misconception(
            "zeros-left",
            "pairs whose count reaches zero stay in totals",
            edits=(("            if index.totals[p] == 0:\n                del index.totals[p]\n", ""),),
        ),
        Misconception(
            "where-not-cleaned",
            "words stay in where[p] although they no longer hold the pair",
            edits=(
                (
                    "        for p in set(pairwise(old)):\n"
                    "            index.where[p].discard(i)\n"
                    "            if not index.where[p]:\n"
                    "                del index.where[p]\n",
                    "",
                ),
            ),
        ),
        Misconception(
            "empty-sets-left",
            "sets that became empty stay in where",
            edits=(("            if not index.where[p]:\n                del index.where[p]\n", ""),),
        ),
        Misconception(
            "unweighted",
            "a word's pairs change the counts by one instead of by how often the word occurs",
            edits=(
                (
                    "            index.totals[p] -= index.weights[i]\n            if index.totals[p] == 0:",
                    "            index.totals[p] -= 1\n            if index.totals[p] == 0:",
                ),
                ("index.totals.get(p, 0) + index.weights[i]", "index.totals.get(p, 0) + 1"),
            ),
        ),
        Misconception(
            "all-words",
            "every word is gone through, not only those that hold the pair",
            edits=(("in list(index.where.get(pair, ())):", "in range(len(index.words)):"),),
        ),
        Misconception(
            "shrinking-set",
            "where[pair] itself is walked through while words are taken out of it",
            edits=(("in list(index.where.get(pair, ())):", "in index.where.get(pair, ()):"),),
        ),
        Misconception(
            "only-the-pair",
            "only the merged pair is taken out of the counts: the pairs that it formed with its neighbours stay",
            edits=(
                (
                    "        for p in pairwise(old):\n            index.totals[p] -= index.weights[i]\n",
                    "        for p in [q for q in pairwise(old) if q == pair]:\n"
                    "            index.totals[p] -= index.weights[i]\n",
                ),
                ("for p in set(pairwise(old)):", "for p in {pair}:"),
                (
                    "            index.totals[p] = index.totals.get(p, 0) + index.weights[i]\n",
                    "            if new_id in p:\n"
                    "                index.totals[p] = index.totals.get(p, 0) + index.weights[i]\n",
                ),
            ),
        ),
        Misconception(
            "once-a-word",
            "a pair that stands twice in a word is taken out and put in once",
            edits=(
                ("        for p in pairwise(old):\n", "        for p in set(pairwise(old)):\n"),
                ("        for p in pairwise(new):\n", "        for p in set(pairwise(new)):\n"),
                (
                    "            index.totals[p] -= index.weights[i]\n            if index.totals[p] == 0:",
                    "            index.totals[p] -= index.weights[i]\n            if index.totals[p] <= 0:",
                ),
            ),
        ),
        Misconception(
            "old-neighbours",
            "the neighbours of each merged pair are read from the word as it was, so that two merges side by side are "
            "counted as if only one had happened",
            code="def apply_merge(index, pair, new_id):\n"
            "    created = set()\n"
            "    for i in list(index.where.get(pair, ())):\n"
            "        old, change, j = index.words[i], Counter(), 0\n"
            "        while j + 1 < len(old):\n"
            "            if (old[j], old[j + 1]) != pair:\n"
            "                j += 1\n"
            "                continue\n"
            "            change[pair] -= 1\n"
            "            if j:\n"
            "                change[old[j - 1], pair[0]] -= 1\n"
            "                change[old[j - 1], new_id] += 1\n"
            "            if j + 2 < len(old):\n"
            "                change[pair[1], old[j + 2]] -= 1\n"
            "                change[new_id, old[j + 2]] += 1\n"
            "            j += 2\n"
            "        new = index.words[i] = replace(old, pair, new_id)\n"
            "        for p, n in change.items():\n"
            "            index.totals[p] = index.totals.get(p, 0) + n * index.weights[i]\n"
            "            if index.totals[p] <= 0:\n"
            "                del index.totals[p]\n"
            "        for p in set(pairwise(old)) - set(pairwise(new)):\n"
            "            index.where[p].discard(i)\n"
            "            if not index.where[p]:\n"
            "                del index.where[p]\n"
            "        for p in pairwise(new):\n"
            "            index.where.setdefault(p, set()).add(i)\n"
            "            if new_id in p:\n"
            "                created.add(p)\n"
            "    return created\n",
        ),
        Misconception(
            "all-pairs-returned",
            "all pairs of the changed words are returned, those without the new id too",
            edits=(("            if new_id in p:\n                created.add(p)\n", "            created.add(p)\n"),),
        ),
    ),
)


def _repaired_hidden(seed):
    d = Draw(seed)
    ordinary = {**corpus(d, 20, 3, 9), "merges": 20, "first_id": 3}
    return [
        Case("no merge is asked for, then some", {**corpus(d, 6, 3, 6), "merges": 0, "first_id": 3, "also": ordinary}),
        Case("no word has a pair, then some have", {**NO_PAIRS, "merges": 3, "first_id": 4, "also": ordinary}),
        Case(
            "runs",
            {
                "words": [[0] * n for n in range(1, 12)],
                "counts": d.rng.integers(1, 4, 11).tolist(),
                "merges": 9,
                "first_id": 1,
            },
        ),
        Case(
            "one long word of two ids",
            {"words": [d.rng.integers(0, 2, 64).tolist()], "counts": [1], "merges": 14, "first_id": 2},
        ),
        Case("to the very end", {**corpus(d, 12, 3, 7), "merges": 300, "first_id": 3}),
        Case("sixty words", {**corpus(d, 60, 5, 9, most=9), "merges": 50, "first_id": 256}),
    ]


def _repaired_reference(i):
    merges, words = _learned(i, i["merges"])
    more = {"merges of other words": _learned(i["also"], i["also"]["merges"])[0]} if "also" in i else {}
    return {"merges": merges, "words afterwards": words, **more}


_STALE = (
    "        if count != -entry:  # the entry is stale: it gets the place that it has earned by now\n"
    "            if count:\n"
    "                heapq.heappush(heap, (-count, pair))\n"
    "            continue\n"
)
_WHILE = "    while heap and len(learned) < merges:\n"
_FOR = "    for step in range(merges):\n        if not heap:\n            break\n"
_AS_IT_WAS = "        if not count:\n            continue\n"
repaired_train = Answer(
    name="repaired_train",
    reference=_repaired_reference,
    hidden=_repaired_hidden,
    misconceptions=(
        Misconception(
            "as-it-was",
            "both faults are left: stale entries are merged, and entries that are dropped use up a step",
            edits=((_WHILE, _FOR), (_STALE, _AS_IT_WAS), ("= first_id + len(learned)", "= first_id + step")),
        ),
        Misconception(
            "stale-merged",
            "an entry whose count is too high is merged all the same, before its turn",
            edits=((_STALE, _AS_IT_WAS),),
        ),
        Misconception(
            "steps-used-up",
            "an entry that is put back or dropped uses up one of the merges",
            edits=((_WHILE, _FOR),),
        ),
        Misconception(
            "steps-and-ids-used-up",
            "an entry that is put back or dropped uses up one of the merges and its id",
            edits=((_WHILE, _FOR), ("= first_id + len(learned)", "= first_id + step")),
        ),
        Misconception(
            "stale-dropped",
            "a stale entry is thrown away for good, although the pair still occurs",
            edits=((_STALE, "        if count != -entry:\n            continue\n"),),
        ),
        Misconception(
            "searched-each-time",
            "the best pair is searched for among all pairs at every step",
            code="def repaired_train(index, merges, first_id):\n"
            "    learned = {}\n"
            "    while index.totals and len(learned) < merges:\n"
            "        best = min(index.totals, key=lambda pair: (-index.totals[pair], pair))\n"
            "        learned[best] = first_id + len(learned)\n"
            "        merge_in_place(index, best, learned[best])\n"
            "    return learned\n",
        ),
        Misconception(
            "heap-made-anew",
            "the heap is made anew from all pairs after every merge",
            edits=(
                (
                    "        for fresh in merge_in_place(index, pair, learned[pair]):\n"
                    "            heapq.heappush(heap, (-index.totals[fresh], fresh))\n",
                    "        merge_in_place(index, pair, learned[pair])\n"
                    "        heap = [(-n, p) for p, n in index.totals.items()]\n"
                    "        heapq.heapify(heap)\n",
                ),
            ),
        ),
    ),
)


def _encode_hidden(seed):
    d = Draw(seed)
    shuffled = table(d, 3, 30)
    d.rng.shuffle(shuffled)
    run = int(d.rng.integers(20, 40))
    return [
        Case("an empty word, then a single id", {"ids": [], "merges": [[1, 2, 3]], "then": [[1], [2, 1], [1, 2]]}),
        Case("no pair is known", {"ids": d.rng.integers(0, 3, 9).tolist(), "merges": [[5, 5, 6]], "then": [[5, 5]]}),
        Case("an empty table", {"ids": d.rng.integers(0, 3, 9).tolist(), "merges": [], "then": [[0]]}),
        Case("a long run", {"ids": [0] * run, "merges": [[0, 0, 1], [1, 1, 2], [1, 0, 3], [2, 2, 4], [4, 3, 5]]}),
        Case("a table that is not in order", {"ids": d.rng.integers(0, 3, 80).tolist(), "merges": shuffled}),
        Case("a tuple", {"ids": d.rng.integers(0, 4, 50).tolist(), "merges": table(d, 4, 60), "as a tuple": True}),
        Case("ids that were merged before", {"ids": d.rng.integers(0, 30, 80).tolist(), "merges": table(d, 3, 60)}),
        Case("another long word", long_word(d, 2500, letters=9)),
    ]


def _encode_reference(i):
    def one(ids):
        text = _text(ids)
        for left, right, new_id in sorted(i["merges"], key=lambda row: row[2]):
            text = text.replace(_text([left, right]), _text([new_id]))
        return _ids(text)

    return {"encoded": one(i["ids"]), **{f"encoded, word {n}": one(ids) for n, ids in enumerate(i.get("then", []))}}


_CHECKED = "if gone == n or merges.get((ids[place], ids[gone])) != new_id:"
encode = Answer(
    name="encode",
    reference=_encode_reference,
    hidden=_encode_hidden,
    misconceptions=(
        Misconception(
            "first-met",
            "the first known pair from the left is merged, whatever its rank",
            code="def encode(ids, merges):\n"
            "    out = []\n"
            "    for i in ids:\n"
            "        out.append(i)\n"
            "        while len(out) > 1 and (out[-2], out[-1]) in merges:\n"
            "            out[-2:] = [merges[out[-2], out[-1]]]\n"
            "    return out\n",
        ),
        Misconception(
            "longest-first",
            "the longest token that fits is taken from the left, whatever the ranks",
            code="def encode(ids, merges):\n"
            "    spelled = {}\n"
            "    for (a, b), new_id in sorted(merges.items(), key=lambda m: int(m[1])):\n"
            "        left, right = spelled.get(int(a), (int(a),)), spelled.get(int(b), (int(b),))\n"
            "        spelled[int(new_id)] = left + right\n"
            "    token = {s: i for i, s in spelled.items()}\n"
            "    longest = max(map(len, token), default=1)\n"
            "    ids, out, i = tuple(map(int, ids)), [], 0\n"
            "    while i < len(ids):\n"
            "        n = next((n for n in range(longest, 1, -1) if ids[i : i + n] in token), 1)\n"
            "        out.append(token.get(ids[i : i + n], ids[i]))\n"
            "        i += n\n"
            "    return out\n",
        ),
        Misconception(
            "highest-rank",
            "the pair with the highest new id is merged first instead of the lowest",
            code="def encode(ids, merges):\n"
            "    ids = list(ids)\n"
            "    while known := [(-int(merges[p]), i) for i, p in enumerate(pairwise(ids)) if p in merges]:\n"
            "        new_id, i = min(known)\n"
            "        ids[i : i + 2] = [-new_id]\n"
            "    return ids\n",
        ),
        Misconception(
            "from-the-right",
            "equal ranks are merged from the right: aaa becomes aA",
            edits=(
                ("heap = [(merges[pair], place) for", "heap = [(merges[pair], -place) for"),
                ("        gone = right[place]\n", "        place = -place\n        gone = right[place]\n"),
                ("(merges[ids[a], ids[b]], a))", "(merges[ids[a], ids[b]], -a))"),
            ),
        ),
        Misconception(
            "stale-merged",
            "entries of the heap are merged without a look whether their pair is still there",
            edits=((_CHECKED, "if gone == n or ids[place] == -1:"),),
        ),
        Misconception(
            "left-forgotten",
            "after a merge only the pair on the right is pushed, not the one on the left",
            edits=(
                ("for a, b in ((left[place], place), (place, right[place])):", "for a, b in ((place, right[place]),):"),
            ),
        ),
        Misconception(
            "right-forgotten",
            "after a merge only the pair on the left is pushed, not the one on the right",
            edits=(
                ("for a, b in ((left[place], place), (place, right[place])):", "for a, b in ((left[place], place),):"),
            ),
        ),
        Misconception(
            "left-link-kept",
            "the neighbour behind the dead place still has it as its left neighbour",
            edits=(("        if right[place] < n:\n            left[right[place]] = place\n", ""),),
        ),
        Misconception(
            "one-round",
            "only pairs of the ids as they came are merged: what a merge brings together is not looked at",
            edits=(
                (
                    "        for a, b in ((left[place], place), (place, right[place])):\n"
                    "            if a >= 0 and b < n and (ids[a], ids[b]) in merges:\n"
                    "                heapq.heappush(heap, (merges[ids[a], ids[b]], a))\n",
                    "",
                ),
            ),
        ),
        Misconception(
            "all-pairs-again",
            "all pairs are looked at again after every merge, which is O(n²)",
            code="def encode(ids, merges):\n"
            "    ids = list(ids)\n"
            "    while known := [p for p in pairwise(ids) if p in merges]:\n"
            "        best = min(known, key=merges.get)\n"
            "        out, i = [], 0\n"
            "        while i < len(ids):\n"
            "            if i + 1 < len(ids) and (ids[i], ids[i + 1]) == best:\n"
            "                out.append(merges[best])\n"
            "                i += 2\n"
            "            else:\n"
            "                out.append(ids[i])\n"
            "                i += 1\n"
            "        ids = out\n"
            "    return ids\n",
        ),
        Misconception(
            "in-place",
            "the list that was given is changed itself",
            edits=(("ids, n = list(ids), len(ids)", "n = len(ids)"),),
        ),
    ),
)
