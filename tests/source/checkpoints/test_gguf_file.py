"""A GGUF file holds the folder's weights, sizes and tokenizer, as llama.cpp wants them; other models are refused."""

import json
import shutil

import gguf
import numpy as np
import pytest
import torch

from source.blocks.positions import halves_to_interleaved
from source.checkpoints.card import TOKENIZER
from source.checkpoints.gguf_file import write_gguf
from source.files import data_path
from source.models import gpt, llama
from source.models.folders import read_weights

MODELS = {
    "gpt2": gpt.GPT(gpt.Sizes(vocabulary=2048, context=16, width=32, heads=4, layers=2)),
    "llama": llama.Llama(
        llama.Sizes(vocabulary=2048, context=16, width=32, heads=4, kv_heads=2, hidden=48, layers=2, base=5000.0)
    ),
}


@pytest.fixture(params=MODELS)
def folder(request, tmp_path):
    """A model's folder, as the course ships them."""
    folder = tmp_path / request.param
    MODELS[request.param].save(folder, torch.float16, bos_token_id=2047, eos_token_id=2047)
    for name in TOKENIZER:
        shutil.copyfile(data_path(f"tokenizer/{name}"), folder / name)
    return folder


def read(folder, tmp_path):
    write_gguf(folder, tmp_path / "model.gguf")
    return gguf.GGUFReader(tmp_path / "model.gguf")


def test_every_weight_is_there_once(folder, tmp_path):
    tensors = {tensor.name: tensor for tensor in read(folder, tmp_path).tensors}
    wanted = sum(p.numel() for p in MODELS[folder.name].parameters())
    assert sum(tensor.n_elements for tensor in tensors.values()) == wanted
    table = next(p for n, p in MODELS[folder.name].named_parameters() if p.shape == (2048, 32))
    np.testing.assert_array_equal(tensors["token_embd.weight"].data, table.detach().half().numpy())


def test_sizes_and_tokenizer_are_the_folders(folder, tmp_path):
    fields = read(folder, tmp_path).fields
    kind = folder.name
    said = {name.removeprefix(f"{kind}."): field.contents() for name, field in fields.items()}
    assert said["general.architecture"] == kind
    assert (said["block_count"], said["context_length"], said["embedding_length"]) == (2, 16, 32)
    assert said["attention.head_count"] == 4
    if kind == "llama":
        assert (said["attention.head_count_kv"], said["rope.freq_base"], said["feed_forward_length"]) == (2, 5000, 48)
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    tokens = said["tokenizer.ggml.tokens"]
    assert len(tokens) == 2048
    assert all(tokens[number] == token for token, number in tokenizer["model"]["vocab"].items())
    assert [n for n, of in enumerate(said["tokenizer.ggml.token_type"]) if of == gguf.TokenType.CONTROL] == [2047]
    assert said["tokenizer.ggml.merges"][0] == " ".join(tokenizer["model"]["merges"][0])
    assert said["tokenizer.ggml.eos_token_id"] == 2047


def test_queries_and_keys_lie_in_llama_cpps_order(tmp_path):
    model, folder = MODELS["llama"], tmp_path / "llama"
    model.save(folder, bos_token_id=2047, eos_token_id=2047)
    shutil.copyfile(data_path("tokenizer/tokenizer.json"), folder / "tokenizer.json")
    stored = {tensor.name: tensor.data for tensor in read(folder, tmp_path).tensors}
    weights = read_weights(folder, prefix="")
    for name, mine, heads in (("attn_q", "q_proj", 4), ("attn_k", "k_proj", 2)):
        weight = weights[f"model.layers.1.self_attn.{mine}.weight"]
        wanted = halves_to_interleaved(weight, heads)
        assert not torch.equal(wanted, weight)
        np.testing.assert_array_equal(stored[f"blk.1.{name}.weight"], wanted.half().numpy())


def test_another_architecture_and_a_folder_without_tokenizer_are_refused_and_nothing_is_written(folder, tmp_path):
    (folder / "tokenizer.json").unlink()
    with pytest.raises(FileNotFoundError, match="tokenizer"):
        write_gguf(folder, tmp_path / "none.gguf")
    config = json.loads((folder / "config.json").read_text()) | {"model_type": "mamba"}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="mamba"):
        write_gguf(folder, tmp_path / "none.gguf")
    assert not (tmp_path / "none.gguf").exists()
