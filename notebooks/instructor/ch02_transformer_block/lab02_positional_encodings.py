# ---
# jupyter:
#   course:
#     title: Positional Encodings
#     level: intermediate
#     minutes: 85
#     hardware: cpu
#     builds: "the sinusoidal table, and rotary embedding (RoPE) in both conventions that models are published in."
#     goals:
#     - Show that attention alone cannot tell one order of its words from another
#     - Build the sinusoidal table, and say what a shift by k places does to it
#     - Rotate queries and keys so that their scores depend on the distance alone, at any positions
#     - Move weights from one pairing convention to the other, and recognise what happens when they are mixed
#     - Write a test that tells a relative scheme from one that only looks like it
#     needs:
#     - "[Positional encoding](../../../book/ch02_transformer_block/positional_encoding.md)"
#     - Lab 1.1, Dot-Product Attention
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
from source.attention.dot_product import attention
from source.blocks import positions as course
from source.plots import BLUE, GREEN, ORANGE, RED
from source.sliders import move

# %% [markdown]
# ## A question first
#
# *The dog bit the man.* *The man bit the dog.* The same words, and one of the two makes the newspaper. Give both to
# the attention of chapter 1, with random weights: every word is a vector, and every word's output is a row below.

# %% tags=["look"]
torch.manual_seed(0)
WIDTH = 16
news, no_news = "the man bit the dog".split(), "the dog bit the man".split()
vectors = {word: torch.randn(WIDTH) for word in ("the", "man", "bit", "dog")}
W_q, W_k, W_v = (torch.randn(WIDTH, WIDTH) / 4 for _ in "qkv")


def attended(words, mask=None):
    """One row for each word: what attention makes of it."""
    x = torch.stack([vectors[word] for word in words])
    return attention(x @ W_q, x @ W_k, x @ W_v, mask)[0]


fig, axes = plt.subplots(1, 2, figsize=(8.5, 2.4), layout="constrained")
for ax, words in zip(axes, (no_news, news)):
    image = ax.imshow(attended(words), vmin=-2, vmax=2, aspect="auto")
    ax.set_yticks(range(5), words)
    ax.set(xlabel="output dimension", title=" ".join(words))
fig.colorbar(image, ax=axes, label="output")
plt.show()

dog, man = attended(no_news)[[1, 4]], attended(news)[[4, 1]]
print(f"dog and man, before and after: they differ by at most {(dog - man).abs().max():.1e}")
causal = torch.ones(5, 5, dtype=torch.bool).tril()
before = attended(["the", "man", "bit", "the", "dog"], causal)[-1]
after = attended(["bit", "the", "the", "man", "dog"], causal)[-1]
print(f"dog, last behind a causal mask, the words before it shuffled: by at most {(before - after).abs().max():.1e}")

# %% [markdown]
# **Find the row of *dog* on the left and on the right. Then find the two rows of *the*.** Swap two words, and two
# rows of the output swap; nothing else happens. Attention sees a *set*. Each score compares a query with a key, and
# neither knows where it stands. A causal mask does not help the last word: it sees all others, in whatever order.
#
# So the place of a word has to be put into the numbers. This lab does it twice: once by adding, as the first
# transformer did, and once by turning, as Llama does and most open models after it.
#
# Letters: `B` batch, `H` heads, `T` positions, `C` model width, `D` head width, `(...)` any dimensions in front.

# %% [markdown]
# ## Step 1. Add a clock
#
# You could add the number `t` to the vector of the word at position `t`. At position 1,000 it would drown the word.
# You could divide it by the length. Then the same place would get another number in each text.
#
# A clock does better. Its hands stay short however late it is. The second hand tells neighbours apart; the hour hand
# tells morning from evening. Take `C/2` hands, each slower than the last by the same factor, and write down where
# each one points: a sine and a cosine. In [@vaswani2017], section 3.5:
#
# $$P_{t,2i} = \sin\!\left(\frac{t}{b^{2i/C}}\right) \qquad P_{t,2i+1} = \cos\!\left(\frac{t}{b^{2i/C}}\right)
# \qquad b = 10000$$
#
# In shapes: a table `(T, C)`, added to the word vectors `(B, T, C)`. Columns 2i and 2i + 1 belong to the same hand.
# If `C` is odd, the last hand has a sine and no cosine.

# %% nbgrader={"grade_id": "sinusoidal", "solution": true}
def sinusoidal(T: int, C: int, base: float = 10000.0) -> torch.Tensor:
    """The table of positions 0 to T - 1.

    Even columns hold sines, odd columns cosines; C may be odd. Returns (T, C) in float32.

    >>> sinusoidal(2, 4, base=100)    # two hands: 1 and 1/10 radians a step; sin 1 = 0.8415, sin 0.1 = 0.0998
    tensor([[0.0000, 1.0000, 0.0000, 1.0000],
            [0.8415, 0.5403, 0.0998, 0.9950]])
    """
    ### BEGIN SOLUTION
    even = torch.arange(0, C, 2)  # 2i
    angles = torch.arange(T)[:, None] * base ** (-even / C)  # (T, 1) * (ceil(C/2),) -> (T, ceil(C/2))
    table = torch.empty(T, C)
    table[:, 0::2] = angles.sin()
    table[:, 1::2] = angles.cos()[:, : C // 2]  # with an odd C the last hand has no cosine
    return table
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_sinusoidal", "grade": true}
check("ch02/lab02/sinusoidal", sinusoidal)

# %% [markdown]
# **Look at it.** The table is your `sinusoidal` if its check passed, and the course's otherwise. Left: 100 positions.
# Right: the dot product of one row with every other, against the distance between the two.

# %% tags=["given"]
table_of = earlier("ch02/lab02/sinusoidal", sinusoidal, course.sinusoidal)

# %% tags=["look"]
table = table_of(100, 64)
fig, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.4), layout="constrained")
fig.colorbar(left.imshow(table, aspect="auto", interpolation="nearest"), ax=left)
left.set(xlabel="column", ylabel="position", title="entries of the table")
for t, style in ((20, "-"), (50, "--"), (80, ":")):
    right.plot(torch.arange(100) - t, table @ table[t], style, label=f"row {t}")
right.set(xlabel="distance to the row (positions)", ylabel="dot product", ylim=(0, 34))
right.set(title="row times every row")
right.legend()
plt.show()

# %% [markdown]
# **In the left picture, which columns could tell position 3 from position 4, and which could tell position 3 from
# position 90? On the right, how do the three curves differ where they overlap?** They do not. The dot product of two
# rows depends on their distance alone, and the nearer the rows, the larger it is.
#
# There is more in the table. Ask least squares for one matrix that turns *every* row $t$ into row $t + 3$. Fit it on
# the first half of a table, and try it on the second half. (The base is short here, so that all hands move visibly
# within a few dozen steps.)

# %% tags=["look"]
short = table_of(80, 8, base=50).double()
k = 3
M = torch.linalg.lstsq(short[: 40 - k], short[k:40]).solution.T  # row t + k = M @ row t
missed = (short[40 : 80 - k] @ M.T - short[40 + k :]).abs().max()
print(f"on rows that it has not seen, the matrix is wrong by at most {missed:.0e}")

fig, ax = plt.subplots(figsize=(4.6, 3.8), layout="constrained")
fig.colorbar(ax.imshow(M, cmap="RdBu", vmin=-1, vmax=1), ax=ax, label="entry of M")
for (row, column), value in [((r, c), M[r, c].item()) for r in range(8) for c in range(8) if abs(M[r, c]) > 0.005]:
    ink = "white" if abs(value) > 0.5 else "black"
    ax.text(column, row, f"{value:.2f}", ha="center", va="center", color=ink, fontsize=8)
ax.set(xlabel="column of row t", ylabel="column of row t + 3", title="the matrix that moves a row by three")
plt.show()

# %% [markdown]
# **The first hand moves one radian a step. What are cos 3 and sin 3, and where do you find them?** Look at one 2 × 2
# block at a time: the same cosine twice on its diagonal, plus and minus the same sine beside it. It is a rotation.
# Going `k` steps on turns hand `i` by `k` times its speed, from wherever it stands. So "three places on" is one fixed
# linear map, which a projection matrix can learn.
#
# But it has to be learned. And the table is *added* to the word, so a score holds four products: word with word, word
# with place, place with word, place with place. Only the last one depends on the distance alone.

# %% [markdown]
# ## Step 2. Angles
#
# [@su2021] asks the other way round: what must be done to a query at position $t$ and a key at position $s$, so that
# their dot product depends on $t - s$ *by construction*? If a shift is a rotation, use the rotation itself. Cut
# the query into pairs of numbers, and turn each pair like a hand of the clock, by an angle in proportion to $t$. Do the
# same to the key with $s$. A dot product of two arrows depends on the angle between them, and that has grown by an
# amount in proportion to $t - s$. This is *rotary position embedding*, RoPE.
#
# First the angles. Pair $i$ of $D/2$ turns $b^{-2i/D}$ radians a step:
#
# $$\theta_{t,i} = t \cdot b^{-2i/D} \qquad i = 0, \ldots, D/2 - 1$$
#
# In shapes: positions `(...)` → angles `(..., D/2)`. Positions are *given*, not counted. Three places need that:
#
# - **A cache.** When a model writes text it sees one new token at a time. That token may stand at position 4,001.
# - **Packing.** Several short texts share a row of a batch, and each begins at 0 again.
# - **Padding on the left.** Each sequence of a batch has positions of its own: `(B, T)`.
#
# And angles stay in float32 whatever the model's weights are in. bfloat16 keeps eight bits, so that 4,001 becomes
# 4,000: rounded by a radian, a fast hand points elsewhere.

# %% nbgrader={"grade_id": "rotary_angles", "solution": true}
def rotary_angles(positions: torch.Tensor, D: int, base: float = 10000.0) -> torch.Tensor:
    """The angle of each pair at each position, in radians.

    positions: (...), integers or float32, any values. D: even. Returns (..., D/2) in float32.

    >>> rotary_angles(torch.tensor([0, 3]), 4, base=100)    # two pairs: 1 and 1/10 radians a step
    tensor([[0.0000, 0.0000],
            [3.0000, 0.3000]])
    """
    ### BEGIN SOLUTION
    frequencies = base ** (-torch.arange(0, D, 2) / D)  # (D/2,), from 1 downward
    return positions[..., None] * frequencies  # (..., 1) * (D/2,) -> (..., D/2)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_rotary_angles", "grade": true}
check("ch02/lab02/rotary_angles", rotary_angles)

# %% [markdown]
# **Look at it.** Left: how many positions each pair takes for one full turn, its *wavelength*, in a head of width 128.
# One base is the paper's, the other is Llama 3's [@grattafiori2024]. Right: how far the worst angle is off up to each
# position, in two precisions.

# %% tags=["given"]
angles_at = earlier("ch02/lab02/rotary_angles", rotary_angles, course.rope_angles)

# %% tags=["look"]
fig, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.4), layout="constrained")
for base, style in ((10_000, "-"), (500_000, "--")):
    wavelengths = 2 * math.pi / angles_at(torch.tensor(1), 128, base)
    left.plot(wavelengths, style, label=f"base {base:,}")
    print(f"base {base:7,}: {(wavelengths > 8192).sum()} of 64 pairs do not come round once in 8,192 positions")
left.axhline(8192, color="gray", linewidth=0.8)
left.annotate("8,192 positions", (0, 8192), xytext=(2, 3), textcoords="offset points", color="gray")
left.set(yscale="log", xlabel="pair", ylabel="wavelength (positions)")
left.legend(loc="lower right")

places = torch.arange(1, 8193)
exact = places.double()[:, None] * 10_000.0 ** (-torch.arange(0, 128, 2, dtype=torch.double) / 128)
for dtype, colour, name in ((torch.float32, BLUE, "float32"), (torch.bfloat16, ORANGE, "bfloat16")):
    off = (angles_at(places, 128).to(dtype).double() - exact).abs().amax(1)
    right.plot(places, off.cummax(0).values, color=colour, label=f"angles in {name}")
right.axhline(2 * math.pi, color="gray", linewidth=0.8)
right.annotate("a whole turn", (1, 2 * math.pi), xytext=(2, 3), textcoords="offset points", color="gray")
right.set(xscale="log", yscale="log", xlabel="position", ylabel="largest error of an angle (radians)")
right.legend()
plt.show()

# %% [markdown]
# **From which position on is an angle in bfloat16 off by more than one radian? And what can a pair tell you that has
# not come round once in the whole context?** The fast pairs measure short distances finely and cannot tell a distance
# from the same plus a turn. The slow ones barely move: they can carry what a word means, undisturbed by where it
# stands. A larger base makes more of them.

# %% [markdown]
# ## Step 3. Turn the pairs
#
# An arrow $(a, b)$ turned by $\theta$ is
#
# $$\begin{pmatrix} a' \\ b' \end{pmatrix} =
# \begin{pmatrix} \cos\theta & -\sin\theta \\ \sin\theta & \cos\theta \end{pmatrix}
# \begin{pmatrix} a \\ b \end{pmatrix} =
# \begin{pmatrix} a\cos\theta - b\sin\theta \\ a\sin\theta + b\cos\theta \end{pmatrix}$$
#
# Which numbers make a pair? The paper takes neighbours: (0, 1), (2, 3), and so on. GPT-J [@wang2021] and Meta's code
# for Llama do the same. Call it *interleaved*.
#
# In shapes: `x (..., T, D)` with angles `(..., T, D/2)` → `(..., T, D)`. The angles broadcast: for
# `x (B, H, T, D)` they are `(T, D/2)`, or `(B, 1, T, D/2)` where each sequence has its own. `x` may be in bfloat16:
# cosine and sine come from float32 angles, and the result is rounded once, to `x`'s dtype.

# %% nbgrader={"grade_id": "rotate_interleaved", "solution": true}
def rotate_interleaved(x: torch.Tensor, angles: torch.Tensor) -> torch.Tensor:
    """Turn the pairs (0, 1), (2, 3), ... of the last dimension, each by its angle.

    x: (..., T, D). angles: float32 or float64, broadcasts to (..., T, D/2). Returns x's shape and dtype.

    >>> angle = math.atan2(4, 3)                        # its cosine is 0.6, its sine 0.8
    >>> rotate_interleaved(torch.tensor([[1.0, 0.0, 0.0, 10.0]]), torch.tensor([[angle, angle]]))
    tensor([[ 0.6000,  0.8000, -8.0000,  6.0000]])
    """
    ### BEGIN SOLUTION
    cos, sin = angles.cos(), angles.sin()  # (..., T, D/2)
    a, b = x[..., 0::2], x[..., 1::2]  # (..., T, D/2): the first and the second of each pair
    turned = torch.stack((a * cos - b * sin, a * sin + b * cos), dim=-1)  # (..., T, D/2, 2)
    return turned.flatten(-2).to(x.dtype)  # (..., T, D): the pairs side by side again
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_rotate_interleaved", "grade": true}
check("ch02/lab02/rotate_interleaved", rotate_interleaved)

# %% [markdown]
# **Look at it.** One vector of width 8 is four arrows. Here they stand at position 0 (faint) and turn as the vector
# moves to a later position. Drag the slider.

# %% tags=["given"]
interleaved = earlier("ch02/lab02/rotate_interleaved", rotate_interleaved, course.rotate_interleaved)

# %% tags=["look"]
torch.manual_seed(5)
vector = torch.nn.functional.normalize(torch.randn(4, 2), dim=1).flatten()  # four arrows of length 1


def clock(position=12):
    """The four pairs of the vector at a position, and the path of each on the way there."""
    t = torch.arange(position + 1)
    path = interleaved(vector.expand(len(t), 8), angles_at(t, 8, base=1000))  # (position + 1, 8)
    fig, axes = plt.subplots(1, 4, figsize=(9, 2.5), layout="constrained")
    for i, ax in enumerate(axes):
        xy = path[:, 2 * i : 2 * i + 2]
        for (x, y), alpha in ((xy[0], 0.3), (xy[-1], 1.0)):
            ax.annotate("", (x, y), (0, 0), arrowprops={"arrowstyle": "-|>", "color": BLUE, "lw": 2, "alpha": alpha})
        ax.plot(*xy.T, ".", color=ORANGE, markersize=5)
        ax.add_patch(plt.Circle((0, 0), 1, fill=False, color="gray", linewidth=0.6))
        ax.set(xlim=(-1.15, 1.15), ylim=(-1.15, 1.15), aspect="equal", xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
        ax.set(xlabel=f"{angles_at(t[-1], 8, base=1000)[i] / (2 * math.pi):.3f} turns", title=f"pair {i}")
    fig.suptitle(f"position {position}")
    return fig


move(clock, position=(0, 24, 1), alt="four arrows on circles, turned to a position, and their paths")

# %% [markdown]
# **Which pair tells position 12 from position 13 best, and which tells 12 from 6 without having come round in
# between?**
#
# Now the point of it all. Put the *same* word everywhere: one query vector at 24 positions, one key vector at 24
# positions. Whatever a score depends on now is position. Left: a table is added to both. Right: both are turned.

# %% tags=["look"]
torch.manual_seed(6)
T, D = 24, 32
q, k = torch.randn(D), torch.randn(D)
places = torch.arange(T)
added = (q + table_of(T, D)) @ (k + table_of(T, D)).T / math.sqrt(D)
turned = interleaved(q.expand(T, D), angles_at(places, D)) @ interleaved(k.expand(T, D), angles_at(places, D)).T
turned = turned / math.sqrt(D)


def along(scores):
    """How much scores at the same distance differ: the largest spread along any diagonal."""
    return max((d.max() - d.min()).item() for d in (scores.diagonal(n) for n in range(1 - len(scores), len(scores))))


fig, axes = plt.subplots(1, 2, figsize=(8.5, 3.5), layout="constrained")
for ax, scores, title in zip(axes, (added, turned), ("table added", "turned")):
    fig.colorbar(ax.imshow(scores), ax=ax, label="score")
    ax.set(xlabel="key position", ylabel="query position", title=f"{title}: spread {along(scores):.1g}")
plt.show()

# %% [markdown]
# **Walk along a diagonal, where the distance is the same. On the right, what changes?** Nothing but the last digits of
# float32. That is the relative property, and it needed no training: $(R_t\, q) \cdot (R_s\, k) = q \cdot R_{s-t}\, k$,
# since turning back by $t$ what was turned by $s$ leaves $s - t$.
#
# Try it with two tokens. A head of width 16, a query and a key that point the same way in each of its eight pairs. Left:
# one pair of both. Right: their score against the distance.

# %% tags=["look"]
def two_tokens(query, key, pair):
    """The angles of one pair of both, their score, and the scores of all distances from 0 to 128."""
    angles = angles_at(torch.arange(129), 16)  # (129, 8)
    ones = interleaved(torch.ones(129, 16), angles)  # the same vector at every position
    return angles[query, pair], angles[key, pair], ones[query] @ ones[key] / math.sqrt(16), ones @ ones[0] / math.sqrt(16)


def draw(query=40, key=30, pair=0):
    query_angle, key_angle, score, curve = two_tokens(query, key, pair)
    fig, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3.2), layout="constrained", width_ratios=(1, 2))
    for angle, colour, name in ((query_angle, BLUE, f"query at {query}"), (key_angle, ORANGE, f"key at {key}")):
        left.plot([0, angle.cos()], [0, angle.sin()], "-", color=colour, linewidth=3, label=name)
    left.set(xlim=(-1.1, 1.1), ylim=(-1.1, 1.6), aspect="equal", xticks=[], yticks=[], title=f"pair {pair}")
    left.legend(loc="upper center", fontsize=9)
    right.plot(curve, color="gray")
    right.plot(abs(query - key), score, "ko")
    right.set(xlabel="distance (positions)", ylabel="score", title=f"distance {abs(query - key)}: score {score:.3f}")
    return fig


move(draw, query=(0, 128, 1), key=(0, 128, 1), pair=(0, 7, 1), card="rope_position",
     alt="two arrows, one pair of a query and of a key, turned to their positions; the score against the distance")

# %% [markdown]
# **Move both by the same number of positions: what turns, and what stays? And from which pair on are the two arrows hard
# to tell apart?** Slow pairs hardly turn over ten positions: they tell near from far, and leave neighbours to the fast ones.
#
# One more thing is often said of RoPE: that scores fade with distance. Measure it. Average over many random vectors,
# once with the key equal to the query, once with a key that has nothing to do with it.

# %% tags=["look"]
torch.manual_seed(7)
D, far, many = 128, 2048, 400
steps = torch.arange(far)
angles = angles_at(steps, D)
alike, other = torch.zeros(many, far), torch.zeros(many, far)
for n in range(many):
    q, k = torch.randn(D), torch.randn(D)
    alike[n] = interleaved(q.expand(far, D), angles) @ q / math.sqrt(D)
    other[n] = interleaved(q.expand(far, D), angles) @ k / math.sqrt(D)

fig, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.3), layout="constrained", sharey=True)
for ax, scores, title in ((left, alike, "key equal to the query"), (right, other, "key unrelated to the query")):
    mean, spread = scores.mean(0), scores.std(0)
    ax.plot(steps, mean, color=BLUE, label="mean")
    ax.fill_between(steps, mean - spread, mean + spread, color=BLUE, alpha=0.25, label="one standard deviation")
    ax.axhline(0, color="gray", linewidth=0.8)
    ax.set(xlabel="distance (positions)", title=title)
left.set(ylabel="score")
left.legend()
plt.show()
print(f"unrelated: standard deviation {other[:, :50].std():.2f} near, {other[:, -50:].std():.2f} far")

# %% [markdown]
# **Which of the two panels shows decay?** A word fades for a query that asks for that very word, wave upon wave. For
# unrelated vectors nothing fades: a rotation keeps every length, so the scores stay as large as they were. RoPE
# *can* prefer what is near; it does not have to. [@barbero2025] shows what trained models make of it.

# %% [markdown]
# ## Step 4. The other convention
#
# GPT-NeoX [@black2022] pairs number $i$ with number $i + D/2$ instead: (0, D/2), (1, D/2 + 1), and so on. Each pair
# then takes its first number from the first half of the vector and its second from the second half. Call it *halves*.
# The transformers library does so for every Llama, in a form worth knowing:
#
# `x * cos + rotate_half(x) * sin`, where `rotate_half` makes `(-second half, first half)`, and `cos`, `sin` hold each
# angle twice.
#
# Why would anyone prefer it? Two slices of neighbours are faster to read and write than every second number. The angles
# are the same, the property is the same, and no weight can tell before training begins. After training it can.

# %% nbgrader={"grade_id": "rotate_halves", "solution": true}
def rotate_halves(x: torch.Tensor, angles: torch.Tensor) -> torch.Tensor:
    """Turn the pairs (0, D/2), (1, D/2 + 1), ... of the last dimension, each by its angle.

    x: (..., T, D). angles: float32 or float64, broadcasts to (..., T, D/2). Returns x's shape and dtype.

    >>> angle = math.atan2(4, 3)                        # its cosine is 0.6, its sine 0.8
    >>> rotate_halves(torch.tensor([[1.0, 0.0, 0.0, 10.0]]), torch.tensor([[angle, angle]]))   # (1, 0) and (0, 10)
    tensor([[ 0.6000, -8.0000,  0.8000,  6.0000]])
    """
    ### BEGIN SOLUTION
    cos, sin = angles.cos(), angles.sin()  # (..., T, D/2)
    a, b = x.chunk(2, dim=-1)  # (..., T, D/2): the first and the second of each pair
    return torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1).to(x.dtype)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_rotate_halves", "grade": true}
check("ch02/lab02/rotate_halves", rotate_halves)

# %% [markdown]
# **Look at it.** A model's query and key weights were trained under the interleaved convention. Three programs load
# them: one rotates as the model was trained, one rotates by halves, one by mistake turns the queries one way and the
# keys the other. Again the same word stands at every position.

# %% tags=["given"]
halves = earlier("ch02/lab02/rotate_halves", rotate_halves, course.rotate_halves)

# %% tags=["look"]
torch.manual_seed(8)
T, C, D = 32, 48, 16
word = torch.randn(C)
weight_q, weight_k = torch.randn(D, C) / math.sqrt(C), torch.randn(D, C) / math.sqrt(C)
angles = angles_at(torch.arange(T), D)


def scored(turn_q, turn_k, x, weight_q, weight_k):
    """Scores (T, T) of one head, with a rotation for the queries and one for the keys."""
    return turn_q(x @ weight_q.T, angles) @ turn_k(x @ weight_k.T, angles).T / math.sqrt(D)


programs = {
    "as trained": (interleaved, interleaved),
    "both by halves": (halves, halves),
    "queries one way, keys the other": (interleaved, halves),
}
seen = {name: scored(*turns, word.expand(T, C), weight_q, weight_k) for name, turns in programs.items()}
low, high = min(s.min() for s in seen.values()), max(s.max() for s in seen.values())
fig, axes = plt.subplots(1, 3, figsize=(10.5, 3.3), layout="constrained", sharey=True)
for ax, (name, scores) in zip(axes, seen.items()):
    image = ax.imshow(scores, vmin=low, vmax=high)
    ax.set(xlabel="key position", title=f"{name}\nspread at one distance {along(scores):.1g}")
axes[0].set(ylabel="query position")
fig.colorbar(image, ax=axes, label="score")
plt.show()
for name, scores in seen.items():
    print(f"{name}: differs from the trained model's scores by up to {(scores - seen['as trained']).abs().max():.2f}")

# %% [markdown]
# **Which of the two mistakes keeps the stripes? Which would you find by testing the relative property, and which
# not?** Rotating by halves is a perfectly good scheme, for other weights. Only a comparison with the trained model's
# own scores shows that these are not the ones. No shape is wrong, and no error is raised.

# %% [markdown]
# ## Step 5. From one convention to the other
#
# A query is `W @ x`: each row of `W` makes one number of it. To use interleaved weights with `rotate_halves`, move
# the rows, so that the numbers that were neighbours come to lie `D/2` apart. Within each head:
#
# rows 0, 2, 4, ... first, then rows 1, 3, 5, ...
#
# Queries and keys are both reordered the same way, so their dot products stay the same. Values are not rotated, so
# their projection stays as it is. This is what a script did once to every Llama checkpoint that you can load with
# the transformers library.
#
# In shapes: `(H*D, C)` → `(H*D, C)`, head after head. A bias `(H*D,)` is reordered likewise. For keys that several
# query heads share, `heads` is the number of key heads `G`.

# %% nbgrader={"grade_id": "to_halves", "solution": true}
def to_halves(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """Reorder a projection made for rotate_interleaved, so that it fits rotate_halves.

    weight: (heads*D, ...), a weight or a bias. Returns the same shape: within each head the even rows, then the odd.

    >>> to_halves(torch.arange(12), heads=2)      # two heads of width 6
    tensor([ 0,  2,  4,  1,  3,  5,  6,  8, 10,  7,  9, 11])
    """
    ### BEGIN SOLUTION
    pairs = weight.unflatten(0, (heads, -1, 2))  # (heads, D/2, 2, ...): row 2i + j of a head is pairs[head, i, j]
    return pairs.transpose(1, 2).flatten(0, 2)  # (heads, 2, D/2, ...): the firsts of all pairs, then the seconds
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_to_halves", "grade": true}
check("ch02/lab02/to_halves", to_halves)

# %% [markdown]
# **Look at it.** Four heads, 32 different words, weights made for the interleaved convention, rotated by halves. What
# is left of the error after each attempt to mend it?

# %% tags=["given"]
moved = earlier("ch02/lab02/to_halves", to_halves, course.interleaved_to_halves)

# %% tags=["look"]
torch.manual_seed(9)
H = 4
x = torch.randn(T, C)
W_q, W_k = torch.randn(H * D, C) / math.sqrt(C), torch.randn(H * D, C) / math.sqrt(C)


def all_heads(turn, W_q, W_k):
    """Scores (H, T, T): the projections are cut into heads and turned."""
    q, k = (turn((x @ W.T).unflatten(-1, (H, D)).transpose(0, 1), angles) for W in (W_q, W_k))  # (H, T, D)
    return q @ k.transpose(1, 2) / math.sqrt(D)


trained = all_heads(interleaved, W_q, W_k)
attempts = {
    "nothing moved": (W_q, W_k),
    "only queries moved": (moved(W_q, H), W_k),
    "moved as if one wide head": (moved(W_q, 1), moved(W_k, 1)),
    "queries and keys moved, head by head": (moved(W_q, H), moved(W_k, H)),
}
errors = {name: (all_heads(halves, *weights) - trained).abs().max().item() for name, weights in attempts.items()}
fig, ax = plt.subplots(figsize=(7, 2.6), layout="constrained")
bars = ax.barh(list(errors), list(errors.values()), color=[RED, RED, RED, GREEN])
ax.bar_label(bars, [f" {e:.1e}" for e in errors.values()])
ax.set(xscale="log", xlim=(1e-7, 1e2), xlabel="largest error of a score")
ax.invert_yaxis()
plt.show()

# %% [markdown]
# **Which attempts would your eyes accept if you only looked at shapes?** All of them.

# %% [markdown]
# ## Step 6. Write the property
#
# You have now seen a relative scheme with your eyes. A test sees more: far positions, other schemes, mistakes that
# nobody has made yet. Write it. A candidate is a function `scores(q, k, q_positions, k_positions)`. It is *relative*
# if both of these hold:
#
# 1. Move queries and keys together by any number of positions: no score changes.
# 2. Move the queries alone: some score changes. (A scheme that ignores positions passes the first by doing nothing.)
#
# Rotary embedding is not the only scheme that is relative: ALiBi [@press2022] turns nothing, and subtracts from each
# score a number in proportion to the distance. Your test has to accept it too, so it cannot simply compare with RoPE.
# Models read texts of thousands of tokens: the property has to hold there as well, up to position 4,000. And numbers
# in float32 are not exact: leave differences below 0.01 alone.

# %% nbgrader={"grade_id": "relative_test", "solution": true}
def relative_test(scores) -> bool:
    """Whether a candidate's scores depend on positions, and on nothing of them but the distance.

    scores: a function (q (T, D), k (S, D), q_positions (T,), k_positions (S,)) -> (T, S), for any T, S and even D.
    Positions are integer tensors, and may go up to 4,000.

    >>> relative_test(lambda q, k, q_positions, k_positions: q @ k.T)    # ignores the positions
    False
    """
    ### BEGIN SOLUTION
    generator = torch.Generator().manual_seed(3)
    q, k = torch.randn(5, 16, generator=generator), torch.randn(7, 16, generator=generator)
    t, s = torch.arange(5) + 2, torch.arange(7)
    here = scores(q, k, t, s)
    for far in (1, 40, 500, 3900):  # both move together: nothing may change
        if not torch.allclose(scores(q, k, t + far, s + far), here, atol=0.01):
            return False
    return not torch.allclose(scores(q, k, t + 3, s), here, atol=0.01)  # the queries move alone: something must
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_relative_test", "grade": true}
check("ch02/lab02/relative_test", relative_test)

# %% [markdown]
# **Look at it.** Your test as a judge, over your own functions and a few mistakes of practice.

# %% tags=["look"]
is_relative = earlier("ch02/lab02/relative_test", relative_test, course.is_relative)


def rotary(turn_q, turn_k, ahead=0, dtype=torch.float32):
    """Scores of rotary embedding; the queries' positions may run ahead, the angles may be rounded."""

    def scores(q, k, t, s):
        D = q.shape[-1]
        angles_q, angles_k = (angles_at(p, D).to(dtype).float() for p in (t + ahead, s))
        return turn_q(q, angles_q) @ turn_k(k, angles_k).T / math.sqrt(D)

    return scores


def tabled(q, k, t, s):
    rows = table_of(4100, q.shape[-1])
    return (q + rows[t]) @ (k + rows[s]).T / math.sqrt(q.shape[-1])


schemes = {
    "sinusoidal table added": tabled,
    "rotary, interleaved": rotary(interleaved, interleaved),
    "rotary, halves": rotary(halves, halves),
    "queries interleaved, keys by halves": rotary(interleaved, halves),
    "rotary, angles in bfloat16": rotary(halves, halves, dtype=torch.bfloat16),
    "ALiBi, slope 1/8": lambda q, k, t, s: q @ k.T / math.sqrt(q.shape[-1]) - (t[:, None] - s).abs() / 8,
    "rotary, queries one position ahead": rotary(halves, halves, ahead=1),
}
for name, scheme in schemes.items():
    print(f"{name:38}{'relative' if is_relative(scheme) else 'not relative'}")

# %% [markdown]
# **Look at the last line. Is a scheme right because it is relative?** The queries are all one place ahead of where they
# should be. The distance is wrong by one everywhere, and *consistently* so: that is a property of the distance alone.
# A property says what a right scheme must have, not that a scheme is right.
#
# It is no invented mistake. When a model writes, each step computes the query and key of one new token and takes
# all earlier keys from a cache, already turned. Here is a decoder of 48 tokens, with the mistakes that such a cache
# invites, against the same computed at once.

# %% tags=["look"]
torch.manual_seed(10)
T, D = 48, 32
q, k, v = torch.randn(3, T, D)
causal = torch.ones(T, T, dtype=torch.bool).tril()
angles = angles_at(torch.arange(T), D)
at_once, _ = attention(halves(q, angles), halves(k, angles), v, causal)


def step_by_step(query_position=lambda t: t, key_position=lambda t: t, again=False):
    """The same with a cache: one token at a time, turned to the position that it is given."""
    cache, rows = torch.empty(0, D), []
    for t in range(T):
        if again:
            cache = halves(cache, angles_at(torch.arange(t), D))
        key = halves(k[t : t + 1], angles_at(torch.tensor([key_position(t)]), D))
        cache = torch.cat((cache, key))  # (t + 1, D)
        query = halves(q[t : t + 1], angles_at(torch.tensor([query_position(t)]), D))
        rows.append(attention(query, cache, v[: t + 1])[0])
    return torch.cat(rows)


runs = {
    "right": step_by_step(),
    "queries one position ahead": step_by_step(query_position=lambda t: t + 1),
    "every new token at position 0": step_by_step(lambda t: 0, lambda t: 0),
    "cached keys turned again at each step": step_by_step(again=True),
}
fig, ax = plt.subplots(figsize=(8, 3.4), layout="constrained")
for (name, out), style in zip(runs.items(), ("-", "--", "-.", ":")):
    ax.plot((out - at_once).norm(dim=1) / at_once.norm(dim=1) + 1e-9, style, label=name)
ax.set(yscale="log", ylim=(1e-9, 10))
ax.set(xlabel="step (position of the new token)", ylabel="relative error of the output")
ax.legend(loc="center right")
plt.show()

# %% [markdown]
# **At which step can you first see each mistake?** At step 0 there is one key, it gets all the weight, and every
# version is right. So a test of a cache with one token proves nothing. What finds all of these is a comparison with
# the same tokens computed at once.

# %% [markdown]
# ## What you built
#
# - The sinusoidal table, in which a shift is a rotation; and rotary embedding, which uses the rotation itself.
# - Both pairing conventions, and the reordering of rows that turns weights of one into weights of the other.
# - A test for the relative property, and an idea of what it cannot see. Lab 2.5 puts it to other schemes; lab 2.6
#   builds `rotate_halves` into a Llama block; chapter 15 stretches the angles for texts longer than any seen before.
#
# ## Going further
#
# - The papers: [@vaswani2017], section 3.5; [@su2021], sections 3.2 to 3.4.
# - Production code: `LlamaRotaryEmbedding` and `apply_rotary_pos_emb` in `modeling_llama.py` of the transformers
#   library. Find the line that makes the angles float32, and the one where cosine and sine leave it again.
# - GPT-NeoX turns only the first quarter of each head's numbers. Try it with your `rotate_halves`: is it still
#   relative? What might the other three quarters be good for?
# - An extension: position 4,000 in float16 angles, in bfloat16, in float32. From which position on does a score
#   between two neighbours differ by more than 0.01?
