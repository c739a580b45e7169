"""Every shipped model is the file of its card, as good as the card says, and read by transformers with equal logits."""

import csv
import hashlib
import importlib
import math
import re

import numpy as np
import pytest
import torch

from source.checkpoints.card import TOKENIZER
from source.checkpoints.measuring import sample, validation_loss
from source.checkpoints.plan import read_text
from source.files import data_path
from source.models import gpt, llama

NAMES = sorted(path.parent.name for path in data_path("checkpoints/gpt2-bytes/card.md").parents[1].glob("*/card.md"))
READERS = {gpt.Sizes: gpt.shipped, llama.Sizes: llama.shipped}


def plan_of(name):
    return importlib.import_module(f"source.checkpoints.{name.replace('-', '_')}").PLAN


def model_of(name):
    return READERS[type(plan_of(name).sizes)](name)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_is_what_its_script_makes_and_small_enough_for_git(name):
    plan = plan_of(name)
    assert plan.name == name
    assert model_of(name).sizes == plan.sizes
    assert data_path(f"checkpoints/{name}/model.safetensors").stat().st_size < 20e6


@pytest.mark.parametrize("name", NAMES)
def test_the_file_is_the_cards_and_as_good_as_it_says(name):
    card = data_path(f"checkpoints/{name}/card.md").read_text(encoding="utf-8")
    weights = data_path(f"checkpoints/{name}/model.safetensors")
    assert hashlib.sha256(weights.read_bytes()).hexdigest() in card
    said = float(re.search(r"validation part: ([0-9.]+),", card)[1])
    loss = validation_loss(model_of(name), read_text(plan_of(name), "validation"), rows=512)
    assert loss == pytest.approx(said, abs=2e-3)


@pytest.mark.parametrize("name", NAMES)
def test_the_loss_curve_falls_far_below_guessing(name):
    with data_path(f"checkpoints/{name}/loss.csv").open(encoding="utf-8") as file:
        held = [float(row[2]) for row in list(csv.reader(file))[1:]]
    guessing = math.log(plan_of(name).sizes.vocabulary)
    assert held[0] > 0.7 * guessing
    assert held[-1] < 0.6 * guessing
    assert np.argmin(held) > 0.5 * len(held)


@pytest.mark.parametrize("name", NAMES)
def test_transformers_gives_the_same_logits(name):
    from transformers import AutoModelForCausalLM

    ours = model_of(name)
    theirs = AutoModelForCausalLM.from_pretrained(data_path(f"checkpoints/{name}/config.json").parent).eval()
    ids = read_text(plan_of(name), "validation").ids[None, : ours.sizes.context].long()
    with torch.no_grad():
        torch.testing.assert_close(ours(ids), theirs(ids).logits, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "gpt2-bytes"])
def test_all_models_of_tokens_carry_the_course_tokenizer(name):
    for file in TOKENIZER:
        mine = data_path(f"checkpoints/{name}/{file}").read_bytes()
        assert mine == data_path(f"tokenizer/{file}").read_bytes()


def test_a_draft_is_about_a_tenth_and_reads_the_same_tokens():
    for name in [name for name in NAMES if name.endswith("-draft")]:
        draft, target = (sum(p.numel() for p in model_of(n).parameters()) for n in (name, name.removesuffix("-draft")))
        assert 6 < target / draft < 14


def test_a_sample_starts_with_its_prompt_and_is_seeded():
    model = gpt.shipped()
    once = sample(model, "ROMEO:\n", 20)
    assert once.startswith("ROMEO:\n")
    assert once == sample(model, "ROMEO:\n", 20)
    assert once != sample(model, "ROMEO:\n", 20, seed=1)
