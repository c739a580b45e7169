"""The feed-forward networks equal their naive twins and PyTorch's parts, forward and backward."""

import pytest
import torch
import torch.nn.functional as F

from source.blocks.feed_forward import (
    ACTIVATIONS,
    FeedForward,
    SwiGLU,
    feed_forward_naive,
    gelu,
    gelu_tanh,
    matched_hidden,
    relu,
    silu,
    swiglu_naive,
    written_by_units,
)

TORCHS = {
    relu: F.relu,
    gelu: F.gelu,
    gelu_tanh: lambda x: F.gelu(x, approximate="tanh"),
    silu: F.silu,
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("ours", TORCHS, ids=lambda f: f.__name__)
def test_an_activation_and_its_gradient_equal_torchs(ours, dtype):
    x = torch.linspace(-9, 9, 721, dtype=dtype) + 0.003  # away from zero, where ReLU has no derivative
    a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
    ours(a).sum().backward()
    TORCHS[ours](b).sum().backward()
    torch.testing.assert_close(ours(x), TORCHS[ours](x))
    torch.testing.assert_close(a.grad, b.grad)


def test_the_two_gelus_differ_by_less_than_five_in_ten_thousand():
    x = torch.linspace(-9, 9, 20001, dtype=torch.float64)
    assert 1e-4 < float((gelu(x) - gelu_tanh(x)).abs().max()) < 5e-4


def both(network, naive, x):
    """Outputs and gradients of the network and of its twin."""
    found = []
    for run in (network, lambda x: naive(network, x)):
        leaf = x.clone().requires_grad_()
        network.zero_grad()
        out = run(leaf)
        out.backward(torch.linspace(-1, 1, out.numel(), dtype=x.dtype).view_as(out))
        found.append([out.detach(), leaf.grad, *[p.grad.clone() for p in network.parameters()]])
    return zip(*found, strict=True)


@pytest.mark.parametrize("shape", [(6,), (1, 6), (2, 3, 6), (2, 1, 2, 6)])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("bias", [True, False])
def test_the_plain_network_equals_its_naive_twin(shape, activation, bias):
    torch.manual_seed(0)
    network = FeedForward(6, 10, activation, bias).double()
    for ours, naive in both(network, feed_forward_naive, torch.randn(shape, dtype=torch.float64)):
        torch.testing.assert_close(ours, naive)


@pytest.mark.parametrize("shape", [(6,), (1, 6), (2, 3, 6)])
def test_the_gated_network_equals_its_naive_twin(shape):
    torch.manual_seed(0)
    for ours, naive in both(SwiGLU(6, 9).double(), swiglu_naive, torch.randn(shape, dtype=torch.float64)):
        torch.testing.assert_close(ours, naive)


def test_the_gated_network_equals_llamas():
    from transformers import LlamaConfig
    from transformers.models.llama.modeling_llama import LlamaMLP

    torch.manual_seed(0)
    theirs = LlamaMLP(LlamaConfig(hidden_size=12, intermediate_size=matched_hidden(12), num_attention_heads=2))
    ours = SwiGLU(12, matched_hidden(12))
    names = {"W_gate": "gate_proj", "W_up": "up_proj", "W_down": "down_proj"}
    ours.load_state_dict({f"{n}.weight": getattr(theirs, t).weight for n, t in names.items()})
    x = torch.randn(2, 5, 12)
    torch.testing.assert_close(ours(x), theirs(x))


def test_an_empty_batch_gives_an_empty_output():
    x = torch.zeros(0, 3, 6)
    assert FeedForward(6, 8)(x).shape == x.shape
    assert feed_forward_naive(FeedForward(6, 8), x).shape == x.shape
    assert swiglu_naive(SwiGLU(6, 8), x).shape == x.shape


def test_what_the_units_write_sums_to_the_output():
    torch.manual_seed(0)
    network = FeedForward(6, 10).double()
    x = torch.randn(2, 3, 6, dtype=torch.float64)
    written = written_by_units(network, x)
    assert written.shape == (2, 3, 10, 6)
    torch.testing.assert_close(written.sum(-2) + network.W_out.bias, network(x))


def test_matched_widths_are_llamas():
    assert matched_hidden(4096, 256) == 11008  # Llama 2 7B
    assert matched_hidden(5120, 256) == 13824  # Llama 2 13B
    assert matched_hidden(768) == 2048


@pytest.mark.parametrize("width", [1, 2, 3, 12, 96, 768])
def test_a_matched_width_costs_no_more_than_the_plain_network(width):
    plain, gated = 2 * width * 4 * width, 3 * width * matched_hidden(width)
    assert 0 <= plain - gated < 3 * width


def test_what_cannot_be_is_told():
    with pytest.raises(ValueError, match="choose one of relu"):
        FeedForward(4, 8, "mish")
    with pytest.raises(ValueError, match="at least 1"):
        matched_hidden(0)
