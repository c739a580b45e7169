"""What is derived from a configuration is what transformers counts, and the page says the same numbers."""

import json
import math

import pytest
import torch
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, MistralConfig

from autograder.paths import BOOK, ROOT
from book.ch03_complete_transformer.figures_reading_a_model_card import PUBLISHED, card_rows, derived, own, size
from source.models import minilm

PAGE = (BOOK / "ch03_complete_transformer/reading_a_model_card.md").read_text(encoding="utf-8")
FOLDER = ROOT / "data/checkpoints/gpt2-bytes"
CONFIGS = {"gpt2": GPT2Config, "llama": LlamaConfig, "mistral": MistralConfig}


@pytest.mark.parametrize("name", ["gpt2-bytes", *PUBLISHED])
def test_parameters_are_what_transformers_counts(name):
    told = dict(PUBLISHED.get(name) or own())
    with torch.device("meta"):  # shapes without numbers
        model = AutoModelForCausalLM.from_config(CONFIGS[told.pop("model_type")](**told))
    assert derived(PUBLISHED.get(name) or own()).parameters == sum(p.numel() for p in model.parameters())


def test_the_cache_is_what_transformers_keeps():
    told = {**PUBLISHED["Llama 3 8B"], "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 8,
            "num_key_value_heads": 2, "intermediate_size": 96, "vocab_size": 50}  # fmt: skip
    model = AutoModelForCausalLM.from_config(LlamaConfig(**{k: v for k, v in told.items() if k != "model_type"}))
    with torch.no_grad():
        kept = model(torch.zeros(1, 7, dtype=torch.long), use_cache=True).past_key_values
    numbers = sum(layer.keys.numel() + layer.values.numel() for layer in kept.layers)
    assert numbers == 7 * derived(told).cache_numbers


def test_work_is_twice_the_matrices_and_grows_with_the_keys():
    d = derived(PUBLISHED["GPT-2"])
    matrices = 12 * 12 * 768**2 + 50257 * 768
    assert d.flops() == pytest.approx(2 * matrices, rel=1e-3)  # biases are counted along
    assert d.flops(100) - d.flops() == 4 * 12 * 100 * 768


def test_another_family_is_refused_by_name():
    with pytest.raises(ValueError, match="mamba"):
        derived({"model_type": "mamba"})


def test_the_pages_table_is_the_functions():
    for row in card_rows():
        assert row in PAGE


def test_the_pages_configuration_is_the_files():
    shown = json.loads(PAGE.split("```json\n")[1].split("```")[0])
    assert shown.items() <= own().items()


def test_the_pages_other_numbers_are_computed_ones():
    card = (FOLDER / "card.md").read_text(encoding="utf-8")
    stored, llama = (FOLDER / "model.safetensors").stat().st_size, derived(PUBLISHED["Llama 3 8B"])
    for said in ("842,496", "10,240,000", "4,084,517", "It has learned the look of"):
        assert said in card, said
    assert 0 < stored - 2 * derived(own()).parameters < 10_000  # the header
    mixing = llama.flops(8192) / llama.flops() - 1
    for said in (
        f"has {stored:,} bytes",
        f"{10_240_000 / derived(own()).parameters:.0f} bytes a parameter",
        f"at its full 8,192 keys they add {100 * mixing:.0f}%",
        f"Ours is {1.552 / math.log(2):.2f} bits a byte",
        f"{derived(PUBLISHED['GPT-2']).parameters:,}",
        f"{(llama.embedding + llama.head) / 1e9:.2f} of {llama.parameters / 1e9:.2f} billion",
        f"about {llama.flops() / 1e9:.0f} GFLOP a token",
        f"at most {1e12 / llama.weight_bytes:.0f} tokens a second",
    ):
        assert said in PAGE, said
    assert round(10_240_000 / 4_084_517, 1) == 2.5
    assert "1.552" in card


def test_the_encoders_folder_says_what_the_page_says():
    try:
        folder = minilm.folder()
    except FileNotFoundError as missing:
        pytest.skip(str(missing))
    read = {f.name: json.loads(f.read_text(encoding="utf-8")) for f in folder.glob("*.json")}
    assert read["config.json"]["max_position_embeddings"] == 512
    assert read["tokenizer_config.json"]["model_max_length"] == 512
    assert read["sentence_bert_config.json"]["max_seq_length"] == 256
    assert read["tokenizer.json"]["truncation"]["max_length"] == 128
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "The sequence length was limited to 128 tokens" in card
    assert "license: apache-2.0" in card


def test_sizes_are_written_in_powers_of_ten():
    assert [size(n) for n in (12, 1500, 2_500_000, 16_060_522_496)] == ["12 B", "1.5 kB", "2.5 MB", "16.1 GB"]
