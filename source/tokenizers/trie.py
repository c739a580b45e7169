"""Longest-match tokenization with a trie, the same by slower searches, and the cut with the fewest tokens.

It knows no special tokens (source/tokenizers/longest_match.py does) and learns no vocabulary.

- Fredkin (1960), Trie Memory.
- Schuster and Nakajima (2012), Japanese and Korean Voice Search: WordPiece.
- Song et al. (2021), Fast WordPiece Tokenization: the same without reading any character twice.
"""

import math
from collections.abc import Iterator, Mapping

from source.tokenizers.counting import CountedText

Text = str | CountedText
_ID = ""  # the key of a node's own id: no character is the empty string


class Trie:
    """A tree with one edge a character: each entry is a path from the root. Nodes are plain dicts."""

    def __init__(self, ids: Mapping[str, int] | None = None) -> None:
        self._root: dict = {}
        for token, number in (ids or {}).items():
            self.add(token, number)

    def add(self, token: str, number: int) -> None:
        """Enter a token with its id. Raises ValueError for an empty token, which would match everywhere."""
        if not token:
            raise ValueError("an empty token matches everywhere and moves nothing on: leave it out")
        node = self._root
        for character in token:
            node = node.setdefault(character, {})
        node[_ID] = number

    def prefixes(self, text: Text, start: int = 0) -> Iterator[tuple[int, int]]:
        """(length, id) of every token that stands at `start`, shortest first. Reads no further than some entry goes."""
        node = self._root
        for at in range(start, len(text)):
            node = node.get(text[at])
            if node is None:
                return
            if _ID in node:  # not `if node.get(_ID)`: 0 is an id
                yield at + 1 - start, node[_ID]

    def longest_prefix(self, text: Text, start: int = 0) -> tuple[int, int | None]:
        """(length, id) of the longest token that stands at `start`, (0, None) if none does."""
        found: tuple[int, int | None] = (0, None)
        for found in self.prefixes(text, start):  # noqa: B007  (the last one is the longest)
            pass
        return found

    def tokenize(self, text: Text, unknown: int) -> list[int]:
        """Longest match from left to right; a character at which no token stands becomes the unknown id."""
        ids, start = [], 0
        while start < len(text):
            length, number = self.longest_prefix(text, start)
            ids.append(unknown if number is None else number)
            start += length or 1
        return ids

    def nodes(self) -> int:
        """The number of nodes, the root included: what the trie costs in memory."""
        count, waiting = 0, [self._root]
        while waiting:
            node = waiting.pop()
            count += 1
            waiting += [child for character, child in node.items() if character != _ID]
        return count


def tokenize_naive(text: Text, ids: Mapping[str, int], unknown: int) -> list[int]:
    """`Trie(ids).tokenize(text, unknown)` by comparing every token at every place."""
    found, start = [], 0
    while start < len(text):
        longest = max((token for token in ids if text.startswith(token, start)), key=len, default=None)
        found.append(unknown if longest is None else ids[longest])
        start += 1 if longest is None else len(longest)
    return found


def tokenize_hashed(text: Text, ids: Mapping[str, int], unknown: int, longest: int | None = None) -> list[int]:
    """The same by looking up every length in a dictionary, longest first.

    longest: the length of the longest token; worked out if not given.
    """
    longest = max(map(len, ids), default=0) if longest is None else longest
    found, start = [], 0
    while start < len(text):
        for length in range(min(longest, len(text) - start), 0, -1):
            number = ids.get(text[start : start + length])
            if number is not None:
                found.append(number)
                start += length
                break
        else:
            found.append(unknown)
            start += 1
    return found


def fewest_tokens(text: Text, ids: Mapping[str, int]) -> list[int]:
    """The ids of the cut into the fewest tokens, by dynamic programming from the end of the text.

    Of several such cuts it takes the one whose first token is longest, then the second, and so on.
    Raises ValueError where no cut exists.
    """
    longest, end = max(map(len, ids), default=0), len(text)
    fewest = [math.inf] * end + [0]  # fewest[i]: tokens that text[i:] needs
    step = [0] * end
    for start in range(end - 1, -1, -1):
        for length in range(min(longest, end - start), 0, -1):
            if fewest[start + length] + 1 < fewest[start] and text[start : start + length] in ids:
                fewest[start], step[start] = fewest[start + length] + 1, length
    if fewest[0] == math.inf:
        raise ValueError(f"no sequence of tokens spells {text!r}: give every single character an entry")
    found, start = [], 0
    while start < end:
        found.append(ids[text[start : start + step[start]]])
        start += step[start]
    return found


def fewest_tokens_naive(text: str, ids: Mapping[str, int]) -> list[int]:
    """`fewest_tokens(text, ids)` by trying every cut: the time doubles with every character or so."""

    def cuts(rest: str) -> Iterator[list[str]]:
        if not rest:
            yield []
        for length in range(len(rest), 0, -1):
            if rest[:length] in ids:
                for more in cuts(rest[length:]):
                    yield [rest[:length], *more]

    best = min(cuts(text), key=lambda cut: (len(cut), [-len(token) for token in cut]), default=None)
    if best is None:
        raise ValueError(f"no sequence of tokens spells {text!r}: give every single character an entry")
    return [ids[token] for token in best]
