"""GPT-2's files read by hand, against the safetensors library and transformers' GPT2LMHeadModel."""

import io

import pytest
import torch
from safetensors.torch import load_file, save
from transformers import GPT2Config, GPT2LMHeadModel

from source.files import data_path
from source.models.gpt import GPT, Sizes, shipped
from source.models.gpt2_files import our_name, read_weights, translated

SIZES = Sizes(vocabulary=17, context=12, width=24, heads=3, layers=2)


def theirs(seed=0):
    torch.manual_seed(seed)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=17, n_positions=12, n_embd=24, n_head=3, n_layer=2)).eval()
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.3)
    return model


def wanted(model):
    return {name: tuple(weight.shape) for name, weight in model.state_dict().items()}


class Counting(io.BytesIO):
    """A file that counts the bytes read from it."""

    count = 0

    def read(self, *size):
        data = super().read(*size)
        self.count += len(data)
        return data


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_file_is_read_as_the_library_reads_it(dtype):
    torch.manual_seed(0)
    tensors = {"b": torch.randn(3, 5), "a": torch.randn(7), "scalar": torch.tensor(-1e4)}
    tensors = {name: tensor.to(dtype) for name, tensor in tensors.items()}
    read = read_weights(io.BytesIO(save(tensors, metadata={"format": "pt"})))
    assert read.keys() == tensors.keys()
    for name, tensor in tensors.items():
        torch.testing.assert_close(read[name], tensor.float(), rtol=0, atol=0)


def test_of_the_data_only_what_is_wanted_is_read():
    data = save({"large": torch.zeros(1000), "small": torch.arange(3.0)})
    file = Counting(data)
    assert read_weights(file, ["small"])["small"].tolist() == [0.0, 1.0, 2.0]
    assert file.count == len(data) - 4000
    with pytest.raises(KeyError):
        read_weights(io.BytesIO(data), ["absent"])


def test_the_shipped_file_becomes_the_shipped_model():
    path = data_path("checkpoints/gpt2-bytes/model.safetensors")
    with path.open("rb") as file:
        found = read_weights(file)
    library = load_file(path)
    assert all(torch.equal(found[name], library[name].float()) for name in library)
    model = shipped()
    state, problems = translated(found, wanted(model))
    assert problems == []
    assert all(torch.equal(state[name], weight) for name, weight in model.state_dict().items())


@pytest.mark.parametrize("prefix", ["transformer.", ""])
def test_transformers_weights_give_its_logits_with_the_prefix_or_without(prefix):
    reference, ours, ids = theirs(), GPT(SIZES), torch.randint(17, (2, 9))
    found = {name.replace("transformer.", prefix): weight for name, weight in reference.state_dict().items()}
    found |= {f"{prefix}h.{n}.attn.bias": torch.ones(1, 1, 12, 12).tril() for n in range(2)}
    found |= {f"{prefix}h.{n}.attn.masked_bias": torch.tensor(-1e4) for n in range(2)}
    state, problems = translated(found, wanted(ours))
    assert problems == []
    ours.load_state_dict(state)
    with torch.no_grad():
        torch.testing.assert_close(ours(ids), reference(ids).logits, atol=1e-4, rtol=0)


def test_every_problem_is_named():
    found = dict(theirs().state_dict())
    found["lm_head.weight"] = found["lm_head.weight"] + 1e-3
    found["transformer.h.0.ln_3.weight"] = torch.ones(24)
    found["transformer.wpe.weight"] = found["transformer.wpe.weight"][:5]
    del found["transformer.h.1.attn.c_attn.bias"]
    state, problems = translated(found, wanted(GPT(SIZES)))
    assert problems == [
        ("missing", "blocks.1.attention.W_qkv.bias"),
        ("shape", "transformer.wpe.weight"),
        ("unexpected", "transformer.h.0.ln_3.weight"),
        ("untied", "lm_head.weight"),
    ]
    assert "position.weight" not in state


def test_a_file_of_more_layers_than_the_model_is_not_cut_off_silently():
    _, problems = translated(theirs().state_dict(), wanted(GPT(Sizes(17, 12, 24, 3, 1))))
    assert len(problems) == 12
    assert {kind for kind, _ in problems} == {"unexpected"}


def test_what_only_resembles_a_buffer_is_a_weight():
    assert our_name("h.11.attn.c_attn.bias") == "blocks.11.attention.W_qkv.bias"
    assert our_name("transformer.h.11.attn.bias") is None
    assert our_name("transformer.h.0.attn.rotary.bias") == "transformer.h.0.attn.rotary.bias"


def test_half_precision_comes_out_in_float32():
    found = {name: weight.half() for name, weight in theirs().state_dict().items()}
    state, problems = translated(found, wanted(GPT(SIZES)))
    assert problems == []
    assert {weight.dtype for weight in state.values()} == {torch.float32}
    assert all(weight.is_contiguous() for weight in state.values())
