"""A run's ingredients: windows, batches, speeches and their starts, the learning rate."""

from dataclasses import replace

import pytest
import torch

from source.checkpoints import plan as made
from source.models import gpt, llama
from source.tokenizers.shipped import course_tokenizer

BYTES = made.Plan("b", gpt.Sizes(vocabulary=256, context=16, width=16, heads=2, layers=2), batch=4)
TOKENS = replace(BYTES, sizes=gpt.Sizes(vocabulary=2048, context=16, width=16, heads=2, layers=2))
SPEECHES = "A:\nTo be, or not to be, that is the question.\n\nB:\nAy, there's the rub; for in that sleep.\n\n" * 9


def test_targets_are_the_next_ids():
    ids, targets = made.windows(torch.arange(20, dtype=torch.uint8), torch.tensor([0, 14]), 5)
    assert ids.tolist() == [[0, 1, 2, 3, 4], [14, 15, 16, 17, 18]]
    assert targets.tolist() == [[1, 2, 3, 4, 5], [15, 16, 17, 18, 19]]
    assert ids.dtype == torch.int64


def test_a_batch_depends_on_seed_and_step_alone_and_reaches_the_last_id():
    text = made.as_bytes(SPEECHES)
    once, again = made.batch(text, BYTES, 7), made.batch(text, BYTES, 7)
    assert torch.equal(once[0], again[0])
    assert not torch.equal(once[0], made.batch(text, BYTES, 8)[0])
    assert not torch.equal(once[0], made.batch(text, replace(BYTES, seed=1), 7)[0])
    exact = made.Text(torch.arange(17, dtype=torch.uint8), 17)  # room for one window
    assert made.batch(exact, BYTES, 0)[1][:, -1].tolist() == [16] * 4


def test_tokens_give_the_text_back_and_every_speech_begins_at_one():
    text = made.as_tokens(SPEECHES)
    tokenizer = course_tokenizer()
    assert tokenizer.decode(text.ids.tolist()) == SPEECHES
    assert text.bytes == len(SPEECHES)
    assert len(text.starts) == 18
    for start in text.starts.tolist():
        assert tokenizer.decode(text.ids[start : start + 4].tolist())[:2] in ("A:", "B:")


def test_every_other_row_begins_with_the_end_of_text_and_a_speech():
    text = made.as_tokens(SPEECHES)
    inputs, targets = made.batch(text, TOKENS, 3)
    assert inputs.shape == targets.shape == (4, 16)
    assert inputs[0::2, 0].tolist() == [text.end] * 2
    assert (inputs[1::2] != text.end).all()
    assert torch.equal(inputs[:, 1:], targets[:, :-1])
    openings = [tuple(text.ids[s : s + 16].tolist()) for s in text.starts.tolist()]
    assert all(tuple(row.tolist()) in openings for row in targets[0::2])
    assert (targets != text.end).all()  # nothing is ever followed by it: it only begins


def test_the_rate_rises_in_a_line_and_falls_along_a_cosine():
    plan = replace(BYTES, steps=1100, warm_up=100, rate=1.0, last_rate=0.1)
    assert made.learning_rate(plan, 0) == pytest.approx(0.01)
    assert made.learning_rate(plan, 99) == made.learning_rate(plan, 100) == pytest.approx(1.0)
    assert made.learning_rate(plan, 600) == pytest.approx(0.55)
    assert made.learning_rate(plan, 1100) == pytest.approx(0.1)


def test_the_sizes_choose_the_architecture_and_the_seed_the_weights():
    model = made.new_model(replace(BYTES, sizes=llama.Sizes(256, 16, 16, 2, 1, 24, 2)))
    assert isinstance(model, llama.Llama)
    one, other = made.new_model(BYTES), made.new_model(replace(BYTES, seed=1))
    assert torch.equal(one.token.weight, made.new_model(BYTES).token.weight)
    assert not torch.equal(one.token.weight, other.token.weight)
