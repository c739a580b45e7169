"""A plain training loop: one step from its parts, a run that can be stopped and taken up again. It knows no model.

Everything it needs comes as functions of plain arguments: which pieces a step reads, at which rate, how to measure.
"""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from source.training import checkpoint
from source.training.accumulation import Piece, accumulate
from source.training.clipping import clip_by_global_norm


class Diverged(FloatingPointError):
    """A loss or a gradient is no longer a finite number: a smaller learning rate or a longer warm-up may help."""


@dataclass
class Run:
    """A training run under way: what it trains, and what it has measured. `train` changes it in place."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    step: int = 0  # steps taken
    seconds: float = 0.0  # spent in steps, measuring left out
    losses: list[float] = field(default_factory=list)  # one a step
    norms: list[float] = field(default_factory=list)  # of the gradient before clipping, one a step
    held_out: list[list[float]] = field(default_factory=list)  # [steps taken, loss on held-out text]

    def state(self) -> dict[str, object]:
        """All of the run and the random generators, copied: for `checkpoint.save`."""
        kept = {name: getattr(self, name) for name in ("step", "seconds", "losses", "norms", "held_out")}
        parts = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        return checkpoint.copied({**kept, **parts, "random": checkpoint.random_state()})

    def resume(self, state: dict[str, object]) -> None:
        """Go on from a state, to the bit. The model and optimizer must be built as those were."""
        state = checkpoint.copied(state)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        for name in ("step", "seconds", "losses", "norms", "held_out"):
            setattr(self, name, state[name])
        checkpoint.set_random_state(state["random"])


def training_step(
    model: nn.Module, optimizer: torch.optim.Optimizer, pieces: Sequence[Piece], rate: float, limit: float = 1.0
) -> tuple[float, float]:
    """One step: clear, accumulate, clip, move. Returns the loss and the gradient's norm before clipping.

    rate: of this step, for every group; a group's own "scale" multiplies it. limit: of the norm.
    Raises Diverged, before anything moves, when the loss or the norm is not finite.
    """
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("scale", 1.0)
    optimizer.zero_grad()
    loss = accumulate(model, pieces)
    norm = clip_by_global_norm((p for group in optimizer.param_groups for p in group["params"]), limit)
    if not (math.isfinite(loss) and math.isfinite(norm)):
        raise Diverged(f"the loss is {loss} and the gradient's norm {norm}: lower the rate or warm up longer")
    optimizer.step()
    return loss, norm


def train(
    run: Run,
    steps: int,
    pieces: Callable[[int], Sequence[Piece]],
    rate: Callable[[int], float],
    *,
    limit: float = 1.0,
    measure: Callable[[nn.Module], float] | None = None,
    every: int = 100,
    watch: Sequence[Callable[[Run], None]] = (),
    stop: Callable[[], bool] = lambda: False,
    path: str | Path | None = None,
    save_every: float = 60.0,
    take: Callable[..., tuple[float, float]] = training_step,
) -> Run:
    """Take steps until `steps` are taken in all. Called again after an interrupt, it goes on where it was.

    pieces, rate: what step n (from 0) reads, and its learning rate: data order and schedule follow from the step.
    measure: model -> loss on held-out text, called every `every` steps and at the end. watch: called after each step.
    stop: asked before each step. Ctrl-C or the notebook's stop button count as well: the step under way is finished.
    path: where the state is kept, every `save_every` seconds and at the end; a file that is there is taken up first.
    take: one step (model, optimizer, pieces, rate, limit) -> (loss, norm).
    """
    if path is not None and run.step == 0 and Path(path).is_file():
        run.resume(checkpoint.load(path))
    saved = time.monotonic()
    with asked_to_stop() as asked:
        while run.step < steps and not asked() and not stop():
            run.model.train()
            began = time.perf_counter()
            loss, norm = take(run.model, run.optimizer, pieces(run.step), rate(run.step), limit)
            run.seconds += time.perf_counter() - began
            run.step += 1
            run.losses.append(loss)
            run.norms.append(norm)
            if measure is not None and (run.step % every == 0 or run.step == steps):
                run.held_out.append([run.step, measure(run.model)])
            for look in watch:
                look(run)
            if path is not None and (time.monotonic() - saved > save_every or run.step == steps):
                checkpoint.save(path, run.state())
                saved = time.monotonic()
        if path is not None and run.step < steps:
            checkpoint.save(path, run.state())
    if asked() and run.step < steps:
        print(f"stopped after step {run.step} of {steps}; nothing is lost: run it again to go on")
    return run


@contextmanager
def asked_to_stop() -> Iterator[Callable[[], bool]]:
    """Inside, a first Ctrl-C (or a notebook's interrupt) only raises a flag, which the function tells. A second stops.

    Python delivers signals to the main thread alone: in another one nothing changes.
    """
    hits: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return

    def hit(number: int, _: object) -> None:
        hits.append(number)
        if len(hits) > 1:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, hit)
    try:
        yield lambda: bool(hits)
    finally:
        signal.signal(signal.SIGINT, before)
