"""The picture of what pretraining brings."""

from pathlib import Path

import numpy as np
from before_after import Reading, draw_reading
from matplotlib.figure import Figure
from PIL import Image


def test_only_labelled_keypoints_are_drawn(tmp_path: Path) -> None:
    image = tmp_path / 'frame.png'
    Image.new('RGB', (20, 10)).save(image)
    truth = np.array([[3.0, 4.0], [np.nan, np.nan], [8.0, 2.0]])
    axes = Figure().subplots()
    draw_reading(axes, Reading(image, truth, truth + 1, error=12.34))
    rings, dots = (np.asarray(points.get_offsets()) for points in axes.collections)
    np.testing.assert_array_equal(rings, truth[[0, 2]])
    np.testing.assert_array_equal(dots, truth[[0, 2]] + 1)
    assert [np.asarray(line.get_xdata()).tolist() for line in axes.lines] == [[3, 4], [8, 9]]
    assert axes.get_xlabel() == 'mean error 12.3 px'
