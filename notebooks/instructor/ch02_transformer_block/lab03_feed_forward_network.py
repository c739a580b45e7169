# ---
# jupyter:
#   course:
#     title: Feed-Forward Network
#     level: intermediate
#     minutes: 70
#     hardware: cpu
#     builds: "`FeedForward` and `SwiGLU`: the part of a block that computes, one position at a time, and holds most of its weights."
#     goals:
#     - Say what a block could not compute without a feed-forward network
#     - Write GELU exactly and as GPT-2 has it, and build the plain and the gated network
#     - Match the parameters of a gated network to those of a plain one
#     - Read a feed-forward network as a memory of keys and values, and take it apart unit by unit
#     needs:
#     - "[The feed-forward network](../../../book/ch02_transformer_block/feed_forward_network.md)"
#     - Lab 1.3, Multi-Head Attention
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% tags=["setup"]
from autograder import setup; device = setup()

# %% tags=["setup"]
import math
from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from autograder import check, earlier
from source.blocks import feed_forward as course
from source.corpus import shakespeare
from source.plots import GREEN, ORANGE, PINK
from source.sliders import move

# %% [markdown]
# ## A question first
#
# Attention decides *where* to look. What it hands back is a weighted average of value vectors, and values are a
# linear map of the input. So look at one position and keep the weights fixed: out comes a *linear* function of what
# was seen. How far does that get you?
#
# Take the smallest question that is not linear: do two numbers have the same sign? Give least squares the two
# numbers. Then give it, besides, eight random directions of the plane, cut off at zero.

# %% tags=["look"]
rng = np.random.default_rng(0)
points = rng.uniform(-1, 1, (2000, 2))
same = np.sign(points[:, 0] * points[:, 1])  # 1: same sign, -1: different signs


def share_right(features):
    """The share of points whose sign least squares gets right from these features and a constant."""
    features = np.column_stack([features, np.ones(len(features))])
    weights, *_ = np.linalg.lstsq(features, same, rcond=None)
    return float((np.sign(features @ weights) == same).mean())


directions = rng.standard_normal((2, 8))
straight = points @ directions  # eight linear features: nothing that the two numbers did not say
cut = np.maximum(straight, 0)
rows = {"the two numbers": points, "8 directions": straight, "8 directions, cut off at zero": cut}
shares = {name: 100 * share_right(features) for name, features in rows.items()}

fig, ax = plt.subplots(figsize=(6.5, 2.2))
bars = ax.barh(list(shares), list(shares.values()))
ax.bar_label(bars, [f"{share:.0f}%" for share in shares.values()], padding=3)
ax.axvline(50, color="gray", linewidth=0.8)
ax.set(xlabel="points answered correctly (%)", xlim=(0, 110))
ax.invert_yaxis()
plt.show()

# %% [markdown]
# **What did eight more linear features add?** Nothing: a linear map of a linear map is a linear map. One bend each,
# and the same eight features nearly answer the question. *Widen, bend, narrow* is the feed-forward network, and in
# most transformers it holds two thirds of a block's weights.
#
# Letters: `B` batch, `T` positions, `C` model width. The width in between has no letter of its own: code calls it
# `hidden`.

# %% [markdown]
# ## Step 1. The bend
#
# ReLU cuts off at zero. Its slope jumps from 0 to 1, and a unit that is negative on all inputs has no gradient and
# never comes back. GELU [@hendrycks2016] is the smooth version. It multiplies `x` by the probability that a standard
# normal variable is smaller:
#
# $$\text{GELU}(x) = x\,\Phi(x) = \tfrac{x}{2}\left(1 + \text{erf}\tfrac{x}{\sqrt 2}\right)$$
#
# When GPT-2 was written, erf was slow on accelerators. So its authors used the same paper's approximation, and its
# weights are trained *for* that:
#
# $$\text{GELU}_{\tanh}(x) = \tfrac{x}{2}\left(1 + \tanh\!\left(\sqrt{\tfrac{2}{\pi}}\,(x + 0.044715\,x^3)\right)\right)$$
#
# Write both. Element by element, shapes stay as they are.

# %% nbgrader={"grade_id": "gelu", "solution": true}
def gelu(x: torch.Tensor, approximate: bool = False) -> torch.Tensor:
    """GELU of each entry: exact, or through the tanh as GPT-2 has it.

    x: any shape, floating point. Returns the same shape and dtype.

    >>> gelu(torch.tensor([-100.0, 0.0, 100.0]))   # far left nothing passes, far right all of it
    tensor([-0., 0., 100.])
    """
    ### BEGIN SOLUTION
    if approximate:
        return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_gelu", "grade": true}
check("ch02/lab03/gelu", gelu)

# %% [markdown]
# **Look at it.** Four activations and their slopes, and how far the two GELUs are apart.

# %% tags=["given"]
def course_gelu(x, approximate=False):
    return course.gelu_tanh(x) if approximate else course.gelu(x)


smooth = earlier("ch02/lab03/gelu", gelu, course_gelu)

# %% tags=["look"]
x = torch.linspace(-4, 4, 401, dtype=torch.float64, requires_grad=True)
fig, axes = plt.subplots(1, 3, figsize=(10, 3), layout="constrained")
curves = {"ReLU": torch.relu, "GELU": smooth, "SiLU": course.silu}
for (name, f), line in zip(curves.items(), ("--", "-", ":")):
    y = f(x)
    (slope,) = torch.autograd.grad(y.sum(), x)
    axes[0].plot(x.detach(), y.detach(), line, label=name)
    axes[1].plot(x.detach(), slope, line, label=name)
apart = (smooth(x, approximate=True) - smooth(x)).detach()
axes[2].plot(x.detach(), 1e4 * apart)
axes[0].set(xlabel="x", ylabel="activation", title="value")
axes[1].set(xlabel="x", ylabel="derivative", title="slope")
axes[2].set(xlabel="x", ylabel="tanh minus exact (10⁻⁴)", title="the two GELUs")
axes[0].legend()
plt.show()
print(f"largest difference of the two GELUs: {float(apart.abs().max()):.1e}")

# %% [markdown]
# **Where is GELU's slope negative, and what does that mean for a unit there?** And is the difference on the right
# small? For one call, yes. Load GPT-2's weights with the exact GELU and every layer adds a little of it: you will be
# looking for a bug that is a `tanh`.

# %% [markdown]
# ## Step 2. Widen, bend, narrow
#
# $$\text{FFN}(x) = W_\text{out}\, \sigma(W_\text{in}\, x + b_\text{in}) + b_\text{out}$$
#
# In shapes: `(..., C)` → `(..., hidden)` → `(..., C)`, with `hidden = 4 C` by custom [@vaswani2017]. The same two matrices
# serve every position, and no position sees another: all mixing is attention's work.

# %% nbgrader={"grade_id": "feed_forward", "solution": true}
class FeedForward(nn.Module):
    """Widen, bend, narrow, at each position by itself.

    width: C. hidden: the width in between. activation: a function of tensors, applied element by element.
    Its parameters are W_in, an nn.Linear(C, hidden), and W_out, an nn.Linear(hidden, C), both with a bias.

    >>> network = FeedForward(3, 12, torch.relu)
    >>> network(torch.zeros(2, 5, 3)).shape
    torch.Size([2, 5, 3])
    """

    def __init__(self, width: int, hidden: int, activation: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        self.activation = activation
        self.W_in = nn.Linear(width, hidden)
        self.W_out = nn.Linear(hidden, width)
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: (..., C). Returns (..., C)."""
        ### BEGIN SOLUTION
        return self.W_out(self.activation(self.W_in(x)))  # (..., C) -> (..., hidden) -> (..., C)
        ### END SOLUTION


# %% nbgrader={"grade_id": "check_feed_forward", "grade": true}
check("ch02/lab03/feed_forward", FeedForward)

# %% [markdown]
# **Look at it.** The smallest network of all: one number in, one number out, three hidden units. Each unit adds a line
# that is bent at its *edge*, the input at which the unit's own number is zero. The thick line is their sum.

# %% tags=["given"]
def course_network(width, hidden, activation):
    network = course.FeedForward(width, hidden, "relu")
    network.activation = activation
    return network


Plain = earlier("ch02/lab03/feed_forward", FeedForward, course_network)

# %% tags=["look"]
BENDS = {"ReLU": torch.relu, "GELU": smooth, "SiLU": course.silu, "none": lambda x: x}
inputs = torch.arange(121).double()[:, None] / 20 - 3  # (121, 1), from -3 to 3


@torch.no_grad()
def output(edges, writes, activation):
    """What a network with a unit for each edge makes of the inputs, (121,). writes: what each unit is multiplied by."""
    network = Plain(1, len(edges), BENDS[activation]).double()
    network.W_in.weight.fill_(1.0)
    network.W_in.bias.copy_(-torch.tensor(edges))
    network.W_out.weight.copy_(torch.tensor([writes]))
    network.W_out.bias.zero_()
    return network(inputs)[:, 0]


def draw(first_edge=-1.5, second_edge=0.0, third_edge=1.5, activation="ReLU"):
    edges, writes = [first_edge, second_edge, third_edge], [1.0, -2.0, 1.5]
    fig, ax = plt.subplots(figsize=(6.5, 3.2), layout="constrained")
    for edge, write, colour, line in zip(edges, writes, (ORANGE, GREEN, PINK), ("--", ":", "-.")):
        ax.plot(inputs, output([edge], [write], activation), line, color=colour, label=f"{write:+g} × unit with edge {edge:.1f}")
    ax.plot(inputs, output(edges, writes, activation), "k", linewidth=3, label="the network")
    ax.set(xlabel="input", ylabel="output", ylim=(-6.5, 4.5))
    ax.legend(loc="lower left", fontsize=9)
    return fig


edge = (-3.0, 3.0, 0.1)
move(draw, first_edge=edge, second_edge=edge, third_edge=edge, activation=list(BENDS), card="feed_forward",
     alt="three thin bent lines, one for each hidden unit, and their sum as a thick line")

# %% [markdown]
# **Where are the corners of the thick line, and what becomes of it without an activation?** Three straight lines add up
# to a straight line, wherever their edges are. With the bend, more units make more corners, as many as a function needs.
#
# Where do a block's weights lie? Attention has four matrices of `C × C`, the feed-forward network two of `C × 4C`.
# Counted on real layers, at GPT-2's four widths:

# %% tags=["look"]
def parameters(module):
    return sum(p.numel() for p in module.parameters())


print(f"{'C':>6}{'attention':>14}{'feed-forward':>16}{'share':>9}")
for C in (768, 1024, 1280, 1600):
    with torch.device("meta"):  # shapes without memory
        attention, network = nn.MultiheadAttention(C, 1), Plain(C, 4 * C, torch.relu)
    a, f = parameters(attention), parameters(network)
    print(f"{C:>6}{a:>14,}{f:>16,}{100 * f / (a + f):>8.1f}%")

# %% [markdown]
# **Why does the share not depend on the width?** And a multiplication costs two FLOPs a weight and position: at
# short contexts the share of the *work* is the same two thirds.

# %% [markdown]
# ## Step 3. A gate
#
# ReLU and GELU decide from a number itself whether it may pass. A *gated* network asks a second matrix. One
# projection says *what*, the other says *how much*, and the two are multiplied element by element [@dauphin2017]. With SiLU,
# $x \cdot \text{sigmoid}(x)$, on the gate this is SwiGLU [@shazeer2020], which Llama and most models since have:
#
# $$\text{SwiGLU}(x) = W_\text{down}\big(\,\text{SiLU}(W_\text{gate}\, x) \odot W_\text{up}\, x\,\big)$$
#
# In shapes: two `(..., C)` → `(..., hidden)`, one product, `(..., hidden)` → `(..., C)`. No biases.
#
# Two projections multiplied make products of inputs, such as the sign question of the beginning, in a single unit.

# %% nbgrader={"grade_id": "swiglu", "solution": true}
class SwiGLU(nn.Module):
    """A gated feed-forward network, as in Llama.

    width: C. hidden: the width in between. Its parameters are W_gate and W_up, nn.Linear(C, hidden), and W_down,
    nn.Linear(hidden, C), all without a bias.

    >>> SwiGLU(3, 8)(torch.zeros(2, 5, 3)).abs().max()   # a closed gate, and nothing behind it
    tensor(0., grad_fn=<MaxBackward1>)
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        self.W_gate = nn.Linear(width, hidden, bias=False)
        self.W_up = nn.Linear(width, hidden, bias=False)
        self.W_down = nn.Linear(hidden, width, bias=False)
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: (..., C). Returns (..., C)."""
        ### BEGIN SOLUTION
        gate = self.W_gate(x)  # (..., hidden)
        return self.W_down(gate * torch.sigmoid(gate) * self.W_up(x))  # (..., hidden) -> (..., C)
        ### END SOLUTION


# %% nbgrader={"grade_id": "check_swiglu", "grade": true}
check("ch02/lab03/swiglu", SwiGLU)

# %% [markdown]
# ## Step 4. A fair comparison
#
# A gated network has three matrices where a plain one has two. With `hidden = 4C` it would have half as many
# weights again, and "it is better" would say nothing. So it gets a smaller `hidden`: the one at which three matrices hold what two
# matrices of $4C$ hold.
#
# Find it. Then two details from practice. A width is a whole number: drop the fraction. And hardware multiplies matrices in
# tiles, so the result goes *up* to the next multiple of, say, 256. Llama computes it in just this order
# [@touvron2023].

# %% nbgrader={"grade_id": "matched_hidden", "solution": true}
def matched_hidden(width: int, multiple: int = 1) -> int:
    """The hidden width at which three matrices have the parameters of two with 4 * width.

    The fraction is dropped first; then the next multiple of `multiple` is taken, unless it is one already.

    >>> matched_hidden(6)       # 2 matrices of 6 x 24 hold 288 numbers; 3 matrices of 6 x 16 as well
    16
    >>> matched_hidden(6, 10)   # 16, up to the next multiple of 10
    20
    """
    ### BEGIN SOLUTION
    hidden = 8 * width // 3  # 3 * C * hidden = 2 * C * 4C
    return (hidden + multiple - 1) // multiple * multiple
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_matched_hidden", "grade": true}
check("ch02/lab03/matched_hidden", matched_hidden)

# %% [markdown]
# **Look at it.** Now the comparison. A small language model of one feed-forward network: it sees the last six bytes of
# Shakespeare, each as a vector of 12 numbers, and predicts the next byte. Everything is equal, the number of
# weights too; only the network differs. Three seeds each, since one run says little.

# %% tags=["given"]
torch.set_num_threads(1)  # matrices this small: a second thread waits more than it works
matched = earlier("ch02/lab03/matched_hidden", matched_hidden, course.matched_hidden)
Gated = earlier("ch02/lab03/swiglu", SwiGLU, course.SwiGLU)
SEEN, EACH, BYTES = 6, 12, 256
C = SEEN * EACH
text = {part: torch.tensor(list(shakespeare(part)[:300_000].encode())) for part in ("train", "validation")}


class NextByte(nn.Module):
    """(B, SEEN) bytes -> (B, 256) scores for the next one: embed, one feed-forward network beside a residual, read out."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.embed = nn.Embedding(BYTES, EACH)
        self.network = network
        self.norm = nn.LayerNorm(C)
        self.read_out = nn.Linear(C, BYTES)

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        x = self.embed(seen).flatten(-2)  # (B, SEEN) -> (B, SEEN, EACH) -> (B, C)
        return self.read_out(self.norm(x + self.network(x)))


def windows(part: str, starts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """SEEN bytes from each start, and the byte after them."""
    places = starts[:, None] + torch.arange(SEEN + 1)
    both = text[part][places]
    return both[:, :-1], both[:, -1]


def trained(network: nn.Module, seed: int, steps: int = 700) -> tuple[NextByte, float]:
    """The model after training, and its loss on held-out text in nats a byte."""
    torch.manual_seed(seed)
    model = NextByte(network())
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for _ in range(steps):
        seen, following = windows("train", torch.randint(len(text["train"]) - SEEN - 1, (256,)))
        loss = F.cross_entropy(model(seen), following)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    held_out = torch.arange(0, len(text["validation"]) - SEEN - 1, 17)
    with torch.no_grad():
        seen, following = windows("validation", held_out)
        return model, float(F.cross_entropy(model(seen), following))


# %% tags=["look"]
class Straight(nn.Module):
    """The same two matrices and no bend."""

    def __init__(self) -> None:
        super().__init__()
        self.both = nn.Sequential(nn.Linear(C, 4 * C), nn.Linear(4 * C, C))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.both(x)


networks = {
    "no bend": Straight,
    "ReLU": lambda: course.FeedForward(C, 4 * C, "relu"),
    "GELU": lambda: course.FeedForward(C, 4 * C, "gelu"),
    "SwiGLU": lambda: Gated(C, matched(C)),
}
losses, models = {}, {}
for name, network in networks.items():
    runs = [trained(network, seed) for seed in range(3)]
    losses[name], models[name] = [loss for _, loss in runs], runs[0][0]
    print(f"{name:8} {parameters(network()):>7,} weights   loss {np.mean(losses[name]):.3f} ± {np.std(losses[name]):.3f}")

fig, ax = plt.subplots(figsize=(6, 2.6))
for row, (name, found) in enumerate(losses.items()):
    ax.plot(found, [row] * 3, "o", markersize=7, alpha=0.7)
ax.set_yticks(range(len(losses)), list(losses))
ax.set(xlabel="loss on held-out text (nats a byte), three seeds", ylim=(len(losses) - 0.5, -0.5))
plt.show()

# %% [markdown]
# **Which gap is larger: bend against no bend, or one bend against another? Is the second one larger than the spread of
# the seeds?** Papers that compare activations compare differences of that size, with far more steps and data.
# Shazeer [-@shazeer2020] ends with no explanation of why gates help.

# %% [markdown]
# ## Step 5. What each unit writes
#
# Write the plain network as a sum over hidden units $i$. Row $i$ of $W_\text{in}$ is a *key* $k_i$, column $i$ of
# $W_\text{out}$ is a *value* $v_i$:
#
# $$\text{FFN}(x) = b_\text{out} + \sum_i \sigma(x \cdot k_i + b_i)\; v_i$$
#
# You know this form. It is a lookup: keys, values, and a strength for each [@geva2021]. Unlike attention's, these keys and values
# are weights, the same for every text, and the strengths do not compete: there is no softmax over units.
#
# Take the network apart: for each unit, the vector that it adds to the output. Mind that `nn.Linear` stores
# (outputs, inputs): `W_in.weight` is `(hidden, C)`, `W_out.weight` is `(C, hidden)`.

# %% nbgrader={"grade_id": "unit_writes", "solution": true}
def unit_writes(x: torch.Tensor, W_in: nn.Linear, W_out: nn.Linear, activation: Callable) -> torch.Tensor:
    """What each hidden unit adds to a feed-forward network's output. W_out's bias belongs to no unit and is left out.

    x: (..., C). W_in: from C to hidden. W_out: from hidden to M, often M = C. Returns (..., hidden, M).

    >>> W_in, W_out = nn.Linear(1, 2), nn.Linear(2, 1)
    >>> W_in.weight.data, W_in.bias.data = torch.tensor([[1.0], [-1.0]]), torch.zeros(2)
    >>> W_out.weight.data = torch.tensor([[10.0, 20.0]])
    >>> unit_writes(torch.tensor([3.0]), W_in, W_out, torch.relu).flatten()   # unit 0 fits, unit 1 does not
    tensor([30., 0.], grad_fn=<...>)
    """
    ### BEGIN SOLUTION
    strengths = activation(W_in(x))  # (..., C) -> (..., hidden)
    return strengths[..., None] * W_out.weight.T  # (..., hidden, 1) * (hidden, M) -> (..., hidden, M)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_unit_writes", "grade": true}
check("ch02/lab03/unit_writes", unit_writes)

# %% [markdown]
# **Look at it.** Open the ReLU network that you trained. For a few hidden units: the text on which each one fires most, and
# the bytes that its value raises most when the model reads it out.

# %% tags=["look"]
def shown(codes):
    return "".join(chr(c) for c in codes).replace("\n", "⏎").replace(" ", "·")


take_apart = earlier(
    "ch02/lab03/unit_writes",
    unit_writes,
    lambda x, W_in, W_out, f: course.written_by_units(models["ReLU"].network, x),
)
model = models["ReLU"]
with torch.no_grad():
    seen, _ = windows("validation", torch.arange(0, 60_000, 3))
    x = model.embed(seen).flatten(-2)
    strengths = torch.relu(model.network.W_in(x))  # (B, hidden)
    order = strengths.amax(0).argsort(descending=True)
    print(f"of {strengths.shape[1]} units, {100 * float((strengths > 0).float().mean()):.0f}% fire on an average input\n")
    print("unit   fires most on                        and raises")
    for unit in order[:60:10].tolist():
        top = strengths[:, unit].argsort(descending=True)[:60:20]
        value = take_apart(x[top[:1]], model.network.W_in, model.network.W_out, torch.relu)[0, unit]  # (C,)
        raised = (model.read_out.weight @ (model.norm.weight * value)).argsort(descending=True)[:6]
        print(f"{unit:4}   {'  '.join(shown(seen[i].tolist()) for i in top):36} {' '.join(shown([c]) for c in raised.tolist())}")

# %% [markdown]
# **What do the texts in one row have in common?** In small models the pattern is often the last letter or two; in large ones the upper layers'
# keys answer to topics [@geva2021]. Lab 2.6 looks for such keys in a trained transformer.

# %% [markdown]
# ## Step 6. Write the property
#
# A feed-forward network is *position-wise*: each output depends on its own position's input alone, and every position
# is treated alike. Code that breaks this often looks harmless: a norm over the wrong dimension, a `view` that mixes
# positions, a statistic of the batch. And in a language model a leak from the next position makes the loss *better*.
#
# Write the test. Given a function from `(B, T, C)` to `(B, T, C)`, return `True` if it is position-wise, else `False`. You cannot look
# inside: change inputs, and watch outputs. A leak may be small, may come from one position only, and may come from
# another sequence of the batch.

# %% nbgrader={"grade_id": "position_wise", "solution": true}
def position_wise(f: Callable[[torch.Tensor], torch.Tensor], width: int) -> bool:
    """Whether f treats every position of every sequence by itself, and all of them alike.

    f: from (B, T, width) to (B, T, width), deterministic, for any B and T from 1 up. Its outputs are about as
    large as its inputs: for inputs of about 1, a difference below 1e-5 is rounding, and one above 1e-3 is a leak.

    >>> position_wise(torch.relu, 4), position_wise(lambda x: x - x.mean(dim=1, keepdim=True), 4)
    (True, False)
    """
    ### BEGIN SOLUTION
    generator = torch.Generator().manual_seed(3)
    B, T = 3, 7
    x = torch.randn(B, T, width, generator=generator)
    together = f(x)
    for b in range(B):
        for t in range(T):
            alone = f(x[b : b + 1, t : t + 1])  # (1, 1, C): nobody there to depend on
            if (alone[0, 0] - together[b, t]).abs().max() > 1e-4:
                return False
    return True
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_position_wise", "grade": true}
check("ch02/lab03/position_wise", position_wise)

# %% [markdown]
# ## What you built
#
# - GELU in both forms, and the habit of asking which one a model was trained with.
# - The plain and the gated network, compared at equal numbers of weights and over several seeds.
# - A network taken apart into keys and values. Lab 2.4 puts it into a block; lab 2.6 puts SwiGLU into Llama's.
#
# ## Going further
#
# - The papers: [@vaswani2017], section 3.3; [@shazeer2020], three pages; [@geva2021], sections 2 and 3.
# - Production code: `transformers/models/llama/modeling_llama.py`, class `LlamaMLP`; and `transformers/activations.py`, which
#   holds five GELUs. Which of them is GPT-2's?
# - An extension: give the plain network `hidden` = C, 2C, 4C, 8C and 16C in step 4, and plot the loss against the number of weights. Where does
#   doubling stop paying?
