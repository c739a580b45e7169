"""Encoding text into GPT-2's ids: the course's tokenizer beside its naive twin and two libraries in Rust."""

import json
import os
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
CHARACTERS = 1_000_000
EACH = 2_000  # characters a document
REPEATS = 7
Encoder = Callable[[list[str]], list[list[int]]]


def run(device: torch.device) -> dict[str, object]:
    """Time encoding of a megabyte of Shakespeare, document by document on one thread, on the CPU whatever the device.

    "cold": a new tokenizer each time, so an empty cache; making it is not timed. Hugging Face's tokenizer remembers
    words too; tiktoken remembers none. The naive twin, which remembers none either, gets a tenth of the text.

    Returns settings and rows of {"tokenizer", "seconds", "megabytes_per_second", "ratio", "same_ids"}. ratio: the speed
    over the baseline's; same_ids: whether the ids are tiktoken's.
    """
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one thread for all
    import tiktoken
    import tokenizers

    text = shakespeare("train")[:CHARACTERS]
    documents = [text[n : n + EACH] for n in range(0, len(text), EACH)]
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

    few = documents[: len(documents) // 10]
    encoders: list[tuple[str, Callable[[], Encoder], list[str]]] = [
        ("course, warm", lambda: _each(ours.encode), documents),
        ("course, cold", lambda: _each(ByteLevelBPE.gpt2().encode), documents),
        ("naive twin", lambda: _each(naive.encode), few),
        (f"tiktoken {version('tiktoken')}", lambda: _each(tik.encode_ordinary), documents),
        (
            f"Hugging Face tokenizers {version('tokenizers')}",
            lambda: lambda texts: [found.ids for found in hugging_face.encode_batch_fast(texts)],
            documents,
        ),
    ]
    expected = [tik.encode_ordinary(document) for document in documents]
    rows: list[dict[str, object]] = []
    for name, make, texts in encoders:
        seconds = _median_seconds(make, texts)
        megabytes = sum(len(t.encode()) for t in texts) / 1e6
        same = make()(texts) == expected[: len(texts)]
        rows.append(
            {"tokenizer": name, "seconds": seconds, "megabytes_per_second": megabytes / seconds, "same_ids": same}
        )
    baseline = rows[0]["megabytes_per_second"]
    return {
        "what": f"GPT-2's ids of {CHARACTERS:,} characters of Shakespeare, {EACH:,} a document, one thread",
        "baseline": rows[0]["tokenizer"],
        "repeats": REPEATS,
        "rows": [{**row, "ratio": row["megabytes_per_second"] / baseline} for row in rows],
    }


def _each(encode: Callable[[str], list[int]]) -> Encoder:
    return lambda texts: [encode(text) for text in texts]


def _median_seconds(make: Callable[[], Encoder], texts: list[str]) -> float:
    # source.timing repeats one call; here each call needs an encoder that is made before the clock starts.
    times = []
    for _ in range(REPEATS + 2):  # two to warm up
        encode = make()
        start = time.perf_counter()
        encode(texts)
        times.append(time.perf_counter() - start)
    return statistics.median(times[2:])
