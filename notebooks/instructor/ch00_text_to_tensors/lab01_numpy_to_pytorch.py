# ---
# jupyter:
#   course:
#     title: NumPy to PyTorch
#     level: intermediate
#     minutes: 90
#     hardware: cpu
#     builds: "A next-character model, once in NumPy with its gradient by hand and once in PyTorch, on arrays whose dtypes, strides and memory you can account for."
#     goals:
#     - Say where the same line means two things in NumPy and PyTorch, and port a function to equal values and dtypes
#     - Compute where an element lies from shape and strides, and tell a view from a copy
#     - Write a contraction by letters, and find broadcasting that no error reports
#     - Derive a gradient by hand and hold it against finite differences and autograd
#     needs:
#     - "[From Characters to Tensors](../../../book/ch00_text_to_tensors/text_to_tensors.md)"
#     - A first acquaintance with NumPy
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% tags=["setup"]
from autograder import setup; device = setup()

# %% tags=["setup"]
import math
import random

import matplotlib.pyplot as plt
import numpy as np
import torch

from autograder import check, earlier
from source import tensors as course
from source.models import window_table as course_model
from source.plots import BLUE, GREEN, ORANGE, heatmap
from source.tensors import shares_memory
from source.text import decode, document
from source.timing import seconds

# %% [markdown]
# ## A question first
#
# PyTorch looks like NumPy with gradients. Most lines that you know run unchanged. Here are twelve. Each is typed
# once, and run in both libraries on the same numbers: `x` holds the integers 1 2 3 6, `f` the same as float32, `u` as
# bytes.
#
# Before you run the cell: in how many of the twelve do value *and* dtype agree?

# %% tags=["look"]
LINES = ["x.sum()", "x * 2", "u + 250", "f * 0.5", "x / 2", "x * 0.5", "x.mean()", "f.std()", "x.repeat(2)",
         "f * np.float64(2)", "f.max(0)", "f[::-1]"]  # fmt: skip


def told(line, make, size):
    """What a line gives in one library: its values and dtype, or the error."""
    numbers = [1, 2, 3, 6]
    names = {"np": np, "x": make(numbers), "f": make(numbers, dtype=size.float32), "u": make(numbers, dtype=size.uint8)}
    try:
        result = eval(line, names)
    except Exception as error:
        return type(error).__name__
    if isinstance(result, tuple):
        return "a pair: values, indices"
    values = ", ".join(f"{value:g}" for value in np.asarray(result).flatten())
    return f"{values}  {str(result.dtype).removeprefix('torch.')}"


agree = 0
print(f"{'the line':<20}{'NumPy':<30}{'PyTorch':<36}same?")
for line in LINES:
    in_numpy, in_torch = told(line, np.array, np), told(line, torch.tensor, torch)
    agree += in_numpy == in_torch
    print(f"{line:<20}{in_numpy:<30}{in_torch:<36}{'yes' if in_numpy == in_torch else 'no'}")
print(f"\n{agree} of {len(LINES)} agree")

# %% [markdown]
# Only two of those that differ raise an error. The others go on with other numbers, or with other dtypes that cost
# twice the memory later. **Which lines would you not have noticed in a training run?**
#
# In this lab you take a small program from NumPy to PyTorch: a model that predicts the next character of a text. It
# is nothing but tables of numbers, and that is the point. What bites is never the model. It is the dtype, the axis,
# the stride, the copy.
#
# Letters: `T` positions in a text, `N` windows of `W` characters, `V` characters in the vocabulary; in general
# shapes also `B`, `S`, `H`, `D`, `C` as in the [notation](../../../book/notation.md).

# %% [markdown]
# ## The text, as numbers
#
# The text is made on the spot from a small grammar: sentences, and lists of random words. `np.frombuffer` reads its
# bytes, `np.unique` gives every different byte a number. `torch.from_numpy` makes a tensor *of the same memory*.

# %% tags=["given"]
rng = random.Random(0)
text = "\n".join(" ".join(decode(document(rng, 150))[1:]) for _ in range(24))
letters, numbered = np.unique(np.frombuffer(text.encode(), dtype=np.uint8), return_inverse=True)
names = ["line" if letter == 10 else "space" if letter == 32 else chr(letter) for letter in letters]
ids = torch.from_numpy(numbered)  # (T,), int64
V = len(letters)
print(text[:160], "...", sep="\n")
print(f"\nT = {len(ids)} characters, V = {V} of them different; ids are {ids.dtype}: {ids[:12].tolist()} ...")

# %% [markdown]
# ## Step 1. A port that gives the same
#
# To *standardise* a row is to subtract its mean and divide by its standard deviation:
#
# $$z_c = \frac{x_c - \bar x}{\sigma + \varepsilon}, \qquad \sigma = \sqrt{\tfrac1C \sum_c (x_c - \bar x)^2}$$
#
# In shapes: `x (..., C)` → `z (..., C)`. Here it is in NumPy. It takes counts, bytes, booleans and floats.

# %% tags=["given"]
EPSILON = 1e-5  # keeps a row of equal numbers from becoming 0/0


def standardise_numpy(x):
    mean = x.mean(axis=-1, keepdims=True)
    std = x.std(axis=-1, keepdims=True)
    return (x - mean) / (std + EPSILON)


# %% [markdown]
# Port it to PyTorch, *to the same values and the same dtypes*, whatever comes in. Three things differ, and you have
# seen two of them above:
#
# - **Integers.** NumPy turns them into float64. PyTorch refuses to take their mean, and divides them in float32.
# - **The divisor of `std`.** One library divides by $C$, the other by $C - 1$ unless told otherwise.
# - **Names.** `axis` is `dim`, `keepdims` is `keepdim`.
#
# Stay in PyTorch: a tensor that goes through NumPy and back is no port, and loses its gradient on the way.

# %% nbgrader={"grade_id": "standardise", "solution": true}
def standardise(x: torch.Tensor) -> torch.Tensor:
    """`standardise_numpy` for tensors: the same values and the same dtypes.

    x: (..., C), any integer, boolean or floating dtype; it stays as it is. Returns (..., C).

    >>> standardise(torch.tensor([[1, 1, 3, 3]]))       # mean 2, standard deviation 1; EPSILON is lost in rounding
    tensor([[-1.0000, -1.0000,  1.0000,  1.0000]], dtype=torch.float64)
    """
    ### BEGIN SOLUTION
    x = x if x.is_floating_point() else x.double()
    mean = x.mean(dim=-1, keepdim=True)
    std = x.std(dim=-1, keepdim=True, correction=0)  # divide by C, not by C - 1
    return (x - mean) / (std + EPSILON)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_standardise", "grade": true}
check("ch00/lab01/standardise", standardise)

# %% [markdown]
# **Look at it.** Count how often each character follows each other one: a table `(V, V)` of integers, one row a
# character. Standardise the rows. Then `z @ z.T / V` holds the correlation of every two rows: 1 where two characters
# are followed by the same things, 0 where what follows one says nothing about the other.

# %% tags=["look"]
port = earlier("ch00/lab01/standardise", standardise, course.standardise)
counts = torch.bincount(ids[:-1] * V + ids[1:], minlength=V * V).view(V, V)  # counts[u, v]: v right after u
z = port(counts)  # float64, from integers
alike = z @ z.T / V  # (V, V)

fig, ax = plt.subplots(figsize=(6.4, 5.6), layout="constrained")
image = heatmap(ax, alike.numpy(), names, names, low=-0.5, high=1)
ax.set_xticks(range(V), names, rotation=90, ha="center")
ax.set(xlabel="character", ylabel="character")
fig.colorbar(image, label="correlation of what comes next")
plt.show()
by_n_minus_1 = (counts.double() - counts.double().mean(-1, keepdim=True)) / counts.double().std(-1, keepdim=True)
print(f"'a' with itself: {alike[names.index('a'), names.index('a')]:.4f}; "
      f"with torch's default divisor: {(by_n_minus_1 @ by_n_minus_1.T / V)[names.index('a'), names.index('a')]:.4f}")  # fmt: skip

# %% [markdown]
# **Which characters make the brightest block, and what do they have in common?** Nobody told the table where words
# end. And read the printed line: with the other divisor nothing correlates fully with itself. An error of a few
# percent raises no alarm; that is what makes it dangerous.

# %% [markdown]
# ## Step 2. A tensor is a row of numbers and a rule
#
# Memory has one dimension. A tensor of any shape is a row of numbers, and a rule that says where in the row the
# element with a given index lies. The rule is an *offset* and one *stride* for each dimension:
#
# $$\text{place}(i, j, k, \ldots) = \text{offset} + i \cdot \text{stride}_0 + j \cdot \text{stride}_1
# + k \cdot \text{stride}_2 + \cdots$$
#
# That is all. A transpose swaps two strides. A slice changes the offset and multiplies a stride. `expand` sets a
# stride to zero. None of them touches a number [@harris2020]. PyTorch counts strides in elements, NumPy in bytes.
#
# Write the rule for all elements at once, as a tensor of the shape itself. A loop over all indices is slow. Add one
# dimension at a time and let *broadcasting* do the rest: shapes are lined up at their right ends, and a size of 1 (or
# a missing dimension) is repeated. `(3, 1) + (4,)` gives `(3, 4)`: every row entry meets every column entry.

# %% nbgrader={"grade_id": "flat_offsets", "solution": true}
def flat_offsets(shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0) -> torch.Tensor:
    """Where each element lies in memory, counted in elements.

    shape, strides: one number for each dimension; a stride may be zero or negative, a size may be zero. No dimension
    at all is one element. Returns int64 offsets, a tensor of shape `shape`.

    >>> flat_offsets((3, 2), (1, 3))      # the transpose of a (2, 3) tensor: down is a step of 1, right a step of 3
    tensor([[0, 3],
            [1, 4],
            [2, 5]])
    """
    ### BEGIN SOLUTION
    offsets = torch.tensor(offset)  # shape (): no dimension yet
    for size, stride in zip(shape, strides):
        offsets = offsets[..., None] + torch.arange(size) * stride  # (...) -> (..., size)
    return offsets
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_flat_offsets", "grade": true}
check("ch00/lab01/flat_offsets", flat_offsets)

# %% [markdown]
# **Look at it.** One memory of twelve numbers, six tensors. Your function gets `shape`, `stride()` and
# `storage_offset()` of each, and the cell reads the memory at the places that it returns. Then two of the six on a
# matrix of four million numbers: what the view costs, and what it costs to lay its numbers out anew, side by side.

# %% tags=["look"]
places = earlier("ch00/lab01/flat_offsets", flat_offsets, course.flat_offsets)
memory = torch.arange(12)
VIEWS = {
    "x": lambda x: x,
    "x.T": lambda x: x.T,
    "x[1:, ::2]": lambda x: x[1:, ::2],
    "x[:, 1:2]": lambda x: x[:, 1:2],
    "x[:1].expand(4, 4)": lambda x: x[:1].expand(len(x[0]), len(x[0])),
    "x.flatten()[2:8]": lambda x: x.flatten()[2:8][None],
}
fig, axes = plt.subplots(2, 3, figsize=(8.4, 4.6), layout="constrained")
for ax, (name, view) in zip(axes.flat, VIEWS.items()):
    small = view(memory.view(3, 4))
    where = places(tuple(small.shape), small.stride(), small.storage_offset())
    right = torch.equal(memory[where], small)
    ax.imshow(where.numpy(), vmin=0, vmax=11)
    for (i, j), place in np.ndenumerate(where.numpy()):
        ax.text(j, i, place, ha="center", va="center", color="white" if place < 6 else "black")
    ax.set(xticks=[], yticks=[], title=f"{name}\nstrides {small.stride()}, offset {small.storage_offset()}")
    ax.title.set_fontsize(10)
    ax.set_xlabel("place in memory" if right else "these places hold other numbers", fontsize=9)
plt.show()

large = torch.rand(2000, 2000)
print(f"{'of a (2000, 2000) matrix':<28}{'view':>10}{'copy':>12}   copy / view")
for name, view in list(VIEWS.items())[1:3]:
    free, paid = seconds(lambda: view(large)), seconds(lambda: view(large).contiguous(), repeats=7, warm_up=1)
    print(f"{name:<28}{free * 1e6:>7.1f} µs{paid * 1e6:>9,.0f} µs{paid / free:>10,.0f}")

# %% [markdown]
# **In which of the six do neighbours in a row lie side by side in memory, and in which do the neighbours in a column
# share one place?** A view costs the same for twelve numbers and for four million. The bill comes when somebody needs the
# numbers side by side, and calls `contiguous()`.

# %% [markdown]
# ## Step 3. Windows without a copy
#
# The model reads `W` characters and predicts the next. Its training set is every run of `W` neighbours in the text:
#
# `ids (T,)` → `windows (T - W + 1, W)`
#
# Written out, that is the text `W` times over. But every number of it is in memory already, so offsets and strides
# are enough. `x.as_strided(size, stride)` makes a view with the shape and the strides that you name, beginning where
# `x` begins. Your input need not be contiguous: it may be a slice, with an offset and a step of its own.
#
# The check looks twice. Once at the values. Then it adds 100 to the *input*, and looks at your windows again: a view
# follows, a copy does not.

# %% nbgrader={"grade_id": "sliding_windows", "solution": true}
def sliding_windows(x: torch.Tensor, W: int) -> torch.Tensor:
    """Every run of W neighbours, as a view of x.

    x: (T,), any dtype, not necessarily contiguous. W: 1 to T. Returns one row for each window, (T - W + 1, W), in the
    memory of x.

    >>> sliding_windows(torch.tensor([5, 6, 7, 8, 9]), 3)
    tensor([[5, 6, 7],
            [6, 7, 8],
            [7, 8, 9]])
    """
    ### BEGIN SOLUTION
    N = len(x) - W + 1
    step = x.stride(0)  # 1 only if x has no gaps
    return x.as_strided((N, W), (step, step))  # down one row and right one column are the same step
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_sliding_windows", "grade": true}
check("ch00/lab01/sliding_windows", sliding_windows)

# %% [markdown]
# **Look at it.** Which operations give you the same memory, and which give you new memory? `shares_memory` compares
# the addresses. `x` is a `(4, 6)` matrix of float32 in both libraries.

# %% tags=["look"]
OPERATIONS = ["x.T", "x[1:, ::2]", "x[[0, 2]]", "x[x > 5]", "x.reshape(6, 4)", "x.T.reshape(4, 6)", "x + 0", "x[::-1]"]
IN_TORCH = {"x[::-1]": "x.flip(0)"}
rows = [(op, op, IN_TORCH.get(op, op)) for op in OPERATIONS]
rows += [
    ("to float32, as it is", "x.astype(np.float32)", "x.to(torch.float32)"),
    ("to contiguous, as it is", "np.ascontiguousarray(x)", "x.contiguous()"),
    ("to the other library", "torch.from_numpy(x)", "x.numpy()"),
    ("to a new tensor", "torch.tensor(x)", "torch.tensor(x.numpy())"),
]
matrix = np.arange(24, dtype=np.float32).reshape(4, 6)
print(f"{'operation':<26}{'NumPy':<10}{'PyTorch':<10}")
for name, in_numpy, in_torch in rows:
    found = []
    for x, line in ((matrix, in_numpy), (torch.from_numpy(matrix), in_torch)):
        made = eval(line, {"np": np, "torch": torch, "x": x})
        found.append("same" if shares_memory(made, x) else "new")
    print(f"{name:<26}{found[0]:<10}{found[1]:<10}{'' if found[0] == found[1] else '  differ'}")

cut = earlier("ch00/lab01/sliding_windows", sliding_windows, course.sliding_windows)
W = 64
view, copy = cut(ids, W), course.sliding_windows_naive(ids, W)
print(f"\nall windows of {W}: the view adds 0 bytes to the text's {ids.nbytes / 2**20:.2f} MiB, "
      f"a copy {copy.nbytes / 2**20:.1f} MiB")  # fmt: skip
scratch = torch.zeros(8, dtype=torch.int64)
cut(scratch, 3)[2] = torch.tensor([1, 2, 3])  # write into one window of three
print("a write into window 2 of eight zeros gives windows", cut(scratch, 3).tolist())

# %% [markdown]
# **In which rows of the table do the libraries differ, and how many windows did one write change?** A view is for
# reading. Before you write, `clone()`. The row "to the other library" is the one that surprises people: after
# `torch.from_numpy(a)`, whoever changes the tensor changes the array.

# %% [markdown]
# ## Step 4. Contractions by letters
#
# Matrix products, batched products, row-by-row products, sums over this axis or that: all are the same thing. Multiply
# entries, sum over some indices. `einsum` lets you write the formula itself. Letters name the operands' indices, an
# arrow names the result's, and what does not come after the arrow is summed:
#
# $$\text{out}_{ik} = \sum_j x_{ij}\, y_{jk} \quad\text{is}\quad \texttt{einsum("ij,jk->ik", x, y)}$$
#
# The string is the same in NumPy and in PyTorch. Write five of them:
#
# | name | formula | operands | result |
# |---|---|---|---|
# | `embed` | $\text{out}_{tc} = \sum_v x_{tv}\, y_{vc}$ | `(T, V)`, `(V, C)` | `(T, C)` |
# | `paired` | $\text{out}_n = \sum_c x_{nc}\, y_{nc}$ | `(N, C)`, `(N, C)` | `(N,)` |
# | `count` | $\text{out}_{uv} = \sum_t x_{tu}\, y_{tv}$ | `(T, V)`, `(T, V)` | `(V, V)` |
# | `score` | $\text{out}_{bhts} = \sum_d q_{bthd}\, k_{bshd}$ | `(B, T, H, D)`, `(B, S, H, D)` | `(B, H, T, S)` |
# | `predict` | $\text{out}_{nv} = \sum_w \sum_u x_{nwu}\, y_{wuv}$ | `(N, W, V)`, `(W, V, V)` | `(N, V)` |
#
# If `x` holds one-hot rows (a single 1, at the character's id), these are familiar: `embed` looks characters up in a
# table, `count` counts pairs, `predict` is this lab's model. `score` is the heart of attention, for all heads at once.

# %% nbgrader={"grade_id": "contractions", "solution": true}
def contractions() -> dict[str, str]:
    """The einsum patterns of the table above, by name: embed, paired, count, score, predict.

    >>> torch.einsum(contractions()["paired"], torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]]))   # 1·3 + 2·4
    tensor([11.])
    """
    ### BEGIN SOLUTION
    return {
        "embed": "tv,vc->tc",
        "paired": "nc,nc->n",
        "count": "tu,tv->uv",
        "score": "bthd,bshd->bhts",
        "predict": "nwu,wuv->nv",
    }
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_contractions", "grade": true}
check("ch00/lab01/contractions", contractions)

# %% [markdown]
# **Look at it.** A one-hot row times a table picks one row of the table. `table[ids]` picks the same row, and
# multiplies nothing. The same result; what does each cost as the vocabulary grows?

# %% tags=["look"]
by_letters = earlier("ch00/lab01/contractions", contractions, lambda: course.PATTERNS)()
T, C = 128, 64
sizes, product, gather = [64, 256, 1024, 4096, 16384], [], []
for size in sizes:
    table, some = torch.randn(size, C), torch.randint(size, (T,))
    one_hot = torch.nn.functional.one_hot(some, size).float()  # (T, V)
    assert torch.equal(torch.einsum(by_letters["embed"], one_hot, table), table[some])
    product.append(seconds(lambda: torch.einsum(by_letters["embed"], one_hot, table), repeats=7) * 1e6)
    gather.append(seconds(lambda: table[some], repeats=7) * 1e6)

fig, ax = plt.subplots(figsize=(6, 3.2))
ax.plot(sizes, product, marker="^", color=ORANGE, label="one-hot times table")
ax.plot(sizes, gather, marker="o", color=BLUE, label="table[ids]")
ax.set(xscale="log", yscale="log", xlabel="vocabulary V", ylabel=f"time for {T} lookups (µs)")
ax.set_xticks(sizes, sizes)
ax.minorticks_off()
ax.legend()
plt.show()
print(f"at V = {sizes[-1]}: {product[-1] / gather[-1]:.0f} times as long, for the same numbers")

# %% [markdown]
# **How does each line grow?** Every model's first layer is that product, written down as a lookup. The formula
# with the one-hot is for thinking, and for gradients: it shows that a lookup is linear in the table.

# %% [markdown]
# ## Step 5. Three faults that raise no error
#
# The model is scored by its *loss*: the mean over the windows of minus the logarithm of the probability that it gave
# to the character that came. Windows carry weights: 0 for one that should not count, 1 otherwise.
#
# $$\ell = \frac{\sum_n a_n \left(\log \sum_v e^{x_{nv}} - x_{n, y_n}\right)}{\sum_n a_n}$$
#
# with logits $x$ `(N, V)`, targets $y$ `(N,)` and weights $a$ `(N,)`. A colleague ported it. Do not mend it yet.

# %% tags=["given"]
def suspect_loss(logits, targets, weights):
    """Weighted mean cross-entropy: logits (N, V), targets (N,), weights (N,) of any dtype -> a scalar like logits."""
    logits -= logits.amax(dim=-1, keepdim=True)  # the largest exponent is 0: nothing overflows
    log_total = logits.exp().sum(dim=-1, keepdim=True).log()
    losses = log_total - logits.gather(-1, targets[:, None])
    return (losses * weights).mean() / weights.mean()


# %% [markdown]
# With all weights 1 it gives PyTorch's own number. Then come three observations.

# %% tags=["look"]
x = torch.tensor([[0.0, math.log(3.0)], [0.0, 0.0]])
targets = torch.tensor([0, 1])
ones = torch.ones(2)
print(f"all weights 1: {suspect_loss(x.clone(), targets, ones):.4f}, "
      f"PyTorch's: {torch.nn.functional.cross_entropy(x, targets):.4f}")  # fmt: skip
for weights in ([1.0, 0.0], [0.0, 1.0], [3.0, 1.0]):
    print(f"weights {weights}: {suspect_loss(x.clone(), targets, torch.tensor(weights)):.4f}")
from_numpy = torch.from_numpy(np.array([1.0, 1.0]))
print("dtype with weights from NumPy:", suspect_loss(x.clone(), targets, from_numpy).dtype)
before = x.clone()
suspect_loss(x, targets, ones)
print("the caller's logits, before and after:", before.tolist(), x.tolist())

# %% [markdown]
# Work out on paper what the three weightings should have given: the first window alone is $\log 4$, the second
# $\log 2$. **What do the weights do?** Then repair all three faults. The maximum must still be subtracted: logits in
# the hundreds are nothing unusual, and neither are targets that the model holds for impossible.

# %% nbgrader={"grade_id": "repaired_loss", "solution": true}
def repaired_loss(logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Weighted mean cross-entropy in nats; no input changes.

    logits: (N, V). targets: (N,), int64. weights: (N,), any dtype (booleans and integers too), not all zero.
    Returns a scalar of the logits' dtype.

    >>> x = torch.tensor([[0.0, math.log(3.0)], [0.0, 0.0]])                  # probabilities 1/4 3/4 and 1/2 1/2
    >>> repaired_loss(x, torch.tensor([0, 1]), torch.tensor([3.0, 1.0]))      # (3 log 4 + log 2) / 4
    tensor(1.2130)
    """
    ### BEGIN SOLUTION
    logits = logits - logits.amax(dim=-1, keepdim=True)  # a new tensor under the old name
    log_total = logits.exp().sum(dim=-1).log()  # (N,)
    losses = log_total - logits.gather(-1, targets[:, None]).squeeze(-1)  # (N,), as the weights
    weights = weights.to(logits.dtype)
    return (losses * weights).sum() / weights.sum()
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_repaired_loss", "grade": true}
check("ch00/lab01/repaired_loss", repaired_loss)

# %% [markdown]
# **Look at it.** The counts of step 1 are a model already: the logarithm of how often `v` came after `u`. Weights
# ask it questions. Give weight 1 to the windows that end in one certain character and 0 to all others: how
# uncertain is what comes next?

# %% tags=["look"]
loss_of = earlier("ch00/lab01/repaired_loss", repaired_loss, course_model.weighted_loss)
counted = (counts + 0.01).log().float()[ids[:-1]]  # (N, V): each window's row of the table
uncertain = {"repaired": [], "suspect": []}
for u in range(V):
    chosen = (ids[:-1] == u).float()
    uncertain["repaired"].append(loss_of(counted, ids[1:], chosen).item())
    few = slice(0, 2000)  # the suspect makes an (N, N) matrix: spare the memory
    uncertain["suspect"].append(suspect_loss(counted[few].clone(), ids[1:][few], chosen[few] + 1e-6).item())

order = np.argsort(uncertain["repaired"])
fig, ax = plt.subplots(figsize=(7.5, 3))
ax.bar(range(V), np.array(uncertain["repaired"])[order], color=BLUE, label="repaired")
ax.plot(range(V), np.array(uncertain["suspect"])[order], color=ORANGE, marker=".", label="suspect")
ax.set(xlabel="character that the window ends in", ylabel="loss of the next one (nats)")
ax.set_xticks(range(V), [names[u] for u in order], rotation=90)
ax.legend()
plt.show()

# %% [markdown]
# **After which characters is the next one nearly certain?** And look at the suspect: one level for all. Its loss is a
# plausible number, it goes down in training, and every window that you meant to leave out counts in full. The shapes
# `(N, 1)` and `(N,)` are all it took.

# %% [markdown]
# ## Step 6. A gradient by hand
#
# Now the model learns. Its parameters are a table `(W, V, V)`: for each place `w` of the window and each character
# `u` there, a score for every next character. The logits are the sum over the places, that is `predict` of step 4
# with the one-hot product written as a lookup:
#
# $$x_{nv} = \sum_{w} \text{table}[w,\, i_{nw},\, v], \qquad
# \ell = \frac1N \sum_n \Bigl(\log \sum_v e^{x_{nv}} - x_{n, y_n}\Bigr)$$
#
# PyTorch would hand you the gradient. NumPy does not, so derive it once. Two facts are enough:
#
# - A logit's slope is softmax minus one-hot: $\;g_{nv} = \partial \ell / \partial x_{nv} = (p_{nv} - [v = y_n]) / N$.
# - A lookup is linear. So each row of the table receives the slopes of all windows that read it, summed up.
#
# A row may be read many times, and *every* time counts. Here NumPy has a trap, and PyTorch has the same one:
# `a[indices] += values` reads, adds and writes back once for each index, and where an index comes twice, the second
# write wins. Write it in NumPy. Letters: `windows (N, W)`, `targets (N,)`, logits `(N, V)`.

# %% nbgrader={"grade_id": "loss_and_gradient", "solution": true}
def loss_and_gradient(table: np.ndarray, windows: np.ndarray, targets: np.ndarray) -> tuple[float, np.ndarray]:
    """The mean cross-entropy of the table model and its gradient, without autograd. No input changes.

    table: (W, V, V). windows: (N, W), integers below V. targets: (N,), the same. Returns the loss in nats, and the
    gradient with respect to the table, (W, V, V), in the table's dtype.

    >>> loss_and_gradient(np.zeros((1, 2, 2)), np.array([[0]]), np.array([1]))     # both characters have 1/2
    (0.693..., array([[[ 0.5, -0.5],
                       [ 0. ,  0. ]]]))
    """
    ### BEGIN SOLUTION
    N, W = windows.shape
    rows = np.arange(N)
    logits = table[np.arange(W), windows].sum(axis=1)  # (N, W, V) -> (N, V)
    logits = logits - logits.max(axis=-1, keepdims=True)
    e = np.exp(logits)
    total = e.sum(axis=-1, keepdims=True)  # (N, 1)
    loss = float((np.log(total[:, 0]) - logits[rows, targets]).mean())
    slope = e / total  # softmax
    slope[rows, targets] -= 1  # minus one-hot; the pairs (n, y_n) are all different
    slope = slope / N
    gradient = np.zeros_like(table)
    np.add.at(gradient, (np.arange(W), windows), slope[:, None])  # adds at every index, also where one comes twice
    return loss, gradient
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_loss_and_gradient", "grade": true}
check("ch00/lab01/loss_and_gradient", loss_and_gradient)

# %% [markdown]
# **Look at it.** A second opinion that needs no derivation: move one entry of the table up and down by $h$ and see
# how the loss answers. How near do these differences come to your gradient? That depends on $h$, and on the dtype.

# %% tags=["look"]
by_hand = earlier("ch00/lab01/loss_and_gradient", loss_and_gradient, course_model.loss_and_gradient)
rng = np.random.default_rng(0)
small = rng.standard_normal((2, 4, 4)), rng.integers(0, 4, (30, 2)), rng.integers(0, 4, 30)
steps = 10.0 ** np.arange(-12, 0.5, 0.5)
fig, ax = plt.subplots(figsize=(6, 3.4))
for dtype, marker, colour in ((np.float64, "o", BLUE), (np.float32, "^", ORANGE)):
    table, kept = small[0].astype(dtype), []
    exact = by_hand(table.astype(np.float64), *small[1:])[1]
    for h in steps:
        moved = table.flat[3] + np.array([-h, h], dtype=dtype)  # one entry, down and up
        if moved[0] < moved[1]:
            down, up = table.copy(), table.copy()
            down.flat[3], up.flat[3] = moved
            slope = (float(by_hand(up, *small[1:])[0]) - float(by_hand(down, *small[1:])[0])) / float(moved[1] - moved[0])
            kept.append((h, abs(slope - exact.flat[3]) + 1e-17))
    ax.plot(*zip(*kept), marker=marker, color=colour, markersize=4, label=dtype.__name__)
ax.set(xscale="log", yscale="log", xlabel="step h (added to one entry)", ylabel="error of the difference")
ax.legend()
plt.show()

# %% [markdown]
# **What is the best step for each dtype, and how good does each get?** From the right, the error falls with $h^2$:
# the difference is a better and better slope. From the left, rounding takes over: two nearly equal losses are
# subtracted, and what is left is noise, divided by a tiny $h$. A gradient check belongs in float64.

# %% [markdown]
# ## The model learns
#
# Everything together. `sliding_windows` cuts `W + 1` characters: the first `W` are read, the last is foretold. Your
# gradient drives gradient descent with momentum (each step adds nine tenths of the one before), for windows of 1, 2, 4
# and 8. The gray line is the least loss that any model can reach on this text if it sees one character only: the
# counts themselves, from step 1.

# %% tags=["look"]
STEPS, RATE, MOMENTUM = 100, 30.0, 0.9
tables, curves = {}, {}
for W in (1, 2, 4, 8):
    both = cut(ids, W + 1).numpy()  # (N, W + 1), still a view
    table, step, curves[W] = np.zeros((W, V, V), dtype=np.float32), 0.0, []
    for _ in range(STEPS):
        loss, gradient = by_hand(table, both[:, :W], both[:, W])
        step = MOMENTUM * step + gradient
        table -= np.float32(RATE / W) * step
        curves[W].append(float(loss))
    tables[W] = table

share = counts / counts.sum(-1, keepdim=True)
least = -(counts * share.clamp(min=1e-30).log()).sum().item() / counts.sum().item()

fig, ax = plt.subplots(figsize=(6, 3.4))
for (W, losses), line in zip(curves.items(), ("-", "--", "-.", ":")):
    ax.plot(losses, line, label=f"W = {W}")
ax.axhline(least, color="gray", linewidth=1, label="counted pairs")
ax.set(xlabel="training step", ylabel="loss (nats a character)", ylim=(0, 3.4))
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()
for W in (1, 8):
    start = ids[: max(tables)].tolist()
    made = course_model.sample(tables[W], start, 150, seed=1)
    print(f"W = {W}, loss {curves[W][-1]:.2f}:", "".join(chr(letters[i]) for i in made).replace("\n", " / "))

# %% [markdown]
# **Which curve runs into the gray line, and why can it not go below?** With `W = 1` gradient descent has found, step
# by step, what counting finds at once. The others see more. Compare the two samples: at what length do the made-up
# words of `W = 1` stop looking like words?
#
# Now hand the gradient over to autograd. The same model in PyTorch has a forward pass and nothing else. Does it take
# the same path, and how long does each take?

# %% tags=["look"]
W = 4
both = cut(ids, W + 1)
windows, targets = both[:, :W], both[:, W]
table, step, losses = torch.zeros(W, V, V, requires_grad=True), 0.0, []
for _ in range(STEPS):
    loss = course_model.loss_by_autograd(table, windows, targets)
    (gradient,) = torch.autograd.grad(loss, table)
    step = MOMENTUM * step + gradient
    with torch.no_grad():  # the step itself is no part of the model
        table -= RATE / W * step
    losses.append(loss.item())
print(f"largest difference of the two curves: {np.abs(np.array(losses) - curves[W]).max():.1e} nats")
print(f"largest difference of the two tables: {np.abs(table.detach().numpy() - tables[W]).max():.1e}")
slow = seconds(lambda: by_hand(tables[W], windows.numpy(), targets.numpy()), repeats=5, warm_up=1)
fast = seconds(lambda: torch.autograd.grad(course_model.loss_by_autograd(table, windows, targets), table), repeats=5, warm_up=1)
print(f"one step: yours in NumPy {slow * 1e3:.1f} ms, PyTorch with autograd {fast * 1e3:.1f} ms, "
      f"{slow / fast:.1f} times as fast")  # fmt: skip

# %% [markdown]
# Two libraries, two ways to the gradient, one curve, up to the rounding of float32. That is what a good port looks
# like: you do not believe it, you measure it.

# %% [markdown]
# ## What you built
#
# - A port that agrees in values and dtypes, and a repaired loss whose faults no error ever showed.
# - The rule behind every view, and windows that cost no memory. Lab 0.5 cuts training batches with the same idea.
# - A model that learns from a gradient of your own. Chapter 1 keeps `score` of step 4 and builds attention on it.
#
# ## Going further
#
# - The papers: NumPy [@harris2020], PyTorch [@paszke2019], and the first neural model that predicts a word from a
#   window of words [@bengio2003]. What does it do instead of one table for each place?
# - Production code: `torch.Tensor.unfold` is your `sliding_windows`; `numpy.lib.stride_tricks.sliding_window_view`
#   gives a view that cannot be written to. Why might they differ there?
# - An extension: replace the `(W, V, V)` table by two small matrices, `(V, C)` shared by all places and `(W, C, V)`.
#   Derive the gradient, check it by differences, and compare parameters and loss at `W = 8`.
