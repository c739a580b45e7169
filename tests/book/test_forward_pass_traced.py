"""The traced pass is the model's own, its page's table and numbers are the trace's, and the cache changes nothing."""

import pytest
import torch

from autograder.paths import BOOK
from book.ch03_complete_transformer import figures_forward_pass_traced as traced
from source.attention.against_torch import max_error
from source.models.gpt import shipped

PAGE = (BOOK / "ch03_complete_transformer/forward_pass_traced.md").read_text(encoding="utf-8")


def test_the_trace_gives_the_models_streams_and_logits():
    model, found = shipped(), traced.prefill().tensors
    with torch.no_grad():
        stream = model.stream(found["ids"])
        mine = [found["x0"], *(found[f"out of block {n}"] for n in range(traced.L))]
        assert max(max_error(a, b) for a, b in zip(mine, stream, strict=True)) < 1e-4
        assert max_error(found["logits"], model(found["ids"])[:, -1]) < 1e-4


def test_the_next_step_with_what_was_kept_equals_the_whole_text_again():
    first, second = traced.prefill().tensors, traced.next_step().tensors
    ids = torch.cat([first["ids"], first["chosen"][:, None]], dim=1)
    whole = traced.trace(ids).tensors
    assert max_error(second["logits"], whole["logits"]) < 1e-4
    for layer in range(traced.L):
        for name in ("k", "v"):
            assert max_error(second[f"{name} of block {layer}"], whole[f"{name} of block {layer}"]) < 1e-5


def test_the_pages_table_of_shapes_is_the_traces():
    for row in traced.shape_rows():
        assert row in PAGE


def test_shapes_are_what_their_letters_say():
    for run, T, S in ((traced.prefill(), 12, 12), (traced.next_step(), 1, 13)):
        sizes = {"B": 1, "T": T, "S": S, "C": 128, "H": 4, "D": 32, "V": 256, "3C": 384, "4C": 512}
        for _, name, letters in traced.STEPS:
            tensor = run.tensors.get(name, run.tensors.get(f"{name} of block 3"))
            wanted = tuple(sizes[letter] for letter in letters.strip("()").replace(" ", "").split(",") if letter)
            assert tuple(tensor.shape) == wanted, name


def test_the_pages_numbers_are_the_traces():
    found = traced.prefill().tensors
    chosen = int(found["chosen"])
    for said in (
        f"{found['probabilities'][0, chosen]:.2f}, for the byte {chosen}, which is `{chr(chosen)}`",
        f"{sum(traced.work(12, 12).values()) / 1e6:.1f} million multiply-adds here",
        f"{sum(traced.work(1, 13).values()) / 1e6:.1f} million multiply-adds. Every weight",
    ):
        assert said in PAGE, said


@pytest.mark.parametrize("byte", [73, 32, 107])
def test_the_pages_bytes_are_in_the_prompt(byte):
    assert byte in traced.PROMPT.encode()
    assert str(byte) in PAGE


def test_the_lens_ends_at_the_answer():
    best, chosen = traced.lens(), int(traced.prefill().tensors["chosen"])
    assert len(best) == traced.L + 1
    assert best[-1][0][0] == chosen
    assert best[0][0][0] == traced.PROMPT.encode()[-1]  # before any block, the byte itself
