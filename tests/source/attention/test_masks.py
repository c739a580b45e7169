"""The course's masks: against naive twins, against the data pipeline's and the block's, and against bad input."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from source.attention import masks
from source.attention.dot_product import attention
from source.blocks.gpt2_block import causal_mask
from source.data_pipeline.packing import packed_mask

SEGMENTS = torch.tensor([[1, 1, 2, 2, 2, 0], [0, 0, 1, 1, 1, 1], [1, 2, 3, 4, 4, 4], [0, 0, 0, 0, 0, 0]])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 6), st.integers(0, 6))
def test_causal_equals_its_naive_twin(T, before):
    assert torch.equal(masks.causal(T, T + before), masks.causal_naive(T, T + before))


def test_causal_without_a_cache_is_the_blocks_own_triangle():
    assert torch.equal(masks.causal(5), causal_mask(5))


def test_the_last_queries_rows_are_the_whole_masks_last_rows():
    assert torch.equal(masks.causal(2, 7), masks.causal(7)[-2:])


def test_more_queries_than_keys_are_refused():
    with pytest.raises(ValueError, match="S >= T"):
        masks.causal(3, 2)


def test_padding_from_lengths_left_and_right():
    right = masks.padding([2, 0, 3], 3)
    assert right.shape == (3, 1, 1, 3)
    assert right[:, 0, 0].tolist() == [[True, True, False], [False] * 3, [True] * 3]
    assert masks.padding(torch.tensor([1]), 3, left=True).flatten().tolist() == [False, False, True]
    assert masks.padding([], 4).shape == (0, 1, 1, 4)


@pytest.mark.parametrize("lengths", [[4], [-1, 2]])
def test_lengths_that_do_not_fit_are_refused(lengths):
    with pytest.raises(ValueError, match="do not fit"):
        masks.padding(lengths, 3)


@pytest.mark.parametrize("T", [None, 6, 3, 1])
def test_visible_equals_its_naive_twin_and_the_pipelines_mask(T):
    seen = masks.visible(SEGMENTS, T)
    assert torch.equal(seen, masks.visible_naive(SEGMENTS, T))
    assert torch.equal(seen[:, 0], packed_mask(SEGMENTS)[:, -(T or 6) :])


def test_one_document_and_padding_are_causal_and_padding_joined():
    real = masks.padding([3, 5], 5)
    joined = masks.combine(masks.causal(5), real)
    ours = masks.visible(real[:, 0, 0].long())
    assert torch.equal(ours, joined & real.transpose(2, 3))  # padded queries see nothing


def test_documents_alone_look_both_ways():
    assert masks.documents(torch.tensor([[1, 1, 2]]))[0, 0].tolist() == [
        [True, True, False],
        [True, True, False],
        [False, False, True],
    ]


def test_combine_skips_none_and_broadcasts():
    assert masks.combine() is None
    assert masks.combine(None, None) is None
    both = masks.combine(None, masks.causal(4), masks.padding([2, 4], 4))
    assert both.shape == (2, 1, 4, 4)
    assert torch.equal(both, masks.causal(4) & masks.padding([2, 4], 4))


def test_combine_names_what_does_not_fit():
    with pytest.raises(TypeError, match=r"float32.*True = may be seen"):
        masks.combine(masks.causal(3), torch.zeros(3, 3))
    with pytest.raises(ValueError, match=r"\(3, 3\) and \(4, 4\)"):
        masks.combine(masks.causal(3), masks.causal(4))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_additive_is_zero_or_minus_infinity(dtype):
    added = masks.additive(masks.causal(3), dtype)
    assert added.dtype == dtype
    assert torch.equal(added == 0, masks.causal(3))
    assert torch.equal(added == float("-inf"), ~masks.causal(3))


def _weights_and_gradients(softmax, scores, bias, upstream):
    scores, bias = scores.clone().requires_grad_(), bias.clone().requires_grad_()
    weights = softmax(scores, bias)
    gradients = torch.autograd.grad(weights, (scores, bias), upstream, allow_unused=True)
    return [weights, *gradients]


@pytest.mark.parametrize("shape", [(4, 5), (2, 3, 4, 5), (1, 1), (2, 0, 3)])
def test_biased_softmax_equals_its_naive_twin_forward_and_backward(shape):
    torch.manual_seed(0)
    scores, bias, upstream = (torch.randn(shape, dtype=torch.float64) for _ in range(3))
    bias = bias.masked_fill(torch.rand(shape) < 0.4, float("-inf"))
    if bias.numel() > 1:
        bias[..., 0, :] = float("-inf")  # a row that sees nothing
    if not bias.numel():
        assert masks.biased_softmax(scores, bias).shape == masks.biased_softmax_naive(scores, bias).shape
        return
    fast = _weights_and_gradients(masks.biased_softmax, scores, bias, upstream)
    naive = _weights_and_gradients(masks.biased_softmax_naive, scores, bias, upstream)
    for one, other in zip(fast, naive, strict=True):
        assert one.isfinite().all()
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_biased_softmax_broadcasts_one_bias_over_all_heads():
    torch.manual_seed(0)
    scores = torch.randn(2, 3, 4, 4)
    seen = masks.causal(4)
    expected = torch.softmax(scores.masked_fill(~seen, float("-inf")), dim=-1)
    torch.testing.assert_close(masks.biased_softmax(scores, masks.additive(seen, torch.float32)), expected)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=5), st.integers(0, 4))
def test_pieces_give_what_one_call_gives(sizes, before):
    torch.manual_seed(sum(sizes))
    T = sum(sizes)
    Q = torch.randn(2, T, 4, dtype=torch.float64)
    K, V = (torch.randn(2, T + before, 4, dtype=torch.float64) for _ in range(2))

    def attend(*arguments):
        return attention(*arguments)[0]

    whole = attend(Q, K, V, masks.causal(T, T + before))
    torch.testing.assert_close(masks.in_pieces(attend, Q, K, V, sizes), whole, rtol=1e-12, atol=1e-12)


def test_pieces_that_do_not_add_up_are_refused():
    x = torch.zeros(4, 2)
    with pytest.raises(ValueError, match="there are 4"):
        masks.in_pieces(lambda *a: attention(*a)[0], x, x, x, [2, 1])


def _inputs(T, S):
    torch.manual_seed(1)
    return tuple(torch.randn(n, 4, dtype=torch.float64) for n in (T, S, S))


def test_reads_finds_what_a_causal_attention_reads():
    found = masks.reads(lambda Q, K, V: attention(Q, K, V, masks.causal(3, 5))[0], *_inputs(3, 5))
    assert torch.equal(found.by_value, masks.causal(3, 5))
    assert torch.equal(found.by_key, masks.causal(3, 5))


def test_a_query_with_one_key_in_sight_does_not_depend_on_that_key():
    found = masks.reads(lambda Q, K, V: attention(Q, K, V, masks.causal(3))[0], *_inputs(3, 3))
    assert not found.by_key[0].any()  # its weight is one, whatever the key
    assert found.by_value[0].tolist() == [True, False, False]


def test_a_mask_after_softmax_reads_hidden_keys_and_no_hidden_value():
    def late(Q, K, V):
        return (attention(Q, K, V)[1] * masks.causal(4)) @ V

    found = masks.reads(late, *_inputs(4, 4))
    assert found.by_key.all()
    assert torch.equal(found.by_value, masks.causal(4))


def test_a_maximum_over_hidden_keys_shows_only_when_they_are_enormous():
    def careless(Q, K, V):
        scores = Q @ K.T / 2
        e = (scores - scores.amax(dim=-1, keepdim=True)).exp() * masks.causal(4)
        return e / e.sum(dim=-1, keepdim=True) @ V

    Q, K, V = _inputs(4, 4)
    right = attention(Q, K, V, masks.causal(4))[0]
    torch.testing.assert_close(careless(Q, K, V), right, rtol=1e-12, atol=1e-12)
    assert masks.reads(careless, Q, K, V).by_key[0, 1:].all()


def test_pytorchs_attention_agrees_on_rows_that_see_nothing():
    torch.manual_seed(0)
    Q, K, V = (torch.randn(1, 1, 3, 4) for _ in range(3))
    seen = torch.tensor([[True, False, False], [False, False, False], [True, True, True]])
    torch.testing.assert_close(F.scaled_dot_product_attention(Q, K, V, attn_mask=seen), attention(Q, K, V, seen)[0])
