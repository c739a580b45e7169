# ---
# jupyter:
#   course:
#     title: Multi-Head Attention
#     level: intermediate
#     minutes: 75
#     hardware: cpu
#     builds: "`MultiHeadAttention`: several attentions side by side in one layer, as every transformer has it."
#     goals:
#     - Cut a vector into heads and join it again without mixing up positions
#     - Build multi-head attention with projections, masks and cross-attention
#     - Take a layer's output apart into what each head writes
#     - Measure which input reaches which output, and use it to find bugs that training hides
#     needs:
#     - "[Multi-head attention](../../../book/ch01_attention/multihead_attention.md)"
#     - Lab 1.1, Dot-Product Attention
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
from source.attention import inspection
from source.attention import multi_head as course
from source.attention.dot_product import attention
from source.plots import heatmap

# %% [markdown]
# ## A question first
#
# A word often needs two things at once. A verb needs its subject *and* its object. One softmax hands back one
# blend: a share $p$ of one note, $1-p$ of the other. Nothing says which number came from where.
#
# So draw two independent notes many times, blend them, and let least squares guess each note from the blend. How
# much of each note is lost?

# %% tags=["look"]
rng = np.random.default_rng(0)
notes = rng.standard_normal((20_000, 2))
shares = np.linspace(0, 1, 21)
lost = []
for p in shares:
    blend = notes @ [p, 1 - p]
    guess = np.outer(blend, blend @ notes / (blend @ blend))  # the best straight line through the origin, per note
    lost.append(((notes - guess) ** 2).mean(axis=0))
lost = np.array(lost)

fig, ax = plt.subplots(figsize=(6, 3.2))
for line, label, marker in ((lost[:, 0], "note 1", "o"), (lost[:, 1], "note 2", "s"), (lost.sum(1), "both together", "^")):
    ax.plot(shares, line, marker=marker, markersize=4, label=label)
ax.set(xlabel="share p of the softmax that note 1 gets", ylabel="variance lost (notes)", ylim=(-0.05, 1.15))
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# **Where on the axis is the least lost?** Nowhere: however the weight is shared, one note's worth is gone. One
# softmax cannot look at two places at once. Two of them can. That is the whole idea of heads [@vaswani2017]: do not
# make one attention larger, run several small ones side by side.
#
# Letters: `B` batch, `T` queries, `S` keys, `C` model width, `H` heads, `D = C / H` head width.

# %% [markdown]
# ## Step 1. Split into heads
#
# A layer of width `C` has `H` heads, each `C / H` wide. Head 0 takes the first `D` columns of every position,
# head 1 the next `D`, and so on. Attention of lab 1.1 works on the last two dimensions and leaves all in front
# alone, so the heads have to move to the front:
#
# `(B, T, C)` → `(B, T, H, D)` → `(B, H, T, D)`
#
# The order matters. A tensor is one row of numbers in memory, and a reshape only says where to break the row.
# A reshape straight to `(B, H, T, D)` has the right shape and the wrong numbers, and no error tells you.

# %% nbgrader={"grade_id": "split_heads", "solution": true}
def split_heads(x: torch.Tensor, heads: int) -> torch.Tensor:
    """Cut the width into heads and put the heads in front of the positions.

    x: (B, T, C). heads: H, divides C. Returns (B, H, T, D).

    >>> x = torch.arange(8.0).view(1, 2, 4)     # position 0 holds 0 1 2 3, position 1 holds 4 5 6 7
    >>> split_heads(x, 2)[0, 0]                 # head 0: the first two columns of both positions
    tensor([[0., 1.],
            [4., 5.]])
    """
    ### BEGIN SOLUTION
    B, T, C = x.shape
    D = C // heads
    return x.reshape(B, T, heads, D).transpose(1, 2)  # (B, T, C) -> (B, T, H, D) -> (B, H, T, D)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_split_heads", "grade": true}
check("ch01/lab03/split_heads", split_heads)

# %% [markdown]
# ## Step 2. Merge them again
#
# After attention the heads go back side by side: `(B, H, T, D)` → `(B, T, H, D)` → `(B, T, C)`, the exact inverse.
# A swap of dimensions moves no number in memory, it only changes the strides. `view` cannot join dimensions that do
# not lie next to each other; `reshape` copies where it has to.

# %% nbgrader={"grade_id": "merge_heads", "solution": true}
def merge_heads(z: torch.Tensor) -> torch.Tensor:
    """Put the heads of each position side by side again: the inverse of split_heads.

    z: (B, H, T, D), any memory layout. Returns (B, T, C) with C = H * D.

    >>> z = torch.tensor([[[[0.0, 1.0], [4.0, 5.0]], [[2.0, 3.0], [6.0, 7.0]]]])   # two heads, two positions
    >>> merge_heads(z)
    tensor([[[0., 1., 2., 3.],
             [4., 5., 6., 7.]]])
    """
    ### BEGIN SOLUTION
    B, H, T, D = z.shape
    return z.transpose(1, 2).reshape(B, T, H * D)  # (B, H, T, D) -> (B, T, H, D) -> (B, T, C)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_merge_heads", "grade": true}
check("ch01/lab03/merge_heads", merge_heads)

# %% [markdown]
# **Look at it.** Six positions, width four, two heads. Every number is the number of the position that it came
# from. Left: head 0 as `split_heads` makes it. Right: head 0 after a reshape straight to `(B, H, T, D)`.

# %% tags=["given"]
split = earlier("ch01/lab03/split_heads", split_heads, course.split)
merge = earlier("ch01/lab03/merge_heads", merge_heads, course.merge)

# %% tags=["look"]
T, C, H = 6, 4, 2
x = torch.arange(T).view(1, T, 1).expand(1, T, C).float()
fig, axes = plt.subplots(1, 2, figsize=(5.6, 3.4))
for ax, head, title in zip(axes, (split(x, H)[0, 0], x.reshape(1, H, T, C // H)[0, 0]), ("split", "reshape alone")):
    heatmap(ax, head.numpy(), [f"row {t}" for t in range(T)], ["0", "1"], high=T - 1)
    ax.tick_params(axis="x", rotation=0)
    ax.set(title=title, xlabel="column of head 0", ylabel="")
    for (row, column), position in np.ndenumerate(head.numpy()):
        ink = "white" if position < T / 2 else "black"
        ax.text(column, row, f"{position:.0f}", ha="center", va="center", color=ink)
fig.suptitle("position that each number came from")
plt.tight_layout()
plt.show()

# %% [markdown]
# **On the right, which position does row 5 of head 0 hold?** In a language model that row would be compared as if it
# were the last word. The layer would still train, on scrambled input.

# %% [markdown]
# ## Step 3. The layer
#
# Each head asks its own question of its own keys. Where do its queries, keys and values come from? From three
# learned projections of the whole width, cut into heads:
#
# $$\text{head}_h = \text{attention}(x W^Q_h,\; c\, W^K_h,\; c\, W^V_h) \qquad
# \text{out} = [\text{head}_1, \ldots, \text{head}_H]\, W^O$$
#
# In shapes: `W_q`, `W_k`, `W_v` are `nn.Linear(C, C)`, and one matrix product serves all heads, since head `h` is
# just the columns `h*D` to `(h+1)*D` of the result. Without `W_o` each head could write only into its own `D`
# columns of the output; with it, every head can write anywhere.
#
# $c$ is the *context*, the sequence that is looked at. In self-attention it is `x` itself. In cross-attention, where
# a decoder looks at an encoder's output, it is another sequence, and `S` differs from `T`.
#
# `attention(Q, K, V, mask)` of lab 1.1 is imported above: it works on `(B, H, T, D)` as it is. A mask says
# `True` = may be seen, and broadcasts to `(B, H, T, S)`: a causal one has shape `(T, S)`, one for padded keys
# `(B, 1, 1, S)`.

# %% nbgrader={"grade_id": "multi_head_attention", "solution": true}
class MultiHeadAttention(nn.Module):
    """H attentions side by side: project, split, attend, merge, project.

    width: C. heads: H, divides C. Its parameters are W_q, W_k, W_v and W_o, each an nn.Linear(C, C) with a bias.

    >>> layer = MultiHeadAttention(8, 2)
    >>> out, weights = layer(torch.zeros(1, 4, 8))
    >>> out.shape, weights[0, 1, 3]           # equal keys: every head looks at all four alike
    (torch.Size([1, 4, 8]), tensor([0.2500, 0.2500, 0.2500, 0.2500]))
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        self.heads = heads
        self.W_q = nn.Linear(width, width)
        self.W_k = nn.Linear(width, width)
        self.W_v = nn.Linear(width, width)
        self.W_o = nn.Linear(width, width)
        ### END SOLUTION

    def forward(
        self, x: torch.Tensor, context: torch.Tensor | None = None, mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """x: (B, T, C). context: (B, S, C), None = x itself. mask: bool, broadcasts to (B, H, T, S).

        Returns the output (B, T, C) and the weights (B, H, T, S).
        """
        ### BEGIN SOLUTION
        context = x if context is None else context
        q = split(self.W_q(x), self.heads)  # (B, T, C) -> (B, H, T, D)
        k = split(self.W_k(context), self.heads)  # (B, S, C) -> (B, H, S, D)
        v = split(self.W_v(context), self.heads)  # (B, S, C) -> (B, H, S, D)
        z, weights = attention(q, k, v, mask)  # (B, H, T, D) and (B, H, T, S)
        return self.W_o(merge(z)), weights
        ### END SOLUTION


# %% nbgrader={"grade_id": "check_multi_head_attention", "grade": true}
check("ch01/lab03/multi_head_attention", MultiHeadAttention)

# %% [markdown]
# **Look at it.** Back to the question of the beginning. Every position holds a note of six random numbers. The
# layer has to answer, at each position, with the note one place back *and* the note three places back. Same width,
# same number of parameters, same training; only the number of heads differs.

# %% tags=["look"]
torch.set_num_threads(1)  # tensors this small: a second thread waits more than it works
Layer = earlier("ch01/lab03/multi_head_attention", MultiHeadAttention, course.MultiHeadAttention)
PLACES, NOTE = 10, 6


def two_places(batch):
    """x (B, 10, 16): notes, then the position as ten zeros and ones. y (B, 10, 12): the notes 1 and 3 places back."""
    notes = torch.randn(batch, PLACES, NOTE)
    x = torch.cat([notes, torch.eye(PLACES).expand(batch, PLACES, PLACES)], dim=-1)
    return x, torch.cat([notes.roll(1, dims=1), notes.roll(3, dims=1)], dim=-1)


trained, curves = {}, {}
for H in (1, 2, 4):
    torch.manual_seed(0)
    layer = trained[H] = Layer(PLACES + NOTE, H)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.01)
    curves[H] = []
    for _ in range(300):
        x, y = two_places(64)
        loss = (layer(x)[0][..., : 2 * NOTE] - y).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        curves[H].append(loss.item())
    print(f"{H} heads: {sum(p.numel() for p in layer.parameters())} parameters, last error {curves[H][-1]:.3f}")

fig, ax = plt.subplots(figsize=(6, 3.2))
for (H, losses), line in zip(curves.items(), ("-", "--", ":")):
    ax.plot(losses, line, label=f"{H} head" + "s" * (H > 1))
ax.axhline(0.5, color="gray", linewidth=0.8)
ax.set(xlabel="training step", ylabel="mean squared error (of variance 1)", ylim=(0, 1.1))
ax.legend()
plt.show()

# %% tags=["look"]
x, _ = two_places(1)
places = [str(t) for t in range(PLACES)]
fig, axes = plt.subplots(1, 3, figsize=(9, 3.2))
views = [("1 head", trained[1](x)[1][0, 0]), *((f"2 heads: head {h}", trained[2](x)[1][0, h]) for h in range(2))]
for ax, (title, weights) in zip(axes, views):
    heatmap(ax, weights.detach().numpy(), places, places)
    ax.set(title=title, ylabel="query" if ax is axes[0] else "", xlabel="key")
    ax.tick_params(axis="x", rotation=0)
plt.tight_layout()
plt.show()

# %% [markdown]
# **One head stays near half of the variance. What does its row 5 look at, and what do the two heads' rows 5 look
# at?** More heads cost no parameters: they cut the same width into thinner slices. Read the printed numbers again.
#
# Two places need two heads. It does not follow that a trained model needs all of its heads: many can be taken out
# of a trained model with little loss [@michel2019], and in translation a few specialised ones do most of the work
# [@voita2019].

# %% [markdown]
# ## Step 4. What each head writes
#
# "Concatenate, then project" sounds as if the heads were mixed together. They are not. A matrix product adds up
# over columns, and each head owns `D` of them:
#
# $$\text{out} = [z_1, \ldots, z_H]\, W^O + b = b + \sum_h z_h W^O_h$$
#
# So every head reads, decides and *adds its own vector* to the output, without a word to the others. Section
# "Attention Heads are Independent and Additive" of [@elhage2021] builds on this; so does lab 1.2, where heads are
# taken out one by one.
#
# In shapes: `z (B, H, T, D)` → contributions `(B, H, T, M)`, where `M` is the width that `W_o` writes (here `C`).
# Their sum over the heads, plus the bias, is the layer's output. Mind that `nn.Linear` stores its matrix as
# (outputs, inputs): `W_o.weight` is `(M, H*D)`, and the layer computes `x @ weight.T + bias`.

# %% nbgrader={"grade_id": "head_contributions", "solution": true}
def head_contributions(z: torch.Tensor, W_o: nn.Linear) -> torch.Tensor:
    """What each head adds to the output. The bias belongs to no head and is left out.

    z: (B, H, T, D), what each head blended. W_o: from H*D to M. Returns (B, H, T, M).

    >>> W_o = nn.Linear(2, 1)
    >>> W_o.weight.data = torch.tensor([[3.0, 5.0]])                # head 0 is multiplied by 3, head 1 by 5
    >>> head_contributions(torch.ones(1, 2, 1, 1), W_o).flatten()
    tensor([3., 5.], grad_fn=<...>)
    """
    ### BEGIN SOLUTION
    H, D = z.shape[1], z.shape[3]
    W = W_o.weight.T.reshape(H, D, -1)  # (M, H*D) -> (H*D, M) -> (H, D, M)
    return z @ W  # (B, H, T, D) @ (H, D, M) -> (B, H, T, M)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_head_contributions", "grade": true}
check("ch01/lab03/head_contributions", head_contributions)

# %% [markdown]
# **Look at it.** Take one head's contribution out of the trained two-head layer. What is lost?

# %% tags=["look"]
written = earlier("ch01/lab03/head_contributions", head_contributions, course.head_contributions)
layer = trained[2]
with torch.no_grad():
    x, y = two_places(500)
    out, weights = layer(x)
    z = weights @ split(layer.W_v(x), 2)  # (B, H, T, S) @ (B, H, S, D) -> (B, H, T, D)
    parts = written(z, layer.W_o)  # (B, H, T, C)
    left = {"all heads": out, "without head 0": out - parts[:, 0], "without head 1": out - parts[:, 1]}
    errors = {n: (o[..., : 2 * NOTE] - y).pow(2).unflatten(-1, (2, NOTE)).mean(dim=(0, 1, 3)) for n, o in left.items()}

fig, ax = plt.subplots(figsize=(6, 3))
for i, (label, hatch) in enumerate((("one place back", ""), ("three places back", "//"))):
    ax.bar(np.arange(3) + 0.36 * i, [e[i].item() for e in errors.values()], 0.34, label=label, hatch=hatch)
ax.set_xticks(np.arange(3) + 0.18, list(errors))
ax.set(ylabel="mean squared error", ylim=(0, 1.5))
ax.legend()
plt.show()

# %% [markdown]
# **Which head fetches the note from three places back?** You read it off without looking at a single weight. Was the
# other note touched when that head went?

# %% [markdown]
# ## Step 5. What reaches what
#
# You now have a layer that is easy to get wrong in ways that keep every shape right. You want an instrument that
# sees such faults *from outside*. Which input can change which output? The gradient knows:
#
# $$I_{ts} = \Bigl\lVert \frac{\partial\, \text{out}_t}{\partial\, x_s} \Bigr\rVert
# = \sqrt{\sum_{m}\sum_{c} \Bigl(\frac{\partial\, \text{out}_{tm}}{\partial\, x_{sc}}\Bigr)^{2}}$$
#
# If $I_{ts}$ is zero, no small change of input $s$ moves output $t$. A causal layer must have zeros above the
# diagonal, whatever its weights. In shapes: a layer `(S, C)` → `(T, M)` has a Jacobian `(T, M, S, C)`; the influence
# is `(T, S)`.
#
# Why the norm, and not the gradient of a sum? Because entries of opposite sign cancel in a sum, and you would see a
# zero where there is none.

# %% nbgrader={"grade_id": "influence", "solution": true}
def influence(layer, x: torch.Tensor) -> torch.Tensor:
    """How strongly each input position moves each output position, to first order.

    layer: a differentiable function (S, C) -> (T, M). x: (S, C). Returns (T, S): the norm of each block of the
    Jacobian, computed by autograd (finite differences are too coarse).

    >>> influence(lambda x: 3 * x.flip(0), torch.zeros(2, 1))     # output 0 is 3 times input 1, and the reverse
    tensor([[0., 3.],
            [3., 0.]])
    """
    ### BEGIN SOLUTION
    J = torch.autograd.functional.jacobian(layer, x)  # (T, M, S, C)
    return J.pow(2).sum(dim=(1, 3)).sqrt()  # (T, S)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_influence", "grade": true}
check("ch01/lab03/influence", influence)

# %% [markdown]
# **Look at it.** Your own layer with random weights, without a mask and with a causal one. The scale is logarithmic:
# one unit is a factor of ten.

# %% tags=["look"]
reach = earlier("ch01/lab03/influence", influence, inspection.influence)


def show_influence(ax, layer, T, C, title):
    """A heatmap of log10 influence; exact zeros stay empty, with a cross."""
    torch.manual_seed(2)
    seen = reach(layer, torch.randn(T, C)).numpy()
    with np.errstate(divide="ignore"):
        logs = np.where(seen > 0, np.log10(seen), np.nan)
    labels = [str(t) for t in range(T)]
    image = heatmap(ax, logs, labels, labels, low=-2.5, high=0)
    ax.tick_params(axis="x", rotation=0)
    ax.set(title=title, xlabel="input position", ylabel="output position")
    for t, s in np.argwhere(seen == 0):
        ax.text(s, t, "×", ha="center", va="center", color="gray", fontsize=9)
    return image


torch.manual_seed(1)
layer = Layer(32, 4)
causal = torch.ones(8, 8, dtype=torch.bool).tril()
fig, axes = plt.subplots(1, 2, figsize=(7.5, 3.4), layout="constrained")
show_influence(axes[0], lambda x: layer(x[None])[0][0], 8, 32, "no mask")
image = show_influence(axes[1], lambda x: layer(x[None], mask=causal)[0][0], 8, 32, "causal mask")
axes[1].set_ylabel("")
fig.colorbar(image, ax=axes, label="log10 influence")
plt.show()

# %% [markdown]
# **A cross is an exact zero. In the right panel, how does the influence of input 0 change from output 0 down to
# output 7?** The more keys a row has, the smaller each one's share.

# %% [markdown]
# ## Step 6. A layer that trains too well
#
# A colleague hands you causal self-attention with all three projections in one matrix, as GPT-2 has them. It runs,
# all shapes are right, and it trains. Here it is. Do not mend it yet.

# %% tags=["given"]
class SuspectAttention(nn.Module):
    """Causal self-attention: position t may see positions 0 to t. x (B, T, C) -> (B, T, C). Something is wrong."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.W_qkv = nn.Linear(width, 3 * width)  # queries, keys and values in one product
        self.W_o = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        B, T, C = x.shape
        H, D = self.heads, C // self.heads
        q, k, v = self.W_qkv(x).chunk(3, dim=-1)  # (B, T, 3C) -> three (B, T, C)
        q, k, v = (part.reshape(B, T, H, D).transpose(1, 2) for part in (q, k, v))  # (B, H, T, D)
        s = q @ k.transpose(-2, -1) / math.sqrt(C)  # (B, H, T, T)
        seen = torch.ones(T, T, dtype=torch.bool, device=x.device).tril()
        weights = torch.softmax(s, dim=-1) * seen
        z = weights @ v  # (B, H, T, D)
        return self.W_o(z.reshape(B, T, C))


# %% [markdown]
# Train it to predict the next symbol of a sequence in which every symbol is drawn at random, one of eight. Nothing
# can be predicted: no model can do better, on new sequences, than a loss of $\log 8$. The training below draws new
# sequences at every step.

# %% tags=["look"]
SYMBOLS, LENGTH = 8, 8


def next_symbol_losses(Attention, steps=300):
    """Losses of a one-layer model that predicts the next of random symbols."""
    torch.manual_seed(0)
    symbol, place = nn.Embedding(SYMBOLS, 32), nn.Embedding(LENGTH, 32)
    layer, read = Attention(32, 4), nn.Linear(32, SYMBOLS)
    optimizer = torch.optim.AdamW([p for m in (symbol, place, layer, read) for p in m.parameters()], lr=0.01)
    losses = []
    for _ in range(steps):
        ids = torch.randint(SYMBOLS, (64, LENGTH + 1))
        x = symbol(ids[:, :-1]) + place.weight
        loss = F.cross_entropy(read(x + layer(x)).flatten(0, 1), ids[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


suspect_losses = next_symbol_losses(SuspectAttention)
fig, ax = plt.subplots(figsize=(6, 3))
ax.plot(suspect_losses, label="the suspect")
ax.axhline(math.log(SYMBOLS), color="gray", linestyle="--", label="log 8: the best that is possible")
ax.set(xlabel="training step", ylabel="loss on new sequences (nats)", ylim=(0, 2.5))
ax.legend()
plt.show()

# %% [markdown]
# **How far below the possible does it get?** It foretells random numbers. It does so because it sees them: what it
# has to predict at one position is its input at the next. A loss that is too good is a bug report.
#
# Three lines of `forward` are wrong. Two let the future in; the third makes the scores too small. Your instrument of
# step 5 and the pictures of step 1 help. Write the repaired `forward`: same parameters, same shapes.

# %% nbgrader={"grade_id": "repaired", "solution": true}
class RepairedAttention(SuspectAttention):
    """SuspectAttention with the three wrong lines put right. Parameters and shapes stay as they are."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: (B, T, C). Returns (B, T, C); output t depends on positions 0 to t alone."""
        ### BEGIN SOLUTION
        B, T, C = x.shape
        H, D = self.heads, C // self.heads
        q, k, v = self.W_qkv(x).chunk(3, dim=-1)  # (B, T, 3C) -> three (B, T, C)
        q, k, v = (part.reshape(B, T, H, D).transpose(1, 2) for part in (q, k, v))  # (B, H, T, D)
        s = q @ k.transpose(-2, -1) / math.sqrt(D)  # each score sums D products, not C
        seen = torch.ones(T, T, dtype=torch.bool, device=x.device).tril()
        weights = torch.softmax(s.masked_fill(~seen, float("-inf")), dim=-1)  # masked before the rows are normalised
        z = weights @ v  # (B, H, T, D)
        return self.W_o(z.transpose(1, 2).reshape(B, T, C))  # positions in front again, then the heads side by side
        ### END SOLUTION


# %% nbgrader={"grade_id": "check_repaired", "grade": true}
check("ch01/lab03/repaired", RepairedAttention)

# %% [markdown]
# **Look at it.** The suspect's influence, the repaired layer's, and what the repaired one can learn from noise.

# %% tags=["look"]
Repaired = earlier("ch01/lab03/repaired", RepairedAttention, course.CausalSelfAttention)
fig, axes = plt.subplots(1, 3, figsize=(10.5, 3.4), layout="constrained")
for ax, Attention, title in zip(axes, (SuspectAttention, Repaired), ("suspect: influence", "repaired: influence")):
    torch.manual_seed(1)
    layer = Attention(32, 4)
    image = show_influence(ax, lambda x: layer(x[None])[0], 8, 32, title)
fig.colorbar(image, ax=axes[:2], label="log10 influence")
axes[2].plot(suspect_losses, label="suspect")
axes[2].plot(next_symbol_losses(Repaired), "--", label="repaired")
axes[2].axhline(math.log(SYMBOLS), color="gray", linewidth=0.8)
axes[2].set(xlabel="training step", ylabel="loss (nats)", ylim=(0, 2.5), title="random symbols")
axes[2].legend()
plt.show()

# %% [markdown]
# **Which of the suspect's outputs see inputs 4 to 7 clearly, and which only faintly?** Each of the two leaks made one
# of the two patterns: which made which? The repaired layer stays at the line: there is nothing to learn, and it learns
# nothing. Training alone would have told you that the suspect is the better layer.

# %% [markdown]
# ## What you built
#
# - `MultiHeadAttention`, with masks and cross-attention; the heads cost no parameters and add up independently.
# - An instrument that shows from outside which input reaches which output.
# - The habit of distrusting a loss. Lab 1.4 holds your layer against PyTorch's; chapter 2 builds a block around it.
#
# ## Going further
#
# - The papers: [@vaswani2017], section 3.2.2; what heads do once trained, [@voita2019] and [@michel2019].
# - Fewer keys and values than queries: [@shazeer2019] lets all heads share one pair, [@ainslie2023] groups them.
#   Which of your four projections would shrink, and to which shape?
# - Production code: nanoGPT's `model.py`, class `CausalSelfAttention`. Find the line for each of your three repairs.
# - An extension: repeat the training of step 3 with notes of two numbers (`NOTE = 2`, so a width of 12) and 1, 2, 3,
#   4, 6 and 12 heads. From which head width down is a head too narrow to find its place?
