"""Labelled frames of a pose model with its predictions on them."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from beast_lp.reports.style import SMALL, add_legend, new_figure

# seen on fur and on dark arenas alike
_TRUTH, _PREDICTED = '#FFFFFF', '#FF6A00'
LEGEND = ('label', 'prediction')
# of the frames in order of their error
_SHOWN = ((0.0, 'best'), (0.5, 'median'), (1.0, 'worst'))


def frames_to_show(errors: Float[np.ndarray, ' frames']) -> Int[np.ndarray, ' shown']:
    """Return the frames with the least, the median and the largest error.

    Args:
        errors: px, NaN where nothing is labelled; such frames are not shown.

    Examples:
        >>> frames_to_show(np.array([4.0, 1.0, np.nan, 3.0])).tolist()
        [1, 3, 0]
        >>> frames_to_show(np.array([2.0])).tolist()
        [0]
    """
    order = np.argsort(errors, kind='stable')[: np.isfinite(errors).sum()]
    picks = [order[round(share * (len(order) - 1))] for share, _ in _SHOWN if len(order)]
    return np.array(list(dict.fromkeys(picks)), dtype=np.int64)


def labelled_frames(
    pictures: Sequence[UInt8[np.ndarray, 'height width 3']],
    truth: Float[np.ndarray, 'frames keypoints 2'],
    predicted: Float[np.ndarray, 'frames keypoints 2'],
) -> Figure:
    """Draw frames with their labels and the predictions, and a line between the two.

    Args:
        pictures: RGB, one or more.
        truth: x and y of the labels, px of the pictures; NaN where there is none.
        predicted: x and y of the predictions.
    """
    figure = new_figure(3.4 * len(pictures), 3.9)
    handles = []
    panels = figure.subplots(1, len(pictures), squeeze=False)[0]
    for axes, picture, true, guess in zip(panels, pictures, truth, predicted, strict=True):
        handles = draw_labelled(axes, picture, true, guess)
    add_legend(figure, handles, LEGEND, loc='outside lower center', ncols=2)
    return figure


def draw_labelled(
    axes: Axes,
    picture: UInt8[np.ndarray, 'height width 3'],
    truth: Float[np.ndarray, 'keypoints 2'],
    predicted: Float[np.ndarray, 'keypoints 2'],
) -> list[Line2D]:
    """Draw one frame with its labels and the predictions.

    Args:
        axes: panel of the frame.
        picture: RGB.
        truth: x and y of the labels, px of the picture; NaN where there is none.
        predicted: x and y of the predictions.

    Returns:
        what `LEGEND` names.
    """
    axes.imshow(picture)
    axes.set_axis_off()
    for start, end in zip(truth, predicted, strict=True):
        axes.plot(*zip(start, end, strict=True), color=_PREDICTED, linewidth=1.0)
    edge = {'ls': '', 'markeredgecolor': 'black', 'mew': 0.6}
    handles = [
        *axes.plot(*truth.T, color=_TRUTH, marker='o', markersize=3.5, **edge),
        *axes.plot(*predicted.T, color=_PREDICTED, marker='X', markersize=4.5, **edge),
    ]
    height, width = picture.shape[:2]
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    error = float(np.nanmean(np.linalg.norm(truth - predicted, axis=-1)))
    axes.set_title(f'mean error {error:.3g} px', fontsize=SMALL)
    return handles
