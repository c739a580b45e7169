"""Lab 4.4, the instructor's half: references written out by hand, hidden cases from a seed, misconceptions."""

import math

import torch

from autograder.cases import Draw
from autograder.checks.ch04_training.lab04_train_tiny_model import (
    many,
    sample_inputs,
    step_inputs,
    validation_inputs,
)
from autograder.exercise import Answer, Case, Misconception


def _groups_hidden(seed):
    rng = Draw(seed).rng
    kinds = ["linear", "norm", "number", "stack of matrices", "embedding", "row", "frozen linear", "gain called bias"]
    some = [kinds[n] for n in rng.permutation(len(kinds))]
    decay = float(rng.uniform(0.01, 1.0))
    return [
        Case("some parts", {"kinds": some, "decay": decay}),
        Case("nothing that decays", {"kinds": ["norm", "number"], "decay": decay}),
        Case("nothing but matrices", {"kinds": ["stack of matrices", "matrix called bias", "row"], "decay": decay}),
        Case("everything frozen", {"kinds": ["frozen linear", "frozen linear"], "decay": decay}),
        Case("used twice, and a row", {"kinds": ["row", "embedding", "head of the embedding", "norm"], "decay": decay}),
        Case("no parameters", {"kinds": [], "decay": decay}),
    ]


# Each kind's parameters: name and whether it decays.
_MEMBERS = {
    "linear": ((".weight", True), (".bias", False)),
    "frozen linear": (),
    "embedding": ((".weight", True),),
    "norm": ((".weight", False), (".bias", False)),
    "number": (("", False),),
    "stack of matrices": (("", True),),
    "row": (("", True),),
    "head of the embedding": (),
    "gain called bias": (("", False),),
    "matrix called bias": (("", True),),
}


def _groups_reference(i):
    # model.parameters() gives a module's own tensors first, then those of its parts.
    names = {True: [], False: []}
    order = sorted(enumerate(i["kinds"]), key=lambda at: not any(name == "" for name, _ in _MEMBERS[at[1]]))
    for n, kind in order:
        for name, decays in _MEMBERS[kind]:
            names[decays].append(f"bias{n}" if kind.endswith("called bias") else f"part{n}{name}")
    return {
        "what decays": names[True],
        "weight decay of what decays": i["decay"],
        "what does not decay": names[False],
        "weight decay of what does not decay": 0.0,
    }


_TRAINED = "trained = [p for p in model.parameters() if p.requires_grad]"
decay_groups = Answer(
    name="decay_groups",
    reference=_groups_reference,
    hidden=_groups_hidden,
    misconceptions=(
        Misconception(
            "by-the-name-bias",
            "the groups go by whether a name ends in bias, so that the gains of norms decay",
            code="def decay_groups(model, decay):\n"
            "    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]\n"
            "    return [\n"
            "        {'params': [p for n, p in named if 'bias' not in n], 'weight_decay': decay},\n"
            "        {'params': [p for n, p in named if 'bias' in n], 'weight_decay': 0.0},\n"
            "    ]\n",
        ),
        Misconception(
            "by-the-name-weight",
            "whatever is called weight decays, the gains of norms too, and nothing else",
            code="def decay_groups(model, decay):\n"
            "    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]\n"
            "    return [\n"
            "        {'params': [p for n, p in named if n.endswith('weight')], 'weight_decay': decay},\n"
            "        {'params': [p for n, p in named if not n.endswith('weight')], 'weight_decay': 0.0},\n"
            "    ]\n",
        ),
        Misconception(
            "swapped",
            "vectors decay and matrices do not",
            code="def decay_groups(model, decay):\n"
            "    trained = [p for p in model.parameters() if p.requires_grad]\n"
            "    return [\n"
            "        {'params': [p for p in trained if p.ndim < 2], 'weight_decay': decay},\n"
            "        {'params': [p for p in trained if p.ndim >= 2], 'weight_decay': 0.0},\n"
            "    ]\n",
        ),
        Misconception(
            "everything-decays",
            "both groups decay",
            edits=(('if p.ndim < 2], "weight_decay": 0.0', 'if p.ndim < 2], "weight_decay": decay'),),
        ),
        Misconception(
            "frozen-too",
            "frozen tensors are in the groups as well",
            edits=((_TRAINED, "trained = list(model.parameters())"),),
        ),
        Misconception(
            "module-by-module",
            "the tensors are collected from each module, so that one that is used twice is stepped twice",
            edits=(
                (
                    _TRAINED,
                    "trained = [p for m in model.modules() for p in m.parameters(recurse=False) if p.requires_grad]",
                ),
            ),
        ),
        Misconception(
            "vectors-left-out",
            "what does not decay is in no group: it is not trained at all",
            edits=(("[p for p in trained if p.ndim < 2]", "[]"),),
        ),
        Misconception(
            "two-dimensions-exactly",
            "only tensors of exactly two dimensions decay, and larger ones do not",
            edits=(("p.ndim >= 2", "p.ndim == 2"), ("p.ndim < 2", "p.ndim != 2")),
        ),
        Misconception(
            "linear-layers-only",
            "only the weights of linear layers decay, those of embeddings and bare matrices do not",
            code="def decay_groups(model, decay):\n"
            "    chosen = {id(m.weight) for m in model.modules() if isinstance(m, nn.Linear)}\n"
            "    trained = [p for p in model.parameters() if p.requires_grad]\n"
            "    return [\n"
            "        {'params': [p for p in trained if id(p) in chosen], 'weight_decay': decay},\n"
            "        {'params': [p for p in trained if id(p) not in chosen], 'weight_decay': 0.0},\n"
            "    ]\n",
        ),
    ),
)


def _step_hidden(seed):
    d = Draw(seed)
    later = step_inputs(d, [[8], [8], [8]], "adamw", scale=3.0)
    later["rates"] = [float(r) for r in d.rng.uniform(0.01, 0.3, 3)]
    poisoned = step_inputs(d, [[8, 4]])
    poisoned["state"]["E"][2, 1] = float("inf")
    poisoned["state"]["W"][0, 0] = float("nan")
    return [
        Case("AdamW, three rates, and a scale above one", later),
        Case("clipped hard", step_inputs(d, [[8, 8], [3]], limit=1e-3)),
        Case("clipped hard, AdamW", step_inputs(d, [[8], [8], [5]], "adamw", limit=0.01)),
        Case("five pieces", step_inputs(d, [[int(n) for n in d.integers(1, 9, 5)]], limit=0.3, scale=0.5)),
        Case("a rate of zero", step_inputs(d, [[8], [8]], rates=[0.0, 0.4])),
        Case("weights that are not finite", poisoned),
        Case("left over from before", step_inputs(d, [[8]], left=10 * d.normal(4, 3).double(), limit=0.2)),
    ]


def _step_reference(i):
    # Gradients by hand, updates by hand.
    w = {name: t.double().clone() for name, t in i["state"].items()}
    m = {name: torch.zeros_like(t) for name, t in w.items()}
    v = {name: torch.zeros_like(t) for name, t in w.items()}
    losses, norms, raised, t = [], [], [], 0
    for step, rate in zip(i["steps"], i["rates"], strict=True):
        grads = {name: torch.zeros_like(one) for name, one in w.items()}
        total, counted = 0.0, 0
        for n in range(len(step) // 2):
            for token, target in zip(
                step[f"ids {n}"].flatten().tolist(), step[f"targets {n}"].flatten().tolist(), strict=True
            ):
                if target == -100:
                    continue
                h = w["E"][token].tanh()
                x = w["W"] @ h + w["b"]
                p = (x - x.max()).exp()
                p = p / p.sum()
                total, counted = total - float(p[target].log()), counted + 1
                p[target] -= 1
                grads["b"] += p
                grads["W"] += torch.outer(p, h)
                grads["E"][token] += (p @ w["W"]) * (1 - h * h)
        loss = total / counted
        grads = {name: g / counted for name, g in grads.items()}
        norm = math.sqrt(sum(float((g * g).sum()) for g in grads.values()))
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raised.append(True)
            continue
        raised.append(False)
        losses.append(loss)
        norms.append(norm)
        factor, t = min(1.0, i["limit"] / norm), t + 1
        for name, g in grads.items():
            g = g * factor
            mine = rate * (i["scale"] if name == "b" else 1.0)
            if i["optimizer"] == "sgd":
                w[name] = w[name] - mine * g
                continue
            m[name] = 0.9 * m[name] + 0.1 * g
            v[name] = 0.999 * v[name] + 0.001 * g * g
            move = (m[name] / (1 - 0.9**t)) / ((v[name] / (1 - 0.999**t)).sqrt() + 1e-8)
            w[name] = w[name] * (1 - mine * 0.01) - mine * move
    return {
        "losses": torch.tensor(losses, dtype=torch.float64),
        "norms before clipping": torch.tensor(norms, dtype=torch.float64),
        "steps that raised FloatingPointError": raised,
        **{f"{name} afterwards": one for name, one in w.items()},
    }


_CLIP = '    norm = clip_gradients([p for group in optimizer.param_groups for p in group["params"]], limit)\n'
_RATE = '    for group in optimizer.param_groups:\n        group["lr"] = rate * group.get("scale", 1.0)\n'
_GUARD = (
    "    if not (math.isfinite(loss) and math.isfinite(norm)):\n"
    '        raise FloatingPointError(f"loss {loss}, norm {norm}")\n'
)
_MOVE = "    optimizer.step()\n"
training_step = Answer(
    name="training_step",
    reference=_step_reference,
    hidden=_step_hidden,
    misconceptions=(
        Misconception(
            "not-cleared",
            "the gradients of the step before are not cleared, and add up",
            edits=(("    optimizer.zero_grad()\n", ""),),
        ),
        Misconception(
            "cleared-too-late",
            "the gradients are cleared after they were computed: the step moves nothing but what decay moves",
            edits=(
                (
                    "    optimizer.zero_grad()\n    loss = accumulate(model, pieces)\n",
                    "    loss = accumulate(model, pieces)\n    optimizer.zero_grad(set_to_none=False)\n",
                ),
            ),
        ),
        Misconception(
            "cleared-at-the-end",
            "the gradients are cleared at the end of a step: what was in them before the first one stays in",
            edits=(("    optimizer.zero_grad()\n", ""), (_MOVE, _MOVE + "    optimizer.zero_grad()\n")),
        ),
        Misconception(
            "first-group-only",
            "only the first group gets the rate",
            edits=((_RATE, '    optimizer.param_groups[0]["lr"] = rate\n'),),
        ),
        Misconception(
            "scale-forgotten",
            "a group's scale is not used",
            edits=((' * group.get("scale", 1.0)', ""),),
        ),
        Misconception(
            "scale-compounded",
            "the rate that a group has already is multiplied, again at every step",
            edits=(
                (_RATE, '    for group in optimizer.param_groups:\n        group["lr"] = rate * group["lr"] / 77.0\n'),
            ),
        ),
        Misconception(
            "rate-one-step-late",
            "the rate is set after the step, so that it holds for the next one",
            edits=((_RATE, ""), (_MOVE, _MOVE + _RATE)),
        ),
        Misconception(
            "clipped-after-the-step",
            "the gradient is clipped after the weights have moved",
            edits=((_CLIP + _GUARD + _MOVE, _MOVE + _CLIP + _GUARD),),
        ),
        Misconception(
            "not-clipped",
            "the norm is measured, and the gradient is not clipped",
            edits=((_CLIP, _CLIP.replace(", limit)", ', float("inf"))')),),
        ),
        Misconception(
            "first-group-clipped",
            "only the gradients of the first group are measured and clipped",
            edits=((_CLIP, '    norm = clip_gradients(optimizer.param_groups[0]["params"], limit)\n'),),
        ),
        Misconception(
            "default-limit",
            "the limit is always 1, whatever is asked for",
            edits=((_CLIP, _CLIP.replace(", limit)", ", 1.0)")),),
        ),
        Misconception(
            "no-guard",
            "a step is taken although the loss is not finite",
            edits=((_GUARD, ""),),
        ),
        Misconception(
            "guard-behind-the-step",
            "the error is raised when the weights have moved already",
            edits=((_GUARD + _MOVE, _MOVE + _GUARD),),
        ),
        Misconception(
            "piece-by-piece",
            "a step is taken after each piece instead of once for all",
            edits=(
                (
                    "    loss = accumulate(model, pieces)\n" + _CLIP + _GUARD + _MOVE,
                    "    for piece in pieces:\n        loss = accumulate(model, [piece])\n    "
                    + _CLIP
                    + "        if not math.isfinite(loss):\n            raise FloatingPointError\n"
                    "        optimizer.step()\n"
                    "        optimizer.zero_grad()\n",
                ),
            ),
        ),
        Misconception("no-step", "the optimizer takes no step", edits=((_MOVE, ""),)),
        Misconception(
            "norm-for-loss",
            "norm and loss are returned in the wrong order",
            edits=(("return loss, norm", "return norm, loss"),),
        ),
    ),
)


def _validation_hidden(seed):
    d = Draw(seed)
    N, T = int(d.integers(40, 60)), int(d.integers(3, 6))
    return [
        Case("the default batch", validation_inputs(d, 40 * T + 2, T, None)),
        Case("one window", validation_inputs(d, T + 1, T, 4)),
        Case("windows of one token", validation_inputs(d, 8, 1, 3)),
        Case("one window at a time", validation_inputs(d, N, T, 1)),
        Case("a batch larger than the text", validation_inputs(d, N, T, 1000)),
        Case("dropout, in eval mode already", validation_inputs(d, N, T, 4, dropout=0.7, training=False)),
        Case("an uneven last batch, with dropout", validation_inputs(d, 5 * T + 1, T, 3, dropout=0.3)),
    ]


def _validation_reference(i):
    w = {name: t.double() for name, t in i["state"].items()}
    ids, T = i["ids"].tolist(), i["T"]
    losses = []
    for at in range((len(ids) - 1) // T * T):
        x = w["W"] @ w["E"][ids[at]].tanh() + w["b"]
        losses.append(float(torch.logsumexp(x, 0) - x[ids[at + 1]]))
    return {
        "loss": sum(losses) / len(losses),
        "in training mode afterwards": i["training"],
        "dropout on while measuring": False,
        "a graph was built": False,
        "at most `batch` windows at a time": True,
        "something in .grad": False,
    }


_SUM = '            total += F.cross_entropy(logits.flatten(0, 1), their.flatten(), reduction="sum").item()\n'
_BACK = "    model.train(was_training)\n"
_CUT = "inputs, targets = windows(ids, T)"
validation_loss = Answer(
    name="validation_loss",
    reference=_validation_reference,
    hidden=_validation_hidden,
    misconceptions=(
        Misconception(
            "mean-of-batches",
            "the means of the batches are averaged: a smaller last one weighs as much as the others",
            edits=(
                (_SUM, _SUM.replace(', reduction="sum"', "")),
                ("total / targets.numel()", "total / len(inputs.split(batch))"),
            ),
        ),
        Misconception(
            "last-batch-dropped",
            "a last batch that is not full is left out",
            edits=(
                (
                    "        for some, their in zip(inputs.split(batch), targets.split(batch)):\n",
                    "        whole = max(len(inputs) // batch * batch, min(len(inputs), batch))\n"
                    "        inputs, targets = inputs[:whole], targets[:whole]\n"
                    "        for some, their in zip(inputs.split(batch), targets.split(batch)):\n",
                ),
            ),
        ),
        Misconception(
            "no-eval", "the model measures in training mode, with dropout", edits=(("    model.eval()\n", ""),)
        ),
        Misconception("left-in-eval", "the model is left in eval mode", edits=((_BACK, ""),)),
        Misconception(
            "always-back-to-training",
            "the model is put into training mode afterwards, whatever its mode was before",
            edits=((_BACK, "    model.train()\n"),),
        ),
        Misconception(
            "graph-built",
            "graphs are built, which nobody uses",
            edits=(("with torch.no_grad():", "if True:"),),
        ),
        Misconception(
            "no-shift",
            "the targets are the inputs: the model is asked for the token that it was just given",
            edits=((_CUT, f"{_CUT}\n    targets = inputs"),),
        ),
        Misconception(
            "sum-per-window",
            "the sum is divided by the number of windows instead of the number of tokens",
            edits=(("targets.numel()", "len(targets)"),),
        ),
        Misconception(
            "divided-by-the-text",
            "the sum is divided by the length of the text, which has tokens that are no target",
            edits=(("targets.numel()", "len(ids)"),),
        ),
        Misconception(
            "overlapping",
            "the windows begin at every token and overlap, so that tokens count several times",
            edits=((_CUT, "runs = ids.unfold(0, T + 1, 1)\n    inputs, targets = runs[:, :-1], runs[:, 1:]"),),
        ),
        Misconception(
            "all-at-once",
            "all windows go through the model at once",
            edits=(("inputs.split(batch), targets.split(batch)", "[inputs], [targets]"),),
        ),
        Misconception(
            "perplexity",
            "the perplexity is returned, the exponential of the loss",
            edits=(("return total / targets.numel()", "return math.exp(total / targets.numel())"),),
        ),
    ),
)


def _sample_hidden(seed):
    d = Draw(seed)
    table = d.normal(4, 4)
    return [
        Case("some draws", many(table, float(d.rng.uniform(0.6, 1.6)))),
        Case("the default temperature", many(d.normal(3, 3), None)),
        Case("a low temperature", many(table, 0.25)),
        Case("a context of one token", sample_inputs(d.integers(0, 5, 3, 2), 4, 1, 1.0)),
        Case("exactly as long as the context", sample_inputs(d.integers(0, 5, 1, 4), 3, 4, 0.5)),
        Case("nothing to add", sample_inputs(d.integers(0, 5, 2, 3), 0, 4, 1.0)),
        Case("temperature 0, long", sample_inputs(d.integers(0, 4, 5, 9), 6, 3, 0.0, V=4, table=table)),
        Case("temperature 0 on a tie", sample_inputs(torch.tensor([[2]]), 3, 4, 0.0, V=3, table=torch.zeros(3, 3))),
    ]


def _sample_reference(i):
    certain = i["table"] is None or i["temperature"] == 0
    if not certain:  # what is drawn is judged by the property; here stands one right answer's shape and type
        return {"the same seed draws the same": True, "a graph was built": False}
    rows, longest = [row.tolist() for row in i["ids"]], 0
    for row in rows:
        for _ in range(i["n"]):
            seen = row[-i["context"] :]
            longest = max(longest, len(seen))
            if i["table"] is None:
                row.append(sum(seen) % i["V"])
            else:
                scores = i["table"][seen[-1]].tolist()
                row.append(scores.index(max(scores)))
    outputs = {"ids": torch.tensor(rows), "a graph was built": False}
    if i["table"] is None:
        outputs["longest input of the model"] = longest
    return outputs


_SOFT = "(logits / temperature).softmax(-1)"
sample = Answer(
    name="sample",
    reference=_sample_reference,
    hidden=_sample_hidden,
    misconceptions=(
        Misconception(
            "whole-text",
            "the model is handed the whole text, longer than its context",
            edits=(("model(ids[:, -context:])", "model(ids)"),),
        ),
        Misconception(
            "context-from-the-front",
            "the model is handed the first tokens of the text instead of the last",
            edits=(("ids[:, -context:]", "ids[:, :context]"),),
        ),
        Misconception(
            "one-token-short",
            "the model is handed one token less than its context holds",
            edits=(("model(ids[:, -context:])", "model(ids[:, -max(1, context - 1) :])"),),
        ),
        Misconception(
            "last-token-only",
            "the model is handed the last token alone",
            edits=(("ids[:, -context:]", "ids[:, -1:]"),),
        ),
        Misconception(
            "always-likeliest",
            "the likeliest token is taken at every temperature",
            edits=(("if temperature == 0:", "if True:"),),
        ),
        Misconception(
            "multiplied",
            "the logits are multiplied by the temperature",
            edits=((_SOFT, "(logits * temperature).softmax(-1)"),),
        ),
        Misconception(
            "temperature-ignored",
            "the temperature has no effect",
            edits=((_SOFT, "logits.softmax(-1)"),),
        ),
        Misconception(
            "zero-not-special",
            "temperature 0 divides by zero",
            edits=(("if temperature == 0:", "if False:"),),
        ),
        Misconception(
            "generator-ignored",
            "the draws do not come from the generator: the same seed gives another text",
            edits=((", generator=generator)", ")"),),
        ),
        Misconception(
            "same-for-all-rows",
            "one token is drawn for all rows",
            edits=((", 1, generator=generator)", ", 1, generator=generator)[:1].expand(len(ids), 1)"),),
        ),
        Misconception(
            "prompt-left-out",
            "only the new tokens come back, without the ids that were given",
            edits=(("    return ids", "    return ids[:, ids.shape[1] - n :]"),),
        ),
        Misconception(
            "drawn-from-one-answer",
            "the model is asked once, and all n tokens are drawn from that one answer",
            edits=(
                (
                    "    for _ in range(n):\n        logits = model(ids[:, -context:])[:, -1]  # (B, V)\n",
                    "    logits = model(ids[:, -context:])[:, -1]\n    for _ in range(n):\n",
                ),
            ),
        ),
        Misconception(
            "graph-built",
            "a graph is built, which grows with every token",
            code="def sample(model, ids, n, context, temperature=1.0, generator=None):\n"
            "    for _ in range(n):\n"
            "        logits = model(ids[:, -context:])[:, -1]\n"
            "        if temperature == 0:\n"
            "            drawn = logits.argmax(-1, keepdim=True)\n"
            "        else:\n"
            "            drawn = torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)\n"
            "        ids = torch.cat([ids, drawn], dim=1)\n"
            "    return ids\n",
        ),
    ),
)
