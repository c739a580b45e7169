"""A crude vocabulary of word pieces: the substrings that words have most of. Byte-pair encoding finds better ones."""

from collections import Counter
from collections.abc import Collection, Mapping


def frequent_pieces(
    counts: Mapping[str, int], size: int, longest: int = 12, alphabet: Collection[str] = ()
) -> list[str]:
    """The characters, then the substrings that would save most tokens if nothing else covered their characters.

    counts: words and how often each occurs. alphabet: characters to have besides those of the words, so that every
    text can be spelled. longest: of a piece, in characters. Returns at most `size` pieces, in a fixed order.
    Raises ValueError if the characters alone do not fit.
    """
    characters = sorted({*alphabet, *(character for word in counts for character in word)})
    if len(characters) > size:
        raise ValueError(f"{len(characters)} different characters do not fit into {size} pieces: give a larger size")
    saved: Counter[str] = Counter()
    for word, n in counts.items():
        for start in range(len(word)):
            for end in range(start + 2, min(start + longest, len(word)) + 1):
                saved[word[start:end]] += n * (end - start - 1)  # one token instead of one for each character
    ranked = sorted(saved, key=lambda piece: (-saved[piece], piece))
    return [*characters, *ranked[: size - len(characters)]]
