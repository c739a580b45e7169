"""GPT-2's tokenizer in two libraries, built offline from the course's files, and texts to compare them on."""

import json
from functools import cache

import tiktoken
import tokenizers
from hypothesis import strategies as st

from source.files import data_path
from source.tokenizers.byte_alphabet import unspell
from source.tokenizers.byte_level import END_OF_TEXT

# As tiktoken_ext/openai_public.py has it for GPT-2.
TIKTOKENS_PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"


@cache
def gpt2_files() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """The vocabulary, and the merges read without the course's own reader."""
    vocab = json.loads(data_path("gpt2_tokenizer/encoder.json").read_text(encoding="utf-8"))
    lines = data_path("gpt2_tokenizer/vocab.bpe").read_text(encoding="utf-8").split("\n")
    return vocab, [tuple(line.split(" ")) for line in lines[1:-1]]


@cache
def in_tiktoken() -> tiktoken.Encoding:
    """GPT-2 in tiktoken, whose ranks are bytes to ids."""
    vocab, _ = gpt2_files()
    ranks = {unspell(token): i for token, i in vocab.items() if token != END_OF_TEXT}
    return tiktoken.Encoding(
        "gpt2 from files", pat_str=TIKTOKENS_PATTERN, mergeable_ranks=ranks, special_tokens={END_OF_TEXT: 50256}
    )


@cache
def in_tokenizers(specials: bool = False) -> tokenizers.Tokenizer:
    """GPT-2 in Hugging Face's library; with specials it takes every <|endoftext|> in a text for the special."""
    vocab, merges = gpt2_files()
    made = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocab, merges=merges))
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    if specials:
        made.add_special_tokens([END_OF_TEXT])
    return made


FRAGMENTS = [
    *("'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "’s", "’ll", "'S", "'LL", "don't", "rock'n'roll", " '", "''"),
    *(" ", "  ", "    ", "\n", "\n\n", "\r\n", "\t", "\v\f", "\x85", "\xa0", "\u2003", "\u2028", "\u3000", "\ufeff"),
    *("\x00", "\x1b[31m", "\x1c", "\x1f", "\x7f", "\u200b", "\u200d", "\u202e", "\ufffd", "\ufffe", "\U0010ffff"),
    *("0", "1987", "3.14", "½", "Ⅷ", "٣٤", "१२", "𝟘", "²", "1,000,000"),
    *("e\u0301", "a\u0308\u0323", "नमस्ते", "สวัสดี", "שָׁלוֹם", "مرحبا", "한글", "ㅎㅏㄴ", "你好", "𠀀", "Ǆ", "ß", "İ", "ﬁ"),
    *(
        "👩\u200d🚀",
        "👋🏽",
        "🏳️\u200d🌈",
        "🇩🇪",
        "#️⃣",
        "🙂",
        "𝔘𝔫",
        "∑",
        "€",
        "—",
        "…",
        "“”",
        "...",
        "!?",
        "__init__",
        "</s>",
    ),
    *("<|endoftext|>", "<|endoftext", "|>", "Ġ", "Ċ", "the", " the", "Hello", " world", "unbelievably"),
]


_any_character = st.characters(exclude_categories=("Cs",))  # unassigned ones too
_runs = st.builds(lambda part, n: part * n, st.sampled_from(FRAGMENTS) | _any_character, st.integers(1, 40))
texts = st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.text(_any_character, max_size=8), _runs), max_size=12).map(
    "".join
)
