"""The simplest cache: it gives back all keys and values, in order, and counts what it has seen."""

import torch

from source.models.kv_cache import KVCache, empty_cache


def test_what_went_in_comes_out_in_order():
    cache, k, v = KVCache(), torch.randn(2, 3, 7, 4), torch.randn(2, 3, 7, 4)
    for part in (slice(0, 4), slice(4, 5), slice(5, 7)):
        kept = cache.append(k[:, :, part], v[:, :, part])
        assert torch.equal(kept[0], k[:, :, : part.stop])
        assert torch.equal(kept[1], v[:, :, : part.stop])
        assert cache.seen == part.stop


def test_layers_do_not_share():
    first, second = empty_cache(2)
    first.append(torch.zeros(1, 1, 1, 1), torch.zeros(1, 1, 1, 1))
    assert (first.seen, second.seen) == (1, 0)
