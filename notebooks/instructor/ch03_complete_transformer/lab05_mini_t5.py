# ---
# jupyter:
#   course:
#     title: "Encoder-Decoder: Mini-T5"
#     level: intermediate
#     minutes: 90
#     hardware: cpu
#     builds: "A small T5: attention from one text to another, the decoder's block, training and greedy translation, equal to Hugging Face's."
#     goals:
#     - Build cross-attention with a padding mask, and T5's attention without the factor 1/√D
#     - Assemble a decoder block, and say of every pair of positions who may see whom
#     - Train with teacher forcing, and translate word by word when there is no teacher
#     - Tell from a loss that is too good what is wrong with a training step
#     needs:
#     - "[Encoder, Decoder, or Both](../../../book/ch03_complete_transformer/encoder_decoder_architectures.md)"
#     - Lab 1.3, Multi-Head Attention
#     - Labs 2.4 and 2.5, Transformer Block and Positions Compared
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
from source import translation
from source.attention import inspection
from source.attention.multi_head import merge, split
from source.blocks.feed_forward import FeedForward
from source.blocks.gpt2_block import causal_mask
from source.blocks.layer_norm import RMSNorm
from source.blocks.relative import T5Bias
from source.models import t5 as course
from source.plots import BLUE, ORANGE, RED, heatmap
from source.translation import END, PAD, WORDS, collate, pairs

# %% [markdown]
# ## A question first
#
# Here is a sentence and its translation into Kelu, a language made up for this lab. A line joins each Kelu word to the
# English word that it stands for.

# %% tags=["look"]
def show_links(pair, ax):
    """English above, Kelu below, and the true alignment between them."""
    for words, y, spacing in ((pair.source, 1, 1.0), (pair.target, 0, len(pair.source) / len(pair.target))):
        for n, word in enumerate(words):
            ax.text((n + 0.5) * spacing, y, word, ha="center", va="bottom" if y else "top")
    for t, s in pair.links:
        ax.plot([s + 0.5, (t + 0.5) * len(pair.source) / len(pair.target)], [0.97, 0.03], color=BLUE, linewidth=1.2)
    ax.set(xlim=(0, len(pair.source)), ylim=(-0.25, 1.25))
    ax.set_axis_off()


example = next(p for p in pairs(200, seed=5) if len(p.source) == 12 and "not" in p.source and "did" in p.source)
fig, ax = plt.subplots(figsize=(10, 2.4))
show_links(example, ax)
plt.show()

# %% tags=["look"]
some = pairs(2000, seed=1)
dictionary = {}
for p in some:
    for t, s in p.links:
        dictionary.setdefault(p.source[s], p.target[t])
in_place = [tuple(dictionary[w] for w in p.source if w in dictionary) for p in some]
places = [(t, s) for p in some for t, s in p.links]
print(f"Kelu words that stand where their English word stands: {np.mean([t == s for t, s in places]):.0%}")
print(f"sentences with as many words in both languages:        {np.mean([len(p.source) == len(p.target) for p in some]):.0%}")
print(f"sentences that a dictionary gets right, word by word:  {np.mean([a == p.target for a, p in zip(in_place, some)]):.1%}")

# %% [markdown]
# **What does the first Kelu word need to know, and where in the English sentence does that stand?** A model that
# writes Kelu has to read the *whole* English sentence before its first word, in both directions, and then look up a
# different part of it for every word. So T5 [@raffel2020], like the first transformer [@vaswani2017], has two halves: an
# *encoder*, in which every word sees every word, and a *decoder*, which writes from left to right and looks at what the
# encoder made. You build the decoder, train the whole on this language, and check it against Hugging Face's T5.
#
# The language has no data set. `pairs(n, seed, part)` of `source/translation.py` draws sentences from a grammar, and
# keeps some out of training. Letters: `B` sentences, `S` source positions, `T` target positions, `C` model width,
# `H` heads, `D = C / H`, `V` vocabulary.

# %% [markdown]
# ## Step 1. Attention, T5's way
#
# Attention from one text to another is called *cross-attention*: queries come from the decoder's stream `x (B, T, C)`,
# keys and values from the *context* `(B, S, C)`, the encoder's output. You built that in lab 1.3. T5 changes three
# things, here and in self-attention:
#
# $$\text{scores}_{ts} = q_t \cdot k_s + b_{ts}$$
#
# - None of the four matrices has a bias.
# - A learned bias $b$ `(H, T, S)` from lab 2.5 is added to the scores. It is all that T5 knows about positions.
# - The scores are *not* divided by $\sqrt D$. The figure below shows why that goes well.
#
# Padding is as before: a sentence shorter than the longest of its batch ends in padding, and a mask `(B, 1, 1, S)` hides
# those keys from every query. And as before, a row that may see nothing is all zeros, and so are its gradients.

# %% nbgrader={"grade_id": "t5_attention", "solution": true}
class T5Attention(nn.Module):
    """Multi-head attention without biases in its matrices and without a factor on its scores.

    width: C. heads: H, divides C. Its parameters are W_q, W_k, W_v and W_o, each an nn.Linear(C, C, bias=False).

    >>> layer = T5Attention(4, 2)
    >>> real = torch.tensor([[True, True, False]])              # the third word of the context is padding
    >>> out, weights = layer(torch.zeros(1, 2, 4), torch.randn(1, 3, 4), real[:, None, None, :])
    >>> weights[0, 0]                                           # queries of zeros: all keys that may be seen count alike
    tensor([[0.5000, 0.5000, 0.0000],
            [0.5000, 0.5000, 0.0000]], grad_fn=<...>)
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        self.heads = heads
        self.W_q = nn.Linear(width, width, bias=False)
        self.W_k = nn.Linear(width, width, bias=False)
        self.W_v = nn.Linear(width, width, bias=False)
        self.W_o = nn.Linear(width, width, bias=False)
        ### END SOLUTION

    def forward(
        self,
        x: torch.Tensor,
        context: torch.Tensor | None = None,
        mask: torch.Tensor | None = None,
        bias: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """x: (B, T, C). context: (B, S, C), None = x itself. mask: bool, broadcasts to (B, H, T, S). bias: (H, T, S).

        Returns the output (B, T, C) and the weights (B, H, T, S).
        """
        ### BEGIN SOLUTION
        context = x if context is None else context
        q = split(self.W_q(x), self.heads)  # (B, T, C) -> (B, H, T, D)
        k = split(self.W_k(context), self.heads)  # (B, S, C) -> (B, H, S, D)
        v = split(self.W_v(context), self.heads)  # (B, S, C) -> (B, H, S, D)
        scores = q @ k.transpose(-2, -1)  # (B, H, T, S)
        if bias is not None:
            scores = scores + bias  # (H, T, S) is added for every sentence
        if mask is not None:
            scores = scores.masked_fill(~mask, float("-inf"))  # last, so that no gradient passes a hidden score
        weights = torch.softmax(scores, dim=-1).nan_to_num(0.0)
        return self.W_o(merge(weights @ v)), weights
        ### END SOLUTION


# %% nbgrader={"grade_id": "check_t5_attention", "grade": true}
check("ch03/lab05/t5_attention", T5Attention)

# %% [markdown]
# **Look at it.** Scores that are not divided grow with the head's width, and softmax saturates: that was lab 1.1. T5
# avoids it where the weights are drawn. A matrix with standard deviation $C^{-1/2}$ hands on numbers of the size that it
# received. T5 draws all of them so but $W^Q$, which has $(C D)^{-1/2}$: smaller by exactly $\sqrt D$. Random input, 32
# keys, width 512.

# %% tags=["given"]
Attention = earlier("ch03/lab05/t5_attention", T5Attention, course.T5Attention)

# %% tags=["look"]
torch.manual_seed(0)
torch.set_num_threads(1)  # tensors this small: a second thread waits more than it works
C, widths = 512, (2, 4, 8, 16, 32, 64, 128, 256)
x = torch.randn(8, 32, C)
largest = {"all drawn alike": [], "T5's start": []}
with torch.no_grad():
    for D in widths:
        layer = Attention(C, C // D)
        for label, query_std in (("all drawn alike", C**-0.5), ("T5's start", (C * D) ** -0.5)):
            layer.W_q.weight.normal_(std=query_std)
            layer.W_k.weight.normal_(std=C**-0.5)
            largest[label].append(layer(x)[1].amax(-1).mean().item())

fig, ax = plt.subplots(figsize=(6.5, 3))
for (label, values), marker in zip(largest.items(), "so"):
    ax.plot(widths, values, marker=marker, label=label)
ax.set_xscale("log", base=2)
ax.set_xticks(widths, widths)
ax.set(xlabel="head width D", ylabel="largest of 32 weights (mean)", ylim=(0, 1))
ax.legend()
plt.show()

# %% [markdown]
# **At which width would you notice the missing factor if all were drawn alike?** A factor in the first weights does what a
# factor on the scores does, on the first day. Later it depends on the optimiser. Adam's steps have about the same size
# for all weights, so for smaller weights they are relatively larger. T5 was trained with Adafactor [@shazeer2018], whose
# steps are relative to the weights' size, and notices little.

# %% [markdown]
# ## Step 2. The decoder's block
#
# An encoder block has two sublayers, as in lab 2.4. A decoder block has three. Each reads a norm of the stream and adds
# to the stream:
#
# 1. *self-attention*: the Kelu words written so far, causal, with the bias for their distances;
# 2. *cross-attention*: queries from the stream, keys and values from the encoder's output, the *memory* `(B, S, C)`;
# 3. the feed-forward network.
#
# T5's norm is RMSNorm [@zhang2019]: no mean is taken out, and no bias is added. Three things are easy to get wrong:
#
# - Cross-attention is *not* causal. The whole source is there before the first word is written. It hides only the
#   source's padding, told by `real (B, S)`: `True` at words.
# - The bias belongs to the self-attention alone. Place 3 of one text has no distance to place 5 of another.
# - The memory has passed a norm at the end of the encoder. It is not normed again.
#
# And the *target's* padding? It lies behind the words, where a causal mask hides it from each of them. It needs no mask.

# %% nbgrader={"grade_id": "t5_decoder_block", "solution": true}
class DecoderBlock(nn.Module):
    """Causal self-attention, cross-attention and a feed-forward network around one stream.

    width: C. heads: H. hidden: the feed-forward network's inner width. Its parts are norm1, self_attention, norm2,
    cross_attention, norm3 and feed_forward: RMSNorm(C, 1e-6), Attention(C, H) and FeedForward(C, hidden, "relu",
    bias=False).

    >>> block, memory = DecoderBlock(8, 2, 16), torch.randn(1, 3, 8)
    >>> out, weights = block(torch.randn(1, 5, 8), memory, torch.tensor([[True, False, False]]))
    >>> out.shape, weights[0, 0, 4].tolist()                 # one word is real: all the weight is on it
    (torch.Size([1, 5, 8]), [1.0, 0.0, 0.0])
    """

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        self.norm1 = RMSNorm(width, 1e-6)
        self.self_attention = Attention(width, heads)
        self.norm2 = RMSNorm(width, 1e-6)
        self.cross_attention = Attention(width, heads)
        self.norm3 = RMSNorm(width, 1e-6)
        self.feed_forward = FeedForward(width, hidden, "relu", bias=False)
        ### END SOLUTION

    def forward(
        self, x: torch.Tensor, memory: torch.Tensor, real: torch.Tensor, bias: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """x: (B, T, C). memory: (B, S, C). real: bool (B, S), False = padding of the source. bias: (H, T, T).

        Returns the stream (B, T, C) and the cross-attention's weights (B, H, T, S).
        """
        ### BEGIN SOLUTION
        seen = causal_mask(x.shape[1])  # (T, T)
        x = x + self.self_attention(self.norm1(x), mask=seen, bias=bias)[0]
        update, weights = self.cross_attention(self.norm2(x), memory, mask=real[:, None, None, :])
        x = x + update
        return x + self.feed_forward(self.norm3(x)), weights
        ### END SOLUTION


# %% nbgrader={"grade_id": "check_t5_decoder_block", "grade": true}
check("ch03/lab05/t5_decoder_block", DecoderBlock)

# %% [markdown]
# **Look at it.** A block with random weights: which input moves which output? `influence` of lab 1.3 measures it, once
# for the stream that comes in, once for the memory. The last two source positions are padding. A cross is an exact zero;
# the scale is logarithmic.

# %% tags=["given"]
Block = earlier("ch03/lab05/t5_decoder_block", DecoderBlock, course.DecoderBlock)

# %% tags=["look"]
torch.manual_seed(0)
T, S, C = 6, 8, 32
block, bias = Block(C, 4, 64), T5Bias(4)(T, T).detach()
stream, memory = torch.randn(T, C), torch.randn(S, C)
real = torch.arange(S)[None] < S - 2
views = {
    "the stream (Kelu so far)": (lambda a: block(a[None], memory[None], real, bias)[0][0], stream),
    "the memory (English)": (lambda a: block(stream[None], a[None], real, bias)[0][0], memory),
}
fig, axes = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
for ax, (title, (layer, given)) in zip(axes, views.items()):
    seen = inspection.influence(layer, given).numpy()
    with np.errstate(divide="ignore"):
        logs = np.where(seen > 0, np.log10(seen), np.nan)
    image = heatmap(ax, logs, [str(t) for t in range(T)], [str(s) for s in range(len(given))], low=-2, high=1)
    ax.tick_params(axis="x", rotation=0)
    ax.set(title=title, xlabel="input position", ylabel="output position" if ax is axes[0] else "")
    for t, s in np.argwhere(seen == 0):
        ax.text(s, t, "×", ha="center", va="center", color="gray", fontsize=9)
fig.colorbar(image, ax=axes, label="log10 influence")
plt.show()

# %% [markdown]
# **Which of the two pictures is a triangle, and why must the other not be one?** The padded columns are empty for every
# output: whatever stands there, no translation changes.

# %% [markdown]
# ## Step 3. Teacher forcing
#
# A translation of `T` words is `T` questions: given the source and the words before, which word comes next? In training
# the right words are known. So the decoder reads *them*, whatever it would have said itself, and all `T` questions are
# answered in one pass. This is *teacher forcing* [@williams1989].
#
# The decoder's input is therefore the labels, one place to the right: at place $t$ it reads label $t-1$ and has to say
# label $t$. At place 0 it reads a *start token*, since nothing has been said yet. Where labels are -100, there is nothing
# to say, and the loss leaves the place out; but -100 is no word that an embedding could look up. Read padding there.

# %% nbgrader={"grade_id": "shift_right", "solution": true}
def shift_right(labels: torch.Tensor, start: int, pad: int) -> torch.Tensor:
    """What the decoder reads while it learns to say `labels`.

    labels: int64 (B, T), -100 where nothing is to be said. Returns int64 (B, T): the start token, then all labels but
    the last, with pad in place of -100.

    >>> shift_right(torch.tensor([[5, 6, 8, 1], [7, 1, -100, -100]]), start=2, pad=0)
    tensor([[2, 5, 6, 8],
            [2, 7, 1, 0]])
    """
    ### BEGIN SOLUTION
    first = torch.full_like(labels[:, :1], start)  # (B, 1)
    inputs = torch.cat([first, labels[:, :-1]], dim=1)  # (B, T)
    return inputs.masked_fill(inputs == -100, pad)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_shift_right", "grade": true}
check("ch03/lab05/shift_right", shift_right)

# %% [markdown]
# **Look at it.** The shorter of two sentences, place by place. T5 has no start token of its own: the decoder starts from
# the padding token.

# %% tags=["given"]
shift = earlier("ch03/lab05/shift_right", shift_right, course.shift_right)

# %% tags=["look"]
ids, real, labels = collate(sorted(pairs(6, seed=3), key=lambda p: len(p.target))[:3:2])
inputs = shift(labels, start=PAD, pad=PAD)
print("the encoder reads:", *(WORDS[i] for i in ids[0]))
print(f"\n{'place':<7}{'the decoder reads':<20}has to say")
for t, (read, say) in enumerate(zip(inputs[0].tolist(), labels[0].tolist())):
    print(f"{t:<7}{WORDS[read]:<20}{WORDS[say] if say >= 0 else say}")

# %% [markdown]
# **Which row would give the game away if the two columns were the same?** Every one. Remember that for step 5.
#
# Now train. `MiniT5` of `source/models/t5.py` puts an encoder of the course and a decoder of *your* blocks around one
# word embedding: width 64, two layers each. Its `encode(ids, real)` makes the memory, its `decode(inputs, memory, real)`
# the logits `(B, T, V)`. Every batch is drawn anew, so the training loss is a loss on sentences that the model has never
# seen.
#
# A second model is trained in the same way, with one difference: its cross-attention sees nothing.

# %% tags=["given"]
QUICK = True  # False: four times as many steps, two to three minutes
STEPS = 480 if QUICK else 1920
SIZES = course.Sizes(len(WORDS))


def train(loss_on, steps):
    """A new MiniT5 of your blocks, trained on `steps` fresh batches, and its losses. loss_on(model, ids, real, labels)."""
    torch.manual_seed(0)
    model = course.MiniT5(SIZES, Block)
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, total_iters=steps)
    losses = []
    for step in range(steps):
        loss = loss_on(model, *collate(pairs(48, seed=step)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return model.eval(), losses


# %% tags=["look"]
def with_source(model, ids, real, labels):
    logits = model(ids, real, shift(labels, PAD, PAD))  # (B, T, V)
    return F.cross_entropy(logits.transpose(1, 2), labels)  # leaves out -100


def without_source(model, ids, real, labels):
    nothing = torch.zeros_like(real)  # hides the whole source from the cross-attention
    logits = model.decode(shift(labels, PAD, PAD), model.encode(ids, real), nothing)
    return F.cross_entropy(logits.transpose(1, 2), labels)


model, losses = train(with_source, STEPS)
blind, blind_losses = train(without_source, STEPS // 4)

fig, ax = plt.subplots(figsize=(6.5, 3))
ax.plot(losses, color=BLUE, label="with cross-attention")
ax.plot(blind_losses, "--", color=ORANGE, label="without")
ax.axhline(np.log(len(WORDS)), color="gray", linestyle=":", label="guessing evenly")
ax.set(xlabel="training step", ylabel="loss (nats a word)", ylim=(-0.1, 5.5))
ax.legend()
plt.show()
print(f"last 20 steps: {np.mean(losses[-20:]):.3f} with cross-attention, {np.mean(blind_losses[-20:]):.2f} without")

# %% [markdown]
# **Where does the model stop that cannot see the source?** It has learned which words may follow which: Kelu's grammar.
# *What* the sentence is about it can only guess. The difference between the two curves is what comes through the
# cross-attention, in nats a word.

# %% [markdown]
# ## Step 4. Translate
#
# Now there is no teacher. The decoder starts from the start token, says a word, reads it as its next input, and so on
# until it says the end token. Taking the likeliest word each time is called *greedy*.
#
# Sentences of a batch end at different times. A finished one gets `pad`, whatever the model says there, and the batch
# goes on until all are done, or `longest` words are reached. The source does not change meanwhile, so the encoder runs
# *once*.

# %% nbgrader={"grade_id": "greedy_translation", "solution": true}
@torch.no_grad()
def greedy(
    model, ids: torch.Tensor, real: torch.Tensor, longest: int, start: int = PAD, end: int = END, pad: int = PAD
) -> torch.Tensor:
    """Translate a batch, the likeliest word each time.

    model: has encode(ids, real) -> memory, and decode(inputs (B, T), memory, real) -> logits (B, T, V).
    ids, real: (B, S). Returns int64 (B, T): each translation with its end, but without the start token, then pad. T is
    the length of the longest one, at most `longest`. The encoder runs once.

    >>> class Counter:                                          # says the number after the last one
    ...     def encode(self, ids, real): return ids
    ...     def decode(self, inputs, memory, real): return F.one_hot((inputs + 1) % 5, 5).float()
    >>> ids = torch.ones(1, 2, dtype=torch.long)
    >>> greedy(Counter(), ids, ids == 1, longest=9, start=1, end=4, pad=0)
    tensor([[2, 3, 4]])
    """
    ### BEGIN SOLUTION
    memory = model.encode(ids, real)
    words = torch.full((len(ids), 1), start)  # (B, 1)
    done = torch.zeros(len(ids), dtype=torch.bool)  # (B,)
    for _ in range(longest):
        logits = model.decode(words, memory, real)[:, -1]  # (B, T, V) -> (B, V): what comes after the last word
        word = logits.argmax(dim=-1).masked_fill(done, pad)  # (B,)
        words = torch.cat([words, word[:, None]], dim=1)
        done = done | (word == end)
        if done.all():
            break
    return words[:, 1:]
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_greedy_translation", "grade": true}
check("ch03/lab05/greedy_translation", greedy)

# %% [markdown]
# **Look at it.** First some sentences that were held out of training, by both models. Then how often a *whole* sentence
# comes out without a mistake, on three kinds of sentences that training never showed:
#
# - new sentences of the same kind;
# - an adjective at a noun at which it never stood (say, *red* at *house*, though each was seen with others);
# - a subject with two adjectives, which in training no noun has.

# %% tags=["look"]
translate = earlier("ch03/lab05/greedy_translation", greedy, course.greedy)
LONGEST = 24


def said(model, some):
    """Translations (B, T) of sentence pairs' sources."""
    ids, real, _ = collate(some)
    return translate(model, ids, real, LONGEST)


shown = pairs(3, seed=11, part="new sentences")
for p, seeing, guessing in zip(shown, said(model, shown), said(blind, shown)):
    print("English  ", *p.source)
    print("Kelu     ", *p.target)
    print("model    ", *translation.decode(seeing))
    print("blind    ", *translation.decode(guessing), "\n")

print(f"{'whole sentences right':<24}{'model':>8}{'blind':>8}")
for part in translation.PARTS[1:]:
    held_out = pairs(200, seed=12, part=part)
    shares = [translation.exact(said(m, held_out), held_out) for m in (model, blind)]
    print(f"{part:<24}{shares[0]:>8.0%}{shares[1]:>8.0%}")

p = held_out[0]  # the last part's first sentence
print("\nEnglish  ", *p.source)
print("Kelu     ", *p.target)
print("model    ", *translation.decode(said(model, [p])[0]))

# %% [markdown]
# **Which kind of new is easy, and which is not? What does the last translation lack?** Held out *how* is the question to
# ask of any accuracy. After a short training the model still leans on which words went together. Train longer
# (`QUICK = False`) and the second row catches up with the first. The third does not: in all of training, one adjective
# was said and then came something else. Nothing ever taught the model to say a second one.
#
# Now look where it looks. The grammar knows the true alignment, so it can be measured: the weight that a Kelu word's
# place gives to its English word, head by head, on held-out sentences. Below it the best head, for one sentence. Circles
# mark the true alignment.

# %% tags=["look"]
held_out = pairs(100, seed=13, part="new sentences")
ids, real, labels = collate(held_out)
with torch.no_grad():
    weights = model.cross_weights(ids, real, shift(labels, PAD, PAD))  # (L, B, H, T, S)
chance = (1 / real.sum(1)).mean().item()
shares = np.array([[translation.aligned(weights[n, :, h], held_out) for h in range(SIZES.heads)] for n in range(SIZES.layers)])
for n, row in enumerate(shares):
    print(f"layer {n}: weight on the true word, by head: {' '.join(f'{v:.2f}' for v in row)}   (evenly: {chance:.2f})")

best_layer, best_head = np.unravel_index(shares.argmax(), shares.shape)
b = max(range(100), key=lambda b: len(held_out[b].source))
p = held_out[b]
fig, ax = plt.subplots(figsize=(7, 5.2))
rows, columns = [*p.target, "</s>"], [*p.source, "</s>"]
image = heatmap(ax, weights[best_layer, b, best_head, : len(rows), : len(columns)].numpy(), rows, columns)
for t, s in p.links:
    ax.plot(s, t, "o", markersize=11, markerfacecolor="none", markeredgecolor=RED)
ax.set(xlabel="English word looked at", ylabel="Kelu word about to be said", title=f"layer {best_layer}, head {best_head}")
fig.colorbar(image, ax=ax, label="weight")
plt.tight_layout()
plt.show()

# %% [markdown]
# **Follow the circles from top to bottom. At which words does this head look elsewhere, and who may be looking there
# instead?** The table has more heads than this one, and no head has to do all. Nobody told the model about alignment: it
# was paid for words only. Attention was invented for exactly this, to let a translator look back at the source
# [@bahdanau2015].

# %% [markdown]
# ## Step 5. A loss that is too good
#
# A colleague's training step works on plain ids with padding. It runs, and the loss falls faster than yours. Here it is.
# Do not mend it yet.

# %% tags=["given"]
def suspect_loss(model, ids: torch.Tensor, target: torch.Tensor, start: int, pad: int) -> torch.Tensor:
    """The mean loss of all the target's words. ids (B, S) and target (B, T) end in pad. Something is wrong."""
    real = ids != pad  # (B, S)
    memory = model.encode(ids, real)  # (B, S, C)
    inputs = target.clone()  # (B, T)
    inputs[:, 0] = start  # nothing has been said yet
    seen = memory.any(dim=-1)  # (B, S): padding holds nothing
    logits = model.decode(inputs, memory, seen)  # (B, T, V)
    losses = F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none")  # (B * T,)
    words = (target != pad).flatten()  # (B * T,): padding does not count
    return (losses * words).mean()


# %% tags=["look"]
def plain(labels):
    """Labels with padding in place of -100."""
    return labels.masked_fill(labels == -100, PAD)


suspect, suspect_losses = train(lambda m, ids, real, labels: suspect_loss(m, ids, plain(labels), PAD, PAD), STEPS // 4)
for p, words in zip(shown, said(suspect, shown)):
    print("Kelu     ", *p.target)
    print("suspect  ", *translation.decode(words), "\n")
print(f"loss, last 20 of {STEPS // 4} steps: {np.mean(suspect_losses[-20:]):.3f} (yours after as many: {np.mean(losses[STEPS // 4 - 20 : STEPS // 4]):.3f})")
print(f"whole new sentences right: {translation.exact(said(suspect, held_out), held_out):.0%}")

# %% [markdown]
# The loss is the best of this lab, and the translations are worthless. **Look at what it says. What has it learned to do
# at every place but the first?**
#
# Three lines are wrong, one of them in plain sight of the translations. The other two would survive it: they make a
# sentence's result depend on how much padding its *neighbours* in the batch force upon it. Find all three.

# %% nbgrader={"grade_id": "repaired_seq2seq_loss", "solution": true}
def repaired_loss(model, ids: torch.Tensor, target: torch.Tensor, start: int, pad: int) -> torch.Tensor:
    """The mean loss, over all words of all targets, of the step above with its three wrong lines mended.

    model: has encode and decode, as in step 4. ids: (B, S). target: (B, T). Both end in pad. Returns a number: the sum
    of the words' losses divided by the number of words. More padding behind ids or target does not change it.

    >>> plain = course.MiniT5(course.Sizes(8, width=4, heads=1, hidden=4, layers=1))
    >>> _ = nn.init.zeros_(plain.token.weight)                  # every word is as likely as any: log 8 = 2.0794
    >>> repaired_loss(plain, torch.tensor([[3, 1, 0]]), torch.tensor([[5, 1, 0, 0]]), start=0, pad=0)
    tensor(2.0794, grad_fn=<...>)
    """
    ### BEGIN SOLUTION
    real = ids != pad  # (B, S)
    memory = model.encode(ids, real)  # (B, S, C)
    first = torch.full_like(target[:, :1], start)  # (B, 1)
    inputs = torch.cat([first, target[:, :-1]], dim=1)  # (B, T): all words one place to the right
    logits = model.decode(inputs, memory, real)  # the memory's padding holds something: the encoder wrote there too
    losses = F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none")  # (B * T,)
    words = (target != pad).flatten()  # (B * T,)
    return (losses * words).sum() / words.sum()  # padding counts neither above nor below the line
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_repaired_seq2seq_loss", "grade": true}
check("ch03/lab05/repaired_seq2seq_loss", repaired_loss)

# %% [markdown]
# **Look at it.** The trained model's loss on the same 20 held-out sentences, with more and more padding behind both
# texts: by the colleague's step and by the mended one.

# %% tags=["look"]
mended = earlier("ch03/lab05/repaired_seq2seq_loss", repaired_loss, course.padded_loss)
ids, real, labels = collate(held_out[:20])
print(f"{'padding added':<16}{'suspect':>9}{'mended':>9}")
with torch.no_grad():
    for more in (0, 5, 20, 80):
        wide = F.pad(ids, (0, more), value=PAD), F.pad(plain(labels), (0, more), value=PAD)
        print(f"{more:<16}{suspect_loss(model, *wide, PAD, PAD):>9.4f}{mended(model, *wide, PAD, PAD):>9.4f}")

# %% [markdown]
# **Why does the suspect's loss fall when nothing is added but padding?** A mean over places that do not count is
# smaller the more of them there are. With batches of mixed lengths, that also gives sentences a weight that depends on
# their neighbours.

# %% [markdown]
# ## Against Hugging Face's T5
#
# Your translator, its decoder made of your blocks, and `T5ForConditionalGeneration` with the same weights, in float32.
# The same logits, and the same translations word for word.

# %% tags=["look"]
from transformers import T5Config, T5ForConditionalGeneration

theirs = T5ForConditionalGeneration(T5Config(**course.config(SIZES), attn_implementation="eager")).eval()
theirs.load_state_dict(course.to_huggingface(model))
ids, real, labels = collate(held_out)
with torch.no_grad():
    ours = model(ids, real, shift(labels, PAD, PAD))
    expected = theirs(input_ids=ids, attention_mask=real.long(), labels=labels)
    generated = theirs.generate(ids, attention_mask=real.long(), max_new_tokens=LONGEST, do_sample=False, num_beams=1)
words = said(model, held_out)
print(f"largest difference of the logits: {(ours - expected.logits)[labels >= 0].abs().max():.1e}, of the loss: "
      f"{(F.cross_entropy(ours.transpose(1, 2), labels) - expected.loss).abs():.1e}")
print(f"the same {len(words)} translations: {torch.equal(generated[:, 1:], words)}")

# %% [markdown]
# ## What you built
#
# - Attention from one text to another, and the decoder's block: the half of T5, BART and Whisper that you had not met.
# - Teacher forcing for training and a greedy loop for writing, and the mistakes that a loss hides or flatters.
# - A translator that equals the library's. Chapter 8 makes its loop fast: with a cache the keys and values of the memory
#   are computed once for all words.
#
# ## Going further
#
# - The papers: [@raffel2020] compares encoder-decoders with decoders alone at equal cost (section 3.2); [@bahdanau2015] is
#   where alignment by attention comes from, and its figure 3 is yours.
# - Production code: `transformers/models/t5/modeling_t5.py`. In `T5Attention` find `self.scaling`, in `_init_weights` the
#   factor that makes up for it, and in `T5ForConditionalGeneration.forward` the line that scales the decoder's output.
# - An extension: greedy decoding never takes a word back. Write a beam search that keeps the four likeliest beginnings,
#   and find held-out sentences on which it does better, with `QUICK` training and after 100 steps.
