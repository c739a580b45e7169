"""Parameter counts against real models, GPT-2's first weights, the plain generate loop, and the probe of a loss."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from transformers import GPT2Config, GPT2LMHeadModel

from source.models.decoder_steps import asked_for, generate, initialise, parameter_parts
from source.models.gpt import GPT, Sizes

SMALL = Sizes(vocabulary=11, context=6, width=8, heads=2, layers=2)


def lively(sizes=SMALL, seed=0):
    torch.manual_seed(seed)
    model = GPT(sizes)
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.5)
    return model.eval()


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 6), st.integers(0, 4))
def test_the_parts_add_up_to_the_models_parameters(vocabulary, context, width, layers):
    model = GPT(Sizes(vocabulary, context, width, 1, layers))
    counted = sum(parameter_parts(vocabulary, context, width, layers).values())
    assert counted == sum(p.numel() for p in model.parameters())


def test_gpt2s_smallest_model_has_124439808_parameters_here_and_in_transformers():
    assert sum(parameter_parts(50257, 1024, 768, 12).values()) == 124_439_808
    with torch.device("meta"):
        theirs = GPT2LMHeadModel(GPT2Config())
    assert sum(p.numel() for p in theirs.parameters()) == 124_439_808


def test_the_first_weights_are_gpt2s():
    torch.manual_seed(0)
    model = GPT(Sizes(vocabulary=300, context=128, width=128, heads=4, layers=5))
    for p in model.parameters():
        torch.nn.init.constant_(p, 7.0)
    initialise(model)
    block = model.blocks[4]
    for weight in (model.token.weight, model.position.weight, block.attention.W_qkv.weight):
        assert weight.std().item() == pytest.approx(0.02, rel=0.03)
        assert abs(weight.mean().item()) < 0.02 / math.sqrt(weight.numel()) * 5
    for weight in (block.attention.W_o.weight, block.feed_forward.W_out.weight):
        assert weight.std().item() == pytest.approx(0.02 / math.sqrt(10), rel=0.03)
    assert (block.norm1.weight == 1).all()
    assert (model.last_norm.bias == 0).all()
    assert (block.feed_forward.W_in.bias == 0).all()


def test_greedy_generation_takes_the_largest_logit_each_time_and_sees_no_more_than_the_context():
    model, ids = lively(), torch.randint(11, (3, 4))
    out = generate(model, ids, 9)
    assert out.shape == (3, 13)
    assert torch.equal(out[:, :4], ids)
    for t in range(4, 13):
        assert torch.equal(model(out[:, max(0, t - 6) : t])[:, -1].argmax(-1), out[:, t])
    assert torch.equal(generate(model, ids, 0), ids)


def test_sampling_draws_from_the_tempered_distribution():
    model, ids, seen = lively(), torch.randint(11, (2, 3)), []

    def draw(probabilities):
        seen.append(probabilities)
        return probabilities.argmin(-1)

    out = generate(model, ids, 2, temperature=0.5, draw=draw)
    torch.testing.assert_close(seen[0], (model(ids)[:, -1] / 0.5).softmax(-1))
    assert torch.equal(out[:, 3], seen[0].argmin(-1))
    assert not seen[0].requires_grad
    torch.manual_seed(0)
    counts = torch.bincount(generate(model, ids[:1].repeat(4000, 1), 1, temperature=1.0)[:, -1], minlength=11) / 4000
    torch.testing.assert_close(counts, model(ids[:1])[0, -1].softmax(-1), atol=0.04, rtol=0)


def test_the_probe_reads_off_what_a_loss_asks_for():
    rows = torch.tensor([[5, 1, 2, 3, 0, 0], [7, 8, 9, 10, 1, 2]])

    def shifted(model, rows):
        return F.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten(), ignore_index=0)

    def copying(model, rows):
        return F.cross_entropy(model(rows).flatten(0, 1), rows.flatten(), reduction="sum")

    assert asked_for(shifted, rows, 11).tolist() == [[1, 2, 3, -1, -1], [8, 9, 10, 1, 2]]
    assert torch.equal(asked_for(copying, rows, 11), rows)


def test_the_course_model_asks_for_the_targets_that_it_is_given():
    model = lively()
    ids, targets = torch.randint(11, (2, 6)), torch.randint(11, (2, 6))
    targets[1, 2] = -100

    def loss_of(probe, rows):
        model.read = lambda x: probe(rows)
        return model(rows, targets)[1]

    assert torch.equal(asked_for(loss_of, ids, 11), targets.clamp(min=-1))
