"""Sinusoidal and rotary positions: twins, the transformers library, and what positions are for."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from source.blocks import positions as p

DOUBLE = torch.float64
ROTATIONS = [(p.rotate_interleaved, p.rotate_interleaved_naive), (p.rotate_halves, p.rotate_halves_naive)]
rotations = pytest.mark.parametrize("rotate", [fast for fast, _ in ROTATIONS], ids=["interleaved", "halves"])


def normal(*shape, seed=0, dtype=DOUBLE):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE).to(dtype)


@pytest.mark.parametrize(("T", "C"), [(1, 1), (0, 4), (5, 2), (7, 5), (40, 16), (3, 1)])
@pytest.mark.parametrize("base", [10000.0, 100.0])
def test_the_table_is_the_papers_formula(T, C, base):
    table = p.sinusoidal(T, C, base)
    assert table.dtype == torch.float32
    torch.testing.assert_close(table, p.sinusoidal_naive(T, C, base), rtol=0, atol=1e-6)


def test_far_rows_of_the_table_are_right_to_float32():
    last = p.sinusoidal(100_001, 8)[-1]
    exact = [f(100_000 / 10_000 ** (2 * i / 8)) for i in range(4) for f in (math.sin, math.cos)]
    torch.testing.assert_close(last, torch.tensor(exact), rtol=0, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(k=st.integers(0, 50), pairs=st.integers(1, 8))
def test_moving_by_k_positions_is_one_rotation_for_all_rows(k, pairs):
    table = p.sinusoidal(60 + k, 2 * pairs).double()
    # A row holds (sin, cos) of each angle: turning it forward is turning (cos, sin) the usual way.
    turned = p.rotate_interleaved(table[:60].flip(-1), p.rope_angles(torch.tensor(k), 2 * pairs).flip(-1).double())
    torch.testing.assert_close(turned.flip(-1), table[k : k + 60], rtol=0, atol=1e-5)


def test_the_sinusoidal_table_refuses_no_width():
    with pytest.raises(ValueError, match="at least 1"):
        p.sinusoidal(3, 0)


def test_frequencies_fall_from_one_by_equal_factors():
    torch.testing.assert_close(p.rope_frequencies(8), torch.tensor([1.0, 0.1, 0.01, 0.001]))
    assert torch.equal(p.rope_frequencies(2, base=5.0), torch.ones(1))


@pytest.mark.parametrize("D", [-2, 0, 1, 7])
def test_a_width_that_makes_no_pairs_is_refused(D):
    with pytest.raises(ValueError, match="pairs"):
        p.rope_frequencies(D)


@pytest.mark.parametrize("shape", [(), (0,), (5,), (2, 3), (2, 1, 4)])
def test_angles_follow_the_positions_they_are_given(shape):
    positions = torch.randint(0, 5000, shape, generator=torch.Generator().manual_seed(1))
    angles = p.rope_angles(positions, 6, base=100.0)
    assert angles.shape == (*shape, 3)
    assert angles.dtype == torch.float32
    for i in range(3):
        torch.testing.assert_close(
            angles[..., i].double(), positions.double() * 100.0 ** (-2 * i / 6), rtol=1e-6, atol=0
        )


def test_positions_in_between_and_in_double_precision_are_taken():
    assert p.rope_angles(torch.tensor([0.5]), 2).item() == 0.5
    assert p.rope_angles(torch.tensor([0.5], dtype=DOUBLE), 4).dtype == DOUBLE


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_positions_and_angles_are_refused(dtype):
    with pytest.raises(TypeError, match="rounded"):
        p.rope_angles(torch.tensor([1.0], dtype=dtype), 4)
    for rotate, _ in ROTATIONS:
        with pytest.raises(TypeError, match="float32"):
            rotate(torch.ones(1, 4), torch.ones(1, 2, dtype=dtype))


@pytest.mark.parametrize(("fast", "naive"), ROTATIONS, ids=["interleaved", "halves"])
@pytest.mark.parametrize(
    ("shape", "angled"),
    [((3, 2), (3,)), ((2, 4, 5, 8), (5,)), ((2, 4, 5, 6), (2, 1, 5)), ((0, 3, 4), (3,)), ((2, 1, 10), (2, 1))],
)
def test_rotations_and_their_gradients_equal_their_naive_twins(fast, naive, shape, angled):
    angles = 100 * normal(*angled, shape[-1] // 2, seed=1)
    upstream = normal(*shape, seed=2)
    found = []
    for f in (fast, naive):
        x = normal(*shape).requires_grad_()
        out = f(x, angles)
        out.backward(upstream)
        found.append((out.detach(), x.grad))
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12)


@rotations
def test_a_rotation_by_hand(rotate):
    angle = torch.full((2,), math.atan2(4, 3))  # cosine 0.6, sine 0.8
    rows = {p.rotate_interleaved: [0.6, 0.8, -8.0, 6.0], p.rotate_halves: [0.6, -8.0, 0.8, 6.0]}
    torch.testing.assert_close(rotate(torch.tensor([1.0, 0.0, 0.0, 10.0]), angle), torch.tensor(rows[rotate]))


@rotations
@settings(max_examples=30, deadline=None)
@given(t=st.integers(0, 3000), s=st.integers(0, 3000), far=st.integers(-3000, 3000), pairs=st.integers(1, 6))
def test_norms_are_kept_and_scores_depend_on_the_distance_alone(rotate, t, s, far, pairs):
    q, k = normal(2 * pairs), normal(2 * pairs, seed=1)

    def at(x, position):
        return rotate(x, p.rope_angles(torch.tensor(position, dtype=DOUBLE), x.shape[-1]))

    torch.testing.assert_close(at(q, t).norm(), q.norm())
    torch.testing.assert_close(at(q, t) @ at(k, s), at(q, t + far) @ at(k, s + far), rtol=0, atol=1e-9)
    torch.testing.assert_close(at(q, t) @ at(k, t), q @ k, rtol=0, atol=1e-9)


@rotations
def test_an_input_in_another_memory_order_is_rotated_and_left_alone(rotate):
    x = normal(6, 5).T
    before, angles = x.clone(), p.rope_angles(torch.arange(5), 6)
    torch.testing.assert_close(rotate(x, angles), rotate(x.contiguous(), angles))
    assert torch.equal(x, before)


@rotations
def test_a_bfloat16_input_is_rounded_once(rotate):
    x, angles = normal(4000, 16, dtype=torch.bfloat16), p.rope_angles(torch.arange(4000), 16)
    assert torch.equal(rotate(x, angles), rotate(x.float(), angles).bfloat16())


def test_angles_in_bfloat16_would_be_wrong_by_whole_turns_at_large_positions():
    x, positions = normal(1, 16, dtype=torch.float32), torch.tensor([4001])
    right = p.rotate_halves(x, p.rope_angles(positions, 16))
    rounded = p.rope_angles(positions, 16).bfloat16()
    wrong = p.rotate_halves(x, rounded.float())
    assert (rounded.float() - p.rope_angles(positions, 16)).abs().max() > 1  # radians
    assert (wrong - right).norm() > 0.5 * x.norm()
    c, s = (f(p.rope_angles(positions, 16)).bfloat16().float() for f in (torch.cos, torch.sin))
    a, b = x.chunk(2, -1)
    late = torch.cat((a * c - b * s, a * s + b * c), -1)  # rounding cosine and sine instead costs little
    assert (late - right).norm() < 0.01 * x.norm()


@rotations
@pytest.mark.parametrize(
    ("x", "angles", "said"),
    [((3, 5), (3, 2), "even width"), ((3, 4), (3, 4), "2 angles"), ((2, 3, 4), (4, 2), "broadcast"),
     ((3, 4), (2, 3, 2), "broadcast")],
)  # fmt: skip
def test_angles_that_do_not_fit_are_refused(rotate, x, angles, said):
    with pytest.raises(ValueError, match=said):
        rotate(torch.zeros(x), torch.zeros(angles))


def test_it_is_llamas_rotary_embedding():
    from transformers import LlamaConfig
    from transformers.models.llama import modeling_llama as llama

    B, H, T, D = 2, 3, 50, 16
    for base in (10000.0, 500000.0):
        told = {"rope_type": "default", "rope_theta": base}
        config = LlamaConfig(hidden_size=H * D, num_attention_heads=H, head_dim=D, rope_parameters=told)
        library = llama.LlamaRotaryEmbedding(config)
        assert torch.equal(p.rope_frequencies(D, base), library.inv_freq)
        positions = torch.stack((torch.arange(T), torch.arange(T) + 3000))  # (B, T)
        q, k = normal(B, H, T, D, dtype=torch.float32), normal(B, H, T, D, seed=1, dtype=torch.float32)
        cos, sin = library(q, positions)
        angles = p.rope_angles(positions[:, None], D, base)  # (B, 1, T, D/2)
        for mine, theirs in zip((q, k), llama.apply_rotary_pos_emb(q, k, cos, sin), strict=True):
            torch.testing.assert_close(p.rotate_halves(mine, angles), theirs, rtol=0, atol=1e-6)


def test_it_is_gptjs_rotary_embedding():
    from transformers.models.gptj import modeling_gptj as gptj

    T, D = 40, 16
    sin, cos = gptj.create_sinusoidal_positions(T, D).chunk(2, dim=-1)  # (T, D/2) each
    x = normal(2, T, 3, D, dtype=torch.float32)  # GPT-J rotates before heads and positions are swapped
    theirs = gptj.apply_rotary_pos_emb(x, sin[None], cos[None]).transpose(1, 2)
    mine = p.rotate_interleaved(x.transpose(1, 2), p.rope_angles(torch.arange(T), D))
    torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("heads", "D"), [(1, 2), (2, 4), (3, 8), (4, 6)])
def test_the_permutation_equals_its_naive_twin_and_has_an_inverse(heads, D):
    for weight in (normal(heads * D, 5), normal(heads * D)):
        moved = p.interleaved_to_halves(weight, heads)
        assert torch.equal(moved, p.interleaved_to_halves_naive(weight, heads))
        assert torch.equal(p.halves_to_interleaved(moved, heads), weight)


def test_the_permutation_is_the_one_that_made_the_librarys_llama_checkpoints():
    heads, D, C = 3, 8, 10
    w = normal(heads * D, C)
    theirs = w.view(heads, D // 2, 2, C).transpose(1, 2).reshape(heads * D, C)  # `permute` of the conversion script
    assert torch.equal(p.interleaved_to_halves(w, heads), theirs)


@pytest.mark.parametrize(("heads", "groups"), [(4, 4), (4, 2)])
def test_reordered_projections_give_the_same_scores_under_the_other_convention(heads, groups):
    T, D, C = 7, 8, 12
    x, W_q, W_k = normal(T, C), normal(heads * D, C, seed=1), normal(groups * D, C, seed=2)
    angles = p.rope_angles(torch.arange(T, dtype=DOUBLE), D)

    def scores(rotate, W_q, W_k):
        q, k = (rotate((x @ W.T).unflatten(-1, (-1, D)).transpose(0, 1), angles) for W in (W_q, W_k))  # (H, T, D)
        return q @ k.repeat_interleave(heads // groups, 0).transpose(1, 2)

    right = scores(p.rotate_interleaved, W_q, W_k)
    mended = scores(p.rotate_halves, p.interleaved_to_halves(W_q, heads), p.interleaved_to_halves(W_k, groups))
    torch.testing.assert_close(mended, right, rtol=1e-12, atol=1e-10)
    assert (scores(p.rotate_halves, W_q, W_k) - right).abs().max() > 1


@pytest.mark.parametrize("change", [p.interleaved_to_halves, p.halves_to_interleaved, p.interleaved_to_halves_naive])
@pytest.mark.parametrize(("rows", "heads"), [(12, 5), (12, 4), (0, 2), (8, 0)])
def test_rows_that_make_no_heads_of_even_width_are_refused(change, rows, heads):
    with pytest.raises(ValueError, match="rows"):
        change(torch.zeros(rows, 3), heads)


def rotary(turn_q, turn_k=None, key_base=10000.0, ahead=0, rounded=torch.float32):
    def scores(q, k, t, s):
        D = q.shape[-1]
        q = turn_q(q, p.rope_angles(t + ahead, D).to(rounded).float())
        return q @ (turn_k or turn_q)(k, p.rope_angles(s, D, key_base).to(rounded).float()).T

    return scores


SCHEMES = {
    "interleaved": (rotary(p.rotate_interleaved), True),
    "halves": (rotary(p.rotate_halves), True),
    "a bias by distance": (lambda q, k, t, s: q @ k.T - (t[:, None] - s).abs() / 8, True),
    "one position ahead, which it cannot see": (rotary(p.rotate_halves, ahead=1), True),
    "conventions mixed": (rotary(p.rotate_interleaved, p.rotate_halves), False),
    "two bases": (rotary(p.rotate_halves, key_base=500000.0), False),
    "angles in bfloat16": (rotary(p.rotate_halves, rounded=torch.bfloat16), False),
    "positions ignored": (lambda q, k, t, s: q @ k.T, False),
    "keys not turned": (rotary(p.rotate_halves, lambda k, angles: k), False),
    "a table that ends": (lambda q, k, t, s: q @ k.T - (t.clamp(max=3500)[:, None] - s).abs() / 8, False),
    "a table added": (lambda q, k, t, s: (q + p.sinusoidal(4100, 32)[t]) @ (k + p.sinusoidal(4100, 32)[s]).T, False),
}


@pytest.mark.parametrize("name", SCHEMES)
def test_it_is_told_whether_a_scheme_is_relative(name):
    scores, relative = SCHEMES[name]
    assert p.is_relative(scores) == relative
