# ---
# jupyter:
#   course:
#     title: Causal Masking
#     level: intermediate
#     minutes: 80
#     hardware: cpu
#     builds: "The attention mask: triangle, padding, documents, all at once; a softmax that survives minus infinity; and an instrument that finds what leaks."
#     goals:
#     - Build the causal mask for any number of queries and keys, and use it a piece at a time
#     - Say what minus infinity does that no large negative number does, forward and backward
#     - Hide padding in front, padding behind and packed documents with one rule, and get the positions right
#     - Find out from outside which keys and values an attention reads
#     needs:
#     - "[Causal Masking](../../../book/ch03_complete_transformer/causal_masking.md)"
#     - Lab 1.1, Dot-Product Attention
#     - Lab 2.4, Transformer Block
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% tags=["setup"]
from autograder import setup; device = setup()

# %% tags=["setup"]
import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F

from autograder import check, earlier
from source.attention import masks as course
from source.attention.dot_product import attention, scaled_scores
from source.corpus import shakespeare, speeches
from source.models.gpt import shipped
from source.plots import BLUE, ORANGE, RED, heatmap
from source.sliders import move
from source.timing import seconds
from source.word_pairs import WORDS, counts

# %% [markdown]
# ## A question first
#
# A language model foretells the next token from those before it. A text of 128 bytes holds 128 such questions: the
# first with one byte of context, the last with 128. You can ask them one at a time, each with its own prefix. Or you
# can hand the model the whole text once. The small trained model that ships with the course, both ways:

# %% tags=["look"]
torch.set_num_threads(1)  # tensors this small: a second thread waits more than it works
model = shipped().requires_grad_(False)
CONTEXT = model.sizes.context
held_out = torch.tensor(list(shakespeare("validation").encode()[: 96 * (CONTEXT + 1)])).view(96, CONTEXT + 1)
ids, targets = held_out[:, :-1], held_out[:, 1:]  # both (B, T) = (96, 128)


def one_at_a_time():
    return torch.stack([model(ids[:1, : t + 1])[0, -1] for t in range(CONTEXT)])  # (T, V)


def one_pass():
    return model(ids[:1])[0]  # (T, V)


print(f"largest difference of any logit: {(one_at_a_time() - one_pass()).abs().max():.1e}")
times = seconds(one_at_a_time, repeats=3, warm_up=1), seconds(one_pass)
print(f"one prefix at a time: {1000 * times[0]:.0f} ms; one pass: {1000 * times[1]:.1f} ms, {times[0] / times[1]:.0f} times as fast")

losses = F.cross_entropy(model(ids).flatten(0, 1), targets.flatten(), reduction="none").view(ids.shape).mean(dim=0)
fig, ax = plt.subplots(figsize=(6, 3.2))
ax.plot(range(1, CONTEXT + 1), losses, ".", color=BLUE, markersize=4, label="one position")
groups = [losses[a - 1 : b - 1].mean() for a, b in zip((1, 2, 4, 8, 16, 32, 64), (2, 4, 8, 16, 32, 64, 129))]
ax.plot([1, 2.5, 5.5, 11.5, 23.5, 47.5, 96], groups, "o-", color=ORANGE, label="mean of 1, 2, 4, ... positions")
ax.set(xscale="log", xlabel="bytes of context", ylabel="loss (nats a byte)")
ax.set_xticks([1, 2, 4, 8, 16, 32, 64, 128], [1, 2, 4, 8, 16, 32, 64, 128])
ax.minorticks_off()
ax.legend()
plt.show()

# %% [markdown]
# The same numbers, in one pass. **How much does a byte gain from eight bytes of context, and how much from the last
# hundred?** Every position is a training example of its own, and one pass serves them all. What makes this honest is
# a single boolean matrix: no position may see what it has to foretell. If the matrix is wrong by one column, the
# training loss is wonderful and the model is worthless. So this lab is about that matrix, in all the shapes in which
# you will need it, and about proving that it does what it says.
#
# Letters: `B` batch, `H` heads, `T` queries, `S` keys. In all masks of the course `True` means *may be seen*.

# %% [markdown]
# ## Step 1. The triangle, and where it begins
#
# While a model trains, queries and keys are the same positions: `T = S`, and query $t$ sees the keys $s \le t$. While
# it writes, the keys of all earlier tokens lie in a cache, and only the newest tokens ask. The `T` queries are then the
# *last* `T` of `S` positions, so that query $t$ stands at position $S - T + t$:
#
# $$\text{mask}_{ts} = \big(s \le t + (S - T)\big)$$
#
# A row of the mask belongs to a query, a column to a key. The very last query sees everything, always.

# %% nbgrader={"grade_id": "causal_mask", "solution": true}
def causal_mask(T: int, S: int) -> torch.Tensor:
    """Which keys each query may see: itself, and all that came before.

    T: queries. S: keys, S >= T; the queries are the last T of the S positions.
    Returns bool (T, S), True = may be seen.

    >>> causal_mask(2, 4)               # the queries stand at positions 2 and 3
    tensor([[ True,  True,  True, False],
            [ True,  True,  True,  True]])
    """
    ### BEGIN SOLUTION
    places = torch.arange(S - T, S)[:, None]  # (T, 1): where the queries stand
    return torch.arange(S) <= places  # (S,) against (T, 1) -> (T, S)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_causal_mask", "grade": true}
check("ch03/lab01/causal_mask", causal_mask)

# %% [markdown]
# **Look at it.** Six positions, asked all at once, three at a time, and one at a time.

# %% tags=["given"]
mask_of = earlier("ch03/lab01/causal_mask", causal_mask, course.causal)

# %% tags=["look"]
fig, axes = plt.subplots(1, 3, figsize=(9, 3.1), layout="constrained")
for ax, T in zip(axes, (6, 3, 1)):
    heatmap(ax, mask_of(T, 6).numpy(), [str(s) for s in range(6 - T, 6)], [str(s) for s in range(6)])
    ax.set_aspect("equal")
    ax.tick_params(axis="x", rotation=0)
    ax.set(title=f"T = {T}, S = 6", xlabel="position of the key", ylabel="position of the query" if T == 6 else "")
plt.show()

# %% [markdown]
# **Where in the first picture do you find the second and the third?** With one query there is nothing left to hide: a
# model that writes one token at a time needs no mask at all. A triangle drawn from the top left corner instead, as
# `torch.ones(T, S).tril()` draws it, would show the newest query nothing but the oldest key.

# %% [markdown]
# ## Step 2. A few queries at a time
#
# The scores of a long text do not fit into memory, and half of them are hidden anyway. So take the queries in pieces.
# A piece of queries that ends at position $e$ needs the keys up to $e$ and no others: inside the piece they are the
# *last* ones, and the mask of step 1 is the piece's mask. Servers read long prompts in this way, and generation is the
# same with pieces of one token.
#
# In shapes, for a piece of `n` queries: `Q (..., n, D)`, `K (..., e, D)`, `V (..., e, E)`, mask `(n, e)`. Mind that
# there may be keys from before the first query: `S > T`.

# %% nbgrader={"grade_id": "in_pieces", "solution": true}
def in_pieces(attend, Q: torch.Tensor, K: torch.Tensor, V: torch.Tensor, sizes: list[int]) -> torch.Tensor:
    """Causal attention, piece by piece; no piece is handed a key that none of its queries may see.

    attend: a function of Q (..., n, D), K (..., e, D), V (..., e, E) and a bool mask (n, e), returns (..., n, E).
    Q: (..., T, D), the last T of S positions. K: (..., S, D). V: (..., S, E).
    sizes: how many queries each piece has, T in all. Returns (..., T, E). `mask_of(T, S)` is your mask of step 1.

    >>> calls = lambda Q, K, V, mask: print(tuple(mask.shape)) or V[..., -len(Q):, :]
    >>> _ = in_pieces(calls, torch.zeros(3, 1), torch.zeros(5, 1), torch.zeros(5, 1), [2, 1])
    (2, 4)
    (1, 5)
    """
    ### BEGIN SOLUTION
    T, S = Q.shape[-2], K.shape[-2]
    out, start = [], 0
    for size in sizes:
        stop = start + size
        end = S - T + stop  # one past the position of the piece's last query
        out.append(attend(Q[..., start:stop, :], K[..., :end, :], V[..., :end, :], mask_of(size, end)))
        start = stop
    return torch.cat(out, dim=-2)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_in_pieces", "grade": true}
check("ch03/lab01/in_pieces", in_pieces)

# %% [markdown]
# **Look at it.** 1024 positions in pieces of equal size. Left: how many scores are computed, and how many of them are
# visible, counted. Right: the time, measured on your machine; the baseline is one call for all.

# %% tags=["look"]
pieces = earlier("ch03/lab01/in_pieces", in_pieces, course.in_pieces)
LENGTH, sizes = 1024, [16, 32, 64, 128, 256, 512, 1024]
torch.manual_seed(0)
Q, K, V = (torch.randn(4, LENGTH, 32) for _ in range(3))  # (H, T, D)
computed, took = [], []
for size in sizes:
    counted = []

    def attend(q, k, v, mask):
        counted.append(mask.numel())
        return attention(q, k, v, mask)[0]

    cuts = [size] * (LENGTH // size)
    pieces(attend, Q, K, V, cuts)
    computed.append(sum(counted))
    took.append(seconds(lambda: pieces(attend, Q, K, V, cuts), repeats=5, warm_up=1))

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.1), layout="constrained")
left.plot(sizes, computed, "o-", label="computed, a head")
left.axhline(mask_of(LENGTH, LENGTH).sum(), color="gray", linestyle="--", label="visible")
left.set(ylabel="scores", ylim=(0, None))
right.plot(sizes, np.array(took) / took[-1], "s-", color=ORANGE)
right.axhline(1, color="gray", linestyle="--")
right.set(ylabel="time, one call = 1", ylim=(0, None))
for ax in (left, right):
    ax.set(xscale="log", xlabel="queries in a piece")
    ax.set_xticks(sizes, sizes)
    ax.minorticks_off()
left.legend()
plt.show()

# %% [markdown]
# **Which share of one call's work is thrown away, and where does the time stop following the count?** Small pieces
# waste fewer scores and make more calls. FlashAttention works on such pieces inside one kernel [@dao2022]: a tile that
# lies above the diagonal need not be touched at all.

# %% [markdown]
# ## Step 3. Minus infinity, and what others take for it
#
# A mask becomes weights through a number that is added to the score: 0 where a key may be seen, $-\infty$ where not.
# Since $e^{-\infty} = 0$, a hidden key weighs exactly nothing and the others are normalised among themselves. Much
# code takes a large negative number instead. How large is large? Three scores, 3, 1 and 9; the last key is hidden.
# Then a row in which *all three* are hidden. Then the same row, hidden by two masks that are added up.

# %% tags=["look"]
scores, last, whole = torch.tensor([3.0, 1.0, 9.0]), torch.tensor([0.0, 0.0, 1.0]), torch.ones(3)


def row_with(fill, hidden, dtype, masks=1):
    """Weights of one row, in the dtype, with `fill` added to the hidden scores once for each mask."""
    x = scores.to(dtype)
    for _ in range(masks):
        x = x + torch.where(hidden > 0, torch.tensor(fill, dtype=dtype), torch.tensor(0.0, dtype=dtype))
    return torch.softmax(x, dim=-1)


print(f"{'':<10}{'added':>14}   {'weight of the':<14}{'all three hidden':<26}{'hidden by two masks'}")
print(f"{'':<10}{'':>14}   {'hidden key':<14}")
for dtype in (torch.float32, torch.bfloat16, torch.float16):
    for fill in (-10.0, -1e4, -1e9, torch.finfo(dtype).min, float("-inf")):
        leak = row_with(fill, last, dtype)[-1]
        rows = [", ".join(f"{w:.3f}" for w in row_with(fill, whole, dtype, n).tolist()) for n in (1, 2)]
        print(f"{str(dtype)[6:]:<10}{fill:>14.4g}   {leak:<14.3g}{rows[0]:<26}{rows[1]}")

# %% [markdown]
# Go through the third column for `float32`. **Which numbers hide nothing at all in it, and which make an average
# of all hidden keys?** Adding $-10^4$ to every score changes no difference, so softmax gives what it would have given
# without a mask. Near $10^9$ float32 numbers are 64 apart: the scores are rounded away, and the row becomes an average.
# In float16 $-10^9$ *is* $-\infty$. And the most negative number, added twice, is $-\infty$ in every format.
#
# None of these answers is right, because there is nothing to see. The course's convention is **zeros**: no keys, no
# contribution. $-\infty$ itself gives `nan` there, for softmax subtracts the largest score, and $-\infty - (-\infty)$
# is not a number. At least that is no wrong answer in disguise.

# %% tags=["look"]
torch.manual_seed(0)
some = 3 * torch.randn(4000, 16)
hidden = torch.arange(16) >= 8
fills = -np.arange(0.0, 125.0, 1.0)
fig, ax = plt.subplots(figsize=(6, 3.3))
for dtype, line in ((torch.float32, "-"), (torch.bfloat16, "--"), (torch.float16, ":")):
    leaks = []
    for fill in fills:
        weights = torch.softmax(some.to(dtype) + (fill * hidden).to(dtype), dim=-1)
        leaks.append(weights[:, hidden].double().sum(dim=-1).mean())
    ax.plot(-fills, [leak if leak > 0 else np.nan for leak in leaks], line, label=str(dtype)[6:])
ax.set(yscale="log", xlabel="number subtracted from hidden scores", ylabel="weight on hidden keys (mean)", ylim=(1e-50, 3))
ax.legend()
plt.show()

# %% [markdown]
# The scores have a standard deviation of 3. A line ends where every hidden weight has rounded to zero. **From which
# number on is each format safe here?** It depends on how large scores can get, and in training they grow. $-\infty$
# asks no such question.
#
# Now write the softmax that takes $-\infty$ for an answer. It is given scores and a *bias* to add. That form says more
# than a boolean: it may hold finite numbers as well, such as ALiBi's penalty on distance [@press2022]. A row with
# nothing but $-\infty$ becomes zeros.
#
# One trap is worth a minute. `torch.softmax(x, -1).nan_to_num(0.0)` gives the right weights. What does it send *back*?
# Softmax's gradient is $w_i (g_i - \sum_j g_j w_j)$, computed from the weights that it produced. Are they numbers?

# %% nbgrader={"grade_id": "biased_softmax", "solution": true}
def biased_softmax(scores: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Softmax over the last dimension of scores + bias; a row that may see nothing is zeros.

    scores: (..., T, S). bias: broadcasts to it; finite, or -inf where a key may not be seen. Both the same dtype.
    Returns (..., T, S), each row sums to one or is all zeros. The gradients of scores and bias hold no NaN.

    >>> inf = float("inf")
    >>> biased_softmax(torch.tensor([[3.0, 1.0, 1.0], [3.0, 1.0, 9.0]]), torch.tensor([[-inf, 0, 0], [-inf, -inf, -inf]]))
    tensor([[0.0000, 0.5000, 0.5000],
            [0.0000, 0.0000, 0.0000]])
    """
    ### BEGIN SOLUTION
    x = scores + bias
    empty = (x == float("-inf")).all(dim=-1, keepdim=True)  # (..., T, 1)
    weights = torch.softmax(x.masked_fill(empty, 0.0), dim=-1)  # a harmless row instead: no NaN, there or back
    return weights.masked_fill(empty, 0.0)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_biased_softmax", "grade": true}
check("ch03/lab01/biased_softmax", biased_softmax)

# %% [markdown]
# **Look at it.** A model that foretells words, in one line: at each position it blends, for the words that it sees, the
# shares of what follows them in Shakespeare. All scores are zero; the bias takes 1 away for each step of distance, and
# $-\infty$ hides what comes later. Put another word somewhere.

# %% tags=["given"]
softmax = earlier("ch03/lab01/biased_softmax", biased_softmax, course.biased_softmax)

# %% tags=["look"]
TEXT = "the king . you are a".split()
follows = torch.tensor(counts() + 1).double()  # (V, V): how often each word follows each, and once more
follows = follows / follows.sum(dim=1, keepdim=True)


def predicted(words, mask):
    """What six words see of one another (T, T), and what each position expects next (T, V)."""
    places = torch.arange(len(words))
    bias = -(places[:, None] - places).abs().double()
    if mask:
        bias = bias + course.additive(mask_of(len(words), len(words)), torch.double)
    weights = softmax(torch.zeros_like(bias), bias)
    return weights, weights @ follows[[WORDS.index(word) for word in words]]


def draw(position=2, word="as it is", mask=True):
    words = [word if t == position and word in WORDS else old for t, old in enumerate(TEXT)]
    weights, expected = predicted(words, mask)
    moved = (expected - predicted(TEXT, mask)[1]).abs().amax(dim=1) > 1e-12
    fig, ax = plt.subplots(figsize=(8, 3.6))
    fig.subplots_adjust(left=0.1, right=0.66, bottom=0.25)
    heatmap(ax, weights.numpy(), words, words, numbers=True)
    for t, (share, best) in enumerate(zip(*expected.max(dim=1))):
        ax.text(5.7, t, f"→ {WORDS[best]} {100 * share:.0f} %" + ("   changed" if moved[t] else ""), va="center")
    ax.set(xlabel="sees", ylabel="position", title=f"{int(moved.sum())} of 6 predictions changed")
    return fig


move(draw, position=(0, 5, 1), word=["as it is", *WORDS], mask=bool, card="parallel_context",
     alt="a matrix of weights, one row a position, one column a word that it may see; beside each row what it expects")

# %% [markdown]
# **How many of the six predictions change when the word at position 2 does, and which never can?** Position 0 stays
# what it would be in a text of one word. That is why one pass can train on all six, and why a model that writes need not
# compute the past again. Take the mask away, and a position reads the very word that it has to foretell.
#
# Now one attention, 64 sequences, of which *one* is all padding. How much of the query matrix's gradient is still a
# number?

# %% tags=["look"]
torch.manual_seed(0)
x, W = torch.randn(64, 10, 16), torch.randn(16, 16) / 4
lengths = torch.full((64,), 10)
lengths[17] = 0
bias = course.additive(course.padding(lengths, 10)[:, 0], torch.float32)  # (B, 1, S)
ways = {
    "softmax": lambda s: torch.softmax(s + bias, dim=-1),
    "softmax, nan_to_num": lambda s: torch.softmax(s + bias, dim=-1).nan_to_num(0.0),
    "finfo.min for -inf": lambda s: torch.softmax(s + bias.clamp(min=torch.finfo(s.dtype).min), dim=-1),
    "biased_softmax": lambda s: softmax(s, bias),
}
print(f"{'':<22}{'outputs that are numbers':<28}{'gradient that is a number':<28}row 17 sums to")
for name, way in ways.items():
    W_q = W.clone().requires_grad_()
    weights = way(scaled_scores(x @ W_q, x))  # (B, T, S)
    out = weights @ x
    out.square().sum().backward()
    shares = [f"{100 * a.isfinite().float().mean():.1f} %" for a in (out.detach(), W_q.grad)]
    print(f"{name:<22}{shares[0]:<28}{shares[1]:<28}{weights[17, 0].sum().item():.3g}")

# %% [markdown]
# **Which version looks right until you train it?** One bad row in a batch is one bad term in the gradient of a matrix
# that all rows share, and a sum with one `nan` in it is `nan`. After one step of the optimizer so is the model.

# %% [markdown]
# ## Step 4. Padding, documents, everything at once
#
# There are three reasons to hide a key: it comes later, it is padding, it belongs to another document in the same row.
# One row of small integers says it all. A *segment* is a document's number, 1, 2, ... in its row, and 0 is padding.
# With $p = S - T + t$, the position of query $t$:
#
# $$\text{mask}_{b1ts} = \big(s \le p\big) \wedge \big(\text{seg}_{bp} = \text{seg}_{bs}\big) \wedge \big(\text{seg}_{bs} \neq 0\big)$$
#
# You packed documents in lab 0.5. New here are the queries that are only the last `T` of the row, and the dimension of
# size 1 that all heads share: `(B, 1, T, S)`. A padded query sees nothing; what it puts out is nobody's business.

# %% nbgrader={"grade_id": "visible", "solution": true}
def visible(segments: torch.Tensor, T: int) -> torch.Tensor:
    """The mask of padded and packed rows: causal, each document by itself, no padding.

    segments: (B, S), int64: a row's documents are numbered 1, 2, ... from the left, 0 is padding, in front or behind.
    T: the queries, the last T of the S positions. Returns bool (B, 1, T, S), True = may be seen.

    >>> visible(torch.tensor([[1, 1, 2, 2]]), 3)[0, 0].int()      # the queries stand at positions 1, 2 and 3
    tensor([[1, 1, 0, 0],
            [0, 0, 1, 0],
            [0, 0, 1, 1]], dtype=torch.int32)
    """
    ### BEGIN SOLUTION
    S = segments.shape[1]
    queries = segments[:, S - T :]  # (B, T)
    same = queries[:, :, None] == segments[:, None, :]  # (B, T, S)
    real = (segments > 0)[:, None, :]  # (B, 1, S)
    return (same & real & mask_of(T, S))[:, None]
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_visible", "grade": true}
check("ch03/lab01/visible", visible)

# %% [markdown]
# **Look at it.** Five tokens padded behind, the same padded in front, and two documents packed into one row.

# %% tags=["look"]
see = earlier("ch03/lab01/visible", visible, course.visible)
rows = {"padded behind": [1] * 5 + [0] * 3, "padded in front": [0] * 3 + [1] * 5, "packed": [1] * 3 + [2] * 4 + [0]}
fig, axes = plt.subplots(1, 3, figsize=(9.5, 3.3), layout="constrained")
for ax, (name, row) in zip(axes, rows.items()):
    heatmap(ax, see(torch.tensor([row]), 8)[0, 0].numpy(), [str(s) for s in row], [str(s) for s in row])
    ax.set_aspect("equal")
    ax.tick_params(axis="x", rotation=0)
    ax.set(title=name, xlabel="segment of the key", ylabel="segment of the query" if ax is axes[0] else "")
plt.show()

# %% [markdown]
# **In which of the three would the plain triangle do for every real query?** Now the same with the trained model: 24
# speeches, cut to at most 60 bytes, asked for their next bytes in three layouts. The padding is the byte 0, which the
# model has never seen. *Triangle*: the causal mask alone; *full mask*: yours. *Positions*: each text counts from 0, in
# place of counting from the row's left edge.

# %% tags=["look"]
SHORT = 60
texts = [torch.tensor(list(speech.encode()[:SHORT])) for speech in speeches(shakespeare("validation"))[40:64]]
B = len(texts)


def read_as(ids, mask, positions):
    """The model's logits (B, T, V), with any mask and any positions."""
    h = model.token(ids) + model.position(positions)
    for block in model.blocks:
        h = block(h, mask)
    return model.read(h)


def layout(side):
    """All speeches in one rectangle: ids and segments, both (B, SHORT)."""
    rectangle, marks = torch.zeros(B, SHORT, dtype=torch.long), torch.zeros(B, SHORT, dtype=torch.long)
    for row, text in enumerate(texts):
        where = slice(0, len(text)) if side == "behind" else slice(SHORT - len(text), SHORT)
        rectangle[row, where], marks[row, where] = text, 1
    return rectangle, marks


def packed():
    """Two speeches in each row, one behind the other: ids and segments, both (B / 2, 2 * SHORT)."""
    rectangle, marks = torch.zeros(B // 2, 2 * SHORT, dtype=torch.long), torch.zeros(B // 2, 2 * SHORT, dtype=torch.long)
    for row in range(B // 2):
        pair = texts[2 * row : 2 * row + 2]
        joined = torch.cat(pair)
        rectangle[row, : len(joined)] = joined
        marks[row, : len(joined)] = torch.cat([torch.full((len(text),), n) for n, text in enumerate(pair, start=1)])
    return rectangle, marks


def counted(segments):
    """Positions that begin at 0 in each document, from the mask itself."""
    return (see(segments, segments.shape[1])[:, 0].sum(dim=-1) - 1).clamp(min=0)


def loss_of(ids, segments, mask, positions):
    """The mean loss at real positions whose next byte is of the same document."""
    logits = read_as(ids, mask, positions)
    same = (segments[:, 1:] == segments[:, :-1]) & (segments[:, 1:] > 0)
    return F.cross_entropy(logits[:, :-1][same], ids[:, 1:][same]).item()


alone = [loss_of(t[None], torch.ones(1, len(t)), mask_of(len(t), len(t)), torch.arange(len(t))) for t in texts]
weights_of = torch.tensor([len(t) - 1.0 for t in texts])
results = {"each speech alone": (torch.tensor(alone) * weights_of).sum().item() / weights_of.sum().item()}
for name, (rectangle, marks) in {"behind": layout("behind"), "in front": layout("in front"), "packed": packed()}.items():
    S = marks.shape[1]
    name = name if name == "packed" else f"padded {name}"
    results[f"{name}: triangle"] = loss_of(rectangle, marks, mask_of(S, S), torch.arange(S))
    results[f"{name}: triangle, positions"] = loss_of(rectangle, marks, mask_of(S, S), counted(marks))
    results[f"{name}: full mask"] = loss_of(rectangle, marks, see(marks, S), torch.arange(S))
    results[f"{name}: full mask, positions"] = loss_of(rectangle, marks, see(marks, S), counted(marks))

fig, ax = plt.subplots(figsize=(7.5, 4.2))
exact = [abs(value - results["each speech alone"]) < 1e-5 for value in results.values()]
bars = ax.barh(list(results), list(results.values()), color=[BLUE if e else ORANGE for e in exact])
ax.bar_label(bars, [f"{v:.3f}" for v in results.values()], padding=3, fontsize=9)
ax.axvline(results["each speech alone"], color="gray", linestyle="--")
ax.invert_yaxis()
ax.set(xlabel="loss at real positions (nats a byte)", xlim=(0, 1.15 * max(results.values())))
plt.show()

# %% [markdown]
# Blue bars equal the first within $10^{-5}$. **Padding behind needs neither a mask nor positions: why? And which two
# things does padding in front need?** A causal model never looks behind itself, so padding there is out of sight. In
# front it is in everybody's sight, and it moves the text to other rows of the position table. That is why training pads
# behind, and why generation, which wants all rows to *end* together, pads in front and then needs both. The positions
# alone do little harm here: this model was trained on windows that begin anywhere in a text. **Why does it harm so much
# to have two documents in sight that count from 0?** Two keys then claim each position.

# %% [markdown]
# ## Step 5. Find the leak
#
# A mask can be right and the attention wrong. What you want is an instrument that looks at *any* attention from outside
# and says what each output reads. Two roads lead from position $s$ to output $t$:
#
# $$\text{out}_t = \sum_s w_{ts} v_s, \qquad w_{ts} = \frac{e^{x_{ts}}}{\sum_{r} e^{x_{tr}}}$$
#
# Through the *value* $v_s$, which needs a weight that is not zero; and through the *key* $k_s$, which acts on every
# weight of the row, as long as it stands in the sum below. A leak may use one road only. So replace one key, and nothing
# else, and see which outputs move; then one value.
#
# Replace it by what? Lab 2.4 took random numbers. Some leaks sleep until a hidden key is *enormous*: try ordinary
# numbers, and a million times as large, of either sign. And decide what it means if an output is not a number any more.
# (Is `nan > 1e-9` true?)

# %% nbgrader={"grade_id": "reads", "solution": true}
def reads(attend, Q: torch.Tensor, K: torch.Tensor, V: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Find out which keys and which values each output depends on, by calling an attention on changed inputs.

    attend: a function of Q (T, D), K (S, D), V (S, E), float64, that returns (T, E).
    Returns two bool tensors (T, S): by_key[t, s] is True if output t moves when key s is replaced, by ordinary or by
    enormous numbers; by_value the same for value s. Moved: it differs by more than 1e-9, or has become NaN.
    Q, K and V stay as they are.

    >>> Q, K, V = torch.randn(3, 2, 4, dtype=torch.float64)                       # T = S = 2, D = E = 4
    >>> by_key, by_value = reads(lambda Q, K, V: V.flip(0), Q, K, V)              # output 0 is value 1, and the reverse
    >>> by_key.any(), by_value
    (tensor(False), tensor([[False,  True],
            [ True, False]]))
    """
    ### BEGIN SOLUTION
    before = attend(Q, K, V)
    maps = torch.zeros(2, len(Q), len(K), dtype=torch.bool)
    for which in (0, 1):
        for s in range(len(K)):
            new = torch.randn_like((K, V)[which][s])
            for factor in (1.0, 1e6, -1e6):
                changed = [K.clone(), V.clone()]
                changed[which][s] = factor * new
                same = (attend(Q, *changed) - before).abs() <= 1e-9  # a NaN is not the same as anything
                maps[which, :, s] |= ~same.all(dim=-1)
    return maps[0], maps[1]
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_reads", "grade": true}
check("ch03/lab01/reads", reads)

# %% [markdown]
# **Look at it.** Five attentions that somebody might hand you. All are meant to be causal. Dark is unread, bright is
# read; the line is where the triangle ends.

# %% tags=["look"]
instrument = earlier("ch03/lab01/reads", reads, course.reads)
N = 6
triangle = mask_of(N, N)


def weights_with(s, top):
    e = (s - top).exp() * triangle
    return e / e.sum(dim=-1, keepdim=True)


suspects = {
    "A": lambda Q, K, V: attention(Q, K, V, triangle)[0],
    "B": lambda Q, K, V: (scaled_scores(Q, K).softmax(dim=-1) * triangle) @ V,
    "C": lambda Q, K, V: (scaled_scores(Q, K) - 20.0 * ~triangle).softmax(dim=-1) @ V,
    "D": lambda Q, K, V: weights_with(scaled_scores(Q, K), scaled_scores(Q, K).amax(dim=-1, keepdim=True)) @ V,
    "E": lambda Q, K, V: attention(Q, (127 * K / K.abs().max()).round() * K.abs().max() / 127, V, triangle)[0],
}
torch.manual_seed(0)
Q, K, V = (torch.randn(N, 8, dtype=torch.float64) for _ in range(3))
right = suspects["A"](Q, K, V)
fig, axes = plt.subplots(2, 5, figsize=(10, 4.3), layout="constrained")
for column, (name, suspect) in enumerate(suspects.items()):
    ones = suspect(Q, K, torch.ones(N, 1, dtype=torch.float64))  # values of one: the output is each row's sum
    print(f"{name}: largest difference to A {(suspect(Q, K, V) - right).abs().max():.1e}, row sums from {ones.min():.3f} to {ones.max():.3f}")
    for ax, found, road in zip(axes[:, column], instrument(suspect, Q, K, V), ("key", "value")):
        heatmap(ax, found.numpy(), [""] * N, [""] * N)
        edge = np.repeat(np.arange(N + 1) - 0.5, 2)
        ax.plot(edge[:-1] + 1, edge[1:], color=RED, linewidth=2)  # right of cell (t, t), then below the next
        ax.set(title=name if road == "key" else "", xlim=(-0.5, N - 0.5), ylim=(N - 0.5, -0.5), xticks=[], yticks=[])
        ax.set(xlabel=f"{road} s", ylabel="output t" if column == 0 else "", aspect="equal")
plt.show()

# %% [markdown]
# **Which suspects leak through keys alone? Which one gives A's outputs to the last digit, and is wrong all the same?**
# B masks after softmax: hidden keys are still in the sum below, and the rows no longer sum to one. C adds $-20$ in place
# of $-\infty$. D takes the maximum over hidden keys, too: a hidden key that is large enough turns a whole row into 0/0.
# E rounds its keys to steps whose size is set by the largest entry *of all positions*, as a hasty quantizer does: the
# future chooses the step. None of them changes a single shape.
#
# And why does output 0 of the honest A not read key 0? It has only one key to look at, whose weight is one whatever the
# key says.

# %% [markdown]
# ## What you built
#
# - The causal mask for any `T` and `S`, and with it attention in pieces: lab 8.1's cache stands on this.
# - One rule for future, padding and documents, with the positions that belong to it; a softmax that no mask can break.
# - An instrument for both roads of a leak. Lab 3.3 builds the model that these masks keep honest.
#
# ## Going further
#
# - The papers: [@vaswani2017], section 3.2.3, masks with minus infinity; [@krell2021] on packing without contamination.
# - Production code: `transformers/masking_utils.py` builds masks from small functions of (batch, head, query, key), as
#   FlexAttention does [@dong2024]. Your formula of step 4 is such a function. Find where padding and causality are joined.
# - [@raffel2020], section 3.2.1, compares this lab's triangle with a *prefix* mask: the first tokens see each other in
#   both directions, the rest is causal. Which one line of `visible` changes, and what would `reads` show?
# - An extension: write `visible` for a sliding window of `W` keys, and find with `reads`, through two layers, how far
#   back the second layer's outputs reach.
