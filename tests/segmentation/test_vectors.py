"""Vectors of a stream and their differences, also where values are missing."""

import torch

from beast_lp.segmentation.vectors import frame_differences


def test_differences_start_at_zero_and_skip_what_is_no_frame() -> None:
    x = torch.arange(8.0).reshape(1, 4, 2) ** 2
    valid = torch.tensor([[True, True, True, False]])
    both = frame_differences(x, valid)
    assert torch.equal(both[..., :2], x)
    assert both[0, 0, 2:].tolist() == [0, 0]
    assert both[0, 1, 2:].tolist() == [4.0, 8.0]
    assert both[0, 3, 2:].tolist() == [0, 0]
    further = frame_differences(x, valid, gain=2, lag=2)[0, :, 2:]
    assert further.tolist() == [[0, 0], [0, 0], [32.0, 48.0], [0, 0]]
    assert not frame_differences(x[:, :1], valid[:, :1], lag=2)[..., 2:].any()
