"""Train a ladder of tiny models for Lab 4.7 and record each one's last loss: `python -m source.train_ladder`.

For each budget of training work C it trains several sizes N, each on D = C / 6N bytes of the course's Shakespeare, so
that every slice of equal C can be laid side by side. It needs no network and ships no weights: what counts is one line
a run in data/results/scaling_ladder.json. A run that stands there is not trained again, so a stopped ladder goes on.

Each run is a full, short training with a schedule of its own length. The alternative is one long run a size at a
constant learning rate, with a cooldown branched off wherever a shorter run would end (Hägele et al., 2024). It saves
work where many lengths share a trunk; here a size has at most four lengths, each 2.5 times the one before, and the
shorter ones together cost less than two thirds of the longest. A full run is simpler, and it is what somebody with
that budget would do.

The seed fixes first weights and batches: the same machine and the same torch give the same losses again.
"""

import argparse
import json
import os
import platform
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from source.corpus import shakespeare
from source.data_pipeline.windows import to_bytes, windows
from source.files import HERE
from source.models.gpt import GPT, Sizes
from source.train_attention_heads import processor

FILE = HERE.parent / "data" / "results" / "scaling_ladder.json"
CONTEXT, BATCH = 64, 8  # T and B: 512 bytes a step, so that even a short run has enough steps to learn in
SIZES = tuple(
    Sizes(vocabulary=256, context=CONTEXT, width=width, heads=heads, layers=layers)
    for width, heads, layers in (
        (8, 1, 1),
        (12, 1, 1),
        (16, 1, 1),
        (24, 2, 1),
        (32, 2, 1),
        (32, 2, 2),
        (48, 3, 2),
        (64, 4, 2),
    )
)
# Each budget with the sizes that are tried at it: the first and the last, as places in SIZES. The best one grows with
# the budget, and what lies far from it teaches little for its price.
RUNGS = ((1.6e10, 0, 5), (4e10, 0, 5), (1e11, 1, 6), (2.5e11, 2, 6))
EPOCHS = 4  # more rounds over the same text would no longer be worth as much as fresh text
STEPS = 40  # a run of fewer steps is not training yet


def counts(sizes: Sizes) -> dict[str, int]:
    """A model's parameters by where they are: "blocks" (with the last norm), "token" and "position" tables.

    The token table multiplies every position's output as the head, so it does work; the position table is only
    looked up.
    """
    with torch.device("meta"):
        total = sum(p.numel() for p in GPT(sizes).parameters())
    token, position = sizes.vocabulary * sizes.width, sizes.context * sizes.width
    return {"blocks": total - token - position, "token": token, "position": position}


def highest_rate(sizes: Sizes) -> float:
    """The peak learning rate: a wider or deeper model wants smaller steps. Tried at one budget, by factors of 2."""
    return 0.24 / (sizes.width * sizes.layers**0.5)


def planned(text: int, rungs: tuple[tuple[float, int, int], ...] = RUNGS) -> list[tuple[float, Sizes, int]]:
    """The runs (budget, sizes, steps), cheapest budget first, for a text of so many bytes.

    Left out: what would have fewer than STEPS steps or read the text more than EPOCHS times.
    """
    runs = []
    for budget, first, last in rungs:
        for sizes in SIZES[first : last + 1]:
            count = counts(sizes)
            steps = round(budget / (6 * (count["blocks"] + count["token"]) * CONTEXT * BATCH))
            if STEPS <= steps <= EPOCHS * text / (CONTEXT * BATCH):
                runs.append((budget, sizes, steps))
    return runs


def trained(sizes: Sizes, steps: int, data: Tensor, rate: float, seed: int = 0) -> GPT:
    """A model after `steps` steps: AdamW, the rate up in a line over a tenth of them, then down in a line to zero.

    data: uint8 (n,). Every batch is a function of seed and step alone.
    """
    torch.manual_seed(seed)
    model = GPT(sizes)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.99), weight_decay=0.0, fused=True)
    warm_up = max(1, steps // 10)
    for step in range(steps):
        share = min((step + 1) / warm_up, (steps - step) / (steps - warm_up + 1))
        for group in optimizer.param_groups:
            group["lr"] = rate * share
        starts = np.random.default_rng([seed, step]).integers(0, len(data) - sizes.context, BATCH)
        _, loss = model(*windows(data, torch.from_numpy(starts), sizes.context))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return model


@torch.no_grad()
def held_out_loss(model: GPT, data: Tensor, rows: int = 1024) -> float:
    """Mean loss in nats a byte on `rows` windows spread evenly over the data: the same ones for every model."""
    ids, targets = windows(
        data, torch.linspace(0, len(data) - model.sizes.context - 1, rows).long(), model.sizes.context
    )
    losses = [model(a, b)[1].item() for a, b in zip(ids.split(128), targets.split(128), strict=True)]
    return sum(losses) / len(losses)


def record(budget: float, sizes: Sizes, steps: int, data: Tensor, held_out: Tensor, seed: int = 0) -> dict[str, object]:
    """Train one run and describe it: sizes, parameters, bytes read, loss on held-out text, seconds."""
    rate = highest_rate(sizes)
    began = time.perf_counter()
    model = trained(sizes, steps, data, rate, seed)
    seconds = time.perf_counter() - began
    return {
        "budget": budget,
        "seed": seed,
        "width": sizes.width,
        "heads": sizes.heads,
        "layers": sizes.layers,
        **counts(sizes),
        "steps": steps,
        "tokens": steps * BATCH * sizes.context,
        "rate": rate,
        "loss": held_out_loss(model, held_out),
        "seconds": round(seconds, 2),
    }


def started(file: Path = FILE) -> dict[str, object]:
    """What the file holds, or the beginning of a new one: where, with what and when the runs were made."""
    if file.is_file():
        return json.loads(file.read_text(encoding="utf-8"))
    return {
        "device": processor(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "date": datetime.now(UTC).date().isoformat(),
        "what": "GPT of source/models/gpt.py over bytes of the course's Shakespeare; loss in nats a byte, held out",
        "context": CONTEXT,
        "batch": BATCH,
        "runs": [],
    }


def write(found: dict[str, object], file: Path = FILE) -> None:
    """Store everything, one run a line; whoever stops us meanwhile finds the file before."""
    lines = json.dumps({name: value for name, value in found.items() if name != "runs"}, indent=2).removesuffix("\n}")
    runs = ",\n".join(f"    {json.dumps(run)}" for run in found["runs"])
    file.parent.mkdir(parents=True, exist_ok=True)
    file.with_suffix(".new").write_text(f'{lines},\n  "runs": [\n{runs}\n  ]\n}}\n', encoding="utf-8")
    os.replace(file.with_suffix(".new"), file)


def main() -> None:
    """Train what the file lacks, cheapest first, and store after each run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no run after this long")
    parser.add_argument("--seeds", type=int, default=1, help="so many runs of each, with seeds 0, 1, ...")
    told = parser.parse_args()
    torch.set_num_threads(1)
    data, held_out = to_bytes(shakespeare("train")), to_bytes(shakespeare("validation"))
    found, began = started(), time.monotonic()
    done = {(run["budget"], run["width"], run["layers"], run["seed"]) for run in found["runs"]}
    for seed in range(told.seeds):
        for budget, sizes, steps in planned(len(data)):
            if (budget, sizes.width, sizes.layers, seed) in done:
                continue
            if time.monotonic() - began > 60 * told.minutes:
                print("out of time: run the same command to go on")
                return
            run = record(budget, sizes, steps, data, held_out, seed)
            found["runs"].append(run)
            write(found)
            print(
                f"C {budget:.1e} | N {run['blocks'] + run['token']:>7,} | D {run['tokens']:>10,} | "
                f"loss {run['loss']:.4f} | {run['seconds']:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
