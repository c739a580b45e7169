"""The byte alphabet, against its promises and against GPT-2's own file."""

import pytest
from gpt2_references import gpt2_files
from hypothesis import given
from hypothesis import strategies as st

from source.tokenizers.byte_alphabet import BYTES, bytes_to_unicode, spell, unspell


def test_every_byte_has_a_printable_character_of_its_own():
    table = bytes_to_unicode()
    assert sorted(table) == list(range(256))
    assert len(set(table.values())) == 256
    assert all(c.isprintable() and not c.isspace() and len(c) == 1 for c in table.values())


def test_the_order_of_the_bytes_is_the_order_of_gpt2s_first_256_ids():
    vocab, _ = gpt2_files()
    assert [vocab[bytes_to_unicode()[b]] for b in BYTES] == list(range(256))
    assert list(bytes_to_unicode()) == list(BYTES)


def test_the_order_of_the_bytes_is_that_of_the_characters():
    characters = list(bytes_to_unicode().values())
    assert characters == sorted(characters)


@given(st.binary(max_size=40))
def test_what_is_spelled_can_be_read_back(data):
    assert unspell(spell(data)) == data
    assert len(spell(data)) == len(data)


def test_known_spellings():
    assert spell(" naïve\n".encode()) == "ĠnaÃ¯veĊ"


def test_a_character_that_stands_for_no_byte_is_named():
    with pytest.raises(ValueError, match="'€' stands for none"):
        unspell("a€")
    with pytest.raises(ValueError, match="' ' stands for none"):
        unspell(" the")
