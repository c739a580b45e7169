"""The course's own tokenizer, learned on the course's Shakespeare: data/tokenizer. It trains nothing."""

from source.files import data_path
from source.tokenizers.byte_level import ByteLevelBPE


def course_tokenizer() -> ByteLevelBPE:
    """The tokenizer that the models of data/checkpoints read and write, all but the byte-level one."""
    return ByteLevelBPE.load(data_path("tokenizer/vocab.json").parent)
