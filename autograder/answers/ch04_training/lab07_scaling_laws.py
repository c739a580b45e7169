"""Lab 4.7, the instructor's half: references by bisection, normal equations, Gauss-Newton; hidden cases, mistakes."""

from itertools import combinations

import numpy as np
import torch

from autograder.cases import Draw
from autograder.checks.ch04_training.lab07_scaling_laws import (
    FIRST_GUESSES,
    LIKE_2022,
    LIKE_2024,
    SMALL,
    as_numbers,
    ladder_inputs,
    law_of,
    runs_of,
    slice_of,
    theta_of,
)
from autograder.exercise import Answer, Case, Misconception
from source.scaling import Law


def _some_law(d: Draw) -> dict[str, float]:
    alpha, beta = d.rng.uniform(0.25, 0.6, 2)
    law = Law(E=1.5, A=float(d.rng.uniform(20, 800)), B=float(d.rng.uniform(20, 3000)), alpha=alpha, beta=beta)
    return as_numbers(law)


def _optimum_hidden(seed):
    d = Draw(seed)
    return [
        Case("one budget", {"law": _some_law(d), "C": np.array([10 ** d.rng.uniform(15, 25)])}),
        Case("many budgets", {"law": _some_law(d), "C": 10 ** np.linspace(10, 26, 9)}),
        Case(
            "equal exponents", {"law": {**_some_law(d), "alpha": 0.4, "beta": 0.4}, "C": 10 ** d.rng.uniform(16, 24, 4)}
        ),
        Case("a law for bytes and models of thousands", {"law": SMALL, "C": 10 ** d.rng.uniform(9, 13, 3)}),
        Case("no budget at all", {"law": _some_law(d), "C": np.empty(0)}),
    ]


def _optimum_reference(i):
    # The slope by log N along 6 N D = C rises with N: halve an interval of log N until it cannot be halved.
    law, C = law_of(i["law"]), i["C"]
    low, high = np.full(C.shape, -200.0), np.full(C.shape, 300.0)
    for _ in range(200):
        x = (low + high) / 2
        y = np.log(C / 6) - x
        slope = law.beta * law.B * np.exp(-law.beta * y) - law.alpha * law.A * np.exp(-law.alpha * x)
        low, high = np.where(slope < 0, x, low), np.where(slope < 0, high, x)
    return {"N": np.exp(low), "D": C / 6 / np.exp(low)}


_N = "G * (C / 6) ** (law.beta / (law.alpha + law.beta))"
_G = "(law.alpha * law.A / (law.beta * law.B)) ** (1 / (law.alpha + law.beta))"
compute_optimal = Answer(
    name="compute_optimal",
    reference=_optimum_reference,
    hidden=_optimum_hidden,
    misconceptions=(
        Misconception(
            "exponents-swapped",
            "N grows with alpha / (alpha + beta) instead of beta / (alpha + beta): where more data helps little (a "
            "small beta), more of the budget must go there, not less",
            edits=((_N, "G * (C / 6) ** (law.alpha / (law.alpha + law.beta))"),),
        ),
        Misconception(
            "six-forgotten",
            "the budget is taken as N D instead of 6 N D",
            edits=((_N, _N.replace("C / 6", "C")), ("C / (6 * N)", "C / N")),
        ),
        Misconception(
            "forward-only",
            "the budget is taken as 2 N D, the forward pass alone",
            edits=((_N, _N.replace("C / 6", "C / 2")), ("C / (6 * N)", "C / (2 * N)")),
        ),
        Misconception(
            "terms-balanced",
            "the two terms are made equal, instead of their slopes: the factors alpha and beta are missing in G",
            edits=((_G, "(law.A / law.B) ** (1 / (law.alpha + law.beta))"),),
        ),
        Misconception(
            "upside-down",
            "G is inverted: N and D get each other's share",
            edits=((_G, "(law.beta * law.B / (law.alpha * law.A)) ** (1 / (law.alpha + law.beta))"),),
        ),
        Misconception(
            "no-root",
            "the power 1 / (alpha + beta) of G is missing",
            edits=((_G, "law.alpha * law.A / (law.beta * law.B)"),),
        ),
        Misconception(
            "G-left-out",
            "G is left out: right only where alpha A = beta B",
            edits=((_N, "(C / 6) ** (law.beta / (law.alpha + law.beta))"),),
        ),
        Misconception(
            "D-without-G",
            "D is computed by itself, without 1 / G: then 6 N D is not C",
            edits=(("return N, C / (6 * N)", "return N, (C / 6) ** (law.alpha / (law.alpha + law.beta))"),),
        ),
        Misconception(
            "split-in-half",
            "N and D both get the square root of C / 6, whatever the law says",
            edits=((_N, "np.sqrt(C / 6)"),),
        ),
        Misconception(
            "twenty-to-one",
            "D is set to 20 N instead of what this law says",
            edits=((_N, "np.sqrt(C / 120)"),),
        ),
        Misconception(
            "order",
            "D and N come back in the wrong order",
            edits=(("return N, C / (6 * N)", "return C / (6 * N), N"),),
        ),
    ),
)


def _minimum_hidden(seed):
    d = Draw(seed)
    N = np.exp(np.sort(d.rng.uniform(np.log(1e6), np.log(1e9), 7)))
    law = law_of(LIKE_2024)
    x = np.log(N[:5]) - np.log(N[:5]).mean()
    at = float(x[0] + 0.2 * (x[1] - x[0]))
    beyond = float(x[0] - 0.2 * (x[1] - x[0]))
    return [
        Case("three runs", {"N": np.array([1e3, 2e3, 1.6e4]), "loss": np.array([3.1, 2.9, 3.2]) + d.rng.random()}),
        Case("seven noisy runs", {"N": N, "loss": slice_of(law, 1.6e17, N) + 0.001 * d.rng.standard_normal(7)}),
        Case("the lowest run is the smallest, the minimum inside", {"N": N[:5], "loss": 3 + 0.1 * (x - at) ** 2}),
        Case("the minimum just outside", {"N": N[:5], "loss": 3 + 0.1 * (x - beyond) ** 2}),
        Case("every smaller model is worse", {"N": N, "loss": slice_of(law, 1e26, N)}),
        Case("curved downwards, with its peak inside", {"N": N[:5], "loss": 3 - 0.1 * (x - x[2]) ** 2}),
    ]


def _minimum_reference(i):
    x = np.log(i["N"])
    u = x - x.mean()
    rows = np.stack([u**2, u, np.ones_like(u)])
    a, b, c = np.linalg.inv(rows @ rows.T) @ (rows @ i["loss"])
    v = -b / (2 * a)
    refused = bool(a <= 0 or v + x.mean() < x.min() or v + x.mean() > x.max())
    return {
        "refused with a ValueError": refused,
        "N at the lowest point": 0.0 if refused else float(np.exp(v + x.mean())),
        "loss there": 0.0 if refused else float(a * v * v + b * v + c),
    }


_CURVE = '    if a <= 0:\n        raise ValueError("no size is best: the losses do not curve upwards")\n'
_INSIDE = (
    "    if not x.min() <= lowest <= x.max():\n"
    '        raise ValueError("the lowest point lies outside the sizes that were trained")\n'
)
isoflop_minimum = Answer(
    name="isoflop_minimum",
    reference=_minimum_reference,
    hidden=_minimum_hidden,
    misconceptions=(
        Misconception(
            "linear-in-N",
            "the parabola is laid through N itself instead of log N",
            edits=(("x = np.log(N)", "x = np.asarray(N)"), ("np.exp(lowest)", "lowest")),
        ),
        Misconception(
            "best-run",
            "the best of the trained sizes is returned instead of the parabola's lowest point",
            edits=(
                (
                    "    return float(np.exp(lowest)), float(np.polyval((a, b, c), lowest))",
                    "    return float(N[np.argmin(loss)]), float(loss.min())",
                ),
            ),
        ),
        Misconception(
            "lowest-three",
            "the parabola goes through the three lowest runs only, not through all by least squares",
            edits=(
                (
                    "a, b, c = np.polyfit(x, loss, 2)",
                    "k = np.argsort(loss)[:3]\n    a, b, c = np.polyfit(x[k], loss[k], 2)",
                ),
            ),
        ),
        Misconception(
            "sign",
            "the lowest point is taken at b / (2a): the minus is missing",
            edits=(("lowest = -b / (2 * a)", "lowest = b / (2 * a)"),),
        ),
        Misconception("still-a-log", "log N is returned instead of N", edits=(("np.exp(lowest)", "lowest"),)),
        Misconception(
            "edge-not-refused",
            "a lowest point outside the trained sizes is believed",
            edits=((_INSIDE, ""),),
        ),
        Misconception(
            "clipped",
            "a lowest point outside the trained sizes is moved to the nearest of them instead of refused",
            edits=((_INSIDE, "    lowest = float(np.clip(lowest, x.min(), x.max()))\n"),),
        ),
        Misconception(
            "edge-run-refused",
            "a slice is refused because its best *run* is the smallest or the largest, though the parabola's lowest "
            "point lies inside",
            edits=(
                (
                    _INSIDE,
                    "    if np.argmin(loss) in (np.argmin(N), np.argmax(N)):\n"
                    '        raise ValueError("the best run lies at the edge")\n',
                ),
            ),
        ),
        Misconception(
            "order-assumed",
            "the first and the last run are taken for the smallest and the largest, whatever their order",
            edits=(("x.min() <= lowest <= x.max()", "x[0] <= lowest <= x[-1]"),),
        ),
        Misconception(
            "loss-of-best-run",
            "the loss of the best run is returned instead of the parabola's at its lowest point",
            edits=(("float(np.polyval((a, b, c), lowest))", "float(loss.min())"),),
        ),
        Misconception(
            "peak-believed",
            "a parabola that opens downwards is believed: its turning point is the worst size",
            edits=((_CURVE, ""),),
        ),
        Misconception(
            "nothing-refused",
            "nothing is refused",
            edits=((_CURVE, ""), (_INSIDE, "")),
        ),
        Misconception(
            "log-loss",
            "the parabola is laid through the logarithm of the loss",
            edits=(
                ("np.polyfit(x, loss, 2)", "np.polyfit(x, np.log(loss), 2)"),
                ("float(np.polyval((a, b, c), lowest))", "float(np.exp(np.polyval((a, b, c), lowest)))"),
            ),
        ),
    ),
)


def _objective_hidden(seed):
    d = Draw(seed)
    one = runs_of(d, law_of(LIKE_2022), 1, 0.1)
    some = runs_of(d, law_of(LIKE_2024), 9, 0.3)
    bad = runs_of(d, law_of(LIKE_2024), 20, 0.001, bad=2, lift=1.0)
    off = theta_of(law_of(LIKE_2024)) + 0.1 * d.normal(5, dtype=torch.float64)
    return [
        Case("one run", {"theta": off, **one, "delta": 0.01}),
        Case("nine runs on both sides", {"theta": off, **some, "delta": 0.3}),
        Case("two diverged runs", {"theta": theta_of(law_of(LIKE_2024)), **bad, "delta": 1e-2}),
        Case("a first guess far off", {"theta": FIRST_GUESSES[1].clone(), **some, "delta": 1e-3}),
    ]


def _objective_reference(i):
    theta = i["theta"].detach().numpy()
    N, D, loss = (i[name].numpy() for name in ("N", "D", "loss"))
    a, b, e, alpha, beta = theta
    parts = np.stack([np.exp(a) * N**-alpha, np.exp(b) * D**-beta, np.full(N.shape, np.exp(e))])
    total = parts.sum(0)
    r, delta = np.log(total) - np.log(loss), i["delta"]
    small = np.abs(r) <= delta
    price = np.where(small, r**2 / 2, delta * (np.abs(r) - delta / 2)).sum()
    slope = np.where(small, r, delta * np.sign(r)) / total
    by = np.stack([parts[0], parts[1], parts[2], -parts[0] * np.log(N), -parts[1] * np.log(D)])
    return {"price": torch.tensor(price), "gradient of theta": torch.from_numpy((by * slope).sum(1))}


_PRICE = 'F.huber_loss(predicted, loss.log(), reduction="sum", delta=delta)'
fit_objective = Answer(
    name="fit_objective",
    reference=_objective_reference,
    hidden=_objective_hidden,
    misconceptions=(
        Misconception(
            "mean-price",
            "the prices are averaged over the runs instead of added up",
            edits=((_PRICE, "F.huber_loss(predicted, loss.log(), delta=delta)"),),
        ),
        Misconception(
            "delta-left-at-one",
            "Huber's delta stays at 1, where every price is a square",
            edits=((_PRICE, 'F.huber_loss(predicted, loss.log(), reduction="sum")'),),
        ),
        Misconception(
            "squares",
            "squares are added up, without Huber",
            edits=((_PRICE, "((predicted - loss.log()) ** 2).sum()"),),
        ),
        Misconception(
            "absolute",
            "absolute differences are added up, without Huber",
            edits=((_PRICE, "(predicted - loss.log()).abs().sum()"),),
        ),
        Misconception(
            "smooth-l1",
            "the price is smooth_l1, which is Huber's divided by delta",
            edits=((_PRICE, 'F.smooth_l1_loss(predicted, loss.log(), reduction="sum", beta=delta)'),),
        ),
        Misconception(
            "losses-not-logs",
            "the losses themselves are compared instead of their logarithms",
            edits=((_PRICE, 'F.huber_loss(predicted.exp(), loss, reduction="sum", delta=delta)'),),
        ),
        Misconception(
            "measured-not-logged",
            "the log of the prediction is compared with the measured loss itself",
            edits=((_PRICE, 'F.huber_loss(predicted, loss, reduction="sum", delta=delta)'),),
        ),
        Misconception(
            "powers-rise",
            "the powers grow with N and D: the minus before alpha and beta is missing",
            edits=(("a - alpha * N.log()", "a + alpha * N.log()"), ("b - beta * D.log()", "b + beta * D.log()")),
        ),
        Misconception(
            "E-not-logged",
            "the third entry of theta is taken for E itself instead of log E",
            edits=(("e.expand_as(N)", "e.log().expand_as(N)"),),
        ),
        Misconception(
            "terms-added-as-logs",
            "the logarithms of the three terms are added up instead of the terms",
            edits=((".logsumexp(0)", ".sum(0)"),),
        ),
        Misconception(
            "largest-term",
            "only the largest of the three terms counts",
            edits=((".logsumexp(0)", ".amax(0)"),),
        ),
        Misconception(
            "delta-fixed",
            "delta is always 0.001, whatever was given",
            edits=(("delta=delta)", "delta=DELTA)"),),
        ),
        Misconception(
            "base-ten",
            "N and D go in with logarithms to the base 10, the losses with natural ones",
            edits=(("N.log()", "N.log10()"), ("D.log()", "D.log10()")),
        ),
        Misconception(
            "order-of-theta",
            "theta is read as log E, log A, log B instead of log A, log B, log E",
            edits=(("a, b, e, alpha, beta = theta", "e, a, b, alpha, beta = theta"),),
        ),
        Misconception(
            "sizes-mixed-up",
            "alpha goes with D and beta with N",
            edits=(("a - alpha * N.log()", "a - alpha * D.log()"), ("b - beta * D.log()", "b - beta * N.log()")),
        ),
    ),
)


def _fit_hidden(seed):
    d = Draw(seed)
    law = law_of({**LIKE_2024, "E": float(d.rng.uniform(1.2, 2.2))})
    return [
        Case("other runs without noise", {**runs_of(d, law, 30, 0.0), "starts": FIRST_GUESSES}),
        Case("one first guess", {**runs_of(d, law, 50, 1e-3), "starts": FIRST_GUESSES[:1].clone()}),
        Case(
            "float32, with diverged runs",
            {k: v.float() for k, v in runs_of(d, law, 50, 1e-3, bad=3).items()} | {"starts": FIRST_GUESSES.float()},
        ),
    ]


def _fit_reference(i):
    # Gauss-Newton on reweighted squares (Huber's price is a square whose weight falls with distance), damped, from the
    # middle of what is plausible; all in numpy and with centred logs, which the solution does without.
    x, y = np.log(i["N"].double().numpy()), np.log(i["D"].double().numpy())
    z = np.log(i["loss"].double().numpy())
    mx, my, delta = x.mean(), y.mean(), 1e-3

    def terms(t):
        logs = np.stack([t[0] - t[3] * (x - mx), t[1] - t[4] * (y - my), np.full(x.shape, t[2])])
        top = logs.max(0)
        total = np.exp(logs - top).sum(0)
        return logs, top + np.log(total)

    def price(r):
        return np.where(np.abs(r) <= delta, r**2 / 2, delta * (np.abs(r) - delta / 2)).sum()

    best = None
    for split in (-2.0, -0.5):
        t, damp = np.array([split, split, 0.5, 0.3, 0.3]), 1e-3
        logs, value = terms(t)
        now = price(value - z)
        for _ in range(3000):
            r = value - z
            p = np.exp(logs - value)
            J = np.stack([p[0], p[1], p[2], -p[0] * (x - mx), -p[1] * (y - my)])
            weight = np.minimum(1, delta / np.maximum(np.abs(r), 1e-300))
            H, g = (J * weight) @ J.T, (J * weight) @ r
            step = np.linalg.solve(H + damp * np.diag(np.diag(H)) + 1e-300 * np.eye(5), g)
            tried = t - step
            new_logs, new_value = terms(tried)
            after = price(new_value - z)
            if after <= now:
                done = now - after <= 1e-15 * now and np.abs(step).max() < 1e-10
                t, logs, value, now, damp = tried, new_logs, new_value, after, max(damp / 3, 1e-12)
                if done:
                    break
            else:
                damp *= 4
                if damp > 1e12:
                    break
        if best is None or now < best[0]:
            best = (now, t)
    a, b, e, alpha, beta = best[1]
    a, b = a + alpha * mx, b + beta * my
    N = np.array([1e7, 1e9, 1e11])
    return {
        "E, alpha, beta": np.array([np.exp(e), alpha, beta]),
        "log A, log B": np.array([a, b]),
        "loss predicted at 20 tokens a parameter": np.exp(e) + np.exp(a) * N**-alpha + np.exp(b) * (20 * N) ** -beta,
    }


_SETTINGS = 'max_iter=2000, tolerance_grad=1e-12, tolerance_change=1e-15, line_search_fn="strong_wolfe"'
_KEEP = "if end < lowest:"
fit_law = Answer(
    name="fit_law",
    reference=_fit_reference,
    hidden=_fit_hidden,
    misconceptions=(
        Misconception(
            "twenty-iterations",
            "L-BFGS stops after its 20 iterations",
            edits=((_SETTINGS, _SETTINGS.replace("max_iter=2000, ", "")),),
        ),
        Misconception(
            "default-tolerances",
            "L-BFGS keeps its own tolerances: the prices are so small that it stops long before the lowest point",
            edits=((_SETTINGS, 'max_iter=2000, line_search_fn="strong_wolfe"'), (" / DELTA", "")),
        ),
        Misconception(
            "last-start",
            "the end of the last start is kept, not the best one",
            edits=((_KEEP, "if True:"),),
        ),
        Misconception(
            "first-start",
            "only the first start is tried",
            edits=(("for start in starts", "for start in starts[:1]"),),
        ),
        Misconception(
            "highest-kept",
            "the end with the highest price is kept",
            edits=((_KEEP, "if end > lowest or best is None:"),),
        ),
        Misconception(
            "not-exponentiated",
            "log A, log B and log E are returned as A, B and E",
            edits=(("math.exp(e), A=math.exp(a), B=math.exp(b)", "e, A=a, B=b"),),
        ),
        Misconception(
            "a-and-b-swapped",
            "A and B are swapped",
            edits=(("A=math.exp(a), B=math.exp(b)", "A=math.exp(b), B=math.exp(a)"),),
        ),
        Misconception(
            "squares-fitted",
            "squares are minimised instead of the price of step 3: four diverged runs then pull the law",
            edits=(("price_of(theta, N, D, loss)", "price_of(theta, N, D, loss, 10.0)"),),
        ),
        Misconception(
            "not-fitted",
            "the first guess comes back as it was",
            edits=(("        optimizer.step(closure)\n", ""),),
        ),
    ),
)


def _frontier_hidden(seed):
    d = Draw(seed)
    law = Law(E=1.1, A=float(d.rng.uniform(15, 25)), B=float(d.rng.uniform(250, 350)), alpha=0.4, beta=0.42)
    sizes = [600, 2000, 7000, 24000, 80000, 280000, 900000]
    budgets = [float(b) for b in 1e11 * 10.0 ** np.array([0, 0.7, 1.5, 2.2])]
    whole = ladder_inputs(d, law, budgets, sizes, noise=1e-4)
    order = d.rng.permutation(len(whole["loss"]))
    return [
        Case("four slices, the runs in no order", {name: column[order] for name, column in whole.items()}),
        Case("the first slice begins above its minimum", _without(whole, budgets[0], whole["blocks"] > 50000)),
        Case("two slices", {name: column[:14] for name, column in whole.items()}),
        Case("the middle slice without a minimum", _without(whole, budgets[1], whole["blocks"] < 6000 + 2000)),
    ]


def _without(runs, budget, kept):
    keep = (runs["budget"] != budget) | kept
    return {name: column[keep] for name, column in runs.items()}


def _frontier_reference(i):
    N, D = i["blocks"] + i["token"], i["tokens"]
    points = []
    for C in sorted(set(i["budget"].tolist())):
        mine = i["budget"] == C
        if mine.sum() < 3:
            continue
        found = _minimum_reference({"N": N[mine], "loss": i["loss"][mine]})
        if not found["refused with a ValueError"]:
            points.append((np.log(6 * N[mine] * D[mine]).mean(), np.log(found["N at the lowest point"])))
    x, y = np.array(points).T
    a = ((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()
    at = y.mean() + a * (np.log(1e15) - x.mean())
    return {"exponent a": float(a), "log10 of the best N at 1e15 operations": float(at / np.log(10))}


_BUGS = {
    "tables": ("the token table is still left out of N", ('runs["blocks"] + runs["token"]', 'runs["blocks"]')),
    "forward": ("the work is still counted as 2 N D, the forward pass alone", ("6 * N[mine]", "2 * N[mine]")),
    "edges": (
        "a slice without a minimum still gives the best size that happened to be trained",
        ("            continue\n", '            best.append(np.log(N[mine][runs["loss"][mine].argmin()]))\n'),
    ),
}
repaired_frontier = Answer(
    name="repaired_frontier",
    reference=_frontier_reference,
    hidden=_frontier_hidden,
    misconceptions=(
        *(
            Misconception(
                f"{'-and-'.join(left)}-left",
                ", and ".join(_BUGS[bug][0] for bug in left) if n < 3 else "all three lines are left as they were",
                edits=tuple(_BUGS[bug][1] for bug in left),
            )
            for n in (1, 2, 3)
            for left in combinations(_BUGS, n)
        ),
        Misconception(
            "tables-in-size-only",
            "the token table counts in the size but not in the work",
            edits=(("6 * N[mine]", '6 * runs["blocks"][mine]'),),
        ),
        Misconception(
            "tables-in-work-only",
            "the token table counts in the work but not in the size",
            edits=(("np.log(minimum_of(N[mine],", 'np.log(minimum_of(runs["blocks"][mine],'),),
        ),
        Misconception(
            "stops-at-the-first",
            "the loop ends at the first slice without a minimum, instead of going on to the next",
            edits=(("            continue\n", "            break\n"),),
        ),
        Misconception(
            "k-for-its-log",
            "k is returned instead of its logarithm",
            edits=(("float(a), float(log_k)", "float(a), float(np.exp(log_k))"),),
        ),
        Misconception(
            "axes-swapped",
            "the line is fitted the other way round: log C over log N",
            edits=(("np.polyfit(budgets, best, 1)", "np.polyfit(best, budgets, 1)"),),
        ),
    ),
)
