"""A translation task: English-like sentences and their translation into Kelu, a made-up language. No outside data.

Everything is drawn from a grammar by a seed, the same on every platform, with the true alignment of the words.

Kelu's verb comes last, an adjective comes after its noun, and so does a number. Of "the" remains a word behind the
noun, of "a" nothing. Where a thing happens is told before who did it, with the preposition behind its noun; that it
happened in the past is told before everything, and that it did not happen after everything. What is acted upon is
marked by "ka", for which English has no word.

Letters: B sentences, S source positions, T target positions, V vocabulary.
"""

import random
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from source.data_pipeline.targets import IGNORED

PAD, END = 0, 1  # T5's own choice; as in T5, the decoder starts from PAD
PARTS = ("train", "new sentences", "new pairs", "two adjectives")

ARTICLES = ("the", "a")
NUMBERS = {"two": "du", "three": "tir"}
ADJECTIVES = {
    "red": "rosh", "small": "pim", "big": "gol", "white": "lem",
    "young": "nuli", "happy": "sefa", "quiet": "shu", "tired": "vorr",
}  # fmt: skip
NOUNS = {
    "farmer": "tomak", "child": "lisu", "doctor": "veran", "king": "oruk",
    "horse": "hamo", "bird": "kiri", "dog": "bauk", "cat": "mishi",
}  # fmt: skip
PLACES = {"forest": "drom", "garden": "elan", "river": "nuri", "house": "pako"}
PREPOSITIONS = {"in": "no", "near": "wei", "behind": "gur"}
VERBS = {  # present with "they", with "he", past
    ("see", "sees", "saw"): "lomu",
    ("find", "finds", "found"): "teka",
    ("follow", "follows", "followed"): "surr",
    ("hear", "hears", "heard"): "onda",
    ("help", "helps", "helped"): "basi",
    ("call", "calls", "called"): "quel",
}
PLURALS = {noun: noun + "s" for noun in NOUNS} | {"child": "children"}
PAST, MANY, OBJECT, NOT = "to", "mi", "ka", "ne"

SOURCE_WORDS = (
    *ARTICLES, *NUMBERS, *ADJECTIVES, *NOUNS, *PLURALS.values(), *PLACES, *PREPOSITIONS,
    *(form for forms in VERBS for form in forms), "does", "do", "did", "not",
)  # fmt: skip
TARGET_WORDS = (
    "za", *NUMBERS.values(), *ADJECTIVES.values(), *NOUNS.values(), *PLACES.values(), *PREPOSITIONS.values(),
    *VERBS.values(), PAST, MANY, OBJECT, NOT,
)  # fmt: skip
WORDS = ("<pad>", "</s>", *SOURCE_WORDS, *TARGET_WORDS)  # the shared vocabulary: an id is a word's place here
IDS = {word: i for i, word in enumerate(WORDS)}


@dataclass(frozen=True)
class Pair:
    """A sentence and its translation. links: (t, s) where target word t stands for source word s.

    A target word without a link ("ka") stands for none; one source word may be behind several target words.
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    links: tuple[tuple[int, int], ...]


def pairs(n: int, seed: int, part: str = "train") -> list[Pair]:
    """n sentence pairs, the same for the same seed. A sentence may come twice.

    part: "train", or one of three kinds of sentences that training never shows:
      "new sentences": of the same kind, about an eighth of all sentences, chosen by a checksum;
      "new pairs": an adjective stands at a noun at which it never stood in training (one in eight such pairs);
      "two adjectives": a noun has two adjectives, which in training none has.
    Raises ValueError for another part.
    """
    if part not in PARTS:
        raise ValueError(f"no part {part!r}: choose one of {', '.join(PARTS)}")
    draw, found = random.Random(seed), []
    while len(found) < n:
        meaning = _meaning(draw, two_adjectives=part == "two adjectives")
        pair = _translated(meaning)
        unseen_pair = any(_held_out(f"{a} {p['noun']}") for p in _phrases(meaning) for a in p["adjectives"])
        if part == "new pairs":
            fits = unseen_pair
        elif part == "two adjectives":
            fits = not unseen_pair and any(len(p["adjectives"]) == 2 for p in _phrases(meaning))
        else:
            fits = not unseen_pair and _held_out(" ".join(pair.source)) == (part == "new sentences")
        if fits:
            found.append(pair)
    return found


def encode(words: Iterable[str]) -> list[int]:
    """The ids of words, with END behind them. Raises KeyError for a word that neither language has."""
    return [*(IDS[word] for word in words), END]


def decode(ids: Sequence[int] | Tensor) -> list[str]:
    """The words up to END; padding in front of it shows as <pad>."""
    ids = ids.tolist() if isinstance(ids, Tensor) else list(ids)
    return [WORDS[i] for i in (ids[: ids.index(END)] if END in ids else ids)]


def collate(some: Sequence[Pair]) -> tuple[Tensor, Tensor, Tensor]:
    """A batch: ids (B, S), real (B, S) and labels (B, T).

    Every sentence ends with END. Behind it, ids hold PAD, real is False, and labels hold IGNORED.
    Raises ValueError for no sentences.
    """
    if not some:
        raise ValueError("a batch needs at least one sentence pair")
    sources, targets = [encode(p.source) for p in some], [encode(p.target) for p in some]
    S, T = max(map(len, sources)), max(map(len, targets))
    ids = torch.tensor([row + [PAD] * (S - len(row)) for row in sources])
    labels = torch.tensor([row + [IGNORED] * (T - len(row)) for row in targets])
    real = torch.arange(S) < torch.tensor([len(row) for row in sources])[:, None]
    return ids, real, labels


def exact(words: Tensor, some: Sequence[Pair]) -> float:
    """The share of sentences translated without any mistake: words (B, T) against B pairs."""
    return sum(tuple(decode(row)) == p.target for row, p in zip(words, some, strict=True)) / len(some)


def aligned(weights: Tensor, some: Sequence[Pair]) -> float:
    """The mean weight that a target word's position gives to the source word behind it: weights (B, T, S), a head's.

    Target words without a link are left out.
    """
    shares = [
        sum(weights[b, t, s].item() for u, s in p.links if u == t)
        for b, p in enumerate(some)
        for t in sorted({t for t, _ in p.links})
    ]
    return sum(shares) / len(shares)


def _held_out(text: str) -> bool:
    return zlib.crc32(text.encode()) % 8 == 0


def _pick(draw: random.Random, options: Iterable) -> object:
    # Of random's methods only random() itself promises the same numbers in every version of Python.
    options = list(options)
    return options[int(draw.random() * len(options))]


def _phrase(draw: random.Random, nouns: dict[str, str], two_adjectives: bool, countable: bool = True) -> dict:
    number = "one"
    if countable and draw.random() < 0.5:
        number = _pick(draw, ("many", "many", *NUMBERS))
    adjectives = []
    if two_adjectives or draw.random() < 0.5:
        adjectives.append(_pick(draw, ADJECTIVES))
    if two_adjectives:
        adjectives.append(_pick(draw, [a for a in ADJECTIVES if a not in adjectives]))
    return {
        "noun": _pick(draw, nouns),
        "number": number,
        "adjectives": adjectives,
        "article": _pick(draw, ARTICLES) if number == "one" else "the" if draw.random() < 0.5 else None,
    }


def _meaning(draw: random.Random, two_adjectives: bool) -> dict:
    place = None
    if draw.random() < 0.5:
        place = _phrase(draw, PLACES, False, countable=False) | {"preposition": _pick(draw, PREPOSITIONS)}
    return {
        "subject": _phrase(draw, NOUNS, two_adjectives),
        "object": _phrase(draw, NOUNS, False),
        "place": place,
        "verb": _pick(draw, VERBS),
        "past": draw.random() < 0.5,
        "negated": draw.random() < 0.3,
    }


def _phrases(meaning: dict) -> list[dict]:
    return [p for p in (meaning["subject"], meaning["object"], meaning["place"]) if p]


def _translated(meaning: dict) -> Pair:
    # Both sides as (word, key): a target word's key is that of the source word behind it, or None.
    source, target = _english(meaning), _kelu(meaning)
    where = {key: s for s, (_, key) in enumerate(source)}
    links = tuple((t, where[key]) for t, (_, key) in enumerate(target) if key is not None)
    return Pair(tuple(word for word, _ in source), tuple(word for word, _ in target), links)


def _english(meaning: dict) -> list[tuple[str, str]]:
    they, he, past = meaning["verb"]
    plural = meaning["subject"]["number"] != "one"
    if meaning["negated"]:
        auxiliary = "did" if meaning["past"] else "do" if plural else "does"
        verb = [(auxiliary, "tense"), ("not", "not"), (they, "verb")]
    else:
        verb = [(past if meaning["past"] else they if plural else he, "verb")]
    words = [*_english_phrase(meaning, "subject"), *verb, *_english_phrase(meaning, "object")]
    if meaning["place"]:
        words += [(meaning["place"]["preposition"], "preposition"), *_english_phrase(meaning, "place")]
    return words


def _english_phrase(meaning: dict, role: str) -> list[tuple[str, str]]:
    p = meaning[role]
    words = [(p["article"], f"{role} article")] if p["article"] else []
    if p["number"] in NUMBERS:
        words.append((p["number"], f"{role} number"))
    words += [(a, f"{role} adjective {n}") for n, a in enumerate(p["adjectives"])]
    return [*words, (p["noun"] if p["number"] == "one" else PLURALS[p["noun"]], f"{role} noun")]


def _kelu(meaning: dict) -> list[tuple[str, str | None]]:
    words = [(PAST, "tense" if meaning["negated"] else "verb")] if meaning["past"] else []
    if meaning["place"]:
        words += [*_kelu_phrase(meaning, "place"), (PREPOSITIONS[meaning["place"]["preposition"]], "preposition")]
    words += [*_kelu_phrase(meaning, "subject"), *_kelu_phrase(meaning, "object"), (OBJECT, None)]
    words.append((VERBS[meaning["verb"]], "verb"))
    return [*words, (NOT, "not")] if meaning["negated"] else words


def _kelu_phrase(meaning: dict, role: str) -> list[tuple[str, str | None]]:
    p = meaning[role]
    words = [((NOUNS | PLACES)[p["noun"]], f"{role} noun")]
    # English says the adjectives before the noun, Kelu behind it: their order is turned as well.
    words += [(ADJECTIVES[a], f"{role} adjective {n}") for n, a in reversed(list(enumerate(p["adjectives"])))]
    if p["number"] == "many":
        words.append((MANY, f"{role} noun"))
    elif p["number"] in NUMBERS:
        words.append((NUMBERS[p["number"]], f"{role} number"))
    return [*words, ("za", f"{role} article")] if p["article"] == "the" else words
