"""Padding and collation, against loops, and the places that must not count."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from source.data_pipeline.collate import collate, collate_naive, padding_share
from source.data_pipeline.targets import IGNORED

DOCUMENTS = st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=8), min_size=1, max_size=5)


def test_two_documents_by_hand():
    ids, targets, mask = collate([torch.tensor([5, 6, 7]), torch.tensor([8])])
    assert ids.tolist() == [[5, 6, 7], [8, 0, 0]]
    assert targets.tolist() == [[6, 7, IGNORED], [IGNORED] * 3]
    assert mask.tolist() == [[True] * 3, [True, False, False]]


@settings(max_examples=80, deadline=None)
@given(DOCUMENTS, st.integers(0, 5))
def test_the_loops_agree_also_when_the_padding_is_a_token(documents, pad):
    documents = [torch.tensor(document) for document in documents]
    for fast, slow in zip(collate(documents, pad), collate_naive(documents, pad), strict=True):
        assert torch.equal(fast, slow)
        assert fast.dtype == slow.dtype


@settings(max_examples=50, deadline=None)
@given(DOCUMENTS)
def test_every_document_comes_out_of_its_row_again(documents):
    ids, targets, mask = collate([torch.tensor(document) for document in documents])
    assert [row[seen].tolist() for row, seen in zip(ids, mask, strict=True)] == documents
    assert [row[row != IGNORED].tolist() for row in targets] == [document[1:] for document in documents]


def test_the_loss_does_not_depend_on_how_much_padding_there_is():
    generator = torch.Generator().manual_seed(0)
    short = torch.randint(7, (4,), generator=generator)
    table = torch.randn(7, 7, generator=generator)  # a bigram model: logits of the next token

    def loss(documents):
        ids, targets, _ = collate(documents)
        return F.cross_entropy(table[ids].flatten(0, 1), targets.flatten(), reduction="sum")

    alone = loss([short])
    longer = torch.randint(7, (30,), generator=generator)
    torch.testing.assert_close(loss([short, longer]) - loss([longer]), alone)


@pytest.mark.parametrize("documents", [[], [torch.tensor([1]), torch.tensor([], dtype=torch.long)]])
def test_nothing_is_refused(documents):
    with pytest.raises(ValueError, match="at least one"):
        collate(documents)


def test_the_share_of_padding_is_what_the_batches_hold():
    lengths = [3, 1, 4, 1, 5]
    places = padded = 0
    for start in range(0, 5, 2):
        _, _, mask = collate([torch.ones(n, dtype=torch.long) for n in lengths[start : start + 2]])
        places, padded = places + mask.numel(), padded + int((~mask).sum())
    assert padding_share(lengths, 2) == pytest.approx(padded / places)
    with pytest.raises(ValueError, match="no documents"):
        padding_share([], 2)
