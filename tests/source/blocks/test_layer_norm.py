"""LayerNorm and RMSNorm against their naive twins, PyTorch's and Llama's, forward and backward."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from source.blocks.layer_norm import (
    LayerNorm,
    RMSNorm,
    layer_norm,
    layer_norm_backward,
    layer_norm_naive,
    rms_norm,
    rms_norm_naive,
    statistics,
)

SHAPES = [(4,), (1, 1), (3, 5), (2, 3, 7), (2, 1, 2, 6), (0, 4), (2, 0, 3)]


def drawn(*shape, mean=0.0, scale=1.0, dtype=torch.float64):
    """A row's entries, a gain, a bias and an upstream gradient."""
    torch.manual_seed(0)
    x, upstream = (torch.randn(shape, dtype=torch.float64) for _ in range(2))
    weight, bias = (torch.randn(shape[-1], dtype=torch.float64) for _ in range(2))
    return [t.to(dtype) for t in (mean + scale * x, weight, bias, upstream)]


def run(f, leaves, upstream):
    """The output, then the gradient of each leaf."""
    leaves = [leaf.clone().requires_grad_() for leaf in leaves]
    out = f(*leaves)
    out.backward(upstream)
    return [out.detach(), *[torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in leaves]]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("eps", [1e-5, 0.5])
def test_layer_norm_equals_its_naive_twin_and_pytorchs_forward_and_backward(shape, eps):
    x, weight, bias, upstream = drawn(*shape, mean=3.0, scale=0.5)
    ours = run(lambda *leaves: layer_norm(*leaves, eps), (x, weight, bias), upstream)
    for twin in (layer_norm_naive, lambda x, w, b, eps: F.layer_norm(x, w.shape, w, b, eps)):
        if twin is layer_norm_naive and not x.numel():
            assert twin(x, weight, bias, eps).shape == x.shape
            continue  # nothing was computed, so there is nothing to go back through
        theirs = run(lambda *leaves, twin=twin: twin(*leaves, eps), (x, weight, bias), upstream)
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("shape", SHAPES)
def test_layer_norm_backward_equals_autograd(shape):
    x, weight, bias, upstream = drawn(*shape, mean=-2.0, scale=3.0)
    _, *expected = run(layer_norm, (x, weight, bias), upstream)
    for a, b in zip(layer_norm_backward(upstream, x, weight), expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)


def test_layer_norm_backward_keeps_the_dtypes_apart():
    x, weight, _, upstream = drawn(3, 8, dtype=torch.bfloat16)
    dx, dweight, dbias = layer_norm_backward(upstream, x, weight.float())
    assert (dx.dtype, dweight.dtype, dbias.dtype) == (torch.bfloat16, torch.float32, torch.float32)


@pytest.mark.parametrize("bias", [True, False])
def test_the_module_has_pytorchs_parameters_and_numbers(bias):
    ours, theirs = LayerNorm(6, eps=1e-3, bias=bias), nn.LayerNorm(6, eps=1e-3, bias=bias)
    state = ours.state_dict()
    assert {n: v.tolist() for n, v in state.items()} == {n: v.tolist() for n, v in theirs.state_dict().items()}
    theirs.load_state_dict({name: torch.randn(6) for name in state})
    ours.load_state_dict(theirs.state_dict())
    x, upstream = torch.randn(2, 3, 4, 6)
    for layer in (ours, theirs):
        layer(x).backward(upstream)
    torch.testing.assert_close(ours(x), theirs(x))
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)


@pytest.mark.parametrize("gain", [torch.bfloat16, torch.float32])
def test_in_bfloat16_it_rounds_once_as_pytorch_does(gain):
    x, weight, bias, _ = drawn(64, 48, mean=20.0, dtype=torch.bfloat16)
    weight, bias = weight.to(gain), bias.to(gain)
    ours, theirs = layer_norm(x, weight, bias), F.layer_norm(x, (48,), weight, bias)
    assert ours.dtype == theirs.dtype == torch.bfloat16
    # Now and then a sum in another order lands on the other side of a rounding boundary.
    assert (ours != theirs).float().mean() < 0.002
    torch.testing.assert_close(ours, theirs, rtol=0.01, atol=0.01)


def test_float16_squares_do_not_overflow():
    x = torch.tensor([[600.0, -600.0, 300.0, -300.0]], dtype=torch.float16)
    assert torch.equal(layer_norm(x, torch.ones(4)), layer_norm(x.float(), torch.ones(4)).half())
    assert rms_norm(x, torch.ones(4).half()).isfinite().all()


@pytest.mark.parametrize("mean", [1e2, 1e4, 1e6])
def test_the_variance_survives_a_large_mean(mean):
    x = (drawn(8, 256, mean=mean)[0]).float()
    exact = x.double().var(dim=-1, correction=0, keepdim=True)
    torch.testing.assert_close(statistics(x)[1].double(), exact, rtol=1e-5, atol=0)


def test_a_constant_row_becomes_the_bias_and_width_one_too():
    bias = torch.tensor([1.0, -2.0, 3.0])
    assert torch.equal(layer_norm(torch.full((2, 3), 7.0), torch.ones(3), bias), bias.expand(2, 3))
    assert torch.equal(layer_norm(torch.randn(5, 1), torch.ones(1), bias[:1]), bias[:1].expand(5, 1))


rows = st.lists(st.floats(-100, 100), min_size=2, max_size=9).filter(lambda row: max(row) - min(row) > 0.1)


@settings(max_examples=60, deadline=None)
@given(rows, st.floats(-50, 50), st.floats(0.1, 50))
def test_a_row_may_be_shifted_and_scaled_without_changing_the_output(row, shift, scale):
    x = torch.tensor(row, dtype=torch.float64)
    one = torch.ones(len(row), dtype=torch.float64)
    out = layer_norm(x, one, eps=0.0)
    torch.testing.assert_close(layer_norm(scale * x + shift, one, eps=0.0), out, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(layer_norm(-x, one, eps=0.0), -out)
    assert abs(float(out.mean())) < 1e-9
    assert abs(float(out.square().mean()) - 1) < 1e-9
    torch.testing.assert_close(rms_norm(scale * x, one, eps=0.0), rms_norm(x, one, eps=0.0))


@settings(max_examples=60, deadline=None)
@given(rows)
def test_the_gradient_has_no_part_along_ones_or_along_the_output(row):
    x = torch.tensor(row, dtype=torch.float64)
    one, grad = torch.ones_like(x), torch.linspace(-1, 2, len(row), dtype=torch.float64)
    dx = layer_norm_backward(grad, x, one, eps=0.0)[0]
    assert abs(float(dx.sum())) < 1e-9
    assert abs(float(dx @ layer_norm(x, one, eps=0.0))) < 1e-9


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("eps", [1e-6, 0.5])
def test_rms_norm_equals_its_naive_twin_and_pytorchs_forward_and_backward(shape, eps):
    x, weight, _, upstream = drawn(*shape, mean=1.0, scale=2.0)
    ours = run(lambda *leaves: rms_norm(*leaves, eps), (x, weight), upstream)
    for twin in (rms_norm_naive, lambda x, w, eps: F.rms_norm(x, w.shape, w, eps)):
        theirs = run(lambda *leaves, twin=twin: twin(*leaves, eps), (x, weight), upstream)
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rms_norm_is_llamas_bit_by_bit(dtype):
    from transformers.models.llama.modeling_llama import LlamaRMSNorm

    x, weight, _, _ = drawn(16, 48, scale=3.0, dtype=dtype)
    ours, theirs = RMSNorm(48, eps=1e-6).to(dtype), LlamaRMSNorm(48, eps=1e-6).to(dtype)
    for layer in (ours, theirs):
        layer.load_state_dict({"weight": weight})
    assert torch.equal(ours(x), theirs(x))
    torch.testing.assert_close(ours(x), rms_norm_naive(x, weight, 1e-6), rtol=0.01, atol=0.01)


@pytest.mark.parametrize("layer", [LayerNorm(4), RMSNorm(4)])
def test_an_input_of_another_width_is_refused(layer):
    with pytest.raises(ValueError, match="must be the layer's width, 4"):
        layer(torch.ones(2, 1))
