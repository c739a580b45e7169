"""GPT-2's files are the ones that the card describes, and OpenAI's own."""

import hashlib
import re
from itertools import pairwise
from pathlib import Path

import pytest
from gpt2_references import gpt2_files

from source.files import data_path
from source.tokenizers.byte_alphabet import bytes_to_unicode

CARD = data_path("gpt2_tokenizer/card.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["encoder.json", "vocab.bpe"])
def test_a_file_has_the_size_and_the_hash_on_its_card(name):
    data = data_path(f"gpt2_tokenizer/{name}").read_bytes()
    row = next(line for line in CARD.splitlines() if line.startswith(f"| `{name}`"))
    assert f"{len(data):,}" in row
    assert hashlib.sha256(data).hexdigest() in row


def test_the_hashes_are_those_that_tiktoken_expects_of_openais_files():
    import tiktoken_ext.openai_public as public

    expected = re.findall(r'_hash="([0-9a-f]{64})"', Path(public.__file__).read_text(encoding="utf-8"))
    for name in ("encoder.json", "vocab.bpe"):
        assert hashlib.sha256(data_path(f"gpt2_tokenizer/{name}").read_bytes()).hexdigest() in expected


def test_ids_are_bytes_then_merges_in_their_order_then_the_special():
    vocab, merges = gpt2_files()
    assert len(vocab) == 50257
    assert len(merges) == len(set(merges)) == 50000
    names = [*bytes_to_unicode().values(), *(a + b for a, b in merges), "<|endoftext|>"]
    assert [vocab[name] for name in names] == list(range(50257))


def test_every_merge_is_of_tokens_that_were_there_before():
    vocab, merges = gpt2_files()
    assert all(max(vocab[a], vocab[b]) < vocab[a + b] for a, b in merges)
    assert all(vocab[a + b] < vocab[c + d] for (a, b), (c, d) in pairwise(merges))


def test_the_licence_lies_beside_the_files():
    text = data_path("gpt2_tokenizer/LICENSE").read_text(encoding="utf-8")
    assert text.startswith("MIT License")
    assert "AIDungeon" in text
