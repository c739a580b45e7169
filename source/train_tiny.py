"""Train nanoGPT's recipe and ours side by side and write data/results/train_tiny.json: `python -m source.train_tiny`.

The same text, characters, number of parameters, steps, and the very same batches. `--ladder` trains what lies between
the two as well. `--size gpu` takes nanoGPT's GPU size, `--text tiny` its own text (fetched, or `--copy FILE`).
Runs that the result file has are not made again, and an interrupted one goes on where it stopped.

nanoGPT's published losses are of tiny_shakespeare. On another text the comparison is with its recipe, trained here.
"""

import argparse
import json
import math
import statistics
from datetime import UTC, datetime
from pathlib import Path

import torch

from source.files import HERE
from source.train_attention_heads import processor
from source.training import recipe as recipes
from source.training.evaluation import sample, validation_loss
from source.training.loop import Diverged, Run, train
from source.training.progress import Progress, duration
from source.training.recipe import Recipe, TinyGPT
from source.training.tiny import CPU, GPU, PUBLISHED, Size, Text, batches, text

SIZES = {"cpu": CPU, "gpu": GPU}
STATES = HERE.parent / ".cache" / "train_tiny"
OURS, THEIRS = list(recipes.LADDER)[-1], next(iter(recipes.LADDER))


def begin(size: Size, written: Text, recipe: Recipe, seed: int, device: str = "cpu") -> Run:
    """A run before its first step; the seed fixes its first weights."""
    torch.manual_seed(seed)
    model = TinyGPT(size, len(written.characters), recipe).to(device)
    return Run(model, recipes.optimizer(model, recipe))


def one(
    name: str, recipe: Recipe, size: Size, written: Text, seed: int, device: str, path: Path | None = None
) -> tuple[Run, dict[str, object] | None]:
    """Train one recipe with one seed. Returns the run, and what is written down about it, or None if interrupted."""
    run = begin(size, written, recipe, seed, device)
    validation = written.validation.to(device)
    at = batches(written.train.to(device), size.context, size.batch, seed)
    some = validation[: 200 * size.context + 1]
    try:
        train(
            run,
            size.steps,
            at,
            recipes.schedule(recipe, size.steps),
            measure=lambda model: validation_loss(model, some, size.context, 64),
            every=max(1, size.steps // 8),
            watch=[Progress(size.steps, seconds=10)],
            path=path,
        )
    except Diverged as error:
        print(f"{name}: {error}")
        return run, None
    if run.step < size.steps:
        return run, None
    return run, {
        "recipe": name,
        "seed": seed,
        "parameters": sum(p.numel() for p in run.model.parameters()),
        "steps": run.step,
        "tokens": run.step * size.batch * size.context,
        "validation": validation_loss(run.model, validation, size.context, 64),
        "training": statistics.fmean(run.losses[-100:]),
        "seconds": round(run.seconds, 1),
        "curve": [[step, round(loss, 4)] for step, loss in run.held_out],
    }


def summary(runs: list[dict[str, object]]) -> dict[str, dict[str, float]]:
    """Mean, lowest and highest validation loss, and the mean of seconds, of each recipe."""
    found = {}
    for name in dict.fromkeys(run["recipe"] for run in runs):
        mine = [run for run in runs if run["recipe"] == name]
        losses = [run["validation"] for run in mine]
        found[name] = {
            "seeds": len(mine),
            "parameters": mine[0]["parameters"],
            "validation": statistics.fmean(losses),
            "lowest": min(losses),
            "highest": max(losses),
            "seconds": statistics.fmean(run["seconds"] for run in mine),
        }
    return found


def main() -> None:
    """Train what is missing, then write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="cpu")
    parser.add_argument("--text", choices=("course", "tiny"), default="course")
    parser.add_argument("--copy", help="a file that holds tiny_shakespeare")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    rungs = list(range(len(recipes.LADDER)))
    parser.add_argument("--rungs", type=int, nargs="+", choices=rungs, help="which recipes, 0 for nanoGPT's")
    parser.add_argument("--ladder", action="store_true", help="every recipe: also those between the two")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="the result file; by default data/results/train_tiny.json or the like")
    told = parser.parse_args()
    torch.set_num_threads(told.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    size, written = SIZES[told.size], text(told.text, told.copy)
    which = f"train_tiny{'' if told.size == 'cpu' else '-gpu'}{'' if told.text == 'course' else '-tiny_shakespeare'}"
    out = told.out or HERE.parent / "data" / "results" / f"{which}.json"
    found = json.loads(out.read_text(encoding="utf-8")) if out.is_file() else {"runs": []}
    done = {(run["recipe"], run["seed"]) for run in found["runs"]}
    chosen = rungs if told.ladder else told.rungs or [rungs[0], rungs[-1]]
    names = [list(recipes.LADDER)[rung] for rung in chosen]
    for seed in told.seeds:
        for name in names:
            if (name, seed) in done:
                continue
            print(f"{name}, seed {seed}")
            state = STATES / f"{which}-{list(recipes.LADDER).index(name)}-{seed}.pt"
            run, row = one(name, recipes.LADDER[name], size, written, seed, device, state)
            if row is None:
                continue
            state.unlink(missing_ok=True)
            found["runs"].append(row)
            if name == OURS and "sample" not in found:
                found["sample"] = speak(run.model, written)
            found |= {
                "what": "characters, float32; validation loss in nats a character, over the whole validation part",
                "baseline": THEIRS,
                "ours": OURS,
                "text": {
                    "name": told.text,
                    "characters": {"train": len(written.train), "validation": len(written.validation)},
                    "vocabulary": len(written.characters),
                },
                "size": size.__dict__,
                "published": {"validation": PUBLISHED[told.size], "text": "tiny_shakespeare"},
                "guessing evenly": math.log(len(written.characters)),
                "device": processor() if device == "cpu" else torch.cuda.get_device_name(),
                "threads": torch.get_num_threads(),
                "torch": torch.__version__,
                "date": datetime.now(UTC).date().isoformat(),
                "summary": summary(found["runs"]),
            }
            out.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for name, row in found.get("summary", {}).items():
        print(
            f"{name:<36}{row['parameters']:>9,} parameters | validation {row['validation']:.3f} "
            f"({row['lowest']:.3f} to {row['highest']:.3f}, {row['seeds']} seeds) | {duration(row['seconds'])}"
        )


def speak(model: TinyGPT, written: Text, prompt: str = "\n", n: int = 500, temperature: float = 0.8) -> str:
    """n characters after the prompt, with a fixed seed."""
    device = next(model.parameters()).device
    generator = torch.Generator(device).manual_seed(0)
    ids = written.encode(prompt)[None].to(device)
    return written.decode(sample(model, ids, n, model.size.context, temperature, generator)[0])


if __name__ == "__main__":
    main()
