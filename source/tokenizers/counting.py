"""Texts and words that count how often they are looked at, so that work can be measured without a clock.

They stand in for plain strings where a lab compares ways of searching. They search nothing themselves.
"""


class TooMuchWork(RuntimeError):
    """A text was read far more often than any sensible way of reading it needs: a loop that stands still, perhaps."""


class Tally:
    """A count that several objects share, with an end to patience. limit: None = count for ever."""

    def __init__(self, limit: int | None = None) -> None:
        self.count, self.limit = 0, limit

    def add(self, n: int) -> None:
        """Count n more. Raises TooMuchWork beyond the limit."""
        self.count += n
        if self.limit is not None and self.count > self.limit:
            raise TooMuchWork(
                f"{self.count:,} characters were read, and it goes on: does your position move on in every round, and "
                "is no part of the work done again and again?"
            )


class CountedText:
    """A text that counts the characters read from it. It knows len, [i], [i:j], startswith, == and nothing else.

    Methods such as `find` and regular expressions are left out on purpose: what they read cannot be counted.
    """

    def __init__(self, text: str, limit: int | None = None) -> None:
        self._text, self._tally = text, Tally(limit)

    @property
    def read(self) -> int:
        """Characters read until now; a slice counts as its length, and every look as one at least."""
        return self._tally.count

    def __len__(self) -> int:
        return len(self._text)

    def __eq__(self, other: object) -> bool:
        return self._text == (other._text if isinstance(other, CountedText) else other)

    def __hash__(self) -> int:
        return hash(self._text)

    def __getitem__(self, at: int | slice) -> str:
        piece = self._text[at]
        self._tally.add(max(1, len(piece)))
        return _Piece(piece, self._tally)

    def startswith(self, start: str, at: int = 0) -> bool:
        """Whether `start` stands at `at`; counts the characters compared, up to the first that differs."""
        return _starts(self._text, start, at, self._tally)

    def __repr__(self) -> str:
        return f"CountedText({self._text!r})"


class _Piece(str):
    # What was cut out of a counted text goes on counting: a copy of the rest of the text is no way around the count.
    __slots__ = ("_tally",)

    def __new__(cls, text: str, tally: Tally) -> "_Piece":
        piece = super().__new__(cls, text)
        piece._tally = tally
        return piece

    def __getitem__(self, at: int | slice) -> str:
        piece = super().__getitem__(at)
        self._tally.add(max(1, len(piece)))
        return _Piece(piece, self._tally)

    def startswith(self, start: str, at: int = 0) -> bool:
        return _starts(str(self), start, at, self._tally)


def _starts(text: str, start: str, at: int, tally: Tally) -> bool:
    for i, character in enumerate(start):
        tally.add(1)
        if at + i >= len(text) or text[at + i] != character:
            return False
    return True


class CountedWord(str):
    """A word that counts each time it is hashed or compared, in a tally that it shares with others."""

    __slots__ = ("_tally",)

    def __new__(cls, word: str, tally: Tally) -> "CountedWord":
        counted = super().__new__(cls, word)
        counted._tally = tally
        return counted

    def __hash__(self) -> int:
        self._tally.add(1)
        return super().__hash__()

    def __eq__(self, other: object) -> bool:
        self._tally.add(1)
        return super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        return not self == other
