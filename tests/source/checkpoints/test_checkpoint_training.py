"""Training in pieces gives the bits of training in one; other runs' states are refused; a run ships what it learned."""

import hashlib
from dataclasses import replace

import pytest
import torch

from source.checkpoints import training
from source.checkpoints.card import ship
from source.checkpoints.plan import Plan, as_bytes, as_tokens
from source.models import gpt, llama

PLAN = Plan(
    name="test",
    sizes=gpt.Sizes(vocabulary=256, context=16, width=16, heads=2, layers=2),
    steps=12,
    batch=4,
    warm_up=3,
    measure_every=5,
)
WORDS = "HAMLET:\nTo be, or not to be, that is the question.\n\n" * 20


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("bfloat16", [False, True])
def test_a_run_in_pieces_gives_the_same_bits_as_one(tmp_path, bfloat16):
    plan, text = replace(PLAN, bfloat16=bfloat16), as_bytes(WORDS)

    def run(pieces):
        path, left = tmp_path / f"{len(pieces)}.pt", list(pieces)
        while left:
            state, until = training.resume(plan, path), left.pop(0)
            training.train(state, plan, text, text, lambda *_: None, lambda s=state, u=until: s["step"] >= u)
            training.store(state, plan, path)
        return state

    whole, parts = run([12]), run([2, 5, 12])
    assert parts["step"] == 12
    assert [row[0] for row in parts["measured"]] == [1, 5, 10, 12]
    assert parts["measured"] == whole["measured"]
    for one, other in zip(whole["model"].parameters(), parts["model"].parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_state_of_another_plan_is_refused(tmp_path):
    training.store(training.start(PLAN), PLAN, tmp_path / "a.pt")
    with pytest.raises(ValueError, match="other settings"):
        training.resume(replace(PLAN, rate=1.0), tmp_path / "a.pt")


@pytest.mark.parametrize("kind", ["bytes", "tokens"])
def test_a_run_learns_and_ships_a_folder_that_transformers_reads(tmp_path, kind):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    plan, text = replace(PLAN, steps=60, rate=1e-2), as_bytes(WORDS)
    if kind == "tokens":
        plan, text = replace(plan, sizes=llama.Sizes(2048, 16, 16, 2, 1, 24, 2)), as_tokens(WORDS)
    state = training.start(plan)
    training.train(state, plan, text, text, lambda *_: None)
    assert state["measured"][-1][2] < state["measured"][0][2] - 1
    ship(state, plan, tmp_path, text, text)
    card = (tmp_path / "card.md").read_text(encoding="utf-8")
    assert hashlib.sha256((tmp_path / "model.safetensors").read_bytes()).hexdigest() in card
    assert (tmp_path / "loss.svg").read_text(encoding="utf-8").count("training, one batch") == 1
    theirs, ids = AutoModelForCausalLM.from_pretrained(tmp_path).eval(), torch.randint(256, (1, 9))
    with torch.no_grad():
        mine = type(state["model"]).from_folder(tmp_path)(ids)
        torch.testing.assert_close(mine, theirs(ids).logits, atol=1e-4, rtol=0)
    if kind == "tokens":
        assert AutoTokenizer.from_pretrained(tmp_path).encode(WORDS[:52]) == text.ids[: text.starts[1]].tolist()
        assert theirs.config.eos_token_id == text.end
