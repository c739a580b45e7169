"""The loop: a run in pieces equals a run in one, interrupts lose nothing, divergence is said."""

import os
import signal

import pytest
import torch
from torch import nn

from source.training import checkpoint
from source.training.adamw import AdamW, decay_groups
from source.training.loop import Diverged, Run, asked_to_stop, train, training_step
from source.training.schedules import warmup_cosine


def begin():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(5, 8), nn.Dropout(0.3), nn.Linear(8, 5))
    return Run(model, AdamW(decay_groups(model, 0.1)))


def pieces(step):
    ids = torch.randint(5, (3, 4), generator=torch.Generator().manual_seed(step))
    return [(ids[:2], ids[:2].roll(1, 1)), (ids[2:], ids[2:].roll(1, 1))]


def rate(step):
    return warmup_cosine(step, 0.05, 3, 12)


def bits(run):
    return torch.cat([p.detach().flatten() for p in run.model.parameters()])


def test_a_run_in_pieces_gives_the_same_bits_as_one(tmp_path):
    whole = train(begin(), 12, pieces, rate, measure=lambda model: 1.0, every=5)
    path = tmp_path / "run.pt"
    for until in (2, 5, 12):
        run = begin()
        if path.is_file():
            torch.manual_seed(99)  # another process
        train(run, 12, pieces, rate, measure=lambda m: 1.0, every=5, path=path, stop=lambda r=run, u=until: r.step >= u)
    assert run.step == 12
    assert torch.equal(bits(run), bits(whole))
    assert run.losses == whole.losses
    assert run.held_out == whole.held_out == [[5, 1.0], [10, 1.0], [12, 1.0]]


def test_an_interrupt_finishes_the_step_and_the_run_goes_on(capsys):
    run, whole = begin(), train(begin(), 12, pieces, rate)
    torch.manual_seed(0)
    run = begin()

    def interrupt(run):
        if run.step == 4:
            os.kill(os.getpid(), signal.SIGINT)

    train(run, 12, pieces, rate, watch=[interrupt])
    assert run.step == 4
    assert "run it again to go on" in capsys.readouterr().out
    train(run, 12, pieces, rate)
    assert torch.equal(bits(run), bits(whole))


def test_a_second_interrupt_stops_at_once_and_the_old_handler_comes_back():
    before = signal.getsignal(signal.SIGINT)
    with asked_to_stop() as asked:
        os.kill(os.getpid(), signal.SIGINT)
        assert asked()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_divergence_moves_nothing():
    run = begin()
    with torch.no_grad():
        run.model[2].bias[0] = float("nan")
    before = bits(run).clone()
    with pytest.raises(Diverged, match="lower the rate"):
        training_step(run.model, run.optimizer, pieces(0), 0.1)
    assert torch.equal(bits(run).nan_to_num(7.0), before.nan_to_num(7.0))


def test_a_groups_scale_multiplies_the_rate():
    run = begin()
    run.optimizer.param_groups[1]["scale"] = 0.5
    training_step(run.model, run.optimizer, pieces(0), 0.2)
    assert [group["lr"] for group in run.optimizer.param_groups] == [0.2, 0.1]


def test_a_state_survives_a_file(tmp_path):
    run = train(begin(), 3, pieces, rate)
    checkpoint.save(tmp_path / "a.pt", run.state())
    other = begin()
    other.resume(checkpoint.load(tmp_path / "a.pt"))
    assert torch.equal(bits(other), bits(run))
    assert (other.step, other.losses) == (3, run.losses)
