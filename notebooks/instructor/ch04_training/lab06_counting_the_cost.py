# ---
# jupyter:
#   course:
#     title: Counting the Cost
#     level: advanced
#     minutes: 75
#     hardware: cpu
#     builds: "A budget of a model before it exists: parameters, FLOPs, activation, optimizer and cache memory, each held against what the machine measures."
#     goals:
#     - Count a decoder's parameters and FLOPs by part, exactly, from five numbers
#     - Say where the rule of 6 FLOPs a parameter and token fails, and by how much
#     - Measure what autograd keeps for the backward pass, and name the tensors
#     - Find a factor of two in somebody's estimate by measuring
#     needs:
#     - "[Resource Accounting](../../../book/ch04_training/resource_accounting.md)"
#     - Lab 2.4, Transformer Block
#     - Lab 3.3, Decoder-Only Transformer
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% tags=["setup"]
from autograder import setup; device = setup()

# %% tags=["setup"]
from collections.abc import Callable, Iterable
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from autograder import check, earlier
from source import accounting as course
from source import memory
from source.blocks.gpt2_block import Block
from source.models.gpt import GPT, Sizes
from source.plots import BLUE, GREEN, ORANGE, PALETTE, PINK, RED, SKY
from source.sliders import move
from source.timing import seconds

# %% [markdown]
# ## A question first
#
# Here is a small model of GPT-2's architecture. Its weights take a few MiB. It trains one step: forward, backward, AdamW.
# How much memory does the step need? Measure what is in use after every single operation.

# %% tags=["look"]
MIB = 2**20
torch.manual_seed(0)
SMALL = Sizes(vocabulary=512, context=128, width=128, heads=4, layers=4)
model = GPT(SMALL)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
B, T = 16, SMALL.context
ids = torch.randint(SMALL.vocabulary, (B, T))
weights_bytes = sum(p.nbytes for p in model.parameters())

line, ends = memory.Timeline(), []
with line:
    for step in range(2):
        _, loss = model(ids, ids)
        ends.append(len(line.bytes))
        loss.backward()
        ends.append(len(line.bytes))
        del loss
        optimizer.step()
        optimizer.zero_grad()
        ends.append(len(line.bytes))

in_use = (np.array([0, *line.bytes]) + weights_bytes) / MIB
fig, ax = plt.subplots(figsize=(9, 3.4), layout="constrained")
start = 0
for n, end in enumerate(ends):
    name, colour = (("forward", BLUE), ("backward", ORANGE), ("AdamW", GREEN))[n % 3]
    ax.fill_between(range(start, end + 1), in_use[start : end + 1], color=colour, alpha=0.45, label=name if n < 3 else None)
    start = end
ax.axhline(weights_bytes / MIB, color="gray", linestyle="--", label="the weights alone")
ax.set(xlabel="operation, over two training steps", ylabel="memory of tensors (MiB)")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()
print(f"weights {weights_bytes / MIB:.1f} MiB, peak {in_use.max():.1f} MiB: {in_use.max() * MIB / weights_bytes:.0f} times as much")

# %% [markdown]
# **When is the peak, and what has piled up by then? How much higher does the second step begin than the first, and why?**
# All of this can be known before the model exists. Every number in this lab comes twice: once from a formula of yours,
# once from the machine.
#
# Letters: `B` batch, `T` positions, `C` width, `H` heads, `D = C / H`, `V` vocabulary, `L` layers.

# %% [markdown]
# ## Step 1. Parameters
#
# Five numbers fix a model of GPT-2's architecture: vocabulary, context, width, heads, layers. Go through it as data does.
#
# - Two tables: one row of `C` for each token, one for each position.
# - In each block, attention has four maps from `C` to `C`, with biases. The feed-forward network has one from `C` to `4C`
#   and one back, with biases. Two norms have a gain and a shift each, of `C` numbers.
# - After the last block, one more norm. Then the head, from `C` to `V`, without a bias. In GPT-2 the head is *tied*: its
#   matrix is the token table itself, so it adds nothing. In Llama 2 it is a matrix of its own.
#
# The number of heads does not appear: heads only cut the width into slices.

# %% nbgrader={"grade_id": "parameter_counts", "solution": true}
def parameter_counts(sizes: Sizes, tied: bool = True) -> dict[str, int]:
    """How many parameters each part of a GPT-2 has, all layers together.

    sizes: .vocabulary, .context, .width, .heads, .layers. tied: the head is the token table again.
    Returns {"token embedding", "position embedding", "attention", "feed-forward", "norms", "head"}.

    >>> parameter_counts(Sizes(vocabulary=10, context=4, width=2, heads=1, layers=1))
    {'token embedding': 20, 'position embedding': 8, 'attention': 24, 'feed-forward': 42, 'norms': 12, 'head': 0}
    """
    ### BEGIN SOLUTION
    C, L, V = sizes.width, sizes.layers, sizes.vocabulary
    return {
        "token embedding": V * C,
        "position embedding": sizes.context * C,
        "attention": L * 4 * (C * C + C),
        "feed-forward": L * ((C * 4 * C + 4 * C) + (4 * C * C + C)),
        "norms": (2 * L + 1) * 2 * C,
        "head": 0 if tied else V * C,
    }
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_parameter_counts", "grade": true}
check("ch04/lab06/parameter_counts", parameter_counts)

# %% [markdown]
# **Look at it.** GPT-2's four sizes, and the small model that comes with the course. Your count against the model's own:
# PyTorch builds it on the device `meta`, where tensors have shapes and no memory.

# %% tags=["given"]
counted = earlier(
    "ch04/lab06/parameter_counts",
    parameter_counts,
    lambda sizes, tied=True: course.parameters(replace(course.of_gpt(sizes), tied=tied)),
)

# %% tags=["look"]
family = {
    "gpt2-bytes": Sizes(256, 128, 128, 4, 4),
    "small": Sizes(),
    "medium": Sizes(width=1024, heads=16, layers=24),
    "large": Sizes(width=1280, heads=20, layers=36),
    "xl": Sizes(width=1600, heads=25, layers=48),
}
fig, ax = plt.subplots(figsize=(8.5, 3), layout="constrained")
for row, (name, sizes) in enumerate(family.items()):
    parts = counted(sizes)
    total = sum(parts.values())
    with torch.device("meta"):
        real = sum(p.numel() for p in GPT(sizes).parameters())
    print(f"{name:<12}{total:>15,} counted, {real:>15,} in the model")
    left = 0
    for n, (part, count) in enumerate(parts.items()):
        if part != "head":
            ax.barh(row, 100 * count / total, left=left, color=PALETTE[n], height=0.7, label=part if row == 0 else None)
        left += 100 * count / total
ax.set_yticks(range(len(family)), family)
ax.set(xlabel="share of the parameters (%)", xlim=(0, 100))
ax.invert_yaxis()
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# **How does the share of the tables change with size, and that of the norms?** From medium on, twelve times $L C^2$ is a
# good guess of the total: four $C^2$ for attention and eight for the feed-forward network, in each layer.

# %% [markdown]
# ## Step 2. FLOPs
#
# A FLOP is one addition or multiplication. A matrix product `(m, k) @ (k, n)` needs, for each of its `m * n` results, `k`
# multiplications and about as many additions:
#
# $$(m, k)\; @\; (k, n): \quad 2 \cdot m \cdot k \cdot n \ \text{FLOPs}$$
#
# So a weight matrix costs 2 FLOPs for each of its entries and each token. What is not a matrix product (softmax, norms,
# GELU, biases) is small beside it and left out. An embedding is a lookup and costs nothing. But two products have no
# weights at all, and grow with the *square* of the length:
#
# - scores, for each head: `(T, D) @ (D, T)`; blend, for each head: `(T, T) @ (T, D)`.
#
# Count the whole square, though half of it is masked: plain matrix products compute it all. (Fused kernels skip most of
# the masked half.) And count the head: tied or not, `(T, C) @ (C, V)` has to be computed.

# %% nbgrader={"grade_id": "forward_flops", "solution": true}
def forward_flops(sizes: Sizes, B: int, T: int) -> dict[str, int]:
    """FLOPs of one forward pass over B sequences of T tokens, by part, all layers together.

    T: at most sizes.context, which does not matter otherwise.
    Returns {"projections", "scores and blend", "feed-forward", "head"}.

    >>> forward_flops(Sizes(vocabulary=10, context=4, width=2, heads=1, layers=1), B=1, T=3)
    {'projections': 96, 'scores and blend': 72, 'feed-forward': 192, 'head': 120}
    """
    ### BEGIN SOLUTION
    C, L, tokens = sizes.width, sizes.layers, B * T
    return {
        "projections": 2 * tokens * 4 * C * C * L,
        "scores and blend": 2 * (2 * B * T * T * C) * L,  # H heads of width D: together C
        "feed-forward": 2 * tokens * 8 * C * C * L,
        "head": 2 * tokens * C * sizes.vocabulary,
    }
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_forward_flops", "grade": true}
check("ch04/lab06/forward_flops", forward_flops)

# %% [markdown]
# **Look at it.** PyTorch has a counter that looks at every product while the model runs. Yours against it, on the model of
# the beginning: forward, and forward with backward.

# %% tags=["given"]
flops = earlier("ch04/lab06/forward_flops", forward_flops, lambda sizes, B, T: course.forward_flops(course.of_gpt(sizes), B, T))

# %% tags=["look"]
def counter(run):
    """FLOPs that PyTorch counts while run() runs."""
    with FlopCounterMode(display=False) as seen:
        run()
    return seen.get_total_flops()


parts = flops(SMALL, B, T)
yours = sum(parts.values())
by_default = counter(lambda: model(ids, ids))
with sdpa_kernel(SDPBackend.MATH):  # attention as plain products
    plain = counter(lambda: model(ids, ids))
    step = counter(lambda: model(ids, ids)[1].backward())
model.zero_grad()
print(f"your count                        {yours:>15,}")
print(f"counter, attention in products    {plain:>15,}")
print(f"counter, attention as it runs     {by_default:>15,}   misses {plain - by_default:,}")
print(f"your scores and blend             {parts['scores and blend']:>15,}")
print(f"forward and backward              {step:>15,}   {step / plain:.3f} times forward")

# %% [markdown]
# **What does the counter not see when attention runs as one fused kernel on a CPU?** Instruments have blind spots, and a
# formula of your own finds them.
#
# And the last line: the backward pass costs twice the forward pass. Each product $Z = XW$ needs two on its way back, one
# for the gradient of $X$ and one for that of $W$ (lab 4.5). So a training step is three forward passes: 6 FLOPs for each
# weight and token, the famous $6ND$, for $N$ parameters and $D$ tokens [@kaplan2020]. How good is that rule? It counts
# position tables, which cost nothing, and leaves out the squares.

# %% tags=["look"]
shapes = [(64, 2), (128, 4), (256, 6), (512, 8), (768, 12), (1024, 24), (1600, 48), (4096, 32), (12288, 96)]
fig, axes = plt.subplots(1, 2, figsize=(10.5, 3.4), layout="constrained")
for V, tied, label, look, colour in (
    (50257, True, "V = 50,257, tied", "o-", BLUE),
    (50257, False, "V = 50,257, not tied", "s--", ORANGE),
    (256, True, "bytes, V = 256", "^:", RED),
):
    n, ratio = [], []
    for width, layers in shapes:
        sizes = Sizes(V, 1024, width, width // 64, layers)
        n.append(sum(counted(sizes, tied).values()))
        ratio.append(6 * n[-1] * 1024 / (3 * sum(flops(sizes, 1, 1024).values())))
    axes[0].plot(n, ratio, look, color=colour, label=label)
axes[0].axhline(1, color="gray", linewidth=0.8)
axes[0].set(xlabel="parameters N", ylabel="6ND / counted FLOPs", xscale="log", title="the rule, at T = 1024", ylim=(0, 2))
axes[0].legend(fontsize=9)
lengths = 2 ** np.linspace(7, 14, 40)
split = {part: np.array([flops(Sizes(), 1, round(t))[part] / round(t) for t in lengths]) / 1e6 for part in parts}
axes[1].stackplot(lengths, split.values(), labels=split, colors=[SKY, RED, GREEN, ORANGE], alpha=0.75)
axes[1].plot(lengths, np.full(len(lengths), 2 * sum(counted(Sizes()).values()) / 1e6), "--", color="gray", label="2N")
axes[1].set(xlabel="length T (tokens)", ylabel="forward (MFLOPs a token)", title="GPT-2 small", xlim=(lengths[0], lengths[-1]))
axes[1].set_xscale("log", base=2)
axes[1].set_xticks(2 ** np.arange(7, 15), [f"{t:,}" for t in 2 ** np.arange(7, 15)], fontsize=8)
axes[1].legend(fontsize=9, loc="upper left")
plt.show()

# %% [markdown]
# **For which models is the rule off by a factor of two, and in which direction?** Small models with long contexts cost
# more than $6ND$; small models with a large untied vocabulary cost less, since half of their tables is only looked up.
# **On the right, up to which length is $2N$ a fair guess of a forward pass, and where do the squares become the larger
# half?**
#
# How long is a long text? That depends on the width. One block, by your count, in multiply-adds (two FLOPs each): the
# products over pairs of tokens, and all the rest. The widths are those of GPT-2's smallest and largest model, and of two
# of GPT-3.

# %% tags=["look"]
LENGTHS = [round(2 ** (n / 8)) for n in range(56, 161)]  # from 128 to a million


def block_cost(width, tokens):
    """Multiply-adds of one block on so many tokens: over pairs of them, and the rest."""
    of = flops(Sizes(256, tokens, width, 1, 1), 1, tokens)
    return of["scores and blend"] // 2, (of["projections"] + of["feed-forward"]) // 2


def draw(width=768, tokens=1024):
    pairs, rest = zip(*[block_cost(width, n) for n in LENGTHS])
    here = block_cost(width, tokens)
    fig, ax = plt.subplots(figsize=(6.5, 3.4), layout="constrained")
    ax.loglog(LENGTHS, pairs, color=BLUE, label="pairs: scores and blend")
    ax.loglog(LENGTHS, rest, "--", color=ORANGE, label="the rest")
    ax.plot([tokens] * 2, here, "ko")
    ax.axvline(tokens, color="gray", linewidth=0.8)
    ax.set(xlabel="tokens", ylabel="multiply-adds of a block", ylim=(1e7, 1e17))
    ax.set_title(f"width {width}, {tokens:,} tokens: {here[0] / sum(here):.1%} for the pairs")
    ax.legend(loc="upper left")
    return fig


move(draw, width=[768, 1600, 4096, 12288], tokens=LENGTHS, card="long_context_cost",
     alt="multiply-adds against the number of tokens: a steep line for the pairs, a flatter one for the rest")

# %% [markdown]
# **At how many tokens do the lines cross for width 768, and for 4096?** $2T^2C$ and $12TC^2$ are equal at $T = 6C$: a wider
# model notices its length later.
#
# FLOPs by themselves say nothing about time. Measure both: the model's steps, and the fastest this machine can multiply.
# Their ratio is the *model FLOPs utilization*, MFU [@chowdhery2022].

# %% tags=["look"]
def one_step():
    model(ids, ids)[1].backward()
    optimizer.step()
    optimizer.zero_grad()


a = torch.randn(1024, 1024)
peak = 2 * 1024**3 / seconds(lambda: a @ a, repeats=7)
took = seconds(one_step, repeats=7)
achieved = 3 * yours / took
print(f"a product of two 1024 x 1024 matrices runs at {peak / 1e9:,.0f} GFLOP/s")
print(f"a training step of {3 * yours / 1e9:.1f} GFLOPs takes {took * 1e3:.0f} ms: {achieved / 1e9:,.0f} GFLOP/s, MFU {achieved / peak:.0%}")
gpt2_tokens = achieved / (3 * sum(flops(Sizes(), 1, 1024).values()) / 1024)
print(f"at that rate, GPT-2 small would train on {gpt2_tokens:,.0f} tokens a second, and on a billion in {1e9 / gpt2_tokens / 86400:,.0f} days")

# %% [markdown]
# **Where does the rest of the time go?** To what is no product: softmax, GELU, norms, the optimizer. They need few FLOPs
# and much memory traffic. PaLM's authors report an MFU of 46% on thousands of accelerators [@chowdhery2022].

# %% [markdown]
# ## Step 3. What autograd keeps
#
# The mountain of the beginning is made of *activations*: results of the forward pass that some backward rule needs.
# Which ones? Each rule of lab 4.5 tells: a product keeps both factors, softmax its output, GELU its input, an addition
# nothing. PyTorch lets you watch: `torch.autograd.graph.saved_tensors_hooks(pack, unpack)` is a context in which `pack`
# is called with every tensor that is saved, and must return it.
#
# Write an instrument with it. Three traps:
#
# - One memory may be saved many times: queries, keys and values are three products with the same input. It counts once.
# - Tensors are *views* of memory. `W.T` is another tensor than `W`, in the same memory; ten numbers cut out of a million
#   keep the million alive. What counts is the memory behind a tensor: `x.untyped_storage()` has a `data_ptr()`, its
#   address, and `nbytes()`.
# - The weights are saved too. They are there anyway: leave out the memory of `parameters`.

# %% nbgrader={"grade_id": "saved_bytes", "solution": true}
def saved_bytes(run: Callable[[], torch.Tensor], parameters: Iterable[torch.Tensor]) -> int:
    """Bytes of memory that autograd keeps for the backward pass of what run() computes.

    run: a forward pass, without arguments, to be called once. parameters: tensors whose memory does not count.
    Inputs of the forward pass count, if they are saved.

    >>> x = torch.ones(10, requires_grad=True)              # 40 bytes
    >>> saved_bytes(lambda: x * x, [])                      # saves x twice
    40
    >>> saved_bytes(lambda: x.exp() + x, [])                # saves the result of exp
    40
    """
    ### BEGIN SOLUTION
    weights = {p.untyped_storage().data_ptr() for p in parameters}
    kept = {}

    def pack(x):
        storage = x.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        out = run()  # held, so that no memory is given back and used again under the same address
    return sum(kept.values())
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_saved_bytes", "grade": true}
check("ch04/lab06/saved_bytes", saved_bytes)

# %% [markdown]
# **Look at it.** One block of GPT-2's architecture. Left: which tensors it keeps, in numbers a token, as multiples of the
# width. Right: what your instrument measures as the sequence grows, with fused attention and with attention in plain
# products.

# %% tags=["given"]
measured_bytes = earlier("ch04/lab06/saved_bytes", saved_bytes, memory.saved_bytes)

# %% tags=["look"]
kept_by = {
    "norm 1: its input": 1,
    "q, k, v maps: their input": 1,
    "attention: q, k, v": 3,
    "attention: its output": 1,
    "norm 2: its input": 1,
    "W_in: its input": 1,
    "GELU: its input": 4,
    "W_out: its input": 4,
}
C, H = 128, 4
block, lengths = Block(C, H), np.array([32, 64, 128, 256, 512])
results = {}
for name, backend in (("fused", SDPBackend.FLASH_ATTENTION), ("products", SDPBackend.MATH)):
    with sdpa_kernel(backend):
        results[name] = []
        for t in lengths.tolist():
            x = torch.randn(2, t, C, requires_grad=True)
            results[name].append(measured_bytes(lambda: block(x), block.parameters()) / (4 * 2 * t * C))

fig, axes = plt.subplots(1, 2, figsize=(10.5, 3.6), layout="constrained")
left = axes[0].barh(range(8), list(kept_by.values()), color=[SKY] * 2 + [RED] * 2 + [SKY, GREEN, GREEN, GREEN])
axes[0].set_yticks(range(8), list(kept_by))
axes[0].invert_yaxis()
axes[0].set(xlabel="numbers kept for each token (multiples of C)", title=f"together {sum(kept_by.values())} C")
axes[1].plot(lengths, results["fused"], "o-", color=BLUE, label="fused attention, measured")
axes[1].plot(lengths, results["products"], "s-", color=RED, label="attention in products, measured")
axes[1].axhline(sum(kept_by.values()), color="gray", linestyle="--", label="16 C")
axes[1].plot(lengths, 16 + H * lengths / C, ":", color="gray", label="16 C + H T")
axes[1].set(xlabel="length T (tokens)", ylabel="numbers kept a token (multiples of C)", ylim=(0, None))
axes[1].legend(fontsize=9)
plt.show()

# %% [markdown]
# **Why does the red line rise?** Plain products keep the weights, `(H, T, T)` numbers a sequence: $H T$ for each token.
# The fused kernel keeps one number a row instead and computes the weights again on the way back [@dao2022]. The 16 C are
# 32 C bytes in 16 bits; with dropout's masks, 34 [@korthikanti2023].
#
# On top of the blocks comes the loss: the log-probabilities, `V` numbers a token. For GPT-2 small that is 50,257 against
# $12 \cdot 16 \cdot 768$: read the two numbers off below.

# %% tags=["look"]
for name, sizes, b, t in (("the small model", SMALL, B, T), ("GPT-2 small", Sizes(), 1, 64)):
    net = model if sizes is SMALL else GPT(sizes)
    tokens = torch.randint(sizes.vocabulary, (b, t))
    measured = measured_bytes(lambda: net(tokens, tokens)[1], net.parameters()) / (4 * b * t)
    blocks, loss_part = 16 * sizes.width * sizes.layers, sizes.vocabulary
    print(f"{name:<18}blocks {blocks:>9,} + loss {loss_part:>7,} = {blocks + loss_part:>9,} numbers a token; measured {measured:>11,.0f}")
del net

# %% [markdown]
# **By how many percent is the short formula off?** What it leaves out are a few numbers a row for each norm and each head,
# the last norm and the ids.

# %% [markdown]
# ## Step 4. A budget with factors of two
#
# Now put it together. Training with AdamW in float32 holds, for each parameter, 4 bytes of weight, 4 of gradient, and 4
# for each of the two moments: 16 in all, whatever the batch. In mixed precision it is 16 as well: 2 and 2 in bfloat16, and
# a float32 copy of the weight beside the moments [@rajbhandari2020]. Activations come on top. When the model generates, it
# keeps keys and values of every position in every layer: the *KV cache*.
#
# A colleague has written a budget. It looks plausible, and the numbers have the right size. Four of its lines are wrong.
# Do not mend it yet.

# %% tags=["given"]
def suspect_budget(sizes, B, T):
    """What a GPT-2 of these sizes costs, with a tied head and fused attention. Something is wrong.

    Returns {"training memory": bytes of weights, gradients, AdamW and activations, all in float32,
             "FLOPs of a step": forward and backward over (B, T) tokens,
             "cache": bytes of keys and values of (B, T) positions in bfloat16}.
    """
    C, L, V = sizes.width, sizes.layers, sizes.vocabulary
    n = sum(counted(sizes).values())
    state = 4 * n + 4 * n + 4 * n  # weights, gradients, AdamW
    activations = 4 * B * T * (16 * C * L + V)  # the blocks, and the loss
    forward = flops(sizes, B, T)
    products = forward["projections"] + forward["scores and blend"] + forward["feed-forward"]  # the head is tied
    step = products + products  # forward, and the same way back
    cache = 2 * B * T * C * L  # two bytes a number
    return {"training memory": state + activations, "FLOPs of a step": step, "cache": cache}


# %% [markdown]
# Hold it against the machine: a model that has trained a step, its gradients and its optimizer's state; what autograd
# keeps; the counter; and the keys and values of real blocks.

# %% tags=["look"]
def measured_budget(sizes, b, t):
    """The same three numbers, measured."""
    net = GPT(sizes)
    adamw, tokens = torch.optim.AdamW(net.parameters()), torch.randint(sizes.vocabulary, (b, t))
    with sdpa_kernel(SDPBackend.MATH):
        work = counter(lambda: net(tokens, tokens)[1].backward())
    adamw.step()
    held = [*net.parameters(), *(p.grad for p in net.parameters())]
    held += [x for state in adamw.state.values() for name, x in state.items() if name != "step"]
    kept = measured_bytes(lambda: net(tokens, tokens)[1], net.parameters())
    layer = Block(sizes.width, sizes.heads).bfloat16()
    _, keys, values = layer.attention.W_qkv(torch.randn(b, t, sizes.width).bfloat16()).chunk(3, dim=-1)
    return {
        "training memory": sum(x.nbytes for x in held) + kept,
        "FLOPs of a step": work,
        "cache": sizes.layers * (keys.nbytes + values.nbytes),
    }


trials = {"small, B = 16, T = 128": (SMALL, 16, 128), "small, B = 1, T = 8": (SMALL, 1, 8), "wide, few tokens": (Sizes(4096, 64, 192, 3, 2), 2, 32)}
print(f"{'':<26}{'estimate / measured':>24}")
for name, trial in trials.items():
    real, estimate = measured_budget(*trial), suspect_budget(*trial)
    print(f"{name:<26}" + "".join(f"{key:>18} {estimate[key] / real[key]:.3f}" for key in real))

# %% [markdown]
# **Which of the three ratios are the same in every row, and which change?** A ratio that is always the same is a wrong
# factor. One that changes with the sizes is a wrong or missing *term*, and the sizes tell which. Memory has one error,
# FLOPs two, the cache one. Write the budget as it should be.

# %% nbgrader={"grade_id": "repaired_budget", "solution": true}
def repaired_budget(sizes: Sizes, B: int, T: int) -> dict[str, int]:
    """suspect_budget with its four wrong lines put right: the same three numbers, all of them whole.

    >>> repaired_budget(Sizes(vocabulary=10, context=4, width=2, heads=1, layers=1), B=1, T=3)
    {'training memory': 2200, 'FLOPs of a step': 1440, 'cache': 24}
    """
    ### BEGIN SOLUTION
    C, L, V = sizes.width, sizes.layers, sizes.vocabulary
    n = sum(counted(sizes).values())
    state = 4 * n + 4 * n + 8 * n  # AdamW keeps two moments
    activations = 4 * B * T * (16 * C * L + V)
    forward = flops(sizes, B, T)
    products = sum(forward.values())  # a tied head has no weights of its own, and its product all the same
    step = products + 2 * products  # a gradient for each factor of each product
    cache = 2 * (2 * B * T * C * L)  # keys and values
    return {"training memory": state + activations, "FLOPs of a step": step, "cache": cache}
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_repaired_budget", "grade": true}
check("ch04/lab06/repaired_budget", repaired_budget)

# %% [markdown]
# **Look at it.** The repaired budget against the machine, in the same trials. Then, if this machine has a GPU, against its
# allocator: the peak over a whole step.

# %% tags=["look"]
def course_budget(sizes, b, t):
    shape = course.of_gpt(sizes)
    state, kept = course.state_bytes(shape, course.FP32), course.activation_bytes(shape, b, t, element=4)
    return {
        "training memory": sum(state.values()) + sum(kept.values()),
        "FLOPs of a step": course.training_flops(shape, b, t),
        "cache": course.cache_bytes(shape, b, t),
    }


budget = earlier("ch04/lab06/repaired_budget", repaired_budget, course_budget)
print(f"{'':<26}{'estimate / measured':>24}")
for name, trial in trials.items():
    real, estimate = measured_budget(*trial), budget(*trial)
    print(f"{name:<26}" + "".join(f"{key:>18} {estimate[key] / real[key]:.3f}" for key in real))

on_gpu = torch.cuda.is_available()
if on_gpu:
    net, tokens = GPT(SMALL).cuda(), ids.cuda()
    adamw = torch.optim.AdamW(net.parameters())
    for _ in range(2):
        net(tokens, tokens)[1].backward()
        adamw.step()
        adamw.zero_grad()
        torch.cuda.reset_peak_memory_stats()
    net(tokens, tokens)[1].backward()
    peak_bytes = torch.cuda.max_memory_allocated()
else:
    print("No GPU here: the peak is that of the tensors, from the beginning of this lab.")
    peak_bytes = in_use.max() * MIB
print(f"budget of the small model {budget(SMALL, B, T)['training memory'] / MIB:.1f} MiB, peak of a step {peak_bytes / MIB:.1f} MiB")

# %% [markdown]
# **The peak of a step is not the budget. What does the sum count that is never there at the same time, and what does it
# leave out?** Gradients come as activations go. And at the top of the backward pass, the gradient of the logits lies beside
# the log-probabilities, `V` numbers a token once more, and on some devices a copy in between.
#
# One more table, for the feel of it: your budget of GPT-2's family for a batch of 8 sequences of 1,024 tokens.

# %% tags=["look"]
print(f"{'':<12}{'state':>10}{'activations':>14}{'cache, 1 text':>16}{'FLOPs a step':>16}")
for name, sizes in list(family.items())[1:]:
    b, t = 8, 1024
    state = 16 * sum(counted(sizes).values())
    whole = budget(sizes, b, t)
    print(f"{name:<12}{state / 2**30:>6.1f} GiB{(whole['training memory'] - state) / 2**30:>10.1f} GiB"
          f"{budget(sizes, 1, t)['cache'] / MIB:>12.0f} MiB{whole['FLOPs of a step'] / 1e12:>9.1f} TFLOPs")

# %% [markdown]
# **Which column would you attack first, and with what?** Smaller batches and gradient accumulation shrink the activations,
# and so does recomputing them [@chen2016]; 16-bit numbers halve them. The state needs other means: sharding it over
# devices [@rajbhandari2020] is Chapter 11's.

# %% [markdown]
# ## What you built
#
# - Exact counts of a decoder's parameters and FLOPs, and the knowledge of where $6ND$ fails.
# - An instrument for what autograd keeps: 16 numbers of width `C` for each token and layer, `V` for the loss.
# - A budget that agrees with the machine, and a way to find wrong factors by ratios. Lab 4.7 spends such budgets; Chapter 8
#   meets the cache again.
#
# ## Going further
#
# - The papers: [@kaplan2020], table 1, counts as you did; [@korthikanti2023], section 4, lists what a layer keeps;
#   [@chowdhery2022], appendix B, defines MFU with the squares included.
# - Production code: `torch/utils/flop_counter.py` has one function for each operator: find what it says a fused backward
#   pass costs, and why that is more than twice the forward pass. nanoGPT's `transformer_sizing.ipynb` is this lab's cousin.
# - An extension: wrap each block in `torch.utils.checkpoint.checkpoint(block, x, mask, use_reentrant=False)`. What does
#   `saved_bytes` say now, what does the counter say, and what does the clock? The saved bytes fall to one vector a token
#   and layer; the counter rises by almost a third.
