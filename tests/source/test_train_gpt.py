"""The training of the small byte-level GPT: batches, schedule, exact resume; and the shipped model against its card."""

import csv
import hashlib
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from source import train_gpt as script
from source.corpus import shakespeare
from source.files import data_path
from source.models.gpt import Sizes, shipped

PLAN = script.Plan(
    sizes=Sizes(vocabulary=256, context=16, width=16, heads=2, layers=2), steps=12, batch=4, warm_up=3, measure_every=5
)
TEXT = script.to_bytes("To be, or not to be, that is the question. " * 20)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_targets_are_the_next_bytes():
    ids, targets = script.windows(torch.arange(20, dtype=torch.uint8), torch.tensor([0, 14]), 5)
    assert ids.tolist() == [[0, 1, 2, 3, 4], [14, 15, 16, 17, 18]]
    assert targets.tolist() == [[1, 2, 3, 4, 5], [15, 16, 17, 18, 19]]
    assert ids.dtype == torch.int64


def test_a_batch_depends_on_seed_and_step_alone_and_reaches_the_last_byte():
    once, again = script.batch(TEXT, PLAN, 7), script.batch(TEXT, PLAN, 7)
    assert torch.equal(once[0], again[0])
    assert not torch.equal(once[0], script.batch(TEXT, PLAN, 8)[0])
    assert not torch.equal(once[0], script.batch(TEXT, replace(PLAN, seed=1), 7)[0])
    exact = torch.arange(17, dtype=torch.uint8)  # room for one window
    assert script.batch(exact, PLAN, 0)[1][:, -1].tolist() == [16] * 4


def test_the_rate_rises_in_a_line_and_falls_along_a_cosine():
    plan = script.Plan(steps=1100, warm_up=100, rate=1.0, last_rate=0.1)
    assert script.learning_rate(plan, 0) == pytest.approx(0.01)
    assert script.learning_rate(plan, 99) == script.learning_rate(plan, 100) == pytest.approx(1.0)
    assert script.learning_rate(plan, 600) == pytest.approx(0.55)
    assert script.learning_rate(plan, 1100) == pytest.approx(0.1)


def test_a_run_in_pieces_gives_the_same_bits_as_one(tmp_path):
    def run(pieces):
        path, left = tmp_path / f"{len(pieces)}.pt", list(pieces)
        while left:
            state, until = script.resume(PLAN, path), left.pop(0)
            script.train(state, PLAN, TEXT, TEXT, lambda *_: None, lambda s=state, u=until: s["step"] >= u)
            script.store(state, PLAN, path)
        return state

    whole, parts = run([12]), run([2, 5, 12])
    assert parts["step"] == 12
    assert [row[0] for row in parts["measured"]] == [1, 5, 10, 12]
    assert parts["measured"] == whole["measured"]
    for one, other in zip(whole["model"].parameters(), parts["model"].parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_state_of_another_plan_is_refused(tmp_path):
    script.store(script.start(PLAN), PLAN, tmp_path / "a.pt")
    with pytest.raises(ValueError, match="other settings"):
        script.resume(replace(PLAN, rate=1.0), tmp_path / "a.pt")


def test_training_learns_and_ships_a_card(tmp_path):
    plan = replace(PLAN, steps=60, rate=1e-2)
    state = script.start(plan)
    script.train(state, plan, TEXT, TEXT, lambda *_: None)
    assert state["measured"][-1][2] < state["measured"][0][2] - 1
    script.ship(state, plan, tmp_path, TEXT, TEXT)
    assert hashlib.sha256((tmp_path / "model.safetensors").read_bytes()).hexdigest() in (
        tmp_path / "card.md"
    ).read_text(encoding="utf-8")


def test_the_shipped_file_is_the_cards_and_as_good_as_it_says():
    card = data_path("checkpoints/gpt2-bytes/card.md").read_text(encoding="utf-8")
    weights = data_path("checkpoints/gpt2-bytes/model.safetensors")
    assert hashlib.sha256(weights.read_bytes()).hexdigest() in card
    said = float(card.split("windows of the validation part: ")[1].split(".\n")[0])
    loss = script.validation_loss(shipped(), script.to_bytes(shakespeare("validation")), rows=512)
    assert loss == pytest.approx(said, abs=2e-3)
    assert loss < math.log(256) / 2


def test_the_shipped_loss_curve_falls():
    with data_path("checkpoints/gpt2-bytes/loss.csv").open(encoding="utf-8") as file:
        held = [float(row[2]) for row in list(csv.reader(file))[1:]]
    assert held[0] > 3.5
    assert np.argmin(held) > 0.7 * len(held)


def test_a_sample_starts_with_its_prompt_and_is_seeded():
    model = shipped()
    once = script.sample(model, "ROMEO:\n", 20)
    assert once.startswith("ROMEO:\n")
    assert once == script.sample(model, "ROMEO:\n", 20)
    assert once != script.sample(model, "ROMEO:\n", 20, seed=1)
