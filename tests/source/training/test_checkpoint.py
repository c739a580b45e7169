"""Checkpoints: what comes back, and what a crash leaves."""

import os
import random

import numpy as np
import pytest
import torch

from source.training import checkpoint


def draws():
    return random.random(), np.random.rand(3).tolist(), np.random.randn(), torch.rand(3).tolist()


def test_the_generators_come_back(tmp_path):
    random.seed(1)
    np.random.seed(2)
    torch.manual_seed(3)
    np.random.randn()  # a Gaussian is cached: it belongs to the state
    checkpoint.save(tmp_path / "a.pt", {"random": checkpoint.random_state()})
    first = draws()
    draws()
    checkpoint.set_random_state(checkpoint.load(tmp_path / "a.pt")["random"])
    assert draws() == first


def test_what_is_copied_does_not_follow():
    w = torch.ones(2)
    kept = checkpoint.copied({"a": [w, (1, w)]})
    w.zero_()
    assert kept["a"][0].tolist() == kept["a"][1][1].tolist() == [1.0, 1.0]


def test_a_crash_while_writing_leaves_the_file_before(tmp_path, monkeypatch):
    path = tmp_path / "a.pt"
    checkpoint.save(path, {"step": 1})

    def crash(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(path, {"step": 2})
    assert checkpoint.load(path) == {"step": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["a.pt"]


def test_a_missing_or_damaged_file_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        checkpoint.load(tmp_path / "none.pt")
    (tmp_path / "half.pt").write_bytes(b"half a")
    with pytest.raises(ValueError, match="damaged"):
        checkpoint.load(tmp_path / "half.pt")
