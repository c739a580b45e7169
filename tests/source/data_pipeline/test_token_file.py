"""Token files: what is written is read, what is damaged is told, and what is mapped is not loaded."""

import pickle
import sys
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from source.data_pipeline.token_file import TokenFile, token_dtype, write_tokens


def test_ids_take_two_bytes_as_long_as_they_fit():
    assert token_dtype(1).itemsize == token_dtype(65_536).itemsize == 2
    assert token_dtype(65_537).itemsize == token_dtype(1 << 32).itemsize == 4
    for wrong in (0, (1 << 32) + 1):
        with pytest.raises(ValueError, match="does not fit"):
            token_dtype(wrong)


@pytest.mark.parametrize("vocabulary", [257, 65_536, 65_537, 1 << 32])
def test_what_is_written_is_read_up_to_the_largest_id(tmp_path, vocabulary):
    ids = [0, 1, vocabulary - 1, vocabulary // 2]
    tokens = write_tokens(tmp_path / "a.bin", [ids[:1], np.array(ids[1:3]), torch.tensor(ids[3:])], vocabulary)
    inputs, targets = tokens.windows([0, 1], 2)
    assert inputs.tolist() == [ids[0:2], ids[1:3]]
    assert targets.tolist() == [ids[1:3], ids[2:4]]
    assert inputs.dtype == targets.dtype == torch.long
    assert (tmp_path / "a.bin").stat().st_size == 4 * token_dtype(vocabulary).itemsize
    tokens.verify()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 69_999), min_size=2, max_size=60), st.integers(1, 5), st.data())
def test_windows_agree_with_loading_everything(tmp_path_factory, ids, T, data):
    T = min(T, len(ids) - 1)
    starts = data.draw(st.lists(st.integers(0, len(ids) - T - 1), max_size=5))
    tokens = write_tokens(tmp_path_factory.mktemp("tokens") / "a.bin", [ids], 70_000)
    for mapped, loaded in zip(tokens.windows(starts, T), tokens.windows_naive(starts, T), strict=True):
        assert torch.equal(mapped, loaded)
    assert tokens.count_windows(T) == (len(ids) - 1) // T


def test_raw_bytes_are_the_format(tmp_path):
    write_tokens(tmp_path / "a.bin", [[1, 258]], 300)
    assert (tmp_path / "a.bin").read_bytes() == b"\x01\x00\x02\x01"  # little-endian on every machine


@pytest.mark.parametrize("ids", [[300], [-1], [0, 65_536 + 5]])
def test_an_id_outside_the_vocabulary_is_named_and_leaves_no_file(tmp_path, ids):
    with pytest.raises(ValueError, match=str(ids[-1])):
        write_tokens(tmp_path / "a.bin", [[1, 2], ids], 300)
    assert list(tmp_path.iterdir()) == []


def test_a_window_must_lie_within_the_file_with_its_last_target(tmp_path):
    tokens = write_tokens(tmp_path / "a.bin", [range(10)], 300)
    assert tokens.windows([5], 4)[1].tolist() == [[6, 7, 8, 9]]
    for start in (6, -1):
        with pytest.raises(IndexError, match="between 0 and 5"):
            tokens.windows([start], 4)
    assert tokens.windows([], 4)[0].shape == (0, 4)


def test_an_empty_file_is_a_file_of_no_windows(tmp_path):
    tokens = write_tokens(tmp_path / "a.bin", [], 300)
    assert len(tokens) == tokens.count_windows(4) == 0
    tokens.verify()


def test_damage_is_told_apart(tmp_path):
    file = tmp_path / "a.bin"
    with pytest.raises(FileNotFoundError, match="missing"):
        TokenFile(file)
    write_tokens(file, [range(100)], 300)
    good = file.read_bytes()
    file.write_bytes(good[:-2])
    with pytest.raises(ValueError, match="cut off"):
        TokenFile(file)
    file.write_bytes(good[:50] + b"\xff" + good[51:])
    with pytest.raises(ValueError, match="damaged"):
        TokenFile(file).verify()
    file.with_suffix(".json").unlink()
    with pytest.raises(FileNotFoundError, match=r"a\.json"):
        TokenFile(file)
    with pytest.raises(ValueError, match=r"\.bin"):
        write_tokens(tmp_path / "a.txt", [], 300)


@pytest.fixture
def large(tmp_path) -> TokenFile:
    """A file of 512 MiB of zeros that takes no room on disk, where the file system knows how."""
    tokens = write_tokens(tmp_path / "large.bin", [], 50_257)
    count = 1 << 28
    with tokens.path.open("r+b") as file:
        file.truncate(2 * count)
    description = tokens.path.with_suffix(".json")
    description.write_text(description.read_text().replace('"count": 0', f'"count": {count}'))
    return TokenFile(tokens.path)


def test_reading_windows_allocates_the_windows_alone(large):
    tracemalloc.start()
    try:
        inputs, _ = large.windows(np.arange(0, len(large) - 1024, len(large) // 64), 1024)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert inputs.numel() == 65 * 1024 or inputs.numel() == 64 * 1024
    assert peak < 8 << 20


@pytest.mark.skipif(sys.platform != "linux", reason="how much of a mapping is in memory is told by /proc on Linux only")
def test_a_mapped_file_is_not_in_memory(large):
    large.windows(np.arange(0, len(large) - 1024, len(large) // 64), 1024)
    inside = resident = False
    with open("/proc/self/smaps") as file:
        for line in file:
            if "-" in line.split()[0] and not line.split()[0].endswith(":"):
                inside = line.rstrip().endswith(str(large.path))
            elif inside and line.startswith("Rss:"):
                resident = int(line.split()[1]) << 10
    # 64 windows of 2 KiB; the system maps up to some dozen pages around each.
    assert 0 < resident < 16 << 20


def test_a_worker_gets_the_path_and_not_the_bytes(large):
    data = pickle.dumps(large)
    assert len(data) < 4096
    assert torch.equal(pickle.loads(data).windows([7], 3)[0], large.windows([7], 3)[0])
