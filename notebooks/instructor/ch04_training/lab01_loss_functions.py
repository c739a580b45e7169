# ---
# jupyter:
#   course:
#     title: Loss Functions
#     level: intermediate
#     minutes: 85
#     hardware: cpu
#     builds: "Cross-entropy as language models need it: safe, masked, smoothed, its gradient by hand, and in pieces for a large vocabulary."
#     goals:
#     - Compute cross-entropy so that no logit overflows it and no ignored target leaks into it
#     - Derive the gradient of the loss and say why it is the right one to learn from
#     - Turn losses into perplexity and bits per byte without averaging what must not be averaged
#     - Compute the loss of a large vocabulary without ever holding all of its logits
#     needs:
#     - "[Loss and Perplexity](../../../book/ch04_training/loss_and_perplexity.md)"
#     - Lab 1.1, Dot-Product Attention
#     - Lab 0.5, Data Pipeline
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% tags=["setup"]
from autograder import setup; device = setup()

# %% tags=["setup"]
import lzma
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F

from autograder import check, earlier
from source.corpus import shakespeare
from source.data_pipeline.targets import windows
from source.models.gpt import shipped
from source.plots import BLUE, GREEN, ORANGE, RED
from source.timing import seconds
from source.tokenizers.byte_level import ByteLevelBPE
from source.training import losses as course
from source.training.live_memory import peak_bytes

# %% tags=["given"]
IGNORED = -100  # a target that asks no question: padding, or a prompt that the model need not learn to say

# %% [markdown]
# ## A question first
#
# The course's small model (`data/checkpoints/gpt2-bytes`) reads Shakespeare byte by byte. At each byte it gives a
# probability to all 256 that could come next. The *loss* of a byte is minus the logarithm of the probability that the
# right one got: 0 for a model that was certain, 5.5 for one that guesses evenly, and more for one that was certain of
# something else.
#
# People quote one number for a model: the mean. Here is what is behind it, on a piece of a play that the model has
# never seen.

# %% tags=["look"]
torch.set_num_threads(1)  # tensors this small: a second thread waits more than it works
model = shipped().requires_grad_(False)
T = model.sizes.context
held_out = torch.tensor(list(shakespeare("validation").encode()))
ids, targets = windows(held_out[: 256 * T + 1], T)  # both (B, T) = (256, 128)
logits = model(ids)  # (B, T, V)

START, SHOWN = 60, 60
row = 3
each = F.cross_entropy(logits[row], targets[row], reduction="none")  # (T,)
letters = [chr(b).replace("\n", "⏎").replace(" ", "␣") for b in targets[row].tolist()]
fig, ax = plt.subplots(figsize=(10, 2.8))
ax.bar(range(SHOWN), each[START : START + SHOWN], color=BLUE)
ax.axhline(each.mean(), color="gray", linestyle="--", label=f"mean of the window: {each.mean():.2f}")
ax.set_xticks(range(SHOWN), letters[START : START + SHOWN], fontsize=9)
ax.set(xlabel="the byte that came", ylabel="loss (nats)", xlim=(-0.7, SHOWN - 0.3))
ax.legend()
plt.show()

# %% [markdown]
# **Where in a word is the model surprised, and where does it know what comes?** Keep the picture in mind when you see a
# mean. In this lab you build the number, its gradient, and the reports made of it, so that none of them lies.
#
# Letters: `B` batch, `T` positions, `C` model width, `V` vocabulary; `N` rows where it does not matter whose they are.

# %% [markdown]
# ## Step 1. The loss of a token
#
# A model hands you logits $x_1, \ldots, x_V$. The loss of target $y$ is
#
# $$\ell = -\log p_y = -\log \frac{e^{x_y}}{\sum_v e^{x_v}}$$
#
# Read off the formula, it is one line of code. Here is that line in float32, on logits that grow.

# %% tags=["look"]
def as_written(x, y):
    return -(x.exp() / x.exp().sum())[y].log()


print(f"{'logits':>22}{'target':>8}{'as written, float32':>22}{'true loss':>12}")
for k, y in ((1, 2), (40, 2), (60, 2), (100, 0)):
    x = k * torch.tensor([1.0, 0.0, -1.0])
    right = F.cross_entropy(x.double(), torch.tensor(y)).item()
    print(f"{x.tolist()!s:>22}{y:>8}{as_written(x, y).item():>22.6g}{right:>12.6g}")

# %% [markdown]
# **Two different failures: which is which?** In the third row the probability is $e^{-120}$. Below $10^{-45}$ float32 has only
# 0, and the logarithm of 0 is infinite: one such token, and the whole batch's loss is infinite. In the fourth row the model is
# right, but $e^x$ is infinite in float32 from 88.7 on, and infinity by infinity is NaN. Lab 1.1's stable softmax cures only
# the second. For both, never form the probability:
#
# $$\ell = \Bigl(m + \log \sum_v e^{x_v - m}\Bigr) - x_y \qquad m = \max_v x_v$$
#
# The bracket is called *log-sum-exp*. Its sum is at least 1, so its logarithm is safe.
#
# Three more things that a training run will ask of you:
#
# - **Ignored targets.** A target of `IGNORED` (−100, PyTorch's convention) has loss 0, whatever the logits there are. It is
#   no index, so you cannot look it up.
# - **Ruled-out tokens.** A logit may be $-\infty$. The token has probability 0 and disturbs nobody, as long as it is not
#   the target.
# - **Sixteen bits.** bfloat16 has eight significant bits: between 1 and 2 its steps are 1/128, too
#   coarse to see a model improve. Compute and return float32; for float64 logits, float64.
#
# In shapes: `logits (..., V)`, `targets (...)` → losses `(...)`.

# %% nbgrader={"grade_id": "token_losses", "solution": true}
def token_losses(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The cross-entropy of each target, in nats; 0 where the target is IGNORED.

    logits: (..., V), any floating dtype. targets: (...), int64. Returns (...), in float32, or in float64 for float64
    logits. Gradients flow through it.

    >>> logits = torch.tensor([[0.0, 0.0], [0.0, 200.0], [5.0, 7.0]])
    >>> token_losses(logits, torch.tensor([0, 0, -100]))                    # log 2, 200, ignored
    tensor([  0.6931, 200.0000,   0.0000])
    """
    ### BEGIN SOLUTION
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    shifted = wide - wide.amax(dim=-1, keepdim=True)  # (..., V), the largest is 0
    log_sum = shifted.exp().sum(dim=-1).log()  # (...)
    picked = shifted.gather(-1, targets.clamp(min=0)[..., None]).squeeze(-1)  # (..., V) -> (...)
    return torch.where(targets != IGNORED, log_sum - picked, 0.0)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_token_losses", "grade": true}
check("ch04/lab01/token_losses", token_losses)

# %% [markdown]
# **Look at it.** The mean loss over 256 windows of held-out text, taken apart in two ways: by the position in the window,
# and by the place of the byte in its word.

# %% tags=["look"]
losses_of = earlier("ch04/lab01/token_losses", token_losses, course.token_losses)
each = losses_of(logits, targets)  # (B, T)
place, places = 0, []
for b in targets.flatten().tolist():
    place = place + 1 if chr(b).isalpha() else 0
    places.append(place)
places = torch.tensor(places).view_as(targets)
fig, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.2), layout="constrained")
left.plot(each.mean(dim=0), color=BLUE)
left.axhline(each.mean(), color="gray", linestyle="--", label="mean")
left.set(xlabel="position in the window", ylabel="loss (nats a byte)", ylim=(0, None))
left.legend()
shown = range(9)
right.bar(shown, [each[places == n].mean() for n in shown], color=[ORANGE] + [BLUE] * 8)
right.set_xticks(shown, ["no\nletter", *map(str, shown[1:])])
right.set(xlabel="letter of the word", ylabel="loss (nats a byte)")
plt.show()
worst = each.flatten().sort(descending=True).values
print(f"the worst tenth of the bytes holds {100 * worst[: len(worst) // 10].sum() / worst.sum():.0f}% of the loss")

# %% [markdown]
# **How many bytes does the model need to see before more of them hardly help? And which letter of a word carries the
# question?** Two models with the same mean can differ completely in such pictures, and so can one model measured on
# windows of different lengths. A mean loss without the window's length is half a number.

# %% [markdown]
# ## Step 2. What the loss asks for
#
# The gradient with respect to the logits says what training will do. With $\ell = \log \sum_v e^{x_v} - x_y$:
#
# $$\frac{\partial \ell}{\partial x_v} = \frac{e^{x_v}}{\sum_u e^{x_u}} - [v = y] = p_v - [v = y]$$
#
# Probability minus truth. All exponentials and logarithms are gone. The gradient of a row sums to zero: what the right
# token gains, the others lose in proportion to what they have.
#
# Training takes the *mean* over the targets that count: divide by their number, which is neither `B` nor `B * T`. And
# where nothing counts? The mean of nothing is 0/0. PyTorch's answer is NaN, and one such micro-batch ruins every weight of
# the model. A loss of nothing should teach nothing: the gradient is zero.
#
# In shapes: `logits (..., V)`, `targets (...)` → gradient `(..., V)`, without autograd. `torch.softmax` is allowed: you
# have built it.

# %% nbgrader={"grade_id": "loss_gradient", "solution": true}
def loss_gradient(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The gradient of the mean loss over the targets that count, with respect to the logits.

    logits: (..., V). targets: (...), int64, IGNORED where they do not count. Returns (..., V) in the logits' dtype,
    computed in float32 at least. All zeros where nothing counts.

    >>> logits = torch.tensor([[0.0, 0.0], [0.0, 0.0]])
    >>> loss_gradient(logits, torch.tensor([1, -100]))
    tensor([[ 0.5000, -0.5000],
            [ 0.0000,  0.0000]])
    """
    ### BEGIN SOLUTION
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    counted = targets != IGNORED  # (...)
    slope = torch.softmax(wide, dim=-1)  # (..., V), a tensor of its own
    index = targets.clamp(min=0)[..., None]  # (..., 1)
    slope = slope.scatter_add(-1, index, torch.full_like(slope[..., :1], -1.0))
    slope = torch.where(counted[..., None], slope, 0.0)
    return (slope / counted.sum().clamp(min=1)).to(logits.dtype)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_loss_gradient", "grade": true}
check("ch04/lab01/loss_gradient", loss_gradient)

# %% [markdown]
# **Look at it.** Left: one position of the play, and what the gradient asks of the eight logits that it moves most. Right:
# why not simply train for the squared error of the probabilities? The slope at the right token's logit, for two tokens, as
# a function of the probability that the right one has now.

# %% tags=["look"]
slope_of = earlier("ch04/lab01/loss_gradient", loss_gradient, course.cross_entropy_gradient)
spot = int(F.cross_entropy(logits[row], targets[row], reduction="none")[START : START + SHOWN].argmax()) + START
push = -slope_of(logits[row, spot], targets[row, spot])  # (V,): downhill is minus the gradient
top = push.abs().topk(8).indices
fig, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.2), layout="constrained")
names = [chr(v).replace("\n", "⏎").replace(" ", "␣") for v in top.tolist()]
left.bar(range(8), push[top], color=[GREEN if v == targets[row, spot] else RED for v in top])
left.set_xticks(range(8), names)
left.set(xlabel="next byte (green: the one that came)", ylabel="push on its logit", title=f"after “{''.join(letters[spot - 12 : spot])}”")
p = torch.linspace(0.001, 0.999, 200)
two = torch.stack([torch.logit(p), torch.zeros(200)], dim=-1)  # softmax of it: (p, 1 - p)
cross = torch.stack([-slope_of(x, torch.tensor(0))[0] for x in two])
right.plot(p, cross, color=BLUE, label="cross-entropy")
right.plot(p, 4 * p * (1 - p) ** 2, "--", color=ORANGE, label="squared error")
right.set(xlabel="probability of the right token", ylabel="push on its logit", ylim=(0, 1.05))
right.legend()
plt.show()

# %% [markdown]
# **At a probability near 0, the model is certain and wrong. Which of the two losses tells it so?** The squared error has
# passed through the softmax, whose slope is flat at both ends. The logarithm undoes exactly that, and what is left is
# as large as the mistake.

# %% [markdown]
# ## Step 3. Label smoothing
#
# With cross-entropy the model is never right enough: the loss still falls when a probability of 0.999 becomes 0.9999. It
# falls without end, and the logits grow without end. Label smoothing [@szegedy2016] asks for a little less. A share
# $\epsilon$ of the target is spread evenly over *all* `V` tokens, the right one included:
#
# $$q_v = (1 - \epsilon)\,[v = y] + \frac{\epsilon}{V} \qquad
# \ell = -\sum_v q_v \log p_v = (1 - \epsilon)\,(-\log p_y) + \frac{\epsilon}{V} \sum_v (-\log p_v)$$
#
# The first transformer was trained with $\epsilon = 0.1$ [@vaswani2017]. Return the mean over the targets that count, and
# 0 where nothing counts. `losses_of` is your step 1; `torch.log_softmax` is allowed.

# %% tags=["given"]
losses_of = earlier("ch04/lab01/token_losses", token_losses, course.token_losses)

# %% nbgrader={"grade_id": "smoothed_cross_entropy", "solution": true}
def smoothed_cross_entropy(logits: torch.Tensor, targets: torch.Tensor, smoothing: float) -> torch.Tensor:
    """The mean cross-entropy against smoothed targets, over the targets that count: a scalar that gradients flow through.

    logits: (..., V), float32 or float64. targets: (...), int64, IGNORED where they do not count. smoothing: in [0, 1].

    >>> logits = torch.tensor([[0.0, math.log(3)]])                         # probabilities 1/4 and 3/4
    >>> smoothed_cross_entropy(logits, torch.tensor([1]), 0.5)              # 3/4 * log(4/3) + 1/4 * log(4)
    tensor(0.5623)
    """
    ### BEGIN SOLUTION
    counted = targets != IGNORED  # (...)
    spread = -torch.log_softmax(logits, dim=-1).mean(dim=-1)  # (..., V) -> (...)
    losses = (1 - smoothing) * losses_of(logits, targets) + smoothing * spread
    return torch.where(counted, losses, 0.0).sum() / counted.sum().clamp(min=1)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_smoothed_cross_entropy", "grade": true}
check("ch04/lab01/smoothed_cross_entropy", smoothed_cross_entropy)

# %% [markdown]
# **Look at it.** Ten logits that nothing else depends on, pushed downhill step by step. How far does the right one get
# ahead of the others?

# %% tags=["look"]
smoothed = earlier("ch04/lab01/smoothed_cross_entropy", smoothed_cross_entropy, course.cross_entropy)
V, target = 10, torch.tensor(0)
fig, ax = plt.subplots(figsize=(6.5, 3.2))
for epsilon, color, line in ((0.0, RED, "-"), (0.01, ORANGE, "--"), (0.1, BLUE, ":")):
    x, gaps = torch.zeros(V, requires_grad=True), []
    for _ in range(2000):
        loss = smoothed(x, target, epsilon)
        (slope,) = torch.autograd.grad(loss, x)
        x = (x - 2.0 * slope).detach().requires_grad_()
        gaps.append((x[0] - x[1]).item())
    ax.plot(range(1, 2001), gaps, line, color=color, label=f"smoothing {epsilon:g}")
    print(f"smoothing {epsilon:<5g} loss at the end {smoothed(x, target, epsilon).item():.4f}, "
          f"probability of the right token {torch.softmax(x, -1)[0].item():.4f}")
ax.set(xscale="log", xlabel="step", ylabel="lead of the right logit")
ax.legend()
plt.show()

# %% [markdown]
# **Which of the curves will never level off?** With smoothing the lead has a best value,
# $\log\bigl((1 - \epsilon + \epsilon/V) / (\epsilon/V)\bigr)$. **And why is the smoothed loss not near 0 at the end?** Its
# floor is the entropy of the smoothed target. So a smoothed training loss and a plain validation loss cannot be compared,
# and its exponential is no perplexity.

# %% [markdown]
# ## Step 4. A report that nobody should believe
#
# A mean loss in nats is hard to picture. Two translations are in use:
#
# $$\text{perplexity} = e^{\text{mean loss}} \qquad\qquad
# \text{bits per byte} = \frac{\text{total loss in nats}\,/\,\log 2}{\text{bytes of text}}$$
#
# A perplexity of 5 means: as unsure as somebody who chooses among 5 equally likely *tokens*. It says nothing across
# tokenizers, since a token is a byte for one model and a word for another. Bits per byte divides by something that no
# tokenizer can change.
#
# A colleague evaluates with this. For batches of equal size, without padding, one of its three numbers is right.

# %% tags=["given"]
def suspect_report(batches, bytes_of):
    """Loss, perplexity and bits per byte of an evaluation. Something is wrong.

    batches: a list of pairs (losses, targets), both (B, T). bytes_of: (V,), how many bytes of text each token stands for.
    """
    losses, perplexities, bits = [], [], []
    for loss, target in batches:
        mean = loss.mean().item()
        losses.append(mean)
        perplexities.append(math.exp(mean))
        bits.append(mean * math.log(2) / bytes_of[target.clamp(min=0)].float().mean().item())
    n = len(batches)
    return {"loss": sum(losses) / n, "perplexity": sum(perplexities) / n, "bits per byte": sum(bits) / n}


# %% tags=["look"]
def padded(sequences, length):
    """Losses and targets (B, length) of some sequences, padded behind."""
    loss, target = torch.zeros(len(sequences), length), torch.full((len(sequences), length), IGNORED)
    for b, (l, t) in enumerate(sequences):
        loss[b, : len(l)], target[b, : len(t)] = l, t
    return loss, target


ONE_BYTE = torch.ones(256, dtype=torch.int64)
each = losses_of(logits, targets)[:64]
whole = [(each[n : n + 16], targets[n : n + 16]) for n in range(0, 64, 16)]
cut = [(l[: 8 + 15 * (n % 9)], t[: 8 + 15 * (n % 9)]) for n, (l, t) in enumerate(zip(each, targets))]  # of many lengths
ragged = [padded(cut[n : n + 20], T) for n in range(0, 64, 20)]  # the last batch holds 4
for name, batches in (("equal batches", whole), ("padded, and a short last batch", ragged)):
    print(f"{name:<32}", {key: round(value, 3) for key, value in suspect_report(batches, ONE_BYTE).items()})

# %% [markdown]
# **The second line says that the model is far better on parts of the same text. What made it better?** Padding did: it has loss
# 0, and the mean counted it.
#
# Write the report anew. Everything follows from three sums over *all* counted tokens: their nats, their number, their
# bytes. Divide once, at the end. Three questions to ask of each line above: Over what is this a mean? May I take the mean
# of means? May I take the exponential before the mean?
#
# An ignored place may hold anything, a NaN too. And where nothing was counted at all there is nothing to report: return
# NaN for all three. (In step 2 nothing had to be zero, so that training goes on. A report is read by people, and a zero
# would be the best loss ever measured.)

# %% nbgrader={"grade_id": "report", "solution": true}
def report(batches: list[tuple[torch.Tensor, torch.Tensor]], bytes_of: torch.Tensor) -> dict[str, float]:
    """Loss (nats a token), perplexity and bits per byte over all counted tokens of all batches.

    batches: pairs (losses, targets) of one shape, which may differ from batch to batch; a target of IGNORED does not
    count. bytes_of: (V,), int64, how many bytes of text each token stands for.
    Returns {"loss", "perplexity", "bits per byte"} as floats; NaN where nothing counts.

    >>> long, short = torch.tensor([1.0, 1.0, 1.0]), torch.tensor([5.0])
    >>> report([(long, torch.tensor([0, 0, 0])), (short, torch.tensor([1]))], torch.tensor([1, 5]))["loss"]   # 8 / 4
    2.0
    """
    ### BEGIN SOLUTION
    nats, tokens, text = 0.0, 0, 0
    for losses, targets in batches:
        counted = targets != IGNORED
        nats += losses[counted].double().sum().item()
        tokens += counted.sum().item()
        text += bytes_of[targets[counted]].sum().item()
    if not tokens:
        return {"loss": math.nan, "perplexity": math.nan, "bits per byte": math.nan}
    loss = nats / tokens
    return {"loss": loss, "perplexity": math.exp(loss), "bits per byte": nats / math.log(2) / text}
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_report", "grade": true}
check("ch04/lab01/report", report)

# %% [markdown]
# **Look at it.** Five models of the same plays, evaluated on the same held-out text. Four are tables: they count which
# token follows which, in vocabularies of the course's byte-level BPE of four sizes. The fifth is the small transformer,
# over bytes. For comparison, what a compressor makes of the text: a model of a text *is* a compressor of it.

# %% tags=["look"]
report_of = earlier("ch04/lab01/report", report, course.report)


def pair_table(train, test, V):
    """The losses of `test` under counts of pairs in `train`: where a pair is rare, the token's own frequency steps in."""
    alone = (torch.bincount(train, minlength=V) + 1) / (len(train) + V)
    pairs, counts = torch.unique(train[:-1] * V + train[1:], return_counts=True)
    before = torch.bincount(train[:-1], minlength=V)
    wanted = test[:-1] * V + test[1:]
    at = torch.searchsorted(pairs, wanted).clamp(max=len(pairs) - 1)
    seen = torch.where(pairs[at] == wanted, counts[at], 0)
    return -((seen + 20 * alone[test[1:]]) / (before[test[:-1]] + 20)).log(), test[1:]


train_text, test_text = shakespeare("train")[:1_000_000], shakespeare("validation")[:40_000]
rows = []
for V in (256, 512, 1024, 2048):
    tokenizer = ByteLevelBPE.train([train_text[:300_000]], V, specials=())
    bytes_of = torch.tensor([len(tokenizer.decode_bytes([i])) for i in range(V)])
    train, test = (torch.tensor(tokenizer.encode(part)) for part in (train_text, test_text))
    rows.append((f"table of pairs, V = {V}", report_of([pair_table(train, test, V)], bytes_of)))
test_ids, test_targets = windows(torch.tensor(list(test_text.encode())), T)  # all of it, in windows of 128 bytes
parts = zip(test_ids.split(64), test_targets.split(64))
rows.append(("gpt2-bytes, V = 256", report_of([(losses_of(model(i), y), y) for i, y in parts], ONE_BYTE)))
print(f"{'':<26}{'nats a token':>13}{'perplexity':>12}{'bits per byte':>15}")
for name, r in rows:
    print(f"{name:<26}{r['loss']:>13.3f}{r['perplexity']:>12.2f}{r['bits per byte']:>15.3f}")
packed = lzma.compress(test_text.encode(), preset=9 | lzma.PRESET_EXTREME)
print(f"{'xz, on the test text':<26}{'':>25}{8 * len(packed) / len(test_text.encode()):>15.3f}")

fig, ax = plt.subplots(figsize=(6.5, 3.2))
for (name, r), marker in zip(rows, "osD^*"):
    ax.scatter(r["perplexity"], r["bits per byte"], s=70, marker=marker, label=name)
ax.set(xscale="log", xlabel="perplexity a token", ylabel="bits per byte", ylim=(2, None))
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# **Order the four tables by perplexity, then by bits per byte.** The two orders are opposite. By perplexity the table of
# byte pairs is the best of the four; it is the one that knows least about the text. Between two models with the *same*
# tokenizer the two numbers agree, and only there may you quote the first.

# %% [markdown]
# ## Step 5. A vocabulary in pieces
#
# GPT-2 has 50,257 tokens. A batch of 8 sequences of 1,024 tokens then has 412 million logits, 1.6 GB in float32, and the
# loss makes several copies of that. The weights of GPT-2's smallest model take 0.5 GB. But all that you want is one number a row. The log-sum-exp can be taken in pieces
# [@milakov2018]:
#
# $$\log \sum_{v} e^{x_v} = \log\bigl(e^{a} + e^{b}\bigr)
# \qquad a = \log \!\!\sum_{v \in \text{piece 1}}\!\! e^{x_v} \qquad b = \log \!\!\sum_{v \in \text{piece 2}}\!\! e^{x_v}$$
#
# So compute `chunk` columns of logits at a time, fold them into the running log-sum-exp, pick the target's logit if it lies
# among them, and let them go. `torch.logsumexp` and `torch.logaddexp` are allowed: the second computes
# $\log(e^a + e^b)$, safely, also for $a = -\infty$.
#
# In shapes: `x (N, C)`, `W (V, C)`, `targets (N,)` → losses `(N,)`. The check measures what your tensors hold: it must
# never be `N * V` numbers at once.

# %% nbgrader={"grade_id": "chunked_losses", "solution": true}
def chunked_losses(x: torch.Tensor, W: torch.Tensor, targets: torch.Tensor, chunk: int) -> torch.Tensor:
    """The losses of the logits x @ W.T, holding at most (N, chunk) logits at a time. Used without gradients.

    x: (N, C). W: (V, C), of x's dtype, float32 or float64. targets: (N,), IGNORED where they do not count. chunk: 1 or
    more; it need not divide V. Returns (N,).

    >>> x, W = torch.zeros(2, 3), torch.ones(5, 3)                          # all logits are 0: each loss is log 5
    >>> chunked_losses(x, W, torch.tensor([4, -100]), 2)
    tensor([1.6094, 0.0000])
    """
    ### BEGIN SOLUTION
    total = x.new_full((len(x),), -math.inf)  # the log-sum-exp of no logits
    picked = x.new_zeros(len(x))
    for start in range(0, len(W), chunk):
        logits = x @ W[start : start + chunk].T  # (N, C) @ (C, chunk) -> (N, chunk); the last piece may be narrower
        total = torch.logaddexp(total, torch.logsumexp(logits, dim=-1))
        here = (targets >= start) & (targets < start + chunk)  # (N,)
        picked[here] = logits[here, targets[here] - start]
    return torch.where(targets != IGNORED, total - picked, 0.0)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_chunked_losses", "grade": true}
check("ch04/lab01/chunked_losses", chunked_losses)

# %% [markdown]
# **Look at it.** 256 tokens, GPT-2's vocabulary. Measured: the most that all tensors made during the call hold at once, and
# the time relative to the whole matrix.

# %% tags=["look"]
in_pieces = earlier("ch04/lab01/chunked_losses", chunked_losses, course.chunked_losses)
torch.manual_seed(0)
N, C, V = 256, 64, 50_257
x, W, y = torch.randn(N, C), torch.randn(V, C) / C**0.5, torch.randint(V, (N,))
ways = {"the whole matrix": lambda: losses_of(x @ W.T, y)}
ways |= {f"pieces of {chunk:>6,}": lambda chunk=chunk: in_pieces(x, W, y, chunk) for chunk in (16384, 4096, 1024, 256)}
with torch.no_grad():
    peaks = [peak_bytes(work) / 1e6 for work in ways.values()]
    times = [seconds(work, repeats=3, warm_up=1) for work in ways.values()]
for name, peak, time in zip(ways, peaks, times):
    print(f"{name:<20}{peak:>8.1f} MB{time / times[0]:>8.2f} of the time")

xg, Wg = x.clone().requires_grad_(), W.clone().requires_grad_()
training = {
    "the whole matrix": lambda: F.cross_entropy(xg @ Wg.T, y).backward(),
    "rows in pieces of 32": lambda: course.chunked_cross_entropy(xg, Wg, y, 32).backward(),
}
print("with gradients:")
for name, work in training.items():
    xg.grad = Wg.grad = None
    print(f"{name:<20}{peak_bytes(work) / 1e6:>8.1f} MB, of which {4 * (x.numel() + W.numel()) / 1e6:.1f} MB are the two gradients")

# %% [markdown]
# **Which size of piece is the fastest?** Not the whole: a piece that fits into the processor's cache is folded in before it
# has to be written out to memory, and the whole matrix is written and read several times. Memory falls in proportion to
# the piece; time rises again when the pieces become too many.
#
# With gradients it is not enough to compute in pieces: autograd keeps every piece for the way back. The second table's
# version uses your step 2. The gradient of the logits is known as soon as the logits are, so it multiplies it into the
# gradients of `x` and `W` right in the forward pass, and keeps nothing [@hsu2024]. Chapter 10 takes the same running
# log-sum-exp through attention, and it becomes FlashAttention.

# %% [markdown]
# ## What you built
#
# - Cross-entropy that survives large logits, ignored targets, ruled-out tokens and 16 bits, with label smoothing, and its
#   gradient: probability minus truth.
# - A report whose three numbers follow from three sums, and the one of them that compares tokenizers.
# - The loss of a large vocabulary in pieces. Lab 4.3 trains with these; lab 4.4 reports with them.
#
# ## Going further
#
# - The papers: [@szegedy2016], section 7, for label smoothing, and [@muller2019] for what it does to a model's inside;
#   [@milakov2018] for the running log-sum-exp.
# - Production code: `torch/nn/functional.py`, `cross_entropy`, and Liger Kernel's `fused_linear_cross_entropy.py`. Find the
#   line where the second computes gradients in the forward pass.
# - Logits may drift upward together, and cross-entropy does not mind: it does not see a shift. Large models add a small
#   penalty on the square of the log-sum-exp, the *z-loss* [@chowdhery2022]. Add it to step 3, with its gradient.
# - An extension: gradient accumulation. Four micro-batches with 10, 200, 0 and 90 counted targets shall give the gradient of
#   their mean loss. What does each micro-batch have to be divided by, and when do you know it?
