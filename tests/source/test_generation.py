"""Generation: the cached loop equals the naive one, also beyond the context; seeds, temperature, errors."""

import pytest
import torch

from source.generation import draw, generate
from source.models import gpt, llama


def models():
    torch.manual_seed(0)
    made = [gpt.GPT(gpt.Sizes(11, 8, 16, 2, 2)), llama.Llama(llama.Sizes(11, 8, 16, 4, 2, 24, 2))]
    for model in made:
        for p in model.parameters():
            torch.nn.init.normal_(p, std=0.5)
    return [model.eval() for model in made]


@torch.no_grad()
def generate_naive(model, ids, length, temperature, seed):
    """The whole window anew at every step."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(length):
        logits = model(ids[:, -model.sizes.context :])[:, -1]
        ids = torch.cat([ids, draw(logits, temperature, generator)], dim=1)
    return ids


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("temperature", [0, 0.7])
def test_the_cache_changes_nothing_within_the_context_and_beyond(which, temperature):
    model, prompt = models()[which], torch.tensor([[1, 2, 3], [4, 5, 6]])
    ids = generate(model, prompt, 12, temperature, seed=5)
    assert torch.equal(ids, generate_naive(model, prompt, 12, temperature, 5))
    assert torch.equal(ids[:, :3], prompt)


def test_the_seed_decides():
    model, prompt = models()[0], torch.tensor([[1]])
    assert not torch.equal(generate(model, prompt, 20, seed=1), generate(model, prompt, 20, seed=2))


def test_draws_follow_the_softmax():
    logits = torch.tensor([[0.0, 1.0, 2.0]]).expand(20_000, 3)
    ids = draw(logits, 0.5, torch.Generator().manual_seed(0))
    share = torch.bincount(ids[:, 0]) / len(ids)
    torch.testing.assert_close(share, torch.softmax(torch.tensor([0.0, 2.0, 4.0]), -1), atol=0.01, rtol=0)


def test_wrong_input_is_explained():
    model = models()[0]
    with pytest.raises(ValueError, match="at least one id"):
        generate(model, torch.zeros(1, 0, dtype=torch.long), 3)
    with pytest.raises(ValueError, match="temperature"):
        generate(model, torch.tensor([[1]]), 3, temperature=-1)
