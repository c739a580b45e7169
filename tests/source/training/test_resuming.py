"""The test of resuming finds every fault and accepts what is right; the loop's own runs pass it."""

import pytest
import torch

from source.training import resuming
from source.training.resuming import FAULTS, SmallRun, load, resumes_exactly, save


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault):
    assert resumes_exactly(SmallRun, lambda run: save(run, fault), load, 7) == (fault == "none")


@pytest.mark.parametrize("steps", [0, 1, 2, 3])
def test_short_runs_that_are_right_pass(steps):
    assert resumes_exactly(lambda: SmallRun(3), save, load, steps)


def test_loading_leaves_the_generator_where_the_state_says():
    saved = save(SmallRun(1))
    torch.manual_seed(9)
    load(saved)
    once = torch.rand(1)
    torch.manual_seed(10)
    resuming.load(saved)
    assert torch.equal(once, torch.rand(1))
