"""Frames of the animal in each behaviour, as a person checks at a glance what a class is."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from beast_lp.errors import BeastError
from beast_lp.reports.style import SMALL, new_figure
from beast_lp.segmentation.bouts import Bout
from beast_lp.video.read import FrameReader

# frames of a video among which examples are looked for, so that hours of it are not decoded
_SEARCHED = 3000
# classes that are shown, and px of the longer side of a frame
_MOST_CLASSES, _SIDE = 12, 240


def example_frames(
    video: Path,
    bouts: Sequence[Bout],
    probabilities: Float[np.ndarray, 'frames classes'],
    classes: Sequence[str],
    first_frame: int = 0,
) -> Figure | None:
    """Draw the middle frame of the surest bout of each predicted class.

    Args:
        video: path of the video.
        bouts: predicted bouts.
        probabilities: probabilities of the frames that these count.
        classes: names.
        first_frame: number of the first of these frames in the video.

    Returns:
        A figure; None if the video cannot be read or there are no such frames near its start.
    """
    searched = max(0, _SEARCHED - first_frame)
    near = [replace(b, stop=min(b.stop, searched)) for b in bouts if b.start < searched]
    chosen = surest_frames(near, probabilities)
    if not chosen:
        return None
    wanted = {first_frame + frame for frame in chosen.values()}
    try:
        reader = FrameReader(video)
        height, width = reader.info.height, reader.info.width
        scale = min(1.0, _SIDE / max(height, width))
        size = (max(1, round(scale * height)), max(1, round(scale * width)))
        pictures = {}
        for frame in reader:
            if frame.ordinal in wanted:
                pictures[frame.ordinal] = frame.pixels(size)
            if len(pictures) == len(wanted):
                break
    except (BeastError, OSError):
        return None
    if not pictures:
        return None
    shown = [pair for pair in chosen.items() if first_frame + pair[1] in pictures]
    columns = min(6, len(shown))
    lines = -(-len(shown) // columns)
    figure = new_figure(1.75 * columns, 1.95 * lines)
    panels = figure.subplots(lines, columns, squeeze=False).flat
    for axes in panels:
        axes.set_axis_off()
    for axes, (label, frame) in zip(figure.axes, shown, strict=False):
        axes.imshow(pictures[first_frame + frame])
        title = (
            f'{classes[label]}\nframe {first_frame + frame}, p = {probabilities[frame, label]:.2f}'
        )
        axes.set_title(title, fontsize=SMALL)
    return figure


def surest_frames(
    bouts: Sequence[Bout],
    probabilities: Float[np.ndarray, 'frames classes'],
) -> dict[int, int]:
    """Return the middle frame of the bout with the highest mean probability, by its class.

    Args:
        bouts: predicted bouts.
        probabilities: probabilities of at least their frames.

    Examples:
        >>> probabilities = np.array([[0.6, 0.4]] * 3 + [[0.2, 0.8]] * 2)
        >>> surest_frames([Bout(0, 0, 3), Bout(1, 3, 4), Bout(0, 4, 5)], probabilities)
        {0: 1, 1: 3}
    """
    best: dict[int, tuple[float, int]] = {}
    for bout in bouts:
        sure = float(probabilities[bout.start : bout.stop, bout.label].mean())
        if sure > best.get(bout.label, (-1.0, 0))[0]:
            best[bout.label] = sure, (bout.start + bout.stop - 1) // 2
    return {label: best[label][1] for label in sorted(best)[:_MOST_CLASSES]}
