"""The tokenizer with fewer merges: its ids are those of the whole one, and what it cuts comes back."""

import pytest

from source.tokenizers.first_merges import first_merges
from source.tokenizers.shipped import course_tokenizer

TEXT = "The king is not himself; naïve? \n\n 42 times!"


@pytest.mark.parametrize("merges", [0, 1, 100, 512])
def test_ids_stay_below_256_and_the_merges_and_mean_what_they_mean_in_the_whole_one(merges):
    ids = first_merges(merges).encode(TEXT)
    assert max(ids) < 256 + merges
    assert first_merges(merges).decode(ids) == course_tokenizer().decode(ids) == TEXT


def test_without_merges_each_byte_is_a_token_and_more_merges_make_fewer():
    lengths = [len(first_merges(n).encode(TEXT)) for n in (0, 50, 512)]
    assert lengths[0] == len(TEXT.encode())
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[-1] < lengths[0] / 1.5
