"""The encoder against transformers' BertModel, forward and backward and through files; pooling and the classifier."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from transformers import BertConfig, BertForMaskedLM, BertModel

from source.attention.against_torch import max_error
from source.models.encoder import (
    Classifier,
    Encoder,
    Sizes,
    config,
    from_huggingface,
    masked_mean,
    masked_mean_naive,
    sizes_of,
    to_huggingface,
)

SIZES = Sizes(vocabulary=23, context=9, width=12, heads=3, layers=2, hidden=20, segments=3)
REAL = torch.tensor([[True] * 7, [True] * 4 + [False] * 3])


def small(dtype=torch.float32, sizes=SIZES):
    """An encoder whose every weight matters."""
    torch.manual_seed(0)
    model = Encoder(sizes).to(dtype)
    for p in model.parameters():
        nn.init.normal_(p, std=0.5 if p.ndim == 1 else p.shape[-1] ** -0.5)
    return model


def theirs_of(model):
    bert = BertModel(BertConfig(**config(model.sizes), attn_implementation="eager"), add_pooling_layer=False)
    bert.to(next(model.parameters()).dtype).load_state_dict(to_huggingface(model.state_dict()))
    return bert.eval()


@pytest.mark.parametrize(
    "real", [torch.ones(2, 7, dtype=torch.bool), REAL, REAL.flip(1)], ids=["full", "right", "left"]
)
@pytest.mark.parametrize(("dtype", "allowed"), [(torch.float32, 1e-4), (torch.float64, 1e-11)])
def test_every_layer_equals_berts_forward_and_backward(real, dtype, allowed):
    ours = small(dtype)
    theirs = theirs_of(ours)
    ids, segments = torch.randint(1, 23, (2, 7)), torch.randint(3, (2, 7))
    states = ours(ids, real, segments)
    told = theirs(ids, attention_mask=real.long(), token_type_ids=segments, output_hidden_states=True)
    assert len(states) == len(told.hidden_states) == 3
    for mine, other in zip(states, told.hidden_states, strict=True):
        assert max_error(mine[real], other[real]) < allowed
    upstream = torch.randn(2, 7, 12, dtype=dtype) * real[..., None]
    states[-1].backward(upstream)
    told.last_hidden_state.backward(upstream)
    grads = from_huggingface({name: p.grad for name, p in theirs.named_parameters()})
    worst = {name: max_error(p.grad, grads[name]) for name, p in ours.named_parameters()}
    assert max(worst.values()) < 10 * allowed, worst


def test_the_attention_maps_equal_berts():
    ours = small()
    ids = torch.randint(1, 23, (2, 7))
    told = theirs_of(ours)(ids, attention_mask=REAL.long(), output_attentions=True).attentions
    for mine, other in zip(ours.attention_maps(ids, REAL), told, strict=True):
        assert max_error(mine, other) < 1e-5
        assert (mine[1, :, :, 4:] == 0).all()


def test_both_sides_are_seen_and_padding_is_not():
    model, ids = small(), torch.randint(1, 23, (2, 7))
    before = model(ids, REAL)[-1]
    for t in range(7):
        changed = ids.clone()
        changed[:, t] = (ids[:, t] + 1) % 23
        moved = (model(changed, REAL)[-1] - before).abs().amax(dim=-1) > 1e-6
        assert moved[0].all()
        assert moved[1, :4].all() == (t < 4)
        assert moved[1, :4].any() == (t < 4)


def test_a_padded_sentence_is_the_sentence_alone():
    model, ids = small(), torch.randint(1, 23, (2, 7))
    torch.testing.assert_close(model(ids, REAL)[-1][1, :4], model(ids[1:, :4])[-1][0])


def test_names_go_there_and_back_and_what_is_no_weight_of_ours_is_left_out():
    state = small(sizes=Sizes(**{**SIZES.__dict__, "layers": 11})).state_dict()
    back = from_huggingface(to_huggingface(state))
    assert all(torch.equal(back[name], state[name]) for name in state)
    assert back.keys() == state.keys()
    bert = BertForMaskedLM(BertConfig(**config(SIZES)))
    named = bert.state_dict() | {"bert.embeddings.position_ids": torch.arange(9)[None]}
    assert from_huggingface(named).keys() == small().state_dict().keys()
    old = {n.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): w
           for n, w in named.items()}  # fmt: skip
    assert from_huggingface(old).keys() == small().state_dict().keys()


def test_we_read_what_transformers_saves(tmp_path):
    theirs = theirs_of(small())
    theirs.save_pretrained(tmp_path)
    ours, ids = Encoder.from_folder(tmp_path), torch.randint(1, 23, (2, 5))
    with torch.no_grad():
        torch.testing.assert_close(ours(ids)[-1], theirs(ids).last_hidden_state, atol=1e-4, rtol=0)
    (tmp_path / "config.json").write_text(json.dumps(config(SIZES) | {"num_hidden_layers": 3}))
    with pytest.raises(ValueError, match="does not hold"):
        Encoder.from_folder(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        Encoder.from_folder(tmp_path / "nothing")


def test_the_defaults_are_bert_bases():
    assert sizes_of({"model_type": "bert"}) == Sizes()
    assert sizes_of(json.loads(BertConfig().to_json_string())) == Sizes()
    assert sum(p.numel() for p in Encoder(Sizes(layers=1)).parameters()) == 30_925_056


@pytest.mark.parametrize(("setting", "value"), [("hidden_act", "relu"), ("model_type", "gpt2"), ("is_decoder", True)])
def test_another_architecture_is_refused_by_name(setting, value):
    with pytest.raises(ValueError, match=setting):
        sizes_of(config(SIZES) | {setting: value})


def test_wrong_input_is_explained():
    with pytest.raises(ValueError, match=r"\(B, T\)"):
        small()(torch.zeros(3, dtype=torch.long))
    with pytest.raises(ValueError, match="positions for 9"):
        small()(torch.zeros(1, 10, dtype=torch.long))
    with pytest.raises(ValueError, match="5 heads do not divide"):
        Encoder(Sizes(width=12, heads=5, layers=1))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 4), st.integers(1, 6), st.integers(1, 5), st.integers(0, 10**6))
def test_the_masked_mean_equals_its_naive_twin_forward_and_backward(B, T, C, seed):
    torch.manual_seed(seed)
    x, real, upstream = torch.randn(B, T, C, dtype=torch.float64), torch.rand(B, T) < 0.5, torch.randn(B, C).double()
    found = []
    for pool in (masked_mean, masked_mean_naive):
        leaf = x.clone().requires_grad_()
        out = pool(leaf, real) + 0 * leaf.sum()
        out.backward(upstream)
        found.append((out, leaf.grad))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_nan_in_the_padding_stays_there():
    x = torch.randn(2, 7, 3).masked_fill(~REAL[..., None], float("nan")).requires_grad_()
    masked_mean(x, REAL).sum().backward()
    assert masked_mean(x, REAL).isfinite().all()
    assert x.grad.isfinite().all()


class Doubles(nn.Module):
    """An encoder that behaves otherwise in training: as dropout does, but without chance."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(23, 4)

    def forward(self, ids, real):
        return [torch.zeros(*ids.shape, 4), self.table(ids) * (2 if self.training else 1)]


@pytest.mark.parametrize("frozen", [True, False])
def test_a_frozen_encoder_is_a_fixed_function(frozen):
    torch.manual_seed(0)
    model, ids = Classifier(Doubles(), 4, 5, frozen), torch.randint(23, (2, 7))
    told = model.eval()(ids, REAL)
    out = model.train()(ids, REAL)
    assert out.shape == (2, 5)
    assert torch.allclose(out, told) == frozen
    out.sum().backward()
    assert (model.encoder.table.weight.grad is None) == frozen
    assert model.head.weight.grad.abs().sum() > 0
