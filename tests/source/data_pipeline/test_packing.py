"""Packing: nothing lost, nothing twice, nothing seen across documents; against loops and against attention itself."""

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from source.attention.dot_product import attention
from source.data_pipeline.collate import collate
from source.data_pipeline.packing import (
    cut,
    first_fit,
    first_fit_naive,
    lay_out,
    pack,
    pack_naive,
    packed_mask,
    packed_positions,
    packed_targets,
    questions,
)
from source.data_pipeline.targets import IGNORED

DOCUMENTS = st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=9), min_size=1, max_size=8)


def tensors(documents):
    return [torch.tensor(document) for document in documents]


def test_first_fit_by_hand():
    assert first_fit([5, 4, 3, 4, 2], 8) == [[0, 2], [1, 3], [4]]
    assert first_fit([5, 4, 3, 2, 2], 8) == [[0, 2], [1, 3, 4]]
    assert first_fit([], 8) == []


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(1, 12), max_size=40))
def test_first_fit_agrees_with_looking_at_every_row(lengths):
    assert first_fit(lengths, 12) == first_fit_naive(lengths, 12)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=40))
def test_no_document_is_lost_no_row_overflows_and_no_two_neighbours_would_have_fitted(lengths):
    rows = first_fit(lengths, 12)
    assert sorted(document for row in rows for document in row) == list(range(len(lengths)))
    fill = [sum(lengths[document] for document in row) for row in rows]
    assert max(fill) <= 12
    for row, members in enumerate(rows[1:], start=1):  # why it opened a new row
        assert all(before + lengths[members[0]] > 12 for before in fill[:row])


def test_ten_thousand_documents_take_no_quadratic_time():
    # Every document opens a row: looking at each would take fifty million steps, the tree takes 14 a document.
    lengths = [7] * 10_000
    assert first_fit(lengths, 12) == [[document] for document in range(10_000)]


@pytest.mark.parametrize("lengths", [[3, 13], [3, 0]])
def test_a_document_that_fits_no_row_is_named(lengths):
    for function in (first_fit, first_fit_naive):
        with pytest.raises(ValueError, match="document 1 has"):
            function(lengths, 12)


def test_a_row_that_overflows_is_refused():
    with pytest.raises(ValueError, match="row 0 has 4 places"):
        lay_out(tensors([[1, 2, 3], [4, 5]]), [[0, 1]], 4)


def test_one_row_by_hand():
    batch = pack(tensors([[5, 6, 7], [8, 9]]), 6)
    assert batch.ids.tolist() == [[5, 6, 7, 8, 9, 0]]
    assert batch.segments.tolist() == [[1, 1, 1, 2, 2, 0]]
    assert batch.targets.tolist() == [[6, 7, IGNORED, 9, IGNORED, IGNORED]]
    assert batch.positions.tolist() == [[0, 1, 2, 0, 1, 0]]
    assert packed_mask(batch.segments)[0].long().tolist() == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [0, 0, 0, 1, 0, 0],
        [0, 0, 0, 1, 1, 0],
        [0, 0, 0, 0, 0, 0],
    ]


@settings(max_examples=80, deadline=None)
@given(DOCUMENTS, st.integers(9, 14), st.integers(0, 5))
def test_the_loops_agree(documents, T, pad):
    fast = pack(tensors(documents), T, pad)
    slow, mask = pack_naive(tensors(documents), T, pad)
    for a, b in zip(fast, slow, strict=True):
        assert torch.equal(a, b)
        assert a.dtype == torch.long
    assert torch.equal(packed_mask(fast.segments), mask)


@settings(max_examples=80, deadline=None)
@given(DOCUMENTS, st.integers(9, 14))
def test_a_packed_batch_asks_exactly_what_its_documents_ask_alone(documents, T):
    batch = pack(tensors(documents), T)
    asked = questions(batch.ids, batch.targets, batch.positions, packed_mask(batch.segments))
    alone = [
        (tuple(document[: i + 1]), tuple(range(i + 1)), document[i + 1])
        for document in documents
        for i in range(len(document) - 1)
    ]
    assert asked == sorted(alone)
    ids, targets, mask = collate(tensors(documents))
    T = ids.shape[1]
    causal = torch.ones(T, T, dtype=torch.bool).tril() & mask[:, None, :]
    assert questions(ids, targets, torch.arange(T).expand_as(ids), causal) == asked


def test_attention_over_a_packed_row_equals_attention_over_each_document_forward_and_backward():
    rng = random.Random(0)
    generator = torch.Generator().manual_seed(0)
    C, T = 16, 40
    documents = [torch.randint(50, (n,), generator=generator) for n in (rng.randint(1, 14) for _ in range(9))]
    table, places = torch.randn(50, C, generator=generator), torch.randn(T, C, generator=generator)
    weights = [torch.randn(C, C, generator=generator) / 4 for _ in range(3)]

    def run(ids, positions, mask, count):
        leaf = table.clone().requires_grad_()
        x = leaf[ids] + places[positions]
        out, _ = attention(*(x @ W for W in weights), mask)
        out[count].square().sum().backward()
        return out.detach(), leaf.grad

    batch = pack(documents, T)
    real = batch.segments > 0
    packed, packed_grad = run(batch.ids, batch.positions, packed_mask(batch.segments), real)
    rows = first_fit([len(document) for document in documents], T)
    alone_grad = torch.zeros_like(table)
    for row, members in enumerate(rows):
        for segment, member in enumerate(members, start=1):
            n = len(documents[member])
            causal = torch.ones(n, n, dtype=torch.bool).tril()
            every = torch.ones(1, n, dtype=torch.bool)
            alone, grad = run(documents[member][None], torch.arange(n)[None], causal, every)
            torch.testing.assert_close(packed[row][batch.segments[row] == segment], alone[0])
            alone_grad += grad
    torch.testing.assert_close(packed_grad, alone_grad)
    assert packed[~real].abs().max() == 0 if (~real).any() else True


def test_segments_of_any_shape_in_front_and_none():
    segments = torch.tensor([1, 1, 2, 0])
    for lead in ((), (2,), (2, 3)):
        many = segments.expand(*lead, 4)
        assert packed_mask(many).shape == (*lead, 4, 4)
        assert packed_positions(many).shape == (*lead, 4)
        assert packed_targets(many, many).shape == (*lead, 4)
    for empty in (packed_positions(segments[:0]), packed_targets(segments[:0], segments[:0])):
        assert empty.shape == (0,)


def test_long_documents_are_cut_and_nothing_else_changes():
    documents = tensors([[1, 2, 3, 4, 5], [6], [7, 8]])
    assert [piece.tolist() for piece in cut(documents, 2)] == [[1, 2], [3, 4], [5], [6], [7, 8]]
    with pytest.raises(ValueError, match="at least 1"):
        cut(documents, 0)
