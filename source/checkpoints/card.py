"""Writes a trained model's folder: weights, configuration, tokenizer, loss curve, card. It measures all it says."""

import csv
import hashlib
import math
import shutil
from pathlib import Path

import torch
from torch import nn

from source.checkpoints.measuring import sample, validation_loss
from source.checkpoints.plan import Plan, Text
from source.files import data_path
from source.models import gpt, llama
from source.plots import BLUE, ORANGE
from source.tokenizers.byte_level import END_OF_TEXT
from source.train_attention_heads import processor

TOKENIZER = ("vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json")


def ship(state: dict[str, object], plan: Plan, folder: Path, text: Text, held_out: Text) -> None:
    """Write the model in float16 with all that goes with it, measured on the file that was written."""
    ends = {} if text.end is None else {"bos_token_id": text.end, "eos_token_id": text.end}
    state["model"].save(folder, torch.float16, **ends)
    if text.end is not None:
        for name in TOKENIZER:
            shutil.copyfile(data_path(f"tokenizer/{name}"), folder / name)
    with (folder / "loss.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["step", f"training loss (nats {unit(text)})", f"validation loss (nats {unit(text)})"])
        rows.writerows([step, f"{loss:.4f}", f"{held:.4f}"] for step, loss, held in state["measured"])
    draw_curve(state["measured"], unit(text), folder / "loss.svg")
    model = type(state["model"]).from_folder(folder)
    (folder / "card.md").write_text(card(state, plan, folder, model, text, held_out), encoding="utf-8")


def unit(text: Text) -> str:
    """What an id is, in words."""
    return "a byte" if text.end is None else "a token"


def draw_curve(measured: list[list[float]], each: str, file: Path) -> None:
    """The two losses over the steps, as an SVG that is the same for the same numbers."""
    import matplotlib.pyplot as plt

    with plt.rc_context({"svg.hashsalt": "loss", "svg.fonttype": "none"}):
        fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
        steps, losses, held = zip(*measured, strict=True)
        ax.plot(steps, losses, color=BLUE, linewidth=1, label="training, one batch")
        ax.plot(steps, held, color=ORANGE, label="validation")
        ax.set(xlabel="step", ylabel=f"loss (nats {each})", ylim=(0.95 * min(losses + held), None))
        ax.legend()
        fig.savefig(file, metadata={"Date": None})
        plt.close(fig)


def card(state: dict[str, object], plan: Plan, folder: Path, model: nn.Module, text: Text, held_out: Text) -> str:
    """The model's card: what it is, what it was trained on, and what was measured."""
    final = validation_loss(model, held_out, rows=512)
    bits = final / math.log(2) * len(held_out.ids) / held_out.bytes
    each = unit(text)
    read = plan.steps * plan.batch * plan.sizes.context
    every = plan.steps // 10
    shown = "\n".join(
        f"| {step} | {loss:.2f} | {held:.2f} |"
        for step, loss, held in state["measured"]
        if step in (1, plan.steps) or step % (every - every % plan.measure_every or plan.measure_every) == 0
    )
    prompts = ["ROMEO:\n", "LADY MACBETH:\n" if text.end is None else END_OF_TEXT]
    samples = "\n\n".join(
        f"After `{prompt!r}`:\n\n```text\n{sample(model, prompt, 400 if text.end is None else 200)}\n```"
        for prompt in prompts
    )
    return f"""# {folder.name}

Written by `python -m source.checkpoints.{plan.name.replace("-", "_")}`; edit the script, not this file.

## What it is

{description(plan)} It has learned the look of Shakespeare's plays, and little of their sense.

| | |
|---|---|
{sizes_table(plan.sizes)}
| parameters | {sum(p.numel() for p in model.parameters()):,}, stored in float16 |
| file | `model.safetensors`, {(folder / "model.safetensors").stat().st_size:,} bytes |
| sha256 | `{hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()}` |

## Data

The training part of the course's Shakespeare (`data/shakespeare`): {text.bytes:,} bytes, {len(text.ids):,} ids. Its
validation part, {held_out.bytes:,} bytes, was only measured on. The plays are in the public domain; the weights carry
the course's licence (MIT).

## Training

| | |
|---|---|
| seed | {plan.seed} |
| steps, sequences a step, ids a sequence | {plan.steps:,}, {plan.batch}, {plan.sizes.context} |
| ids read | {read:,}, {read / len(text.ids):.1f} times the data |
| optimizer | AdamW, betas 0.9 and 0.99, weight decay {plan.weight_decay} on matrices, gradient norm clipped at 1 |
| learning rate | {plan.warm_up} steps up to {plan.rate:g}, then down a cosine to {plan.last_rate:g} |
| precision | {"matrix products in bfloat16, weights in float32" if plan.bfloat16 else "float32"} |
| dropout | none |
| hardware | {torch.get_num_threads()} thread(s) of {processor()}, torch {torch.__version__} |
| wall time | {state["seconds"]:.0f} s |

## Measured

Loss in nats {each}; guessing evenly costs {math.log(plan.sizes.vocabulary):.2f}. The stored file's loss on 512 windows
of the validation part: {final:.3f}, a perplexity of {math.exp(final):.2f}, or {bits:.3f} bits a byte of text.

![Training and validation loss over the steps](loss.svg)

| step | training, one batch | validation |
|---|---|---|
{shown}

The whole curve is in `loss.csv`.

## Samples

At temperature 0.8, the first draw of seed 0, nothing selected.

{samples}
"""


def description(plan: Plan) -> str:
    """One sentence on the architecture and who reads the folder."""
    reads = "bytes" if plan.sizes.vocabulary == 256 else "the course's own tokens (`data/tokenizer`)"
    if isinstance(plan.sizes, llama.Sizes):
        kind, ours, theirs = "Llama", "source/models/llama.py", "LlamaForCausalLM"
    else:
        kind, ours, theirs = "GPT-2", "source/models/gpt.py", "GPT2LMHeadModel"
    others = (
        ""
        if plan.sizes.vocabulary == 256
        else (" vLLM reads it, too, and llama.cpp the file that `source/checkpoints/gguf_file.py` makes of it.")
    )
    return (
        f"A small model of {kind}'s architecture that reads and writes {reads}. `from_folder` of `{ours}` and "
        f"`transformers.{theirs}.from_pretrained` both read this folder.{others}"
    )


def sizes_table(sizes: gpt.Sizes | llama.Sizes) -> str:
    """The sizes, a table row each."""
    heads = f"| model width C, heads H, head width D | {sizes.width}, {sizes.heads}, {sizes.width // sizes.heads} |"
    rows = [f"| vocabulary V | {sizes.vocabulary:,} |", f"| longest sequence T in training | {sizes.context} |", heads]
    if isinstance(sizes, llama.Sizes):
        rows += [f"| key and value heads G, gated width | {sizes.kv_heads}, {sizes.hidden} |"]
    return "\n".join([*rows, f"| layers L | {sizes.layers} |"])
