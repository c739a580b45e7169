# ---
# jupyter:
#   course:
#     title: Data Pipeline
#     level: intermediate
#     minutes: 90
#     hardware: cpu
#     builds: "What stands between a corpus and a model: windows from a mapped file, padded and packed batches, and an
#       order that survives a crash."
#     goals:
#     - Cut next-token windows out of a file that never has to fit into memory
#     - Batch documents of any length so that padding neither teaches nor counts
#     - Pack documents into rows that cannot see each other, and prove it
#     - Shuffle so that a run that died goes on with exactly the batches that it still owed
#     needs:
#     - "[Data processing](../../../book/ch00_text_to_tensors/data_processing.md)"
#     - Indexing and broadcasting in NumPy and PyTorch
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% tags=["setup"]
from autograder import setup; device = setup()

# %% tags=["setup"]
import random
import tempfile
import tracemalloc
from collections import Counter
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.colors import ListedColormap

from autograder import check, earlier
from source import corpus
from source.attention.dot_product import attention
from source.data_pipeline import collate as course_collate
from source.data_pipeline import packing as course_packing
from source.data_pipeline.order import Order, permuted
from source.data_pipeline.targets import IGNORED
from source.data_pipeline.token_file import write_tokens
from source.plots import BLUE, ORANGE, heatmap

# %% [markdown]
# ## A question first
#
# A model eats rectangles: `B` rows of `T` tokens. Text does not come in rectangles. In Shakespeare's plays one speech
# is a single word, the next fills a page. Draw 32 speeches, put each at the left of its own row, and fill up with
# padding. How much of the rectangle is text?
#
# To have ids at all, this lab takes the simplest tokenizer there is: a speech's UTF-8 bytes, 0 to 255, and behind
# them one token more, 256, that says "here it ends". The tokenizer of lab 0.4 slots into the same place.

# %% tags=["given"]
END = 256  # the separator: a token that no text contains
VOCABULARY = 257


def encode(speech: str) -> torch.Tensor:
    """The ids of one speech: its bytes, then END. (n,), int64."""
    return torch.tensor([*speech.encode("utf-8"), END])


def decode(ids: torch.Tensor) -> str:
    """The text of some ids, with the separator shown as ¶."""
    return b"".join(b"\xc2\xb6" if i == END else bytes([i]) for i in ids.tolist()).decode("utf-8", "replace")


speeches = corpus.speeches(corpus.shakespeare("train"))
documents = [encode(speech) for speech in speeches[:6000]]
lengths = [len(document) for document in documents]

# %% tags=["look"]
drawn = random.Random(0).sample(lengths, 32)
rectangle = np.arange(max(drawn)) < np.array(drawn)[:, None]

fig, ax = plt.subplots(figsize=(7, 3))
ax.imshow(rectangle, aspect="auto", cmap=ListedColormap(["#b0b0b055", BLUE]), interpolation="nearest")
ax.set(xlabel="place in the row (token)", ylabel="row (speech)", title=f"{rectangle.mean():.0%} of this batch is text")
plt.show()

shuffled = random.Random(1).sample(lengths, len(lengths))
print(f"{len(speeches):,} speeches; of 6,000 the median has {int(np.median(lengths))} tokens, the longest {max(lengths):,}")
print(f"shuffled into batches of 32, {course_collate.padding_share(shuffled, 32):.0%} of all places are padding")

# %% [markdown]
# **Which single row decides how wide the batch is?** A model computes on every place, text or not. Most of what you
# pay for would be nothing. This lab gets that time back, in two ways, and each way has a trap that no error message
# tells you about.
#
# Letters: `B` rows, `T` places in a row, `V` vocabulary.

# %% [markdown]
# ## Step 1. Windows
#
# The first way: forget the documents. Put all of them into one long stream, each with its separator, and cut the
# stream where you like. Every window is full, and there is no padding at all.
#
# What should the model say at each place? The token that comes next. For a window that starts at $s$:
#
# $$\text{input}_t = \text{stream}_{s+t} \qquad \text{target}_t = \text{stream}_{s+t+1} \qquad t = 0, \ldots, T-1$$
#
# So a window of `T` inputs touches `T + 1` tokens, and one pass over it asks `T` questions at once.
#
# A real stream is hundreds of gigabytes. It lies in a file, two bytes an id (four if the vocabulary is larger than
# 65,536), and you *map* the file: `np.memmap` looks like an array, but a page of it is read from the disk when you
# first touch it. A slice is free. What costs is whatever makes a copy: a change of type, an index by a list.
# An embedding wants `int64`. So change the type of what you need, and of nothing else.

# %% nbgrader={"grade_id": "read_windows", "solution": true}
def read_windows(tokens: np.ndarray, starts: list[int], T: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and next-token targets of the windows that begin at `starts`.

    tokens: (N,), uint16 or uint32, perhaps a mapped file larger than memory: copy the windows and nothing else.
    starts: B places, each from 0 to N - T - 1. Returns inputs (B, T) and targets (B, T), int64.

    >>> read_windows(np.array([5, 6, 7, 8, 9], dtype=np.uint16), [0, 2], 2)
    (tensor([[5, 6],
            [7, 8]]), tensor([[6, 7],
            [8, 9]]))
    """
    ### BEGIN SOLUTION
    runs = [tokens[s : s + T + 1].astype(np.int64) for s in starts]  # slices first: only they are copied and widened
    ids = torch.from_numpy(np.stack(runs))  # (B, T + 1)
    return ids[:, :-1], ids[:, 1:]
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_read_windows", "grade": true}
check("ch00/lab05/read_windows", read_windows)

# %% [markdown]
# **Look at it.** All speeches in one file, then 64 windows of 256 tokens from it, twice: once from the file loaded as
# a whole, once from the mapped file. How much memory does each ask for on the way?

# %% tags=["look"]
windows_of = earlier("ch00/lab05/read_windows", read_windows, lambda tokens, starts, T: stream.windows(starts, T))
folder = tempfile.TemporaryDirectory()
stream = write_tokens(Path(folder.name) / "train.bin", (encode(speech) for speech in speeches), VOCABULARY)
starts = np.random.default_rng(0).integers(0, len(stream) - 256, 64).tolist()


def asked_for(work) -> float:
    """MiB that Python and NumPy ask the system for while `work` runs, at most at one time."""
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


whole = asked_for(lambda: windows_of(np.fromfile(stream.path, np.uint16), starts, 256))
mapped = asked_for(lambda: windows_of(np.memmap(stream.path, np.uint16, mode="r"), starts, 256))
print(f"{len(stream):,} tokens, {stream.path.stat().st_size / 2**20:.1f} MiB on disk")
print(f"file loaded: {whole:.2f} MiB     file mapped: {mapped:.2f} MiB     ratio {whole / mapped:.0f}")

inputs, targets = windows_of(stream.tokens, starts, 256)
print("\ninput :", repr(decode(inputs[0, :60])), "\ntarget:", repr(decode(targets[0, :60])))

# %% [markdown]
# **Which of the two numbers grows when the corpus grows a thousand times, and which stays?** The mapped one depends on
# the windows alone. Now read the two lines of text against each other: each target is the input, one step on.
#
# What did the windows cost? They start and end in the middle of speeches, and a window that spans two shows the model
# the end of one as context for the other. For pretraining on a long stream that is common practice. For short
# documents with meaning of their own, such as question and answer, you want documents whole. That is the second way.

# %% [markdown]
# ## Step 2. Pad, and do not count it
#
# Back to the rectangle. A batch of documents becomes three tensors:
#
# - `ids (B, T)`: the documents, with `pad` behind the shorter ones; `T` is the longest one's length;
# - `targets (B, T)`: at each place the *next token of the same document*. Where there is none, at a document's last
#   token and in the padding, stands `IGNORED = -100`, which `F.cross_entropy` leaves out of its mean;
# - `mask (B, T)`: `True` on tokens, `False` on padding. Attention needs it.
#
# The trap: GPT-2 has no padding token, so people pad with its end-of-text token. Then an id does not tell whether a
# place is text or padding. What does?

# %% nbgrader={"grade_id": "collate", "solution": true}
def collate(documents: list[torch.Tensor], pad: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Documents of different lengths as one batch, each at the left of its row.

    documents: B tensors (n,), int64, each n at least 1. pad: fills the rest; documents may contain it.
    Returns ids (B, T), targets (B, T), both int64, and mask (B, T), bool, with T the largest n.

    >>> ids, targets, mask = collate([torch.tensor([5, 6, 7]), torch.tensor([8, 0])], pad=0)
    >>> ids
    tensor([[5, 6, 7],
            [8, 0, 0]])
    >>> targets                                                # the 0 in the second row is a token, not padding
    tensor([[   6,    7, -100],
            [   0, -100, -100]])
    >>> mask
    tensor([[ True,  True,  True],
            [ True,  True, False]])
    """
    ### BEGIN SOLUTION
    B, T = len(documents), max(len(document) for document in documents)
    ids = torch.full((B, T), pad)
    targets = torch.full((B, T), IGNORED)
    mask = torch.zeros(B, T, dtype=torch.bool)
    for row, document in enumerate(documents):
        n = len(document)
        ids[row, :n] = document
        targets[row, : n - 1] = document[1:]
        mask[row, :n] = True
    return ids, targets, mask
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_collate", "grade": true}
check("ch00/lab05/collate", collate)

# %% [markdown]
# **Look at it.** What happens to a loss that counts padding? Take the dullest model there is: it always foretells the
# same probabilities, those of the tokens it has been shown. Shuffled batches of 32, and the same speeches sorted by
# length first.

# %% tags=["look"]
batch_of = earlier("ch00/lab05/collate", collate, course_collate.collate)


def dull_loss(targets: torch.Tensor) -> float:
    """Nats a target, for a model that foretells each token as often as it comes among these targets."""
    share = torch.bincount(targets.flatten()).double() / targets.numel()
    return -(share[share > 0] * share[share > 0].log()).sum().item()


rng = random.Random(2)
orders = {"shuffled": rng.sample(documents, 1600), "sorted by length": sorted(rng.sample(documents, 1600), key=len)}
print(f"{'batches of 32':18} {'padding':>8} {'loss, padding ignored':>22} {'loss, padding counted':>22}")
for name, chosen in orders.items():
    batches = [batch_of(chosen[i : i + 32], END) for i in range(0, len(chosen), 32)]
    right = torch.cat([targets.flatten() for _, targets, _ in batches])
    counted = torch.where(right == IGNORED, END, right)  # as if the padding were a target
    share = 1 - sum(mask.sum().item() for *_, mask in batches) / len(right)
    print(f"{name:18} {share:8.0%} {dull_loss(right[right != IGNORED]):22.2f} {dull_loss(counted):22.2f}")

# %% [markdown]
# **The model is equally dull in all four numbers. Why does counting the padding make it look so much better, and why
# does that depend on how the batches were put together?** A loss that changes when you sort the data does not measure
# the model.
#
# Sorting takes most of the padding away. But now all short speeches come together and all long ones together, batch
# after batch, and the model sees them in that order. Sorting within a pool of a few thousand is the usual compromise.
# You can do better: no padding *and* no sorting.

# %% [markdown]
# ## Step 3. Pack
#
# Fix the width `T`, and put *several* documents into one row, one behind the other. Which go together? That is
# bin packing; to do it best is NP-hard, and a simple rule does it nearly as well. *First fit*: take the documents as
# they come, and put each into the first row that still has room for it. If none has, open a new row.
#
# In symbols: document $i$ goes into the smallest $r$ with $\text{used}_r + n_i \le T$. A document longer than `T` fits
# nowhere: that is an error here, since cutting it is a decision that somebody should take on purpose.

# %% nbgrader={"grade_id": "first_fit", "solution": true}
def first_fit(lengths: list[int], T: int) -> list[list[int]]:
    """Which documents share a row.

    lengths: tokens of each document, in the order in which they come. T: places in a row.
    Returns the rows in the order in which they were opened, each the list of its documents' numbers.
    Raises ValueError if a document is longer than T.

    >>> first_fit([5, 4, 3, 2, 2], 8)         # 5 opens row 0, 4 opens row 1, 3 fits behind the 5, both 2s behind the 4
    [[0, 2], [1, 3, 4]]
    """
    ### BEGIN SOLUTION
    rows, room = [], []
    for document, length in enumerate(lengths):
        if length > T:
            raise ValueError(f"document {document} has {length} tokens, a row {T} places: cut it first")
        fits = [row for row, free in enumerate(room) if free >= length]
        row = fits[0] if fits else len(rows)
        if not fits:
            rows.append([])
            room.append(T)
        rows[row].append(document)
        room[row] -= length
    return rows
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_first_fit", "grade": true}
check("ch00/lab05/first_fit", first_fit)

# %% [markdown]
# **Look at it.** How much of all places is padding, by how the same speeches are put into rows? "Next fit" looks at
# the newest row only. Documents longer than a row are cut first, for every method.

# %% tags=["look"]
fit = earlier("ch00/lab05/first_fit", first_fit, course_packing.first_fit)


def next_fit(lengths: list[int], T: int) -> int:
    """How many rows it takes to look at the newest row only."""
    rows, free = 0, 0
    for length in lengths:
        if length > free:
            rows, free = rows + 1, T
        free -= length
    return rows


widths = [256, 512, 1024, 2048]
padding = {"one a row": [], "batches of 32": [], "next fit": [], "first fit": []}
some = rng.sample(documents, 2500)
for T in widths:
    pieces = [len(piece) for piece in course_packing.cut(some, T)]
    total = sum(pieces)
    padding["one a row"].append(1 - total / (T * len(pieces)))
    padding["batches of 32"].append(course_collate.padding_share(pieces, 32))
    padding["next fit"].append(1 - total / (T * next_fit(pieces, T)))
    padding["first fit"].append(1 - total / (T * len(fit(pieces, T))))

fig, ax = plt.subplots(figsize=(6.4, 3.4))
for (name, shares), marker in zip(padding.items(), "^svo"):
    ax.plot(widths, [100 * share for share in shares], marker=marker, label=name)
    print(f"{name:14}", "  ".join(f"T = {T}: {share:6.2%}" for T, share in zip(widths, shares)))
ax.set(xscale="log", xlabel="places in a row, T", ylabel="padding (% of all places)", ylim=(-3, 100))
ax.set_xticks(widths, widths)
ax.minorticks_off()
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# **How much padding does first fit leave, and does it get more or less as rows get wider?** No sorting was needed:
# short speeches fill the holes that long ones leave.
#
# Your `first_fit` looks at every row for every document, which is quadratic. `source/data_pipeline/packing.py` keeps
# the largest room of each half of the rows in a tree and needs a dozen steps a document. The rows are the same.

# %% [markdown]
# ## Step 4. Keep them apart
#
# A packed row holds strangers. If the second speech of a row could see the first, its words would be foretold from a
# context that they never had. Three things must be put right, and all three follow from one tensor: `segments (B, T)`
# says whose token each place holds, 1 for the row's first document, 2 for the second, and so on; 0 is padding.
#
# - **Targets**: the next token of the same document. A document's last token has none.
# - **Positions**: each document counts from 0 again, as if it stood alone. In the padding they are 0.
# - **Mask**: `mask[t, s]` is `True` if place `t` may see place `s`: same document, and not later. Padding sees nothing
#   and is seen by nobody.
#
# $$\text{mask}_{ts} = (\text{seg}_t = \text{seg}_s) \wedge (s \le t) \wedge (\text{seg}_t \neq 0)$$
#
# In shapes: `segments (B, T)` against itself, once as a column and once as a row, gives `(B, T, T)`.

# %% nbgrader={"grade_id": "keep_apart", "solution": true}
def keep_apart(ids: torch.Tensor, segments: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What keeps the documents of packed rows apart.

    ids: (B, T), int64. segments: (B, T), int64: a row's documents are numbered 1, 2, ... from the left, 0 is padding
    at the end. Returns targets (B, T) and positions (B, T), both int64, and mask (B, T, T), bool.

    >>> targets, positions, mask = keep_apart(torch.tensor([[5, 6, 7, 8, 0]]), torch.tensor([[1, 1, 2, 2, 0]]))
    >>> targets, positions
    (tensor([[   6, -100,    8, -100, -100]]), tensor([[0, 1, 0, 1, 0]]))
    >>> mask[0].int()
    tensor([[1, 0, 0, 0, 0],
            [1, 1, 0, 0, 0],
            [0, 0, 1, 0, 0],
            [0, 0, 1, 1, 0],
            [0, 0, 0, 0, 0]], dtype=torch.int32)
    """
    ### BEGIN SOLUTION
    T = ids.shape[1]
    real = segments > 0
    targets = torch.full_like(ids, IGNORED)
    goes_on = (segments[:, :-1] == segments[:, 1:]) & real[:, 1:]  # (B, T - 1): the next place is of the same document
    targets[:, :-1] = torch.where(goes_on, ids[:, 1:], IGNORED)
    same = (segments[:, :, None] == segments[:, None, :]) & real[:, :, None]  # (B, T, 1) with (B, 1, T)
    mask = same & torch.ones(T, T, dtype=torch.bool, device=ids.device).tril()
    positions = (mask.sum(dim=-1) - 1).clamp(min=0)  # a token that sees n tokens, itself too, is number n - 1
    return targets, positions, mask
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_keep_apart", "grade": true}
check("ch00/lab05/keep_apart", keep_apart)

# %% [markdown]
# **Look at it.** Left, the mask of a row with four short speeches. Right, the proof that it is the right one:
# attention of lab 1.1 over the packed row, against attention over each speech alone. Each bar is the largest
# difference between the two, over all tokens of a speech: for the whole of `keep_apart`, and with one of its parts
# left out. The dashed line is float32's tolerance; no difference at all is drawn at 1e-7.

# %% tags=["look"]
apart = earlier(
    "ch00/lab05/keep_apart",
    keep_apart,
    lambda ids, segments: (
        course_packing.packed_targets(ids, segments),
        course_packing.packed_positions(segments),
        course_packing.packed_mask(segments),
    ),
)
lines = ("Who's there?", "Nay, answer me.", "Long live the king!", "Bernardo?")
short = [encode(line) for line in lines]
ids, segments = course_packing.lay_out(short, [range(4)], T=72)
targets, positions, mask = apart(ids, segments)

torch.manual_seed(0)
C = 32
table, places, weights = torch.randn(VOCABULARY, C), torch.randn(72, C), torch.randn(3, C, C) / C**0.5


def attended(ids, positions, mask):
    """One head over some ids (T,), with an embedding for each token and one for each position: (T, C)."""
    x = table[ids] + places[positions]
    return attention(*(x @ W for W in weights), mask)[0]


causal = torch.ones(72, 72, dtype=torch.bool).tril()
versions = {
    "kept apart": (positions[0], mask[0]),
    "positions not reset": (torch.arange(72), mask[0]),
    "plain causal mask": (positions[0], causal),
}
differences = {name: [] for name in versions}
for name, (where, seen) in versions.items():
    together = attended(ids[0], where, seen)
    for number, speech in enumerate(short, start=1):
        n = len(speech)
        alone = attended(speech, torch.arange(n), causal[:n, :n])
        differences[name].append((together[segments[0] == number] - alone).abs().max().item())

fig, axes = plt.subplots(1, 2, figsize=(9.5, 3.9), layout="constrained")
heatmap(axes[0], mask[0].numpy(), [""] * 72, [""] * 72)
middles = [segments[0].eq(number).nonzero().float().mean().item() for number in range(1, 5)]
axes[0].set_yticks(middles, lines)
axes[0].set_xticks(middles, range(1, 5), rotation=0)
axes[0].set(xlabel="speech that is looked at", ylabel="", title="mask of the packed row")
for i, (name, values) in enumerate(differences.items()):
    axes[1].bar(np.arange(4) + 0.27 * (i - 1), np.maximum(values, 1e-7), 0.25, label=name, hatch=("", "//", "..")[i])
axes[1].axhline(1e-5, color="gray", linewidth=0.8, linestyle="--")
axes[1].set_xticks(range(4), [f"speech {n}" for n in range(1, 5)])
axes[1].set(yscale="log", ylim=(2e-8, 1e3), ylabel="largest difference from alone", title="packed against alone")
axes[1].legend(fontsize=9, loc="upper left", ncols=1)
plt.show()
print({name: f"{max(values):.1e}" for name, values in differences.items()})

# %% [markdown]
# **Why is speech 1 right under every version? And which of the two faults would you notice with documents that are
# all alone in their row?** Neither: a test on single documents passes, and so does training. The loss still falls.
#
# Does it matter in practice? Two studies say that it does: models pretrained with the mask were better than models
# whose documents saw their neighbours [@zhao2024], and packing with mask and positions halved the time of BERT's
# second phase of pretraining and left its results as they were [@krell2021]. GPT-3 was trained without a mask, with separators alone [@brown2020].

# %% [markdown]
# ## Step 5. Write the property
#
# You cannot compare a packed batch with "the right answer": a packer may put documents into any rows in any order,
# and each is right. So what is it that must stay the same?
#
# Read a batch as a list of *questions*. Every place whose target is not `IGNORED` asks one: *given these tokens at
# these positions, which token comes next?* What may be seen is `mask`, and so the question at place `t` of a row is
#
# (`ids[mask[t]]`, `positions[mask[t]]`, `targets[t]`)
#
# A document of `n` tokens, alone, asks `n - 1`: its first token, its first two, and so on. **A packer is right if its
# batch asks exactly the questions of its documents, each as often as it should.** No question lost, none twice, none
# with a stranger in its context.
#
# Write that down: a function that takes a packer, feeds it documents of your choice, and says whether it is right.
# Its check runs it on packers that are right, each in another way, and on packers that are not. The faults that you
# are shown are not all that it has to catch.

# %% nbgrader={"grade_id": "packing_test", "solution": true}
def packing_test(packer) -> bool:
    """Whether a packer leaves every document's questions as they are.

    packer: a function (documents, T) -> ids (B, T), targets (B, T), positions (B, T), mask (B, T, T).
    documents: a list of tensors (n,), int64, each of 1 to T tokens. Rows, and their order, are the packer's choice.

    >>> packing_test(lambda documents, T: (torch.zeros(1, T, dtype=torch.int64),) * 3 + (torch.ones(1, T, T).bool(),))
    False
    """
    ### BEGIN SOLUTION
    draw, T = random.Random(5), 12
    documents = [torch.tensor([draw.randrange(9) for _ in range(draw.randint(1, 6))]) for _ in range(30)]
    documents += [documents[3], torch.arange(T)]  # one that comes twice, and one that fills a row
    wanted = Counter()
    for document in documents:
        tokens = document.tolist()
        for n in range(1, len(tokens)):
            wanted[tuple(tokens[:n]), tuple(range(n)), tokens[n]] += 1
    asked = Counter()
    ids, targets, positions, mask = packer(documents, T)
    for row, t in (targets != IGNORED).nonzero().tolist():
        seen = mask[row, t]
        asked[tuple(ids[row][seen].tolist()), tuple(positions[row][seen].tolist()), targets[row, t].item()] += 1
    return asked == wanted
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_packing_test", "grade": true}
check("ch00/lab05/packing_test", packing_test)

# %% [markdown]
# **Look at it.** The same 400 speeches, padded and packed: how many questions, and how many places to ask them in?

# %% tags=["look"]
chosen = [document for document in rng.sample(documents, 400) if len(document) <= 512]
packed = course_packing.pack(chosen, 512)
batches = [course_collate.collate(chosen[i : i + 32], END) for i in range(0, len(chosen), 32)]
for name, ids, targets in (
    ("padded", [b[0] for b in batches], [b[1] for b in batches]),
    ("packed", [packed.ids], [packed.targets]),
):
    places = sum(part.numel() for part in ids)
    questions = sum((part != IGNORED).sum().item() for part in targets)
    print(f"{name}: {questions:7,} questions in {places:7,} places, {places / questions:.2f} places a question")

# %% [markdown]
# **By what factor does packing cut the places that the model computes on, at equal questions?** That factor is time
# that you get back on every step of a training run.

# %% [markdown]
# ## Step 6. An order that survives a crash
#
# Windows are read in a shuffled order, another one each epoch. Runs die: machines fail, jobs are cut off. A run that
# goes on from its checkpoint must take exactly the windows that it still owed, neither some twice nor others never.
#
# Saving the shuffled list would do, but a list of a billion windows is 8 GB. A *computed* order needs none: whatever
# stands at a place follows from (seed, epoch, place) alone. You have such an order:
#
# `permuted(places, count, seed, epoch)` → what stands at these places of the epoch's order of `0 … count - 1`
#
# So the whole state of a data loader is three integers: the seed, the epoch, and the position in it. That leaves the
# arithmetic. With several processes (*ranks*), each step takes `batch` windows for every rank from the order, one
# behind the other: rank 0 takes the first `batch` of them, rank 1 the next, and so on. If what is left of an epoch is
# not enough for all ranks, it is left out, and the step takes the beginning of the next epoch.

# %% nbgrader={"grade_id": "resumable_order", "solution": true}
class ResumableOrder:
    """Which windows to read next, for one rank of several.

    count: how many windows there are. Each of `ranks` processes has its own object, with its own `rank`.
    Epoch and position change when a step is taken and at no other time.

    >>> order = ResumableOrder(count=10, seed=0)
    >>> first, second = order.take(4), order.take(4)                            # 8 different windows of the 10
    >>> len(set(first) | set(second)), order.state()
    (8, {'seed': 0, 'epoch': 0, 'position': 8})
    >>> third = order.take(4)                                                   # 2 are left: too few, so a new epoch
    >>> order.state()
    {'seed': 0, 'epoch': 1, 'position': 4}
    """

    def __init__(self, count: int, seed: int, rank: int = 0, ranks: int = 1) -> None:
        self.count, self.seed, self.rank, self.ranks = count, seed, rank, ranks
        self.epoch, self.position = 0, 0  # position: how many windows all ranks together have taken of this epoch

    def take(self, batch: int) -> list[int]:
        """The next `batch` windows of this rank. batch * ranks is at most count."""
        ### BEGIN SOLUTION
        step = batch * self.ranks
        if self.position + step > self.count:
            self.epoch, self.position = self.epoch + 1, 0
        first = self.position + self.rank * batch
        self.position += step
        return permuted(np.arange(first, first + batch), self.count, self.seed, self.epoch).tolist()
        ### END SOLUTION

    def state(self) -> dict[str, int]:
        """What a checkpoint has to hold: {"seed": ..., "epoch": ..., "position": ...}."""
        ### BEGIN SOLUTION
        return {"seed": self.seed, "epoch": self.epoch, "position": self.position}
        ### END SOLUTION

    def resume(self, state: dict[str, int]) -> None:
        """Go on where `state` was taken, whatever this object did before."""
        ### BEGIN SOLUTION
        self.seed, self.epoch, self.position = state["seed"], state["epoch"], state["position"]
        ### END SOLUTION


# %% nbgrader={"grade_id": "check_resumable_order", "grade": true}
check("ch00/lab05/resumable_order", ResumableOrder)

# %% [markdown]
# **Look at it.** A run over all windows of the file, on two ranks, that is killed four times in its first epoch. How
# often has each window been read by the epoch's end, if the state is saved, and if every restart begins with a fresh
# shuffle of the same seed, or of a new one?

# %% tags=["look"]
Walk = earlier("ch00/lab05/resumable_order", ResumableOrder, Order)
count, batch, ranks = stream.count_windows(256), 16, 2
steps = count // (batch * ranks)
killed = [steps * k // 5 for k in range(1, 5)]


def times_read(restart) -> np.ndarray:
    """How often each window is read in an epoch's worth of steps. restart(k, walks) acts after the k-th crash."""
    read = np.zeros(count, dtype=int)
    walks = [Walk(count, 0, rank, ranks) for rank in range(ranks)]
    for step in range(steps):
        if step in killed:
            walks = restart(killed.index(step) + 1, walks)
        for walk in walks:
            np.add.at(read, walk.take(batch), 1)
    return read


def resumed(_, walks):
    states = [walk.state() for walk in walks]
    fresh = [Walk(count, 999, rank, ranks) for rank in range(ranks)]
    for walk, state in zip(fresh, states):
        walk.resume(state)
    return fresh


results = {
    "state saved": times_read(resumed),
    "same seed again": times_read(lambda k, _: [Walk(count, 0, rank, ranks) for rank in range(ranks)]),
    "a new seed": times_read(lambda k, _: [Walk(count, k, rank, ranks) for rank in range(ranks)]),
}
fig, axes = plt.subplots(1, 3, figsize=(9, 2.9), sharey=True, layout="constrained")
for ax, (name, read) in zip(axes, results.items()):
    shares = 100 * np.bincount(read, minlength=7) / count
    bars = ax.bar(range(len(shares)), shares, color=ORANGE)
    ax.bar_label(bars, [f"{share:.0f}" if share >= 0.5 else "" for share in shares], fontsize=9)
    ax.set(title=name, xlabel="times read", xticks=range(len(shares)), ylim=(0, 112))
axes[0].set_ylabel("windows (%)")
plt.show()

# %% [markdown]
# **With the same seed again, how much of the corpus has the model never seen, and how often has it seen the rest? Why
# is a new seed better, and still wrong?** Nothing in the loss curve says so clearly: windows read before have a
# slightly lower loss, which looks like progress.
#
# All that is left of the pipeline is one line a step. Here it runs, on rank 0 of 2:

# %% tags=["look"]
walk = Walk(count, 0, 0, 2)
for step in range(3):
    chosen = walk.take(4)
    inputs, targets = stream.windows([256 * window for window in chosen], 256)
    print(f"step {step}: windows {chosen}, inputs {tuple(inputs.shape)}, state {walk.state()}")
folder.cleanup()

# %% [markdown]
# ## What you built
#
# - Windows with shifted targets, read from a mapped file that never has to fit into memory.
# - Padded and packed batches in which nothing counts, and nothing sees, what it should not; and the property that says
#   so for any packer.
# - An order whose whole state is three integers. Chapter 4 trains on this pipeline.
#
# ## Going further
#
# - The papers: packing without contamination [@krell2021]; what cutting documents costs, and best-fit packing
#   [@ding2024]; what documents in one row do to each other [@zhao2024].
# - Production code: nanoGPT's `train.py`, function `get_batch`: find the shift by one, the `uint16` and the `memmap`.
#   Why does it draw starts at random, and what does it give up by that? In Hugging Face's `transformers`, read
#   `DataCollatorWithFlattening`: it packs a whole batch into one row and tells FlashAttention where documents begin.
# - An extension: `packed_mask` is `(B, T, T)`, most of it `False`. FlashAttention takes the documents' ends instead
#   (`cu_seqlens`). Compute them from `segments`, and attend to each document in a loop. From which `T` on is your loop
#   faster than the masked product?
