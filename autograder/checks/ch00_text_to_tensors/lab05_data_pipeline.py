"""Lab 0.5, the student's half: how windows, padding, packing, its test and the resumable order are driven."""

import tracemalloc

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from autograder.acting import WrongType
from autograder.cases import Draw
from autograder.exercise import Case, Exercise, Property

IGNORED = -100


def triple(result, names):
    """The outputs by name. Raises WrongType unless as many tensors came back."""
    if not (isinstance(result, tuple | list) and len(result) == len(names)):
        raise WrongType(f"{len(names)} tensors are to come back: {', '.join(names)}; a {type(result).__name__} came")
    return dict(zip(names, result, strict=True))


# --- windows ---------------------------------------------------------------------------------------------------------


class _LargestNew(TorchFunctionMode):
    # The most elements of a tensor that is not the file itself under torch's name (from_numpy copies nothing).
    def __init__(self, file: np.ndarray) -> None:
        super().__init__()
        self.start, self.end = file.ctypes.data, file.ctypes.data + file.nbytes
        self.most = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor) and not self.start <= out.data_ptr() < self.end:
            self.most = max(self.most, out.numel())
        return out


def _windows_act(f, i):
    tokens = i["tokens"]
    if not i.get("repeated to"):
        return triple(f(tokens, list(i["starts"]), i["T"]), ("inputs", "targets"))
    # A long file, so that a copy of it stands out against a few windows. It cannot be written to, as one mapped.
    file = np.resize(tokens, i["repeated to"])
    file.flags.writeable = False
    starts = [int(start) for start in i["starts"]]
    f(file, starts, i["T"])  # whatever is made once, such as an import, is not the windows' cost
    tracemalloc.start()
    try:
        with _LargestNew(file) as new:
            result = f(file, starts, i["T"])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    return {
        **triple(result, ("inputs", "targets")),
        "the whole file was copied": peak > file.nbytes / 2 or new.most > file.size / 2,
    }


def _reads_windows_only(inputs, outputs):
    if outputs.get("the whole file was copied"):
        return f"a copy of all {inputs['repeated to']:,} ids was made, for {len(inputs['starts'])} windows"
    return None


def _windows_cases():
    d = Draw(501)
    by_hand = {"tokens": np.array([5, 6, 7, 8, 9], dtype=np.uint16), "starts": [0, 2], "T": 2}
    ids = d.integers(0, 50_257, 90).numpy()
    return [
        Case("five tokens, by hand", by_hand),
        Case("windows that overlap, in any order", {"tokens": ids.astype(np.uint16), "starts": [40, 3, 0, 41], "T": 9}),
        Case("ids above 65,535, in four bytes", {"tokens": (ids + 60_000).astype(np.uint32), "starts": [7, 1], "T": 5}),
        Case(
            "a large file, of which a few windows are read",
            {"tokens": ids.astype(np.uint16), "repeated to": 1 << 19, "starts": [500_000, 90, 12_345], "T": 16},
        ),
    ]


read_windows = Exercise(
    name="read_windows",
    title="Windows from a mapped file",
    minutes=12,
    difficulty=1,
    points=3,
    act=_windows_act,
    visible=_windows_cases,
    shapes={"inputs": "(B, T)", "targets": "(B, T)"},
    properties=(Property("the windows are copied and nothing else is", _reads_windows_only),),
    forbids=("source.data_pipeline.token_file.TokenFile.windows", "source.data_pipeline.targets.next_token"),
    hints=(
        "The last target of a window lies one token behind its last input. How many tokens do you need for T of each?",
        "`tokens[s : s + T + 1]` of a mapped file is free; `.astype(np.int64)` copies what it is called on, so call "
        "it on the slice. `np.stack` puts rows together, `torch.from_numpy` makes a tensor of them without a copy.",
        "for each start: the slice of T + 1 tokens, as int64; stack them to (B, T + 1); return all columns but the "
        "last, and all columns but the first.",
    ),
)


# --- collate ---------------------------------------------------------------------------------------------------------


def drawn_documents(d: Draw, lengths, high: int = 300) -> list[torch.Tensor]:
    """Documents of the given lengths with ids below `high`."""
    return [d.integers(0, high, n) for n in lengths]


def _collate_act(f, i):
    return triple(f(list(i["documents"]), i["pad"]), ("ids", "targets", "mask"))


def _collate_cases():
    d = Draw(502)
    return [
        Case("two documents, by hand", {"documents": [torch.tensor([5, 6, 7]), torch.tensor([8, 0])], "pad": 0}),
        Case("the padding is a token too", {"documents": [d.integers(0, 3, n) for n in (3, 6, 4)], "pad": 2}),
        Case("another padding", {"documents": drawn_documents(d, (4, 2, 7, 1)), "pad": 256}),
        Case("nothing to pad", {"documents": drawn_documents(d, (5, 5)), "pad": 0}),
    ]


collate = Exercise(
    name="collate",
    title="Padding that does not count",
    minutes=12,
    difficulty=1,
    points=3,
    act=_collate_act,
    visible=_collate_cases,
    shapes={"ids": "(B, T)", "targets": "(B, T)", "mask": "(B, T)"},
    forbids=("source.data_pipeline.collate.collate", "source.data_pipeline.collate.collate_naive"),
    hints=(
        "Fill three tensors with what stands in the padding. Then write each document into its row, once for each of "
        "the three. What is the target of its last token?",
        "`torch.full((B, T), value)` and `torch.zeros(B, T, dtype=torch.bool)`; `ids[row, :n] = document`. "
        "`IGNORED` is imported above.",
        "for each row with a document of n tokens: ids[row, :n] is the document; targets[row, :n - 1] is the document "
        "without its first token; mask[row, :n] is True. Everything else keeps pad, IGNORED and False.",
    ),
)


# --- first fit -------------------------------------------------------------------------------------------------------


def _rows(result):
    if not (isinstance(result, list | tuple) and all(isinstance(row, list | tuple) for row in result)):
        raise WrongType(f"a list of rows is to come back, each a list of numbers; a {type(result).__name__} came")
    return [list(row) for row in result]


def _fit_act(f, i):
    lengths = [int(n) for n in i["lengths"]]
    if not i.get("one is too long"):
        return {"rows": _rows(f(lengths, i["T"]))}
    try:
        rows = f(lengths, i["T"])
    except ValueError:
        return {"what happened": "ValueError"}
    return {"what happened": f"no ValueError; the rows were {_rows(rows)}"}


def _fit_cases():
    d = Draw(503)
    return [
        Case("five documents, by hand", {"lengths": [5, 4, 3, 2, 2], "T": 8}),
        Case("a document that fits exactly", {"lengths": [3, 4, 5, 4, 8, 1], "T": 8}),
        Case("thirty documents", {"lengths": d.integers(1, 12, 30).tolist(), "T": 16}),
        Case("one is longer than a row", {"lengths": [3, 9, 2], "T": 8, "one is too long": True}),
    ]


first_fit = Exercise(
    name="first_fit",
    title="First fit",
    minutes=12,
    difficulty=2,
    points=3,
    act=_fit_act,
    visible=_fit_cases,
    forbids=("source.data_pipeline.packing.first_fit", "source.data_pipeline.packing.first_fit_naive"),
    hints=(
        "What do you have to know about each open row to decide whether a document fits? Keep it in a second list.",
        "`next((row for row, free in enumerate(room) if free >= length), None)` is the first row with room, or None.",
        "for each document: raise ValueError if it is longer than T; find the first row with room for it; if there is "
        "none, append an empty row with room T; append the document to the row; take its length off the row's room.",
    ),
)


# --- keep apart ------------------------------------------------------------------------------------------------------


def packed_rows(d: Draw, rows, T: int, high: int = 300) -> dict[str, torch.Tensor]:
    """ids and segments of rows with documents of the given lengths: [[3, 2], [5]] is two documents, then one."""
    ids, segments = torch.zeros(len(rows), T, dtype=torch.long), torch.zeros(len(rows), T, dtype=torch.long)
    for row, lengths in enumerate(rows):
        end = sum(lengths)
        ids[row, :end] = d.integers(0, high, end)
        segments[row, :end] = torch.repeat_interleave(torch.arange(1, len(lengths) + 1), torch.tensor(lengths).long())
    return {"ids": ids, "segments": segments}


def _apart_act(f, i):
    names = ("targets", "positions", "mask")
    outputs = triple(f(i["ids"], i["segments"]), names)
    if "edge" in i:  # a shape on which a wrong answer can look right comes together with an ordinary one
        edge = triple(f(i["edge"]["ids"], i["edge"]["segments"]), names)
        outputs |= {f"{name} of the edge shape": value for name, value in edge.items()}
    return outputs


def _nothing_across(inputs, outputs):
    segments, mask = inputs["segments"].numpy(), outputs["mask"]
    across = mask & (segments[:, :, None] != segments[:, None, :])
    if across.any():
        row, t, s = (int(n) for n in np.argwhere(across)[0])
        return f"in row {row}, place {t} of document {segments[row, t]} sees place {s} of document {segments[row, s]}"
    return None


def _apart_cases():
    d = Draw(504)
    by_hand = {"ids": torch.tensor([[5, 6, 7, 8, 0]]), "segments": torch.tensor([[1, 1, 2, 2, 0]])}
    return [
        Case("two documents, by hand", by_hand),
        Case("two rows, three documents and one", packed_rows(d, [[3, 4, 2], [6]], 10)),
        Case("a full row, and documents of one token", packed_rows(d, [[4, 1, 3], [1, 1, 2]], 8)),
        Case("equal tokens in neighbouring documents", {**packed_rows(d, [[2, 2, 2], [3, 1]], 7, high=1)}),
    ]


keep_apart = Exercise(
    name="keep_apart",
    title="Keep packed documents apart",
    minutes=18,
    difficulty=2,
    points=5,
    act=_apart_act,
    visible=_apart_cases,
    shapes={"targets": "(B, T)", "positions": "(B, T)", "mask": "(B, T, T)"},
    properties=(Property("no document sees another", _nothing_across),),
    forbids=(
        "source.data_pipeline.packing.packed_targets",
        "source.data_pipeline.packing.packed_positions",
        "source.data_pipeline.packing.packed_mask",
    ),
    hints=(
        "Begin with the mask. `segments` as a column against `segments` as a row says of every pair of places whether "
        "it is of one document. The other two can be had by comparing neighbours, or from the mask.",
        "`segments[:, :, None] == segments[:, None, :]` has shape (B, T, T), and `torch.ones(T, T).bool().tril()` is "
        "causal. `torch.where(condition, a, b)` takes a or b. How many tokens does token number n of a document see?",
        "same = pairs of one document, and not padding; mask = same and causal. targets: IGNORED everywhere, but at t "
        "the id at t + 1 where both are of one document. positions: what each row of the mask sums to, minus 1, and "
        "0 in the padding.",
    ),
)


# --- the test of packing ---------------------------------------------------------------------------------------------


def packer(fault: str = "", layout: str = "first fit"):
    """A packer with a named fault; "" is right. Layouts put the documents into rows in ways that are all right."""

    def pack(documents, T):
        lengths = [len(document) for document in documents]
        numbers = list(range(len(documents)))
        if layout == "longest first":
            numbers.sort(key=lambda n: -lengths[n])
        rows, room = [], []
        for n in numbers:
            fits = [r for r, free in enumerate(room) if free >= lengths[n] and layout != "one a row"]
            if not fits:
                rows.append([])
                room.append(T)
            r = fits[0] if fits else len(rows) - 1
            rows[r].append(n)
            room[r] -= lengths[n]
        if layout == "rows reversed":
            rows.reverse()
        if fault == "the last document is lost":
            rows = [[n for n in row if n != len(documents) - 1] for row in rows]
        if fault == "a document comes twice":
            rows.append([0])
        B = len(rows)
        ids = torch.zeros(B, T, dtype=torch.long)
        targets = torch.full((B, T), IGNORED)
        positions = torch.zeros(B, T, dtype=torch.long)
        mask = torch.zeros(B, T, T, dtype=torch.bool)
        for r, row in enumerate(rows):
            end = 0
            for k, n in enumerate(row):
                document = documents[n]
                start, end = end, end + lengths[n]
                ids[r, start:end] = document.flip(0) if fault == "tokens in the wrong order" else document
                targets[r, start : end - 1] = document[1:]
                positions[r, start:end] = torch.arange(end - start)
                mask[r, start:end, start:end] = torch.ones(end - start, end - start, dtype=torch.bool).tril()
                if fault == "positions run on":
                    positions[r, start:end] = torch.arange(start, end)
                if fault == "positions from the third document on run on" and k >= 2:
                    positions[r, start:end] = torch.arange(start, end)
                if fault == "positions start at 1 behind another document" and k:
                    positions[r, start:end] += 1
                if fault == "a document's last token asks for the next document" and start:
                    targets[r, start - 1] = document[0]
                if fault == "a document's last token asks for padding" and end < T and k == len(row) - 1:
                    targets[r, end - 1] = 0
                if fault == "a document's last question is not asked" and end - start > 1:
                    targets[r, end - 2] = IGNORED
                if fault == "targets not shifted":
                    targets[r, start:end] = document
                if fault == "every document sees the row's first" and k:
                    mask[r, start:end, : lengths[row[0]]] = True
                if fault == "the first token sees the token before it" and start:
                    mask[r, start, start - 1] = True
                if fault == "a token does not see itself":
                    mask[r, start:end, start:end] = torch.ones(end - start, end - start, dtype=torch.bool).tril(-1)
                if fault == "the next token is seen" and end - start > 1:
                    mask[r, end - 2, end - 1] = True
            if fault == "plain causal mask":
                mask[r, :end, :end] = torch.ones(end, end, dtype=torch.bool).tril()
        return ids, targets, positions, mask

    return pack


RIGHT = ("first fit", "one a row", "longest first", "rows reversed")


def _packing_test_act(f, i):
    # Each case holds right packers too: a test that says the same to all is worth nothing.
    said = {f"accepts a right one ({layout})": bool(f(packer(layout=layout))) for layout in RIGHT}
    return {**said, "accepts the wrong one": bool(f(packer(i["fault"])))}


def _packing_test_cases():
    return [
        Case(fault, {"fault": fault})
        for fault in (
            "plain causal mask",
            "positions run on",
            "the last document is lost",
            "a document comes twice",
            "the first token sees the token before it",
        )
    ]


packing_test = Exercise(
    name="packing_test",
    title="Write the property of a right packer",
    minutes=20,
    difficulty=3,
    points=5,
    act=_packing_test_act,
    visible=_packing_test_cases,
    forbids=("source.data_pipeline.packing.questions",),
    hints=(
        "Two lists: the questions that the documents ask alone, and those that the packer's batch asks. When are two "
        "lists the same if their order does not matter, but how often something comes does? And do your documents "
        "give a fault a chance: several in a row, of different lengths, with tokens that repeat?",
        "`collections.Counter` counts tuples, and two of them compare with ==. `(targets != IGNORED).nonzero()` gives "
        "the places (row, t) that ask; `ids[row][mask[row, t]]` are the tokens that such a place sees.",
        "wanted = Counter(); for each document of n tokens and each k from 1 to n - 1: count (its first k tokens, the "
        "positions 0 to k - 1, token k). asked = Counter(); for each place with a target: count (tokens seen, their "
        "positions, target). Return asked == wanted. Use documents by the dozen, and T a few times their length.",
    ),
)


# --- order -----------------------------------------------------------------------------------------------------------


def _order_act(f, i):
    """Steps of all ranks; then a checkpoint, more steps, and the same steps again from the checkpoint."""
    count, seed, ranks, batch = i["count"], i["seed"], i["ranks"], i["batch"]

    def everyone(seed, ranks=ranks):
        return [f(count, seed, rank, ranks) for rank in range(ranks)]

    def run(orders, steps, batch=batch):
        return [[[int(w) for w in order.take(batch)] for order in orders] for _ in range(steps)]

    def told(state):
        if not isinstance(state, dict):
            raise WrongType(f"state() returned a {type(state).__name__}, not a dict")
        return [f"{name} = {int(value)}" for name, value in sorted(state.items())]

    orders = everyone(seed)
    outputs = {"windows by step and rank": run(orders, i["before"])}
    states = [order.state() for order in orders]
    outputs["state"] = [told(state) for state in states]
    outputs["windows after that"] = run(orders, i["after"])
    fresh = everyone(seed + 1)
    run(fresh, i.get("elsewhere", 1))  # wherever it was before, the state decides
    for order, state in zip(fresh, states, strict=True):
        order.resume(dict(state))
    outputs["windows after resume"] = run(fresh, i["after"])
    outputs["the checkpoint after that"] = [told(state) for state in states]
    if "other ranks" in i:
        others = everyone(seed + 2, i["other ranks"])
        for order in others:
            order.resume(dict(states[0]))
        outputs["windows on other ranks"] = run(others, i["after"], batch * ranks // i["other ranks"])
    return outputs


def _each_once(inputs, outputs):
    step = inputs["batch"] * inputs["ranks"]
    steps = outputs["windows by step and rank"]
    per_epoch = inputs["count"] // step
    for epoch in range(0, len(steps), per_epoch):
        taken = [w for one in steps[epoch : epoch + per_epoch] for rank in one for w in rank]
        if len(set(taken)) != len(taken):
            twice = next(w for w in taken if taken.count(w) > 1)
            return f"window {twice} is taken {taken.count(twice)} times in epoch {epoch // per_epoch}"
    return None


def order_inputs(count, seed, batch, ranks=1, before=3, after=4, **more):
    """One walk: `before` steps, a checkpoint, `after` steps, and those again."""
    return {"count": count, "seed": seed, "batch": batch, "ranks": ranks, "before": before, "after": after, **more}


def _order_cases():
    return [
        Case("ten windows, one rank", order_inputs(10, 0, 4, before=2, after=1)),
        Case("two ranks within an epoch", order_inputs(40, 7, 3, ranks=2)),
        Case("over the ends of epochs", order_inputs(11, 1, 2, ranks=2, before=3, after=5)),
        Case("an epoch that comes out even", order_inputs(12, 3, 2, ranks=3, before=2, after=3, elsewhere=3)),
    ]


resumable_order = Exercise(
    name="resumable_order",
    title="An order that resumes",
    minutes=16,
    difficulty=2,
    points=4,
    act=_order_act,
    visible=_order_cases,
    properties=(Property("an epoch takes no window twice", _each_once),),
    forbids=("source.data_pipeline.order.Order.take",),
    hints=(
        "Draw the epoch's order as a line of `count` places. Which stretch of it does one step of all ranks take, and "
        "which part of that stretch is yours?",
        "`permuted(np.arange(first, first + batch), self.count, self.seed, self.epoch)` are the windows at `batch` "
        "places one behind the other; `.tolist()` makes numbers of them.",
        "step = batch * ranks. If position + step is more than count: epoch + 1, position 0. Your places begin at "
        "position + rank * batch. Then position grows by step, on every rank alike. state and resume: three numbers.",
    ),
)
