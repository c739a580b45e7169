"""Every fault leaves the output right and is found by the checker; the right backward pass has none."""

import pytest
import torch

from source.attention.dot_product import attention
from source.training.gradients import attention_gradients, wrong_gradients
from source.training.wrong_backwards import FAULTS, with_backward

WRONG = {
    "softmax without its row sum": [0, 1],
    "softmax by its diagonal": [0, 1],
    "scale left out of dK": [1],
    "upstream gradient ignored": [0, 1, 2],
}


def inputs():
    torch.manual_seed(0)
    return [torch.randn(*s, dtype=torch.float64) for s in ((5, 4), (6, 4), (6, 3))]


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_in_the_gradient_alone(name):
    f = with_backward(FAULTS[name])
    torch.testing.assert_close(f(*inputs()), attention(*inputs())[0])
    assert wrong_gradients(f, inputs()) == WRONG[name]


def test_the_right_backward_pass_has_no_fault():
    assert wrong_gradients(with_backward(attention_gradients), inputs()) == []
