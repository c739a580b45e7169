"""The course's losses against PyTorch's and their naive twins, forward and backward; reports; what the pieces hold."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from source.training import losses as L
from source.training.live_memory import peak_bytes
from source.training.losses import IGNORED


def drawn(*shape, ignored=0.3, dtype=torch.float64, scale=2.0, seed=0):
    """Logits and targets, some of them ignored."""
    torch.manual_seed(seed)
    targets = torch.randint(shape[-1], shape[:-1])
    return torch.randn(shape, dtype=dtype) * scale, targets.masked_fill(torch.rand(shape[:-1]) < ignored, IGNORED)


@pytest.mark.parametrize("shape", [(5,), (4, 7), (2, 3, 5), (3, 1), (0, 4)])
def test_token_losses_equal_pytorchs_and_the_naive_twin_forward_and_backward(shape):
    logits, targets = drawn(*shape)
    upstream = torch.randn(targets.shape, dtype=torch.float64)
    results = []
    for f in (L.token_losses, L.token_losses_naive, _pytorchs):
        x = logits.clone().requires_grad_()
        losses = f(x, targets)
        grad = torch.autograd.grad(losses, x, upstream)[0] if losses.requires_grad else torch.zeros_like(x)
        results.append((losses, grad))
    for losses, grad in results[1:]:
        torch.testing.assert_close(losses, results[0][0], rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(grad, results[0][1], rtol=1e-12, atol=1e-12)


def _pytorchs(x, targets):
    V = x.shape[-1]
    return F.cross_entropy(x.reshape(-1, V), targets.reshape(-1), reduction="none").view(targets.shape)


def test_the_naive_twin_fails_where_the_stable_one_does_not():
    large, certain = torch.tensor([[1000.0, 0.0]]), torch.tensor([[0.0, 200.0]])
    target = torch.tensor([0])
    assert L.token_losses_naive(large, target).isnan().all()
    assert L.token_losses_naive(certain, target).isinf().all()
    assert L.token_losses(large, target).item() == 0.0
    assert L.token_losses(certain, target).item() == 200.0


def test_an_ignored_place_may_hold_an_infinity():
    logits = torch.tensor([[-math.inf, 0.0, 1.0], [0.0, -math.inf, 1.0]], requires_grad=True)
    losses = L.token_losses(logits, torch.tensor([IGNORED, 2]))
    losses.sum().backward()
    assert losses[0] == 0
    assert losses.isfinite().all()
    assert logits.grad.isfinite().all()
    assert (logits.grad[0] == 0).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_short_dtypes_are_computed_in_float32(dtype):
    logits, targets = drawn(4, 9, dtype=dtype)
    losses = L.token_losses(logits, targets)
    assert losses.dtype == torch.float32
    torch.testing.assert_close(losses, L.token_losses(logits.float(), targets))
    assert L.cross_entropy_gradient(logits, targets).dtype == dtype


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5), st.integers(1, 6), st.sampled_from([0.0, 0.1, 0.5, 1.0]), st.integers(0, 10**6))
def test_cross_entropy_equals_pytorchs_with_smoothing_forward_and_backward(N, V, smoothing, seed):
    logits, targets = drawn(N, V, seed=seed)
    targets[0] = 0  # something counts
    mine, theirs = (logits.clone().requires_grad_() for _ in range(2))
    a = L.cross_entropy(mine, targets, smoothing)
    b = F.cross_entropy(theirs, targets, label_smoothing=smoothing)
    a.backward()
    b.backward()
    torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-10, atol=1e-10)
    by_hand = L.cross_entropy_gradient(logits, targets, smoothing)
    torch.testing.assert_close(by_hand, theirs.grad, rtol=1e-10, atol=1e-10)


def test_a_loss_of_nothing_is_zero_and_teaches_nothing():
    logits = torch.randn(2, 3, 4, requires_grad=True)
    targets = torch.full((2, 3), IGNORED)
    loss = L.cross_entropy(logits, targets, 0.1)
    loss.backward()
    assert loss.item() == 0
    assert (logits.grad == 0).all()
    assert (L.cross_entropy_gradient(logits.detach(), targets) == 0).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 6), st.integers(1, 12), st.integers(1, 14), st.integers(0, 10**6))
def test_losses_in_pieces_equal_the_whole(N, V, chunk, seed):
    _, targets = drawn(N, V, seed=seed)
    x, W = torch.randn(N, 3, dtype=torch.float64), torch.randn(V, 3, dtype=torch.float64)
    whole = L.token_losses(x @ W.T, targets)
    torch.testing.assert_close(L.chunked_losses(x, W, targets, chunk), whole, rtol=1e-10, atol=1e-10)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.integers(1, 8), st.integers(1, 7), st.integers(0, 10**6))
def test_cross_entropy_in_pieces_equals_the_whole_forward_and_backward(N, V, rows, seed):
    _, targets = drawn(N, V, seed=seed)
    x, W = torch.randn(N, 3, dtype=torch.float64), torch.randn(V, 3, dtype=torch.float64)
    results = []
    for f in (
        lambda x, W: L.cross_entropy(x @ W.T, targets),
        lambda x, W: L.chunked_cross_entropy(x, W, targets, rows),
    ):
        leaves = [x.clone().requires_grad_(), W.clone().requires_grad_()]
        loss = 3 * f(*leaves)  # a factor behind it: the gradient from above is used
        results.append([loss, *torch.autograd.grad(loss, leaves)])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_pieces_hold_less_than_the_whole():
    N, V = 64, 2048
    x, W, targets = torch.randn(N, 8), torch.randn(V, 8), torch.randint(V, (N,))
    whole = 4 * N * V
    with torch.no_grad():
        assert peak_bytes(lambda: L.token_losses(x @ W.T, targets)) >= whole
        assert peak_bytes(lambda: L.chunked_losses(x, W, targets, 64)) < whole / 4
    a, b = x.clone().requires_grad_(), W.clone().requires_grad_()
    assert peak_bytes(lambda: L.chunked_cross_entropy(a, b, targets, 4).backward()) < whole


def test_a_report_equals_its_naive_twin_and_does_not_depend_on_the_batches():
    logits, targets = drawn(6, 9, 5)
    losses = L.token_losses(logits, targets)
    bytes_of = torch.tensor([1, 2, 3, 5, 8])
    one = L.report([(losses, targets)], bytes_of)
    for cut in (1, 2, 5):
        batches = [(losses[:cut], targets[:cut]), (losses[cut:], targets[cut:])]
        assert L.report(batches, bytes_of) == pytest.approx(one)
        assert L.report_naive(batches, bytes_of) == pytest.approx(one)


def test_bits_per_byte_of_a_model_that_guesses_bytes_evenly_are_eight():
    losses = torch.full((3, 4), math.log(256), dtype=torch.float64)
    told = L.report([(losses, torch.zeros(3, 4, dtype=torch.long))], torch.ones(256, dtype=torch.long))
    assert told == pytest.approx({"loss": math.log(256), "perplexity": 256, "bits per byte": 8})


def test_a_report_about_nothing_is_nan():
    for f in (L.report, L.report_naive):
        assert all(math.isnan(value) for value in f([], torch.ones(3)).values())


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: L.token_losses(torch.zeros(2, 3), torch.zeros(3, dtype=torch.long)), "need targets"),
        (lambda: L.token_losses(torch.zeros(1, 3), torch.tensor([3])), "below V = 3"),
        (lambda: L.token_losses(torch.zeros(1, 3), torch.tensor([-1])), "nor -100"),
        (lambda: L.cross_entropy(torch.zeros(1, 3), torch.tensor([0]), 1.5), "between 0 and 1"),
        (lambda: L.chunked_losses(torch.zeros(1, 3), torch.zeros(2, 3), torch.tensor([0]), 0), "at least 1"),
        (lambda: L.chunked_cross_entropy(torch.zeros(1, 3), torch.zeros(2, 4), torch.tensor([0]), 1), "do not fit"),
    ],
)
def test_bad_input_is_told(call, says):
    with pytest.raises(ValueError, match=says):
        call()
