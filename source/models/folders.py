"""A model's folder in Hugging Face's format: config.json and model.safetensors, read and written. It knows no model."""

import json
from pathlib import Path

import torch
from torch import Tensor


def write_model(folder: Path, config: dict[str, object], weights: dict[str, Tensor], dtype: torch.dtype) -> None:
    """Write config.json and model.safetensors, the weights in dtype, into a folder that is made if need be."""
    from safetensors.torch import save_file

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    stored = {name: weight.detach().to(dtype).contiguous() for name, weight in weights.items()}
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def read_config(folder: Path) -> dict[str, object]:
    """What config.json says. Raises FileNotFoundError when it or the weights are missing."""
    for name in ("config.json", "model.safetensors"):
        if not (Path(folder) / name).is_file():
            raise FileNotFoundError(f"{folder} has no {name}: give the folder of a model in Hugging Face's format")
    return json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))


def read_weights(folder: Path, prefix: str) -> dict[str, Tensor]:
    """All weights by name, without the prefix that files of the bare model lack."""
    from safetensors.torch import load_file

    return {name.removeprefix(prefix): w for name, w in load_file(Path(folder) / "model.safetensors").items()}


def refuse_other(read: dict[str, object], fixed: dict[str, tuple[object, ...]]) -> None:
    """Raise ValueError, naming the setting, where config.json asks for what a model does not do.

    fixed: for each setting the values that the model has; the first is what holds where config.json is silent.
    """
    for name, allowed in fixed.items():
        if read.get(name, allowed[0]) not in allowed:
            raise ValueError(f"config.json says {name} = {read[name]!r}; this model only has {allowed[0]!r}")
