"""Lab 4.3, the student's half: how a step, a schedule, clipping, accumulation and a test of resuming are driven."""

import torch
from torch import nn

from autograder.acting import WrongType
from autograder.cases import Draw
from autograder.driving import gradient
from autograder.exercise import Case, Exercise
from source.training.resuming import SmallRun, load, save


def adamw_inputs(
    d: Draw, shape: tuple[int, ...], steps: int, dtype: torch.dtype = torch.float64, scale: float = 1.0, **more
) -> dict[str, object]:
    """A tensor and a gradient for each of some steps, with a rate for each."""
    return {
        "p": d.normal(*shape, dtype=dtype, scale=2.0),
        "gradients": [d.normal(*shape, dtype=dtype, scale=scale) for _ in range(steps)],
        "rates": [0.1] * steps,
        "betas": [0.9, 0.999],
        "eps": 1e-8,
        "decay": 0.0,
        **more,
    }


def _adamw_cases():
    d = Draw(4301)
    by_hand = {"p": torch.tensor([1.0]), "gradients": [torch.tensor([20.0]), torch.tensor([-20.0])]}
    return [
        Case("one weight, two steps, by hand", adamw_inputs(d, (1,), 2, rates=[0.1, 0.1]) | by_hand),
        Case("four steps without decay", adamw_inputs(d, (2, 3), 4, dtype=torch.float32)),
        Case("decay, and a rate that changes", adamw_inputs(d, (3, 2), 4, rates=[0.1, 0.4, 0.05, 0.2], decay=0.5)),
        Case("gradients as small as eps", adamw_inputs(d, (4,), 3, scale=1e-8)),
        Case("two tensors that take turns", adamw_inputs(d, (3,), 3, other=d.normal(3, dtype=torch.float64))),
        Case("a hundred steps", adamw_inputs(d, (5,), 100, betas=[0.9, 0.95], decay=0.1, rates=[0.01] * 100)),
    ]


def _adamw_act(f, i):
    told = {"betas": tuple(i["betas"]), "eps": i["eps"], "decay": i["decay"]} if i["betas"] else {}
    p = nn.Parameter(i["p"].clone())
    other = nn.Parameter(i["other"].clone()) if "other" in i else None
    state, others, weights = {}, {}, []
    for grad, rate in zip(i["gradients"], i["rates"], strict=True):
        f(p, grad, state, rate, **told)
        weights.append(p.detach().clone())
        if other is not None:
            f(other, -2 * grad, others, rate, **told)
    outputs = {"weights after each step": torch.stack(weights)}
    if other is not None:
        outputs["weights of the other tensor"] = other
    return outputs


adamw_step = Exercise(
    name="adamw_step",
    title="AdamW",
    minutes=20,
    difficulty=2,
    points=4,
    act=_adamw_act,
    visible=_adamw_cases,
    forbids=(
        "torch.optim.adam.adam",
        "source.training.adamw.adamw_step",
        "source.training.adamw.adamw_naive",
    ),
    hints=(
        "Five things happen: state on the first call, two averages, two corrections, decay, the move. Which of them "
        "change tensors that live on, and which only make numbers for this step?",
        "`m.mul_(beta).add_(grad, alpha=1 - beta)` changes m in place, `m / (1 - beta**t)` does not. "
        "`p = p - ...` only gives the name p to another tensor; `p.sub_(...)` changes the one that the model has.",
        "if state is empty: step 0, m and v zeros like p. step += 1. m, v: running averages of grad and grad * grad. "
        "m_hat, v_hat: divided by 1 - beta**step. p *= 1 - rate * decay. p -= rate * m_hat / (sqrt(v_hat) + eps).",
    ),
)


def rate_inputs(peak: float, warm_up: int, steps: int, last: float | None, asked: list[int]) -> dict[str, object]:
    """A schedule and the steps at which it is asked."""
    return {"peak": peak, "warm_up": warm_up, "steps": steps, "last": last, "asked": asked}


def _rate_cases():
    return [
        Case("six steps, by hand", rate_inputs(1.0, 2, 6, 0.5, list(range(6)))),
        Case("a hundred steps down to a tenth", rate_inputs(3e-3, 10, 100, 3e-4, [0, 4, 9, 10, 11, 30, 55, 80, 99])),
        Case("past the end", rate_inputs(1.0, 5, 25, 0.1, [24, 25, 26, 35, 45, 1000])),
        Case("no warm-up", rate_inputs(2.0, 0, 8, 0.0, list(range(9)))),
    ]


def _rate_act(f, i):
    told = {} if i["last"] is None else {"last": i["last"]}
    rates = []
    for step in i["asked"]:
        rate = f(step, i["peak"], i["warm_up"], i["steps"], **told)
        if not isinstance(rate, int | float):
            raise WrongType(f"the rate at step {step} is a {type(rate).__name__}, not a number")
        rates.append(float(rate))
    return {f"rates at steps {i['asked']}": torch.tensor(rates, dtype=torch.float64)}


learning_rate = Exercise(
    name="learning_rate",
    title="Warm-up and cosine",
    minutes=10,
    difficulty=1,
    points=3,
    act=_rate_act,
    visible=_rate_cases,
    forbids=(
        "source.training.schedules.warmup_cosine",
        "source.training.schedules.cosine_restarts",
        "source.checkpoints.plan.learning_rate",
    ),
    hints=(
        "There are three stretches: before the peak, on the way down, and after the end. Which of them divides by "
        "something that can be 0?",
        "`math.cos(math.pi * done)` goes from 1 to -1 as done goes from 0 to 1; half of one more than that goes from "
        "1 to 0.",
        "if step < warm_up: peak * (step + 1) / warm_up. if step >= steps: last. otherwise done = (step - warm_up) / "
        "(steps - warm_up), and last + (peak - last) * (1 + cos(pi * done)) / 2.",
    ),
)


def clip_inputs(gradients: list[torch.Tensor], limit: float, without: list[int] = ()) -> dict[str, object]:
    """Gradients of some parameters, and the places in between of parameters that have none."""
    return {"gradients": gradients, "limit": limit, "without": list(without)}


def _clip_cases():
    d = Draw(4303)
    by_hand = [torch.tensor([2.0, 3.0]), torch.tensor([6.0])]
    return [
        Case("three numbers to check by hand", clip_inputs(by_hand, 3.5)),
        Case("one long and two short ones", clip_inputs([5 * d.normal(4, 3), d.normal(3), 0.1 * d.normal(2)], 1.0)),
        Case("short already", clip_inputs([0.1 * d.normal(2, 3), 0.1 * d.normal(4)], 1.0)),
        Case("parameters without a gradient", clip_inputs([d.normal(3), d.normal(2, 2)], 1.0, [0, 2])),
    ]


def _clip_act(f, i):
    parameters = []
    for grad in i["gradients"]:
        parameters.append(nn.Parameter(torch.zeros_like(grad)))
        parameters[-1].grad = grad.clone()
    for place in i["without"]:
        parameters.insert(place, nn.Parameter(torch.zeros(2)))
    norm = f(parameters, i["limit"])
    outputs = {"norm before clipping": norm}
    for n, p in enumerate(parameters):
        if n not in i["without"]:
            outputs[f"gradient of parameter {n}"] = gradient(p)
    outputs["parameters without a gradient"] = sum(p.grad is None for p in parameters)
    return outputs


clip_gradients = Exercise(
    name="clip_gradients",
    title="Clip by the global norm",
    minutes=10,
    difficulty=2,
    points=3,
    act=_clip_act,
    visible=_clip_cases,
    forbids=(
        "torch.nn.utils.clip_grad.clip_grad_norm_",
        "source.training.clipping.clip_by_global_norm",
        "source.training.clipping.clip_naive",
        "source.training.clipping.global_norm",
        "source.training.loop.training_step",
    ),
    hints=(
        "How many factors are there for a whole model? And what must happen to a gradient that is short already?",
        "`g.square().sum().item()` is one tensor's share of the sum under the root; `g.mul_(factor)` shortens it in "
        "place. Skip parameters whose .grad is None.",
        "norm = root of the sum over all gradients of the sum of their squares. If norm > limit: multiply each "
        "gradient by limit / norm. Return norm.",
    ),
)


class CountedModel(nn.Module):
    """Logits from one token at a time; it counts rows, and graphs whose backward pass has not come yet."""

    def __init__(self, E: torch.Tensor, W: torch.Tensor) -> None:
        super().__init__()
        self.E, self.W = nn.Parameter(E.clone()), nn.Parameter(W.clone())
        self.rows = self.waiting = self.most_waiting = 0

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        logits = self.E[ids].tanh() @ self.W.T  # (B, T) -> (B, T, C) -> (B, T, V)
        self.rows = max(self.rows, len(ids))
        if logits.requires_grad:
            self.waiting += 1
            self.most_waiting = max(self.most_waiting, self.waiting)
            logits.register_hook(self._came_back)
        return logits

    def _came_back(self, _: torch.Tensor) -> None:
        self.waiting -= 1


def piece_inputs(
    d: Draw, lengths: list[list[int]], T: list[int], V: int = 5, C: int = 3, dtype: torch.dtype = torch.float64, **more
) -> dict[str, object]:
    """Pieces of text. lengths: for each piece, how many targets count in each of its rows. T: each piece's width."""
    ids, targets = [], []
    for rows, width in zip(lengths, T, strict=True):
        ids.append(d.integers(0, V, len(rows), width))
        counts = torch.arange(width) < torch.tensor(rows, dtype=torch.long).view(-1, 1)
        targets.append(torch.where(counts, d.integers(0, V, len(rows), width), -100))
    E, W = d.normal(V, C, dtype=dtype), d.normal(V, C, dtype=dtype)
    return {"ids": ids, "targets": targets, "E": E, "W": W, "before": None, **more}


def _accumulate_cases():
    d = Draw(4304)
    filled = piece_inputs(d, [[2, 1], [3, 3]], [3, 3])
    filled["before"] = d.normal(5, 3, dtype=torch.float64)
    return [
        Case("two full pieces", piece_inputs(d, [[4, 4], [4, 4]], [4, 4])),
        Case("pieces that count unequally many", piece_inputs(d, [[4, 4, 3], [1], [2, 1]], [4, 4, 2])),
        Case("a piece in which nothing counts", piece_inputs(d, [[3, 2], [0, 0], [1, 3]], [3, 3, 3])),
        Case("something in .grad already", filled),
    ]


def _accumulate_act(f, i):
    model = CountedModel(i["E"], i["W"])
    if i["before"] is not None:
        model.E.grad = i["before"].clone()
    loss = f(model, list(zip(i["ids"], i["targets"], strict=True)))
    return {
        "loss": loss,
        "gradient of E": gradient(model.E),
        "gradient of W": gradient(model.W),
        "pieces in memory at a time": int(model.most_waiting),
        "rows of the largest forward pass": int(model.rows),
    }


accumulate = Exercise(
    name="accumulate",
    title="Accumulate gradients",
    minutes=15,
    difficulty=2,
    points=4,
    act=_accumulate_act,
    visible=_accumulate_cases,
    forbids=(
        "source.training.accumulation.accumulate",
        "source.training.accumulation.accumulate_naive",
        "source.training.loop.training_step",
    ),
    hints=(
        "A sum of losses can be put together from pieces; a mean cannot. What is the one number that all pieces are "
        "divided by, and when can you know it?",
        '`F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum")` leaves out targets of -100 by '
        "itself. `backward()` adds to .grad and frees the piece's graph.",
        "counted = number of targets that are not -100, in all pieces. If 0: return 0.0. For each piece: loss = summed "
        "cross entropy / counted; loss.backward(); total += loss.item(). Return total.",
    ),
)


def _resume_cases():
    return [
        Case("optimizer and step", resume_inputs(0, 4, ["none", "optimizer forgotten", "step forgotten"])),
        Case(
            "what is neither weight nor average", resume_inputs(0, 4, ["buffers forgotten", "random state forgotten"])
        ),
        Case("the data's order", resume_inputs(0, 6, ["place in the data forgotten", "epoch forgotten", "none"])),
        Case("almost right", resume_inputs(0, 6, ["weights rounded", "saved by reference"])),
        Case(
            "saving and loading do too much",
            resume_inputs(
                0, 5, ["saving turns dropout off", "loading turns dropout off", "saving draws a random number"]
            ),
        ),
    ]


def resume_inputs(seed: int, steps: int, faults: list[str]) -> dict[str, object]:
    """Runs of some steps, each saved with one fault."""
    return {"seed": seed, "steps": steps, "faults": faults}


def _resume_act(f, i):
    outputs = {}
    for fault in i["faults"]:
        torch.manual_seed(7)
        found = f(lambda: SmallRun(i["seed"]), lambda run, fault=fault: save(run, fault), load, i["steps"])
        outputs[f"a run saved with fault '{fault}' resumes exactly"] = found
    return outputs


resumes_exactly = Exercise(
    name="resumes_exactly",
    title="A test of resuming",
    minutes=20,
    difficulty=3,
    points=5,
    act=_resume_act,
    visible=_resume_cases,
    forbids=("source.training.resuming.resumes_exactly",),
    hints=(
        "There are three runs for each place of the save: one left in peace, the one that was saved and trains on, and "
        "the one that was loaded. Which of them have to agree, and in what order do they train?",
        "`torch.equal` compares bits; `run.model.state_dict()` has the buffers too. `torch.manual_seed(...)` puts the "
        "generator somewhere else, as another process would.",
        "whole = start(), trained for all steps. For each cut from 0 to steps: first = start(); train cut steps; "
        "saved = save(first); train first to the end; move the generator; second = load(saved); train it to the end; "
        "if first or second differ from whole anywhere in state_dict: False. At the end: True.",
    ),
)
