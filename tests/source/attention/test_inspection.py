"""What measures attention, against plain loops and cases that can be worked out by hand."""

import math

import pytest
import torch

from source.attention.inspection import (
    entropy,
    induction_score,
    influence,
    previous_token_score,
    repeated,
    strongest_links,
    visible_keys,
)
from source.attention.multi_head import CausalSelfAttention, MultiHeadAttention, head_contributions, merge, split


def causal_weights(*shape):
    T = shape[-1]
    scores = torch.randn(*shape, T, generator=torch.Generator().manual_seed(0))
    return scores.masked_fill(torch.ones(T, T, dtype=torch.bool).triu(1), float("-inf")).softmax(-1)


def test_the_strongest_links_are_those_a_sorted_list_of_all_cells_gives():
    weights, words = causal_weights(6), list("abcdef")
    cells = [(words[t], words[s], float(weights[t, s])) for t in range(1, 6) for s in range(6)]
    assert strongest_links(weights, words, 5) == sorted(cells, key=lambda c: -c[2])[:5]


def test_a_probe_says_its_list_twice_behind_the_start_word():
    assert repeated(torch.tensor([[5, 7], [6, 8]]), 0).tolist() == [[0, 5, 7, 5, 7], [0, 6, 8, 6, 8]]


def test_scores_equal_their_definitions_in_loops():
    n, weights = 4, causal_weights(2, 3, 2, 9)
    back, after = previous_token_score(weights), induction_score(weights, n)
    for layer in range(2):
        for head in range(2):
            one = weights[layer, :, head]
            previous = [float(one[b, t, t - 1]) for b in range(3) for t in range(1, 9)]
            came_next = [float(one[b, t, t - n + 1]) for b in range(3) for t in range(n + 1, 2 * n)]
            assert back[layer, head] == pytest.approx(sum(previous) / len(previous))
            assert after[layer, head] == pytest.approx(sum(came_next) / len(came_next))


def test_entropy_is_log_s_for_even_rows_and_zero_for_one_hot_ones():
    assert entropy(torch.full((2, 3, 8), 1 / 8)).allclose(torch.full((2, 3), math.log(8)))
    assert torch.equal(entropy(torch.eye(4)), torch.zeros(4))


def test_influence_is_zero_above_the_diagonal_of_a_causal_layer_and_nowhere_else():
    torch.manual_seed(0)
    layer = CausalSelfAttention(8, 2)
    found = influence(lambda x: layer(x[None])[0], torch.randn(5, 8))
    assert torch.equal(found > 0, torch.ones(5, 5, dtype=torch.bool).tril())


def test_causal_self_attention_is_multi_head_attention_with_a_causal_mask():
    torch.manual_seed(0)
    packed, plain = CausalSelfAttention(12, 3), MultiHeadAttention(12, 3)
    weights = dict(zip(("W_q", "W_k", "W_v"), packed.W_qkv.weight.chunk(3), strict=True))
    biases = dict(zip(("W_q", "W_k", "W_v"), packed.W_qkv.bias.chunk(3), strict=True))
    state = {f"{n}.weight": w for n, w in weights.items()} | {f"{n}.bias": b for n, b in biases.items()}
    plain.load_state_dict(state | {"W_o.weight": packed.W_o.weight, "W_o.bias": packed.W_o.bias})
    x = torch.randn(2, 6, 12)
    causal = torch.ones(6, 6, dtype=torch.bool).tril()
    assert packed(x).allclose(plain(x, mask=causal)[0], atol=1e-6)


def test_heads_contributions_and_the_bias_sum_to_the_layers_output():
    torch.manual_seed(0)
    layer, x = MultiHeadAttention(12, 3), torch.randn(2, 5, 12)
    out, weights = layer(x)
    z = weights @ split(layer.W_v(x), 3)
    assert merge(z).shape == x.shape
    assert out.allclose(head_contributions(z, layer.W_o).sum(1) + layer.W_o.bias, atol=1e-6)


def test_visible_keys_finds_the_mask_of_an_attention_it_cannot_look_into():
    mask = torch.tensor([[True, False, True], [False, True, True]])

    def attend(Q, K, V):
        return (Q @ K.T).masked_fill(~mask, float("-inf")).softmax(-1) @ V

    assert torch.equal(visible_keys(attend, 2, 3), mask)
