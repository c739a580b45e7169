"""The course's BPE trainer beside its naive twin and Hugging Face's, in one run; and what longer tables buy.

It runs on the CPU whatever the device. All trainers start from the same text and do all of it: cut it into words,
count them, train. Their alphabet is the text's characters in order, so that equal counts are decided alike.
"""

import json
import os
import re
import statistics
from collections import Counter
from importlib.metadata import version
from itertools import product

import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

from source.corpus import shakespeare
from source.timing import seconds
from source.tokenizers import bpe
from source.tokenizers.words import WORD, byte_counts, split

MERGES = (0, 50, 500, 4000, 16000)  # none: what reading, cutting and counting the text takes
NAIVE = (50, 500)  # the naive trainer runs these only: a minute for every two thousand
ROUNDS, NAIVE_ROUNDS = 7, 3
VOCABULARIES = (256, 512, 1024, 2048, 4096, 8192, 16384)


def run(device: torch.device) -> dict[str, object]:
    """Time training of tables of growing size, and measure how far they compress.

    Returns settings, rows of {"merges", "course_seconds", "naive_seconds", "hugging_face_seconds",
    "naive_over_course", "course_over_hugging_face", "same_merges"} (the naive ones for small tables only), and a curve
    of {"V", "bytes_a_token_train", "bytes_a_token_validation", "under_100_in_train"}.
    """
    text = shakespeare("train")
    rows = [_row(merges, times) for merges, times in _times(text).items()]
    for row in rows:
        row["same_merges"] = _course(text, row["merges"]) == _hugging_face(text, row["merges"])
    counts = byte_counts(text)
    return {
        "what": "byte-pair encoding trained on the course's Shakespeare, from text to merge table",
        "baseline": "course",
        "tokenizers": version("tokenizers"),
        "hugging_face_threads": os.cpu_count(),
        "corpus_bytes": len(text.encode()),
        "words": sum(counts.values()),
        "different_words": len(counts),
        "rows": rows,
        "curve": _curve(text, shakespeare("validation")),
    }


def _times(text: str) -> dict[int, dict[str, list[float]]]:
    """merges -> trainer -> seconds of each round. They take turns: a busy moment of the machine hits all alike."""
    ways = {"course": _course, "hugging_face": _hugging_face, "naive": lambda *told: _course(*told, bpe.train_naive)}
    times: dict[int, dict[str, list[float]]] = {merges: {name: [] for name in ways} for merges in MERGES}
    for turn in range(ROUNDS + 1):
        for merges, name in product(MERGES, ways):
            if name == "naive" and (merges not in NAIVE or turn > NAIVE_ROUNDS):
                continue
            taken = seconds(lambda way=ways[name], m=merges: way(text, m), repeats=1, warm_up=0)
            if turn:  # the first is the warm-up
                times[merges][name].append(taken)
    return times


def _row(merges: int, times: dict[str, list[float]]) -> dict[str, float]:
    medians = {name: statistics.median(taken) for name, taken in times.items() if taken}
    row = {"merges": merges, **{f"{name}_seconds": median for name, median in medians.items()}}
    row["course_over_hugging_face"] = medians["course"] / medians["hugging_face"]
    if "naive" in medians:
        row["naive_over_course"] = medians["naive"] / medians["course"]
    return row


def _course(text: str, merges: int, train=bpe.train) -> list[tuple[str, str]]:
    """The merges as pairs of strings."""
    alphabet = sorted(set(text))
    number = {letter: i for i, letter in enumerate(alphabet)}
    counts = {tuple(number[c] for c in word): count for word, count in Counter(split(text)).items()}
    learned = train(counts, merges, len(alphabet))
    spelled = bpe.expand(learned, dict(enumerate(alphabet)))
    return [(spelled[left], spelled[right]) for left, right in learned]


def _hugging_face(text: str, merges: int) -> list[tuple[str, str]]:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(WORD.pattern), behavior="isolated")
    trainer = trainers.BpeTrainer(vocab_size=len(set(text)) + merges, show_progress=False)
    # Many pieces, so that all threads have some; each ends where a word ends.
    tokenizer.train_from_iterator(re.split(r"(?<=\n)(?=\S)", text), trainer)
    return [tuple(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]


def _curve(train: str, validation: str) -> list[dict[str, float]]:
    """Bytes a token on both texts for tables of growing size, and how many tokens stand under 100 times in train."""
    counts = byte_counts(train)
    table = bpe.train(counts, max(VOCABULARIES) - 256, 256)
    points = []
    for V in VOCABULARIES:
        part = {pair: new_id for pair, new_id in table.items() if new_id < V}
        used, lengths = Counter(dict.fromkeys(range(256, V), 0)), {}
        for name, words in (("train", counts), ("validation", byte_counts(validation))):
            tokens = 0
            for word, count in words.items():
                ids = bpe.encode(word, part)
                tokens += len(ids) * count
                if name == "train":
                    for i in ids:
                        used[i] += count
            lengths[f"bytes_a_token_{name}"] = sum(len(word) * count for word, count in words.items()) / tokens
        rare = sum(used[i] < 100 for i in range(256, V))
        points.append({"V": V, **lengths, "under_100_in_train": rare})
    return points
