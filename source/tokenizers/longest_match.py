"""A whole tokenizer by longest match, with special tokens only by permission. It learns no vocabulary."""

from collections.abc import Collection, Iterable, Sequence

from source.tokenizers.trie import Trie
from source.tokenizers.vocabulary import Vocabulary, split_special


class LongestMatchTokenizer:
    """tokens: all tokens, a token's place is its id. specials: those that no text may become; specials[0] = unknown.

    Decoding joins the tokens without anything between, so white space is kept if the vocabulary has it.
    """

    def __init__(self, tokens: Sequence[str], specials: Sequence[str]) -> None:
        self.vocabulary = Vocabulary(tokens, specials)
        self.trie = Trie(self.vocabulary.ordinary)

    def encode(self, text: str, allowed: Collection[str] = ()) -> list[int]:
        """The ids of a text. allowed: the specials whose spelling in the text means the special."""
        ids = []
        for piece, special in split_special(text, allowed):
            if special:
                ids.append(self.vocabulary.special[piece])
            else:
                ids += self.trie.tokenize(piece, self.vocabulary.unknown)
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids: exactly the text that was encoded, if it had no unknown character."""
        return "".join(self.vocabulary.decode(ids))
