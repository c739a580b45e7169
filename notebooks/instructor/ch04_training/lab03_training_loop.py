# ---
# jupyter:
#   course:
#     title: Training Loop
#     level: intermediate
#     minutes: 85
#     hardware: cpu
#     builds: "Every part of a training loop: AdamW, warm-up and cosine, clipping, gradient accumulation, and a test that a run resumes to the bit."
#     goals:
#     - Write AdamW so that it equals PyTorch's over a hundred steps, and say what each of its lines is for
#     - Set a learning rate that is exact at its corners, and clip a gradient without turning it
#     - Split a large batch into pieces and get the large batch's gradient, whatever the pieces count
#     - Write the test that finds what a checkpoint forgot
#     needs:
#     - "[Learning-Rate Schedules](../../../book/ch04_training/lr_schedules.md)"
#     - Lab 0.5, Data Pipeline
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% tags=["setup"]
from autograder import setup; device = setup()

# %% tags=["setup"]
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from autograder import check, earlier
from source.plots import BLUE, ORANGE
from source.training import accumulation, adamw, clipping, resuming, schedules, tiny
from source.training.progress import smoothed
from source.training.recipe import NANOGPT, TinyGPT

# %% [markdown]
# ## A question first
#
# Two people write the same training loop for the same small model: Shakespeare, character by character. The data, the
# first weights and the schedule are equal. One loop is right. The other has *four* mistakes, all of them real ones that
# have been found in published code:
#
# - the averages of Adam are not corrected for their start at zero;
# - weight decay is added to the gradient instead of being kept apart;
# - each gradient is clipped by itself;
# - each step reads two pieces of unequal size and averages their means.
#
# None raises an error. Here are the two curves.

# %% tags=["look"]
torch.set_num_threads(1)  # tensors this small: a second thread waits more than it works
SMALL = tiny.Size(layers=2, heads=2, width=48, context=32, batch=8, steps=200, dropout=0.0)
text = tiny.text()


def small_model(seed=0):
    torch.manual_seed(seed)
    return TinyGPT(SMALL, len(text.characters), NANOGPT)


def two_pieces(step):
    """One step's batch in two pieces, with 7 and with 1 of its 8 windows."""
    [(ids, targets)] = tiny.batches(text.train, SMALL.context, SMALL.batch, 0)(step)
    return [(ids[:7], targets[:7]), (ids[7:], targets[7:])]


def careless_step(p, grad, state, rate, betas, eps, decay):
    m, v = state.setdefault("m", torch.zeros_like(p)), state.setdefault("v", torch.zeros_like(p))
    grad = grad + decay * p
    m.lerp_(grad, 1 - betas[0])
    v.lerp_(grad * grad, 1 - betas[1])
    p.addcdiv_(m, v.sqrt() + eps, value=-rate)


def losses_of(right, rate=2e-3):
    model = small_model()
    step_of = adamw.adamw_step if right else careless_step
    optimizer = adamw.AdamW(model.parameters(), betas=(0.9, 0.99), weight_decay=0.1, step=step_of)
    losses = []
    for step in range(SMALL.steps):
        for group in optimizer.param_groups:
            group["lr"] = schedules.warmup_cosine(step, rate, 20, SMALL.steps)
        optimizer.zero_grad()
        if not right:
            accumulation.mean_of_means(model, two_pieces(step))
            clipping.clip_each(list(model.parameters()), 1.0)
            moved = [p.grad.clone() for p in model.parameters()]
            optimizer.zero_grad()
        losses.append(accumulation.accumulate(model, two_pieces(step)))  # the true loss of the batch, for both
        if right:
            clipping.clip_by_global_norm(list(model.parameters()), 1.0)
        else:
            for p, grad in zip(model.parameters(), moved):
                p.grad = grad
        optimizer.step()
    return losses


fig, ax = plt.subplots(figsize=(6, 3.2))
for name, right, line in (("A", True, "-"), ("B", False, "--")):
    ax.plot(smoothed(losses_of(right), 10), line, label=f"loop {name}")
ax.axhline(math.log(len(text.characters)), color="gray", linewidth=0.8)
ax.set(xlabel="step", ylabel="training loss (nats a character)")
ax.legend()
plt.show()

# %% [markdown]
# **Which curve is that of the wrong loop? Would you have looked for a mistake if you had only seen that one?** The gray
# line is guessing evenly. Both loops learn. *"It trains" is not a test*: a wrong loop trains too, only worse, and at the
# scale where the difference costs money nobody trains twice to compare. So every part gets a test of its own, now,
# while it is small.
#
# Letters: `B` rows of a batch, `T` positions, `V` vocabulary.

# %% [markdown]
# ## Step 1. AdamW
#
# A plain gradient step moves each weight by rate × gradient. But gradients differ by many orders of magnitude from one
# weight to another, and they are noisy. Adam [@kingma2015] keeps two running averages for each weight, of the gradient
# $g$ and of its square, and moves by their ratio. At step $t = 1, 2, \ldots$
#
# $$m \leftarrow \beta_1 m + (1-\beta_1)\, g \qquad v \leftarrow \beta_2 v + (1-\beta_2)\, g^2$$
# $$\hat m = \frac{m}{1-\beta_1^t} \qquad \hat v = \frac{v}{1-\beta_2^t} \qquad
# p \leftarrow p - \eta\,\frac{\hat m}{\sqrt{\hat v} + \epsilon}$$
#
# $m$ and $v$ begin at zero, so at first they are too small: after one step $m$ is $0.1\,g$, and $v$ only $0.001\,g^2$.
# The *bias correction* divides by the weight that real gradients have had so far. The ratio no longer depends on the
# gradient's scale: **a step has about the size of the rate $\eta$**, whatever the loss is measured in.
#
# $\epsilon$ stands *outside* the root. It matters where gradients are as small as $10^{-8}$: rows of an embedding that
# are hardly ever seen.
#
# *Weight decay* pulls each weight toward zero. As a penalty in the loss it would be a part of $g$ and be divided by
# $\sqrt{\hat v}$: weights with large gradients would decay least. AdamW [@loshchilov2019] keeps it apart, and does it
# first:
#
# $$p \leftarrow (1 - \eta\,\lambda)\, p$$
#
# The state belongs to one tensor. It is an empty dict before the first step; what you put in is there again next time.

# %% nbgrader={"grade_id": "adamw_step", "solution": true}
@torch.no_grad()
def adamw_step(
    p: torch.Tensor,
    grad: torch.Tensor,
    state: dict,
    rate: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    decay: float = 0.0,
) -> None:
    """One step of AdamW for one tensor: changes p and state in place, and nothing else.

    p, grad: any one shape. state: {} before the first step, then whatever you keep. rate: of this step.

    >>> p, state = torch.tensor([1.0]), {}
    >>> adamw_step(p, torch.tensor([20.0]), state, rate=0.1)     # the first step is the rate, against the sign
    >>> p
    tensor([0.9000])
    >>> adamw_step(p, torch.tensor([0.0]), state, rate=0.0)      # a rate of 0 moves nothing, but the state goes on
    >>> p
    tensor([0.9000])
    """
    ### BEGIN SOLUTION
    if not state:
        state.update(step=0, m=torch.zeros_like(p), v=torch.zeros_like(p))
    state["step"] += 1
    t, m, v = state["step"], state["m"], state["v"]
    m.mul_(betas[0]).add_(grad, alpha=1 - betas[0])
    v.mul_(betas[1]).add_(grad * grad, alpha=1 - betas[1])
    m_hat = m / (1 - betas[0] ** t)
    v_hat = v / (1 - betas[1] ** t)
    p.mul_(1 - rate * decay)
    p.sub_(rate * m_hat / (v_hat.sqrt() + eps))
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_adamw_step", "grade": true}
check("ch04/lab03/adamw_step", adamw_step)

# %% [markdown]
# **Look at it.** Left: a hundred steps of your AdamW and of PyTorch's on the small model, and how far apart their
# weights are. Right: what the correction is for. A gradient that is always 1; how large is each step, with the
# correction and without?

# %% tags=["given"]
step_of = earlier("ch04/lab03/adamw_step", adamw_step, adamw.adamw_step)

# %% tags=["look"]
ours, theirs = small_model(), small_model()
optimizers = [adamw.AdamW(ours.parameters(), 3e-3, (0.9, 0.99), weight_decay=0.1, step=step_of)]
optimizers.append(torch.optim.AdamW(theirs.parameters(), 3e-3, (0.9, 0.99), weight_decay=0.1))
apart = []
for step in range(100):
    for model, optimizer in zip((ours, theirs), optimizers):
        optimizer.zero_grad()
        accumulation.accumulate(model, two_pieces(step))
        optimizer.step()
    apart.append(max((a - b).abs().max().item() for a, b in zip(ours.parameters(), theirs.parameters())))

sizes = {"corrected": [], "not corrected": []}
p, state, m, v = torch.zeros(1), {}, 0.0, 0.0
for _ in range(400):
    before = p.clone()
    step_of(p, torch.ones(1), state, rate=1.0)
    m, v = 0.9 * m + 0.1, 0.999 * v + 0.001
    sizes["corrected"].append((before - p).item())
    sizes["not corrected"].append(m / v**0.5)

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
left.semilogy(np.arange(1, 101), np.maximum(apart, 1e-9))
left.set(xlabel="step", ylabel="largest difference of a weight", title="yours and PyTorch's", ylim=(1e-9, 1))
for (name, size), line in zip(sizes.items(), ("-", "--")):
    right.plot(np.arange(1, 401), size, line, label=name)
right.set(xlabel="step", ylabel="size of a step (rates)", title="a constant gradient", ylim=(0, None))
right.legend()
plt.show()

# %% [markdown]
# **How many times too large are the steps without the correction, and when?** They are too large exactly when the model
# knows least. And why is the left curve not zero? The two do the same arithmetic in another order, and float32 rounds
# each; training then spreads such differences. That is why a test of an optimizer uses few steps or float64.

# %% [markdown]
# ## Step 2. Warm-up and cosine
#
# The rate is not one number but a function of the step. It begins small, since Adam's averages are made of few
# gradients, and the first ones point wherever random weights happen to be wrong. It ends small, since near a minimum the
# noise of each batch throws you about by as much as a step. In between it is as large as it can be. The
# [page](../../../book/ch04_training/lr_schedules.md) has the reasons, and other shapes.
#
# With $w$ steps of warm-up out of $n$, counting steps from 0:
#
# $$\eta(s) = \eta_\text{peak} \frac{s+1}{w} \;\;\text{for}\; s < w, \qquad
# \eta(s) = \eta_\text{last} + (\eta_\text{peak} - \eta_\text{last})\, \frac{1 + \cos \pi d}{2}, \quad
# d = \frac{s - w}{n - w}$$
#
# Its corners are worth a look. Step 0 has $\eta_\text{peak}/w$, not 0: a rate of 0 would waste a batch. Steps $w - 1$ and
# $w$ have the peak. From step $n$ on it stays at $\eta_\text{last}$: a cosine that is let run on would climb again.

# %% nbgrader={"grade_id": "learning_rate", "solution": true}
def learning_rate(step: int, peak: float, warm_up: int, steps: int, last: float = 0.0) -> float:
    """Up in a straight line, then down along half a cosine, then `last` for ever. step counts from 0.

    warm_up: steps until the peak, 0 to `steps`; 0 means to begin at the peak. steps: n, at which `last` is reached.

    >>> [learning_rate(s, 1.0, 2, 6, 0.5) for s in (0, 1, 2, 4, 6, 7)]
    [0.5, 1.0, 1.0, 0.75, 0.5, 0.5]
    """
    ### BEGIN SOLUTION
    if step < warm_up:
        return peak * (step + 1) / warm_up
    if step >= steps:
        return last
    done = (step - warm_up) / (steps - warm_up)
    return last + (peak - last) * (1 + math.cos(math.pi * done)) / 2
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_learning_rate", "grade": true}
check("ch04/lab03/learning_rate", learning_rate)

# %% [markdown]
# **Look at it.** Left: your schedule. Right: a model of four layers with and without warm-up, at the same peak, on the same
# batches.

# %% tags=["given"]
rate_of = earlier("ch04/lab03/learning_rate", learning_rate, schedules.warmup_cosine)

# %% tags=["look"]
PEAK, DEEPER = 5e-3, tiny.Size(layers=4, heads=2, width=48, context=32, batch=8, steps=200, dropout=0.0)
ways = {
    "warm-up": lambda s: rate_of(s, PEAK, 25, 200),
    "no warm-up": lambda s: rate_of(s, PEAK, 0, 200),
}
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
for (name, way), line, color in zip(ways.items(), ("-", "--"), (BLUE, ORANGE)):
    torch.manual_seed(0)
    model = TinyGPT(DEEPER, len(text.characters), NANOGPT)
    optimizer = adamw.AdamW(model.parameters(), betas=(0.9, 0.99), weight_decay=0.1, step=step_of)
    losses = []
    for step in range(200):
        optimizer.param_groups[0]["lr"] = way(step)
        optimizer.zero_grad()
        losses.append(accumulation.accumulate(model, two_pieces(step)))
        optimizer.step()
    left.plot([way(s) for s in range(200)], line, color=color)
    right.plot(smoothed(losses, 10), line, color=color, label=f"{name}: {np.mean(losses[-20:]):.2f} at the end")
left.set(xlabel="step", ylabel="learning rate")
shares = torch.bincount(text.train) / len(text.train)
right.axhline(-(shares * shares.log()).nansum().item(), color="gray", linewidth=0.8)
right.set(xlabel="step", ylabel="training loss (nats a character)")
right.legend(fontsize=9)
plt.show()

# %% [markdown]
# **What do twenty-five careful steps buy, and does the other run get it back?** The gray line is the loss
# of who knows how frequent each character is, and nothing else. The run without warm-up took its first steps at the full
# rate, and stays near that line.

# %% [markdown]
# ## Step 3. Clip by the global norm
#
# Now and then a batch has a gradient many times longer than usual. One such step can throw a model to where it
# will not come back from. So the gradient is shortened if it is too long [@pascanu2013]. Put *all* gradients of the model
# side by side into one long vector. If it is longer than a limit $c$, multiply everything by **one** factor:
#
# $$\text{norm} = \sqrt{\sum_{\text{all weights}} g^2} \qquad g \leftarrow g \cdot \frac{c}{\text{norm}}
# \;\;\text{if norm} > c$$
#
# One factor for all: the vector keeps its direction. If each tensor were clipped by itself, large ones would shrink and
# small ones not, and the step would point elsewhere. No error would tell you.
#
# Return the norm *before* clipping. It is the most useful number of a training log after the loss: it rises before a run
# goes wrong. A norm after clipping says nothing, it is at most $c$.

# %% nbgrader={"grade_id": "clip_gradients", "solution": true}
@torch.no_grad()
def clip_gradients(parameters: list[torch.Tensor], limit: float) -> float:
    """Shorten all gradients, in place and by one factor, so that together they are at most `limit` long.

    parameters: tensors; the gradient of each is its .grad, which may be None. Returns the norm before, a float.

    >>> a, b = torch.zeros(2), torch.zeros(1)
    >>> a.grad, b.grad = torch.tensor([2.0, 3.0]), torch.tensor([6.0])      # 4 + 9 + 36 = 49
    >>> clip_gradients([a, b], 3.5)
    7.0
    >>> a.grad, b.grad                                                      # half of each
    (tensor([1.0000, 1.5000]), tensor([3.]))
    """
    ### BEGIN SOLUTION
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = math.sqrt(sum(g.double().square().sum().item() for g in gradients))
    if norm > limit:
        for g in gradients:
            g.mul_(limit / norm)
    return norm
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_clip_gradients", "grade": true}
check("ch04/lab03/clip_gradients", clip_gradients)

# %% [markdown]
# **Look at it.** Left: the norm during a run of the small model; the dashed line is the limit. Right: for the same
# gradients, the angle between what clipping leaves and what was there.

# %% tags=["given"]
clip = earlier("ch04/lab03/clip_gradients", clip_gradients, clipping.clip_by_global_norm)

# %% tags=["look"]
def flat(parameters):
    return torch.cat([p.grad.flatten() for p in parameters])


def angle(a, b):
    return math.degrees(math.acos(min(1.0, F.cosine_similarity(a, b, dim=0).item())))


model, LIMIT = small_model(), 0.5
parameters = list(model.parameters())
optimizer = adamw.AdamW(parameters, betas=(0.9, 0.99), weight_decay=0.1, step=step_of)
norms, turned = [], {"one factor for all": [], "each by itself": []}
for step in range(150):
    optimizer.param_groups[0]["lr"] = rate_of(step, 5e-3, 15, 150)
    optimizer.zero_grad()
    accumulation.accumulate(model, two_pieces(step))
    before = flat(parameters)
    kept = [p.grad.clone() for p in parameters]
    clipping.clip_each(parameters, LIMIT)
    turned["each by itself"].append(angle(before, flat(parameters)))
    for p, grad in zip(parameters, kept):
        p.grad = grad
    norms.append(clip(parameters, LIMIT))
    turned["one factor for all"].append(angle(before, flat(parameters)))
    optimizer.step()

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
left.plot(norms)
left.axhline(LIMIT, color="gray", linestyle="--")
left.set(xlabel="step", ylabel="norm before clipping")
for (name, values), line in zip(turned.items(), ("-", "--")):
    right.plot(values, line, label=name)
right.set(xlabel="step", ylabel="angle turned (degrees)", ylim=(-2, None))
right.legend()
plt.show()

# %% [markdown]
# **When is clipping at work most, and by how much does the trap turn the gradient there?** AdamW divides by
# $\sqrt{\hat v}$ right afterwards, so a factor that is the same at every step has no effect at all. What clipping changes
# is one step against the others.

# %% [markdown]
# ## Step 4. Accumulate gradients
#
# A batch that does not fit into memory is read in pieces. Each piece adds its gradient into `.grad`; only then comes a
# step. The result shall be the large batch's gradient, as if it had been read at once. What that means is easily said
# and often got wrong: the loss of a batch is the **mean over all its tokens**, and a mean of means is not the mean, as
# soon as pieces count unequally many. They do: texts have different lengths, and padding does not count (target -100).
#
# $$\frac{\sum_\text{pieces} \sum_{\text{its tokens}} \ell}{\sum_\text{pieces} \text{its tokens}}
# \;\;\ne\;\; \frac{1}{\text{pieces}} \sum_\text{pieces} \frac{\sum_{\text{its tokens}} \ell}{\text{its tokens}}$$
#
# Count the tokens of all pieces first. Then divide each piece's *sum* by that total. Call `backward` for each piece
# before the next one is computed: that is what saves the memory. A library that half of the world uses had this wrong
# until 2024, when people noticed that losses did not match [@huggingface2024].

# %% nbgrader={"grade_id": "accumulate", "solution": true}
def accumulate(model: nn.Module, pieces: list[tuple[torch.Tensor, torch.Tensor]]) -> float:
    """Add to every .grad the gradient of the mean loss over all counted targets of all pieces. Returns that mean.

    model: ids (B, T) -> logits (B, T, V). pieces: pairs (ids, targets), both (B, T); B and T may differ from piece to
    piece. A target of -100 does not count; a piece may have no other. One piece is in memory at a time.
    What .grad holds before is added to, not overwritten. Without any counted target: 0.0, and no .grad changes.

    >>> even = lambda ids: torch.zeros(*ids.shape, 4, requires_grad=True)       # guesses evenly: every loss is log 4
    >>> one, two = torch.tensor([[1]]), torch.tensor([[2, 3]])
    >>> round(accumulate(even, [(one, one), (two, two)]), 4)
    1.3863
    """
    ### BEGIN SOLUTION
    counted = sum((targets != -100).sum().item() for _, targets in pieces)
    if counted == 0:
        return 0.0
    total = 0.0
    for ids, targets in pieces:
        logits = model(ids)  # (B, T, V)
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum") / counted
        loss.backward()
        total += loss.item()
    return total
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_accumulate", "grade": true}
check("ch04/lab03/accumulate", accumulate)

# %% [markdown]
# **Look at it.** Eight windows of text, of which one sentence each is kept and the rest does not count. They are read at
# once, and in 2, 4 and 8 pieces. How far is the gradient from that of the batch in one piece, as a share of its norm?

# %% tags=["given"]
add_up = earlier("ch04/lab03/accumulate", accumulate, accumulation.accumulate)

# %% tags=["look"]
[(ids, targets)] = tiny.batches(text.train, 32, 8, 1)(0)
lengths = torch.tensor([32, 3, 20, 5, 9, 32, 2, 14])
targets = torch.where(torch.arange(32) < lengths[:, None], targets, -100)
model = small_model()


def gradient_of(how, rows):
    model.zero_grad()
    how(model, list(zip(ids.split(rows), targets.split(rows))))
    return flat(list(model.parameters()))


at_once = gradient_of(accumulation.accumulate, 8)
print(f"{'pieces':<10}{'yours':>12}{'mean of means':>18}")
for rows in (4, 2, 1):
    yours, means = (gradient_of(how, rows) - at_once for how in (add_up, accumulation.mean_of_means))
    print(f"{8 // rows:<10}{yours.norm() / at_once.norm():>12.1e}{means.norm() / at_once.norm():>18.1e}")

# %% [markdown]
# **What does the right column do as the pieces get smaller?** With one text a piece, a text of two tokens pulls as hard
# as one of 32. A model trained like that answers short texts better than it should, and long ones worse.

# %% [markdown]
# ## Step 5. Does it resume?
#
# Machines stop. A run of days is saved every few minutes and taken up again, and it must then be *the same run*: the same
# bits at the end as if nothing had happened. If it is not, no experiment can be repeated, and no fault be tracked down
# by running it again. What has to be saved:
#
# - the model's weights *and buffers* (running statistics are no parameters);
# - the optimizer's averages and its count of steps;
# - the step, which fixes the rate, and the place in the shuffled data;
# - the state of every random generator that is drawn from: dropout draws at each step.
#
# Forget one, and the loss curve goes on without a visible kink. So you write the test. You get three functions:
# `start()` makes a run before its first step, always the same one; `save(run)` returns something; `load(saved)` makes a
# run from it. A run has `run.train(n)`, which takes n more steps, and `run.model`.
#
# A good test has to be suspicious of four things.
#
# - *Which bits?* Weights that are close are not equal. And buffers count.
# - *When?* A place in the data that is forgotten does no harm right at an epoch's end. Try every step.
# - *In which world?* Who resumes is another process: its random generators stand somewhere else. If you load right after
#   saving, they stand right by accident, and nobody notices that they were not saved.
# - *What does saving do?* The run that was saved goes on training. Saving must not change it, and what was saved must
#   not change with it.

# %% nbgrader={"grade_id": "resumes_exactly", "solution": true}
def resumes_exactly(start, save, load, steps: int) -> bool:
    """Whether a run that is saved and loaded, after any number of steps, ends with the bits of one left in peace.

    start() -> run. save(run) -> anything. load(that) -> run. run.train(n) takes n steps, run.model is a module.
    steps: of the whole run, from `start` to the end. Tries a save after 0, 1, ..., `steps` steps.

    >>> from source.training.resuming import SmallRun, load, save
    >>> resumes_exactly(SmallRun, save, load, 4)
    True
    >>> resumes_exactly(SmallRun, lambda run: save(run, "optimizer forgotten"), load, 4)
    False
    """
    ### BEGIN SOLUTION
    def same(one, other):
        mine, theirs = one.model.state_dict(), other.model.state_dict()
        return all(torch.equal(mine[name], theirs[name]) for name in mine)

    whole = start()
    whole.train(steps)
    for cut in range(steps + 1):
        first = start()
        first.train(cut)
        saved = save(first)
        first.train(steps - cut)
        torch.manual_seed(1000 + cut)
        second = load(saved)
        second.train(steps - cut)
        if not same(first, whole) or not same(second, whole):
            return False
    return True
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_resumes_exactly", "grade": true}
check("ch04/lab03/resumes_exactly", resumes_exactly)

# %% [markdown]
# **Look at it.** A small run with all that a large one has, saved after 5 of 12 steps with one thing forgotten, and
# loaded in a world where the generators stand elsewhere. How far are its weights from those of the run in one piece?

# %% tags=["look"]
test = earlier("ch04/lab03/resumes_exactly", resumes_exactly, resuming.resumes_exactly)
whole = resuming.SmallRun()
whole.train(12)
print(f"{'what is wrong':<32}{'exact?':<10}largest difference of a weight at the end")
for fault in resuming.FAULTS:
    first = resuming.SmallRun()
    first.train(5)
    saved = resuming.save(first, fault)
    first.train(7)
    torch.manual_seed(1)
    second = resuming.load(saved)
    second.train(7)
    pairs = zip(whole.model.parameters(), second.model.parameters())
    difference = max((a - b).abs().max().item() for a, b in pairs)
    exact = test(resuming.SmallRun, lambda run: resuming.save(run, fault), resuming.load, 7)
    print(f"{fault:<32}{exact!s:<10}{difference:.1e}")

# %% [markdown]
# **Which faults have a difference of exactly zero here, and why does your test reject them all the same?** Buffers are no
# weights: they show in what the model says when it is used. And a save that disturbs the run that goes on leaves the
# *resumed* one unharmed. Which fault has the smallest difference above zero, and what would a comparison with a tolerance
# have said?

# %% [markdown]
# ## What you built
#
# - AdamW, a schedule, clipping and accumulation, each equal to what it should be and not only close in its curve.
# - The test that a checkpoint must pass. `source/training/loop.py` is written against it.
# - Lab 4.4 puts your parts together and trains a model of 800,000 parameters with them.
#
# ## Going further
#
# - The papers: [@kingma2015], section 2, whose faster form moves $\epsilon$; [@loshchilov2019], figures 1 and 2, which show
#   what decoupling does to the choice of rate and decay.
# - Production code: `torch/optim/adam.py`, function `_single_tensor_adam`. Find the lines of your step, the place where
#   AdamW differs from Adam, and where $\epsilon$ stands. `torch/nn/utils/clip_grad.py`: what is the `1e-6` for?
# - nanoGPT's `train.py`: it divides each piece's loss by the number of pieces. When is that right?
# - An extension: let `accumulate` return the sum and the count, and combine them over two *processes* that read unequal
#   pieces. What has to be communicated before the first `backward`? Chapter 11 needs the answer.
