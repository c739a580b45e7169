"""The course's tokenizer with its first merges only: fewer of them cut a text into more tokens. It trains nothing."""

import json

from source.files import data_path
from source.tokenizers.byte_level import ByteLevelBPE
from source.tokenizers.byte_level_naive import read_merges


def first_merges(merges: int) -> ByteLevelBPE:
    """The tokenizer of data/tokenizer with so many merges: its 256 + merges ids are those of the whole one."""
    pairs = list(read_merges(data_path("tokenizer/merges.txt").read_text(encoding="utf-8")))
    vocab = json.loads(data_path("tokenizer/vocab.json").read_text(encoding="utf-8"))
    return ByteLevelBPE({t: i for t, i in vocab.items() if i < 256 + merges}, pairs[:merges], specials=())
