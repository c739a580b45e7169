# ---
# jupyter:
#   course:
#     title: Gradient Visualization
#     level: intermediate
#     minutes: 75
#     hardware: cpu
#     builds: "Instruments for gradients: the gain that keeps them alive, hooks that read them at any module, attention's backward pass, and a checker that finds a wrong one."
#     goals:
#     - Derive the initial gain that keeps signals and gradients alive, and say where the two disagree
#     - Read the gradient at any module of a model with hooks, and find a part that has died
#     - Write attention's backward pass by hand, and say what large scores do to it
#     - Write a gradient checker that finds a wrong backward pass, and know what blinds it
#     needs:
#     - "[Gradient Flow](../../../book/ch04_training/gradient_flow.md)"
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
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from autograder import check, earlier
from source.attention.dot_product import attention
from source.attention.multi_head import CausalSelfAttention
from source.corpus import shakespeare
from source.data_pipeline.targets import windows
from source.models.gpt import GPT, shipped
from source.plots import BLUE, GREEN, ORANGE, PINK, RED
from source.training import gradients as course
from source.training.wrong_backwards import FAULTS, with_backward

# %% [markdown]
# ## A question first
#
# Thirty layers, each a matrix and an activation, nothing else. PyTorch initialises them: `nn.Linear` has a default, and most
# code never touches it. Before any training, send a batch through and a gradient back. What reaches the first layer?

# %% tags=["look"]
torch.set_num_threads(1)  # tensors this small: a second thread waits more than it works
DEPTH, C = 30, 128


def gradients_by_depth(activation):
    """Norms of the gradient at each depth, before the first layer and after each, relative to the top: (DEPTH + 1,)."""
    torch.manual_seed(0)
    stream = [torch.randn(64, C, dtype=torch.float64, requires_grad=True)]  # in float32 the sigmoid's would be 0
    for _ in range(DEPTH):
        stream.append(activation(nn.Linear(C, C, dtype=torch.float64)(stream[-1])))
    gradients = torch.autograd.grad(stream[-1], stream, torch.randn(64, C, dtype=torch.float64))
    return [(g.norm() / gradients[-1].norm()).item() for g in gradients]


fig, ax = plt.subplots(figsize=(6.5, 3.4))
for activation, line in ((torch.tanh, "-"), (torch.relu, "--"), (torch.sigmoid, ":")):
    sizes = gradients_by_depth(activation)
    ax.plot(sizes, line, label=activation.__name__)
    print(f"{activation.__name__:<8} at the input / at the top: {sizes[0]:.0e}, a factor of {sizes[0] ** (1 / DEPTH):.2f} a layer")
ax.set(yscale="log", xlabel="depth (0 = input, 30 = top)", ylabel="norm of the gradient, relative to the top")
ax.legend()
plt.show()

# %% [markdown]
# **What would each curve look like with three hundred layers?** The straight lines say that every layer takes the same
# factor. Thirty times the same factor is either nearly nothing, or far too much, or one. This lab is about the factor.
#
# Letters: `B` batch, `T` queries, `S` keys, `C` width, `D` head width, `L` layers.

# %% [markdown]
# ## Step 1. The gain
#
# Write a layer as $z_{l+1} = W a(z_l)$, with an activation $a$ and a random $W$: independent entries of mean 0 and variance
# $g^2 / C$. How large is $z_{l+1}$? Each entry sums $C$ independent products, and variances add up:
#
# $$\mathbb E[z_{l+1}^2] = C \cdot \frac{g^2}{C} \cdot \mathbb E[a(z_l)^2] = g^2\, \mathbb E[a(z_l)^2]$$
#
# If $z_l$ is standard normal, then $z_{l+1}$ is so again exactly when $g = 1 / \sqrt{\mathbb E[a(z)^2]}$: the *forward gain*.
# Mind that it is the mean square, not the variance: a mean that is not zero feeds the next layer like anything else.
#
# On the way back the gradient goes through the same matrix, transposed, and through the slope of the activation:
#
# $$\delta_l = a'(z_l) \odot W^{\top} \delta_{l+1} \qquad
# \mathbb E[\delta_l^2] = g^2\, \mathbb E[a'(z)^2] \cdot \mathbb E[\delta_{l+1}^2]$$
#
# So gradients keep their size when $g = 1 / \sqrt{\mathbb E[a'(z)^2]}$: the *backward gain*. For a linear layer both are 1,
# which is Xavier's initialisation [@glorot2010]; for a ReLU half of the square is lost in both, and both are $\sqrt 2$, which
# is He's [@he2015].
#
# Compute both for *any* activation. The given table holds a standard normal variable: points `Z` and the share `SHARES` of
# the probability that lies at each. A mean over $z$ is a sum weighted with the shares. The slope comes from autograd.

# %% tags=["given"]
Z, SHARES = course.standard_normal()  # both (4000,), float64; SHARES sums to 1

# %% nbgrader={"grade_id": "gains", "solution": true}
def gains(activation) -> tuple[float, float]:
    """The forward and the backward gain of an activation.

    activation: a differentiable function that works on every element of a tensor by itself.
    Returns 1 / sqrt(E[a(z)^2]) and 1 / sqrt(E[a'(z)^2]) for a standard normal z.

    >>> [round(g, 4) for g in gains(lambda z: 2 * z)]                       # the square of a slope of 2 is 4
    [0.5, 0.5]
    """
    ### BEGIN SOLUTION
    z = Z.clone().requires_grad_()
    a = activation(z)
    (slope,) = torch.autograd.grad(a.sum(), z)  # element by element: each output depends on its own z alone
    forward = (SHARES * a.detach().square()).sum()
    backward = (SHARES * slope.square()).sum()
    return 1 / forward.sqrt().item(), 1 / backward.sqrt().item()
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_gains", "grade": true}
check("ch04/lab02/gains", gains)

# %% [markdown]
# **Look at it.** Plain stacks of 60 layers, each with *its own forward gain*. Left the signal on its way up, right the
# gradient on its way down, both relative to where they start. The fourth stack is no plain one: it adds, as a transformer
# does ($x + W a(\mathrm{norm}(x))$, each branch scaled by $1/\sqrt{60}$), and it does not care about the gain: it takes
# $g = 1$ for a ReLU.

# %% tags=["look"]
gains_of = earlier("ch04/lab02/gains", gains, course.gains)
DEPTH, C = 60, 256


def signal_and_gradient(activation, gain, residual=False, seed=0):
    """Root mean squares of the signal at each depth, and of the gradient at each depth."""
    torch.manual_seed(seed)
    stream = [torch.randn(64, C, requires_grad=True)]
    for _ in range(DEPTH):
        W = torch.randn(C, C) * gain / C**0.5
        x = stream[-1]
        stream.append(x + activation(F.layer_norm(x, (C,))) @ W.T / DEPTH**0.5 if residual else activation(x) @ W.T)
    gradients = torch.autograd.grad(stream[-1], stream, torch.randn(64, C))
    return [[t.detach().square().mean().sqrt().item() for t in part] for part in (stream, gradients)]


stacks = {"ReLU": (torch.relu, BLUE, "-"), "GELU": (F.gelu, GREEN, "--"), "tanh": (torch.tanh, ORANGE, "-.")}
fig, axes = plt.subplots(1, 2, figsize=(10, 3.5), layout="constrained", sharey=True)
for name, (activation, color, line) in stacks.items():
    forward, backward = gains_of(activation)
    print(f"{name:<6} forward gain {forward:.3f}, backward gain {backward:.3f}: with the first, a gradient should grow by "
          f"{forward / backward:.3f} a layer, {(forward / backward) ** DEPTH:.3g} times in all")
    for ax, sizes in zip(axes, signal_and_gradient(activation, forward)):
        ax.plot(np.array(sizes) / sizes[0 if ax is axes[0] else -1], line, color=color, label=f"{name}, plain")
for ax, sizes in zip(axes, signal_and_gradient(torch.relu, 1.0, residual=True)):
    ax.plot(np.array(sizes) / sizes[0 if ax is axes[0] else -1], ":", color=PINK, lw=2.5, label="residual and norm")
axes[0].set(yscale="log", xlabel="layers passed", ylabel="size relative to its start", title="signal, upward")
axes[1].set(xlabel="layer at which it arrives", title="gradient, downward")
axes[1].legend(loc="upper right")
plt.show()

# %% [markdown]
# **For which of the plain stacks do both curves stay near 1?** Only where the two gains agree. For tanh no gain keeps both:
# the forward one makes gradients grow, the backward one lets the signal shrink. GELU has one more trouble: its gain is right
# for signals of size 1 alone, and a signal that has drifted a little drifts on. None of it matters in the fourth stack. There
# the copy carries signal and gradient past every layer.
#
# **Is it enough that the size is right?** The size is a mean over all directions. The gradient at layer 0 is the gradient at
# the top times a product of Jacobians, $\delta_0 = J_1^\top J_2^\top \cdots J_L^\top \delta_L$. The singular values of the
# product say what happens to single directions. Here they are, for the plain ReLU stack with its right gain and for the
# residual one.

# %% tags=["look"]
def singular_values(depth, gain, residual):
    """Of the Jacobian of a stack of `depth` ReLU layers at one random input, largest first: (C,)."""
    torch.manual_seed(0)
    matrices = [torch.randn(128, 128) * gain / 128**0.5 for _ in range(depth)]

    def stack(x):
        for W in matrices:
            x = x + W @ torch.relu(F.layer_norm(x, (128,))) / depth**0.5 if residual else W @ torch.relu(x)
        return x

    return torch.linalg.svdvals(torch.autograd.functional.jacobian(stack, torch.randn(128)))


fig, axes = plt.subplots(1, 2, figsize=(9.5, 3.4), layout="constrained", sharey=True)
for ax, residual, gain, title in ((axes[0], False, 2**0.5, "plain, gain √2"), (axes[1], True, 1.0, "residual and norm")):
    for depth, line in ((1, ":"), (4, "--"), (16, "-.")):
        values = singular_values(depth, gain, residual)
        ax.plot(values.clamp(min=1e-9), line, label=f"{depth} layer" + "s" * (depth > 1))
        print(f"{title:<18} {depth:>2} layers: mean square {values.square().mean():.2f}, "
              f"{int((values > 0.1).sum()):>3} of 128 directions keep more than a tenth")
    ax.set(yscale="log", ylim=(1e-6, 20), xlabel="direction, strongest first", title=title)
axes[0].set_ylabel("singular value")
axes[1].legend()
plt.show()

# %% [markdown]
# **Of 128 directions, how many get through 16 plain layers?** The mean square is still of the order of 1, so a plot of norms
# shows nothing wrong: a few directions carry all of it. The residual stack keeps nearly all directions. So the right gain is
# necessary in a plain stack, and far from sufficient.

# %% [markdown]
# ## Step 2. A probe for any module
#
# You have looked at stacks that you built for looking. A real model is a tree of modules, and you want the gradient *inside*
# it, without changing a line. Hooks do that.
#
# - `module.register_forward_hook(f)` calls `f(module, inputs, output)` after every forward pass of the module. It returns a
#   handle with `.remove()`.
# - `tensor.register_hook(g)` calls `g(gradient)` when the tensor's gradient is known. If `g` returns a tensor, that *replaces*
#   the gradient: a probe must return nothing.
#
# So: a forward hook at each named module, which puts a hook on its output. A module may be called several times, or never, or
# under `torch.no_grad()`, where an output has no gradient to wait for. And gradients arrive in the reverse order of the calls,
# while the report shall list them in the calls' own order.
#
# Whatever happens, take your hooks out again. A forgotten hook costs time and memory from then on, and somebody else will
# search for it.

# %% nbgrader={"grade_id": "output_gradients", "solution": true}
def output_gradients(model: nn.Module, names: list[str], run) -> dict[str, list[float]]:
    """The norm of the gradient of each named module's output, for each of its calls while run() runs.

    model: has modules of these names (model.get_submodule(name)), each of which returns one tensor. run: a function without
    arguments that goes forward and backward, perhaps several times.
    Returns for each name a list, one number for each call, in the order of the calls; 0.0 for a call that no gradient
    reached. No hook is left afterwards, also when run raises; what it raises is passed on.

    >>> net = nn.Sequential(nn.Identity(), nn.Identity())
    >>> x = torch.zeros(2, requires_grad=True)
    >>> output_gradients(net, ["0"], lambda: (net(x) * torch.tensor([3.0, 4.0])).sum().backward())
    {'0': [5.0]}
    """
    ### BEGIN SOLUTION
    norms, handles = {name: [] for name in names}, []

    def watch(name):
        def hook(module, inputs, output):
            place = len(norms[name])
            norms[name].append(0.0)

            def keep(gradient):
                norms[name][place] = gradient.norm().item()

            if output.requires_grad:
                output.register_hook(keep)

        return hook

    try:
        for name in names:
            handles.append(model.get_submodule(name).register_forward_hook(watch(name)))
        run()
    finally:
        for handle in handles:
            handle.remove()
    return norms
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_output_gradients", "grade": true}
check("ch04/lab02/output_gradients", output_gradients)

# %% [markdown]
# **Look at it.** The gradient at what attention and the feed-forward network write, block by block: in the shipped model, and
# in one of the same shape before its first step.

# %% tags=["look"]
probe = earlier("ch04/lab02/output_gradients", output_gradients, course.output_gradients)
trained = shipped()
torch.manual_seed(0)
fresh = GPT(trained.sizes)
text = torch.tensor(list(shakespeare("train").encode()[: 16 * trained.sizes.context + 1]))
ids, targets = windows(text, trained.sizes.context)  # both (B, T)


def backward_through(model):
    F.cross_entropy(model(ids).flatten(0, 1), targets.flatten()).backward()


parts = ("attention", "feed_forward")
fig, axes = plt.subplots(1, 2, figsize=(9, 3.3), layout="constrained", sharey=True)
for ax, model, title in ((axes[0], fresh, "before the first step"), (axes[1], trained, "trained")):
    names = [f"blocks.{layer}.{part}" for layer in range(model.sizes.layers) for part in parts]
    norms = probe(model, names, lambda: backward_through(model))
    for shift, part, color, hatch in ((-0.2, "attention", BLUE, ""), (0.2, "feed_forward", ORANGE, "//")):
        heights = [norms[f"blocks.{layer}.{part}"][0] for layer in range(model.sizes.layers)]
        ax.bar(np.arange(model.sizes.layers) + shift, heights, 0.38, color=color, hatch=hatch, label=part.replace("_", "-"))
    ax.set(xlabel="block", title=title, xticks=range(model.sizes.layers))
axes[0].set_ylabel("norm of the gradient at its output")
axes[0].legend()
plt.show()

# %% [markdown]
# Now a patient. Somebody's run ended well enough: the loss went down. But a part of this model has not learned since an
# accident early in training. Probe every linear module of it.

# %% tags=["look"]
patient = shipped()
with torch.no_grad():
    patient.blocks[1].feed_forward.W_in.bias.fill_(-25.0)  # one step with far too high a rate can do this
linear = [name for name, module in patient.named_modules() if isinstance(module, nn.Linear)]
healthy, ill = (probe(m, linear, lambda m=m: backward_through(m)) for m in (trained, patient))
for name in linear:
    print(f"{name:<32}{healthy[name][0]:>10.1e}{ill[name][0]:>10.1e}{'   <-- dead' if ill[name][0] == 0 else ''}")

# %% [markdown]
# **Does the gradient fail to arrive below the dead module?** No: the residual stream carries it past. The model trains on,
# without that part, and no curve shows it. Only a probe at the module does. (GELU is flat far below zero, as ReLU is
# everywhere below it: what is pushed there once gets no gradient to come back.)

# %% [markdown]
# ## Step 3. The way back through attention
#
# Attention has a softmax in its middle. With $P$ the weights and $dO$ the gradient of the output:
#
# $$dV = P^{\top} dO \qquad dP = dO\, V^{\top} \qquad
# dS_{ts} = P_{ts}\Bigl(dP_{ts} - \sum_{u} P_{tu}\, dP_{tu}\Bigr) \qquad
# dQ = \tfrac{1}{\sqrt D}\, dS\, K \qquad dK = \tfrac{1}{\sqrt D}\, dS^{\top} Q$$
#
# [The page on scaled dot products](../../../book/ch01_attention/scaled_dot_product.md) derives the middle one: each key's score
# goes up if its value would have helped more than the blend did. Look at the factor $P_{ts}$ in front, and at the bracket: for
# a row whose weight is all on one key, the bracket is zero at that key, and $P$ is zero at all others.
#
# Kernels need this by hand, since they have no autograd. The weights come from `attention(Q, K, V, mask)` of lab 1.1, which
# returns the blends and the weights. In shapes: `Q (..., T, D)`, `K (..., S, D)`, `V (..., S, E)`, `upstream (..., T, E)`.

# %% nbgrader={"grade_id": "attention_gradients", "solution": true}
def attention_gradients(
    Q: torch.Tensor, K: torch.Tensor, V: torch.Tensor, upstream: torch.Tensor, mask: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The gradients dQ, dK, dV of attention(Q, K, V, mask)[0], without autograd.

    Q: (..., T, D). K: (..., S, D). V: (..., S, E). upstream: (..., T, E), the gradient of the output.
    mask: bool, broadcasts to (..., T, S), True = may be seen. Returns tensors in the shapes of Q, K, V.

    >>> Q, K, V = torch.zeros(1, 1), torch.zeros(2, 1), torch.tensor([[0.0], [8.0]])      # both weights are 1/2
    >>> attention_gradients(Q, K, V, torch.ones(1, 1))[2]                   # each value counted half
    tensor([[0.5000],
            [0.5000]])
    >>> attention_gradients(torch.ones(1, 1), K, V, torch.ones(1, 1))[1]    # the blend is 4: 1/2 * (0 - 4), 1/2 * (8 - 4)
    tensor([[-2.],
            [ 2.]])
    """
    ### BEGIN SOLUTION
    _, P = attention(Q, K, V, mask)  # (..., T, S)
    dV = P.transpose(-2, -1) @ upstream  # (..., S, T) @ (..., T, E) -> (..., S, E)
    dP = upstream @ V.transpose(-2, -1)  # (..., T, E) @ (..., E, S) -> (..., T, S)
    dS = P * (dP - (P * dP).sum(dim=-1, keepdim=True))  # better or worse than the blend
    dS = dS / math.sqrt(Q.shape[-1])
    return dS @ K, dS.transpose(-2, -1) @ Q, dV
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_attention_gradients", "grade": true}
check("ch04/lab02/attention_gradients", attention_gradients)

# %% [markdown]
# **Look at it.** Random queries and keys of variance 1, the queries multiplied by a growing number, so that the scores get
# that standard deviation. What is left of the gradients?

# %% tags=["look"]
backward_of = earlier("ch04/lab02/attention_gradients", attention_gradients, course.attention_gradients)


def sizes_at(factor, T=32, D=64, draws=60):
    """The norm of dQ at the median query, and of dV over all keys (root mean square); queries times `factor`."""
    torch.manual_seed(0)
    Q, K, V, up = (torch.randn(draws, T, D, dtype=torch.float64) for _ in range(4))
    dQ, _, dV = backward_of(factor * Q, K, V, up)
    return [dQ.norm(dim=-1).median().item(), dV.norm(dim=-1).square().mean().sqrt().item()]


factors = 2.0 ** np.arange(-2, 7)
sizes = np.array([sizes_at(k) for k in factors])
fig, ax = plt.subplots(figsize=(6.5, 3.4))
ax.plot(factors, sizes[:, 0], "o-", color=BLUE, label="dQ, through the softmax:\nthe median query")
ax.plot(factors, sizes[:, 1], "s--", color=ORANGE, label="dV, past it")
ax.axvline(8, color="gray", linestyle=":", label="no factor 1/√D, at D = 64")
ax.set(xscale="log", yscale="log", ylim=(1e-6, 30), xlabel="standard deviation of the scores", ylabel="norm of the gradient")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# **Which of the two gradients dies as the scores grow, and which does not?** The values go on learning *what* to hand over,
# from the one key that was picked. *Which* key to pick can no longer be learned. The dotted line is where every head of width 64
# would start without the factor $1/\sqrt D$, before it has learned anything.
#
# Attention's reward for this trouble is the next picture. How much gradient reaches the input `d` positions back, from the
# last output? A recurrent network hands it through `d` steps, a product of `d` Jacobians. Attention has one step to any
# distance.

# %% tags=["look"]
def by_distance(layer, T=64, C=64, draws=20):
    """Mean norm of the gradient at each distance behind the last position: (T,)."""
    total = torch.zeros(T)
    for seed in range(draws):
        torch.manual_seed(seed)
        x = torch.randn(1, T, C, requires_grad=True)
        out = layer(C)(x)
        (gradient,) = torch.autograd.grad(out[0, -1], x, torch.randn(C))
        total += gradient[0].norm(dim=-1).flip(0) / draws
    return total


def recurrent(C):
    net = nn.RNN(C, C, batch_first=True)
    return lambda x: net(x)[0]


def lstm(C):
    net = nn.LSTM(C, C, batch_first=True)
    return lambda x: net(x)[0]


fig, ax = plt.subplots(figsize=(6.5, 3.4))
for name, layer, color, line in (
    ("recurrent (tanh)", recurrent, RED, "--"), ("LSTM", lstm, ORANGE, "-."), ("attention, 4 heads", lambda C: CausalSelfAttention(C, 4), BLUE, "-")
):
    ax.plot(by_distance(layer).clamp(min=1e-20), line, color=color, label=name)
ax.set(yscale="log", xlabel="distance behind the last position", ylabel="norm of the gradient at the input")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# **What is the gradient of the recurrent network at distance 20, as a share of that at distance 0?** All three are fresh, with
# PyTorch's defaults. This is the vanishing gradient in its first form, in time instead of depth [@bengio1994]; attention
# does away with it, at the price of looking at everything.

# %% [markdown]
# ## Step 4. Is this backward pass right?
#
# A wrong gradient rarely stops a training run; it makes it worse. Only a comparison tells, and the thing to compare with is
# the definition of a derivative. For one entry $x_i$ of an input, and any fixed gradient $u$ of the output:
#
# $$\frac{\partial\, (f(x) \cdot u)}{\partial x_i} \approx \frac{f(x + h e_i) \cdot u - f(x - h e_i) \cdot u}{2h}$$
#
# Two errors work against each other. The smaller $h$, the closer the secant to the tangent; but the two values in the
# numerator agree in more and more digits, and only the difference of their rounding is left.

# %% tags=["look"]
steps = 10.0 ** np.arange(-12, 0.5, 0.5)
fig, ax = plt.subplots(figsize=(6.5, 3.4))
for dtype, color in ((torch.float32, RED), (torch.float64, BLUE)):
    for way, line in (("one-sided", ":"), ("central", "-")):
        x = torch.tensor(1.0, dtype=dtype)
        low = (lambda h: 0.0) if way == "one-sided" else (lambda h: h)
        slopes = [((torch.exp(x + h) - torch.exp(x - low(h))) / (h + low(h))).item() for h in steps]
        ax.plot(steps, np.abs(np.array(slopes) / math.e - 1) + 1e-17, line, color=color, label=f"{way}, {str(dtype)[6:]}")
ax.set(xscale="log", yscale="log", xlabel="h", ylabel="relative error of the slope of exp at 1", ylim=(1e-13, 10))
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# **What is the best that float32 can reach, and at which $h$ is the central difference in float64 at its best?** Hence: float64,
# central, $h$ around $10^{-6}$ to $10^{-5}$.
#
# And what is $u$? Not all ones! Ones ask for the gradient of the *sum* of the outputs. The outputs of a softmax sum to 1
# whatever you do, so the right gradient is zero and a softmax that hands back nothing at all passes. Nor does a sum notice a
# backward pass that ignores the gradient it is given. Take a random $u$.
#
# Write the checker. It gets a function and its inputs, compares autograd's gradient of *every entry of every input* with the
# central difference, and names the inputs whose gradient is wrong: where the two differ by more than
# $10^{-5} \cdot (1 + |\text{difference}|)$ anywhere. Autograd says `None` for an input that it thinks was not used; read it as
# zeros. An output that it thinks depends on no input (`requires_grad` is `False`) has no gradient for any. NaN is wrong.

# %% nbgrader={"grade_id": "wrong_gradients", "solution": true}
def wrong_gradients(f, inputs: list[torch.Tensor]) -> list[int]:
    """The numbers of the inputs whose gradient by autograd is not the derivative of what f computes.

    f: takes len(inputs) tensors, returns one. inputs: float64 tensors of any shapes; they stay as they are.

    >>> x, y = torch.tensor([1.0, 2.0]).double(), torch.tensor([3.0, 4.0]).double()
    >>> wrong_gradients(lambda x, y: x * y, [x, y])
    []
    >>> wrong_gradients(lambda x, y: x * y.detach(), [x, y])                # y matters, and gets no gradient
    [1]
    """
    ### BEGIN SOLUTION
    leaves = [x.detach().clone().requires_grad_() for x in inputs]
    out = f(*leaves)
    upstream = torch.randn(out.shape, dtype=out.dtype, generator=torch.Generator().manual_seed(0))
    found = [None] * len(leaves)
    if out.requires_grad:
        found = torch.autograd.grad(out, leaves, upstream, allow_unused=True)
    wrong, h = [], 1e-6
    for n, x in enumerate(inputs):
        right = torch.zeros_like(x)
        for place in np.ndindex(*x.shape):
            step = torch.zeros_like(x)
            step[place] = h
            up, down = (f(*inputs[:n], x + s * step, *inputs[n + 1 :]) for s in (1, -1))
            right[place] = ((up - down) * upstream).sum() / (2 * h)
        gradient = torch.zeros_like(x) if found[n] is None else found[n]
        if not torch.allclose(gradient, right, rtol=1e-5, atol=1e-5):  # false for NaN as well
            wrong.append(n)
    return wrong
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_wrong_gradients", "grade": true}
check("ch04/lab02/wrong_gradients", wrong_gradients)

# %% [markdown]
# **Look at it.** Attention's backward pass once more, as five people might write it. Each of the five runs, returns the right
# shapes, and computes the same output. The first calls your step 3 (or the course's).

# %% tags=["look"]
find_wrong = earlier("ch04/lab02/wrong_gradients", wrong_gradients, course.wrong_gradients)
torch.manual_seed(0)
Q, K, V = torch.randn(5, 4).double(), torch.randn(6, 4).double(), torch.randn(6, 3).double()
suspects = {"step 3": backward_of, **FAULTS}
print(f"{'':<32}{'wrong':<14}angle to the right gradient of Q (cosine)")
up = torch.randn(5, 3).double()
for name, backward in suspects.items():
    wrong = [("Q", "K", "V")[n] for n in find_wrong(with_backward(backward), [Q, K, V])]
    cosine = F.cosine_similarity(backward(Q, K, V, up)[0].flatten(), backward_of(Q, K, V, up)[0].flatten(), dim=0)
    print(f"{name:<32}{', '.join(wrong) or 'none':<14}{cosine:.3f}")

# %% [markdown]
# **Which wrong gradients still point roughly downhill?** A training run would go on with those, slower, and nobody would ask
# why. A check takes a second, once, on inputs of a few numbers. It needs two calls of `f` for every entry, so it is for small
# inputs and for tests; at full size you compare with another implementation instead.

# %% [markdown]
# ## What you built
#
# - The gain that keeps signals or gradients at their size, for any activation; where the two disagree, no plain stack is deep.
# - A probe that reads gradients inside any model and leaves no trace. Use it when a run learns less than it should.
# - Attention's backward pass, which Chapter 10's kernels need, and the checker that would have found it wrong. Lab 4.5 builds
#   automatic differentiation itself and checks it so; lab 4.3 clips gradients that are too large.
#
# ## Going further
#
# - The papers: [@glorot2010] and [@he2015] for the gains; [@saxe2014] for what singular values have to do with it;
#   [@pascanu2013] for both failures in time.
# - Production code: `torch/nn/init.py`, `calculate_gain` (compare its 5/3 for tanh with yours) and
#   `torch/autograd/gradcheck.py`, which checks one random direction first when asked for `fast_mode`.
# - An extension: `fast_mode`. Compare one random direction $v$: $\langle g, v \rangle$ against one central difference along $v$.
#   Two calls of `f` an input, however large it is. Which faults can it miss that your checker finds, and how likely is it?
