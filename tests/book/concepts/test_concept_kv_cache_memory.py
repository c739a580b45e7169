"""The card on the cache's memory: its bytes are a real cache's, its models' sizes those of the library."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from source.models.kv_cache import empty_cache
from source.models.llama import Llama, Sizes


def test_a_token_takes_what_a_real_cache_holds(card):
    sizes = Sizes(vocabulary=11, context=16, width=24, heads=6, kv_heads=2, hidden=32, layers=3)
    cache = empty_cache(sizes.layers)
    Llama(sizes)(torch.zeros(1, 5, dtype=torch.long), cache=cache)
    held = sum(kept.k.nbytes + kept.v.nbytes for kept in cache)
    found = card("kv_cache_memory").call("tokenBytes", {"L": 3, "G": 2, "D": 4}, 4)
    assert 5 * found == held


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("gpt2", {"model_type": "gpt2"}),
        (
            "llama2",
            {
                "model_type": "llama",
                "vocab_size": 32000,
                "hidden_size": 4096,
                "intermediate_size": 11008,
                "num_hidden_layers": 32,
                "num_attention_heads": 32,
                "num_key_value_heads": 32,
            },
        ),
        (
            "llama3",
            {
                "model_type": "llama",
                "vocab_size": 128256,
                "hidden_size": 4096,
                "intermediate_size": 14336,
                "num_hidden_layers": 32,
                "num_attention_heads": 32,
                "num_key_value_heads": 8,
            },
        ),
    ],
)
def test_the_numbers_of_weights_are_the_libraries(card, name, config):
    kind = config.pop("model_type")
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **config))
    counted = sum({id(p): p.numel() for p in model.parameters()}.values())
    shown = card("kv_cache_memory")
    told = shown.page.evaluate("name => import('/book/concepts/kv_cache_memory.js').then(m => m.MODELS[name])", name)
    assert told["weights"] == counted


def test_cache_grows_with_length_batch_and_precision(card):
    shown = card("kv_cache_memory")
    start = {"model": "llama3", "length": 10, "batch": 0, "bytes": 2}
    base = shown.call("compute", start)["cache"]
    assert base == 131072 * 1024
    assert shown.call("compute", start | {"length": 11})["cache"] == 2 * base
    assert shown.call("compute", start | {"batch": 3})["cache"] == 8 * base
    assert shown.call("compute", start | {"bytes": 0.5})["cache"] == base / 4


def test_it_moves_by_keys_and_by_choice(card):
    shown = card("kv_cache_memory")
    assert "128 KiB" in shown.words()
    shown.page.get_by_label("Model").select_option("Llama 2 7B")
    assert "512 KiB" in shown.words()
    shown.slide("Sequences", "ArrowRight", 2)
    assert "4 sequences" in shown.words()


def test_the_question_accepts_the_first_batch_that_outgrows_the_weights(card):
    shown = card("kv_cache_memory")
    right = 1
    while right * 8192 * 131072 <= 2 * 8030261248:
        right *= 2
    assert shown.answer(str(right)).startswith("Right.")
    assert "room" in shown.answer(str(right // 2))
    assert "earlier" in shown.answer(str(right * 2))
    assert "power of two" in shown.answer("3")
