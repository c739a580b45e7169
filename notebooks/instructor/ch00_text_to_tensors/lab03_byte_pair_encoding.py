# ---
# jupyter:
#   course:
#     title: Byte-Pair Encoding
#     level: intermediate
#     minutes: 85
#     hardware: cpu
#     builds: "`train` and `encode`: the subword tokenizer behind GPT-2 and most models since, from nothing but counting."
#     goals:
#     - Train a merge table by hand and in code, with ties broken the same way every time
#     - Keep pair counts up to date instead of counting again, and measure what that saves
#     - Encode a word by rank in O(n log n), with a heap over a linked list
#     - Find a stale entry in a priority queue from its symptom alone
#     needs:
#     - "[Byte-Pair Encoding](../../../book/ch00_text_to_tensors/byte_pair_encoding.md)"
#     - Lab 0.2, Tokenization and Vocabulary
#     - Python dictionaries, sets and `heapq`
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% tags=["setup"]
from autograder import setup; device = setup()

# %% tags=["setup"]
import heapq
import random
from collections import Counter
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np

from autograder import check, earlier
from source.corpus import shakespeare
from source.timing import seconds
from source.tokenizers import bpe as course
from source.tokenizers.words import byte_counts, split

# %% [markdown]
# ## A question first
#
# A model needs ids. Give every word one, as in lab 0.2, and some word will always be missing. Give every byte one,
# and nothing is ever missing, but texts get long, and attention pays for length.
#
# How many words would you have to keep? Cut Shakespeare's plays into words (`split` keeps the space in front of each),
# count them, and keep the most frequent ones. Then read plays that were held back: how often do you meet a word that
# you did not keep?

# %% tags=["look"]
known, held_back = Counter(split(shakespeare("train"))), Counter(split(shakespeare("validation")))
rank = {word: r for r, (word, _) in enumerate(known.most_common(), start=1)}
kept = np.unique(np.geomspace(10, len(rank), 40).astype(int))
met = np.sort([r for word in held_back for r in [rank.get(word, 10**9)] * held_back[word]])
unknown = 100 * (1 - np.searchsorted(met, kept, side="right") / len(met))

fig, ax = plt.subplots(figsize=(6, 3.2))
ax.plot(kept, unknown)
ax.set(xscale="log", xlabel="words kept", ylabel="unknown words in new text (%)", ylim=(0, None))
ax.annotate(f"{unknown[-1]:.1f} %", (kept[-1], unknown[-1]), xytext=(-4, 10), textcoords="offset points", ha="right")
plt.show()
letters = sum(len(word.encode()) * count for word, count in held_back.items())
print(f"all {len(rank):,} different words kept: {unknown[-1]:.1f} % of the new text is unknown, 1 id a word")
print(f"all 256 bytes kept: nothing is unknown, {letters / held_back.total():.1f} ids a word")

# %% [markdown]
# **Does the curve reach zero?** Keep every word there is, and new text still has others: names, plurals, typing
# errors. Most of them are made of pieces that you know.
#
# Byte-pair encoding takes the middle. Start from bytes, so that nothing is unknown. Find the pair of neighbours that
# occurs most often and give it an id of its own. Repeat. Frequent words become one id; rare ones fall into pieces
# that other words share. It was a compression algorithm first [@gage1994] and came to neural models in
# [@sennrich2016].
#
# A *word* in this lab is a tuple of ids. Its pieces grow inside it; no merge ever reaches into the next word.

# %% [markdown]
# ## Step 1. Count the pairs
#
# A corpus repeats its words, so count over *different* words and let each count as often as it occurs. If the pair
# $p$ stands $n_p(w)$ times in word $w$, and $w$ occurs $c_w$ times:
#
# $$N_p = \sum_w c_w \, n_p(w)$$
#
# In a run such as `aaa` the pair `(a, a)` stands twice: at the first and at the second place.

# %% nbgrader={"grade_id": "pair_counts", "solution": true}
def pair_counts(counts: dict[tuple[int, ...], int]) -> dict[tuple[int, int], int]:
    """How often each pair of neighbouring ids occurs.

    counts: word -> how often it occurs; a word may be empty or a single id. Returns pair -> count, pairs that occur
    only.

    >>> pair_counts({(1, 2, 1, 2): 3, (2, 1): 5})    # (1, 2): twice in a word that occurs 3 times
    {(1, 2): 6, (2, 1): 8}
    """
    ### BEGIN SOLUTION
    totals = {}
    for word, count in counts.items():
        for pair in pairwise(word):
            totals[pair] = totals.get(pair, 0) + count
    return totals
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_pair_counts", "grade": true}
check("ch00/lab03/pair_counts", pair_counts)

# %% [markdown]
# **Look at it.** The most frequent pairs of bytes in Shakespeare. A dot stands for the space.

# %% tags=["look"]
count_pairs = earlier("ch00/lab03/pair_counts", pair_counts, course.pair_counts)
corpus = byte_counts(shakespeare("train"))
BYTES = {i: bytes([i]) for i in range(256)}


def show(spelling):
    """A token as text that one can see: the space as a dot, a line end as an arrow, other bytes as they are."""
    return spelling.decode(errors="backslashreplace").replace(" ", "·").replace("\n", "↵")


found = sorted(count_pairs(corpus).items(), key=lambda item: (-item[1], item[0]))
print(f"{len(corpus):,} different words, {len(found):,} different pairs")
fig, ax = plt.subplots(figsize=(7, 2.6))
ax.bar(range(25), [count / 1000 for _, count in found[:25]])
ax.set_xticks(range(25), [show(bytes(pair)) for pair, _ in found[:25]], rotation=60)
ax.set(xlabel="pair of bytes", ylabel="occurrences (thousands)")
plt.show()

# %% [markdown]
# **Which pair leads, and in which words does it stand?** It becomes the first merge, and gets id 256.

# %% [markdown]
# ## Step 2. Merge one pair
#
# Now replace the pair by its new id wherever it stands, from left to right.
#
# The trap is a run. `aaa` holds `(a, a)` twice, but an id can be used only once. From the left, `aaa` becomes `Aa`,
# `aaaa` becomes `AA`, and `aaaaa` becomes `AAa`. Encoder and trainer must agree on this, and so must you and everybody
# who uses your table.

# %% nbgrader={"grade_id": "merge", "solution": true}
def merge(ids: list[int], pair: tuple[int, int], new_id: int) -> list[int]:
    """The ids with every occurrence of the pair replaced by new_id, from left to right.

    ids: a list or a tuple; it is not changed. Returns a new list.

    >>> merge([7, 7, 7, 2], (7, 7), 9)
    [9, 7, 2]
    """
    ### BEGIN SOLUTION
    out, i = [], 0
    while i < len(ids):
        if i + 1 < len(ids) and (ids[i], ids[i + 1]) == pair:
            out.append(new_id)
            i += 2
        else:
            out.append(ids[i])
            i += 1
    return out
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_merge", "grade": true}
check("ch00/lab03/merge", merge)

# %% tags=["given"]
pairs_of = earlier("ch00/lab03/pair_counts", pair_counts, course.pair_counts)
replace = earlier("ch00/lab03/merge", merge, course.merge)

# %% [markdown]
# ## Step 3. Train
#
# Training is these two in a loop: count, take the best pair, give it the next id, merge it in every word, count again.
#
# One thing is left to decide. Two pairs often have the *same* count, and which goes first changes every id after it.
# If the choice falls to the order in which a dictionary happens to be filled, two machines train two tokenizers from
# one corpus, and a model trained with one reads nonsense through the other. So it has to be a rule:
#
# > The pair with the highest count. Of several, the smallest pair: the lower first id, then the lower second id.
#
# Hugging Face's trainer has the same rule. Training ends after `merges` merges, or before, when no pair is left.
#
# The result is a *merge table*, pair → new id. Ids count up from `first_id`, so the new id tells the rank as well: a
# lower one was learned earlier. Build on `pairs_of` and `replace`, which are your `pair_counts` and `merge` if they
# passed.

# %% nbgrader={"grade_id": "train", "solution": true}
def train(counts: dict[tuple[int, ...], int], merges: int, first_id: int) -> dict[tuple[int, int], int]:
    """Learn a merge table.

    counts: word -> how often it occurs; it is not changed. merges: how many to learn at most. first_id: the first
    merge's id, larger than every id in the words. Returns pair -> new id in the order learned.

    >>> train({(0, 1, 2): 4, (1, 2): 1, (0, 3): 4}, merges=2, first_id=4)
    {(1, 2): 4, (0, 3): 5}
    """
    # By hand: (1, 2) occurs 5 times, (0, 1) and (0, 3) 4 times each. (1, 2) becomes 4. Now (0, 1) is gone, and
    # (0, 3) and (0, 4) both occur 4 times: (0, 3) is the smaller pair.
    ### BEGIN SOLUTION
    words, learned = dict(counts), {}
    for new_id in range(first_id, first_id + merges):
        totals = pairs_of(words)
        if not totals:
            break
        best = min(totals, key=lambda pair: (-totals[pair], pair))
        learned[best] = new_id
        words = {tuple(replace(word, best, new_id)): count for word, count in words.items()}
    return learned
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_train", "grade": true}
check("ch00/lab03/train", train)

# %% [markdown]
# **Look at it.** What does a table learn from Shakespeare? The first thirty merges, and how often each pair occurred
# when it was merged.

# %% tags=["look"]
slow_train = earlier("ch00/lab03/train", train, course.train_naive)


def counts_when_merged(table):
    """How often each pair of a table occurred in the corpus at the moment when it was merged."""
    index, seen = course.PairIndex.of(corpus), []
    for pair, new_id in table.items():
        seen.append(index.totals.get(pair, 0))
        course.apply_merge(index, pair, new_id)
    return seen


first = slow_train(corpus, 30, 256)
spelled = course.expand(first, BYTES)
fig, ax = plt.subplots(figsize=(8, 2.8))
ax.bar(range(30), [count / 1000 for count in counts_when_merged(first)])
ax.set_xticks(range(30), [show(spelled[new_id]) for new_id in first.values()], rotation=60)
ax.set(xlabel="merge, in the order learned", ylabel="occurrences (thousands)")
plt.show()

# %% [markdown]
# **Where in a token can the space stand, and why nowhere else?** Nobody told the table about English. Count how many
# of the thirty are words already.

# %% [markdown]
# ## Step 4. Do not count again
#
# Your trainer is right, and slow. Each step reads every word, to merge a pair that most words do not hold. How many
# do? For each of the thirty merges, the share of the different words that it changed:

# %% tags=["look"]
index, touched = course.PairIndex.of(corpus), []
for pair, new_id in course.train(corpus, 1000, 256).items():
    touched.append(100 * len(index.where[pair]) / len(index.words))
    course.apply_merge(index, pair, new_id)

fig, ax = plt.subplots(figsize=(6, 3))
ax.plot(range(1, 1001), touched, ".", markersize=3)
ax.set(xscale="log", yscale="log", xlabel="merge", ylabel="different words changed (%)")
plt.show()
print(f"the median merge changes {np.median(touched):.2f} % of the words")

# %% [markdown]
# So keep the counts from step to step, and correct only what a merge changes. For that you need to know *where* each
# pair stands. A `PairIndex` holds both. `course.PairIndex.of(counts)` makes one:
#
# | field | holds | example for `{(1, 2, 3): 4, (1, 2): 1}` |
# |---|---|---|
# | `words` | each word's ids, as a list | `[[1, 2, 3], [1, 2]]` |
# | `weights` | how often each word occurs | `[4, 1]` |
# | `totals` | pair → count, pairs that occur only | `{(1, 2): 5, (2, 3): 4}` |
# | `where` | pair → the numbers of the words that hold it | `{(1, 2): {0, 1}, (2, 3): {0}}` |
#
# One merge of pair $p$ into the new id $z$: for each word that holds $p$, take its old pairs out of the counts, merge,
# put its new pairs in.
#
# $$N_q \leftarrow N_q + \sum_{w \,\in\, \text{where}[p]} c_w \left( n_q(w_{\text{new}}) - n_q(w_{\text{old}}) \right)$$
#
# Two traps. `where[p]` shrinks while you walk through it: walk through a copy. And a pair whose count reaches zero
# must leave `totals`, or the trainer will pick it one day.

# %% nbgrader={"grade_id": "apply_merge", "solution": true}
def apply_merge(index: course.PairIndex, pair: tuple[int, int], new_id: int) -> set[tuple[int, int]]:
    """Merge the pair in every word that holds it, and keep the index in step. Changes the index in place.

    Reads and writes no word that does not hold the pair. Afterwards `totals` and `where` are what they would be if
    made anew from the words: no count of zero, no empty set. Returns the pairs in `totals` that hold new_id.

    >>> index = course.PairIndex.of({(1, 2, 3): 4, (1, 2): 1})
    >>> apply_merge(index, (1, 2), 9), index.words, index.totals, index.where
    ({(9, 3)}, [[9, 3], [9]], {(9, 3): 4}, {(9, 3): {0}})
    """
    ### BEGIN SOLUTION
    created = set()
    for i in list(index.where.get(pair, ())):
        old, new = index.words[i], replace(index.words[i], pair, new_id)
        index.words[i] = new
        for p in pairwise(old):
            index.totals[p] -= index.weights[i]
            if index.totals[p] == 0:
                del index.totals[p]
        for p in set(pairwise(old)):
            index.where[p].discard(i)
            if not index.where[p]:
                del index.where[p]
        for p in pairwise(new):
            index.totals[p] = index.totals.get(p, 0) + index.weights[i]
            index.where.setdefault(p, set()).add(i)
            if new_id in p:
                created.add(p)
    return created
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_apply_merge", "grade": true}
check("ch00/lab03/apply_merge", apply_merge)

# %% tags=["given"]
merge_in_place = earlier("ch00/lab03/apply_merge", apply_merge, course.apply_merge)

# %% [markdown]
# ## Step 5. A queue that lies
#
# Counting is cheap now, but finding the best pair still goes through all of them. A heap hands out the smallest entry
# in O(log n), so entries `(-count, pair)` come out in just the order of step 3's rule.
#
# A colleague built the trainer on it. It is fast, and its first merges are right. Here it is. Do not mend it yet.

# %% tags=["given"]
def suspect_train(index: course.PairIndex, merges: int, first_id: int) -> dict[tuple[int, int], int]:
    """Learn a merge table from an index, with a heap. Changes the index in place. Something is wrong."""
    heap = [(-count, pair) for pair, count in index.totals.items()]
    heapq.heapify(heap)
    learned = {}
    for step in range(merges):
        if not heap:
            break
        entry, pair = heapq.heappop(heap)  # the highest count, and of several the smallest pair
        if pair not in index.totals:  # merged away meanwhile
            continue
        learned[pair] = first_id + step
        for fresh in merge_in_place(index, pair, learned[pair]):
            heapq.heappush(heap, (-index.totals[fresh], fresh))
    return learned


# %% [markdown]
# How would you find out, without knowing the answer? By something that must always hold. A merge can only lower the
# counts of old pairs, and a new pair occurs at most as often as the pair that it was made from. So the count of the
# *best* pair can never rise from one merge to the next. Watch it at the moment of merging:

# %% tags=["look"]
suspect = suspect_train(course.PairIndex.of(corpus), 100, 256)
right = course.train(corpus, 100, 256)
fig, ax = plt.subplots(figsize=(6.5, 3.2))
ax.plot(range(1, len(suspect) + 1), counts_when_merged(suspect), label="suspect")
ax.plot(range(1, len(right) + 1), counts_when_merged(right), "--", label="count again at every step")
ax.set(yscale="log", xlabel="merge", ylabel="occurrences when merged")
ax.legend()
plt.show()

# %% [markdown]
# **At which merge does the suspect's line first fall below the other?** It took a pair that had a better count *once*.
# On a corpus of ten words you can follow it by hand:

# %% tags=["look"]
ALPHABET = "achst"
small = {tuple(map(ALPHABET.index, word)): count for word, count in {"cat": 4, "cats": 3, "chat": 2, "hat": 1}.items()}
for name, table in {
    "suspect": suspect_train(course.PairIndex.of(small), 5, 5),
    "count again": slow_train(small, 5, 5),
}.items():
    print(f"{name:12}", table)

# %% [markdown]
# **Five merges were asked for. What became of ids 6 and 8?** Two things are wrong.
#
# An entry says what a pair's count *was* when it was pushed. Merges since then may have lowered it, and nobody took the
# old entry out. To take entries out of the middle of a heap is costly. To leave them in and look twice when they come
# up is cheap: that is *lazy deletion*. What must happen to a pair whose entry is too high? And what must such an entry
# not use up?
#
# Write the repaired trainer, still with one heap: it may go through all pairs once, at the start.

# %% nbgrader={"grade_id": "repaired_train", "solution": true}
def repaired_train(index: course.PairIndex, merges: int, first_id: int) -> dict[tuple[int, int], int]:
    """suspect_train put right: what `train` learns from the same words, while going through all pairs only once.

    index: changed in place, by `merge_in_place`. Returns pair -> new id in the order learned.

    >>> repaired_train(course.PairIndex.of({(0, 1, 2): 4, (1, 2): 1, (0, 3): 4}), merges=2, first_id=4)
    {(1, 2): 4, (0, 3): 5}
    """
    ### BEGIN SOLUTION
    heap = [(-count, pair) for pair, count in index.totals.items()]
    heapq.heapify(heap)
    learned = {}
    while heap and len(learned) < merges:
        entry, pair = heapq.heappop(heap)
        count = index.totals.get(pair, 0)
        if count != -entry:  # the entry is stale: it gets the place that it has earned by now
            if count:
                heapq.heappush(heap, (-count, pair))
            continue
        learned[pair] = first_id + len(learned)
        for fresh in merge_in_place(index, pair, learned[pair]):
            heapq.heappush(heap, (-index.totals[fresh], fresh))
    return learned
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_repaired_train", "grade": true}
check("ch00/lab03/repaired_train", repaired_train)

# %% [markdown]
# **Look at it.** Shakespeare's plays in one run, three ways. The baseline is your trainer of step 3, which counts again
# at every step: for few merges only, since it takes long.

# %% tags=["look"]
fast_train = earlier("ch00/lab03/repaired_train", repaired_train, course.train_index)


def without_heap(index, merges, first_id):
    """Counts kept up to date, but the best pair searched for among all."""
    learned = {}
    while index.totals and len(learned) < merges:
        best = min(index.totals, key=lambda pair: (-index.totals[pair], pair))
        learned[best] = first_id + len(learned)
        merge_in_place(index, best, learned[best])
    return learned


ways = {
    "count again": lambda n: slow_train(corpus, n, 256),
    "counts kept": lambda n: without_heap(course.PairIndex.of(corpus), n, 256),
    "counts kept, heap": lambda n: fast_train(course.PairIndex.of(corpus), n, 256),
}
few, many = 30, 1000
took = {name: seconds(lambda: way(few), repeats=1 if name == "count again" else 3, warm_up=0) for name, way in ways.items()}
for name, second in took.items():
    print(f"{few:5} merges, {name:18} {second:6.2f} s, {took['count again'] / second:5.1f} times as fast as counting again")
start = seconds(lambda: course.PairIndex.of(corpus), repeats=3, warm_up=0)
print(f"{'':15}to make the index  {start:6.2f} s of it, once")
for name in ("counts kept", "counts kept, heap"):
    print(f"{many:5} merges, {name:18} {seconds(lambda: ways[name](many), repeats=1, warm_up=0):6.2f} s")

# %% [markdown]
# **How many merges would counting again do in the time that the heap takes for 1000?** The index is made once, and
# later merges change fewer and fewer words, so the ratio grows with the size of the table. The heap shows only with
# many merges: there are more different pairs to search then.

# %% [markdown]
# ## Step 6. Encode
#
# A new word arrives. Which tokens is it made of? Do what training would have done to it: of all pairs in the word that
# the table knows, merge the one with the *lowest rank*, everywhere, from the left. Repeat until no pair is known.
#
# It is tempting to do something else: take the longest known token that fits, as the trie of lab 0.2 did, or merge the
# first pair that one meets from the left. Both give valid tokens that spell the word. Both give other tokens than
# the ones that the model was trained on.
#
# Looking at all pairs after every merge is O(n²). For a word of six bytes nobody minds. But a "word" can be a URL, a
# row of a thousand dashes or base64, and then a tokenizer in front of a server stands still. Again a heap helps:
#
# - Let the ids stand at places `0 … n-1`. Keep for each place its neighbour on the left and on the right.
# - The heap holds `(new id, place)` for every known pair: lowest rank first, and of equals the leftmost.
# - Take the first entry. Is its pair still there? If not, drop it: entries lie, as before.
# - Else the left place takes the new id, the right place is dead, and its neighbours become neighbours. Two new pairs
#   have come up: push them if they are known.
#
# Each merge pushes at most two entries, so there are at most $3n$ of them, and each costs $O(\log n)$.

# %% nbgrader={"grade_id": "encode", "solution": true}
def encode(ids: list[int], merges: dict[tuple[int, int], int]) -> list[int]:
    """Apply a merge table to one word: lowest rank first, equal ranks from the left, in O(n log n).

    ids: not negative; not changed. merges: pair -> new id; a lower new id is the lower rank, and each new id is larger
    than the two ids of its pair. Returns a list.

    >>> encode([1, 2, 3, 1, 2], {(2, 3): 4, (1, 2): 5})    # from the left (1, 2) comes first, but (2, 3) has rank 4
    [1, 4, 5]
    """
    ### BEGIN SOLUTION
    ids, n = list(ids), len(ids)
    left, right = list(range(-1, n - 1)), list(range(1, n + 1))  # the neighbours; -1 and n mean: none
    heap = [(merges[pair], place) for place, pair in enumerate(pairwise(ids)) if pair in merges]
    heapq.heapify(heap)
    while heap:
        new_id, place = heapq.heappop(heap)
        gone = right[place]
        if gone == n or merges.get((ids[place], ids[gone])) != new_id:
            continue  # stale: a dead place holds -1, which is in no pair
        ids[place], ids[gone] = new_id, -1
        right[place] = right[gone]
        if right[place] < n:
            left[right[place]] = place
        for a, b in ((left[place], place), (place, right[place])):
            if a >= 0 and b < n and (ids[a], ids[b]) in merges:
                heapq.heappush(heap, (merges[ids[a], ids[b]], a))
    return [i for i in ids if i >= 0]
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_encode", "grade": true}
check("ch00/lab03/encode", encode)

# %% [markdown]
# **Look at it.** First the round trip: encode a play that training never saw, and spell the ids out again. Then: does
# it matter to go by rank?

# %% tags=["look"]
tokens_of = earlier("ch00/lab03/encode", encode, course.encode)
table = course.train(corpus, 4000, 256)
spelled = course.expand(table, BYTES)

sample = shakespeare("validation")[:2000]
ids = [i for word in split(sample) for i in tokens_of(list(word.encode()), table)]
assert b"".join(spelled[i] for i in ids).decode() == sample
print("|".join(show(spelled[i]) for i in ids[:60]))

token_of = {spelling: i for i, spelling in spelled.items()}
longest = max(map(len, token_of))


def by_length(word):
    """What the trie of lab 0.2 does: from the left, the longest token that fits."""
    out = []
    while word:
        piece = next(word[:n] for n in range(longest, 0, -1) if word[:n] in token_of)
        out.append(token_of[piece])
        word = word[len(piece) :]
    return out


differ = [w for w in held_back if by_length(w.encode()) != tokens_of(list(w.encode()), table)]
share = sum(held_back[w] for w in differ) / held_back.total()
print(f"\nby length instead of by rank: {100 * share:.1f} % of all words get other tokens, such as")
for w in sorted(differ, key=lambda w: -held_back[w])[:4]:
    rows = (tokens_of(list(w.encode()), table), by_length(w.encode()))
    print("   by rank {:16} by length {}".format(*("|".join(show(spelled[i]) for i in row) for row in rows)))

# %% [markdown]
# **Would a model notice?** It has seen ` the` spelled in one way millions of times. Another way is another input.
#
# And what does a longer table buy?

# %% tags=["look"]
sizes = [0, 64, 256, 768, 1792, 3840]
texts = {"plays that it was trained on": known, "plays held back": held_back}
fig, ax = plt.subplots(figsize=(6, 3.2))
for (name, words), marker in zip(texts.items(), "os"):
    size_in_bytes, per_token = sum(len(w.encode()) * count for w, count in words.items()), []
    for size in sizes:
        part = {pair: new_id for pair, new_id in table.items() if new_id < 256 + size}
        tokens = sum(len(tokens_of(list(w.encode()), part)) * count for w, count in words.items())
        per_token.append(size_in_bytes / tokens)
    ax.plot([256 + size for size in sizes], per_token, marker=marker, label=name)
ax.set(xscale="log", xlabel="size of the vocabulary V (tokens)", ylabel="bytes a token", ylim=(0.8, None))
ax.set_xticks([256, 512, 1024, 2048, 4096], ["256", "512", "1024", "2048", "4096"])
ax.minorticks_off()
ax.legend()
plt.show()

# %% [markdown]
# **Each doubling of `V` doubles the embedding table. How much does the last doubling buy?** And the two curves: up to
# which size does the table learn English, and from where on *these* plays?

# %% [markdown]
# **Look at it.** How long does one word take? Words run together, `n` letters without a space, your heap against a loop that looks
# at all pairs again after every merge (the baseline), in one run.

# %% tags=["look"]
lengths = [10, 30, 100, 300, 1000]
draw = random.Random(0)
usual = [word for word in known if word.strip().isalpha()]
letters = "".join(draw.choices(usual, [known[word] for word in usual], k=5000)).replace(" ", "").encode()
times = {"all pairs again": [], "heap": []}
for n in lengths:
    word = list(letters[:n])
    assert tokens_of(word, table) == course.encode_naive(word, table)
    times["all pairs again"].append(seconds(lambda: course.encode_naive(word, table), repeats=5, warm_up=1))
    times["heap"].append(seconds(lambda: tokens_of(word, table), repeats=15, warm_up=1))

fig, ax = plt.subplots(figsize=(6, 3.2))
for (name, values), marker in zip(times.items(), "os"):
    ax.plot(lengths, [1e6 * value / n for value, n in zip(values, lengths)], marker=marker, label=name)
ax.set(xscale="log", yscale="log", xlabel="length of the word n (bytes)", ylabel="time a byte (µs)")
ax.legend()
plt.show()
for n, slow, fast in zip(lengths, *times.values()):
    print(f"n = {n:5}: the heap is {slow / fast:6.1f} times as fast as looking at all pairs again")

# %% [markdown]
# **Which line stays nearly level, and what does the other do?** Most words of a text have fewer than ten bytes, where
# the two are close. The heap is there for the one long word that somebody will send.

# %% [markdown]
# **Look at it.** Last, what the vocabulary looks like in use: how often does each token occur in the text that it was
# trained on?

# %% tags=["look"]
index = course.PairIndex.of(corpus)
for pair, new_id in table.items():
    course.apply_merge(index, pair, new_id)
used = Counter()
for word, weight in zip(index.words, index.weights):
    for i in word:
        used[i] += weight
per_byte = Counter()
for word, count in corpus.items():
    for b in word:
        per_byte[b] += count

fig, ax = plt.subplots(figsize=(6, 3.2))
for name, values in {"256 bytes": per_byte.values(), f"{len(spelled):,} tokens": used.values()}.items():
    values = np.sort([v for v in values if v])[::-1]
    ax.plot(np.arange(1, len(values) + 1), values / values.sum(), label=name)
ax.set(xscale="log", yscale="log", xlabel="rank of the token", ylabel="share of the text")
ax.legend()
plt.show()
rare = [show(spelled[i]) for i in table.values() if used[i] < 10]
print(f"{len(rare)} of {len(table)} learned tokens stand fewer than 10 times in the whole text:", *rare[:12])

# %% [markdown]
# A nearly straight line on these axes is Zipf's law: twice the rank, about half the share. The bytes bend down early;
# the tokens share the text more evenly, and then their line breaks off.
#
# **How can a token be learned because it is frequent and then hardly occur?** It was swallowed: every time, or nearly,
# it became a part of something longer. It keeps its row in the embedding table, and a model hardly ever sees it in
# training. Such tokens can be found in the vocabularies of large models, and a model behaves strangely when it meets
# one [@land2024].

# %% [markdown]
# ## What you built
#
# - Training with a stated rule for ties, and the same result many times as fast, since only changed words are touched.
# - Encoding by rank in O(n log n), and decoding that gives every text back.
# - A nose for stale entries. Lab 0.4 puts UTF-8 bytes and GPT-2's own table under your functions.
#
# ## Going further
#
# - The papers: [@sennrich2016], section 3.2 and algorithm 1; [@zouhar2023] proves how good the greedy choice is, and
#   gives a trainer in $O(N \log M)$ for a text of $N$ ids and $M$ merges.
# - Production code: Hugging Face `tokenizers`, `tokenizers/src/models/bpe/trainer.rs`, function `do_train`, and
#   `word.rs`, function `merge_all`. Find the lines that deal with stale entries in both.
# - An extension: leave out the word boundaries, so that merges may cross them. Which tokens come up first, and what
#   happens to the time of training?
