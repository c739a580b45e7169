"""The ladder's program: what it counts and plans, that a seed fixes a run, and that a stopped ladder goes on."""

import json
import sys

import pytest
import torch

from source import train_ladder as script
from source.data_pipeline.windows import to_bytes
from source.models.gpt import GPT

TEXT = to_bytes("To be, or not to be, that is the question. " * 60)
TINY = script.SIZES[0]


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("sizes", [script.SIZES[0], script.SIZES[-1]])
def test_the_counts_add_up_to_the_model(sizes):
    counted = script.counts(sizes)
    assert sum(counted.values()) == sum(p.numel() for p in GPT(sizes).parameters())
    block = 12 * sizes.width**2 + 13 * sizes.width
    assert counted["blocks"] == sizes.layers * block + 2 * sizes.width


def test_sizes_rise_and_every_planned_run_costs_its_budget():
    work = [script.counts(s)["blocks"] + script.counts(s)["token"] for s in script.SIZES]
    assert work == sorted(work)
    runs = script.planned(4_000_000)
    assert [budget for budget, _, _ in runs] == sorted(budget for budget, _, _ in runs)
    for budget, sizes, steps in runs:
        count = script.counts(sizes)
        spent = 6 * (count["blocks"] + count["token"]) * steps * script.BATCH * script.CONTEXT
        assert spent == pytest.approx(budget, rel=0.02)
        assert steps >= script.STEPS
        assert steps * script.BATCH * script.CONTEXT <= script.EPOCHS * 4_000_000


def test_the_seed_fixes_a_run():
    once, again, other = (script.trained(TINY, 3, TEXT, 0.01, seed) for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(once.parameters(), again.parameters(), strict=True))
    assert not torch.equal(next(once.parameters()), next(other.parameters()))


def test_a_few_steps_lower_the_loss():
    before, after = (script.held_out_loss(script.trained(TINY, n, TEXT, 0.02), TEXT, rows=16) for n in (0, 40))
    assert after < before - 0.5


def test_a_stopped_ladder_goes_on_and_trains_nothing_twice(tmp_path, monkeypatch):
    file = tmp_path / "results" / "scaling_ladder.json"
    made = []

    def stand_in(budget, sizes, steps, data, held_out, seed=0):
        made.append((budget, sizes.width, sizes.layers, seed))
        return {
            "budget": budget,
            "seed": seed,
            "width": sizes.width,
            "layers": sizes.layers,
            "blocks": 1,
            "token": 1,
            "tokens": 1,
            "loss": 3.0,
            "seconds": 0.0,
        }

    monkeypatch.setattr(script, "record", stand_in)
    monkeypatch.setattr(script, "started", lambda f=script.started: f(file))
    monkeypatch.setattr(script, "write", lambda found, f=script.write: f(found, file))
    monkeypatch.setattr(sys, "argv", ["train_ladder"])
    script.main()
    first = list(made)
    script.main()
    assert made == first
    monkeypatch.setattr(sys, "argv", ["train_ladder", "--seeds", "2"])
    script.main()
    assert len(made) == 2 * len(first)
    assert len(set(made)) == len(made)
    found = json.loads(file.read_text())
    assert len(found["runs"]) == len(made)
    assert {"device", "threads", "torch", "date"} <= found.keys()
