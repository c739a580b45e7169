"""Shows a training run while it goes on: loss, rate, time left, and in a notebook its curves. It needs no widgets.

What is shown is redrawn in place, some seconds apart, so that showing costs nothing that one would notice.
"""

import os
import sys
import time
from typing import TextIO

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from source.plots import BLUE, ORANGE
from source.training.loop import Run


def line(run: Run, steps: int) -> str:
    """One line about a run: step, loss, held-out loss if measured, rate, time left."""
    parts = [f"step {run.step:,} of {steps:,}"]
    if run.losses:
        recent = run.losses[-50:]
        parts.append(f"loss {sum(recent) / len(recent):.3f}")
    if run.held_out:
        parts.append(f"held-out {run.held_out[-1][1]:.3f}")
    parts.append(f"rate {run.optimizer.param_groups[0]['lr']:.2e}")
    if run.step:
        left = run.seconds / run.step * (steps - run.step)
        parts.append(f"{duration(left)} left" if run.step < steps else f"took {duration(run.seconds)}")
    return " | ".join(parts)


def duration(seconds: float) -> str:
    """A time in words: 8 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def smoothed(values: list[float], over: int) -> np.ndarray:
    """The mean of each value and up to over - 1 before it."""
    sums = np.cumsum(np.insert(np.asarray(values, dtype=float), 0, 0.0))
    ends = np.arange(1, len(values) + 1)
    begins = np.maximum(0, ends - over)
    return (sums[ends] - sums[begins]) / (ends - begins)


def curves(ax: Axes, run: Run, over: int = 20) -> None:
    """The training loss (a running mean) and the held-out loss of a run against its steps."""
    steps = np.arange(1, len(run.losses) + 1)
    ax.plot(steps, smoothed(run.losses, over), color=BLUE, lw=1.2, label=f"training (mean of {over} steps)")
    if run.held_out:
        ax.plot(*zip(*run.held_out, strict=True), "o-", color=ORANGE, ms=4, label="held-out text")
    ax.set(xlabel="step", ylabel="loss (nats a character)")
    ax.legend()


class Progress:
    """Called with a run after each step, it shows a line, and in a notebook the curves above it.

    steps: of the whole run. seconds: at least between two drawings. plot: whether to draw curves in a notebook.
    quiet: show nothing; None asks the environment variable COURSE_QUIET. out: where lines go outside of a notebook.
    """

    def __init__(
        self, steps: int, seconds: float = 3.0, plot: bool = True, quiet: bool | None = None, out: TextIO | None = None
    ) -> None:
        self.steps, self.seconds, self.plot = steps, seconds, plot
        self.quiet = bool(os.environ.get("COURSE_QUIET")) if quiet is None else quiet
        self.out = out
        self._shown = time.monotonic()
        self._handle = None

    def __call__(self, run: Run) -> None:
        over = run.step >= self.steps
        if self.quiet or (not over and time.monotonic() - self._shown < self.seconds):
            return
        if self.out is None and _in_notebook():
            self._draw(run)
        else:
            out = self.out or sys.stdout
            out.write(f"\r{line(run, self.steps):<110}" + ("\n" if over else ""))
            out.flush()
        self._shown = time.monotonic()

    def _draw(self, run: Run) -> None:
        from IPython.display import display

        shown: object
        if self.plot:
            shown, ax = plt.subplots(figsize=(6.5, 3.2))
            curves(ax, run)
            ax.set_title(line(run, self.steps), fontsize=9)
            shown.tight_layout()
            plt.close(shown)  # shown once, by us
        else:
            shown = _Line(line(run, self.steps))
        if self._handle is None:
            self._handle = display(shown, display_id=True)
        else:
            self._handle.update(shown)


class _Line:
    # Text that a notebook shows without quotes.
    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def _in_notebook() -> bool:
    shell = sys.modules.get("IPython")
    found = shell.get_ipython() if shell else None
    return found is not None and hasattr(found, "kernel")
