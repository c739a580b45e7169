"""Held-out loss and sampling."""

import pytest
import torch
from torch import nn

from source.training.evaluation import measuring, sample, validation_loss, validation_loss_naive


def a_model(dropout=0.0):
    torch.manual_seed(0)
    return nn.Sequential(nn.Embedding(5, 6), nn.Dropout(dropout), nn.Linear(6, 5)).double()


TEXT = torch.randint(5, (50,), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("batch", [1, 3, 100])
@pytest.mark.parametrize("T", [1, 4, 7, 49])
def test_it_equals_the_naive_twin_whatever_the_batch(batch, T):
    model = a_model(0.5)
    assert validation_loss(model, TEXT, T, batch) == pytest.approx(validation_loss_naive(model, TEXT, T), abs=1e-12)


def test_every_part_is_in_its_old_mode_afterwards():
    model = a_model(0.5)
    model[1].eval()
    with measuring(model):
        assert not any(part.training for part in model.modules())
        assert not torch.is_grad_enabled()
    assert model.training
    assert not model[1].training
    assert torch.is_grad_enabled()


def test_a_text_without_a_window_is_refused():
    with pytest.raises(ValueError, match="longer"):
        validation_loss(a_model(), TEXT[:4], 4)


def test_a_sample_goes_on_from_its_prompt_and_is_seeded():
    model = a_model()
    ids = TEXT[None, :3]

    def drawn(seed):
        return sample(model, ids, 20, 8, 0.8, torch.Generator().manual_seed(seed))

    assert torch.equal(drawn(1)[:, :3], ids)
    assert drawn(1).shape == (1, 23)
    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))


def test_temperature_zero_takes_the_likeliest():
    model = a_model()
    out = sample(model, TEXT[None, :1], 10, 8, temperature=0)
    assert torch.equal(out[:, 1:], model(out)[:, :-1].argmax(-1))
