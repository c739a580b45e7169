"""Windows: targets are the inputs one id on, whatever the type of the ids; texts become their bytes."""

import pytest
import torch

from source.data_pipeline.windows import to_bytes, windows


def test_targets_are_the_next_ids():
    inputs, targets = windows(torch.arange(20, dtype=torch.uint8), torch.tensor([0, 14]), 5)
    assert inputs.tolist() == [[0, 1, 2, 3, 4], [14, 15, 16, 17, 18]]
    assert targets.tolist() == [[1, 2, 3, 4, 5], [15, 16, 17, 18, 19]]
    assert inputs.dtype == targets.dtype == torch.int64


def test_a_window_beyond_the_end_is_an_error():
    with pytest.raises(IndexError):
        windows(torch.arange(6), torch.tensor([1]), 5)


@pytest.mark.parametrize("text", ["", "abc", "naïve – 🙂\n"])
def test_a_text_becomes_its_bytes(text):
    assert bytes(to_bytes(text).tolist()).decode() == text
