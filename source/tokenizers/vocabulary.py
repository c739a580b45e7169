"""Words and their numbers: which words get one, looking up both ways, and the one door for special tokens.

A word is a unit here; source/tokenizers/trie.py cuts words into pieces.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

_WORD = re.compile(r"\w+(?:'\w+)*|[^\w\s]")


def split_words(text: str) -> list[str]:
    """Runs of letters and digits, with apostrophes inside; every other sign alone; white space is dropped.

    >>> split_words("Don't go, Tom!")
    ["Don't", 'go', ',', 'Tom', '!']
    """
    return _WORD.findall(text)


def ordered_tokens(
    words: Iterable[str], specials: Sequence[str], size: int | None = None, min_count: int = 1
) -> list[str]:
    """The vocabulary as a list: a token's place in it is its id.

    specials: first, in the order given. Then the words by falling count; equally frequent ones in alphabetical order,
    so that the same text always gives the same ids. size: at most so many tokens, specials included. min_count: rarer
    words are left out. A word spelled like a special is not listed a second time.
    Raises ValueError if the specials do not fit into size.
    """
    if size is not None and size < len(specials):
        raise ValueError(f"a vocabulary of {size} has no room for {len(specials)} special tokens: give a larger size")
    counts = Counter(words)
    kept = [word for word, n in counts.items() if n >= min_count and word not in specials]
    return [*specials, *sorted(kept, key=lambda word: (-counts[word], word))][:size]


class Vocabulary:
    """Words to ids and back. tokens: all tokens, a token's place is its id. specials: those that no text may become.

    specials[0] is what unknown words become. `unknown_counts` says which words that were, and how often.
    Raises ValueError for a token listed twice, for a special that is no token, and without specials.
    """

    def __init__(self, tokens: Sequence[str], specials: Sequence[str]) -> None:
        twice = [token for token, n in Counter(tokens).items() if n > 1]
        if twice:
            raise ValueError(f"{twice[0]!r} is in the vocabulary twice: decoding could not tell the two ids apart")
        if not specials:
            raise ValueError("a vocabulary of words needs a special token for unknown words: give at least one special")
        place = {token: i for i, token in enumerate(tokens)}
        lost = [special for special in specials if special not in place]
        if lost:
            raise ValueError(f"the special {lost[0]!r} is not among the tokens: put it there, its place is its id")
        self.tokens = list(tokens)
        # Two tables, so that a word that is spelled like a special cannot become it.
        self.special = {special: place[special] for special in specials}
        self.ordinary = {token: i for token, i in place.items() if token not in self.special}
        self.unknown = self.special[specials[0]]
        self.unknown_counts: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, words: Iterable[str]) -> list[int]:
        """The id of each word; a word without one becomes the unknown id and is counted."""
        ids = []
        for word in words:
            found = self.ordinary.get(word)
            if found is None:
                self.unknown_counts[word] += 1
                found = self.unknown
            ids.append(found)
        return ids

    def encode_text(self, text: str, allowed: Collection[str] = ()) -> list[int]:
        """The ids of a text's words. allowed: the specials whose spelling in the text means the special.

        Leave `allowed` empty for text that you did not write. Raises ValueError for an `allowed` that is no special.
        """
        strange = [name for name in allowed if name not in self.special]
        if strange:
            raise ValueError(f"{strange[0]!r} is no special token of this vocabulary; it has {list(self.special)}")
        ids = []
        for piece, special in split_special(text, allowed):
            ids += [self.special[piece]] if special else self.encode(split_words(piece))
        return ids

    def decode(self, ids: Iterable[int]) -> list[str]:
        """The token of each id. Raises ValueError for ids that do not exist; Python would count -1 from the end."""
        ids = list(ids)
        wrong = [i for i in ids if not 0 <= i < len(self.tokens)]
        if wrong:
            raise ValueError(f"{wrong[0]} is no id of this vocabulary: they go from 0 to {len(self.tokens) - 1}")
        return [self.tokens[i] for i in ids]


def split_special(text: str, specials: Collection[str]) -> list[tuple[str, bool]]:
    """Cut a text at the special tokens in it: pieces in order, each with whether it is a special.

    From left to right; where several specials begin at one place, the longest. No piece is empty, and together they
    are the text.
    """
    if not specials:  # an empty pattern would match between any two characters
        return [(text, False)] if text else []
    pattern = "|".join(re.escape(special) for special in sorted(specials, key=len, reverse=True))
    parts = re.split(f"({pattern})", text)  # what the group matched stands at the odd places
    return [(part, i % 2 == 1) for i, part in enumerate(parts) if part]
