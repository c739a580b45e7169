"""The Llama model against transformers' LlamaForCausalLM, through files in both directions; cache, masks, errors."""

import json
import math

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from source.blocks import llama_block
from source.models.kv_cache import empty_cache
from source.models.llama import Llama, Sizes, config, sizes_of, to_huggingface

SIZES = Sizes(vocabulary=17, context=12, width=24, heads=6, kv_heads=2, hidden=20, layers=3)


def small(seed=0, sizes=SIZES):
    """A model whose every weight matters."""
    torch.manual_seed(seed)
    model = Llama(sizes)
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.4)
    return model.eval()


def theirs_from(folder):
    return LlamaForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()


@pytest.mark.parametrize("kv_heads", [1, 2, 6])
def test_transformers_reads_what_we_save_and_gives_the_same_logits_loss_and_gradients(tmp_path, kv_heads):
    ours = small(sizes=Sizes(17, 12, 24, 6, kv_heads, 20, 3, base=500.0, eps=1e-3))
    ours.save(tmp_path)
    theirs = theirs_from(tmp_path)
    ids = torch.randint(17, (2, 12))
    logits, loss = ours(ids, torch.cat([ids[:, 1:], torch.full((2, 1), -100)], dim=1))
    expected = theirs(ids, labels=ids)
    torch.testing.assert_close(logits, expected.logits, atol=1e-4, rtol=0)
    torch.testing.assert_close(loss, expected.loss)
    loss.backward()
    expected.loss.backward()
    for p in ours.parameters():
        p.data = p.grad  # so that names are translated as they are for weights
    grads = {name: p.grad for name, p in theirs.named_parameters()}
    for name, grad in to_huggingface(ours).items():
        torch.testing.assert_close(grad, grads[name], atol=1e-4, rtol=1e-3)


def test_we_read_what_transformers_saves(tmp_path):
    torch.manual_seed(1)
    theirs = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=17,
            max_position_embeddings=12,
            hidden_size=24,
            num_attention_heads=6,
            num_key_value_heads=2,
            intermediate_size=20,
            num_hidden_layers=2,
            tie_word_embeddings=True,
            rope_parameters={"rope_type": "default", "rope_theta": 77.0},
        )
    ).eval()
    theirs.save_pretrained(tmp_path)
    ours, ids = Llama.from_folder(tmp_path), torch.randint(17, (2, 9))
    assert ours.sizes.base == 77.0
    assert ours.sizes.eps == 1e-6
    with torch.no_grad():
        torch.testing.assert_close(ours(ids), theirs(ids).logits, atol=1e-4, rtol=0)


def test_its_block_is_chapter_2s():
    ours, x = small().blocks[1], torch.randn(2, 7, 24)
    theirs = llama_block.LlamaBlock(24, 6, 2, 20)
    theirs.load_state_dict({name.removeprefix("attention."): w for name, w in ours.state_dict().items()})
    angles = torch.arange(7)[None, None, :, None] * small().frequencies
    torch.testing.assert_close(ours(x, angles), theirs(x), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("pieces", [[1] * 9, [4, 1, 4], [8, 1]])
def test_with_a_cache_any_pieces_give_the_whole(pieces):
    model, ids = small(), torch.randint(17, (2, 9))
    cache = empty_cache(3)
    parts = [model(part, cache=cache) for part in ids.split(pieces, dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1), model(ids), atol=1e-5, rtol=1e-4)
    assert cache[0].seen == 9
    assert cache[2].k.shape == (2, 2, 9, 4)


@pytest.mark.parametrize("side", ["right", "left"])
def test_padded_batches_equal_transformers_and_each_row_alone(tmp_path, side):
    ours = small()
    ours.save(tmp_path)
    theirs, ids = theirs_from(tmp_path), torch.randint(17, (2, 8))
    real = torch.tensor([[True] * 8, [True] * 5 + [False] * 3])
    real = real if side == "right" else real.flip(1)
    positions = (real.cumsum(1) - 1).clamp(min=0)
    with torch.no_grad():
        logits = ours(ids, mask=real[:, None, None, :], positions=positions)
        expected = theirs(ids, attention_mask=real.long(), position_ids=positions).logits
        alone = ours(ids[1:, real[1]])
    torch.testing.assert_close(logits[real], expected[real], atol=1e-4, rtol=0)
    torch.testing.assert_close(logits[1, real[1]], alone[0], atol=1e-4, rtol=1e-4)
    assert logits.isfinite().all()


def test_only_distances_count():
    model, ids = small(), torch.randint(17, (1, 9))
    torch.testing.assert_close(model(ids, positions=torch.arange(500, 509)[None]), model(ids), atol=1e-3, rtol=1e-3)


def test_a_token_changes_nothing_before_it():
    model, ids = small(), torch.randint(17, (2, 8))
    before = model(ids)
    for t in (1, 4, 7):
        changed = ids.clone()
        changed[:, t] = (ids[:, t] + 1) % 17
        after = model(changed)
        torch.testing.assert_close(after[:, :t], before[:, :t])
        assert not torch.allclose(after[:, t], before[:, t])


def test_a_fresh_model_guesses_evenly():
    torch.manual_seed(0)
    model = Llama(Sizes(256, 16, 64, 4, 2, 96, 8))
    ids = torch.randint(256, (4, 16))
    assert model(ids, ids.roll(-1, dims=1))[1].item() == pytest.approx(math.log(256), abs=0.1)
    assert model.blocks[3].feed_forward.W_down.weight.std().item() == pytest.approx(0.02 / 4, rel=0.05)


def test_wrong_sizes_and_ids_are_explained():
    with pytest.raises(ValueError, match="heads"):
        Llama(Sizes(17, 12, 24, 6, 4, 20, 1))
    with pytest.raises(ValueError, match="even"):
        Llama(Sizes(17, 12, 18, 6, 2, 20, 1))
    with pytest.raises(ValueError, match=r"\(B, T\)"):
        small()(torch.zeros(3, dtype=torch.long))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("model_type", "gpt2"),
        ("tie_word_embeddings", False),
        ("head_dim", 5),
        ("rope_scaling", {"rope_type": "yarn", "factor": 4.0}),
    ],
)
def test_another_architecture_is_refused_by_name(setting, value):
    with pytest.raises(ValueError, match="rope_type" if setting == "rope_scaling" else setting):
        sizes_of(config(SIZES) | {setting: value})


def test_an_untied_head_is_refused_also_where_the_file_is_silent():
    silent = {name: value for name, value in config(SIZES).items() if name != "tie_word_embeddings"}
    with pytest.raises(ValueError, match="tie_word_embeddings"):
        sizes_of(silent)


def test_a_folder_with_other_weights_is_refused(tmp_path):
    small().save(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config(SIZES) | {"num_hidden_layers": 4}))
    with pytest.raises(ValueError, match="does not hold"):
        Llama.from_folder(tmp_path)
