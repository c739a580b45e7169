"""What the sketches among the book's figures are drawn with: boxes, arrows, an empty canvas. It draws no data."""

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, Rectangle


def ink() -> str:
    """The theme's colour for lines and text."""
    return plt.rcParams["text.color"]


def arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], **line: object) -> None:
    """An arrow between two points. line: matplotlib's own options, over the usual look."""
    options = {"color": ink(), "lw": 1.4, "mutation_scale": 12, "shrinkA": 0, "shrinkB": 0, "arrowstyle": "-|>"} | line
    ax.add_patch(FancyArrowPatch(start, end, **options))


def box(ax: Axes, x: float, y: float, width: float, height: float, colour: str, label: str = "") -> None:
    """A rectangle of the colour, lightly filled, centred on (x, y)."""
    corner = (x - width / 2, y - height / 2)
    ax.add_patch(Rectangle(corner, width, height, facecolor=colour, alpha=0.28, edgecolor="none"))
    ax.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=colour, lw=1.6))
    if label:
        ax.text(x, y, label, ha="center", va="center", fontsize=11)


def blank(ax: Axes, width: float, height: float) -> None:
    """An empty canvas without axes, from (0, 0) to (width, height)."""
    ax.set(xlim=(0, width), ylim=(0, height))
    ax.set_axis_off()
