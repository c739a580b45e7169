"""Train and ship the small byte-level GPT of Chapter 2: `python -m source.train_gpt`. It needs no network.

It saves its state every minute and when interrupted (Ctrl-C or SIGTERM); started again it goes on where it stopped,
to the same weights as a run in one piece. `--minutes 7` stops by itself. After the last step it writes
data/checkpoints/gpt2-bytes: model.safetensors, config.json, loss.csv and card.md.

The seed fixes the first weights and every batch: the same machine and the same torch give the same file again.
Another machine rounds differently.
"""

import argparse
import csv
import hashlib
import math
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from source.corpus import shakespeare
from source.files import HERE
from source.models.gpt import GPT, SHIPPED, Sizes
from source.train_attention_heads import processor

SIZES = Sizes(vocabulary=256, context=128, width=128, heads=4, layers=4)
STATE = HERE.parent / ".cache" / "train_gpt" / f"{SHIPPED}.pt"


@dataclass(frozen=True)
class Plan:
    """Everything that the result depends on, apart from the data and the machine."""

    sizes: Sizes = SIZES
    seed: int = 0
    steps: int = 2500
    batch: int = 32
    rate: float = 3e-3  # the highest learning rate
    last_rate: float = 1e-4
    warm_up: int = 100
    weight_decay: float = 0.1  # of matrices; biases and norms have none
    measure_every: int = 100


def to_bytes(text: str) -> Tensor:
    """The UTF-8 bytes of a text as ids: uint8 (n,)."""
    return torch.from_numpy(np.frombuffer(text.encode("utf-8"), dtype=np.uint8).copy())


def windows(data: Tensor, starts: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """ids and targets, both (B, T) int64: the windows of `length` bytes at starts (B,), and the same one byte on."""
    at = starts[:, None] + torch.arange(length + 1)  # (B, 1) + (T + 1,) -> (B, T + 1)
    rows = data[at].long()
    return rows[:, :-1], rows[:, 1:]


def batch(data: Tensor, plan: Plan, step: int) -> tuple[Tensor, Tensor]:
    """The batch of a step: a function of seed and step alone, so that a resumed run needs no generator's state."""
    rng = np.random.default_rng([plan.seed, step])
    starts = torch.from_numpy(rng.integers(0, len(data) - plan.sizes.context, plan.batch))
    return windows(data, starts, plan.sizes.context)


def learning_rate(plan: Plan, step: int) -> float:
    """Up in a straight line during warm-up, then down along half a cosine to the last rate. step counts from 0."""
    if step < plan.warm_up:
        return plan.rate * (step + 1) / plan.warm_up
    done = (step - plan.warm_up) / max(1, plan.steps - plan.warm_up)
    return plan.last_rate + (plan.rate - plan.last_rate) * (1 + math.cos(math.pi * done)) / 2


def start(plan: Plan) -> dict[str, object]:
    """The state of a run before its first step."""
    torch.manual_seed(plan.seed)
    model = GPT(plan.sizes)
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


def validation_loss(model: GPT, data: Tensor, rows: int = 128) -> float:
    """Mean loss in nats a byte on `rows` windows spread evenly over the data: the same ones every time."""
    T = model.sizes.context
    ids, targets = windows(data, torch.linspace(0, len(data) - T - 1, rows).long(), T)
    model.eval()
    with torch.no_grad():
        losses = [model(a, b)[1].item() for a, b in zip(ids.split(32), targets.split(32), strict=True)]
    model.train()
    return sum(losses) / len(losses)


def train(
    state: dict[str, object],
    plan: Plan,
    data: Tensor,
    held_out: Tensor,
    report: Callable[[dict[str, object], float], None],
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Take steps, in place, until the plan's last one or until `stop` says so. report gets (state, loss) at each."""
    model, optimizer = state["model"].train(), state["optimizer"]
    while state["step"] < plan.steps and not stop():
        began = time.perf_counter()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(plan, state["step"])
        _, loss = model(*batch(data, plan, state["step"]))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        state["step"] += 1
        if state["step"] % plan.measure_every == 0 or state["step"] in (1, plan.steps):
            state["measured"].append([state["step"], loss.item(), validation_loss(model, held_out)])
        state["seconds"] += time.perf_counter() - began
        report(state, loss.item())


@torch.no_grad()
def sample(model: GPT, prompt: str, length: int, seed: int = 0, temperature: float = 0.8) -> str:
    """The prompt and `length` more bytes, each drawn from the model's distribution; what is no UTF-8 shows as a box."""
    generator = torch.Generator().manual_seed(seed)
    ids = to_bytes(prompt).long()[None]  # (1, T)
    for _ in range(length):
        logits = model(ids[:, -model.sizes.context :])[:, -1]  # (1, V)
        weights = (logits / temperature).softmax(-1)
        ids = torch.cat([ids, torch.multinomial(weights, 1, generator=generator)], dim=1)
    return bytes(ids[0].tolist()).decode("utf-8", errors="replace")


def ship(state: dict[str, object], plan: Plan, folder: Path, data: Tensor, held_out: Tensor) -> None:
    """Write the model in float16, its loss curve and its card, all measured on the file that was written."""
    state["model"].save(folder, torch.float16)
    model = GPT.from_folder(folder)
    with (folder / "loss.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["step", "training loss (nats a byte)", "validation loss (nats a byte)"])
        rows.writerows([step, f"{loss:.4f}", f"{held:.4f}"] for step, loss, held in state["measured"])
    (folder / "card.md").write_text(card(state, plan, folder, model, data, held_out), encoding="utf-8")


def card(state: dict[str, object], plan: Plan, folder: Path, model: GPT, data: Tensor, held_out: Tensor) -> str:
    """The model's card: what it is, what it was trained on, and what was measured."""
    sizes = plan.sizes
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    final = validation_loss(model, held_out, rows=512)
    text = sample(model, "ROMEO:\n", 400)
    parameters = sum(p.numel() for p in model.parameters())
    shown = "\n".join(
        f"| {step} | {loss:.2f} | {held:.2f} |" for step, loss, held in state["measured"] if step % 500 == 0 or step < 2
    )
    return f"""# {folder.name}: a small GPT-2 over bytes

Written by `python -m source.train_gpt`; edit the script, not this file.

## What it is

A model of GPT-2's architecture, small enough to look inside, that reads and writes bytes. It has learned the look of
Shakespeare's plays, not their sense. `GPT.from_folder` (`source/models/gpt.py`) and
`transformers.GPT2LMHeadModel.from_pretrained` both read this folder.

| | |
|---|---|
| vocabulary V | {sizes.vocabulary}: an id is a byte of UTF-8 |
| longest sequence T | {sizes.context} |
| model width C, heads H, head width D | {sizes.width}, {sizes.heads}, {sizes.width // sizes.heads} |
| layers L | {sizes.layers} |
| parameters | {parameters:,}, stored in float16 |
| file | `model.safetensors`, {(folder / "model.safetensors").stat().st_size:,} bytes |
| sha256 | `{digest}` |

## Data

The training part of the course's Shakespeare (`source/corpus.py`): {len(data):,} bytes. Its validation part,
{len(held_out):,} bytes, was only measured on. The plays are in the public domain; the weights carry the course's
licence (MIT).

## Training

| | |
|---|---|
| seed | {plan.seed} |
| steps, sequences a step, bytes a sequence | {plan.steps}, {plan.batch}, {sizes.context} |
| bytes read | {plan.steps * plan.batch * sizes.context:,} |
| optimizer | AdamW, betas 0.9 and 0.99, weight decay {plan.weight_decay} on matrices, gradient norm clipped at 1 |
| learning rate | {plan.warm_up} steps up to {plan.rate:g}, then down a cosine to {plan.last_rate:g} |
| dropout | none |
| hardware | {torch.get_num_threads()} thread of {processor()}, torch {torch.__version__} |
| wall time | {state["seconds"]:.0f} s |

## Measured

Loss in nats a byte; guessing evenly costs {math.log(sizes.vocabulary):.2f}. A training loss is that of one batch.
The whole curve is in `loss.csv`. The stored file's loss on 512 windows of the validation part: {final:.3f}.

| step | training | validation |
|---|---|---|
{shown}

## A sample

After `ROMEO:` and a line break, at temperature 0.8:

```text
{text}
```
"""


def main() -> None:
    """Train in one piece or several, then ship."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after this long, to go on another time")
    parser.add_argument("--steps", type=int, default=Plan.steps, help="the plan's last step")
    parser.add_argument("--threads", type=int, default=1)
    told = parser.parse_args()
    torch.set_num_threads(told.threads)
    plan = Plan(steps=told.steps)
    data, held_out = to_bytes(shakespeare("train")), to_bytes(shakespeare("validation"))
    state = resume(plan, STATE)
    print(f"{len(data):,} bytes; {'going on at' if state['step'] else 'from'} step {state['step']} of {plan.steps}")
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
            store(state, plan, STATE)
            stored = time.monotonic()

    train(state, plan, data, held_out, report, lambda: bool(asked) or time.monotonic() - began > 60 * told.minutes)
    store(state, plan, STATE)
    if state["step"] < plan.steps:
        print(f"stopped after step {state['step']} of {plan.steps}: run the same command to go on")
        return
    folder = HERE.parent / "data" / "checkpoints" / SHIPPED
    ship(state, plan, folder, data, held_out)
    print(f"wrote {folder}")


if __name__ == "__main__":
    main()
