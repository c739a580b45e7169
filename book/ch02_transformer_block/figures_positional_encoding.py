"""Draws the positional encoding page's figures and computes the numbers in them; it trains and loads nothing."""

import math

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Arc, Circle

from book.drawing import arrow, blank, box, ink
from source.plots import BLUE, GREEN, ORANGE, PINK


def where_positions_enter() -> Figure:
    """A sketch of one layer from left to right: token vectors, projections to queries and keys, scores, softmax. Three
    arrows from below put positions in at three places. A learned or sinusoidal table is added to the token vectors;
    rotary embedding turns queries and keys; T5 buckets and ALiBi add a bias to the scores.
    """
    fig, ax = plt.subplots(figsize=(6.8, 3.4))
    blank(ax, 10.6, 5.2)
    stations = ((1.25, "token\nvectors"), (4.15, "queries\nand keys"), (7.0, "scores"), (9.5, "weights"))
    for x, label in stations:
        box(ax, x, 3.9, 1.9 if x < 7 else 1.5, 1.2, BLUE)
        ax.text(x, 3.9, label, ha="center", va="center", fontsize=11)
    for start, end, label in ((2.2, 3.2, "project"), (5.1, 6.25, "q · k"), (7.75, 8.75, "softmax")):
        arrow(ax, (start, 3.9), (end, 3.9))
        ax.text((start + end) / 2, 4.75, label, ha="center", va="center", fontsize=9.5)
    ways = (
        (1.25, "+ table", "sinusoidal,\nlearned (GPT-2)", ORANGE),
        (4.15, "turn", "RoPE\n(Llama)", GREEN),
        (7.0, "+ bias", "T5 buckets,\nALiBi", PINK),
    )
    for x, verb, names, colour in ways:
        arrow(ax, (x, 2.35), (x, 3.25), color=colour, lw=2.4)
        box(ax, x, 1.85, 1.7, 0.85, colour, verb)
        ax.text(x, 1.15, names, ha="center", va="top", fontsize=10)
    fig.tight_layout()
    return fig


def sinusoid_table() -> Figure:
    """Left: the sinusoidal table of 100 positions and 64 columns as a heatmap. The first columns wave quickly from row
    to row, the last ones hardly change. Right: the dot product of rows 20, 50 and 80 with all others against the
    distance: the three curves coincide, with a peak of 32 at distance zero and smaller values farther away.
    """
    T, C = 100, 64
    angles = np.arange(T)[:, None] / 10_000 ** (np.arange(0, C, 2) / C)
    table = np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(T, C)
    fig, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.3), layout="constrained")
    fig.colorbar(left.imshow(table, aspect="auto"), ax=left)
    left.set(xlabel="column", ylabel="position", title="entries of the table")
    for row, colour, style in ((20, BLUE, "-"), (50, ORANGE, "--"), (80, GREEN, ":")):
        right.plot(np.arange(T) - row, table @ table[row], style, color=colour, lw=2, label=f"row {row}")
    right.set(xlabel="distance to the row (positions)", ylabel="dot product", ylim=(0, 34), title="row times every row")
    right.legend(fontsize=9)
    return fig


def biases_by_distance() -> Figure:
    """Left: the T5 bucket of a distance in a decoder. Distances 0 to 15 have a bucket each; from there buckets grow
    wider, and from 113 positions on everything shares the last one, number 31. Right: ALiBi's bias falls in a straight
    line with the distance, steeply for head 1, hardly at all for head 8.
    """
    distance = np.arange(0, 161)
    far = 16 + np.floor(np.log(np.maximum(distance, 1) / 16) / math.log(128 / 16) * 16)
    bucket = np.where(distance < 16, distance, np.minimum(far, 31))
    fig, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.1), layout="constrained")
    left.step(distance, bucket, where="post", color=BLUE, lw=2)
    left.set(xlabel="distance (positions)", ylabel="bucket", title="T5: one learned bias a bucket")
    for head, colour, style in ((1, BLUE, "-"), (2, ORANGE, "--"), (4, GREEN, "-."), (8, PINK, ":")):
        right.plot(distance, -(2.0**-head) * distance, style, color=colour, lw=2, label=f"head {head}: $2^{{-{head}}}$")
    right.set(xlabel="distance (positions)", ylabel="added to the score", ylim=(-42, 2), title="ALiBi, 8 heads")
    right.legend(fontsize=9, loc="upper left", bbox_to_anchor=(1, 1), handlelength=1.6)
    return fig


def rotation_keeps_the_angle() -> Figure:
    """Two circles with the arrows of one pair of numbers: a query and a key. Left, the query stands at position 5 and
    the key at position 2; right, at positions 9 and 6. Both arrows have turned by four more steps, and the angle
    between them, marked by an arc, is the same.
    """
    step, q, k = 0.5, 0.35, -0.9  # radians a position; directions at position 0
    fig, axes = plt.subplots(1, 2, figsize=(6.6, 3.5), layout="constrained")
    for ax, (t, s) in zip(axes, ((5, 2), (9, 6)), strict=True):
        ax.add_patch(Circle((0, 0), 1, fill=False, color=plt.rcParams["grid.color"], lw=1))
        for start, position, colour, letter in ((q, t, BLUE, "q"), (k, s, ORANGE, "k")):
            for at, alpha in ((start, 0.3), (start + step * position, 1.0)):
                arrow(ax, (0, 0), (math.cos(at), math.sin(at)), color=colour, lw=2.4, alpha=alpha, mutation_scale=15)
            end = start + step * position
            ax.text(1.2 * math.cos(end), 1.2 * math.sin(end), f"${letter}_{position}$", ha="center", va="center")
        low, high = sorted((q + step * t, k + step * s))
        ax.add_patch(Arc((0, 0), 0.8, 0.8, theta1=math.degrees(low), theta2=math.degrees(high), color=GREEN, lw=2.5))
        ax.set(xlim=(-1.4, 1.4), ylim=(-1.4, 1.4), aspect="equal")
        ax.set_title(f"query at {t}, key at {s}: {math.degrees(high - low):.0f}° apart", fontsize=11, y=0.96)
        ax.set_axis_off()
    return fig


def pairing_conventions() -> Figure:
    """Two rows of eight numbered cells, one query of head width 8. Above, arcs join neighbours: 0 and 1, 2 and 3, 4 and
    5, 6 and 7. Below, arcs join cells half a vector apart: 0 and 4, 1 and 5, 2 and 6, 3 and 7. Cells of one pair share
    a colour: each pair has the same angle in both rows.
    """
    fig, ax = plt.subplots(figsize=(6.6, 4.2))
    blank(ax, 10, 6.4)
    colours = (BLUE, ORANGE, GREEN, PINK)
    rows = (
        (4.2, [(2 * i, 2 * i + 1) for i in range(4)], "interleaved: the paper, GPT-J, Meta's Llama code"),
        (0.8, [(i, i + 4) for i in range(4)], "halves: GPT-NeoX, transformers' Llama"),
    )
    for y, pairs, title in rows:
        ax.text(0.7, y + 1.72, title, fontsize=11, fontweight="bold", va="center")
        for i, pair in enumerate(pairs):
            for cell in pair:
                box(ax, 1.2 + 1.05 * cell, y, 0.95, 0.75, colours[i], str(cell))
            a, b = (1.2 + 1.05 * cell for cell in pair)
            height = 0.55 + 0.14 * (b - a)
            ax.add_patch(
                Arc(((a + b) / 2, y + 0.42), b - a, 2 * height * 0.8, theta1=0, theta2=180, color=colours[i], lw=2)
            )
    handles = [plt.Line2D([], [], color=c, lw=5, alpha=0.7) for c in colours]
    labels = [rf"$\theta_{i}$" for i in range(4)]
    ax.legend(handles, labels, ncols=4, loc="upper center", bbox_to_anchor=(0.5, 0.03), title="angle of the pair")
    fig.tight_layout()
    return fig


def wavelengths() -> Figure:
    """Positions per full turn against the number of the pair, for a head of width 128, on a logarithmic axis: straight
    lines that begin at 6.3 and rise to 54 thousand with base ten thousand, to 2.6 million with base five hundred
    thousand. A horizontal line at 8192 positions: pairs above it never come round within such a context.
    """
    pair = np.arange(64)
    fig, ax = plt.subplots(figsize=(6.4, 3.5), layout="constrained")
    for base, colour, style in ((10_000, BLUE, "-"), (500_000, ORANGE, "--")):
        turn = 2 * math.pi * base ** (2 * pair / 128)
        ax.plot(pair, turn, style, color=colour, lw=2, label=f"base {base:,}: {(turn > 8192).sum()} pairs above")
    ax.axhline(8192, color=ink(), lw=0.9)
    ax.text(0.5, 8192 * 1.25, "a context of 8,192 positions", fontsize=10)
    ax.set(yscale="log", xlabel="pair", ylabel="wavelength (positions)")
    ax.legend(loc="lower right", fontsize=10)
    return fig


def same_word_farther_away() -> Figure:
    """The average score between a query and an equal key, as a share of its value at distance zero, against the
    distance on a logarithmic axis, for a head of width 128. With base ten thousand it falls in waves and is about zero
    at 4,000 positions; with base five hundred thousand it is still near a quarter there.
    """
    distance = np.unique(np.round(np.logspace(0, 4.3, 500))).astype(int)
    fig, ax = plt.subplots(figsize=(6.4, 3.3), layout="constrained")
    for base, colour, style in ((10_000, BLUE, "-"), (500_000, ORANGE, "--")):
        frequency = base ** (-2 * np.arange(64) / 128)
        share = np.cos(distance[:, None] * frequency).mean(axis=1)
        ax.plot(distance, share, style, color=colour, lw=1.8, label=f"base {base:,}")
    ax.axhline(0, color=ink(), lw=0.8)
    ax.set(xscale="log", xlabel="distance (positions)", ylabel="mean score, share of distance 0")
    ax.legend(fontsize=10)
    return fig
