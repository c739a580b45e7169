# ---
# jupyter:
#   course:
#     title: Scaling Laws
#     level: advanced
#     minutes: 90
#     hardware: cpu
#     builds: "The analysis behind \"how large a model, on how much data?\": the best split of a budget, two ways to fit a law, and an audit."
#     goals:
#     - Derive the best size and number of tokens from a loss law, and find out where "20 tokens a parameter" comes from
#     - Read the best size off a slice of equal compute, and know when the slice does not say
#     - Fit a law robustly, and see how a published fit stopped too early
#     - Test an analysis on data whose truth you know, before you believe what it says about yours
#     needs:
#     - "[Scaling Laws](../../../book/ch04_training/scaling_laws.md)"
#     - Lab 4.6, Counting the Cost, for C = 6 N D
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% tags=["setup"]
from autograder import setup; device = setup()

# %% tags=["setup"]
import math
import time

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F

from autograder import check, earlier
from source import scaling as course
from source import train_ladder
from source.corpus import shakespeare
from source.data_pipeline.windows import to_bytes
from source.plots import BLUE, GREEN, ORANGE, PINK, RED
from source.scaling import DELTA, PUBLISHED, REFIT, UNROUNDED, Law

# %% [markdown]
# ## A question first
#
# You may spend a fixed amount of computing on one training run, and not a step more. A larger model learns more from
# each byte. A smaller one sees more bytes. Which size do you train?
#
# The course asked this for real: `python -m source.train_ladder` trained the models below on Shakespeare, from 3,000 to
# 69,000 parameters, at four budgets. All models of one colour cost the same number of operations: the larger ones read
# less.

# %% tags=["look"]
runs = course.ladder(seed=0)
budgets = np.unique(runs["budget"])
COLOURS = dict(zip(budgets, (BLUE, ORANGE, GREEN, RED)))
MARKERS = dict(zip(budgets, "os^D"))


def show_slices(ax, **look):
    """The runs of each budget, loss over size."""
    for C in budgets:
        mine = runs["budget"] == C
        name = f"{C:.1e}".replace("e+", "e")
        ax.plot(runs["N"][mine], runs["loss"][mine], marker=MARKERS[C], color=COLOURS[C], label=name, **look)
    ax.set(xscale="log", xlabel="parameters N", ylabel="held-out loss (nats a byte)")
    ax.set_xticks((3e3, 1e4, 3e4, 1e5), ("3,000", "10,000", "30,000", "100,000"))
    ax.minorticks_off()


fig, ax = plt.subplots(figsize=(6.5, 3.8))
show_slices(ax)
ax.legend(title="operations", loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# **Which size is best at the smallest budget, and which at the largest?** For each budget there is a size that is too
# small (it cannot use what it reads) and one that is too large (it has not read enough). The best one moves as the
# budget grows. Whoever can say where it moves, *before* paying for the next budget, saves the price of the wrong model.
#
# Letters of this lab, as in the papers: $N$ parameters, $D$ training tokens (here bytes), $C$ floating-point operations
# of the training. $C \approx 6ND$: for every token each parameter takes part in one multiply-add forward and in two
# backward [@kaplan2020].

# %% [markdown]
# ## Step 1. The best split of a budget
#
# Hoffmann et al. [@hoffmann2022] describe the loss of a model of $N$ parameters after $D$ tokens by
#
# $$L(N, D) = E + \frac{A}{N^{\alpha}} + \frac{B}{D^{\beta}}$$
#
# Three prices: what no model avoids ($E$, the text's own uncertainty), what too small a model costs, what too little
# reading costs. `Law` holds the five numbers, and `law.loss(N, D)` is the formula.
#
# You have $C$ operations, so $6ND = C$: choose $N$, and $D$ is fixed. Find the $N$ of the lowest loss. It has a closed
# form; five lines on paper give it. What counts is not where the two prices are equal, but where their *slopes* are.

# %% nbgrader={"grade_id": "compute_optimal", "solution": true}
def compute_optimal(law: Law, C: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Parameters and tokens of the lowest loss that C operations buy.

    C: (budgets,). Returns N and D, both (budgets,), with 6 N D = C.

    >>> law = Law(E=1.0, A=100.0, B=100.0, alpha=0.5, beta=0.5)     # both halves alike: as many tokens as parameters
    >>> compute_optimal(law, np.array([6e12]))                      # 6 * 1e6 * 1e6
    (array([1000000.]), array([1000000.]))
    """
    ### BEGIN SOLUTION
    # dL / d log N = -alpha A / N^alpha + beta B / D^beta = 0, with D = C / (6N)
    G = (law.alpha * law.A / (law.beta * law.B)) ** (1 / (law.alpha + law.beta))
    N = G * (C / 6) ** (law.beta / (law.alpha + law.beta))
    return N, C / (6 * N)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_compute_optimal", "grade": true}
check("ch04/lab07/compute_optimal", compute_optimal)

# %% [markdown]
# **Look at it.** Everybody quotes Chinchilla's rule: 20 tokens a parameter. Put it to the test, with three versions of
# the law for large language models:
#
# - as the paper of 2022 *prints* it, rounded to two digits;
# - the same fit as it stands in the paper's TeX source, with four digits;
# - the *refit* of 2024 to the same runs, read off the paper's figure [@besiroglu2024].

# %% tags=["given"]
optimum = earlier("ch04/lab07/compute_optimal", compute_optimal, course.compute_optimal)

# %% tags=["look"]
GOPHER = 5.76e23  # operations: the budget of Gopher, and about that of Chinchilla
laws = {"2022, as printed": PUBLISHED, "2022, four digits": UNROUNDED, "refit of 2024": REFIT}
C = 10 ** np.linspace(18, 26, 50)
fig, ax = plt.subplots(figsize=(6.5, 3.8))
for (name, law), colour, line in zip(laws.items(), (RED, ORANGE, BLUE), ("-", "--", "-.")):
    N, D = optimum(law, C)
    ax.plot(C, D / N, line, color=colour, label=name)
    N, D = optimum(law, np.array([GOPHER]))
    print(f"{name:<18} at {GOPHER:.2e}: {N[0] / 1e9:5.1f} billion parameters, {D[0] / N[0]:5.1f} tokens a parameter")
ax.axhline(20, color="gray", linewidth=0.8)
ax.plot(6 * 70e9 * 1.4e12, 1.4e12 / 70e9, "*", color=GREEN, markersize=13, label="Chinchilla: N = 70e9, D = 1.4e12")
ax.set(xscale="log", yscale="log", xlabel="budget C (operations)", ylabel="tokens a parameter", ylim=(9, 250))
ax.set_yticks((10, 20, 50, 100, 200), ("10", "20", "50", "100", "200"))
ax.minorticks_off()
ax.legend(loc="upper left", fontsize=9)
plt.show()

# %% [markdown]
# **How many tokens a parameter does the famous paper's own formula ask for, and what do two more digits change?** The
# rule of 20 is *not* in the printed formula. It comes from the paper's other two methods, which agree with each other
# and with the refit; the Chinchilla model itself follows them. The printed fit disagrees with its own paper, and you
# find out why in step 4. Before you copy five numbers out of a paper, ask them a question whose answer you know.
#
# And see how much hangs on the exponents: $D/N \propto C^{(\alpha-\beta)/(\alpha+\beta)}$. Only where
# $\alpha \approx \beta$ is there *one* number of tokens a parameter at all.

# %% [markdown]
# ## Step 2. Slices of equal compute
#
# One of those other two methods needs no formula for the loss. Train several sizes with the same $C$ and look where the
# loss is lowest: an *isoFLOP* slice. Sizes differ by factors, so the axis is $\log N$. Near its lowest point any smooth
# curve is a parabola: fit one to *all* runs of the slice, by least squares, and take its vertex. That averages the
# noise of the runs, and it can lie between two trained sizes.
#
# A parabola always has a vertex. Whether that means anything is another matter. If the losses curve downwards, or if
# the vertex lies outside the sizes that you trained, the slice does not contain the answer: raise a `ValueError` that
# says so.

# %% nbgrader={"grade_id": "isoflop_minimum", "solution": true}
def isoflop_minimum(N: np.ndarray, loss: np.ndarray) -> tuple[float, float]:
    """The lowest point of a parabola in log N through the runs of one budget.

    N, loss: (n,), n >= 3, in any order. Returns N and the loss at the lowest point.
    Raises ValueError if the parabola opens downwards or its lowest point lies outside the sizes in N.

    >>> N, loss = isoflop_minimum(np.array([100.0, 1000.0, 10000.0]), np.array([4.0, 3.0, 4.0]))
    >>> round(N, 6), round(loss, 6)
    (1000.0, 3.0)
    """
    ### BEGIN SOLUTION
    x = np.log(N)
    a, b, c = np.polyfit(x, loss, 2)
    lowest = -b / (2 * a)
    if a <= 0:
        raise ValueError("no size is best: the losses do not curve upwards")
    if not x.min() <= lowest <= x.max():
        raise ValueError("the lowest point lies outside the sizes that were trained")
    return float(np.exp(lowest)), float(np.polyval((a, b, c), lowest))
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_isoflop_minimum", "grade": true}
check("ch04/lab07/isoflop_minimum", isoflop_minimum)

# %% [markdown]
# **Look at it.** The recorded ladder again, with a parabola for each slice. Right: the best sizes against their
# budgets, and the line through them, carried on to ten times the largest budget.

# %% tags=["given"]
minimum_of = earlier("ch04/lab07/isoflop_minimum", isoflop_minimum, course.isoflop_minimum)

# %% tags=["look"]
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
show_slices(left, linestyle="")
best = {}
for C in budgets:
    mine = runs["budget"] == C
    grid = np.geomspace(runs["N"][mine].min(), runs["N"][mine].max(), 100)
    left.plot(grid, course.parabola_at(runs["N"][mine], runs["loss"][mine], grid), color=COLOURS[C], alpha=0.5)
    try:
        best[C], lowest = minimum_of(runs["N"][mine], runs["loss"][mine])
    except ValueError as why:
        print(f"{C:.1e} operations: {why}")
        continue
    left.plot(best[C], lowest, "*", color=COLOURS[C], markersize=13)
    tokens = C / (6 * best[C])
    print(f"{C:.1e} operations: best N {best[C]:>9,.0f}, {tokens / best[C]:6.1f} bytes a parameter, loss {lowest:.3f}")
a, k = np.polyfit(np.log(list(best)), np.log(list(best.values())), 1)
C = np.array([budgets[0], 10 * budgets[-1]])
right.plot(C, np.exp(k) * C**a, "--", color="gray", label=f"N* grows like C to the {a:.2f}")
for C, N in best.items():
    right.plot(C, N, "*", color=COLOURS[C], markersize=13)
right.set(xscale="log", yscale="log", xlabel="budget C (operations)", ylabel="best size N*")
right.legend()
left.legend(title="operations", fontsize=9, loc="upper left", bbox_to_anchor=(0.1, 1))
plt.show()

# %% [markdown]
# **How flat is a slice near its lowest point? What does a model twice as large as the best one lose?** Little. That
# cuts both ways: the exact optimum hardly matters, and it is hard to measure. The exponent on the right rests on a few
# vertices of flat curves. The papers' exponents do too.

# %% [markdown]
# ### A slice of your own
#
# Do not take the recorded runs on trust: train one more slice, now, on your machine. Four sizes at a third of the
# smallest recorded budget. `QUICK = False` takes six sizes at two thirds of it.

# %% tags=["look"]
QUICK = True
BUDGET = 5e9 if QUICK else 1e10
WHICH = range(4) if QUICK else range(6)  # positions in train_ladder.SIZES

torch.set_num_threads(1)  # models this small: a second thread waits more than it works
text, held_out = to_bytes(shakespeare("train")), to_bytes(shakespeare("validation"))
began, own = time.perf_counter(), []
for sizes in (train_ladder.SIZES[i] for i in WHICH):
    count = train_ladder.counts(sizes)
    steps = round(BUDGET / (6 * (count["blocks"] + count["token"]) * train_ladder.CONTEXT * train_ladder.BATCH))
    own.append(train_ladder.record(BUDGET, sizes, steps, text, held_out))
    print(f"N {count['blocks'] + count['token']:>7,}: {steps:>4} steps, loss {own[-1]['loss']:.3f}")
print(f"{time.perf_counter() - began:.0f} s")

fig, ax = plt.subplots(figsize=(6.5, 3.8))
show_slices(ax, alpha=0.4)
own_N, own_loss = [r["blocks"] + r["token"] for r in own], [r["loss"] for r in own]
ax.plot(own_N, own_loss, "P-", color=PINK, label=f"yours: {BUDGET:.0e}")
ax.legend(title="operations", loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# **Where should the lowest point of your slice lie, by the line above? Do your runs agree?** Look at the largest of your
# models: so few steps show mostly how a training begins, and warm-up and learning rate matter more than size. A law
# holds over a range, and below some budget there is none.

# %% [markdown]
# ## Step 3. What a fit minimises
#
# The other way is to fit the five numbers of $L(N, D)$ to all runs at once. What should be small? Hoffmann et al. take
# for each run the difference $r$ between the logarithms of the predicted and of the measured loss, and Huber's price:
#
# $$\text{price}(r) = \begin{cases} r^2 / 2 & |r| \le \delta \\ \delta\,(|r| - \delta/2) & |r| > \delta \end{cases}
# \qquad \delta = 10^{-3}$$
#
# Why logs? A tenth of a nat means much at a loss of 2 and little at 8. Why Huber? Some runs diverge, and a square would
# let one of them outweigh all others; beyond $\delta$ the price grows in a line.
#
# Three of the five numbers must stay positive: fit $a = \log A$, $b = \log B$, $e = \log E$. Then each of the three
# terms is the exponential of something linear, and the log of their sum is a *logsumexp*:
#
# $$\log \hat L = \operatorname{logsumexp}(a - \alpha \log N,\; b - \beta \log D,\; e)$$
#
# In shapes: three rows of `(n,)` → `(3, n)` → `(n,)` → one number, the **sum** over the runs.

# %% nbgrader={"grade_id": "fit_objective", "solution": true}
def fit_objective(
    theta: torch.Tensor, N: torch.Tensor, D: torch.Tensor, loss: torch.Tensor, delta: float = DELTA
) -> torch.Tensor:
    """The sum over runs of Huber's price of log predicted minus log measured loss.

    theta: (5,) = log A, log B, log E, alpha, beta. N, D, loss: (n,). Returns a tensor of shape ().

    >>> theta = torch.tensor([0.0, 0.0, math.log(2.0), 0.3, 0.3])    # at N = D = 1 it predicts 1 + 1 + 2 = 4
    >>> one = torch.ones(1)
    >>> fit_objective(theta, one, one, 4 * one)                      # a perfect prediction costs nothing
    tensor(0.)
    >>> fit_objective(theta, one, one, 4 * one * math.exp(-0.5), delta=0.1)    # 0.1 * (0.5 - 0.05)
    tensor(0.0450)
    """
    ### BEGIN SOLUTION
    a, b, e, alpha, beta = theta
    terms = torch.stack([a - alpha * N.log(), b - beta * D.log(), e.expand_as(N)])  # (3, n)
    predicted = terms.logsumexp(0)  # (n,), the log of the predicted loss
    return F.huber_loss(predicted, loss.log(), reduction="sum", delta=delta)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_fit_objective", "grade": true}
check("ch04/lab07/fit_objective", fit_objective)

# %% [markdown]
# **Look at it.** One diverged run, 10% too high, against honest ones that are 0.1% off. How many honest runs does it
# outweigh?

# %% tags=["given"]
price_of = earlier("ch04/lab07/fit_objective", fit_objective, course.fit_objective)

# %% tags=["look"]
def price_of_one(r, delta):
    """The price of a single run whose prediction is off by r in logs."""
    one = torch.ones(1, dtype=torch.float64)
    theta = torch.tensor([0.0, 0.0, math.log(2.0), 0.3, 0.3], dtype=torch.float64)
    return price_of(theta, one, one, 4 * one * math.exp(-r), delta).item()


off = np.geomspace(1e-4, 0.3, 60)
fig, ax = plt.subplots(figsize=(6, 3.4))
for name, delta, line in (("a square", 10.0, "--"), ("Huber, delta = 0.001", DELTA, "-")):
    honest = price_of_one(1e-3, delta)
    ax.plot(off, [price_of_one(r, delta) / honest for r in off], line, label=name)
    print(f"{name:<22}: a run that is 0.1 off costs as much as {price_of_one(0.1, delta) / honest:,.0f} honest ones")
ax.set(xscale="log", yscale="log", xlabel="prediction off by (log loss)", ylabel="price, in honest runs")
ax.legend()
plt.show()

# %% [markdown]
# **With 50 honest runs, who decides where the law goes: they or the one?** A fit is pulled by slopes, not by prices.
# Read them off the picture: beyond $\delta$ Huber's slope stays the same, so that the diverged run pulls as hard as one
# honest run at the bend, and no harder.

# %% [markdown]
# ## Step 4. Fit the law
#
# Minimise the price over theta, in float64. `torch.optim.LBFGS` does it: a method that learns the curvature of the
# valley as it goes. Two things make this fit harder than it looks.
#
# - *The valley.* $A$ and $\alpha$ can make up for each other: in the range of the data a larger $A$ with a larger
#   $\alpha$ looks almost the same. So a fit needs many iterations, and from some first guesses it ends in a ditch. Run
#   it from several starts and keep the end with the lowest price.
# - *The scale.* A run that is off by $\delta$ costs $\delta^2/2$, half a millionth. An optimizer stops when its steps
#   or slopes fall below some tolerance, and the tolerances that L-BFGS brings are meant for prices near 1. Divide the
#   price by `DELTA`, and set the tolerances near zero. Otherwise it stops where it only *seems* to be at the bottom.
#
# Each row of `starts` is a first guess of theta. Return a `Law`: exponentiate what was a logarithm.

# %% nbgrader={"grade_id": "fit_law", "solution": true}
def fit_law(N: torch.Tensor, D: torch.Tensor, loss: torch.Tensor, starts: torch.Tensor) -> Law:
    """The law with the lowest price (step 3, delta = DELTA) that L-BFGS finds from any of the starts, in float64.

    N, D, loss: (n,). starts: (m, 5), each row a first theta. A start that ends in NaN does not count.

    >>> truth = Law(E=1.5, A=20.0, B=50.0, alpha=0.3, beta=0.4)
    >>> N, D = torch.tensor([1e4, 1e5, 1e6] * 3), torch.tensor([1e6, 1e7, 1e8]).repeat_interleave(3)
    >>> law = fit_law(N, D, truth.loss(N.double(), D.double()), course.starts()[:4])
    >>> round(law.E, 2), round(law.alpha, 2), round(law.beta, 2)
    (1.5, 0.3, 0.4)
    """
    ### BEGIN SOLUTION
    N, D, loss = N.double(), D.double(), loss.double()
    best, lowest = None, math.inf
    for start in starts:
        theta = start.double().clone().requires_grad_()
        optimizer = torch.optim.LBFGS(
            [theta], max_iter=2000, tolerance_grad=1e-12, tolerance_change=1e-15, line_search_fn="strong_wolfe"
        )

        def closure():
            optimizer.zero_grad()
            price = price_of(theta, N, D, loss) / DELTA
            price.backward()
            return price

        optimizer.step(closure)
        end = closure().item()
        if end < lowest:
            best, lowest = theta.detach(), end
    a, b, e, alpha, beta = best.tolist()
    return Law(E=math.exp(e), A=math.exp(a), B=math.exp(b), alpha=alpha, beta=beta)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_fit_law", "grade": true}
check("ch04/lab07/fit_law", fit_law)

# %% [markdown]
# **Look at it: a fit that stops too early.** Make 240 noisy runs from the refit of 2024, so that the truth is known.
# Fit them from the same starts in two ways: yours, and one (`source.scaling.fit_hastily`) that takes the *mean* of the
# prices and leaves L-BFGS its own tolerances. The mean divides every price by 240. To the mathematics that is nothing.

# %% tags=["given"]
fitted = earlier("ch04/lab07/fit_law", fit_law, course.fit)

# %% tags=["look"]
rng = np.random.default_rng(0)
N = np.exp(rng.uniform(np.log(7e7), np.log(1.6e10), 240))
D = np.exp(rng.uniform(np.log(5e9), np.log(5e11), 240))
loss = REFIT.loss(N, D) * np.exp(2e-3 * rng.standard_normal(240))
known = [torch.from_numpy(column) for column in (N, D, loss)]
starts = course.starts()[::2]  # eight first guesses
for name, law in (("truth", REFIT), ("yours", fitted(*known, starts)), ("hasty", course.fit_hastily(*known, starts))):
    best_N, best_D = optimum(law, np.array([GOPHER]))
    numbers = f"E {law.E:.3f}  A {law.A:8.1f}  B {law.B:8.1f}  alpha {law.alpha:.3f}  beta {law.beta:.3f}"
    print(f"{name}:  {numbers}  | at Gopher's budget {best_D[0] / best_N[0]:6.1f} tokens a parameter")

# %% [markdown]
# **By what factor do the two fits differ in their advice?** Nothing crashed, and no warning came. The replication found
# the same in the paper of 2022: the optimizer stopped before it had converged, because of the scale of the prices, and
# rounding did the rest [@besiroglu2024]. A fit is a training run too. Look whether it has converged.
#
# Now the real ladder. How well do five numbers describe its runs, and how sure are they? The *bootstrap* answers: draw
# as many runs from yours, with repetition, fit again, many times over, and see how far the answers scatter.

# %% tags=["look"]
columns = [torch.from_numpy(runs[name]) for name in ("N", "D", "loss")]
ours = fitted(*columns, starts)
print(f"E {ours.E:.3f}  A {ours.A:.1f}  B {ours.B:.1f}  alpha {ours.alpha:.3f}  beta {ours.beta:.3f}")
predicted = ours.loss(runs["N"], runs["D"])
near = torch.tensor([math.log(ours.A), math.log(ours.B), math.log(ours.E), ours.alpha, ours.beta]).double()[None]
again = []
for _ in range(20):
    drawn = rng.integers(0, len(runs["N"]), len(runs["N"]))
    again.append(fitted(*[column[drawn] for column in columns], near))
C = np.geomspace(budgets[0], 10 * budgets[-1], 40)

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
for budget in budgets:
    mine = runs["budget"] == budget
    name = f"{budget:.1e}".replace("e+", "e")
    left.plot(predicted[mine], runs["loss"][mine], MARKERS[budget], color=COLOURS[budget], label=name)
ends = [runs["loss"].min() - 0.05, runs["loss"].max() + 0.05]
left.plot(ends, ends, color="gray", linewidth=0.8)
left.set(xlabel="loss by the law (nats a byte)", ylabel="loss measured (nats a byte)")
left.legend(title="operations", fontsize=9)
for law in again:
    right.plot(C, optimum(law, C)[0], color="gray", linewidth=0.6, alpha=0.6)
right.plot([], [], color="gray", linewidth=0.6, label="by 20 bootstrap fits")
right.plot(C, optimum(ours, C)[0], color=BLUE, label="by the law")
right.plot(list(best), list(best.values()), "*", color=ORANGE, markersize=12, label="by the slices")
right.set(xscale="log", yscale="log", xlabel="budget C (operations)", ylabel="best size N*")
right.legend(fontsize=9)
plt.show()
print(f"typical error of the law: {100 * np.median(np.abs(np.log(predicted / runs['loss']))):.1f}% of the loss")
low, high = np.percentile([optimum(law, C[-1:])[0][0] for law in again], (10, 90))
print(f"best size at ten times the largest budget: {low:,.0f} to {high:,.0f} in 8 of 10 bootstrap fits")

# %% [markdown]
# **Do the two methods agree within the grey lines? Where do the points leave the diagonal?** A law can fit every loss
# closely and still leave the best size of the next budget open, because the slices are flat. And compare your five
# numbers with those of step 1: bytes, tiny models and short runs have a law of their own. Laws do not travel.

# %% [markdown]
# ## Step 5. Find the bugs
#
# Below is a colleague's analysis: it finds the best size of each slice, and fits $\log N^* = a \log C + \log k$ through
# them. It runs, and it prints plausible numbers. It has three bugs, each of which has happened to somebody.
#
# How would you know? *Test the analysis on data whose truth you know.* Make runs from a law, so that
# $a = \beta/(\alpha+\beta)$ is known, and see whether the analysis finds it.

# %% tags=["given"]
def suspect_frontier(runs: dict[str, np.ndarray]) -> tuple[float, float]:
    """The exponent a and log k of the best sizes, N* = k C^a. Three lines are wrong.

    runs: columns (n,): blocks and token (parameters in the blocks, in the token table), tokens, loss, budget.
    """
    N, D = runs["blocks"], runs["tokens"]
    best, budgets = [], []
    for name in np.unique(runs["budget"]):
        mine = runs["budget"] == name
        try:
            best.append(np.log(minimum_of(N[mine], runs["loss"][mine])[0]))
        except ValueError:
            best.append(np.log(N[mine][runs["loss"][mine].argmin()]))
        budgets.append(np.log(2 * N[mine] * D[mine]).mean())
    a, log_k = np.polyfit(budgets, best, 1)
    return float(a), float(log_k)


# %% tags=["look"]
def known_ladder(law, budgets):
    """Runs whose truth is known: seven sizes a budget, and a token table that is large beside the smallest of them."""
    columns = []
    for C in budgets:
        blocks = 3000 * (C / budgets[0]) ** 0.5 * 2.0 ** np.arange(-3, 4)
        table = 100 * blocks**0.4
        tokens = C / (6 * (blocks + table))
        columns.append((blocks, table, tokens, law.loss(blocks + table, tokens), np.full(7, C)))
    return dict(zip(("blocks", "token", "tokens", "loss", "budget"), np.concatenate(columns, axis=1)))


truth = Law(E=1.2, A=20.0, B=300.0, alpha=0.42, beta=0.42)
ladder = known_ladder(truth, [1e11, 1e12, 1e13])
short = {name: column[:17] for name, column in ladder.items()}  # of the last slice only the three smallest sizes
true_N, _ = optimum(truth, np.array([1e15]))
print(f"{'truth':<28} a {truth.beta / (truth.alpha + truth.beta):.3f}, best N at 1e15: {true_N[0]:>9,.0f}")
for name, told in (("suspect", ladder), ("suspect, last slice short", short)):
    a, log_k = suspect_frontier(told)
    print(f"{name:<28} a {a:.3f}, best N at 1e15: {np.exp(log_k) * 1e15**a:>9,.0f}")
a, log_k, _ = course.frontier(ladder["blocks"] + ladder["token"], ladder["tokens"], ladder["loss"], ladder["budget"])
print(f"{'a right analysis':<28} a {a:.3f}, best N at 1e15: {np.exp(log_k) * 1e15**a:>9,.0f}")

# %% [markdown]
# Even a right analysis misses the truth a little: a slice is not quite a parabola. The suspect misses it by far, and
# by how far depends on which runs it is given. Ask of each line: what does it count, and what does it do where the data
# give no answer?
#
# Write the repaired analysis, with the same arguments and results. A slice that does not contain its answer gives no
# point. (Two or more slices always do.)

# %% nbgrader={"grade_id": "repaired_frontier", "solution": true}
def repaired_frontier(runs: dict[str, np.ndarray]) -> tuple[float, float]:
    """suspect_frontier with its three wrong lines put right: N counts all that multiplies, C the whole training.

    runs: columns (n,), in any order: blocks, token, tokens, loss, budget. Returns a and log k of N* = k C^a.
    """
    ### BEGIN SOLUTION
    N, D = runs["blocks"] + runs["token"], runs["tokens"]  # the token table is the head too: it works for every token
    best, budgets = [], []
    for name in np.unique(runs["budget"]):
        mine = runs["budget"] == name
        try:
            best.append(np.log(minimum_of(N[mine], runs["loss"][mine])[0]))
        except ValueError:
            continue
        budgets.append(np.log(6 * N[mine] * D[mine]).mean())  # forward and backward
    a, log_k = np.polyfit(budgets, best, 1)
    return float(a), float(log_k)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_repaired_frontier", "grade": true}
check("ch04/lab07/repaired_frontier", repaired_frontier)

# %% [markdown]
# **Look at it: what is N?** One of the three bugs is famous. Kaplan et al. left the embeddings out of $N$ and found
# $N^* \propto C^{0.73}$ [@kaplan2020]; Chinchilla counted all parameters and found $C^{0.50}$. So "grow the model, not
# the data" was the advice of its time. Much of the difference is this count, at small scale [@pearce2024]: where tables
# are a large part of a small model and a small part of a large one, the blocks *must* grow faster than the whole.
#
# Below, the refit is the truth, and every model is optimal for it. Both lines show the same models; only the counting
# differs. Grey: the range of Kaplan et al., from 768 to 1.5 billion parameters outside the embeddings.

# %% tags=["look"]
frontier_of = earlier(
    "ch04/lab07/repaired_frontier",
    repaired_frontier,
    lambda r: course.frontier(r["blocks"] + r["token"], r["tokens"], r["loss"], r["budget"])[:2],
)

blocks = np.geomspace(300, 1e12, 300)
width = (64 / 12 * blocks) ** (1 / 3)  # blocks hold 12 L C^2 parameters; here a model has 64 of width a layer
total = blocks + 50257 * width
tokens = (REFIT.beta * REFIT.B / (REFIT.alpha * REFIT.A) * total**REFIT.alpha) ** (1 / REFIT.beta)  # best for `total`
fig, ax = plt.subplots(figsize=(6.5, 3.6))
for name, N, line in (("all parameters", total, "-"), ("without embeddings", blocks, "--")):
    ax.plot(blocks, np.gradient(np.log(N), np.log(6 * N * tokens)), line, label=name)
for level, name in ((0.73, "Kaplan et al."), (0.5, "Chinchilla")):
    ax.axhline(level, color="gray", linewidth=0.8)
    ax.text(1e12, level - 0.004, name, ha="right", va="top", fontsize=9)
ax.axvspan(768, 1.5e9, color="gray", alpha=0.12)
ax.set(xscale="log", xlabel="parameters without embeddings", ylabel="exponent a of N* ∝ C^a, here", ylim=(0.46, 0.78))
ax.legend(fontsize=9, loc="center left")
plt.show()

for name, told in (("all that multiplies", runs), ("blocks alone", {**runs, "token": 0 * runs["token"]})):
    print(f"the recorded ladder, N = {name:<20}: a = {frontier_of(told)[0]:.2f}")

# %% [markdown]
# **In the grey range, between which values does the dashed line run?** Nobody miscounted: both papers say what they
# count. The trouble begins when a number travels without its definition. **And on the recorded ladder, how much does
# the same choice change?**

# %% [markdown]
# ## What you built
#
# - The best split of a budget in closed form, and the finding that the printed Chinchilla formula does not give
#   Chinchilla's rule.
# - Two ways to the best size, slices and a robust fit, with their uncertainty.
# - An audit: data of known truth, and three bugs that plausible numbers had hidden.
#
# Chapter 8 adds what these laws leave out, the cost of *using* a model.
#
# ## Going further
#
# - The papers: [@hoffmann2022], section 3 and appendix D; [@besiroglu2024]; [@porian2024], who trace the difference to
#   Kaplan et al. to the last layer's cost, the warm-up and the tuning of the optimizer.
# - What the laws leave out: data that runs out [@muennighoff2023], and the cost of inference [@sardana2024]. Both move
#   the best size: in which direction?
# - Production code: `source/train_ladder.py` is short. Which of its choices would you have to defend before a reviewer?
# - An extension: add a budget. `python -m source.train_ladder` skips what is recorded; give `RUNGS` a fifth row,
#   let it run, and see which of the two methods predicted the new best size better.
