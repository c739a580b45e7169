"""Bytes that autograd keeps, by hooks and by a walk of the graph, and the bytes in use from operation to operation."""

import pytest
import torch
from torch import nn

from source.blocks.gpt2_block import Block, causal_mask
from source.memory import Timeline, saved_bytes, saved_bytes_naive


def layers():
    torch.manual_seed(0)
    x = torch.randn(2, 8, 12)
    block, deep = Block(12, 3), nn.Sequential(nn.Linear(12, 20), nn.ReLU(), nn.Linear(20, 12), nn.Tanh())
    return [
        (lambda: block(x, causal_mask(8)), block.parameters),
        (lambda: deep(x), deep.parameters),
        (lambda: deep(x.double().float()), list),
    ]


@pytest.mark.parametrize("n", range(3))
def test_the_hooks_find_what_a_walk_of_the_graph_finds(n):
    run, parameters = layers()[n]
    assert saved_bytes(run, parameters()) == saved_bytes_naive(run(), parameters())


def test_memory_counts_once_and_a_part_keeps_the_whole():
    x = torch.randn(10, requires_grad=True)
    assert saved_bytes(lambda: x * x) == 40
    assert saved_bytes(lambda: x[:2].exp() + x[:2] * x[2:4]) == 40 + 8  # x, and the two results of exp
    assert saved_bytes(lambda: x + 1) == 0
    assert saved_bytes(lambda: x * x, [x]) == 0


def test_the_line_rises_with_what_is_kept_and_falls_when_it_goes():
    x = torch.ones(100, requires_grad=True)
    with Timeline() as line:
        y = x * 2  # 400 bytes
        z = y.exp()  # 400 more, kept for backward; y is not
        del y
        z.sum().backward()
        del z
        x.detach() + 1
    assert line.bytes[:2] == [400, 800]
    assert max(line.bytes) < 2000
    assert x.grad is not None


def test_views_are_no_new_memory():
    x = torch.ones(6)
    with Timeline() as line:
        y = x.view(2, 3).T
        y = y.contiguous()
    assert line.bytes[-1] == 24
    assert y.shape == (3, 2)
