# ---
# jupyter:
#   course:
#     title: PyTorch Comparison
#     level: intermediate
#     minutes: 60
#     hardware: cpu
#     builds: "A comparison that holds your multi-head attention against `nn.MultiheadAttention`: outputs, weights and all gradients."
#     goals:
#     - Measure the difference of two tensors so that no fault can hide in the measure
#     - Move weights and masks from one library's conventions to another's
#     - Compare two layers forward and backward, parameter by parameter
#     - Find out what a black box does instead of believing its name
#     needs:
#     - "[Multi-head attention](../../../book/ch01_attention/multihead_attention.md)"
#     - Lab 1.3, Multi-Head Attention
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% tags=["setup"]
from autograder import setup; device = setup()

# %% tags=["setup"]
import itertools
import statistics
import time

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn

from autograder import check, earlier
from source.attention import against_torch as course
from source.attention import inspection
from source.attention.dot_product import attention
from source.plots import heatmap

# %%
# Your class from lab 1.3 belongs here: paste it over the next line, with the functions that it calls.
# Until you do, the course's own stands in for it.
from source.attention.multi_head import MultiHeadAttention

# %% [markdown]
# ## A question first
#
# Your layer has eight parameters, PyTorch's has four. Both hold the same number of numbers, so PyTorch's must hold
# three of your matrices in one. In which order? Try all six: load your weights, run both layers on the same input,
# print the largest difference of the outputs.

# %% tags=["look"]
torch.manual_seed(0)
ours, theirs = MultiHeadAttention(32, 4), nn.MultiheadAttention(32, 4, batch_first=True)
for name, layer in (("yours", ours), ("PyTorch's", theirs)):
    print(f"{name}: {sum(p.numel() for p in layer.parameters())} numbers in", end=" ")
    print(", ".join(f"{n} {tuple(p.shape)}" for n, p in layer.named_parameters()))

x = torch.randn(2, 7, 32)
differences = []
for order in itertools.permutations("qkv"):
    state = {n.replace(f"W_{was}", f"W_{now}"): p for was, now in zip("qkvo", (*order, "o"))
             for n, p in ours.state_dict().items() if n.startswith(f"W_{was}")}
    theirs.load_state_dict(course.to_torch_state(state))  # no complaint, in any of the six orders
    with torch.no_grad():
        differences.append((ours(x)[0] - theirs(x, x, x)[0]).abs().max().item())
differences = differences[3:] + differences[:3]

fig, ax = plt.subplots(figsize=(6, 2.8))
ax.bar([f"order {n}" for n in "ABCDEF"], differences)
ax.axhline(1e-5, color="gray", linestyle="--", linewidth=0.8)
ax.set(yscale="log", ylabel="largest difference of outputs", ylim=(1e-8, 10))
plt.show()

# %% [markdown]
# All six load without a word, and all shapes are right. **By what factor is the best wrong order worse than the right
# one?** No error message tells them apart, only a comparison. In this lab you build one that you can trust, and find on the way
# where the two libraries' conventions differ.
#
# Letters: `B` batch, `T` queries, `S` keys, `C` model width, `H` heads, `D = C / H` head width.

# %% [markdown]
# ## Step 1. A measure that hides nothing
#
# `(a - b).abs().max()` is what everybody writes. It has three holes:
#
# - *Shapes.* `(3, 1)` minus `(3,)` is no error: both broadcast to `(3, 3)`, and you compare things that do not
#   belong together. If all values are alike, you even get zero.
# - *NaN.* The maximum of a tensor with a NaN is NaN, and `nan > 1e-5` is `False`: a check written that way passes.
# - *Infinity.* Two masks with `-inf` in the same places are equal, but `-inf - -inf` is NaN.
#
# So: other shapes are infinitely far apart. A NaN on one side only is infinitely far from anything. Equal entries
# differ by zero, equal infinities too, and so do two NaNs in the same place. Compute in float64: unsigned integers
# wrap around below zero, and bfloat16 rounds the difference.

# %% nbgrader={"grade_id": "max_error", "solution": true}
def max_error(a: torch.Tensor, b: torch.Tensor) -> float:
    """The largest absolute difference of two tensors, of any dtypes and shapes.

    inf for different shapes or where only one is NaN. Equal infinities, and NaN on both sides, differ by 0. Two
    empty tensors of one shape differ by 0.

    >>> max_error(torch.tensor([1.0, 2.0]), torch.tensor([1.5, 1.0]))
    1.0
    >>> max_error(torch.ones(3, 1), torch.ones(3))
    inf
    """
    ### BEGIN SOLUTION
    if a.shape != b.shape:
        return float("inf")
    a, b = a.detach().double(), b.detach().double()
    same = (a == b) | (a.isnan() & b.isnan())
    error = torch.where(same, 0.0, (a - b).abs())
    error = error.masked_fill(error.isnan(), float("inf"))  # what is left of NaN: one side alone
    return float(error.max()) if error.numel() else 0.0
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_max_error", "grade": true}
check("ch01/lab04/max_error", max_error)

# %% [markdown]
# **Look at it.** Four wrong results, and what each measure makes of them. The last column is what a test that reads
# `if error > 1e-5: fail` would say with the usual measure.

# %% tags=["look"]
gap = earlier("ch01/lab04/max_error", max_error, course.max_error)
right = torch.ones(4)
wrong = {
    "shape (4, 1) for (4,)": right[:, None],
    "one number for four": torch.ones(1),
    "one NaN": torch.tensor([1.0, float("nan"), 1.0, 1.0]),
    "one entry off by 0.5": torch.tensor([1.0, 1.5, 1.0, 1.0]),
}
print(f"{'wrong result':<24}{'usual':>8}{'yours':>8}   usual test")
for name, result in wrong.items():
    usual = (result - right).abs().max().item()
    print(f"{name:<24}{usual:>8g}{gap(result, right):>8g}   {'fails' if usual > 1e-5 else 'passes'}")

# %% [markdown]
# **How many of the four wrong results does the usual test let pass?**

# %% [markdown]
# ## Step 2. Weights
#
# Now the order. `nn.MultiheadAttention` stacks the three input projections so that one matrix product makes queries,
# keys and values: `in_proj_weight (3C, C)` and `in_proj_bias (3C,)`. The rows of the queries come first, then those
# of the keys, then those of the values. `nn.Linear` and PyTorch's layer both compute `x @ weight.T + bias`, so
# nothing is transposed. The output projection is called `out_proj`.
#
# The same packing serves for gradients: a gradient has the shape of its parameter. You will use that in step 4.

# %% nbgrader={"grade_id": "to_torch_state", "solution": true}
def to_torch_state(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Your layer's tensors under nn.MultiheadAttention's names.

    state: W_q, W_k, W_v, W_o, each with .weight (C, C) and .bias (C,).
    Returns in_proj_weight (3C, C), in_proj_bias (3C,), out_proj.weight (C, C), out_proj.bias (C,).

    >>> state = {f"W_{n}.weight": torch.tensor([[float(i)]]) for i, n in enumerate("qkvo")}
    >>> state |= {f"W_{n}.bias": torch.tensor([10.0 * i]) for i, n in enumerate("qkvo")}
    >>> to_torch_state(state)["in_proj_bias"]
    tensor([ 0., 10., 20.])
    """
    ### BEGIN SOLUTION
    return {
        "in_proj_weight": torch.cat([state[f"W_{n}.weight"] for n in "qkv"]),  # three (C, C) -> (3C, C)
        "in_proj_bias": torch.cat([state[f"W_{n}.bias"] for n in "qkv"]),  # three (C,) -> (3C,)
        "out_proj.weight": state["W_o.weight"],
        "out_proj.bias": state["W_o.bias"],
    }
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_to_torch_state", "grade": true}
check("ch01/lab04/to_torch_state", to_torch_state)

# %% [markdown]
# ## Step 3. Masks
#
# The two conventions say the opposite, and PyTorch has both:
#
# | where | `True` means | shape |
# |---|---|---|
# | this course | may be seen | broadcasts to `(B, H, T, S)` |
# | `F.scaled_dot_product_attention`, `attn_mask` | may be seen | broadcasts to `(B, H, T, S)` |
# | `nn.MultiheadAttention`, `attn_mask` | may **not** be seen | `(T, S)` or `(B*H, T, S)` |
# | `nn.MultiheadAttention`, `key_padding_mask` | may **not** be seen | `(B, S)` |
#
# One form can say everything: `(B*H, T, S)`. In it the heads of one sequence stand together: row `b*H + h` is head
# `h` of sequence `b`. A padding mask `(B, 1, 1, S)` fits into it as well as a causal `(T, S)`.

# %% nbgrader={"grade_id": "torch_mask", "solution": true}
def torch_mask(mask: torch.Tensor, shape: tuple[int, int, int, int]) -> torch.Tensor:
    """The attn_mask of nn.MultiheadAttention that says the same.

    mask: bool, True = may be seen, broadcasts to shape. shape: (B, H, T, S).
    Returns bool (B*H, T, S), True = may not be seen; row b*H + h is head h of sequence b.

    >>> padding = torch.tensor([[True, True], [True, False]]).view(2, 1, 1, 2)   # sequence 1 has one real key
    >>> torch_mask(padding, (2, 2, 1, 2))[:, 0]
    tensor([[False, False],
            [False, False],
            [False,  True],
            [False,  True]])
    """
    ### BEGIN SOLUTION
    B, H, T, S = shape
    return (~mask).expand(B, H, T, S).reshape(B * H, T, S)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_torch_mask", "grade": true}
check("ch01/lab04/torch_mask", torch_mask)

# %% [markdown]
# There is a third form, which both of PyTorch's functions take: a *float* mask is **added** to the scores. A key that
# may be seen gets 0, one that may not gets minus infinity. Beware: a float mask of ones and zeros is taken without a
# word. It adds 1 to some scores, and masks nothing.

# %% nbgrader={"grade_id": "additive_mask", "solution": true}
def additive_mask(mask: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """What to add to the scores: 0 where a key may be seen, minus infinity where it may not.

    mask: bool, any shape, True = may be seen. Returns the same shape in the given dtype.

    >>> additive_mask(torch.tensor([True, False]), torch.float32)
    tensor([0., -inf])
    """
    ### BEGIN SOLUTION
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(~mask, float("-inf"))
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_additive_mask", "grade": true}
check("ch01/lab04/additive_mask", additive_mask)

# %% [markdown]
# **Look at it.** The same weights, the same input, the same mask. The middle query may see no key at all. What do
# the ways of asking give for it?

# %% tags=["given"]
gap = earlier("ch01/lab04/max_error", max_error, course.max_error)
pack = earlier("ch01/lab04/to_torch_state", to_torch_state, course.to_torch_state)
hide = earlier("ch01/lab04/torch_mask", torch_mask, course.torch_mask)

# %% tags=["look"]
torch.manual_seed(1)
ours, theirs = MultiHeadAttention(8, 2), nn.MultiheadAttention(8, 2, batch_first=True)
theirs.load_state_dict(pack(ours.state_dict()))
x = torch.randn(1, 3, 8)
seen = torch.tensor([[True, False, False], [False, False, False], [True, True, True]])
hidden = hide(seen, (1, 2, 3, 3))


def row(layer_out):
    return [round(v, 3) for v in layer_out[0, 1, :3].tolist()]


print("yours                                        ", row(ours(x, mask=seen)[0]))
for need_weights in (True, False):
    out = theirs(x, x, x, attn_mask=hidden, need_weights=need_weights)[0]
    print(f"nn.MultiheadAttention, need_weights={need_weights!s:<5}    ", row(out))
theirs.eval()
with torch.no_grad():
    out = theirs(x, x, x, attn_mask=hidden, need_weights=False)[0]
theirs.train()
print("the same, need_weights=False, eval() + no_grad", row(out))
print("the output projection's bias                 ", row(ours.W_o.bias.expand(1, 3, 8)))

# %% [markdown]
# **Which ways agree with yours, and does it depend on the mask or on something that should not matter?** A layer
# without anything to see has no right answer, only a convention. PyTorch's own paths do not share one (what you see
# above is your version's). So keep such rows out of comparisons, and out of your batches.

# %% [markdown]
# ## Step 4. Forward and backward
#
# Equal outputs are half of it. A layer with a wrong gradient computes well and trains badly, and you look for the
# fault in the learning rate. So compare what comes *back*, too: send the same upstream gradient into both layers and
# compare the gradients of the input and of every parameter.
#
# Four things to mind. Each layer needs its own copy of the input, or both gradients land in the same place and agree
# with themselves. Gradients add up until `zero_grad()`. PyTorch averages the weights over heads unless you pass
# `average_attn_weights=False`. And `pack`, `hide` and `gap` (your functions of steps 1 to 3) do all the translating.

# %% nbgrader={"grade_id": "compare", "solution": true}
def compare(
    ours: nn.Module, theirs: nn.MultiheadAttention, x: torch.Tensor, mask: torch.Tensor | None, upstream: torch.Tensor
) -> dict[str, float]:
    """Run both layers forward and backward on the same input and measure each difference.

    ours: called as ours(x, mask=mask), returns (out, weights). theirs: made with batch_first=True; theirs.num_heads
    is H. x, upstream: (B, T, C). mask: bool, broadcasts to (B, H, T, T), True = may be seen; or None.
    Returns the max_error of seven things: "out", "weights" (B, H, T, T), "x" (the gradient of x), and under theirs'
    parameter names ("in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias") the parameters' gradients.

    >>> compare(ours, theirs, x, None, torch.ones_like(x))      # layers with the same weights
    {'out': 1.2e-07, 'weights': 3.0e-08, 'x': 2.4e-07, 'in_proj_weight': 9.5e-07, ...}
    """
    ### BEGIN SOLUTION
    B, T, _ = x.shape
    ours.zero_grad()
    theirs.zero_grad()
    a, b = (x.detach().clone().requires_grad_() for _ in range(2))
    out, weights = ours(a, mask=mask)
    hidden = None if mask is None else hide(mask, (B, theirs.num_heads, T, T))
    their_out, their_weights = theirs(b, b, b, attn_mask=hidden, average_attn_weights=False)
    out.backward(upstream)
    their_out.backward(upstream)
    errors = {"out": gap(out, their_out), "weights": gap(weights, their_weights), "x": gap(a.grad, b.grad)}
    packed = pack({name: p.grad for name, p in ours.named_parameters()})
    return errors | {name: gap(packed[name], p.grad) for name, p in theirs.named_parameters()}
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_compare", "grade": true}
check("ch01/lab04/compare", compare)

# %% [markdown]
# **Look at it.** Your layer against PyTorch's with a causal mask, in three precisions. The dashed line is this
# chapter's goal.

# %% tags=["look"]
measure = earlier("ch01/lab04/compare", compare, course.compare)
fig, ax = plt.subplots(figsize=(7, 3.4))
causal = torch.ones(16, 16, dtype=torch.bool).tril()
for dtype, marker in ((torch.bfloat16, "^"), (torch.float32, "o"), (torch.float64, "s")):
    torch.manual_seed(2)
    ours = MultiHeadAttention(64, 4).to(dtype)
    theirs = nn.MultiheadAttention(64, 4, batch_first=True, dtype=dtype)
    theirs.load_state_dict(pack(ours.state_dict()))
    errors = measure(ours, theirs, *torch.randn(1, 2, 16, 64, dtype=dtype), causal, torch.randn(2, 16, 64, dtype=dtype))
    ax.plot(list(errors), list(errors.values()), marker, label=str(dtype).removeprefix("torch."))
ax.axhline(1e-5, color="gray", linestyle="--", linewidth=0.8)
ax.set_yscale("symlog", linthresh=1e-17)  # logarithmic down to 1e-17, and then zero
ax.set_yticks([0, 1e-16, 1e-12, 1e-8, 1e-4, 1])
ax.set(ylabel="largest difference", ylim=(-5e-18, 10))
ax.tick_params(axis="x", rotation=30)
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# **By what factor do the gradients' errors shrink from float32 to float64?** A point on the zero line means equal to
# the last bit. Rounding shrinks with the precision: a float64 has 29 bits more, and $2^{29}$ is about
# $5 \cdot 10^8$. A mistake would not shrink at all. When two implementations differ by a suspicious $10^{-4}$, run
# both in float64 before you argue about it.

# %% [markdown]
# ## Step 5. What does `is_causal` mean?
#
# In training `T` equals `S` and "causal" is clear. When a model writes with a cache, there are few new queries and
# many keys: `T < S`, and the newest query should see all of them. `F.scaled_dot_product_attention` has a switch
# `is_causal=True`. Which keys does it show when `T` and `S` differ? The name does not say. Do not look it up: write
# the instrument that finds out, for *any* attention that you can call.
#
# You choose `Q`, `K` and `V` freely. Output $t$ is $\sum_s w_{ts} v_s$. Which `V` makes the output *be* the weights?
# And which `Q` makes sure that no key that may be seen gets a weight so small that it rounds to zero?

# %% nbgrader={"grade_id": "visible_keys", "solution": true}
def visible_keys(attend, T: int, S: int) -> torch.Tensor:
    """Find out which keys each query may see, by calling an attention that you cannot look into.

    attend: a function of Q (T, D), K (S, D), V (S, E), any D and E, that returns the blended values (T, E).
    Returns bool (T, S): True = query t sees key s.

    >>> visible_keys(lambda Q, K, V: attention(Q, K, V, torch.tensor([[True, False, True]]))[0], 1, 3)
    tensor([[ True, False,  True]])
    """
    ### BEGIN SOLUTION
    Q, K = torch.zeros(T, 8), torch.zeros(S, 8)  # all scores are zero: all keys in sight weigh alike
    return attend(Q, K, torch.eye(S)) > 0  # (T, S) @ the identity (S, S) are the weights themselves
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_visible_keys", "grade": true}
check("ch01/lab04/visible_keys", visible_keys)

# %% [markdown]
# **Look at it.** Three new queries, six keys, of which the last three belong to the new words themselves.

# %% tags=["look"]
probe = earlier("ch01/lab04/visible_keys", visible_keys, inspection.visible_keys)


def is_causal(Q, K, V):
    return F.scaled_dot_product_attention(Q[None], K[None], V[None], is_causal=True)[0]


T, S = 3, 6
needed = torch.ones(T, S, dtype=torch.bool).tril(S - T)
fig, axes = plt.subplots(1, 2, figsize=(7.5, 2.6), sharey=True)
for ax, found, title in zip(axes, (probe(is_causal, T, S), needed), ("is_causal=True", "what writing with a cache needs")):
    heatmap(ax, found.float().numpy(), ["new 0", "new 1", "new 2"], [str(s) for s in range(S)])
    ax.tick_params(axis="x", rotation=0)
    ax.set_title(title)
axes[1].set_ylabel("")
plt.tight_layout()
plt.show()

# %% [markdown]
# **Which keys does the newest query miss on the left?** A generation loop with this mistake runs, and writes text
# that forgets its own last words. Chapter 8 builds the cache; remember to pass the mask yourself.

# %% [markdown]
# ## What does it cost?
#
# Your layer and PyTorch's compute the same. Are they equally fast? Measured here, on one thread of your machine,
# forward and backward, median of 15 runs after 3 to warm up. The baseline is your layer. Asked for the weights,
# PyTorch's layer has to make the whole `(T, S)` matrix; not asked, it may use a fused kernel that never holds it
# [@dao2022].

# %% tags=["look"]
def median_ms(run, repeats=15, warm_up=3):
    times = []
    for _ in range(warm_up + repeats):
        start = time.perf_counter()
        run().sum().backward()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[warm_up:])


threads = torch.get_num_threads()
torch.set_num_threads(1)  # so that the numbers do not depend on what else your machine is doing
ours, theirs = MultiHeadAttention(128, 8), nn.MultiheadAttention(128, 8, batch_first=True)
print(f"{'T':>5}{'yours':>12}{'PyTorch, weights':>20}{'PyTorch, no weights':>22}   ms")
for T in (64, 256, 512):
    x = torch.randn(2, T, 128)
    mine = median_ms(lambda: ours(x)[0])
    asked = median_ms(lambda: theirs(x, x, x)[0])
    fused = median_ms(lambda: theirs(x, x, x, need_weights=False)[0])
    print(f"{T:>5}{mine:>12.2f}{asked:>20.2f}{fused:>22.2f}   yours / fused = {mine / fused:.1f}")
torch.set_num_threads(threads)

# %% [markdown]
# **Where does the last ratio go as `T` grows?** Chapter 10 builds the kernel that makes the difference.

# %% [markdown]
# ## The chapter's milestone
#
# Your multi-head attention equals `nn.MultiheadAttention` within $10^{-5}$, with and without masks, forward and
# backward. The cell below measures the worst of all differences over several sizes and masks, in float32.

# %% tags=["milestone"]
GOAL = 1e-5
measure = earlier("ch01/lab04/compare", compare, course.compare)
worst = 0.0
for seed, (B, T, C, H) in enumerate([(2, 9, 32, 4), (3, 5, 30, 5), (1, 1, 8, 1), (2, 16, 64, 8)]):
    torch.manual_seed(seed)
    ours, theirs = MultiHeadAttention(C, H), nn.MultiheadAttention(C, H, batch_first=True)
    theirs.load_state_dict(course.to_torch_state(ours.state_dict()))
    causal = torch.ones(T, T, dtype=torch.bool).tril()
    padding = (torch.arange(T) < torch.randint(1, T + 1, (B, 1, 1, 1)))  # at least one real key in each sequence
    each_head = causal & (torch.rand(B, H, T, T) < 0.5) | torch.eye(T, dtype=torch.bool)
    for mask in (None, causal, padding, causal & padding, each_head):
        errors = measure(ours, theirs, torch.randn(B, T, C), mask, torch.randn(B, T, C) / T)  # a mean over T
        worst = max(worst, *errors.values())
whose = "your" if MultiHeadAttention.__module__ == "__main__" else "the course's (paste yours at the top)"
print(f"{whose} MultiHeadAttention against torch {torch.__version__}")
print(f"goal: within {GOAL:g} | measured: {worst:.1e} | {'reached' if worst <= GOAL else 'not reached'}")

# %% [markdown]
# ## What you built
#
# - A measure of difference that no broadcast, NaN or infinity fools.
# - The translation of weights, gradients and masks between your layer and PyTorch's, and the proof that they agree.
# - A probe for black boxes. Chapter 3 loads GPT-2's weights with the same method, chapter 8 needs the right mask.
#
# ## Going further
#
# - The paper: [@vaswani2017], section 3.2.2. Compare its formulas with what `in_proj_weight` stores.
# - Production code: `torch/nn/functional.py`, function `multi_head_attention_forward`. Find the packed projection,
#   the place where a bool mask becomes a float one, and the branch that `need_weights` decides.
# - `torch/nn/attention/bias.py`, function `causal_lower_right`: the other answer to step 5.
# - An extension: one part of `in_proj_bias` never gets a gradient, whatever the data. Find it with your layer, then
#   prove it from the softmax.
