"""Token files that are read without being loaded: raw ids on disk, mapped into memory. It makes no tokens itself.

A file `NAME.bin` holds nothing but the ids, little-endian, two bytes each if the vocabulary allows it and four
otherwise, so that any tool can map it. Beside it, `NAME.json` says how to read it and carries its SHA-256.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

CHUNK = 1 << 20  # ids handled at a time: memory stays small however long the file


def token_dtype(vocabulary: int) -> np.dtype:
    """The smallest of uint16 and uint32 that holds the ids 0 to vocabulary - 1.

    Raises ValueError for a vocabulary below 1 or above 2^32.
    """
    if not 1 <= vocabulary <= 1 << 32:
        raise ValueError(f"a vocabulary of {vocabulary} does not fit: give 1 to {1 << 32}")
    return np.dtype("<u2") if vocabulary <= 1 << 16 else np.dtype("<u4")


def write_tokens(path: str | Path, chunks: Iterable[np.ndarray | Tensor | list[int]], vocabulary: int) -> "TokenFile":
    """Write a token file and its description, and open it.

    path: ends in .bin. chunks: ids, a piece at a time, so that a corpus need not fit into memory. vocabulary: V.
    The file appears under its name only when it is whole. Raises ValueError for an id outside 0 to V - 1.
    """
    path = Path(path)
    if path.suffix != ".bin":
        raise ValueError(f"{path.name}: a token file's name ends in .bin; its description lies beside it as .json")
    dtype, digest, count = token_dtype(vocabulary), hashlib.sha256(), 0
    partial = path.with_suffix(f".{os.getpid()}.part")
    try:
        with partial.open("wb") as file:
            for chunk in chunks:
                ids = np.asarray(chunk, dtype=np.int64).ravel()  # int64 first: a cast to uint16 would wrap silently
                if ids.size and not 0 <= ids.min() <= ids.max() < vocabulary:
                    wrong = ids[(ids < 0) | (ids >= vocabulary)][0]
                    raise ValueError(f"id {wrong} is not in a vocabulary of {vocabulary}: 0 to {vocabulary - 1} are")
                data = ids.astype(dtype).tobytes()
                digest.update(data)
                file.write(data)
                count += ids.size
        told = {"dtype": dtype.str, "count": count, "vocabulary": vocabulary, "sha256": digest.hexdigest()}
        path.with_suffix(".json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return TokenFile(path)


class TokenFile:
    """A token file, mapped: opening reads the description alone, and a window reads the pages that it lies on.

    path: of the .bin file. Raises FileNotFoundError when it or its description is missing, ValueError when the two do
    not belong together. The ids themselves are not looked at: `verify` does that.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        description = self.path.with_suffix(".json")
        for file in (self.path, description):
            if not file.is_file():
                raise FileNotFoundError(f"{file} is missing: write the pair again with write_tokens")
        told = json.loads(description.read_text(encoding="utf-8"))
        self.vocabulary, self.sha256 = int(told["vocabulary"]), str(told["sha256"])
        dtype, count = np.dtype(told["dtype"]), int(told["count"])
        size = self.path.stat().st_size
        if size != count * dtype.itemsize:
            raise ValueError(
                f"{self.path} has {size} bytes, but its description says {count} ids of {dtype.itemsize}: "
                "one of the two is cut off or from another run; write the pair again"
            )
        # An empty file cannot be mapped.
        self.tokens = np.memmap(self.path, dtype, mode="r") if count else np.zeros(0, dtype)

    def __len__(self) -> int:
        return len(self.tokens)

    def __reduce__(self) -> tuple:
        # A pickled memmap carries all its bytes. A worker of a data loader gets the path and maps the file itself.
        return TokenFile, (self.path,)

    def count_windows(self, T: int) -> int:
        """How many windows of T inputs and T targets lie one behind the other in the file."""
        return max(len(self) - 1, 0) // T

    def windows(self, starts: np.ndarray | Tensor | list[int], T: int) -> tuple[Tensor, Tensor]:
        """The windows that begin at `starts`: inputs (B, T) and targets (B, T), int64.

        starts: (B,). Raises IndexError for a window that does not lie within the file.
        """
        starts = np.asarray(starts, dtype=np.int64)
        if starts.size and not 0 <= starts.min() <= starts.max() < len(self) - T:
            raise IndexError(f"a window of {T} and its last target begin between 0 and {len(self) - T - 1}")
        runs = np.empty((len(starts), T + 1), dtype=np.int64)
        for run, start in zip(runs, starts, strict=True):
            run[:] = self.tokens[start : start + T + 1]  # the copy is what reads the disk, and widens the ids
        ids = torch.from_numpy(runs)
        return ids[:, :-1], ids[:, 1:]

    def windows_naive(self, starts: np.ndarray | Tensor | list[int], T: int) -> tuple[Tensor, Tensor]:
        """`windows` by loading the whole file first: what mapping spares."""
        ids = torch.from_numpy(np.fromfile(self.path, self.tokens.dtype).astype(np.int64))
        B = len(starts)
        inputs = [int(ids[int(start) + t]) for start in starts for t in range(T)]
        targets = [int(ids[int(start) + t + 1]) for start in starts for t in range(T)]
        return torch.tensor(inputs).view(B, T), torch.tensor(targets).view(B, T)

    def verify(self) -> None:
        """Read everything once and compare with the checksum. Raises ValueError when they differ."""
        digest = hashlib.sha256()
        for start in range(0, len(self), CHUNK):
            digest.update(self.tokens[start : start + CHUNK].tobytes())
        if digest.hexdigest() != self.sha256:
            raise ValueError(
                f"{self.path} is damaged: its SHA-256 is {digest.hexdigest()}, expected {self.sha256}; write it again"
            )
