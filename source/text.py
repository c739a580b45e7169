"""A sixty-word English: its vocabulary, and seeded documents to train a small model on. It reads no outside text.

Two kinds of pattern are in a document, on purpose. Sentences follow a grammar that is the same everywhere, so a
model can learn it by heart. Lists of random words come twice, and which words they hold differs from document to
document, so the second time they can only be foretold by looking back.
"""

import random
from functools import cache

START = "<start>"
NOUNS = ["cat", "dog", "bird", "fox", "boy", "girl", "king", "queen"]
VERBS = ["sees", "likes", "finds", "hears", "wants", "knows"]
CLASSES = {
    "start": [START],
    "stop": ["."],
    "name": ["anna", "tom", "mary", "john", "lily", "sam"],
    "surname": ["stone", "wood", "hill", "brook", "field", "snow"],
    "determiner": ["the", "my", "her", "our"],
    "adjective": ["red", "old", "big", "small", "happy", "green", "cold", "quiet"],
    "noun": NOUNS,
    "nouns": [noun + ("es" if noun == "fox" else "s") for noun in NOUNS],
    "preposition": ["near", "behind", "under", "with"],
    "verb": VERBS,
    "verbs": [verb.removesuffix("s") for verb in VERBS],
}
WORDS = [word for words in CLASSES.values() for word in words]
LONGEST = 18  # words in a list
NUMBER_OF = {word: i for i, word in enumerate(WORDS)}


def encode(text: str) -> list[int]:
    """The ids of a text's words, with the start word in front: "the cat" -> [0, id of the, id of cat].

    Raises ValueError for a word that is not in the vocabulary, and names it.
    """
    words = text.lower().replace(".", " . ").split()
    unknown = sorted({word for word in words if word not in NUMBER_OF})
    if unknown:
        raise ValueError(f"not in the vocabulary: {', '.join(unknown)}. Its words are: {' '.join(WORDS[1:])}")
    return [NUMBER_OF[START], *(NUMBER_OF[word] for word in words)]


def decode(ids: list[int]) -> list[str]:
    """The words of ids, one label each: [0, 14] -> two words."""
    return [WORDS[i] for i in ids]


@cache
def habit(word: str, kind: str) -> str:
    """The word of a class that usually stands two places after `word`: fixed for good, drawn once from its spelling."""
    return random.Random(f"{word} {kind}").choice(CLASSES[kind])


def sentence(rng: random.Random, words: list[str], surnames: dict[str, str]) -> None:
    """Add one sentence to words, such as "anna stone sees my old cats near the fox ."

    Seven words in ten follow the habit of the word two places before them; a name always has its surname with it.
    """

    def say(kind: str) -> None:
        words.append(habit(words[-2], kind) if rng.random() < 0.7 else rng.choice(CLASSES[kind]))

    def thing() -> bool:
        if rng.random() < 0.35:
            say("name")
            words.append(surnames[words[-1]])
            return False
        say("determiner")
        if rng.random() < 0.4:
            say("adjective")
        plural = rng.random() < 0.5
        say("nouns" if plural else "noun")
        return plural

    plural = thing()
    if rng.random() < 0.3:  # a phrase between subject and verb: the verb still agrees with the subject
        say("preposition")
        thing()
    say("verbs" if plural else "verb")
    thing()
    words.append(".")


def document(rng: random.Random, length: int) -> list[int]:
    """Ids of a document of exactly `length` words: the start word, sentences, and one list of words pasted twice.

    Raises ValueError below 37 words, the room that the longest list needs to come twice.
    """
    if length < 1 + 2 * LONGEST:
        raise ValueError(f"a document of {length} words is too short: give at least {1 + 2 * LONGEST}")
    surnames = {name: rng.choice(CLASSES["surname"]) for name in CLASSES["name"]}
    words = [".", START]  # the first word's habit needs two words before it
    while len(words) <= length:
        sentence(rng, words, surnames)
    words = words[1 : 1 + length]
    n = rng.randint(4, LONGEST)
    first = rng.randint(1, length - 2 * n)
    second = rng.randint(first + n, length - n)  # any distance, so position alone never tells where to look
    listed = rng.sample(WORDS[1:], n)
    words[first : first + n] = listed
    words[second : second + n] = listed
    return [NUMBER_OF[word] for word in words]
