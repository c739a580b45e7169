"""What is shown of a run, and that nothing is shown where it shall be quiet."""

import io

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

from source.training.loop import Run
from source.training.progress import Progress, curves, duration, line, smoothed


def a_run(step=10):
    model = nn.Linear(1, 1)
    run = Run(model, torch.optim.SGD(model.parameters(), lr=0.01), step=step, seconds=20.0)
    run.losses = [2.0] * step
    run.held_out = [[5, 2.5]] if step else []
    return run


def test_a_line_has_loss_rate_and_time_left():
    assert line(a_run(), 40) == "step 10 of 40 | loss 2.000 | held-out 2.500 | rate 1.00e-02 | 1 min 0 s left"
    assert line(a_run(), 10).endswith("took 20 s")
    assert "left" not in line(a_run(0), 10)


def test_durations_in_words():
    assert [duration(s) for s in (0.4, 59, 61, 7300)] == ["0 s", "59 s", "1 min 1 s", "2 h 1 min"]


def test_smoothing_is_a_running_mean():
    values = [1.0, 2.0, 6.0, 3.0]
    assert smoothed(values, 2).tolist() == [1.0, 1.5, 4.0, 4.5]
    assert np.allclose(smoothed(values, 100), np.cumsum(values) / np.arange(1, 5))
    assert smoothed([], 3).tolist() == []


def test_the_last_step_is_always_shown_and_the_others_now_and_then():
    out = io.StringIO()
    show = Progress(12, seconds=1000, out=out, quiet=False)
    show(a_run(11))
    assert out.getvalue() == ""
    show(a_run(12))
    assert "step 12 of 12" in out.getvalue()
    often = io.StringIO()
    Progress(12, seconds=0, out=often, quiet=False)(a_run(3))
    assert "step 3 of 12" in often.getvalue()


def test_quiet_is_quiet(monkeypatch):
    out = io.StringIO()
    Progress(1, out=out, quiet=True)(a_run(1))
    monkeypatch.setenv("COURSE_QUIET", "1")
    Progress(1, out=out)(a_run(1))
    assert out.getvalue() == ""


def test_curves_are_drawn():
    fig, ax = plt.subplots()
    curves(ax, a_run())
    assert len(ax.lines) == 2
    assert ax.get_xlabel() == "step"
    plt.close(fig)
