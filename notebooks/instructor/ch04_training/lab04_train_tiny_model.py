# ---
# jupyter:
#   course:
#     title: Train Tiny Model
#     level: intermediate
#     minutes: 75
#     hardware: cpu
#     builds: "A model of 800,000 parameters that writes Shakespeare-like text, trained on your machine by a loop from your own parts, better than nanoGPT's recipe at equal parameters, data and steps."
#     goals:
#     - Put a training step together, in the one order that is right
#     - Measure a model on text that it did not read, so that the number does not depend on how you measure
#     - Read loss curves - overfitting, a rate too low, a rate too high
#     - Sample from a model with a temperature, and train one that is worth sampling from
#     needs:
#     - Lab 4.3, Training Loop
#     - "[Learning-Rate Schedules](../../../book/ch04_training/lr_schedules.md)"
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% tags=["setup"]
from autograder import setup; device = setup()

# %% tags=["setup"]
import json
import math
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from autograder import check, earlier
from source.data_pipeline.targets import windows
from source.files import data_path
from source.plots import BLUE, GREEN, ORANGE, RED, SKY
from source.training import adamw, evaluation, loop, recipe, tiny
from source.training.progress import Progress, curves, duration, smoothed

# %% tags=["given"]
# Your functions from lab 4.3 belong here: paste them over these lines.
# Until you do, the course's own stand in for them.
from source.training.accumulation import accumulate
from source.training.clipping import clip_by_global_norm as clip_gradients

# %% [markdown]
# ## A question first
#
# nanoGPT is the best-known small trainer of GPTs [@karpathy2022]. Its README gives a recipe for a laptop: Shakespeare, one
# character at a time, 4 layers, width 128, about 800,000 parameters, 2,000 steps of 12 windows of 64 characters. Here
# that recipe was trained again on the course's text, and beside it a recipe with other choices. Its model is no larger,
# and it reads the very same batches. The curves are the loss on text that neither has read.

# %% tags=["look"]
measured = json.loads(data_path("results/train_tiny.json").read_text(encoding="utf-8"))
theirs, ours_then = measured["baseline"], measured["ours"]
fig, ax = plt.subplots(figsize=(6.5, 3.2))
for name, label, line, color in ((theirs, theirs, "--", ORANGE), (ours_then, "this lab's recipe", "-", BLUE)):
    for run in measured["runs"]:
        if run["recipe"] == name:
            ax.plot(*zip(*run["curve"]), line, marker="o", markersize=4, color=color, label=label if run["seed"] == 0 else None)
ax.set(xlabel="step", ylabel="validation loss (nats a character)")
ax.legend()
plt.show()
for name, label in ((theirs, theirs), (ours_then, "this lab's recipe")):
    row = measured["summary"][name]
    print(f"{label:<20}{row['parameters']:,} parameters, {measured['size']['steps']:,} steps | validation loss {row['validation']:.3f}")

# %% [markdown]
# **After how many steps is the second recipe where the first one ends?** The steps after that are what
# the first one's choices cost. (The README reports 1.88 for nanoGPT's recipe. That was measured on another text, tiny_shakespeare, so compare the two curves
# with each other. The last number of each is over the whole held-out text, the curves over a part of it.)
#
# In this lab you put a loop together that trains both, learn to read its curves, and train the better one yourself.
#
# Letters: `B` rows of a batch, `T` positions, `V` vocabulary, `C` width, `L` layers, `H` heads.

# %% [markdown]
# ## Step 1. What decays
#
# Weight decay keeps matrices from growing without need: what only fits noise is forgotten. For a *gain* of a norm it
# makes no sense. It would pull toward 0 what does nothing at 1. Nor for a bias, which sets where a unit begins to
# respond. So an optimizer gets two groups: tensors with two dimensions and more decay, vectors and single numbers do not.
# nanoGPT does it, and so do nearly all who train language models.
#
# The rule goes by *dimensions*, not by names: LayerNorm calls its gain `weight`. Three things to mind. A tensor that is
# used twice, as the embedding that is also the head, must be in its group once, or it would be stepped twice. Frozen
# tensors (`requires_grad` is False) belong nowhere. And each trained tensor belongs somewhere.

# %% nbgrader={"grade_id": "decay_groups", "solution": true}
def decay_groups(model: nn.Module, decay: float) -> list[dict]:
    """A model's trained tensors in two groups for an optimizer: those that decay, then those that do not.

    Returns [{"params": [...], "weight_decay": decay}, {"params": [...], "weight_decay": 0.0}], tensors in the order of
    model.parameters(). A group may be empty.

    >>> both = decay_groups(nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2)), 0.1)
    >>> [[tuple(p.shape) for p in group["params"]] for group in both]
    [[(2, 3)], [(2,), (2,), (2,)]]
    """
    ### BEGIN SOLUTION
    trained = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_decay_groups", "grade": true}
check("ch04/lab04/decay_groups", decay_groups)

# %% [markdown]
# **Look at it.** Take nanoGPT's model, and let a strong decay work *alone*: a thousand steps with gradients of zero, with
# two groups and with one. What is left of the weights?

# %% tags=["given"]
groups_of = earlier("ch04/lab04/decay_groups", decay_groups, adamw.decay_groups)

# %% tags=["look"]
torch.set_num_threads(1)  # tensors this small: a second thread waits more than it works
text = tiny.text()
V = len(text.characters)
for name, split_up in (("two groups", True), ("one group", False)):
    torch.manual_seed(0)
    model = recipe.TinyGPT(tiny.CPU, V, recipe.NANOGPT)
    groups = groups_of(model, 1.0) if split_up else [{"params": list(model.parameters()), "weight_decay": 1.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3)
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    for _ in range(1000):
        optimizer.step()
    gain, matrix = model.last_norm.weight.mean().item(), model.blocks[0]["feed_forward"].W_in.weight.std().item()
    print(f"{name:<12} gain of the last norm {gain:.2f} (began at 1) | a matrix's spread {matrix:.4f} (began at 0.02)")

# %% [markdown]
# **With one group, by what factor does every logit shrink, though no text was read?** A gain of the last norm multiplies
# all that the model says. The optimizer would have to push against the decay at every step.

# %% [markdown]
# ## Step 2. One step
#
# Now the order of things. A step of training is six lines, and most ways to order them are wrong:
#
# 1. set this step's rate, in **every** group;
# 2. clear the gradients of the step before;
# 3. accumulate the gradient of all pieces (`accumulate(model, pieces)` returns the loss);
# 4. clip it (`clip_gradients(parameters, limit)` returns the norm before);
# 5. let the optimizer step;
# 6. return loss and norm.
#
# Some groups want a rate of their own: an embedding is not trained as fast as a matrix. Such a group has an entry
# `"scale"`, and its rate is the schedule's times that; without one the scale is 1.
#
# One thing more. If the loss or the norm is NaN or infinite, the step must not be taken: one NaN in one weight is
# in all of them a step later, and the last good weights are lost. Raise `FloatingPointError`, with the model as it was.

# %% nbgrader={"grade_id": "training_step", "solution": true}
def training_step(
    model: nn.Module, optimizer: torch.optim.Optimizer, pieces: list, rate: float, limit: float = 1.0
) -> tuple[float, float]:
    """One step of training. Returns the loss and the gradient's norm before clipping.

    model: ids (B, T) -> logits (B, T, V). pieces: pairs (ids, targets). rate: of this step; times a group's "scale".
    limit: of the norm of all the gradients in the optimizer's groups.
    Raises FloatingPointError, and moves nothing, when the loss or the norm is not finite.

    >>> model = nn.Embedding(2, 2)                                   # its logits: one row for each token
    >>> _ = nn.init.zeros_(model.weight)
    >>> optimizer = torch.optim.SGD(model.parameters())
    >>> token = torch.tensor([[0]])
    >>> loss, norm = training_step(model, optimizer, [(token, token)], rate=0.2)
    >>> f"{loss:.3f} {norm:.3f}"                                     # log 2; the length of (-1/2, 1/2)
    '0.693 0.707'
    >>> model.weight.data                                            # rate * 1/2 toward the right token
    tensor([[ 0.1000, -0.1000],
            [ 0.0000,  0.0000]])
    """
    ### BEGIN SOLUTION
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("scale", 1.0)
    optimizer.zero_grad()
    loss = accumulate(model, pieces)
    norm = clip_gradients([p for group in optimizer.param_groups for p in group["params"]], limit)
    if not (math.isfinite(loss) and math.isfinite(norm)):
        raise FloatingPointError(f"loss {loss}, norm {norm}")
    optimizer.step()
    return loss, norm
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_training_step", "grade": true}
check("ch04/lab04/training_step", training_step)

# %% [markdown]
# **Look at it.** The same small model, the same batches, five peaks of the rate from much too low to much too high. (A
# model small enough to be trained five times in seconds; the loop is `source/training/loop.py`, with your step in it.)

# %% tags=["given"]
take_step = earlier("ch04/lab04/training_step", training_step, loop.training_step)

# %% tags=["look"]
SMALL = tiny.Size(layers=2, heads=2, width=48, context=32, batch=8, steps=200, dropout=0.0)


def fit(how, size, ids, seed=0, **more):
    """A run of a recipe at a size on some text, trained to the end, or until it diverges."""
    torch.manual_seed(seed)
    model = recipe.TinyGPT(size, V, how)
    run = loop.Run(model, recipe.optimizer(model, how))
    at = tiny.batches(ids, size.context, size.batch, seed)
    try:
        loop.train(run, size.steps, at, recipe.schedule(how, size.steps), take=take_step, **more)
    except FloatingPointError as error:
        print(f"rate {how.rate:g} diverged after {run.step} steps: {error}")
    return run


peaks = [1e-4, 1e-3, 1e-2, 1e-1, 1.0]
runs = {peak: fit(replace(recipe.NANOGPT, rate=peak, last_rate=peak / 10), SMALL, text.train) for peak in peaks}
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
for (peak, run), line, color in zip(runs.items(), ("-", "--", "-.", ":", "-"), (SKY, BLUE, GREEN, ORANGE, RED)):
    left.plot(smoothed(run.losses, 10), line, color=color, label=f"{peak:g}")
left.set(xlabel="step", ylabel="training loss (nats a character)", ylim=(None, 6))
left.legend(title="peak rate", fontsize=9)
right.semilogx(peaks, [np.mean(run.losses[-20:]) for run in runs.values()], "o-")
right.set(xlabel="peak rate", ylabel="loss at the end (nats a character)")
plt.show()

# %% [markdown]
# **Where is the valley, how wide is it, and which side is more dangerous?** Too low a rate learns slowly and looks
# healthy; a run that is far too high throws the loss above where it began. Clipping keeps it from becoming infinite: the
# gradient's length is bounded, but AdamW's step has the size of the rate whatever the gradient.

# %% [markdown]
# ## Step 3. Measure on text that was not read
#
# A loss on the training batch says how well the model fits what it has seen. What you want to know is another number: the
# mean loss on *held-out* text. It must not depend on how you take it. So:
#
# - the text is cut into whole windows, one behind the other: `windows(ids, T)` of lab 0.5 gives inputs and targets;
# - the result is the mean over **tokens**. The last batch of windows may be smaller than the others: a mean of the
#   batches' means would weigh it too much;
# - the model measures in eval mode, without dropout. Afterwards it is in the mode in which it was before;
# - no graph is built, which would cost memory for nothing.

# %% nbgrader={"grade_id": "validation_loss", "solution": true}
def validation_loss(model: nn.Module, ids: torch.Tensor, T: int, batch: int = 32) -> float:
    """The mean loss, in nats a token, over a text cut into whole windows of T.

    model: ids (B, T) -> logits (B, T, V). ids: (N,), at least T + 1 tokens. batch: windows at a time, 1 or more; the
    result does not depend on it. The model is in the mode afterwards in which it was before.

    >>> even = nn.Embedding.from_pretrained(torch.zeros(4, 4))         # guesses evenly among four
    >>> f"{validation_loss(even, torch.tensor([3, 1, 2, 0, 1]), T=2):.4f}"
    '1.3863'
    """
    ### BEGIN SOLUTION
    inputs, targets = windows(ids, T)  # both (n, T)
    was_training, total = model.training, 0.0
    model.eval()
    with torch.no_grad():
        for some, their in zip(inputs.split(batch), targets.split(batch)):
            logits = model(some)  # (B, T, V)
            total += F.cross_entropy(logits.flatten(0, 1), their.flatten(), reduction="sum").item()
    model.train(was_training)
    return total / targets.numel()
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_validation_loss", "grade": true}
check("ch04/lab04/validation_loss", validation_loss)

# %% [markdown]
# **Look at it.** The small model once reads the whole training text, and once only its first 3,000 characters, again and
# again. Both are measured on the same held-out text.

# %% tags=["given"]
loss_on = earlier("ch04/lab04/validation_loss", validation_loss, evaluation.validation_loss)

# %% tags=["look"]
held_out = text.validation[:10_000]
LONGER = replace(SMALL, steps=300, width=64)
fig, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True, layout="constrained")
for ax, characters in zip(axes, (len(text.train), 3_000)):
    run = fit(recipe.OURS, LONGER, text.train[:characters], measure=lambda model: loss_on(model, held_out, 32, 64), every=20)
    curves(ax, run)
    ax.set(title=f"{characters:,} characters to read", ylabel="loss (nats a character)" if ax is axes[0] else "")
plt.show()

# %% [markdown]
# **From which step on should the right run have been stopped, and what would its training loss alone have told you?**
# When the two curves part, the model learns *this text* instead of the language. On the left they go together: with
# less than a tenth of the text read, nothing could be learned by heart. More text, dropout, weight decay or an
# early end are the remedies; the first is the best.

# %% [markdown]
# ## Step 4. Let it write
#
# A language model gives a distribution of the next token. To write, draw one, append it, and ask again. A *temperature*
# $\tau$ divides the logits before softmax: below 1 it sharpens, above 1 it flattens, and in the limit 0 the likeliest
# token is taken every time.
#
# $$p_i = \mathrm{softmax}(x / \tau)_i$$
#
# The model was trained on windows of `context` tokens and knows nothing longer: hand it the last `context` ones only.
# Draw with `torch.multinomial(p, 1, generator=generator)`, so that a seed gives the same text again. Build no graph.

# %% nbgrader={"grade_id": "sample", "solution": true}
@torch.no_grad()
def sample(
    model: nn.Module,
    ids: torch.Tensor,
    n: int,
    context: int,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """n more tokens for each row, one after the other.

    model: ids (B, T) -> logits (B, T, V), T at most `context`. ids: (B, T), T at least 1, perhaps longer than context.
    temperature: at 0 the likeliest token is taken. generator: the source of chance, None = torch's own.
    Returns (B, T + n), which begins with ids.

    >>> next_one = nn.Embedding.from_pretrained(100 * torch.eye(3).roll(1, dims=1))      # after i comes i + 1
    >>> sample(next_one, torch.tensor([[0], [1]]), 4, context=8)
    tensor([[0, 1, 2, 0, 1],
            [1, 2, 0, 1, 2]])
    """
    ### BEGIN SOLUTION
    for _ in range(n):
        logits = model(ids[:, -context:])[:, -1]  # (B, V)
        if temperature == 0:
            drawn = logits.argmax(-1, keepdim=True)  # (B, 1)
        else:
            drawn = torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)
        ids = torch.cat([ids, drawn], dim=1)
    return ids
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_sample", "grade": true}
check("ch04/lab04/sample", sample)

# %% [markdown]
# **Look at it.** The chapter's model, trained. First choose how long. `quick` takes a tenth of the steps: enough to see
# everything work. `full` is the milestone: 2,000 steps, some minutes on one core.
#
# While the second cell runs it shows loss, rate and time left, and draws its curves. **You may interrupt it** (the
# stop button, or Kernel → Interrupt): the step under way is finished, nothing is lost, and running *that cell* again
# goes on. Running the first cell again begins anew. With `path="tiny.pt"` in `loop.train` the state is kept in a file
# too, and the run goes on after a restart, to the bit: that is lab 4.3's test.

# %% tags=["given"]
write = earlier("ch04/lab04/sample", sample, evaluation.sample)

# %% tags=["given"]
SETTING = "quick"  # or "full"
size = tiny.CPU if SETTING == "full" else replace(tiny.CPU, steps=200)
torch.manual_seed(0)
ours = recipe.TinyGPT(size, V, recipe.OURS)
ours_run = loop.Run(ours, recipe.optimizer(ours, recipe.OURS))
print(f"{sum(p.numel() for p in ours.parameters()):,} parameters, {size.steps:,} steps")

# %% tags=["look"]
_ = loop.train(
    ours_run,
    size.steps,
    tiny.batches(text.train, size.context, size.batch, seed=0),
    recipe.schedule(recipe.OURS, size.steps),
    measure=lambda model: loss_on(model, held_out, size.context, 64),
    every=size.steps // 10,
    watch=[Progress(size.steps)],
    take=take_step,
)

# %% tags=["look"]
prompt = text.encode("KING ")[None]
for temperature in (0.0, 0.5, 0.8, 1.5):
    words = write(ours, prompt, 160, size.context, temperature, torch.Generator().manual_seed(1))
    print(f"--- temperature {temperature}\n{text.decode(words[0])}\n")

# %% [markdown]
# **What does temperature 0 do after a while, and where does 1.5 first make a word that is none?** Taking the likeliest
# token each time is not the likeliest text. Between the two lies what the model has learned.

# %% [markdown]
# ## What makes the difference
#
# The model that you just trained has nanoGPT's size, and differs from it in these things:
#
# - **A higher rate that falls to 0 in a straight line.** nanoGPT's peak is safe for many settings and low for this one.
#   That is no criticism: a recipe that must not fail is not tuned to the edge.
# - **Rotary positions** [@su2021] in the place of a table (lab 2.2). A table must learn for each of 64 places what the
#   place means. A rotation has it built in.
# - **RMSNorm without weights** [@zhang2019], also on queries and keys [@henry2020]. No score can grow beyond bound, so
#   attention stays trainable at a high rate.
# - **A head of its own.** The parameters that table and norms had pay for it: the embedding, which says what a character
#   *is*, and the head, which says what *comes next*, no longer have to be the same matrix. With it
#   **ReLU squared** [@so2021] for GELU, and a *quiet start*: the head and each matrix that writes into the stream begin at
#   zero. The model begins by guessing evenly, and its blocks join in as they learn something.
# - **Muon** [@jordan2024] for the blocks' matrices. AdamW treats a matrix as a bag of numbers. Its gradient, though, has a
#   few strong directions and many weak ones, and the strong ones decide every step. Muon gives all directions of a
#   matrix about the same strength, by a few matrix products (`source/training/muon.py`).
#
# **Look at it.** The singular values of one matrix's gradient, and of what Muon makes of it.

# %% tags=["look"]
from source.training.muon import orthogonalised

ours.zero_grad()
accumulate(ours, tiny.batches(text.train, size.context, size.batch, seed=1)(0))
gradient = ours.blocks[1]["feed_forward"].W_in.weight.grad
fig, ax = plt.subplots(figsize=(6, 3))
for values, label, line in ((gradient, "gradient", "-"), (orthogonalised(gradient), "what Muon makes of it", "--")):
    s = torch.linalg.svdvals(values)
    ax.semilogy((s / s.max()).numpy(), line, label=label)
ax.set(xlabel="singular value, from the largest", ylabel="size (of the largest)")
ax.legend()
plt.show()

# %% [markdown]
# **How much weaker than the strongest direction is the gradient's tenth, and Muon's?**

# %% [markdown]
# ## The chapter's milestone
#
# A model of about a million parameters, trained on your machine, that writes Shakespeare-like text; and a lower
# validation loss than nanoGPT's recipe gives at equal parameters, data and steps. With `quick`, nanoGPT's recipe is trained
# here for the same few steps; with `full`, it is the recorded run of 2,000 steps.

# %% tags=["milestone"]
if SETTING == "full":
    goal, whose = measured["summary"][measured["baseline"]]["validation"], "nanoGPT's recipe (recorded)"
else:
    theirs = fit(recipe.NANOGPT, size, text.train, watch=[Progress(size.steps, plot=False)])
    goal, whose = loss_on(theirs.model, text.validation, size.context, 64), "nanoGPT's recipe (trained just now)"
loss = loss_on(ours, text.validation, size.context, 64)
words = write(ours, text.encode("\n")[None], 400, size.context, 0.8, torch.Generator().manual_seed(0))
print(text.decode(words[0]))
print(f"\n{sum(p.numel() for p in ours.parameters()):,} parameters | {ours_run.step:,} steps of {size.batch * size.context} "
      f"characters | {duration(ours_run.seconds)} | {SETTING}")
done = ours_run.step == size.steps and loss < goal
print(f"goal: below {goal:.3f}, {whose} | measured: {loss:.3f} on {len(text.validation):,} held-out characters | "
      f"{'reached' if done else 'not reached'}{'' if SETTING == 'full' else ' in the quick setting: now set SETTING to full'}")

# %% [markdown]
# ## What you built
#
# - The loop: groups, step, measure, sample. It is all that `source/train_tiny.py` needs, and it trains any model here.
# - A reading of curves: too low, too high, and learned by heart.
# - A model that writes. Chapter 8 makes it write faster, chapter 14 adapts trained models to new tasks.
#
# ## Going further
#
# - The papers: [@jordan2024], the article on Muon; [@so2021], which found ReLU squared by a search over programs.
# - Production code: nanoGPT's `train.py`, from `while True` on. Find your six lines. Which of them differs?
# - `python -m source.train_tiny --ladder` trains every recipe between the two, so that you see what each change is worth; `--text tiny` takes nanoGPT's own text, where
#   its README reports 1.88; `--size gpu` takes its larger setting, where the README reports 1.4697.
# - An extension: beat this lab's recipe. Everything is allowed but more parameters, more data and more steps. Change one thing
#   at a time, use three seeds, and write down what did not work: that is the part which nobody publishes.
