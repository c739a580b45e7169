"""Encoding text into GPT-2's ids: the course's tokenizer beside its naive twin and two libraries in Rust."""

import json
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version

import torch

from source.corpus import shakespeare
from source.files import data_path
from source.tokenizers import byte_level_naive
from source.tokenizers.byte_alphabet import unspell
from source.tokenizers.byte_level import END_OF_TEXT, ByteLevelBPE

PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"  # tiktoken's for GPT-2
REPEATS = 7


def run(device: torch.device) -> dict[str, object]:
    """Time encoding of a megabyte of Shakespeare on one thread. It runs on the CPU whatever the device.

    Returns settings and rows of {"tokenizer", "seconds", "megabytes_per_second", "ratio", "same_ids"}; ratio: speed
    over the baseline's. The naive twin gets a tenth of the text. "cold": a new tokenizer each time, so an empty cache;
    its construction is not timed.
    """
    import tiktoken
    import tokenizers

    text = shakespeare("train")[:1_000_000]
    vocab = json.loads(data_path("gpt2_tokenizer/encoder.json").read_text(encoding="utf-8"))
    ranks = byte_level_naive.read_merges(data_path("gpt2_tokenizer/vocab.bpe").read_text(encoding="utf-8"))
    ours, naive = ByteLevelBPE.gpt2(), byte_level_naive.Tokenizer(vocab, ranks, [END_OF_TEXT])
    tik = tiktoken.Encoding(
        "gpt2",
        pat_str=PATTERN,
        mergeable_ranks={unspell(token): i for token, i in vocab.items() if token != END_OF_TEXT},
        special_tokens={END_OF_TEXT: vocab[END_OF_TEXT]},
    )
    hugging_face = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocab, merges=list(ranks)))
    hugging_face.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)

    encoders: dict[str, tuple[Callable[[], Callable[[str], list[int]]], str]] = {
        "course, warm": (lambda: ours.encode, text),
        "course, cold": (lambda: ByteLevelBPE.gpt2().encode, text),
        "naive twin": (lambda: naive.encode, text[: len(text) // 10]),
        f"tiktoken {version('tiktoken')}": (lambda: tik.encode_ordinary, text),
        f"Hugging Face tokenizers {version('tokenizers')}": (lambda: lambda t: hugging_face.encode(t).ids, text),
    }
    expected = {len(t): tik.encode_ordinary(t) for t in (text, text[: len(text) // 10])}
    rows = []
    for name, (make, its_text) in encoders.items():
        seconds = _median_seconds(make, its_text)
        rows.append(
            {
                "tokenizer": name,
                "seconds": seconds,
                "megabytes_per_second": len(its_text.encode()) / 1e6 / seconds,
                "same_ids": make()(its_text) == expected[len(its_text)],
            }
        )
    for row in rows:
        row["ratio"] = row["megabytes_per_second"] / rows[0]["megabytes_per_second"]
    return {
        "what": "GPT-2's ids of Shakespeare, one text, one thread",
        "baseline": rows[0]["tokenizer"],
        "megabytes": len(text.encode()) / 1e6,
        "repeats": REPEATS,
        "rows": rows,
    }


def _median_seconds(make: Callable[[], Callable[[str], list[int]]], text: str) -> float:
    # source.timing repeats one call; here each call needs an encoder made before the clock starts.
    times = []
    for _ in range(REPEATS + 2):  # two to warm up
        encode = make()
        start = time.perf_counter()
        encode(text)
        times.append(time.perf_counter() - start)
    return statistics.median(times[2:])
