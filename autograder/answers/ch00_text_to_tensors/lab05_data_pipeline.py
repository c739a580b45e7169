"""Lab 0.5, the instructor's half: references by loops over plain lists, hidden cases, misconceptions."""

import numpy as np
import torch

from autograder.cases import Draw
from autograder.checks.ch00_text_to_tensors.lab05_data_pipeline import (
    IGNORED,
    RIGHT,
    drawn_documents,
    order_inputs,
    packed_rows,
)
from autograder.exercise import Answer, Case, Misconception

# --- windows ---------------------------------------------------------------------------------------------------------


def _windows_hidden(seed):
    d = Draw(seed)
    ids = d.integers(0, 65_536, 200).numpy()
    ids[17] = 65_535  # as int16 this would be -1
    two = ids.astype(np.uint16)
    return [
        Case("a window of one token", {"tokens": two, "starts": [17, 198, 0], "T": 1}),
        Case("one window, as long as the file allows", {"tokens": two[:41], "starts": [0], "T": 40}),
        Case("the last window of the file", {"tokens": two, "starts": [200 - 13 - 1, 4], "T": 13}),
        Case("the same window twice", {"tokens": two, "starts": [int(d.integers(0, 150)), 33, 33], "T": 7}),
        Case(
            "ids that need all of four bytes",
            {"tokens": (d.integers(0, 1000, 60).numpy() + (1 << 32) - 1000).astype(np.uint32), "starts": [5], "T": 6},
        ),
        Case("not contiguous in memory", {"tokens": two[::2], "starts": [3, 50], "T": 8}),
        Case(
            "a large file of four-byte ids",
            {"tokens": ids.astype(np.uint32), "repeated to": 1 << 19, "starts": [77, 400_001], "T": 32},
        ),
    ]


def _windows_reference(i):
    ids = [int(n) for n in i["tokens"]]

    def at(n):
        return ids[n % len(ids)]  # a long file repeats its ids

    return {
        "inputs": torch.tensor([[at(s + t) for t in range(i["T"])] for s in i["starts"]]),
        "targets": torch.tensor([[at(s + t + 1) for t in range(i["T"])] for s in i["starts"]]),
    }


_STACKED = "torch.from_numpy(np.stack(runs))  # (B, T + 1)\n    return ids[:, :-1], ids[:, 1:]"
read_windows = Answer(
    name="read_windows",
    reference=_windows_reference,
    hidden=_windows_hidden,
    misconceptions=(
        Misconception(
            "not-shifted",
            "the targets are the inputs themselves: the model learns to copy, and its loss goes to zero",
            edits=((_STACKED, "torch.from_numpy(np.stack(runs))\n    return ids[:, :-1], ids[:, :-1]"),),
        ),
        Misconception(
            "shifted-backwards",
            "each target is the token before its input instead of the one after it",
            edits=((_STACKED, "torch.from_numpy(np.stack(runs))\n    return ids[:, 1:], ids[:, :-1]"),),
        ),
        Misconception(
            "rolled",
            "the targets are the window rolled by one, so that the last target of each is the window's own first token",
            edits=(
                (
                    _STACKED,
                    "torch.from_numpy(np.stack(runs))[:, :-1]\n    return ids, torch.roll(ids, -1, dims=1)",
                ),
            ),
        ),
        Misconception(
            "one-short",
            "only T tokens are read for a window, so that T - 1 inputs and targets come out",
            edits=(("tokens[s : s + T + 1]", "tokens[s : s + T]"),),
        ),
        Misconception(
            "two-ahead",
            "each target is the token after the next",
            edits=(
                ("tokens[s : s + T + 1]", "tokens[s : s + T + 2]"),
                (_STACKED, "torch.from_numpy(np.stack(runs))\n    return ids[:, :-2], ids[:, 2:]"),
            ),
        ),
        Misconception(
            "window-numbers",
            "a start is taken for the number of a window: the windows begin at T times the start",
            edits=(("tokens[s : s + T + 1]", "tokens[s * T : s * T + T + 1]"),),
        ),
        Misconception(
            "file-loaded",
            "the whole file is turned into int64 before the windows are cut out of it",
            edits=(
                (
                    "runs = [tokens[s : s + T + 1].astype(np.int64)",
                    "whole = tokens.astype(np.int64)\n    runs = [whole[s : s + T + 1]",
                ),
            ),
        ),
        Misconception(
            "narrow",
            "the windows stay in the file's own type instead of int64",
            edits=((".astype(np.int64)", ""),),
        ),
        Misconception(
            "sign-lost",
            "the ids go through int16, which turns those above 32,767 into negative numbers",
            edits=((".astype(np.int64)", ".astype(np.int16).astype(np.int64)"),),
        ),
    ),
)


# --- collate ---------------------------------------------------------------------------------------------------------


def _collate_hidden(seed):
    d = Draw(seed)
    lengths = [int(n) for n in d.integers(1, 12, 9)]
    return [
        Case("one document", {"documents": drawn_documents(d, (6,)), "pad": 0}),
        Case("one document of one token", {"documents": [torch.tensor([7])], "pad": 0}),
        Case("documents of one token beside a longer one", {"documents": drawn_documents(d, (1, 4, 1)), "pad": 299}),
        Case("nine documents", {"documents": drawn_documents(d, lengths), "pad": 256}),
        Case(
            "documents that end and begin with the padding",
            {
                "documents": [torch.tensor([4, 1, *d.integers(0, 9, 3).tolist(), 4, 4]), torch.tensor([4, 4, 2])],
                "pad": 4,
            },
        ),
        Case(
            "documents that are not contiguous in memory",
            {"documents": [d.integers(0, 300, 10)[::2], d.integers(0, 300, 4, 2)[:, 1]], "pad": 0},
        ),
        Case("the longest one last", {"documents": drawn_documents(d, (2, 3, 9)), "pad": 1}),
    ]


def _collate_reference(i):
    documents = [document.tolist() for document in i["documents"]]
    T = max(map(len, documents))
    return {
        "ids": torch.tensor([document + [i["pad"]] * (T - len(document)) for document in documents]),
        "targets": torch.tensor([document[1:] + [IGNORED] * (T - len(document) + 1) for document in documents]),
        "mask": torch.tensor([[t < len(document) for t in range(T)] for document in documents]),
    }


_TARGETS = "targets[row, : n - 1] = document[1:]"
collate = Answer(
    name="collate",
    reference=_collate_reference,
    hidden=_collate_hidden,
    misconceptions=(
        Misconception(
            "padding-is-a-target",
            "the padding has the padding's id as its target: the model is taught to write padding, and the loss "
            "depends on how much of it there is",
            edits=(("targets = torch.full((B, T), IGNORED)", "targets = torch.full((B, T), pad)"),),
        ),
        Misconception(
            "last-asks-for-padding",
            "the padded row is shifted, so that a document's last token is asked to foretell the padding behind it",
            edits=(
                (_TARGETS, "pass"),
                (
                    "    return ids, targets, mask",
                    "    targets[:, :-1] = torch.where(mask[:, :-1], ids[:, 1:], IGNORED)\n"
                    "    return ids, targets, mask",
                ),
            ),
        ),
        Misconception(
            "rolled",
            "the padded rows are rolled by one: a document's last token asks for the padding behind it, and in a full "
            "row for the row's own first token",
            edits=(
                (_TARGETS, "pass"),
                (
                    "    return ids, targets, mask",
                    "    targets = torch.where(mask, torch.roll(ids, -1, dims=1), IGNORED)\n"
                    "    return ids, targets, mask",
                ),
            ),
        ),
        Misconception(
            "mask-from-ids",
            "a place counts as padding when its id equals the padding, so that documents which contain it have holes",
            edits=(
                ("mask[row, :n] = True", "pass"),
                ("    return ids, targets, mask", "    mask = ids != pad\n    return ids, targets, mask"),
            ),
        ),
        Misconception(
            "targets-and-mask-from-ids",
            "mask and targets are both derived from ids that differ from the padding, so that documents which contain "
            "it lose questions",
            edits=(
                ("mask[row, :n] = True", "pass"),
                (
                    "    return ids, targets, mask",
                    "    mask = ids != pad\n"
                    "    targets[:, :-1] = torch.where(mask[:, 1:], ids[:, 1:], IGNORED)\n"
                    "    return ids, targets, mask",
                ),
            ),
        ),
        Misconception(
            "not-shifted",
            "the targets are the documents themselves, not shifted by one",
            edits=((_TARGETS, "targets[row, :n] = document"),),
        ),
        Misconception(
            "left-padded",
            "the documents stand at the right of their rows, with the padding before them",
            edits=(
                ("ids[row, :n]", "ids[row, T - n :]"),
                (_TARGETS, "targets[row, T - n : T - 1] = document[1:]"),
                ("mask[row, :n]", "mask[row, T - n :]"),
            ),
        ),
        Misconception(
            "mask-inverted",
            "the mask is True on the padding instead of on the tokens",
            edits=(("return ids, targets, mask", "return ids, targets, ~mask"),),
        ),
        Misconception(
            "mask-of-questions",
            "the mask is False on each document's last token, which has no target but must be seen like any other",
            edits=(("mask[row, :n]", "mask[row, : n - 1]"),),
        ),
        Misconception(
            "inputs-cut-short",
            "each document's last token is left out of ids and mask, so that T is one less",
            edits=(
                ("ids[row, :n] = document", "ids[row, : n - 1] = document[:-1]"),
                ("mask[row, :n]", "mask[row, : n - 1]"),
                ("return ids, targets, mask", "return ids[:, :-1], targets[:, :-1], mask[:, :-1]"),
            ),
        ),
        Misconception(
            "mask-of-integers",
            "the mask is made of zeros and ones instead of booleans",
            edits=(("dtype=torch.bool", "dtype=torch.long"),),
        ),
    ),
)


# --- first fit -------------------------------------------------------------------------------------------------------


def _fit_hidden(seed):
    d = Draw(seed)
    return [
        Case("no documents", {"lengths": [], "T": 8}),
        Case("one document, as long as a row", {"lengths": [8], "T": 8}),
        Case("rows of one place", {"lengths": [1, 1, 1], "T": 1}),
        Case("a hundred documents", {"lengths": d.integers(1, 40, 100).tolist(), "T": 64}),
        Case("long ones first", {"lengths": sorted(d.integers(1, 20, 40).tolist(), reverse=True), "T": 32}),
        Case("short ones first", {"lengths": sorted(d.integers(1, 20, 40).tolist()), "T": 32}),
        Case("the last one is too long", {"lengths": [2, 3, 9], "T": 8, "one is too long": True}),
    ]


def _fit_reference(i):
    if i.get("one is too long"):
        return {"what happened": "ValueError"}
    # Not row by row: for each document, the rows there are as sums over what they hold.
    rows = []
    for document, n in enumerate(i["lengths"]):
        fill = [sum(i["lengths"][member] for member in row) for row in rows] + [0]
        rows += [[]]
        rows[[used + n <= i["T"] for used in fill].index(True)].append(document)
        rows = [row for row in rows if row]
    return {"rows": rows}


_FITS = "fits[0] if fits else len(rows)"
first_fit = Answer(
    name="first_fit",
    reference=_fit_reference,
    hidden=_fit_hidden,
    misconceptions=(
        Misconception(
            "next-fit",
            "only the newest row is looked at, so that room in earlier ones stays empty",
            edits=(
                (
                    "[row for row, free in enumerate(room) if free >= length]",
                    "[len(room) - 1] if room and room[-1] >= length else []",
                ),
            ),
        ),
        Misconception(
            "last-fit",
            "the last row with room is taken instead of the first",
            edits=((_FITS, "fits[-1] if fits else len(rows)"),),
        ),
        Misconception(
            "best-fit",
            "the row with the least room left is taken (best fit) instead of the first that has room",
            edits=((_FITS, "min(fits, key=lambda r: room[r]) if fits else len(rows)"),),
        ),
        Misconception(
            "worst-fit",
            "the emptiest row is taken instead of the first that has room",
            edits=((_FITS, "max(fits, key=lambda r: room[r]) if fits else len(rows)"),),
        ),
        Misconception(
            "longest-first",
            "the documents are sorted by length first (first fit decreasing), so that they do not come in their order",
            edits=(
                (
                    "in enumerate(lengths):",
                    "in sorted(enumerate(lengths), key=lambda pair: -pair[1]):",
                ),
            ),
        ),
        Misconception(
            "not-quite-full",
            "a document that fits exactly is not let in: the room must be larger than it instead of at least as large",
            edits=(("if free >= length]", "if free > length]"),),
        ),
        Misconception(
            "room-never-shrinks",
            "what a document takes is not subtracted, so that rows overflow",
            edits=(("room[row] -= length", "pass"),),
        ),
        Misconception(
            "in-every-row-that-fits",
            "the search does not stop at the first row with room, so that a document ends up in several rows",
            code="def first_fit(lengths, T):\n"
            "    rows, room = [], []\n"
            "    for document, length in enumerate(lengths):\n"
            "        if length > T:\n"
            "            raise ValueError('too long')\n"
            "        for row in range(len(rows)):\n"
            "            if room[row] >= length:\n"
            "                rows[row].append(document)\n"
            "                room[row] -= length\n"
            "        else:\n"
            "            rows.append([document])\n"
            "            room.append(T - length)\n"
            "    return rows\n",
        ),
        Misconception(
            "lengths-returned",
            "the rows hold the documents' lengths instead of their numbers",
            edits=(("rows[row].append(document)", "rows[row].append(length)"),),
        ),
        Misconception(
            "too-long-let-in",
            "a document longer than a row gets a row of its own instead of an error",
            edits=(("if length > T:", "if False:"),),
        ),
    ),
)


# --- keep apart ------------------------------------------------------------------------------------------------------


def _apart_hidden(seed):
    d = Draw(seed)
    many = [[int(n) for n in d.integers(1, 5, 6)] for _ in range(3)]
    loose = packed_rows(d, [[3, 2], [4]], 6)
    loose = {name: value.T.contiguous().T for name, value in loose.items()}
    return [
        Case(
            "places of one token, after a full row", {**packed_rows(d, [[3, 2]], 6), "edge": packed_rows(d, [[1]], 1)}
        ),
        Case("a row of padding alone", packed_rows(d, [[2, 3], []], 7)),
        Case("many documents in a row", packed_rows(d, many, 30)),
        Case("documents of one token alone", packed_rows(d, [[1] * 6, [1, 1]], 6)),
        Case("one document in every row", packed_rows(d, [[5], [8], [1]], 8)),
        Case("not contiguous in memory", loose),
        Case("an empty batch, after a full one", {**packed_rows(d, [[2, 2]], 5), "edge": packed_rows(d, [], 5)}),
    ]


def _apart_one(ids, segments):
    B, T = ids.shape
    targets = torch.full((B, T), IGNORED)
    positions = torch.zeros(B, T, dtype=torch.long)
    mask = torch.zeros(B, T, T, dtype=torch.bool)
    for row in range(B):
        of = segments[row].tolist()
        for t in range(T):
            if of[t] == 0:
                continue
            positions[row, t] = t - of.index(of[t])
            mask[row, t, of.index(of[t]) : t + 1] = True
            if t + 1 < T and of[t + 1] == of[t]:
                targets[row, t] = ids[row, t + 1]
    return {"targets": targets, "positions": positions, "mask": mask}


def _apart_reference(i):
    outputs = _apart_one(i["ids"], i["segments"])
    if "edge" in i:
        edge = _apart_one(i["edge"]["ids"], i["edge"]["segments"])
        outputs |= {f"{name} of the edge shape": value for name, value in edge.items()}
    return outputs


_SAME = "same = (segments[:, :, None] == segments[:, None, :]) & real[:, :, None]"
_POSITIONS = "positions = (mask.sum(dim=-1) - 1).clamp(min=0)"
_GOES_ON = "goes_on = (segments[:, :-1] == segments[:, 1:]) & real[:, 1:]"
keep_apart = Answer(
    name="keep_apart",
    reference=_apart_reference,
    hidden=_apart_hidden,
    misconceptions=(
        Misconception(
            "plain-causal",
            "the mask is causal over the whole row, so that each document sees those before it",
            edits=(
                (_SAME, "same = (real[:, None, :] & real[:, :, None])"),
                (
                    _POSITIONS,
                    "own = same & (segments[:, :, None] == segments[:, None, :])\n"
                    "    positions = (own.tril().sum(dim=-1) - 1).clamp(min=0)",
                ),
            ),
        ),
        Misconception(
            "not-causal",
            "the mask lets a token see what comes after it in its own document",
            edits=(
                ("mask = same & torch.ones(T, T, dtype=torch.bool, device=ids.device).tril()", "mask = same"),
                (_POSITIONS, "positions = (mask.tril().sum(dim=-1) - 1).clamp(min=0)"),
            ),
        ),
        Misconception(
            "padding-sees-padding",
            "padding counts as a document of its own and sees itself",
            edits=(
                (_SAME, "same = segments[:, :, None] == segments[:, None, :]"),
                (_POSITIONS, "positions = torch.where(real, mask.sum(dim=-1) - 1, 0)"),
            ),
        ),
        Misconception(
            "padding-is-a-document",
            "padding is treated as one more document: it sees itself, counts its positions and has targets",
            edits=(
                (_SAME, "same = segments[:, :, None] == segments[:, None, :]"),
                (_POSITIONS, "positions = mask.sum(dim=-1) - 1"),
                (_GOES_ON, "goes_on = segments[:, :-1] == segments[:, 1:]"),
            ),
        ),
        Misconception(
            "not-itself",
            "a token does not see itself, so that a document's first token sees nothing",
            edits=(
                ("device=ids.device).tril()", "device=ids.device).tril(-1)"),
                (_POSITIONS, "positions = mask.sum(dim=-1)"),
            ),
        ),
        Misconception(
            "positions-run-on",
            "the positions run on through the row instead of starting again with each document",
            edits=((_POSITIONS, "positions = torch.where(real, torch.arange(T).expand_as(ids), 0)"),),
        ),
        Misconception(
            "positions-from-one",
            "each document's positions start at 1 instead of 0",
            edits=((_POSITIONS, "positions = mask.sum(dim=-1)"),),
        ),
        Misconception(
            "positions-in-padding",
            "the positions count on in the padding instead of staying 0 there",
            edits=(
                (
                    _POSITIONS,
                    "positions = (segments[:, :, None] == segments[:, None, :]).tril().sum(dim=-1) - 1",
                ),
            ),
        ),
        Misconception(
            "targets-cross",
            "a document's last token is asked for the first token of the next document",
            edits=((_GOES_ON, "goes_on = real[:, 1:]"),),
        ),
        Misconception(
            "last-asks-for-padding",
            "the last document's last token is asked to foretell the padding behind it",
            edits=(
                (
                    _GOES_ON,
                    "goes_on = real[:, :-1] & ((segments[:, :-1] == segments[:, 1:]) | ~real[:, 1:])",
                ),
            ),
        ),
        Misconception(
            "targets-in-padding",
            "the padding has targets too",
            edits=((_GOES_ON, "goes_on = segments[:, :-1] == segments[:, 1:]"),),
        ),
        Misconception(
            "not-shifted",
            "the targets are the ids themselves, not those one place on",
            edits=(
                (
                    " targets[:, :-1] = torch.where(goes_on, ids[:, 1:], IGNORED)",
                    " targets[:, :-1] = torch.where(goes_on, ids[:, :-1], IGNORED)",
                ),
            ),
        ),
        Misconception(
            "ids-compared",
            "tokens count as of one document when their ids are equal: ids are compared where segments should be",
            edits=((_SAME, "same = (ids[:, :, None] == ids[:, None, :]) & real[:, :, None]"),),
        ),
    ),
)


# --- the test of packing ---------------------------------------------------------------------------------------------


def _packing_test_hidden(seed):
    faults = [
        "a document's last token asks for the next document",
        "a document's last token asks for padding",
        "a document's last question is not asked",
        "targets not shifted",
        "tokens in the wrong order",
        "every document sees the row's first",
        "a token does not see itself",
        "the next token is seen",
        "positions start at 1 behind another document",
        "positions from the third document on run on",
    ]
    # Which come first is the only thing that a seed can change about them: all are tried.
    order = Draw(seed).rng.permutation(len(faults))
    return [Case(faults[n], {"fault": faults[n]}) for n in order]


_FAULTS_SEEN = """    draw, T = random.Random(5), 12
    documents = [torch.tensor([draw.randrange(9) for _ in range(draw.randint(1, 6))]) for _ in range(30)]
"""


def _test_by_questions(question: str, container: str = "sorted", documents: str = _FAULTS_SEEN) -> str:
    """A property test that asks the given thing of each place: what the wrong ones leave out differs."""
    return (
        "def packing_test(packer):\n"
        f"{documents}"
        "    wanted, asked = [], []\n"
        "    def question(seen, where, target):\n"
        f"        return {question}\n"
        "    for document in documents:\n"
        "        tokens = document.tolist()\n"
        "        for n in range(1, len(tokens)):\n"
        "            wanted.append(question(tuple(tokens[:n]), tuple(range(n)), tokens[n]))\n"
        "    ids, targets, positions, mask = packer(documents, T)\n"
        "    for row, t in (targets != IGNORED).nonzero().tolist():\n"
        "        seen = mask[row, t]\n"
        "        asked.append(question(tuple(ids[row][seen].tolist()), tuple(positions[row][seen].tolist()), "
        "int(targets[row, t])))\n"
        f"    return {container}(asked) == {container}(wanted)\n"
    )


packing_test = Answer(
    name="packing_test",
    reference=lambda i: {**{f"accepts a right one ({r})": True for r in RIGHT}, "accepts the wrong one": False},
    hidden=_packing_test_hidden,
    misconceptions=(
        Misconception(
            "shapes-only",
            "only the shapes are tested, so that any numbers pass",
            code="def packing_test(packer):\n"
            "    documents = [torch.arange(n) for n in (1, 4, 3, 2)]\n"
            "    ids, targets, positions, mask = packer(documents, 6)\n"
            "    return ids.shape == targets.shape == positions.shape and mask.shape == (*ids.shape, 6)\n",
        ),
        Misconception(
            "questions-as-a-set",
            "the questions are compared as sets, so that a document which comes twice is not noticed",
            code=_test_by_questions("(seen, where, target)", "set"),
        ),
        Misconception(
            "mask-not-looked-at",
            "what a place may see is not looked at, so that documents may see each other",
            code=_test_by_questions("(where[-1:], target)").replace(
                "positions[row][seen].tolist())", "[int(positions[row, t])])"
            ),
        ),
        Misconception(
            "positions-not-looked-at",
            "the positions are not part of the question, so that they may run on through the row",
            code=_test_by_questions("(seen, target)"),
        ),
        Misconception(
            "tokens-only-counted",
            "it is only looked at how many tokens a place sees, and not which, so that they may be any others",
            code=_test_by_questions("(len(seen), where, target)"),
        ),
        Misconception(
            "targets-only",
            "only the targets are compared, so that mask and positions may be anything",
            code=_test_by_questions("target"),
        ),
        Misconception(
            "one-document-a-row",
            "the documents are so long that each has a row to itself, where no document can meet another",
            code=_test_by_questions(
                "(seen, where, target)",
                documents="    T = 6\n    documents = [torch.arange(6) + n for n in range(5)]\n",
            ),
        ),
        Misconception(
            "own-layout-wanted",
            "the batch is compared with one fixed way to fill the rows, so that right packers which fill them in "
            "another way are rejected",
            code="def packing_test(packer):\n"
            "    import source.data_pipeline.packing as course\n"
            "    documents = [torch.arange(n) for n in (3, 5, 2, 4, 1, 6, 2)]\n"
            "    batch = course.pack(documents, 8)\n"
            "    ids, targets, positions, mask = packer(documents, 8)\n"
            "    right = (batch.ids, batch.targets, batch.positions, course.packed_mask(batch.segments))\n"
            "    return all(torch.equal(a, b) for a, b in zip((ids, targets, positions, mask), right))\n",
        ),
        Misconception(
            "rejects-all",
            "every packer is rejected, the right ones too",
            code="def packing_test(packer):\n    return False\n",
        ),
    ),
)


# --- order -----------------------------------------------------------------------------------------------------------


def _order_hidden(seed):
    d = Draw(seed)
    s = int(d.integers(2, 1 << 30))
    return [
        Case("a single window", order_inputs(1, s, 1, before=2, after=2)),
        Case("an epoch of one step", order_inputs(9, s + 1, 2, ranks=4, before=2, after=3)),
        Case("a checkpoint at an epoch's very end", order_inputs(24, s + 2, 4, ranks=2, before=3, after=4)),
        Case("a checkpoint before the first step", order_inputs(20, s + 3, 3, ranks=2, before=0, after=4)),
        Case("many epochs, many ranks", order_inputs(50, s + 4, 1, ranks=8, before=20, after=15, elsewhere=9)),
        Case(
            "resumed on another number of ranks",
            {**order_inputs(60, s + 5, 4, ranks=2, before=4, after=6), "other ranks": 4},
        ),
        Case("resumed on one rank", {**order_inputs(33, s + 6, 2, ranks=3, before=7, after=6), "other ranks": 1}),
    ]


def _line(i, steps):
    """Everything taken in some steps, as one list an epoch of whole steps: written down, not walked."""
    from source.data_pipeline.order import permuted_naive

    count, step = i["count"], i["batch"] * i["ranks"]
    per_epoch = count // step
    taken = []
    for epoch in range(-(-steps // per_epoch)):
        order = [permuted_naive(place, count, i["seed"], epoch) for place in range(count)]
        taken += [order[n * step : (n + 1) * step] for n in range(per_epoch)]
    return taken[:steps]


def _order_reference(i):
    before, after, step = i["before"], i["after"], i["batch"] * i["ranks"]
    line = _line(i, before + after)

    def shared(steps, ranks):
        batch = step // ranks
        return [[one[rank * batch : (rank + 1) * batch] for rank in range(ranks)] for one in steps]

    per_epoch = i["count"] // step
    full = max(before - 1, 0) // per_epoch  # an epoch ends when the next step does not fit, not before
    state = [f"epoch = {full}", f"position = {(before - full * per_epoch) * step}", f"seed = {i['seed']}"]
    outputs = {
        "windows by step and rank": shared(line[:before], i["ranks"]),
        "state": [state] * i["ranks"],
        "windows after that": shared(line[before:], i["ranks"]),
        "windows after resume": shared(line[before:], i["ranks"]),
        "the checkpoint after that": [state] * i["ranks"],
    }
    if "other ranks" in i:
        outputs["windows on other ranks"] = shared(line[before:], i["other ranks"])
    return outputs


_NEXT = "            self.epoch, self.position = self.epoch + 1, 0\n"
_FIRST = "first = self.position + self.rank * batch"
_RESUME = 'self.seed, self.epoch, self.position = state["seed"], state["epoch"], state["position"]'
resumable_order = Answer(
    name="resumable_order",
    reference=_order_reference,
    hidden=_order_hidden,
    misconceptions=(
        Misconception(
            "ranks-take-the-same",
            "every rank takes the same windows: a step of several ranks learns from one batch several times",
            edits=((_FIRST, "first = self.position"),),
        ),
        Misconception(
            "position-counts-own",
            "the position grows by this rank's windows alone, so that ranks take each other's windows again",
            edits=(("self.position += step", "self.position += batch"),),
        ),
        Misconception(
            "same-order-every-epoch",
            "the epoch is not part of the shuffle, so that every epoch has the same order",
            edits=(("self.seed, self.epoch).tolist()", "self.seed, 0).tolist()"),),
        ),
        Misconception(
            "not-shuffled",
            "the places are returned as they are, without the shuffle",
            edits=(
                (
                    "return permuted(np.arange(first, first + batch), self.count, self.seed, self.epoch).tolist()",
                    "return list(range(first, first + batch))",
                ),
            ),
        ),
        Misconception(
            "ranks-interleaved",
            "the ranks take turns, every `ranks`-th place each, instead of one stretch of `batch` places each",
            edits=(
                (_FIRST, "first = self.position + self.rank"),
                ("np.arange(first, first + batch)", "np.arange(first, first + batch * self.ranks, self.ranks)"),
            ),
        ),
        Misconception(
            "even-epoch-cut",
            "a step that would use up the epoch exactly is put off to the next one",
            edits=(("if self.position + step > self.count:", "if self.position + step >= self.count:"),),
        ),
        Misconception(
            "epoch-filled-up",
            "an epoch's last step is filled up with windows of the next epoch instead of being left out",
            edits=(
                ("        if self.position + step > self.count:\n" + _NEXT, ""),
                (_FIRST, "first = self.epoch * self.count + self.position + self.rank * batch"),
                (
                    "        self.position += step\n",
                    "        self.epoch, self.position = divmod("
                    "self.epoch * self.count + self.position + step, self.count)\n",
                ),
                (
                    "permuted(np.arange(first, first + batch), self.count, self.seed, self.epoch).tolist()",
                    "[permuted(np.array([place % self.count]), self.count, self.seed, place // self.count).item() "
                    "for place in range(first, first + batch)]",
                ),
            ),
        ),
        Misconception(
            "epoch-counted-early",
            "the epoch is counted up as soon as no further step fits, instead of by the step that begins the next one",
            edits=(
                ("        if self.position + step > self.count:\n" + _NEXT, "        epoch = self.epoch\n"),
                (
                    "        self.position += step\n",
                    "        self.position += step\n        if self.position + step > self.count:\n" + _NEXT,
                ),
                ("self.seed, self.epoch).tolist()", "self.seed, epoch).tolist()"),
            ),
        ),
        Misconception(
            "position-forgotten",
            "resume takes the epoch but starts it from its beginning, so that windows come again",
            edits=((_RESUME, 'self.seed, self.epoch, self.position = state["seed"], state["epoch"], 0'),),
        ),
        Misconception(
            "seed-forgotten",
            "resume keeps the object's own seed, so that the rest of the epoch is that of another shuffle",
            edits=((_RESUME, 'self.epoch, self.position = state["epoch"], state["position"]'),),
        ),
        Misconception(
            "epoch-forgotten",
            "resume does not take over the epoch",
            edits=((_RESUME, 'self.seed, self.position = state["seed"], state["position"]'),),
        ),
        Misconception(
            "shuffled-by-rank",
            "each rank shuffles with a seed of its own, so that two ranks can take one window",
            edits=(("self.seed, self.epoch).tolist()", "self.seed + self.rank, self.epoch).tolist()"),),
        ),
    ),
)
