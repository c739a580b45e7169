"""Writes everything that a training run is made of, and takes it up again to the bit. It decides nothing about when.

A run goes on exactly only if all of this comes back: weights and buffers, the optimizer's averages and its step counts,
the step (which fixes schedule and data order), and the state of every random generator that is drawn from.
"""

import os
import random
from pathlib import Path

import numpy as np
import torch
from torch import Tensor


def random_state() -> dict[str, object]:
    """The state of Python's, numpy's and torch's global generators, the GPUs' included: plain data and tensors."""
    kind, keys, position, has_gauss, gauss = np.random.get_state()
    found: dict[str, object] = {
        "python": random.getstate(),
        "numpy": [kind, torch.from_numpy(keys.astype(np.int64)), int(position), int(has_gauss), float(gauss)],
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        found["cuda"] = torch.cuda.get_rng_state_all()
    return found


def set_random_state(state: dict[str, object]) -> None:
    """Put the global generators where `random_state` found them. A GPU that is no longer there is left out."""
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    kind, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["torch"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"][: torch.cuda.device_count()])


def copied(value: object) -> object:
    """Plain data and tensors, with every tensor copied: what is saved must not follow what goes on training."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: copied(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(copied(one) for one in value)
    return value


def save(path: str | Path, state: dict[str, object]) -> None:
    """Write a state so that whoever stops us, at any moment, leaves a whole file: the new one, or the one before.

    state: plain data and tensors, in dicts, lists and tuples. `load` reads it without running code from the file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())  # else a power cut can leave the new name on a file without content
        os.replace(partial, path)  # in one piece: nobody ever sees half of it
    finally:
        partial.unlink(missing_ok=True)


def load(path: str | Path) -> dict[str, object]:
    """What `save` wrote, on the CPU. Raises FileNotFoundError, and ValueError for a file that is no checkpoint."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}: begin a new run, or give the path of one that was saved")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(f"{path} is damaged or no checkpoint: {error}. Delete it, or give another") from error
