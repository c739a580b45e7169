"""Offsets, windows, sharing and the port of NumPy's rules, against loops, NumPy itself and writes that must show."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from source.tensors import (
    PATTERNS,
    flat_offsets,
    flat_offsets_naive,
    shares_memory,
    sliding_windows,
    sliding_windows_naive,
    standardise,
    standardise_numpy,
)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "int64", "float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 3, 1)])
def test_standardise_gives_numpys_values_and_dtypes(dtype, shape):
    x = (np.random.default_rng(0).standard_normal(shape) * 3 + 5).astype(dtype)
    want, got = standardise_numpy(x), standardise(torch.from_numpy(x)).numpy()
    assert got.dtype == want.dtype
    assert np.allclose(got, want, atol=5e-3 if dtype == "float16" else 1e-5)


def test_standardised_rows_have_mean_0_and_a_mean_square_of_1():
    z = standardise(torch.randint(100, (6, 50)))
    assert z.mean(-1).abs().max() < 1e-12
    assert (z.square().mean(-1) - 1).abs().max() < 1e-5


shapes_and_strides = st.lists(st.tuples(st.integers(0, 4), st.integers(-9, 9)), max_size=4)


@given(shapes_and_strides, st.integers(0, 50))
def test_offsets_equal_those_of_a_loop_over_all_indices(dimensions, offset):
    shape, strides = [n for n, _ in dimensions], [s for _, s in dimensions]
    got = flat_offsets(shape, strides, offset)
    assert got.dtype == torch.int64
    assert torch.equal(got, flat_offsets_naive(shape, strides, offset))


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x,
        lambda x: x.T,
        lambda x: x[1:, ::2],
        lambda x: x[2],
        lambda x: x[2, 3],
        lambda x: x[None, :, 1:2].expand(4, -1, 5),
        lambda x: x.diagonal(),
        lambda x: x.flatten().unfold(0, 3, 1),
    ],
)
def test_memory_read_at_the_offsets_is_the_tensor(view):
    memory = torch.arange(30) + 100
    x = view(memory.view(5, 6))
    assert torch.equal(memory[flat_offsets(x.shape, x.stride(), x.storage_offset())], x)


def test_offsets_and_strides_must_be_as_many_as_dimensions():
    with pytest.raises(ValueError, match="2 dimensions needs 2 strides, not 1"):
        flat_offsets((2, 3), (1,))


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 3), st.integers(0, 3))
def test_windows_equal_copied_ones_whatever_the_layout(T, W, step, start):
    x = torch.arange(start + step * T)[start::step]
    if len(x) < W:
        with pytest.raises(ValueError, match="does not fit"):
            sliding_windows(x, W)
    else:
        assert torch.equal(sliding_windows(x, W), sliding_windows_naive(x, W))


def test_windows_are_a_view_and_the_copies_are_not():
    x = torch.arange(6)
    view, copy = sliding_windows(x, 3), sliding_windows_naive(x, 3)
    x[2] = 99
    assert view[0, 2] == view[1, 1] == view[2, 0] == 99
    assert not (copy == 99).any()
    assert shares_memory(view, x)
    assert not shares_memory(copy, x)


def test_gradients_flow_through_windows_as_through_copies():
    x = torch.arange(6.0, requires_grad=True)
    upstream = torch.randn(4, 3)
    view, copy = (torch.autograd.grad(f(x, 3), x, upstream)[0] for f in (sliding_windows, sliding_windows_naive))
    assert view.allclose(copy)


def test_windows_of_a_batch_are_refused():
    with pytest.raises(ValueError, match="one sequence"):
        sliding_windows(torch.zeros(2, 5), 2)


SHARING = {
    "transpose": (lambda x: x.T, True),
    "a slice": (lambda x: x[1:, ::2], True),
    "expand": (lambda x: x[:, :1].expand(5, 6), True),
    "a reshape that fits": (lambda x: x.reshape(6, 5), True),
    "a reshape that does not": (lambda x: x.T.reshape(5, 6), False),
    "an index": (lambda x: x[[0, 1]], False),
    "contiguous already": (lambda x: x.contiguous(), True),
    "contiguous after a transpose": (lambda x: x.T.contiguous(), False),
    "the same dtype": (lambda x: x.to(torch.float32), True),
    "another dtype": (lambda x: x.to(torch.float64), False),
    "an empty slice": (lambda x: x[5:], False),
    "NumPy's view of it": (lambda x: x.numpy()[::-1], True),
    "NumPy's copy of it": (lambda x: x.numpy().copy(), False),
    "back from NumPy": (lambda x: torch.from_numpy(x.numpy().T), True),
    "torch.tensor": (lambda x: torch.tensor(x.numpy()), False),
}


@pytest.mark.parametrize("name", SHARING)
def test_sharing_is_what_a_write_shows(name):
    make, shared = SHARING[name]
    x = torch.arange(30.0).view(5, 6)
    made = make(x)
    assert shares_memory(made, x) is shared
    before = made.copy() if isinstance(made, np.ndarray) else made.clone()
    x += 100
    assert bool((made != before).any()) is shared


def test_neighbouring_halves_do_not_share():
    x = np.arange(10)
    assert not shares_memory(x[:5], x[5:])
    assert shares_memory(x[:6], x[5:])


def test_each_pattern_is_its_loop():
    rng = np.random.default_rng(0)

    def draw(*shape):
        return rng.standard_normal(shape)

    one_hot, table, other = draw(4, 5), draw(5, 3), draw(4, 5)
    assert np.allclose(np.einsum(PATTERNS["embed"], one_hot, table), one_hot @ table)
    assert np.allclose(np.einsum(PATTERNS["paired"], one_hot, other), (one_hot * other).sum(1))
    assert np.allclose(np.einsum(PATTERNS["count"], one_hot, other), one_hot.T @ other)
    q, k = draw(2, 3, 4, 5), draw(2, 6, 4, 5)
    scores = np.einsum(PATTERNS["score"], q, k)
    assert scores.shape == (2, 4, 3, 6)
    assert np.allclose(scores[1, 2, 0, 5], q[1, 0, 2] @ k[1, 5, 2])
    windows, tables = draw(7, 2, 5), draw(2, 5, 5)
    assert np.allclose(np.einsum(PATTERNS["predict"], windows, tables), sum(windows[:, w] @ tables[w] for w in (0, 1)))
