"""MiniT5 against transformers' T5 with the same weights: outputs, loss, gradients, greedy text; masks; naive twins."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import T5Config, T5ForConditionalGeneration

from source.models.t5 import (
    DecoderBlock,
    MiniT5,
    Sizes,
    T5Attention,
    attention_naive,
    config,
    greedy,
    loss,
    padded_loss,
    shift_right,
    to_huggingface,
)

SIZES = Sizes(vocabulary=23, width=24, heads=3, hidden=40, layers=3, buckets=8, furthest=20)


def small(seed=0):
    """A model whose every weight matters."""
    torch.manual_seed(seed)
    model = MiniT5(SIZES)
    for name, p in model.named_parameters():
        if p.ndim == 1:
            torch.nn.init.normal_(p, mean=1.0, std=0.3)
        elif "table" in name:
            torch.nn.init.normal_(p)
    return model.eval()


def theirs_with(model):
    theirs = T5ForConditionalGeneration(T5Config(**config(SIZES), attn_implementation="eager")).eval()
    theirs.load_state_dict(to_huggingface(model))
    return theirs


def batch(B=3, S=9, T=7):
    """Two sentences of different lengths and one as long as the batch: ids, real, labels."""
    torch.manual_seed(1)
    real = torch.arange(S) < torch.tensor([S, 4, 1])[:B, None]
    labels = torch.randint(2, 23, (B, T)).masked_fill(torch.arange(T) >= torch.tensor([3, T, 1])[:B, None], -100)
    return torch.randint(2, 23, (B, S)).where(real, 0), real, labels


def test_the_library_gives_the_same_logits_and_loss_with_the_same_weights():
    model, (ids, real, labels) = small(), batch()
    with torch.no_grad():
        expected = theirs_with(model)(input_ids=ids, attention_mask=real.long(), labels=labels)
        torch.testing.assert_close(model(ids, real, shift_right(labels, 0, 0)), expected.logits, atol=2e-5, rtol=1e-5)
        torch.testing.assert_close(loss(model, ids, real, labels), expected.loss)


def test_the_library_gives_the_same_memory_and_cross_attention():
    model, (ids, real, labels) = small(), batch()
    with torch.no_grad():
        out = theirs_with(model)(
            input_ids=ids, attention_mask=real.long(), labels=labels, output_attentions=True, use_cache=False
        )
        torch.testing.assert_close(model.encode(ids, real)[real], out.encoder_last_hidden_state[real])
        looked = model.cross_weights(ids, real, shift_right(labels, 0, 0))
    torch.testing.assert_close(looked, torch.stack(out.cross_attentions), atol=1e-5, rtol=1e-5)


def test_the_library_gives_the_same_gradient_of_every_weight():
    model, (ids, real, labels) = small(), batch()
    theirs = theirs_with(model)
    loss(model, ids, real, labels).backward()
    theirs(input_ids=ids, attention_mask=real.long(), labels=labels).loss.backward()
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(p.grad)
    named = dict(theirs.named_parameters())
    for name, ours in to_huggingface(model).items():
        if name in named:
            torch.testing.assert_close(ours, named[name].grad, atol=2e-5, rtol=1e-4)


def test_greedy_text_equals_the_librarys():
    model, (ids, real, _) = small(), batch()
    theirs = theirs_with(model)
    with torch.no_grad():
        model.token.weight[1] *= 3  # the end, so that some sentences reach it
        theirs.load_state_dict(to_huggingface(model))
    expected = theirs.generate(ids, attention_mask=real.long(), max_new_tokens=8, do_sample=False, num_beams=1)
    assert torch.equal(greedy(model, ids, real, longest=8), expected[:, 1:])


def test_every_name_of_the_library_is_given():
    assert set(to_huggingface(small())) == set(T5ForConditionalGeneration(T5Config(**config(SIZES))).state_dict())


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2), st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.booleans(), st.booleans())
def test_the_attention_equals_its_naive_twin_forward_and_backward(B, T, S, H, masked, biased):
    torch.manual_seed(0)
    layer = T5Attention(2 * H, H).double()
    x, context = (torch.randn(B, n, 2 * H, dtype=torch.float64, requires_grad=True) for n in (T, S))
    mask = torch.rand(B, H, T, S) < 0.5 if masked else None
    bias = torch.randn(H, T, S, dtype=torch.float64, requires_grad=True) if biased else None
    results = []
    for run in (layer, lambda *a: attention_naive(layer, *a)):
        out, weights = run(x, context, mask, bias)
        leaves = [x, context, layer.W_q.weight, *([bias] if biased else [])]
        total = (out * torch.arange(out.numel()).view(out.shape)).sum() + 0 * sum(leaf.sum() for leaf in leaves)
        results.append((out, weights, *torch.autograd.grad(total, leaves)))
    for ours, twin in zip(*results, strict=True):
        torch.testing.assert_close(ours, twin)


def test_padding_changes_no_sentence():
    model, (ids, real, labels) = small(), batch()
    inputs = shift_right(labels, 0, 0)
    together = model(ids, real, inputs)
    for b in range(len(ids)):
        S, T = int(real[b].sum()), int((labels[b] >= 0).sum())
        alone = model(ids[b : b + 1, :S], real[b : b + 1, :S], inputs[b : b + 1, :T])
        torch.testing.assert_close(together[b, :T], alone[0], atol=1e-5, rtol=1e-5)


def test_a_target_word_changes_nothing_before_it_and_a_source_word_changes_all():
    model, (ids, real, labels) = small(), batch()
    inputs = shift_right(labels, 0, 0)
    before = model(ids, real, inputs)
    changed = inputs.clone()
    changed[:, 4] = (inputs[:, 4] + 1) % 23
    after = model(ids, real, changed)
    torch.testing.assert_close(after[:, :4], before[:, :4])
    assert not torch.allclose(after[:, 4], before[:, 4])
    other = ids.clone()
    other[:, 0] = (ids[:, 0] + 1) % 23
    assert ((model(other, real, inputs) - before).abs().amax(-1) > 1e-6).all()


def test_without_a_source_word_the_cross_attention_writes_nothing():
    block = DecoderBlock(8, 2, 16)
    x, memory = torch.randn(1, 3, 8), torch.randn(1, 4, 8, requires_grad=True)
    out, weights = block(x, memory, torch.zeros(1, 4, dtype=torch.bool))
    out.sum().backward()
    assert not weights.any()
    assert not memory.grad.any()


def test_a_fresh_model_has_scores_and_logits_of_size_one():
    torch.manual_seed(0)
    model = MiniT5(Sizes(vocabulary=500, width=256, heads=4, hidden=512, layers=2))
    attention = model.encoder[0].attention
    x = torch.randn(64, 256)
    q, k = attention.W_q(x)[:, :64], attention.W_k(x)[:, :64]  # one head's
    assert (q @ k.T).std().item() == pytest.approx(1, rel=0.1)
    ids = torch.randint(500, (4, 12))
    logits = model(ids, torch.ones_like(ids).bool(), ids)
    assert logits.std().item() == pytest.approx(1, rel=0.1)


def test_shifting_moves_to_the_right_and_reads_padding_where_nothing_is_said():
    labels = torch.tensor([[5, 6, 1, -100, -100]])
    assert shift_right(labels, 2, 0).tolist() == [[2, 5, 6, 1, 0]]
    assert labels.tolist() == [[5, 6, 1, -100, -100]]


def test_the_loss_of_padded_ids_is_the_loss_of_labels():
    model, (ids, real, labels) = small(), batch()
    assert torch.equal(padded_loss(model, ids, labels.where(labels >= 0, 0)), loss(model, ids, real, labels))
    even = MiniT5(Sizes(vocabulary=8, width=4, heads=1, hidden=4, layers=1))
    torch.nn.init.zeros_(even.token.weight)
    assert padded_loss(even, torch.tensor([[3, 1]]), torch.tensor([[5, 1, 0]])).item() == pytest.approx(math.log(8))


def test_a_decoder_of_other_blocks_is_used():
    class Mute(DecoderBlock):
        def forward(self, x, memory, real, bias=None):
            return x, memory.new_zeros(len(x), 3, x.shape[1], memory.shape[1])

    torch.manual_seed(0)
    model, (ids, real, labels) = MiniT5(SIZES, Mute), batch()
    inputs = shift_right(labels, 0, 0)
    assert torch.equal(model(ids, real, inputs), model(ids.flip(0), real.flip(0), inputs))


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match="whole number"):
        T5Attention(10, 3)
