"""The GPT model against transformers' GPT2LMHeadModel, through files in both directions; masks, positions, errors."""

import json
import math

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from source.blocks import gpt2_block
from source.models.gpt import GPT, Sizes, config, sizes_of, to_huggingface
from source.models.kv_cache import empty_cache

SIZES = Sizes(vocabulary=17, context=12, width=24, heads=3, layers=3)


def small(seed=0):
    """A model whose every weight matters."""
    torch.manual_seed(seed)
    model = GPT(SIZES)
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.3)
    return model.eval()


def theirs_from(folder):
    return GPT2LMHeadModel.from_pretrained(folder, attn_implementation="eager").eval()


def test_transformers_reads_what_we_save_and_gives_the_same_logits_and_loss(tmp_path):
    ours = small()
    ours.save(tmp_path)
    theirs = theirs_from(tmp_path)
    ids = torch.randint(17, (2, 12))
    targets = torch.cat([ids[:, 1:], torch.full((2, 1), -100)], dim=1)
    with torch.no_grad():
        logits, loss = ours(ids, targets)
        expected = theirs(ids, labels=ids)
    torch.testing.assert_close(logits, expected.logits, atol=1e-4, rtol=0)
    torch.testing.assert_close(loss, expected.loss)
    torch.testing.assert_close(ours(ids), logits)


def test_we_read_what_transformers_saves(tmp_path):
    torch.manual_seed(1)
    theirs = GPT2LMHeadModel(GPT2Config(vocab_size=17, n_positions=12, n_embd=24, n_head=3, n_layer=2)).eval()
    theirs.save_pretrained(tmp_path)
    ids = torch.randint(17, (2, 9))
    with torch.no_grad():
        torch.testing.assert_close(GPT.from_folder(tmp_path)(ids), theirs(ids).logits, atol=1e-4, rtol=0)


def test_files_of_the_bare_model_and_old_triangles_are_read(tmp_path):
    from safetensors.torch import load_file, save_file

    ours, ids = small(), torch.randint(17, (1, 5))
    ours.save(tmp_path)
    state = {n.removeprefix("transformer."): w for n, w in load_file(tmp_path / "model.safetensors").items()}
    save_file(state | {"h.0.attn.bias": torch.ones(1, 1, 12, 12)}, tmp_path / "model.safetensors")
    assert torch.equal(GPT.from_folder(tmp_path)(ids), ours(ids))


@pytest.mark.parametrize("side", ["right", "left"])
def test_padded_batches_equal_transformers(tmp_path, side):
    ours = small()
    ours.save(tmp_path)
    theirs = theirs_from(tmp_path)
    ids = torch.randint(17, (2, 8))
    real = torch.tensor([[True] * 8, [True] * 5 + [False] * 3])
    real = real if side == "right" else real.flip(1)
    positions = (real.cumsum(1) - 1).clamp(min=0)
    with torch.no_grad():
        logits = ours(ids, mask=real[:, None, None, :], positions=positions)
        expected = theirs(ids, attention_mask=real.long(), position_ids=positions).logits
        alone = ours(ids[1:, real[1]])
    torch.testing.assert_close(logits[real], expected[real], atol=1e-4, rtol=0)
    torch.testing.assert_close(logits[1, real[1]], alone[0], atol=1e-4, rtol=0)
    assert logits.isfinite().all()


def test_packed_documents_equal_the_documents_alone():
    model, ids = small(), torch.randint(17, (1, 9))
    document = torch.tensor([[0] * 4 + [1] * 5])
    same = document[:, None, :, None] == document[:, None, None, :]  # (B, 1, T, T)
    packed = model(ids, mask=same, positions=torch.tensor([[0, 1, 2, 3, 0, 1, 2, 3, 4]]))
    torch.testing.assert_close(packed[:, :4], model(ids[:, :4]))
    torch.testing.assert_close(packed[:, 4:], model(ids[:, 4:]))


def test_a_token_changes_nothing_before_it():
    model, ids = small(), torch.randint(17, (2, 8))
    before = model(ids)
    for t in (1, 4, 7):
        changed = ids.clone()
        changed[:, t] = (ids[:, t] + 1) % 17
        after = model(changed)
        torch.testing.assert_close(after[:, :t], before[:, :t])
        assert not torch.allclose(after[:, t], before[:, t])


def test_the_stream_is_what_the_blocks_leave():
    model, ids = small(), torch.randint(17, (2, 8))
    x = model.stream(ids)
    assert len(x) == 4
    for block, before, after in zip(model.blocks, x, x[1:], strict=False):
        assert torch.equal(block(before), after)
    assert torch.equal(model.read(x[-1]), model(ids))


def test_its_block_is_chapter_2s_forward_and_backward():
    ours, x = small().blocks[0], torch.randn(2, 8, 24)
    theirs = gpt2_block.Block(24, 3)
    theirs.load_state_dict(ours.state_dict())
    upstream, results = torch.randn(2, 8, 24), []
    for run in (ours, lambda x: theirs(x, gpt2_block.causal_mask(8))):
        leaf = x.clone().requires_grad_()
        out = run(leaf)
        out.backward(upstream)
        results.append((out, leaf.grad))
    torch.testing.assert_close(results[0], results[1], atol=1e-5, rtol=1e-4)
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-4, rtol=1e-4)


def test_gradients_are_transformers_gradients(tmp_path):
    ours, ids = small(), torch.randint(17, (2, 9))
    ours.save(tmp_path)
    theirs = theirs_from(tmp_path)
    ours(ids, torch.cat([ids[:, 1:], torch.full((2, 1), -100)], dim=1))[1].backward()
    theirs(ids, labels=ids).loss.backward()
    for p in ours.parameters():
        p.data = p.grad  # so that the layout is translated as it is for weights
    expected = {name: p.grad for name, p in theirs.named_parameters()}
    for name, grad in to_huggingface(ours).items():
        torch.testing.assert_close(grad, expected[name], atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("pieces", [[1] * 9, [9], [4, 1, 4], [8, 1]])
def test_with_a_cache_any_pieces_give_the_whole(pieces):
    model, ids = small(), torch.randint(17, (2, 9))
    cache = empty_cache(3)
    parts = [model(part, cache=cache) for part in ids.split(pieces, dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1), model(ids), atol=1e-5, rtol=1e-4)
    assert cache[0].seen == 9
    assert cache[2].k.shape == (2, 3, 9, 8)


def test_a_padded_batch_goes_on_with_a_cache_as_each_row_alone():
    model, ids = small(), torch.randint(17, (2, 8))
    real = torch.tensor([[True] * 8, [False] * 3 + [True] * 5])
    positions = (real.cumsum(1) - 1).clamp(min=0)
    cache = empty_cache(3)
    model(ids[:, :6], mask=real[:, None, None, :6], positions=positions[:, :6], cache=cache)
    rest = model(ids[:, 6:], mask=real[:, None, None], positions=positions[:, 6:], cache=cache)
    torch.testing.assert_close(rest[0], model(ids[:1])[0, 6:], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(rest[1], model(ids[1:, 3:])[0, 3:], atol=1e-5, rtol=1e-4)


def test_a_full_cache_is_refused_and_a_cache_of_another_depth_too():
    model, cache = small(), empty_cache(3)
    model(torch.zeros(1, 12, dtype=torch.long), cache=cache)
    with pytest.raises(ValueError, match="13 tokens"):
        model(torch.zeros(1, 1, dtype=torch.long), cache=cache)
    with pytest.raises(ValueError, match="argument"):
        model(torch.zeros(1, 1, dtype=torch.long), cache=empty_cache(2))


def test_a_fresh_model_guesses_evenly_and_its_writers_are_scaled_down():
    torch.manual_seed(0)
    model = GPT(Sizes(vocabulary=256, context=16, width=64, heads=4, layers=8))
    ids = torch.randint(256, (4, 16))
    _, loss = model(ids, ids.roll(-1, dims=1))
    assert loss.item() == pytest.approx(math.log(256), abs=0.1)
    block = model.blocks[3]
    assert block.attention.W_qkv.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert block.feed_forward.W_out.weight.std().item() == pytest.approx(0.02 / 4, rel=0.05)


def test_half_precision_files_come_back_in_float32(tmp_path):
    model = small()
    model.save(tmp_path, torch.float16)
    back = GPT.from_folder(tmp_path)
    assert {p.dtype for p in back.parameters()} == {torch.float32}
    for one, other in zip(back.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
    theirs, ids = theirs_from(tmp_path), torch.randint(17, (1, 6))
    with torch.no_grad():  # transformers computes in float32 too, as config.json says
        torch.testing.assert_close(back(ids), theirs(ids).logits, atol=1e-4, rtol=0)


def test_wrong_input_is_explained():
    with pytest.raises(ValueError, match=r"\(B, T\)"):
        small()(torch.zeros(3, dtype=torch.long))
    with pytest.raises(ValueError, match="positions for 12"):
        small()(torch.zeros(1, 13, dtype=torch.long))


@pytest.mark.parametrize(
    ("setting", "value"), [("activation_function", "relu"), ("model_type", "llama"), ("n_inner", 5)]
)
def test_another_architecture_is_refused_by_name(setting, value):
    with pytest.raises(ValueError, match=setting):
        sizes_of(config(SIZES) | {setting: value})


def test_the_defaults_are_gpt2s():
    assert sizes_of({"model_type": "gpt2"}) == Sizes()
    assert sizes_of(json.loads(GPT2Config().to_json_string())) == Sizes()


def test_a_folder_without_the_files_or_with_others_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        GPT.from_folder(tmp_path)
    small().save(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config(SIZES) | {"n_layer": 4}))
    with pytest.raises(ValueError, match="does not hold"):
        GPT.from_folder(tmp_path)
