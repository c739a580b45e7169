"""Embeddings by hand: against one-hot products, plain loops and PyTorch's own, forward and backward."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from source.blocks.embeddings import (
    Embeddings,
    TiedModel,
    TokenEmbedding,
    checked,
    fixed_table,
    gradient_by_use,
    nearest,
    one_hot_product,
    table_gradient,
    table_gradient_naive,
)


@pytest.mark.parametrize("shape", [(2, 5), (1, 1), (0, 3), (4,), (2, 3, 2)])
def test_a_lookup_is_a_one_hot_product_forward_and_backward(shape):
    torch.manual_seed(0)
    layer = TokenEmbedding(7, 3).double()
    ids, upstream = torch.randint(7, shape), torch.randn(*shape, 3, dtype=torch.float64)
    (by_lookup,) = torch.autograd.grad(layer(ids), layer.weight, upstream)
    (by_product,) = torch.autograd.grad(one_hot_product(ids, layer.weight), layer.weight, upstream)
    assert torch.equal(layer(ids), one_hot_product(ids, layer.weight))
    torch.testing.assert_close(by_lookup, by_product, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("padding", [None, 0, 4])
def test_token_embedding_is_pytorchs_forward_and_backward(padding):
    torch.manual_seed(0)
    ours, theirs = TokenEmbedding(5, 3, padding), nn.Embedding(5, 3, padding_idx=padding)
    theirs.load_state_dict(ours.state_dict())
    ids, upstream = torch.randint(5, (3, 8)), torch.randn(3, 8, 3)
    outs = [layer(ids) for layer in (ours, theirs)]
    assert torch.equal(*outs)
    for out in outs:
        out.backward(upstream)
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 3), st.integers(0, 6), st.integers(1, 5), st.sampled_from([None, 0, 2]))
def test_table_gradient_equals_its_naive_twin_and_autograd(B, T, C, padding):
    torch.manual_seed(B + 7 * T)
    ids, upstream = torch.randint(4, (B, T)), torch.randn(B, T, C, dtype=torch.float64)
    ours = table_gradient(ids, upstream, 4, padding)
    torch.testing.assert_close(ours, table_gradient_naive(ids, upstream, 4, padding), rtol=1e-12, atol=1e-12)
    layer = TokenEmbedding(4, C, padding).double()
    layer(ids).backward(upstream)
    torch.testing.assert_close(ours, layer.weight.grad, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("wrong", [-1, 5, 300])
def test_ids_that_are_no_rows_are_named(wrong):
    for layer in (TokenEmbedding(5, 2), Embeddings(5, 8, 2)):
        with pytest.raises(IndexError, match=f"id {wrong} .* 0 to 4"):
            layer(torch.tensor([[1, wrong]]))


def test_bytes_as_ids_are_ids_and_no_mask():
    layer = TokenEmbedding(256, 2)
    ids = torch.tensor([[1, 0, 255]], dtype=torch.uint8)
    assert torch.equal(layer(ids), layer(ids.long()))
    assert checked(ids, 256).dtype == torch.int64


def test_a_padding_id_without_a_row_is_refused():
    with pytest.raises(ValueError, match="padding id 5"):
        TokenEmbedding(5, 2, padding=5)


def test_embeddings_add_the_row_of_the_token_and_of_the_position():
    layer = Embeddings(6, 9, 4)
    ids = torch.tensor([[5, 0], [2, 2]])
    out = layer(ids, start=3)
    for b in range(2):
        for t in range(2):
            assert torch.equal(out[b, t], layer.token[ids[b, t]] + layer.position[3 + t])
    assert layer(ids[:0]).shape == (0, 2, 4)
    assert layer(ids[:, :0]).shape == (2, 0, 4)


@pytest.mark.parametrize(("start", "T"), [(0, 10), (9, 1), (-1, 1)])
def test_positions_that_the_table_lacks_are_refused(start, T):
    with pytest.raises(ValueError, match="not among 0 to 8"):
        Embeddings(6, 9, 4)(torch.zeros(1, T, dtype=torch.long), start=start)


def _tied():
    torch.manual_seed(0)
    body = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
    return TiedModel(Embeddings(6, 9, 4), body).double()


def test_a_tied_model_has_one_table_and_its_gradient_is_the_sum_of_both_uses():
    model = _tied()
    assert [n for n, p in model.named_parameters() if 6 in p.shape] == ["embeddings.token"]
    ids, upstream = torch.tensor([[1, 2, 2], [5, 0, 1]]), torch.randn(2, 3, 6, dtype=torch.float64)
    model(ids).backward(upstream)
    places = model.embeddings.position[:3].detach()
    parts = gradient_by_use(model.embeddings.token, ids, lambda x: model.body(x + places), upstream)
    torch.testing.assert_close(model.embeddings.token.grad, parts.as_input + parts.as_output, rtol=1e-12, atol=1e-12)
    absent = [3, 4]
    assert not parts.as_input[absent].any()  # never looked up
    assert parts.as_output[absent].abs().sum(dim=1).all()  # but pushed at every position


def test_a_tied_model_stays_tied_through_a_step_and_through_loading():
    model = _tied()
    ids = torch.tensor([[1, 2]])
    with torch.no_grad():
        model.embeddings.token.mul_(2)
    expected = model.body(model.embeddings(ids)) @ model.embeddings.token.T
    assert torch.equal(model(ids), expected)


def test_nearest_leaves_the_row_itself_out_and_knows_directions_only():
    table = torch.tensor([[1.0, 0.0], [5.0, 0.1], [0.0, 2.0], [-1.0, 0.0], [0.0, 0.0]])
    ids, cosines = nearest(table, 0, 2)
    assert ids[0] == 1
    assert 0 not in ids
    assert cosines[0] == pytest.approx(0.9998, abs=1e-4)
    assert nearest(table, 4, 1)[1].isfinite().all()


def test_a_fixed_table_looks_random_and_a_longer_one_begins_with_a_shorter():
    table = fixed_table(768, 5)
    assert table.shape == (768, 5)
    assert torch.equal(fixed_table(256, 5), table[:256])
    assert len({tuple(row) for row in table.tolist()}) == 768
    assert table.abs().max() <= 1
    assert table.mean().abs() < 0.01
