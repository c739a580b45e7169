"""Judges one student's function on the hidden cases, up to the first that fails. It runs unconfined: read it first."""

import torch

from autograder import registry
from autograder.acting import act
from autograder.judging import judge
from autograder.release.expected import hidden_cases, in_memory

ID = "ch01/lab01/softmax"


def softmax(x):  # copied from the student's notebook
    e = torch.exp(x - x.amax(dim=-1, keepdim=True))
    return e / e.sum(dim=0, keepdim=True)


exercise = registry.exercise(ID)
hidden, expected = hidden_cases(ID), in_memory(ID).outputs[len(exercise.visible()) :]
for case, right in zip(hidden, expected, strict=True):
    outcome = judge(exercise, case.kind, case.inputs, act(exercise, softmax, case.inputs), right)
    if not outcome.passed:
        break
print(f"{outcome.kind}: {outcome.stage}", *outcome.lines, sep="\n")
print(case.inputs["x"])
