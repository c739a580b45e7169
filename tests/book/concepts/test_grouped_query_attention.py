"""The card on grouped-query attention: who shares is what the course's attention does, and the cache is really kept."""

import pytest
import torch

from source.blocks.llama_block import grouped_attention
from source.models.kv_cache import empty_cache
from source.models.llama import Llama, Sizes


@pytest.mark.parametrize("groups", [0, 1, 2, 3])
def test_a_query_head_reads_the_key_head_that_the_card_says(card, groups):
    G = 2**groups
    shared = [card("grouped_query_attention").call("groupOf", h, G) for h in range(8)]
    q, k = torch.randn(1, 8, 1, 4), torch.randn(1, G, 1, 4)
    v = torch.arange(float(G)).view(1, G, 1, 1)  # with one key, the output is the value: the key head's number
    assert grouped_attention(q, k, v)[0, :, 0, 0].tolist() == shared


@pytest.mark.parametrize("groups", [0, 1, 3])
def test_the_cache_is_what_a_real_layer_keeps(card, groups):
    sizes = Sizes(vocabulary=5, context=16, width=64, heads=8, kv_heads=2**groups, hidden=8, layers=1)
    cache = empty_cache(1)
    Llama(sizes).half()(torch.zeros(1, 6, dtype=torch.long), cache=cache)
    found = card("grouped_query_attention").call("compute", {"groups": groups, "D": 8, "T": 6})
    assert found["cache"] == cache[0].k.nbytes + cache[0].v.nbytes


def test_the_slider_names_all_three_kinds(card):
    shown = card("grouped_query_attention")
    assert "grouped-query" in shown.words()
    shown.slide("Key and value heads G", "ArrowLeft")
    assert "multi-query" in shown.words()
    assert "8 times smaller" in shown.words()
    shown.slide("Key and value heads G", "ArrowRight", 3)
    assert "multi-head" in shown.words()


def test_the_question_accepts_four_times_the_tokens(card):
    shown = card("grouped_query_attention")
    assert shown.answer("4096").startswith("Right.")
    assert "the room is" in shown.answer("2048")
    assert "the room is" in shown.answer("1024")
    assert "number of tokens" in shown.answer("0")
