"""Byte-level BPE the way GPT-2's own code has it, on strings, remembering nothing: the slow twin of byte_level.py.

Written to be read and to be compared with, in the manner of OpenAI's gpt-2/src/encoder.py. It neither trains nor saves.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise

from source.tokenizers.byte_alphabet import spell, unspell
from source.tokenizers.pretokenizer import pieces

Ranks = Mapping[tuple[str, str], int]


def read_merges(text: str) -> dict[tuple[str, str], int]:
    """The contents of a file of merges, vocab.bpe or merges.txt: (left, right) -> rank, 0 for the one learned first.

    A first line with the format's version is passed over, and only that one: the merge "# #" begins with # as well.
    Raises ValueError for a line that is not two tokens with one space between.
    """
    ranks: dict[tuple[str, str], int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line or (number == 1 and line.startswith("#version")):
            continue
        parts = line.split(" ")
        if len(parts) != 2 or not all(parts):
            raise ValueError(f"line {number} of the merges is {line!r}: expected two tokens with one space between")
        ranks[parts[0], parts[1]] = len(ranks)
    return ranks


def merge_word(word: str, ranks: Ranks) -> list[str]:
    """The tokens of one spelled word: as long as there is one, the neighbours of lowest rank become one token.

    word: in GPT-2's spelling, "Ġlower". Equal pairs are merged from left to right.

    >>> merge_word("lower", {("l", "o"): 0, ("e", "r"): 1, ("lo", "w"): 2})
    ['low', 'er']
    """
    tokens = list(word)
    while len(tokens) > 1:
        best = min(pairwise(tokens), key=lambda pair: ranks.get(pair, len(ranks)))
        if best not in ranks:
            break
        merged, i = [], 0
        while i < len(tokens):
            two = tuple(tokens[i : i + 2])
            merged.append("".join(two) if two == best else tokens[i])
            i += 2 if two == best else 1
        tokens = merged
    return tokens


class Tokenizer:
    """Text to ids and back, by ranks of spelled pairs.

    vocab: spelled token -> id. ranks: (left, right) -> rank. specials: texts with an id in vocab that the merges never
    make.
    """

    def __init__(self, vocab: Mapping[str, int], ranks: Ranks, specials: Sequence[str] = ()) -> None:
        self.vocab, self.ranks, self.specials = vocab, ranks, specials
        self.token_of = {i: token for token, i in vocab.items()}

    def encode(self, text: str, allowed_special: Collection[str] = ()) -> list[int]:
        """The ids of a text. A special's text is ordinary text unless it is among the allowed ones."""
        allowed = sorted(allowed_special, key=len, reverse=True)
        parts = re.split("(" + "|".join(map(re.escape, allowed)) + ")", text) if allowed else [text]
        ids: list[int] = []
        for part in parts:
            if part in allowed:
                ids.append(self.vocab[part])
                continue
            for piece in pieces(part):
                ids += [self.vocab[token] for token in merge_word(spell(piece.encode()), self.ranks)]
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids; bytes that are no UTF-8 become U+FFFD."""
        tokens = [self.token_of[i] for i in ids]
        data = b"".join(t.encode() if t in self.specials else unspell(t) for t in tokens)
        return data.decode(errors="replace")
