"""A sixty-word English: its vocabulary, and seeded documents to train a small model on. It reads no outside text.

Two kinds of pattern are in a document, on purpose. Sentences follow a grammar that is the same everywhere, so a
model can learn it by heart. Lists of random words come twice, and which words they hold differs from document to
document, so the second time they can only be foretold by looking back.
"""

import random

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


def sentence(rng: random.Random, surnames: dict[str, str]) -> list[str]:
    """One sentence, such as "anna stone sees my old cats near the fox ."; a name always has its surname with it."""

    def thing() -> tuple[list[str], bool]:
        if rng.random() < 0.35:
            name = rng.choice(CLASSES["name"])
            return [name, surnames[name]], False
        plural = rng.random() < 0.5
        adjective = [rng.choice(CLASSES["adjective"])] if rng.random() < 0.4 else []
        noun = rng.choice(CLASSES["nouns" if plural else "noun"])
        return [rng.choice(CLASSES["determiner"]), *adjective, noun], plural

    subject, plural = thing()
    if rng.random() < 0.3:  # a phrase between subject and verb: the verb still agrees with the subject
        subject += [rng.choice(CLASSES["preposition"]), *thing()[0]]
    return [*subject, rng.choice(CLASSES["verbs" if plural else "verb"]), *thing()[0], "."]


def document(rng: random.Random, length: int) -> list[int]:
    """Ids of a document of exactly `length` words: the start word, sentences, and one list of words pasted twice.

    Raises ValueError below 37 words, the room that the longest list needs to come twice.
    """
    if length < 1 + 2 * LONGEST:
        raise ValueError(f"a document of {length} words is too short: give at least {1 + 2 * LONGEST}")
    surnames = {name: rng.choice(CLASSES["surname"]) for name in CLASSES["name"]}
    words = [START]
    while len(words) < length:
        words += sentence(rng, surnames)
    words = words[:length]
    n = rng.randint(4, LONGEST)
    first = rng.randint(1, length - 2 * n)
    second = rng.randint(first + n, length - n)  # any distance, so position alone never tells where to look
    listed = rng.sample(WORDS[1:], n)
    words[first : first + n] = listed
    words[second : second + n] = listed
    return [NUMBER_OF[word] for word in words]
