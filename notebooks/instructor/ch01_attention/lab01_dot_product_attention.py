# ---
# jupyter:
#   course:
#     builds: '`attention(Q, K, V)`: the one formula that the rest of this book makes
#       faster, smaller or longer.'
#     goals:
#     - Compute softmax so that no score overflows it
#     - Say what the scores are divided by, and measure what happens without it
#     - Write masked attention that is right in every corner, a fully masked row included
#     - Write a test that tells a right attention from a plausible wrong one
#     hardware: cpu
#     level: intermediate
#     minutes: 60
#     needs:
#     - '[Scaled dot-product attention](../../../book/ch01_attention/scaled_dot_product.md)'
#     - Matrix products and broadcasting in PyTorch
#     title: Dot-Product Attention
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

from autograder import check, earlier
from source.attention import inspection
from source.attention.dot_product import attention as course_attention
from source.attention.dot_product import scaled_scores as course_scores
from source.plots import PALETTE, heatmap
from source.sliders import move

# %% [markdown]
# ## A question first
#
# You have eight short notes in a drawer, each under a label. You ask for one thing. A dictionary gives you the
# note whose label is *equal* to your question, or nothing at all. But your question is a vector, the labels are
# vectors, and no two vectors are ever quite equal.
#
# Look at how similar one query is to eight keys. What would you hand back?

# %% tags=["look"]
torch.manual_seed(0)
keys = torch.randn(8, 16)
query = keys[2] + 0.6 * torch.randn(16)  # close to the third key, equal to none

fig, ax = plt.subplots(figsize=(6, 2.6))
ax.bar(range(8), (keys @ query).numpy())
ax.set(xlabel="key", ylabel="dot product with the query", xticks=range(8))
ax.axhline(0, color="gray", linewidth=0.8)
plt.show()

# %% [markdown]
# Key 2 stands out, and the others are not worthless. Attention hands back a *blend* of all values, each
# weighted by how well its key answers the query. It needs three steps: scores, weights, blend. You build each.
#
# Letters: `B` batch, `H` heads, `T` queries, `S` keys, `D` head width. Written `(..., T, S)`, a shape may have any
# number of dimensions in front.

# %% [markdown]
# ## Step 1. Softmax
#
# Scores can be any real numbers. Weights must be positive and sum to one. Softmax does that, row by row:
#
# $$w_s = \frac{e^{x_s}}{\sum_{r=1}^{S} e^{x_r}}$$
#
# In shapes: `x (..., S)` → `weights (..., S)`, each last row summing to one.
#
# Why not just write it down? Because $e^{89}$ is already more than float32 can hold, and real scores get there.
# Softmax has a way out: adding one constant to a whole row changes nothing, since it cancels in the fraction.

# %% nbgrader={"grade_id": "softmax", "solution": true}
def softmax(x: torch.Tensor) -> torch.Tensor:
    """Softmax over the last dimension.

    x: (..., S), any real numbers. Returns (..., S): positive, each row sums to one.

    >>> softmax(torch.tensor([0.0, math.log(2), math.log(3)]))   # e^x is 1, 2, 3; the sum is 6
    tensor([0.1667, 0.3333, 0.5000])
    """
    ### BEGIN SOLUTION
    e = torch.exp(x - x.amax(dim=-1, keepdim=True))  # the largest exponent is 0: nothing overflows
    return e / e.sum(dim=-1, keepdim=True)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_softmax", "grade": true}
check("ch01/lab01/softmax", softmax)

# %% [markdown]
# **Look at it.** Softmax is a *soft* maximum. Three keys have a score each, and all scores are divided by one number,
# the *temperature*, before softmax. Left: their weights. Right: the same weights at every temperature. Each key hands
# over one number; the title says what their blend is.

# %% tags=["look"]
soft = earlier("ch01/lab01/softmax", softmax, lambda x: torch.softmax(x, dim=-1))
VALUES = torch.tensor([-1.0, 0.5, 1.0]).double()  # what the three keys hand over
temperatures = torch.logspace(-1.3, 0.6, 80).double()


def blended(scores, temperature):
    """The weights of the keys (..., 3), and the blend of their values (...)."""
    weights = soft(torch.tensor(scores).double() / temperature)
    return weights, weights @ VALUES


def draw(temperature=1.0, score_of_cat=2.0, score_of_sat=1.0, score_of_mat=-1.0):
    scores = [score_of_cat, score_of_sat, score_of_mat]
    weights, blend = blended(scores, temperature)
    fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
    bars = left.bar(["cat", "sat", "mat"], weights.tolist(), color=PALETTE[:3])
    left.bar_label(bars, [f"{weight:.3f}" for weight in weights])
    left.set(ylabel="weight", ylim=(0, 1.1), title=f"blend of the values: {blend:.2f}")
    for line, name, style in zip(blended(scores, temperatures[:, None])[0].T, ("cat", "sat", "mat"), ("-", "--", ":")):
        right.plot(temperatures, line, style, label=name)
    right.axvline(temperature, color="gray", linewidth=0.8)
    right.set(xscale="log", xlabel="temperature", ylim=(-0.02, 1.1), xticks=[0.1, 1], xticklabels=["0.1", "1"])
    right.legend(loc="upper right")
    return fig


score = (-4.0, 4.0, 0.1)
move(draw, temperature=(0.05, 4.0, 0.05), score_of_cat=score, score_of_sat=score, score_of_mat=score,
     card="softmax_blend", alt="bars for the weights of three keys; beside them the weights against the temperature, three lines")

# %% [markdown]
# Divided by a large number, scores give an even blend. Divided by a small one, they pick one key and forget the rest.
# **At which temperatures would the weights still change noticeably if you nudged one score by 0.1?** Keep the answer:
# it is why the next step divides.

# %% [markdown]
# ## Step 2. Scaled scores
#
# How well does a key answer a query? Their dot product says: large when they point the same way, zero when they
# have nothing to do with each other.
#
# $$x_{ts} = \frac{q_t \cdot k_s}{\sqrt{D}}$$
#
# In shapes: `Q (..., T, D)` times `K (..., S, D)` with its last two dimensions swapped gives `(..., T, S)`.
#
# Why the square root? A dot product adds `D` terms. If the entries of `q` and `k` are independent with variance 1,
# each term has variance 1 and the sum has variance `D`. Dividing by $\sqrt D$ brings it back to 1, whatever the
# width, and keeps softmax where it still listens. The argument is in section 3.2.1 of [@vaswani2017].

# %% nbgrader={"grade_id": "scores", "solution": true}
def scores(Q: torch.Tensor, K: torch.Tensor) -> torch.Tensor:
    """Scaled dot products of every query with every key.

    Q: (..., T, D). K: (..., S, D). Returns (..., T, S).

    >>> scores(torch.tensor([[1.0, 0, 1, 0]]), 2 * torch.eye(4)[:2])   # dot products 2 and 0, √4 = 2
    tensor([[1., 0.]])
    """
    ### BEGIN SOLUTION
    D = Q.shape[-1]
    return Q @ K.transpose(-2, -1) / math.sqrt(D)  # (..., T, D) @ (..., D, S) -> (..., T, S)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_scores", "grade": true}
check("ch01/lab01/scores", scores)

# %% [markdown]
# ## Step 3. How spread out is a row?
#
# You want to *measure* what the square root does, so you need a number for "spread out". Entropy is that number:
#
# $$h = -\sum_s w_s \log w_s$$
#
# It is 0 when one key takes everything and $\log S$ when all keys weigh the same. So $e^h$ reads as "about this
# many keys are being looked at". A weight of zero adds nothing: $0 \cdot \log 0$ counts as 0, its limit.

# %% nbgrader={"grade_id": "entropy", "solution": true}
def entropy(weights: torch.Tensor) -> torch.Tensor:
    """Entropy of each row, in nats (natural logarithm).

    weights: (..., T, S), each row sums to one, some entries may be exactly zero. Returns (..., T).

    >>> entropy(torch.full((1, 4), 0.25))   # log 4
    tensor([1.3863])
    """
    ### BEGIN SOLUTION
    logs = torch.where(weights > 0, weights, 1.0).log()  # log 1 = 0 stands in for log 0
    return -(weights * logs).sum(dim=-1)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_entropy", "grade": true}
check("ch01/lab01/entropy", entropy)

# %% [markdown]
# **Look at it.** From here on `scaled_scores` is your `scores` if its check passed, and the course's own otherwise, so
# that you can go on either way.
#
# Random queries and keys of growing width, 64 keys each: how many keys does a query look at, with the division and
# without?

# %% tags=["given"]
scaled_scores = earlier("ch01/lab01/scores", scores, course_scores)

# %% tags=["look"]
spread = earlier("ch01/lab01/entropy", entropy, inspection.entropy)
widths = [2, 4, 8, 16, 32, 64, 128, 256, 512]
looked_at = {"divided by √D": [], "not divided": []}
torch.manual_seed(1)
for D in widths:
    Q, K = torch.randn(256, D), torch.randn(64, D)
    x = scaled_scores(Q, K)
    for name, factor in (("divided by √D", 1.0), ("not divided", math.sqrt(D))):
        looked_at[name].append(spread(torch.softmax(factor * x, dim=-1)).mean().exp().item())

fig, ax = plt.subplots(figsize=(6, 3.2))
for (name, counts), marker in zip(looked_at.items(), "os"):
    ax.plot(widths, counts, marker=marker, label=name)
ax.set(xscale="log", xlabel="head width D", ylabel="keys looked at (of 64)", ylim=(0, 64))
ax.set_xticks(widths, widths)
ax.legend()
plt.show()

# %% [markdown]
# **From which width on does a query without the division look at fewer than two keys?** At that point nearly all
# weights are 0 or 1, and the gradient through softmax is close to zero: the layer stops learning where to look.

# %% [markdown]
# ## Step 4. Attention
#
# Now all of it, with a mask:
#
# $$\text{attention}(Q, K, V) = \text{softmax}\!\left(\frac{QK^\top}{\sqrt D}\right) V$$
#
# A *mask* says which keys a query may see: `True` may be seen, `False` may not. A masked key must weigh exactly
# zero, and the others must still sum to one. The trick is to mask the *scores*, before softmax, with minus infinity.
# Build on `scaled_scores` and on any softmax.
#
# One corner needs a decision: a row in which *every* key is masked (a padded query) has nothing to blend. Softmax
# gives 0/0, which is NaN, and one NaN ruins a whole batch's gradients. In this course such a row is all zeros.

# %% nbgrader={"grade_id": "attention", "solution": true}
def attention(
    Q: torch.Tensor, K: torch.Tensor, V: torch.Tensor, mask: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Scaled dot-product attention.

    Q: (..., T, D). K: (..., S, D). V: (..., S, E), often E = D. mask: bool, broadcasts to (..., T, S); True = may
    be seen. Returns the blended values (..., T, E) and the weights (..., T, S). Fully masked rows are zeros.

    >>> V = torch.tensor([[10.0], [20.0]])
    >>> attention(torch.zeros(1, 3), torch.randn(2, 3), V)[0]   # a zero query scores all keys alike
    tensor([[15.]])
    """
    ### BEGIN SOLUTION
    s = scaled_scores(Q, K)  # (..., T, S)
    if mask is not None:
        s = s.masked_fill(~mask, float("-inf"))
    weights = torch.softmax(s, dim=-1).nan_to_num(0.0)
    return weights @ V, weights  # (..., T, S) @ (..., S, E) -> (..., T, E)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_attention", "grade": true}
check("ch01/lab01/attention", attention)

# %% [markdown]
# **Look at it.** A toy sentence in which each word's key is its own vector and each query asks for a neighbour.
# Left without a mask, right with the causal mask that a language model uses: a word may see itself and what came
# before.

# %% tags=["look"]
attend = earlier("ch01/lab01/attention", attention, course_attention)
words = ["the", "cat", "sat", "on", "the", "mat"]
torch.manual_seed(3)
T, D = len(words), 24
K = torch.randn(T, D)
Q = 0.6 * K + 1.2 * K.roll(-1, dims=0)  # each word asks for the next one, and a little for itself
causal = torch.ones(T, T, dtype=torch.bool).tril()
fig, axes = plt.subplots(1, 2, figsize=(7.5, 3.4), sharey=True)
for ax, mask, title in zip(axes, (None, causal), ("no mask", "causal mask")):
    heatmap(ax, attend(Q, K, K, mask)[1].numpy(), words, words)
    ax.set_title(title)
axes[1].set_ylabel("")
plt.tight_layout()
plt.show()

# %% [markdown]
# **Without a mask each word looks at the next one. Where does that weight go under the causal mask, and why can
# the first row only look one way?** A language model is trained to predict the next word; if it could look at it,
# it would learn nothing.

# %% [markdown]
# ## Step 5. Write the test
#
# Wrong attention often trains. The loss goes down, the samples look odd, and weeks later someone finds a mask that
# was off by one. What catches it is a test. Write one: given a candidate with your `attention`'s signature, return
# `True` if it is right and `False` if it is not. Its check runs your test on right and wrong candidates. A good
# test catches faults that you have not seen, so think of what can go wrong, not of what is listed here.

# %% nbgrader={"grade_id": "attention_test", "solution": true}
def attention_test(candidate) -> bool:
    """Whether a candidate with the signature of `attention` computes attention.

    candidate: a function (Q, K, V, mask=None) -> (out (..., T, E), weights (..., T, S)).

    >>> attention_test(lambda Q, K, V, mask=None: (Q, Q))   # not attention at all
    False
    """
    ### BEGIN SOLUTION
    generator = torch.Generator().manual_seed(7)
    T, S, D = 4, 6, 8
    Q, K, V = (torch.randn(2, n, D, generator=generator) for n in (T, S, S))
    for mask in (None, torch.ones(T, S, dtype=torch.bool).tril()):
        out, weights = candidate(Q, K, V, mask)
        if out.shape != (2, T, D) or weights.shape != (2, T, S):
            return False
        for b in range(2):
            for t in range(T):  # one query at a time, with plain loops: slow, and hard to get wrong
                seen = [s for s in range(S) if mask is None or mask[t, s]]
                e = [math.exp(float(Q[b, t] @ K[b, s]) / math.sqrt(D)) for s in seen]
                right = torch.zeros(S)
                right[seen] = torch.tensor(e) / sum(e)
                if not torch.allclose(weights[b, t], right, atol=1e-5):
                    return False
                if not torch.allclose(out[b, t], right @ V[b], atol=1e-5):
                    return False
    return True
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_attention_test", "grade": true}
check("ch01/lab01/attention_test", attention_test)

# %% [markdown]
# ## What you built
#
# - A softmax that no score overflows, and the number that says how much a row is spread out.
# - Masked scaled dot-product attention, right for every shape in front, and for rows with nothing to see.
# - A test that catches wrong attention. Lab 1.3 builds many heads on it, lab 1.4 holds them against PyTorch's.
#
# ## Going further
#
# - The paper: [@vaswani2017], section 3.2.
# - Production code: `torch.nn.functional.scaled_dot_product_attention`. Its documentation contains a reference in
#   ten lines of Python: compare it with yours. What does it do with a fully masked row?
# - An extension: your attention makes a `(T, S)` matrix. Write a version that handles the queries in blocks of 64
#   and never holds more than 64 rows. How long a sequence fits into your memory now? Chapter 10 goes on from there.
