# ---
# jupyter:
#   course:
#     title: Positions Compared
#     level: advanced
#     minutes: 75
#     hardware: cpu
#     builds: "T5's distance buckets and ALiBi's slopes, and the measurement that sets them beside learned positions and RoPE."
#     goals:
#     - Write the two ways of telling positions by a bias on the scores
#     - Keep distances right when queries are only the last positions, as with a cache
#     - Measure what a positional scheme does to scores as the distance grows
#     - Say from a measurement which schemes go on beyond the length that they were trained at
#     needs:
#     - "[Positional encoding](../../../book/ch02_transformer_block/positional_encoding.md)"
#     - Lab 2.2, Positional Encodings
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
from source.attention.multi_head import merge, split
from source.blocks import relative as course
from source.blocks.positions import rope_angles, rotate_halves
from source.corpus import shakespeare

# %% [markdown]
# ## A question first
#
# A model reads texts of 128 tokens while it is trained. Then somebody gives it 129. Position 128 has never been
# there: its vector in a table of learned positions is what it was on the first day, random numbers.
#
# Here is a table of learned positions, trained for a moment to do something very simple: to let position `t` find
# position `t - 1`. How well does it find it inside the trained length, and beyond?

# %% tags=["look"]
torch.manual_seed(0)
TRAINED, ALL, WIDTH = 64, 96, 32
table, ask, answer = nn.Embedding(ALL, WIDTH), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
optimizer = torch.optim.Adam([*table.parameters(), *ask.parameters(), *answer.parameters()], lr=0.02)


def previous(T):
    """(T, T) scores of positions for positions, and the right answers: t - 1, and 0 for the first."""
    p = table(torch.arange(T))
    return ask(p) @ answer(p).T, torch.arange(T).sub(1).clamp(min=0)


for _ in range(800):
    loss = F.cross_entropy(*previous(TRAINED))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
with torch.no_grad():
    weights, right = previous(ALL)
    found = weights.softmax(-1)[torch.arange(ALL), right]

fig, ax = plt.subplots(figsize=(6.5, 2.6))
ax.plot(found.numpy(), ".")
ax.axvline(TRAINED - 0.5, color="gray", linewidth=0.8)
ax.set(xlabel="position (the line marks the trained length)", ylabel="weight on the one before", ylim=(-0.05, 1.05))
plt.show()

# %% [markdown]
# **What happens at the line?** Nothing in the table says that position 65 comes after 64. What a model needs is
# mostly not *where* a token is, but *how far back*. So tell it distances, on the scores, where they are used.
#
# You build the two best-known ways, and measure four schemes side by side.
#
# Letters: `T` queries, `S` keys, `H` heads. The queries are the *last* `T` of `S` positions: all of them in training, one when a
# model writes with a cache. Query `t` then stands at position `S - T + t`.

# %% [markdown]
# ## Step 1. Buckets of distances
#
# T5 [@raffel2020] adds a learned number to each score, looked up by distance. One number for each distance would be a
# table with an end again. So distances share *buckets*: the near ones have one each, since it matters whether a word
# is one or two back; of the far ones nobody asks whether it is 87 or 88, and their buckets grow by a constant factor.
#
# With $n$ buckets, of which $m = \lfloor n/2 \rfloor$ are exact, and $f$ the distance from which on all is one:
#
# $$\text{bucket}(d) = \begin{cases} d & d < m \\ \min\!\left(n - 1,\; m + \left\lfloor \dfrac{\log(d/m)}{\log(f/m)}\,(n - m)
# \right\rfloor\right) & d \ge m \end{cases}$$
#
# A key that comes later than its query has distance below zero. A decoder's mask hides it, so its bucket does not matter: call it 0.

# %% nbgrader={"grade_id": "bucket", "solution": true}
def bucket(distance: torch.Tensor, buckets: int = 32, furthest: int = 128) -> torch.Tensor:
    """The bucket of each distance, for a decoder.

    distance: int64, any shape, below zero for keys that come later. Returns int64 of that shape, from 0 to buckets - 1.

    >>> bucket(torch.tensor([-1, 0, 1, 3, 4, 8, 15, 16, 999]), buckets=8, furthest=16)   # 8 is halfway from 4 to 16
    tensor([0, 0, 1, 3, 4, 6, 7, 7, 7])
    """
    ### BEGIN SOLUTION
    d = distance.clamp(min=0)
    exact = buckets // 2
    share = torch.log(d.clamp(min=exact).double() / exact) / math.log(furthest / exact)  # 0 at exact, 1 at furthest
    grown = exact + (share * (buckets - exact)).floor().long()
    return torch.where(d < exact, d, grown.clamp(max=buckets - 1))
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_bucket", "grade": true}
check("ch02/lab05/bucket", bucket)

# %% [markdown]
# **Look at it.** From here on `to_bucket` is your `bucket` if its check passed, and the course's own otherwise. T5's
# own sizes are 32 buckets up to 128.

# %% tags=["given"]
to_bucket = earlier("ch02/lab05/bucket", bucket, course.t5_bucket)

# %% tags=["look"]
d = torch.arange(0, 200)
places = to_bucket(d)
fig, ax = plt.subplots(figsize=(6.5, 2.8))
ax.step(d.numpy(), places.numpy(), where="post")
ax.set(xlabel="distance (tokens back)", ylabel="bucket")
plt.show()
widths = torch.bincount(places)
print("distances in each bucket, up to 199:", widths.tolist())

# %% [markdown]
# **How many distances share the last bucket but one, and how many numbers does a model with 12 heads learn for all of
# this?** A key 500 tokens back and one 5000 back look alike to this scheme: no number that was never trained is ever used.

# %% [markdown]
# ## Step 2. A bias for every score
#
# The bias is one number for each head, query and key: `(H, T, S)`. It comes from a table `(buckets, H)`, one column a
# head, so that heads may differ: one looks next door, one far back.
#
# Mind the two sizes. With a cache there is one query and there are many keys, and the query stands at the *end*.

# %% nbgrader={"grade_id": "bucket_bias", "solution": true}
def bucket_bias(table: torch.Tensor, T: int, S: int, furthest: int = 128) -> torch.Tensor:
    """What is added to the scores of T queries, the last of S positions.

    table: (buckets, H). Returns (H, T, S). Keys that come later than their query have distance 0.

    >>> table = torch.tensor([[0.0], [10.0], [20.0], [30.0]])         # one head; distances 0 and 1 are exact
    >>> bucket_bias(table, 2, 3, furthest=100)                       # the queries stand at positions 1 and 2
    tensor([[[10.,  0.,  0.],
             [20., 10.,  0.]]])
    """
    ### BEGIN SOLUTION
    queries = torch.arange(S - T, S)  # positions
    distance = queries[:, None] - torch.arange(S)  # (T, S)
    return table[to_bucket(distance, len(table), furthest)].permute(2, 0, 1)  # (T, S, H) -> (H, T, S)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_bucket_bias", "grade": true}
check("ch02/lab05/bucket_bias", bucket_bias)

# %% [markdown]
# ## Step 3. Slopes
#
# ALiBi [@press2022] learns nothing at all. Each head has a fixed slope, and subtracts it once for every token of distance:
#
# $$\text{bias}_{h}(d) = -m_h\, d \qquad m_h = 2^{-8 (h+1) / H}, \quad h = 0, \ldots, H-1$$
#
# For eight heads the slopes are $\tfrac12, \tfrac14, \ldots, \tfrac1{256}$. After softmax a bias of $-m d$ is a factor of
# $e^{-m d}$: the first head hardly sees beyond ten tokens, the last one sees hundreds. Keys that come later get 0; a mask hides them.

# %% nbgrader={"grade_id": "slope_bias", "solution": true}
def slope_bias(heads: int, T: int, S: int) -> torch.Tensor:
    """ALiBi's bias for T queries, the last of S positions.

    heads: H, a power of two. Returns (H, T, S), float32: zero or negative.

    >>> slope_bias(2, 1, 3)         # slopes 1/16 and 1/256; the query stands at position 2
    tensor([[[-0.1250, -0.0625,  0.0000]],
    <BLANKLINE>
            [[-0.0078, -0.0039,  0.0000]]])
    """
    ### BEGIN SOLUTION
    slopes = 2.0 ** (-8 * torch.arange(1, heads + 1) / heads)  # (H,)
    distance = torch.arange(S - T, S)[:, None] - torch.arange(S)  # (T, S)
    return -slopes[:, None, None] * distance.clamp(min=0)  # (H, 1, 1) * (T, S) -> (H, T, S)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_slope_bias", "grade": true}
check("ch02/lab05/slope_bias", slope_bias)

# %% [markdown]
# ## Step 4. What distance does to scores
#
# To compare schemes, measure: take scores of every query for every key, and average over all pairs that are equally far
# apart. In a `(T, T)` matrix of scores these lie on a diagonal.

# %% nbgrader={"grade_id": "by_distance", "solution": true}
def by_distance(scores: torch.Tensor) -> torch.Tensor:
    """The mean score at each distance, from 0 to T - 1. Keys that come later are left out.

    scores: (..., T, T); row t is query t, column s is key s. Returns (..., T).

    >>> by_distance(torch.tensor([[1.0, 99.0, 99.0], [2.0, 3.0, 99.0], [4.0, 6.0, 5.0]]))   # (1+3+5)/3, (2+6)/2, 4
    tensor([3., 4., 4.])
    """
    ### BEGIN SOLUTION
    T = scores.shape[-1]
    means = [scores.diagonal(offset=-d, dim1=-2, dim2=-1).mean(dim=-1) for d in range(T)]  # each (...)
    return torch.stack(means, dim=-1)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_by_distance", "grade": true}
check("ch02/lab05/by_distance", by_distance)

# %% [markdown]
# **Look at it.** A query and a key of equal content, at every distance. RoPE turns both by their positions, so what is left of their
# product depends on the distance. ALiBi subtracts. T5 and learned positions say nothing before training, so they are missing here. Averaged over
# 200 random vectors of width 64, scores divided by $\sqrt{64}$.

# %% tags=["look"]
mean_at = earlier("ch02/lab05/by_distance", by_distance, course.mean_by_distance)
slope = earlier("ch02/lab05/slope_bias", slope_bias, lambda H, T, S: course.alibi_bias(H, T, S))
torch.manual_seed(1)
T, D = 256, 64
content = torch.randn(200, 1, D).expand(200, T, D)
turned = rotate_halves(content, rope_angles(torch.arange(T), D))
plain = content @ content.transpose(-2, -1) / math.sqrt(D)  # the same at every distance
curves = {
    "no positions": mean_at(plain).mean(0),
    "RoPE": mean_at(turned @ turned.transpose(-2, -1) / math.sqrt(D)).mean(0),
    "ALiBi, head 1 of 8": mean_at(plain + slope(8, T, T)[0]).mean(0),
    "ALiBi, head 8 of 8": mean_at(plain + slope(8, T, T)[7]).mean(0),
}
fig, ax = plt.subplots(figsize=(6.5, 3.2))
for (name, curve), line in zip(curves.items(), (":", "-", "--", "-.")):
    ax.plot(curve.numpy(), line, label=name)
ax.set(xlabel="distance (tokens back)", ylabel="mean score", ylim=(-12, 10))
ax.legend(fontsize=9)
plt.show()

# %% [markdown]
# **Which scheme favours near tokens whatever they say? Which one waves, and still sees a match at 200 tokens back?** ALiBi's
# preference is built in and can be outweighed only by content. RoPE's is weak: a match far back loses part of its score, and a head can
# learn to ask for a distance by turning its own queries.

# %% [markdown]
# ## Step 5. Find three wrong lines
#
# A colleague wrote attention with slopes, for writing with a cache: `T` new queries, `S` keys. It runs, and the text that it writes
# loses its thread. Here it is.

# %% tags=["given"]
def suspect(Q: torch.Tensor, K: torch.Tensor, V: torch.Tensor) -> torch.Tensor:
    """Causal attention with slopes; the queries are the last T of S positions. Something is wrong.

    Q: (B, H, T, D). K, V: (B, H, S, D). H is a power of two. Returns (B, H, T, D).
    """
    H, T, D = Q.shape[1:]
    S = K.shape[2]
    slopes = 2.0 ** (-8 * torch.arange(H) / H)  # (H,)
    distance = torch.arange(T)[:, None] - torch.arange(S)  # (T, S)
    scores = Q @ K.transpose(-2, -1) - slopes.view(H, 1, 1) * distance  # (B, H, T, S)
    scores = (scores / math.sqrt(D)).masked_fill(distance < 0, float("-inf"))
    return torch.softmax(scores, dim=-1) @ V


# %% [markdown]
# Three lines are wrong. One spoils the heads, one the distances, one what the slopes weigh. Let a single query look at ten equal keys, as in
# writing one token, and compare what you see with what should be there. No key tells it anything, so only the slope speaks.

# %% tags=["look"]
T, S = 1, 10
Q, K = torch.zeros(1, 8, T, 16), torch.zeros(1, 8, S, 16)
seen = suspect(Q, K, torch.eye(S).expand(1, 8, S, S))[0, 0, 0]  # one-hot values: attention prints its weights
wanted = torch.softmax(-0.5 * torch.arange(S - 1, -1, -1.0), dim=-1)
fig, ax = plt.subplots(figsize=(6.5, 2.6))
ax.bar(torch.arange(S).numpy() - 0.2, seen.numpy(), 0.38, label="the suspect's first head")
ax.bar(torch.arange(S).numpy() + 0.2, wanted.numpy(), 0.38, label="slope 1/2, as it should be", hatch="//")
ax.set(xlabel="key (9 is the query's own position)", ylabel="weight", xticks=range(S))
ax.legend(fontsize=9)
plt.show()

# %% [markdown]
# **Where does the suspect think that its query stands?** Write the repaired function. It must also work in the dtype of its inputs.

# %% nbgrader={"grade_id": "repaired", "solution": true}
def repaired(Q: torch.Tensor, K: torch.Tensor, V: torch.Tensor) -> torch.Tensor:
    """`suspect` with its three wrong lines put right: causal attention with slopes, for the last T of S positions.

    Q: (B, H, T, D). K, V: (B, H, S, D). H is a power of two. Returns (B, H, T, D), in the dtype of its inputs.
    """
    ### BEGIN SOLUTION
    H, T, D = Q.shape[1:]
    S = K.shape[2]
    slopes = 2.0 ** (-8 * torch.arange(1, H + 1) / H)  # (H,), the last one is 2**-8
    distance = torch.arange(S - T, S)[:, None] - torch.arange(S)  # (T, S), the queries are the last positions
    scores = Q @ K.transpose(-2, -1) / math.sqrt(D)  # scaled first: the slopes are for scaled scores
    scores = scores - (slopes.view(H, 1, 1) * distance).to(Q.dtype)
    scores = scores.masked_fill(distance < 0, float("-inf"))
    return torch.softmax(scores, dim=-1) @ V
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_repaired", "grade": true}
check("ch02/lab05/repaired", repaired)

# %% [markdown]
# ## Train short, test long
#
# Now all of them in a language model. Two layers, bytes of Shakespeare, trained on texts of 64 bytes: no positions at all, a learned table,
# T5's buckets, slopes, and RoPE. Then each one reads texts of 256, and you look at the loss place by place.
#
# The learned table has 64 rows. Beyond them the last row is used again: there is nothing better to do.

# %% tags=["look"]
torch.set_num_threads(1)  # tensors this small: a second thread waits more than it works
C, H, SHORT, LONG = 64, 4, 64, 256
text = {part: torch.tensor(list(shakespeare(part)[:400_000].encode())) for part in ("train", "validation")}


class Layer(nn.Module):
    """One block: causal attention with a positional scheme, and a feed-forward network."""

    def __init__(self, scheme):
        super().__init__()
        self.scheme = scheme
        self.norms = nn.ModuleList([nn.LayerNorm(C), nn.LayerNorm(C)])
        self.qkv, self.out = nn.Linear(C, 3 * C), nn.Linear(C, C)
        self.network = nn.Sequential(nn.Linear(C, 4 * C), nn.GELU(), nn.Linear(4 * C, C))
        self.t5 = course.T5Bias(H) if scheme == "T5" else None

    def forward(self, x):
        T = x.shape[1]
        q, k, v = (split(part, H) for part in self.qkv(self.norms[0](x)).chunk(3, dim=-1))  # three (B, H, T, D)
        if self.scheme == "RoPE":
            angles = rope_angles(torch.arange(T), C // H)
            q, k = rotate_halves(q, angles), rotate_halves(k, angles)
        bias = torch.zeros(1, T, T)
        if self.scheme == "T5":
            bias = self.t5(T, T)
        if self.scheme == "ALiBi":
            bias = course.alibi_bias(H, T, T)
        future = torch.ones(T, T, dtype=torch.bool).triu(1)
        z = F.scaled_dot_product_attention(q, k, v, bias.masked_fill(future, float("-inf"))[None])
        x = x + self.out(merge(z))
        return x + self.network(self.norms[1](x))


class Model(nn.Module):
    """Bytes (B, T) to scores (B, T, 256), with one positional scheme."""

    def __init__(self, scheme):
        super().__init__()
        self.embed = nn.Embedding(256, C)
        self.places = nn.Embedding(SHORT, C) if scheme == "learned" else None
        self.layers = nn.Sequential(Layer(scheme), Layer(scheme))
        self.read_out = nn.Sequential(nn.LayerNorm(C), nn.Linear(C, 256))

    def forward(self, ids):
        x = self.embed(ids)
        if self.places is not None:
            x = x + self.places(torch.arange(ids.shape[1]).clamp(max=SHORT - 1))
        return self.read_out(self.layers(x))


def batch(part, starts, T):
    both = text[part][starts[:, None] + torch.arange(T + 1)]
    return both[:, :-1], both[:, 1:]


def place_by_place(scheme, steps=350):
    """The loss at each of 256 positions, on held-out text, after training on 64."""
    torch.manual_seed(0)
    model = Model(scheme)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    for _ in range(steps):
        ids, following = batch("train", torch.randint(len(text["train"]) - SHORT - 1, (16,)), SHORT)
        loss = F.cross_entropy(model(ids).flatten(0, 1), following.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        ids, following = batch("validation", torch.arange(0, len(text["validation"]) - LONG - 1, 900), LONG)
        return F.cross_entropy(model(ids).transpose(1, 2), following, reduction="none").mean(0)


schemes = ("none", "learned", "T5", "ALiBi", "RoPE")
losses = {scheme: place_by_place(scheme) for scheme in schemes}
fig, ax = plt.subplots(figsize=(7, 3.6))
for (scheme, loss), line in zip(losses.items(), (":", "--", "-.", "-", (0, (5, 1)))):
    ax.plot(range(8, LONG, 16), loss.unflatten(0, (-1, 16)).mean(1).numpy(), linestyle=line, marker=".", label=scheme)
ax.axvline(SHORT, color="gray", linewidth=0.8)
ax.set(xlabel="position (the line marks the trained length)", ylabel="loss (nats a byte), means of 16")
ax.legend(fontsize=9)
plt.show()
print(f"{'':8}{'places 16-63':>14}{'places 128-255':>16}")
for scheme, loss in losses.items():
    print(f"{scheme:8}{loss[16:SHORT].mean():>14.3f}{loss[128:].mean():>16.3f}")

# %% [markdown]
# **Inside the trained length, how much do positions help at all, and which scheme is best? Beyond it, which curves stay flat, and which one is
# the first to rise?** A causal model without positions is not blind to order: the first token sees one key, the tenth ten. That a curve stays flat
# does not say that the far text is *used*. ALiBi's steep heads never look there. Chapter 15 takes this up: how RoPE is stretched, and what it costs.

# %% [markdown]
# ## What you built
#
# - T5's buckets and ALiBi's slopes, right also for the last queries of a longer text.
# - A measurement of scores by distance, and of loss by position.
# - A comparison that you can repeat with a scheme of your own. Lab 2.6 uses RoPE, as most models do; chapter 15 extends it.
#
# ## Going further
#
# - The papers: [@press2022], section 3 and figure 1; [@raffel2020], section 2.1; without any positions, [@kazemnejad2023].
# - Production code: `transformers/models/t5/modeling_t5.py`, function `_relative_position_bucket`. What does it do for an encoder, which looks
#   both ways?
# - An extension: let the slopes be learned, one number a head, starting from zero. Do the heads find a geometric sequence by themselves?
