"""What crosses the wire comes back as it was, and nothing else than plain data crosses it."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from autograder.plain import NotPlain, pack, unpack

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=1).filter(lambda k: k[0] != "$"), inner)
    ),
    max_leaves=12,
)


@given(PLAIN)
def test_plain_values_come_back_equal(tree):
    assert unpack(pack(tree)) == tree


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.bool]
)
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3), (1, 1, 4)])
def test_tensors_come_back_with_value_and_dtype(dtype, shape):
    x = (torch.arange(6).repeat(2)[: int(np.prod(shape))].reshape(shape) % 3).to(dtype)
    back = unpack(pack({"x": x}))["x"]
    assert back.dtype == dtype
    assert back.shape == x.shape
    assert torch.equal(back, x)


def test_a_non_contiguous_tensor_stays_non_contiguous():
    x = torch.arange(6.0).reshape(2, 3).T
    back = unpack(pack(x))
    assert back.stride() == x.stride()
    assert not back.is_contiguous()
    assert torch.equal(back, x)


def test_nan_and_infinity_survive():
    x = np.array([np.nan, np.inf, -np.inf])
    assert np.array_equal(unpack(pack(x)), x, equal_nan=True)


@pytest.mark.parametrize("value", [object(), lambda: 0, {1: 2}, {"$tensor": 0}, np.array(["text"]), {1, 2}])
def test_other_than_plain_data_is_refused(value):
    with pytest.raises(NotPlain):
        pack(value)


@pytest.mark.parametrize("value", [torch.ones(1).expand(1 << 40), torch.ones(4096), np.ones(2048), "x" * 4096])
def test_what_is_too_large_is_refused_before_it_is_copied(value):
    with pytest.raises(NotPlain, match="too large"):
        pack({"y": value}, limit=10_000)


@pytest.mark.parametrize("value", [torch.ones(1024), np.ones(1024), "x" * 2000])
def test_what_is_not_too_large_is_unpacked_under_the_same_limit(value):
    assert unpack(pack({"y": value}, limit=10_000), limit=10_000)


def test_a_pickle_is_never_loaded():
    with pytest.raises(NotPlain):
        unpack(pickle.dumps({"a": 1}))


def head(text: str) -> bytes:
    """Bytes that claim to be plain, with a text of one's own."""
    return b"PLAIN1\n\0" + len(text).to_bytes(8, "little") + text.encode()


@pytest.mark.parametrize(
    "text",
    [
        '{"$array": "float64", "shape": [1000000000, 1000]}',
        '{"$array": "float64", "shape": [-1]}',
        '{"$array": "float64", "shape": [1.5]}',
        '{"$array": "float64", "shape": [0], "tensor": "float32", "strides": null}',
        '{"$array": "float64", "shape": [0], "tensor": "load", "strides": null}',
        '{"$array": "object", "shape": [1]}',
        '{"$array": "float64", "shape": [1, 1], "tensor": "float64", "strides": [-1, 4]}',
        "[" * 100_000,
        "no JSON",
    ],
)
def test_claims_that_do_not_hold_are_refused(text):
    with pytest.raises(NotPlain):
        unpack(head(text) + bytes(8))


def test_strides_may_not_span_more_than_is_allowed():
    text = '{"$array": "float64", "shape": [2], "tensor": "float64", "strides": [1000000000]}'
    with pytest.raises(NotPlain, match="unpack to more"):
        unpack(head(text) + bytes(16))


def test_too_many_bytes_are_refused():
    with pytest.raises(NotPlain, match="more than"):
        unpack(pack(np.zeros(1000)), limit=100)


@given(st.binary(max_size=200), st.integers(0, 400))
def test_damaged_bytes_give_one_clear_error(noise, at):
    whole = pack({"x": np.arange(5), "y": [1, "two"]})
    damaged = whole[:at] + noise + whole[at + len(noise) :]
    try:
        unpack(damaged)
    except NotPlain:
        return
