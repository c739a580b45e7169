# ---
# jupyter:
#   course:
#     title: Attention Visualization
#     level: intermediate
#     minutes: 75
#     hardware: cpu
#     builds: "heatmaps of a trained model's attention, scores that find its specialised heads, and the proof that they matter."
#     goals:
#     - Read an attention map without fooling yourself
#     - Measure what a head does with one number, over many inputs
#     - Tell by ablation whether a head that looks at something also needs it
#     needs:
#     - "[Attention, the intuition](../../../book/ch01_attention/attention_intuition.md)"
#     - Lab 1.1, or a good idea of what a row of attention weights is
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% tags=["setup"]
from autograder import setup; device = setup()

# %% tags=["setup"]
import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

from autograder import check, earlier
from source.attention import inspection
from source.models.attention_only import load
from source.plots import heatmap
from source.text import WORDS, decode, encode

model = load()
L, H = len(model.layers), model.layers[0].heads

# %% [markdown]
# ## A question first
#
# Here is a small language model: two layers of attention and nothing else. It was trained on documents in a tiny
# English, in which some lists of words come twice. Nobody told its heads what to do. Read what it predicts:

# %% tags=["look"]
text = "fox cold lily behind hears small kings snow fox cold lily behind hears small kings"
ids = torch.tensor([encode(text)])  # (1, T)
with torch.no_grad():
    logits, weights = model.look(ids)  # (1, T, V) and (L, 1, H, T, T)
chance = logits.softmax(-1)[0]
words = decode(ids[0].tolist())
print(f"{'after':>10}   it expects   with probability")
for t in range(len(words)):
    best = int(chance[t].argmax())
    print(f"{words[t]:>10}   {WORDS[best]:<10}   {chance[t, best]:.2f}")

# %% [markdown]
# The list is nonsense, so no grammar can foretell it, and the model has never seen it. Yet one word into the
# repetition it knows how the list goes on. **Something inside looks back. Which part, and at what?** Attention weights
# are the one place where you can watch.
#
# Letters: `L` layers, `B` batch, `H` heads, `T` words. `weights` is `(L, B, H, T, T)`: `weights[l, b, h, t, s]` says
# how much head `h` of layer `l` looks at word `s` when it stands at word `t`.

# %% tags=["look"]
fig, axes = plt.subplots(L, H, figsize=(3.1 * H, 3.1 * L), sharex=True, sharey=True)
for layer in range(L):
    for head in range(H):
        heatmap(axes[layer, head], weights[layer, 0, head].numpy(), words, words)
        axes[layer, head].set(title=f"layer {layer}, head {head}", xlabel="", ylabel="")
        axes[layer, head].tick_params(labelsize=8)
        axes[layer, head].set_xticks(range(len(words)), words, rotation=90)
axes[-1, 0].set(xlabel="key (looked at)", ylabel="query (looking)")
plt.tight_layout()
plt.show()

# %% [markdown]
# **Find a map with a clean diagonal just below the main one, and one whose diagonal begins only in the second list.**
# Everything above the main diagonal is dark: the causal mask. Everything in the first row sits on one cell: the first
# word has only itself.

# %% [markdown]
# ## Step 1. Read a map
#
# The eye is drawn to bright cells. Make it exact: list the strongest links of one map, strongest first. Leave out the
# first row. Its weight of 1 is no choice, and counting it is the commonest way to be fooled by such a map.

# %% nbgrader={"grade_id": "strongest_links", "solution": true}
def strongest_links(weights: torch.Tensor, words: list[str], n: int) -> list[tuple[str, str, float]]:
    """The n strongest links of one head's map, strongest first; the first row does not count.

    weights: (T, T), row t says what word t looks at. words: T labels.
    Returns n triples (looking word, word looked at, weight).

    >>> strongest_links(torch.tensor([[1.0, 0, 0], [0.9, 0.1, 0], [0.2, 0.7, 0.1]]), ["the", "cat", "sees"], 2)
    [('cat', 'the', 0.9), ('sees', 'cat', 0.7)]
    """
    ### BEGIN SOLUTION
    values, places = weights[1:].flatten().topk(n)
    links = []
    for value, place in zip(values, places):
        row, column = divmod(int(place), len(words))  # row 0 of the cut map is word 1
        links.append((words[row + 1], words[column], float(value)))
    return links
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_strongest_links", "grade": true}
check("ch01/lab02/strongest_links", strongest_links)

# %% [markdown]
# **Look at it.** The strongest link of every head, in an ordinary sentence:

# %% tags=["look"]
links_of = earlier("ch01/lab02/strongest_links", strongest_links, inspection.strongest_links)
sentence = torch.tensor([encode("anna wood sees the old dog near my girl . anna")])
with torch.no_grad():
    _, in_sentence = model.look(sentence)
labels = decode(sentence[0].tolist())
for layer in range(L):
    for head in range(H):
        (looking, looked_at, weight), = links_of(in_sentence[layer, 0, head], labels, 1)
        print(f"layer {layer}, head {head}: {looking!r} looks at {looked_at!r} with {weight:.2f}")

# %% [markdown]
# **For which heads could you name a rule from one sentence? Would you bet on it?** One map is an anecdote. A score
# over many inputs is a measurement. The next three steps build one.

# %% [markdown]
# ## Step 2. Make the probe
#
# To measure how a head reacts to repetition, you need input in which *only* repetition can help: random words, said
# twice. Nothing about the words themselves tells what comes next.
#
# In shapes: `lists (B, n)` → `ids (B, 2n + 1)`: the start word, the list, the list again.

# %% nbgrader={"grade_id": "repeated", "solution": true}
def repeated(lists: torch.Tensor, start: int) -> torch.Tensor:
    """Each list said twice, behind the start word.

    lists: (B, n), ids. start: the id of the start word. Returns (B, 2n + 1).

    >>> repeated(torch.tensor([[5, 7]]), start=0)
    tensor([[0, 5, 7, 5, 7]])
    """
    ### BEGIN SOLUTION
    first = torch.full((len(lists), 1), start)  # (B, 1)
    return torch.cat([first, lists, lists], dim=1)  # (B, 1 + n + n)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_repeated", "grade": true}
check("ch01/lab02/repeated", repeated)

# %% [markdown]
# **Look at it.** 200 probes, and the model's loss at every position:

# %% tags=["look"]
say_twice = earlier("ch01/lab02/repeated", repeated, inspection.repeated)
n = 20
generator = torch.Generator().manual_seed(5)
lists = 1 + torch.rand(200, len(WORDS) - 1, generator=generator).argsort(-1)[:, :n]  # (200, n), no word twice
probes = say_twice(lists, 0)  # (200, 2n + 1)
with torch.no_grad():
    probe_logits, probe_weights = model.look(probes)
losses = F.cross_entropy(probe_logits[:, :-1].transpose(1, 2), probes[:, 1:], reduction="none").mean(0)  # (2n,)

fig, ax = plt.subplots(figsize=(6.5, 3))
ax.plot(range(1, 2 * n + 1), losses.numpy(), marker="o", markersize=4)
ax.axvline(n + 0.5, color="gray", linestyle="--")
ax.text(n + 1, float(losses.max()) * 0.92, "the list again")
ax.set(xlabel="position of the predicted word", ylabel="loss (nats)", ylim=(0, None))
plt.show()

# %% [markdown]
# **Why is the first word of the second list still a surprise, and the next one not?** Guessing one of the model's
# words at random costs `log V` nats. Compare that with the left half.

# %% [markdown]
# ## Step 3. Who looks one word back?
#
# Some heads look at the word before, whatever it is. Score that: how much weight goes from word $t$ to word $t-1$, on
# average over all $t \ge 1$ and over the batch?
#
# $$\text{score}_{lh} = \frac{1}{B\,(T-1)} \sum_{b} \sum_{t=1}^{T-1} w_{lbh,\,t,\,t-1}$$
#
# In shapes: `(L, B, H, T, T)` → `(L, H)`.

# %% nbgrader={"grade_id": "previous_token_score", "solution": true}
def previous_token_score(weights: torch.Tensor) -> torch.Tensor:
    """How much each head looks at the previous word, on average.

    weights: (L, B, H, T, T) with T of at least 2. Returns (L, H), between 0 and 1.

    >>> previous_token_score(torch.tensor([[1.0, 0.0], [0.75, 0.25]]).view(1, 1, 1, 2, 2))
    tensor([[0.7500]])
    """
    ### BEGIN SOLUTION
    back = weights.diagonal(-1, dim1=-2, dim2=-1)  # (L, B, H, T - 1): the cells (t, t - 1)
    return back.mean(dim=(1, 3))
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_previous_token_score", "grade": true}
check("ch01/lab02/previous_token_score", previous_token_score)

# %% [markdown]
# ## Step 4. Who looks at what came next?
#
# Suppose a head stands at the *second* "cat" of `cat red ... cat`. To foretell "red" it should look at the word that
# came *after* the first "cat". Heads that do this are called induction heads [@olsson2022].
#
# With `n` words a list and the start word at position 0, the second list fills positions `n + 1` to `2n`. The word at
# `t` first stood at `t - n`, so what came next stood at `t - n + 1`. Average that cell over `t = n + 1, ..., 2n - 1`,
# the words that still have a next one in the list.

# %% nbgrader={"grade_id": "induction_score", "solution": true}
def induction_score(weights: torch.Tensor, n: int) -> torch.Tensor:
    """How much each head looks at what came after a word's first occurrence, on probes made by `repeated`.

    weights: (L, B, H, 2n + 1, 2n + 1), n of at least 2. Returns (L, H), between 0 and 1.

    With n = 2 the positions are start 0, list 1 2, list 3 4: only t = 3 counts, and it should look at 2.
    """
    ### BEGIN SOLUTION
    t = torch.arange(n + 1, 2 * n)  # the second list, without its last word
    cells = weights[..., t, t - n + 1]  # (L, B, H, n - 1)
    return cells.mean(dim=(1, 3))
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_induction_score", "grade": true}
check("ch01/lab02/induction_score", induction_score)

# %% [markdown]
# **Look at it.** Both scores, for every head, over the 200 probes:

# %% tags=["look"]
back_score = earlier("ch01/lab02/previous_token_score", previous_token_score, inspection.previous_token_score)
next_score = earlier("ch01/lab02/induction_score", induction_score, inspection.induction_score)
scores = {"looks one back": back_score(probe_weights), "looks at what came next": next_score(probe_weights, n)}
fig, axes = plt.subplots(1, 2, figsize=(7, 2.6), sharey=True)
for ax, (name, score) in zip(axes, scores.items()):
    heatmap(ax, score.numpy(), [f"layer {i}" for i in range(L)], [f"head {i}" for i in range(H)], numbers=True)
    ax.set(title=name, xlabel="", ylabel="")
plt.tight_layout()
plt.show()

# %% [markdown]
# **In which layer does each kind live?** That is no accident. A head can only match "this word" against "the word
# before me" if an earlier layer has written *who stood before me* at every position. The first layer writes it, the
# second reads it: an induction head is two heads working together, which is why one layer cannot do it
# [@elhage2021].

# %% [markdown]
# ## Step 5. Take a head out
#
# A head that *looks* at something need not *use* it. To know, take it away and see what breaks: the model's `keep`
# multiplies every head's output, one leaves it, zero takes it out.
#
# Measure what matters: the mean loss, in nats, on those words of the second list that an induction head can foretell.
# These are positions `n + 2` to `2n`. The first word of the second list, at `n + 1`, does not count: before it, nothing
# tells that a repetition has begun. And remember the shift: the logits at position `t` predict the word at `t + 1`.

# %% nbgrader={"grade_id": "loss_without", "solution": true}
def loss_without(model, ids: torch.Tensor, n: int, layer: int | None, head: int | None) -> float:
    """Mean loss on positions n + 2 to 2n of the probes, with one head taken out.

    model: `model(ids, keep)` gives logits (B, 2n + 1, V); keep is (L, H); `len(model.layers)` is L and
    `model.layers[0].heads` is H. ids: (B, 2n + 1). layer, head: which head goes; None: all stay.
    Returns a number, in nats. A model that knows nothing pays about log V, the logarithm of its vocabulary.
    """
    ### BEGIN SOLUTION
    keep = torch.ones(len(model.layers), model.layers[0].heads)
    if layer is not None:
        keep[layer, head] = 0.0
    with torch.no_grad():
        logits = model(ids, keep)  # (B, 2n + 1, V)
    predictions = logits[:, n + 1 : -1]  # made at positions n + 1 to 2n - 1, for the words one further on
    return float(F.cross_entropy(predictions.flatten(0, 1), ids[:, n + 2 :].flatten()))
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_loss_without", "grade": true}
check("ch01/lab02/loss_without", loss_without)

# %% [markdown]
# **Look at it.** Every head taken out in turn:

# %% tags=["look"]
without = earlier("ch01/lab02/loss_without", loss_without, inspection.loss_without)
whole = without(model, probes, n, None, None)
names = [f"{layer}.{head}" for layer in range(L) for head in range(H)]
costs = [without(model, probes, n, layer, head) - whole for layer in range(L) for head in range(H)]
fig, ax = plt.subplots(figsize=(6.5, 3))
ax.bar(names, costs)
ax.set(xlabel="head taken out (layer.head)", ylabel="loss added (nats)")
ax.set_title(f"with all heads the loss is {whole:.2f}")
plt.show()

# %% [markdown]
# **Hold this picture against the two score tables. Which head with a high score hurts most when it goes? Is there a
# head without any high score that matters, or one with a high score that hardly does?** Scores tell what a head looks
# at, ablation tells what the model needs. They answer different questions, and you want both [@jain2019].

# %% [markdown]
# ## What you built
#
# - A way to read attention maps that does not fall for the first row.
# - Two scores that find specialised heads, and an ablation that says which ones matter.
# - You come back to them when heads share keys and values (Chapter 8) and when caches throw tokens away (Chapter 15).
#
# ## Going further
#
# - The papers: [@elhage2021] takes such two-layer models apart by hand; [@olsson2022] finds induction heads in large
#   ones; [@voita2019] removes most heads of a translation model.
# - Production code: `source/models/attention_only.py` is the whole model, 120 lines. In `transformers`, any model
#   called with `output_attentions=True` gives the same `(B, H, T, T)` maps, one a layer.
# - An extension: train it yourself with one layer instead of two (`source/train_attention_heads.py` has the settings).
#   How low does the loss on the second list go now?
