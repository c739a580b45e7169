"""The peak counts what is held at once: not what has been let go, not what was there before, not views."""

import torch

from source.training.live_memory import peak_bytes


def test_what_is_let_go_does_not_count():
    def one_after_the_other():
        for _ in range(10):
            torch.ones(1000)

    assert peak_bytes(one_after_the_other) < 3 * 4000
    assert peak_bytes(lambda: [torch.ones(1000) for _ in range(10)]) >= 10 * 4000


def test_views_and_what_was_there_before_do_not_count():
    x = torch.ones(1000)
    assert peak_bytes(lambda: [x.view(10, 100).T[n] for n in range(10)]) == 0
    assert peak_bytes(lambda: x.add_(1)) == 0
    assert peak_bytes(lambda: x + 1) == 4000


def test_what_autograd_keeps_counts():
    x = torch.ones(1000, requires_grad=True)
    assert peak_bytes(lambda: x.exp().exp().exp().sum().backward()) >= 3 * 4000
    with torch.no_grad():
        assert peak_bytes(lambda: x.exp().exp().exp().sum()) < 3 * 4000
