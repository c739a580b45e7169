"""Lab 4.1, the student's half: how the loss, its gradient, smoothing, the report and the loss in pieces are driven."""

import torch

from autograder.acting import WrongType
from autograder.cases import Draw
from autograder.driving import gradient
from autograder.exercise import Case, Exercise
from source.training.live_memory import peak_bytes

IGNORED = -100
_OWN = "source.training.losses."
_WHOLE = ("cross_entropy", "nll_loss")
_MINE = tuple(
    _OWN + name
    for name in ("token_losses", "token_losses_naive", "cross_entropy", "chunked_losses", "chunked_cross_entropy")
)


def _tensor(value, what):
    if not isinstance(value, torch.Tensor):
        raise WrongType(f"your function returned a {type(value).__name__}, not {what}")
    return value


def loss_inputs(
    d: Draw, *shape: int, ignored: float = 0.0, scale: float = 2.0, dtype: torch.dtype = torch.float32, **more
) -> dict[str, object]:
    """Logits of the given shape, the last dimension V; targets, some of them ignored; a gradient to send back."""
    targets = d.integers(0, shape[-1], *shape[:-1])
    targets[d.chance(ignored, 1, *shape[:-1])[0]] = IGNORED
    logits = d.normal(*shape, scale=scale, dtype=dtype)
    return {"logits": logits, "targets": targets, "upstream": d.normal(*shape[:-1]), **more}


def ruled_out(d: Draw, V: int) -> dict[str, object]:
    """Some logits are minus infinity, that of token 0 in a row which does not count among them."""
    inputs = loss_inputs(d, 4, V)
    inputs["targets"] = torch.tensor([1, IGNORED, V - 1, 2])
    for row, token in ((0, 0), (0, 3), (1, 0), (2, 1), (3, V - 1)):
        inputs["logits"][row, token] = -torch.inf
    return inputs


def _losses_cases():
    d = Draw(4101)
    by_hand = torch.tensor([[0.0, 0.0], [3.0, 1.0], [5.0, 7.0]]).log()
    apart = torch.tensor([[1000.0, 999.0, 0.0], [0.0, 1.0, -1.0], [-1000.0, -1001.0, -1000.0]])
    return [
        Case(
            "probabilities 1/2 and 1/4, and an ignored one",
            {
                "logits": by_hand.nan_to_num(neginf=0.0),
                "targets": torch.tensor([0, 1, IGNORED]),
                "upstream": torch.ones(3),
            },
        ),
        Case("two sequences, some targets ignored", loss_inputs(d, 2, 6, 7, ignored=0.4)),
        Case(
            "large and small rows side by side",
            {"logits": apart, "targets": torch.tensor([1, 0, 1]), "upstream": d.normal(3)},
        ),
        Case(
            "certain of something else",
            {
                "logits": torch.tensor([[0.0, 200.0, -300.0], [30.0, 0.0, 0.0], [0.0, 110.0, 1.0]]),
                "targets": torch.tensor([0, 1, 2]),
                "upstream": d.normal(3),
            },
        ),
        Case("tokens that are ruled out", ruled_out(d, 5)),
        Case("bfloat16", loss_inputs(d, 5, 9, dtype=torch.bfloat16) | {"upstream": None}),
        Case("float64 logits", loss_inputs(d, 3, 4, dtype=torch.float64)),
    ]


def _losses_act(f, i):
    logits = i["logits"].detach().requires_grad_(i["upstream"] is not None)
    # A copy: what writes into a leaf gets an error of autograd's instead of a verdict.
    losses = _tensor(f(logits.clone() if logits.requires_grad else logits, i["targets"]), "a tensor of losses")
    outputs = {"losses": losses}
    if i["upstream"] is not None and losses.shape == i["targets"].shape:
        if losses.requires_grad:
            losses.backward(i["upstream"].to(losses.dtype))
        outputs["gradient of the logits"] = gradient(logits)
    return outputs


token_losses = Exercise(
    name="token_losses",
    title="The loss of a token",
    minutes=15,
    difficulty=2,
    points=4,
    act=_losses_act,
    visible=_losses_cases,
    shapes={"losses": "(...)", "gradient of the logits": "(..., V)"},
    forbids=(
        *_WHOLE,
        "log_softmax",
        "softmax",
        "logsumexp",
        "logcumsumexp",
        *_MINE,
        _OWN + "log_probabilities",
        "source.models.window_table.weighted_loss",
    ),
    hints=(
        "Take each row's largest logit away from the row: what happens to the loss? Then look for the logarithm of an "
        "exponential, and do not compute it.",
        "`wide.amax(dim=-1, keepdim=True)` is each row's largest. `x.gather(-1, index[..., None]).squeeze(-1)` "
        "picks one "
        "entry a row, and needs an index that exists: `targets.clamp(min=0)`. `torch.where(counted, a, 0.0)` chooses.",
        "wide = logits in float32 at least; shifted = wide - its row's largest; log_sum = log of the sum of "
        "exp(shifted); "
        "picked = shifted at the target (0 where ignored); return log_sum - picked where the target counts, else 0.",
    ),
)


def _gradient_cases():
    d = Draw(4102)
    return [
        Case(
            "two rows by hand, one ignored",
            {"logits": torch.zeros(2, 2), "targets": torch.tensor([1, IGNORED])},
        ),
        Case("two sequences, some targets ignored", _without_upstream(loss_inputs(d, 2, 5, 4, ignored=0.4))),
        Case("all targets count", _without_upstream(loss_inputs(d, 3, 2, 6))),
        Case("nothing counts", _without_upstream(loss_inputs(d, 2, 3, 4, ignored=1.0))),
        Case("tokens that are ruled out", _without_upstream(ruled_out(d, 6))),
        Case("logits around 1000", _without_upstream(loss_inputs(d, 4, 5, scale=1000.0))),
        Case("bfloat16", _without_upstream(loss_inputs(d, 3, 8, ignored=0.3, dtype=torch.bfloat16))),
    ]


def _without_upstream(inputs):
    return {name: inputs[name] for name in ("logits", "targets")}


loss_gradient = Exercise(
    name="loss_gradient",
    title="The gradient of the loss",
    minutes=12,
    difficulty=2,
    points=3,
    act=lambda f, i: {"gradient": _tensor(f(i["logits"], i["targets"]), "the gradient")},
    visible=_gradient_cases,
    shapes={"gradient": "(..., V)"},
    # One rounding at the end: the entries are below 1/4, where bfloat16's steps are 1e-3 at most.
    tolerance={"bfloat16": 1e-3},
    forbids=(*_WHOLE, "grad", "backward", *_MINE, _OWN + "cross_entropy_gradient"),
    hints=(
        "Start from the softmax. Which single entry of each row changes, and by how much? Then: which rows must "
        "be zero, "
        "and what is the number that a mean divides by?",
        "`torch.softmax(wide, dim=-1)`; `F.one_hot(targets.clamp(min=0), V)` is the truth as a row; "
        "`counted.sum().clamp(min=1)` is the divisor, and never 0.",
        "p = softmax of the logits in float32 at least; slope = p - one-hot of the target; zero where the target is "
        "ignored; divide by the number of counted targets, at least 1; return it in the logits' dtype.",
    ),
)


def _smoothed_cases():
    d = Draw(4103)
    by_hand = torch.tensor([[0.0, 3.0]]).log().nan_to_num(neginf=0.0)
    return [
        Case(
            "probabilities 1/4 and 3/4",
            {"logits": by_hand, "targets": torch.tensor([1]), "smoothing": 0.5},
        ),
        Case("two sequences, some targets ignored", smoothed_inputs(d, 0.1, 2, 5, 4, ignored=0.4)),
        Case("three tokens, all count", smoothed_inputs(d, 0.3, 4, 3)),
        Case("no smoothing", smoothed_inputs(d, 0.0, 2, 3, 5, ignored=0.3)),
        Case("nothing counts", smoothed_inputs(d, 0.1, 2, 3, 5, ignored=1.0)),
    ]


def smoothed_inputs(d: Draw, smoothing: float, *shape: int, ignored: float = 0.0, dtype=torch.float32):
    """Logits, targets and a smoothing."""
    return _without_upstream(loss_inputs(d, *shape, ignored=ignored, dtype=dtype)) | {"smoothing": smoothing}


def _smoothed_act(f, i):
    logits = i["logits"].detach().requires_grad_()
    loss = _tensor(f(logits, i["targets"], i["smoothing"]), "a scalar tensor")
    if loss.requires_grad and loss.ndim == 0:
        loss.backward()
    return {"loss": loss, "gradient of the logits": gradient(logits)}


smoothed_cross_entropy = Exercise(
    name="smoothed_cross_entropy",
    title="Label smoothing",
    minutes=12,
    difficulty=2,
    points=3,
    act=_smoothed_act,
    visible=_smoothed_cases,
    shapes={"loss": "()", "gradient of the logits": "(..., V)"},
    forbids=(
        *_WHOLE,
        *(name for name in _MINE if name != _OWN + "token_losses"),  # step 1's stand-in
    ),
    hints=(
        "The second form of the formula has two parts, and you have the first. The second is a mean of something over "
        "the vocabulary: over all of it.",
        "`-torch.log_softmax(logits, dim=-1).mean(dim=-1)` is the loss of a target that is spread evenly. It is "
        "not 0 at "
        "an ignored place: `torch.where` makes it so.",
        "spread = the mean over V of minus the log-probabilities; losses = (1 - smoothing) * losses_of(...) + "
        "smoothing * "
        "spread; 0 where ignored; their sum divided by the number of counted targets, at least 1.",
    ),
)


def report_inputs(d: Draw, shapes: list[tuple[int, ...]], V: int = 6, ignored: float = 0.3, junk: float = 0.0):
    """Batches of losses and targets; what stands at ignored places is `junk`."""
    losses, targets = [], []
    for shape in shapes:
        target = d.integers(0, V, *shape)
        target[d.chance(ignored, *shape)] = IGNORED
        loss = d.normal(*shape).abs() * (1 + 2 * len(losses))  # later batches are harder
        losses.append(torch.where(target == IGNORED, junk, loss))
        targets.append(target)
    return {"losses": losses, "targets": targets, "bytes of": d.integers(1, 9, V)}


def _report_cases():
    d = Draw(4104)
    by_hand = {
        "losses": [torch.tensor([1.0, 1.0, 1.0]), torch.tensor([5.0])],
        "targets": [torch.tensor([0, 0, 0]), torch.tensor([1])],
        "bytes of": torch.tensor([1, 5]),
    }
    return [
        Case("three easy tokens and a hard one", by_hand),
        Case("one batch, nothing ignored", report_inputs(d, [(2, 4)], ignored=0.0)),
        Case("equal batches, nothing ignored", report_inputs(d, [(2, 4)] * 3, ignored=0.0)),
        Case("one batch, padded", report_inputs(d, [(3, 5)])),
        Case("batches of several shapes, padded", report_inputs(d, [(3, 5), (3, 7), (1, 2)])),
        Case("ignored places hold 7", report_inputs(d, [(2, 5), (2, 3)], junk=7.0)),
        Case("ignored places hold a NaN", report_inputs(d, [(2, 5), (2, 3)], junk=float("nan"))),
        Case("nothing counts", report_inputs(d, [(2, 3), (1, 2)], ignored=1.0)),
    ]


def _report_act(f, i):
    found = f(list(zip(i["losses"], i["targets"], strict=True)), i["bytes of"])
    names = ("loss", "perplexity", "bits per byte")
    if not isinstance(found, dict) or set(found) != set(names):
        raise WrongType(f"a dict with the keys {', '.join(names)} is wanted; yours: {str(found)[:200]}")
    told = {}
    for name in names:
        value = found[name]
        if isinstance(value, torch.Tensor) and value.ndim == 0:
            value = value.item()
        if not isinstance(value, float | int) or isinstance(value, bool):
            raise WrongType(f"{name} is a {type(value).__name__}, not a number")
        told[name] = float(value)
    return told


report = Exercise(
    name="report",
    title="A report that does not lie",
    minutes=18,
    difficulty=2,
    points=4,
    act=_report_act,
    visible=_report_cases,
    tolerance={"float64": 1e-5},  # sums of float32, in an order of your own
    forbids=(
        _OWN + "report",
        _OWN + "report_naive",
        _OWN + "Tally.add",
    ),
    hints=(
        "Write down, for the case with three easy tokens and a hard one, what the mean over the four is, and what the "
        "colleague's loop makes of it. Then do the same for the exponential.",
        "`losses[targets != IGNORED]` holds the counted losses, and nothing else; `bytes_of[targets[counted]]` "
        "their bytes. "
        "Sum over all batches before you divide anything. `math.exp`, `math.log(2)`, `math.nan`.",
        "nats, tokens, text = 0; for each batch: counted = target is not IGNORED; add the sum of losses there, their "
        "number, the sum of their bytes. No tokens: three NaNs. loss = nats / tokens; perplexity = exp(loss); bits per "
        "byte = nats / log 2 / text.",
    ),
)


def head_inputs(
    d: Draw, N: int, C: int, V: int, chunk: int, ignored: float = 0.2, scale: float = 1.0, dtype=torch.float32
) -> dict[str, object]:
    """Hidden states, a head, targets."""
    targets = d.integers(0, V, N)
    targets[d.chance(ignored, N)] = IGNORED
    W = d.normal(V, C, dtype=dtype, scale=scale)
    return {"x": d.normal(N, C, dtype=dtype), "W": W, "targets": targets, "chunk": chunk}


def _chunked_cases():
    d = Draw(4105)
    by_hand = {"x": torch.zeros(2, 3), "W": torch.ones(5, 3), "targets": torch.tensor([4, IGNORED]), "chunk": 2}
    edges = head_inputs(d, 16, 4, 64, 8, ignored=0.0)
    edges["targets"] = torch.tensor([0, 7, 8, 15, 16, 23, 24, 31, 32, 39, 40, 47, 48, 55, 56, 63])
    return [
        Case("five tokens by hand", by_hand),
        Case("pieces that fit", head_inputs(d, 16, 4, 96, 8)),
        Case("a last piece that is narrower", head_inputs(d, 12, 5, 101, 8)),
        Case("targets at the pieces' ends", edges),
        Case("large logits", head_inputs(d, 12, 4, 90, 9, scale=100.0)),
        Case("one piece holds everything", head_inputs(d, 3, 4, 5, 8)),
    ]


def _chunked_act(f, i):
    x, W, found = i["x"], i["W"], []
    with torch.no_grad():
        peak = peak_bytes(lambda: found.append(f(x, W, i["targets"], i["chunk"])))
    outputs = {"losses": _tensor(found[0], "a tensor of losses")}
    if i["chunk"] * 8 <= len(W):  # where pieces are small enough to tell
        outputs["held N * V numbers at once"] = peak >= len(x) * len(W) * x.element_size()
    return outputs


chunked_losses = Exercise(
    name="chunked_losses",
    title="A vocabulary in pieces",
    minutes=18,
    difficulty=3,
    points=4,
    act=_chunked_act,
    visible=_chunked_cases,
    shapes={"losses": "(N,)"},
    forbids=(*_WHOLE, *_MINE),
    hints=(
        "Three things are all that a piece leaves behind: the running log-sum-exp, the target's logit where the target "
        "lies in the piece, and nothing else. What is the log-sum-exp of no logits at all?",
        "`W[start : start + chunk]` is narrower at the end by itself. `torch.logaddexp(total, torch.logsumexp(logits, "
        "dim=-1))` folds a piece in. `here = (targets >= start) & (targets < start + chunk)` marks the rows "
        "whose target "
        "lies in the piece, at column `targets[here] - start`.",
        "total = N times -inf; picked = N zeros; for start in steps of chunk: logits = x times the piece's rows; fold "
        "them into total; picked where the target lies here = its logit; return total - picked where the target "
        "counts, "
        "else 0.",
    ),
)
