"""Lab 4.3, the instructor's half: references by other means (torch.optim, gradients by hand), misconceptions."""

import math

import torch

from autograder.cases import Draw, transposed
from autograder.checks.ch04_training.lab03_training_loop import (
    adamw_inputs,
    clip_inputs,
    piece_inputs,
    rate_inputs,
    resume_inputs,
)
from autograder.exercise import Answer, Case, Misconception
from source.training.resuming import FAULTS


def _adamw_hidden(seed):
    d = Draw(seed)
    zeros = adamw_inputs(d, (2, 2), 3, decay=0.3)
    zeros["gradients"] = [torch.zeros(2, 2, dtype=torch.float64) for _ in range(3)]
    loose = adamw_inputs(d, (3, 4), 2, decay=0.2)
    loose["p"], loose["gradients"] = transposed(loose["p"]), [transposed(g) for g in loose["gradients"]]
    stops = adamw_inputs(d, (3,), 4, rates=[0.1, 0.0, 0.0, 0.1], decay=0.3)
    return [
        Case("a number without dimensions", adamw_inputs(d, (), 3, decay=0.1)),
        Case("gradients of zero", zeros),
        Case("the default betas, eps and decay", adamw_inputs(d, (4,), 3, betas=None)),
        Case("a rate of zero in between", stops),
        Case("other betas, and an eps that matters", adamw_inputs(d, (3, 2), 5, betas=[0.8, 0.95], eps=0.3)),
        Case("non-contiguous", loose),
        Case("two tensors, taking turns, with decay", adamw_inputs(d, (2,), 3, decay=0.2, other=d.normal(2).double())),
        Case("a hundred steps of tiny gradients", adamw_inputs(d, (3,), 100, scale=1e-8, rates=[0.01] * 100)),
        Case("nothing at all", adamw_inputs(d, (0, 3), 2)),
    ]


def _torchs(p, gradients, i):
    p = torch.nn.Parameter(p.double().clone())
    betas, eps, decay = (tuple(i["betas"]), i["eps"], i["decay"]) if i["betas"] else ((0.9, 0.999), 1e-8, 0.0)
    optimizer = torch.optim.AdamW([p], lr=0.0, betas=betas, eps=eps, weight_decay=decay, foreach=False)
    weights = []
    for grad, rate in zip(gradients, i["rates"], strict=True):
        optimizer.param_groups[0]["lr"] = rate
        p.grad = grad.double().clone()
        optimizer.step()
        weights.append(p.detach().clone())
    return torch.stack(weights)


def _adamw_reference(i):
    outputs = {"weights after each step": _torchs(i["p"], i["gradients"], i).to(i["p"].dtype)}
    if "other" in i:
        outputs["weights of the other tensor"] = _torchs(i["other"], [-2 * g for g in i["gradients"]], i)[-1]
    return outputs


_M, _V = "m_hat = m / (1 - betas[0] ** t)", "v_hat = v / (1 - betas[1] ** t)"
_MOVE = "p.sub_(rate * m_hat / (v_hat.sqrt() + eps))"
_DECAY = "p.mul_(1 - rate * decay)"
adamw_step = Answer(
    name="adamw_step",
    reference=_adamw_reference,
    hidden=_adamw_hidden,
    misconceptions=(
        Misconception(
            "no-bias-correction",
            "neither average is corrected for its start at zero",
            edits=((_M, "m_hat = m"), (_V, "v_hat = v")),
        ),
        Misconception(
            "first-average-alone-corrected",
            "the average of the gradient is corrected, that of its square is not",
            edits=((_V, "v_hat = v"),),
        ),
        Misconception(
            "second-average-alone-corrected",
            "the average of the square is corrected, that of the gradient is not",
            edits=((_M, "m_hat = m"),),
        ),
        Misconception(
            "counted-from-zero",
            "the first step counts as step 0, so that 1 - beta ** 0 divides by zero",
            edits=(('t, m, v = state["step"],', 't, m, v = state["step"] - 1,'),),
        ),
        Misconception(
            "counted-one-ahead",
            "the first step counts as step 2",
            edits=(('t, m, v = state["step"],', 't, m, v = state["step"] + 1,'),),
        ),
        Misconception(
            "correction-kept",
            "the corrected averages are stored, and corrected again at the next step",
            edits=((_M, "m_hat = m.div_(1 - betas[0] ** t)"), (_V, "v_hat = v.div_(1 - betas[1] ** t)")),
        ),
        Misconception(
            "eps-inside-the-root",
            "eps is added under the root instead of behind it",
            edits=((_MOVE, "p.sub_(rate * m_hat / (v_hat + eps).sqrt())"),),
        ),
        Misconception(
            "eps-before-the-correction",
            "eps is added to the root of the average that is not corrected yet, so that it is divided as well",
            edits=((_MOVE, "p.sub_(rate * m_hat / ((v.sqrt() + eps) / (1 - betas[1] ** t) ** 0.5))"),),
        ),
        Misconception(
            "eps-missing",
            "eps is left out: where all gradients were zero, zero is divided by zero",
            edits=((_MOVE, "p.sub_(rate * m_hat / v_hat.sqrt())"),),
        ),
        Misconception(
            "decay-in-the-gradient",
            "the decay is added to the gradient, and so divided by the root with it: that is Adam with a penalty",
            edits=((_DECAY, "pass"), ("    m.mul_(", "    grad = grad + decay * p\n    m.mul_(")),
        ),
        Misconception(
            "decay-without-rate",
            "the decay is not multiplied by the rate",
            edits=((_DECAY, "p.mul_(1 - decay)"),),
        ),
        Misconception(
            "decay-last",
            "the weights decay after they were moved, and the move with them",
            edits=((f"    {_DECAY}\n    {_MOVE}", f"    {_MOVE}\n    {_DECAY}"),),
        ),
        Misconception("no-decay", "the weights do not decay", edits=((f"    {_DECAY}\n", ""),)),
        Misconception(
            "betas-swapped",
            "the two betas are swapped",
            edits=(("t, m, v =", "betas = betas[::-1]\n    t, m, v ="),),
        ),
        Misconception(
            "betas-ignored",
            "the betas are 0.9 and 0.999 whatever is asked for",
            edits=(("t, m, v =", "betas = (0.9, 0.999)\n    t, m, v ="),),
        ),
        Misconception(
            "no-root",
            "the move is divided by the average square itself, not by its root",
            edits=((_MOVE, "p.sub_(rate * m_hat / (v_hat + eps))"),),
        ),
        Misconception("uphill", "the weights move with the gradient", edits=((_MOVE, _MOVE.replace("sub_", "add_")),)),
        Misconception(
            "sum-for-average",
            "the new gradient is added to the averages with its full weight",
            edits=(
                ("add_(grad, alpha=1 - betas[0])", "add_(grad)"),
                ("grad * grad, alpha=1 - betas[1]", "grad * grad"),
            ),
        ),
        Misconception(
            "not-in-place",
            "p is bound to a new tensor: the one that the model holds stays as it was",
            edits=((_MOVE, "p = p - rate * m_hat / (v_hat.sqrt() + eps)"), (_DECAY, "p = p * (1 - rate * decay)")),
        ),
        Misconception(
            "state-begun-anew",
            "the averages begin at zero at every step",
            edits=(("if not state:", "if True:"),),
        ),
    ),
)


def _rate_hidden(seed):
    rng = Draw(seed).rng
    warm_up, steps = int(rng.integers(3, 9)), int(rng.integers(40, 60))
    peak, asked = float(rng.uniform(0.5, 2.0)), [int(s) for s in rng.integers(0, 80, 8)]
    return [
        Case("some steps", rate_inputs(peak, warm_up, steps, peak / 7, asked)),
        Case("the default last rate", rate_inputs(peak, warm_up, steps, None, [*asked, steps - 1, steps])),
        Case("nothing but warm-up", rate_inputs(peak, steps, steps, 0.1, [0, steps - 1, steps, steps + 1])),
        Case("one step of warm-up", rate_inputs(peak, 1, steps, 0.2, [0, 1, 2, steps - 1])),
        Case("one step in all", rate_inputs(peak, 0, 1, 0.3, [0, 1, 2])),
        Case("a last rate that is the peak", rate_inputs(peak, warm_up, steps, peak, asked)),
    ]


def _rate_reference(i):
    # The way down as a product of small turns instead of one cosine.
    rates = []
    last = i["last"] or 0.0
    for step in i["asked"]:
        if step >= i["steps"]:
            rates.append(last)
        elif step < i["warm_up"]:
            rates.append(sum([i["peak"] / i["warm_up"]] * (step + 1)))
        else:
            half = math.sin(math.pi * (step - i["warm_up"]) / (2 * (i["steps"] - i["warm_up"]))) ** 2
            rates.append(i["peak"] * (1 - half) + last * half)
    return {f"rates at steps {i['asked']}": torch.tensor(rates, dtype=torch.float64)}


_UP = "return peak * (step + 1) / warm_up"
_DONE = "done = (step - warm_up) / (steps - warm_up)"
_DOWN = "return last + (peak - last) * (1 + math.cos(math.pi * done)) / 2"
learning_rate = Answer(
    name="learning_rate",
    reference=_rate_reference,
    hidden=_rate_hidden,
    misconceptions=(
        Misconception(
            "first-step-at-zero", "the first step has a rate of 0", edits=((_UP, "return peak * step / warm_up"),)
        ),
        Misconception(
            "peak-one-step-late",
            "the line is stretched by one step, so that step warm_up - 1 stays below the peak",
            edits=((_UP, "return peak * (step + 1) / (warm_up + 1)"),),
        ),
        Misconception(
            "up-from-last",
            "the line begins at the last rate instead of at zero",
            edits=((_UP, "return last + (peak - last) * (step + 1) / warm_up"),),
        ),
        Misconception(
            "cosine-over-everything",
            "the cosine counts from step 0, so that the rate jumps down where the warm-up ends",
            edits=((_DONE, "done = step / steps"),),
        ),
        Misconception(
            "down-too-late",
            "the way down takes as many steps as the whole run",
            edits=((_DONE, "done = (step - warm_up) / steps"),),
        ),
        Misconception(
            "last-one-step-early",
            "the last rate is reached at the last step instead of behind it",
            edits=((_DONE, "done = (step - warm_up) / max(1, steps - 1 - warm_up)"),),
        ),
        Misconception(
            "climbs-again",
            "the cosine goes on behind the end, and climbs again",
            edits=(("    if step >= steps:\n        return last\n", ""),),
        ),
        Misconception(
            "zero-behind-the-end",
            "the rate is 0 behind the end instead of the last rate",
            edits=(("        return last\n", "        return 0.0\n"),),
        ),
        Misconception(
            "last-forgotten",
            "the cosine ends at 0 whatever the last rate is",
            edits=((_DOWN, "return peak * (1 + math.cos(math.pi * done)) / 2"),),
        ),
        Misconception(
            "last-on-top",
            "the last rate is added to the cosine from peak to 0, so that it begins above the peak",
            edits=((_DOWN, "return last + peak * (1 + math.cos(math.pi * done)) / 2"),),
        ),
        Misconception(
            "floor-cut-off",
            "the cosine goes to 0 and is cut off at the last rate",
            edits=((_DOWN, "return max(last, peak * (1 + math.cos(math.pi * done)) / 2)"),),
        ),
        Misconception(
            "not-halved",
            "one plus the cosine is not halved: it begins at twice the way",
            edits=((_DOWN, "return last + (peak - last) * (1 + math.cos(math.pi * done))"),),
        ),
        Misconception(
            "quarter-wave",
            "the cosine goes only to a right angle",
            edits=((_DOWN, "return last + (peak - last) * math.cos(math.pi / 2 * done)"),),
        ),
        Misconception(
            "straight-down",
            "the way down is a straight line",
            edits=((_DOWN, "return last + (peak - last) * (1 - done)"),),
        ),
    ),
)


def _clip_hidden(seed):
    d = Draw(seed)
    three = [d.normal(3, 2), d.normal(4), 3 * d.normal(2)]
    length = math.sqrt(sum(float(g.double().square().sum()) for g in three))
    single = [d.normal(), 4 * d.normal(1, 1)]
    return [
        Case("gradients of zero", clip_inputs([torch.zeros(2, 2), torch.zeros(3)], 1.0)),
        Case("no gradient anywhere", clip_inputs([], 1.0, [0, 1])),
        Case("half of the length", clip_inputs(three, length / 2, [1])),
        Case("a little below the limit", clip_inputs(three, 1.01 * length)),
        Case("numbers without dimensions", clip_inputs(single, 0.1)),
        Case("float64", clip_inputs([d.normal(5, 3, dtype=torch.float64), d.normal(1, dtype=torch.float64)], 0.7)),
        Case("a limit above one", clip_inputs([20 * d.normal(6), 0.01 * d.normal(2, 2)], 5.0)),
        Case("non-contiguous", clip_inputs([transposed(d.normal(3, 5)), d.normal(2)], 1.0)),
    ]


def _clip_reference(i):
    flat = torch.cat([g.double().flatten() for g in i["gradients"]]) if i["gradients"] else torch.zeros(0).double()
    norm = float(torch.linalg.vector_norm(flat))
    after = flat * min(1.0, i["limit"] / norm) if norm else flat
    outputs, place, n = {"norm before clipping": norm}, 0, 0
    total = len(i["gradients"]) + len(i["without"])
    for parameter in range(total):
        if parameter in i["without"]:
            continue
        g = i["gradients"][n]
        outputs[f"gradient of parameter {parameter}"] = after[place : place + g.numel()].view(g.shape).to(g.dtype)
        place, n = place + g.numel(), n + 1
    return outputs | {"parameters without a gradient": len(i["without"])}


_NORM = "norm = math.sqrt(sum(g.double().square().sum().item() for g in gradients))"
_EACH = "        for g in gradients:\n            g.mul_(limit / norm)\n"
clip_gradients = Answer(
    name="clip_gradients",
    reference=_clip_reference,
    hidden=_clip_hidden,
    misconceptions=(
        Misconception(
            "each-by-itself",
            "each gradient is clipped by its own norm: the long ones shrink, the short ones do not, and the direction "
            "is another",
            edits=(
                (
                    f"    if norm > limit:\n{_EACH}",
                    "    for g in gradients:\n        if g.norm() > limit:\n            g.mul_(limit / g.norm())\n",
                ),
            ),
        ),
        Misconception(
            "norm-afterwards",
            "the norm that is returned is the one after clipping",
            edits=(("return norm", "return min(norm, limit)"),),
        ),
        Misconception(
            "always-scaled",
            "gradients that are short already are made longer",
            edits=(("if norm > limit:", "if norm > 0:"),),
        ),
        Misconception(
            "sum-of-norms",
            "the norms of the single gradients are added up: the root is taken before the sum",
            edits=((_NORM, "norm = sum(g.double().norm().item() for g in gradients)"),),
        ),
        Misconception(
            "no-root",
            "the sum of the squares is taken for the norm: the root is missing",
            edits=((_NORM, "norm = sum(g.double().square().sum().item() for g in gradients)"),),
        ),
        Misconception(
            "largest-entry",
            "the largest entry is taken for the norm",
            edits=((_NORM, "norm = max((g.abs().max().item() for g in gradients), default=0.0)"),),
        ),
        Misconception(
            "longest-gradient",
            "the norm of the longest single gradient is taken for that of all",
            edits=((_NORM, "norm = max((g.double().norm().item() for g in gradients), default=0.0)"),),
        ),
        Misconception(
            "mean-for-sum",
            "the squares are averaged over each gradient instead of added up",
            edits=((_NORM, "norm = math.sqrt(sum(g.double().square().mean().item() for g in gradients))"),),
        ),
        Misconception(
            "entries-cut-off",
            "each entry is cut off at the limit",
            edits=((_EACH, "        for g in gradients:\n            g.clamp_(-limit, limit)\n"),),
        ),
        Misconception(
            "divided-only",
            "the gradients are divided by their norm but not multiplied by the limit",
            edits=(("g.mul_(limit / norm)", "g.div_(norm)"),),
        ),
        Misconception(
            "not-in-place",
            "the shortened gradients are new tensors that nobody keeps",
            edits=(("g.mul_(limit / norm)", "g = g * (limit / norm)"),),
        ),
        Misconception(
            "none-not-skipped",
            "a parameter without a gradient is not skipped",
            edits=(
                (
                    "gradients = [p.grad for p in parameters if p.grad is not None]",
                    "gradients = [p.grad for p in parameters]",
                ),
            ),
        ),
        Misconception(
            "weights-for-gradients",
            "the parameters themselves are measured and shortened, not their gradients",
            edits=(("[p.grad for p in parameters if p.grad is not None]", "[p.data for p in parameters]"),),
        ),
    ),
)


def _accumulate_hidden(seed):
    d = Draw(seed)
    mixed = piece_inputs(d, [[int(n) for n in d.integers(0, 6, 3)] + [1] for _ in range(3)], [5, 5, 5])
    before = piece_inputs(d, [[2], [4, 1, 0]], [4, 4])
    before["before"] = d.normal(5, 3, dtype=torch.float64)
    nothing = piece_inputs(d, [[0, 0], [0]], [3, 2])
    nothing["before"] = d.normal(5, 3, dtype=torch.float64)
    return [
        Case("three mixed pieces", mixed),
        Case("one piece", piece_inputs(d, [[3, 1]], [3])),
        Case("widths that differ", piece_inputs(d, [[1, 1], [7], [2, 2, 2]], [1, 7, 2])),
        Case("pieces of one token, and something in .grad", before),
        Case("nothing counts anywhere", nothing),
        Case("no pieces", piece_inputs(d, [], [])),
        Case("the last piece is empty", piece_inputs(d, [[3, 3], [2, 1], [0, 0]], [3, 3, 3])),
        Case("float32", piece_inputs(d, [[4, 2], [1, 0]], [4, 4], dtype=torch.float32)),
        Case("eight pieces", piece_inputs(d, [[int(n)] for n in d.integers(1, 7, 8)], [6] * 8)),
    ]


def _accumulate_reference(i):
    # Position by position in float64, with the gradient of softmax written out: no autograd.
    E, W = i["E"].double(), i["W"].double()
    grads = {"E": torch.zeros_like(E), "W": torch.zeros_like(W)}
    total, counted = 0.0, 0
    for ids, targets in zip(i["ids"], i["targets"], strict=True):
        for token, target in zip(ids.flatten().tolist(), targets.flatten().tolist(), strict=True):
            if target == -100:
                continue
            h = torch.tanh(E[token])
            x = W @ h
            p = (x - x.max()).exp()
            p = p / p.sum()
            total, counted = total - math.log(float(p[target])), counted + 1
            p[target] -= 1.0
            grads["W"] += torch.outer(p, h)
            grads["E"][token] += (p @ W) * (1 - h * h)
    n = max(counted, 1)
    before = 0.0 if i["before"] is None else i["before"].double()
    dtype = i["E"].dtype
    return {
        "loss": total / n,
        "gradient of E": (grads["E"] / n + before).to(dtype),
        "gradient of W": (grads["W"] / n).to(dtype),
        "pieces in memory at a time": min(1, len(i["ids"])) if counted else 0,
        "rows of the largest forward pass": max((len(ids) for ids in i["ids"]), default=0) if counted else 0,
    }


_LOSS = 'loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum") / counted'
_BACK = "        loss.backward()\n        total += loss.item()\n"
_MEAN = "loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())"
accumulate = Answer(
    name="accumulate",
    reference=_accumulate_reference,
    hidden=_accumulate_hidden,
    misconceptions=(
        Misconception(
            "mean-of-means",
            "each piece's own mean is divided by the number of pieces, so that a token of a short piece counts more",
            edits=((_LOSS, f"{_MEAN} / len(pieces)"),),
        ),
        Misconception(
            "sum-of-means",
            "the means of the pieces are added up and not divided",
            edits=((_LOSS, _MEAN),),
        ),
        Misconception(
            "sum",
            "the sum over all tokens is not divided",
            edits=((_LOSS, _LOSS.replace(" / counted", "")),),
        ),
        Misconception(
            "own-count",
            "each piece's sum is divided by the count of that piece alone",
            edits=((_LOSS, _LOSS.replace("/ counted", "/ max(1, (targets != -100).sum().item())")),),
        ),
        Misconception(
            "sum-over-pieces",
            "the sums are divided by the number of pieces instead of the number of tokens",
            edits=((_LOSS, _LOSS.replace("/ counted", "/ len(pieces)")),),
        ),
        Misconception(
            "padding-counted",
            "the sum is divided by all places, those that do not count included",
            edits=(("(targets != -100).sum().item() for", "targets.numel() for"),),
        ),
        Misconception(
            "rows-for-tokens",
            "the pieces' means are weighted by their rows instead of by the targets that count",
            edits=((_LOSS, f"{_MEAN} * len(ids) / sum(len(a) for a, _ in pieces)"),),
        ),
        Misconception(
            "empty-piece",
            "each piece's mean is multiplied by its share of the tokens: right, but the mean of a piece in which "
            "nothing counts is NaN",
            edits=((_LOSS, f"{_MEAN} * (targets != -100).sum() / counted"),),
        ),
        Misconception(
            "one-backward",
            "backward is called once at the end, so that the graphs of all pieces are in memory together",
            edits=(
                (_BACK, "        total = total + loss\n"),
                ("    return total", "    total.backward()\n    return total.item()"),
            ),
        ),
        Misconception(
            "all-at-once",
            "the pieces are joined to the large batch and read at once",
            edits=(
                (
                    "    for ids, targets in pieces:\n        logits",
                    "    if len({ids.shape[1] for ids, _ in pieces}) == 1:\n"
                    "        pieces = [tuple(torch.cat(parts) for parts in zip(*pieces))]\n"
                    "    for ids, targets in pieces:\n        logits",
                ),
            ),
        ),
        Misconception(
            "cleared-in-between",
            "the gradients are cleared before each piece, so that only the last one is left",
            edits=(("        logits = model(ids)", "        model.zero_grad()\n        logits = model(ids)"),),
        ),
        Misconception(
            "cleared-first",
            "what .grad held before is thrown away",
            edits=(("    total = 0.0\n", "    model.zero_grad()\n    total = 0.0\n"),),
        ),
        Misconception(
            "scaled-afterwards",
            "the gradients are divided at the end, and what .grad held before with them",
            edits=(
                (_LOSS, _LOSS.replace(" / counted", "")),
                (
                    "    return total",
                    "    for p in model.parameters():\n        if p.grad is not None:\n"
                    "            p.grad /= counted\n    return total / counted",
                ),
            ),
        ),
        Misconception(
            "loss-of-the-last",
            "the gradients are right, and the loss that is returned is the last piece's share alone",
            edits=(("total += loss.item()", "total = loss.item()"),),
        ),
        Misconception(
            "no-backward",
            "the loss is computed, and nothing goes back",
            edits=(("        loss.backward()\n", ""),),
        ),
    ),
)


def _resume_hidden(seed):
    rng = Draw(seed).rng
    runs = [int(s) for s in rng.integers(0, 1000, 5)]
    odd, even = [5, 7], [6, 8]
    return [
        Case("other weights, and what is right", resume_inputs(runs[0], int(rng.choice(odd)), ["none"])),
        Case("forgotten parts", resume_inputs(runs[1], int(rng.choice(even)), list(FAULTS[1:4]))),
        Case("forgotten places", resume_inputs(runs[2], int(rng.choice(odd)), list(FAULTS[4:6]))),
        Case("sly ones", resume_inputs(runs[3], int(rng.choice(even)), list(FAULTS[6:9]))),
        Case("a long run, saved by reference", resume_inputs(runs[4], 9, ["saved by reference", "none"])),
        Case("one step", resume_inputs(runs[4], 1, ["none", "buffers forgotten", "saving turns dropout off"])),
        Case("modes and draws", resume_inputs(runs[0], int(rng.choice(even)), list(FAULTS[9:]))),
    ]


def _resume_reference(i):
    return {f"a run saved with fault '{fault}' resumes exactly": fault == "none" for fault in i["faults"]}


_SAME = "return all(torch.equal(mine[name], theirs[name]) for name in mine)"
_FIRST = "        first.train(steps - cut)\n"
_DIFFER = "if not same(first, whole) or not same(second, whole):"
resumes_exactly = Answer(
    name="resumes_exactly",
    reference=_resume_reference,
    hidden=_resume_hidden,
    misconceptions=(
        Misconception(
            "close-enough",
            "weights that are close count as equal",
            edits=((_SAME, "return all(torch.allclose(mine[name], theirs[name]) for name in mine)"),),
        ),
        Misconception(
            "parameters-only",
            "the weights are compared, the buffers are not",
            edits=(
                (
                    "one.model.state_dict(), other.model.state_dict()",
                    "dict(one.model.named_parameters()), dict(other.model.named_parameters())",
                ),
            ),
        ),
        Misconception(
            "one-cut",
            "the run is saved at one place only, in the middle",
            edits=(("for cut in range(steps + 1):", "for cut in [steps // 2]:"),),
        ),
        Misconception(
            "first-cut-only",
            "the run is saved before its first step only, when there is nothing to forget",
            edits=(("for cut in range(steps + 1):", "for cut in [0]:"),),
        ),
        Misconception(
            "loaded-at-once",
            "the run is loaded right after it was saved, while the generator happens to stand right and before "
            "anything could change what was saved",
            edits=(
                (_FIRST, ""),
                ("        torch.manual_seed(1000 + cut)\n", ""),
                ("        second.train(steps - cut)\n", "        second.train(steps - cut)\n        first = second\n"),
            ),
        ),
        Misconception(
            "saved-run-not-trained-on",
            "the saved run stops there: what was saved cannot change with it, and what saving did to it is not seen",
            edits=((_FIRST, ""), (_DIFFER, "if not same(second, whole):")),
        ),
        Misconception(
            "saved-run-not-compared",
            "the run that was saved and trains on is not compared with the one left in peace",
            edits=((_DIFFER, "if not same(second, whole):"),),
        ),
        Misconception(
            "resumed-run-not-compared",
            "only the saved run is compared with the one left in peace, the resumed one is not",
            edits=((_DIFFER, "if not same(first, whole):"),),
        ),
        Misconception(
            "nothing-left-in-peace",
            "the resumed run is compared with the saved one: what saving does to both is not seen",
            edits=((_DIFFER, "if not same(second, first):"),),
        ),
        Misconception(
            "not-trained-on",
            "the runs are compared right after loading, before averages, step or data order could matter",
            edits=(
                (_FIRST, ""),
                ("        second.train(steps - cut)\n", ""),
                (_DIFFER, "if not same(second, first):"),
            ),
        ),
        Misconception(
            "always-content",
            "no fault is ever found",
            code="def resumes_exactly(start, save, load, steps):\n    return True\n",
        ),
    ),
)
