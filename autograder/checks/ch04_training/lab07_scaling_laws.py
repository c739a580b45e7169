"""Lab 4.7, the student's half: how the optimum, the parabola, the price, the fit and the repair are driven."""

import numpy as np
import torch

from autograder.acting import WrongType
from autograder.cases import Draw
from autograder.exercise import Case, Exercise, Property
from source.scaling import Law


def law_of(numbers: dict[str, float]) -> Law:
    """A Law from a case's plain numbers."""
    return Law(**numbers)


def as_numbers(law: Law) -> dict[str, float]:
    """A Law as a case's plain numbers."""
    return {name: getattr(law, name) for name in ("E", "A", "B", "alpha", "beta")}


EVEN = {"E": 1.0, "A": 100.0, "B": 100.0, "alpha": 0.5, "beta": 0.5}
LIKE_2022 = {"E": 1.7, "A": 400.0, "B": 420.0, "alpha": 0.34, "beta": 0.28}
LIKE_2024 = {"E": 1.8, "A": 480.0, "B": 2000.0, "alpha": 0.35, "beta": 0.37}


def _pair(value, what):
    if not (isinstance(value, tuple | list) and len(value) == 2):
        raise WrongType(f"a {type(value).__name__} came back, not the pair {what}")
    return value


def _optimum_cases():
    return [
        Case("a law of two equal halves, to check by hand", {"law": EVEN, "C": np.array([6e12])}),
        Case("three budgets", {"law": LIKE_2022, "C": np.array([1e18, 1e21, 1e24])}),
        Case("another law", {"law": LIKE_2024, "C": np.array([3e19, 5.76e23])}),
    ]


def _optimum_act(f, i):
    N, D = _pair(f(law_of(i["law"]), i["C"]), "(N, D)")
    return {"N": N, "D": D}


def _on_budget(i, o):
    spent = 6 * o["N"] * o["D"]
    if not spent.size:
        return None
    worst = int(np.argmax(np.abs(np.log(spent / i["C"]))))
    if abs(spent[worst] / i["C"][worst] - 1) < 1e-6:
        return None
    return f"6 N D is {spent[worst]:.4g} where the budget is {i['C'][worst]:.4g}"


compute_optimal = Exercise(
    name="compute_optimal",
    title="The best split of a budget",
    minutes=15,
    difficulty=2,
    points=3,
    act=_optimum_act,
    visible=_optimum_cases,
    shapes={"N": "(budgets,)", "D": "(budgets,)"},
    tolerance={"float64": 1e-6},
    properties=(Property("the whole budget is spent", _on_budget),),
    forbids=("source.scaling.compute_optimal", "source.scaling.compute_optimal_by_search"),
    hints=(
        "Put D = C / (6N) into the loss, and only N is left. Where is its slope zero? Multiply the slope by N: then "
        "both terms look alike.",
        "The condition is alpha * A / N**alpha = beta * B / D**beta. Put D = C / (6N) in, and collect the powers of N "
        "on one side: N**(alpha + beta) appears.",
        "G = (alpha A / (beta B)) to the power 1 / (alpha + beta); N = G (C/6) to the power beta / (alpha + beta); "
        "D = C / (6N).",
    ),
)


def slice_of(law: Law, C: float, N: np.ndarray) -> np.ndarray:
    """The losses that a law gives to sizes N at the budget C."""
    return law.loss(N, C / (6 * N))


def _minimum_cases():
    d = Draw(471)
    N = np.array([2e6, 5e6, 1.1e7, 3e7, 8e7, 2e8])
    noisy = slice_of(law_of(LIKE_2024), 2e17, N) + 0.002 * d.rng.standard_normal(6)
    shuffled = np.array([3, 0, 5, 1, 4, 2])
    x = np.log(N)
    near_the_end = 3 + 0.05 * (x - (0.3 * x[4] + 0.7 * x[5])) ** 2
    return [
        Case("three runs to check by hand", {"N": np.array([1e2, 1e3, 1e4]), "loss": np.array([4.0, 3.0, 4.0])}),
        Case("six noisy runs, in no order", {"N": N[shuffled], "loss": noisy[shuffled]}),
        Case("the largest model is the best one, the lowest point just before it", {"N": N, "loss": near_the_end}),
        Case("every larger model is worse", {"N": N[:4], "loss": np.array([3.0, 3.1, 3.3, 3.6])}),
        Case("losses that curve downwards", {"N": N[:5], "loss": np.array([3.0, 3.2, 3.25, 3.2, 3.0])}),
    ]


def _minimum_act(f, i):
    try:
        found = f(i["N"], i["loss"])
    except ValueError:
        return {"refused with a ValueError": True, "N at the lowest point": 0.0, "loss there": 0.0}
    N, loss = _pair(found, "(N, loss)")
    return {"refused with a ValueError": False, "N at the lowest point": float(N), "loss there": float(loss)}


isoflop_minimum = Exercise(
    name="isoflop_minimum",
    title="The lowest point of a slice",
    minutes=15,
    difficulty=1,
    points=3,
    act=_minimum_act,
    visible=_minimum_cases,
    tolerance={"float64": 1e-6},
    forbids=(
        "source.scaling.isoflop_minimum",
        "source.scaling.parabola",
        "source.scaling.parabola_at",
        "source.scaling.frontier",
    ),
    hints=(
        "Plot the losses over N, then over log N. On which axis does a symmetric curve make sense? And what would you "
        "tell somebody whose curve is still falling at the largest model?",
        "`np.polyfit(x, y, 2)` returns (a, b, c) of a x² + b x + c. The lowest point is at -b / (2a) if a > 0.",
        "x = log N; a, b, c = polyfit; if a <= 0 raise ValueError; v = -b / (2a); if v is not between min and max of x "
        "raise ValueError; return exp(v), the parabola's value at v.",
    ),
)


def runs_of(d: Draw, law: Law, n: int, noise: float, bad: int = 0, lift: float = 0.15) -> dict[str, torch.Tensor]:
    """n runs of a known law: N, D and noisy losses (n,), `bad` of them far too high, as if training had diverged."""
    N = np.exp(d.rng.uniform(np.log(1e7), np.log(1e10), n))
    D = N * np.exp(d.rng.uniform(np.log(2), np.log(300), n))
    loss = law.loss(N, D) * np.exp(noise * d.rng.standard_normal(n))
    loss[:bad] *= np.exp(lift)
    return {"N": torch.from_numpy(N), "D": torch.from_numpy(D), "loss": torch.from_numpy(loss)}


def theta_of(law: Law) -> torch.Tensor:
    """log A, log B, log E, alpha, beta."""
    return torch.tensor([np.log(law.A), np.log(law.B), np.log(law.E), law.alpha, law.beta], dtype=torch.float64)


def _objective_cases():
    d = Draw(473)
    # At N = D = 1 the powers are 1: the prediction is A + B + E = 1 + 1 + 2 = 4.
    by_hand = {
        "theta": torch.tensor([0.0, 0.0, np.log(2.0), 0.3, 0.3], dtype=torch.float64),
        "N": torch.ones(2, dtype=torch.float64),
        "D": torch.ones(2, dtype=torch.float64),
        "loss": torch.tensor([4.0 * np.exp(-0.5), 4.0], dtype=torch.float64),
        "delta": 0.1,
    }
    many = runs_of(d, law_of(LIKE_2024), 12, 0.05)
    return [
        Case("two runs to check by hand", by_hand),
        Case("twelve runs, a wide delta", {"theta": theta_of(law_of(LIKE_2022)), **many, "delta": 1.0}),
        Case("twelve runs, the paper's delta", {"theta": theta_of(law_of(LIKE_2022)), **many, "delta": 1e-3}),
    ]


def _objective_act(f, i):
    theta = i["theta"].detach().clone().requires_grad_()
    price = f(theta, i["N"], i["D"], i["loss"], i["delta"])
    if not isinstance(price, torch.Tensor):
        raise WrongType(f"a {type(price).__name__} came back, not a tensor: L-BFGS needs its gradient")
    if price.ndim:
        return {"price": price}
    if not price.requires_grad:
        raise WrongType("the price does not depend on theta any more: stay in torch from theta to the result")
    price.backward()
    return {"price": price.detach(), "gradient of theta": theta.grad}


fit_objective = Exercise(
    name="fit_objective",
    title="What a fit minimises",
    minutes=15,
    difficulty=2,
    points=3,
    act=_objective_act,
    visible=_objective_cases,
    shapes={"price": "()", "gradient of theta": "(5,)"},
    forbids=("source.scaling.fit_objective", "source.scaling.fit", "source.scaling.fit_hastily"),
    hints=(
        "The logarithm of a sum of three powers: each power's logarithm is a straight line in log N or log D.",
        "`torch.logsumexp` of a (3, n) stack gives the log of the prediction; `F.huber_loss` has `delta` and "
        "`reduction`, and neither default is the one you want.",
        "rows: a - alpha log N, b - beta log D, e repeated n times; predicted = logsumexp over the rows; return the "
        "sum of Huber's price between predicted and log loss.",
    ),
)

FIRST_GUESSES = torch.tensor(
    [[3.0, 3.0, -0.5, 0.1, 0.1], [8.0, 6.0, 0.5, 0.5, 0.5], [30.0, 30.0, 2.0, 0.05, 0.05]], dtype=torch.float64
)


def _fit_cases():
    d = Draw(474)
    exact = runs_of(d, law_of(LIKE_2024), 40, 0.0)
    noisy = runs_of(d, law_of(LIKE_2022), 60, 1e-3)
    bad = runs_of(d, law_of(LIKE_2024), 60, 1e-3, bad=4)
    return [
        Case("runs without noise", {**exact, "starts": FIRST_GUESSES}),
        Case("noisy runs", {**noisy, "starts": FIRST_GUESSES.flip(0)}),
        Case("noisy runs, four of them diverged", {**bad, "starts": FIRST_GUESSES}),
    ]


def _fit_act(f, i):
    law = f(i["N"], i["D"], i["loss"], i["starts"])
    if not isinstance(law, Law):
        raise WrongType(f"a {type(law).__name__} came back, not a Law(E=, A=, B=, alpha=, beta=)")
    numbers = np.array([law.E, law.alpha, law.beta], dtype=np.float64)
    N = np.array([1e7, 1e9, 1e11])
    with np.errstate(all="ignore"):
        logs = np.log(np.array([law.A, law.B], dtype=np.float64))
        far = np.asarray(law.loss(N, 20 * N), dtype=np.float64)
    return {"E, alpha, beta": numbers, "log A, log B": logs, "loss predicted at 20 tokens a parameter": far}


fit_law = Exercise(
    name="fit_law",
    title="Fit the law",
    minutes=20,
    difficulty=3,
    points=4,
    act=_fit_act,
    visible=_fit_cases,
    tolerance={"float64": 3e-3},
    forbids=("source.scaling.fit", "source.scaling.fit_hastily"),
    hints=(
        "A fit that stops early returns something near its first guess. Print the price and the number of evaluations "
        "at each end: do the starts agree?",
        "`torch.optim.LBFGS([theta], ...)` has max_iter=20, tolerance_grad=1e-7 and tolerance_change=1e-9 unless told "
        "otherwise, and no line search; `.step(closure)` runs all its iterations at once.",
        "for each start: theta = a copy that requires grad; LBFGS with max_iter about 2000, tolerances about 1e-12 and "
        "1e-15, strong_wolfe; closure: zero_grad, price / delta, backward, return it; step. Keep the theta of the "
        "lowest price; exponentiate the first three.",
    ),
)


def ladder_inputs(d: Draw, law: Law, budgets: list[float], sizes: list[int], noise: float = 0.0) -> dict[str, object]:
    """A synthetic ladder of known truth: the tables of small models are large beside their blocks, as in real ones."""
    blocks = np.array(sizes, dtype=float)
    tables = np.round(300 * blocks**0.4)
    total = blocks + tables
    runs: dict[str, list[np.ndarray]] = {name: [] for name in ("blocks", "token", "tokens", "loss", "budget")}
    for C in budgets:
        D = C / (6 * total)
        runs["blocks"].append(blocks)
        runs["token"].append(tables)
        runs["tokens"].append(D)
        runs["loss"].append(law.loss(total, D) * np.exp(noise * d.rng.standard_normal(len(sizes))))
        runs["budget"].append(np.full(len(sizes), C))
    return {name: np.concatenate(columns) for name, columns in runs.items()}


SMALL = {"E": 1.2, "A": 20.0, "B": 300.0, "alpha": 0.4, "beta": 0.45}  # like bytes and models of thousands


def _frontier_cases():
    d = Draw(475)
    law = law_of(SMALL)
    sizes = [1000, 3000, 9000, 27000, 81000, 243000, 729000]
    inside = ladder_inputs(d, law, [1e11, 1e12, 1e13], sizes)
    four = ladder_inputs(d, law, [1e11, 1e12, 1e13, 1e14], sizes)
    # Of the third slice only the three smallest sizes were trained: its losses fall to the edge.
    short = {name: np.delete(column, range(17, 21)) for name, column in four.items()}
    noisy = ladder_inputs(d, law, [3e10, 3e11, 3e12, 3e13], sizes, noise=1e-3)
    return [
        Case("three slices with a minimum inside", inside),
        Case("the third of four slices stops before its minimum", short),
        Case("four noisy slices", noisy),
    ]


def _frontier_act(f, i):
    a, log_k = _pair(f(i), "(a, log_k)")
    return {
        "exponent a": float(a),
        "log10 of the best N at 1e15 operations": float((log_k + a * np.log(1e15)) / np.log(10)),
    }


repaired_frontier = Exercise(
    name="repaired_frontier",
    title="Find the bugs: an analysis on data of known truth",
    minutes=20,
    difficulty=2,
    points=4,
    act=_frontier_act,
    visible=_frontier_cases,
    tolerance={"float64": 1e-6},
    forbids=("source.scaling.frontier",),
    hints=(
        "Three places. What does a model's size count? What does a run's work count? What does the analysis do where "
        "the data do not answer?",
        "The token table multiplies every output as the head; training runs a model forward and backward; a slice "
        "whose lowest point is not inside has no point to give.",
        "N = blocks + token; C = 6 N D; in the except branch: continue, without a point.",
    ),
)
