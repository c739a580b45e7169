"""A run small enough to train hundreds of times, ways to save it wrongly, and the test that tells. It saves no file.

The small run has all that a large one has: dropout, running statistics, AdamW, a schedule, data in shuffled epochs.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from source.training.adamw import AdamW
from source.training.checkpoint import copied, random_state, set_random_state
from source.training.schedules import warmup_cosine

FAULTS = (
    "none",
    "optimizer forgotten",
    "step forgotten",
    "random state forgotten",
    "place in the data forgotten",
    "epoch forgotten",
    "buffers forgotten",
    "weights rounded",
    "saved by reference",
    "saving turns dropout off",
    "loading turns dropout off",
    "saving draws a random number",
)


class SmallRun:
    """12 examples in shuffled epochs of 3 steps. `train(n)` takes n steps; `model` is what is trained.

    seed: of the first weights and of dropout.
    """

    def __init__(self, seed: int = 0) -> None:
        torch.manual_seed(seed)
        rng = np.random.default_rng(0)
        self.x = torch.from_numpy(rng.standard_normal((12, 4)))
        self.y = torch.from_numpy(rng.standard_normal((12, 1)))
        self.model = nn.Sequential(
            nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Dropout(0.5), nn.Linear(6, 1)
        ).double()
        self.optimizer = AdamW(self.model.parameters())
        self.step = self.epoch = self.position = 0

    def train(self, n: int) -> None:
        """n more steps."""
        for _ in range(n):
            order = np.random.default_rng([1, self.epoch]).permutation(12)
            mine = order[4 * self.position : 4 * self.position + 4]
            for group in self.optimizer.param_groups:
                group["lr"] = warmup_cosine(self.step, 0.05, 3, 12)
            self.optimizer.zero_grad()
            (self.model(self.x[mine]) - self.y[mine]).square().mean().backward()
            self.optimizer.step()
            self.step, self.position = self.step + 1, self.position + 1
            if self.position == 3:
                self.epoch, self.position = self.epoch + 1, 0


def save(run: SmallRun, fault: str = "none") -> dict[str, object]:
    """All of a run; or not quite all, with one of FAULTS."""
    if fault == "saving draws a random number":
        torch.rand(1)
    state = {"model": run.model.state_dict(), "optimizer": run.optimizer.state_dict(), "random": random_state()}
    state |= {"step": run.step, "epoch": run.epoch, "position": run.position}
    if fault != "saved by reference":
        state = copied(state)
    if fault == "optimizer forgotten":
        del state["optimizer"]
    if fault == "step forgotten":
        state["step"] = 0
    if fault == "random state forgotten":
        del state["random"]
    if fault == "place in the data forgotten":
        state["position"] = 0
    if fault == "epoch forgotten":
        state["epoch"] = 0
    if fault == "buffers forgotten":
        state["model"] = {name: state["model"][name] for name, _ in run.model.named_parameters()}
    if fault == "weights rounded":
        state["model"] = {n: w.float().double() if w.is_floating_point() else w for n, w in state["model"].items()}
    if fault == "saving turns dropout off":
        run.model.eval()
    if fault == "loading turns dropout off":
        state["eval"] = True
    return state


def load(state: dict[str, object]) -> SmallRun:
    """A run that goes on from what `save` returned."""
    with torch.random.fork_rng(devices=[]):  # making a run draws its first weights: the world outside goes on as it was
        run = SmallRun()
    run.model.load_state_dict(state["model"], strict=False)
    if "optimizer" in state:
        run.optimizer.load_state_dict(state["optimizer"])
    run.step, run.epoch, run.position = state["step"], state["epoch"], state["position"]
    if "random" in state:
        set_random_state(state["random"])
    run.model.train(not state.get("eval", False))
    return run


def resumes_exactly(
    start: Callable[[], SmallRun],
    save: Callable[[SmallRun], object],
    load: Callable[[object], SmallRun],
    steps: int,
) -> bool:
    """Whether a run that is saved and loaded, after any number of steps, ends with the bits of one left in peace.

    start: a run before its first step, the same every time. steps: of the whole run.
    The saved run is trained on as well, to the end: saving must not change it, and what was saved must not follow it.
    """

    def same(one: SmallRun, other: SmallRun) -> bool:
        pairs = zip(one.model.state_dict().values(), other.model.state_dict().values(), strict=True)
        return all(torch.equal(a, b) for a, b in pairs)

    whole = start()
    whole.train(steps)
    for cut in range(steps + 1):
        first = start()
        first.train(cut)
        saved = save(first)
        first.train(steps - cut)
        torch.manual_seed(cut)  # the process that loads is another one: its generators stand elsewhere
        second = load(saved)
        second.train(steps - cut)
        if not (same(first, whole) and same(second, whole)):
            return False
    return True
