"""Writes a model's folder as one GGUF file, which llama.cpp reads. It quantizes nothing. Needs the package gguf.

`python -m source.checkpoints.gguf_file data/checkpoints/llama-shakespeare llama-shakespeare.gguf`

llama.cpp's own converter knows a tokenizer by the ids of a test text, so it refuses one that was trained anew. This one
is told: the course's tokenizer cuts text as GPT-2's does.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from source.blocks.positions import halves_to_interleaved
from source.models.folders import read_config, read_weights

TRANSPOSED = ("c_attn.weight", "c_proj.weight", "c_fc.weight")  # GPT-2 stores them (in, out), llama.cpp as (out, in)
KINDS = ("gpt2", "llama")  # config.json's model_type, and llama.cpp's name of the architecture


def write_gguf(folder: Path, file: Path) -> None:
    """Write a GPT-2 or Llama in Hugging Face's format, with a byte-level BPE tokenizer, as float16 GGUF.

    Raises FileNotFoundError when the folder lacks a file, ValueError when the model is of another architecture.
    """
    import gguf

    config = read_config(folder)
    kind = config.get("model_type")
    if kind not in KINDS:
        raise ValueError(f"{folder} is a model of type {kind!r}; this writes {' and '.join(KINDS)}")
    if not (Path(folder) / "tokenizer.json").is_file():
        raise FileNotFoundError(f"{folder} has no tokenizer.json: a GGUF file holds the tokenizer, too")
    writer = gguf.GGUFWriter(file, kind)
    _write_gpt2(writer, config) if kind == "gpt2" else _write_llama(writer, config)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    _write_tokenizer(writer, json.loads((Path(folder) / "tokenizer.json").read_text(encoding="utf-8")), config)
    layers = config["n_layer"] if kind == "gpt2" else config["num_hidden_layers"]
    architecture = gguf.MODEL_ARCH.GPT2 if kind == "gpt2" else gguf.MODEL_ARCH.LLAMA
    renamed = gguf.get_tensor_name_map(architecture, layers)
    for name, weight in read_weights(folder, prefix="").items():
        target = renamed.get_name(name, try_suffixes=(".weight", ".bias"))
        if target is None:
            raise ValueError(f"{folder}: llama.cpp has no place for the weight {name}")
        writer.add_tensor(target, _stored(name, weight, config))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _stored(name: str, weight: Tensor, config: dict[str, Any]) -> np.ndarray:
    """A weight as llama.cpp wants it: matrices in float16; vectors and GPT-2's positions in float32."""
    if name.endswith(TRANSPOSED):
        weight = weight.T
    # Hugging Face's RoPE turns feature i of a head with feature i + D/2, llama.cpp's turns 2i with 2i + 1.
    if name.endswith("q_proj.weight"):
        weight = halves_to_interleaved(weight, config["num_attention_heads"])
    if name.endswith("k_proj.weight"):
        weight = halves_to_interleaved(weight, config["num_key_value_heads"])
    small = weight.ndim == 1 or name.endswith("wpe.weight")
    return weight.to(torch.float32 if small else torch.float16).contiguous().numpy()


def _write_gpt2(writer: Any, config: dict[str, Any]) -> None:
    writer.add_block_count(config["n_layer"])
    writer.add_context_length(config["n_positions"])
    writer.add_embedding_length(config["n_embd"])
    writer.add_feed_forward_length(config.get("n_inner") or 4 * config["n_embd"])
    writer.add_head_count(config["n_head"])
    writer.add_layer_norm_eps(config["layer_norm_epsilon"])


def _write_llama(writer: Any, config: dict[str, Any]) -> None:
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_dimension_count(config["hidden_size"] // config["num_attention_heads"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_vocab_size(config["vocab_size"])


def _write_tokenizer(writer: Any, tokenizer: dict[str, Any], config: dict[str, Any]) -> None:
    """Tokens in the order of their ids, merges in the order of their ranks, and which tokens are no text."""
    import gguf

    ids = dict(tokenizer["model"]["vocab"]) | {added["content"]: added["id"] for added in tokenizer["added_tokens"]}
    special = {added["content"] for added in tokenizer["added_tokens"] if added["special"]}
    tokens = sorted(ids, key=ids.get)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL if t in special else gguf.TokenType.NORMAL for t in tokens])
    writer.add_token_merges([" ".join(pair) for pair in tokenizer["model"]["merges"]])
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_add_bos_token(False)


def main() -> None:
    """Convert from the command line."""
    parser = argparse.ArgumentParser(description="Write a model's folder as a GGUF file for llama.cpp.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("file", type=Path)
    told = parser.parse_args()
    write_gguf(told.folder, told.file)
    print(f"wrote {told.file}, {told.file.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
