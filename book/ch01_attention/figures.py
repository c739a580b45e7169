"""Draws Chapter 1's figures and computes the numbers in them, each within a second; it trains and loads no model."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from book.drawing import arrow, blank, box, ink
from source.plots import BLUE, GREEN, ORANGE, PINK, RED, heatmap

# The lookup that runs through the chapter: a query, three keys, and a value (a mass in kg) for each key.
ANIMALS = ("cat", "dog", "elephant")
QUERY = np.array([1.0, 1.0])
KEYS = np.array([[1.2, 0.8], [1.0, 0.0], [1.0, -1.0]])
KILOGRAMS = np.array([4.0, 20.0, 5000.0])


def _softmax(scores: np.ndarray) -> np.ndarray:
    """Softmax over the last axis, stable, with -inf allowed where at least one score of the row is finite."""
    shifted = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def _causal(scores: np.ndarray) -> np.ndarray:
    """The scores with -inf wherever a key comes after its query."""
    return np.where(np.tril(np.ones(scores.shape[-2:], dtype=bool)), scores, -np.inf)


# --- attention_intuition ---------------------------------------------------------------------------------------------


def one_vector_or_all() -> Figure:
    """Two sketches of a translator. Above, four source words pass through one vector of fixed size before the first
    target word. Below, every target word reads all four source states directly, with thick lines where the weight is
    large: nothing has to fit through one vector.
    """
    source, target = ("the", "cat", "sat", "down"), ("le", "chat", "s'est", "assis")
    scores = np.array([[3.0, 1, 0, 0], [1, 3, 0, 0], [0, 1, 2, 2], [0, 0, 2.5, 2.5]])
    weights = _softmax(scores)
    fig, (top, low) = plt.subplots(2, 1, figsize=(6.5, 5.6))
    blank(top, 10, 4.1)
    xs = np.array([1.0, 2.6, 4.2, 5.8])
    for x, word in zip(xs, source, strict=True):
        box(top, x, 0.75, 1.25, 0.7, BLUE, word)
    for x in xs[:-1]:
        arrow(top, (x + 0.66, 0.75), (x + 0.94, 0.75))
    box(top, 8.3, 2.05, 2.3, 0.75, RED, "one vector")
    arrow(top, (6.45, 0.75), (7.5, 1.64))
    for x, word in zip(xs, target, strict=True):
        box(top, x, 3.35, 1.25, 0.7, GREEN, word)
    for x in xs[:-1]:
        arrow(top, (x + 0.66, 3.35), (x + 0.94, 3.35))
    arrow(top, (7.14, 2.2), (xs[0] + 0.35, 2.98), connectionstyle="arc3,rad=0.05")
    top.text(0.35, 2.05, "without attention", fontsize=11, fontweight="bold")

    blank(low, 10, 4.1)
    for x, word in zip(xs, source, strict=True):
        box(low, x, 0.75, 1.25, 0.7, BLUE, word)
    for x, word in zip(xs, target, strict=True):
        box(low, x, 3.35, 1.25, 0.7, GREEN, word)
    for t, above in enumerate(xs):
        for s, below in enumerate(xs):
            weight = weights[t, s]
            low.plot([below, above], [1.12, 2.98], color=ORANGE, lw=0.5 + 6 * weight, alpha=0.25 + 0.7 * weight)
    low.text(6.75, 2.2, "with attention:", fontsize=11, fontweight="bold", va="center")
    low.text(6.75, 1.75, "line width = weight", fontsize=10, va="center")
    for ax in (top, low):
        ax.text(6.75, 3.35, "target words", fontsize=10, va="center")
    low.text(6.75, 0.75, "source states", fontsize=10, va="center")
    top.text(6.75, 0.55, "source states", fontsize=10, va="center")
    fig.tight_layout()
    return fig


def fixed_memory_forgets() -> Figure:
    """Words recalled correctly against the number of words stored. Sums of fixed size fall from one hundred percent
    toward chance as words are added, the 64-number sum sooner than the 512-number sum. A softmax lookup over a list
    that grows with the text stays at one hundred percent.
    """
    rng = np.random.default_rng(0)
    vocabulary, trials = 500, 12
    lengths = np.array([1, 2, 4, 8, 16, 32, 64, 128])

    def recall(size: int, attend: bool) -> np.ndarray:
        words = rng.choice([-1.0, 1.0], (vocabulary, size))
        rates = []
        for length in lengths:
            right = 0.0
            for _ in range(trials):
                ids = rng.integers(vocabulary, size=length)
                keys, values = rng.choice([-1.0, 1.0], (length, size)), words[ids]
                if attend:
                    read = _softmax(keys @ keys.T / np.sqrt(size)) @ values
                else:
                    read = keys * (keys * values).sum(axis=0)  # one summary for the whole text, unbound by each key
                right += np.mean((read @ words.T).argmax(axis=1) == ids)
            rates.append(100 * right / trials)
        return np.array(rates)

    fig, ax = plt.subplots(figsize=(6.5, 3.9))
    for label, colour, marker, curve in (
        ("list of pairs, softmax lookup", BLUE, "o", recall(64, True)),
        ("one vector of 512 numbers", ORANGE, "s", recall(512, False)),
        ("one vector of 64 numbers", RED, "^", recall(64, False)),
    ):
        ax.plot(lengths, curve, color=colour, marker=marker, lw=2, label=label)
    ax.set_xscale("log", base=2)
    ax.set_xticks(lengths, [str(n) for n in lengths])
    ax.set(xlabel="words stored", ylabel="words recalled correctly (%)", ylim=(-3, 106))
    ax.grid(axis="y", lw=0.6)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 0.02), fontsize=10)
    fig.tight_layout()
    return fig


def hard_to_soft() -> Figure:
    """Bars of the weight on cat, dog and elephant when the scores 2, 1, 0 are multiplied by 0, 1 and 4, and for a hard
    lookup. The weights go from one third each to all on cat, and the answer from 1675 kg to 4 kg.
    """
    scores = KEYS @ QUERY
    hard = (scores == scores.max()).astype(float)
    groups = [
        ("scores × 0", _softmax(0 * scores)),
        ("scores × 1", _softmax(scores)),
        ("scores × 4", _softmax(4 * scores)),
    ]
    groups.append(("hard lookup", hard))
    fig, ax = plt.subplots(figsize=(6.5, 3.9))
    for i, (animal, colour) in enumerate(zip(ANIMALS, (BLUE, ORANGE, PINK), strict=True)):
        heights = [weights[i] for _, weights in groups]
        bars = ax.bar(np.arange(len(groups)) + 0.27 * (i - 1), heights, 0.25, color=colour, label=animal)
        ax.bar_label(bars, [f"{h:.2f}" for h in heights], fontsize=10, padding=2)
    ax.set_xticks(range(len(groups)), [f"{name}\nanswer\n{w @ KILOGRAMS:,.1f} kg" for name, w in groups], fontsize=10)
    ax.set(ylabel="weight of the key", ylim=(0, 1.12))
    ax.legend(loc="upper left", fontsize=10, title="key")
    fig.tight_layout()
    return fig


def dot_product_as_similarity() -> Figure:
    """Arrows from the origin in a plane of two features: the query kitten and the keys cat, dog and elephant. Each key
    drops a dashed line onto the query's direction; the farther along it lands, the larger the dot product: 2 for cat,
    1 for dog, 0 for elephant, whose arrow is at a right angle.
    """
    fig, ax = plt.subplots(figsize=(6.0, 5.2))
    direction = QUERY / np.linalg.norm(QUERY)
    end = 1.45 * direction * np.sqrt(2)
    ax.plot([0, end[0]], [0, end[1]], color=ink(), lw=1, ls=":")
    for key, animal, colour, at in zip(
        KEYS, ANIMALS, (BLUE, ORANGE, PINK), ((1.26, 0.74), (1.05, -0.12), (1.06, -1.0)), strict=True
    ):
        foot = (key @ direction) * direction
        ax.plot([key[0], foot[0]], [key[1], foot[1]], color=colour, lw=1.4, ls="--")
        ax.plot(*foot, "o", color=colour, ms=6, zorder=4)
        arrow(ax, (0, 0), tuple(key), color=colour, lw=2.6, mutation_scale=16)
        ax.text(*at, f"{animal}: q·k = {key @ QUERY:.0f}", color=ink(), va="center")
    arrow(ax, (0, 0), tuple(QUERY), lw=2.6, mutation_scale=16)
    ax.text(0.98, 1.12, "query: kitten", ha="right", va="bottom")
    ax.axhline(0, color=plt.rcParams["grid.color"], lw=0.8, zorder=0)
    ax.axvline(0, color=plt.rcParams["grid.color"], lw=0.8, zorder=0)
    ax.set(xlim=(-0.25, 2.15), ylim=(-1.25, 1.55), xlabel="feature 1: alive", ylabel="feature 2: small")
    ax.set_aspect("equal")
    fig.tight_layout()
    return fig


# --- scaled_dot_product ----------------------------------------------------------------------------------------------


def attention_shapes() -> Figure:
    """Rectangles for one head with 3 queries, 5 keys and head width 2. First row: Q, T by D, times K transposed, D by
    S, gives the scores, T by S. Second row: the weights, T by S, times V, S by D, give the output, T by D. The inner
    letters match and disappear; softmax changes no shape.
    """
    unit = 0.42
    t, s, d = 3 * unit, 5 * unit, 2 * unit
    fig, ax = plt.subplots(figsize=(6.5, 5.2))
    blank(ax, 8.4, 6.7)

    def block(x: float, y: float, height: float, width: float, colour: str, name: str, shape: str) -> None:
        box(ax, x, y, width, height, colour, name)
        ax.text(x, y - height / 2 - 0.14, shape, ha="center", va="top", fontsize=10.5)

    top, low = 5.15, 1.75
    block(0.9, top, t, d, BLUE, "Q", "(T, D)")
    ax.text(1.75, top, "@", ha="center", va="center", fontsize=15)
    block(3.2, top, d, s, ORANGE, "Kᵀ", "(D, S)")
    ax.text(4.75, top, "=", ha="center", va="center", fontsize=15)
    block(6.4, top, t, s, GREEN, "scores", "(T, S)")
    arrow(ax, (6.4, top - t / 2 - 0.55), (1.6, low + t / 2 + 0.15), connectionstyle="arc3,rad=-0.08")
    ax.text(0.75, 3.72, "÷ √D, mask, softmax over S", fontsize=11, ha="left", va="center")
    block(1.4, low, t, s, GREEN, "weights", "(T, S)")
    ax.text(3.0, low, "@", ha="center", va="center", fontsize=15)
    block(4.05, low, s, d, PINK, "V", "(S, D)")
    ax.text(5.3, low, "=", ha="center", va="center", fontsize=15)
    block(6.4, low, t, d, BLUE, "out", "(T, D)")
    fig.tight_layout()
    return fig


def softmax_saturation() -> Figure:
    """Two panels against head width D from 4 to 1024. Above, the largest of 32 softmax weights: without the factor it
    climbs to nearly one, with the factor it stays near 0.15. Below, how far the weights still respond to the
    scores: without the factor it collapses by orders of magnitude, with it it stays near 0.9.
    """
    rng = np.random.default_rng(0)
    keys, trials = 32, 400
    widths = 2 ** np.arange(2, 11)
    largest, response = np.zeros((2, len(widths))), np.zeros((2, len(widths)))
    for i, width in enumerate(widths):
        q = rng.standard_normal((trials, 1, width))
        scores = np.einsum("nqd,nkd->nk", q, rng.standard_normal((trials, keys, width)))
        for j, scale in enumerate((1.0, 1 / np.sqrt(width))):
            weights = _softmax(scale * scores)
            largest[j, i] = np.median(weights.max(axis=1))
            response[j, i] = np.median((weights * (1 - weights)).sum(axis=1))
    fig, (top, low) = plt.subplots(2, 1, figsize=(6.5, 5.8), sharex=True)
    for ax, measured in ((top, largest), (low, response)):
        ax.plot(widths, measured[0], color=RED, marker="^", lw=2, label="q·k")
        ax.plot(widths, measured[1], color=BLUE, marker="o", lw=2, label="q·k / √D")
        ax.grid(axis="y", lw=0.6)
    top.set(ylabel="largest weight\n(median)", ylim=(0, 1.05))
    top.legend(loc="center right", bbox_to_anchor=(1.0, 0.45), fontsize=11)
    low.set(ylabel="response of the weights\nΣ p(1 − p), median", xlabel="head width D", yscale="log")
    low.set_xscale("log", base=2)
    low.set_xticks(widths, [str(w) for w in widths])
    low.minorticks_off()
    low.yaxis.set_major_formatter("{x:g}")
    fig.align_ylabels()
    fig.tight_layout()
    return fig


def mask_steps() -> Figure:
    """Two 4 by 4 heatmaps over the words the, cat, sat, down. Left, the scores, with minus infinity in every cell above
    the diagonal. Right, the weights: those cells are exactly zero, the first row is 1 on itself, and every row sums
    to one.
    """
    words = ("the", "cat", "sat", "down")
    rng = np.random.default_rng(3)
    scores = _causal(rng.integers(-1, 4, (4, 4)).astype(float))
    weights = _softmax(scores)
    fig, axes = plt.subplots(1, 2, figsize=(6.8, 3.7), sharey=True)
    for ax, matrix, low, high, name in ((axes[0], scores, -1, 3, "scores"), (axes[1], weights, 0, 1, "weights")):
        heatmap(ax, np.where(np.isfinite(matrix), matrix, np.nan), words, words, low=low, high=high)
        for (t, s), value in np.ndenumerate(matrix):
            if np.isinf(value):
                ax.text(s, t, "−∞", ha="center", va="center", color=ink(), fontsize=12)
                continue
            text = "white" if value < (low + high) / 2 else "black"
            shown = f"{value:.0f}".replace("-", "−") if name == "scores" else f"{value:.2f}"
            ax.text(s, t, shown, ha="center", va="center", color=text)
        ax.set_title(name, fontsize=11)
    axes[1].set_ylabel("")
    fig.tight_layout()
    return fig


def score_matrix_cost() -> Figure:
    """Memory of one layer against sequence length, both axes logarithmic, for 12 heads of width 64 in float32. Keys
    and values grow in proportion to the length. The weight matrices grow with its square: they pass keys and values
    at 128 tokens and need 768 MiB at 4096.
    """
    heads, width, size = 12, 64, 4
    lengths = 2.0 ** np.arange(6, 16)
    matrix = heads * lengths**2 * size / 2**20
    cache = 2 * heads * lengths * width * size / 2**20
    fig, ax = plt.subplots(figsize=(6.5, 4.1))
    ax.plot(lengths, matrix, color=RED, marker="^", lw=2, label="weights, H·T·S numbers")
    ax.plot(lengths, cache, color=BLUE, marker="o", lw=2, label="keys and values, 2·H·S·D numbers")
    at = 4096.0
    for y, colour, shift in (
        (heads * at**2 * size / 2**20, RED, (-10, 6)),
        (2 * heads * at * width * size / 2**20, BLUE, (6, -16)),
    ):
        ax.annotate(f"{y:,.0f} MiB", (at, y), xytext=shift, textcoords="offset points", fontsize=11,
                    ha="right" if colour == RED else "left")  # fmt: skip
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.set_xticks(lengths, [f"{int(n)}" if n < 1024 else f"{int(n) // 1024}k" for n in lengths])
    ax.minorticks_off()
    ax.yaxis.set_major_formatter("{x:,.10g}")
    ax.set(xlabel="sequence length T = S (tokens)", ylabel="memory of one layer (MiB)")
    ax.grid(axis="y", lw=0.6)
    ax.legend(loc="upper left", fontsize=10)
    fig.tight_layout()
    return fig


# --- multihead_attention ---------------------------------------------------------------------------------------------


def one_head_blends() -> Figure:
    """Left, the weights of the word in the middle over three places: one head splits half and half between left and
    right, while a head that looks left and a head that looks right put all weight on one place. Right, what comes out
    for dog bites man and man bites dog: the single head gives 0 for both; the two heads give +1, −1 and −1, +1.
    """
    place = np.array([-1.0, 0.0, 1.0])  # of each key, seen from the word in the middle
    sharp = 10.0
    weights = _softmax(sharp * np.stack([np.abs(place), -place, place]))
    sentences = np.array([[1.0, 0.0, -1.0], [-1.0, 0.0, 1.0]])  # value of dog is +1, of man −1, of bites 0
    outputs = weights @ sentences.T
    rows = ("one head", "head: left", "head: right")
    fig, (left, right) = plt.subplots(1, 2, figsize=(6.8, 3.3), sharey=True, gridspec_kw={"width_ratios": (3, 2.2)})
    heatmap(left, weights, rows, ("left word", "bites", "right word"))
    for (t, s), value in np.ndenumerate(weights):
        left.text(s, t, f"{value:.2f}", ha="center", va="center", color="black" if value > 0.4 else "white")
    left.set(xlabel="", ylabel="")
    left.set_title("weights of “bites”", fontsize=11)
    heatmap(right, outputs, rows, ("dog bites man", "man bites dog"), low=-1, high=1)
    for (t, s), value in np.ndenumerate(outputs):
        shown = f"{value:+.1f}".replace("-", "−") if abs(value) > 0.05 else "0"
        right.text(s, t, shown, ha="center", va="center", color="white" if value < -0.2 else "black")
    right.set(xlabel="", ylabel="")
    right.set_title("output", fontsize=11)
    for ax in (left, right):
        ax.set_xticks(ax.get_xticks(), ax.get_xticklabels(), rotation=25)
        ax.axhline(0.5, color=plt.rcParams["figure.facecolor"], lw=6)
    fig.tight_layout()
    return fig


def split_heads() -> Figure:
    """Three tokens of width 4, one colour a token, split into two heads of width 2. With view then transpose, each
    head has three rows: token 0, 1, 2. With a bare view, head 0 has the rows token 0, token 0, token 1, and head 1 the
    rest: the rows are no longer tokens.
    """
    length, width, heads = 3, 4, 2
    head_width = width // heads
    x = np.arange(length * width).reshape(length, width)
    good = x.reshape(length, heads, head_width).swapaxes(0, 1)
    bad = x.reshape(heads, length, head_width)
    colours = (BLUE, ORANGE, GREEN)
    fig, ax = plt.subplots(figsize=(6.5, 5.0))
    blank(ax, 9.6, 7.6)

    def cells(block: np.ndarray, x0: float, y0: float) -> None:
        for (row, column), number in np.ndenumerate(block):
            token = number // width
            box(ax, x0 + column * 0.8 + 0.4, y0 - row * 0.72 - 0.36, 0.76, 0.66, colours[token], f"{number}")

    cells(x, 0.75, 4.9)
    for token in range(length):
        ax.text(0.6, 4.9 - token * 0.72 - 0.36, f"token {token}", ha="right", va="center", fontsize=10, rotation=0)
    ax.text(2.35, 5.1, "x: (T, C)", ha="center", fontsize=11)
    for y0, block, name, colour in (
        (6.75, good, ".view(B, T, H, D).transpose(1, 2)", ink()),
        (2.75, bad, ".view(B, H, T, D)   wrong", ink()),
    ):
        ax.text(7.3, y0 + 0.5, name, ha="center", fontsize=10, family="monospace", color=colour)
        for h in range(heads):
            cells(block[h], 5.5 + h * 2.0, y0)
            ax.text(6.3 + h * 2.0, y0 - 2.3, f"head {h}", ha="center", va="top", fontsize=10)
    arrow(ax, (4.1, 4.2), (5.3, 5.5))
    arrow(ax, (4.1, 3.5), (5.3, 1.9))
    ax.set_xlim(-0.6, 10.1)
    fig.tight_layout()
    return fig


def _reach(wrong: bool, length: int = 8, width: int = 8, heads: int = 2) -> np.ndarray:
    """(T, T) booleans: does output t of causal multi-head self-attention change when input s does?"""
    rng = np.random.default_rng(0)
    wq, wk, wv, wo = rng.standard_normal((4, width, width)) / np.sqrt(width)
    depth = width // heads

    def split(a: np.ndarray) -> np.ndarray:
        return a.reshape(heads, length, depth) if wrong else a.reshape(length, heads, depth).swapaxes(0, 1)

    def forward(x: np.ndarray) -> np.ndarray:
        q, k, v = (split(x @ w) for w in (wq, wk, wv))
        out = _softmax(_causal(q @ k.swapaxes(1, 2) / np.sqrt(depth))) @ v
        return (out if wrong else out.swapaxes(0, 1)).reshape(length, width) @ wo

    x = rng.standard_normal((length, width))
    before, changed = forward(x), np.zeros((length, length), dtype=bool)
    for s in range(length):
        moved = x.copy()
        moved[s] += 0.1
        changed[:, s] = np.abs(forward(moved) - before).max(axis=1) > 1e-9
    return changed


def wrong_view_reach() -> Figure:
    """Which input tokens reach which output tokens in causal attention with two heads and eight tokens, measured by
    changing one input at a time. Split rightly, the reach is the full lower triangle. Split with a bare view, it is
    two small triangles: tokens 4 to 7 never see tokens 0 to 3.
    """
    fig, axes = plt.subplots(1, 2, figsize=(6.8, 3.7), sharey=True)
    names = [str(t) for t in range(8)]
    for ax, wrong, title in ((axes[0], False, "view, then transpose"), (axes[1], True, "bare view (wrong)")):
        reached = _reach(wrong)
        heatmap(ax, reached, names, names)
        for (t, s), value in np.ndenumerate(reached):
            ax.text(s, t, "•" if value else "", ha="center", va="center", color="black", fontsize=12)
        ax.set_xticks(range(8), names, rotation=0, ha="center")
        ax.set(xlabel="input token changed", ylabel="output token that moves")
        ax.set_title(title, fontsize=11)
        ax.set_aspect("equal")
    axes[1].set_ylabel("")
    fig.tight_layout()
    return fig


def induction_head() -> Figure:
    """Two heatmaps of hand-built causal heads on: start, the, cat, sat, full stop, the, cat. Left, a previous-token
    head: a bright line just below the diagonal. Right, an induction head: the second the looks at the first cat, the
    second cat looks at sat, the token that followed it before; all other rows rest on the start token.
    """
    words = ("<s>", "the", "cat", "sat", ".", "the", "cat")
    names = sorted(set(words))
    tokens = np.array([[float(word == name) for name in names] for word in words])
    place = np.arange(len(words))
    sharp = 8.0
    previous = _softmax(_causal(sharp * (place[:, None] - 1 == place[None, :])))
    before = previous @ tokens  # what the first layer writes at each place: the token before it
    scores = 2 * sharp * tokens @ before.T
    scores[:, 0] = sharp  # somewhere to rest when nothing matches
    induction = _softmax(_causal(scores))
    fig, axes = plt.subplots(1, 2, figsize=(6.8, 3.9), sharey=True)
    for ax, weights, title in (
        (axes[0], previous, "layer 1: previous token"),
        (axes[1], induction, "layer 2: induction"),
    ):
        heatmap(ax, weights, words, words)
        ax.set_title(title, fontsize=11)
        ax.set_aspect("equal")
    axes[1].set_ylabel("")
    axes[1].add_patch(Rectangle((2.5, 5.5), 1, 1, fill=False, edgecolor=RED, lw=2.5))
    fig.tight_layout()
    return fig
