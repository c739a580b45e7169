"""Documents of different lengths in one rectangle, by padding. It packs nothing: a row holds one document.

Letters: B documents, T the longest one's tokens.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from source.data_pipeline.targets import IGNORED


def collate(documents: Sequence[Tensor], pad: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """One batch of documents, each at the left of its row, with padding behind it.

    documents: B tensors (n,), n at least 1. pad: the id that fills the rest; a document may hold it as well.
    Returns ids (B, T), targets (B, T) and mask (B, T), bool. Target t is the next token of the same document, and
    IGNORED where there is none: at a document's last token, and in the padding. mask is True on documents' tokens.
    Raises ValueError for no documents and for an empty one.
    """
    if not documents or min(len(document) for document in documents) == 0:
        raise ValueError("a batch needs at least one document, and every document at least one token")
    lengths = torch.tensor([len(document) for document in documents])
    T = int(lengths.max())
    mask = torch.arange(T) < lengths[:, None]  # (B, T), from lengths: an id may equal the padding
    ids = torch.full(mask.shape, pad, dtype=documents[0].dtype)
    ids[mask] = torch.cat(list(documents))  # row by row, each from the left
    targets = torch.full_like(ids, IGNORED)
    targets[:, :-1] = torch.where(mask[:, 1:], ids[:, 1:], IGNORED)
    return ids, targets, mask


def collate_naive(documents: Sequence[Tensor], pad: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """`collate`, one token at a time."""
    T = max(len(document) for document in documents)
    ids, targets, mask = [], [], []
    for document in documents:
        tokens = document.tolist()
        ids.append([tokens[t] if t < len(tokens) else pad for t in range(T)])
        targets.append([tokens[t + 1] if t + 1 < len(tokens) else IGNORED for t in range(T)])
        mask.append([t < len(tokens) for t in range(T)])
    dtype = documents[0].dtype
    return torch.tensor(ids, dtype=dtype), torch.tensor(targets, dtype=dtype), torch.tensor(mask)


def padding_share(lengths: Sequence[int], batch: int) -> float:
    """The share of all places that is padding when documents are collated `batch` at a time, in the order given.

    lengths: of the documents. Raises ValueError for no documents.
    """
    if not len(lengths):
        raise ValueError("no documents: there are no places to count")
    groups = [lengths[start : start + batch] for start in range(0, len(lengths), batch)]
    places = sum(len(group) * max(group) for group in groups)
    return 1 - sum(lengths) / places
