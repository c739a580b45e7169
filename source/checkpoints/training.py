"""Trains a plan's model, in one piece or many: a resumed run gives the same bits. Writing the result is card.py's.

The seed fixes the first weights and every batch: the same machine, torch and number of threads give the same
file again. Another machine rounds differently.
"""

import argparse
import math
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import torch

from source.checkpoints.card import ship
from source.checkpoints.measuring import validation_loss
from source.checkpoints.plan import Plan, Text, batch, learning_rate, new_model, read_text
from source.files import HERE


def start(plan: Plan) -> dict[str, object]:
    """The state of a run before its first step."""
    model = new_model(plan)
    matrices = [p for p in model.parameters() if p.ndim == 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": plan.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=plan.rate, betas=(0.9, 0.99), fused=True)
    return {"model": model, "optimizer": optimizer, "step": 0, "seconds": 0.0, "measured": []}


def store(state: dict[str, object], plan: Plan, path: Path) -> None:
    """Write the whole state; whoever stops us meanwhile finds the one before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {"plan": repr(plan), **state}
    kept |= {name: state[name].state_dict() for name in ("model", "optimizer")}
    torch.save(kept, path.with_suffix(".new"))
    os.replace(path.with_suffix(".new"), path)


def resume(plan: Plan, path: Path) -> dict[str, object]:
    """The stored state, or a fresh one where none is. Raises ValueError when it belongs to another plan."""
    state = start(plan)
    if not path.is_file():
        return state
    kept = torch.load(path, weights_only=True)
    if kept.pop("plan") != repr(plan):
        raise ValueError(f"{path} is the state of a run with other settings: finish that one, or delete the file")
    for name in ("model", "optimizer"):
        state[name].load_state_dict(kept.pop(name))
    return state | kept


def train(
    state: dict[str, object],
    plan: Plan,
    text: Text,
    held_out: Text,
    report: Callable[[dict[str, object], float], None],
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Take steps, in place, until the plan's last one or until `stop` says so. report gets (state, loss) at each."""
    model, optimizer = state["model"].train(), state["optimizer"]
    while state["step"] < plan.steps and not stop():
        began = time.perf_counter()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(plan, state["step"])
        with torch.autocast("cpu", torch.bfloat16, enabled=plan.bfloat16):
            _, loss = model(*batch(text, plan, state["step"]))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        state["step"] += 1
        if state["step"] % plan.measure_every == 0 or state["step"] in (1, plan.steps):
            state["measured"].append([state["step"], loss.item(), validation_loss(model, held_out)])
        state["seconds"] += time.perf_counter() - began
        report(state, loss.item())


def run(plan: Plan) -> None:
    """What each model's script does: train in one piece or several, then write data/checkpoints/<name>.

    The state is stored every minute and when interrupted (Ctrl-C or SIGTERM); started again, the run goes on.
    """
    parser = argparse.ArgumentParser(description=f"Train and ship the course's model {plan.name}.")
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after this long, to go on another time")
    parser.add_argument("--threads", type=int, default=1)
    told = parser.parse_args()
    torch.set_num_threads(told.threads)
    path = HERE.parent / ".cache" / "checkpoints" / f"{plan.name}.pt"
    text, held_out, state = read_text(plan, "train"), read_text(plan, "validation"), resume(plan, path)
    at = f"going on at step {state['step']}" if state["step"] else "from the first step"
    print(f"{len(text.ids):,} ids; {at} of {plan.steps}; interrupt me and run the same command to go on")
    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda which, _: asked.append(which))  # the step under way is finished, then stored
    began = stored = time.monotonic()

    def report(state: dict[str, object], loss: float) -> None:
        nonlocal stored
        step = state["step"]
        if step % 50 == 0 or step in (1, plan.steps):
            left = state["seconds"] / step * (plan.steps - step)
            held = f" | validation {state['measured'][-1][2]:.3f}" if state["measured"][-1][0] == step else ""
            rate = state["optimizer"].param_groups[0]["lr"]
            print(f"step {step:>5} | loss {loss:.3f}{held} | rate {rate:.2e} | {left / 60:.1f} min left", flush=True)
        if time.monotonic() - stored > 60:
            store(state, plan, path)
            stored = time.monotonic()

    train(state, plan, text, held_out, report, lambda: bool(asked) or time.monotonic() - began > 60 * told.minutes)
    store(state, plan, path)
    if state["step"] < plan.steps:
        print(f"stopped after step {state['step']} of {plan.steps}: run the same command to go on")
        return
    folder = HERE.parent / "data" / "checkpoints" / plan.name
    ship(state, plan, folder, text, held_out)
    print(f"wrote {folder}")
