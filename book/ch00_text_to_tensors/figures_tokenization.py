"""Draws the figures of the page on tokenization and computes the numbers in them, on the course's corpus; it trains
no model."""

import re
from collections import Counter
from functools import cache

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from book.drawing import arrow, blank, box, ink
from source.corpus import shakespeare
from source.plots import BLUE, GREEN, ORANGE, PINK, RED, SKY
from source.tokenizers.counting import CountedText
from source.tokenizers.pieces import frequent_pieces
from source.tokenizers.trie import Trie, tokenize_hashed, tokenize_naive
from source.tokenizers.vocabulary import ordered_tokens, split_words

# One sentence, written for this figure, in the languages' own words: "We drink tea in the garden every morning."
MORNING = {
    "English": "We drink tea in the garden every morning.",
    "Spanish": "Tomamos té en el jardín todas las mañanas.",
    "German": "Wir trinken jeden Morgen im Garten Tee.",
    "Finnish": "Juomme teetä puutarhassa joka aamu.",
    "Turkish": "Her sabah bahçede çay içiyoruz.",
    "Chinese": "我们每天早上在花园里喝茶。",
    "Hebrew": "אנחנו שותים תה בגינה כל בוקר.",
    "Japanese": "私たちは毎朝庭でお茶を飲みます。",
    "Korean": "우리는 매일 아침 정원에서 차를 마신다.",
    "Russian": "Каждое утро мы пьём чай в саду.",
    "Greek": "Πίνουμε τσάι στον κήπο κάθε πρωί.",
    "Thai": "เราดื่มชาในสวนทุกเช้า",
    "Hindi": "हम हर सुबह बगीचे में चाय पीते हैं।",
}


def _chunks(text: str) -> list[str]:
    """A text in pieces that spell it: words and signs with the one space before them, and what white space is left."""
    return re.findall(r" ?\w+(?:'\w+)*| ?[^\w\s]|\s", text)


@cache
def _chunk_counts() -> Counter:
    return Counter(_chunks(shakespeare("train")))


@cache
def _all_pieces() -> list[str]:
    characters = {*shakespeare("train"), *shakespeare("validation")}
    return frequent_pieces(_chunk_counts(), 2**15, alphabet=characters)


def _pieces(V: int) -> dict[str, int]:
    """Ids of V pieces: every character of the corpus, then frequent substrings of its training words."""
    return {piece: i for i, piece in enumerate(_all_pieces()[:V])}


def tokenizer_pipeline() -> Figure:
    """A sketch of the stages, one below the other, for the text "Cafés opened!", whose accent comes as a code point of
    its own: normalising joins it to its letter; then three chunks, the space before "opened" kept with it; five pieces;
    five ids, and a sixth for the end of the text, added by the program; at last rows of the embedding table.
    """
    fig, ax = plt.subplots(figsize=(7.2, 4.9))
    blank(ax, 12.4, 7.6)
    rows = (
        ("text", ("Cafe", "\u25cc\u0301", "s opened!"), BLUE),
        ("normalise", ("Cafés opened!",), BLUE),
        ("split into chunks", ("Cafés", " opened", "!"), SKY),
        ("cut into pieces", ("Caf", "és", " open", "ed", "!"), GREEN),
        ("look up ids", ("4127", "3310", "512", "87", "6", "1"), ORANGE),
    )
    for i, (stage, parts, colour) in enumerate(rows):
        y = 7.0 - 1.35 * i
        ax.text(0, y, stage, va="center", fontsize=10.5)
        widths = [0.55 + 0.2 * len(part) for part in parts]
        gap = 0.14
        x = 5.7 - (sum(widths) + gap * (len(widths) - 1)) / 2
        for part, width in zip(parts, widths, strict=True):
            special = part == "1"
            box(ax, x + width / 2, y, width, 0.62, PINK if special else colour, part.replace(" ", "␣"))
            x += width + gap
        if i:
            arrow(ax, (5.7, y + 0.98), (5.7, y + 0.38))
    ax.text(9.45, 1.6, "the end-of-text token:\nadded, never read\nfrom the text", fontsize=9, va="center", color=PINK)
    arrow(ax, (5.7, 1.22), (5.7, 0.72))
    for j in range(6):
        ax.add_patch(plt.Rectangle((4.2 + 0.52 * j, 0.05), 0.34, 0.6, facecolor=ink(), alpha=0.18, edgecolor="none"))
    ax.text(0, 0.35, "rows of the embedding", va="center", fontsize=10.5)
    return fig


def words_never_end() -> Figure:
    """Two curves on the corpus. Left, the different words met against the words read: it bends but keeps rising to the
    end. Right, the share of held-out words that is unknown against the size of the vocabulary: it falls steeply at
    first, then levels off above zero, although the last point has a row for every training word.
    """
    train, held_out = split_words(shakespeare("train")), Counter(split_words(shakespeare("validation")))
    met, different = set(), []
    for word in train:
        met.add(word)
        different.append(len(met))
    ranked = ordered_tokens(train, [])
    sizes = [n for n in (125, 250, 500, 1000, 2000, 4000, 8000, 16_000) if n < len(ranked)] + [len(ranked)]
    known = np.cumsum([held_out[word] for word in ranked])
    fig, (left, right) = plt.subplots(1, 2, figsize=(7.4, 3.5))
    left.plot(np.arange(1, len(train) + 1) / 1000, np.array(different) / 1000, color=BLUE, lw=2)
    left.set(xlabel="words read (thousands)", ylabel="different words met (thousands)", ylim=(0, None))
    right.plot(sizes, [100 * (1 - known[n - 1] / held_out.total()) for n in sizes], color=ORANGE, marker="o", lw=2)
    right.set(xlabel="words in the vocabulary", ylabel="held-out words unknown (%)", ylim=(0, None), xscale="log")
    right.set_xticks(sizes[1::2], [f"{n:,}" for n in sizes[1::2]], fontsize=9)
    right.minorticks_off()
    fig.tight_layout()
    return fig


def rows_against_length() -> Figure:
    """Tokens for a thousand characters of held-out text against the size of the vocabulary, both axes logarithmic.
    Bytes and characters lie at the top left, whole words at the bottom right with a label that says how many are
    unknown, and word pieces form a curve from the characters down toward the words.
    """
    text = shakespeare("validation")
    held_out, ranked = Counter(_chunks(text)), _chunk_counts()
    unknown = 100 * sum(n for chunk, n in held_out.items() if chunk not in ranked) / held_out.total()
    alphabet = {*shakespeare("train"), *text}
    sizes = [2**k for k in range(8, 16)]
    curve = []
    for V in sizes:
        trie = Trie(_pieces(V))
        curve.append(1000 * sum(n * len(trie.tokenize(chunk, -1)) for chunk, n in held_out.items()) / len(text))
    fig, ax = plt.subplots(figsize=(6.5, 4))
    ax.plot([len(alphabet), *sizes], [1000, *curve], color=BLUE, marker="o", lw=2, label="word pieces")
    ax.plot([256], [1000 * len(text.encode()) / len(text)], color=GREEN, marker="^", ms=9, ls="", label="bytes")
    ax.plot([len(alphabet)], [1000], color=ORANGE, marker="s", ms=9, ls="", label="characters")
    ax.plot(
        [len(ranked)], [1000 * held_out.total() / len(text)], color=RED, marker="D", ms=9, ls="",
        label=f"whole words ({unknown:.1f}% unknown)",
    )  # fmt: skip
    ax.set(xscale="log", yscale="log", xlabel="size of the vocabulary V", ylabel="tokens for 1,000 characters")
    ax.set_xticks([100, 1000, 10_000], ["100", "1,000", "10,000"])
    ax.set_yticks([200, 300, 500, 1000], ["200", "300", "500", "1,000"])
    ax.minorticks_off()
    ax.grid(lw=0.5)
    ax.legend(fontsize=10)
    fig.tight_layout()
    return fig


def trie_walk() -> Figure:
    """A trie drawn from left to right with the entries in, inn, inter, internet, ion and net; a ring marks each node
    that is an entry. The walk along the text "interns" is a thick line through i, n, t, e, r, n. There the text goes
    on with s and the trie with e, so the walk ends; the answer is the last entry passed, inter.
    """
    entries = ("in", "inn", "inter", "internet", "ion", "net")
    place = {"": (0.6, 2.0)}
    lanes = {"in": 2.9, "inn": 4.0, "ion": 1.9, "net": 0.8}
    fig, ax = plt.subplots(figsize=(7.2, 4))
    blank(ax, 10.6, 4.8)
    ax.set_aspect("equal")
    nodes = sorted({entry[:n] for entry in entries for n in range(1, len(entry) + 1)}, key=len)
    for node in nodes:
        y = 2.9
        for stem, lane in lanes.items():
            if node.startswith(stem[: max(2, len(node))]) and not node.startswith("in"):
                y = lane
        if node == "inn":
            y = lanes["inn"]
        if node in ("n", "ne", "net"):
            y = lanes["net"]
        if node in ("io", "ion"):
            y = lanes["ion"]
        place[node] = (0.6 + 1.15 * len(node), y)
    walked = ("i", "in", "int", "inte", "inter", "intern")
    for node in nodes:
        (x0, y0), (x1, y1) = place[node[:-1]], place[node]
        on = node in walked
        ax.plot([x0, x1], [y0, y1], color=ORANGE if on else ink(), lw=4 if on else 1.2, zorder=1)
        ax.text((x0 + x1) / 2, (y0 + y1) / 2 + 0.22, node[-1], ha="center", fontsize=11)
    for node, (x, y) in place.items():
        entry = node in entries
        ax.add_patch(Circle((x, y), 0.19, facecolor=ax.get_facecolor(), edgecolor=ink(), lw=1.2, zorder=2))
        ax.add_patch(Circle((x, y), 0.19, facecolor=GREEN, alpha=0.75 if entry else 0, lw=0, zorder=3))
        if entry:
            ax.text(x, y - 0.5, node, ha="center", fontsize=9.5, color=GREEN, fontweight="bold")
    x, y = place["intern"]
    ax.annotate(
        "the text goes on with s:\nstuck here", (x, y + 0.22), (x - 0.5, 4.25), fontsize=9.5, ha="center",
        arrowprops={"arrowstyle": "->", "color": ink()},
    )  # fmt: skip
    x, y = place["inter"]
    ax.annotate(
        "the answer: the last entry passed", (x, y - 0.62), (x, 1.45), fontsize=9.5, ha="center",
        arrowprops={"arrowstyle": "->", "color": ink()},
    )  # fmt: skip
    ax.text(10.3, 0.15, "text: i n t e r n s", fontsize=11, ha="right", family="monospace")
    fig.tight_layout()
    return fig


def what_searching_costs() -> Figure:
    """Two panels against the size of the vocabulary, all axes logarithmic. Left, the characters read for each character
    of text: comparing every entry rises with the vocabulary into the thousands, looking up every length and walking a
    trie stay flat, the trie lowest. Right, the memory: a trie has fewer nodes than its entries have characters,
    because entries share their beginnings.
    """
    sample, sizes = shakespeare("validation")[:300], [128, 512, 2048, 8192]
    reads = {"every entry": [], "every length, hashed": [], "trie": []}
    nodes, characters = [], []
    for V in sizes:
        ids = _pieces(V)
        trie = Trie(ids)
        for name, tokenize in zip(reads, (tokenize_naive, tokenize_hashed, None), strict=True):
            text = CountedText(sample)
            trie.tokenize(text, -1) if tokenize is None else tokenize(text, ids, -1)
            reads[name].append(text.read / len(sample))
        nodes.append(trie.nodes())
        characters.append(sum(map(len, ids)))
    fig, (left, right) = plt.subplots(1, 2, figsize=(7.4, 3.6))
    for (name, values), colour, marker in zip(reads.items(), (RED, ORANGE, BLUE), "so^", strict=True):
        left.plot(sizes, values, color=colour, marker=marker, lw=2, label=name)
    left.set(ylabel="characters read for each one of text")
    right.plot(sizes, characters, color=ORANGE, marker="o", lw=2, label="characters of all entries")
    right.plot(sizes, nodes, color=BLUE, marker="^", lw=2, label="nodes of the trie")
    for ax in (left, right):
        ax.set(xscale="log", yscale="log", xlabel="size of the vocabulary V")
        ax.set_xticks(sizes, [f"{V:,}" for V in sizes], fontsize=9)
        ax.minorticks_off()
        ax.legend(fontsize=9)
    fig.tight_layout()
    return fig


def languages_pay() -> Figure:
    """Bars for one sentence in thirteen languages, each as a multiple of English: characters, UTF-8 bytes, and tokens
    of pieces learned from English that fall back to bytes. Most languages need fewer characters than English, but those
    in other scripts need up to about twice the bytes or more, and several times the tokens.
    """
    ids = _pieces(8192)
    trie, ascii_only = Trie({p: i for p, i in ids.items() if p.isascii()}), -1

    def tokens(text: str) -> int:
        total, at = 0, 0
        for number in trie.tokenize(text, ascii_only):
            if number == ascii_only:  # bytes are the way out: one token each
                total += len(text[at].encode())
                at += 1
            else:
                total += 1
                at += len(spelled[number])
        return total

    spelled = list(ids)
    measures = {
        "characters": (len, SKY),
        "UTF-8 bytes": (lambda text: len(text.encode()), ORANGE),
        "tokens learned from English": (tokens, BLUE),
    }
    fig, ax = plt.subplots(figsize=(6.8, 5.6))
    y = np.arange(len(MORNING))
    for k, (name, (measure, colour)) in enumerate(measures.items()):
        unit = measure(MORNING["English"])
        ax.barh(y + 0.27 * (k - 1), [measure(text) / unit for text in MORNING.values()], 0.25, color=colour, label=name)
    ax.set_yticks(y, list(MORNING))
    ax.invert_yaxis()
    ax.axvline(1, color=ink(), lw=0.8, ls="--")
    ax.set(xlabel="the same sentence, as a multiple of English")
    ax.legend(fontsize=10, loc="upper right")
    fig.tight_layout()
    return fig
