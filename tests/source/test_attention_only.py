"""Tests of the attention-only model, of its shipped weights against their card, and of a few steps of its training."""

import hashlib
import math
import re

import numpy as np
import pytest
import torch

from source import train_attention_heads as script
from source.files import data_path
from source.models.attention_only import SHIPPED, AttentionOnly, load, save
from source.text import WORDS, decode, encode

ROW = re.compile(r"^\| (\d) \| (\d) \| (.+) \|$", re.MULTILINE)


@pytest.fixture(scope="module")
def shipped() -> AttentionOnly:
    return load()


@pytest.fixture(scope="module")
def card() -> str:
    return data_path("attention_heads/card.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def table(card) -> dict[str, torch.Tensor]:
    """The card's numbers by head, (L, H) a column."""
    names = [*script.KINDS, "loss without it"]
    columns = {name: torch.full((script.LAYERS, script.HEADS), math.nan) for name in names}
    for layer, head, numbers in ROW.findall(card):
        for name, number in zip(names, numbers.split(" | "), strict=True):
            columns[name][int(layer), int(head)] = float(number)
    return columns


@pytest.fixture(scope="module")
def lists() -> torch.Tensor:
    return script.twice(rows=200, seed=123)  # not the lists of the card


def small() -> AttentionOnly:
    torch.manual_seed(0)
    return AttentionOnly(vocabulary=11, context=9, width=12, heads=3, layers=2)


def test_shapes():
    model = small()
    ids = torch.randint(11, (2, 7))
    logits, weights = model.look(ids)
    assert logits.shape == (2, 7, 11)
    assert weights.shape == (2, 2, 3, 7, 7)
    assert torch.equal(model(ids), logits)


def test_weights_are_a_causal_average(shipped, lists):
    _, weights = shipped.look(lists)
    torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))
    assert weights.triu(1).abs().max() == 0


def test_a_word_changes_nothing_before_it(shipped, lists):
    before = shipped(lists[:4])
    for t in (1, 17, 40):
        changed = lists[:4].clone()
        changed[:, t] = (changed[:, t] + 1) % len(WORDS)
        after = shipped(changed)
        torch.testing.assert_close(after[:, :t], before[:, :t])
        assert not torch.allclose(after[:, t], before[:, t])


def test_the_loops_agree():
    """Attention written out head by head, query by query, key by key."""
    layer = small().layers[0]
    B, T, C, H = 2, 5, 12, 3
    D = C // H
    x, keep = torch.randn(B, T, C), torch.tensor([1.0, 0.0, 0.5])
    out, weights = layer(x, keep)
    expected = torch.zeros(B, T, C)
    for b in range(B):
        for h in range(H):
            part = slice(h * D, (h + 1) * D)
            for t in range(T):
                q = layer.query.weight[part] @ x[b, t]
                scores = [(q @ (layer.key.weight[part] @ x[b, s])).item() / math.sqrt(D) for s in range(t + 1)]
                total = sum(math.exp(score) for score in scores)
                for s, score in enumerate(scores):
                    weight = math.exp(score) / total
                    assert weights[b, h, t, s].item() == pytest.approx(weight, abs=1e-5)
                    value = layer.value.weight[part] @ x[b, s]
                    expected[b, t] += keep[h] * weight * (layer.out.weight[:, part] @ value)
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-4)


def test_a_head_scaled_by_zero_moves_nothing():
    model, ids = small(), torch.randint(11, (2, 7))
    assert torch.equal(model(ids, torch.ones(2, 3)), model(ids))
    nothing_moves = model(ids, torch.zeros(2, 3))
    changed = ids.clone()
    changed[:, 0] = (ids[:, 0] + 1) % 11
    torch.testing.assert_close(model(changed, torch.zeros(2, 3))[:, 1:], nothing_moves[:, 1:])


@pytest.mark.parametrize(
    ("ids", "keep", "says"),
    [
        (torch.zeros(3, dtype=torch.long), None, r"\(B, T\)"),
        (torch.zeros(1, 10, dtype=torch.long), None, "positions for 9"),
        (torch.zeros(1, 3, dtype=torch.long), torch.ones(3, 2), r"\(2, 3\)"),
    ],
)
def test_wrong_input_is_explained(ids, keep, says):
    with pytest.raises(ValueError, match=says):
        small().look(ids, keep)


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="divide"):
        AttentionOnly(vocabulary=11, width=10, heads=3)


def test_saved_and_loaded_is_the_same(tmp_path):
    model, ids = small(), torch.randint(11, (2, 7))
    save(model, tmp_path / "model.npz")
    assert torch.equal(load(tmp_path / "model.npz")(ids), model(ids))


def test_another_file_is_refused(tmp_path):
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(ValueError, match="does not hold"):
        load(tmp_path / "other.npz")


def test_a_missing_file_says_what_to_do():
    with pytest.raises(FileNotFoundError, match="git pull"):
        data_path("no/such/file.npz")


def test_text_becomes_ids_and_comes_back_and_an_unknown_word_is_named():
    assert decode(encode("Anna Stone sees the cat.")) == ["<start>", "anna", "stone", "sees", "the", "cat", "."]
    assert len(set(WORDS)) == len(WORDS)
    with pytest.raises(ValueError, match="zebra"):
        encode("the zebra")


def test_documents_have_their_list_twice():
    rng = script.random.Random(0)
    for _ in range(50):
        ids = script.document(rng, 48)
        assert len(ids) == 48
        fours = [tuple(ids[t : t + 4]) for t in range(45)]
        assert len(set(fours)) < len(fours)
    with pytest.raises(ValueError, match="too short"):
        script.document(rng, 36)


def test_the_card_is_of_this_file(card, shipped):
    path = data_path(SHIPPED)
    assert f"`{hashlib.sha256(path.read_bytes()).hexdigest()}`" in card
    assert path.stat().st_size < 1_000_000
    assert shipped.token.weight.shape[0] == len(WORDS)


def test_the_card_scores_hold_on_other_lists(shipped, table, lists):
    for kind, scores in script.head_scores(shipped, lists).items():
        # 200 lists of 20 words: another draw moves a mean by about 0.01
        torch.testing.assert_close(scores, table[kind], atol=0.03, rtol=0)


def test_one_head_looks_back_and_one_continues(table):
    previous, induction = table["previous"], table["induction"]
    assert previous[0].max() > 0.7
    assert induction[1].max() > 0.7
    assert (previous < 0.3).sum() >= 5
    assert (induction < 0.3).sum() == induction.numel() - 1


def test_taking_out_either_harms_most(shipped, table, lists):
    first, second = script.list_losses(shipped, lists)
    assert second < first / 5
    pair = {(0, int(table["previous"][0].argmax())), (1, int(table["induction"][1].argmax()))}
    harm = {}
    for layer in range(script.LAYERS):
        for head in range(script.HEADS):
            harm[layer, head] = script.list_losses(shipped, lists, script.without(layer, head))[1] - second
            assert harm[layer, head] + second == pytest.approx(table["loss without it"][layer, head].item(), abs=0.2)
    others = max(loss for place, loss in harm.items() if place not in pair)
    assert min(harm[place] for place in pair) > 3 * others


def test_training_is_seeded_and_learns():
    docs = script.documents(200, seed=1)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    losses = []
    try:
        models = [script.train(1, 40, docs, lambda _, loss: losses.append(loss)) for _ in range(2)]
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for a, b in zip(*(m.state_dict().values() for m in models), strict=True))
    assert losses[:40] == losses[40:]
    assert losses[39] < losses[0] - 0.5
