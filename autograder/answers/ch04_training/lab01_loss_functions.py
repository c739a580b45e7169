"""Lab 4.1, the instructor's half: references row by row in NumPy's float64, hidden cases, misconceptions."""

import math

import numpy as np
import torch

from autograder.cases import Draw, transposed
from autograder.checks.ch04_training.lab01_loss_functions import (
    IGNORED,
    head_inputs,
    loss_inputs,
    report_inputs,
    ruled_out,
    smoothed_inputs,
)
from autograder.exercise import Answer, Case, Misconception


def _rows(logits, targets):
    """Each row as (log-probabilities in float64, target)."""
    V = logits.shape[-1]
    for row, target in zip(logits.detach().double().numpy().reshape(-1, V), targets.reshape(-1).tolist(), strict=True):
        top = row.max()
        yield row - (top + math.log(math.fsum(math.exp(a - top) for a in row))), target


def _wide(dtype):
    return torch.promote_types(dtype, torch.float32)


def _losses_hidden(seed):
    d = Draw(seed)
    loose = loss_inputs(d, 3, 4, 5, ignored=0.3)
    return [
        Case("float64", loss_inputs(d, 2, 3, 6, ignored=0.3, dtype=torch.float64)),
        Case("one row without dimensions in front", loss_inputs(d, 6)),
        Case("all targets ignored", loss_inputs(d, 2, 3, 4, ignored=1.0)),
        Case("one token in the vocabulary", loss_inputs(d, 3, 1)),
        Case("an empty batch", loss_inputs(d, 0, 3, 4)),
        Case("a non-contiguous input", {**loose, "logits": transposed(loose["logits"])}),
        Case("very large logits", loss_inputs(d, 4, 5, scale=3000.0, ignored=0.2)),
        Case("more tokens ruled out", ruled_out(d, 7)),
        Case("float16", loss_inputs(d, 3, 6, dtype=torch.float16, scale=30.0, ignored=0.2) | {"upstream": None}),
    ]


def _losses_reference(i):
    logits, targets = i["logits"], i["targets"]
    upstream = torch.zeros(targets.shape) if i["upstream"] is None else i["upstream"]
    losses, grads = [], []
    for (log_p, y), g in zip(_rows(logits, targets), upstream.reshape(-1).tolist(), strict=True):
        losses.append(0.0 if y == IGNORED else -log_p[y])
        p = np.exp(log_p)
        grads.append(np.zeros_like(p) if y == IGNORED else g * (p - np.eye(len(p))[y]))
    outputs = {"losses": torch.tensor(losses, dtype=torch.float64).view(targets.shape).to(_wide(logits.dtype))}
    if i["upstream"] is not None:
        grad = torch.tensor(np.array(grads).reshape(logits.shape))
        outputs["gradient of the logits"] = grad.to(logits.dtype)
    return outputs


_SHIFT = "shifted = wide - wide.amax(dim=-1, keepdim=True)"
_LOG_SUM = "log_sum = shifted.exp().sum(dim=-1).log()"
_PICKED = "picked = shifted.gather(-1, targets.clamp(min=0)[..., None]).squeeze(-1)"
_RETURN = "return torch.where(targets != IGNORED, log_sum - picked, 0.0)"
token_losses = Answer(
    name="token_losses",
    reference=_losses_reference,
    hidden=_losses_hidden,
    misconceptions=(
        Misconception(
            "logarithm-of-a-probability",
            "the probability is computed first and its logarithm taken then: a probability that rounds to 0 "
            "costs infinitely "
            "much",
            edits=(
                (_LOG_SUM, "p = shifted.exp() / shifted.exp().sum(dim=-1, keepdim=True)"),
                (_PICKED, "picked = p.gather(-1, targets.clamp(min=0)[..., None]).squeeze(-1)"),
                (_RETURN, "return torch.where(targets != IGNORED, -picked.log(), 0.0)"),
            ),
        ),
        Misconception(
            "floor-under-the-probability",
            "a small number is added to the probability before the logarithm: no loss is infinite, and none exceeds "
            "-log of that number either",
            edits=(
                (_LOG_SUM, "p = shifted.exp() / shifted.exp().sum(dim=-1, keepdim=True)"),
                (_PICKED, "picked = p.gather(-1, targets.clamp(min=0)[..., None]).squeeze(-1)"),
                (_RETURN, "return torch.where(targets != IGNORED, -(picked + 1e-9).log(), 0.0)"),
            ),
        ),
        Misconception(
            "clipped",
            "the logits are clipped so that no exponential overflows: larger ones lose what tells them apart",
            edits=((_SHIFT, "shifted = wide.clamp(-80, 80)"),),
        ),
        Misconception(
            "no-maximum",
            "the exponentials are taken of the logits as they are, which overflows from 88.7 on",
            edits=((_SHIFT, "shifted = wide"),),
        ),
        Misconception(
            "one-maximum-for-all",
            "the largest logit of the whole tensor is taken away, instead of each row's own: in rows far below it all "
            "exponentials become 0",
            edits=((_SHIFT, "shifted = wide - (wide.max() if wide.numel() else 0)"),),
        ),
        Misconception(
            "maximum-not-put-back",
            "the maximum is taken away in the log-sum-exp but not from the target's logit, so that the loss is "
            "off by it",
            edits=((_PICKED, "picked = wide.gather(-1, targets.clamp(min=0)[..., None]).squeeze(-1)"),),
        ),
        Misconception(
            "ignored-counted",
            "an ignored place gets the loss of token 0, or of another token, instead of 0",
            edits=((_RETURN, "return log_sum - picked"),),
        ),
        Misconception(
            "ignored-times-zero",
            "the loss at ignored places is multiplied by 0: if it is infinite there, the product is NaN",
            edits=((_RETURN, "return (log_sum - picked) * (targets != IGNORED)"),),
        ),
        Misconception(
            "sign",
            "the sign is wrong: log-probabilities are returned, not losses",
            edits=((_RETURN, "return torch.where(targets != IGNORED, picked - log_sum, 0.0)"),),
        ),
        Misconception(
            "bits",
            "the losses are in bits: the logarithm has base 2",
            edits=((_RETURN, "return torch.where(targets != IGNORED, log_sum - picked, 0.0) / math.log(2)"),),
        ),
        Misconception(
            "logits-dtype",
            "everything is computed in the logits' own dtype: 16 bits are too coarse for a loss",
            edits=(("wide = logits.to(torch.promote_types(logits.dtype, torch.float32))", "wide = logits"),),
        ),
        Misconception(
            "always-float32",
            "everything is computed in float32, also where the logits are float64",
            edits=(("logits.to(torch.promote_types(logits.dtype, torch.float32))", "logits.float()"),),
        ),
        Misconception(
            "mean",
            "the mean over the counted targets is returned instead of one loss for each target",
            edits=(
                (
                    _RETURN,
                    "counted = targets != IGNORED\n"
                    "    return torch.where(counted, log_sum - picked, 0.0).sum() / counted.sum().clamp(min=1)",
                ),
            ),
        ),
        Misconception(
            "one-hot-product",
            "the target's logit is picked by multiplying with a one-hot row: where another logit is minus infinity the "
            "product is NaN",
            edits=(
                (
                    _PICKED,
                    "one_hot = F.one_hot(targets.clamp(min=0), wide.shape[-1])\n    picked = (shifted * "
                    "one_hot).sum(dim=-1)",
                ),
            ),
        ),
        Misconception(
            "outside-the-graph",
            "the losses are detached: nothing can be trained with them",
            edits=((_RETURN, "return torch.where(targets != IGNORED, log_sum - picked, 0.0).detach()"),),
        ),
    ),
)


def _gradient_hidden(seed):
    d = Draw(seed)

    def plain(inputs):
        return {name: inputs[name] for name in ("logits", "targets")}

    loose = plain(loss_inputs(d, 2, 4, 5, ignored=0.3))
    return [
        Case("float64", plain(loss_inputs(d, 2, 3, 6, ignored=0.3, dtype=torch.float64))),
        Case("one row without dimensions in front", plain(loss_inputs(d, 6))),
        Case("a longer batch, half of it ignored", plain(loss_inputs(d, 3, 8, 4, ignored=0.5))),
        Case("an empty batch", plain(loss_inputs(d, 0, 3, 4))),
        Case("a non-contiguous input", {**loose, "logits": transposed(loose["logits"])}),
        Case("as many positions as tokens", plain(loss_inputs(d, 4, 4, 4, ignored=0.2))),
        Case("float64, nothing counts", plain(loss_inputs(d, 2, 2, 3, ignored=1.0, dtype=torch.float64))),
    ]


def _gradient_reference(i):
    logits, targets = i["logits"], i["targets"]
    count = sum(y != IGNORED for y in targets.reshape(-1).tolist())
    grads = []
    for log_p, y in _rows(logits, targets):
        slope = np.exp(log_p)
        if y == IGNORED:
            slope = slope * 0
        else:
            slope[y] -= 1
        grads.append(slope / max(count, 1))
    return {"gradient": torch.tensor(np.array(grads).reshape(logits.shape)).to(logits.dtype)}


_SLOPE = "slope = torch.softmax(wide, dim=-1)"
_TRUTH = "slope = slope.scatter_add(-1, index, torch.full_like(slope[..., :1], -1.0))"
_CHOOSE = "slope = torch.where(counted[..., None], slope, 0.0)"
_DIVIDE = "return (slope / counted.sum().clamp(min=1)).to(logits.dtype)"
loss_gradient = Answer(
    name="loss_gradient",
    reference=_gradient_reference,
    hidden=_gradient_hidden,
    misconceptions=(
        Misconception(
            "sum",
            "the gradient of the sum of the losses is returned: it is not divided by the number of counted targets",
            edits=((_DIVIDE, "return slope.to(logits.dtype)"),),
        ),
        Misconception(
            "divided-by-all",
            "it is divided by the number of all targets, the ignored ones included",
            edits=((_DIVIDE, "return (slope / max(targets.numel(), 1)).to(logits.dtype)"),),
        ),
        Misconception(
            "divided-by-the-batch",
            "it is divided by the batch size B instead of the number of counted targets",
            edits=((_DIVIDE, "return (slope / max(logits.shape[0], 1)).to(logits.dtype)"),),
        ),
        Misconception(
            "divided-by-elements",
            "the mean is taken over all entries of the gradient, V times too many",
            edits=((_DIVIDE, "return (slope / max(slope.numel(), 1)).to(logits.dtype)"),),
        ),
        Misconception(
            "sign",
            "the sign is turned: truth minus probability",
            edits=((_DIVIDE, "return (-slope / counted.sum().clamp(min=1)).to(logits.dtype)"),),
        ),
        Misconception(
            "no-truth",
            "the probabilities alone are returned: nothing is taken away at the target",
            edits=((_TRUTH, "slope = slope"),),
        ),
        Misconception(
            "truth-alone",
            "only the target's entry has a gradient: the other tokens' probabilities are missing",
            edits=((_SLOPE, "slope = torch.zeros_like(wide)"),),
        ),
        Misconception(
            "ignored-not-zero",
            "an ignored row is treated as if its target were token 0",
            edits=((_CHOOSE, "slope = slope + 0.0"),),
        ),
        Misconception(
            "ignored-keeps-probabilities",
            "at ignored places nothing is taken away, but the probabilities stay: they push every logit down",
            edits=(
                (_TRUTH, "slope = slope.scatter_add(-1, index, -1.0 * counted[..., None].to(slope.dtype))"),
                (_CHOOSE, "slope = slope + 0.0"),
            ),
        ),
        Misconception(
            "nothing-counts-nan",
            "where nothing counts, 0 is divided by 0: the gradient is NaN",
            edits=((_DIVIDE, "return (slope / counted.sum()).to(logits.dtype)"),),
        ),
        Misconception(
            "through-the-softmax",
            "the gradient is multiplied by the slope of the softmax once more, which the logarithm has "
            "cancelled already",
            edits=(
                (
                    _CHOOSE,
                    "p = torch.softmax(wide, dim=-1)\n    slope = torch.where(counted[..., None], slope * p * "
                    "(1 - p), 0.0)",
                ),
            ),
        ),
        Misconception(
            "wrong-axis",
            "the softmax runs over the positions instead of the vocabulary",
            edits=((_SLOPE, "slope = torch.softmax(wide, dim=max(wide.ndim - 2, 0))"),),
        ),
        Misconception(
            "in-16-bits",
            "the probabilities are computed in 16 bits where the logits have 16, and not in float32",
            edits=(("wide = logits.to(torch.promote_types(logits.dtype, torch.float32))", "wide = logits"),),
        ),
        Misconception(
            "wide-returned",
            "the gradient comes back in float32, not in the logits' dtype",
            edits=((_DIVIDE, "return slope / counted.sum().clamp(min=1)"),),
        ),
    ),
)


def _smoothed_hidden(seed):
    d = Draw(seed)
    loose = smoothed_inputs(d, 0.2, 2, 4, 5, ignored=0.3)
    return [
        Case("float64", smoothed_inputs(d, 0.15, 2, 3, 6, ignored=0.3, dtype=torch.float64)),
        Case("all of the target spread", smoothed_inputs(d, 1.0, 3, 4, ignored=0.2)),
        Case("one row without dimensions in front", smoothed_inputs(d, 0.1, 6)),
        Case("one token in the vocabulary", smoothed_inputs(d, 0.1, 3, 1)),
        Case("an empty batch", smoothed_inputs(d, 0.1, 0, 3, 4)),
        Case("a non-contiguous input", {**loose, "logits": transposed(loose["logits"])}),
    ]


def _smoothed_reference(i):
    logits, targets, e = i["logits"], i["targets"], i["smoothing"]
    V = logits.shape[-1]
    count = max(sum(y != IGNORED for y in targets.reshape(-1).tolist()), 1)
    loss, grads = 0.0, []
    for log_p, y in _rows(logits, targets):
        wanted = (1 - e) * np.eye(V)[y if y != IGNORED else 0] + e / V
        weight = 0.0 if y == IGNORED else 1 / count
        loss += weight * -float((wanted * log_p).sum())
        grads.append(weight * (np.exp(log_p) - wanted))
    return {
        "loss": torch.tensor(loss, dtype=logits.dtype),
        "gradient of the logits": torch.tensor(np.array(grads).reshape(logits.shape)).to(logits.dtype),
    }


_SPREAD = "spread = -torch.log_softmax(logits, dim=-1).mean(dim=-1)"
_MIX = "losses = (1 - smoothing) * losses_of(logits, targets) + smoothing * spread"
_MEAN = "return torch.where(counted, losses, 0.0).sum() / counted.sum().clamp(min=1)"
smoothed_cross_entropy = Answer(
    name="smoothed_cross_entropy",
    reference=_smoothed_reference,
    hidden=_smoothed_hidden,
    misconceptions=(
        Misconception(
            "others-only",
            "the share is spread over the other V - 1 tokens: the right one gets nothing of it",
            edits=(
                (
                    _MIX,
                    "others = max(logits.shape[-1] - 1, 1)\n"
                    "    plain = losses_of(logits, targets)\n"
                    "    losses = (1 - smoothing) * plain + smoothing * (spread * logits.shape[-1] - plain) / others",
                ),
            ),
        ),
        Misconception(
            "sum-over-the-vocabulary",
            "the second part sums over the vocabulary instead of taking the mean: each token gets the whole share",
            edits=((_SPREAD, "spread = -torch.log_softmax(logits, dim=-1).sum(dim=-1)"),),
        ),
        Misconception(
            "target-not-lowered",
            "the plain loss keeps its full weight: the targets sum to more than 1",
            edits=((_MIX, "losses = losses_of(logits, targets) + smoothing * spread"),),
        ),
        Misconception(
            "shares-swapped",
            "the two shares are swapped: nearly all of the target is spread",
            edits=((_MIX, "losses = smoothing * losses_of(logits, targets) + (1 - smoothing) * spread"),),
        ),
        Misconception(
            "ignored-spread",
            "the second part is counted at ignored places as well",
            edits=((_MEAN, "return losses.sum() / counted.sum().clamp(min=1)"),),
        ),
        Misconception(
            "divided-by-all",
            "the sum is divided by the number of all targets, the ignored ones included",
            edits=((_MEAN, "return torch.where(counted, losses, 0.0).sum() / max(targets.numel(), 1)"),),
        ),
        Misconception(
            "nothing-counts-nan",
            "where nothing counts the loss is 0/0",
            edits=((_MEAN, "return torch.where(counted, losses, 0.0).sum() / counted.sum()"),),
        ),
        Misconception(
            "sum",
            "the losses are summed and not divided by the number of counted targets",
            edits=((_MEAN, "return torch.where(counted, losses, 0.0).sum()"),),
        ),
        Misconception(
            "entropy",
            "the second part is the entropy of the model's own probabilities: each log-probability is weighted by its "
            "probability instead of evenly",
            edits=(
                (
                    _SPREAD,
                    "log_p = torch.log_softmax(logits, dim=-1)\n    spread = -(log_p.exp() * log_p).sum(dim=-1)",
                ),
            ),
        ),
        Misconception(
            "smoothing-ignored",
            "nothing is smoothed: it is the plain cross-entropy",
            edits=((_MIX, "losses = losses_of(logits, targets)"),),
        ),
        Misconception(
            "sign-of-the-spread",
            "the second part has the wrong sign: it rewards certainty",
            edits=((_SPREAD, "spread = torch.log_softmax(logits, dim=-1).mean(dim=-1)"),),
        ),
    ),
)


def _report_hidden(seed):
    d = Draw(seed)
    return [
        Case("many batches of many shapes", report_inputs(d, [(4, 6), (4, 9), (2, 3), (1, 1), (4, 2)])),
        Case("a batch in which nothing counts", _one_ignored(report_inputs(d, [(2, 4), (3, 3)]))),
        Case("no batches", report_inputs(d, [])),
        Case("one token", report_inputs(d, [(1, 1)], ignored=0.0)),
        Case("ignored places hold 100", report_inputs(d, [(3, 5), (2, 5)], junk=100.0)),
        Case("batches without a second dimension", report_inputs(d, [(7,), (3,)])),
    ]


def _one_ignored(inputs):
    inputs["targets"][0][:] = IGNORED
    inputs["losses"][0][:] = 0.0
    inputs["targets"][1][0, 0] = 1
    inputs["losses"][1][0, 0] = 2.5
    return inputs


def _report_reference(i):
    pairs = [
        (loss, target)
        for a, b in zip(i["losses"], i["targets"], strict=True)
        for loss, target in zip(a.double().reshape(-1).tolist(), b.reshape(-1).tolist(), strict=True)
        if target != IGNORED
    ]
    if not pairs:
        return dict.fromkeys(("loss", "perplexity", "bits per byte"), math.nan)
    mean = math.fsum(loss for loss, _ in pairs) / len(pairs)
    length = sum(i["bytes of"][target].item() for _, target in pairs)
    return {
        "loss": mean,
        "perplexity": math.exp(mean),
        "bits per byte": math.log2(math.e) * math.fsum(loss for loss, _ in pairs) / length,
    }


_LOSS = "loss = nats / tokens"
_FOUND = '{"loss": loss, "perplexity": math.exp(loss), "bits per byte": nats / math.log(2) / text}'
_ADD = "nats += losses[counted].double().sum().item()"
_FIRST = "nats, tokens, text = 0.0, 0, 0"
report = Answer(
    name="report",
    reference=_report_reference,
    hidden=_report_hidden,
    misconceptions=(
        Misconception(
            "left-as-it-was",
            "the colleague's report is returned unchanged",
            code="def report(batches, bytes_of):\n    return suspect_report(batches, bytes_of)\n",
        ),
        Misconception(
            "mean-of-means",
            "the mean of each batch is taken first and then the mean of the batches: a token of a small batch "
            "counts more",
            edits=(
                (_FIRST, "nats, tokens, text, means = 0.0, 0, 0, []"),
                (
                    _ADD,
                    "nats += losses[counted].double().sum().item()\n"
                    "        means += [losses[counted].mean().item()] if counted.any() else []",
                ),
                (_LOSS, "loss = sum(means) / len(means)"),
            ),
        ),
        Misconception(
            "mean-of-perplexities",
            "a perplexity is computed for each batch, and the mean of those is reported",
            edits=(
                (_FIRST, "nats, tokens, text, means = 0.0, 0, 0, []"),
                (
                    _ADD,
                    "nats += losses[counted].double().sum().item()\n"
                    "        means += [losses[counted].mean().item()] if counted.any() else []",
                ),
                (
                    _FOUND,
                    '{"loss": loss, "perplexity": sum(map(math.exp, means)) / len(means), '
                    '"bits per byte": nats / math.log(2) / text}',
                ),
            ),
        ),
        Misconception(
            "exponential-before-the-mean",
            "the exponential is taken of each token's loss, and the mean of those is reported as the perplexity",
            edits=(
                (_FIRST, "nats, tokens, text, e = 0.0, 0, 0, 0.0"),
                (
                    _ADD,
                    "nats += losses[counted].double().sum().item()\n        e += "
                    "losses[counted].double().exp().sum().item()",
                ),
                (_FOUND, '{"loss": loss, "perplexity": e / tokens, "bits per byte": nats / math.log(2) / text}'),
            ),
        ),
        Misconception(
            "padding-in-the-mean",
            "ignored places count among the tokens",
            edits=(("tokens += counted.sum().item()", "tokens += counted.numel()"),),
        ),
        Misconception(
            "ignored-losses-summed",
            "whatever stands at ignored places is added to the losses",
            edits=((_ADD, "nats += losses.double().sum().item()"),),
        ),
        Misconception(
            "ignored-times-zero",
            "the losses at ignored places are multiplied by 0, and 0 times NaN is NaN",
            edits=((_ADD, "nats += (losses * counted).double().sum().item()"),),
        ),
        Misconception(
            "bits-per-token",
            "bits per token are reported: the text's length in bytes does not come in",
            edits=((_FOUND, '{"loss": loss, "perplexity": math.exp(loss), "bits per byte": loss / math.log(2)}'),),
        ),
        Misconception(
            "nats-per-byte",
            "nats per byte are reported: the factor log 2 is missing",
            edits=((_FOUND, '{"loss": loss, "perplexity": math.exp(loss), "bits per byte": nats / text}'),),
        ),
        Misconception(
            "times-log-2",
            "nats are multiplied by log 2 to make bits of them: a bit is smaller than a nat, so there are more of them",
            edits=(
                (_FOUND, '{"loss": loss, "perplexity": math.exp(loss), "bits per byte": nats * math.log(2) / text}'),
            ),
        ),
        Misconception(
            "mean-bytes-of-the-vocabulary",
            "the mean length is taken over the vocabulary instead of over the text's tokens",
            edits=(
                (
                    "text += bytes_of[targets[counted]].sum().item()",
                    "text += bytes_of.double().mean().item() * counted.sum().item()",
                ),
            ),
        ),
        Misconception(
            "padding-has-bytes",
            "each ignored place adds the bytes of token 0 to the text's length",
            edits=(
                (
                    "text += bytes_of[targets[counted]].sum().item()",
                    "text += bytes_of[targets.clamp(min=0)].sum().item()",
                ),
            ),
        ),
        Misconception(
            "two-to-the-nats",
            "perplexity is computed as 2 to the power of a loss in nats",
            edits=((_FOUND, '{"loss": loss, "perplexity": 2**loss, "bits per byte": nats / math.log(2) / text}'),),
        ),
        Misconception(
            "nothing-raises",
            "nothing was counted and is divided by all the same, which raises an error",
            edits=(("    if not tokens:", "    if tokens is None:"),),
        ),
        Misconception(
            "mean-of-the-batches-lengths",
            "the bytes a token are averaged over the batches, instead of all bytes being summed",
            edits=(
                (_FIRST, "nats, tokens, text, lengths = 0.0, 0, 0, []"),
                (
                    _ADD,
                    f"{_ADD}\n        lengths += [bytes_of[targets[counted]].double().mean().item()] "
                    "if counted.any() else []",
                ),
                (
                    _FOUND,
                    _FOUND.replace("nats / math.log(2) / text", "loss / math.log(2) / (sum(lengths) / len(lengths))"),
                ),
            ),
        ),
        Misconception(
            "nothing-is-zero",
            "0 is reported where nothing was counted: the best loss that there is",
            edits=(
                (
                    '{"loss": math.nan, "perplexity": math.nan, "bits per byte": math.nan}',
                    '{"loss": 0.0, "perplexity": 1.0, "bits per byte": 0.0}',
                ),
            ),
        ),
        Misconception(
            "last-batch-only",
            "the sums begin anew with every batch: only the last one is reported",
            edits=((_ADD, "nats, tokens, text = 0.0, 0, 0\n        nats += losses[counted].double().sum().item()"),),
        ),
    ),
)


def _chunked_hidden(seed):
    d = Draw(seed)
    return [
        Case("one column at a time", head_inputs(d, 6, 3, 97, 1)),
        Case("one row", head_inputs(d, 1, 4, 97, 4, ignored=0.0)),
        Case("float64", head_inputs(d, 9, 3, 65, 8, dtype=torch.float64)),
        Case("all targets ignored", head_inputs(d, 5, 3, 40, 4, ignored=1.0)),
        Case("no rows", head_inputs(d, 0, 3, 12, 4)),
        Case("very large logits", head_inputs(d, 16, 4, 130, 16, scale=1000.0)),
    ]


def _chunked_reference(i):
    x, W = i["x"].double(), i["W"].double()
    losses = []
    for row, y in zip(x, i["targets"].tolist(), strict=True):
        logits = [math.fsum((row * w).tolist()) for w in W]
        top = max(logits)
        losses.append(0.0 if y == IGNORED else top - logits[y] + math.log(math.fsum(math.exp(a - top) for a in logits)))
    outputs = {"losses": torch.tensor(losses, dtype=torch.float64).to(i["x"].dtype)}
    if i["chunk"] * 8 <= len(W):
        outputs["held N * V numbers at once"] = False
    return outputs


_FOLD = "total = torch.logaddexp(total, torch.logsumexp(logits, dim=-1))"
_HERE = "here = (targets >= start) & (targets < start + chunk)"
_PICK = "picked[here] = logits[here, targets[here] - start]"
chunked_losses = Answer(
    name="chunked_losses",
    reference=_chunked_reference,
    hidden=_chunked_hidden,
    misconceptions=(
        Misconception(
            "all-at-once",
            "all logits are held at once: computed in one product, or kept piece by piece and put together at the end",
            code="def chunked_losses(x, W, targets, chunk):\n"
            "    logits = x @ W.T\n"
            "    picked = logits.gather(-1, targets.clamp(min=0)[:, None]).squeeze(-1)\n"
            "    return torch.where(targets != IGNORED, torch.logsumexp(logits, dim=-1) - picked, 0.0)\n",
        ),
        Misconception(
            "logarithms-added",
            "the pieces' log-sum-exps are added up: that multiplies the sums",
            edits=(
                ("total = x.new_full((len(x),), -math.inf)", "total = x.new_zeros(len(x))"),
                (_FOLD, "total = total + torch.logsumexp(logits, dim=-1)"),
            ),
        ),
        Misconception(
            "started-at-zero",
            "the running log-sum-exp starts at 0, which is the log-sum-exp of one logit of 0, not of none",
            edits=(("total = x.new_full((len(x),), -math.inf)", "total = x.new_zeros(len(x))"),),
        ),
        Misconception(
            "largest-piece-alone",
            "the largest of the pieces' log-sum-exps is taken instead of their sum",
            edits=((_FOLD, "total = torch.maximum(total, torch.logsumexp(logits, dim=-1))"),),
        ),
        Misconception(
            "last-piece-alone",
            "each piece's log-sum-exp replaces the one before",
            edits=((_FOLD, "total = torch.logsumexp(logits, dim=-1)"),),
        ),
        Misconception(
            "exponentials-summed",
            "the exponentials themselves are summed, and overflow",
            edits=(
                ("total = x.new_full((len(x),), -math.inf)", "total = x.new_zeros(len(x))"),
                (_FOLD, "total = total + logits.exp().sum(dim=-1)"),
                ("total - picked", "total.log() - picked"),
            ),
        ),
        Misconception(
            "sum-not-rescaled",
            "each piece's sum is taken relative to the largest logit so far, and the running sum is not rescaled when "
            "that rises",
            code="def chunked_losses(x, W, targets, chunk):\n"
            "    top, total = x.new_full((len(x),), -math.inf), x.new_zeros(len(x))\n"
            "    picked = x.new_zeros(len(x))\n"
            "    for start in range(0, len(W), chunk):\n"
            "        logits = x @ W[start : start + chunk].T\n"
            "        top = torch.maximum(top, logits.amax(dim=-1))\n"
            "        total = total + (logits - top[:, None]).exp().sum(dim=-1)\n"
            "        here = (targets >= start) & (targets < start + chunk)\n"
            "        picked[here] = logits[here, targets[here] - start]\n"
            "    return torch.where(targets != IGNORED, top + total.log() - picked, 0.0)\n",
        ),
        Misconception(
            "narrow-piece-dropped",
            "the last piece is left out where it is narrower than the others",
            edits=(("range(0, len(W), chunk)", "range(0, len(W) - chunk + 1, chunk)"),),
        ),
        Misconception(
            "column-not-moved",
            "the target is looked up at its own number instead of its column in the piece",
            edits=((_PICK, "picked[here] = logits[here, targets[here]]"),),
        ),
        Misconception(
            "ends-left-out",
            "a target in the first column of a piece is not found",
            edits=((_HERE, "here = (targets > start) & (targets < start + chunk)"),),
        ),
        Misconception(
            "ignored-counted",
            "an ignored row gets the log-sum-exp as its loss instead of 0",
            edits=(("torch.where(targets != IGNORED, total - picked, 0.0)", "total - picked"),),
        ),
    ),
)
