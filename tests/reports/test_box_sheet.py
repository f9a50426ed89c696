"""The sheet of boxes."""

import numpy as np
from matplotlib.patches import Rectangle

from beast_lp.reports.box_sheet import BoxedRow, box_sheet
from beast_lp.video.boxes import Box


def test_boxes_and_keypoints_lie_where_they_are_in_the_pictures() -> None:
    # pictures of half the size of the frames
    pictures = [np.zeros((20, 30), np.uint8), np.zeros((20, 30), np.uint8)]
    boxes = [Box(10, 4, 16, 20), Box(0, 0, 8, 8)]
    points = np.array([[[21.0, 11.0]], [[np.nan, np.nan]]])
    rows = [
        BoxedRow('a', pictures, ['frame 0', 'frame 9'], boxes, 60, points),
        BoxedRow('b', pictures[:1], ['frame 0'], boxes[:1], 30),
    ]
    figure = box_sheet(rows)
    drawn = [
        next(patch for patch in axes.patches if isinstance(patch, Rectangle))
        for axes in figure.axes
    ]
    assert [(box.get_x(), box.get_y(), box.get_width(), box.get_height()) for box in drawn] == [
        (4.5, 1.5, 10, 8),
        (-0.5, -0.5, 4, 4),
        (9.5, 3.5, 20, 16),
    ]
    # the middle of frame pixel 21, 11 is in picture pixel 10, 5
    assert np.asarray(figure.axes[0].lines[0].get_xydata()).round().tolist() == [[10, 5]]
    assert not figure.axes[2].lines
    assert [axes.get_title() for axes in figure.axes] == ['frame 0', 'frame 9', 'frame 0']
    assert [axes.texts[0].get_text() for axes in (figure.axes[0], figure.axes[2])] == ['a', 'b']
