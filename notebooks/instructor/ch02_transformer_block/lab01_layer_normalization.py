# ---
# jupyter:
#   course:
#     title: Layer Normalization
#     level: intermediate
#     minutes: 75
#     hardware: cpu
#     builds: "`LayerNorm`, forward and backward by hand: the part that keeps a hundred layers in range."
#     goals:
#     - Compute a mean and a variance that rounding does not ruin
#     - Write LayerNorm and RMSNorm for every shape and dtype, and show why they work per token and not per batch
#     - Derive the backward pass of a normalisation and write it without autograd
#     - Write a test that catches faults which training hides, wrong gradients included
#     needs:
#     - "[Residuals and Normalization](../../../book/ch02_transformer_block/residuals_and_normalization.md)"
#     - The chain rule, and broadcasting in PyTorch
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
import torch
import torch.nn.functional as F
from torch import nn

from autograder import check, earlier
from source.attention.inspection import influence
from source.blocks import layer_norm as course
from source.plots import heatmap
from source.timing import seconds

# %% [markdown]
# ## A question first
#
# Take a stack of 50 layers: a random matrix, a ReLU, the next matrix. You choose one number, the size of the random
# weights. There is a right one: $\sqrt{2/C}$ keeps the size of the activations, on average. What happens if you are
# 10 percent off?

# %% tags=["look"]
depth, C = 50, 256
fig, ax = plt.subplots(figsize=(6, 3.2))
for factor, line in ((1.1, "--"), (1.0, "-"), (0.9, ":")):
    torch.manual_seed(0)
    x = torch.randn(64, C)
    sizes = [x.square().mean().sqrt().item()]
    for _ in range(depth):
        x = torch.relu(x @ (factor * math.sqrt(2 / C) * torch.randn(C, C)))
        sizes.append(x.square().mean().sqrt().item())
    ax.plot(sizes, line, label=f"{factor:g} × the right size")
    print(f"weights {factor:g} times the right size: activations of size {sizes[-1]:.2g} after {depth} layers")
ax.set(yscale="log", xlabel="layers passed", ylabel="size of the activations (root mean square)")
ax.legend()
plt.show()

# %% [markdown]
# **How far apart are the upper and the lower curve at the end?** A small error, to the power of the depth. And
# training moves every weight, so whatever you choose will not stay right. The way out is not to choose better. It is
# to *measure* the size after each layer and divide by it. Then it holds by construction, whatever the weights do.
#
# That is normalisation. Two questions are left: the size of *what*, and what does the division do to the gradients?
#
# Letters: `B` batch, `T` sequence length, `C` model width. Written `(..., C)`, a shape may have any number of
# dimensions in front, none included. A *row* is the `C` numbers of one token.

# %% [markdown]
# ## Step 1. Mean and variance
#
# A row's centre and its spread, for a row $x_1, \ldots, x_C$:
#
# $$\mu = \frac{1}{C}\sum_i x_i \qquad\qquad v = \frac{1}{C}\sum_i (x_i - \mu)^2$$
#
# In shapes: `x (..., C)` → `mean (..., 1)`, `variance (..., 1)`. The 1 stays, so that `x - mean` broadcasts.
#
# Three decisions hide in these two formulas.
#
# - **By C, not by C − 1.** Dividing by $C - 1$ corrects an estimate of a population's variance from a sample. Here
#   there is no population: the row is all there is, and its spread shall become exactly 1. Mind that `torch.var`
#   divides by $C - 1$ unless told otherwise.
# - **Centre first.** Algebra offers $v = \frac1C\sum x_i^2 - \mu^2$, in one pass over the data. Floating point does
#   not honour it: with a large mean, two large numbers are subtracted and rounding is what is left.
# - **At least float32.** bfloat16 keeps 8 bits. Above 16 its steps are an eighth wide, so a rounded mean can be off
#   by more than you can afford. Take 16-bit rows to float32 first, and return float32. float64 stays float64.
#
# torch's own `var` and `std` are forbidden here: write the mean of the squares yourself.

# %% nbgrader={"grade_id": "statistics", "solution": true}
def statistics(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and variance of every row.

    x: (..., C). Returns mean (..., 1) and variance (..., 1): float64 for a float64 x, otherwise float32.

    >>> statistics(torch.tensor([1.0, 7.0, 9.0, 15.0]))   # deviations -7 -1 1 7, squares 49 1 1 49: their mean is 25
    (tensor([8.]), tensor([25.]))
    """
    ### BEGIN SOLUTION
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    mean = wide.mean(dim=-1, keepdim=True)
    return mean, (wide - mean).square().mean(dim=-1, keepdim=True)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_statistics", "grade": true}
check("ch02/lab01/statistics", statistics)

# %% [markdown]
# **Look at it.** Rows of 512 numbers with variance 1 and a growing mean, all in float32. The error of your two
# passes, and of the formula in one pass.

# %% tags=["given"]
row_statistics = earlier("ch02/lab01/statistics", statistics, course.statistics)

# %% tags=["look"]
torch.manual_seed(0)
noise = torch.randn(200, 512, dtype=torch.float64)
means = [10**k for k in (0, 1, 2, 3, 4, 5)]
errors = {"centre first": [], "E[x²] − E[x]²": []}
for m in means:
    x = (noise + m).float()
    exact = x.double().var(dim=-1, correction=0)
    one_pass = x.square().mean(dim=-1) - x.mean(dim=-1).square()
    for name, variance in (("centre first", row_statistics(x)[1][:, 0]), ("E[x²] − E[x]²", one_pass)):
        errors[name].append((variance.double() / exact - 1).abs().median().item())
    print(f"mean {m:>6}: in one pass {(one_pass < 0).float().mean():4.0%} of the variances are negative")

fig, ax = plt.subplots(figsize=(6, 3.2))
for (name, values), marker in zip(errors.items(), "os"):
    ax.plot(means, values, marker=marker, label=name)
ax.axhline(1, color="gray", linewidth=0.8)
ax.set(xscale="log", yscale="log", xlabel="mean of the row (its standard deviation is 1)", ylabel="relative error")
ax.legend()
plt.show()

# %% [markdown]
# **From which mean on is the short formula's variance worth nothing?** The grey line is an error of 100 percent. Some
# of its variances are negative; their square root is NaN. Ten times the mean costs two digits, since the squares grow
# a hundredfold.
#
# Kernels that may read the data only once update a running mean and a running sum of squared deviations instead
# [@welford1962], or do it for blocks and join them [@chan1983]. Both are as good as two passes.

# %% [markdown]
# ## Step 2. Normalise every token
#
# Layer normalisation [@ba2016] takes the mean away, divides by the standard deviation, and then gives every channel a
# learned gain $\gamma_i$ and bias $\beta_i$:
#
# $$\hat x_i = \frac{x_i - \mu}{\sqrt{v + \epsilon}} \qquad\qquad y_i = \gamma_i\, \hat x_i + \beta_i$$
#
# In shapes: `x (..., C)`, `weight (C,)`, `bias (C,)` → `(..., C)`.
#
# $\epsilon$ stands *inside* the root. It decides what happens to a row that hardly varies. A constant row has $v = 0$,
# and $0 / \sqrt\epsilon$ is 0: its output is the bias. A row with $v$ far below $\epsilon$ stays small instead of
# being blown up to variance 1, noise and all.
#
# Why a gain and a bias, just after removing scale and shift? Because a channel at scale 1 need not be what the next
# layer wants. The gain lets training choose each channel's scale directly, as one number that no other weight moves.
#
# Compute everything in the dtype of the statistics and cast once, at the end, to the dtype of `x`.

# %% nbgrader={"grade_id": "layer_norm", "solution": true}
def layer_norm(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float = 1e-5) -> torch.Tensor:
    """Normalise every row, then scale and shift every channel.

    x: (..., C). weight, bias: (C,). Returns x's shape and dtype.

    >>> x = torch.tensor([1.0, 7.0, 9.0, 15.0])                       # mean 8, standard deviation 5
    >>> layer_norm(x, torch.ones(4), torch.tensor([0.0, 0, 0, 10]))
    tensor([-1.4000, -0.2000,  0.2000, 11.4000])
    """
    ### BEGIN SOLUTION
    mean, variance = row_statistics(x)  # (..., 1)
    normed = (x - mean) / torch.sqrt(variance + eps)  # (..., C), at least float32
    return (normed * weight + bias).to(x.dtype)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_layer_norm", "grade": true}
check("ch02/lab01/layer_norm", layer_norm)

# %% [markdown]
# **Look at it.** Why per token? Batch normalisation came first [@ioffe2015]: it takes the mean and the variance of a
# *channel* over the batch. In images that works well. Here are two sentences of four tokens each, eight rows
# altogether, and the instrument of lab 1.3: which input token moves which output token?

# %% tags=["given"]
normalise = earlier("ch02/lab01/layer_norm", layer_norm, course.layer_norm)

# %% tags=["look"]
C = 32
ones, zeros = torch.ones(C), torch.zeros(C)


def per_token(rows):
    return normalise(rows, ones, zeros, 1e-5)


def per_batch(rows):
    """Batch normalisation while training: the statistics of each channel over all rows."""
    return (rows - rows.mean(dim=0)) / torch.sqrt(rows.var(dim=0, correction=0) + 1e-5)


torch.manual_seed(0)
rows = torch.randn(8, C)
names = [f"{sentence}{t}" for sentence in "AB" for t in range(4)]
fig, axes = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
for ax, norm, title in zip(axes, (per_token, per_batch), ("per token", "per batch")):
    seen = influence(norm, rows)
    image = heatmap(ax, torch.where(seen > 0, seen.log10(), torch.nan).numpy(), names, names, low=-0.5, high=1)
    for t, s in (seen == 0).nonzero().tolist():
        ax.text(s, t, "×", ha="center", va="center", color="gray", fontsize=9)
    ax.set(title=title, xlabel="input token", ylabel="output token")
    ax.set_xticks(range(8), names, rotation=0, ha="center")
axes[1].set_ylabel("")
fig.colorbar(image, ax=axes, label="log10 influence")
plt.show()

# %% [markdown]
# **A cross is an exact zero. Per batch, which inputs reach output A0, the first token of sentence A?** Count two
# offences. Tokens of sentence B: your answer depends on who else is in the batch. Tokens A1 to A3: the future, in a
# model that is trained to predict it.
#
# Now what a user would see. Sentence A is the same every time. Only its company changes.

# %% tags=["look"]
torch.manual_seed(1)
A, short, long = torch.randn(6, C), torch.randn(6, C), 2 + 1.5 * torch.randn(24, C)
padding = torch.zeros(18, C)
batches = {
    "alone": [A],
    "with another sentence": [A, short],
    "with a longer one, A padded to its length": [A, padding, long],
    "only its first token, as in generation": [A[:1]],
}
print(f"{'sentence A':42s}  first token moves by (root mean square)")
print(f"{'':42s}  {'per token':>10s}  {'per batch':>10s}")
for name, parts in batches.items():
    moved = [(norm(torch.cat(parts))[0] - norm(A)[0]).square().mean().sqrt().item() for norm in (per_token, per_batch)]
    print(f"{name:42s}  {moved[0]:10.2g}  {moved[1]:10.2g}")
print("largest entry of a single row, normalised per batch:", per_batch(A[:1]).abs().max().item())

# %% [markdown]
# **What is left of a single token, normalised over a batch of one row, and why?** In use, batch norm therefore takes
# running averages from training, and so computes another function than the one that was trained. In text it is
# worse than in images: batch statistics fluctuate widely throughout training [@shen2020]. A token's own mean and
# variance are the same in training and in use, alone and in company.

# %% [markdown]
# ## Step 3. A layer that learns its gain
#
# Make a module of it, with `nn.LayerNorm`'s names: `weight` for the gain, `bias` for the bias. Both have shape
# `(C,)`, one number a channel, shared by all tokens. A new layer should be the plain normalisation, so that training
# begins at scale 1.
#
# `normalise(x, weight, bias, eps)` is your `layer_norm` if its check passed, and the course's own otherwise.

# %% nbgrader={"grade_id": "layer_norm_module", "solution": true}
class LayerNorm(nn.Module):
    """Layer normalisation with parameters weight (C,) and bias (C,).

    width: C. eps: goes inside the root.

    >>> layer = LayerNorm(4)
    >>> layer.weight
    Parameter containing:
    tensor([1., 1., 1., 1.], requires_grad=True)
    """

    def __init__(self, width: int, eps: float = 1e-5) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: (..., C). Returns the same shape and dtype."""
        ### BEGIN SOLUTION
        return normalise(x, self.weight, self.bias, self.eps)
        ### END SOLUTION


# %% nbgrader={"grade_id": "check_layer_norm_module", "grade": true}
check("ch02/lab01/layer_norm_module", LayerNorm)

# %% [markdown]
# **Look at it.** In a transformer, layers do not replace the vector that passes through, they *add* to it: $x$
# becomes $x + f(x)$. That sum is the residual stream. How large does it get in 64 layers? Each $f$ here is a random
# two-layer network that keeps the size of what it reads. The norm stands nowhere, or before each $f$ (pre-norm), or
# after each sum (post-norm).

# %% tags=["look"]
Norm = earlier("ch02/lab01/layer_norm_module", LayerNorm, course.LayerNorm)
C, depth = 128, 64
fig, ax = plt.subplots(figsize=(6, 3.4))
for place, line in (("no norm", "--"), ("pre-norm: x + f(norm(x))", "-"), ("post-norm: norm(x + f(x))", ":")):
    torch.manual_seed(0)
    x, norm, sizes = torch.randn(64, C), Norm(C), []
    with torch.no_grad():
        for _ in range(depth + 1):
            sizes.append(x.square().mean().sqrt().item())
            W, U = torch.randn(C, 2 * C) * math.sqrt(2 / C), torch.randn(2 * C, C) * math.sqrt(1 / (2 * C))
            read = norm(x) if place.startswith("pre") else x
            x = x + torch.relu(read @ W) @ U
            x = norm(x) if place.startswith("post") else x
    ax.plot(sizes, line, label=place)
    print(f"{place}: size {sizes[-1]:.3g} after {depth} layers")
ax.set(yscale="log", xlabel="layers passed", ylabel="size of the stream (root mean square)")
ax.legend()
plt.show()

# %% [markdown]
# **By which factor does the upper curve grow a layer? And which simple function of the number of layers is the middle
# one?** Without a norm each branch is as large as what it reads, so the variance doubles with every layer. With
# pre-norm each branch adds the same amount, so the variance grows by one. That is the difference between $2^{L/2}$
# and $\sqrt{1 + L}$.

# %% [markdown]
# ## Step 4. The backward pass
#
# You know $\partial\mathcal L/\partial y$, the gradient that arrives from above. You want the gradients of `x`, of the
# gain and of the bias. Autograd has done it for you so far. Kernels do not have autograd, and the result is worth
# knowing: it says what a normalisation does to learning.
#
# **Gain and bias.** Every row used the same ones, so the rows' gradients add up:
#
# $$\frac{\partial \mathcal L}{\partial \beta_i} = \sum_\text{rows} \frac{\partial\mathcal L}{\partial y_i}
# \qquad\qquad
# \frac{\partial \mathcal L}{\partial \gamma_i} = \sum_\text{rows} \frac{\partial\mathcal L}{\partial y_i}\, \hat x_i$$
#
# **The row.** Write $\sigma = \sqrt{v + \epsilon}$ and $g_i = \gamma_i\, \partial\mathcal L/\partial y_i$, the gradient
# that reaches $\hat x_i$. An input $x_i$ acts in three ways: on its own $\hat x_i$, and, through $\mu$ and through
# $\sigma$, on *every* $\hat x_j$ of the row. Their derivatives are
#
# $$\frac{\partial \mu}{\partial x_i} = \frac1C \qquad\qquad
# \frac{\partial \sigma}{\partial x_i} = \frac{1}{2\sigma}\cdot\frac{2 (x_i - \mu)}{C} = \frac{\hat x_i}{C}$$
#
# (the mean inside $v$ adds nothing: $\sum_j (x_j - \mu) = 0$). Since $\hat x_j = (x_j - \mu)/\sigma$,
#
# $$\frac{\partial \hat x_j}{\partial x_i} = \frac1\sigma\Bigl(\delta_{ij} - \frac1C - \frac{\hat x_i \hat x_j}{C}\Bigr)$$
#
# Sum over $j$ with the weights $g_j$, and the gradient has three terms:
#
# $$\frac{\partial\mathcal L}{\partial x_i} = \frac1\sigma\Bigl(
# \underbrace{g_i}_\text{direct}
# - \underbrace{\tfrac1C\textstyle\sum_j g_j}_\text{through the mean}
# - \underbrace{\hat x_i\, \tfrac1C\textstyle\sum_j g_j \hat x_j}_\text{through the spread}\Bigr)$$
#
# Read it as geometry. Adding a constant to the row does not change the output, so the gradient has no part along
# $(1, \ldots, 1)$: the second term takes it out. Stretching the row does not change the output either (but for
# $\epsilon$), so it has no part along $\hat x$: the third term takes that out. What is left is divided by $\sigma$.
#
# In shapes: `grad (..., C)`, `x (..., C)` → `dx (..., C)`; `dweight (C,)` and `dbias (C,)` are sums over all dimensions
# in front. Compute in the dtype of the statistics; return `dx` in `x`'s dtype, the others in `weight`'s.

# %% nbgrader={"grade_id": "layer_norm_backward", "solution": true}
def layer_norm_backward(
    grad: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, eps: float = 1e-5
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The gradients of layer_norm, without autograd.

    grad: (..., C), the gradient of the output. x: (..., C). weight: (C,).
    Returns dx (..., C), dweight (C,), dbias (C,).

    >>> grad, x = torch.tensor([5.0, 0, 0, 0]), torch.tensor([1.0, 7.0, 9.0, 15.0])   # normed: -1.4 -0.2 0.2 1.4
    >>> layer_norm_backward(grad, x, torch.ones(4))[0]    # (grad - 1.25 + 1.75 * normed) / 5
    tensor([ 0.2600, -0.3200, -0.1800,  0.2400])
    """
    ### BEGIN SOLUTION
    mean, variance = row_statistics(x)
    std = torch.sqrt(variance + eps)  # (..., 1)
    normed = (x - mean) / std  # (..., C)
    grad = grad.to(normed.dtype)
    g = grad * weight  # the gradient of normed
    through_mean = g.mean(dim=-1, keepdim=True)  # (..., 1)
    through_std = normed * (g * normed).mean(dim=-1, keepdim=True)  # (..., C)
    dx = (g - through_mean - through_std) / std
    C = x.shape[-1]
    dweight = (grad * normed).reshape(-1, C).sum(dim=0)  # (..., C) -> (rows, C) -> (C,)
    dbias = grad.reshape(-1, C).sum(dim=0)
    return dx.to(x.dtype), dweight.to(weight.dtype), dbias.to(weight.dtype)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_layer_norm_backward", "grade": true}
check("ch02/lab01/layer_norm_backward", layer_norm_backward)

# %% [markdown]
# **Look at it.** Left: what the backward pass takes out of a gradient, in three parts, along $(1, \ldots, 1)$, along
# $\hat x$, and the rest. Right: the same row multiplied by a growing number $k$. The output does not change. What does
# the gradient do?

# %% tags=["look"]
backward = earlier("ch02/lab01/layer_norm_backward", layer_norm_backward, course.layer_norm_backward)
torch.manual_seed(3)
C = 64
x, ones = torch.randn(C, dtype=torch.float64), torch.ones(C, dtype=torch.float64)
x = (x - x.mean()) / x.std(correction=0)
grad = torch.randn(C, dtype=torch.float64) + 0.8 + 0.6 * x
directions = {"(1, …, 1)": ones / math.sqrt(C), "x̂": x / math.sqrt(C)}


def parts(g):
    """Sizes of a gradient's parts along both directions, and of what is left."""
    along = [g @ direction for direction in directions.values()]
    left = g - sum(a * direction for a, direction in zip(along, directions.values()))
    return [*(abs(a.item()) for a in along), left.norm().item()]


scales = torch.logspace(-4, 2, 25, dtype=torch.float64)
sizes = [backward(grad, k * x, ones, 1e-5)[0].norm().item() for k in scales]
fig, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3.3))
for i, (name, g, hatch) in enumerate((("arriving", grad, ""), ("passed on", backward(grad, x, ones, 1e-5)[0], "//"))):
    left.bar([n + 0.38 * i for n in range(3)], parts(g), 0.36, label=name, hatch=hatch)
left.set_xticks([n + 0.19 for n in range(3)], [*directions, "the rest"])
left.set(ylabel="size of the part", xlabel="direction", title="what is taken out")
left.legend()
right.plot(scales, sizes, marker="o", markersize=4)
right.set(xscale="log", yscale="log", xlabel="factor k on the row", ylabel="size of dx", title="the gradient of k · x")
plt.tight_layout()
plt.show()

# %% [markdown]
# **On the right, below which k does the line leave its slope, and which number of the layer sets that place?** Take
# its square.
#
# On the straight part, a row ten times as large gets a tenth of the gradient. That is a brake: a layer whose weights
# have grown writes a larger row, gets smaller gradients, and so moves less. And below the bend, $\epsilon$ bounds by
# how much a nearly constant row can multiply a gradient: $1/\sqrt\epsilon$.
#
# How much do the second and third term matter? A study that kept the forward pass and cut the gradient through $\mu$
# and $\sigma$ found the benefit mostly gone [@xu2019]. Keep that in mind for step 6.

# %% [markdown]
# ## Step 5. RMSNorm
#
# What if you leave the mean where it is? RMSNorm [@zhang2019] divides by the root mean square and has no bias:
#
# $$y_i = \gamma_i\, \frac{x_i}{\sqrt{\frac1C \sum_j x_j^2 + \epsilon}}$$
#
# One statistic instead of two, one term less in the gradient. Llama and most models after it use it.
#
# In shapes: `x (..., C)`, `weight (C,)` → `(..., C)`.
#
# In 16 bits the *order of casts* shows. Llama computes the normalised row in float32, casts it back to `x`'s dtype,
# and only then multiplies by the gain. If you want to reproduce a model bit by bit, you round where it rounds.

# %% nbgrader={"grade_id": "rms_norm", "solution": true}
def rms_norm(x: torch.Tensor, weight: torch.Tensor, eps: float = 1e-5) -> torch.Tensor:
    """Divide every row by its root mean square, cast back, then scale every channel.

    x: (..., C). weight: (C,), x's dtype. Returns x's shape and dtype. The division happens in float32 at least, and
    in float64 for a float64 x.

    >>> rms_norm(torch.tensor([1.0, 7.0, 5.0, 5.0]), torch.ones(4))   # squares 1 49 25 25: their mean is 25
    tensor([0.2000, 1.4000, 1.0000, 1.0000])
    """
    ### BEGIN SOLUTION
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    normed = wide * torch.rsqrt(wide.square().mean(dim=-1, keepdim=True) + eps)  # (..., C)
    return weight * normed.to(x.dtype)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_rms_norm", "grade": true}
check("ch02/lab01/rms_norm", rms_norm)

# %% [markdown]
# **Look at it.** When does the mean matter? Rows with standard deviation 1 and a growing mean, normalised both ways.

# %% tags=["look"]
rms = earlier("ch02/lab01/rms_norm", rms_norm, course.rms_norm)
torch.manual_seed(4)
C = 512
ones, zeros = torch.ones(C), torch.zeros(C)
x = torch.randn(200, C)
x = (x - x.mean(dim=-1, keepdim=True)) / x.std(dim=-1, correction=0, keepdim=True)
means = torch.linspace(0, 2, 21)
apart = [(rms(x + m, ones) - normalise(x + m, ones, zeros)).square().mean().sqrt().item() for m in means]
fig, ax = plt.subplots(figsize=(6, 3))
ax.plot(means, apart, marker="o", markersize=4)
ax.axhline(0.1, color="gray", linewidth=0.8)
ax.axvline(1 / math.sqrt(C), color="gray", linewidth=0.8, linestyle="--")
ax.set(xlabel="mean of the row, in standard deviations", ylabel="RMSNorm minus LayerNorm\n(root mean square)")
ax.set(ylim=(0, None))
plt.show()

# %% [markdown]
# **Up to which mean do the two differ by less than a tenth (the grey line)?** The dashed line is where the mean of 512
# independent random numbers typically lies. In such a row the mean carries almost nothing, and leaving it in costs
# almost nothing.
#
# And what does it save? Normalising does a handful of operations a number. The cost is the reading and writing. So
# compare with a plain copy, which reads and writes each number once.

# %% tags=["look"]
torch.manual_seed(5)
x, C = torch.randn(4096, 1024), 1024
ones, zeros = torch.ones(C), torch.zeros(C)
with torch.no_grad():
    works = {
        "copy": x.clone,
        "layer_norm, step by step": lambda: normalise(x, ones, zeros, 1e-5),
        "rms_norm, step by step": lambda: rms(x, ones, 1e-5),
        "PyTorch's layer_norm, one kernel": lambda: F.layer_norm(x, (C,), ones, zeros),
    }
    times = {name: seconds(work, repeats=9) for name, work in works.items()}
for name, time in times.items():
    print(f"{name:34s} {1e3 * time:6.2f} ms = {time / times['copy']:5.1f} copies")

# %% [markdown]
# **How many copies' worth of time does your version take, and how many does one kernel?** Each line of yours reads
# the whole tensor from memory and writes it back. One kernel keeps the row at hand. Chapter 12 writes that kernel.

# %% [markdown]
# ## Step 6. Write the test
#
# A wrong normalisation trains. The next layer's weights make up for a variance that is a little off. A gradient
# without its second and third term still goes roughly downhill. Statistics over all positions can even *lower* the
# loss, because they let the future in. Only a test tells.
#
# Write one: given a candidate with the signature of `layer_norm`, return `True` if it is right and `False` if it is
# not. This is what a right one promises:
#
# - each row by itself, whatever its mean and scale, with any `eps`, gain and bias;
# - the result in `x`'s dtype (float64, float32 or bfloat16), computed in float32 at least, and in float64 for a
#   float64 `x`;
# - gradients of `x`, `weight` and `bias` that belong to its output.
#
# Its check runs your test on right and wrong candidates, also on faults that you have not seen. PyTorch's norms are
# forbidden: somebody has to write *their* test, too. For the gradients, an instrument is at hand:
# `torch.autograd.gradcheck` compares them with finite differences of the candidate's own output.

# %% nbgrader={"grade_id": "norm_test", "solution": true}
def norm_test(candidate) -> bool:
    """Whether a candidate with the signature of layer_norm is right, forward and backward.

    candidate: a function (x (..., C), weight (C,), bias (C,), eps) -> (..., C).

    >>> norm_test(lambda x, weight, bias, eps: x * weight + bias)   # normalises nothing
    False
    """
    ### BEGIN SOLUTION
    generator = torch.Generator().manual_seed(7)
    x, weight, bias = (torch.randn(*s, generator=generator, dtype=torch.float64) for s in ((2, 3, 8), (8,), (8,)))
    for dtype, tolerance in ((torch.float64, 1e-8), (torch.float32, 1e-3), (torch.bfloat16, 0.03)):
        w, b = weight.to(dtype), bias.to(dtype)
        for mean, scale, eps in ((0, 1, 1e-5), (0, 1e-3, 1e-5), (0, 1, 0.5), (20, 1, 1e-5), (1000, 1, 1e-5)):
            rows = (mean + scale * x).to(dtype)
            right = torch.empty(2, 3, 8, dtype=torch.float64)
            for i in range(2):
                for t in range(3):  # one row at a time, in float64
                    centred = rows[i, t].double() - rows[i, t].double().mean()
                    right[i, t] = centred / (centred.square().mean() + eps).sqrt() * w.double() + b.double()
            out = candidate(rows, w, b, eps)
            if out.dtype != dtype or not torch.allclose(out.double(), right, rtol=tolerance, atol=tolerance):
                return False
    leaves = [leaf.clone().requires_grad_() for leaf in (x, weight, bias)]
    return torch.autograd.gradcheck(lambda *leaves: candidate(*leaves, 1e-3), leaves, raise_exception=False)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_norm_test", "grade": true}
check("ch02/lab01/norm_test", norm_test)

# %% [markdown]
# **Look at it.** One of the faults, in training. A post-norm stack learns random targets by heart, twice: with the
# right gradient, and with the gradient through the statistics cut. Both compute the *same* output from the same
# weights.

# %% tags=["look"]
class Stack(nn.Module):
    """Twelve post-norm layers: x = norm(x + f(x))."""

    def __init__(self, C, norm):
        super().__init__()
        self.layers = nn.ModuleList(nn.Sequential(nn.Linear(C, C), nn.ReLU(), nn.Linear(C, C)) for _ in range(12))
        self.norm, self.read = norm, nn.Linear(C, 1)

    def forward(self, x):
        for layer in self.layers:
            x = self.norm(x + layer(x))
        return self.read(x)[:, 0]


def cut(x):
    """The same numbers as `whole`; autograd sees two constants."""
    mean, variance = row_statistics(x.detach())
    return (x - mean) / torch.sqrt(variance + 1e-5)


def whole(x):
    return normalise(x, torch.ones(x.shape[-1]), torch.zeros(x.shape[-1]), 1e-5)


torch.set_num_threads(1)  # tensors this small: a second thread waits more than it works
C = 32
fig, ax = plt.subplots(figsize=(6, 3.2))
for name, norm, line in (("whole gradient", whole, "-"), ("statistics cut", cut, "--")):
    torch.manual_seed(0)
    x, y = torch.randn(256, C), torch.randn(256)
    model = Stack(C, norm)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(150):
        loss = (model(x) - y).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    ax.plot(losses, line, label=name)
    print(f"{name:15s} first loss {losses[0]:.4g}, last loss {losses[-1]:.3g}")
ax.set(yscale="log", xlabel="training step", ylabel="mean squared error")
ax.legend()
plt.show()

# %% [markdown]
# **Cover the solid curve with your hand. Would you have suspected anything?** The cut version trains: that is the
# trouble with it. You know that two thirds of its formula are missing only because you see the other curve beside it.
# A test does not need the other curve.

# %% [markdown]
# ## What you built
#
# - `LayerNorm` for every shape and dtype, on statistics that rounding does not ruin, and `RMSNorm` in Llama's order.
# - Its backward pass: the direct gradient without its parts along $(1, \ldots, 1)$ and $\hat x$, divided by $\sigma$.
# - A test that sees wrong gradients. Labs 2.4 and 2.6 build their blocks on these norms.
#
# ## Going further
#
# - The papers: [@ba2016], section 5 on invariances (which of them did you measure?); [@zhang2019] for RMSNorm;
#   [@xu2019] on what the gradient through the statistics does.
# - Production code: `LlamaRMSNorm` in transformers' `modeling_llama.py`, and in PyTorch's
#   `aten/src/ATen/native/cuda/layer_norm_kernel.cu` the device function `cuWelfordOnlineSum`. Which of your steps does
#   it do in which order?
# - An extension: `torch.autograd.Function` lets you give PyTorch your own backward pass. Save only `x`, `mean` and
#   $1/\sigma$ in the forward pass, recompute $\hat x$ in the backward pass, and count the bytes that you saved.
