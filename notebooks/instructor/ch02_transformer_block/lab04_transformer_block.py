# ---
# jupyter:
#   course:
#     title: Transformer Block
#     level: intermediate
#     minutes: 75
#     hardware: cpu
#     builds: "The whole block, pre-norm and post-norm: attention and a feed-forward network around one stream, with GPT-2's own weight layout."
#     goals:
#     - Wire residual connections and norms in both orders, and carry a mask through a block
#     - Load GPT-2's weights into a block of your own, and know which mistake no error message finds
#     - Measure how gradients travel through a deep stack, and say why the order of norm and addition matters
#     - Write tests of properties that find a leak in a block that you cannot look into
#     needs:
#     - "[The Transformer Block](../../../book/ch02_transformer_block/transformer_block.md)"
#     - Lab 1.3, Multi-Head Attention
#     - Labs 2.1 and 2.3, Layer Normalization and Feed-Forward Network
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
from torch import nn

from autograder import check, earlier
from source.attention import inspection
from source.attention.against_torch import max_error
from source.blocks import assembled as course
from source.blocks import feed_forward
from source.blocks.gpt2_block import FeedForward, causal_mask, to_gpt2
from source.corpus import shakespeare
from source.models.gpt import shipped
from source.plots import BLUE, GREEN, ORANGE, RED, heatmap
from source.sliders import move

# %% tags=["given"]
# Your class from lab 1.3 belongs here: paste it over the next line, with the functions that it calls.
# Until you do, the course's own stands in for it.
from source.attention.multi_head import MultiHeadAttention

# %% [markdown]
# ## A question first
#
# The course ships a small model of GPT-2's architecture (`data/checkpoints/gpt2-bytes`): four blocks, width 128,
# trained on Shakespeare, one byte at a time. A block computes $x + \text{something}$. So there are two ways to damage
# one:
#
# - take out the *something*: the block hands on its input, as if it were not there;
# - take out the *plain copy of x*: the block hands on only what it computed itself.
#
# The first removes the weights of a whole block. The second removes one addition, and not a single weight. Which does
# more harm?

# %% tags=["look"]
torch.set_num_threads(1)  # tensors this small: a second thread waits more than it works
model = shipped().requires_grad_(False)
T = model.sizes.context
held_out = torch.tensor(list(shakespeare("validation").encode()[: 32 * (T + 1)])).view(32, T + 1)
ids, targets = held_out[:, :-1], held_out[:, 1:]  # both (B, T) = (32, 128)
causal = causal_mask(T)

# %% tags=["look"]
def loss_with(damage=None, where=None):
    """The model's loss on held-out text, in nats a byte, with one block damaged."""
    x = model.stream(ids)[0]
    for layer, block in enumerate(model.blocks):
        out = block(x, causal)
        if layer == where:
            out = {"block": x, "copy": out - x}[damage]
        x = out
    return F.cross_entropy(model.read(x).flatten(0, 1), targets.flatten()).item()


layers = np.arange(len(model.blocks))
fig, ax = plt.subplots(figsize=(6.5, 3.2))
for shift, damage, label, hatch in ((-0.19, "block", "without the block", ""), (0.19, "copy", "without the copy of x", "//")):
    ax.bar(layers + shift, [loss_with(damage, layer) for layer in layers], 0.36, label=label, hatch=hatch)
ax.axhline(loss_with(), color="gray", linestyle="--", label="the model as it is")
ax.axhline(np.log(256), color="gray", linestyle=":", label="guessing evenly")
ax.set(xlabel="damaged block", ylabel="loss (nats a byte)", xticks=layers)
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# **Which damage is worse from block 1 on, and what is different about block 0?** The copy carries everything that was
# written so far, and a later block adds its part to it. Block 0 is special: behind the copy there is only the embedding,
# and step 3 shows how small that is beside what block 0 writes. The running sum is called the *residual stream*. In this
# lab you build what reads from it and writes to it.
#
# Letters: `B` batch, `T` positions, `C` model width, `H` heads, `L` layers.

# %% [markdown]
# ## Step 1. One residual connection
#
# A block has two *sublayers*, attention and a feed-forward network. Each is wrapped in the same way: a norm, and an
# addition. There are two orders:
#
# $$\text{pre-norm:}\quad x + \text{sublayer}(\text{norm}(x)) \qquad\qquad
# \text{post-norm:}\quad \text{norm}(x + \text{sublayer}(x))$$
#
# The first transformer is post-norm [@vaswani2017]; GPT-2 and almost everything since is pre-norm [@radford2019]. Mind
# what goes around the sublayer. In pre-norm it is the *raw* `x`, and nothing ever touches the sum itself. All shapes
# stay `(B, T, C)`.

# %% nbgrader={"grade_id": "residual", "solution": true}
def residual(x: torch.Tensor, sublayer, norm, norm_first: bool) -> torch.Tensor:
    """Add what a sublayer computes to x, with the norm before the sublayer or after the addition.

    x: (B, T, C). sublayer, norm: functions (B, T, C) -> (B, T, C). norm_first: True for pre-norm. Returns (B, T, C).

    >>> x = torch.tensor([[[4.0]]])
    >>> residual(x, lambda a: a + 1, lambda a: a / 2, norm_first=True)      # 4 + (4 / 2 + 1)
    tensor([[[7.]]])
    >>> residual(x, lambda a: a + 1, lambda a: a / 2, norm_first=False)     # (4 + (4 + 1)) / 2
    tensor([[[4.5000]]])
    """
    ### BEGIN SOLUTION
    if norm_first:
        return x + sublayer(norm(x))
    return norm(x + sublayer(x))
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_residual", "grade": true}
check("ch02/lab04/residual", residual)

# %% [markdown]
# **Look at it.** A stack of 24 sublayers, each a small random network. How much of the input is still to be seen in the
# output? Measured by the cosine of the angle between the two: 1 is the same direction, 0 is nothing in common.

# %% tags=["given"]
wire = earlier("ch02/lab04/residual", residual, course.residual)

# %% tags=["look"]
torch.manual_seed(0)
C, DEPTH = 128, 24
sublayers = [nn.Sequential(nn.Linear(C, C), nn.Tanh()) for _ in range(DEPTH)]
norm = nn.LayerNorm(C)
ways = {
    "no residual": lambda x, f: f(norm(x)),
    "pre-norm": lambda x, f: wire(x, f, norm, True),
    "post-norm": lambda x, f: wire(x, f, norm, False),
}
fig, ax = plt.subplots(figsize=(6.5, 3.2))
with torch.no_grad():
    for (label, step), line in zip(ways.items(), (":", "-", "--")):
        x = start = torch.randn(1, 64, C)
        kept = [1.0]
        for f in sublayers:
            x = step(x, f)
            kept.append(F.cosine_similarity(x, start, dim=-1).mean().item())
        ax.plot(kept, line, label=label)
ax.set(xlabel="sublayers passed", ylabel="cosine with the input", ylim=(-0.1, 1.05))
ax.legend()
plt.show()

# %% [markdown]
# **After how many sublayers is the input lost without the copy?** Both orders keep it in view far deeper. Do they
# differ from each other? Not yet by much: step 4 finds where they do.

# %% [markdown]
# ## Step 2. The block
#
# Now put it together. Attention first, then the feed-forward network, each with a norm *of its own* and a residual
# connection of its own:
#
# $$a = x + \text{attention}(\text{norm}_1(x)) \qquad \text{out} = a + \text{feed-forward}(\text{norm}_2(a))$$
#
# and with post-norm accordingly. What you have:
#
# - `MultiHeadAttention(width, heads)` from lab 1.3. It is called with `x` and `mask`, and returns *two* things.
# - `FeedForward(width)`: two linear maps `W_in` and `W_out` with a GELU between, four times as wide inside. It works on
#   every position by itself.
# - `nn.LayerNorm(width)`, which is your lab 2.1.
# - `wire`, your function of step 1, with a sublayer that is any function of one argument.
#
# The mask is the block's only knowledge about the text around it: `True` = may be seen, and it broadcasts to
# `(B, H, T, T)`. Causal is `(T, T)`, padded keys `(B, 1, 1, T)`, both at once `(B, 1, T, T)`. Without a mask, all see
# all.

# %% nbgrader={"grade_id": "block", "solution": true}
class Block(nn.Module):
    """A transformer block: attention and a feed-forward network around one stream.

    width: C. heads: H, divides C. norm_first: True for pre-norm, False for post-norm. Its parts are named norm1,
    attention, norm2 and feed_forward; their parameters keep their names (attention.W_q.weight, ...).

    >>> block = Block(8, 2)
    >>> for linear in (block.attention.W_o, block.feed_forward.W_out):      # let neither sublayer write anything
    ...     _ = nn.init.zeros_(linear.weight), nn.init.zeros_(linear.bias)
    >>> x = torch.randn(1, 3, 8)
    >>> torch.equal(block(x), x)                                            # the stream passes untouched
    True
    """

    def __init__(self, width: int, heads: int, norm_first: bool = True) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        self.norm_first = norm_first
        self.norm1 = nn.LayerNorm(width)
        self.attention = MultiHeadAttention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width)
        ### END SOLUTION

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """x: (B, T, C). mask: bool, broadcasts to (B, H, T, T), True = may be seen. Returns (B, T, C)."""
        ### BEGIN SOLUTION
        a = wire(x, lambda h: self.attention(h, mask=mask)[0], self.norm1, self.norm_first)  # (B, T, C)
        return wire(a, self.feed_forward, self.norm2, self.norm_first)  # (B, T, C)
        ### END SOLUTION


# %% nbgrader={"grade_id": "check_block", "grade": true}
check("ch02/lab04/block", Block)

# %% [markdown]
# **Look at it.** Which input position moves which output position? `influence` of lab 1.3 measures it, for the two
# sublayers alone and for the whole block, with random weights and a causal mask. A cross is an exact zero; the scale is
# logarithmic.

# %% tags=["look"]
TheBlock = earlier("ch02/lab04/block", Block, course.Block)

# %% tags=["look"]
torch.manual_seed(1)
block, small = TheBlock(32, 4), causal_mask(8)
x = torch.randn(8, 32)
views = {
    "attention alone": lambda a: course.updates(block, a[None], small)[0][0],
    "feed-forward alone": lambda a: block.feed_forward(a[None])[0],
    "the block": lambda a: block(a[None], small)[0],
}
places = [str(t) for t in range(8)]
fig, axes = plt.subplots(1, 3, figsize=(10, 3.3), layout="constrained")
for ax, (title, layer) in zip(axes, views.items()):
    seen = inspection.influence(layer, x).numpy()
    with np.errstate(divide="ignore"):
        logs = np.where(seen > 0, np.log10(seen), np.nan)
    image = heatmap(ax, logs, places, places, low=-2.5, high=1)
    ax.tick_params(axis="x", rotation=0)
    ax.set(title=title, xlabel="input position", ylabel="output position" if ax is axes[0] else "")
    for t, s in np.argwhere(seen == 0):
        ax.text(s, t, "×", ha="center", va="center", color="gray", fontsize=9)
fig.colorbar(image, ax=axes, label="log10 influence")
plt.show()

# %% [markdown]
# **Which of the two parts is the only one that moves information between positions?** Attention routes, the
# feed-forward network computes. And why is the block's diagonal so much stronger than the rest of the triangle? It
# holds the copy of $x$.
#
# The division of labour once more, with numbers that you can add up in your head: four positions, one number at each, and
# no copy. Attention lets the last position look at the first. The network has two hidden units with ReLU and computes the
# size of a number, without its sign.

# %% tags=["look"]
before = torch.tensor([[-3.0], [1.0], [2.0], [0.0]]).double()  # (T, C) with C = 1
sizes = feed_forward.FeedForward(1, 2, "relu", bias=False).double().requires_grad_(False)
sizes.W_in.weight.copy_(torch.tensor([[1.0], [-1.0]]))
sizes.W_out.weight.fill_(1.0)


def routed(share, attention, network):
    """The four numbers after attention and after the network; what is off hands on what it gets."""
    weights = torch.eye(4).double()
    if attention:
        weights[3] = torch.tensor([share, 0.0, 0.0, 1 - share])
    mixed = weights @ before
    return mixed[:, 0], (sizes(mixed) if network else mixed)[:, 0]


def draw(share=1.0, attention=True, feed_forward=False):
    rows = torch.stack([before[:, 0], *routed(share, attention, feed_forward)])
    fig, ax = plt.subplots(figsize=(6, 2.6), layout="constrained")
    heatmap(ax, rows.numpy(), ["before", "after attention", "after the network"], list("0123"), numbers=True, low=-3, high=3)
    ax.tick_params(axis="x", rotation=0)
    ax.set(xlabel="position", ylabel="")
    return fig


move(draw, share=(0.0, 1.0, 0.05), attention=bool, feed_forward=bool, card="attention_routes",
     alt="three rows of four numbers: before the block, after attention, after the feed-forward network")

# %% [markdown]
# **What does it take to make the last position end with 3, the size of the first one's number?** Attention blends 0 and −3
# and stays between them. The network sees the last position's own number and nothing else.

# %% [markdown]
# ## Step 3. GPT-2's weights
#
# Your block and Hugging Face's `GPT2Block` compute the same function. To show it, they need the same numbers. Here is
# what GPT-2 stores for one block, beside yours:

# %% tags=["look"]
theirs = to_gpt2(model.blocks[0].state_dict())
yours = TheBlock(model.sizes.width, model.sizes.heads).state_dict()
print(f"{'GPT-2':<22}{'':<14}your block")
for i in range(max(len(theirs), len(yours))):
    row = [f"{n:<22}{tuple(w.shape)!s:<14}" for n, w in list(theirs.items())[i : i + 1]] or [" " * 36]
    row += [f"{n:<32}{tuple(w.shape)}" for n, w in list(yours.items())[i : i + 1]]
    print("".join(row))

# %% [markdown]
# Three things differ.
#
# - *Names.* `ln_1` is `norm1`, `mlp.c_fc` is `feed_forward.W_in`, and so on; `c_proj` is the second matrix of each.
# - *Layout.* GPT-2 computes `x @ weight + bias` (the class is called `Conv1D`, for reasons of history), so a weight is
#   stored as `(inputs, outputs)`. `nn.Linear` computes `x @ weight.T + bias` and stores `(outputs, inputs)`.
# - *Packing.* `c_attn` holds queries, keys and values side by side: the first `C` output columns are the queries', the
#   next the keys', the last the values'.
#
# Two of the three raise an error if you forget them. Which matrix has a shape that fits both ways round? There lies the
# mistake that loads without a word.
#
# Files from the hub hold things that are no weights as well: the original GPT-2's has a triangle of ones named
# `attn.bias` in each block, an old causal mask. Leave out what your block has no place for.

# %% nbgrader={"grade_id": "block_state", "solution": true}
def block_state(gpt2: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights of one of GPT-2's blocks, named and laid out for Block: 16 tensors for load_state_dict.

    gpt2: at least the 12 tensors of the table above, under their names; more may be there.
    Returns a dict with the names of Block's parameters. C is any width.

    >>> state = block_state(theirs)
    >>> theirs["attn.c_attn.weight"][5, 128 + 7] == state["attention.W_k.weight"][7, 5]     # input 5, key output 7
    tensor(True)
    """
    ### BEGIN SOLUTION
    names = {"norm1": "ln_1", "attention.W_o": "attn.c_proj", "norm2": "ln_2"}
    names |= {"feed_forward.W_in": "mlp.c_fc", "feed_forward.W_out": "mlp.c_proj"}
    state = {}
    for ours, name in names.items():
        state[f"{ours}.weight"] = gpt2[f"{name}.weight"].T if ours[:4] != "norm" else gpt2[f"{name}.weight"]
        state[f"{ours}.bias"] = gpt2[f"{name}.bias"]
    weights = gpt2["attn.c_attn.weight"].chunk(3, dim=1)  # (C, 3C) -> three (C, C)
    biases = gpt2["attn.c_attn.bias"].chunk(3)  # (3C,) -> three (C,)
    for n, weight, bias in zip("qkv", weights, biases):
        state[f"attention.W_{n}.weight"] = weight.T
        state[f"attention.W_{n}.bias"] = bias
    return state
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_block_state", "grade": true}
check("ch02/lab04/block_state", block_state)

# %% [markdown]
# **Look at it.** Now your blocks run the trained model. Left: the size of the stream at each depth, and of what the two
# sublayers add to it, as the norm of a position's vector (mean over held-out text). Right: the stream read *early*. The
# last norm and the token embedding, which turn the final stream into a guess of the next byte, work on any depth of it;
# this is known as the logit lens [@nostalgebraist2020].

# %% tags=["look"]
translate = earlier("ch02/lab04/block_state", block_state, course.block_state)


def trained_blocks():
    """The shipped model's blocks, as Blocks of yours."""
    blocks = []
    for trained in model.blocks:
        block = TheBlock(model.sizes.width, model.sizes.heads)
        block.load_state_dict(translate(to_gpt2(trained.state_dict())))
        blocks.append(block.requires_grad_(False))
    return blocks


# %% tags=["look"]
def size(x):
    return x.norm(dim=-1).mean().item()  # (B, T, C) -> (B, T) -> a number


x = model.stream(ids)[0]
stream, moved, computed, losses = [size(x)], [], [], []
for block in trained_blocks():
    losses.append(F.cross_entropy(model.read(x).flatten(0, 1), targets.flatten()).item())
    attention, feed_forward = course.updates(block, x, causal)  # what each sublayer adds
    x = x + attention + feed_forward
    moved.append(size(attention))
    computed.append(size(feed_forward))
    stream.append(size(x))
losses.append(F.cross_entropy(model.read(x).flatten(0, 1), targets.flatten()).item())
print(f"largest difference to the model's own logits: {max_error(model.read(x), model(ids)):.1e}")

fig, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.2), layout="constrained")
left.plot(range(len(stream)), stream, "o-", label="the stream")
left.bar(layers + 0.35, moved, 0.24, color=ORANGE, label="attention adds")
left.bar(layers + 0.65, computed, 0.24, color=GREEN, hatch="//", label="feed-forward adds")
left.set(xlabel="blocks passed", ylabel="norm of a position's vector", xticks=range(len(stream)))
left.legend(loc="upper left", fontsize=9)
right.plot(range(len(losses)), losses, "o-")
right.axhline(np.log(256), color="gray", linestyle=":", label="guessing evenly")
right.set(xlabel="blocks passed before reading", ylabel="loss (nats a byte)", xticks=range(len(losses)))
right.legend()
plt.show()

# %% [markdown]
# **Which sublayer writes more, and is it so at every depth?** The stream grows, and every reader's norm divides by its
# size: the same update counts for less the later it comes. **And why is reading before any block worse than guessing
# evenly?** The head is the token embedding again, so that an embedding, read as it is, names its own byte: a model that
# says "the same byte once more", and is nearly always wrong. One block turns that into a guess of the next.

# %% [markdown]
# ## Step 4. Gradients through depth
#
# Why did the order change from post-norm to pre-norm? Nothing about what the block can express. The answer lies on the
# way back. Call the stream $x_0, x_1, \ldots, x_L$. What arrives at $x_l$ is the gradient that left $x_L$, multiplied by
# the Jacobian of every block between:
#
# $$g_l = \frac{\partial \mathcal L}{\partial x_l} = g_{l+1}\,\frac{\partial x_{l+1}}{\partial x_l}
# \qquad\text{pre-norm:}\quad \frac{\partial x_{l+1}}{\partial x_l} = 1 + \ldots$$
#
# In pre-norm the 1 stands alone, so the gradient has a free road to every depth. In post-norm a norm stands across the
# road behind every sublayer, twice a block. Does that do harm? Write what measures it: give the gradient after the last
# block, collect it at every depth.

# %% nbgrader={"grade_id": "gradient_norms", "solution": true}
def gradient_norms(blocks, x: torch.Tensor, mask: torch.Tensor | None, upstream: torch.Tensor) -> torch.Tensor:
    """The norm of the stream's gradient before the first block and after each.

    blocks: L modules, called as block(x, mask). x: (B, T, C). upstream: (B, T, C), the gradient after the last block.
    Returns (L + 1,): entry l is the norm, over all of (B, T, C), of the gradient after l blocks. x stays as it is.

    >>> double = lambda x, mask: 2 * x
    >>> gradient_norms([double, double], torch.zeros(1, 1, 4), None, torch.ones(1, 1, 4))
    tensor([8., 4., 2.])
    """
    ### BEGIN SOLUTION
    stream = [x.detach().requires_grad_()]
    for block in blocks:
        stream.append(block(stream[-1], mask))
    gradients = torch.autograd.grad(stream[-1], stream, upstream)  # one for every depth, in one backward pass
    return torch.stack([g.norm() for g in gradients])
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_gradient_norms", "grade": true}
check("ch02/lab04/gradient_norms", gradient_norms)

# %% [markdown]
# **Look at it.** Two stacks of 12 of your blocks learn to predict the next byte of Shakespeare. They have the same
# weights at the start, drawn as for the first transformer (Xavier), and the same batches; only the order differs.
# Measured before the first step, and again after 5 and after 50: what arrives at each depth.

# %% tags=["look"]
norms_of = earlier("ch02/lab04/gradient_norms", gradient_norms, course.gradient_norms)
DEPTH, WIDTH, LENGTH, RATE = 12, 64, 32, 3e-3
mask = causal_mask(LENGTH)
text = torch.tensor(list(shakespeare("train").encode()[:200_000]))


class Reader(nn.Module):
    """Embeddings, a stack of blocks, and a head: bytes (B, T) -> logits (B, T, V)."""

    def __init__(self, norm_first):
        super().__init__()
        torch.manual_seed(0)
        self.blocks = nn.ModuleList(TheBlock(WIDTH, 4, norm_first) for _ in range(DEPTH))
        self.token, self.place = nn.Embedding(256, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.last_norm = nn.LayerNorm(WIDTH) if norm_first else nn.Identity()  # post-norm ends with a norm anyway
        self.head = nn.Linear(WIDTH, 256, bias=False)
        for p in [*self.blocks.parameters(), self.head.weight]:
            nn.init.xavier_uniform_(p) if p.ndim == 2 else None

    def embed(self, rows):
        return (self.token(rows) + self.place.weight) / 2**0.5

    def loss(self, x, rows):
        return F.cross_entropy(self.head(self.last_norm(x)).flatten(0, 1), rows[:, 1:].flatten())

    def forward(self, rows):
        x = self.embed(rows[:, :-1])
        for block in self.blocks:
            x = block(x, mask)
        return x


def batch(draw):
    return text[torch.randint(len(text) - LENGTH, (16, 1), generator=draw) + torch.arange(LENGTH + 1)]


def measured(net, rows):
    """The gradient's norm at each depth, and how alike the positions of the last stream are (mean cosine)."""
    end = net(rows).detach().requires_grad_()
    (upstream,) = torch.autograd.grad(net.loss(end, rows), end)
    directions = F.normalize(end.detach(), dim=-1)
    alike = (directions @ directions.transpose(1, 2))[:, ~torch.eye(LENGTH, dtype=torch.bool)].mean()
    return norms_of(net.blocks, net.embed(rows[:, :-1]), mask, upstream), alike.item()


probe = batch(torch.Generator().manual_seed(1))
fig, axes = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
for ax, norm_first, name, look in ((axes[0], True, "pre-norm", "-"), (axes[1], False, "post-norm", "--")):
    net, draw, losses = Reader(norm_first), torch.Generator().manual_seed(2), []
    optimizer = torch.optim.Adam(net.parameters(), lr=RATE)
    for step in range(51):
        if step in (0, 5, 50):
            norms, alike = measured(net, probe)
            ax.plot(norms, marker="os^"[(0, 5, 50).index(step)], markersize=4, label=f"after {step} steps")
            print(f"{name:<10} after {step:>2} steps: gradient at x0 / at x{DEPTH} = {(norms[0] / norms[-1]).item():.1e}, "
                  f"cosine of two positions at x{DEPTH} = {alike:.3f}")
        rows = batch(draw)
        loss = net.loss(net(rows), rows)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    ax.set(xlabel="depth l", ylabel="norm of the gradient at x_l", title=name, yscale="log", ylim=(1e-8, 1))
    ax.set_xticks(range(0, DEPTH + 1, 3))
    ax.legend(fontsize=9, loc="lower right")
    axes[2].plot(losses, look, color=BLUE if norm_first else RED, label=name)
shares = torch.bincount(text, minlength=256) / len(text)
axes[2].axhline(torch.special.entr(shares).sum(), color="gray", linestyle=":", label="knowing how often each byte occurs")
axes[2].set(xlabel="training step", ylabel="loss (nats a byte)", title="training", ylim=(2.4, 7.2))
axes[2].legend(fontsize=9)
plt.show()

# %% [markdown]
# **Before the first step, how far apart are the two orders? And after five?** A fresh post-norm stack passes its gradient
# on nearly whole. But within a few steps all positions end up with almost the same vector at the top, and below that wall
# nothing tells them apart: by what factor has the gradient at $x_0$ shrunk after 50? The stack is left at the dotted
# line, the loss of a model that knows how often each byte occurs and looks at nothing. In pre-norm the copy carries each
# position's own embedding all the way up, so that positions can become different again, and the gradient all the way
# down.
#
# Post-norm stacks can be trained with small rates that rise slowly, because the danger lies in the first steps
# [@xiong2020]. That positions grow alike where nothing holds them apart is a property of attention itself [@dong2021].

# %% [markdown]
# ## Step 5. Rules that every block must keep
#
# You will rarely be given the numbers that a block should produce. But you know things that must hold *whatever* its
# weights are. For a causal block on a batch of padded sequences:
#
# - **future**: replace one real input. No real output *before* it, in its own sequence, may move.
# - **padding**: replace one padded input. No real output of its own sequence may move.
# - **batch**: replace an input of one sequence. No real output of *another* sequence may move.
#
# What padded positions put out themselves is nobody's business: count real outputs only. Write the instrument that
# tests any block, given as a function `block(x, mask)`. You build the mask `(B, 1, T, T)` from `real` (the given
# `causal_mask(T, real)` does), replace one input at a time, and compare.
#
# Replace it by *what*? Not by $x + 1$. The block may begin with a LayerNorm, which takes out any constant, and your
# instrument would be blind behind it.

# %% nbgrader={"grade_id": "broken_rules", "solution": true}
def broken_rules(block, x: torch.Tensor, real: torch.Tensor) -> list[str]:
    """Find out which of the rules "batch", "future" and "padding" a block breaks on this input.

    block: a function of x (B, T, C) and a bool mask (B, 1, T, T), returns (B, T, C). x: (B, T, C) in float64.
    real: bool (B, T), False = padding, before or behind the text. An output has moved if it differs by more than 1e-6.
    Returns the names of the broken rules, sorted. x stays as it is.

    >>> x, real = torch.randn(2, 3, 4, dtype=torch.float64), torch.ones(2, 3, dtype=torch.bool)
    >>> broken_rules(lambda x, mask: x.cumsum(dim=1), x, real)              # looks back only
    []
    >>> broken_rules(lambda x, mask: x.flip(1), x, real)                    # position 0 holds what comes last
    ['future']
    """
    ### BEGIN SOLUTION
    B, T, C = x.shape
    mask = causal_mask(T, real)  # (B, 1, T, T)
    before, found = block(x, mask), set()
    for b in range(B):
        for s in range(T):
            changed = x.clone()
            changed[b, s] = torch.randn(C)
            moved = ((block(changed, mask) - before).abs().amax(dim=-1) > 1e-6) & real  # (B, T)
            if real[b, s] and moved[b, :s].any():
                found.add("future")
            if not real[b, s] and moved[b].any():
                found.add("padding")
            moved[b] = False
            if moved.any():
                found.add("batch")
    return sorted(found)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_broken_rules", "grade": true}
check("ch02/lab04/broken_rules", broken_rules)

# %% [markdown]
# **Look at it.** Six blocks that somebody might hand you, with the trained weights of the model's first block. Each runs
# and returns the right shape. One of the two sequences is padded in front. Beside your instrument's finding: the largest
# difference to the right block's output.

# %% tags=["look"]
rules = earlier("ch02/lab04/broken_rules", broken_rules, course.broken_rules)
right_block = trained_blocks()[0].double()


def over_the_batch(x):
    return (x - x.mean(dim=(0, 1))) / (x.var(dim=(0, 1)) + 1e-5).sqrt()


suspects = {
    "A, the right one": lambda x, mask: right_block(x, mask),
    "B, no mask inside": lambda x, mask: right_block(x),
    "C, causal, padding forgotten": lambda x, mask: right_block(x, causal_mask(x.shape[1])),
    "D, batch norm": lambda x, mask: right_block(over_the_batch(x), mask),
    "E, second addition uses x": lambda x, mask: x + course.updates(right_block, x, mask)[1],
    "F, feed-forward left out": lambda x, mask: x + course.updates(right_block, x, mask)[0],
}
real = torch.tensor([[False] * 3 + [True] * 5, [True] * 8])
x = model.stream(ids[:2, :8])[0].double()
print(f"{'':<32}{'broken rules':<32}largest difference")
for name, suspect in suspects.items():
    seen = causal_mask(8, real)
    difference = max_error(suspect(x, seen)[real], right_block(x, seen)[real])
    print(f"{name:<32}{', '.join(rules(suspect, x, real)) or 'none':<32}{difference:.2g}")

# %% [markdown]
# **Which wrong blocks keep every rule?** E and F are wrong all the same: rules say what must *not* happen, and they do
# not know what should. For that you need numbers to compare with. You have the weights and a library that has been
# compared by thousands: that is the milestone.

# %% [markdown]
# ## The chapter's milestone
#
# Your block equals Hugging Face's `GPT2Block` within $10^{-5}$ in float32: with random weights and with each block of
# the trained model, with a causal mask and with padding in front and behind. Compared at every real position.

# %% tags=["milestone"]
from transformers import GPT2Config
from transformers.models.gpt2.modeling_gpt2 import GPT2Block

GOAL = 1e-5
MyBlock = earlier("ch02/lab04/block", Block, course.Block)


def difference_to_gpt2(state, x, heads, real):
    """The largest difference at real positions between a GPT2Block with these weights and yours."""
    config = GPT2Config(n_embd=x.shape[-1], n_head=heads, attn_implementation="eager")
    theirs, ours = GPT2Block(config, layer_idx=0).eval(), MyBlock(x.shape[-1], heads)
    theirs.load_state_dict(state)
    ours.load_state_dict(course.block_state(state))
    seen = causal_mask(x.shape[1], real)
    added = torch.zeros(seen.shape).masked_fill(~seen, torch.finfo(torch.float32).min)  # their mask is added
    with torch.no_grad():
        return max_error(ours(x, seen)[real], theirs(x, attention_mask=added)[real])


def paddings(B, T):
    """No padding; and each sequence with a length of its own, padded behind or in front."""
    behind = torch.arange(T) < torch.linspace(T, T // 2, B).long()[:, None]
    return {"causal": torch.ones(B, T, dtype=torch.bool), "padded behind": behind, "padded in front": behind.flip(1)}


worst = {}
for seed, (B, T_, C, H) in enumerate([(2, 9, 32, 4), (3, 5, 30, 5), (1, 2, 8, 1), (2, 64, 128, 4)]):
    torch.manual_seed(seed)
    config = GPT2Config(n_embd=C, n_head=H)
    state = {n: torch.randn(w.shape) * (0.5 if w.ndim == 1 else C**-0.5) for n, w in GPT2Block(config).state_dict().items()}
    for name, real in paddings(B, T_).items():
        error = difference_to_gpt2(state, torch.randn(B, T_, C), H, real)
        worst["random", name] = max(worst.get(("random", name), 0.0), error)
for x, block in zip(model.stream(ids[:4]), model.blocks):
    for name, real in paddings(4, T).items():
        error = difference_to_gpt2(to_gpt2(block.state_dict()), x, model.sizes.heads, real)
        worst["trained", name] = max(worst.get(("trained", name), 0.0), error)
for (weights, mask), error in worst.items():
    print(f"{weights} weights, {mask:<16}{error:.1e}")
whose = "your" if MyBlock is Block else "the course's (step 2's check has to pass first)"
measured = max(worst.values())
print(f"{whose} Block against transformers' GPT2Block")
print(f"goal: within {GOAL:g} | measured: {measured:.1e} | {'reached' if measured <= GOAL else 'not reached'}")

# %% [markdown]
# ## What you built
#
# - The block that GPT-2 is made of, in both orders, and the translation of GPT-2's own weights into it.
# - A measure of gradients through depth, which shows what the free road is good for once training begins.
# - Rules for blocks that you cannot look into. Chapter 3 stacks your block into a model and loads GPT-2 itself;
#   lab 2.6 replaces its parts, one by one, until it is Llama's.
#
# ## Going further
#
# - The papers: [@xiong2020] derives what step 4 measures; [@veit2016] takes blocks out of residual networks, as the
#   beginning of this lab does, and concludes that they act like a crowd of shallow ones.
# - Production code: `transformers/models/gpt2/modeling_gpt2.py`, class `GPT2Block`. Find the residual that is taken
#   before the norm, and in `_init_weights` the factor that grows with the depth.
# - nanoGPT's `model.py`, class `Block`: the two lines of `forward` are yours.
# - An extension: GPT-J and PaLM let both sublayers read the *same* norm of the same `x` and add both results at once.
#   Write that `ParallelBlock`. Which of this lab's rules does it keep? What can it not do that yours can?
