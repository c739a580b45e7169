# ---
# jupyter:
#   course:
#     title: Decoder-Only Transformer
#     level: intermediate
#     minutes: 80
#     hardware: cpu
#     builds: "`GPT`: embeddings, a stack of blocks, a tied head and a loss; its first weights, and a loop that writes text with it."
#     goals:
#     - Put a GPT together, forward and backward, and count its parameters to the last one
#     - Choose the first weights, and tell from the first loss and the first steps whether they are right
#     - Generate text token by token, greedily and with a temperature, within the context
#     - Read off what a training loss really asks a model for, and find losses that fall for the wrong reason
#     needs:
#     - "[The Transformer Block](../../../book/ch02_transformer_block/transformer_block.md)"
#     - Labs 3.1 and 3.2, Causal Masking and Token Embeddings
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
from source.attention.against_torch import max_error
from source.corpus import shakespeare
from source.models import decoder_steps
from source.models import gpt as course
from source.models.gpt import Sizes, shipped
from source.sliders import move

# %% tags=["given"]
# The block of lab 2.4, pre-norm, with queries, keys and values in one matrix W_qkv, as GPT-2 stores them.
from source.blocks.gpt2_block import Block, causal_mask

# %% [markdown]
# ## A question first
#
# Here is one model twice: same shapes, same data, same batches in the same order. All that differs is where the weights
# start. One starts as PyTorch's layers come out of the box, the other as GPT-2 did. Before the first step neither of
# them has seen a single byte. What should the loss of a model be that knows nothing at all?

# %% tags=["look"]
torch.set_num_threads(1)  # tensors this small: a second thread waits more than it works
SMALL = Sizes(vocabulary=256, context=64, width=64, heads=4, layers=2)
text = torch.tensor(list(shakespeare("train").encode()[:400_000]))  # a byte is a token


def batch(draw, size=8):
    """(B, T + 1): windows of the text, one byte longer than the context."""
    return text[torch.randint(len(text) - SMALL.context, (size, 1), generator=draw) + torch.arange(SMALL.context + 1)]


def next_byte(model, rows):
    """The loss of guessing each byte of (B, T + 1) from those before it."""
    return F.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())


def train(model, loss_of=next_byte, steps=100, rate=3e-3):
    """Train in place on the same batches every time; returns the losses, in nats a byte."""
    draw, losses = torch.Generator().manual_seed(1), []
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    for _ in range(steps):
        loss = loss_of(model, batch(draw))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


def out_of_the_box(model):
    """PyTorch's own first weights for every layer."""
    for part in model.modules():
        if hasattr(part, "reset_parameters"):
            part.reset_parameters()


fig, ax = plt.subplots(figsize=(6.5, 3.2))
for label, start, line in (("as PyTorch's layers start", out_of_the_box, "--"), ("as GPT-2 starts", lambda model: None, "-")):
    torch.manual_seed(0)
    model = course.GPT(SMALL)
    start(model)
    losses = train(model)
    ax.plot(losses, line, label=f"{label}: first loss {losses[0]:.1f}")
ax.axhline(math.log(256), color="gray", linestyle=":", label=f"guessing evenly: ln 256 = {math.log(256):.2f}")
ax.set(xlabel="training step", ylabel="loss (nats a byte)", yscale="log")
ax.set_yticks([2, 3, 5, 10, 20, 50], ["2", "3", "5", "10", "20", "50"])
ax.minorticks_off()
ax.legend(fontsize=9)
plt.show()

# %% [markdown]
# **How many steps does the upper curve spend on its way down to where the lower one begins?** A model that knows nothing
# should say so: the same probability for every byte, at a loss of $\ln V$. The upper one is *certain* of things that it
# cannot know. You will find out which single line is to blame.
#
# In this lab you build the whole model. Letters: `B` batch, `T` positions, `C` model width, `H` heads, `V` vocabulary,
# `L` layers.

# %% [markdown]
# ## Step 1. Where 124,439,808 parameters are
#
# Before you build a thing, know its size. A GPT has five kinds of weights:
#
# | kind | what is stored |
# |---|---|
# | token | one row of width `C` for each of the `V` ids; the head is the same matrix |
# | position | one row of width `C` for each place in the context |
# | attention | in each block `W_qkv`, from `C` to `3C`, and `W_o`, from `C` to `C`, each with a bias |
# | feed-forward | in each block `W_in`, from `C` to `4C`, and `W_out` back, each with a bias |
# | norms | a gain and a shift of width `C` each: two norms a block, and one behind the last |
#
# A linear layer from `a` to `b` with a bias holds $ab + b$ numbers. For GPT-2's smallest model all of it together is
# 124,439,808, to the last one. That is why it is called 124M; its paper says 117M [@radford2019], which is a slip.

# %% nbgrader={"grade_id": "parameter_parts", "solution": true}
def parameter_parts(vocabulary: int, context: int, width: int, layers: int) -> dict[str, int]:
    """How many parameters a GPT has, by kind.

    vocabulary: V. context: the longest T. width: C. layers: L.
    Returns {"token": ..., "position": ..., "attention": ..., "feed-forward": ..., "norms": ...}.

    >>> parameter_parts(5, 3, 2, 1)         # W_qkv: 2 * 6 + 6, W_o: 2 * 2 + 2; W_in: 2 * 8 + 8, W_out: 8 * 2 + 2
    {'token': 10, 'position': 6, 'attention': 24, 'feed-forward': 42, 'norms': 12}
    >>> sum(parameter_parts(50257, 1024, 768, 12).values())
    124439808
    """
    ### BEGIN SOLUTION
    V, C, L = vocabulary, width, layers
    return {
        "token": V * C,
        "position": context * C,
        "attention": L * ((C * 3 * C + 3 * C) + (C * C + C)),
        "feed-forward": L * ((C * 4 * C + 4 * C) + (4 * C * C + C)),
        "norms": (2 * L + 1) * 2 * C,
    }
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_parameter_parts", "grade": true}
check("ch03/lab03/parameter_parts", parameter_parts)

# %% [markdown]
# **Look at it.** The four sizes of GPT-2, and the course's own small model.

# %% tags=["given"]
parts_of = earlier("ch03/lab03/parameter_parts", parameter_parts, decoder_steps.parameter_parts)

# %% tags=["look"]
family = {"shipped": (256, 128, 128, 4), "small": (50257, 1024, 768, 12), "medium": (50257, 1024, 1024, 24)}
family |= {"large": (50257, 1024, 1280, 36), "XL": (50257, 1024, 1600, 48)}
counted = {name: parts_of(*sizes) for name, sizes in family.items()}
fig, ax = plt.subplots(figsize=(7, 3.2))
below = np.zeros(len(family))
for kind, hatch in zip(counted["small"], ("", "//", "..", "", "xx")):
    shares = np.array([100 * parts[kind] / sum(parts.values()) for parts in counted.values()])
    ax.bar(range(len(family)), shares, 0.7, bottom=below, label=kind, hatch=hatch)
    below += shares
labels = [f"{name}\n{sum(parts.values()) / 1e6:,.1f}M" for name, parts in counted.items()]
ax.set_xticks(range(len(family)), labels)
ax.set(xlabel="model, and its parameters", ylabel="share of all parameters (%)")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# **In which model is the vocabulary's share largest, and what happens to it with size?** The token embedding grows with
# `C`, the blocks with $L\,C^2$. That is why small models tie the head to the embedding: a second matrix of that size
# would add almost a third to the smallest GPT-2. And the norms? Is their share to be seen anywhere?

# %% [markdown]
# ## Step 2. The model
#
# Everything is there: the block from chapter 2, the mask from lab 3.1, the embeddings from lab 3.2. Put them together:
#
# $$x_0 = \text{token}[\text{ids}] + \text{position}[t] \qquad x_{l+1} = \text{block}_l(x_l) \qquad
# \text{logits} = \text{norm}(x_L)\,\text{token}^\top$$
#
# In shapes: `(B, T)` → `(B, T, C)` → … → `(B, T, C)` → `(B, T, V)`. `stream` hands back the residual stream at every
# depth, as you need it to look inside and, in lab 3.4, to compare; `forward` reads the last one. The norm belongs to the
# reading: the stream itself is never normed.
#
# Two arguments serve batches of texts that differ in length. `mask` says what may be seen *besides* causality: a key is
# seen if both allow it. `positions` says where each token stands in its own text, which is not its column if there is
# padding in front.
#
# The loss: the target of position $t$ is the token at $t + 1$. **The shift is done by whoever makes the batch**, outside
# the model; `targets[b, t]` is simply what `logits[b, t]` should say. `-100` marks a position that does not count, as
# `F.cross_entropy` has it by default.

# %% nbgrader={"grade_id": "gpt", "solution": true}
class GPT(nn.Module):
    """A decoder-only transformer: tokens to the scores of every next token.

    sizes: vocabulary V, context (the longest T), width C, heads H, layers L. Its parts are named token and position
    (nn.Embedding), blocks (nn.ModuleList of Block(width, heads)) and last_norm (nn.LayerNorm). The head is token's
    weight: it has no parameter of its own.

    >>> model = GPT(Sizes(vocabulary=5, context=4, width=8, heads=2, layers=3))
    >>> ids = torch.tensor([[1, 2, 3]])
    >>> model(ids).shape, len(model.stream(ids))
    (torch.Size([1, 3, 5]), 4)
    >>> logits, loss = model(ids, targets=torch.tensor([[2, 3, -100]]))     # 1 is followed by 2, and 2 by 3
    >>> loss.isclose((F.cross_entropy(logits[0, :1], torch.tensor([2])) + F.cross_entropy(logits[0, 1:2], torch.tensor([3]))) / 2)
    tensor(True)
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        ### BEGIN SOLUTION
        self.token = nn.Embedding(sizes.vocabulary, sizes.width)
        self.position = nn.Embedding(sizes.context, sizes.width)
        self.blocks = nn.ModuleList(Block(sizes.width, sizes.heads) for _ in range(sizes.layers))
        self.last_norm = nn.LayerNorm(sizes.width)
        ### END SOLUTION

    def stream(
        self, ids: torch.Tensor, mask: torch.Tensor | None = None, positions: torch.Tensor | None = None
    ) -> list[torch.Tensor]:
        """The residual stream before the first block and after each: L + 1 tensors (B, T, C).

        ids: (B, T). mask: bool, broadcasts to (B, H, T, T), True = may be seen, on top of causality.
        positions: (B, T) ids of positions, None = 0 to T - 1 in every row.
        """
        ### BEGIN SOLUTION
        T = ids.shape[1]
        where = torch.arange(T, device=ids.device) if positions is None else positions
        causal = causal_mask(T, device=ids.device)  # (T, T)
        seen = causal if mask is None else causal & mask
        x = [self.token(ids) + self.position(where)]  # (B, T, C) + (T, C) or (B, T, C)
        for block in self.blocks:
            x.append(block(x[-1], seen))
        return x
        ### END SOLUTION

    def forward(
        self,
        ids: torch.Tensor,
        targets: torch.Tensor | None = None,
        mask: torch.Tensor | None = None,
        positions: torch.Tensor | None = None,
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """ids (B, T) -> logits (B, T, V); with targets (B, T) the pair (logits, loss), the mean over those that count."""
        ### BEGIN SOLUTION
        x = self.stream(ids, mask, positions)[-1]
        logits = self.last_norm(x) @ self.token.weight.T  # (B, T, C) @ (C, V) -> (B, T, V)
        if targets is None:
            return logits
        return logits, F.cross_entropy(logits.flatten(0, 1), targets.flatten())  # (B * T, V) against (B * T,)
        ### END SOLUTION


# %% nbgrader={"grade_id": "check_gpt", "grade": true}
check("ch03/lab03/gpt", GPT)

# %% [markdown]
# **Look at it.** Your model, with the weights that the course ships, on text that they have not seen. Every position is
# trained at once, but they do not have the same task: position 0 has seen one byte, position 127 has seen 128. How much
# is context worth?

# %% tags=["given"]
TheGPT = earlier("ch03/lab03/gpt", GPT, course.GPT)

# %% tags=["look"]
trained = shipped()
net = TheGPT(trained.sizes)
net.load_state_dict(trained.state_dict())
net.eval()
T = net.sizes.context
held_out = torch.tensor(list(shakespeare("validation").encode()[: 256 * (T + 1)])).view(256, T + 1)
with torch.no_grad():
    pieces = [net(rows[:, :-1]) for rows in held_out.split(64)]
    print(f"largest difference to the course's own model: {max_error(pieces[0], trained(held_out[:64, :-1])):.1e}")
losses = torch.stack(
    [F.cross_entropy(a.transpose(1, 2), b[:, 1:], reduction="none").mean(0) for a, b in zip(pieces, held_out.split(64))]
).mean(0)
fig, ax = plt.subplots(figsize=(6.5, 3.2))
ax.plot(range(1, T + 1), losses, ".", alpha=0.5, label="each position")
grouped = [losses[a:b].mean() for a, b in ((0, 1), (1, 2), (2, 4), (4, 8), (8, 16), (16, 32), (32, 64), (64, 128))]
ax.plot([1, 2, 3.5, 6.5, 12.5, 24.5, 48.5, 96.5], grouped, "o-", label="averaged")
ax.set(xlabel="bytes seen", ylabel="loss (nats a byte)", xscale="log")
ax.set_xticks([1, 2, 4, 8, 16, 32, 64, 128], ["1", "2", "4", "8", "16", "32", "64", "128"])
ax.minorticks_off()
ax.legend()
plt.show()

# %% [markdown]
# **Where does the curve flatten?** The first few bytes of context are worth most, about what completes a word; the later
# ones add little to a model this small. One pass gives all of these losses at once, one training example for each
# position. That is what causality buys: an encoder, which sees everything, could not be trained so.

# %% [markdown]
# ## Step 3. The first weights
#
# GPT-2's initialisation is four lines:
#
# - matrices and embeddings: normal with standard deviation 0.02;
# - the matrices that write into the residual stream, `W_o` and `W_out`, two a block: $0.02 / \sqrt{2L}$;
# - biases: 0;
# - gains of the norms: 1.
#
# Why so small? The logits are products of a normed vector of width `C`, length about $\sqrt C$, with rows of the token
# embedding. Their spread is $\sqrt C$ times the embedding's: $0.02 \sqrt{768} \approx 0.55$ for GPT-2. PyTorch's
# `nn.Embedding` starts with a standard deviation of **1**: $\sqrt{768} \approx 28$, and softmax takes the largest of it
# for the truth.
#
# Why $1/\sqrt{2L}$? `2L` sublayers add to the stream. If they were independent with variance $v$ each, their sum would
# have variance $2Lv$. Divided by $\sqrt{2L}$, the sum has variance $v$, however deep the model.
#
# Write it for any model whose parameters are named like yours; `model.blocks` tells how many layers there are.

# %% nbgrader={"grade_id": "initialise", "solution": true}
def initialise(model: nn.Module) -> None:
    """Draw GPT-2's first weights into the model, in place, whatever was there.

    model: has blocks; its parameters are named as in GPT (blocks.0.attention.W_o.weight, ...). Do not seed anything:
    the caller does.

    >>> model = course.GPT(Sizes(vocabulary=100, context=10, width=64, heads=2, layers=8))
    >>> initialise(model)
    >>> round(model.token.weight.std().item(), 3), round(model.blocks[3].feed_forward.W_out.weight.std().item(), 3)
    (0.02, 0.005)
    """
    ### BEGIN SOLUTION
    for name, weight in model.named_parameters():
        if name.endswith(("W_o.weight", "W_out.weight")):
            nn.init.normal_(weight, std=0.02 / math.sqrt(2 * len(model.blocks)))
        elif weight.ndim == 2:
            nn.init.normal_(weight, std=0.02)
        elif name.endswith("bias"):
            nn.init.zeros_(weight)
        else:
            nn.init.ones_(weight)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_initialise", "grade": true}
check("ch03/lab03/initialise", initialise)

# %% [markdown]
# **Look at it.** First, the starts that people get wrong, each with its loss before the first step and after 60. Read
# the last column before you trust the second.

# %% tags=["given"]
fresh_weights = earlier("ch03/lab03/initialise", initialise, decoder_steps.initialise)

# %% tags=["look"]
def with_std(std):
    def start(model):
        fresh_weights(model)
        with torch.no_grad():
            for weight in model.parameters():
                weight.mul_(std / 0.02) if weight.ndim == 2 else None

    return start


def only_embeddings_wide(model):
    fresh_weights(model)
    nn.init.normal_(model.token.weight)  # nn.Embedding's own


def all_zero(model):
    fresh_weights(model)
    for weight in model.parameters():
        nn.init.zeros_(weight) if weight.ndim == 2 else None


starts = {
    "GPT-2's": fresh_weights,
    "nn.Embedding's std of 1 for the tokens": only_embeddings_wide,
    "PyTorch's everywhere": out_of_the_box,
    "std 0.2 instead of 0.02": with_std(0.2),
    "all matrices zero": all_zero,
}
print(f"guessing evenly: {math.log(256):.3f} nats a byte\n")
print(f"{'start':<42}{'first loss':>12}{'after 60 steps':>18}")
for name, start in starts.items():
    torch.manual_seed(0)
    model = TheGPT(SMALL)
    start(model)
    losses = train(model, steps=60)
    print(f"{name:<42}{losses[0]:>12.3f}{np.mean(losses[-10:]):>18.3f}")

# %% [markdown]
# **Which line of the table is to blame for the upper curve at the beginning?** And one start has the perfect first loss,
# $\ln V$ to the last digit, and is the worst of all: **why can a model of zeros not learn anything here?** The tied head
# multiplies the last vector with the embedding: both are zero, so each one's gradient is zero too. The first loss is a
# necessary sign, not a sufficient one.
#
# Second, the factor for the writers. The size of the residual stream at every depth of 48 fresh blocks, relative to the
# embedding's, with the factor and without.

# %% tags=["look"]
DEEP = Sizes(vocabulary=256, context=64, width=64, heads=4, layers=48)
rows = batch(torch.Generator().manual_seed(0), 4)[:, :-1]
fig, ax = plt.subplots(figsize=(6.5, 3.2))
for label, factor, line in (("0.02 everywhere", math.sqrt(2 * DEEP.layers), "--"), ("writers 0.02 / √2L", 1.0, "-")):
    torch.manual_seed(0)
    model = TheGPT(DEEP)
    fresh_weights(model)
    with torch.no_grad():
        for block in model.blocks:
            for writer in (block.attention.W_o, block.feed_forward.W_out):
                writer.weight.mul_(factor)
        sizes = torch.tensor([x.square().mean().sqrt() for x in model.stream(rows)])
    ax.plot(sizes / sizes[0], line, label=label)
ax.set(xlabel="blocks passed", ylabel="size of the stream (× embedding's)", ylim=(0, None))
ax.legend()
plt.show()

# %% [markdown]
# **How would the upper curve go on with 200 blocks, and the lower one?** Every reader's norm divides by the size of the
# stream, so the larger the stream, the less of it is left of the token itself. With the factor, the depth makes no
# difference at the start.

# %% [markdown]
# ## Step 4. Writing text
#
# The model gives the scores of the next token. To write, take one, append it, and ask again:
#
# $$p = \text{softmax}(\text{logits}_{T-1} / \tau)$$
#
# $\tau$ is the *temperature*. Below 1 the large probabilities grow, above 1 they shrink; at 0 the largest takes all,
# which is *greedy* decoding. Division by zero is no way to compute it: take the largest logit.
#
# Three things to mind. Only the **last** position's logits say something new. The model has a context: once the text is
# longer, show it the **last** tokens that fit, and nothing else, but return the whole text. And nothing here needs a
# gradient.
#
# `draw` takes the probabilities `(B, V)` and returns one id a row `(B,)`; `decoder_steps.drawn` does it with
# `torch.multinomial`. It is an argument so that randomness can be replaced, for a check for instance.
#
# Every new token runs the model over the whole window again, though only one position is new. Chapter 8 does away with
# that.

# %% nbgrader={"grade_id": "generate", "solution": true}
def generate(model, ids: torch.Tensor, new: int, temperature: float = 0.0, draw=decoder_steps.drawn) -> torch.Tensor:
    """Continue each row of ids by `new` tokens.

    model: a function (B, T) -> logits (B, T, V); model.sizes.context is the longest T that it takes. ids: (B, T), T >= 1.
    temperature: 0 takes the largest logit and calls no draw. draw: probabilities (B, V) -> ids (B,).
    Returns (B, T + new). ids stay as they are.

    >>> class Successor:                                    # id 3 is always followed by 4, ...
    ...     sizes = Sizes(vocabulary=10, context=2)
    ...     def __call__(self, ids):
    ...         return 5.0 * F.one_hot((ids + 1) % 10, 10)
    >>> generate(Successor(), torch.tensor([[1, 2, 3]]), 4)
    tensor([[1, 2, 3, 4, 5, 6, 7]])
    """
    ### BEGIN SOLUTION
    with torch.no_grad():
        for _ in range(new):
            logits = model(ids[:, -model.sizes.context :])[:, -1]  # (B, T, V) -> (B, V)
            following = logits.argmax(-1) if temperature == 0 else draw(torch.softmax(logits / temperature, dim=-1))
            ids = torch.cat([ids, following[:, None]], dim=1)  # (B, T) and (B, 1) -> (B, T + 1)
    return ids
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_generate", "grade": true}
check("ch03/lab03/generate", generate)

# %% [markdown]
# **Look at it.** A model of ten tokens whose scores never change. The bars are the probabilities that your loop hands to
# `draw`.

# %% tags=["given"]
write = earlier("ch03/lab03/generate", generate, decoder_steps.generate)

# %% tags=["look"]
TOKENS = ["the", "a", "his", "her", "my", "gold", "king", "night", "zebra", "qua"]


class TenTokens:
    """Gives every position the same ten scores."""

    sizes = Sizes(vocabulary=10, context=1)
    scores = torch.tensor([3.1, 2.6, 1.9, 1.7, 1.2, 0.4, 0.1, -0.6, -2.0, -3.2]).double()

    def __call__(self, ids):
        return self.scores.expand(*ids.shape, 10)


def handed_to_draw(temperature):
    """The probabilities of the ten tokens, as `generate` hands them on."""
    seen = []
    write(TenTokens(), torch.tensor([[0]]), 1, temperature, lambda p: seen.append(p) or p.argmax(-1))
    return seen[0][0]


def draw_bars(temperature=1.0):
    p = handed_to_draw(temperature)
    fig, ax = plt.subplots(figsize=(6.5, 3.2), layout="constrained")
    ax.bar_label(ax.barh(TOKENS, p.tolist()), [f" {100 * share:.1f} %" for share in p])
    ax.invert_yaxis()
    choices = torch.special.entr(p).sum().exp()
    ax.set(xlabel="probability", xlim=(0, 1.1), title=f"as undecided as {choices:.1f} equally likely tokens")
    return fig


move(draw_bars, temperature=(0.1, 3.0, 0.05), card="sampling", alt="ten bars, the probability of each token")

# %% [markdown]
# **At which temperature does `zebra` come up once in a hundred draws, and what has become of `the` by then?** No
# temperature raises one without the other: it only flattens, or sharpens, the whole.
#
# Now the trained model. It goes on from the same line, at four temperatures, far beyond its context of 128. Above each
# sample: how many of its windows of 8 bytes had been there before.

# %% tags=["look"]
def as_text(ids):
    return bytes(ids.tolist()).decode("utf-8", errors="replace")


def repeated(ids, n=8):
    """The share of a row's windows of n ids that stood in it before."""
    windows = [tuple(ids[t : t + n].tolist()) for t in range(len(ids) - n + 1)]
    return 1 - len(set(windows)) / len(windows)


prompt = torch.tensor([list(b"ROMEO:\nI will ")])
for temperature in (0.0, 0.5, 1.0, 1.5):
    torch.manual_seed(0)
    ids = write(net, prompt.repeat(2, 1), 240, temperature)
    share = np.mean([repeated(row) for row in ids])
    print(f"--- temperature {temperature}: {100 * share:.0f}% of windows seen before, mean of 2 samples; the first one:")
    print(as_text(ids[0]), "\n")

# %% [markdown]
# **What does greedy decoding end in, and why must it, once the window has come back to where it was before?** A model
# that always takes the likeliest token writes text that no human would [@holtzman2020]; at a high temperature it takes
# many tokens that it knows to be wrong. Chapter 8 has better ways to cut the tail.

# %% [markdown]
# ## Step 5. What does this loss ask for?
#
# Training code is where the worst bugs live, because it works: the loss falls. You inherit four functions from four
# people. Each is meant to be the loss of guessing the next byte, on rows `(B, T + 1)` that are padded behind with byte
# 0, which does not count. One of them is right.

# %% tags=["given"]
def loss_ann(model, rows):
    ids = rows[:, :-1]
    logits = model(ids)
    return F.cross_entropy(logits.flatten(0, 1), ids.flatten(), ignore_index=0)


def loss_ben(model, rows):
    ids, targets = rows[:, :-1], rows[:, 1:]
    logits = model(ids)
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), targets[:, 1:].flatten(), ignore_index=0)


def loss_cem(model, rows):
    logits = model(rows[:, :-1])
    return F.cross_entropy(logits.transpose(1, 2), rows[:, 1:], ignore_index=0)


def loss_dee(model, rows):
    logits = model(rows[:, :-1])
    return F.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())


# %% [markdown]
# Do not read them; measure them. For one position with logits $z$ and target $y$, the gradient of the cross-entropy is
#
# $$\frac{\partial}{\partial z_v}\bigl(-\log \text{softmax}(z)_y\bigr) = \text{softmax}(z)_v - [v = y]$$
#
# If all logits are equal, it is positive everywhere except in **one** place: at the target. And it is zero everywhere if
# the position does not count. So the gradient with respect to the logits tells what the loss asks each position for,
# whatever the code looks like.
#
# Build the instrument: hand the loss a fake model whose logits are all zero, and read the gradient.

# %% nbgrader={"grade_id": "asked_for", "solution": true}
def asked_for(loss_of, rows: torch.Tensor, vocabulary: int) -> torch.Tensor:
    """Which id a training loss asks each position to predict; -1 where it asks for nothing.

    loss_of: called as loss_of(model, rows). It calls model(ids) once, with ids (B, T) that it makes from rows, wants
    logits (B, T, V) back, and returns a scalar, made of cross-entropies. rows: whatever it trains on. vocabulary: V.
    Returns (B, T), int64: of the shape of the ids that the model was given.

    >>> def the_first_again(model, rows):               # every position is asked for the row's first id
    ...     return F.cross_entropy(model(rows).transpose(1, 2), rows[:, :1].expand(rows.shape))
    >>> asked_for(the_first_again, torch.tensor([[7, 1, 2], [4, 5, 6]]), 10)
    tensor([[7, 7, 7],
            [4, 4, 4]])
    """
    ### BEGIN SOLUTION
    given = []

    def model(ids):
        given.append(torch.zeros(*ids.shape, vocabulary, requires_grad=True))  # (B, T, V)
        return given[0]

    (gradient,) = torch.autograd.grad(loss_of(model, rows), given)
    least, target = gradient.min(dim=-1)  # (B, T, V) -> (B, T) and (B, T)
    return torch.where(least < 0, target, -1)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_asked_for", "grade": true}
check("ch03/lab03/asked_for", asked_for)

# %% [markdown]
# **Look at it.** The text is *HELLO*, padded with two zeros. For each of the four: what the model sees at each position,
# and what it is asked for.

# %% tags=["look"]
asks = earlier("ch03/lab03/asked_for", asked_for, decoder_steps.asked_for)
losses_of = {"Ann": loss_ann, "Ben": loss_ben, "Cem": loss_cem, "Dee": loss_dee}
hello = torch.tensor([[*b"HELLO", 0, 0]])


def shown(number):
    return {-1: "-", 0: "pad"}.get(number) or chr(number)


print(f"{'sees':<6}" + "".join(f"{shown(n):>6}" for n in hello[0, :-1].tolist()))
for name, loss_of in losses_of.items():
    print(f"{name:<6}" + "".join(f"{shown(n):>6}" for n in asks(loss_of, hello, 256)[0].tolist()))

# %% [markdown]
# **Who is right, and what do the other three ask for?** One asks for what the model is looking at. One asks for the byte
# after the next: so does everybody who shifts the targets and then hands them to a library that shifts them again, as
# `labels=` does in `transformers`. One wants padding to be learned. Now train the first three, for real, on text without
# padding, and let each model write.

# %% tags=["look"]
fig, ax = plt.subplots(figsize=(6.5, 3.2))
for (name, loss_of), line in zip(losses_of.items(), ("--", ":", "-")):
    torch.manual_seed(0)
    model = TheGPT(SMALL)
    fresh_weights(model)
    losses = train(model, loss_of, steps=200)
    ax.plot(losses, line, label=name)
    torch.manual_seed(0)
    sample = as_text(write(model, prompt, 60, 0.5)[0])
    print(f"{name}: last loss {np.mean(losses[-10:]):.3f}, writes {sample!r}")
ax.set(xlabel="training step", ylabel="loss (nats a byte)", ylim=(0, 6))
ax.legend()
plt.show()

# %% [markdown]
# **Judged by the loss alone, whose model would you take?** The one that learned to repeat what it sees, since the causal
# mask allows that: a loss near zero after a few dozen steps is no triumph, it is a leak. And Ben's curve looks like any
# other; nothing about it is suspicious until the model writes. Look at what your code asks for before you look at what it
# gets.

# %% [markdown]
# ## What you built
#
# - `GPT`: a whole decoder-only transformer. Lab 3.4 loads GPT-2's own weights into it.
# - Its first weights, and two numbers to check before any long run: $\ln V$ at the first step, and that it moves.
# - A plain loop that writes text, and an instrument that reads a loss from outside. Chapter 4 trains; chapter 8 makes the
#   loop fast.
#
# ## Going further
#
# - The papers: [@radford2019], section 2.3, is all that GPT-2's authors say about the model; why repetition feeds on
#   itself, [@holtzman2020].
# - Production code: nanoGPT's `model.py`, class `GPT`. Find the line that ties the head, the one that scales the writers,
#   and `generate`, which crops as yours does.
# - `transformers/models/gpt2/modeling_gpt2.py`, `GPT2LMHeadModel.forward`: where are labels shifted?
# - An extension: greedy decoding of step 4 runs in circles. How long is the circle, and does it depend on the prompt?
#   Write the function that finds the period of a row, and try twenty prompts.
