"""Gains against closed forms, the probe and attention's gradients against autograd, a checker that sees faults."""

import math

import pytest
import torch
from torch import nn

from source.training import gradients as G


@pytest.mark.parametrize(
    ("activation", "forward", "backward"),
    [
        (lambda z: z, 1.0, 1.0),
        (torch.relu, math.sqrt(2), math.sqrt(2)),
        (lambda z: nn.functional.leaky_relu(z, 0.5), math.sqrt(2 / 1.25), math.sqrt(2 / 1.25)),
        (lambda z: z**2, 1 / math.sqrt(3), 1 / 2),
        (torch.sign, 1.0, math.inf),
    ],
)
def test_gains_equal_their_closed_forms(activation, forward, backward):
    assert G.gains(activation) == pytest.approx((forward, backward), rel=1e-5)


def test_the_right_gain_keeps_the_size_through_a_random_layer():
    torch.manual_seed(0)
    C = 2000
    z = torch.randn(C)
    for activation in (torch.tanh, nn.functional.gelu):
        forward, _ = G.gains(activation)
        out = torch.randn(C, C) * forward / C**0.5 @ activation(z)
        assert out.square().mean().item() == pytest.approx(1, rel=0.15)


def test_the_probe_reads_every_call_in_order_and_leaves_nothing():
    torch.manual_seed(0)
    layer = nn.Linear(3, 3).double()
    net = nn.ModuleDict({"layer": layer, "unused": nn.Identity()})
    x, up = torch.randn(2, 2, 3, dtype=torch.float64)
    outs = []

    def run():
        a = layer(x)
        b = layer(torch.tanh(a))
        outs.extend([a, b])
        for out in outs:
            out.retain_grad()
        (b * up).sum().backward()

    norms = G.output_gradients(net, ["layer", "unused"], run)
    assert norms == {"layer": pytest.approx([outs[0].grad.norm().item(), outs[1].grad.norm().item()]), "unused": []}
    assert not layer._forward_hooks


def test_the_probe_takes_its_hooks_out_when_the_run_raises():
    net = nn.Sequential(nn.Linear(2, 2))

    def run():
        net(torch.zeros(1, 2))
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        G.output_gradients(net, ["0"], run)
    assert not net[0]._forward_hooks


@pytest.mark.parametrize("mask", [None, torch.ones(4, 5, dtype=torch.bool).tril(), torch.zeros(4, 5, dtype=torch.bool)])
def test_attention_gradients_equal_autograds(mask):
    torch.manual_seed(0)
    Q, K, V, up = (torch.randn(2, 3, *s, dtype=torch.float64) for s in ((4, 6), (5, 6), (5, 2), (4, 2)))
    for one, other in zip(
        G.attention_gradients(Q, K, V, up, mask), G.attention_gradients_naive(Q, K, V, up, mask), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_the_numerical_gradient_is_the_derivative():
    x, y = torch.randn(2, 2, 3, dtype=torch.float64)
    up = torch.randn(2, 3, dtype=torch.float64)
    found = G.numerical_gradient(lambda x, y: x.sin() * y, [x, y], 0, up, 1e-6)
    torch.testing.assert_close(found, x.cos() * y * up, rtol=1e-8, atol=1e-8)


class _HalfWrong(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, y):
        ctx.save_for_backward(x, y)
        return x * y

    @staticmethod
    def backward(ctx, upstream):
        x, y = ctx.saved_tensors
        return upstream * y, upstream * x * 1.0001


def test_the_checker_names_the_inputs_whose_gradient_is_wrong():
    x, y = torch.randn(2, 2, 3, dtype=torch.float64) + 2
    assert G.wrong_gradients(lambda x, y: x * y, [x, y]) == []
    assert G.wrong_gradients(_HalfWrong.apply, [x, y]) == [1]
    assert G.wrong_gradients(lambda x, y: x.detach() * y, [x, y]) == [0]
    assert G.wrong_gradients(lambda x, y: (x * y).detach(), [x, y]) == [0, 1]
    assert G.wrong_gradients(lambda x: torch.softmax(x, -1).detach() + 0 * x, [x]) == [0]
    with pytest.raises(TypeError, match="float64"):
        G.wrong_gradients(torch.sin, [x.float()])


def test_parameter_norms_leave_out_what_has_no_gradient():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[0](torch.ones(1, 2)).sum().backward()
    norms = G.parameter_norms(net)
    assert set(norms) == {"0.weight", "0.bias"}
    assert norms["0.bias"][0] == pytest.approx(math.sqrt(2))
