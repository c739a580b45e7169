"""The setting of the small recipes: text, batches, models and the numbers that are written down."""

import json
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from source import train_tiny
from source.files import data_path
from source.training import recipe as recipes
from source.training.evaluation import validation_loss
from source.training.loop import train
from source.training.recipe import LADDER, NANOGPT, OURS, TinyGPT
from source.training.tiny import CHARACTERS, CPU, GPU, Size, batches, text

SMALL = Size(layers=2, heads=2, width=16, context=8, batch=4, steps=6, dropout=0.0)


@pytest.fixture(scope="module")
def written():
    return text()


def test_the_text_is_as_long_as_tiny_shakespeare_and_comes_back(written):
    assert (len(written.train), len(written.validation)) == tuple(CHARACTERS.values())
    assert written.decode(written.encode("ROMEO:\nAy me!")) == "ROMEO:\nAy me!"
    with pytest.raises(ValueError, match="alphabet"):
        written.encode("é")
    with pytest.raises(ValueError, match="choose"):
        text("another")


def test_a_batch_depends_on_seed_and_step_alone(written):
    at, other = batches(written.train, 8, 4, 0), batches(written.train, 8, 4, 1)
    [(ids, targets)] = at(3)
    assert torch.equal(ids, at(3)[0][0])
    assert not torch.equal(ids, at(4)[0][0])
    assert not torch.equal(ids, other(3)[0][0])
    assert torch.equal(ids[:, 1:], targets[:, :-1])


def test_nanogpts_model_has_nanogpts_parameters():
    # 4 layers of 12 C^2, two gains each; a last gain; the characters and 64 positions.
    model = TinyGPT(CPU, 65, NANOGPT)
    count = sum(p.numel() for p in model.parameters())
    assert count == 4 * (12 * 128**2 + 2 * 128) + 128 + (65 + 64) * 128
    assert round((count - 64 * 128) / 1e6, 2) == 0.80  # the README counts without positions
    assert model.blocks[0]["feed_forward"].W_out.weight.std().item() == pytest.approx(0.02 / 8**0.5, rel=0.1)
    assert model.blocks[0]["attention"].W_q.weight.std().item() == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize(("size", "vocabulary"), [(CPU, 72), (CPU, 65), (GPU, 65), (GPU, 72)])
def test_no_recipe_has_more_parameters_than_nanogpts(size, vocabulary):
    def count(recipe):
        return sum(p.numel() for p in TinyGPT(size, vocabulary, recipe).parameters())

    assert all(count(recipe) <= count(NANOGPT) for recipe in LADDER.values())


@pytest.mark.parametrize("recipe", LADDER.values(), ids=LADDER)
def test_every_recipe_is_causal_trains_and_resumes(recipe, written, tmp_path):
    torch.manual_seed(0)
    model = TinyGPT(SMALL, 72, recipe)
    run = train_tiny.begin(SMALL, written, recipe, 0)
    at, rate = batches(written.train, 8, 4, 0), recipes.schedule(recipe, 6)
    train(run, 6, at, rate)
    ids = torch.randint(72, (1, 8), generator=torch.Generator().manual_seed(0))
    changed = ids.clone()
    changed[0, 5] = (ids[0, 5] + 1) % 72
    before, after = run.model(ids), run.model(changed)
    assert torch.allclose(before[:, :5], after[:, :5], atol=1e-6)
    assert not torch.allclose(before[:, 5:], after[:, 5:], atol=1e-6)
    assert model(ids).shape == (1, 8, 72)
    parts = train_tiny.begin(SMALL, written, recipe, 0)
    train(parts, 6, at, rate, path=tmp_path / "a.pt", stop=lambda: parts.step >= 3)
    again = train_tiny.begin(SMALL, written, recipe, 0)
    train(again, 6, at, rate, path=tmp_path / "a.pt")
    pairs = zip(run.model.parameters(), again.model.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_a_quiet_model_begins_by_guessing_evenly(written):
    torch.manual_seed(0)
    model = TinyGPT(CPU, 72, OURS)
    loss = validation_loss(model, written.validation[:1000], 64)
    assert loss == pytest.approx(float(torch.log(torch.tensor(72.0))), abs=1e-4)


def test_nanogpts_attention_is_the_plain_one():
    torch.manual_seed(0)
    layer = TinyGPT(SMALL, 72, NANOGPT).blocks[0]["attention"]
    x = torch.randn(2, 8, 16)
    q, k, v = (W(x).view(2, 8, 2, 8).transpose(1, 2) for W in (layer.W_q, layer.W_k, layer.W_v))
    scores = (q @ k.transpose(-2, -1) / 8**0.5).masked_fill(~torch.ones(8, 8).tril().bool(), float("-inf"))
    expected = layer.W_o((F.softmax(scores, -1) @ v).transpose(1, 2).reshape(2, 8, 16))
    assert torch.allclose(layer(x, None), expected, atol=1e-6)


def test_one_run_is_written_down(written):
    run, row = train_tiny.one("x", replace(OURS, warm_up=1), SMALL, written, 0, "cpu")
    assert row["steps"] == 6
    assert row["tokens"] == 6 * 4 * 8
    assert [step for step, _ in row["curve"]] == [1, 2, 3, 4, 5, 6]
    assert train_tiny.summary([row])["x"]["seeds"] == 1
    assert train_tiny.speak(run.model, written, n=5).startswith("\n")


def test_the_measured_comparison_is_fair_and_won():
    found = json.loads(data_path("results/train_tiny.json").read_text(encoding="utf-8"))
    ours, theirs = found["summary"][found["ours"]], found["summary"][found["baseline"]]
    assert ours["parameters"] <= theirs["parameters"]
    assert len({run["steps"] for run in found["runs"]}) == len({run["tokens"] for run in found["runs"]}) == 1
    assert ours["highest"] < theirs["lowest"]
