"""Train, measure and ship the attention-only model: `python -m source.train_attention_heads`. It needs no network.

It writes data/attention_heads/model.npz and card.md beside it. The seed fixes the data, the first weights and the
order of the batches: the same machine and the same torch give the same file again. Another machine rounds
differently, and its heads may settle elsewhere; the card says what the shipped file was trained on.
"""

import argparse
import hashlib
import platform
import random
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from source.files import HERE
from source.models.attention_only import AttentionOnly, save
from source.text import WORDS, document

CONTEXT, WIDTH, HEADS, LAYERS = 48, 64, 4, 2
SEED, STEPS, BATCH, DOCUMENTS = 5, 5000, 64, 20_000
LEARNING_RATE, WEIGHT_DECAY, WARM_UP = 4e-3, 0.1, 100
LISTED = 20  # words in a measured list; START and the list twice make 41, which the context holds
KINDS = ("previous", "two back", "itself", "start", "same before", "induction")


def documents(count: int, seed: int) -> Tensor:
    """Seeded documents: (count, CONTEXT) ids."""
    rng = random.Random(seed)
    return torch.tensor([document(rng, CONTEXT) for _ in range(count)])


def train(seed: int, steps: int, docs: Tensor, report: Callable[[int, float], None]) -> AttentionOnly:
    """A model trained on docs (N, T) to foretell the next word. report is called with (step, loss) after every step."""
    torch.manual_seed(seed)
    model = AttentionOnly(len(WORDS), CONTEXT, WIDTH, HEADS, LAYERS)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, betas=(0.9, 0.98), fused=True
    )
    # Up in a short warm-up, then down in a straight line to a twentieth.
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1, (step + 1) / WARM_UP) * max(0.05, 1 - step / steps)
    )
    order = torch.Generator().manual_seed(seed + 1)
    for step in range(1, steps + 1):
        ids = docs[torch.randint(len(docs), (BATCH,), generator=order)]  # (B, T)
        logits = model(ids[:, :-1])  # (B, T) -> (B, T - 1, V)
        loss = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        report(step, loss.item())
    return model.eval().requires_grad_(False)


def twice(rows: int, seed: int) -> Tensor:
    """The start word and a list of LISTED different random words, two times over: (rows, 1 + 2 LISTED) ids."""
    draw = torch.rand(rows, len(WORDS) - 1, generator=torch.Generator().manual_seed(seed))
    listed = 1 + draw.argsort(dim=-1)[:, :LISTED]  # no word comes twice in a list, so the one to look at is certain
    return torch.cat([torch.zeros(rows, 1, dtype=torch.long), listed, listed], dim=1)


def mean_attention(weights: Tensor, targets: Tensor) -> Tensor:
    """How much each head attends, on average, to one chosen key a query.

    weights: (L, B, H, T, S). targets: (T,), the key of each query, -1 where a query does not count. Returns (L, H).
    """
    counted = targets >= 0
    index = targets.clamp(min=0).view(1, 1, 1, -1, 1).expand(*weights.shape[:-1], 1)  # (T,) -> (L, B, H, T, 1)
    chosen = weights.gather(-1, index).squeeze(-1)  # (L, B, H, T, S) -> (L, B, H, T)
    return chosen[..., counted].mean(dim=(1, 3))  # (L, B, H, T) -> (L, H)


def head_scores(model: AttentionOnly, ids: Tensor) -> dict[str, Tensor]:
    """Scores of every head on ids of `twice`: for each of KINDS, (L, H) numbers from zero to one.

    "start" is read in the first copy only (there no head has a repeat to find), "same before" and "induction" in
    the second copy only: the word's own first occurrence, and the word after it.
    """
    t = torch.arange(ids.shape[1])
    second = t > LISTED
    nowhere = torch.full_like(t, -1)
    targets = {
        "previous": t - 1,
        "two back": torch.where(t > 1, t - 2, nowhere),
        "itself": torch.where(t > 0, t, nowhere),
        "start": torch.where((t > 1) & ~second, 0, nowhere),  # at t = 1 it is the previous word too
        "same before": torch.where(second, t - LISTED, nowhere),
        "induction": torch.where(second & (t < 2 * LISTED), t - LISTED + 1, nowhere),
    }
    _, weights = model.look(ids)
    return {kind: mean_attention(weights, targets[kind]) for kind in KINDS}


def list_losses(model: AttentionOnly, ids: Tensor, keep: Tensor | None = None) -> tuple[float, float]:
    """Mean loss in nats a word on the first and on the second copy of ids of `twice`.

    The second copy's first word counts in neither: nothing tells that the list starts again.
    """
    logits = model(ids[:, :-1], keep)  # (B, T - 1, V)
    losses = F.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")  # (B, T - 1)
    return losses[:, :LISTED].mean().item(), losses[:, LISTED + 1 :].mean().item()


def document_loss(model: AttentionOnly, docs: Tensor) -> float:
    """Mean loss in nats a word on documents (N, T)."""
    return F.cross_entropy(model(docs[:, :-1]).transpose(1, 2), docs[:, 1:]).item()


def without(layer: int, head: int) -> Tensor:
    """A keep (L, H) for `look` that takes one head out."""
    keep = torch.ones(LAYERS, HEADS)
    keep[layer, head] = 0
    return keep


def processor() -> str:
    """The processor's name as the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def card(seed: int, steps: int, seconds: float, untrained: AttentionOnly, model: AttentionOnly, digest: str) -> str:
    """The model's card: what it is, what it was trained on, and what was measured, all computed here."""
    ids, fresh = twice(rows=200, seed=seed + 2), documents(500, seed=seed + 3)
    before, after = list_losses(untrained, ids), list_losses(model, ids)
    scores = head_scores(model, ids)
    rows = []
    for layer in range(LAYERS):
        for head in range(HEADS):
            measured = " | ".join(f"{scores[kind][layer, head]:.2f}" for kind in KINDS)
            _, harmed = list_losses(model, ids, without(layer, head))
            rows.append(f"| {layer} | {head} | {measured} | {harmed:.2f} |")
    parameters = sum(weight.numel() for weight in model.parameters())
    table = "\n".join(rows)
    return f"""# attention_heads: a small attention-only language model

Written by `python -m source.train_attention_heads`; edit the script, not this file.

## What it is

A transformer of {LAYERS} attention layers with {HEADS} heads each and no feed-forward layers
(`source/models/attention_only.py`), made to look at what its heads do. It is no use as a language model.

| | |
|---|---|
| vocabulary V | {len(WORDS)} words (`source/text.py`) |
| longest sequence T | {CONTEXT} |
| model width C, heads H, head width D | {WIDTH}, {HEADS}, {WIDTH // HEADS} |
| layers L | {LAYERS} |
| parameters | {parameters:,} (fp32) |
| file | `model.npz`: NumPy arrays, no pickle |
| sha256 | `{digest}` |

## Data

{DOCUMENTS:,} documents of {CONTEXT} words, made by `source/text.py` from seed {seed}: sentences of a small grammar,
and in every document one list of 4 to 18 random words that comes twice. No outside text is in it. Data, weights and
code carry the course's licence (MIT).

## Training

| | |
|---|---|
| seed | {seed} |
| steps, sequences a step | {steps}, {BATCH} |
| optimizer | AdamW, learning rate {LEARNING_RATE}, weight decay {WEIGHT_DECAY} |
| schedule | {WARM_UP} steps of warm-up, then down in a straight line |
| hardware | one thread of {processor()}, torch {torch.__version__} |
| wall time | {seconds:.0f} s |

The seed and the sizes were chosen among about twenty runs, because in this one the heads divide the work clearly. In
most others the same kinds of head appear, in other places, and sometimes two heads share one job; in a few, not yet
within these steps.

## Measured

Loss in nats a word. A list is {LISTED} different random words, and comes twice; 200 lists and 500 documents that
training never saw. Guessing among {len(WORDS) - 1} words costs {torch.log(torch.tensor(len(WORDS) - 1.0)):.2f}.

| | untrained | trained |
|---|---|---|
| list, first copy | {before[0]:.2f} | {after[0]:.2f} |
| list, second copy | {before[1]:.2f} | {after[1]:.2f} |
| documents | {document_loss(untrained, fresh):.2f} | {document_loss(model, fresh):.2f} |

Where each head looks, on the same lists: the mean attention to the word before; to the word two before; to the word
itself; to the start word (first copy only); to the same word's first occurrence, and to the word after that (second
copy only). Last, the loss on the second copy when the head is taken out.

| layer | head | {" | ".join(KINDS)} | loss without it |
|---|---|{"---|" * len(KINDS)}---|
{table}

Terms: Elhage et al. (2021), A Mathematical Framework for Transformer Circuits; Olsson et al. (2022), In-context
Learning and Induction Heads.
"""


def main() -> None:
    """Train with progress, then write the model and its card."""
    parser = argparse.ArgumentParser(description="Train, measure and ship the attention-only model.")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--folder", type=Path, default=HERE.parent / "data" / "attention_heads")
    wanted = parser.parse_args()
    torch.set_num_threads(1)  # matrices this small gain nothing from more, and sums keep one order

    docs = documents(DOCUMENTS, wanted.seed)
    began = time.perf_counter()

    def report(step: int, loss: float) -> None:
        if step % 200 == 0 or step == wanted.steps:
            spent = time.perf_counter() - began
            left = timedelta(seconds=round(spent / step * (wanted.steps - step)))
            print(f"step {step:5d}/{wanted.steps}  loss {loss:.3f}  {step / spent:.1f}/s  {left} left", flush=True)

    model = train(wanted.seed, wanted.steps, docs, report)
    seconds = time.perf_counter() - began
    torch.manual_seed(wanted.seed)
    untrained = AttentionOnly(len(WORDS), CONTEXT, WIDTH, HEADS, LAYERS).requires_grad_(False)

    wanted.folder.mkdir(parents=True, exist_ok=True)
    path = wanted.folder / "model.npz"
    save(model, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    text = card(wanted.seed, wanted.steps, seconds, untrained, model, digest)
    (wanted.folder / "card.md").write_text(text, encoding="utf-8")
    print(text[text.index("## Measured") :])
    print(f"wrote {path} ({path.stat().st_size / 1024:.0f} KiB) and card.md beside it")


if __name__ == "__main__":
    main()
