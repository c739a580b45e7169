"""The order and the way back, against the naive engine, autograd and graphs drawn at random."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from source.autodiff import operations as ops
from source.autodiff.tape import Node, backward, backward_naive, topological_order


@st.composite
def graphs(draw):
    """Nodes of sums, products and tanhs; each takes any nodes before it, itself twice too."""
    nodes = [Node(np.array([0.3, -0.7])), Node(np.array([1.1, 0.2]))]
    for _ in range(draw(st.integers(0, 7))):
        kind = draw(st.sampled_from([ops.add, ops.multiply, ops.tanh]))
        count = 1 if kind is ops.tanh else 2
        nodes.append(kind(*(nodes[draw(st.integers(0, len(nodes) - 1))] for _ in range(count))))
    return nodes


@given(graphs())
def test_every_node_is_listed_once_and_before_its_parents(nodes):
    order = topological_order(nodes[-1])
    place = {node: n for n, node in enumerate(order)}
    assert len(place) == len(order)
    assert order[0] is nodes[-1]
    for node in order:
        for parent in node.parents:
            assert place[parent] > place[node]


@given(graphs())
def test_backward_equals_the_naive_engine_and_changes_no_gradient_that_a_rule_returned(nodes):
    upstream = np.array([2.0, -1.0])
    fast, slow = backward(nodes[-1], upstream), backward_naive(nodes[-1], upstream)
    assert fast.keys() == slow.keys()
    for node in fast:
        np.testing.assert_allclose(fast[node], slow[node], rtol=1e-12, atol=1e-12)
    assert upstream.tolist() == [2.0, -1.0]


def test_a_value_used_twice_collects_both_gradients_as_autograd_does():
    x = torch.tensor([0.4, -2.0], dtype=torch.float64, requires_grad=True)
    (x * x.tanh() + x).sum().backward()
    leaf = Node(x.detach().numpy())
    root = ops.add(ops.multiply(leaf, ops.tanh(leaf)), leaf)
    np.testing.assert_allclose(backward(root)[leaf], x.grad.numpy(), rtol=1e-14)


def test_a_chain_deeper_than_pythons_stack_is_no_problem():
    x = leaf = Node(0.5)
    for _ in range(20_000):
        x = ops.add(x, 1.0)
    assert backward(x)[leaf] == 1.0


def test_an_upstream_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"upstream has shape \(3,\)"):
        backward(Node(np.ones(2)), np.ones(3))


def test_a_node_says_what_it_is():
    assert repr(ops.add(Node(np.ones((2, 3)), name="W"), 1.0)) == "<add of 2, (2, 3)>"
    assert repr(Node(1.0, name="b")) == "<b, ()>"
