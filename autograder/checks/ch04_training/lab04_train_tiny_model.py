"""Lab 4.4, the student's half: how groups, a training step, a held-out loss and sampling are driven."""

import numpy as np
import torch
from torch import nn

from autograder.acting import WrongType
from autograder.cases import Draw
from autograder.driving import gradient
from autograder.exercise import Case, Exercise, Property


class _Kinds(nn.Module):
    # A model of parts named by kind, only to have parameters.
    def __init__(self, kinds: list[str]) -> None:
        super().__init__()
        for n, kind in enumerate(kinds):
            part: nn.Module | nn.Parameter = {
                "linear": lambda: nn.Linear(3, 2),
                "frozen linear": lambda: nn.Linear(2, 3).requires_grad_(False),
                "embedding": lambda: nn.Embedding(4, 3),
                "norm": lambda: nn.LayerNorm(3),
                "number": lambda: nn.Parameter(torch.zeros(())),
                "stack of matrices": lambda: nn.Parameter(torch.zeros(2, 3, 3)),
                "row": lambda: nn.Parameter(torch.zeros(1, 3)),
                "head of the embedding": lambda: nn.Linear(3, 4, bias=False),
                "gain called bias": lambda: nn.Parameter(torch.ones(3)),
                "matrix called bias": lambda: nn.Parameter(torch.ones(2, 2)),
            }[kind]()
            if kind == "head of the embedding":  # the same tensor, used twice
                part.weight = next(m for m in self.modules() if isinstance(m, nn.Embedding)).weight
            setattr(self, f"bias{n}" if kind.endswith("called bias") else f"part{n}", part)


def _groups_cases():
    return [
        Case("a linear map and a norm", {"kinds": ["linear", "norm"], "decay": 0.1}),
        Case(
            "an embedding that is the head too", {"kinds": ["embedding", "norm", "head of the embedding"], "decay": 0.5}
        ),
        Case("frozen parts", {"kinds": ["frozen linear", "linear", "number"], "decay": 0.1}),
        Case("misleading names", {"kinds": ["matrix called bias", "gain called bias", "linear"], "decay": 0.01}),
    ]


def _groups_act(f, i):
    model = _Kinds(i["kinds"])
    names = {id(p): name for name, p in model.named_parameters()}
    groups = f(model, i["decay"])
    if not isinstance(groups, list) or len(groups) != 2 or not all(isinstance(group, dict) for group in groups):
        raise WrongType("your function has to return a list of two dicts")
    outputs = {}
    for group, what in zip(groups, ("decays", "does not decay"), strict=True):
        if set(group) != {"params", "weight_decay"}:
            raise WrongType(f'a group has the keys {sorted(group)}, not "params" and "weight_decay"')
        members = list(group["params"])
        outputs[f"what {what}"] = [names.get(id(p), "a tensor that the model does not have") for p in members]
        outputs[f"weight decay of what {what}"] = float(group["weight_decay"])
    return outputs


decay_groups = Exercise(
    name="decay_groups",
    title="What decays",
    minutes=7,
    difficulty=1,
    points=2,
    act=_groups_act,
    visible=_groups_cases,
    forbids=("source.training.adamw.decay_groups", "source.training.recipe.optimizer"),
    hints=(
        "What can you ask a tensor that tells a matrix from a vector, whatever it is called?",
        "`p.ndim` and `p.requires_grad`. `model.parameters()` gives a tensor that is used twice only once; walking "
        "through `model.modules()` does not.",
        "trained = the parameters that require gradients. First group: those with ndim >= 2 and the decay. Second: the "
        "others, and 0.0.",
    ),
)


class Bigram(nn.Module):
    """Logits from the last token alone, through a hidden layer: ids (B, T) -> (B, T, V). Dropout where told."""

    def __init__(self, state: dict[str, torch.Tensor], dropout: float = 0.0) -> None:
        super().__init__()
        self.E, self.W, self.b = (nn.Parameter(state[name].clone()) for name in ("E", "W", "b"))
        self.dropout = nn.Dropout(dropout)
        self.forwards: list[tuple[int, bool, bool]] = []  # rows, training, whether a graph was built

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        logits = self.dropout(self.E[ids].tanh()) @ self.W.T + self.b
        self.forwards.append((len(ids), self.training, logits.requires_grad))
        return logits


def bigram_state(d: Draw, V: int = 4, C: int = 3, dtype: torch.dtype = torch.float64) -> dict[str, torch.Tensor]:
    """Random weights of a Bigram."""
    return {"E": d.normal(V, C, dtype=dtype), "W": d.normal(V, C, dtype=dtype), "b": d.normal(V, dtype=dtype)}


def step_inputs(d: Draw, sizes: list[list[int]], optimizer: str = "sgd", **more) -> dict[str, object]:
    """Steps of training. sizes: for each step, how many targets count in each of its pieces (rows of 4)."""
    steps = []
    for pieces in sizes:
        ids = [d.integers(0, 4, 2, 4) for _ in pieces]
        counts = [torch.arange(8).view(2, 4) < n for n in pieces]
        targets = [torch.where(c, d.integers(0, 4, 2, 4), -100) for c in counts]
        steps.append({f"{name} {n}": t for name, ts in (("ids", ids), ("targets", targets)) for n, t in enumerate(ts)})
    return {
        "state": bigram_state(d),
        "steps": steps,
        "rates": [0.5 - 0.1 * n for n in range(len(sizes))],
        "limit": 100.0,
        "optimizer": optimizer,
        "scale": 1.0,
        **more,
    }


def _step_cases():
    d = Draw(4402)
    poisoned = step_inputs(d, [[8], [8]])
    poisoned["state"]["b"][1] = float("nan")
    return [
        Case("three steps, each with another rate", step_inputs(d, [[8], [8], [8]])),
        Case("a gradient that is too long", step_inputs(d, [[8], [8]], limit=0.1)),
        Case("two groups, one with a scale", step_inputs(d, [[8], [8]], scale=0.25)),
        Case("pieces that count unequally many", step_inputs(d, [[8, 1], [2, 7, 3]], limit=0.5)),
        Case("AdamW, and a gradient left over", step_inputs(d, [[6], [8]], "adamw", left=d.normal(4, 3).double())),
        Case("a weight that is NaN", poisoned),
    ]


def _step_act(f, i):
    model = Bigram(i["state"])
    vectors = {"params": [model.b]} | ({"scale": i["scale"]} if i["scale"] != 1.0 else {})
    groups = [{"params": [model.E, model.W]}, vectors]
    kind = {"sgd": torch.optim.SGD, "adamw": torch.optim.AdamW}[i["optimizer"]]
    optimizer = kind(groups, lr=77.0)
    if "left" in i:
        model.E.grad = i["left"].clone()
    losses, norms, raised = [], [], []
    for step, rate in zip(i["steps"], i["rates"], strict=True):
        pieces = [(step[f"ids {n}"], step[f"targets {n}"]) for n in range(len(step) // 2)]
        try:
            result = f(model, optimizer, pieces, rate, i["limit"])
        except FloatingPointError:
            raised.append(True)
            continue
        raised.append(False)
        if not (isinstance(result, tuple) and len(result) == 2):
            raise WrongType(f"your function returned a {type(result).__name__}, not the pair (loss, norm)")
        losses.append(result[0])
        norms.append(result[1])
    for name, values in (("loss", losses), ("norm", norms)):
        for value in values:
            if not isinstance(value, int | float):
                raise WrongType(f"the {name} is a {type(value).__name__}, not a number")
    return {
        "losses": torch.tensor(losses, dtype=torch.float64),
        "norms before clipping": torch.tensor(norms, dtype=torch.float64),
        "steps that raised FloatingPointError": raised,
        "E afterwards": model.E,
        "W afterwards": model.W,
        "b afterwards": model.b,
    }


training_step = Exercise(
    name="training_step",
    title="One step",
    minutes=15,
    difficulty=2,
    points=4,
    act=_step_act,
    visible=_step_cases,
    forbids=(
        "source.training.loop.training_step",
        "source.training.loop.train",
    ),
    hints=(
        "Say the six lines aloud in order. What would happen if two neighbours changed places?",
        "`for group in optimizer.param_groups: group['lr'] = ...`; `group.get('scale', 1.0)`; "
        "`math.isfinite(x)`; the parameters are in the groups' 'params'.",
        "set the rates; optimizer.zero_grad(); loss = accumulate(...); norm = clip_gradients(all parameters of all "
        "groups, limit); if one of the two is not finite: raise FloatingPointError; optimizer.step(); return both.",
    ),
)


def validation_inputs(d: Draw, N: int, T: int, batch: int | None, **more) -> dict[str, object]:
    """A text of N tokens, cut into windows of T, batch at a time."""
    return {
        "state": bigram_state(d),
        "ids": d.integers(0, 4, N),
        "T": T,
        "batch": batch,
        "dropout": 0.0,
        "training": True,
        **more,
    }


def _validation_cases():
    d = Draw(4403)
    return [
        Case("four windows, two at a time", validation_inputs(d, 13, 3, 2)),
        Case("a last batch of one window", validation_inputs(d, 22, 3, 3)),
        Case("a text with tokens left over", validation_inputs(d, 20, 6, 2)),
        Case("a model with dropout, in training", validation_inputs(d, 13, 4, 2, dropout=0.5)),
        Case("a model in eval mode", validation_inputs(d, 9, 2, 8, training=False)),
    ]


def _validation_act(f, i):
    torch.manual_seed(5)
    model = Bigram(i["state"], i["dropout"])
    model.train(i["training"])
    told = {} if i["batch"] is None else {"batch": i["batch"]}
    loss = f(model, i["ids"], i["T"], **told)
    return {
        "loss": loss,
        "in training mode afterwards": model.training,
        "dropout on while measuring": any(training for _, training, _ in model.forwards),
        "a graph was built": any(graph for _, _, graph in model.forwards),
        "at most `batch` windows at a time": all(rows <= (i["batch"] or 32) for rows, _, _ in model.forwards),
        "something in .grad": bool(gradient(model.E).abs().sum() > 0),
    }


validation_loss = Exercise(
    name="validation_loss",
    title="The loss on held-out text",
    minutes=12,
    difficulty=2,
    points=3,
    act=_validation_act,
    visible=_validation_cases,
    forbids=(
        "source.training.evaluation.validation_loss",
        "source.training.evaluation.validation_loss_naive",
        "source.training.evaluation.measuring",
        "source.checkpoints.measuring.validation_loss",
    ),
    hints=(
        "How many tokens does each batch have, and the last one? And in which mode was the model when it came to you?",
        "`inputs.split(batch)` cuts (n, T) into pieces of at most `batch` rows; `reduction='sum'` adds up; "
        "`model.training` tells the mode, `model.train(mode)` sets it; `torch.no_grad()` builds no graph.",
        "inputs, targets = windows(ids, T); remember model.training; model.eval(); under no_grad add up the summed "
        "cross entropies of all pieces; model.train(as before); divide by targets.numel().",
    ),
)


class WindowModel(nn.Module):
    """Deterministic but for its size: the next token follows from the sum of all ids it sees. It refuses long input."""

    def __init__(self, V: int, context: int, table: torch.Tensor | None = None) -> None:
        super().__init__()
        self.V, self.context = V, context
        self.table = None if table is None else nn.Parameter(table.clone())
        self.lengths: list[int] = []
        self.graph = False

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        if ids.shape[1] > self.context:
            raise ValueError(f"{ids.shape[1]} tokens are too many: this model has positions for {self.context}")
        self.lengths.append(ids.shape[1])
        if self.table is not None:
            logits = self.table[ids]  # (B, T, V): from the last token alone
            self.graph = self.graph or logits.requires_grad
            return logits
        sums = ids.cumsum(1) % self.V  # (B, T)
        return 60.0 * torch.nn.functional.one_hot(sums, self.V).float()


def sample_inputs(ids: torch.Tensor, n: int, context: int, temperature: float, V: int = 5, **more) -> dict[str, object]:
    """What to continue, how far, at which temperature. table: logits (V, V) of the next token, by the last one."""
    return {"ids": ids, "n": n, "context": context, "temperature": temperature, "V": V, "table": None, **more}


def many(table: torch.Tensor, temperature: float | None, rows: int = 3000) -> dict[str, object]:
    """Many rows that begin with token 0, two tokens each: enough to count."""
    return sample_inputs(torch.zeros(rows, 1, dtype=torch.long), 2, 4, temperature, V=len(table), table=table)


def _sample_cases():
    d = Draw(4404)
    table = torch.tensor([[0.0, 1.0, 2.0], [2.0, 0.0, 0.0], [0.0, -1.0, 1.0]])
    return [
        Case("each token follows from those before", sample_inputs(torch.tensor([[1, 2], [3, 3]]), 6, 50, 1.0)),
        Case("longer than the context", sample_inputs(d.integers(0, 5, 2, 7), 6, 4, 1.0)),
        Case("temperature 0", sample_inputs(torch.tensor([[0], [1], [2]]), 5, 4, 0.0, V=3, table=table)),
        Case("temperature 1, counted", many(table, 1.0)),
        Case("temperature 2, counted", many(table, 2.0)),
        Case("temperature one half, counted", many(table, 0.5)),
    ]


def _sample_act(f, i):
    torch.manual_seed(5)
    model = WindowModel(i["V"], i["context"], i["table"])
    told = {} if i["temperature"] is None else {"temperature": i["temperature"]}
    outs = [
        f(model, i["ids"], i["n"], i["context"], generator=torch.Generator().manual_seed(seed), **told)
        for seed in (3, 3, 4)
    ]
    out = outs[0]
    if not isinstance(out, torch.Tensor):
        raise WrongType(f"your function returned a {type(out).__name__}, not a tensor")
    certain = i["table"] is None or i["temperature"] == 0
    outputs = {"ids": out} if certain else {"tokens drawn": out, "the same seed draws the same": torch.equal(*outs[:2])}
    outputs["a graph was built"] = model.graph
    if i["table"] is None:
        outputs["longest input of the model"] = max(model.lengths, default=0)
    return outputs


def _counts(inputs, outputs):
    if "tokens drawn" not in outputs:
        return None
    drawn, ids, n = outputs["tokens drawn"], inputs["ids"].numpy(), inputs["n"]
    if drawn.shape != (ids.shape[0], ids.shape[1] + n) or drawn.dtype.kind != "i":
        return f"expected integers of shape {(ids.shape[0], ids.shape[1] + n)}, yours are {drawn.dtype}, {drawn.shape}"
    if not (drawn[:, : ids.shape[1]] == ids).all():
        return "it does not begin with the ids that were given"
    if drawn.min() < 0 or drawn.max() >= inputs["V"]:
        return f"it holds ids outside of 0 to {inputs['V'] - 1}"
    temperature = 1.0 if inputs["temperature"] is None else inputs["temperature"]
    table = inputs["table"].double().numpy() / temperature
    p = np.exp(table - table.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    for place in range(ids.shape[1], ids.shape[1] + n):
        for last in range(inputs["V"]):
            after = drawn[drawn[:, place - 1] == last, place]
            for token in range(inputs["V"]):
                expected, spread = (
                    len(after) * p[last, token],
                    np.sqrt(len(after) * p[last, token] * (1 - p[last, token])),
                )
                found = int((after == token).sum())
                if abs(found - expected) > 5.5 * spread + 1:  # by chance less often than once in a million
                    return (
                        f"after token {last}, token {token} was drawn {found} times out of {len(after)}, "
                        f"expected about {expected:.0f}"
                    )
    return None


sample = Exercise(
    name="sample",
    title="Let it write",
    minutes=12,
    difficulty=2,
    points=3,
    act=_sample_act,
    visible=_sample_cases,
    properties=(Property("each token is drawn with its probability at this temperature", _counts),),
    forbids=("source.training.evaluation.sample", "source.checkpoints.measuring.sample"),
    hints=(
        "The model answers for every position. Which position's answer do you need, and what of the text may it see?",
        "`ids[:, -context:]`, then `[:, -1]` of the logits; `torch.multinomial(p, 1, generator=generator)` gives "
        "(B, 1), which `torch.cat([ids, drawn], dim=1)` appends.",
        "n times: logits = the model on the last `context` ids, last position; at temperature 0 the argmax, otherwise "
        "a draw from softmax(logits / temperature); append. Return ids.",
    ),
)
