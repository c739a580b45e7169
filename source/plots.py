"""One look for every figure of the course: colours, themes, heatmaps. It draws; it computes nothing."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

# Okabe and Ito's palette: told apart with every common form of colour blindness.
BLUE, ORANGE, GREEN, PINK, SKY, RED, YELLOW = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")  # fmt: skip
PALETTE = (BLUE, ORANGE, GREEN, PINK, SKY, RED, YELLOW)

# Ink and paper of the two themes; the book shows the one that fits the reader's.
THEMES = {
    "light": {"ink": "#1a1a1a", "faint": "#c9c9c9", "paper": "#ffffff"},
    "dark": {"ink": "#e6e6e6", "faint": "#4a4f57", "paper": "#14181e"},
}


def style(theme: str = "light") -> dict[str, object]:
    """Matplotlib settings of a theme, "light" or "dark", for `plt.rc_context`."""
    if theme not in THEMES:
        raise ValueError(f"no theme {theme!r}: choose one of {sorted(THEMES)}")
    t = THEMES[theme]
    return {
        "axes.prop_cycle": mpl.cycler(color=list(PALETTE)),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": t["ink"],
        "axes.labelcolor": t["ink"],
        "axes.titlecolor": t["ink"],
        "axes.facecolor": t["paper"],
        "figure.facecolor": t["paper"],
        "savefig.facecolor": t["paper"],
        "text.color": t["ink"],
        "xtick.color": t["ink"],
        "ytick.color": t["ink"],
        "grid.color": t["faint"],
        "legend.frameon": False,
        "font.size": 11,
        "axes.titlesize": 12,
        "image.cmap": "cividis",
        "figure.dpi": 110,
        "svg.hashsalt": "course",  # the same figure gives the same file
        "svg.fonttype": "none",
    }


@contextmanager
def themed(theme: str) -> Iterator[None]:
    """Everything drawn inside takes the theme."""
    with plt.rc_context(style(theme)):
        yield


def use_course_style() -> None:
    """Draw every later figure of this session in the light theme (a notebook's plots are shown on a light card)."""
    mpl.rcParams.update(style("light"))


def heatmap(
    ax: Axes,
    weights: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    numbers: bool = False,
    low: float | None = 0.0,
    high: float | None = 1.0,
) -> mpl.image.AxesImage:
    """Draw a matrix as a labelled heatmap: one row a query, one column a key.

    weights: (T, S). rows: T labels. columns: S labels. numbers: write each value into its cell.
    low, high: the ends of the colour scale (None: the matrix's own).
    Raises ValueError when the labels do not fit the matrix.
    """
    weights = np.asarray(weights, dtype=float)
    if weights.ndim != 2 or weights.shape != (len(rows), len(columns)):
        raise ValueError(f"heatmap: weights of shape {weights.shape} need {len(rows)} rows and {len(columns)} columns")
    image = ax.imshow(weights, vmin=low, vmax=high, aspect="auto")
    ax.set_xticks(range(len(columns)), columns, rotation=45, ha="right")
    ax.set_yticks(range(len(rows)), rows)
    ax.set(xlabel="key (looked at)", ylabel="query (looking)")
    ax.spines[:].set_visible(False)
    if numbers:
        middle = (np.nanmin(weights) + np.nanmax(weights)) / 2 if low is None or high is None else (low + high) / 2
        for (t, s), value in np.ndenumerate(weights):
            ink = "white" if value < middle else "black"
            ax.text(s, t, f"{value:.2f}", ha="center", va="center", color=ink, fontsize=9)
    return image
