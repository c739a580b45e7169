"""Byte-level BPE, the course's tokenizer: GPT-2's ids for any text, or a vocabulary of your own. It starts no threads.

Text is cut into pieces (pretokenizer.py), a piece is its UTF-8 bytes, and bytes are merged in the order in which the
merges were learned (bpe.py). There is no unknown text: every byte has an id of its own. Radford et al. (2019), Language
Models are Unsupervised Multitask Learners, section 2.2.

    tokenizer = ByteLevelBPE.gpt2()
    ids = tokenizer.encode("Hello, world")
    tokenizer.decode(ids)
"""

import codecs
import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import chain, pairwise
from pathlib import Path

from source.files import data_path
from source.tokenizers import bpe
from source.tokenizers.byte_alphabet import BYTES, bytes_to_unicode, unspell
from source.tokenizers.byte_level_naive import read_merges
from source.tokenizers.pretokenizer import pieces

END_OF_TEXT = "<|endoftext|>"
REMEMBERED = 1 << 16  # words in the cache: about 20 MB, and more words than a book has
LONGEST_REMEMBERED = 64  # characters; longer words hardly ever come again


class ByteLevelBPE:
    """Text to ids and back.

    vocab: every token to its id, 0 to V-1: the 256 bytes and the merges' results in the spelling of byte_alphabet.py,
    the specials as they are. merges: pairs of spelled tokens, the first learned first. specials: texts with an id that
    no merge makes, such as <|endoftext|>.

    Raises ValueError when vocab and merges do not belong together.
    """

    def __init__(
        self, vocab: Mapping[str, int], merges: Iterable[tuple[str, str]], specials: Sequence[str] = (END_OF_TEXT,)
    ) -> None:
        self._vocab = dict(vocab)
        self._spelled_merges = list(merges)
        _check(self._vocab, self._spelled_merges, specials)
        self.specials = {special: vocab[special] for special in specials}
        self._merges = {(vocab[a], vocab[b]): vocab[a + b] for a, b in self._spelled_merges}
        self._bytes = {i: unspell(token) for token, i in vocab.items() if token not in self.specials}
        self._bytes |= {i: special.encode() for special, i in self.specials.items()}
        alphabet = bytes_to_unicode()
        self._id_of_byte = [vocab[alphabet[b]] for b in range(256)]
        self._words = _Words(self.encode_word)

    @classmethod
    def gpt2(cls) -> "ByteLevelBPE":
        """GPT-2's tokenizer, from the files in data/gpt2_tokenizer: 50,257 ids, the last one <|endoftext|>."""
        return cls.from_files(data_path("gpt2_tokenizer/encoder.json"), data_path("gpt2_tokenizer/vocab.bpe"))

    @classmethod
    def from_files(cls, vocab: str | Path, merges: str | Path) -> "ByteLevelBPE":
        """From a vocabulary in JSON and a text file of merges: encoder.json and vocab.bpe, vocab.json and merges.txt.

        Entries that are neither a byte nor made by a merge are the specials. Raises ValueError for files that do not
        belong together, or are no byte-level BPE.
        """
        entries = json.loads(Path(vocab).read_text(encoding="utf-8"))
        pairs = list(read_merges(Path(merges).read_text(encoding="utf-8")))
        made = {*bytes_to_unicode().values(), *(a + b for a, b in pairs)}
        return cls(entries, pairs, [token for token in entries if token not in made])

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int, specials: Sequence[str] = (END_OF_TEXT,)) -> "ByteLevelBPE":
        """Learn a vocabulary: 256 bytes, then merges, then the specials, numbered in this order.

        texts: any number of texts, read once. The vocabulary is smaller than vocab_size when the texts have no pair
        left to merge. Raises ValueError when vocab_size has no room for the bytes and the specials.
        """
        if isinstance(texts, str):
            raise TypeError("texts is one string: give a list of texts, [text] for a single one")
        room = vocab_size - 256 - len(specials)
        if room < 0:
            raise ValueError(
                f"vocab_size is {vocab_size}, but 256 bytes and {len(specials)} specials need {256 + len(specials)}"
            )
        counts = Counter(chain.from_iterable(map(pieces, texts)))
        id_of = {b: i for i, b in enumerate(BYTES)}
        words = {tuple(id_of[b] for b in _utf8(piece)): count for piece, count in counts.items()}
        spelled = list(bytes_to_unicode().values())
        merges = []
        for a, b in bpe.train(words, room, 256):
            merges.append((spelled[a], spelled[b]))
            spelled.append(spelled[a] + spelled[b])
        return cls({token: i for i, token in enumerate([*spelled, *specials])}, merges, specials)

    @property
    def vocab_size(self) -> int:
        """V: the number of ids, the specials included."""
        return len(self._vocab)

    def encode(self, text: str, allowed_special: Collection[str] = ()) -> list[int]:
        """The ids of a text.

        allowed_special: the specials whose text becomes their one id; "all" for all of them. The text of any other is
        text like any other, so that nobody can write a special into a prompt by spelling it.

        Raises ValueError for half a surrogate pair, which is no character and has no bytes, and for an allowed special
        that this vocabulary does not have.
        """
        if not allowed_special:
            return self._encode_ordinary(text)
        ids: list[int] = []
        for n, part in enumerate(self._splitter(allowed_special).split(text)):
            if n % 2:
                ids.append(self.specials[part])
            else:
                ids += self._encode_ordinary(part)
        return ids

    def _encode_ordinary(self, text: str) -> list[int]:
        # One pass in C for words that were met before: this line is where the speed comes from.
        return list(chain.from_iterable(map(self._words.__getitem__, pieces(text))))

    def encode_word(self, word: str) -> tuple[int, ...]:
        """The ids of one piece of the pre-tokenizer, worked out anew; `encode` remembers them."""
        ids = [self._id_of_byte[b] for b in _utf8(word)]
        return tuple(bpe.encode(ids, self._merges))

    def _splitter(self, allowed: Collection[str]) -> re.Pattern[str]:
        names = self.specials if allowed == "all" else [allowed] if isinstance(allowed, str) else allowed
        for name in names:
            if name not in self.specials:
                raise ValueError(f"{name!r} is no special of this tokenizer; it has {list(self.specials)}")
        longest_first = sorted(names, key=len, reverse=True)  # of two that begin alike, the longer one is meant
        return re.compile("(" + "|".join(map(re.escape, longest_first)) + ")")

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The bytes that ids stand for, a special's text included. Raises ValueError for an id that there is not."""
        try:
            return b"".join(map(self._bytes.__getitem__, ids))
        except KeyError as error:
            raise ValueError(
                f"{error.args[0]!r} is not among the ids 0 to {self.vocab_size - 1}. Give integers; "
                "a tensor's are tensor.tolist()"
            ) from None

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids. Bytes that are no UTF-8, such as a character cut in two, become U+FFFD, as in tiktoken."""
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def stream(self) -> "Stream":
        """Decodes ids one at a time, as a model writes them."""
        return Stream(self.decode_bytes)

    def save(self, folder: str | Path) -> None:
        """Write vocab.json, merges.txt, tokenizer.json and tokenizer_config.json, as `transformers` reads them.

        `AutoTokenizer.from_pretrained(folder)` then gives the same ids. It takes a special's text for the special
        always, as `encode(text, allowed_special="all")` does.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        lines = ["#version: 0.2", *(f"{a} {b}" for a, b in self._spelled_merges)]
        (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
        _write_json(folder / "vocab.json", self._vocab)
        _write_json(folder / "tokenizer.json", self._for_tokenizers())
        ends = {name: END_OF_TEXT for name in ("bos_token", "eos_token", "unk_token") if END_OF_TEXT in self.specials}
        _write_json(
            folder / "tokenizer_config.json",
            {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False, **ends},
        )

    def _for_tokenizers(self) -> dict[str, object]:
        # The format of Hugging Face's `tokenizers`; its ByteLevel has GPT-2's pattern and alphabet built in.
        byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": True}
        flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
        specials = [{"id": i, "content": text, **flags, "special": True} for text, i in self.specials.items()]
        return {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": specials,
            "normalizer": None,
            "pre_tokenizer": byte_level,
            "post_processor": None,
            "decoder": byte_level,
            "model": {"type": "BPE", "vocab": self._vocab, "merges": [list(pair) for pair in self._spelled_merges]},
        }

    @classmethod
    def load(cls, folder: str | Path) -> "ByteLevelBPE":
        """The tokenizer that `save` wrote into a folder, or any of GPT-2's kind with vocab.json and merges.txt."""
        return cls.from_files(Path(folder) / "vocab.json", Path(folder) / "merges.txt")


class Stream:
    """The text of ids that come one at a time. A character whose bytes are not all there yet waits.

    What `push` and `end` return, joined, is what `decode` gives for all ids at once. After `end` it starts anew.
    """

    def __init__(self, decode_bytes: Callable[[Iterable[int]], bytes]) -> None:
        self._decode_bytes = decode_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, token_id: int) -> str:
        """The text that is certain now; "" while a character is incomplete."""
        return self._decoder.decode(self._decode_bytes((token_id,)))

    def end(self) -> str:
        """What is left when no id follows: "", or U+FFFD for a character that was never completed."""
        left = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return left


class _Words(dict[str, tuple[int, ...]]):
    """Word -> ids, worked out when first asked for. It stops growing when it is full."""

    def __init__(self, work_out: Callable[[str], tuple[int, ...]]) -> None:
        self.work_out = work_out

    def __missing__(self, word: str) -> tuple[int, ...]:
        ids = self.work_out(word)
        if len(self) < REMEMBERED and len(word) <= LONGEST_REMEMBERED:
            self[word] = ids
        return ids


def _utf8(piece: str) -> bytes:
    try:
        return piece.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"the text holds {piece[error.start]!r}, half of a surrogate pair, which is no character and has no bytes. "
            'Mend it first: text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") joins pairs, and puts '
            "U+FFFD for a half that is alone"
        ) from None


def _check(vocab: Mapping[str, int], merges: Sequence[tuple[str, str]], specials: Sequence[str]) -> None:
    alphabet = bytes_to_unicode().values()
    made = {*alphabet, *(a + b for a, b in merges)}
    for token in (*made, *chain.from_iterable(merges), *specials):
        if token not in vocab:
            raise ValueError(
                f"the vocabulary lacks {token!r}: it needs the 256 bytes, all merges' tokens, all specials"
            )
    for special in specials:
        if not special or special in made:
            raise ValueError(f"{special!r} cannot be a special: it is empty, or an ordinary token is spelled so")
    if len(vocab) != 256 + len(merges) + len(specials):
        raise ValueError(
            f"{len(vocab)} entries are not 256 bytes, {len(merges)} merges and {len(specials)} specials: "
            "vocabulary and merges are of two tokenizers, or two merges make the same token"
        )
    if sorted(vocab.values()) != list(range(len(vocab))):
        raise ValueError(f"the ids of {len(vocab)} tokens are not 0 to {len(vocab) - 1}, each once")
    ids = [vocab[a + b] for a, b in merges]
    if any(i >= j for i, j in pairwise(ids)) or any(vocab[a + b] <= max(vocab[a], vocab[b]) for a, b in merges):
        raise ValueError("the ids do not grow with the merges' order, and here a merge's id is its rank")


def _write_json(file: Path, value: object) -> None:
    file.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8", newline="\n")
