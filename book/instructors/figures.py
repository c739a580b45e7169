"""Draws how fast grading is, from data/results/ alone; where a benchmark has not run, the drawing says so."""

from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from book._ext.results import result
from source.plots import BLUE, GREEN, ORANGE, PALETTE, SKY

# What a reader can tell apart, and the profile's phases in it. Whatever is in none of them is "the rest".
_GROUPS = {
    "students' cells": ("setup cells", "given cells", "solution cells", "other cells"),
    "students' cases": ("an exercise's first case", "its other cases"),
    "a process for the notebook": ("forking a child", "confining it"),
    "a copy for each exercise": ("forking copies for exercises", "trying the watch for forbidden calls"),
    "judging": ("judging", "reading answers"),
    "ending and cleaning up": ("ending and cleaning up",),
    "ledger and gradebook": ("naming it in the ledger", "ledger", "gradebook"),
}


def _absent(name: str) -> Figure:
    fig, ax = plt.subplots(figsize=(6.5, 1.4))
    ax.text(0.5, 0.5, f"not measured yet: grading-{name}\nrun make bench-grading", ha="center", va="center")
    ax.set_axis_off()
    return fig


def _measured(name: str) -> dict[str, Any] | None:
    return result(f"grading-{name}")


def throughput_beside_nbgrader() -> Figure:
    """Three horizontal bars of notebooks graded a second on the same hand-ins: plain nbgrader, course grade with every
    cell run, and course grade as it comes, which skips unchanged cells that only show something.
    """
    found = _measured("against-nbgrader")
    if found is None:
        return _absent("against-nbgrader")
    bars = {
        "nbgrader autograde": ("nbgrader", ORANGE),
        "course grade --every-cell": ("course_grade_every_cell", SKY),
        "course grade": ("course_grade", BLUE),
    }
    fig, ax = plt.subplots(figsize=(6.5, 2.4))
    rates = [found["runs"][run]["rate"] for run, _ in bars.values()]
    ax.barh(list(bars), rates, color=[colour for _, colour in bars.values()])
    for place, rate in enumerate(rates):
        ax.text(rate + 0.01 * max(rates), place, f"{rate:.2f}", va="center", fontsize=10)
    ax.set(xlabel="notebooks a second", xlim=(0, 1.15 * max(rates)))
    ax.invert_yaxis()
    fig.tight_layout()
    return fig


def where_the_time_goes() -> Figure:
    """One bar of the time that a worker spends on a notebook, split: the students' own cells and cases come first,
    then what grading adds: processes and copies, judging, cleaning up, ledger and gradebook.
    """
    found = _measured("profile")
    if found is None:
        return _absent("profile")
    seconds = {row["phase"]: row["seconds"] for row in found["rows"]}
    parts = {group: sum(seconds.get(phase, 0.0) for phase in phases) for group, phases in _GROUPS.items()}
    parts["the rest"] = max(0.0, found["seconds_a_notebook"] - sum(parts.values()))
    fig, ax = plt.subplots(figsize=(6.5, 3.4))
    left = 0.0
    for place, (group, took) in enumerate(parts.items()):
        colour = PALETTE[place] if place < len(PALETTE) else plt.rcParams["grid.color"]
        ax.barh([""], [1000 * took], left=1000 * left, color=colour, label=f"{group}: {1000 * took:.0f} ms")
        left += took
    ax.set(xlabel="milliseconds a notebook, one worker")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.4), ncols=2, fontsize=9.5)
    fig.tight_layout()
    return fig


def throughput_by_workers() -> Figure:
    """Notebooks a second against the number of workers: the rate once all work, the rate with start-up and gradebook
    in it, and a dashed line of what one worker's rate times their number would be. A dotted line marks the machine's
    processors.
    """
    found = _measured("scaling")
    if found is None:
        return _absent("scaling")
    rows = found["rows"]
    fig, ax = plt.subplots(figsize=(6.5, 3.6))
    steady = [(row["workers"], row["steady_rate"]) for row in rows if "steady_rate" in row]
    for label, colour, marker, points in (
        ("once all work", BLUE, "o", steady),
        ("start-up and gradebook included", GREEN, "s", [(row["workers"], row["rate"]) for row in rows]),
    ):
        ax.plot(*zip(*points, strict=True), color=colour, marker=marker, lw=2, label=label) if points else None
    if steady:
        (first, rate), last = steady[0], rows[-1]["workers"]
        line = [first, last], [rate, rate * last / first]
        ax.plot(*line, "--", color=plt.rcParams["text.color"], lw=1, label="in proportion")
    ax.axvline(found["processors"], color=plt.rcParams["grid.color"], ls=":", lw=2, label="processors")
    ax.set(xlabel="workers", ylabel="notebooks a second", ylim=(0, None))
    ax.set_xticks([row["workers"] for row in rows])
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=10)
    fig.tight_layout()
    return fig
