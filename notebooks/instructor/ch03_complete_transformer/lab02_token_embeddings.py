# ---
# jupyter:
#   course:
#     title: Token Embeddings
#     level: intermediate
#     minutes: 75
#     hardware: cpu
#     builds: "Token and position embeddings with their gradient by hand, and a model whose first and last matrix are one."
#     goals:
#     - Write the gradient of a lookup, and say why most rows of a table get none
#     - Build token and position embeddings that refuse ids and positions which do not exist
#     - Tie a model's two ends so that they stay tied, and choose the scale of a fresh table
#     - Tell apart what a tied table learns from reading and from writing
#     needs:
#     - "[Embeddings and Vocabulary](../../../book/ch03_complete_transformer/embeddings_and_vocabulary.md)"
#     - Lab 0.2, Tokenization and Vocabulary
#     - Lab 2.4, Transformer Block
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% tags=["setup"]
from autograder import setup; device = setup()

# %% tags=["setup"]
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from autograder import check, earlier
from source.blocks import embeddings as course
from source.blocks.gpt2_block import causal_mask
from source.corpus import shakespeare
from source.models.gpt import GPT, shipped
from source.plots import BLUE, ORANGE, RED
from source.sliders import move
from source.tokenizers.first_merges import first_merges

# %% [markdown]
# ## A question first
#
# To a model, a token is an id: a row number in a table. The course's small model reads bytes, so its table has 256
# rows, each a vector of 128 numbers. When training began the rows were random. Nobody told the model what a letter is,
# or which letters are vowels; it was asked for the next byte of Shakespeare, and for nothing else. Take a row and look
# for those that point in the most similar direction:

# %% tags=["look"]
torch.set_num_threads(1)  # tensors this small: a second thread waits more than it works
model = shipped().requires_grad_(False)
V, C = model.token.weight.shape


def shown(byte):
    return {10: "line break", 32: "space"}.get(byte, chr(byte) if 32 < byte < 127 else f"byte {byte}")


for character in "aetsAT.,?\n":
    neighbours = zip(*course.nearest(model.token.weight, ord(character), 5))
    print(f"{shown(ord(character)):<11}", "   ".join(f"{shown(int(v)):>10} {cosine:.2f}" for v, cosine in neighbours))

# %% [markdown]
# The cosine is 1 for the same direction and 0 for nothing in common. **What do the neighbours of `a` have in common,
# and those of `A`? Which neighbour of the line break makes sense to you?** The ids themselves say none of it: `a` is 97,
# `b` is 98, and `e` is 101. In this lab you build the table, the gradient that shapes it, and the second use that GPT-2
# makes of it. At the end you look at the whole table.
#
# Letters: `B` batch, `T` positions, `C` model width, `V` vocabulary.

# %% [markdown]
# ## Step 1. The gradient of a lookup
#
# To embed ids is to pick rows: $x_{bt} = E_{\text{ids}_{bt}}$. Write the same as a matrix product. Let $O$ have one row
# for each position, all zeros but a 1 in the column of its id. Then
#
# $$X = O E \qquad\text{and so}\qquad \frac{\partial \mathcal L}{\partial E} = O^\top G, \qquad
# \Big(\frac{\partial \mathcal L}{\partial E}\Big)_{v} = \sum_{b,t\,:\;\text{ids}_{bt} = v} G_{bt}$$
#
# with $G$ `(B, T, C)` the gradient of what was looked up. Nobody forms $O$: it has `V` entries for each position, and
# all but one are zeros. Forward, you pick rows. Backward, you *add* each position's gradient to its id's row. An id that
# occurs a hundred times gets a hundred contributions; one that does not occur gets nothing.
#
# Beware of `table[ids] += G`. It reads all rows, adds, and writes all back: an id that occurs twice keeps only one of
# its two sums. And one id may be set apart: a *padding* id, which only fills a rectangle, should learn nothing.

# %% nbgrader={"grade_id": "table_gradient", "solution": true}
def table_gradient(ids: torch.Tensor, upstream: torch.Tensor, vocabulary: int, padding: int | None) -> torch.Tensor:
    """The gradient of an embedding table, from the gradient of what was looked up in it.

    ids: (B, T), int64. upstream: (B, T, C). vocabulary: V. padding: an id whose row gets no gradient, or None.
    Returns (V, C) in upstream's dtype.

    >>> table_gradient(torch.tensor([[2, 0, 2]]), torch.tensor([[[1.0], [10.0], [100.0]]]), 4, None).flatten()
    tensor([ 10.,   0., 101.,   0.])
    """
    ### BEGIN SOLUTION
    C = upstream.shape[-1]
    table = torch.zeros(vocabulary, C, dtype=upstream.dtype, device=upstream.device)
    table.index_add_(0, ids.reshape(-1), upstream.reshape(-1, C))  # every occurrence is added
    if padding is not None:
        table[padding] = 0
    return table
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_table_gradient", "grade": true}
check("ch03/lab02/table_gradient", table_gradient)

# %% [markdown]
# **Look at it.** One batch for the trained model, 32 windows of 128 bytes. What does each row of the table get?

# %% tags=["look"]
rows_of = earlier("ch03/lab02/table_gradient", table_gradient, course.table_gradient)
LENGTH = model.sizes.context
held_out = torch.tensor(list(shakespeare("validation").encode()[: 32 * (LENGTH + 1)])).view(32, LENGTH + 1)
ids, targets = held_out[:, :-1], held_out[:, 1:]  # both (B, T) = (32, 128)
causal = causal_mask(LENGTH)


def rest_of(net):
    """All of a model behind its token embedding, up to the head: (B, T, C) -> (B, T, C)."""

    def body(x):
        x = x + net.position(torch.arange(x.shape[1]))
        for block in net.blocks:
            x = block(x, causal)
        return net.last_norm(x)

    return body


x = model.token(ids).requires_grad_()
loss = F.cross_entropy((rest_of(model)(x) @ model.token.weight.T).flatten(0, 1), targets.flatten())
gradient = rows_of(ids, torch.autograd.grad(loss, x)[0], V, None)
counts = torch.bincount(ids.flatten(), minlength=V)
sizes, seen = gradient.norm(dim=1), counts > 0
print(f"{ids.numel()} positions: {int((sizes > 0).sum())} of {V} rows get a gradient, {int((sizes == 0).sum())} get none")

fig, ax = plt.subplots(figsize=(6.2, 3.5))
ax.scatter(counts[seen], sizes[seen], s=14, color=BLUE)
for character in " eA\n":
    v = ord(character)
    if counts[v]:
        ax.annotate(shown(v), (counts[v], sizes[v]), xytext=(4, 4), textcoords="offset points", fontsize=9)
ax.set(xscale="log", yscale="log", xlabel="occurrences of the id in the batch", ylabel="norm of its row's gradient")
plt.show()

# %% [markdown]
# **Does a byte that occurs a hundred times as often get a hundred times the gradient?** Contributions of different
# places point in different directions and cancel in part. With GPT-2's 50,257 ids the picture is far more lopsided: a
# batch of a few thousand tokens cannot touch most of the rows, and a rare token learns from a handful of places in the
# whole of the training.

# %% [markdown]
# ## Step 2. Token plus position
#
# GPT-2 adds a second table, one row for each position [@radford2019]:
#
# $$x_{bt} = E_{\text{ids}_{bt}} + P_{\text{start} + t}$$
#
# `(B, T, C)` plus `(T, C)`. In training `start` is 0. When a model writes with a cache it is fed its newest tokens
# alone, and `start` says how many came before.
#
# A table has ends, and indexing does not guard them. Three mistakes that raise nothing, or the wrong thing:
#
# - **id -1** is the *last* row. Ids of -1 or -100 mark targets that do not count; one that slips into the inputs is read
#   as a word.
# - **bytes**. A tensor of bytes is `uint8`, and a `uint8` tensor as an index is taken for a *mask*.
# - **position 128** of a table with 128 rows raises on a CPU. A slice `P[120:130]` raises nothing and is two rows short.
#
# So this layer looks before it picks. A fresh table is drawn from a normal distribution with standard deviation 0.02;
# step 3 shows why so small.

# %% nbgrader={"grade_id": "embeddings", "solution": true}
class Embeddings(nn.Module):
    """Token and position vectors, added.

    vocabulary: V. context: the longest sequence. width: C. Two parameters: `token` (V, C) and `position` (context, C),
    fresh from a normal distribution with standard deviation 0.02.

    >>> layer = Embeddings(5, 3, 2)
    >>> out = layer(torch.tensor([[4, 1]]), start=1)                          # positions 1 and 2
    >>> torch.equal(out[0, 0], layer.token[4] + layer.position[1]), out.shape
    (True, torch.Size([1, 2, 2]))
    """

    def __init__(self, vocabulary: int, context: int, width: int) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        self.token = nn.Parameter(torch.randn(vocabulary, width) * 0.02)
        self.position = nn.Parameter(torch.randn(context, width) * 0.02)
        ### END SOLUTION

    def forward(self, ids: torch.Tensor, start: int = 0) -> torch.Tensor:
        """ids: (B, T), integers of any dtype; they stand at positions start, start + 1, ... Returns (B, T, C).

        Raises IndexError for an id that is not 0 to V - 1, ValueError for a position that is not 0 to context - 1.
        """
        ### BEGIN SOLUTION
        ids, end = ids.long(), start + ids.shape[1]  # long: bytes would be taken for a mask
        V, context = len(self.token), len(self.position)
        if ((ids < 0) | (ids >= V)).any():
            raise IndexError(f"ids must be 0 to {V - 1}")
        if start < 0 or end > context:
            raise ValueError(f"positions must be 0 to {context - 1}, not {start} to {end - 1}")
        return self.token[ids] + self.position[start:end]  # (B, T, C) + (T, C)
        ### END SOLUTION


# %% nbgrader={"grade_id": "check_embeddings", "grade": true}
check("ch03/lab02/embeddings", Embeddings)

# %% [markdown]
# **Look at it.** The way from a text into the stack. A tokenizer cuts it (chapter 0's, with as many of its merges as you
# like), and your layer fetches a row for each id. Here the table has five columns of fixed numbers, and the positions
# are zeros. Left: the table, with lines at the rows that are fetched. Right: what goes into the first block.

# %% tags=["given"]
MyEmbeddings = earlier("ch03/lab02/embeddings", Embeddings, course.Embeddings)

# %% tags=["look"]
def fetched(words, merges):
    """The tokens of a text, their ids, and what your layer makes of them: (T, 5)."""
    tokenizer = first_merges(merges)
    ids_of = tokenizer.encode(words)
    small = MyEmbeddings(256 + merges, 128, 5).double().requires_grad_(False)
    small.token.copy_(course.fixed_table(256 + merges, 5))
    small.position.zero_()
    return [tokenizer.decode([i]) for i in ids_of], ids_of, small(torch.tensor([ids_of], dtype=torch.long))[0]


def draw(text="to be or not to be", merges=512):
    tokens, ids_of, rows = fetched(text[:32], merges)
    fig, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3.6), layout="constrained", width_ratios=(1, 3))
    left.imshow(course.fixed_table(256 + merges, 5), vmin=-1, vmax=1, aspect="auto", interpolation="nearest")
    left.hlines(ids_of, -0.5, 4.5, color=RED)
    left.set(title="table (V, C)", xticks=[], ylabel="id")
    if ids_of:
        right.imshow(rows, vmin=-1, vmax=1, aspect="auto")
        right.set_yticks(range(len(ids_of)), [f"{t.replace(' ', '␣')}  {i}" for t, i in zip(tokens, ids_of)])
    right.set(title=f"x (T, C): T = {len(ids_of)}, {len(set(ids_of))} different rows of {256 + merges}", xticks=[])
    return fig


move(draw, text=str, merges=(0, 512, 16), card="token_ids_to_the_stack",
     alt="left a table of numbers with lines at the rows that are fetched; right those rows, one for each token")

# %% [markdown]
# **Type `the hat on the hat`. Which of its five tokens share a row, and which look alike and share none?** Nothing in an id
# says that `the` and `␣the` are one word: that, too, the table has to learn.
#
# Now your layer with the trained tables in it. Left: the cosine of every two rows of the position table. Right: how long
# the vectors are.

# %% tags=["look"]
layer = MyEmbeddings(V, LENGTH, C).requires_grad_(False)
layer.load_state_dict({"token": model.token.weight, "position": model.position.weight})
print(f"largest difference to the model's own first stream: {(layer(ids) - model.stream(ids)[0]).abs().max():.1e}")

unit = F.normalize(layer.position, dim=1)
fig, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.5), layout="constrained")
image = left.imshow(unit @ unit.T, vmin=-1, vmax=1, cmap="PuOr", interpolation="nearest")
fig.colorbar(image, ax=left, label="cosine")
left.set(xlabel="position", ylabel="position")
right.plot(layer.position.norm(dim=1), color=ORANGE, label="position vectors")
mean = layer.token[torch.bincount(torch.tensor(list(shakespeare("train").encode())), minlength=V) > 0].norm(dim=1).mean()
right.axhline(mean, color=BLUE, linestyle="--", label="mean of the token vectors in use")
right.set(xlabel="position", ylabel="norm", ylim=(0, None))
right.legend()
plt.show()

# %% [markdown]
# **What does the model know about positions that nobody put in?** The rows began at random, each independent of its
# neighbours. And which rows are unlike the others? Every window of the training began in the middle of a text: what is
# special about its first places is only how little there is to see.

# %% [markdown]
# ## Step 3. One matrix, used twice
#
# Behind the last block stands a vector $h$ of width `C`, and the model has to score `V` tokens. It needs a matrix
# `(V, C)`, and it has one: the table. Use it again [@press2017]:
#
# $$\text{logit}_{v} = h \cdot E_v \qquad \text{logits} = H E^\top: \quad (B, T, C) \, @ \, (C, V) \to (B, T, V)$$
#
# The scores ask which token's vector fits best what the blocks have computed. The head costs no parameters, and how much
# that is depends on the model:

# %% tags=["look"]
print(f"{'':<22}{'V':>8}{'C':>7}{'one table':>16}{'whole model':>16}{'a second table adds':>22}")
for name, V_, C_, L_ in (("the course's model", 256, 128, 4), ("GPT-2, smallest", 50257, 768, 12), ("GPT-2, largest", 50257, 1600, 48)):
    context = 128 if V_ == 256 else 1024
    whole = V_ * C_ + context * C_ + L_ * (12 * C_ * C_ + 13 * C_) + 2 * C_
    print(f"{name:<22}{V_:>8,}{C_:>7,}{V_ * C_:>16,}{whole:>16,}{V_ * C_ / whole:>21.1%}")
print(f"counted in the course's model: {sum(p.numel() for p in model.parameters()):,}")

# %% [markdown]
# **Tied** means one parameter, not two with equal numbers. A copy starts equal, gets a gradient of its own, and after
# the first step the two go different ways. A `detach()` on the way cuts off half of the gradient. Neither raises an
# error, and both train.

# %% nbgrader={"grade_id": "tied_model", "solution": true}
class TiedModel(nn.Module):
    """Ids to logits, with the token table at both ends.

    embeddings: a module with a parameter `token` (V, C), called as embeddings(ids), returns (B, T, C).
    body: a module (B, T, C) -> (B, T, C). It keeps them as `embeddings` and `body` and has no parameters of its own.

    >>> layer = Embeddings(5, 3, 2)
    >>> tied = TiedModel(layer, nn.Identity())
    >>> logits = tied(torch.tensor([[4]]))
    >>> torch.allclose(logits[0, 0, 3], (layer.token[4] + layer.position[0]) @ layer.token[3])
    True
    """

    def __init__(self, embeddings: nn.Module, body: nn.Module) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        self.embeddings = embeddings
        self.body = body
        ### END SOLUTION

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """ids: (B, T). Returns the logits (B, T, V)."""
        ### BEGIN SOLUTION
        h = self.body(self.embeddings(ids))  # (B, T, C)
        return h @ self.embeddings.token.T  # looked up at every call, so that it is always the table of now
        ### END SOLUTION


# %% nbgrader={"grade_id": "check_tied_model", "grade": true}
check("ch03/lab02/tied_model", TiedModel)

# %% [markdown]
# **Look at it.** A table that is used twice has to suit both uses. `nn.Embedding` draws it with standard deviation 1.
# Take a tied model whose body ends in a LayerNorm, as GPT-2's does, and measure its loss *before the first step*, for
# tables of different spread. A model that knows nothing should be at $\log V$.

# %% tags=["look"]
Tied = earlier("ch03/lab02/tied_model", TiedModel, course.TiedModel)
WORDS = 2000
spreads = np.geomspace(1e-3, 1, 13)
fig, ax = plt.subplots(figsize=(6.2, 3.5))
for width, marker in ((64, "o"), (256, "s"), (768, "^")):
    torch.manual_seed(0)
    tied = Tied(MyEmbeddings(WORDS, 16, width), nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width)))
    fresh = torch.randn(WORDS, width)
    words, following = torch.randint(WORDS, (2, 16, 16))
    first = []
    with torch.no_grad():
        for spread in spreads:
            tied.embeddings.token.copy_(spread * fresh)
            first.append(F.cross_entropy(tied(words).flatten(0, 1), following.flatten()).item())
    ax.plot(spreads, first, marker=marker, markersize=4, label=f"width {width}")
    print(f"width {width}: loss {first[-1]:.1f} with spread 1; log V = {math.log(WORDS):.1f}")
ax.axhline(math.log(WORDS), color="gray", linestyle=":", label="log V")
ax.axvline(0.02, color=RED, linestyle="--", label="GPT-2's 0.02")
ax.set(xscale="log", yscale="log", xlabel="standard deviation of the fresh table", ylabel="loss before training (nats)")
ax.legend()
plt.show()

# %% [markdown]
# **At which spread does each width begin to claim what it cannot know, and how does that point move with the width?**
# With $h$ of unit variance, a logit is a sum of `C` products and has the standard deviation $\sigma\sqrt{C}$. So a head
# wants $\sigma \ll 1$. But the input? Three recipes for width 768, measured:

# %% tags=["look"]
width, length = 768, 64
torch.manual_seed(0)
hands = torch.arange(length)[:, None] / 10_000 ** (torch.arange(0, width, 2) / width)
clock = torch.stack([hands.sin(), hands.cos()], dim=-1).flatten(1)  # (T, C), the sinusoids of the first transformer
recipes = {
    "nn.Embedding's own": (1.0, 1.0, torch.randn(length, width)),
    "GPT-2": (0.02, 1.0, 0.02 * torch.randn(length, width)),
    "the first transformer": (width**-0.5, width**0.5, clock),
    "the same, not scaled": (width**-0.5, 1.0, clock),
}
h = torch.randn(500, width)  # stands for what the last norm puts out
print(f"{'':<24}{'table':>8}{'token part':>12}{'position part':>15}{'logits':>9}   (root mean squares)")
for name, (spread, scale, places) in recipes.items():
    table = spread * torch.randn(WORDS, width)
    sizes_of = [a.square().mean().sqrt().item() for a in (table, scale * table, places, h @ table.T)]
    print(f"{name:<24}{sizes_of[0]:>8.3f}{sizes_of[1]:>12.3f}{sizes_of[2]:>15.3f}{sizes_of[3]:>9.2f}")

# %% [markdown]
# The first transformer shares its table with the head, draws it with standard deviation $1/\sqrt{C}$ in the code that
# came with it, and *multiplies the token vectors by* $\sqrt{C}$ on the way in [@vaswani2017]. **What would the position
# be to the token without that factor?** GPT-2 needs no factor: each of its blocks begins with a norm, which takes the
# size out again, and what counts is that tokens and positions begin at the same one.

# %% [markdown]
# ## Step 4. Two gradients in one
#
# A tied table is pushed from two sides. From the *input*, a row learns to be read: it gets the gradient of the places
# where its id stood (your step 1). From the *output*, a row learns to be scored: it gets something from *every* place,
# because softmax compares all ids everywhere. Autograd adds the two and shows you the sum:
#
# $$\frac{\partial \mathcal L}{\partial E} =
# \underbrace{O^\top \frac{\partial \mathcal L}{\partial X}}_{\text{as input}} +
# \underbrace{\sum_{b,t} \frac{\partial \mathcal L}{\partial\, \text{logits}_{bt}}\, h_{bt}^{\top}}_{\text{as output}}$$
#
# Take them apart. No formula is needed: give autograd two tables with the same numbers.

# %% nbgrader={"grade_id": "gradient_by_use", "solution": true}
def gradient_by_use(
    table: torch.Tensor, ids: torch.Tensor, body, upstream: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """What a tied table's gradient owes to each of its two uses.

    table: (V, C), may or may not require gradients. ids: (B, T). body: a differentiable function (B, T, C) -> (B, T, C).
    upstream: (B, T, V), the gradient of the logits, which are body(table[ids]) @ table.T.
    Returns two tensors (V, C): the gradient through the lookup, and the gradient through the head. table stays as it is,
    its .grad as well.

    >>> one, two = torch.tensor([[1.0], [10.0]]), torch.tensor([[[0.0, 1.0]]])       # V = 2, C = 1; logit 1 counts
    >>> gradient_by_use(one, torch.tensor([[0]]), lambda x: 3 * x, two)              # logit 1 is 3 * row 0 * row 1
    (tensor([[30.],
            [ 0.]]), tensor([[0.],
            [3.]]))
    """
    ### BEGIN SOLUTION
    read, scored = (table.detach().clone().requires_grad_() for _ in range(2))
    logits = body(read[ids]) @ scored.T
    return torch.autograd.grad(logits, (read, scored), upstream)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_gradient_by_use", "grade": true}
check("ch03/lab02/gradient_by_use", gradient_by_use)

# %% [markdown]
# **Look at it.** A fresh model of the same size as the trained one, and the trained one itself, on the batch of step 1.
# Each point is a row of the table.

# %% tags=["look"]
split = earlier("ch03/lab02/gradient_by_use", gradient_by_use, course.gradient_by_use)
torch.manual_seed(0)
fresh = GPT(model.sizes).requires_grad_(False)
shares = {}
fig, axes = plt.subplots(1, 2, figsize=(9.5, 3.6), sharey=True, layout="constrained")
for ax, (name, net) in zip(axes, {"fresh": fresh, "trained": model}.items()):
    logits = net(ids).requires_grad_()
    (upstream,) = torch.autograd.grad(F.cross_entropy(logits.flatten(0, 1), targets.flatten()), logits)
    shares[name] = split(net.token.weight, ids, rest_of(net), upstream)
    for part, label, marker, colour in zip(shares[name], ("as input", "as output"), "os", (BLUE, ORANGE)):
        norms = part.norm(dim=1)
        ax.scatter(counts.clamp(min=0.4), norms.clamp(min=1e-12), s=12, marker=marker, color=colour, label=label)
    ax.set(xscale="log", yscale="log", xlabel="occurrences of the id in the batch (0.4: none)", title=f"{name} model")
axes[0].set(ylabel="norm of the row's gradient (1e-12: zero)")
axes[0].legend()
plt.show()

# %% [markdown]
# **Which rows get a gradient although their id is nowhere in the batch, and from which side?** A row that never occurs
# is told one thing only, at every place: *not you*. That push is the same for all rows in this position. Measured:

# %% tags=["look"]
text_counts = torch.bincount(torch.tensor(list(shakespeare("train").encode())), minlength=V)
never = text_counts == 0
off = ~torch.eye(int(never.sum()), dtype=torch.bool)


def alike(rows):
    directions = F.normalize(rows, dim=1)
    return (directions @ directions.T)[off].mean().item()


print(f"{int(never.sum())} of {V} bytes do not occur in the training text. Mean cosine between two of their rows:")
print(f"  of the fresh table                        {alike(fresh.token.weight[never]):6.3f}")
print(f"  of the fresh table's gradient as output   {alike(shares['fresh'][1][never]):6.3f}")
print(f"  of the trained table                      {alike(model.token.weight[never]):6.3f}")
pad = 0
padded = nn.Embedding(V, C, padding_idx=pad)
padded.weight.data *= 0.02
tied_logits = padded(torch.tensor([[1, pad, 2]])) @ padded.weight.T
F.cross_entropy(tied_logits.flatten(0, 1), torch.tensor([5, 6, 7])).backward()
print(f"nn.Embedding(padding_idx=0) with a tied head: the padding row's gradient has norm {padded.weight.grad[pad].norm():.2g}")

# %% [markdown]
# **What became of the random rows of bytes that never occur?** They were pushed in one direction for 2,500 steps and
# ended up almost the same vector. The same happens in large models, to tokens that the tokenizer knows and the training
# text does not hold; what such a model does when it is given one is not pretty, and the table alone gives them away
# [@land2024]. The last line is a trap of its own: `padding_idx` stops the gradient of the lookup. The head's it does not
# stop. In a decoder you need no padding vector anyway: a mask hides the place and an ignored target forgets it.

# %% [markdown]
# ## Step 5. What the table learned
#
# Now the whole table. First all cosines at once, the bytes sorted by kind.

# %% tags=["look"]
vowels = [ord(c) for c in "aeiou"]
lower = vowels + [v for v in range(97, 123) if v not in vowels]
upper = [v - 32 for v in lower]
used = [v for v in range(V) if text_counts[v] > 0]
marks = [v for v in used if v not in lower + upper]
groups = {"lower case": lower, "upper case": upper, "marks": marks, "never seen": [v for v in range(V) if never[v]][:26]}
order = [v for group in groups.values() for v in group]
unit = F.normalize(model.token.weight[order], dim=1)
fig, ax = plt.subplots(figsize=(6.4, 5.4))
image = ax.imshow(unit @ unit.T, vmin=-1, vmax=1, cmap="PuOr", interpolation="nearest")
fig.colorbar(image, label="cosine")
edges = np.cumsum([0, *(len(group) for group in groups.values())])
ax.set_xticks((edges[:-1] + edges[1:]) / 2 - 0.5, groups, rotation=20)
ax.set_yticks((edges[:-1] + edges[1:]) / 2 - 0.5, groups)
for edge in edges[1:-1]:
    ax.axhline(edge - 0.5, color="gray", linewidth=0.8)
    ax.axvline(edge - 0.5, color="gray", linewidth=0.8)
plt.show()

typical = F.normalize(F.normalize(model.token.weight[never], dim=1).mean(dim=0), dim=0)
close = F.normalize(model.token.weight[marks], dim=1) @ typical
suspects = sorted((int(text_counts[v]), shown(v), c) for v, c in zip(marks, close.tolist()) if c > 0.7)
print("marks that look as if never seen, with their occurrences in the training text and the cosine:")
print("   ".join(f"{name} {count} ({c:.2f})" for count, name, c in suspects))

# %% [markdown]
# Inside both alphabets the five vowels come first. **Find them. And what runs along the diagonal of the block where
# lower meets upper case?** Some marks stand out as well: the table tells how rarely they were read, without a look at
# the text. **Up to which count, about, does it take a byte for one that never occurs?** A picture of 128 dimensions needs a projection. Principal components take the directions in
# which a set of vectors varies most, here once for all 52 letters and once for the small ones.

# %% tags=["look"]
def projected(rows, n):
    """Coordinates along the n directions of largest variance, and the shares of the variance that they carry."""
    centred = rows - rows.mean(dim=0)
    _, S, W = torch.linalg.svd(centred, full_matrices=False)
    return centred @ W[:n].T, S[:n] ** 2 / (S**2).sum()


fig, axes = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained")
for ax, letters, title in ((axes[0], lower + upper, "all letters"), (axes[1], lower, "small letters alone")):
    at, shares_of = projected(model.token.weight[letters], 2)
    for v, (px, py) in zip(letters, at.tolist()):
        vowel = chr(v).lower() in "aeiou"
        ax.text(px, py, chr(v), color=ORANGE if vowel else BLUE, ha="center", va="center", fontweight="bold" if vowel else None)
    ax.set(xlim=(1.1 * at[:, 0].min(), 1.1 * at[:, 0].max()), ylim=(1.15 * at[:, 1].min(), 1.15 * at[:, 1].max()))
    ax.set(title=title, xlabel=f"component 1 ({shares_of[0]:.0%} of the variance)", ylabel=f"component 2 ({shares_of[1]:.0%})")
plt.show()

steps = F.normalize(model.token.weight[upper] - model.token.weight[lower], dim=1)
agree = (steps @ steps.T)[~torch.eye(26, dtype=torch.bool)].mean()
print(f"mean cosine between the steps from a to A, from b to B, ...: {agree:.2f}")

# %% [markdown]
# **Along which axis do the two alphabets lie apart, and along which the vowels?** Vowels are in bold. If going from
# small to capital were the same step for every letter, the printed cosine would be 1; for unrelated steps, 0. Read what
# it says before you tell anybody that the model "has a direction for case". Two components show a small part of the
# variance: the axes' labels say how small.

# %% [markdown]
# ## What you built
#
# - A lookup with its gradient, and the layer that every GPT begins with; it refuses what is not in its tables.
# - A tied model, the scale that lets one table serve both ends, and its gradient taken apart by use.
# - A look at a trained table. Lab 3.3 puts blocks between the two ends; lab 3.4 fills them with GPT-2's own numbers.
#
# ## Going further
#
# - The papers: [@press2017] ties the two and measures what it does; [@bengio2003] is where words became vectors that a
#   network learns while it predicts.
# - [@land2024]: find undertrained tokens of large models from their tables. Which of their indicators would have found
#   the bytes that never occur?
# - Production code: `transformers/models/gpt2/modeling_gpt2.py`: find where `wte` and `wpe` are added, and in
#   `modeling_utils.py` what `tie_weights` does after a model is loaded.
# - An extension: untie the shipped model (give the head a copy), train both for 200 steps on the same batches and follow
#   the cosine between the two tables. Which of the two moves more?
