"""Where a lab moves what a card moves, both show the same numbers: the lab's own functions against the card's."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from autograder.paths import BOOK, INSTRUCTOR
from autograder.release.solutions import notebook


@dataclass(frozen=True)
class Pair:
    """A lab whose controls move what a card moves.

    state: the lab's values -> the card's state. found: the lab's names, and values -> numbers under the card's names.
    states: values to try beside the start; what is not named is as at the start.
    """

    lab: str
    state: Callable[..., dict[str, Any]]
    found: Callable[..., dict[str, Any]]
    states: list[dict[str, Any]]
    within: float = 1e-6


def softmax_blend(names, temperature, **scores):
    weights, blend = names["blended"](list(scores.values()), temperature)
    return {"weights": weights, "blend": blend}


def rope_position(names, query, key, pair):
    at_query, at_key, score, curve = names["two_tokens"](query, key, pair)
    return {"queryAngle": at_query, "keyAngle": at_key, "score": score, "curve": curve}


def units(first_edge, second_edge, third_edge, activation):
    parts = zip((first_edge, second_edge, third_edge), (1, -2, 1.5), strict=True)
    return {"units": [{"edge": edge, "slope": 1, "out": out} for edge, out in parts], "kind": activation.lower()}


def feed_forward(names, first_edge, second_edge, third_edge, activation):
    edges, writes = [first_edge, second_edge, third_edge], [1.0, -2.0, 1.5]
    parts = [names["output"]([edge], [write], activation) for edge, write in zip(edges, writes, strict=True)]
    return {"curve": names["output"](edges, writes, activation), "parts": torch.stack(parts)}


def grouped_query_attention(names, G, tokens):
    reads, kept = names["shared"](G, tokens)
    return {"G": G, "groups": reads, "cache": kept, "full": names["shared"](8, tokens)[1]}


def parallel_context(names, position, word, mask):
    words = [word if t == position and word in names["WORDS"] else old for t, old in enumerate(names["TEXT"])]
    weights, expected = names["predicted"](words, mask)
    moved = (expected - names["predicted"](names["TEXT"], mask)[1]).abs().amax(dim=1) > 1e-12
    return {"tokens": words, "weights": weights, "predictions": expected, "changed": moved.nonzero()[:, 0]}


def token_ids_to_the_stack(names, text, merges):
    tokens, ids, rows = names["fetched"](text, merges)
    return {"tokens": [token.replace(" ", "␣") for token in tokens], "ids": ids, "x": rows, "distinct": len(set(ids))}


def sampling(names, temperature):
    p = names["handed_to_draw"](temperature)
    return {"full": p, "drawn": p, "choices": torch.special.entr(p).sum().exp()}


def long_context_cost(names, width, tokens):
    pairs, rest = names["block_cost"](width, tokens)
    return {"T": tokens, "C": width, "quadratic": pairs, "rest": rest, "share": pairs / (pairs + rest)}


def attention_routes(names, share, attention, feed_forward):
    mixed, out = names["routed"](share, attention, feed_forward)
    return {"mixed": mixed, "out": out}


WIDTHS = {768: "small", 1600: "xl", 4096: "medium", 12288: "large"}
PAIRS = {
    "softmax_blend": Pair(
        "ch01/lab01",
        lambda temperature, **scores: {"scores": list(scores.values()), "temperature": temperature},
        softmax_blend,
        [{"temperature": 0.05}, {"temperature": 4.0, "score_of_cat": -4.0}, {"score_of_sat": 2.0, "score_of_mat": 3.7}],
    ),
    "rope_position": Pair(
        "ch02/lab02",
        lambda query, key, pair: {"query": query, "key": key, "pair": pair},
        rope_position,
        [
            {"query": 56, "key": 46},
            {"query": 0, "key": 128, "pair": 7},
            {"query": 128, "key": 0, "pair": 1},
            {"pair": 3},
        ],
        within=5e-6,  # the lab's angles are float32: one of 128 radians is known to 4e-6
    ),
    "feed_forward": Pair(
        "ch02/lab03",
        units,
        feed_forward,
        [{"activation": "GELU", "first_edge": -3.0}, {"activation": "SiLU", "third_edge": 0.4}, {"activation": "none"}],
    ),
    "attention_routes": Pair(
        "ch02/lab04",
        lambda share, attention, feed_forward: {"share": share, "attention": attention, "feedForward": feed_forward},
        attention_routes,
        [{"share": 0.35, "feed_forward": True}, {"attention": False}, {"attention": False, "feed_forward": True}],
    ),
    "grouped_query_attention": Pair(
        "ch02/lab06",
        lambda G, tokens: {"groups": G.bit_length() - 1, "D": 64, "T": tokens},
        grouped_query_attention,
        [{"G": 1}, {"G": 4, "tokens": 256}, {"G": 8, "tokens": 8192}],
    ),
    "parallel_context": Pair(
        "ch03/lab01",
        lambda position, word, mask: {"position": position, "word": "" if word == "as it is" else word, "mask": mask},
        parallel_context,
        [{"word": "love"}, {"word": "what", "position": 0, "mask": False}, {"word": "a", "position": 5}],
    ),
    "token_ids_to_the_stack": Pair(
        "ch03/lab02",
        lambda text, merges: {"words": text, "merges": merges},
        token_ids_to_the_stack,
        [{"merges": 0}, {"merges": 112}, {"text": "the hat on the hat"}, {"text": "It's  2 cats, o'er the"}],
    ),
    "sampling": Pair(
        "ch03/lab03",
        lambda temperature: {"temperature": temperature, "k": 0, "p": 1},
        sampling,
        [{"temperature": 0.1}, {"temperature": 0.65}, {"temperature": 3.0}],
    ),
    "long_context_cost": Pair(
        "ch04/lab06",
        lambda width, tokens: {"model": WIDTHS[width], "length": float(np.log2(tokens)), "skip": False},
        long_context_cost,
        [{"width": 4096, "tokens": 128}, {"width": 12288, "tokens": 2**20}, {"width": 1600, "tokens": 9742}],
    ),
}
CARD = re.compile(r'\bcard="(\w+)"')


@cache
def names_of(lab: str) -> dict[str, Any]:
    """What a lab's cells define up to the movable one, and under "move" the arguments with which that called `move`.

    All cells but those that only look; so the movable cell stands on what was given and what was built.
    """
    names: dict[str, Any] = {}
    for cell in notebook(lab).cells:
        movable = CARD.search(cell.source)
        if cell.cell_type == "code" and (movable or "look" not in cell.metadata.get("tags", [])):
            if movable:
                names["move"] = lambda draw, **controls: names.update(move=(draw, controls))
            exec(compile(cell.source, lab, "exec"), names)
            if movable:
                return names
    raise AssertionError(f"{lab} moves nothing")


def start(lab: str) -> dict[str, Any]:
    """The values that the lab's controls have at first."""
    draw, _ = names_of(lab)["move"]
    return {name: p.default for name, p in inspect.signature(draw).parameters.items()}


@pytest.mark.parametrize("name", PAIRS)
def test_the_lab_starts_where_the_card_starts(card, name):
    pair = PAIRS[name]
    there = card(name).state()
    assert {key: there[key] for key in pair.state(**start(pair.lab))} == pair.state(**start(pair.lab))


@pytest.mark.parametrize("name", PAIRS)
def test_the_lab_shows_the_cards_numbers(card, name):
    pair, shown = PAIRS[name], card(name)
    for values in ({}, *pair.states):
        values = start(pair.lab) | values
        theirs = shown.call("compute", pair.state(**values))
        for key, ours in pair.found(names_of(pair.lab), **values).items():
            if np.asarray(ours).dtype.kind == "U":
                assert ours == theirs[key], (key, values)
            else:
                said = f"{key} at {values}"
                np.testing.assert_allclose(np.asarray(ours), theirs[key], rtol=1e-9, atol=pair.within, err_msg=said)


@pytest.mark.parametrize("name", PAIRS)
def test_the_lab_draws_whatever_its_controls_can_show(name):
    draw, told = names_of(PAIRS[name].lab)["move"]
    for control in told.keys() - {"alt", "card"}:
        can = told[control]
        ends = [True, False] if can is bool else ["", "naïve 🙂 " * 4] if can is str else can
        for value in ends if isinstance(ends, list) and len(ends) < 9 else (ends[0], ends[1], ends[-1]):
            if not isinstance(can, tuple) or can[0] <= value <= can[1]:
                plt.close(draw(**{control: value}))


def test_every_card_that_a_lab_names_is_there_and_is_compared():
    named = {card for file in INSTRUCTOR.rglob("lab*.py") for card in CARD.findall(file.read_text(encoding="utf-8"))}
    assert named == PAIRS.keys()
    assert all((BOOK / "concepts" / f"{card}.md").exists() for card in named)
